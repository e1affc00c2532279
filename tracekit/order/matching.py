"""Matching: which receives belong to which send (multicast, duplicates, lost and orphaned messages told apart)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tracekit.kernels.engine import kernels
from tracekit.order.program import ProgramOrder
from tracekit.trace.columns import Column
from tracekit.trace.schema import Kind
from tracekit.trace.trace import Trace

NOBODY = -1
"""Code of a peer that was not recorded: the message may be for, or from, any process."""


class Origin(IntEnum):
    """How it is known that an edge leads from one event to another."""

    DECLARED = 0
    """Both carry the same message id."""
    MATCHED = 1
    """The k-th send and the k-th receive of a channel that is declared FIFO and reliable."""
    CAUSAL = 2
    """Inferred from recorded vectors."""


@dataclass(frozen=True, eq=False)
class Messages:
    """Sends and receives of one trace, joined by message id, or by their places on declared channels.

    Attributes
    ----------
    send_of: int64, shape (n,): row of the send that a receive belongs to; -1 for a receive without one, and for
        other events.
    identity: int64, shape (n,): message ids made dense; -1 where a row has none.
    ambiguous: rows of receives whose id was sent by several processes: no send can be told.
    resent: rows of receives whose id one process sent several times.
    origin: how receives were joined with sends.
    doubtful: how many sends and receives were not joined by their places, because others before them may be missing.
    """

    trace: Trace
    send_of: NDArray[np.int64]
    identity: NDArray[np.int64]
    ambiguous: NDArray[np.int64]
    resent: NDArray[np.int64]
    origin: Origin = Origin.DECLARED
    doubtful: int = 0

    @cached_property
    def identified(self) -> bool:
        """Whether any send or receive has a message id."""
        return bool(len(self.sends) or len(self.receives))

    @cached_property
    def receives(self) -> NDArray[np.int64]:
        """Rows of all receives with a message id."""
        return np.flatnonzero((self.trace.kind == Kind.RECEIVE) & (self.identity >= 0))

    @cached_property
    def sends(self) -> NDArray[np.int64]:
        """Rows of all sends with a message id."""
        return np.flatnonzero((self.trace.kind == Kind.SEND) & (self.identity >= 0))

    @cached_property
    def nameless(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Rows of sends, and of receives, that do not tell which message they are about: they carry no id."""
        return self._without_id(Kind.SEND, len(self.sends)), self._without_id(Kind.RECEIVE, len(self.receives))

    def _without_id(self, kind: Kind, named: int) -> NDArray[np.int64]:
        of_kind = self.trace.kind == kind
        some = np.count_nonzero(of_kind) > named
        return np.flatnonzero(of_kind & (self.identity < 0)) if some else np.empty(0, np.int64)

    @cached_property
    def orphans(self) -> NDArray[np.int64]:
        """Rows of receives whose message nobody sent."""
        found = self.receives[self.send_of[self.receives] < 0]
        return np.setdiff1d(found, self.ambiguous, assume_unique=True)

    @cached_property
    def undelivered(self) -> NDArray[np.int64]:
        """Rows of sends that no receive belongs to: lost, or in flight at the end."""
        received = np.zeros(len(self.trace), np.bool_)
        matched = self.send_of[self.send_of >= 0]
        received[matched] = True
        if len(self.ambiguous):
            maybe = np.isin(self.identity[self.sends], self.identity[self.ambiguous])
            received[self.sends[maybe]] = True
        return self.sends[~received[self.sends]]

    @cached_property
    def repeated(self) -> NDArray[np.int64]:
        """Rows of receives that took a message again that the same process had received before. O(n log n) on ids
        that were received more than once, O(n) on the others."""
        rows = self.receives
        times = np.zeros(int(self.identity.max(initial=-1)) + 1, np.int8)
        if kernels("order", work=len(rows)).times_taken(rows, self.identity, times) < 2:
            return rows[:0]
        rows = rows[times[self.identity[rows]] > 1]
        order = np.lexsort((self.trace.seq[rows], self.trace.process[rows], self.identity[rows]))
        rows = rows[order]
        same = (self.identity[rows[1:]] == self.identity[rows[:-1]]) & (
            self.trace.process[rows[1:]] == self.trace.process[rows[:-1]]
        )
        again: NDArray[np.int64] = rows[1:][same]
        return again

    @cached_property
    def uncertain(self) -> NDArray[np.int64]:
        """Rows of receives whose message was sent several times by one process in such a way that it is not known which
        of these sends arrived. `send_of` has the earliest: right as an order, not as a time. O(m log m)."""
        rows = self.resent
        if not len(rows):
            return rows
        peer = self.trace.get("peer")
        to = self.trace.process_codes(peer) if peer is not None else np.full(len(self.trace), -1, np.int32)
        wide = len(self.trace.processes) + 2
        codes, counts = np.unique(self.identity[self.sends] * wide + to[self.sends] + 2, return_counts=True)
        possible = np.zeros(len(rows), np.int64)
        for receiver in (self.trace.process[rows].astype(np.int64), np.full(len(rows), -1)):
            key = self.identity[rows] * wide + receiver + 2
            at = np.minimum(np.searchsorted(codes, key), len(codes) - 1)
            possible += np.where(codes[at] == key, counts[at], 0)
        several: NDArray[np.int64] = rows[possible != 1]  # one: a multicast that was written as a send a receiver
        return several

    def name(self, row: int) -> str:
        """The message id of a row, as recorded."""
        column = self.trace.get("message")
        return "?" if column is None else str(column.at(int(row)))


