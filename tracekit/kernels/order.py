"""Loops of matching and ordering."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tracekit.kernels.engine import kernel

Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]
Int8 = NDArray[np.int8]

SEND = 1
RECEIVE = 2
RESENT = 1
AMBIGUOUS = 2


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
