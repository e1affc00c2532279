"""Hybrid logical clocks: validated against the order of events, never taken as proof of it.

A timestamp is a pair (l, c), compared as pairs: l is the largest physical reading heard of, c counts events that share
it (Kulkarni, Demirbas, Madappa, Avva and Leone, "Logical Physical Clocks", OPODIS 2014).
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from tracekit.order.happens_before import HappensBefore
from tracekit.trace.schema import Kind

Bool = NDArray[np.bool_]
Int64 = NDArray[np.int64]


class HybridError(IntEnum):
    """What is wrong with a hybrid timestamp."""

    NONE = 0
    NOT_LATER = 1
    """Not larger than the timestamp before it at its process, or than its sender's."""
    BEHIND_CLOCK = 2
    """l is smaller than the process's own physical reading at the event."""
    AHEAD = 3
    """l is larger than that reading and than every l that came before: no clock has shown it."""
    WRONG_COUNT = 4
    """c is not what the algorithm gives: one more than the largest c that came with the same l, or 0 with a new l."""


def largest_causes(order: HappensBefore, physical: Int64, logical: Int64, present: Bool) -> Int64:
    """Shape (n,): of the timestamp before at the event's process and its senders', the row with the largest; else -1.

    O(n), and O(edges log edges) where events may have several senders.

    Parameters
    ----------
    physical, logical: shape (n,), the halves l and c of each timestamp.
    present: shape (n,), which events have one. Events without, and faults, are passed over.
    """
    trace, program = order.trace, order.program
    present = present & (trace.kind != Kind.FAULT)
    rows = program.rows[present[program.rows]]
    same = trace.process[rows[1:]] == trace.process[rows[:-1]]
    cause = np.full(len(trace), -1, np.int64)
    cause[rows[1:][same]] = rows[:-1][same]
    edges = order.edges()
    both = present[edges.sources] & present[edges.targets]
    sources, targets = edges.sources[both], edges.targets[both]
    if order.recovered is not None:
        by_target = np.lexsort((logical[sources], physical[sources], targets))
        last = np.flatnonzero(np.diff(targets[by_target], append=-1))
        sources, targets = sources[by_target[last]], targets[by_target[last]]
    here = cause[targets]
    larger = (here < 0) | _less(physical, logical, here, sources)
    cause[targets[larger]] = sources[larger]
    return cause


def _less(physical: Int64, logical: Int64, first: Int64, second: Int64) -> Bool:
    """Whether the timestamps of some rows are smaller than those of others."""
    l1, l2 = physical[first], physical[second]
    less: Bool = (l1 < l2) | ((l1 == l2) & (logical[first] < logical[second]))
    return less


def hybrid_errors(
    cause: Int64, physical: Int64, logical: Int64, present: Bool, reading: Int64, readable: Bool
) -> NDArray[np.int8]:
    """Shape (n,): the first `HybridError` that holds of each event's timestamp. O(n).

    Only its largest cause is looked at, so that an error shows where it arises. A process's first timestamp may count
    from anywhere.

    Parameters
    ----------
    cause: shape (n,), from `largest_causes`.
    physical, logical, present: shape (n,), as there; l in the unit of `reading`.
    reading, readable: shape (n,), the process's physical clock at the event, and where it is known.
    """
    errors = np.zeros(len(present), np.int8)
    has, readable = present & (cause >= 0), present & readable
    l_before, c_before = physical[cause], logical[cause]
    stayed = physical == l_before
    errors[has & (logical != np.where(stayed, c_before + 1, 0))] = HybridError.WRONG_COUNT
    errors[present & (logical < 0)] = HybridError.WRONG_COUNT
    errors[has & readable & (physical > np.maximum(l_before, reading))] = HybridError.AHEAD
    errors[readable & (physical < reading)] = HybridError.BEHIND_CLOCK
    errors[has & ((physical < l_before) | (stayed & (logical <= c_before)))] = HybridError.NOT_LATER
    return errors