def match(trace: Trace, program: ProgramOrder) -> Messages:
    """Joins sends and receives by message id; where no row has one and channels are declared FIFO and reliable, the
    k-th send with the k-th receive between two processes. O(n); O(m log m) for m messages without ids.

    A message sent again by the same process belongs, for the sake of order, to its earliest send that fits the
    receiver: whichever copy arrived, that send came before. An id sent by several processes is ambiguous and
    matches nothing.
    """
    n = len(trace)
    if "message" not in trace and trace.run.channels.get("fifo") and trace.run.channels.get("reliable"):
        return _by_place(trace, program)
    identity, count = _dense(trace.get("message"), n)
    send = np.full(count, -1, np.int64)
    state = np.zeros(count, np.int8)
    loops = kernels("order", work=n)
    loops.matching(trace.kind, trace.process, program.index, identity, send, state)
    send_of = np.empty(n, np.int64)
    loops.delivered(trace.kind, identity, send, state, send_of)
    ambiguous = resent = np.empty(0, np.int64)
    if state.any():
        receives = np.flatnonzero((trace.kind == Kind.RECEIVE) & (identity >= 0))
        sent = state[identity[receives]]
        ambiguous, resent = receives[sent == loops.AMBIGUOUS], receives[sent == loops.RESENT]
        _prefer_addressed(trace, program, identity, resent, send_of)
    return Messages(trace, send_of, identity, ambiguous, resent)


def _dense(column: Column | None, n: int) -> tuple[NDArray[np.int64], int]:
    """Message ids as dense non-negative integers, -1 where absent; and how many there may be."""
    if column is None:
        return np.full(n, -1, np.int64), 0
    if column.texts is not None:
        return column.values.astype(np.int64), len(column.texts)
    values, dense = column.values, np.full(n, -1, np.int64)
    valid = np.empty(0, np.bool_) if column.valid is None else column.valid
    loops = kernels("order", work=n)
    low, high = map(int, loops.extent(values, valid))
    if low > high:
        return dense, 0
    if high - low < 4 * n + 1024:
        loops.dense(values, valid, low, dense)
        return dense, high - low + 1
    distinct, dense[column.present] = np.unique(values[column.present], return_inverse=True)
    return dense, len(distinct)


