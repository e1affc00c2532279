"""Cuts: global states of an execution, given by how many first events of each process they hold.

A cut is consistent if it holds, with every event, all that happened before it (Chandy and Lamport, "Distributed
Snapshots", TOCS 1985; Mattern, "Virtual Time and Global States of Distributed Systems", 1989). The consistent cuts form
a lattice, so there is a largest one below any cut and a smallest one above it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracekit.kernels.engine import kernels
from tracekit.order.happens_before import Edges, HappensBefore
from tracekit.trace.schema import Kind

Int64 = NDArray[np.int64]
Counts = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Cut:
    """The first `counts[p]` events of each process p.

    Attributes
    ----------
    counts: int64, shape (processes,). Fault events are outside of happens-before: their count decides nothing.

    Raises
    ------
    ValueError: for a count that is negative or larger than the number of the process's events, or a name that no
        process has.
    """

    order: HappensBefore
    counts: Int64

    def __post_init__(self) -> None:
        sizes = np.diff(self.order.program.starts)
        if self.counts.shape != sizes.shape or bool(((self.counts < 0) | (self.counts > sizes)).any()):
            raise ValueError(f"a cut needs one count a process, from 0 to {sizes.tolist()}; {self.counts.tolist()}")

    def __repr__(self) -> str:
        return f"<Cut {dict(zip(self.order.trace.processes, self.counts.tolist(), strict=True))}>"

    @classmethod
    def of(cls, order: HappensBefore, counts: Mapping[str, int] | Sequence[int] | Int64) -> Cut:
        """The cut with these counts, by process name (0 where a name is missing) or in the trace's order."""
        if isinstance(counts, Mapping):
            _require_known(order, counts)
            counts = [counts.get(name, 0) for name in order.trace.processes]
        return cls(order, np.array(counts, np.int64))

    @classmethod
    def whole(cls, order: HappensBefore) -> Cut:
        """Everything that was recorded."""
        return cls(order, np.diff(order.program.starts))

    @classmethod
    def past(cls, order: HappensBefore, rows: Any) -> Cut:
        """The smallest consistent cut with these events. O(rows x processes)."""
        return cls(order, order.frontiers(rows).max(axis=0, initial=0))

    def __contains__(self, row: int) -> bool:
        return bool(self.order.program.index[row] < self.counts[self.order.trace.process[row]])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Cut) and self.order is other.order and bool((self.counts == other.counts).all())

    def __hash__(self) -> int:
        return hash(tuple(self.counts.tolist()))

    def __le__(self, other: Cut) -> bool:
        return bool((self.counts <= other.counts).all())

    @property
    def last(self) -> Int64:
        """Rows of the last event of each process that has one in the cut, in order of processes."""
        some = np.flatnonzero(self.counts)
        rows: Int64 = self.order.program.rows[self.order.program.starts[some] + self.counts[some] - 1]
        return rows

    @cached_property
    def consistent(self) -> bool:
        """Whether it holds all that happened before its events. O(p^2). See `doubtful`."""
        return bool((self._needed <= self.counts).all())

    @cached_property
    def doubtful(self) -> Int64:
        """Rows in the cut of which it is not known what precedes them: with any, `consistent` may be too kind."""
        rows = self.order.unordered
        found: Int64 = rows[self.order.program.index[rows] < self.counts[self.order.trace.process[rows]]]
        return found

    @property
    def _needed(self) -> Int64:
        last = self.last
        last = last[self.order.trace.kind[last] != Kind.FAULT]
        needed: Int64 = self.order.frontiers(last).max(axis=0, initial=0)
        return needed

    @property
    def offending(self) -> Edges:
        """The messages received inside and sent outside: none exactly if the cut is consistent. O(edges)."""
        edges = self.order.edges()
        return _some(edges, ~self._holds(edges.sources) & self._holds(edges.targets))

    @property
    def in_flight(self) -> Edges:
        """The messages sent inside and received outside, one for each receiver. O(edges). See `undelivered`.

        What arrives twice at one process is in flight until it arrives first.
        """
        edges = self.order.edges()
        flying = self._holds(edges.sources) & ~self._holds(edges.targets)
        if self.order.recovered is None:
            again = np.zeros(len(self.order.trace), np.bool_)
            again[self.order.messages.repeated] = True
            flying &= ~again[edges.targets]
        return _some(edges, flying)

    @property
    def undelivered(self) -> Int64:
        """Rows of sends inside that nobody ever received: lost before the cut, or in flight there."""
        rows = self.order.messages.undelivered if self.order.recovered is None else np.empty(0, np.int64)
        found: Int64 = rows[self._holds(rows)]
        return found

    def channels(self) -> Mapping[tuple[str, str], int]:
        """How many messages were in flight from one process to another; channels without any are left out."""
        names, process = self.order.trace.processes, self.order.trace.process
        found = self.in_flight
        ends = zip(process[found.sources].tolist(), process[found.targets].tolist(), strict=True)
        return {(names[a], names[b]): count for (a, b), count in sorted(Counter(ends).items())}

    def largest_below(self) -> Cut:
        """The largest consistent cut that this one holds. O(p^2 log r), and O(p log r) for each step back."""
        return self._rolled_back(np.empty(0, np.int64), np.zeros(len(self.counts) + 1, np.int64))

    def smallest_above(self) -> Cut:
        """The smallest consistent cut that holds this one. O(p^2)."""
        return Cut(self.order, np.maximum(self.counts, self._needed))

    def _rolled_back(self, stops: Int64, stop_starts: Int64) -> Cut:
        order, counts = self.order, self.counts.copy()
        place = order.program.index[order.receives]
        kernels("cuts", work=len(order.receives)).rollback(
            order.vectors, order.starts, order.ordered, place, stops, stop_starts, counts
        )
        return Cut(order, counts)

    def _holds(self, rows: Int64) -> NDArray[np.bool_]:
        inside: NDArray[np.bool_] = self.order.program.index[rows] < self.counts[self.order.trace.process[rows]]
        return inside


