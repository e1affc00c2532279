"""Registers of unique values: linearizability by the zones of Gibbons & Korach, for all keys at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from tracekit.checks.consistency.cells import Cells, selected
from tracekit.execution import Budget
from tracekit.history.models import ABSENT, ANY
from tracekit.history.operations import NEVER
from tracekit.kernels.engine import kernels

Int64 = NDArray[np.int64]

INITIAL = -(2**63)
"""The moment of the write that nobody recorded: the initial value's. Before every `BEGINNING`."""


@dataclass(frozen=True)
class Clash:
    """Two values of one key that cannot be put in any order.

    Entries into `Cells.actions`; -1 stands for the initial value, which was there before everything.

    Attributes
    ----------
    first, second: writers of the two values.
    before, after: `before` has or writes the first value and ended before `after`, of the second, began.
    back, again: `back` is of the second value and ended before `again`, of the first, began.
    """

    first: int
    second: int
    before: int
    after: int
    back: int
    again: int


@dataclass(frozen=True, eq=False)
class Zoned:
    """What the zones say.

    Attributes
    ----------
    unwritten: by key, the first read of a value that nobody wrote.
    early: by key, (read, write): the first read that had ended before the write of its value began.
    clashes: by key, the first clash.
    counts: by key, how many reads and values are wrong in all.
    order: entries of `Cells.actions` in an order that is a linearization of every key without violations.
    """

    unwritten: dict[int, int] = field(default_factory=dict)
    early: dict[int, tuple[int, int]] = field(default_factory=dict)
    clashes: dict[int, Clash] = field(default_factory=dict)
    counts: dict[int, int] = field(default_factory=dict)
    cluster_place: Int64 | None = None
    cluster: Int64 | None = None
    writes: NDArray[np.bool_] | None = None

    def linearization(self, cells: Cells) -> Int64:
        """Entries of `Cells.actions`, key by key: clusters by place, in each the write, then reads as they began."""
        assert self.cluster is not None and self.cluster_place is not None and self.writes is not None
        place = self.cluster_place[self.cluster]
        return np.lexsort((cells.actions.start, ~self.writes, place, cells.key))


def decide(cells: Cells) -> Zoned:
    """Judges every key of cells that are all `written_once`. O(n log n)."""
    a, key = cells.actions, cells.key
    n = len(key)
    clusters = clusters_of(cells)
    cluster, writer, writes = clusters.cluster, clusters.writer, clusters.writes
    written = writer[: len(writer) - len(cells)]
    began = np.append(a.start, INITIAL)[writer[cluster]] if n else a.start
    # Reads that ended before their write began are wrong by themselves; what else is wrong shows without them.
    early = np.flatnonzero((cluster >= 0) & (a.end < began))
    unwritten = np.flatnonzero(cluster < 0)
    early_writer = writer[cluster[early]]
    cluster[early] = -1
    run = kernels("linearizability_zones", work=2 * n)
    first, last = (np.full(len(writer), -1, np.int64) for _ in range(2))
    run.zones(a.start, a.end, cluster, first, last)
    low = np.where(first >= 0, a.end[first], INITIAL) if n else np.full(len(writer), INITIAL)
    low[len(written) :] = INITIAL
    high = np.where(last >= 0, a.start[last], INITIAL) if n else low.copy()
    cluster_key = np.concatenate([key[writer[: len(written)]], np.arange(len(cells))])
    found = _conflicts(run, len(cells), cluster_key, low, high, last)
    rank, one, two, count = found
    zoned = Zoned(cluster_place=rank, cluster=cluster, writes=writes)
    for k in np.flatnonzero(one >= 0).tolist():
        c, d = int(one[k]), int(two[k])
        # The value whose return breaks the rule, the one with the later start, is called the first. That start is a
        # read's: its cluster has an operation that ended before it, and no read ended before its write began.
        c, d = (c, d) if high[c] >= high[d] else (d, c)
        before = int(first[c]) if writer[c] >= 0 else -1
        zoned.clashes[k] = Clash(int(writer[c]), int(writer[d]), before, int(last[d]), int(first[d]), int(last[c]))
        zoned.counts[k] = int(count[k])
    for i, w in zip(early[::-1].tolist(), early_writer[::-1].tolist(), strict=True):
        k = int(key[i])
        zoned.early[k] = (i, w)
        zoned.counts[k] = zoned.counts.get(k, 0) + 1
    for i in unwritten[::-1].tolist():
        k = int(key[i])
        zoned.unwritten[k] = i
        zoned.counts[k] = zoned.counts.get(k, 0) + 1
    return zoned


