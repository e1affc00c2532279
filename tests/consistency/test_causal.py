"""Causal consistency against its axioms on small programs; the paper's figure; witnesses; what is left open."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from tests.consistency.programs import program, programs, rows_of, trace_of
from tests.oracle.causal import Op, Program, is_cc, is_ccv, is_cm
from tests.strategies import examples
from tracekit.analysis import analyze
from tracekit.checks.consistency.causal_order import ALL, CausalOrder, chains_of, chains_with_clocks, lists
from tracekit.checks.consistency.causal_saturation import saturate, with_conflicts
from tracekit.execution import Budget, Execution, Options
from tracekit.kernels.engine import kernels
from tracekit.results import CheckResult, Verdict
from tracekit.trace.builder import TraceBuilder
from tracekit.trace.run import Run
from tracekit.trace.trace import Trace

CC, CCV, CM = "consistency.causal", "consistency.causal-convergence", "consistency.causal-memory"
ORACLES = {CC: is_cc, CCV: is_ccv, CM: is_cm}


def judge(trace: Trace, name: str, **options: object) -> CheckResult:
    result = analyze(trace, check=[name], options=Options(**options))  # type: ignore[arg-type]
    return next(c for c in result.checks if c.check == name)


def anomalies(text: str, name: str) -> set[str]:
    return {v.anomaly for v in judge(trace_of(program(text)), name).violations}


FIGURE_2 = {
    "a": ("w(x1) r(x2) | w(x2) r(x1)", {CC, CM}),
    "b": ("w(z1) w(x1) w(y1) | w(x2) r(z0) r(y1) r(x2)", {CC, CCV}),
    "c": ("w(x1) | w(x2) r(x1) r(x2)", {CC}),
    "d": ("w(x1) r(y0) w(y1) r(x1) | w(x2) r(y0) w(y2) r(x2)", {CC, CCV, CM}),
    "e": ("w(x1) w(y1) | r(y1) w(x2) | r(x2) r(x1)", set[str]()),
}


@pytest.mark.parametrize("case", FIGURE_2)
def test_figure_2_of_the_paper(case: str) -> None:
    text, holding = FIGURE_2[case]
    trace = trace_of(program(text))
    assert {name for name in ORACLES if judge(trace, name).verdict is Verdict.HOLDS} == holding
    assert {name for name in ORACLES if judge(trace, name).verdict is Verdict.VIOLATED} == set(ORACLES) - holding


@pytest.mark.parametrize(
    ("text", "name", "anomaly"),
    [
        ("r(x1) w(y1) | r(y1) w(x1)", CC, "CyclicCO"),
        ("r(x1) w(x1)", CC, "CyclicCO"),
        ("w(x1) r(x0)", CC, "WriteCOInitRead"),
        ("w(x1) w(y1) | r(y1) r(x0)", CC, "WriteCOInitRead"),
        ("w(x1) | r(x2)", CC, "ThinAirRead"),
        ("w(x1) w(x2) | r(x2) r(x1)", CC, "WriteCORead"),
        ("w(x1) r(x2) | w(x2) r(x1)", CCV, "CyclicCF"),
        ("w(x1) | w(x2) r(x1) r(x2)", CM, "CyclicHB"),
        ("w(z1) w(x1) w(y1) | w(x2) r(z0) r(y1) r(x2)", CM, "WriteHBInitRead"),
    ],
)
def test_each_bad_pattern_is_named(text: str, name: str, anomaly: str) -> None:
    assert anomalies(text, name) == {anomaly}


def compare(sessions: Program) -> None:
    trace = trace_of(sessions)
    if "value" not in trace or not {"read", "write"} <= set(trace.get("f").texts.to_pylist()):  # type: ignore[union-attr]
        return
    for name, holds in ORACLES.items():
        found = judge(trace, name)
        wanted = Verdict.HOLDS if holds(sessions) else Verdict.VIOLATED
        assert found.verdict == wanted, (name, found.reasons, found.violations)
        check_witness(found)


def check_witness(found: CheckResult) -> None:
    """Edges tie events of the witness; a cycle pattern's edges go round."""
    for violation in found.violations:
        names = {e.event for e in violation.events}
        assert len(names) == len(violation.events)
        assert {e.start for e in violation.edges} | {e.end for e in violation.edges} <= names
        if violation.anomaly.startswith("Cyclic"):
            after = {e: {edge.end for edge in violation.edges if edge.start == e} for e in names}
            assert any(e in reached(after, e) for e in names)


def reached(after: dict[str, set[str]], start: str) -> set[str]:
    seen: set[str] = set()
    todo = [start]
    while todo:
        for other in after[todo.pop()] - seen:
            seen.add(other)
            todo.append(other)
    return seen


@examples(250)
@given(programs(most=5))
def test_small_programs(sessions: list[list[Op]]) -> None:
    compare(sessions)


@examples(150)
@given(programs(most=5, keys="x", sessions=2))
def test_small_programs_on_one_key(sessions: list[list[Op]]) -> None:
    compare(sessions)


@examples(150)
@given(programs(most=5, opens=True))
def test_writes_without_answers(sessions: list[list[Op]]) -> None:
    if any(not op.open for ops in sessions for op in ops if op.f == "r"):
        compare(sessions)


@examples(120)
@given(programs(most=5, unique=False))
def test_what_is_violated_without_ambiguous_reads_is_violated(sessions: list[list[Op]]) -> None:
    """Values written twice: never a verdict that some choice of writes would refute."""
    trace = trace_of(sessions)
    f = trace.get("f")
    assert f is not None and f.texts is not None
    if "value" not in trace or not {"read", "write"} <= set(f.texts.to_pylist()):
        return
    for name, holds in ORACLES.items():
        found = judge(trace, name)
        assert found.verdict is not (Verdict.VIOLATED if holds(sessions) else Verdict.HOLDS), name
        assert found.verdict is not Verdict.UNKNOWN or "NP-hard" in found.reasons[0]


