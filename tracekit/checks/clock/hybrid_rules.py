"""What a recorder of hybrid clocks does beyond the clock condition: inferred from the recording itself, and stated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracekit.checks.clock.timed import CLEAR, ENOUGH, Timed, may_have_learned
from tracekit.execution import Execution
from tracekit.order.hybrid import HybridError, hybrid_errors
from tracekit.trace.schema import Kind

Bool = NDArray[np.bool_]
Int64 = NDArray[np.int64]

UNITS: Mapping[int, str] = {1: "ns", 10**3: "us", 10**6: "ms", 10**9: "s"}
"""What l may be kept in, in ns; the one that fits best is taken, of equals the coarsest, which demands least."""
COARSE = 10
"""Clocks whose readings are all multiples of so many ns are too coarse to tell two readings apart."""
CLASSES = ("internal events", "sends", "receives")


@dataclass(frozen=True, eq=False)
class Stamps:
    """Recorded hybrid timestamps, each with what it must be later than.

    Attributes
    ----------
    physical, logical: shape (n,): l and c.
    cause: shape (n,): the row with the largest timestamp that must be smaller; -1 where there is none.
    bound: shape (n,): events of which everything is known that they can have their timestamp from: a timestamp before,
        no event missing and no restart since then, and of a receive its send.
    reading, readable: shape (n,): the process's own physical clock, where it was recorded.
    """

    timed: Timed
    physical: Int64
    logical: Int64
    cause: Int64
    bound: Bool
    reading: Int64
    readable: Bool

    @classmethod
    def of(
        cls, execution: Execution, timed: Timed, physical: Int64, logical: Int64, cause: Int64, send_known: Bool
    ) -> Stamps:
        """send_known: shape (n,): events whose send, where there is one, has a timestamp."""
        time = execution.trace.get("time_ns")
        bound = timed.present & (timed.before >= 0) & (timed.missed == 0) & ~timed.restarted & send_known
        bound &= ~may_have_learned(execution)
        n = len(physical)
        return cls(
            timed, physical, logical, cause, bound,
            np.zeros(n, np.int64) if time is None else time.values,
            np.zeros(n, np.bool_) if time is None else time.present & timed.present & safe(time.values),
        )  # fmt: skip

    @property
    def equal(self) -> Bool:
        """Shape (n,): events with the very timestamp of their cause."""
        has = self.timed.present & (self.cause >= 0)
        same: Bool = (self.physical == self.physical[self.cause]) & (self.logical == self.logical[self.cause])
        return has & same

    def errors(self, by_reading: Bool | None = None) -> NDArray[np.int8]:
        """Shape (n,): `HybridError` by the paper's algorithm; by_reading: where l is judged by `reading`."""
        if by_reading is None:
            by_reading = np.zeros(len(self.cause), np.bool_)
        return hybrid_errors(self.cause, self.physical, self.logical, self.timed.present, self.reading, by_reading)


@dataclass(frozen=True, eq=False)
class HybridRules:
    """The rules that the recorder follows, as far as the recording tells.

    Attributes
    ----------
    ticks: by `Kind`: whether such an event must be later than what came before it, and not only as late.
    by_reading: shape (n,): events whose l is judged by their recorded reading.
    counts: whether c is counted as in the paper.
    words: the rules in words, with the evidence. doubts: what stayed undecided, as reasons.
    """

    ticks: Bool
    by_reading: Bool
    counts: bool
    words: tuple[str, ...]
    doubts: tuple[str, ...]

    @classmethod
    def of(cls, execution: Execution, stamps: Stamps) -> HybridRules:
        """O(n). A rule is the recorder's where at least `ENOUGH` events follow it, and `CLEAR` times as many as do not.

        Whether a class of events ticks is decided both ways, or doubted; with the other rules, what is not clearly
        followed is not judged: they are one algorithm's, and the clock condition does not need them.
        """
        ticks, still, doubts = _ticking(execution, stamps)
        by_reading, said = _readings(execution, stamps)
        errors = stamps.errors(by_reading)
        judged = stamps.bound & ~stamps.equal
        follow = int((judged & (errors == HybridError.NONE)).sum())
        broke = int((judged & (errors == HybridError.WRONG_COUNT)).sum())
        counts = broke == 0 or _clear(follow, broke)
        if not counts:
            still.append(f"c is not judged: {broke:,} of {follow + broke:,} events count otherwise than in the paper")
        return cls(ticks, by_reading, counts, tuple(still + said), doubts)


