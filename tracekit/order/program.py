"""Program order: each process's events in the order in which they happened there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tracekit.kernels.engine import kernels
from tracekit.trace.assemble import file_order
from tracekit.trace.schema import Kind
from tracekit.trace.trace import Trace

Chosen = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int32]]


@dataclass(frozen=True, eq=False)
class ProgramOrder:
    """Events sorted into one run per process.

    Attributes
    ----------
    rows: int64, shape (n,): rows sorted by process, then by seq; equal seqs in file order.
    starts: int64, shape (processes + 1,): process p has ``rows[starts[p]:starts[p + 1]]``.
    index: int64, shape (n,): place of each row at its process, from 0.
    in_file_order: whether each process's events stand in the file in its order.
    counted: whether seqs are these places: nothing is missing, and no place is taken twice.
    """

    rows: NDArray[np.int64]
    starts: NDArray[np.int64]
    index: NDArray[np.int64]
    in_file_order: bool = False
    counted: bool = False

    @classmethod
    def of(cls, trace: Trace) -> ProgramOrder:
        """O(n) where each process's rows are already in order, else O(n log n)."""
        n, processes = len(trace), len(trace.processes)
        rows, starts = np.empty(n, np.int64), np.zeros(processes + 1, np.int64)
        loops = kernels("order", work=n)
        found = loops.program_order(trace.process, trace.seq, starts, rows)
        if found == loops.COUNTED:
            return cls(rows, starts, trace.seq, in_file_order=True, counted=True)
        if found == loops.IN_ORDER:
            return cls(rows, starts, file_order(trace.process, processes), in_file_order=True)
        rows = np.lexsort((trace.seq, trace.process)).astype(np.int64, copy=False)
        index = np.empty(n, np.int64)
        index[rows] = np.arange(n) - np.repeat(starts[:-1], np.diff(starts))
        return cls(rows, starts, index, counted=bool((index == trace.seq).all()))

    @property
    def walk(self) -> NDArray[np.int64]:
        """For kernels that visit each process's events in its order: `rows`, or nothing where the file's own order
        does, which is several times as fast: neighbours in memory are visited together."""
        return self.rows[:0] if self.in_file_order else self.rows

    def last_of(self, process: NDArray[np.int32], chosen: NDArray[np.bool_]) -> Chosen:
        """The chosen events in program order: where each process's begin, and the last at or before each event. O(n).

        chosen: shape (n,). Returns starts, shape (processes + 1,), the rows, and shape (n,) places in these, -1 where
        there is none.
        """
        starts, last = np.zeros(len(self.starts), np.int64), np.empty(len(process), np.int32)
        events = np.empty(int(np.count_nonzero(chosen)), np.int64)
        kernels("order", work=len(process)).last_of(self.walk, process, chosen, starts, events, last)
        return starts, events, last

    def of_process(self, code: int) -> NDArray[np.int64]:
        """The rows of one process, in its order."""
        return self.rows[self.starts[code] : self.starts[code + 1]]

    def gaps(self, trace: Trace) -> NDArray[np.int64]:
        """Rows before which places (seq) of their process are left out, ascending: what stood there was not recorded.
        Faults do not count. O(n)."""
        if self.counted:
            return self.rows[:0]
        found = self.rows[self.steps(trace) > 1]
        return np.sort(found[trace.kind[found] != Kind.FAULT])

    def steps(self, trace: Trace) -> NDArray[np.int64]:
        """By how many places each of `rows` is behind the one before it: 1 where none is left out, of a first one as
        well. Places count from 0; from 1 where no process has a 0 and some begin with 1. Shape (n,). O(n)."""
        seq = trace.seq[self.rows]
        steps = np.diff(seq, prepend=0)
        first = self.starts[:-1][np.diff(self.starts) > 0]
        start = 1 if len(first) and int(seq[first].min()) == 1 else 0
        steps[first] = seq[first] + 1 - start
        return steps
