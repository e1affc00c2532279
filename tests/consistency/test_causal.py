"""Causal consistency against its axioms on small programs; the paper's figure; witnesses; what is left open."""

from __future__ import annotations

import pytest
from hypothesis import given

from tests.consistency.programs import program, programs, trace_of
from tests.oracle.causal import Op, Program, is_cc, is_ccv, is_cm
from tests.strategies import examples
from tracekit.analysis import analyze
from tracekit.execution import Options
from tracekit.results import CheckResult, Verdict
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


def compare(sessions: Program, **oracle: object) -> None:
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


@examples(500)
@given(programs(most=5))
def test_small_programs(sessions: list[list[Op]]) -> None:
    compare(sessions)


@examples(250)
@given(programs(most=5, keys="x", sessions=2))
def test_small_programs_on_one_key(sessions: list[list[Op]]) -> None:
    compare(sessions)


@examples(250)
@given(programs(most=5, opens=True))
def test_writes_without_answers(sessions: list[list[Op]]) -> None:
    if any(not op.open for ops in sessions for op in ops if op.f == "r"):
        compare(sessions)
