"""Messages in flight: sent, and not received yet."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tracekit.order.happens_before import HappensBefore
from tracekit.order.matching import Messages, Origin
from tracekit.trace.schema import Kind

Int64 = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Flights:
    """Every message whose send was recorded, once for each receiver.

    Attributes
    ----------
    sends: int64, shape (m,): rows of the sends.
    receives: int64, shape (m,): row of the receiver's first receive; -1 where it never arrived.
    receivers: int64, shape (m,): the receiver's process; -1 where it never arrived and is not named.
    doubt: why these may not be all, or not the right ones; empty where they are.
    """

    sends: Int64
    receives: Int64
    receivers: Int64
    doubt: str


def flights(order: HappensBefore) -> Flights:
    """O(n); O(m log m) for messages sent or received again.

    A message that one process sends again under the same id to the same receiver flies once: from its first send to
    its first receive.
    """
    trace, messages = order.trace, order.messages
    arrived = messages.send_of >= 0
    arrived[messages.repeated] = False
    receives = np.flatnonzero(arrived)
    joined = np.zeros(len(trace), np.bool_)
    joined[messages.send_of[messages.send_of >= 0]] = True
    lost = np.flatnonzero((trace.kind == Kind.SEND) & ~joined)
    peer = trace.get("peer")
    to = np.full(len(trace), -1, np.int64) if peer is None else trace.process_codes(peer).astype(np.int64)
    lost = np.setdiff1d(lost, _sent_again(order, to), assume_unique=True)
    return Flights(
        np.concatenate([messages.send_of[receives], lost]),
        np.concatenate([receives, np.full(len(lost), -1)]),
        np.concatenate([trace.process[receives].astype(np.int64), np.where(to[lost] >= 0, to[lost], -1)]),
        _doubt(order, messages),
    )


def _sent_again(order: HappensBefore, to: Int64) -> Int64:
    """Rows of sends under an id that the same process had sent to the same receiver before."""
    messages, process = order.messages, order.trace.process
    rows = messages.sends
    times = np.bincount(messages.identity[rows], minlength=1)
    rows = rows[times[messages.identity[rows]] > 1]
    rows = rows[np.lexsort((order.program.index[rows], to[rows], process[rows], messages.identity[rows]))]
    first, second = rows[:-1], rows[1:]
    same = messages.identity[first] == messages.identity[second]
    again: Int64 = second[same & (process[first] == process[second]) & (to[first] == to[second])]
    return again


def _doubt(order: HappensBefore, messages: Messages) -> str:
    kind = order.trace.kind
    ends = (kind == Kind.SEND) | (kind == Kind.RECEIVE)
    if order.recovered is not None:
        return "which messages are in flight is told by message ids, and no event has one" if ends.any() else ""
    if len(messages.ambiguous):
        first = order.trace.event(int(messages.ambiguous[0]))
        count = len(messages.ambiguous)
        return f"{count:,} receives took a message whose id several processes sent (the first: {first})"
    if messages.origin is Origin.DECLARED:
        nameless = np.flatnonzero(ends & (messages.identity < 0))
    else:
        nameless = np.flatnonzero((kind == Kind.RECEIVE) & (messages.send_of < 0))
    if len(nameless):
        first = order.trace.event(int(nameless[0]))
        return f"{len(nameless):,} sends or receives do not tell which message they are about (the first: {first})"
    return ""
