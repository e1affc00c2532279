"""AC2: a decision stands."""

from __future__ import annotations

from tracekit.checks.atomic_commit.changes import changed, told
from tracekit.checks.atomic_commit.findings import nothing_decided
from tracekit.checks.atomic_commit.history import DECISIONS, commit_history, commit_occurs
from tracekit.checks.doubts import domain_check
from tracekit.execution import Execution, Options
from tracekit.results import CheckResult


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
    broken = changed(history.decisions)
    return CheckResult(
        examined={"decisions": len(history.decisions.first)},
        violations=told(
            history, history.decisions, broken, DECISIONS, "decision-reversed", "decided", "A decision is final."
        ),
        violations_total=len(broken),
        reasons=history.doubts("decision"),
        method="decisions by transaction and process",
    )
