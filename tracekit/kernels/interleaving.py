"""One order of all operations of several sessions in which every read returns the last write: a depth-first search.

Nodes, chains, `heads` and `edges` are as in `tracekit.kernels.causal`. steps: shape (n, 4): kind, key, value, source.
The state is how far each chain came (`cursor`) and the last write of every key (`current`, -1 for the initial value).

What keeps the search small:

* A read that fits happens at once: it changes nothing.
* A write never hides what a read with a determined source has still to see.
* A write is safe if it hides nothing, all reads of it can follow at once, and no undetermined read of its key is there:
  in every order that goes on from here it may be moved to the front, together with these reads. So where a safe write
  is possible nothing else need be tried.
* A state from which no order exists is remembered exactly: the cursors, and the values of keys with undetermined
  reads. The last write of any other key is of no account: either nobody has to see it any more, or the cursors tell.

A branch is left where it stood: `branches` holds how long the order was there and which choice came last, and choices
are found again by their rank.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tracekit.kernels.engine import kernel

Array = NDArray[np.int32]
Wide = NDArray[np.int64]

WRITE, OPEN, READ, EITHER, BLANK, FREE = range(6)
"""Kinds of steps: a write; one that may never have happened; a read of one write; of any write of its value; the same
or the initial value; a read that demands nothing."""

KIND, KEY, VALUE, SOURCE = range(4)

# progress: where the search stands, so that it can be left after any step and resumed.
COUNT, DEPTH, STEPS, STATES, LONGEST, PHASE = range(6)
PROGRESS = 6

ADVANCE, CHOOSE = 0, 1
"""Phases: take what can be taken without a choice; go back to the last branch and choose there."""

LEFT, FOUND, EXCLUDED, FULL = range(4)
"""How a run ended: after enough steps; with a whole order; every order was tried; no room for another state."""

TRIED = 16
"""Writes, by rank, of which it is looked whether they are safe."""


@kernel
def fits(u: int, steps: Array, current: Array) -> bool:
    """Whether a read may happen now."""
    kind, now = steps[u, KIND], current[steps[u, KEY]]
    if kind == READ:
        return bool(now == steps[u, SOURCE])
    if kind == FREE:
        return True
    if now < 0:
        return bool(kind == BLANK)
    return bool(steps[now, VALUE] == steps[u, VALUE])


@kernel
def blocked(u: int, nodes: Array, heads: Array, edges: Array, cursor: Array) -> bool:
    """Whether something that must come before a node has not happened."""
    e = heads[u]
    while e >= 0:
        if edges[e, 0] >= cursor[nodes[edges[e, 0], 0]]:
            return True
        e = edges[e, 1]
    return False


@kernel
def awaited(u: int, steps: Array) -> int:
    """The place among `pending` that counts the reads of what a node reads: its source, or behind all the initial
    value of its key; -1 where nothing is counted."""
    if steps[u, KIND] != READ:
        return -1
    return int(steps[u, SOURCE]) if steps[u, SOURCE] >= 0 else len(steps) + int(steps[u, KEY])


@kernel
def take_reads(
    starts: Array, nodes: Array, steps: Array, heads: Array, edges: Array, cursor: Array, current: Array,
    pending: Array, order: Array, count: int,
) -> int:  # fmt: skip
    """Takes every read that fits, until none does; returns the new length of the order."""
    k = len(cursor)
    quiet, c = 0, 0
    while quiet < k:
        before = count
        while cursor[c] < starts[c + 1]:
            u = cursor[c]
            if steps[u, KIND] <= OPEN or not fits(u, steps, current) or blocked(u, nodes, heads, edges, cursor):
                break
            place = awaited(u, steps)
            if place >= 0:
                pending[place] -= 1
            cursor[c] += 1
            order[count] = u
            count += 1
        quiet = quiet + 1 if count == before else 1
        c = c + 1 if c + 1 < k else 0
    return count


@kernel
def next_write(
    starts: Array, nodes: Array, steps: Array, heads: Array, edges: Array, cursor: Array, current: Array,
    pending: Array, rank: Array, above: int,
) -> int:  # fmt: skip
    """The write of least rank, of those above one, that may be next and hides nothing that is awaited; -1 if none."""
    best = -1
    n = len(steps)
    for c in range(len(cursor)):
        u = cursor[c]
        if u == starts[c + 1] or steps[u, KIND] > OPEN or rank[u] <= above:
            continue
        if best >= 0 and rank[u] > rank[best]:
            continue
        now = current[steps[u, KEY]]
        if pending[now if now >= 0 else n + steps[u, KEY]] > 0 or blocked(u, nodes, heads, edges, cursor):
            continue
        best = u
    return best


@kernel
def put(
    u: int, nodes: Array, steps: Array, cursor: Array, current: Array, hidden: Array, order: Array, count: int
) -> None:
    """A write happens: place `count` of the order. hidden: by place, what it replaced."""
    key = steps[u, KEY]
    hidden[count] = current[key]
    current[key] = u
    cursor[nodes[u, 0]] += 1
    order[count] = u


@kernel
def undo(
    until: int, nodes: Array, steps: Array, cursor: Array, current: Array, pending: Array, hidden: Array, order: Array,
    count: int,
) -> None:  # fmt: skip
    """Takes back all of the order behind its first `until` operations."""
    while count > until:
        count -= 1
        u = order[count]
        cursor[nodes[u, 0]] -= 1
        if steps[u, KIND] <= OPEN:
            current[steps[u, KEY]] = hidden[count]
        else:
            place = awaited(u, steps)
            if place >= 0:
                pending[place] += 1


@kernel
def hashed(state: Array) -> int:
    """A number of 40 bits for a state."""
    code = 0
    for i in range(len(state)):
        code = ((code ^ (int(state[i]) + 2)) * 1000003) & 0xFFFFFFFFFF  # small enough never to overflow
    return code ^ (code >> 17)


@kernel
def describe(cursor: Array, current: Array, steps: Array, open_keys: Array, state_out: Array) -> int:
    """Writes the state as it is remembered; returns its hash."""
    k = len(cursor)
    state_out[:k] = cursor
    for i in range(len(open_keys)):
        now = current[open_keys[i]]
        state_out[k + i] = steps[now, VALUE] if now >= 0 else -1
    return int(hashed(state_out))


@kernel
def find(state: Array, code: int, states: Array, table: Array) -> int:
    """The slot of a state in the table: the one that holds it, else the vacant one where it belongs."""
    mask = len(table) - 1
    slot = code & mask
    while table[slot] >= 0:
        same = True
        for i in range(len(state)):
            if states[table[slot], i] != state[i]:
                same = False
                break
        if same:
            return slot
        slot = (slot + 1) & mask
    return slot


@kernel
def enter(states: Array, count: int, table_out: Array) -> None:
    """Enters the first states into an empty table of a power of two slots, more than there are states."""
    mask = len(table_out) - 1
    for row in range(count):
        slot = hashed(states[row]) & mask
        while table_out[slot] >= 0:
            slot = (slot + 1) & mask
        table_out[slot] = row


@kernel
def is_whole(starts: Array, steps: Array, cursor: Array) -> bool:
    """Whether only open writes are left, which may never have happened."""
    whole = True
    for c in range(len(cursor)):
        whole = whole and (cursor[c] == starts[c + 1] or steps[cursor[c], KIND] == OPEN)
    return whole


@kernel
def run(
    starts: Array,
    nodes: Array,
    steps: Array,
    heads: Array,
    edges: Array,
    rank: Array,
    open_keys: Array,
    is_open_key: NDArray[np.bool_],
    cursor: Array,
    current: Array,
    pending: Array,
    hidden: Array,
    order: Array,
    branches: Array,
    states: Array,
    table: Array,
    reached: Array,
    progress: Wide,
    limit: int,
) -> int:
    """Goes on with the search for so many steps; returns how it ended.

    rank: shape (n,): of writes, which to try first. open_keys: keys with undetermined reads. pending: shape
    (n + keys,): how many reads of each write, and of each key's initial value, are left. branches: shape (n + 1, 2).
    states, table: what is remembered. reached: shape (k,): the cursors where the order was longest. progress: shape
    (PROGRESS,).
    """
    k = len(cursor)
    state = np.empty(k + len(open_keys), np.int32)
    end = progress[STEPS] + limit
    while progress[STEPS] < end:
        progress[STEPS] += 1
        count, depth = progress[COUNT], progress[DEPTH]
        if progress[PHASE] == ADVANCE:
            count = take_reads(starts, nodes, steps, heads, edges, cursor, current, pending, order, count)
            progress[COUNT] = count
            safe, above, looked = False, -1, 0
            while not safe and looked < TRIED:
                u = next_write(starts, nodes, steps, heads, edges, cursor, current, pending, rank, above)
                if u < 0:
                    break
                above, looked = rank[u], looked + 1
                if is_open_key[steps[u, KEY]]:
                    continue
                put(u, nodes, steps, cursor, current, hidden, order, count)
                after = count + 1
                if pending[u] > 0:
                    after = take_reads(starts, nodes, steps, heads, edges, cursor, current, pending, order, after)
                if pending[u] == 0:
                    progress[COUNT] = after
                    safe = True
                else:
                    undo(count, nodes, steps, cursor, current, pending, hidden, order, after)
            if safe:
                continue
            if count > progress[LONGEST] or count == 0:
                progress[LONGEST] = count
                for c in range(k):
                    reached[c] = cursor[c]
            if is_whole(starts, steps, cursor):
                return FOUND
            if above >= 0:
                code = describe(cursor, current, steps, open_keys, state)
                if table[find(state, code, states, table)] < 0:
                    branches[depth, 0] = count
                    branches[depth, 1] = -1
                    progress[DEPTH] = depth + 1
            progress[PHASE] = CHOOSE
        else:
            if depth == 0:
                return EXCLUDED
            mark = branches[depth - 1, 0]
            undo(mark, nodes, steps, cursor, current, pending, hidden, order, count)
            progress[COUNT] = mark
            u = next_write(starts, nodes, steps, heads, edges, cursor, current, pending, rank, branches[depth - 1, 1])
            if u >= 0:
                branches[depth - 1, 1] = rank[u]
                put(u, nodes, steps, cursor, current, hidden, order, mark)
                progress[COUNT] = mark + 1
                progress[PHASE] = ADVANCE
                continue
            if progress[STATES] == len(states):
                return FULL
            code = describe(cursor, current, steps, open_keys, state)
            slot = find(state, code, states, table)
            if table[slot] < 0:
                row = progress[STATES]
                for i in range(len(state)):
                    states[row, i] = state[i]
                table[slot] = row
                progress[STATES] = row + 1
            progress[DEPTH] = depth - 1
    return LEFT
