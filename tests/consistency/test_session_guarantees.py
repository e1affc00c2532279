"""The session guarantees against their definitions on small programs; witnesses; kernels; what is left open."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.consistency.programs import program, programs, trace_of
from tests.oracle.causal import Op, Program
from tests.oracle.sessions import MR, MW, RYW, WFR, satisfiable
from tests.strategies import examples
from tracekit.checks.consistency.session_guarantees import (
    monotonic_reads,
    monotonic_writes,
    read_your_writes,
    writes_follow_reads,
)
from tracekit.execution import Execution, Options
from tracekit.kernels.engine import kernels
from tracekit.results import CheckResult, Verdict
from tracekit.trace.builder import TraceBuilder
from tracekit.trace.trace import Trace

CHECKS = {
    read_your_writes: frozenset({RYW}),
    monotonic_reads: frozenset({MR}),
    monotonic_writes: frozenset({MR, MW}),
    writes_follow_reads: frozenset({WFR}),
}
NAMES = {read_your_writes: "ryw", monotonic_reads: "mr", monotonic_writes: "mw", writes_follow_reads: "wfr"}


def judged(trace: Trace) -> dict[str, CheckResult]:
    execution = Execution(trace)
    return {NAMES[check]: check(execution, Options()) for check in CHECKS}


def violated(text: str) -> set[str]:
    found = judged(trace_of(program(text)))
    assert not any(result.reasons for result in found.values())
    return {name for name, result in found.items() if result.verdict is Verdict.VIOLATED}


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("w(x1) r(x1) w(x2) r(x2) | r(x1) r(x2)", set()),
        ("w(x1) r(x0)", {"ryw"}),
        ("w(x1)? r(x0) | r(x1)", set()),
        ("w(x1) w(x2) r(x1)", set()),
        ("w(x1) w(x2) r(x1) r(x2)", {"ryw"}),
        ("w(x1) r(x2) | w(x2) r(x1)", {"ryw"}),
        ("w(x1) w(x2) | r(x2) r(x1)", {"mw"}),
        ("w(x1) | r(x1) r(x0)", {"mr", "mw"}),
        ("w(x1) | w(x2) | r(x1) r(x2) r(x1)", {"mr", "mw"}),
        ("w(x1) | w(x2) | r(x1) r(x2) | r(x2) r(x1)", {"mr", "mw"}),
        ("r(x1) w(y1) | r(y1) w(x1)", {"wfr"}),
        ("r(x1) w(x1)", {"wfr"}),
        ("w(x1) | r(x1) w(x2) | r(x2) r(x1)", set()),
        ("w(x1) | r(x9)", {"ryw", "mr", "mw", "wfr"}),
    ],
)
def test_what_each_guarantee_forbids(text: str, wrong: set[str]) -> None:
    assert violated(text) == wrong


def test_what_holds_only_apart_is_said() -> None:
    stale = judged(trace_of(program("w(x1) w(x2) r(x1)")))["ryw"]
    assert stale.verdict is Verdict.HOLDS and stale.facts["holds_with_monotonic_writes"] is False
    assert stale.remark == (
        "read your writes, but not together with each client's writes in its own order: "
        "1 read returns what its own client had overwritten (first: s0's read of 1 at key x)"
    )
    assert stale.facts["reads_of_own_overwritten_writes"] == 1
    assert "comes before" in stale.facts["with_monotonic_writes"]
    answer = judged(trace_of(program("w(x1) | r(x1) w(x2) | r(x2) r(x1)")))["wfr"]
    assert (
        answer.verdict is Verdict.HOLDS
        and answer.remark == "writes follow reads, but not together with monotonic reads"
    )
    assert judged(trace_of(program("w(x1) r(x1)")))["ryw"].facts["holds_with_monotonic_writes"] is True


def test_the_witness_of_two_sessions_that_disagree() -> None:
    violation = judged(trace_of(program("w(x1) | w(x2) | r(x1) r(x2) | r(x2) r(x1)")))["mr"].violations[0]
    assert violation.anomaly == "write-order-cycle"
    assert len(violation.events) == 6 and violation.facts["writes"] == 2
    assert "s2 read the first and later the second" in violation.summary
    assert {e.reason for e in violation.edges} >= {"read-from", "same session"}


def compare(sessions: Program) -> None:
    trace = trace_of(sessions)
    if not any(op.f == "r" for ops in sessions for op in ops):
        return
    execution = Execution(trace)
    for check, guarantees in CHECKS.items():
        found = check(execution, Options())
        wanted = Verdict.HOLDS if satisfiable(sessions, guarantees) else Verdict.VIOLATED
        assert found.verdict == wanted, (NAMES[check], sessions, found.reasons, found.violations)
        for violation in found.violations:
            names = {e.event for e in violation.events}
            assert len(names) == len(violation.events)
            assert {e.start for e in violation.edges} | {e.end for e in violation.edges} <= names


@examples(250)
@given(programs(most=6))
def test_small_programs(sessions: list[list[Op]]) -> None:
    compare(sessions)


@examples(200)
@given(programs(most=7, keys="x", sessions=2))
def test_small_programs_on_one_key(sessions: list[list[Op]]) -> None:
    compare(sessions)


@examples(120)
@given(programs(most=7, keys="x", sessions=1))
def test_one_session_on_one_key(sessions: list[list[Op]]) -> None:
    compare(sessions)


@examples(120)
@given(programs(most=6, opens=True))
def test_writes_without_answers(sessions: list[list[Op]]) -> None:
    if any(not op.open for ops in sessions for op in ops if op.f == "r"):
        compare(sessions)


def test_values_written_twice_hold_if_one_choice_of_writes_explains_them() -> None:
    found = judged(trace_of(program("w(x1) w(x1) r(x1)")))
    assert all(result.verdict is Verdict.HOLDS for result in found.values())
    method = "1 reads of repeated values matched to the write recorded last before each"
    assert all(method in result.method and result.certificate["reads_from"] for result in found.values())


def test_values_written_twice_leave_it_open_if_the_guess_does_not_fit() -> None:
    """The reader saw the first 1; the one recorded last comes after 2."""
    found = judged(trace_of(program("w(x1) w(x2) w(x1) | r(x1) r(x2)"), turns=[0, 0, 0, 1, 1]))["mw"]
    assert found.verdict is Verdict.UNKNOWN and "written 2 times" in found.reasons[0]
    assert "NP-hard" in found.reasons[0] and any("distinct values" in way for way in found.tried)


def test_a_violation_stands_beside_ambiguous_reads() -> None:
    found = judged(trace_of(program("w(x1) w(x1) r(x1) | w(y1) r(y0)")))
    assert found["ryw"].verdict is Verdict.VIOLATED


def test_operations_open_at_once_have_no_order() -> None:
    builder = TraceBuilder()
    for kind in ("invoke", "ok"):
        for number in (1, 2):
            builder.add({"process": "a", "kind": kind, "f": "write", "value": number, "op": number})
    found = judged(builder.build())
    assert all(r.verdict is Verdict.NOT_APPLICABLE and "another one open" in r.remark for r in found.values())


@examples(120)
@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=16))
def test_components_and_cycles_by_networkx(edges: list[tuple[int, int]]) -> None:
    edges = sorted({(a, b) for a, b in edges if a != b})
    graph = nx.DiGraph(edges)
    graph.add_nodes_from(range(8))
    firsts = np.searchsorted([a for a, _ in edges], np.arange(9)).astype(np.int32)
    targets = np.array([b for _, b in edges], np.int32)
    results = []
    for work in (0, 10**9):
        module = kernels("arbitration", work=work)
        component = np.empty(8, np.int32)
        count = module.components(firsts, targets, component)
        groups = {frozenset(np.flatnonzero(component == c).tolist()) for c in range(count)}
        assert groups == {frozenset(c) for c in nx.strongly_connected_components(graph)}
        for start in range(8):
            cycle = np.empty(int((component == component[start]).sum()), np.int32)
            length = module.shortest_cycle(firsts, targets, component, cycle, start)
            ways = [
                nx.shortest_path_length(graph, b, start)
                for _, b in graph.out_edges(start)
                if nx.has_path(graph, b, start)
            ]
            assert length == (min(ways) + 1 if ways else 0)
            steps = [edges[e] for e in cycle[:length]]
            assert all(a[1] == b[0] for a, b in zip(steps, steps[1:] + steps[:1], strict=True))
            results.append((count, component.tolist(), cycle[:length].tolist()))
    assert results[: len(results) // 2] == results[len(results) // 2 :]


@pytest.mark.parametrize("seed", range(5))
def test_many_random_operations_compiled(seed: int) -> None:
    """A single store answers, so all four hold; then one read goes back to a value replaced long ago."""
    draw = np.random.default_rng(seed)
    store: dict[str, int | None] = {}
    sessions: list[list[Op]] = [[] for _ in range(5)]
    turns = draw.integers(0, 5, 20_000).tolist()
    for number, s in enumerate(turns):
        key = "xyz"[int(draw.integers(3))]
        if draw.random() < 0.3:
            store[key] = number + 1
            sessions[s].append(Op("w", key, number + 1))
        else:
            sessions[s].append(Op("r", key, store.get(key)))
    good = judged(trace_of(sessions, turns=turns))
    assert all(result.verdict is Verdict.HOLDS and not result.remark for result in good.values())
    reads = [i for i, op in enumerate(sessions[0]) if op.f == "r" and op.key == "x" and op.value]
    sessions[0][reads[-1]] = sessions[0][reads[3]]
    assert judged(trace_of(sessions, turns=turns))["mr"].verdict is Verdict.VIOLATED
