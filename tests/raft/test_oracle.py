"""Every Raft check against its brute-force definition, on runs with and without mistakes."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import assume, given

from tests.oracle import raft as oracle
from tests.raft.machine import PROCESSES, STEPS, Step, play
from tests.strategies import examples
from tracekit.execution import Execution, Options
from tracekit.kernels import engine
from tracekit.registry import checks
from tracekit.results import CheckResult, Verdict
from tracekit.trace.trace import Trace

QUORUMS = {"raft.commit-quorum": "raft.append_entries", "raft.leader-quorum": "raft.request_vote_response"}
"""Checks of majorities, and the messages of which a process that records no receipt at all may have had any."""
RAFT = [name for name in checks() if name.startswith("raft.")]


def results(trace: Trace) -> dict[str, CheckResult]:
    execution = Execution(trace)
    return {name: checks()[name].run(execution, Options()) for name in RAFT}


def compare(trace: Trace) -> dict[str, CheckResult]:
    found, run = results(trace), oracle.Run(trace)
    assume(not run.unclear)
    definitions = dict(oracle.COUNTED)
    if "raft.apply_index" not in trace:
        definitions["raft.state-machine-safety"] = oracle.committed_differ
    for name, definition in definitions.items():
        broken = definition(run)
        if broken and name in QUORUMS and run.no_answer_arrives():
            assert found[name].verdict is Verdict.UNKNOWN, (name, "answers may have arrived unrecorded")
            continue
        if name in QUORUMS and run.deaf(QUORUMS[name]):
            assert found[name].violations_total <= len(broken), (name, broken)
            assert found[name].violations_total == len(broken) or found[name].reasons, name
            continue
        assert found[name].violations_total == len(broken), (name, broken)
        assert broken or not found[name].reasons, (name, found[name].reasons)
        told = found[name].violations
        assert len(told) == min(len(broken), 20)
    assert (found["raft.log-matching"].verdict is Verdict.VIOLATED) == oracle.log_matching(run)
    return found


@examples(500)
@given(STEPS, PROCESSES)
def test_definitions_where_rules_are_broken(steps: list[Step], processes: int) -> None:
    compare(play(steps, processes, mistakes=True, sparse=False))


@examples(200)
@given(STEPS, PROCESSES)
def test_definitions_where_rows_record_only_what_changed(steps: list[Step], processes: int) -> None:
    compare(play(steps, processes, mistakes=True, sparse=True))


@examples(200)
@given(STEPS, PROCESSES)
def test_committed_entries_stand_for_applications_that_were_not_recorded(steps: list[Step], processes: int) -> None:
    trace = play(steps, processes, mistakes=True, sparse=False)
    rest = {name: column for name, column in trace.columns.items() if not name.startswith("raft.apply")}
    compare(replace(trace, columns=rest))


@examples(200)
@given(STEPS, PROCESSES)
def test_silent_where_no_rule_is_broken(steps: list[Step], processes: int) -> None:
    for name, result in compare(play(steps, processes, mistakes=False, sparse=False)).items():
        assert result.verdict in (Verdict.HOLDS, Verdict.NOT_APPLICABLE), (name, result.reasons)


@examples(150)
@given(STEPS, PROCESSES)
def test_a_witness_is_in_causal_order(steps: list[Step], processes: int) -> None:
    trace = play(steps, processes, mistakes=True, sparse=False)
    execution = Execution(trace)
    for result in results(trace).values():
        for violation in result.violations:
            rows = [trace.find(event.event) for event in violation.events]
            assert all(row is not None for row in rows)
            for i, later in enumerate(rows):
                assert not any(execution.happens_before.precedes(later, earlier) for earlier in rows[:i])
            for edge in violation.edges:
                assert execution.happens_before.precedes(trace.find(edge.start), trace.find(edge.end))


@examples(40)
@given(STEPS, PROCESSES)
def test_compiled_kernels_say_the_same(steps: list[Step], processes: int) -> None:
    trace = play(steps, processes, mistakes=True, sparse=False)
    interpreted = results(trace)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "COMPILE_FROM", 0)
        assert results(trace) == interpreted


def test_the_machine_breaks_every_rule() -> None:
    """The comparison means nothing for a property that the drawn runs never break."""
    import random

    broken: Counter[str] = Counter()
    for seed in range(200):
        draw = random.Random(seed)
        steps = [tuple(draw.randrange(n) for n in (20, 4, 12, 8)) for _ in range(150)]
        found = results(play(steps, 3 + seed % 2, mistakes=True, sparse=False))  # type: ignore[arg-type]
        broken.update(name for name, result in found.items() if result.verdict is Verdict.VIOLATED)
    assert set(broken) == set(RAFT), set(RAFT) - set(broken)
