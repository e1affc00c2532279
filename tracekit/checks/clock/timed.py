"""The events that have a timestamp, each with what lies between it and the one before it at its process."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tracekit.execution import Execution
from tracekit.kernels.engine import kernels
from tracekit.order.program import ProgramOrder
from tracekit.trace.schema import Kind
from tracekit.trace.trace import Trace

Bool = NDArray[np.bool_]
Int64 = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Timed:
    """Timestamps in program order.

    Attributes
    ----------
    program: program order.
    present: shape (n,): which rows have a timestamp.
    before: shape (n,): the row with the timestamp before, at the same process; -1 where there is none.
    missed: shape (n,): how many events since then have no timestamp, or are not in the recording: a gap in `seq`.
    restarted: shape (n,): whether the process crashed or restarted since then.
    """

    program: ProgramOrder
    present: Bool
    before: Int64
    missed: Int64
    restarted: Bool

    @classmethod
    def of(cls, execution: Execution, present: Bool) -> Timed:
        """O(n); once for all clocks that every event has."""
        return execution.derive(_of_all) if present.all() else _timed(execution, present)

    @property
    def count(self) -> int:
        """How many events have a timestamp."""
        return int(np.count_nonzero(self.present))

    @property
    def rows(self) -> Int64:
        """The rows with a timestamp, process after process in program order. O(n)."""
        return self.program.rows[self.present[self.program.rows]]

    @cached_property
    def first(self) -> Int64:
        """The first row of each process that has one."""
        return np.flatnonzero(self.present & (self.before < 0))


def _of_all(execution: Execution) -> Timed:
    return _timed(execution, np.ones(len(execution.trace), np.bool_))


def _timed(execution: Execution, present: Bool) -> Timed:
    trace, program, n = execution.trace, execution.program_order, len(execution.trace)
    before, missed, restarted = np.empty(n, np.int64), np.zeros(n, np.int64), np.zeros(n, np.bool_)
    kernels("clocks", work=n).timed(
        program.walk, trace.process, trace.seq, trace.kind, present, before, missed, restarted
    )
    return Timed(program, present, before, missed, restarted)


def any_compared(execution: Execution, timed: Timed) -> bool:
    """Whether some timestamp has another one, before it at its process or at its send, that it could contradict."""
    send_of = execution.messages.send_of
    rows = np.flatnonzero(timed.present)
    return bool((timed.before[rows] >= 0).any() or timed.present[send_of[rows]][send_of[rows] >= 0].any())


def may_have_learned(execution: Execution) -> Bool:
    """Shape (n,): events that may have received a message of which no send is known."""
    trace, messages = execution.trace, execution.messages
    if not len(messages.sends) and not (messages.send_of >= 0).any():
        return np.ones(len(trace), np.bool_)
    learned: Bool = (trace.kind == Kind.RECEIVE) & (messages.send_of < 0)
    learned[messages.uncertain] = True  # a later copy than the earliest brought what its sender learned in between
    starts = execution.program_order.starts
    for code in range(len(trace.processes)):
        if covered(trace, code, "start") is False and starts[code] < starts[code + 1]:
            learned[execution.program_order.rows[starts[code]]] = True
    return learned


def covered(trace: Trace, code: int, end: str) -> bool | None:
    """Whether the process's `start` or `end` is declared recorded; None where nobody said."""
    said: bool | None = trace.run.coverage.get(trace.processes[code], {}).get(end)
    return said


def absent_zeros(timed: Timed, own: Int64, zero: Bool, process: NDArray[np.int32]) -> Bool:
    """Shape (n,): timestamps of zero that mean: no timestamp. None, unless the recording says so by itself.

    A zero after a positive timestamp is either a clock that was lost, which then counts on from zero, or an absent
    value, after which the clock goes on where it was. Zeros are taken as absent where at least `ENOUGH` are of the
    second sort, and `CLEAR` times as many as of the first.
    """
    none = np.zeros(len(own), np.bool_)
    if not zero.any():
        return none
    rows = timed.rows
    is_zero = zero[rows]
    places, others = np.flatnonzero(is_zero), np.flatnonzero(~is_zero)
    if not len(places) or not len(others):
        return none
    after = np.searchsorted(others, places)
    inside = (after > 0) & (after < len(others))
    at, after = rows[places[inside]], after[inside]
    left, right = rows[others[after - 1]], rows[others[after]]
    same = (process[left] == process[at]) & (process[right] == process[at])
    # Zeros in a row are one case: a clock that was reset once may stand at zero for long.
    resumed = len(np.unique(left[same & (own[right] >= own[left])]))
    lost = len(np.unique(left[same & (own[right] < own[left])]))
    if resumed < ENOUGH or resumed < CLEAR * lost:
        return none
    return zero & timed.present


ENOUGH = 3
"""Events that must say the same before that is taken for the recorder's convention."""

CLEAR = 3
"""How many times as many events must follow a convention as break it: a few errors do not change it."""
