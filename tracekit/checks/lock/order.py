"""Which of two events came first: by happens-before, else by the best clock that the recording has; or not known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracekit.checks.clock_physical import UNDECLARED, declared_skew
from tracekit.checks.evidence import duration
from tracekit.execution import Execution
from tracekit.trace.columns import Column

Int64 = NDArray[np.int64]
Bool = NDArray[np.bool_]

FAR = 2**61
"""Readings beyond it are not used, so that sums of readings and bounds stay in 64 bits."""
MILLION = 1_000_000


@dataclass(frozen=True, eq=False)
class Order:
    """The order of events in real time, as far as it is certain.

    Attributes
    ----------
    column: what tells moments: ``index``, ``true_time_ns``, ``time_ns``; None: nothing but happens-before.
    moment, known: shape (n,): each row's moment, and whether it has one.
    skew: shape (processes, processes): by how much moments of two processes may be wrong against each other.
    drift_ppm: by how many millionths a process's clock may run wrong.
    text: what that rests on, for people.
    assumed: whether the clocks are taken for one shared clock, since nothing was declared.
    """

    execution: Execution
    column: str | None
    moment: Int64
    known: Bool
    skew: Int64
    drift_ppm: int
    text: str
    assumed: bool = False

    @property
    def total(self) -> bool:
        """Whether one clock orders all events that matter."""
        return self.column in ("index", "true_time_ns")

    @property
    def clocked(self) -> bool:
        """Whether moments are times, so that a lease can be added to them."""
        return self.column in ("true_time_ns", "time_ns")

    def before(self, first: Any, second: Any) -> Bool:
        """Whether `first` certainly came before `second`, element by element. O(1) a pair."""
        first, second = np.broadcast_arrays(np.asarray(first, np.int64), np.asarray(second, np.int64))
        precedes = self.execution.happens_before.precedes
        causal = precedes(first, second)
        if self.column is None:
            return causal
        gap = self.skew[self.execution.trace.process[first], self.execution.trace.process[second]]
        timed = self.known[first] & self.known[second] & (gap < UNDECLARED)
        timed &= self.moment[first] + np.where(timed, gap, 0) < self.moment[second]
        out: Bool = causal | (timed & ~precedes(second, first))
        return out

    def shown_before(self, moment: Int64, at: NDArray[Any], row: Any) -> Bool:
        """Whether a moment on the clock of the process `at` certainly came before a row, element by element."""
        return self._compared(moment, at, row, late=False)

    def shown_after(self, moment: Int64, at: NDArray[Any], row: Any) -> Bool:
        """Whether a moment on the clock of the process `at` certainly came after a row, element by element."""
        return self._compared(moment, at, row, late=True)

    def _compared(self, moment: Int64, at: NDArray[Any], row: Any, late: bool) -> Bool:
        row = np.asarray(row, np.int64)
        if not self.clocked:
            return np.zeros(len(moment), np.bool_)
        gap = self.skew[at, self.execution.trace.process[row]]
        usable = self.known[row] & (gap < UNDECLARED) & (np.abs(moment) < 2 * FAR)
        gap = np.where(usable, gap, 0)
        there = np.where(usable, self.moment[row], 0)
        own = np.where(usable, moment, 0)
        found: Bool = usable & ((there + gap < own) if late else (own + gap < there))
        return found

    def linear(self, rows: Int64) -> Int64:
        """Positions that sort rows into an order that agrees with what is certain, mostly: a guide, never evidence."""
        lamport = self.execution.happens_before.lamport(rows)
        if self.column is not None and bool(self.known[rows].all()):
            return np.lexsort((rows, lamport, self.moment[rows]))
        return np.lexsort((rows, lamport))


def order_of(execution: Execution, rows: Int64) -> Order:
    """The order over the rows that matter: by the first of index, true time and clocks that all of them have."""
    trace = execution.trace
    n, processes = len(trace), len(trace.processes)
    drift = trace.run.bounds.get("drift_ppm", 0)
    for name in ("index", "true_time_ns", "time_ns"):
        column = trace.get(name)
        if column is None or not _usable(column, rows):
            continue
        skew = np.zeros((processes, processes), np.int64)
        text, assumed = {"index": "index (one recorder)", "true_time_ns": "the simulator's clock"}.get(name, ""), False
        if name == "time_ns":
            skew, text, assumed = _skew(execution, rows)
        known = column.present & (np.abs(column.values) < FAR)
        moment = np.where(known, column.values, 0).astype(np.int64)
        return Order(execution, name, moment, known, skew, max(0, drift), f"lock order: {text}", assumed)
    nothing = np.zeros(n, np.bool_)
    text = "lock order: happens-before only"
    return Order(execution, None, np.zeros(n, np.int64), nothing, np.zeros((0, 0), np.int64), 0, text)


def _usable(column: Column, rows: Int64) -> bool:
    if column.texts is not None or column.values.dtype != np.int64 or not len(rows):
        return False
    return bool(column.present[rows].all()) and bool((np.abs(column.values[rows]) < FAR).all())


def _skew(execution: Execution, rows: Int64) -> tuple[Int64, str, bool]:
    """By how much clocks may differ: as declared; as the caller says; else not at all, which is told."""
    trace = execution.trace
    asked = execution.options.skew_ns
    skew = declared_skew(trace)
    if asked:
        skew = np.full_like(skew, min(asked, FAR))
    np.fill_diagonal(skew, 0)
    among = np.unique(trace.process[rows])
    pairs = skew[np.ix_(among, among)]
    off = pairs[~np.eye(len(among), dtype=np.bool_)]
    if bool((off == UNDECLARED).all()) and not trace.run.clocks:
        return np.zeros_like(skew), "one shared clock (assumed)", True
    largest = int(off[off < UNDECLARED].max(initial=0))
    skew = np.where(skew < UNDECLARED, np.minimum(skew, FAR), skew)
    return skew, f"clocks that differ by at most {duration(largest)}", False
