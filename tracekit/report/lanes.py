"""A few events as lanes down a terminal: one column a process, one line an event, every cause above its effects."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tracekit.execution import Execution
from tracekit.report.terminal import Style, clean, plain
from tracekit.trace.schema import Kind

Rows = NDArray[np.int64]
MARKS = {Kind.SEND: "▶", Kind.RECEIVE: "◀", Kind.CRASH: "×", Kind.RESTART: "↻", Kind.FAULT: "!"}
LANES = 12
"""Processes that have a lane; further ones share the last."""
HEAD = 8
"""Characters of a process's name above its lane."""
TEXT = 72
"""Characters of an event's words."""


def neighbourhood(execution: Execution, row: int, before: int = 12, after: int = 8) -> Rows:
    """Rows of an event, of the last `before` events in its past and of the first `after` in its future, causes first.

    Last and first by Lamport timestamp. O(events in past and future).
    """
    order = execution.happens_before
    past = order.linearized(_first_of_each(execution, order.past(row)[::-1], before))
    future = order.linearized(_first_of_each(execution, order.future(row), after))
    return np.concatenate([past[max(len(past) - before, 0) :], [row], future[:after]]).astype(np.int64)


def _first_of_each(execution: Execution, rows: Rows, count: int) -> Rows:
    """The first so many rows of each process; rows are given process after process."""
    process = execution.trace.process[rows]
    begins = np.flatnonzero(np.diff(process, prepend=-1))
    place = np.arange(len(rows)) - np.repeat(begins, np.diff(np.append(begins, len(rows))))
    return rows[place < count]


def lanes(execution: Execution, rows: Sequence[int] | Rows, centre: int = -1, style: Style = plain) -> str:
    """The events as lanes.

    Parameters
    ----------
    rows: in an order that respects happens-before.
    centre: the row that is asked about: it is marked.
    style: colours a text by its role.
    """
    trace = execution.trace
    rows = [int(row) for row in rows]
    used = sorted({int(trace.process[row]) for row in rows})
    lane = {code: min(i, LANES - 1) for i, code in enumerate(used)}
    names = _short([clean(trace.processes[code]) for code in used[:LANES]])
    if len(used) > LANES:
        names[-1] = "others"
    ends = {k: max(i for i, row in enumerate(rows) if lane[int(trace.process[row])] == k) for k in lane.values()}
    begins = {k: min(i for i, row in enumerate(rows) if lane[int(trace.process[row])] == k) for k in lane.values()}
    width = max(len(name) for name in names) + 2
    events = [clean(trace.event(row)) for row in rows]
    label = max(len(name) for name in events) + 2
    out = [" " * (label + 2) + "".join(f"{name:<{width}}" for name in names).rstrip()]
    for i, row in enumerate(rows):
        mine = lane[int(trace.process[row])]
        cells = [
            _mark(execution, row, centre) if k == mine else "│" if begins[k] <= i <= ends[k] else " "
            for k in range(len(names))
        ]
        drawn = "".join(f"{cell:<{width}}" for cell in cells)
        name = style(events[i], "name") if row == centre else events[i]
        out.append(f"  {name}{' ' * (label - len(events[i]))}{drawn}{_words(execution, row, rows)}".rstrip())
    return "\n".join(out)


def _short(names: Sequence[str]) -> list[str]:
    """Names that fit above a lane: their beginnings, or their ends where two begin alike."""
    cut = [name if len(name) <= HEAD else f"{name[: HEAD - 1]}…" for name in names]
    if len(set(cut)) < len(set(names)):
        cut = [name if len(name) <= HEAD else f"…{name[1 - HEAD :]}" for name in names]
    return cut


def _mark(execution: Execution, row: int, centre: int) -> str:
    return "◆" if row == centre else MARKS.get(Kind(execution.trace.kind[row]), "●")


def _words(execution: Execution, row: int, shown: Sequence[int]) -> str:
    """What the event did; of a receive also which event it came from, where that is not on the line above."""
    order = execution.happens_before
    text = execution.text(row)
    senders = [s for s in order.senders(row).tolist() if not shown or s != shown[max(shown.index(row) - 1, 0)]]
    if senders:
        text += f"   from {', '.join(execution.trace.event(s) for s in senders[:3])}"
    text = clean(text)
    return text if len(text) <= TEXT else text[: TEXT - 4] + " ..."
