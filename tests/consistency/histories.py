"""Small random histories, as traces and as the oracle's operations."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from tests.oracle.linearizability import Op
from tracekit.trace.builder import TraceBuilder
from tracekit.trace.run import Run
from tracekit.trace.trace import Trace

ANSWERED = ("read", "dequeue", "pop", "poll", "peek", "contains")
"""Calls whose answer says something; all others are answered with their argument."""

OBJECT_CALLS: dict[str, tuple[str, ...]] = {
    "counter": ("inc", "dec", "add", "read", "read"),
    "set": ("add", "remove", "contains", "contains", "read"),
    "queue": ("enqueue", "dequeue", "dequeue", "peek"),
    "stack": ("push", "pop", "pop", "peek"),
    "priority-queue": ("insert", "poll", "poll", "peek"),
    "priority-queue:order=max": ("insert", "poll", "poll", "peek"),
    "mutex": ("acquire", "release"),
    "semaphore:permits=2": ("acquire", "acquire", "release"),
    "multi-register": ("write", "read"),
    "log": ("append", "append", "read"),
}


def call(model: str, rng: random.Random, values: Sequence[int], f: str) -> tuple[Any, Any]:
    """An argument and an answer for a call of a model."""
    value = rng.choice(values)
    if model == "counter":
        return (value if f == "add" else None), (rng.choice((-1, 0, 1, 2, value)) if f == "read" else None)
    if f == "read" and model in ("set", "log"):
        members = [rng.choice(values) for _ in range(rng.randint(0, 3))]
        return None, sorted(set(members)) if model == "set" else members
    if model == "multi-register":
        both = {name: rng.choice(values) for name in rng.choice(("x", "y", "xy"))}
        return (both, None) if f == "write" else (None, both)
    if model in ("mutex", "semaphore:permits=2"):
        return None, None
    if f == "contains":
        return value, rng.random() < 0.5
    return (None, rng.choice((None, value, value, value))) if f in ANSWERED else (value, None)


def object_history(model: str, rng: random.Random, most: int = 7, clients: int = 0) -> list[Op]:
    """Three to `most` calls on one object of any kind, more or less crowded; some failed or crashed."""
    span, longest = rng.choice((4, 8, 14)), rng.choice((2, 5, 9))
    values = rng.choice(((1, 2), (1, 2, 3), (10, 20, 30, 40, 50)))
    ops = []
    for _ in range(rng.randint(3, most)):
        f = rng.choice(OBJECT_CALLS[model])
        argument, answer = call(model, rng, values, f)
        start = rng.randint(0, span)
        outcome = rng.choice(("ok", "ok", "ok", "ok", "ok", "info", "fail"))
        end = None if outcome == "info" and rng.random() < 0.5 else start + rng.randint(0, longest)
        ops.append(Op(f, argument, answer, outcome, start, end))
    return ops


def text(value: Any) -> str | None:
    """A value as the column `value` has it."""
    return None if value is None else json.dumps(value, separators=(",", ":"))


def trace_of(ops: Sequence[Op], keys: Sequence[Any] = (), run: Run | None = None, clock: str = "time_ns") -> Trace:
    """One process an operation; rows in order of time, invocations before completions of the same moment."""
    rows: list[tuple[int, int, dict[str, Any]]] = []
    for number, op in enumerate(ops):
        common = {"process": f"c{number}", "op": number, "f": op.f, "key": keys[number] if keys else None}
        if op.start is not None:
            argument = None if op.f in ANSWERED and op.f != "contains" else text(op.argument)
            rows.append((op.start, 0, common | {"kind": "invoke", "value": argument, clock: op.start}))
        if op.end is not None:
            answer = text(op.answer if op.f in ANSWERED else op.argument)
            if op.outcome != "ok" and op.f in ANSWERED:
                answer = None
            rows.append((op.end, 1, common | {"kind": op.outcome, "value": answer, clock: op.end}))
    builder = TraceBuilder(run=run)
    for _, _, row in sorted(rows, key=lambda entry: entry[:2]):
        builder.add(row)
    return builder.build()


@st.composite
def histories(
    draw: st.DrawFn,
    functions: Sequence[str] = ("read", "write"),
    values: Sequence[Any] = (1, 2, 3),
    unique: bool = False,
    most: int = 6,
    outcomes: Sequence[str] = ("ok", "ok", "ok", "info", "fail"),
    lost: bool = True,
) -> list[Op]:
    """Up to `most` operations on one object within a few moments, so that ties and overlaps are common."""
    ops: list[Op] = []
    for number in range(draw(st.integers(1, most))):
        f = draw(st.sampled_from(functions))
        start = draw(st.integers(0, 9))
        outcome = draw(st.sampled_from(outcomes))
        end: int | None = start + draw(st.integers(0, 5))
        if outcome == "info":
            end = draw(st.sampled_from([end, None]))
        value = draw(st.sampled_from([None, *values] if f == "read" else list(values)))
        argument: Any = None if f == "read" else 100 + number if unique else value
        if f == "cas":
            argument = [draw(st.sampled_from([None, *values])), value]
        if f == "read" and unique:
            value = draw(st.sampled_from([None, *range(100, 100 + most)]))
        missing = lost and end is not None and draw(st.integers(0, 9)) == 0
        ops.append(Op(f, argument, value if f == "read" else None, outcome, None if missing else start, end))
    return ops
