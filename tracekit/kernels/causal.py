"""Causal order of the operations of sessions, as vector clocks of writes, and what reads demand of it.

Nodes are the operations, chain after chain, so that a chain is a range of numbers. A clock has one number a chain: all
nodes of that chain below it are in the past. So u is in the past of a clock exactly if u < clock[chain of u], and 0 is
the empty past. The clock of a node counts the node itself.

nodes: shape (n, 4): chain, key, source (of a read the node of the write that it reads from; -1 the initial value, less
for none), slot (the node's row among the clocks, -1 where it has none).
heads: shape (n,), edges: shape (e, 2): edges that lead into a node, as linked lists: ``edges[heads[u]]`` holds the node
where the edge starts and the place of the next edge, -1 at the end. Where edges start, nodes have clocks.
key_groups: shape (keys + 1,): groups of each key; groups: shape (g + 1, 2): a chain that writes the key, and where its
writes begin in `members`, which holds the writes by key, then node.

reader: whose reads order the write before the read: ALL, NOBODY, or one chain.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tracekit.kernels.engine import kernel

Array = NDArray[np.int32]

ALL = -1
NOBODY = -2


@kernel
def counts(reader: int, chain: int) -> bool:
    """Whether the reads of a chain come after the writes that they read from."""
    return chain == reader if reader >= 0 else reader == ALL


@kernel
def clocks(
    starts: Array,
    ends: Array,
    nodes: Array,
    heads: Array,
    edges: Array,
    clocks_out: Array,
    cursor_out: Array,
    waits_out: Array,
    reader: int,
) -> int:
    """Clocks of all nodes with a slot, in an order that respects chains, reads-from and edges (Kahn).

    starts, ends: shape (k,), the first node of each chain and the one after its last; what is below is closed under
    the order. cursor_out: how far each chain came; waits_out: the node that it waits for there, -1 where none.
    Returns how many nodes were ordered: fewer than all where the relation has a cycle. O(n k).
    """
    k = len(starts)
    now = np.zeros((k, k), np.int32)
    first_waiter = np.full(k, -1, np.int64)
    next_waiter = np.full(k, -1, np.int64)
    runnable = np.empty(k, np.int64)
    for c in range(k):
        cursor_out[c] = starts[c]
        waits_out[c] = -1
        runnable[k - 1 - c] = c
    count = k
    ordered = 0
    while count > 0:
        count -= 1
        c = runnable[count]
        while cursor_out[c] < ends[c]:
            u = cursor_out[c]
            blocker = -1
            source = nodes[u, 2]
            joins = source >= 0 and counts(reader, c)
            if joins and source >= cursor_out[nodes[source, 0]]:
                blocker = source
            e = heads[u]
            while e >= 0 and blocker < 0:
                if edges[e, 0] >= cursor_out[nodes[edges[e, 0], 0]]:
                    blocker = edges[e, 0]
                e = edges[e, 1]
            waits_out[c] = blocker
            if blocker >= 0:
                other = nodes[blocker, 0]
                next_waiter[c] = first_waiter[other]
                first_waiter[other] = c
                break
            if joins:
                for i in range(k):
                    now[c, i] = max(now[c, i], clocks_out[nodes[source, 3], i])
            e = heads[u]
            while e >= 0:
                for i in range(k):
                    now[c, i] = max(now[c, i], clocks_out[nodes[edges[e, 0], 3], i])
                e = edges[e, 1]
            now[c, c] = u + 1
            if nodes[u, 3] >= 0:
                for i in range(k):
                    clocks_out[nodes[u, 3], i] = now[c, i]
            cursor_out[c] = u + 1
            ordered += 1
        waiter = first_waiter[c]
        first_waiter[c] = -1
        while waiter >= 0:
            following = next_waiter[waiter]
            if waits_out[waiter] < cursor_out[c]:
                runnable[count] = waiter
                count += 1
            else:
                next_waiter[waiter] = first_waiter[c]
                first_waiter[c] = waiter
            waiter = following
    return ordered


@kernel
def advance(now: Array, u: int, nodes: Array, heads: Array, edges: Array, clocks: Array, joins: bool) -> None:
    """Takes a chain's running clock from before node u to behind it."""
    k = len(now)
    slot = nodes[u, 3]
    if slot >= 0:
        for i in range(k):
            now[i] = clocks[slot, i]
        return
    source = nodes[u, 2]
    if joins and source >= 0:
        for i in range(k):
            now[i] = max(now[i], clocks[nodes[source, 3], i])
    e = heads[u]
    while e >= 0:
        for i in range(k):
            now[i] = max(now[i], clocks[nodes[edges[e, 0], 3], i])
        e = edges[e, 1]
    now[nodes[u, 0]] = u + 1


@kernel
def last_below(members: Array, low: int, high: int, bound: int) -> int:
    """The place of the last of ``members[low:high]`` below the bound, low - 1 where none is."""
    while low < high:
        middle = (low + high) // 2
        if members[middle] < bound:
            low = middle + 1
        else:
            high = middle
    return low - 1


