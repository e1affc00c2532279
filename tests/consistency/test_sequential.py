"""Sequential consistency against all interleavings; certificates; what only the search can tell; the budget."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.consistency.many_sessions import draw
from tests.consistency.programs import program, program_of, programs, trace_of
from tests.consistency.test_causal import FIGURE_2, check_witness, judge
from tests.oracle.causal import Op, Program, is_sequential
from tests.strategies import examples
from tracekit.checks.consistency.causal_order import ALL, chains_with_clocks
from tracekit.checks.consistency.causal_saturation import saturate
from tracekit.checks.consistency.sequential_search import Search
from tracekit.checks.consistency.session_history import history_of
from tracekit.execution import Budget, Execution
from tracekit.kernels import interleaving
from tracekit.kernels.engine import kernels
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


@examples(250)
@given(programs(most=8, opens=True))
def test_unique_values(sessions: list[list[Op]]) -> None:
    compare(sessions)


@examples(250)
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


def repeated(seed: int, sessions: int = 4, operations: int = 400) -> list[list[Op]]:
    """Writes of few values, and reads that take them at random."""
    draw = random.Random(seed)
    return [
        [Op(draw.choice("rw"), draw.choice("xyz"), draw.choice((1, 2))) for _ in range(operations // sessions)]
        for _ in range(sessions)
    ]


def test_out_of_budget_it_is_unknown_and_says_where_it_stands() -> None:
    writers = " | ".join(" ".join(f"w({k}{v})" for v in (1, 2, 1, 2, 1, 2) for k in "xyz") for _ in range(5))
    sessions = program(writers + " | " + "r(x1) r(y2) r(x2) r(z1) " * 30)
    found = judge(trace_of(sessions), SC, budget_s=0.3)
    assert found.verdict is Verdict.UNKNOWN and found.facts["longest"] > 0
    [reason] = found.reasons
    assert reason.startswith("the budget ended after ") and "(210 operations of 6 sessions at 3 keys)" in reason
    assert "none of these could be next: s" in reason and " at key " in reason
    assert {entry["key"] for entry in found.facts["stopped_at"]} <= set("xyz")
    assert any("--budget" in way for way in found.tried) and any("distinct values" in way for way in found.tried)


@examples(100)
@given(st.integers(0, 2**60), st.booleans())
def test_the_compiled_search_takes_the_same_steps(seed: int, unique: bool) -> None:
    """Until it is decided, or for a number of steps; whatever the number of steps between two looks at the budget."""
    rng = random.Random(seed)
    execution = Execution(trace_of(program_of(draw(rng, 24, unique))))
    if "value" not in execution.trace:
        return
    history = history_of(execution)
    chains = chains_with_clocks(history, np.ones(len(history.sessions), np.bool_))
    saturated = saturate(chains, chains.readers, ALL, chains.branches, Budget(60), total=True)
    if saturated.lists is None or len(history.thin_air()):
        return
    found = []
    for work, at_once in ((0, 1), (0, 300), (10**9, 7), (10**9, 300)):
        searched = Search(chains, saturated)
        searched.kernels, searched.at_once = kernels("interleaving", work=work), at_once
        ended = [searched.run(turn, 60, Budget(60)) for turn in range(4)]
        outcome = searched.outcome(found=ended[-1] == interleaving.FOUND)
        found.append((ended, outcome, searched.states[: outcome.states].tolist()))
    assert all(other == found[0] for other in found)


def test_it_grows_with_what_it_must_remember() -> None:
    """More states than the first table holds, and the same answer as without room to remember many."""
    execution = Execution(trace_of(repeated(1)))
    history = history_of(execution)
    chains = chains_with_clocks(history, np.ones(len(history.sessions), np.bool_))
    saturated = saturate(chains, chains.readers, ALL, chains.branches, Budget(60), total=True)
    searched = Search(chains, saturated)
    searched.run(0, 30_000, Budget(60))
    states = searched.states[: searched.outcome().states]
    assert len(states) > 256 and len(np.unique(states, axis=0)) == len(states)
    assert sorted(searched.table[searched.table >= 0].tolist()) == list(range(len(states)))
    small = Search(chains, saturated)
    small.most_states = 256
    assert small.run(0, 30_000, Budget(60)) == interleaving.FULL


class Looks(Budget):
    """A budget that ends after so many looks at it."""

    @property
    def left(self) -> float:
        self.seconds -= 1
        return self.seconds


def test_the_budget_is_looked_at_inside_a_turn() -> None:
    history = history_of(Execution(trace_of(repeated(1))))
    chains = chains_with_clocks(history, np.ones(len(history.sessions), np.bool_))
    saturated = saturate(chains, chains.readers, ALL, chains.branches, Budget(60), total=True)
    searched = Search(chains, saturated)
    searched.at_once = 100
    assert searched.run(0, 10**9, Looks(5)) == interleaving.LEFT
    assert 500 <= searched.outcome().steps <= 700
    cut = saturate(chains, chains.readers, ALL, chains.branches, Looks(0), total=True)
    assert not cut.finished and cut.lists is not None
