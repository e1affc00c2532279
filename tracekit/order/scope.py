"""Where a question about global states is asked: a window of an execution, and the order that its cuts respect."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tracekit.order.cuts import Cut
from tracekit.order.happens_before import HappensBefore
from tracekit.order.synchronised import CHUNK, Synchronised
from tracekit.trace.schema import Kind

Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]
CELLS = 50_000_000
"""Events times processes, of those events that matter, up to which the order among them is written out."""


@dataclass(frozen=True, eq=False)
class Scope:
    """The cuts from `low` to `high` that are consistent, in happens-before or with clocks beside it.

    Attributes
    ----------
    low, high: consistent.
    clocks: None: happens-before alone.
    limit: how many cuts may be looked at one by one.
    ends: when to stop, by the monotonic clock.
    """

    order: HappensBefore
    low: Cut
    high: Cut
    limit: int
    ends: float
    clocks: Synchronised | None = None

    @classmethod
    def of(
        cls,
        order: HappensBefore,
        within: tuple[Cut, Cut] | None,
        limit: int,
        budget_s: float,
        clocks: Synchronised | None = None,
    ) -> Scope:
        """The scope between two cuts, or the whole execution.

        Raises
        ------
        ValueError: where the first cut is not below the second, or they are of another execution.
        """
        low, high = within or (Cut.of(order, {}), Cut.whole(order))
        if low.order is not order or high.order is not order or not low <= high:
            raise ValueError("a window is two cuts of this execution, the first below the second")
        scope = cls(order, low, high, limit, time.monotonic() + budget_s, clocks)
        return replace(scope, low=scope.smallest_above(low.counts), high=scope.largest_below(high))

    @property
    def empty(self) -> bool:
        """Whether no consistent cut lies in it."""
        return not self.low <= self.high

    @property
    def words(self) -> str:
        """What cuts must agree with beside messages; empty for nothing."""
        return "" if self.clocks is None else f"; {self.clocks.words}"

    def frontiers(self, rows: Int64) -> Int64:
        """As `HappensBefore.frontiers`, in the order of the scope."""
        return self.order.frontiers(rows) if self.clocks is None else self.clocks.frontiers(rows)

    def smallest_above(self, counts: Int64) -> Cut:
        """The smallest consistent cut that holds these first events of each process."""
        last = self._last(counts)
        return Cut(self.order, np.maximum(counts, self.frontiers(last).max(axis=0, initial=0)))

    def largest_below(self, cut: Cut) -> Cut:
        """The largest consistent cut that this one holds."""
        if self.clocks is None:
            return cut.largest_below()
        # Those events whose past the cut holds; at each process the first ones, so that bisection finds them.
        counts = np.zeros_like(cut.counts)
        for p, most in enumerate(cut.counts.tolist()):
            begin, end, rows = 0, most, self.order.program.of_process(p)
            while begin < end:
                middle = (begin + end + 1) // 2
                inside = bool((self.frontiers(rows[middle - 1 : middle])[0] <= cut.counts).all())
                begin, end = (middle, end) if inside else (begin, middle - 1)
            counts[p] = begin
        return Cut(self.order, counts)

    def sure(self) -> Scope:
        """The part in which it is known of every event what precedes it."""
        counts = self.high.counts.copy()
        rows = self.order.unordered
        np.minimum.at(counts, self.order.trace.process[rows], self.order.program.index[rows])
        return replace(self, high=self.largest_below(Cut(self.order, counts)))

    def _last(self, counts: Int64) -> Int64:
        rows = Cut(self.order, counts).last
        last: Int64 = rows[self.order.trace.kind[rows] != Kind.FAULT]
        return last

    def steps(self, changes: Mapping[int, NDArray[np.bool_]]) -> Steps | str:
        """The events after which something changed, with the order among them; or why they are too many.

        changes: per process, which states differ from the one before. O(k p) for k events; with clocks O(k p^2).
        """
        processes = len(self.low.counts)
        states, rows = [], []
        for p, (low, high) in enumerate(zip(self.low.counts.tolist(), self.high.counts.tolist(), strict=True)):
            at = low + 1 + np.flatnonzero(changes[p][low + 1 : high + 1]) if p in changes else np.empty(0, np.int64)
            states.append(np.concatenate([[low], at]).astype(np.int64))
            rows.append(self.order.program.of_process(p)[at - 1])
        every = np.concatenate(rows)
        if len(every) * processes > CELLS:
            return (
                f"{len(every):,} events of {processes:,} processes change what the expression reads, more than "
                f"{CELLS // processes:,}; try a narrower window"
            )
        needs = np.empty((len(every), processes), np.int32)
        for begin in range(0, len(every), CHUNK):
            past = self.frontiers(every[begin : begin + CHUNK])
            for p in range(processes):
                needs[begin : begin + CHUNK, p] = np.searchsorted(states[p][1:], past[:, p], side="right")
        starts = np.concatenate([[0], np.cumsum([len(some) for some in rows])]).astype(np.int64)
        return Steps(self, tuple(states), every, starts, needs)


@dataclass(frozen=True, eq=False)
class Steps:
    """The events of a scope that a question depends on. Of the others it needs no more than that they can follow: a
    cut of these events is consistent exactly if a consistent cut of all has these and no further ones of them.

    Attributes
    ----------
    states: per process, the state before all of its events, then the one after each.
    rows: their rows, process after process in program order; starts: where each process's begin.
    needs: int32, shape (k, processes): how many of them at each process are in each one's past, itself included.
    """

    scope: Scope
    states: tuple[Int64, ...]
    rows: Int64
    starts: Int64
    needs: Int32

    def cut(self, counts: Int64) -> Cut:
        """The smallest consistent cut with so many of the events of each process."""
        some = np.flatnonzero(counts > 0)
        last = self.rows[self.starts[some] + counts[some] - 1]
        past = self.scope.frontiers(last).max(axis=0, initial=0)
        return Cut(self.scope.order, np.maximum(past, self.scope.low.counts))

    def counts_of(self, cut: Cut) -> Int64:
        """How many of the events of each process a cut of the scope holds."""
        held = [np.searchsorted(s[1:], n, side="right") for s, n in zip(self.states, cut.counts.tolist(), strict=True)]
        return np.array(held, np.int64)
