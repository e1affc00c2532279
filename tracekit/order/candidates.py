"""From Lamport timestamps alone: which sends a receive can belong to. They are counted; none is taken for an edge.

A message is stamped earlier than its receive (Lamport, "Time, Clocks, and the Ordering of Events in a Distributed
System", CACM 1978, rule IR2); that excludes sends and never picks one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tracekit.trace.schema import Kind
from tracekit.trace.trace import Trace

Bool = NDArray[np.bool_]
Int64 = NDArray[np.int64]

NOBODY = -1
"""No peer was recorded: the message may be for, or from, any process."""
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
        for receiver in (at, np.full(len(at), NOBODY)):
            for named in (False, True):
                mine = (sender != NOBODY) == named
                ends = [(codes, receiver[mine])] + [(trace.process.astype(np.int64), sender[mine])] * named
                keys, wanted = _groups([(one[sends], other) for one, other in ends])
                found[:, mine] += _counts(keys, stamps, wanted, clock[receives[mine]])
        return cls(receives, *found)


def _groups(ends: list[tuple[Int64, Int64]]) -> tuple[Int64, Int64]:
    """One number for each pair of ends, of sends and of receives: equal numbers, equal ends."""
    sends, receives = np.zeros(len(ends[0][0]), np.int64), np.zeros(len(ends[0][1]), np.int64)
    for of_sends, of_receives in ends:
        values, code = np.unique(np.concatenate([of_sends, of_receives]), return_inverse=True)
        both = np.concatenate([sends, receives]) * (len(values) + 1) + code
        _, both = np.unique(both, return_inverse=True)
        sends, receives = both[: len(sends)], both[len(sends) :]
    return sends, receives


def _counts(keys: Int64, stamps: Int64, wanted: Int64, limits: Int64) -> Int64:
    """Shape (3, k): of the sends with each wanted key, all; those stamped below its limit; and those below by one."""
    values = np.unique(np.concatenate([stamps, limits - 1, limits]))
    wide = len(values) + 1
    places = np.sort(keys * wide + np.searchsorted(values, stamps))

    def before(value: Int64) -> Int64:
        return np.searchsorted(places, wanted * wide + np.searchsorted(values, value))

    begin, end = np.searchsorted(places, wanted * wide), np.searchsorted(places, (wanted + 1) * wide)
    below, one_less = before(limits), before(limits - 1)
    unstamped = np.searchsorted(places, wanted * wide + np.searchsorted(values, UNSTAMPED, side="right")) - begin
    return np.stack([end - begin, below - begin, below - one_less + unstamped])
