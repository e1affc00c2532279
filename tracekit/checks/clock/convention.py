"""Which events advance the clock, and what it counts from: inferred from the recording itself, and stated."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tracekit.checks.clock.timed import CLEAR, ENOUGH, Timed, covered
from tracekit.kernels.engine import kernels
from tracekit.trace.schema import Kind
from tracekit.trace.trace import Trace

Bool = NDArray[np.bool_]
Int64 = NDArray[np.int64]

INTERNAL, SEND, RECEIVE = 0, 1, 2
CLASSES = ("internal events", "sends", "receives")
PLAIN = "every event ticks"


@dataclass(frozen=True, eq=False)
class Convention:
    """What the recorder does at each event.

    Attributes
    ----------
    must, may: by `Kind`: whether such an event advances its process's clock by all, or by some, of the conventions
        that the recording leaves open; where one is inferred, both are the same.
    shown: by `Kind`: whether enough such events were seen to advance the clock, and not only none that kept it.
    words: the convention in words, with the evidence where it is not the plain one.
    doubts: what stayed undecided, as reasons.
    """

    must: Bool
    may: Bool
    shown: Bool
    words: str
    doubts: tuple[str, ...]

    @property
    def rests_on(self) -> tuple[str, ...]:
        """What a verdict supposes of the recorder, where that is not the plain convention."""
        return () if self.words == PLAIN else (f"clocks: {self.words}",)

    @classmethod
    def of(cls, trace: Trace, timed: Timed, clock: Int64, send_of: Int64) -> Convention:
        """From how many events kept, and how many advanced, the clock of their process. O(n).

        clock: shape (n,), of vectors the own component. send_of: the sends that receives must pass; empty: none.

        Sends always tick; internal events and receives may each not (all events; sends and receives; sends only). A
        class keeps the clock by convention where at least `ENOUGH` of its events do, and `CLEAR` times as many as do
        not; it ticks in the opposite case, and where none keeps it. Else both are possible: then only what is
        wrong under both is reported, and the doubt is stated.
        """
        counts = np.zeros((len(CLASSES), 2), np.int64)
        loops = kernels("clocks", work=len(trace))
        loops.ticks(trace.kind, clock, timed.present, timed.before, timed.missed, timed.restarted, send_of, counts)
        must, may = np.ones(3, np.bool_), np.ones(3, np.bool_)
        shown = counts[:, 1] >= ENOUGH
        shown[SEND] = True
        still, doubts, odd = [], [], []
        for code in (INTERNAL, RECEIVE):
            k, a = counts[code].tolist()
            if k == 0 or (a >= ENOUGH and a >= CLEAR * k):
                if k:
                    odd.append(f"{a:,} of {k + a:,} {CLASSES[code]} do")
                continue
            must[code] = False
            if k >= ENOUGH and k >= CLEAR * a:
                may[code] = False
                still.append(f"{CLASSES[code]} do not tick (inferred: {k:,} of {k + a:,} keep the clock)")
            else:
                doubts.append(
                    f"{k:,} {CLASSES[code]} keep their process's clock and {a:,} advance it: "
                    "whether they tick cannot be told, and neither is counted as an error"
                )
        words = "; ".join(still) if still else PLAIN
        if odd:
            words += f" (inferred: {', '.join(odd)})"
        if doubts:
            unsure = [CLASSES[c] for c in (INTERNAL, RECEIVE) if may[c] and not must[c]]
            words = "; ".join([*still, f"whether {' and '.join(unsure)} tick is undecided"])
        classes = [loops.class_of(int(kind)) for kind in Kind]
        return cls(must[classes], may[classes], shown[classes], words, tuple(doubts))


@dataclass(frozen=True)
class Start:
    """The clock of a process before its first event; None where the recording does not tell."""

    value: int | None
    words: str

    @classmethod
    def of(cls, trace: Trace, timed: Timed, own: Int64, convention: Convention) -> Start:
        """What a clear majority of the processes begins with, of those whose first event is not declared missing."""
        first = timed.first[timed.missed[timed.first] == 0]
        first = first[[covered(trace, int(code), "start") is not False for code in trace.process[first]]]
        first = first[convention.must[trace.kind[first]] == convention.may[trace.kind[first]]]
        values, counts = np.unique(own[first] - convention.must[trace.kind[first]], return_counts=True)
        if not len(first):
            return cls(None, "")
        best = int(counts.argmax())
        start, agree = int(values[best]), int(counts[best])
        stated = f"{agree:,} of {len(first):,} first events are stamped alike, counting from {start + 1}"
        if abs(start) <= 1 and agree >= ENOUGH and agree >= CLEAR * (len(first) - agree):
            zero = "; a component of 0 is the first event or none" if start == -1 else ""
            return cls(start, f"{stated}{zero}")
        return cls(None, "what clocks count from is undecided")
