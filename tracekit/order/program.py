"""Program order: each process's events in the order in which they happened there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tracekit.trace.trace import Trace


@dataclass(frozen=True, eq=False)
class ProgramOrder:
    """Events sorted into one run per process.

    Attributes
    ----------
    rows: int64, shape (n,): rows sorted by process, then by seq; equal seqs in file order.
    starts: int64, shape (processes + 1,): process p has ``rows[starts[p]:starts[p + 1]]``.
    index: int64, shape (n,): place of each row at its process, from 0.
    """

    rows: NDArray[np.int64]
    starts: NDArray[np.int64]
    index: NDArray[np.int64]

    @classmethod
    def of(cls, trace: Trace) -> ProgramOrder:
        """O(n) where each process's rows are already in order, else O(n log n)."""
        n = len(trace)
        counts = (
            np.bincount(trace.process, minlength=len(trace.processes)) if n else np.zeros(len(trace.processes), int)
        )
        starts = np.zeros(len(trace.processes) + 1, np.int64)
        np.cumsum(counts, out=starts[1:])
        # numpy sorts 16-bit integers by radix, in one pass; wider ones take five times as long.
        codes = trace.process.astype(np.int16) if len(trace.processes) <= np.iinfo(np.int16).max else trace.process
        rows = np.argsort(codes, kind="stable").astype(np.int64, copy=False)
        seq = trace.seq[rows]
        same = trace.process[rows[1:]] == trace.process[rows[:-1]]
        if bool((same & (seq[1:] < seq[:-1])).any()):
            rows = np.lexsort((trace.seq, trace.process)).astype(np.int64, copy=False)
        index = np.empty(n, np.int64)
        index[rows] = np.arange(n) - np.repeat(starts[:-1], counts)
        return cls(rows, starts, index)

    def of_process(self, code: int) -> NDArray[np.int64]:
        """The rows of one process, in its order."""
        return self.rows[self.starts[code] : self.starts[code + 1]]
