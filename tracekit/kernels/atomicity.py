"""Whether some order of the operations, as real time allows, gives every read one of the last one or two writes.

Golab, Hurwitz and Li, On the k-atomicity-verification problem, ICDCS 2013: limited backtracking. The order is built
from its end, in epochs. An epoch begins with a write that ended before no other one began. What it has behind it is
settled: reads that began after it was done, and are of other writes, stand behind it, so they are all of one write,
which is the next before it; and so on until no such reads are left. An epoch that comes to its end never has to be
taken back: what remains has an order if the whole has one, and then the epoch fits behind it. So only the write that
an epoch begins with is tried; one that fails is undone.

Reads of a write stand behind it and before the next one, unless they began after that was done. A write is done when
it, or the first of its reads, has ended; nothing that began later may stand before it.

Writes and reads are places, key after key, ascending by `start` within each. of: the reads of each write, from
``of_first[w]`` to ``of_first[w + 1]``. by_done: the writes of each key, the last done first. tails: behind which place
all writes, and all reads, are gone.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tracekit.kernels.engine import kernel

Array = NDArray[np.int64]
Flags = NDArray[np.bool_]

ATOMIC, NOT_ATOMIC, UNDECIDED = 1, 0, -1


@kernel
def epoch(
    begin: int,
    k: int,
    start: Array,
    done: Array,
    read_start: Array,
    source: Array,
    of_first: Array,
    of: Array,
    lowest_write: int,
    lowest_read: int,
    gone_write: Flags,
    gone_read: Flags,
    trail_write: Array,
    trail_read: Array,
    tails: Array,
) -> tuple[int, int]:
    """Takes the epoch that begins with a write; returns how many writes it has, 0 if there is none, and its steps."""
    write, last, tail = begin, tails[0], tails[1]
    writes = reads = 0
    fits = True
    while True:
        while gone_write[last - 1]:
            last -= 1
        if done[write] < start[last - 1]:
            fits = False
            break
        gone_write[write] = True
        trail_write[writes] = write
        writes += 1
        for i in range(of_first[write], of_first[write + 1]):
            if not gone_read[of[i]]:
                gone_read[of[i]] = True
                trail_read[reads] = of[i]
                reads += 1
        following = -1
        while tail > lowest_read and (gone_read[tail - 1] or read_start[tail - 1] > done[write]):
            tail -= 1
            if gone_read[tail]:
                continue
            if k == 1 or (following >= 0 and source[tail] != following):
                fits = False
                break
            following = source[tail]
            gone_read[tail] = True
            trail_read[reads] = tail
            reads += 1
        if not fits or following < 0:
            break
        write = following
    if fits:
        while last > lowest_write and gone_write[last - 1]:
            last -= 1
        tails[0], tails[1] = last, tail
        return writes, writes + reads
    for i in range(writes):
        gone_write[trail_write[i]] = False
    for i in range(reads):
        gone_read[trail_read[i]] = False
    return 0, writes + reads + 1


@kernel
def is_atomic(
    k: int,
    write_first: Array,
    read_first: Array,
    start: Array,
    done: Array,
    by_done: Array,
    read_start: Array,
    source: Array,
    of_first: Array,
    of: Array,
    most: int,
) -> int:
    """Whether all keys are k-atomic, for k of 1 or 2. O(n log n) mostly, O(n^2) at worst: then undecided after `most`
    steps."""
    gone_write, gone_read = np.zeros(len(start), np.bool_), np.zeros(len(read_start), np.bool_)
    trail_write, trail_read = np.empty(len(start), np.int64), np.empty(len(read_start), np.int64)
    tails = np.empty(2, np.int64)
    steps = 0
    for key in range(len(write_first) - 1):
        low, high = write_first[key], write_first[key + 1]
        tails[0], tails[1] = high, read_first[key + 1]
        head, left = low, high - low
        while left > 0:
            while gone_write[by_done[head]]:
                head += 1
            taken, i = 0, head
            while taken == 0 and i < high and done[by_done[i]] >= start[tails[0] - 1]:
                if not gone_write[by_done[i]]:
                    taken, more = epoch(
                        by_done[i], k, start, done, read_start, source, of_first, of, low, read_first[key],
                        gone_write, gone_read, trail_write, trail_read, tails,
                    )  # fmt: skip
                    steps += more
                i += 1
                steps += 1
                if steps > most:
                    return UNDECIDED
            if taken == 0:
                return NOT_ATOMIC
            left -= taken
    return ATOMIC
