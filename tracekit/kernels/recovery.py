"""Loops that recover happens-before from recorded vector timestamps alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tracekit.kernels.engine import kernel

Bool = NDArray[np.bool_]
Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]


@kernel
def at_most(offsets: Int64, values: Int64, a: int, b: int) -> bool:
    """Whether the vector of row a is nowhere larger than the one of row b; shorter vectors end in zeros."""
    first, second = offsets[a], offsets[b]
    size, other = offsets[a + 1] - first, offsets[b + 1] - second
    for c in range(size):
        limit = values[second + c] if c < other else 0
        if values[first + c] > limit:
            return False
    return True


@kernel
def entry(offsets: Int64, values: Int64, row: int, c: int) -> int:
    """One component of a row's vector."""
    found: int = values[offsets[row] + c] if c < offsets[row + 1] - offsets[row] else 0
    return found


@kernel
def place_of(own: Int64, begin: int, end: int, value: int) -> int:
    """The last place in a chain that a foreign component of `value` surely tells of; begin - 1 where there is none.

    That is the first event with just that own component (where several share it, a later one need not be known), else
    the last one with a smaller one. Zero tells of nothing.
    """
    if value <= 0 or begin == end or own[begin] > value:
        return begin - 1
    guess: int = begin + value - own[begin]  # every event ticks: then this is the place
    if guess < end and own[guess] == value and (guess == begin or own[guess - 1] < value):
        return guess
    low, high = begin, end
    while low < high:
        middle = (low + high) // 2
        if own[middle] < value:
            low = middle + 1
        else:
            high = middle
    return low if low < end and own[low] == value else low - 1


@kernel
def kept(back: Int64, at: int, begin: int) -> int:
    """The last place at or before one that was not taken out; below `begin` where there is none. Halves paths."""
    while at >= begin and back[at] != at:
        step = back[at]
        if step >= begin:
            back[at] = back[step]
        at = step
    return at


@kernel
def chains(
    rows: Int64, process: Int32, present: Bool, offsets: Int64, values: Int64, chain_out: Int64, starts_out: Int64
) -> int:
    """Per process the events whose vectors never fall; of two neighbours that contradict each other, neither is kept.

    rows: all rows, process after process in program order. chain_out: the rows kept, shape (n,); starts_out: where each
    process's begin, shape (processes + 1,). Either of the two may be the wrong one; so at most twice as many events
    are left out as have wrong clocks. Returns how many are kept.
    """
    count = 0
    current = -1
    for i in range(len(rows)):
        row = rows[i]
        if not present[row]:
            continue
        while current < process[row]:
            current += 1
            starts_out[current] = count
        if count > starts_out[current] and not at_most(offsets, values, chain_out[count - 1], row):
            count -= 1
        else:
            chain_out[count] = row
            count += 1
    while current < len(starts_out) - 1:
        current += 1
        starts_out[current] = count
    return count


@kernel
def contradictions(
    chain: Int64,
    starts: Int64,
    own: Int64,
    offsets: Int64,
    values: Int64,
    limit: Int64,
    back_out: Int64,
    why_out: Int64,
) -> None:
    """Takes out events that contradict one they know of: whoever knows an event knows all that it knew, and no event
    knows one that knows it. Both are taken out; an event that knows more of a process than `limit` goes alone.

    own: own component by place in the chain. back_out: each place's own number on entry; less where it is taken out.
    why_out: shape (places, 2), zero on entry: of each contradiction, at the place that shows it, one more than the
    component, and one more than the place that it is with (0: with `limit`).
    Only grown components are looked at: what stayed was examined where it came in, and taking events out only makes
    known less.
    """
    for p in range(len(starts) - 1):
        for i in range(starts[p], starts[p + 1]):
            if back_out[i] != i:
                continue
            row = chain[i]
            before = kept(back_out, i - 1, starts[p])
            for c in range(offsets[row + 1] - offsets[row]):
                value = values[offsets[row] + c]
                if c == p or value <= 0 or (before >= starts[p] and value <= entry(offsets, values, chain[before], c)):
                    continue
                if value > limit[c]:
                    back_out[i] = i - 1
                    why_out[i, 0] = c + 1
                    break
                known = kept(back_out, place_of(own, starts[c], starts[c + 1], value), starts[c])
                if known < starts[c]:
                    continue
                told = place_of(own, starts[p], starts[p + 1], entry(offsets, values, chain[known], p))
                if told >= i or not at_most(offsets, values, chain[known], row):
                    back_out[i] = i - 1
                    back_out[known] = known - 1
                    why_out[i, 0] = c + 1
                    why_out[i, 1] = known + 1
                    break


