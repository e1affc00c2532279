"""What the session guarantees demand of the one order of all writes: constraints, with linearly many edges.

Nodes are the entries of the `Sessions`, and behind them gatherers: a gatherer comes after a growing set of writes, so
that one edge out of it stands for an edge out of each.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracekit.history.sessions import INITIAL, Sessions
from tracekit.kernels.engine import kernels

Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]
Bool = NDArray[np.bool_]

SEEDS = 20
"""Nodes of a component from which a shorter cycle is looked for."""

SMALL = 10_000
"""Components of more nodes are searched from a few nodes only."""


class Axiom(IntEnum):
    """The four session guarantees."""

    READ_YOUR_WRITES = 0
    MONOTONIC_READS = 1
    MONOTONIC_WRITES = 2
    WRITES_FOLLOW_READS = 3


@dataclass(frozen=True, eq=False)
class Constraints:
    """Edges of the order of writes.

    Attributes
    ----------
    start, end: shape (e,): entries, or gatherers from ``len(sessions)`` on.
    axiom: shape (e,): `Axiom`.
    read: shape (e,): the read that the constraint comes from; -1 where it is on another edge of the gatherer, or none.
    before: shape (e,): for monotonic reads the session's earlier read, else -1.
    beside: shape (gatherers,): the write that each gatherer stands beside: after it, or before where `ahead`.
    """

    start: Int32
    end: Int32
    axiom: NDArray[np.int8]
    read: Int32
    before: Int32
    beside: Int32
    ahead: bool = False

    @classmethod
    def of(
        cls,
        axiom: Axiom,
        parts: Iterable[tuple[Int64, Int64, Int64]],
        before: Int64 | None = None,
        beside: Int64 | None = None,
        ahead: bool = False,
    ) -> Constraints:
        """Edges of one guarantee: start, end and read of each part."""
        start, end, read = (np.concatenate(column, dtype=np.int32) for column in zip(*parts, strict=True))
        n = len(start)
        return cls(
            start,
            end,
            np.full(n, axiom, np.int8),
            read,
            np.full(n, -1, np.int32) if before is None else before.astype(np.int32),
            np.empty(0, np.int32) if beside is None else beside.astype(np.int32),
            ahead,
        )

    def __add__(self, other: Constraints) -> Constraints:
        """Both together; at most one of them has gatherers."""
        assert not (len(self.beside) and len(other.beside)), "gatherers of both would have the same numbers"
        names = ("start", "end", "axiom", "read", "before", "beside")
        both = {name: np.concatenate([getattr(self, name), getattr(other, name)]) for name in names}
        return replace(self, ahead=self.ahead or other.ahead, **both)

    def in_cycles(self, place: Int32) -> Int64:
        """Edges that can be part of a cycle: int64, those between nodes that some edge backwards in the file spans.

        A cycle that leads from an earlier operation to a later one must come back, and over every operation between:
        each of its nodes lies between the ends of one of its edges backwards. O(e). place: as of `cycles`.
        """
        # A gatherer stands right behind its write, or right before it.
        moment = np.concatenate([3 * place, 3 * place[self.beside] + (-1 if self.ahead else 1)]) + 1
        start, end = moment[self.start], moment[self.end]
        back = start >= end
        depth = np.bincount(end[back], minlength=3 * len(place) + 2)
        depth -= np.bincount(start[back] + 1, minlength=len(depth) + 1)[: len(depth)]
        spanned = np.cumsum(depth) > 0
        return np.flatnonzero(spanned[start] & spanned[end])


@dataclass(frozen=True, eq=False)
class Places:
    """The entries session by session and, within each, key by key, in program order.

    Attributes
    ----------
    entry: shape (n,): the entries in that order. group: shape (n,): where the group of each place begins.
    """

    entry: Int64
    group: Int64

    @classmethod
    def of(cls, sessions: Sessions) -> Places:
        """O(n log n)."""
        code = sessions.session.astype(np.int64) * len(sessions.names) + sessions.key
        entry = np.argsort(code, kind="stable")
        code = code[entry]
        first = np.ones(len(code), np.bool_)
        first[1:] = code[1:] != code[:-1]
        return cls(entry, np.maximum.accumulate(np.where(first, np.arange(len(code)), 0)))

    def previous(self, chosen: Bool) -> Int64:
        """For each place the last chosen place before it in its group, -1 where there is none."""
        at = np.full(len(chosen), -1)
        at[1:] = np.maximum.accumulate(np.where(chosen, np.arange(len(chosen)), -1))[:-1]
        return np.where(at >= self.group, at, -1)


def missed(sessions: Sessions, places: Places, axiom: Axiom) -> Int64:
    """Reads of the initial value to which a write of the key must have been visible, and the entry that shows it.

    int64, shape (m, 2). The entry is the session's own write, or its earlier read of another value.
    """
    shows = _shows(sessions, axiom)[places.entry]
    last = places.previous(shows)
    wrong = np.flatnonzero((sessions.source[places.entry] == INITIAL) & (last >= 0))
    return np.stack([places.entry[wrong], places.entry[last[wrong]]], axis=1)


def stale_own_reads(sessions: Sessions, places: Places) -> Int64:
    """Reads that return a write of their own session after it had written the key again."""
    own = (sessions.write & ~sessions.open)[places.entry]
    source, last = sessions.source[places.entry].astype(np.int64), places.previous(own)
    reads = np.flatnonzero((source >= 0) & (last >= 0))
    written, latest = source[reads], places.entry[last[reads]]
    # Entries of a session ascend in program order.
    stale = (sessions.session[written] == sessions.session[latest]) & (written < latest) & ~sessions.open[written]
    return np.sort(places.entry[reads[stale]])


def _shows(sessions: Sessions, axiom: Axiom) -> Bool:
    if axiom is Axiom.READ_YOUR_WRITES:
        return sessions.write & ~sessions.open
    if axiom is Axiom.MONOTONIC_READS:
        return sessions.source >= 0
    return np.zeros(len(sessions), np.bool_)


def constraints_of(sessions: Sessions, places: Places, axiom: Axiom) -> Constraints:
    """What one guarantee demands of the order of writes. O(n)."""
    if axiom is Axiom.READ_YOUR_WRITES:
        return _own_writes(sessions, places)
    if axiom is Axiom.MONOTONIC_READS:
        return _reads(sessions, places)
    if axiom is Axiom.MONOTONIC_WRITES:
        return _writes(sessions)
    return _after_reads(sessions)


def _reads(sessions: Sessions, places: Places) -> Constraints:
    """What a session read stays visible: of two of its reads at a key, the earlier's write is not the later one.

    From one read to the next is enough: each comes after all that were read before it.
    """
    source = sessions.source[places.entry].astype(np.int64)
    before = places.previous(source >= 0)
    at = np.flatnonzero((source >= 0) & (before >= 0))
    at = at[source[at] != source[before[at]]]
    earlier = before[at]
    return Constraints.of(
        Axiom.MONOTONIC_READS, [(source[earlier], source[at], places.entry[at])], places.entry[earlier]
    )


def _writes(sessions: Sessions) -> Constraints:
    """A session's writes are in its own order; nothing comes after a write that was not answered."""
    entry = np.arange(len(sessions))
    answered = np.zeros(len(sessions), np.int64)
    answered[1:] = np.maximum.accumulate(np.where(sessions.write & ~sessions.open, entry, -1))[:-1]
    begin = sessions.starts[sessions.session]
    at = np.flatnonzero(sessions.write & (answered >= begin) & (entry > begin))
    return Constraints.of(Axiom.MONOTONIC_WRITES, [(answered[at], at, np.full(len(at), -1))])