def _require_known(order: HappensBefore, names: Iterable[str]) -> None:
    unknown = sorted(set(names) - set(order.trace.processes))
    if unknown:
        raise ValueError(f"no process has the name {', '.join(unknown)}: {', '.join(order.trace.processes)}")


def _some(edges: Edges, chosen: NDArray[np.bool_]) -> Edges:
    return Edges(edges.sources[chosen], edges.targets[chosen], edges.origin[chosen])


@dataclass(frozen=True)
class RolledBack:
    """How far one process has to go back.

    Attributes
    ----------
    checkpoint: row of the checkpoint that it restarts from; None: its initial state, or, with `events` 0, no rollback.
    checkpoints: how many of its checkpoints it passes over on the way, the one that it restarts from not counted.
    events: how many events are undone.
    """

    process: str
    checkpoint: int | None
    checkpoints: int
    events: int


def rollback_line(
    order: HappensBefore, checkpoints: Int64, failed: Sequence[str] | None = None
) -> tuple[Cut, tuple[RolledBack, ...]]:
    """The recovery line: the latest consistent cut that processes can return to, and each one's distance to it.

    A failed process goes back to its last checkpoint at least; the others keep their present state unless they received
    what was undone. Where rollbacks make rollbacks necessary down to the initial state, that is the domino effect
    (Randell 1975; Elnozahy, Alvisi, Wang and Johnson, "A Survey of Rollback-Recovery Protocols in Message-Passing
    Systems", ACM Computing Surveys 2002). O(c log c + p^2 log r), and O(p log r) for each step back.

    Parameters
    ----------
    checkpoints: rows after which a process's state was saved.
    failed: names of processes that lost their present state; None: all.

    Raises
    ------
    ValueError: for a name that no process has.
    """
    _require_known(order, failed or ())
    program, process = order.program, order.trace.process
    by_place = np.lexsort((program.index[checkpoints], process[checkpoints]))
    checkpoints = checkpoints[by_place]
    saved = program.index[checkpoints] + 1
    sizes = np.diff(program.starts)
    lost = [name in (failed if failed is not None else order.trace.processes) for name in order.trace.processes]
    stops: list[int] = []
    starts = [0]
    present = sizes.copy()
    for p, size in enumerate(sizes.tolist()):
        mine = saved[process[checkpoints] == p].tolist()
        if not lost[p] and size not in mine:
            mine.append(size)
        elif lost[p]:
            present[p] = mine[-1] if mine else 0
        stops += mine
        starts.append(len(stops))
    if not stops:
        stops, starts = [0], [0, *([1] * len(sizes))]  # the initial states: no stops at all would mean everywhere
    line = Cut(order, present)._rolled_back(np.array(stops, np.int64), np.array(starts, np.int64))
    return line, tuple(_distance(order, line, p, saved, checkpoints) for p in range(len(sizes)))


