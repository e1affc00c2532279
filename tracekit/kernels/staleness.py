"""How many writes certainly lie between what a read returned and the read."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tracekit.kernels.engine import kernel

Array = NDArray[np.int64]
Groups = NDArray[np.int32]


@kernel
def first_after(begins: Array, moment: Array, wanted: Groups, when: Array, strictly: bool, place_out: Array) -> None:
    """For each query the first place of its group whose moment is after `when`, else where the group ends.

    begins: where each group begins, and one more. moment: ascending in each group. strictly: false counts those at the
    same moment as after it. O(queries log n).
    """
    for q in range(len(wanted)):
        low, high = begins[wanted[q]], begins[wanted[q] + 1]
        while low < high:
            middle = (low + high) // 2
            if moment[middle] > when[q] or (not strictly and moment[middle] == when[q]):
                high = middle
            else:
                low = middle + 1
        place_out[q] = low


@kernel
def versions_between(
    done: Array, rank: Array, moment: Array, first: Array, last: Array, count_out: Array, writes: int
) -> None:
    """For each query the writes with ranks first..last-1 that were done before its moment. O((writes + queries) log n).

    done: ascending, when each write was done; rank: its place by key, then start. moment: ascending, of the queries.
    Counts by a tree of partial sums (Fenwick 1994).
    """
    tree = np.zeros(writes + 1, np.int64)
    taken = 0
    for q in range(len(moment)):
        while taken < len(done) and done[taken] < moment[q]:
            i = rank[taken] + 1
            while i <= writes:
                tree[i] += 1
                i += i & -i
            taken += 1
        total = 0
        i = last[q]
        while i > 0:
            total += tree[i]
            i -= i & -i
        i = first[q]
        while i > 0:
            total -= tree[i]
            i -= i & -i
        count_out[q] = total