@kernel
def joins(chain: Int64, starts: Int64, own: Int64, offsets: Int64, values: Int64, join_out: Bool) -> int:
    """Marks the places in the chain whose event knows of more foreign events than the one before; returns how many."""
    count = 0
    processes = len(starts) - 1
    known = np.empty(processes, np.int64)
    for p in range(processes):
        for c in range(processes):
            known[c] = starts[c] - 1
        for i in range(starts[p], starts[p + 1]):
            row = chain[i]
            before = chain[i - 1] if i > starts[p] else -1
            for c in range(offsets[row + 1] - offsets[row]):
                value = values[offsets[row] + c]
                if c == p or value <= 0 or (before >= 0 and value <= entry(offsets, values, before, c)):
                    continue
                place = place_of(own, starts[c], starts[c + 1], value)
                if place > known[c]:
                    known[c] = place
                    join_out[i] = True
            if join_out[i]:
                count += 1
    return count


@kernel
def join_rows(
    chain: Int64,
    starts: Int64,
    own: Int64,
    offsets: Int64,
    values: Int64,
    counts: Int64,
    join: Int64,
    rows_out: Int32,
) -> None:
    """How many first events of each foreign process each join surely knows.

    counts: by place in the chain, how many first events of its process whoever knows of it surely knows.
    join: places in the chain, ascending. rows_out: shape (joins, processes + 1), zero on entry; the join's own
    component and the last column are left alone.
    """
    processes = len(starts) - 1
    p = 0
    for r in range(len(join)):
        i = join[r]
        while i >= starts[p + 1]:
            p += 1
        row = chain[i]
        for c in range(min(processes, offsets[row + 1] - offsets[row])):
            place = place_of(own, starts[c], starts[c + 1], values[offsets[row] + c])
            if c != p and place >= starts[c]:
                rows_out[r, c] = counts[place]


@kernel
def covering(
    vectors: Int32, at: Int32, last_receive: Int32, rows: Int64, starts: Int64, sources_out: Int64, starts_out: Int64
) -> int:
    """The edges that transitive reduction leaves: of the events that a join came to know, those known through no other.

    vectors, at: counts and process of each join; rows, starts: all rows in program order. sources_out: rows of the
    edges' senders, join after join; starts_out: where each join's begin, shape (joins + 1,). Returns how many.
    """
    processes = len(starts) - 1
    grown = np.empty(processes, np.int64)
    count = 0
    for r in range(len(at)):
        starts_out[r] = count
        first = r == 0 or at[r - 1] != at[r]
        size = 0
        for c in range(processes):
            if c != at[r] and vectors[r, c] > (0 if first else vectors[r - 1, c]):
                grown[size] = c
                size += 1
        for g in range(size):
            c = grown[g]
            through = False
            for h in range(size):
                other = rows[starts[grown[h]] + vectors[r, grown[h]] - 1]
                if h != g and last_receive[other] >= 0 and vectors[last_receive[other], c] >= vectors[r, c]:
                    through = True
                    break
            if not through:
                sources_out[count] = rows[starts[c] + vectors[r, c] - 1]
                count += 1
    starts_out[len(at)] = count
    return count


@kernel
def longest_chains(
    order: Int64,
    receives: Int64,
    at: Int32,
    index: Int64,
    last_receive: Int32,
    sources: Int64,
    starts: Int64,
    vectors_out: Int32,
) -> None:
    """Lamport timestamps of joins into the last column of their vectors.

    order: the joins in an order that respects happens-before; sources, starts: each join's senders.
    """
    last = vectors_out.shape[1] - 1
    for k in range(len(order)):
        r = order[k]
        row = receives[r]
        clock = index[row]
        if r > 0 and at[r - 1] == at[r]:
            clock = vectors_out[r - 1, last] + index[row] - index[receives[r - 1]] - 1
        for s in range(starts[r], starts[r + 1]):
            source = sources[s]
            known = last_receive[source]
            sent = index[source] + 1
            if known >= 0:
                sent = vectors_out[known, last] + index[source] - index[receives[known]]
            clock = max(clock, sent)
        vectors_out[r, last] = clock + 1
