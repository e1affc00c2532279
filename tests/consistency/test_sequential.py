"""Sequential consistency against all interleavings; certificates; what only the search can tell; the budget."""

from __future__ import annotations

import pytest
from hypothesis import given

from tests.consistency.programs import program, programs, trace_of
from tests.consistency.test_causal import FIGURE_2, check_witness, judge
from tests.oracle.causal import Op, Program, is_sequential
from tests.strategies import examples
from tracekit.results import CheckResult, Verdict

SC = "consistency.sequential"


def explains(sessions: Program, found: CheckResult) -> bool:
    """Whether the certificate is legal, keeps sessions, and has every operation that was answered."""
    place = {f"s{s}": [(s, i) for i in range(len(ops)) for _ in range(2)] for s, ops in enumerate(sessions)}
    order = [place[event.rpartition(":")[0]][int(event.rpartition(":")[2])] for event in found.certificate["order"]]
    memory: dict[str, int | None] = {}
    for s, i in order:
        op = sessions[s][i]
        if op.f == "w":
            memory[op.key] = op.value
        elif memory.get(op.key) != op.value:
            return False
    for s, ops in enumerate(sessions):
        answered = [(t, i) for t, i in order if t == s and not ops[i].open]
        if answered != [(s, i) for i, op in enumerate(ops) if not op.open]:
            return False
        if any((s, i) in order and order.index((s, i)) < order.index((s, b)) for i, op in enumerate(ops) if op.open
               for b in range(i) if not ops[b].open):  # fmt: skip
            return False
    return True


def compare(sessions: Program) -> None:
    trace = trace_of(sessions)
    f = trace.get("f")
    assert f is not None and f.texts is not None
    if "value" not in trace or not {"read", "write"} <= set(f.texts.to_pylist()):
        return
    found = judge(trace, SC)
    assert found.verdict == (Verdict.HOLDS if is_sequential(sessions) else Verdict.VIOLATED), found
    check_witness(found)
    if found.verdict is Verdict.HOLDS:
        assert explains(sessions, found)


@examples(500)
@given(programs(most=8, opens=True))
def test_unique_values(sessions: list[list[Op]]) -> None:
    compare(sessions)


@examples(500)
@given(programs(most=8, unique=False, opens=True))
def test_repeated_values_need_the_search(sessions: list[list[Op]]) -> None:
    compare(sessions)


@pytest.mark.parametrize("case", FIGURE_2)
def test_no_history_of_the_figure_is_sequential(case: str) -> None:
    """Figure 2 (d) is causal in all three senses and not sequential."""
    assert judge(trace_of(program(FIGURE_2[case][0])), SC).verdict is Verdict.VIOLATED


def test_it_is_not_local() -> None:
    both = "w(x1) r(y0) | w(y2) r(x0)"
    [found] = judge(trace_of(program(both)), SC).violations
    assert found.anomaly == "CyclicOrder" and found.facts["keys"] == ["x", "y"]
    for one in ("w(x1) | r(x0)", "r(y0) | w(y2)"):
        assert judge(trace_of(program(one)), SC).verdict is Verdict.HOLDS


def test_an_order_is_excluded_by_the_search_alone() -> None:
    """Nothing is determined where every value was written twice; all orders are tried."""
    sessions = program(
        "w(x1) w(y1) r(x2) r(y2) | w(x2) w(y2) r(x1) r(y1) | w(x1) w(y1) w(x2) w(y2) | r(y1) r(x1) r(x1)"
    )
    assert is_sequential(sessions) == (judge(trace_of(sessions), SC).verdict is Verdict.HOLDS)
    [found] = judge(trace_of(program("w(x1) | w(x1) w(x2) | w(x2) | r(x1) r(x2) r(x1) r(x2) r(x1)")), SC).violations
    assert found.anomaly == "no-sequential-order" and found.facts["states"] > 0


def test_out_of_budget_it_is_unknown_and_says_how_far_it_came() -> None:
    writers = " | ".join(" ".join(f"w({k}{v})" for v in (1, 2, 1, 2, 1, 2) for k in "xyz") for _ in range(5))
    found = judge(trace_of(program(writers + " | " + "r(x1) r(y2) r(x2) r(z1) " * 30)), SC, budget_s=0.2)
    assert found.verdict is Verdict.UNKNOWN
    assert "the budget ended" in found.reasons[0] and found.facts["longest"] > 0 and found.tried
