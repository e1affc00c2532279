"""Of a search that runs out of time: the linearization of what it got through, against the definition."""

from __future__ import annotations

import random
from typing import Any

import pytest

from tests.consistency.histories import object_history, text, trace_of
from tests.consistency.test_linearizable import judge
from tests.oracle.linearizability import Op
from tracekit.checks.consistency import search
from tracekit.checks.consistency.cells import Cells, cells_of
from tracekit.execution import Budget
from tracekit.history.models import ANY, COMPUTED, actions_of, parse_model
from tracekit.history.operations import operations_of
from tracekit.kernels import linearizability_search as layout
from tracekit.results import Verdict
from tracekit.trace.builder import TraceBuilder


class Asked(Budget):
    """Time that runs out when it has been asked for so many times."""

    @property
    def left(self) -> float:
        self.seconds -= 1
        return self.seconds


@pytest.fixture
def one_step_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel stops after every step, and the clock is looked at."""
    for name in ("linearizability_search", "linearizability_transitions"):
        search.kernels(name, work=1)
    real = search.kernels

    class Slow:
        def __init__(self, run: Any) -> None:
            self.run = run

        def __getattr__(self, name: str) -> Any:
            return getattr(self.run, name)

        def advance(self, progress: Any, *others: Any) -> int:
            progress[layout.STEPS] = 1
            return int(self.run.advance(progress, *others))

    monkeypatch.setattr(search, "kernels", lambda name, work: Slow(real(name, work=1)))


def follows(cells: Cells, state: int, entry: int) -> set[int]:
    """The states after an operation, by its guard and effect."""
    a = cells.actions
    if a.calls is not None:
        after = a.values.successors(state, int(a.argument[entry]))
        return set(after) if a.effect[entry] == COMPUTED else {state} if after else set()
    if a.equals[entry] not in (ANY, state):
        return set()
    return {state if a.effect[entry] == ANY else int(a.effect[entry])}


def crowded(rng: random.Random) -> list[Op]:
    ops = []
    for _ in range(rng.randint(3, 8)):
        f, value, start = rng.choice(("read", "write", "cas")), rng.choice((1, 2)), rng.randint(0, 8)
        argument = {"read": None, "write": value, "cas": [rng.choice((1, 2)), value]}[f]
        outcome = rng.choice(("ok", "ok", "ok", "info"))
        ops.append(Op(f, argument, value if f == "read" else None, outcome, start, start + rng.randint(0, 6)))
    return ops


@pytest.mark.parametrize("model", ["cas-register", "counter", "set", "log", "stack"])
@pytest.mark.usefixtures("one_step_at_a_time")
def test_what_was_got_through_has_that_linearization(model: str) -> None:
    rng, choice, seen = random.Random(4), parse_model(model), 0
    for _ in range(150):
        ops = crowded(rng) if model == "cas-register" else object_history(model, rng, most=8)
        trace = trace_of(ops)
        operations = operations_of(trace)
        cells = cells_of(operations, actions_of(operations, choice), choice.model)
        for left in search.decide(cells, Asked(rng.randint(1, 12))).undecided.values():
            seen += 1
            events, a, order = search.timeline(cells)[: left.decided].tolist(), cells.actions, left.order
            assert {e >> 1 for e in events if e & 1} <= set(order) <= {e >> 1 for e in events}
            assert len(set(order)) == len(order)
            assert not any(a.end[later] < a.start[first] for k, first in enumerate(order) for later in order[k + 1 :])
            states = {0}
            for entry in order:
                states = {after for state in states for after in follows(cells, state, entry)}
            assert states, (ops, order)
    assert seen > 50


def test_it_is_told() -> None:
    builder = TraceBuilder()
    rows: list[tuple[str, str, str, Any]] = [("a", "invoke", "write", 0), ("a", "ok", "write", 0)]
    rng = random.Random(3)
    pairs = [[rng.randrange(5), rng.randrange(5)] for _ in range(40)]
    rows += [(f"c{n}", "invoke", "cas", pair) for n, pair in enumerate(pairs)]
    rows += [(f"c{n}", "info" if n % 2 else "ok", "cas", pair) for n, pair in enumerate(pairs)]
    for process, kind, f, value in rows:
        builder.add({"process": process, "kind": kind, "f": f, "value": text(value)})
    found = judge(builder.build(), "cas-register", budget_s=0.05)
    assert found.verdict is Verdict.UNKNOWN
    assert "have a linearization that ends in " in found.reasons[0] and "0.05 s budget spent" in found.reasons[0]
    assert found.facts["undecided"][0]["linearization"][0] == "a:0"
