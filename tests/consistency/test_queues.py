"""The sweep for queues with values enqueued twice, against the definition."""

from __future__ import annotations

import random

from tests.consistency.histories import object_history, trace_of
from tests.oracle.linearizability import linearizable_object
from tests.oracle.objects import OBJECTS
from tracekit.checks.consistency.cells import cells_of
from tracekit.checks.consistency.decided import Broken
from tracekit.checks.consistency.queues import decide_key
from tracekit.execution import Budget
from tracekit.history.models import actions_of, parse_model
from tracekit.history.operations import operations_of


def test_queues_are_judged_as_they_are_defined(histories: int = 1500, seed: int = 3, most: int = 8) -> None:
    rng, held, broken = random.Random(seed), 0, 0
    choice, (start, after) = parse_model("queue"), OBJECTS["queue"]
    for _ in range(histories):
        ops = object_history("queue", rng, most=most)
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
