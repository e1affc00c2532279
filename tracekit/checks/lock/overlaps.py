"""Which holdings of a lock overlap: certainly, or possibly as far as the recording tells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tracekit.checks.lock.holdings import Holdings

Int64 = NDArray[np.int64]

PAIRS = 5_000_000
"""How many pairs of holdings are compared at most. Only pairs whose order is not known need so many; with one such pair
nothing is claimed to hold any more."""


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
    one that was over before some other began does not certainly overlap those that began later still. A grant to who
    has the lock already takes the place of the one before.
    """
    pairs: list[tuple[Int64, Int64]] = []
    doubts: list[tuple[Int64, Int64]] = []
    rest = np.arange(len(holdings))
    compared, distance = 0, 1
    while compared < PAIRS:
        rest = rest[rest + distance < holdings.last_of_lock[rest]]
        if not len(rest):
            break
        later = rest + distance
        compared += len(rest)
        other = holdings.holder[rest] != holdings.holder[later]
        apart = holdings.begins_after(later, rest)
        together = other & ~apart & holdings.overlap(rest, later)
        unsure = other & ~apart & ~together & ~holdings.begins_after(rest, later)
        pairs.append((rest[together], later[together]))
        doubts.append((rest[unsure], later[unsure]))
        rest = rest[other & ~apart & ~together]
        distance += 1
    return Overlaps(*_joined(pairs), *_joined(doubts))


def _joined(pairs: list[tuple[Int64, Int64]]) -> tuple[Int64, Int64]:
    none = np.empty(0, np.int64)
    first = np.concatenate([none, *(a for a, _ in pairs)])
    second = np.concatenate([none, *(b for _, b in pairs)])
    order = np.lexsort((second, first))
    return first[order], second[order]
