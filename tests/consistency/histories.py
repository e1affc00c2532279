"""Small random histories, as traces and as the oracle's operations."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from tests.oracle.linearizability import Op
from tracekit.trace.builder import TraceBuilder
from tracekit.trace.run import Run
from tracekit.trace.trace import Trace


def text(value: Any) -> str | None:
    """A value as the column `value` has it."""
    return None if value is None else json.dumps(value, separators=(",", ":"))


def trace_of(ops: Sequence[Op], keys: Sequence[Any] = (), run: Run | None = None, clock: str = "time_ns") -> Trace:
    """One process an operation; rows in order of time, invocations before completions of the same moment."""
    rows: list[tuple[int, int, dict[str, Any]]] = []
    for number, op in enumerate(ops):
        common = {"process": f"c{number}", "op": number, "f": op.f, "key": keys[number] if keys else None}
        if op.start is not None:
            argument = None if op.f == "read" else text(op.argument)
            rows.append((op.start, 0, common | {"kind": "invoke", "value": argument, clock: op.start}))
        if op.end is not None:
            answer = text(op.answer if op.f == "read" else op.argument)
            if op.outcome == "fail" and op.f == "read":
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
