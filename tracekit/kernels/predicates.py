"""Loops over local states in search of global ones.

State k of a process is the one after its first k events. A run is a longest stretch of states in which the process's
condition is true, given by its first and last state.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tracekit.kernels.engine import kernel

Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]

IRRELEVANT = -1


@kernel
def earliest_cut(
    rows: Int64,
    starts: Int64,
    last_receive: Int32,
    vectors: Int32,
    first: Int64,
    last: Int64,
    run_starts: Int64,
    counts_out: Int64,
) -> bool:
    """The earliest consistent choice of a true state of each process; false where there is none.

    rows, starts: all rows in program order. last_receive, vectors: of happens-before. first, last, run_starts: the
    runs, process after process. counts_out: on entry `IRRELEVANT` for processes without a condition, else anything;
    then the states. A state that another chosen one knows to be over is given up (Garg and Waldecker 1994).
    """
    processes = len(counts_out)
    run = run_starts[:-1].copy()
    waiting = np.empty(processes, np.int64)
    size = 0
    for p in range(processes):
        if counts_out[p] == IRRELEVANT:
            continue
        if run_starts[p] == run_starts[p + 1]:
            return False
        counts_out[p] = first[run[p]]
        waiting[size] = p
        size += 1
    while size > 0:
        size -= 1
        p = waiting[size]
        if counts_out[p] == 0:
            continue
        receive = last_receive[rows[starts[p] + counts_out[p] - 1]]
        if receive < 0:
            continue
        for q in range(processes):
            needed = vectors[receive, q]
            if q == p or counts_out[q] == IRRELEVANT or needed <= counts_out[q]:
                continue
            while run[q] < run_starts[q + 1] and last[run[q]] < needed:
                run[q] += 1
            if run[q] == run_starts[q + 1]:
                return False
            counts_out[q] = max(needed, first[run[q]])
            queued = False
            for k in range(size):
                queued = queued or waiting[k] == q
            if not queued:
                waiting[size] = q
                size += 1
    return True


@kernel
def unavoidable_runs(
    rows: Int64,
    starts: Int64,
    last_receive: Int32,
    vectors: Int32,
    first: Int64,
    last: Int64,
    run_starts: Int64,
    run_out: Int64,
) -> bool:
    """The earliest choice of a run of each process such that each begins before every other ends; false for none.

    Arguments as in `earliest_cut`. run_out: on entry `IRRELEVANT` for processes without a condition; then the runs.
    Run i ends with the event after its last state; if run j's first event does not happen before that, no later run
    of j does either, and run i is given up (Garg and Waldecker 1996).
    """
    processes = len(run_out)
    waiting = np.empty(processes, np.int64)
    size = 0
    for p in range(processes):
        if run_out[p] == IRRELEVANT:
            continue
        if run_starts[p] == run_starts[p + 1]:
            return False
        run_out[p] = run_starts[p]
        waiting[size] = p
        size += 1
    while size > 0:
        size -= 1
        changed = waiting[size]
        # `changed` has a new run: its end against all beginnings, all ends against its beginning.
        for other in range(processes):
            if other == changed or run_out[other] == IRRELEVANT:
                continue
            for turn in range(2):
                ends, begins = (changed, other) if turn == 0 else (other, changed)
                moved = False
                while last[run_out[ends]] < starts[ends + 1] - starts[ends]:
                    begin = first[run_out[begins]]
                    receive = last_receive[rows[starts[ends] + last[run_out[ends]]]]
                    if begin == 0 or (receive >= 0 and vectors[receive, begins] >= begin):
                        break
                    run_out[ends] += 1
                    moved = True
                    if run_out[ends] == run_starts[ends + 1]:
                        return False
                if moved:
                    queued = False
                    for k in range(size):
                        queued = queued or waiting[k] == ends
                    if not queued:
                        waiting[size] = ends
                        size += 1
    return True
