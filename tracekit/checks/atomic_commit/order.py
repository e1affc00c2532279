"""What came before what, as far as the recording tells: by messages, else by one recorder's total order. Crashes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from tracekit.checks.atomic_commit.history import Bool, Int64, commit_history
from tracekit.checks.doubts import not_covered, unheard
from tracekit.execution import Execution
from tracekit.trace.schema import Kind

TELLING = (
    "commit.vote", "commit.pre_commit_ack", "commit.decision", "commit.decision_response", "commit.state_response",
)  # fmt: skip
"""Messages by which a process comes to know of votes, of pre-commits, or of what is decided."""


@dataclass(frozen=True, eq=False)
class Order:
    """Which events are before which.

    Attributes
    ----------
    by_messages: whether happens-before decides; else the column `index` does.
    whole: whether no missing message could add to the order.
    recorded: whether it tells anything between processes.
    unheard: names of messages that tell of votes and pre-commits and of which no receipt is recorded: whoever decides
        may have known more than the order tells.
    """

    execution: Execution
    by_messages: bool
    whole: bool
    recorded: bool = True
    unheard: tuple[str, ...] = ()

    @property
    def sure(self) -> bool:
        """Whether what is not known to come before an event was not known there."""
        return self.whole and not self.unheard

    @property
    def method(self) -> str:
        """For people."""
        return "by happens-before" if self.by_messages else "by the recorder's total order"

    @property
    def rests_on(self) -> tuple[str, ...]:
        """What a verdict supposes, for people; nothing where happens-before decides."""
        return () if self.by_messages else ("votes before decisions: one recorder's total order (index)",)

    def upto(self, first: Any, second: Any) -> Bool:
        """Whether `first` is before `second` or is it, element by element."""
        first, second = np.asarray(first), np.asarray(second)
        if self.by_messages:
            before = self.execution.happens_before.precedes(first, second)
        else:
            index = self.execution.trace.get("index")
            assert index is not None, "there is no order without it"
            before = index.values[first] < index.values[second]
        found: Bool = before | (first == second)
        return found

    @cached_property
    def _crashes(self) -> tuple[Int64, Int64]:
        """Rows of crashes and restarts by process and program order, and a number for each that rises so.

        A restart without a crash before it stands for one.
        """
        trace, program = self.execution.trace, self.execution.program_order
        rows = np.flatnonzero(trace.is_kind(Kind.CRASH, Kind.RESTART) | trace.named("commit.crash", "commit.restart"))
        number = trace.process[rows].astype(np.int64) * (len(trace) + 1) + program.index[rows]
        order = np.argsort(number)
        return rows[order], number[order]

    def crash_after(self, process: Int64, row: Int64) -> Int64:
        """The first crash of each process after its event at a row (-1: from its start on); -1 where there is none."""
        rows, number = self._crashes
        if not len(rows):
            return np.full(len(process), -1, np.int64)
        n = len(self.execution.trace) + 1
        index = np.where(row >= 0, self.execution.program_order.index[np.maximum(row, 0)], -1)
        at = np.searchsorted(number, process * n + index, side="right")
        found = np.minimum(at, len(rows) - 1)
        return np.where((at < len(rows)) & (number[found] // n == process), rows[found], -1)

    def later(self, first: Int64, second: Int64) -> Bool:
        """Whether `second` is known to be after `first`, by this order or by a clock that all share."""
        known: Bool = self.upto(first, second) & (first != second)
        total = ("index",) if _index_is_total(self.execution) else ()
        for name in (*total, "true_time_ns"):
            column = self.execution.trace.get(name)
            if column is not None and column.texts is None:
                both = column.present[first] & column.present[second]
                known |= both & (column.values[second] > column.values[first])
        return known


def order(execution: Execution) -> Order:
    """The order that judges votes and pre-commits; use it through ``execution.derive(order)``.

    One recorder's total order is taken where messages are not all matched, or receipts are not recorded.
    """
    history = execution.derive(commit_history)
    trace, messages = execution.trace, execution.messages
    acting = np.unique(trace.process[history.txn >= 0])
    receives = np.flatnonzero(trace.is_kind(Kind.RECEIVE) & np.isin(trace.process, acting))
    matched = messages.send_of[receives] >= 0
    silent = unheard(execution, TELLING)
    sound = not len(messages.uncertain) and not len(execution.happens_before.unordered)
    # What a process did not record may have brought word of a vote to others
    covered = trace.complete and not not_covered(execution)
    whole = (bool(len(receives)) or len(acting) <= 1) and bool(matched.all()) and sound and covered
    if whole and not silent:
        return Order(execution, True, True)
    if _index_is_total(execution):
        return Order(execution, False, True)
    if whole:
        return Order(execution, True, True, unheard=silent)
    return Order(execution, True, False, bool(matched.any()))


def _index_is_total(execution: Execution) -> bool:
    """Whether every event has its place in one total order that agrees with each process's own."""
    index = execution.trace.get("index")
    if index is None or index.texts is not None or not bool(index.present.all()):
        return False
    rows = execution.program_order.rows
    values, process = index.values[rows], execution.trace.process[rows]
    rises = bool(((process[1:] != process[:-1]) | (values[1:] > values[:-1])).all())
    return rises and len(np.unique(values)) == len(values)
