"""An order of the values of one register, where real time is known up to a skew and program order exactly."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tracekit.kernels.engine import kernel

Array = NDArray[np.int64]

# zone: one row a cluster (a write and the reads of its value).
LOW, HIGH = 0, 1
# sorting: clusters by low, and by high.
BY_LOW, BY_HIGH = 0, 1


@kernel
def values_order(
    zone: Array, sorting: Array, first_edge: Array, edges: Array, waits: Array, free_out: Array, order_out: Array
) -> int:
    """Topological order of the clusters (Kahn 1962); returns how many have a place: all, or there is a cycle.

    c comes before d if low[c] < high[d], c is not d: some operation of c had ended when one of d began, beyond doubt;
    or if there is an edge: edges[first_edge[c]:first_edge[c + 1]] are the clusters that c precedes in program order.
    waits: how many edges lead to each cluster; it is used up.

    The n^2 pairs of the first kind are never looked at: a cluster has no such predecessor left once its high is not
    above the lowest low of the *others* that are left, and that bound only rises.
    """
    n = len(zone)
    tail, place = 0, 0
    lowest, second, reach = 0, 1, 0
    while place < n:
        while lowest < n and free_out[sorting[lowest, BY_LOW]] == 2:
            lowest += 1
        second = max(second, lowest + 1)
        while second < n and free_out[sorting[second, BY_LOW]] == 2:
            second += 1
        m = sorting[lowest, BY_LOW]
        while reach < n and zone[sorting[reach, BY_HIGH], HIGH] <= zone[m, LOW]:
            c = sorting[reach, BY_HIGH]
            reach += 1
            if free_out[c] == 0:
                free_out[c] = 1
                if waits[c] == 0:
                    order_out[tail] = c
                    tail += 1
        if free_out[m] == 0 and (second >= n or zone[m, HIGH] <= zone[sorting[second, BY_LOW], LOW]):
            free_out[m] = 1
            if waits[m] == 0:
                order_out[tail] = m
                tail += 1
        if place == tail:
            break
        c = order_out[place]
        place += 1
        free_out[c] = 2
        for e in range(first_edge[c], first_edge[c + 1]):
            d = edges[e]
            waits[d] -= 1
            if waits[d] == 0 and free_out[d] == 1:
                order_out[tail] = d
                tail += 1
    return place