def _prefer_addressed(
    trace: Trace,
    program: ProgramOrder,
    identity: NDArray[np.int64],
    receives: NDArray[np.int64],
    send_of: NDArray[np.int64],
) -> None:
    """For ids sent several times by one process: the earliest send addressed to the receiver or to nobody by name,
    where one is. Of these any may have arrived; what comes before the earliest of them comes before the receive."""
    peer = trace.get("peer")
    if peer is None or not len(receives):
        return
    to, index, wide = trace.process_codes(peer), program.index, len(trace.processes) + 2
    sends = np.flatnonzero((trace.kind == Kind.SEND) & np.isin(identity, identity[receives]))
    sends = sends[np.argsort(index[sends], kind="stable")]
    keys, first = np.unique(identity[sends] * wide + to[sends] + 2, return_index=True)
    best = np.full(len(receives), -1, np.int64)
    for receiver in (trace.process[receives], np.full(len(receives), NOBODY)):
        wanted = identity[receives] * wide + receiver + 2
        at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        earlier = (keys[at] == wanted) & ((best < 0) | (index[sends[first[at]]] < index[best]))
        best[earlier] = sends[first[at[earlier]]]
    send_of[receives[best >= 0]] = best[best >= 0]


def _by_place(trace: Trace, program: ProgramOrder) -> Messages:
    """The k-th send from one process to another belongs to the k-th receive there from it: nothing is lost, repeated or
    overtaken on such a channel. Sends and receives that name no known peer match nothing, nor do those before which
    others may be missing at their process: their places are not known."""
    n, processes, doubtful = len(trace), len(trace.processes), 0
    send_of, none = np.full(n, -1, np.int64), np.empty(0, np.int64)
    peer = trace.get("peer")
    if peer is not None:
        codes = trace.process_codes(peer).astype(np.int64)
        rows = program.rows[codes[program.rows] >= 0]
        known = program.index[rows] < _whole_until(trace, program, codes)[trace.process[rows]]
        doubtful = int(trace.is_kind(Kind.SEND, Kind.RECEIVE)[rows[~known]].sum())
        rows = rows[known]
        sends, receives = rows[trace.kind[rows] == Kind.SEND], rows[trace.kind[rows] == Kind.RECEIVE]
        sends, sent = _numbered(sends, trace.process[sends] * processes + codes[sends], n)
        receives, received = _numbered(receives, codes[receives] * processes + trace.process[receives], n)
        _, here, there = np.intersect1d(sent, received, assume_unique=True, return_indices=True)
        send_of[receives[there]] = sends[here]
    return Messages(trace, send_of, np.full(n, -1, np.int64), none, none, Origin.MATCHED, doubtful)


def _whole_until(trace: Trace, program: ProgramOrder, peer: NDArray[np.int64]) -> NDArray[np.int64]:
    """Shape (processes,): how many first events each process has before which none can be missing, on any channel.

    What may be missing: events before a start that is declared unrecorded, or whose places (seq) are left out; rows
    that were set aside. A send or a receive that does not say to or from whom, and a place that two events take, count
    alike.
    """
    until = np.diff(program.starts)
    if trace.set_aside.spoiling(lambda name: name in ("seq", "peer")):
        return np.zeros_like(until)
    rows, step = program.rows, program.steps(trace)
    nameless = trace.is_kind(Kind.SEND, Kind.RECEIVE)[rows] & (peer[rows] == NOBODY)
    doubts = rows[(step != 1) | nameless]
    np.minimum.at(until, trace.process[doubts], program.index[doubts])
    for code, name in enumerate(trace.processes):
        if trace.run.coverage.get(name, {}).get("start") is False:
            until[code] = 0
    return until


def _numbered(
    rows: NDArray[np.int64], channel: NDArray[np.int64], n: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The rows channel after channel, and for each the number of its channel and its place there as one number."""
    order = np.argsort(channel, kind="stable")
    channel = channel[order]
    return rows[order], channel * n + np.arange(len(channel)) - np.searchsorted(channel, channel)
