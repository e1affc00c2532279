"""AC2: a decision stands; and a vote does, too."""

from __future__ import annotations

import numpy as np

from tracekit.checks.atomic_commit.findings import nothing_decided, nothing_voted
from tracekit.checks.atomic_commit.history import (
    DECISIONS,
    VOTES,
    CommitHistory,
    Int64,
    Marks,
    commit_history,
    commit_occurs,
)
from tracekit.checks.atomic_commit.order import order
from tracekit.checks.doubts import domain_check
from tracekit.checks.evidence import SHOWN, violation
from tracekit.execution import Execution, Options
from tracekit.results import CheckResult, Violation


@domain_check("atomic-commit.irrevocable", domain="commit", applies=commit_occurs, self_evident=lambda execution: True)
def irrevocable(execution: Execution, options: Options) -> CheckResult:
    """A process cannot reverse its decision after it has reached one (AC2).

    Meaning
        Once a process has decided, others may act on it: its locks are free, other transactions have read what it
        wrote, the client has its answer. A process that decides otherwise later has forgotten its decision, as a rule
        in a crash, because the decision was told before it was in the log.

    Example
        n1:40  decides commit on t7
        n1:41  crashes
        n1:42  restarts
        n1:43  decides abort on t7, because: restarted before it had decided

    Needs
        commit.txn and commit.decision where processes decide.

    Cannot see
        A decision that was not recorded. A decision that is recorded again and is the same one is no breach.

    Cost
        Sorting the decisions; linear in the events otherwise.

    Reference
        Bernstein, Hadzilacos & Goodman 7.3, AC2. Concurrency Control and Recovery in Database Systems, 1987.
    """
    history = execution.derive(commit_history)
    if not len(history.decisions):
        return nothing_decided(history)
    broken = _changed(history.decisions)
    words = {value: text for text, value in DECISIONS.items()}
    told = [
        _told(history, history.decisions, int(start), words, "decision-reversed", "decided", "A decision is final.")
        for start in broken[:SHOWN].tolist()
    ]
    return CheckResult(
        examined={"decisions": len(history.decisions.first)},
        violations=tuple(told),
        violations_total=len(broken),
        reasons=history.doubts("decision"),
        method="decisions by transaction and process",
    )


@domain_check("atomic-commit.one-vote", domain="commit", applies=commit_occurs, self_evident=lambda execution: True)
def one_vote(execution: Execution, options: Options) -> CheckResult:
    """A process has one vote on a transaction and keeps to it.

    Meaning
        The coordinator counts on a yes vote from the moment that it has it: the process that has cast it may not abort
        any more, whatever happens to it. A process that is asked twice, because its answer was lost or late, answers as
        it did the first time; one that votes otherwise has forgotten its vote, or has voted anew.

    Example
        n3:20  votes yes on t7, holding k3
        n3:31  receives a vote request from n1, votes no on t7, because: k3 is locked by t7

    Needs
        commit.txn and commit.vote where processes vote.

    Cannot see
        A vote that was sent and not recorded as cast. A process that votes yes and then aborts without another vote:
        atomic-commit.agreement tells of that where others commit.

    Cost
        Sorting the votes; linear in the events otherwise.

    Reference
        Bernstein, Hadzilacos & Goodman 7.3. Each process has one vote, yes or no. Concurrency Control and Recovery in
        Database Systems, 1987.
    """
    history = execution.derive(commit_history)
    if not len(history.votes):
        return nothing_voted(history)
    broken = _changed(history.votes)
    words = {value: text for text, value in VOTES.items()}
    told = [
        _told(history, history.votes, int(start), words, "vote-changed", "voted", "A process has one vote.")
        for start in broken[:SHOWN].tolist()
    ]
    return CheckResult(
        examined={"votes": len(history.votes.first)},
        violations=tuple(told),
        violations_total=len(broken),
        reasons=history.doubts("vote"),
        method="votes by transaction and process",
    )


def _changed(marks: Marks) -> Int64:
    """Where pairs begin whose marks differ."""
    low, high = np.minimum.reduceat(marks.value, marks.starts), np.maximum.reduceat(marks.value, marks.starts)
    return marks.starts[low < high]


def _told(
    history: CommitHistory, marks: Marks, start: int, words: dict[int, str], anomaly: str, verb: str, rule: str
) -> Violation:
    execution = history.execution
    place = start
    while marks.value[place] == marks.value[start]:
        place += 1
    first, second = int(marks.row[start]), int(marks.row[place])
    process, name = history.who(int(marks.process[start])), history.txn_name(int(marks.txn[start]))
    crash = int(execution.derive(order).crash_after(marks.process[start : start + 1], marks.row[start : start + 1])[0])
    index = execution.program_order.index
    crashed = crash >= 0 and index[crash] < index[second]
    between = [(crash, execution.text(crash))] if crashed else []
    forgot = f" It failed in between ({execution.trace.event(crash)}) and forgot." if crashed else ""
    return violation(
        execution,
        anomaly,
        f"{process} {verb} {words[int(marks.value[start])]} on {name} and later {words[int(marks.value[place])]}. "
        f"{rule}{forgot}",
        [(first, execution.text(first)), *between, (second, execution.text(second))],
        facts={"transaction": name, "process": process, "failed in between": crashed},
    )
