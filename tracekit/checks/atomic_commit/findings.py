"""What the checks of atomic commitment say alike."""

from __future__ import annotations

import numpy as np

from tracekit.checks.atomic_commit.history import CommitHistory, Int64, Marks
from tracekit.checks.evidence import not_recorded, times
from tracekit.results import CheckResult


def nothing_decided(history: CommitHistory) -> CheckResult:
    """Nobody has decided anything: not applicable, unless the events of decisions are there without their field."""
    return _nothing(history, "decision", "commit.decide", "commit.decision")


def nothing_voted(history: CommitHistory) -> CheckResult:
    """Nobody has voted: not applicable, unless the events of votes are there without their field."""
    return _nothing(history, "vote", "commit.begin", "commit.vote", "commit.vote_request")


def _nothing(history: CommitHistory, field: str, *events: str) -> CheckResult:
    told = history.doubts(field)
    if not told and history.execution.trace.names.intersection(events):
        told = not_recorded(history.execution, f"commit.{field}")
    return CheckResult(reasons=told, applicable=bool(told))


def unlisted(history: CommitHistory, txns: Int64, what: str) -> list[str]:
    """Why transactions whose participants nobody recorded cannot be judged."""
    if not len(txns):
        return []
    some = history.txn_name(int(txns[0]))
    return [f"the participants of {times(len(txns), what)} are not recorded (commit.participants; first: {some})"]


def first_of_each(history: CommitHistory, marks: Marks, places: Int64) -> Int64:
    """Of the marks at some places, one of each transaction: the first in the order of events."""
    places = np.unique(places)
    if not len(places):
        return places
    clock = history.execution.happens_before.lamport(marks.row[places])
    places = places[np.lexsort((clock, marks.txn[places]))]
    _, first = np.unique(marks.txn[places], return_index=True)
    return places[first]


def decided(history: CommitHistory, places: Int64) -> list[str]:
    """Who decided at some places of the decisions, each once."""
    return list(dict.fromkeys(history.who(code) for code in history.decisions.process[places].tolist()))
