"""The events that a page carries: each once, chosen around violations, with their place in happens-before."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable
from functools import cached_property
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
    """Events by row, numbered as they come in. What does not fit is refused, and the caller says so.

    Parameters
    ----------
    share: the part of the page's bounds that this run may take.
    """

    def __init__(self, execution: Execution, share: float = 1.0) -> None:
        self.execution = execution
        bound = min(MOST_EVENTS, max(500, MOST_CLOCK_ENTRIES // max(1, len(execution.trace.processes))))
        self.limit = max(100, int(bound * share))
        self.numbers: dict[int, int] = {}

    @property
    def room(self) -> int:
        """How many further events fit."""
        return self.limit - len(self.numbers)

    def add(self, rows: Iterable[int], always: bool = False) -> list[int]:
        """The numbers of events, those left out that did not fit; `always` takes them whatever the bound."""
        found = []
        for row in rows:
            row = int(row)
            if row not in self.numbers and (always or self.room > 0):
                self.numbers[row] = len(self.numbers)
            if row in self.numbers:
                found.append(self.numbers[row])
        return found

    def find(self, event: str) -> int | None:
        """The row of an event by its public name, in O(log n); by its source's place, in O(n). None: there is none."""
        trace = self.execution.trace
        process, _, seq = event.rpartition(":")
        code = trace.process_code(process)
        if code >= 0 and seq.isdecimal() and len(seq) <= 18:
            rows = self.execution.program_order.of_process(code)
            at = bisect_left(rows, int(seq), key=lambda row: trace.seq[row])
            if at < len(rows) and trace.seq[rows[at]] == int(seq):
                return int(rows[at])
        return trace.find(event)

    @cached_property
    def _partners(self) -> tuple[Rows, Rows]:
        """Rows of invocations and completions that belong together, both ways: sorted rows, and the partner of each."""
        if not bool(self.execution.trace.is_kind(Kind.INVOKE).any()):
            return np.empty(0, np.int64), np.empty(0, np.int64)
        operations = self.execution.operations
        both = (operations.invoke >= 0) & (operations.completion >= 0)
        ends = operations.invoke[both], operations.completion[both]
        rows = np.concatenate(ends)
        order = np.argsort(rows, kind="stable")
        return rows[order], np.concatenate(ends[::-1])[order]

    def partner(self, row: int) -> int | None:
        """The completion of an invocation, the invocation of a completion; None where none was recorded."""
        rows, partners = self._partners
        at = int(np.searchsorted(rows, row))
        return int(partners[at]) if at < len(rows) and rows[at] == row else None

    def lanes(self) -> list[int]:
        """Codes of all processes: first those with events in the table, in the order of the trace, then the others."""
        trace = self.execution.trace
        used = {int(trace.process[row]) for row in self.numbers}
        return sorted(range(len(trace.processes)), key=lambda p: (p not in used, p))

    def records(self, times: Times) -> list[dict[str, Any]]:
        """Every event as the page needs it, in the order of their numbers.

        ``p`` is the place of its process in `lanes`; ``clock`` has an entry for each process with events in the table.
        """
        rows = np.fromiter(self.numbers, np.int64, len(self.numbers))
        execution, trace = self.execution, self.execution.trace
        order = execution.happens_before
        lanes = self.lanes()
        lane_of = {code: place for place, code in enumerate(lanes)}
        used = lanes[: len(np.unique(trace.process[rows]))]
        clocks = order.frontiers(rows)[:, used]
        senders = self._senders(rows)
        marks = {
            "lost": execution.messages.undelivered,
            "orphan": execution.messages.orphans,
            "ambiguous": execution.messages.ambiguous,
            "reaches": order.edges().sources,
            "unordered": order.unordered,
        }
        marked = {mark: np.isin(rows, having) for mark, having in marks.items()}
        term, role = carried(execution, "raft.term"), carried(execution, "raft.role")
        out = []
        for number, row in enumerate(rows.tolist()):
            fields = trace.fields(row)
            kind = Kind(trace.kind[row])
            record: dict[str, Any] = {
                "id": trace.event(row),
                "p": lane_of[int(trace.process[row])],
                "i": int(execution.program_order.index[row]),
                "kind": kind.label,
                "text": shorten(describe(fields, kind.label)),
                "source": trace.source(row),
                "t": times.at(row),
                "clock": None if kind is Kind.FAULT else clocks[number].tolist(),
                "fields": [[name, plain(value)] for name, value in fields.items()],
            }
            if row in senders:
                record["senders"] = [[self.numbers.get(s, -1), trace.event(s)] for s in senders[row]]
            partner = self.partner(row)
            if partner is not None:
                record["partner"] = self.numbers.get(partner, -1)
            record |= {mark: True for mark, having in marked.items() if having[number]}
            state = {"term": term(row), "role": role(row)}
            out.append(record | {key: value for key, value in state.items() if value is not None})
        return out

    def _senders(self, rows: Rows) -> dict[int, list[int]]:
        """Receiving rows among the ones given, each with the rows of what it received."""
        edges = self.execution.happens_before.edges()
        found: dict[int, list[int]] = {}
        for k in np.flatnonzero(np.isin(edges.targets, rows)).tolist():
            found.setdefault(int(edges.targets[k]), []).append(int(edges.sources[k]))
        return found


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
        edges = self.order.edges()
        self.forward = _Adjacency(edges.sources, edges.targets)
        self.backward = _Adjacency(edges.targets, edges.sources)

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
        return self.backward.of(row) + self._step(row, -1)

    def _after(self, row: int) -> list[int]:
        return self.forward.of(row) + self._step(row, 1)


class _Adjacency:
    """Ends of edges by their start."""

    def __init__(self, starts: Rows, ends: Rows) -> None:
        order = np.argsort(starts, kind="stable")
        self.starts, self.ends = starts[order], ends[order]

    def of(self, row: int) -> list[int]:
        """Ends of the edges that start at a row. O(log n)."""
        first, last = np.searchsorted(self.starts, [row, row + 1])
        found: list[int] = self.ends[first:last].tolist()
        return found


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
