"""Which holdings of a lock overlap: certainly, or possibly as far as the recording tells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tracekit.checks.lock.holdings import Holdings, ramp

Bool = NDArray[np.bool_]
Int64 = NDArray[np.int64]

PAIRS = 5_000_000
"""How many pairs of holdings are compared at most. What would need more is in doubt."""


@dataclass(frozen=True, eq=False)
class Overlaps:
    """Pairs of holdings of one lock by different holders, as positions in the holdings.

    Attributes
    ----------
    first, second: pairs that certainly overlap: each holding with the first later one that does.
    open_first, open_second: pairs of which it is not certain that one was over before the other began, nor that not.
    """

    first: Int64
    second: Int64
    open_first: Int64
    open_second: Int64


def overlaps(holdings: Holdings) -> Overlaps:
    """Compares each holding with the ones that began after it, until it was over. O(h) where no two overlap.

    Where each was certainly over before the next one of its lock began, no two overlap, since that is transitive. And
    one that was over before some other began does not certainly overlap those that began later still. Two of one holder
    next to each other may have begun in either order: what comes before the first is then compared with both.
    """
    pairs: list[tuple[Int64, Int64]] = []
    doubts: list[tuple[Int64, Int64]] = []
    of_another, loose, grants = _next_of_another_holder(holdings), _next_loose(holdings), _Grants.of(holdings)
    rest = np.arange(len(holdings))
    later = rest + 1
    compared = 0
    while len(rest):
        inside = later < holdings.last_of_lock[rest]
        rest, later = rest[inside], later[inside]
        other = holdings.holder[rest] != holdings.holder[later]
        compared += len(rest)
        if compared > PAIRS:
            doubts.append((rest, later))
            break
        apart = holdings.begins_after(later, rest)
        together = other & ~apart & holdings.overlap(rest, later)
        together[together] = ~grants.replaced(rest[together], later[together])
        unsure = other & ~apart & ~together & ~holdings.begins_after(rest, later)
        pairs.append((rest[together], later[together]))
        doubts.append((rest[unsure], later[unsure]))
        after_own = np.where(apart, len(holdings), of_another[later])
        then = np.where(other, np.where(apart, loose[later], later + 1), after_own)
        rest, later = rest[~together], then[~together]
    return Overlaps(*_joined(pairs), *_joined(doubts))


def _next_of_another_holder(holdings: Holdings) -> Int64:
    """Shape (h,): the position of the next holding that is another holder's."""
    changes = np.flatnonzero(np.diff(holdings.holder) != 0) + 1
    after = np.searchsorted(changes, np.arange(len(holdings)), side="right")
    return np.append(changes, len(holdings))[after]


def _next_loose(holdings: Holdings) -> Int64:
    """Shape (h,): of the holdings that follow with the same holder, the first that did not certainly begin after the
    one before it; h where there is none."""
    h = len(holdings)
    certain = holdings.order.before(holdings.first[:-1], holdings.first[1:])
    certain &= (holdings.begun & holdings.sound)[1:]
    at = np.flatnonzero((np.diff(holdings.holder) == 0) & (np.diff(holdings.lock) == 0) & ~certain) + 1
    found = np.append(at, h)[np.searchsorted(at, np.arange(h), side="right")]
    return np.where(found < _next_of_another_holder(holdings), found, h)


@dataclass(frozen=True, eq=False)
class _Grants:
    """Holdings of one lock by one holder, side by side.

    Attributes
    ----------
    by: shape (h,): positions of holdings, by lock, holder and position.
    place: shape (h,): where each stands in `by`. start, end: shape (h,): where those of its lock and holder stand.
    """

    holdings: Holdings
    by: Int64
    place: Int64
    start: Int64
    end: Int64

    @classmethod
    def of(cls, holdings: Holdings) -> _Grants:
        by = np.lexsort((holdings.holder, holdings.lock))
        new = np.ones(len(by), np.bool_)
        new[1:] = (np.diff(holdings.lock[by]) != 0) | (np.diff(holdings.holder[by]) != 0)
        place = np.empty(len(by), np.int64)
        place[by] = np.arange(len(by))
        starts = np.append(np.flatnonzero(new), len(by))
        group = np.cumsum(new)[place]
        return cls(holdings, by, place, starts[group - 1], starts[group])

    def replaced(self, first: Int64, second: Int64) -> Bool:
        """Of pairs that overlap, whether one's holder may have been granted the lock again, and have lost that, when
        the other began. Nobody recorded whether such a grant takes the place of the one before, or counts beside it.
        """
        return self._replaced(first, second) | self._replaced(second, first)

    def _replaced(self, first: Int64, second: Int64) -> Bool:
        """Pairs that would take more than `PAIRS` comparisons may be such ones."""
        low, high = self.start[first], self.end[first]
        if self.holdings.order.total:
            low, high = self.place[first] + 1, np.minimum(high, self.place[first] + np.maximum(second - first, 1))
        counts = high - low
        affordable = np.cumsum(counts) <= PAIRS
        counts[~affordable] = 0
        pair = np.repeat(np.arange(len(first)), counts)
        other = self.by[np.repeat(low, counts) + ramp(counts)]
        begin, before = self.holdings.first, self.holdings.order.before
        own, start = begin[first[pair]], begin[second[pair]]
        may = (other != first[pair]) & ~before(begin[other], own) & ~before(start, begin[other])
        may &= ~before(start, own) & ~self.holdings.ends_after(other, start)
        found = ~affordable
        np.logical_or.at(found, pair, may)
        return found


def _joined(pairs: list[tuple[Int64, Int64]]) -> tuple[Int64, Int64]:
    none = np.empty(0, np.int64)
    first = np.concatenate([none, *(a for a, _ in pairs)])
    second = np.concatenate([none, *(b for _, b in pairs)])
    order = np.lexsort((second, first))
    return first[order], second[order]
