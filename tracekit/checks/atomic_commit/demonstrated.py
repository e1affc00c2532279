"""What each process demonstrably records: only there is the absence of an event evidence that it did not happen.

A recorder that leaves out a sort of event leaves it out everywhere at its process. So one recorded event of a sort
shows that a process records that sort, and none shows nothing. A process does a thing in two parts, at the transactions
that it coordinates and at those of others, and at different events: it has to show both, unless its part is known.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracekit.checks.atomic_commit.history import Bool, CommitHistory, Int64, Marks, commit_history
from tracekit.execution import Execution
from tracekit.trace.schema import Kind
from tracekit.trace.trace import Trace

TOLD = ("commit.decision", "commit.decision_response", "commit.state_response", "commit.decision_request")
"""Messages at whose receipt a process decides what another one has decided, or that it has to abort."""


@dataclass(frozen=True, eq=False)
class Demonstrated:
    """What processes show that they record. Pairs are transaction * width + process, as in `Marks.pair`.

    Attributes
    ----------
    coordinates, asked: sorted pairs: the process began the transaction or asks for votes on it; it is asked for its
        vote by another one.
    """

    execution: Execution
    coordinates: Int64
    asked: Int64

    @cached_property
    def history(self) -> CommitHistory:
        """All events."""
        return self.execution.derive(commit_history)

    @property
    def _trace(self) -> Trace:
        return self.execution.trace

    def _processes(self, codes: NDArray[Any]) -> Bool:
        shown = np.zeros(len(self.history.names), np.bool_)
        shown[codes] = True
        return shown

    def does(self, marks: Marks, pair: Int64) -> Bool:
        """Whether each pair's process records what the marks say, at transactions in which it has the same part."""
        own = np.isin(marks.pair, self.coordinates)
        # A vote at the receipt of a message is another one's request; else the part has to be known
        heard = self._trace.kind[marks.row] == Kind.RECEIVE
        parts = len(self.coordinates) + len(self.asked) > 0
        other = ~own & (heard | np.isin(marks.pair, self.asked) | (not parts))
        as_own, as_other = self._processes(marks.process[own & ~heard]), self._processes(marks.process[other])
        process = pair % marks.width
        coordinates, asked = np.isin(pair, self.coordinates), np.isin(pair, self.asked)
        both = as_own[process] & as_other[process]
        either: Bool = np.where(coordinates, as_own[process], np.where(asked | (not parts), as_other[process], both))
        return either

    def receives(self, *names: str) -> Bool:
        """Shape (names,): processes that record receipts of every one of some messages."""
        shown = np.ones(len(self.history.names), np.bool_)
        for name in names:
            rows = self._trace.named(name) & self._trace.is_kind(Kind.RECEIVE)
            shown &= self._processes(self._trace.process[rows])
        return shown

    def crashes(self) -> Bool:
        """Shape (names,): processes that record any crash or restart."""
        trace = self._trace
        life = trace.is_kind(Kind.CRASH, Kind.RESTART) | trace.named("commit.crash", "commit.restart")
        return self._processes(trace.process[life])

    def told(self, name: str, field: str = "", value: str = "", *, present: bool = False) -> tuple[Int64, Int64, Int64]:
        """Messages of a name about a transaction, with a value in a field, or (unless it has to be present) without
        the field: the pair of the sender, the process where the event stands, its row."""
        trace, history = self._trace, self.history
        rows = np.flatnonzero(trace.named(name) & trace.is_kind(Kind.SEND, Kind.RECEIVE) & (history.txn >= 0))
        peer, column = trace.get("peer"), trace.get(field) if field else None
        if column is not None and column.texts is not None:
            absent = ~column.present[rows]
            rows = rows[(absent & (not present)) | (~absent & (column.values[rows] == column.code(value)))]
        codes = trace.process_codes(peer).astype(np.int64) if peer is not None else np.full(len(trace), -1, np.int64)
        at = trace.process[rows].astype(np.int64)
        sender = np.where(trace.kind[rows] == Kind.SEND, at, codes[rows])
        known = sender >= 0
        return (history.txn[rows] * history.votes.width + sender)[known], at[known], rows[known]


def own_decision(history: CommitHistory, marks: Marks) -> Bool:
    """Which decisions are not made at the receipt of another one's."""
    trace = history.execution.trace
    passed_on = trace.named(*TOLD)[marks.row] & (trace.kind[marks.row] == Kind.RECEIVE)
    own: Bool = ~passed_on
    return own


def demonstrated(execution: Execution) -> Demonstrated:
    """Use it through ``execution.derive(demonstrated)``. O(n log n)."""
    history, trace = execution.derive(commit_history), execution.trace
    width = history.votes.width
    process = trace.process.astype(np.int64)
    peer = trace.get("peer")
    codes = trace.process_codes(peer).astype(np.int64) if peer is not None else np.full(len(trace), -1, np.int64)
    about = history.txn >= 0
    begun = trace.named("commit.begin") & about
    request = trace.named("commit.vote_request") & about
    sent, received = request & trace.is_kind(Kind.SEND), request & trace.is_kind(Kind.RECEIVE)
    pair = history.txn * width + process
    other = history.txn * width + codes
    known = codes >= 0
    coordinates = np.concatenate([pair[begun | sent], other[received & known]])
    asked = np.concatenate([pair[received], other[sent & known]])
    return Demonstrated(execution, np.unique(coordinates), np.setdiff1d(asked, coordinates))