@examples(100)
@given(programs(most=14, sessions=4, opens=True))
def test_the_compiled_kernels_say_the_same(sessions: list[list[Op]]) -> None:
    execution = Execution(trace_of(sessions))
    found = []
    for module in (kernels("causal", 0), kernels("causal", 10**9)):
        chains = chains_of(Execution(execution.trace))
        chains.__dict__["kernels"] = module
        k = chains.count
        heads, linked = lists(chains.branches, len(chains.nodes))
        clocks, cursor, waits = np.zeros((chains.slots, k), np.int32), np.zeros(k, np.int32), np.zeros(k, np.int32)
        module.clocks(chains.starts[:-1], chains.starts[1:], chains.nodes, heads, linked, clocks, cursor, waits, ALL)
        views = [saturate(chains, [c], c, chains.branches, Budget(60)) for c in chains.readers]
        everything = chains_with_clocks(chains.history, np.ones(len(chains.entry), np.bool_))
        everything.__dict__["kernels"] = module
        whole = saturate(everything, everything.readers, ALL, everything.branches, Budget(60), total=True)
        causal = CausalOrder(chains, chains.branches, ALL, heads, linked, clocks, cursor, waits, "")
        stale = [] if causal.cyclic else causal.overwritten().tolist()
        conflicts = None if causal.cyclic else len(with_conflicts(causal).edges)
        found.append(
            [clocks.tolist(), waits.tolist(), stale, conflicts, whole.cyclic, whole.rounds]
            + [(v.cyclic, v.missed, v.rounds, len(v.edges)) for v in views]
        )
    assert found[0] == found[1]


def test_recorded_messages_are_causes_where_they_are_asked_for() -> None:
    """s1 writes and sends word to s2 outside of the store; s2 then reads the initial value."""
    builder = TraceBuilder()
    for row in [
        *rows_of("s1", Op("w", "x", 1)),
        {"process": "s1", "kind": "send", "message": 1},
        {"process": "s2", "kind": "receive", "message": 1},
        *rows_of("s2", Op("r", "x", None)),
    ]:
        builder.add(row)
    trace = builder.build()
    assert judge(trace, CC).verdict is Verdict.HOLDS
    for causality in ("both", "messages"):
        [violation] = judge(trace, CC, causality=causality).violations
        assert violation.anomaly == "WriteCOInitRead"
        assert [edge.reason for edge in violation.edges] == ["message"]


def test_with_messages_alone_reading_orders_nothing_but_no_read_comes_before_its_write() -> None:
    stale = trace_of(program("w(x1) w(y1) | r(y1) r(x0)"))
    assert judge(stale, CC, causality="both").verdict is Verdict.VIOLATED
    assert judge(stale, CC, causality="messages").verdict is Verdict.HOLDS
    [violation] = judge(trace_of(program("r(x1) w(x1)")), CC, causality="messages").violations
    assert violation.anomaly == "CyclicCO"


def test_a_failed_write_that_was_read_is_named() -> None:
    builder = TraceBuilder()
    rows = rows_of("s1", Op("w", "x", 1))
    for row in [rows[0], rows[1] | {"kind": "fail"}, *rows_of("s2", Op("r", "x", 1))]:
        builder.add(row)
    [violation] = judge(builder.build(), CC).violations
    assert violation.anomaly == "ThinAirRead" and "s1's write of it failed" in violation.summary
    assert len(violation.events) == 2


def test_unseen_writes_excuse_what_was_read() -> None:
    sessions = program("w(x1) w(x2) | r(x2) r(x1)")
    for end in ("start", "end"):
        found = judge(trace_of(sessions, Run(coverage={"s0": {end: False}})), CC)
        assert found.verdict is Verdict.UNKNOWN and "unseen writes" in found.reasons[0]
    late = trace_of(program("w(x1) | r(x7) r(x1)"), Run(coverage={"s0": {"start": False}}))
    assert judge(late, CC).verdict is Verdict.HOLDS


def test_operations_at_once_make_sessions_not_applicable() -> None:
    builder = TraceBuilder()
    for kind in ("invoke", "ok"):
        for number in (1, 2):
            f = "write" if number == 1 else "read"
            builder.add({"process": "a", "kind": kind, "f": f, "value": 1, "op": number})
    assert judge(builder.build(), CC).verdict is Verdict.NOT_APPLICABLE


def test_other_operations_leave_the_verdict_open() -> None:
    builder = TraceBuilder()
    for row in [*rows_of("a", Op("w", "x", 1)), *rows_of("b", Op("r", "x", 1))]:
        builder.add(row)
    for kind in ("invoke", "ok"):
        builder.add({"process": "c", "kind": kind, "f": "append", "key": "x", "value": 5})
    found = judge(builder.build(), CC, model="kv")
    assert found.verdict is Verdict.UNKNOWN and "1 of 1 keys" in found.reasons[0]


def test_a_conflict_shows_why_it_is_one() -> None:
    [violation] = judge(trace_of(program("w(x1) r(x2) | w(x2) r(x1)")), CCV).violations
    ties = {(edge.start, edge.end, edge.reason.partition(":")[0]) for edge in violation.edges}
    assert ("s0:0", "s1:0", "conflict") in ties and ("s1:0", "s0:0", "conflict") in ties