@kernel
def overwritten(
    nodes: Array,
    heads: Array,
    edges: Array,
    clocks: Array,
    key_groups: Array,
    groups: Array,
    members: Array,
    culprit_out: Array,
    first: int,
    last: int,
    reader: int,
) -> int:
    """For the reads of one chain, nodes first..last-1, a write of the key in between: WriteCORead, WriteCOInitRead.

    A read of w is wrong if another write w' of its key is in its past and has w in its own. Of each chain the last
    write of the key in the read's past is enough to look at: if an earlier one has w in its past, so does the last.
    Only where w itself is that last one are there none after w. A read of the initial value is wrong if any write of
    its key is in its past. culprit_out: shape (n,), that write or -1. Returns how many reads are wrong.
    O(chains that write the key, times log n) a read.
    """
    now = np.zeros(clocks.shape[1], np.int32)
    found = 0
    for u in range(first, last):
        chain = nodes[u, 0]
        advance(now, u, nodes, heads, edges, clocks, counts(reader, chain))
        culprit_out[u] = -1
        source = nodes[u, 2]
        if source < -1:
            continue
        key = nodes[u, 1]
        for g in range(key_groups[key], key_groups[key + 1]):
            low, other = groups[g, 1], groups[g, 0]
            at = last_below(members, low, groups[g + 1, 1], now[other])
            if at < low:
                continue
            w = members[at]
            if source == -1:
                # The first write of the chain shows the most plainly what was missed.
                culprit_out[u] = members[low]
                found += 1
                break
            if w != source and source < clocks[nodes[w, 3], nodes[source, 0]]:
                culprit_out[u] = w
                found += 1
                break
    return found


@kernel
def conflicts(
    nodes: Array,
    heads: Array,
    edges: Array,
    clocks: Array,
    key_groups: Array,
    groups: Array,
    members: Array,
    found_out: Array,
    first: int,
    last: int,
    reader: int,
    count: int,
) -> int:
    """Edges that the reads of one chain, nodes first..last-1, force: writes of the key in the past of a read of w come
    before w.

    found_out: shape (most, 3): from, to, read. A read of the initial value with a write of its key in its past is
    given as an edge from that write to -1. Edges that the clocks imply are left out, and of each chain all but the
    last. Written from `count` on; returns the new count, which may be larger than `most`: then the rest was not
    written. O(chains that write the key, times log n) a read.
    """
    now = np.zeros(clocks.shape[1], np.int32)
    most = len(found_out)
    for u in range(first, last):
        chain = nodes[u, 0]
        advance(now, u, nodes, heads, edges, clocks, counts(reader, chain))
        source = nodes[u, 2]
        if source < -1:
            continue
        key = nodes[u, 1]
        for g in range(key_groups[key], key_groups[key + 1]):
            low, other = groups[g, 1], groups[g, 0]
            at = last_below(members, low, groups[g + 1, 1], now[other])
            if at < low:
                continue
            w = members[at]
            if source >= 0 and (w == source or w < clocks[nodes[source, 3], other]):
                continue
            if count < most:
                found_out[count, 0] = members[low] if source < 0 else w
                found_out[count, 1] = source
                found_out[count, 2] = u
            count += 1
    return count


@kernel
def link(found: Array, heads: Array, edges: Array, start: int) -> None:
    """Puts edges (from, to, ...) into the lists of what leads into each node, from place `start` of `edges` on."""
    for i in range(len(found)):
        edges[start + i, 0] = found[i, 0]
        edges[start + i, 1] = heads[found[i, 1]]
        heads[found[i, 1]] = start + i


@kernel
def followers(
    nodes: Array,
    clocks: Array,
    key_groups: Array,
    groups: Array,
    members: Array,
    found_out: Array,
    first: int,
    last: int,
    count: int,
) -> int:
    """Edges that the reads of one chain, nodes first..last-1, force where one order holds for all: a read of w comes
    before every write of the key that comes after w; a read of the initial value before every write of the key.

    Of each chain the first such write is enough. found_out, count: as of `conflicts`. Edges that the clocks imply are
    left out. All nodes have clocks.
    """
    most = len(found_out)
    for u in range(first, last):
        source = nodes[u, 2]
        if source < -1:
            continue
        chain, key = nodes[u, 0], nodes[u, 1]
        for g in range(key_groups[key], key_groups[key + 1]):
            low, high = groups[g, 1], groups[g + 1, 1]
            end = high
            while source >= 0 and low < high:
                middle = (low + high) // 2
                w = members[middle]
                if w != source and source < clocks[nodes[w, 3], nodes[source, 0]]:
                    high = middle
                else:
                    low = middle + 1
            if low == end:
                continue
            w = members[low]
            if u < clocks[nodes[w, 3], chain]:
                continue
            if count < most:
                found_out[count, 0] = u
                found_out[count, 1] = w
                found_out[count, 2] = u
            count += 1
    return count