def doomed(cells: Cells, entries: Sequence[int], budget: Budget) -> int | None:
    """The operation at whose completion a key broke: no order was left for what had happened until then.

    entries: operations of the key that show that it broke by the time they have all ended. Found by halving, O(n log n)
    for each of O(log n) moments; None: the budget ended.
    """
    a = cells.actions
    ended = [e for e in entries if e >= 0 and a.end[e] != NEVER]
    if not ended:
        return None
    latest = max(int(a.end[e]) for e in ended)
    chosen = np.flatnonzero((cells.key == cells.key[ended[0]]) & (a.start <= latest))
    part = selected(cells, chosen)
    completed = np.flatnonzero(part.actions.end <= latest)
    completed = completed[np.argsort(part.actions.end[completed], kind="stable")]
    low, high, stride = -1, len(completed) - 1, 1
    while high - low > 1:
        if budget.left < 0:
            return None
        # Mostly it broke where it was noticed: look there first, in growing strides.
        middle = high - stride if high - stride > low else (low + high) // 2
        if _broken_at(part, int(part.actions.end[completed[middle]])):
            high, stride = middle, 2 * stride
        else:
            low, stride = middle, len(completed)
    return int(chosen[completed[high]])


def _broken_at(cells: Cells, moment: int) -> bool:
    """Whether what had happened by a moment breaks; operations that were open then are left open, reads out."""
    a = cells.actions
    there = (a.start <= moment) & ((a.end <= moment) | (a.effect != ANY))
    part = selected(cells, there)
    end = np.where(part.actions.end > moment, NEVER, part.actions.end)
    return bool(decide(replace(part, actions=replace(part.actions, end=end))).counts)


@dataclass(frozen=True, eq=False)
class Clusters:
    """The write of each value of each key with the reads of it.

    Attributes
    ----------
    cluster: int64, shape (k,): of each operation; -1: a read of a value that nobody wrote.
    writer: the write of each cluster; behind those of values, one a key for the initial value: -1.
    writes: shape (k,): which operations are writes.
    """

    cluster: Int64
    writer: Int64
    writes: NDArray[np.bool_]


def clusters_of(cells: Cells) -> Clusters:
    """Of cells that are all `written_once`. O(n log n)."""
    a, key = cells.actions, cells.key
    size = max(len(a.values), 1)
    writes = a.effect != ANY
    value = np.where(writes, a.effect, np.where(a.or_equals != ANY, ABSENT, a.equals))
    written = np.flatnonzero(writes)
    sorting = np.argsort(key[written] * size + value[written], kind="stable")
    writer = np.concatenate([written[sorting], np.full(len(cells), -1, np.int64)])
    return Clusters(_clusters(key, value, writes, writer, len(written), size), writer, writes)


def _clusters(key: Int64, value: Int64, writes: NDArray[np.bool_], writer: Int64, written: int, size: int) -> Int64:
    """The cluster of each operation: the write of its value, behind those one a key for the initial value; else -1."""
    cluster = np.full(len(key), -1, np.int64)
    cluster[writer[:written]] = np.arange(written)
    reads = np.flatnonzero(~writes)
    names = (key * size + value)[writer[:written]]
    wanted = key[reads] * size + value[reads]
    place = _guessed(value, writer[:written], reads, size)
    found = names[place] == wanted if written else np.zeros(len(reads), np.bool_)
    missed = np.flatnonzero(~found)
    if written and len(missed):
        place[missed] = np.minimum(np.searchsorted(names, wanted[missed]), written - 1)
        found[missed] = names[place[missed]] == wanted[missed]
    cluster[reads[found]] = place[found]
    initial = reads[value[reads] == ABSENT]
    cluster[initial] = written + key[initial]
    return cluster


def _guessed(value: Int64, writers: Int64, reads: Int64, size: int) -> Int64:
    """For each read the place of a write of its value, at whatever key: right wherever keys do not share values.

    A table of values instead of a binary search among the writes: five times faster for millions.
    """
    table = np.zeros(size, np.int64)
    table[value[writers]] = np.arange(len(writers))
    return table[value[reads]]


def _conflicts(
    run: ModuleType, keys: int, cluster_key: Int64, low: Int64, high: Int64, last: Int64
) -> tuple[Int64, Int64, Int64, Int64]:
    """Place of every cluster; by key, the first two that clash, and how many clash with one before them."""
    forward = low < high
    used = np.flatnonzero((last >= 0) | (low != INITIAL))
    # Stable sorts, last criterion first: forward zones behind backward ones of the same place.
    order = np.concatenate([used[~forward[used]], used[forward[used]]])
    order = order[np.argsort(np.minimum(low, high)[order], kind="stable")]
    if keys > 1:
        narrow = cluster_key.astype(np.uint16) if keys < 2**16 else cluster_key
        order = order[np.argsort(narrow[order], kind="stable")]
    one, two = (np.full(keys, -1, np.int64) for _ in range(2))
    count = np.zeros(keys, np.int64)
    run.conflicts(order, cluster_key, low, high, one, two, count)
    rank = np.zeros(len(low), np.int64)
    rank[order] = np.arange(len(order))
    return rank, one, two, count
