"""PRAM against its definition on small programs, and its two patterns."""

from __future__ import annotations

import pytest
from hypothesis import given

from tests.consistency.programs import program, programs, trace_of
from tests.consistency.test_causal import FIGURE_2, check_witness, judge
from tests.oracle.causal import Op, is_pram
from tests.strategies import examples
from tracekit.results import Verdict

PRAM = "consistency.pram"


@pytest.mark.parametrize(
    ("text", "anomaly"),
    [
        ("w(x1) w(x2) | r(x2) r(x1)", "CyclicPRAM"),
        ("w(x1) r(x0)", "WritePRAMInitRead"),
        ("w(x1) w(y1) | r(y1) r(x0)", "WritePRAMInitRead"),
        ("w(x1) | r(x2)", "ThinAirRead"),
        ("r(x1) w(x1)", "CyclicPRAM"),
    ],
)
def test_patterns(text: str, anomaly: str) -> None:
    assert [v.anomaly for v in judge(trace_of(program(text)), PRAM).violations] == [anomaly]


def test_what_others_read_orders_nothing() -> None:
    """Figure 2 (e): not causal, since the write of x2 followed a read of what came after x1; PRAM does not mind."""
    trace = trace_of(program(FIGURE_2["e"][0]))
    assert judge(trace, PRAM).verdict is Verdict.HOLDS
    assert judge(trace, "consistency.causal").verdict is Verdict.VIOLATED


@examples(350)
@given(programs(most=7, opens=True))
def test_small_programs(sessions: list[list[Op]]) -> None:
    trace = trace_of(sessions)
    f = trace.get("f")
    assert f is not None and f.texts is not None
    if "value" not in trace or not {"read", "write"} <= set(f.texts.to_pylist()):
        return
    found = judge(trace, PRAM)
    assert found.verdict == (Verdict.HOLDS if is_pram(sessions) else Verdict.VIOLATED), found
    check_witness(found)
