"""Logs of a replicated state machine as one tree: a log is a node, its entries are the path from the root.

Equal prefixes are one node, so two logs share a prefix where their paths meet. A node is a row of seven numbers
(`PARENT` ...); jump pointers (Myers, "An applicative random-access stack", 1983) find an entry by index in O(log n).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tracekit.kernels.engine import kernel

Int64 = NDArray[np.int64]

PARENT, JUMP, DEPTH, TERM, DIGEST, CHANGE, FIRST = 0, 1, 2, 3, 4, 5, 6
LOG_FROM, KNOWN_FROM, LAST_INDEX, FIRST_ENTRY, ENTRIES, SNAPSHOT, SNAPSHOT_TERM = 0, 1, 2, 3, 4, 5, 6
ROOT = 0
UNKNOWN = -1
BASE = -2
"""Term of a node that stands for so many entries that nobody recorded."""
HEADS = 256
"""How many diverging committed logs are followed at once; a correct run has one."""


@kernel
def ancestor(nodes: Int64, node: int, depth: int) -> int:
    """The node of the entry at index `depth`; where that is not recorded, some node of another depth."""
    while nodes[node, DEPTH] > depth:
        jump = nodes[node, JUMP]
        node = jump if nodes[jump, DEPTH] >= depth else nodes[node, PARENT]
    return int(node)


@kernel
def child(nodes: Int64, table: Int64, count: int, parent: int, depth: int, term: int, digest: int, change: int) -> int:
    """The node of an entry behind a parent, made where there is none yet (then its number is `count`)."""
    mask = len(table) - 1
    slot = (parent * 1000003) ^ ((term & 1048575) * 92821) ^ ((digest & 1073741823) * 31337)
    slot = (slot ^ (slot >> 15)) & mask
    while table[slot] >= 0:
        node = table[slot]
        if (
            nodes[node, PARENT] == parent
            and nodes[node, TERM] == term
            and nodes[node, DIGEST] == digest
            and nodes[node, DEPTH] == depth
        ):
            return int(node)
        slot = (slot + 1) & mask
    table[slot] = count
    up = nodes[parent, JUMP]
    upper = nodes[up, JUMP]
    far = nodes[parent, DEPTH] - nodes[up, DEPTH] == nodes[up, DEPTH] - nodes[upper, DEPTH]
    nodes[count, PARENT] = parent
    nodes[count, JUMP] = upper if far else parent
    nodes[count, DEPTH] = depth
    nodes[count, TERM] = term
    nodes[count, DIGEST] = digest
    nodes[count, CHANGE] = change
    nodes[count, FIRST] = depth + 1 if term == BASE else nodes[parent, FIRST]
    return count


@kernel
def differ(nodes: Int64, first: int, second: int) -> bool:
    """Whether two entries of one index certainly differ; what was not recorded may be equal."""
    for part in (TERM, DIGEST):
        a = nodes[first, part]
        b = nodes[second, part]
        if a >= 0 and b >= 0 and a != b:
            return True
    return False


@kernel
def lowest_difference(nodes: Int64, first: int, second: int, low: int) -> int:
    """The lowest index from `low` on, in both logs, at which they certainly differ; 0: none."""
    depth = min(nodes[first, DEPTH], nodes[second, DEPTH])
    a = ancestor(nodes, first, depth)
    b = ancestor(nodes, second, depth)
    lowest = 0
    while a != b and nodes[a, TERM] != BASE and nodes[b, TERM] != BASE:
        if nodes[a, DEPTH] != nodes[b, DEPTH] or nodes[a, DEPTH] < low:
            break
        if differ(nodes, a, b):
            lowest = nodes[a, DEPTH]
        a = nodes[a, PARENT]
        b = nodes[b, PARENT]
    return lowest


@kernel
def entry_slot(nodes: Int64, named: Int64, depth: int, term: int) -> int:
    """Where `named` has, or would have, the first node of an index and a term."""
    mask = len(named) - 1
    slot = (depth * 1000003) ^ ((term & 1048575) * 92821)
    slot = (slot ^ (slot >> 15)) & mask
    while named[slot] >= 0 and (nodes[named[slot], DEPTH] != depth or nodes[named[slot], TERM] != term):
        slot = (slot + 1) & mask
    return int(slot)


@kernel
def has_entry(nodes: Int64, tip: int, floor: int, index: int, term: int) -> bool:
    """Whether a log has an entry of an index and a term; what was not recorded may be it."""
    if nodes[tip, DEPTH] < index:
        return False
    if index < floor:
        return True
    node = ancestor(nodes, tip, index)
    if nodes[node, DEPTH] != index or nodes[node, TERM] < 0 or term < 0:
        return True
    return bool(nodes[node, TERM] == term)


@kernel
def log_tree(
    process: Int64, changes: Int64, entries: Int64, nodes_out: Int64, table: Int64, named: Int64, states_out: Int64
) -> int:
    """Splices every log change into its process's log.

    A snapshot stands for the log up to the entry of its index and term, whoever wrote that. So processes go on in
    turn: one that installs a snapshot waits until that entry is written; if nobody goes on, the entry is not recorded.

    process: (k,) grouped, in program order. changes: (k, 7) log_from (-1: none), known_from (-1), last index that
    survived a restart (-1), place in `entries` and how many, index and term of a snapshot taken or installed (-1).
    entries: (m, 2) term, digest code; -1 unknown. nodes_out: (1 + m + 3 k, 7). table, named: powers of two of -1,
    larger than the nodes. states_out: (k, 4) the log after the change (-1: unknown), first index of it that is known,
    lowest index of an entry that the change removed or replaced by another (0: none), node that the snapshot installed
    was taken for (-1: none). Returns the number of nodes.
    """
    nodes_out[ROOT, :] = 0
    nodes_out[ROOT, TERM] = UNKNOWN
    nodes_out[ROOT, DIGEST] = UNKNOWN
    nodes_out[ROOT, CHANGE] = UNKNOWN
    nodes_out[ROOT, FIRST] = 1
    count = 1
    at = np.flatnonzero(np.append(np.ones(min(len(process), 1), np.bool_), process[1:] != process[:-1]))
    ends = np.append(at[1:], len(process))
    tips = np.full(len(at), UNKNOWN)
    floors = np.ones(len(at), np.int64)
    left = len(process)
    give_up = False
    while left > 0:
        before = left
        for p in range(len(at)):
            while at[p] < ends[p]:
                k = at[p]
                done = one_change(
                    k, changes, entries, nodes_out, table, named, states_out, count, tips, floors, p, give_up
                )
                if done < 0:
                    break
                count = done
                give_up = False
                at[p] += 1
                left -= 1
        give_up = left == before
    return count


@kernel
def one_change(
    k: int,
    changes: Int64,
    entries: Int64,
    nodes: Int64,
    table: Int64,
    named: Int64,
    states: Int64,
    count: int,
    tips: Int64,
    floors: Int64,
    p: int,
    give_up: bool,
) -> int:
    """One change of `log_tree`, at its process `p`; returns the number of nodes, -1: the snapshot's entry is not
    written yet, unless nobody is going to (`give_up`)."""
    start = changes[k, LOG_FROM]
    known = changes[k, KNOWN_FROM]
    last = changes[k, LAST_INDEX]
    index = changes[k, SNAPSHOT]
    term = changes[k, SNAPSHOT_TERM]
    old = tips[p]
    tip = old
    floor = floors[p]
    states[k, 3] = UNKNOWN
    if index >= 1:
        known = UNKNOWN
        installs = not has_entry(nodes, tip, floor, index, term) if tip >= 0 else start == index + 1
        if installs:
            node = named[entry_slot(nodes, named, index, term)] if term >= 0 else UNKNOWN
            if node < 0 and not give_up and term >= 0:
                return -1
            if node < 0:
                tip = child(nodes, table, count, ROOT, index, BASE, index, k)
                count = max(count, tip + 1)
            else:
                tip = node
                states[k, 3] = node
            floor = nodes[tip, FIRST]
    if known > floor:
        floor = known
        if start < 0 and (tip < 0 or nodes[tip, DEPTH] < known):
            tip = child(nodes, table, count, ROOT, known - 1, BASE, known - 1, k)
            count = max(count, tip + 1)
    if start >= 1:
        if start == 1:
            tip = ROOT
            floor = 1
        elif start - 1 < floor or tip < 0 or nodes[tip, DEPTH] < start - 1:
            tip = child(nodes, table, count, ROOT, start - 1, BASE, start - 1, k)
            count = max(count, tip + 1)
            floor = start
        else:
            tip = ancestor(nodes, tip, start - 1)
        for e in range(changes[k, FIRST_ENTRY], changes[k, FIRST_ENTRY] + changes[k, ENTRIES]):
            depth = nodes[tip, DEPTH] + 1
            tip = child(nodes, table, count, tip, depth, entries[e, 0], entries[e, 1], k)
            if tip == count and entries[e, 0] >= 0:
                slot = entry_slot(nodes, named, depth, entries[e, 0])
                if named[slot] < 0:
                    named[slot] = tip
            count = max(count, tip + 1)
    elif last >= 0 and tip >= 0 and nodes[tip, DEPTH] > last:
        tip = ancestor(nodes, tip, last)
        if nodes[tip, DEPTH] != last:
            tip = child(nodes, table, count, ROOT, last, BASE, last, k)
            count = max(count, tip + 1)
        floor = min(floor, last + 1)
    replaced = 0
    if old >= 0 and tip >= 0 and old != tip:
        if nodes[old, DEPTH] > nodes[tip, DEPTH]:
            replaced = nodes[tip, DEPTH] + 1
        lowest = lowest_difference(nodes, old, tip, max(start, 1) if index < 1 else 1)
        if lowest:
            replaced = lowest
    tips[p] = tip
    floors[p] = floor
    states[k, 0] = tip
    states[k, 1] = floor
    states[k, 2] = replaced
    return int(count)


@kernel
def entries_at(nodes: Int64, logs: Int64, floors: Int64, indexes: Int64, out: Int64) -> None:
    """The node of the entry at an index of each log; -1: the entry is not recorded, -2: the log ends before."""
    for i in range(len(logs)):
        out[i] = UNKNOWN
        if logs[i] < 0 or indexes[i] < 1:
            continue
        if nodes[logs[i], DEPTH] < indexes[i]:
            out[i] = -2
        elif indexes[i] >= floors[i]:
            node = ancestor(nodes, logs[i], indexes[i])
            if nodes[node, DEPTH] == indexes[i] and nodes[node, TERM] != BASE:
                out[i] = node


@kernel
def _include(nodes: Int64, heads: Int64, count: int, node: int, floor: int) -> int:
    """Adds a committed log to the heads: logs of which none is a prefix of another. Returns how many there are."""
    for h in range(count):
        head = heads[h, 0]
        if ancestor(nodes, head, nodes[node, DEPTH]) == node:
            heads[h, 1] = min(heads[h, 1], floor)
            return count
        if ancestor(nodes, node, nodes[head, DEPTH]) == head:
            heads[h, 0] = node
            heads[h, 1] = min(heads[h, 1], floor)
            return count
    if count < len(heads):
        heads[count, 0] = node
        heads[count, 1] = floor
    return count + 1


@kernel
def incomplete_leaders(nodes: Int64, commits: Int64, leaders: Int64, heads: Int64, out: Int64) -> bool:
    """Leader Completeness: what a leader's log lacks of the entries committed in lower terms.

    commits: (c, 3) committed log, first known index, term; by term. leaders: (l, 3) log, first known index, term; by
    term. heads: (`HEADS`, 2) scratch. out: (l, 2) lowest index at which the leader has no or another entry (0: none),
    and the committed log that has it. Returns whether more logs diverged than were followed.
    """
    count = 0
    c = 0
    full = False
    for k in range(len(leaders)):
        while c < len(commits) and commits[c, 2] < leaders[k, 2]:
            count = _include(nodes, heads, count, commits[c, 0], commits[c, 1])
            if count > len(heads):
                count = len(heads)
                full = True
            c += 1
        out[k, 0] = 0
        log = leaders[k, 0]
        if log < 0:
            continue
        for h in range(count):
            head = heads[h, 0]
            low = max(heads[h, 1], leaders[k, 1])
            lowest = lowest_difference(nodes, head, log, low)
            if lowest == 0 and nodes[log, DEPTH] < nodes[head, DEPTH]:
                lowest = max(nodes[log, DEPTH] + 1, low)
                if lowest > nodes[head, DEPTH]:
                    lowest = 0
            if lowest and (out[k, 0] == 0 or lowest < out[k, 0]):
                out[k, 0] = lowest
                out[k, 1] = head
    return full


@kernel
def newest_entries(nodes: Int64, logs: Int64, lows: Int64, out: Int64) -> int:
    """The recorded entries of each log from index `lows` on.

    out: (entries, 2) which log, node; large enough. Returns how many there are.
    """
    count = 0
    for i in range(len(logs)):
        node = logs[i]
        while nodes[node, DEPTH] >= lows[i] and nodes[node, DEPTH] > 0 and nodes[node, TERM] != BASE:
            out[count, 0] = i
            out[count, 1] = node
            count += 1
            node = nodes[node, PARENT]
    return count


@kernel
def stored_by(
    nodes: Int64,
    entries: Int64,
    indexes: Int64,
    logs: Int64,
    floors: Int64,
    places: Int64,
    frontiers: Int64,
    out: Int64,
) -> None:
    """Which processes certainly (1), possibly (2) or certainly not (0) hold an entry at their frontier.

    entries: (k,) node of the entry. indexes: (k,) its index. logs, floors: (n,) log and first known index after each
    event in program order. places: (p,) where each process's events begin. frontiers: (k, p) how many first events of
    each process count. out: (k, p).
    """
    for i in range(len(entries)):
        for p in range(frontiers.shape[1]):
            out[i, p] = 0
            if frontiers[i, p] == 0:
                continue
            at = places[p] + frontiers[i, p] - 1
            log = logs[at]
            if log < 0 or indexes[i] < floors[at]:
                out[i, p] = 2
            elif nodes[log, DEPTH] >= indexes[i]:
                node = ancestor(nodes, log, indexes[i])
                if nodes[node, TERM] == BASE or nodes[node, DEPTH] != indexes[i]:
                    out[i, p] = 2
                elif node == entries[i]:
                    out[i, p] = 1
                elif nodes[node, TERM] == UNKNOWN or nodes[entries[i], TERM] == UNKNOWN:
                    out[i, p] = 2
                elif nodes[node, TERM] == nodes[entries[i], TERM]:
                    out[i, p] = 1


@kernel
def latest_marked(nodes: Int64, marked: NDArray[np.bool_], out: Int64) -> None:
    """For each node the nearest marked one, itself included, on its path to the root; the root where there is none, -1
    where entries in between are not recorded. Parents stand before their children."""
    out[ROOT] = ROOT
    for node in range(1, len(nodes)):
        if marked[node]:
            out[node] = node
        elif nodes[node, TERM] == BASE:
            out[node] = UNKNOWN
        else:
            out[node] = out[nodes[node, PARENT]]


@kernel
def committed_heads(nodes: Int64, commits: Int64, heads: Int64) -> int:
    """The committed logs of which none is a prefix of another. commits: (c, 2) log, first known index. heads:
    (`HEADS`, 2). Returns how many there are; more than heads: not all of them were followed."""
    count = 0
    for c in range(len(commits)):
        count = max(count, _include(nodes, heads, min(count, len(heads)), commits[c, 0], commits[c, 1]))
    return count
