"""What came before what, as far as the recording tells: by messages, else by one recorder's total order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tracekit.checks.doubts import unheard
from tracekit.checks.paxos.acceptors import acceptors
from tracekit.checks.paxos.history import Bool, Int64, paxos_history
from tracekit.execution import Execution
from tracekit.trace.schema import Kind

BLOCK = 4_000_000
"""Pairs of events that are compared together; bounds memory."""
TELLING = ("paxos.promise", "paxos.accepted", "paxos.chosen", "paxos.missed")
"""Messages by which a process comes to know of promises, of acceptances, or of what is chosen."""


@dataclass(frozen=True, eq=False)
class Order:
    """Which events are before given ones.

    Attributes
    ----------
    by_messages: whether happens-before decides; else the column `index` does.
    whole: whether no missing message could add to the order, but for those that `unheard` names.
    reason: why there is no order at all; empty where there is one.
    unheard: names of messages that tell of promises and acceptances and of which no receipt is recorded: what follows
        from them may look as if nothing preceded it.
    """

    execution: Execution
    by_messages: bool
    whole: bool
    reason: str = ""
    unheard: tuple[str, ...] = ()

    @property
    def method(self) -> str:
        """For people."""
        return "by happens-before" if self.by_messages else "by the recorder's total order"

    @property
    def rests_on(self) -> tuple[str, ...]:
        """What a verdict supposes, for people; nothing where happens-before decides."""
        return () if self.by_messages else ("quorums: one recorder's total order (index)",)

    def before(self, first: Int64, second: Int64) -> Bool:
        """Whether each event of `first` is before the one of `second`, or is it; rows of the trace."""
        out = np.empty(len(first), np.bool_)
        for start in range(0, len(first), BLOCK):
            a, b = first[start : start + BLOCK], second[start : start + BLOCK]
            out[start : start + BLOCK] = (a == b) | self._precedes(a, b)
        return out

    def _precedes(self, first: Int64, second: Int64) -> Bool:
        if self.by_messages:
            return self.execution.happens_before.precedes(first, second)
        index = self.execution.trace.get("index")
        assert index is not None, "there is no order without it"
        found: Bool = index.values[first] < index.values[second]
        return found


def order(execution: Execution) -> Order:
    """The order that judges quorums; use it through ``execution.derive(order)``.

    One recorder's total order is taken where messages are not all matched, or receipts are not recorded.
    """
    trace, messages, members = execution.trace, execution.messages, _members(execution)
    receives = np.flatnonzero(trace.is_kind(Kind.RECEIVE) & np.isin(trace.process, members))
    matched = messages.send_of[receives] >= 0
    silent = _silent(execution)
    sound = bool(len(receives)) and bool(matched.all()) and not len(messages.uncertain)
    if sound and not silent:
        return Order(execution, True, True)
    if _index_is_total(execution):
        return Order(execution, False, True)
    if matched.any():
        return Order(execution, True, sound, unheard=silent)
    if len(members) <= 1:
        return Order(execution, True, True)
    return Order(
        execution, True, False, "no message could be matched (message), and no total order (index) is recorded"
    )


def _silent(execution: Execution) -> tuple[str, ...]:
    """See `Order.unheard`: messages that are sent and never received, or steps of which no message tells anybody."""
    trace, history = execution.trace, execution.derive(paxos_history)
    received = trace.is_kind(Kind.RECEIVE)
    found = unheard(execution, TELLING)
    for steps, names in ((history.promises, TELLING[:1]), (history.acceptances, TELLING[1:])):
        if len(steps) and not (trace.named(*names) & received).any():
            found += names[:1]
    return tuple(dict.fromkeys(found))


def _members(execution: Execution) -> Int64:
    history = execution.derive(paxos_history)
    parts = (history.promises, history.acceptances, history.requests, history.learned)
    return np.unique(np.concatenate([execution.derive(acceptors).codes, *(steps.process for steps in parts)]))


def _index_is_total(execution: Execution) -> bool:
    """Whether every event has its place in one total order that agrees with each process's own."""
    trace, rows = execution.trace, execution.program_order.rows
    index = trace.get("index")
    if index is None or index.texts is not None or not bool(index.present.all()):
        return False
    values, process = index.values[rows], trace.process[rows]
    rises = bool(((process[1:] != process[:-1]) | (values[1:] > values[:-1])).all())
    return rises and len(np.unique(values)) == len(values)