def _after_reads(sessions: Sessions) -> Constraints:
    """What a session read comes before all that it writes later: gathered at the next write, and from there on."""
    n = len(sessions)
    entry = np.arange(n)
    ends = sessions.starts[1:][sessions.session]
    following = np.full(n, n)
    if n:
        following[:-1] = np.minimum.accumulate(np.where(sessions.write, entry, n)[::-1])[::-1][1:]
    reads = np.flatnonzero((sessions.source >= 0) & (following < ends))
    home, gatherer = np.unique(following[reads], return_inverse=True)  # each gatherer stands right before a write
    parts = [(sessions.source[reads].astype(np.int64), n + gatherer, reads)]
    nothing = np.full(len(home), -1)
    goes_on = np.flatnonzero(sessions.session[home[1:]] == sessions.session[home[:-1]])
    parts.append((n + goes_on, n + goes_on + 1, nothing[goes_on]))
    writes = np.flatnonzero(sessions.write)
    last = np.searchsorted(home, writes, side="right") - 1
    if len(home):
        own = (last >= 0) & (sessions.session[home[np.maximum(last, 0)]] == sessions.session[writes])
        parts.append((n + last[own], writes[own], np.full(int(own.sum()), -1)))
    return Constraints.of(Axiom.WRITES_FOLLOW_READS, parts, beside=home, ahead=True)


