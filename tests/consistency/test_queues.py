"""Queues and stacks into which values go twice: the sweep, and the graph of frontiers, against the definition."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest

from tests.consistency.histories import object_history, trace_of
from tests.consistency.many import judged
from tests.oracle.linearizability import Op, linearizable_object
from tests.oracle.objects import OBJECTS
from tracekit.checks.consistency import queues, stacks
from tracekit.checks.consistency.cells import cells_of
from tracekit.checks.consistency.decided import Broken
from tracekit.execution import Budget
from tracekit.history.models import actions_of, parse_model
from tracekit.history.operations import operations_of
from tracekit.results import Verdict


@pytest.mark.parametrize(("model", "decide_key"), [("queue", queues.decide_key), ("stack", stacks.decide_key)])
def test_they_are_judged_as_they_are_defined(
    model: str, decide_key: Any, histories: int = 1500, seed: int = 3, most: int = 8
) -> None:
    rng, held, broken = random.Random(seed), 0, 0
    choice, (start, after) = parse_model(model), OBJECTS[model]
    for _ in range(histories):
        ops = object_history(model, rng, most=most)
        if rng.random() < 0.5:  # without peeks and operations that found nothing, more histories hold
            ops = [op for op in ops if op.f != "peek"]
        trace = trace_of(ops)
        if not ops or "value" not in trace:
            continue
        cells = cells_of(operations_of(trace), actions_of(operations_of(trace), choice), choice.model)
        found = decide_key(cells, 0, Budget(60), str)
        expected = linearizable_object(ops, start, after)
        assert (found is None) == expected, "\n".join(map(str, ops))
        held, broken = held + expected, broken + isinstance(found, Broken)
    assert min(held, broken) > histories // 20


def pairs(n: int, *, wrong: bool) -> list[Op]:
    """Two pushes at once, again and again, and then all members taken out: any of 2^n stacks may have stood there."""
    ops = []
    for i in range(n):
        ops += [Op("push", 1 + i % 3, None, "ok", 10 * i, 10 * i + 5), Op("push", 4, None, "ok", 10 * i, 10 * i + 5)]
    for i in reversed(range(n)):
        moment = 10 * n + 40 * (n - i)
        answers = (4, 1 + i % 3) if i % 2 else (1 + i % 3, 4)
        ops += [
            Op("pop", None, answer, "ok", moment + 10 * at, moment + 10 * at + 5) for at, answer in enumerate(answers)
        ]
    if wrong:
        ops[-1] = replace(ops[-1], answer=7 - (ops[-1].answer or 0))
    return ops


@pytest.mark.parametrize("wrong", [False, True])
def test_many_stacks_at_once_are_one_graph(wrong: bool) -> None:
    found = judged(pairs(300, wrong=wrong), "stack")
    assert found is not None and not found.reasons
    assert found.verdict is (Verdict.VIOLATED if wrong else Verdict.HOLDS)
    assert found.facts["keys_by_stacks"] == 1
    if wrong:
        [violation] = found.violations
        assert "it was empty" in violation.summary or "the top was" in violation.summary


def test_stacks_of_many_unanswered_pushes_are_left_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stacks, "MOST", 2000)
    crashed = [Op("push", i, None, "info", i, None) for i in range(40)]
    found = judged([*crashed, *pairs(20, wrong=False)], "stack")
    assert found is not None and found.verdict is Verdict.UNKNOWN
    [reason] = found.reasons
    assert "of them never answered" in reason and "more than 2,000 tops of stacks" in reason


class Asked(Budget):
    """Time that runs out when it has been asked for so many times."""

    @property
    def left(self) -> float:
        self.seconds -= 1
        return self.seconds


def test_a_queue_that_runs_out_of_time_within_one_event_is_left() -> None:
    ops = [Op("enqueue", 1 + i % 2, None, "ok", 0, 9) for i in range(6)]
    ops += [Op("dequeue", None, 1 + i % 2, "ok", 2, 20 + i) for i in range(6)]
    trace = trace_of(ops)
    cells = cells_of(operations_of(trace), actions_of(operations_of(trace), parse_model("queue")))
    ends = [queues.decide_key(cells, 0, Asked(n), str) for n in range(1, 400)]
    assert ends[-1] is None and isinstance(ends[0], queues.Left)
    assert not any(isinstance(end, Broken) for end in ends)
    asked = sum(end is not None for end in ends)
    assert asked > 2 * len(trace), "the clock is looked at more often than once an event"