def safe(readings: Int64) -> Bool:
    """Which readings are so far from the ends of 64 bits that they can be rounded and subtracted."""
    inside: Bool = (readings > -(1 << 62)) & (readings < 1 << 62)
    return inside


def _clear(follow: Any, broke: Any) -> Any:
    return (follow >= ENOUGH) & (follow >= CLEAR * broke)


def _ticking(execution: Execution, stamps: Stamps) -> tuple[Bool, list[str], tuple[str, ...]]:
    """By kind whether such events tick, what is stated of it, and what is doubted."""
    kind = execution.trace.kind
    of = np.where(kind == Kind.SEND, 1, np.where(kind == Kind.RECEIVE, 2, 0))
    # Other clocks' news, of which no send is known, may have advanced the clock of an event that does not tick; so may
    # events in a gap. One that kept it tells, whatever lies before it.
    kept = stamps.timed.present & (stamps.cause >= 0) & stamps.equal
    later = stamps.bound & ~kept & (stamps.errors() != HybridError.NOT_LATER)
    must, words, doubts = [True] * 3, [], []
    for code, name in enumerate(CLASSES):
        k, a = int((kept & (of == code)).sum()), int((later & (of == code)).sum())
        if k == 0 or _clear(a, k):
            continue
        must[code] = False
        if _clear(k, a):
            words.append(f"{name} do not tick (inferred: {k:,} of {k + a:,} keep the timestamp before)")
        else:
            doubts.append(
                f"{k:,} {name} keep the timestamp before and {a:,} advance it: whether they tick cannot be told, and "
                "neither is counted as an error"
            )
    classes = [{Kind.SEND: 1, Kind.RECEIVE: 2}.get(k, 0) for k in Kind]
    return np.array(must, np.bool_)[classes], words, tuple(doubts)


def _readings(execution: Execution, stamps: Stamps) -> tuple[Bool, list[str]]:
    """Shape (n,): events whose l must be their recorded reading, or what they heard of; and what is stated of it.

    A second reading, taken a moment after the one that the clock used, differs from it almost always on a clock that
    shows nanoseconds, and almost never on one that shows milliseconds, or where l is cut to them. So one that differs
    is an error of l only on the former, at a process whose other readings are the very ones.
    """
    nowhere = np.zeros(len(stamps.reading), np.bool_)
    if not stamps.readable.any():
        return nowhere, []
    process, count = execution.trace.process, len(execution.trace.processes)
    before = stamps.physical[stamps.cause]
    judged = stamps.bound & stamps.readable
    new = judged & (stamps.physical > before)

    def tally(unit: int) -> tuple[Int64, Int64]:
        """Shape (processes,): events whose l follows the readings in whole units, and those that break them."""
        whole = stamps.reading // unit * unit
        follow = new & (stamps.physical == whole)
        broke = (new & ~follow) | (judged & ~new & (stamps.physical < whole))
        return np.bincount(process[follow], minlength=count), np.bincount(process[broke], minlength=count)

    # Readings that happen to be whole milliseconds fit finer units as well: of equals the coarsest demands least.
    best, follow, broke = 0, np.zeros(count, np.int64), np.full(count, len(new) + 1)
    for unit in UNITS:
        follows, breaks = tally(unit)
        if _clear(follows, breaks).any() and breaks.sum() <= broke.sum():
            best, follow, broke = unit, follows, breaks
    if not best:
        return nowhere, ["l is not judged by time_ns, which is not the reading that it was taken from"]
    fine = np.bincount(process[stamps.readable & (stamps.reading % COARSE != 0)], minlength=count) > 0
    exact = _clear(follow, broke) & fine & (best == 1)
    said = [f"l is time_ns in whole {UNITS[best]} (inferred)"]
    excused = int(broke[~exact].sum())
    if excused:
        said.append(
            f"at {excused:,} events l is not time_ns, and is not judged by it: that reading may have been taken at "
            "another moment than the one that the clock used"
        )
    return stamps.readable & exact[process], said
