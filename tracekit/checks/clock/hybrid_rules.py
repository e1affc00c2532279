"""What a recorder of hybrid clocks does beyond the clock condition: inferred from the recording itself, and stated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

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

    def errors(self, unit: int | None) -> NDArray[np.int8]:
        """Shape (n,): `HybridError` by the paper's algorithm, l being kept in whole units; None: not of `reading`."""
        reading = self.reading if unit is None else self.reading // unit * unit
        readable = self.readable & (unit is not None)
        return hybrid_errors(self.cause, self.physical, self.logical, self.timed.present, reading, readable)


@dataclass(frozen=True, eq=False)
class HybridRules:
    """The rules that the recorder follows, as far as the recording tells.

    Attributes
    ----------
    ticks: by `Kind`: whether such an event must be later than what came before it, and not only as late.
    unit: l is the recorded reading in whole such units of ns, or what was heard of; None: not the recorded reading.
    counts: whether c is counted as in the paper.
    words: the rules in words, with the evidence. doubts: what stayed undecided, as reasons.
    """

    ticks: Bool
    unit: int | None
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
        unit = _unit(stamps)
        errors = stamps.errors(unit)
        judged = stamps.bound & ~stamps.equal
        follow = int((judged & (errors == HybridError.NONE)).sum())
        broke = int((judged & (errors == HybridError.WRONG_COUNT)).sum())
        counts = broke == 0 or _clear(follow, broke)
        if not counts:
            still.append(f"c is not judged: {broke:,} of {follow + broke:,} events count otherwise than in the paper")
        if unit is not None:
            still.append(f"l is time_ns in whole {UNITS[unit]} (inferred)")
        elif stamps.readable.any():
            still.append("l is not judged by time_ns, which is not the reading that it was taken from")
        return cls(ticks, unit, counts, tuple(still), doubts)


def safe(readings: Int64) -> Bool:
    """Which readings are so far from the ends of 64 bits that they can be rounded and subtracted."""
    inside: Bool = (readings > -(1 << 62)) & (readings < 1 << 62)
    return inside


def _clear(follow: int, broke: int) -> bool:
    return follow >= ENOUGH and follow >= CLEAR * broke


def _ticking(execution: Execution, stamps: Stamps) -> tuple[Bool, list[str], tuple[str, ...]]:
    """By kind whether such events tick, what is stated of it, and what is doubted."""
    kind = execution.trace.kind
    of = np.where(kind == Kind.SEND, 1, np.where(kind == Kind.RECEIVE, 2, 0))
    # Other clocks' news, of which no send is known, may have advanced the clock of an event that does not tick.
    tells = stamps.timed.present & (stamps.cause >= 0) & (stamps.timed.missed == 0) & ~stamps.timed.restarted
    kept = tells & stamps.equal
    later = stamps.bound & ~kept & (stamps.errors(None) != HybridError.NOT_LATER)
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


def _unit(stamps: Stamps) -> int | None:
    """The unit in which new values of l are the recorded readings, and no l is smaller than its reading.

    Readings that happen to be whole milliseconds fit finer units as well: the one with the fewest exceptions is taken.
    """
    before = stamps.physical[stamps.cause]
    judged = stamps.bound & stamps.readable
    new = judged & (stamps.physical > before)
    best, fewest = None, len(new) + 1
    for unit in UNITS:
        whole = stamps.reading // unit * unit
        follow = int((new & (stamps.physical == whole)).sum())
        broke = int(((new & (stamps.physical != whole)) | (judged & ~new & (stamps.physical < whole))).sum())
        if _clear(follow, broke) and broke <= fewest:
            best, fewest = unit, broke
    return best
