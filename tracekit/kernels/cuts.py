"""Loops over cuts."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tracekit.kernels.engine import kernel

Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]
Int8 = NDArray[np.int8]


@kernel
def first_above(values: Int32, begin: int, end: int, column: int, limit: int) -> int:
    """The first row in [begin, end) of a column that never falls with a value above the limit; `end` for none."""
    while begin < end:
        middle = (begin + end) // 2
        if values[middle, column] > limit:
            end = middle
        else:
            begin = middle + 1
    return begin


@kernel
def last_stop(stops: Int64, begin: int, end: int, limit: int) -> int:
    """The largest of the ascending stops in [begin, end) that is not above the limit; 0, the start, for none."""
    first = begin
    while begin < end:
        middle = (begin + end) // 2
        if stops[middle] > limit:
            end = middle
        else:
            begin = middle + 1
    found: int = stops[begin - 1] if begin > first else 0
    return found


@kernel
def rollback(
    vectors: Int32, starts: Int64, ends: Int64, place: Int64, stops: Int64, stop_starts: Int64, counts_out: Int64
) -> int:
    """Lowers a cut to the largest consistent one below it whose counts are stops; returns how many times it went down.

    vectors, starts, ends: vector rows of receives, where each process's begin, and up to where they are known. place:
    place at its process of each receive. stops, stop_starts: ascending counts at which each process may stop, and where
    each process's begin, shape (processes + 1,); no stops at all: everywhere. A process that knows more of another than
    the cut holds goes back to before the receive that told it; whoever knows of what was taken back is asked again.
    """
    processes = len(starts) - 1
    anywhere = len(stops) == 0
    waiting = np.empty(processes, np.int64)
    queued = np.ones(processes, np.bool_)
    for p in range(processes):
        waiting[p] = p
    size = processes
    steps = 0
    while size > 0:
        size -= 1
        q = waiting[size]
        queued[q] = False
        for p in range(processes):
            if p == q:
                continue
            r = first_above(vectors, starts[p], ends[p], q, counts_out[q])
            if r == ends[p] or place[r] >= counts_out[p]:
                continue
            counts_out[p] = place[r] if anywhere else last_stop(stops, stop_starts[p], stop_starts[p + 1], place[r])
            steps += 1
            if not queued[p]:
                queued[p] = True
                waiting[size] = p
                size += 1
    return steps


@kernel
def condense(weights: Int64, requires: Int8, required: Int8, starts: Int64, first_out: Int8) -> int:
    """Joins neighbouring events that some cut of largest weight holds both or neither; returns how many groups remain.

    weights, requires, required: of events, process after process in program order: what each adds, and whether it has
    an edge from, or to, another event than its neighbours. starts: where each process's events begin. first_out: 0 on
    entry; 1 where a group begins. Events before a process's first group are in every such cut.

    An event that needs only its predecessor and takes nothing away is held wherever that one is. One that only its
    successor needs, and that adds nothing, is held only where that one is.
    """
    groups = 0
    begin = np.empty(len(weights), np.int64)
    total = np.empty(len(weights), np.int64)
    needs = np.empty(len(weights), np.int8)
    needed = np.empty(len(weights), np.int8)
    for p in range(len(starts) - 1):
        size = 0
        for i in range(starts[p], starts[p + 1]):
            begin[size], total[size], needs[size], needed[size] = i, weights[i], requires[i], required[i]
            size += 1
            while size > 0:
                top = size - 1
                if needs[top] == 0 and total[top] >= 0:
                    size -= 1
                    if size > 0:
                        total[top - 1] += total[top]
                        needed[top - 1] |= needed[top]
                elif top > 0 and needed[top - 1] == 0 and total[top - 1] <= 0:
                    total[top - 1] += total[top]
                    needs[top - 1] |= needs[top]
                    needed[top - 1] = needed[top]
                    size -= 1
                else:
                    break
        for k in range(size):
            first_out[begin[k]] = 1
        groups += size
    return groups
