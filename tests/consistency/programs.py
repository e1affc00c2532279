"""Small programs of sessions, written as the papers write them, and as traces."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any, NamedTuple

from hypothesis import strategies as st

from tests.oracle.causal import Op, Program
from tracekit.trace.builder import TraceBuilder
from tracekit.trace.run import Run
from tracekit.trace.trace import Trace


def program(text: str) -> list[list[Op]]:
    """``w(x1) r(y0) | w(x2)?``: sessions between bars, 0 is the initial value, ``?`` was never answered."""
    sessions = []
    for session in text.split("|"):
        ops = []
        for word in session.split():
            value = int(word.rstrip("?")[3:-1])
            ops.append(Op(word[0], word[2], value or None, open=word.endswith("?")))
        sessions.append(ops)
    return sessions


def trace_of(sessions: Program, run: Run | None = None, turns: Sequence[int] = ()) -> Trace:
    """One process a session; file order takes the sessions in turn, or as `turns` says. No clock, no messages."""
    builder = TraceBuilder(run=run)
    left = [list(ops) for ops in sessions]
    order = [*turns, *(s for _ in range(max(map(len, left), default=0)) for s in range(len(left)))]
    for s in order:
        if left[s]:
            for row in rows_of(f"s{s}", left[s].pop(0)):
                builder.add(row)
    return builder.build()


class Call(NamedTuple):
    """An operation as it was recorded; outcome: ok, fail, info, or lost (never answered, and nothing says so)."""

    f: str
    key: str
    value: int | None
    outcome: str = "ok"


def program_of(calls: Sequence[Sequence[Call]]) -> list[list[Op]]:
    """What happened by the definitions: no failed operations, and no reads without an answer."""
    happened = [[c for c in own if c.outcome == "ok" or (c.f == "w" and c.outcome != "fail")] for own in calls]
    return [[Op(c.f, c.key, c.value, c.outcome != "ok") for c in own] for own in happened]


def rows_of_call(process: str, call: Call) -> list[dict[str, Any]]:
    """Invocation and completion, where there is one."""
    common = {"process": process, "f": "read" if call.f == "r" else "write", "key": call.key}
    argument = call.value if call.f == "w" else None
    rows: list[dict[str, Any]] = [{**common, "kind": "invoke", "value": argument}]
    if call.outcome != "lost":
        rows.append({**common, "kind": call.outcome, "value": call.value if call.outcome == "ok" else None})
    return rows


def trace_of_calls(calls: Sequence[Sequence[Call]], rng: random.Random) -> Trace:
    """One process a session, the rows of all in a random order that keeps each one's own."""
    left = [[row for call in own for row in rows_of_call(f"s{s}", call)] for s, own in enumerate(calls)]
    builder = TraceBuilder()
    while any(left):
        builder.add(rng.choice([own for own in left if own]).pop(0))
    return builder.build()


def rows_of(process: str, op: Op) -> list[dict[str, Any]]:
    """Invocation and completion of an operation."""
    common = {"process": process, "f": "read" if op.f == "r" else "write", "key": op.key}
    argument = op.value if op.f == "w" else None
    kind = "info" if op.open else "ok"
    return [common | {"kind": "invoke", "value": argument}, common | {"kind": kind, "value": op.value}]


@st.composite
def programs(
    draw: st.DrawFn, most: int = 6, sessions: int = 3, keys: str = "xy", unique: bool = True, opens: bool = False
) -> list[list[Op]]:
    """Up to `most` operations, about half of them reads, of values that mostly somebody writes."""
    out: list[list[Op]] = [[] for _ in range(sessions)]
    count = draw(st.integers(1, most))
    shape = [
        (draw(st.integers(0, sessions - 1)), draw(st.booleans()), draw(st.sampled_from(keys))) for _ in range(count)
    ]
    values: dict[str, list[int | None]] = {k: [None] for k in keys}
    written = []
    for place, (_, is_write, key) in enumerate(shape):
        value = place + 1 if unique else draw(st.integers(1, 2))
        written.append(value)
        if is_write:
            values[key].append(value)
    for place, (session, is_write, key) in enumerate(shape):
        if is_write:
            out[session].append(Op("w", key, written[place], opens and draw(st.integers(0, 3)) == 0))
        else:
            thin = draw(st.integers(0, 19)) == 0
            out[session].append(Op("r", key, 99 if thin else draw(st.sampled_from(values[key]))))
    return out
