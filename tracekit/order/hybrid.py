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

Int64 = NDArray[np.int64]


class HybridError(IntEnum):
    """What is wrong with a hybrid timestamp."""

    NONE = 0
    NOT_LATER = 1
    """Not larger than the timestamp before it at its process, or than its sender's."""
    WRONG_COUNT = 2
    """c is not what the algorithm gives: one more than the largest c that came with the same l, or 0 with a new l."""
    BEHIND_CLOCK = 3
    """l is smaller than the process's own physical reading at the event."""


def hybrid_errors(
    order: HappensBefore, physical: Int64, logical: Int64, present: NDArray[np.bool_], reading: Int64 | None = None
) -> NDArray[np.int8]:
    """Shape (n,): the `HybridError` of each event's timestamp. O(n + edges log edges).

    Only the previous timestamp at the process and those of the event's senders are looked at, so that an error shows
    where it arises. A process's first timestamp may count from anywhere.

    Parameters
    ----------
    physical, logical: shape (n,), the halves l and c of each timestamp, l in the unit of `reading`.
    present: shape (n,), which events have one. Events without are passed over.
    reading: shape (n,), the process's physical clock at the event, where it was recorded.
    """
    trace, program = order.trace, order.program
    present = present & (trace.kind != Kind.FAULT)
    rows = program.rows[present[program.rows]]
    same = trace.process[rows[1:]] == trace.process[rows[:-1]]
    edges = order.edges()
    both = present[edges.sources] & present[edges.targets]
    causes = np.concatenate([rows[:-1][same], edges.sources[both]])
    effects = np.concatenate([rows[1:][same], edges.targets[both]])
    by_effect = np.lexsort((logical[causes], physical[causes], effects))
    causes, effects = causes[by_effect], effects[by_effect]
    last = np.flatnonzero(np.diff(effects, append=-1))
    cause, effect = causes[last], effects[last]  # each event's largest cause
    errors = np.zeros(len(trace), np.int8)
    if reading is not None:
        errors[present & (physical < reading)] = HybridError.BEHIND_CLOCK
    stayed = physical[effect] == physical[cause]
    expected = np.where(stayed, logical[cause] + 1, 0)
    errors[effect[logical[effect] != expected]] = HybridError.WRONG_COUNT
    errors[effect[(physical[effect] < physical[cause]) | (stayed & (logical[effect] <= logical[cause]))]] = (
        HybridError.NOT_LATER
    )
    return errors
