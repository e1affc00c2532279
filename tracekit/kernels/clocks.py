"""Local validation of recorded timestamps: each event against the one before it at its process and its send."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tracekit.kernels.engine import kernel

Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]
Int8 = NDArray[np.int8]
Bool = NDArray[np.bool_]

SEND = 1
RECEIVE = 2
CRASH = 7
RESTART = 8
FAR = 1 << 40
"""More events than are ever missing between two others; added up, it stays far from the largest number."""

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
def timed(
    rows: Int64, process: Int32, seq: Int64, kind: Int8, present: Bool,
    before_out: Int64, missed_out: Int64, restarted_out: Bool,
) -> None:  # fmt: skip
    """What lies between each event's timestamp and the one before it at its process; the outputs are those of `Timed`.

    rows: every row, each process's in program order; empty: as they stand in the file. missed_out, restarted_out: zero
    on entry; written where there is anything to tell, since memory that nobody touches costs nothing.
    """
    processes = 1 + (process.max() if len(process) else 0)
    last, last_place = np.full(processes, -1, np.int64), np.zeros(processes, np.int64)
    count, stopped = np.zeros(processes, np.int64), np.zeros(processes, np.bool_)
    for i in range(len(process)):
        row = rows[i] if len(rows) else i
        p = process[row]
        place = count[p]
        count[p] += 1
        stops = kind[row] == CRASH or kind[row] == RESTART
        stopped[p] |= stops
        earlier = last[p]
        before_out[row] = earlier if present[row] else -1
        if not present[row]:
            continue
        missed = max(place, seq[row])
        if earlier >= 0:
            missed = max(place - last_place[p], seq[row] - seq[earlier]) - 1
            if stopped[p]:
                restarted_out[row] = True
        if missed > 0:
            missed_out[row] = min(missed, FAR)
        last[p] = row
        last_place[p] = place
        stopped[p] = stops


@kernel
def ticks(
    kind: Int8, clock: Int64, present: Bool, before: Int64, missed: Int64, restarted: Bool, send_of: Int64,
    counts_out: Int64,
) -> None:  # fmt: skip
    """How many events kept, and how many advanced, the clock of their process: shape (3, 2), by `class_of`.

    clock: shape (n,), of vectors the own component. An advance over a gap or a restart does not tell; nor does a
    receive that must pass its send anyway. send_of: empty where a message does not move the clock.
    """
    for row in range(len(kind)):
        earlier = before[row]
        if earlier < 0:
            continue
        send = send_of[row] if len(send_of) else -1
        if send >= 0 and present[send] and clock[send] >= clock[earlier]:
            continue
        if clock[row] == clock[earlier]:
            counts_out[class_of(kind[row]), 0] += 1
        elif clock[row] > clock[earlier] and not (missed[row] or restarted[row]):
            counts_out[class_of(kind[row]), 1] += 1


@kernel
def class_of(kind: int) -> int:
    """Sends and receives each have a convention of their own; all else counts as internal (0)."""
    return kind if kind in (SEND, RECEIVE) else 0


@kernel
def lamport_errors(
    kind: Int8, must: Bool, clock: Int64, present: Bool, before: Int64, restarted: Bool, send_of: Int64,
    found_out: Int64,
) -> None:  # fmt: skip
    """What is wrong with each event's Lamport timestamp. must: by kind, whether such an event advances the clock."""
    for row in range(len(kind)):
        if not present[row]:
            continue
        earlier, send = before[row], send_of[row]
        if earlier >= 0 and clock[row] < clock[earlier]:
            found_out[row] = RESTART_RESET if restarted[row] else WENT_BACK
        elif send >= 0 and present[send] and clock[row] <= clock[send]:
            found_out[row] = NOT_AFTER_SEND
        elif earlier >= 0 and clock[row] == clock[earlier] and must[kind[row]]:
            found_out[row] = RESTART_RESET if restarted[row] else MISSING_INCREMENT


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
    """What is wrong with the own component of a process's first timestamp. `start` is the clock before it; `brought`
    is what its message says of it, which may be more where clocks count from -1: who knows nothing of a process says 0.
    """
    missed = bits // MISSED
    if not bits & BEGINS:
        return FINE
    if brought > max(start, 0) + missed:
        return FROM_THE_FUTURE
    if here > max(start, brought) + missed + (1 if bits & MAY_TICK else 0):
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
def own_components(process: Int32, offsets: Int64, clock: Int64, components: int, own_out: Int64) -> None:
    """Each event's own component; zero where its vector does not reach that far, or its process has none."""
    for row in range(len(process)):
        own_out[row] = entry(row, process[row], offsets, clock) if process[row] < components else 0


@kernel
def only_own_differs(here: int, earlier: int, brought: int, wide: int, own: int, clock: Int64) -> bool:
    """Whether a vector is the largest of two others in all components but its own. Given where each begins.

    Without branches, so that a compiler compares several components at once.
    """
    differ = 0
    for c in range(wide):
        differ += clock[here + c] != max(clock[earlier + c], clock[brought + c])
    return bool(differ == (clock[here + own] != max(clock[earlier + own], clock[brought + own])))


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
) -> None:
    """What is wrong with each event's vector timestamp, and in which component.

    rows: every row, each process's in program order; empty: as they stand in the file. state: per row, the bits above.
    limit: shape (components + 1,): the most that a process can have counted, and in the last place the clock
    before the first event. The rule (Fidge 1988, Mattern 1989): the largest of the previous event's vector and the
    send's, and one more in the own component. Only those two are looked at, so an error is reported where it arises
    and not again downstream.
    """
    last, largest = np.full(len(limit), -1, np.int64), np.zeros(len(limit), np.int64)
    for i in range(len(process)):
        row = rows[i] if len(rows) else i
        bits = state[row]
        if bits == 0:
            continue
        own = process[row]
        before, send = last[own], send_of[row]
        if send >= 0 and state[send] == 0:
            send = -1
            bits |= LEARNED
        here, size = offsets[row], offsets[row + 1] - offsets[row]
        first, end = 0, max(size, own + 1)
        alike = own < size
        for other in (before, send):
            if other >= 0:
                alike = alike and offsets[other + 1] - offsets[other] == size
                end = max(end, offsets[other + 1] - offsets[other])
        if alike and before >= 0:
            brought_at = offsets[send] if send >= 0 else offsets[before]
            if only_own_differs(here, offsets[before], brought_at, size, own, clock):
                first, end = own, own + 1
        for c in range(first, end):
            at = entry(row, c, offsets, clock)
            earlier, brought = entry(before, c, offsets, clock), entry(send, c, offsets, clock)
            if c != own:
                error = other_error(at, earlier, brought, bits, limit[c])
            elif before >= 0:
                error = own_error(at, earlier, brought, bits, largest[own])
            else:
                unheard = send < 0 and not bits & LEARNED
                error = first_error(at, limit[-1], limit[-1] if unheard else brought, bits)
            if error != FINE:
                found_out[row] = error + CODES * c
                break
        mine = max(entry(row, own, offsets, clock), entry(send, own, offsets, clock))
        largest[own] = max(largest[own], mine) if before >= 0 else mine
        last[own] = row


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
