"""The order that synchronised clocks imply, beside happens-before.

Where two processes' clocks never differ by more than the skew, an event whose clock shows more than the skew less than
another's definitely occurred before it (Stoller, "Detecting Global Predicates in Distributed Systems with Clocks",
Distributed Computing 2000, who takes clocks alone; here messages count beside them). This is an interval order: of two
pairs e, f and g, h in it, e comes before h or g before f. So a way that takes it twice, with messages between,
can take it once, or else it contradicts the messages; and the two orders together are: happens-before, at most one step
by the clock, happens-before.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tracekit.order.happens_before import HappensBefore
from tracekit.trace.schema import NEMESIS

Int64 = NDArray[np.int64]
NEVER = np.iinfo(np.int64).min
FARTHEST = 2**62
CHUNK = 100_000
"""Rows that are worked on at a time."""


@dataclass(frozen=True, eq=False)
class Synchronised:
    """Happens-before and the order of clocks that differ by at most `skew_ns`, together.

    Attributes
    ----------
    clock: the column that was read.
    places, times: per process, the places of events that have a reading, and the readings, ns: both ascend.
    """

    order: HappensBefore
    clock: str
    skew_ns: int
    places: tuple[Int64, ...]
    times: tuple[Int64, ...]

    @property
    def words(self) -> str:
        """``clocks within 5 ms (time_ns)``."""
        return f"clocks within {self.skew_ns / 1e6:g} ms ({self.clock})"

    def frontiers(self, rows: Int64) -> Int64:
        """As `HappensBefore.frontiers`, in both orders together. O(k p^2)."""
        out = self.order.frontiers(rows)
        latest = self._latest(out)
        for p, times in enumerate(self.times):
            if not len(times):
                continue
            # Before anything was read, there is nothing to come after; NEVER - skew would run over.
            known = np.where(
                latest == NEVER, 0, np.searchsorted(times, np.where(latest == NEVER, 0, latest) - self.skew_ns)
            )
            told, which = np.unique(known, return_inverse=True)
            begin = int(self.order.program.starts[p])
            past = self.order.frontiers(self.order.program.rows[begin + self.places[p][np.maximum(told, 1) - 1]])
            past[told == 0] = 0
            np.maximum(out, past[which], out=out)
        return out

    def _latest(self, frontiers: Int64) -> Int64:
        """Shape (k,): the latest reading in each past; NEVER where there is none. O(k p log n)."""
        latest = np.full(len(frontiers), NEVER)
        for p, times in enumerate(self.times):
            held = np.searchsorted(self.places[p], frontiers[:, p])
            if len(times):
                np.maximum(latest, np.where(held > 0, times[np.maximum(held, 1) - 1], NEVER), out=latest)
        return latest

    def contradiction(self) -> str:
        """Where readings contradict happens-before by more than the skew; empty: nowhere. O(receives p log n)."""
        order = self.order
        for begin in range(0, len(order.receives), CHUNK):
            rows = order.receives[begin : begin + CHUNK]
            latest = self._latest(order.frontiers(rows))
            for p, times in enumerate(self.times):
                mine = np.flatnonzero(order.trace.process[rows] == p)
                after = np.searchsorted(self.places[p], order.program.index[rows[mine]])
                mine, after = mine[after < len(times)], after[after < len(times)]
                wrong = np.flatnonzero(latest[mine] > times[after] + self.skew_ns)
                if len(wrong):
                    row = int(order.program.of_process(p)[self.places[p][after[wrong[0]]]])
                    return self._told(row, int(latest[mine[wrong[0]]]), int(times[after[wrong[0]]]))
        return ""

    def _told(self, row: int, latest: int, shown: int) -> str:
        """One contradiction in words."""
        frontier = self.order.frontiers(row)[0]
        event = self.order.trace.event
        for p, times in enumerate(self.times):
            held = int(np.searchsorted(self.places[p], frontier[p]))
            if held and times[held - 1] == latest:
                earlier = event(int(self.order.program.of_process(p)[self.places[p][held - 1]]))
                return (
                    f"{self.clock} contradicts the messages by more than {self.skew_ns / 1e6:g} ms: {earlier} happened "
                    f"before {event(row)}, and its clock shows {(latest - shown) / 1e6:g} ms more"
                )
        raise AssertionError("the latest reading is one of these")


def synchronise(order: HappensBefore, skew_ns: int) -> Synchronised | str:
    """Both orders together; or why they cannot be. O(n + receives p log n).

    The column is ``true_time_ns`` for a skew of 0 where it was recorded, else ``time_ns``. Events without a reading are
    ordered by those around them.
    """
    trace = order.trace
    clock = "true_time_ns" if skew_ns == 0 and trace.get("true_time_ns") is not None else "time_ns"
    column = trace.get(clock)
    if column is None or column.values.dtype != np.int64:
        return f"the trace has no clock readings ({clock})"
    readings = column.values[column.present]
    if not 0 <= skew_ns < FARTHEST or bool(((readings >= FARTHEST) | (readings <= -FARTHEST)).any()):
        return f"readings of {clock} and the skew must be below 2^62 ns"
    places, times = [], []
    for p, name in enumerate(trace.processes):
        rows = order.program.of_process(p)[: 0 if name == NEMESIS else None]
        place = np.flatnonzero(column.present[rows])
        time = column.values[rows[place]]
        back = np.flatnonzero(time[1:] < time[:-1])
        if len(back):
            return f"{clock} goes back at {trace.event(int(rows[place[back[0] + 1]]))}, {_times(len(back))} at {name}"
        places.append(place)
        times.append(time)
    both = Synchronised(order, clock, skew_ns, tuple(places), tuple(times))
    return both.contradiction() or both


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count:,} times"
