"""Local validation of recorded timestamps: each event against the one before it at its process and its send."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tracekit.kernels.engine import kernel

Bool = NDArray[np.bool_]
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

TICKS = 2
LEARNED = 4
MISSED = 8


@kernel
def lamport_errors(
    rows: Int64, process: Int32, clock: Int64, present: Bool, ticks: Bool, send_of: Int64, error_out: Int8
) -> int:
    """What is wrong with each event's Lamport timestamp; returns how many were examined.

    rows: all rows, process after process in program order. ticks: whether the event must advance the clock. present:
    false for rows without a timestamp, and for faults: they are passed over.
    """
    examined = 0
    before = -1
    for i in range(len(rows)):
        row = rows[i]
        if before >= 0 and process[before] != process[row]:
            before = -1
        if not present[row]:
            continue
        examined += 1
        send = send_of[row]
        if before >= 0 and clock[row] < clock[before]:
            error_out[row] = WENT_BACK
        elif send >= 0 and present[send] and clock[row] <= clock[send]:
            error_out[row] = NOT_AFTER_SEND
        elif before >= 0 and clock[row] == clock[before] and ticks[row]:
            error_out[row] = MISSING_INCREMENT
        before = row
    return examined


@kernel
def vector_errors(
    rows: Int64,
    process: Int32,
    offsets: Int64,
    clock: Int64,
    state: Int64,
    send_of: Int64,
    error_out: Int8,
    where_out: Int32,
) -> int:
    """What is wrong with each event's vector timestamp, and in which component; returns how many were examined.

    state: per row, 0 no timestamp (or no component of its own): passed over; else bits: 1 it has one, TICKS it must
    advance its own component, LEARNED it may have received a message of which no send is known; the rest, from MISSED on,
    counts the events between it and the one before it that have no timestamp: they may have ticked, and learned.
    The rule (Fidge 1988, Mattern 1989): the largest of the previous event's vector and the send's, and one more in the
    own component. Only those two are looked at, so an error is reported where it arises and not again downstream.
    """
    examined = 0
    before = -1
    for i in range(len(rows)):
        row = rows[i]
        if before >= 0 and process[before] != process[row]:
            before = -1
        if state[row] == 0:
            continue
        examined += 1
        send = send_of[row]
        missed = state[row] // MISSED
        learned = missed > 0 or state[row] & LEARNED != 0
        if send >= 0 and state[send] == 0:
            send = -1
            learned = True
        own = process[row]
        size = offsets[row + 1] - offsets[row]
        wide = max(size, own + 1)
        if before >= 0:
            wide = max(wide, offsets[before + 1] - offsets[before])
        if send >= 0:
            wide = max(wide, offsets[send + 1] - offsets[send])
        for c in range(wide):
            here = clock[offsets[row] + c] if c < size else 0
            earlier = 0
            if before >= 0 and c < offsets[before + 1] - offsets[before]:
                earlier = clock[offsets[before] + c]
            brought = 0
            if send >= 0 and c < offsets[send + 1] - offsets[send]:
                brought = clock[offsets[send] + c]
            error = FINE
            if here < earlier:
                error = WENT_BACK
            elif c == own:
                tick = 1 if state[row] & TICKS else 0
                if here < earlier + tick:
                    error = MISSING_INCREMENT
                elif before >= 0 and here > earlier + tick + missed:
                    error = OWN_JUMPED
            elif here < brought:
                error = MISSING_MERGE
            elif here > max(earlier, brought) and not learned:
                error = FROM_THE_FUTURE
            if error != FINE:
                error_out[row] = error
                where_out[row] = c
                break
        before = row
    return examined
