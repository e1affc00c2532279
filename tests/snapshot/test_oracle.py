"""The checks of snapshots against the papers' sentences, on small executions in which anything may go wrong."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.oracle import snapshot as oracle
from tests.snapshot.executions import Colored, Marked, execution, trace
from tests.strategies import examples
from tracekit.execution import Execution, Options
from tracekit.registry import checks
from tracekit.results import CheckResult, Verdict

ALGORITHMS = {
    "snapshot.chandy-lamport": (Marked, oracle.chandy_lamport),
    "snapshot.lai-yang": (Colored, oracle.lai_yang),
}
COMMON = {
    "recorded-twice", "channel-not-recorded", "channel-recorded-twice", "message-missing-in-channel",
    "phantom-message-in-channel", "inconsistent-cut", "total-not-conserved",
}  # fmt: skip
CODES = {
    "snapshot.chandy-lamport": COMMON | {
        "marker-before-recording", "two-markers", "marker-not-sent", "message-before-marker", "recorded-late",
        "never-recorded", "marker-lost", "message-lost", "marker-overtook-message", "message-overtook-marker",
        "first-channel-not-empty", "channel-closed-early", "channel-out-of-order",
    },
    "snapshot.lai-yang": COMMON | {"white-after-recording", "red-before-recording", "red-message-taken-white"},
}  # fmt: skip


def judged(name: str, seed: int) -> tuple[CheckResult, oracle.Broken, bool] | None:
    """The check's result, the oracle's, and whether any snapshot is complete; None where the check does not apply."""
    kind, definition = ALGORITHMS[name]
    rows, names, ended = execution(kind, seed)
    shuffled = Random(seed).sample(rows, len(rows))
    found = Execution(trace(shuffled, names, ended))
    if not checks()[name].applies(found):
        return None
    marked = {r["snapshot.id"] for r in rows if r["name"] == "snapshot.marker"}
    colored = {r["snapshot.color"] for r in rows if r.get("snapshot.color")}
    ids = marked if kind is Marked else colored | {r["snapshot.id"] for r in rows if "snapshot.id" in r}
    wanted = {b for id in ids for b in definition(rows, id, names, ended)}
    whole = any(oracle.complete(rows, id, names) for id in ids)
    return checks()[name].run(found, Options()), wanted, whole


def broken(result: CheckResult) -> oracle.Broken:
    found = set()
    for violation in result.violations:
        facts = violation.facts
        channel = (facts["sender"], facts["receiver"]) if "sender" in facts else ()
        found.add(
            (violation.anomaly, facts["snapshot"], channel or ((facts["process"],) if "process" in facts else ()))
        )
    return found


@pytest.mark.parametrize("name", ALGORITHMS)
@examples(800)
@given(seed=st.integers(0, 2**32))
def test_as_the_papers_say(name: str, seed: int) -> None:
    outcome = judged(name, seed)
    if outcome is None:
        return
    result, wanted, whole = outcome
    assert result.violations_total == len(wanted)
    assert broken(result) == wanted if len(wanted) <= 20 else broken(result) <= wanted
    if not wanted:
        assert result.verdict is (Verdict.HOLDS if whole else Verdict.UNKNOWN), result.reasons


@pytest.mark.parametrize("name", ALGORITHMS)
def test_every_anomaly_occurs_and_is_described(name: str) -> None:
    seen: set[str] = set()
    for seed in range(10_000):
        outcome = judged(name, seed)
        if outcome is not None:
            seen |= {violation.anomaly for violation in outcome[0].violations}
        if seen >= CODES[name]:
            break
    assert seen == CODES[name]
    assert all(code in checks()[name].page["Meaning"] for code in CODES[name])


@pytest.mark.parametrize("name", ALGORITHMS)
def test_certificates_are_linearizations_through_the_recorded_state(name: str) -> None:
    """Replayed message by message: a message is received after it was sent, and every process keeps its order."""
    proved = 0
    for seed in range(250):
        kind, _ = ALGORITHMS[name]
        rows, names, ended = execution(kind, seed)
        recorded = trace(rows, names, ended)
        if not checks()[name].applies(Execution(recorded)):
            continue
        result = checks()[name].run(Execution(recorded), Options())
        by_name = {f"{r['process']}:{r['seq']}": r for r in rows}
        for part in result.certificate or ():
            proved += 1
            order = [by_name[event] for event in part["before"] + part["after"]]
            assert all(
                r["seq"] < part["events in the recorded state"][r["process"]] for r in order[: len(part["before"])]
            )
            assert all(
                r["seq"] >= part["events in the recorded state"][r["process"]] for r in order[len(part["before"]) :]
            )
            for p in names:
                mine = [r["seq"] for r in order if r["process"] == p]
                assert mine == sorted(mine)
                if mine:
                    between = [r for r in rows if r["process"] == p and mine[0] <= r["seq"] <= mine[-1]]
                    assert len(mine) == sum(not r["name"].startswith("snapshot.") for r in between)
            for place, row in enumerate(order):
                if row["kind"] == "receive":
                    sent = [i for i, r in enumerate(order) if r["kind"] == "send" and r["message"] == row["message"]]
                    assert not sent or sent[0] < place
    assert proved > 50
