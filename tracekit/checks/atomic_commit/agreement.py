"""AC1: all that decide decide the same."""

from __future__ import annotations

import numpy as np

from tracekit.checks.atomic_commit.findings import decided, nothing_decided
from tracekit.checks.atomic_commit.history import ABORT, COMMIT, CommitHistory, commit_history, commit_occurs
from tracekit.checks.doubts import domain_check
from tracekit.checks.evidence import SHOWN, in_causal_order, listed, violation
from tracekit.execution import Execution, Options
from tracekit.results import CheckResult, Violation


@domain_check("atomic-commit.agreement", domain="commit", applies=commit_occurs, self_evident=lambda execution: True)
def agreement(execution: Execution, options: Options) -> CheckResult:
    """All processes that reach a decision on a transaction reach the same one (AC1).

    Meaning
        A transaction takes place at all sites or at none. If one process commits it and another one aborts it, the
        data that they hold belong to no state that the transaction leads to: money has left one account and has come to
        no other. It does not matter whether a process is up or has failed since, or how it came to its decision.

    Example
        n1:40  decides commit on t7
        n3:52  has waited too long for the decision, aborts t7

    Needs
        commit.txn and commit.decision where processes decide. Nothing else: no messages, no clocks, no votes.

    Cannot see
        A decision that nobody recorded. Why two processes disagree: atomic-commit.validity, .irrevocable and .one-vote
        tell of that.

    Cost
        Sorting the decisions; linear in the events otherwise.

    Reference
        Bernstein, Hadzilacos & Goodman 7.3, AC1. Concurrency Control and Recovery in Database Systems, 1987.
    """
    history = execution.derive(commit_history)
    decisions = history.decisions
    if not len(decisions):
        return nothing_decided(history)
    low, high = np.full(history.count, 2), np.full(history.count, -1)
    np.minimum.at(low, decisions.txn, decisions.value)
    np.maximum.at(high, decisions.txn, decisions.value)
    sites = np.bincount(decisions.first.txn, minlength=history.count)
    broken = np.flatnonzero((low < high) & (high >= 0) & (sites > 1))
    told = [_told(history, int(txn)) for txn in broken[:SHOWN].tolist()]
    return CheckResult(
        examined={"transactions": int((sites > 0).sum()), "decisions": len(decisions.first)},
        violations=tuple(told),
        violations_total=len(broken),
        reasons=history.doubts("decision"),
        method="decisions by transaction",
    )


def _told(history: CommitHistory, txn: int) -> Violation:
    """A commit and an abort of two processes, each as early as may be."""
    execution, decisions = history.execution, history.decisions
    places = np.array(history.decisions.of(txn))
    places = places[np.argsort(execution.happens_before.lamport(decisions.row[places]), kind="stable")]
    commits, aborts = (places[decisions.value[places] == value] for value in (COMMIT, ABORT))
    ends = []
    for first, others in ((commits[0], aborts), (aborts[0], commits)):
        apart = others[decisions.process[others] != decisions.process[first]]
        ends += [(int(first), int(apart[0]))] if len(apart) else []
    shown = in_causal_order(execution, [int(decisions.row[place]) for place in ends[0]])
    name = history.txn_name(txn)
    committed, aborted = decided(history, commits), decided(history, aborts)
    return violation(
        execution,
        "different-decisions",
        f"{listed(committed[:SHOWN])} committed {name}, and {listed(aborted[:SHOWN])} aborted it. "
        "All that decide on a transaction must decide the same.",
        [(row, execution.text(row)) for row in dict.fromkeys([*history.began(txn), *shown])],
        facts={"transaction": name, "committed": committed[:SHOWN], "aborted": aborted[:SHOWN]},
    )