def _own_writes(sessions: Sessions, places: Places) -> Constraints:
    """A session's own writes are visible to its reads: at a key all but the one read come before that one.

    A gatherer after each write stands for it and those of the session at the key before it. If the write read is one
    of them, those before it are gathered; those between it and the read come before it one by one: up to the next
    write that the session itself read, which is enough, for that one comes after the first by a read of its own.
    """
    n, entry = len(sessions), places.entry
    own = (sessions.write & ~sessions.open)[entry]
    source = sessions.source[entry].astype(np.int64)
    last = places.previous(own)
    mine = np.flatnonzero(own)
    nothing = np.full(len(mine), -1)
    parts = [(entry[mine], n + mine, nothing)]
    chained = mine[last[mine] >= 0]
    parts.append((n + last[chained], n + chained, nothing[: len(chained)]))
    reads = np.flatnonzero((source >= 0) & (last >= 0))
    place = np.empty(n, np.int64)
    place[entry] = np.arange(n)
    written = place[source[reads]]
    of_own = (places.group[written] == places.group[reads]) & own[written] & (written < reads)
    foreign = reads[~of_own]
    parts.append((n + last[foreign], source[foreign], entry[foreign]))
    reads, written = reads[of_own], written[of_own]
    earlier = last[written] >= 0
    parts.append((n + last[written[earlier]], entry[written[earlier]], entry[reads[earlier]]))
    parts.append(_replaced(entry, own, last, reads, written))
    return Constraints.of(Axiom.READ_YOUR_WRITES, parts, beside=entry)


def _replaced(entry: Int64, own: Bool, last: Int64, reads: Int64, written: Int64) -> tuple[Int64, Int64, Int64]:
    """The own writes between an own write and a later read of it, which must come before it."""
    latest = np.lexsort((reads, written))
    reads, written = reads[latest], written[latest]
    final = np.ones(len(written), np.bool_)
    final[:-1] = written[1:] != written[:-1]
    reads, written = reads[final], written[final]
    until = last[reads]
    until[:-1] = np.minimum(until[:-1], written[1:])  # of another group it lies behind the read, and changes nothing
    rank = np.cumsum(own)
    count = np.maximum(rank[until] - rank[written], 0)
    mine = np.flatnonzero(own)
    first = np.repeat(rank[written], count)  # the place after a write with rank i is mine[i]
    offset = np.arange(len(first)) - np.repeat(np.cumsum(count) - count, count)
    between = mine[first + offset]
    return entry[between], entry[np.repeat(written, count)], entry[np.repeat(reads, count)]


def cycles(constraints: Constraints, place: Int32, most: int) -> tuple[int, list[Int64]]:
    """How many knots the constraints have (components with a cycle), and a short cycle of each of the first.

    A cycle is an array of edges. O(nodes + edges), and a breadth-first search a seed. place: shape (n,), of the
    entries in the recording.
    """
    chosen = constraints.in_cycles(place)
    if not len(chosen):
        return 0, []
    begins, leads, nodes = _renumbered(constraints.start[chosen], constraints.end[chosen], len(place))
    order = np.argsort(begins, kind="stable")
    firsts = np.zeros(nodes + 1, np.int32)
    np.cumsum(np.bincount(begins, minlength=nodes), out=firsts[1:])
    targets = leads[order].astype(np.int32)
    module = kernels("arbitration", work=nodes + len(order))
    component = np.empty(nodes, np.int32)
    count = module.components(firsts, targets, component)
    sizes = np.bincount(component, minlength=count)
    knotted = np.flatnonzero(sizes > 1)
    members = np.flatnonzero(sizes[component] > 1)
    members = members[np.argsort(component[members], kind="stable")]
    last = np.cumsum(sizes[knotted])
    found = []
    for knot, end in list(zip(knotted.tolist(), last.tolist(), strict=True))[:most]:
        size = int(sizes[knot])
        seeds = members[end - size : end]
        seeds = seeds[:: max(1, size // (SEEDS if size <= SMALL else 3))]
        found.append(chosen[order[_shortest(module, firsts, targets, component, seeds, size)]])
    return len(knotted), found


def _renumbered(start: Int32, end: Int32, entries: int) -> tuple[Int32, Int32, int]:
    """The ends of edges as numbers of only those nodes that have any, and how many these are."""
    used = np.zeros(2 * entries, np.bool_)  # a gatherer stands beside an entry, so there are no more
    used[start] = True
    used[end] = True
    number = np.cumsum(used, dtype=np.int32) - 1
    return number[start], number[end], int(number[-1]) + 1


def _shortest(module: Any, firsts: Int32, targets: Int32, component: Int32, seeds: Int64, size: int) -> Int32:
    best = cycle = np.empty(size, np.int32)
    for seed in seeds.tolist():
        length = module.shortest_cycle(firsts, targets, component, cycle, seed)
        if length < len(best) or best is cycle:
            best = cycle[:length].copy()
    return best
