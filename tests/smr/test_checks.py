"""Checks of replicated machines on runs written by hand: smallest violations, gaps in recordings, nonsense."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest

from tests.paxos.machine import trace_of
from tests.smr.test_oracle import SMR, copies, results
from tracekit.execution import Execution, Options
from tracekit.registry import checks
from tracekit.results import CheckResult, Verdict
from tracekit.trace.builder import TraceBuilder
from tracekit.trace.trace import SetAside, SetAsides, Trace

Row = dict[str, Any]


def row(process: str, name: str, kind: str = "internal", **fields: Any) -> Row:
    return {"process": process, "kind": kind, "name": name} | {f"smr.{k}": v for k, v in fields.items()}


def apply(process: str, index: int, command: str = "", **fields: Any) -> Row:
    """As any replicated log may note it beside its own events."""
    return row(process, "raft.apply", index=index, command=command or f"c{index}", **fields)


def check(trace: Trace, name: str) -> CheckResult:
    return checks()[f"smr.{name}"].run(Execution(trace), Options())


def test_two_commands_at_one_index() -> None:
    (found,) = check(trace_of([apply("a", 1, "x"), apply("b", 1, "y")]), "slot-agreement").violations
    assert found.summary == "a and b applied different commands at index 1: x and y. Their machines diverge there."
    (again,) = check(trace_of([apply("a", 1, "x"), row("a", "smr.restart", "restart"), apply("a", 1, "y")]),
                     "slot-agreement").violations  # fmt: skip
    assert "at two times" in again.summary


@pytest.mark.parametrize(
    ("indices", "anomaly", "words"),
    [((1, 3), "applied-too-early", "command 2 was not yet applied"), ((1, 4), "applied-too-early", "2 to 3 were"),
     ((1, 1), "applied-again", "contained commands up to 1"), ((1, 2, 1), "applied-again", "up to 2")],
)  # fmt: skip
def test_a_command_out_of_order(indices: tuple[int, ...], anomaly: str, words: str) -> None:
    (found,) = check(trace_of([apply("a", i) for i in indices]), "prefix").violations
    assert found.anomaly == anomaly
    assert words in found.summary


def test_a_restart_goes_on_from_the_state_that_it_recovered() -> None:
    rows = [row("a", "smr.init", index=0), apply("a", 1), apply("a", 2), row("a", "smr.crash", "crash"),
            row("a", "smr.restart", "restart", index=1), apply("a", 2)]  # fmt: skip
    assert check(trace_of(rows), "prefix").verdict is Verdict.HOLDS
    assert check(trace_of([*rows[:-1], apply("a", 3)]), "prefix").violations_total == 1
    unsaid = [*rows[:4], row("a", "raft.restart", "restart"), apply("a", 1), apply("a", 2)]
    found = check(trace_of(unsaid), "prefix")
    assert found.verdict is Verdict.HOLDS
    assert found.rests_on == ("restarts: from the state before the first command applied then (assumed)",)
    assert check(trace_of([*rows[:4], apply("a", 1)]), "prefix").verdict is Verdict.HOLDS, "the restart is not recorded"


def test_a_state_taken_over_is_where_the_copy_goes_on() -> None:
    rows = [row("a", "smr.init", index=0), row("a", "smr.install", index=7), apply("a", 8)]
    assert check(trace_of(rows), "prefix").verdict is Verdict.HOLDS


def test_states_that_differ() -> None:
    rows = [apply(p, i, state=f"{i}" if p == "a" or i < 2 else "other") for p in "ab" for i in (1, 2, 3)]
    found = check(trace_of(rows), "state")
    assert found.violations_total == 2
    assert found.violations[0].summary == (
        "a and b have different states after index 2: 2 and other, though both applied c2 there."
    )
    assert check(trace_of([apply("a", 1)]), "state").reasons == ("smr.state is not recorded",)


def test_a_request_that_was_chosen_twice() -> None:
    rows = [apply("a", 1, request="r"), apply("a", 2, request="r")]
    (found,) = check(trace_of(rows), "exactly-once").violations
    assert found.summary == "a executed request r at index 2, though its state contained it since index 1."
    known = [rows[0], apply("a", 2, request="r", executed=False)]
    assert check(trace_of(known), "exactly-once").verdict is Verdict.HOLDS


def test_a_request_that_is_replayed_onto_a_state_that_contains_it() -> None:
    rows = [apply("a", i, request=f"r{i}") for i in (1, 2, 3)]
    rows += [row("a", "smr.restart", "restart", index=2), apply("a", 3, request="r3")]
    assert check(trace_of(rows), "exactly-once").verdict is Verdict.HOLDS
    rows.append(apply("a", 2, request="r2"))
    (found,) = check(trace_of(rows), "exactly-once").violations
    assert "It restarted in between (a:3), with the state after 2." in found.summary


def test_nothing_is_judged_without_its_field() -> None:
    found = results(trace_of([apply("a", 1), apply("a", 2)]))
    assert found["smr.exactly-once"].reasons == ("smr.request is not recorded",)
    assert found["smr.slot-agreement"].verdict is Verdict.HOLDS
    lost = results(trace_of([row("a", "raft.apply", command="x"), apply("a", 2, request="r", state="s")]))
    for name in ("smr.slot-agreement", "smr.prefix", "smr.exactly-once"):
        assert "the index of 1 command applied is not recorded" in lost[name].reasons[0]
    for name, result in results(trace_of([row("a", "smr.client_request", "send")])).items():
        assert result.verdict is Verdict.NOT_APPLICABLE, name


def test_what_was_set_aside_may_excuse_what_rests_on_order() -> None:
    rows = [apply("a", 1, "x", request="r", state="1"), apply("a", 1, "y", request="r", state="2")]
    trace = replace(trace_of(rows), set_aside=SetAsides.of([SetAside("x:3", "no kind")]))
    verdicts = {name: result.verdict for name, result in results(trace).items()}
    assert verdicts == {"smr.slot-agreement": Verdict.VIOLATED, "smr.state": Verdict.VIOLATED,
                        "smr.prefix": Verdict.UNKNOWN, "smr.exactly-once": Verdict.UNKNOWN}  # fmt: skip


EXTREMES = (-(2**63), -1, 0, 2**62, 2**63 - 1)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("seed", range(6))
def test_any_events(seed: int) -> None:
    draw = random.Random(seed)
    for _ in range(30):
        builder = TraceBuilder()
        for _ in range(draw.randrange(1, 40)):
            maybe = {"smr.index": draw.choice(EXTREMES) if draw.random() < 0.3 else draw.randrange(4),
                     "smr.command": draw.choice("xy"), "smr.request": draw.choice("rs"), "smr.state": draw.choice("pq"),
                     "smr.executed": draw.random() < 0.5}  # fmt: skip
            kind = draw.choice(("internal", "restart", "crash", "fault", "send"))
            fields = {name: value for name, value in maybe.items() if draw.random() < 0.6}
            builder.add({"process": draw.choice(("a", "b", "nemesis")), "kind": kind, "name": "smr.apply", **fields})
        for result in results(builder.build()).values():
            result.to_json()


@pytest.mark.parametrize("name", ["smr.index", "smr.command", "smr.request", "smr.state", "smr.executed"])
@pytest.mark.parametrize("value", [1.5, True, "text", 7, ["x"]])
def test_columns_of_other_types(name: str, value: Any) -> None:
    rows = [{**apply("a", i, request="r", state=f"{i}", executed=True), name: value} for i in (1, 2)]
    found = results(trace_of(rows))
    assert set(found) == set(SMR)
    for result in found.values():
        result.to_json()


def test_states_of_which_the_index_is_not_known_are_not_passed_over() -> None:
    rows = [apply("a", 1, state="s1"), row("b", "smr.checkpoint", state="other")]
    found = check(trace_of(rows), "state")
    assert found.verdict is Verdict.UNKNOWN
    assert found.reasons == ("the index of 1 state is not recorded (smr.index)",)
    assert check(trace_of([row("a", "smr.checkpoint", state="s", index=-1)]), "state").verdict is Verdict.UNKNOWN


def test_first_commands_alone_are_told_not_to_suffice() -> None:
    found = check(trace_of([apply("a", 5), apply("b", 5)]), "prefix")
    assert found.verdict is Verdict.UNKNOWN
    assert found.reasons == ("of no command applied it is recorded which state it was applied to",)


def test_machines_are_judged_each_for_itself() -> None:
    """Two shards, with copies at two processes; a crash is one of both."""
    rows = [apply(p, i, f"{m}{i}", machine=m, state=f"{m}{i}", request=f"{m}{i}")
            for p in "ab" for i in (1, 2) for m in "xy"]  # fmt: skip
    rows += [row("a", "raft.crash", "crash"), row("a", "raft.restart", "restart")]
    rows += [apply("a", i, f"{m}{i}", machine=m, state=f"{m}{i}", request=f"{m}{i}") for m in "yx" for i in (1, 2)]
    for name in ("slot-agreement", "prefix", "state", "exactly-once"):
        assert check(trace_of(rows), name).verdict is Verdict.HOLDS, name
    (found,) = check(trace_of([*rows, apply("b", 3, "k", machine="x"), apply("a", 3, "l", machine="x")]),
                     "slot-agreement").violations  # fmt: skip
    assert "applied different commands at index 3 of machine x: k and l" in found.summary
    assert check(trace_of([*rows, apply("b", 4, machine="x")]), "prefix").violations_total == 1
    assert check(trace_of([*rows, apply("b", 3, machine="x", request="x1")]), "exactly-once").violations_total == 1
    assert check(trace_of([*rows, apply("b", 2, machine="y", state="z")]), "state").violations_total == 1


def test_of_which_machine_an_event_is_must_be_said_everywhere_or_nowhere() -> None:
    found = check(trace_of([apply("a", 1, machine="x"), apply("b", 1, "other")]), "slot-agreement")
    assert found.verdict is Verdict.UNKNOWN
    assert "as b:0: which it means is not known" in found.reasons[0]


def test_machines_apart_are_the_same_as_one_at_a_time() -> None:
    """Two histories in one trace, as two machines of the same processes, have the violations of both."""
    for seed in range(60):
        one, other = (copies(s, mistakes=True) for s in (seed, seed + 1000))
        # What a restart begins with is said by the machine's own event; the process's is one for both.
        merged = [r | {"smr.machine": m} for rows, m in ((one, "x"), (other, "y")) for r in rows]
        for name, found in results(trace_of(merged)).items():
            alone = [results(trace_of(rows))[name].violations_total for rows in (one, other)]
            assert found.violations_total == sum(alone), (seed, name)
