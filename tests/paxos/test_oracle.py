"""Every Paxos check against its brute-force definition, on runs with and without mistakes and on nonsense."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.oracle import paxos as oracle
from tests.oracle.paxos_evident import EVIDENT
from tests.paxos.machine import PROCESSES, STEPS, Step, as_messages, play, trace_of
from tests.strategies import examples
from tracekit.execution import Execution, Options
from tracekit.kernels import engine
from tracekit.registry import checks
from tracekit.results import CheckResult, Verdict
from tracekit.trace.trace import Trace

Row = dict[str, Any]
PAXOS = [name for name in checks() if name.startswith("paxos.")]


def results(trace: Trace) -> dict[str, CheckResult]:
    execution = Execution(trace)
    return {name: checks()[name].run(execution, Options()) for name in PAXOS}


def compare(rows: list[Row], acceptors: list[str]) -> dict[str, CheckResult]:
    found, run = results(trace_of(rows)), oracle.Run(rows, acceptors)
    for name, definition in oracle.RULES.items():
        broken, evident = definition(run), EVIDENT[name](run)
        assert evident <= broken
        if name in _unrecorded(run):
            assert found[name].reasons or found[name].verdict is Verdict.NOT_APPLICABLE or name == "paxos.quorum"
            continue
        count = found[name].violations_total
        assert count == len(evident), (name, broken, evident, found[name])
        assert len(found[name].violations) == min(count, 20)
        assert not broken or found[name].verdict is not Verdict.HOLDS, (name, broken, found[name])
    return found


def _unrecorded(run: oracle.Run) -> set[str]:
    """Checks that have nothing to judge by, for want of any event of some sort, or of messages that order them."""
    missing = {"paxos.validity"} if (run.proposals or run.learned) and not run.submitted else set()
    received = any(row["kind"] == "receive" for row in run.rows if row["process"] in run.acceptors)
    unordered = not received and len({row["process"] for row in run.rows}) > 1
    if unordered or (run.requests and not run.any_promises) or (run.learned and not run.any_acceptances):
        missing.add("paxos.quorum")
    return missing


def _silent(run: oracle.Run) -> bool:
    """Whether an acceptor proposes and never records a promise, or an acceptance, of its own."""
    proposers = {p for _, p, *_ in run.starts + run.prepares + run.requests} & set(run.acceptors)
    requesting = {p for _, p, *_ in run.requests} & set(run.acceptors)
    return bool(
        proposers - {p for _, p, *_ in run.any_promises} or requesting - {p for _, p, *_ in run.any_acceptances}
    )


def acceptors_of(processes: int) -> list[str]:
    return [f"n{i}" for i in range(processes)]


@examples(120)
@given(STEPS, PROCESSES, st.booleans())
def test_definitions_where_rules_are_broken(steps: list[Step], processes: int, together: bool) -> None:
    compare(play(steps, processes, together, mistakes=True), acceptors_of(processes))


@examples(60)
@given(STEPS, PROCESSES, st.booleans())
def test_definitions_where_only_messages_are_recorded(steps: list[Step], processes: int, together: bool) -> None:
    compare(as_messages(play(steps, processes, together, mistakes=True)), acceptors_of(processes))


@examples(60)
@given(STEPS, PROCESSES, st.booleans())
def test_silent_where_no_rule_is_broken(steps: list[Step], processes: int, together: bool) -> None:
    rows = play(steps, processes, together, mistakes=False)
    for told in (rows, as_messages(rows)):
        for name, result in compare(told, acceptors_of(processes)).items():
            if name in ("paxos.quorum", "paxos.value-choice") and _silent(oracle.Run(told, acceptors_of(processes))):
                assert result.verdict is not Verdict.VIOLATED
                continue  # a proposer whose acceptor has promised more since may look like one that accepts silently
            if name == "paxos.promise-monotonic" and "no promise of" in "".join(result.reasons):
                continue  # it was never asked for one, or it did not record that
            assert result.verdict in (Verdict.HOLDS, Verdict.NOT_APPLICABLE), (name, result.reasons)


NAMES = ("submit", "start_ballot", "prepare", "promise", "accept", "accepted", "learn", "chosen")


@st.composite
def nonsense(draw: st.DrawFn) -> list[Row]:
    """Complete rows that tell no story: any process does anything in any order."""
    rows: list[Row] = []
    single, sent = draw(st.booleans()), 0
    init = {"kind": "internal", "name": "paxos.init", "paxos.acceptors": ["a", "b", "c"]}
    rows += [{"process": name, **init} for name in "abc"]
    for _ in range(draw(st.integers(0, 25))):
        name = draw(st.sampled_from(NAMES))
        row: Row = {"process": draw(st.sampled_from("abcd")), "kind": draw(st.sampled_from(["send", "receive"]))}
        if row["kind"] == "send":
            sent += 1
            row["message"] = sent
        elif sent:
            row["message"] = draw(st.integers(1, sent))
        else:
            row["kind"] = "internal"
        row |= {"name": f"paxos.{name}", "paxos.ballot": draw(st.integers(0, 4))}
        row["paxos.value"] = draw(st.sampled_from("xyz"))
        phase_1 = name in ("start_ballot", "prepare", "promise")  # of one ballot it is about one instance, or about all
        one = bool(row["paxos.ballot"] % 2) if phase_1 else name != "submit" or draw(st.booleans())
        if not single and one:
            row["paxos.instance"] = draw(st.integers(1, 2))
        if draw(st.integers(0, 3)) == 0:
            row["paxos.promised"] = draw(st.integers(0, 4))
        if draw(st.integers(0, 3)) == 0 and (single or "paxos.instance" in row):
            row["paxos.accepted_ballot"] = draw(st.integers(0, 4))
            row["paxos.accepted_value"] = draw(st.sampled_from("xyz"))
        rows.append(row)
    return rows


@examples(120)
@given(nonsense())
def test_definitions_on_nonsense(rows: list[Row]) -> None:
    if any("paxos.instance" in row for row in rows):
        compare(rows, ["a", "b", "c"])
        return
    named = compare([{**row, "paxos.instance": 1} for row in rows], ["a", "b", "c"])
    for name, result in results(trace_of(rows)).items():  # the only instance may go without a name
        assert (result.violations_total, result.verdict) == (named[name].violations_total, named[name].verdict)


@examples(40)
@given(STEPS, PROCESSES, st.booleans())
def test_a_witness_is_in_causal_order(steps: list[Step], processes: int, together: bool) -> None:
    trace = trace_of(play(steps, processes, together, mistakes=True))
    execution = Execution(trace)
    for result in results(trace).values():
        for violation in result.violations:
            rows = [trace.find(event.event) for event in violation.events]
            assert rows
            assert all(row is not None for row in rows)
            for i, later in enumerate(rows):
                assert not any(execution.happens_before.precedes(later, earlier) for earlier in rows[:i])


@examples(30)
@given(STEPS, PROCESSES, st.booleans(), st.randoms(use_true_random=False))
def test_names_and_the_order_of_rows_do_not_matter(
    steps: list[Step], processes: int, together: bool, draw: random.Random
) -> None:
    rows = play(steps, processes, together, mistakes=True)
    counts: Counter[str] = Counter()
    numbered = []
    for row in rows:
        numbered.append({**row, "seq": counts[row["process"]]})
        counts[row["process"]] += 1
    new = {f"n{i}": f"p{9 - i}" for i in range(processes)}
    changed = [
        {k: new.get(v, v) if k in ("process", "peer") else v for k, v in row.items()}
        | ({"paxos.acceptors": [new[a] for a in row["paxos.acceptors"]]} if "paxos.acceptors" in row else {})
        for row in draw.sample(numbered, len(numbered))
    ]
    first, second = results(trace_of(rows)), results(trace_of(changed))
    for name in PAXOS:
        assert first[name].violations_total == second[name].violations_total, name
        assert first[name].verdict is second[name].verdict
        assert first[name].examined == second[name].examined


@examples(30)
@given(STEPS, PROCESSES, st.booleans())
def test_numbers_mean_the_same_as_texts(steps: list[Step], processes: int, together: bool) -> None:
    rows = play(steps, processes, together, mistakes=True)
    values = {row["paxos.value"]: i for i, row in enumerate(rows) if "paxos.value" in row}
    told = [{k: values[v] if k in ("paxos.value", "paxos.accepted_value") else v for k, v in r.items()} for r in rows]
    first, second = results(trace_of(rows)), results(trace_of(told))
    assert {n: r.violations_total for n, r in first.items()} == {n: r.violations_total for n, r in second.items()}


def test_compiled_kernels_say_the_same() -> None:
    draw = random.Random(1)
    steps = [tuple(draw.randrange(n) for n in (12, 5, 8, 6)) for _ in range(200)]
    trace = trace_of(play(steps, 3, False, mistakes=True))  # type: ignore[arg-type]
    interpreted = results(trace)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "COMPILE_FROM", 0)
        assert results(replace(trace)) == interpreted


def test_the_machine_breaks_every_rule() -> None:
    """The comparison means nothing for a property that the drawn runs never break."""
    broken: Counter[str] = Counter()
    for seed in range(60):
        draw = random.Random(seed)
        steps = [tuple(draw.randrange(n) for n in (12, 5, 8, 6)) for _ in range(100)]
        found = results(trace_of(play(steps, 3 + seed % 3, bool(seed % 2), mistakes=True)))  # type: ignore[arg-type]
        broken.update(name for name, result in found.items() if result.verdict is Verdict.VIOLATED)
    assert set(broken) == set(PAXOS), set(PAXOS) - set(broken)
