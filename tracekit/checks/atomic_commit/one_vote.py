"""A vote stands."""

from __future__ import annotations

from tracekit.checks.atomic_commit.changes import changed, told
from tracekit.checks.atomic_commit.findings import nothing_voted
from tracekit.checks.atomic_commit.history import VOTES, commit_history, commit_occurs
from tracekit.checks.doubts import domain_check
from tracekit.execution import Execution, Options
from tracekit.results import CheckResult


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
    broken = changed(history.votes)
    return CheckResult(
        examined={"votes": len(history.votes.first)},
        violations=told(history, history.votes, broken, VOTES, "vote-changed", "voted", "A process has one vote."),
        violations_total=len(broken),
        reasons=history.doubts("vote"),
        method="votes by transaction and process",
    )
