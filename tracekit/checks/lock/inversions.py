"""Grants whose numbers (tokens, timestamps) do not grow in the order in which they came."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tracekit.checks.lock.holdings import Holdings

Int64 = NDArray[np.int64]


def inversions(holdings: Holdings, keep: Int64, value: Int64) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Pairs of grants of one lock, as positions, of which the first has the larger value: those that certainly came in
    that order, and those that may have. O(h).

    Each grant is compared with the largest value before it in the order in which grants stand. Where that order is
    certain from each to the next, it is certain altogether, and that decides; where it is not, the neighbours are told.
    """
    pairs: list[tuple[int, int]] = []
    unsure: list[tuple[int, int]] = []
    order, row, lock = holdings.order, holdings.first[keep], holdings.lock[keep]
    top = np.full(len(keep), -1, np.int64)
    for start, end in zip(*_groups(lock), strict=True):
        part = value[start:end]
        highest = np.maximum.accumulate(part)
        at = np.maximum.accumulate(np.where(part == highest, np.arange(len(part)), 0))
        top[start:end] = start + at
    lower = np.flatnonzero(value[top] > value)
    certain = order.before(row[top[lower]], row[lower])
    pairs += [(int(keep[top[k]]), int(keep[k])) for k in lower[certain].tolist()]
    unsure += [(int(keep[top[k]]), int(keep[k])) for k in lower[~certain].tolist()]
    # The order in which grants stand may be wrong where it is not certain: neighbours tell.
    same = np.flatnonzero(np.diff(lock) == 0)
    loose = same[~order.before(row[same], row[same + 1])]
    unsure += [(int(keep[k]), int(keep[k + 1])) for k in loose.tolist()]
    return pairs, unsure


def _groups(codes: Int64) -> tuple[list[int], list[int]]:
    edges = np.flatnonzero(np.diff(codes) != 0) + 1
    return [0, *edges.tolist()], [*edges.tolist(), len(codes)]
