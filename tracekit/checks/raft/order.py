"""What came before what, as far as the recording tells: by messages, else by one recorder's total order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tracekit.checks.raft.configuration import NO, UNDECIDED
from tracekit.checks.raft.history import Int64, raft_history
from tracekit.execution import Execution
from tracekit.trace.schema import Kind

ANSWERED = {
    "raft.request_vote": "raft.request_vote_response",
    "raft.append_entries": "raft.append_entries_response",
    "raft.install_snapshot": "raft.install_snapshot_response",
}
"""Requests, and the answers from which their senders learn of votes and copies."""


@dataclass(frozen=True, eq=False)
class Order:
    """Which events are before given ones.

    Attributes
    ----------
    begin: shape (names,): place at which each process's events begin.
    by_messages: whether happens-before decides; else the column `index` does.
    whole: whether no missing message could add to the order.
    unheard: names of answers that are received nowhere though there are such; no missing quorum is certain then.
    reason: why there is no order at all; empty where there is one.
    """

    execution: Execution
    begin: Int64
    by_messages: bool
    whole: bool
    unheard: tuple[str, ...] = ()
    reason: str = ""

    @property
    def method(self) -> str:
        """For people."""
        return "by happens-before" if self.by_messages else "by the recorder's total order"

    @property
    def rests_on(self) -> tuple[str, ...]:
        """What a verdict supposes, for people; nothing where happens-before decides."""
        return () if self.by_messages else ("copies and votes: one recorder's total order (index)",)

    def frontiers(self, places: Int64) -> Int64:
        """(k, processes): how many first events of each process are before each event, itself included."""
        history = self.execution.derive(raft_history)
        rows = history.rows[places]
        if self.by_messages:
            return self.execution.happens_before.frontiers(rows)
        index = self.execution.trace.get("index")
        assert index is not None, "there is no order without it"
        values = index.values[history.rows]
        starts = self.execution.program_order.starts
        out = np.empty((len(places), len(self.execution.trace.processes)), np.int64)
        for p in range(out.shape[1]):
            out[:, p] = np.searchsorted(values[starts[p] : starts[p + 1]], values[places], side="right")
        return out

    def past(self, place: int, places: list[int]) -> list[int]:
        """Those of some places that are before one."""
        process = self.execution.derive(raft_history).process
        frontier = self.frontiers(np.array([place]))[0]
        return [p for p in places if p < self.begin[process[p]] + frontier[process[p]]]

    @property
    def missing(self) -> str:
        """What to add to a reason for an undecided quorum; empty where answers are recorded."""
        return f"; nor are receipts of answers ({', '.join(self.unheard)})" if self.unheard else ""

    def excused(self, answer: Int64) -> Int64:
        """Turns a missing quorum into undecided where messages or answers that were not recorded might have told it."""
        return answer if self.whole and not self.unheard else np.where(answer == NO, UNDECIDED, answer)


def order(execution: Execution) -> Order:
    """The order that judges quorums; use it through ``execution.derive(order)``.

    One recorder's total order is taken where messages are not all matched, or answers are not recorded.
    """
    history = execution.derive(raft_history)
    starts = execution.program_order.starts
    begin = np.full(len(history.names), len(history.rows), np.int64)
    begin[: len(starts) - 1] = starts[:-1]
    messages = execution.messages
    receives = np.flatnonzero(execution.trace.is_kind(Kind.RECEIVE) & np.isin(execution.trace.process, history.members))
    matched = messages.send_of[receives] >= 0
    whole = bool(len(receives)) and bool(matched.all()) and not len(messages.uncertain)
    unheard = _unheard(execution)
    if whole and not unheard:
        return Order(execution, begin, True, True)
    if _index_is_total(execution):
        return Order(execution, begin, False, True)
    if matched.any():
        return Order(execution, begin, True, whole, unheard)
    if len(history.members) <= 1:
        return Order(execution, begin, True, True)
    why = "no message could be matched (message), and no total order (index) is recorded"
    return Order(execution, begin, True, False, reason=why)


def _unheard(execution: Execution) -> tuple[str, ...]:
    """See `Order.unheard`: a request is received or answered somewhere, and no answer of its kind is received anywhere.
    All were lost; or, as likely, receipts of them are not recorded."""
    trace, received = execution.trace, execution.trace.is_kind(Kind.RECEIVE)

    def arrives(name: str) -> bool:
        return bool((trace.named(name) & received).any())

    return tuple(
        answer
        for request, answer in ANSWERED.items()
        if not arrives(answer) and (answer in trace.names or arrives(request))
    )


def _index_is_total(execution: Execution) -> bool:
    """Whether every event has its place in one total order that agrees with each process's own."""
    index = execution.trace.get("index")
    if index is None or index.texts is not None or not bool(index.present.all()):
        return False
    history = execution.derive(raft_history)
    values = index.values[history.rows]
    return bool((history.first[1:] | (values[1:] >= values[:-1])).all())
