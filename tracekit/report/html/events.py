"""The events that a page carries: each once, chosen around violations, with their place in happens-before."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracekit.execution import Execution
from tracekit.trace.schema import Kind
from tracekit.vocabulary import describe

WHOLE = 2_000
"""A trace of at most so many events is carried whole."""

MOST_EVENTS = 6_000
MOST_CLOCK_ENTRIES = 600_000
"""Bounds of what a page carries: events, and entries of their vector timestamps (events times processes)."""

LONGEST_TEXT = 2_000
LONGEST_LIST = 200
SAFE_INTEGER = 2**53 - 1

Rows = NDArray[np.int64]


class EventTable:
    """Events by row, numbered as they come in. Raises nothing: what does not fit is refused and the caller says so."""

    def __init__(self, execution: Execution) -> None:
        self.execution = execution
        self.limit = min(MOST_EVENTS, max(500, MOST_CLOCK_ENTRIES // max(1, len(execution.trace.processes))))
        self.numbers: dict[int, int] = {}

    @property
    def room(self) -> int:
        """How many further events fit."""
        return self.limit - len(self.numbers)

    def add(self, rows: Iterable[int]) -> list[int]:
        """The numbers of events, those left out that did not fit."""
        found = []
        for row in rows:
            row = int(row)
            if row not in self.numbers and self.room > 0:
                self.numbers[row] = len(self.numbers)
            if row in self.numbers:
                found.append(self.numbers[row])
        return found

    def records(self, times: Times) -> list[dict[str, Any]]:
        """Every event as the page needs it, in the order of their numbers."""
        rows = np.fromiter(self.numbers, np.int64, len(self.numbers))
        execution, trace = self.execution, self.execution.trace
        order = execution.happens_before
        clocks = order.frontiers(rows) if len(rows) else np.zeros((0, len(trace.processes)), np.int64)
        lost = set(np.intersect1d(rows, execution.messages.undelivered).tolist())
        unordered = set(np.intersect1d(rows, order.unordered).tolist())
        term, role = carried(execution, "raft.term"), carried(execution, "raft.role")
        out = []
        for number, row in enumerate(rows.tolist()):
            fields = trace.fields(row)
            kind = Kind(trace.kind[row])
            sender = int(execution.messages.send_of[row])
            record: dict[str, Any] = {
                "id": trace.event(row),
                "p": int(trace.process[row]),
                "i": int(execution.program_order.index[row]),
                "kind": kind.label,
                "text": shorten(describe(fields, kind.label)),
                "source": trace.source(row),
                "t": times.at(row),
                "clock": None if kind is Kind.FAULT else clocks[number].tolist(),
                "fields": [[name, plain(value)] for name, value in fields.items()],
            }
            if sender >= 0:
                record["send"] = self.numbers.get(sender, -1)
                record["sent_by"] = trace.event(sender)
            if row in lost:
                record["lost"] = True
            if row in unordered:
                record["unordered"] = True
            state = {"term": term(row), "role": role(row)}
            out.append(record | {key: value for key, value in state.items() if value is not None})
        return out


class Times:
    """The one time axis of a page: simulator's clock, else the processes' clocks, else the index, else rows.

    Attributes
    ----------
    label: what the axis is, for people. unit: ``ns`` or empty for counts.
    values, present: shape (n,): the value of each row, and whether it has one.
    origin: the smallest value; `at` counts from there.
    """

    COLUMNS = (
        ("true_time_ns", "the simulator's clock", "ns"),
        ("time_ns", "the clocks of the processes, as recorded", "ns"),
        ("index", "the recorder's index", ""),
    )

    def __init__(self, execution: Execution) -> None:
        trace = execution.trace
        self.label, self.unit = "the row in the file", ""
        self.values: Rows = np.arange(len(trace))
        self.present = np.ones(len(trace), np.bool_)
        for name, label, unit in self.COLUMNS:
            column = trace.get(name)
            if column is not None and column.texts is None and bool(column.present.any()):
                self.label, self.unit = label, unit
                self.values, self.present = column.values, column.present
                break
        known = self.values[self.present]
        self.origin = int(known.min()) if len(known) else 0
        self.end = int(known.max()) if len(known) else 0
        self.absent = int(len(trace) - len(known))

    def at(self, row: int) -> int | None:
        """Time of a row since the origin; None where the row has none."""
        return int(self.values[row]) - self.origin if self.present[row] else None

    def to_json(self) -> dict[str, Any]:
        """What the page says about its axis."""
        return {
            "label": self.label,
            "unit": self.unit,
            "origin": plain(self.origin),
            "end": self.end - self.origin,
            "absent": self.absent,
        }


class Surroundings:
    """The events nearest to one in causal order, each search bounded by how many it may return."""

    def __init__(self, execution: Execution) -> None:
        self.trace = execution.trace
        self.program = execution.program_order
        self.order = execution.happens_before
        self.send_of = execution.messages.send_of
        receives = np.flatnonzero(self.send_of >= 0)
        by_send = np.argsort(self.send_of[receives], kind="stable")
        self.receives = receives[by_send]
        self.sends = self.send_of[self.receives]

    def past(self, row: int, limit: int) -> list[int]:
        """Rows before an event, those fewest steps away first. O(limit)."""
        return self._search(row, limit, self._before)

    def future(self, row: int, limit: int) -> list[int]:
        """Rows after an event, those fewest steps away first. O(limit log n)."""
        return self._search(row, limit, self._after)

    def concurrent(self, row: int, limit: int) -> list[int]:
        """Rows concurrent with an event: at each other process the first ones that it does not know of."""
        if self.trace.kind[row] == Kind.FAULT:
            return []
        frontier = self.order.frontiers(row)[0]
        others = [p for p in range(len(frontier)) if p != self.trace.process[row]]
        each = -(-limit // max(1, len(others)))
        parts = [self.program.of_process(p)[frontier[p] : frontier[p] + each] for p in others]
        rows = np.concatenate(parts) if parts else np.empty(0, np.int64)
        found: list[int] = rows[self.order.concurrent(np.full(len(rows), row), rows)].tolist()
        return [r for r in found if self.trace.kind[r] != Kind.FAULT][:limit]

    def size_of_past(self, row: int) -> int:
        """How many events happen before one (faults, which are outside of the order, have processes of their own)."""
        return int(self.order.frontiers(row)[0].sum()) - 1

    def _search(self, row: int, limit: int, neighbours: Callable[[int], list[int]]) -> list[int]:
        found = {row: None}
        queue = [row]
        for current in queue:
            for near in neighbours(current):
                if near not in found and len(found) <= limit:
                    found[near] = None
                    queue.append(near)
            if len(found) > limit:
                break
        return queue[1:]

    def _step(self, row: int, step: int) -> list[int]:
        process = int(self.trace.process[row])
        place = int(self.program.starts[process] + self.program.index[row]) + step
        inside = self.program.starts[process] <= place < self.program.starts[process + 1]
        return [int(self.program.rows[place])] if inside else []

    def _before(self, row: int) -> list[int]:
        return ([int(self.send_of[row])] if self.send_of[row] >= 0 else []) + self._step(row, -1)

    def _after(self, row: int) -> list[int]:
        first, last = np.searchsorted(self.sends, [row, row + 1])
        receives: list[int] = self.receives[first:last].tolist()
        return receives + self._step(row, 1)


def beginning(execution: Execution, times: Times, count: int) -> Rows:
    """Rows of the first events: by time; where nothing has a time, of each process alike."""
    n = len(execution.trace)
    if n <= count:
        return np.arange(n)
    key = execution.program_order.index if not times.unit and times.label.endswith("file") else times.values
    latest = np.iinfo(np.int64).max
    return np.lexsort((execution.program_order.index, np.where(times.present, key, latest)))[:count]


def carried(execution: Execution, name: str) -> Callable[[int], Any]:
    """A state field as it stands after any event: as recorded there, or last recorded at the process before. O(n)."""
    column = execution.trace.get(name)
    if column is None:
        return lambda row: None
    last = last_recorded(execution, column.present)

    def value(row: int) -> Any:
        return plain(column.at(int(last[row]))) if last[row] >= 0 else None

    return value


def last_recorded(execution: Execution, present: NDArray[np.bool_]) -> Rows:
    """Shape (n,): the row of the last event at the same process, itself included, that has a value; -1: none."""
    program = execution.program_order
    places = np.where(present[program.rows], np.arange(len(program.rows)), -1)
    np.maximum.accumulate(places, out=places)
    places[places < program.starts[execution.trace.process[program.rows]]] = -1
    out = np.empty(len(places), np.int64)
    out[program.rows] = np.where(places >= 0, program.rows[places], -1)
    return out


def shorten(text: str, longest: int = LONGEST_TEXT) -> str:
    """The text, its end cut off where it is too long for a page, and that said."""
    return text if len(text) <= longest else f"{text[:longest]}… ({len(text):,} characters)"


def plain(value: Any) -> Any:
    """A value as JSON that JavaScript reads exactly: bounded; large integers and non-finite numbers as text."""
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, str):
        return shorten(value)
    if isinstance(value, (int, np.integer)):
        return int(value) if abs(int(value)) <= SAFE_INTEGER else str(int(value))
    if isinstance(value, (float, np.floating)):
        return float(value) if np.isfinite(value) else str(float(value))
    if isinstance(value, dict):
        return {shorten(str(k)): plain(v) for k, v in list(value.items())[:LONGEST_LIST]}
    if isinstance(value, (list, tuple, np.ndarray)):
        entries = [plain(v) for v in list(value[:LONGEST_LIST])]
        return [*entries, f"… ({len(value):,} entries)"] if len(value) > LONGEST_LIST else entries
    return shorten(str(value))
