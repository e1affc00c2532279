"""Local validation of recorded timestamps: each event against the one before it at its process and its send."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tracekit.kernels.engine import kernel

Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]
Int8 = NDArray[np.int8]

FINE = 0
WENT_BACK = 1
MISSING_INCREMENT = 2
NOT_AFTER_SEND = 3
MISSING_MERGE = 4
FROM_THE_FUTURE = 5
OWN_JUMPED = 6
RESTART_RESET = 7
CODES = 16
"""What is found at a row: its error, and CODES times the component that shows it."""

PRESENT = 1
"""Bits of a row's state. It has a timestamp; rows without are passed over."""
MUST_TICK = 2
"""By every convention that the recorder may follow the event advances its process's clock."""
MAY_TICK = 4
"""By one of them it does."""
LEARNED = 8
"""It may have received a message of which no send is known."""
RESTARTED = 16
"""Its process crashed or restarted since the timestamp before it."""
BEGINS = 32
"""It is the first event of a process whose start is declared recorded."""
MISSED = 64
"""The rest counts the events since the timestamp before it that have none: they may have ticked, and learned."""

UNRESOLVED = 0
ROOT = 1
CONSEQUENCE = 2
VISITED = 3


@kernel
def lamport_errors(rows: Int64, process: Int32, clock: Int64, state: Int64, send_of: Int64, found_out: Int64) -> int:
    """What is wrong with each event's Lamport timestamp; returns how many were examined.

    rows: all rows, process after process in program order. state: per row, the bits above.
    """
    examined = 0
    before = -1
    for i in range(len(rows)):
        row = rows[i]
        if before >= 0 and process[before] != process[row]:
            before = -1
        bits = state[row]
        if bits == 0:
            continue
        examined += 1
        send = send_of[row]
        if before >= 0 and clock[row] < clock[before]:
            found_out[row] = RESTART_RESET if bits & RESTARTED else WENT_BACK
        elif send >= 0 and state[send] != 0 and clock[row] <= clock[send]:
            found_out[row] = NOT_AFTER_SEND
        elif before >= 0 and clock[row] == clock[before] and bits & MUST_TICK:
            found_out[row] = RESTART_RESET if bits & RESTARTED else MISSING_INCREMENT
        before = row
    return examined


@kernel
def own_error(here: int, earlier: int, brought: int, bits: int, highest: int) -> int:
    """What is wrong with an event's own component, given the one before, the send's, and the largest so far."""
    missed = bits // MISSED
    if brought - highest > missed:
        return FROM_THE_FUTURE
    if here < earlier:
        return RESTART_RESET if bits & RESTARTED else WENT_BACK
    if here == earlier and bits & MUST_TICK:
        return RESTART_RESET if bits & RESTARTED else MISSING_INCREMENT
    if here - max(earlier, brought) > missed + (1 if bits & MAY_TICK else 0):
        return OWN_JUMPED
    return FINE


@kernel
def first_error(here: int, start: int, brought: int, bits: int) -> int:
    """What is wrong with the own component of a process's first timestamp. `start` is the clock before it."""
    missed = bits // MISSED
    if not bits & BEGINS:
        return FINE
    if brought > max(start, 0) + missed:
        return FROM_THE_FUTURE
    if here > start + missed + (1 if bits & MAY_TICK else 0):
        return OWN_JUMPED
    if here <= start and bits & MUST_TICK:
        return MISSING_INCREMENT
    return FINE


@kernel
def other_error(here: int, earlier: int, brought: int, bits: int, limit: int) -> int:
    """What is wrong with what an event knows of another process, which recorded no more than `limit`."""
    if here < earlier:
        return RESTART_RESET if bits & RESTARTED else WENT_BACK
    if here < brought:
        return MISSING_MERGE
    learned = bits & LEARNED or bits >= MISSED
    if here > max(earlier, brought) and (not learned or here > limit):
        return FROM_THE_FUTURE
    return FINE


@kernel
def entry(row: int, component: int, offsets: Int64, clock: Int64) -> int:
    """A component of a row's vector; vectors end in zeros, and no row (-1) knows nothing."""
    if row < 0 or component >= offsets[row + 1] - offsets[row]:
        return 0
    return int(clock[offsets[row] + component])


@kernel
def vector_errors(
    rows: Int64,
    process: Int32,
    offsets: Int64,
    clock: Int64,
    state: Int64,
    send_of: Int64,
    limit: Int64,
    found_out: Int64,
) -> int:
    """What is wrong with each event's vector timestamp, and in which component; returns how many were examined.

    state: per row, the bits above. send_of: a send with a vector, or -1. limit: shape (components + 1,): the most that
    a process can have counted, and in the last place the clock before the first event. The rule (Fidge 1988, Mattern
    1989): the largest of the previous event's vector and the send's, and one more in the own component. Only those two
    are looked at, so an error is reported where it arises and not again downstream.
    """
    examined = 0
    before = -1
    highest = 0
    for i in range(len(rows)):
        row = rows[i]
        if before >= 0 and process[before] != process[row]:
            before = -1
        bits = state[row]
        if bits == 0:
            continue
        examined += 1
        send = send_of[row]
        own = process[row]
        wide = max(offsets[row + 1] - offsets[row], own + 1)
        if before >= 0:
            wide = max(wide, offsets[before + 1] - offsets[before])
        if send >= 0:
            wide = max(wide, offsets[send + 1] - offsets[send])
        error = FINE
        for c in range(wide):
            here = entry(row, c, offsets, clock)
            earlier = entry(before, c, offsets, clock)
            brought = entry(send, c, offsets, clock)
            if c != own:
                error = other_error(here, earlier, brought, bits, limit[c])
            elif before >= 0:
                error = own_error(here, earlier, brought, bits, highest)
            else:
                error = first_error(here, limit[-1], brought, bits)
            if error != FINE:
                found_out[row] = error + CODES * c
                break
        mine = max(entry(row, own, offsets, clock), entry(send, own, offsets, clock))
        highest = max(highest, mine) if before >= 0 else mine
        before = row
    return examined


@kernel
def separate(parent: Int64, role_out: Int8) -> int:
    """Tells root causes from consequences; returns how many roots there are.

    parent: per error, the error that may explain it, or -1. One whose parent is itself explained stands for itself:
    after a wrong value and its correction, the next error is a new one.
    """
    roots = 0
    for i in range(len(parent)):
        at = i
        depth = 0
        while at >= 0 and role_out[at] == UNRESOLVED:
            role_out[at] = VISITED
            at = parent[at]
            depth += 1
        role = CONSEQUENCE
        if at >= 0 and role_out[at] == ROOT:
            role = ROOT
        # The uppermost takes the role opposite to what it hangs from; each further one the opposite of the one above.
        role = (CONSEQUENCE if role == ROOT else ROOT) if depth % 2 == 1 else role
        at = i
        while depth > 0:
            role_out[at] = role
            roots += role == ROOT
            role = CONSEQUENCE if role == ROOT else ROOT
            at = parent[at]
            depth -= 1
    return roots
