"""From Lamport timestamps alone: which sends a receive can belong to. They are counted; none is taken for an edge.

A message is stamped earlier than its receive (Lamport, "Time, Clocks, and the Ordering of Events in a Distributed
System", CACM 1978, rule IR2); that excludes sends and never picks one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracekit.order.matching import NOBODY
from tracekit.trace.schema import Kind
from tracekit.trace.trace import Trace

Bool = NDArray[np.bool_]
Int64 = NDArray[np.int64]

UNSTAMPED = np.iinfo(np.int64).min


@dataclass(frozen=True, eq=False)
class Candidates:
    """How many sends each stamped receive can belong to.

    Attributes
    ----------
    receives: int64, shape (r,): rows of receives with a timestamp, in file order.
    addressed: int64, shape (r,): how many sends have the right ends: the receive's peer and the send's, as far as
        recorded, are each other's processes. A process may send to itself.
    earlier: int64, shape (r,): how many of those are stamped earlier than the receive, or have no timestamp.
    exact: int64, shape (r,): how many of those are stamped by one less than the receive, or have no timestamp.
    """

    receives: Int64
    addressed: Int64
    earlier: Int64
    exact: Int64

    @classmethod
    def of(cls, trace: Trace, clock: Int64, present: Bool) -> Candidates:
        """O(n log n).

        Parameters
        ----------
        clock, present: shape (n,), Lamport timestamps, and which events have one.
        """
        peer = trace.get("peer")
        codes = np.full(len(trace), NOBODY, np.int64)
        if peer is not None:
            codes[peer.present] = trace.process_codes(peer)[peer.present]
        sends = np.flatnonzero(trace.kind == Kind.SEND)
        receives = np.flatnonzero((trace.kind == Kind.RECEIVE) & present)
        stamps = np.where(present[sends], clock[sends], UNSTAMPED)
        at, sender = trace.process[receives].astype(np.int64), codes[receives]
        found = np.zeros((3, len(receives)), np.int64)
        for named in (False, True):
            mine = np.flatnonzero((sender != NOBODY) == named)
            if not len(mine):
                continue
            ends = Ends(len(trace.processes), trace.process[sends] if named else None, codes[sends], stamps)
            who = sender[mine] if named else None
            for receiver in (at[mine], np.full(len(mine), NOBODY)):
                found[:, mine] += ends.counts(who, receiver, clock[receives[mine]])
        return cls(receives, *found)


class Ends:
    """Sends sorted by their ends and timestamps. O(m log m), and O(log m) a question.

    Parameters
    ----------
    processes: how many there are; other ends are `NOBODY` and -2, a process that the trace has not.
    sender, receiver: shape (m,), processes. None: the sender does not matter.
    stamps: shape (m,), `UNSTAMPED` where there is none.
    """

    def __init__(self, processes: int, sender: NDArray[np.int32] | None, receiver: Int64, stamps: Int64) -> None:
        self.processes = processes
        self.stamps, rank = np.unique(stamps, return_inverse=True)
        self.groups, group = np.unique(self._group(sender, receiver), return_inverse=True)
        self.wide = len(self.stamps) + 1
        self.places = np.sort(group * self.wide + rank)

    def counts(self, sender: Int64 | None, receiver: Int64, limit: Int64) -> Int64:
        """Shape (3, k): how many sends have those ends; are stamped below the limit; are stamped by one less."""
        wanted = self._group(sender, receiver)
        group = np.searchsorted(self.groups, wanted)
        known = group < len(self.groups)
        known[known] = self.groups[group[known]] == wanted[known]
        out = np.zeros((3, len(wanted)), np.int64)
        start, limit = group[known] * self.wide, limit[known]
        begin, end = np.searchsorted(self.places, start), np.searchsorted(self.places, start + self.wide)
        below = np.searchsorted(self.places, start + np.searchsorted(self.stamps, limit))
        one_less = np.searchsorted(self.places, start + np.searchsorted(self.stamps, limit - 1))
        unstamped = np.searchsorted(self.places, start + np.searchsorted(self.stamps, UNSTAMPED, side="right"))
        out[:, known] = end - begin, below - begin, below - one_less + unstamped - begin
        return out

    def _group(self, sender: NDArray[Any] | None, receiver: Int64) -> Int64:
        return receiver if sender is None else sender.astype(np.int64) * (self.processes + 2) + receiver