def _distance(order: HappensBefore, line: Cut, p: int, saved: Int64, checkpoints: Int64) -> RolledBack:
    mine = order.trace.process[checkpoints] == p
    count, places = int(line.counts[p]), saved[mine]
    undone = int(order.program.starts[p + 1] - order.program.starts[p]) - count
    at = np.flatnonzero(places == count)
    row = int(checkpoints[mine][at[-1]]) if undone and len(at) else None
    return RolledBack(order.trace.processes[p], row, int((places > count).sum()), undone)


def consistent_cuts(low: Cut, high: Cut) -> Iterator[Counts]:
    """The counts of every consistent cut from `low` to `high`, smaller ones first, each once.

    There may be exponentially many: take as many as you can afford. Memory: two levels of the lattice. O(p^2) a cut.
    Cooper and Marzullo, "Consistent Detection of Global Predicates", 1991.
    """
    order = low.order
    first, last = low.smallest_above(), high.largest_below()
    if not first <= last:
        return
    ends: Counts = tuple(last.counts.tolist())
    level: set[Counts] = {tuple(first.counts.tolist())}
    needed: dict[tuple[int, int], Counts] = {}

    def enabled(cut: Counts, p: int) -> bool:
        """Whether the next event of p has all its past in the cut."""
        key = (p, cut[p])
        if key not in needed:
            row = order.program.rows[order.program.starts[p] + cut[p]]
            fault = order.trace.kind[row] == Kind.FAULT
            needed[key] = () if fault else tuple(order.frontiers(row)[0].tolist())
        return all(want <= have or q == p for q, (want, have) in enumerate(zip(needed[key], cut, strict=False)))

    while level:
        yield from sorted(level)
        level = {
            (*cut[:p], cut[p] + 1, *cut[p + 1 :])
            for cut in level
            for p in range(len(ends))
            if cut[p] < ends[p] and enabled(cut, p)
        }


def count_consistent_cuts(low: Cut, high: Cut, limit: int = 100_000) -> int | None:
    """How many consistent cuts there are from `low` to `high`; None where there are more than `limit`."""
    count = 0
    for count, _ in enumerate(consistent_cuts(low, high), 1):
        if count > limit:
            return None
    return count


def unjoined(order: HappensBefore, cut: Cut | None = None) -> str:
    """Why a message may lead from outside of a cut to a receive inside of it (without a cut: from any event to any)
    though it is not known as one, so that the cut may be inconsistent; empty where none can. O(n)."""
    trace, messages = order.trace, order.messages
    if order.recovered is not None:
        return ""  # vectors tell all that came before an event
    whole = np.ones(len(trace), np.bool_)
    inside = whole if cut is None else order.program.index < cut.counts[trace.process]
    outside = whole if cut is None else ~inside
    gaps = order.program.gaps(trace)
    within = gaps[order.program.index[gaps] < (cut.counts[trace.process[gaps]] if cut is not None else len(trace))]
    if len(within):
        return (
            f"events before {trace.event(int(within[0]))} are not recorded (a gap in seq): one may have been a receive"
        )
    taken = np.flatnonzero((trace.kind == Kind.RECEIVE) & (messages.send_of < 0) & inside)
    if len(taken) and len(gaps):
        receive, gap = trace.event(int(taken[0])), trace.event(int(gaps[0]))
        return f"the message that {receive} received may have been sent before {gap}, where events are not recorded"
    unreceived = (trace.kind == Kind.SEND) & outside
    unreceived[messages.send_of[messages.send_of >= 0]] = False
    sent = np.flatnonzero(unreceived)
    if len(taken) and len(sent):
        receive, send = trace.event(int(taken[0])), trace.event(int(sent[0]))
        return (
            f"the message that {receive} received may be the one that {send} sent: {len(taken):,} such receives and "
            f"{len(sent):,} such sends are not joined"
        )
    copies = messages.uncertain[inside[messages.uncertain]]
    again = messages.sends[outside[messages.sends]]
    copies = copies[np.isin(messages.identity[copies], messages.identity[again])]
    return f"{trace.event(int(copies[0]))} may have received a later copy of its message" if len(copies) else ""
