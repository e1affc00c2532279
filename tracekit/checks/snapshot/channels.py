"""The channels of a computation: its messages by sender and receiver, ready to be asked about by place."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from tracekit.execution import Execution
from tracekit.trace.schema import Kind

Int64 = NDArray[np.int64]
Ends = tuple[int, int]
NEVER = 2**62
"""Place of the receive of a message that nobody received."""


class Channel:
    """The messages from one process to another, numbered in the order sent. Places are those of program order.

    Attributes
    ----------
    sends: rows. receives: rows of first receipts, -1 where a message was never received.
    sent, received: their places; `NEVER`.
    color: of each message, -1 where it has none.
    arrival: numbers in the order received.
    """

    def __init__(self, sends: Int64, receives: Int64, index: Int64, color: Int64) -> None:
        self.sends, self.receives, self.color = sends, receives, color
        self.sent = index[sends]
        self.received = np.where(receives >= 0, index[receives], NEVER)
        self.arrival = np.argsort(self.received, kind="stable")
        self._places = self.received[self.arrival]
        self._earliest_from = np.minimum.accumulate(np.append(self.received, NEVER + 1)[::-1])[::-1]
        self._latest_until = np.maximum.accumulate(np.append(-1, self.received))
        self._palest_from = np.minimum.accumulate(np.append(color, NEVER)[::-1])[::-1]
        self._reddest_until = np.maximum.accumulate(np.append(-1, color))
        self._reddest_arrived = np.maximum.accumulate(np.append(-1, color[self.arrival]))

    def __len__(self) -> int:
        return len(self.sends)

    def sent_before(self, place: int) -> int:
        """How many messages were sent before a place of the sender."""
        return int(np.searchsorted(self.sent, place))

    def backward(self, sent_from: int, received_before: int) -> Int64:
        """Messages sent at or after a place and received before another. O(log m) where there are none, else O(m)."""
        start = self.sent_before(sent_from)
        if self._earliest_from[start] >= received_before:
            return np.empty(0, np.int64)
        return start + np.flatnonzero(self.received[start:] < received_before)

    def forward(self, sent_before: int, received_from: int) -> Int64:
        """Messages sent before a place, received at or after another or never. O(log m) where there are none."""
        end = self.sent_before(sent_before)
        if self._latest_until[end] < received_from:
            return np.empty(0, np.int64)
        late = self.arrival[int(np.searchsorted(self._places, received_from)) :]
        found: Int64 = np.sort(late[late < end])
        return found

    def arrived(self, after: int, before: int) -> Int64:
        """Messages received between two places, both excluded, in the order received. O(log m) and their number."""
        start, end = np.searchsorted(self._places, after, "right"), np.searchsorted(self._places, before)
        return self.arrival[start:end]

    def white(self, sent_from: int, color: int) -> Int64:
        """Messages sent at or after a place with a colour below this one. O(log m) where there are none."""
        start = self.sent_before(sent_from)
        if self._palest_from[start] >= color:
            return np.empty(0, np.int64)
        return start + np.flatnonzero(self.color[start:] < color)

    def red(self, sent_before: int, color: int) -> Int64:
        """Messages sent before a place with this colour or one above. O(log m) where there are none."""
        end = self.sent_before(sent_before)
        if self._reddest_until[end] < color:
            return np.empty(0, np.int64)
        found: Int64 = np.flatnonzero(self.color[:end] >= color)
        return found

    def red_arrived(self, before: int, color: int) -> Int64:
        """Messages received before a place with this colour or one above. O(log m) where there are none."""
        end = int(np.searchsorted(self._places, before))
        if self._reddest_arrived[end] < color:
            return np.empty(0, np.int64)
        early = self.arrival[:end]
        return early[self.color[early] >= color]


def channels_of(execution: Execution, chosen: NDArray[np.bool_], color: Int64) -> dict[Ends, Channel]:
    """Every channel that carried one of the chosen messages, by its ends. O(m log m).

    Parameters
    ----------
    chosen: bool, shape (n,): the sends and receives of the computation.
    color: int64, shape (n,): -1 where a row has none.
    """
    trace, messages, index = execution.trace, execution.messages, execution.program_order.index
    matched = np.flatnonzero(chosen & (messages.send_of >= 0))
    sends = messages.send_of[matched]
    by_receipt = np.lexsort((index[matched], trace.process[matched], sends))
    matched, sends = matched[by_receipt], sends[by_receipt]
    again = (np.diff(sends, prepend=-1) == 0) & (np.diff(trace.process[matched], prepend=-1) == 0)
    matched, sends = matched[~again], sends[~again]
    lost, to = _never_received(execution, chosen)
    sends, receives = np.append(sends, lost), np.append(matched, np.full(len(lost), -1))
    receiver = np.append(trace.process[matched], to)
    order = np.lexsort((index[sends], receiver, trace.process[sends]))
    sends, receives, receiver = sends[order], receives[order], receiver[order]
    sender = trace.process[sends]
    starts = np.flatnonzero((np.diff(sender, prepend=-1) != 0) | (np.diff(receiver, prepend=-1) != 0))
    found = {}
    for start, end in pairwise([*starts.tolist(), len(sends)]):
        part = slice(start, end)
        ends = int(sender[start]), int(receiver[start])
        found[ends] = Channel(sends[part], receives[part], index, color[sends[part]])
    return found


def _never_received(execution: Execution, chosen: NDArray[np.bool_]) -> tuple[Int64, Int64]:
    """Rows of sends that no receive belongs to, and to whom they were addressed; without an address: left out."""
    trace, messages = execution.trace, execution.messages
    peer = trace.get("peer")
    if peer is None:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    received = np.zeros(len(trace), np.bool_)
    received[messages.send_of[messages.send_of >= 0]] = True
    to = trace.process_codes(peer).astype(np.int64)
    lost = np.flatnonzero(chosen & trace.is_kind(Kind.SEND) & ~received & (to >= 0))
    return lost, to[lost]
