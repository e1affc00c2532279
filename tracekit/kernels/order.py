"""Loops of matching and ordering."""

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

LARGEST = np.iinfo(np.int64).max
OUT_OF_ORDER = 0
IN_ORDER = 1
COUNTED = 2
RESENT = 1
AMBIGUOUS = 2


@kernel
def file_order(process: Int32, count: Int64, place_out: Int64) -> None:
    """For each row how many earlier rows have its process. count: shape (processes,), zero on entry."""
    for row in range(len(process)):
        p = process[row]
        place_out[row] = count[p]
        count[p] += 1


@kernel
def program_order(process: Int32, seq: Int64, starts_out: Int64, rows_out: Int64) -> int:
    """Rows process after process, each process's as they stand in the file; tells what that order is worth.

    starts_out: shape (processes + 1,), zero on entry. Returns OUT_OF_ORDER where a process's seq falls; COUNTED where
    each process's seqs are 0, 1, 2, ...; else IN_ORDER.
    """
    for row in range(len(process)):
        starts_out[process[row] + 1] += 1
    for p in range(len(starts_out) - 1):
        starts_out[p + 1] += starts_out[p]
    cursor = starts_out[:-1].copy()
    found = COUNTED
    for row in range(len(process)):
        p = process[row]
        place = cursor[p]
        rows_out[place] = row
        cursor[p] = place + 1
        if seq[row] != place - starts_out[p] and found == COUNTED:
            found = IN_ORDER
        if place > starts_out[p] and seq[row] < seq[rows_out[place - 1]]:
            found = OUT_OF_ORDER
    return found


@kernel
def last_of(rows: Int64, process: Int32, chosen: Bool, starts_out: Int64, events_out: Int64, last_out: Int32) -> None:
    """Chosen events process after process in program order, and for each event the last one at or before it there.

    rows: every row, each process's in program order; empty: as they stand in the file. starts_out: where each process's
    begin, shape (processes + 1,), zero on entry. last_out: place in `events_out`; -1 where there is none.
    """
    for row in range(len(process)):
        if chosen[row]:
            starts_out[process[row] + 1] += 1
    for p in range(len(starts_out) - 1):
        starts_out[p + 1] += starts_out[p]
    cursor = starts_out[:-1].copy()
    for i in range(len(process)):
        row = rows[i] if len(rows) else i
        p = process[row]
        if chosen[row]:
            events_out[cursor[p]] = row
            cursor[p] += 1
        last_out[row] = cursor[p] - 1 if cursor[p] > starts_out[p] else -1


@kernel
def extent(values: Int64, valid: Bool) -> tuple[int, int]:
    """Smallest and largest of the valid values; the other way round where there is none. valid: empty: all are."""
    low, high = LARGEST, -LARGEST
    for row in range(len(values)):
        if len(valid) == 0 or valid[row]:
            low, high = min(low, values[row]), max(high, values[row])
    return low, high


@kernel
def dense(values: Int64, valid: Bool, low: int, dense_out: Int64) -> None:
    """Values counted from the lowest; -1 where not valid. valid: empty: all are."""
    for row in range(len(values)):
        dense_out[row] = values[row] - low if len(valid) == 0 or valid[row] else -1


@kernel
def times_taken(receives: Int64, identity: Int64, times_out: Int8) -> int:
    """How often each message id was received: 0, 1, or 2 for several times; the largest of these."""
    most = 0
    for row in receives:
        times_out[identity[row]] = min(times_out[identity[row]] + 1, 2)
        most = max(most, times_out[identity[row]])
    return most


@kernel
def matching(kind: Int8, process: Int32, index: Int64, message: Int64, send_out: Int64, state_out: Int8) -> None:
    """For each message id its earliest send; `state_out` tells ids sent again, and ids sent by several processes.

    message: id per row, dense from 0; -1 where there is none. send_out: row of the send by id, -1 on entry.
    """
    for row in range(len(kind)):
        if kind[row] != SEND or message[row] < 0:
            continue
        identity = message[row]
        first = send_out[identity]
        if first < 0:
            send_out[identity] = row
        elif process[first] != process[row]:
            state_out[identity] = AMBIGUOUS
        else:
            if state_out[identity] == 0:
                state_out[identity] = RESENT
            if index[row] < index[first]:
                send_out[identity] = row


@kernel
def delivered(kind: Int8, identity: Int64, send: Int64, state: Int8, send_of_out: Int64) -> None:
    """For each receive the send of its message id, where one process sent it; -1 for it without one, and for others."""
    for row in range(len(kind)):
        send_of_out[row] = -1
        if kind[row] == RECEIVE and identity[row] >= 0 and state[identity[row]] != AMBIGUOUS:
            send_of_out[row] = send[identity[row]]


@kernel
def vector_rows(
    receives: Int64,
    sends: Int64,
    starts: Int64,
    process: Int32,
    index: Int64,
    last_receive: Int32,
    rows_out: Int32,
    cursor_out: Int64,
) -> int:
    """Vector clocks at receives, by Kahn's algorithm with one cursor a process and a list of waiting processes.

    receives: rows of matched receives, process after process in program order; sends: the send of each; starts: where
    each process's receives begin (shape processes + 1). rows_out: shape (receives, processes + 1), zero on entry; the
    last column is the receive's Lamport timestamp, which between receives grows by one an event.
    cursor_out: shape (processes), the first receive of each process that could not be ordered (``starts[p + 1]``
    where all could). Returns how many receives were ordered: fewer than all where the relation has a cycle.
    """
    processes = len(starts) - 1
    first_waiter = np.full(processes, -1, np.int64)
    next_waiter = np.full(processes, -1, np.int64)
    waits_for = np.full(processes, -1, np.int64)
    runnable = np.empty(processes, np.int64)
    count = 0
    ordered = 0
    for p in range(processes):
        cursor_out[p] = starts[p]
        runnable[count] = p
        count += 1
    while count > 0:
        count -= 1
        p = runnable[count]
        while cursor_out[p] < starts[p + 1]:
            r = cursor_out[p]
            send = sends[r]
            known = last_receive[send]
            q = process[send]
            if known >= cursor_out[q]:
                # The sender's past is not known yet: wait until that receive of the sender is done.
                waits_for[p] = known
                next_waiter[p] = first_waiter[q]
                first_waiter[q] = p
                break
            if r > starts[p]:
                for c in range(processes):
                    rows_out[r, c] = rows_out[r - 1, c]
            if known >= 0:
                for c in range(processes):
                    if rows_out[known, c] > rows_out[r, c]:
                        rows_out[r, c] = rows_out[known, c]
            if index[send] + 1 > rows_out[r, q]:
                rows_out[r, q] = index[send] + 1
            place = index[receives[r]]
            rows_out[r, p] = place + 1
            clock = place
            if r > starts[p]:
                clock = rows_out[r - 1, processes] + place - index[receives[r - 1]] - 1
            sent = index[send] + 1
            if known >= 0:
                sent = rows_out[known, processes] + index[send] - index[receives[known]]
            rows_out[r, processes] = max(clock, sent) + 1
            cursor_out[p] = r + 1
            ordered += 1
            waiter = first_waiter[p]
            first_waiter[p] = -1
            while waiter >= 0:
                following = next_waiter[waiter]
                if waits_for[waiter] <= r:
                    runnable[count] = waiter
                    count += 1
                else:
                    next_waiter[waiter] = first_waiter[p]
                    first_waiter[p] = waiter
                waiter = following
    return ordered
