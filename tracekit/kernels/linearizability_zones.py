"""Zones of Gibbons and Korach (1997): registers whose written values are all different."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tracekit.kernels.engine import kernel

Array = NDArray[np.int64]


@kernel
def zones(start: Array, end: Array, cluster: Array, first_out: Array, last_out: Array) -> None:
    """Per cluster (a write and the reads of its value) the operation that ends first and the one that starts last.

    first_out and last_out come filled with -1. Operations of a negative cluster are left out.
    """
    for i in range(len(start)):
        c = cluster[i]
        if c < 0:
            continue
        if first_out[c] < 0 or end[i] < end[first_out[c]]:
            first_out[c] = i
        if last_out[c] < 0 or start[i] > start[last_out[c]]:
            last_out[c] = i


@kernel
def conflicts(
    order: Array, key: Array, low: Array, high: Array, first_out: Array, second_out: Array, count_out: Array
) -> None:
    """Per key the first two clusters that cannot be put in any order, and how many clusters clash with one before.

    low[c] is the earliest end in cluster c, high[c] the latest start. Some operation of c precedes one of d exactly if
    low[c] < high[d]; so c and d clash if low[c] < high[d] and low[d] < high[c]. `order` sorts clusters by key, then
    min(low, high), backward zones (high <= low) before forward ones.

    Why a sweep is enough. A clash needs a forward zone (low < high): with both backward,
    high[d] <= low[d] < high[c] <= low[c] < high[d]. Let c be the forward one that comes first in `order`. If d is
    forward, low[c] <= low[d] < high[d] and only low[d] < high[c] is open. If d is backward, low[c] < high[d] makes
    high[d] the larger of the two places in `order`, so d comes after c, and only low[d] < high[c] is open. Both ask
    for the largest high among the forward zones before d. That forward zone also has low before d's place: for a
    backward d strictly, unless low[c] == high[d], and then d stands before c.
    """
    current = -1
    reach = -1
    for position in range(len(order)):
        c = order[position]
        if key[c] != current:
            current = key[c]
            reach = -1
        if reach >= 0 and low[c] < high[reach] and low[reach] < high[c]:
            count_out[current] += 1
            if first_out[current] < 0:
                first_out[current] = reach
                second_out[current] = c
        if low[c] < high[c] and (reach < 0 or high[c] > high[reach]):
            reach = c
