"""A process's commit index never decreases."""

from __future__ import annotations

import numpy as np

from tracekit.checks.doubts import domain_check
from tracekit.checks.evidence import SHOWN
from tracekit.checks.raft.evidence import not_recorded, violation
from tracekit.checks.raft.history import RaftHistory, raft_history, raft_occurs
from tracekit.execution import Execution, Options
from tracekit.results import CheckResult


@domain_check("raft.commit-index-monotonic", applies=raft_occurs)
def commit_index_monotonic(execution: Execution, options: Options) -> CheckResult:
    """A process's commit index never decreases while the process is up.

    Meaning
        The commit index says how far a process's log is known to be committed. Committed entries stay committed, so
        what a process knows can only grow. A follower that takes a smaller number over from a leader, instead of the
        maximum, un-commits entries that it may already have applied, and reads served from it go back in time.
        The commit index is not kept on stable storage: after a restart it may begin anew, which is no violation.

    Example
        n1:40  commits up to 69
        n1:41  receives 1 entries from n3; commit index 67

    Needs
        raft.commit at the events of a process, in its program order, and crash or restart events where it restarted.

    Cannot see
        A restart that nobody recorded: its fresh commit index looks like a regression.

    Cost
        Linear in the events.

    Reference
        Raft, Figure 2. State commitIndex ("increases monotonically"); AppendEntries receiver rule 5.
        Ongaro and Ousterhout, In Search of an Understandable Consensus Algorithm (extended version), 2014.
    """
    history = execution.derive(raft_history)
    missing = not_recorded(history, "raft.commit")
    if missing:
        return CheckResult(reasons=missing)
    before, after = history.before(history.commit), history.commit
    judged = (before >= 0) & (after >= 0) & ~history.restart
    broken = np.flatnonzero(judged & (after < before))
    violations = []
    for place in broken[:SHOWN].tolist():
        old, new = int(before[place]), int(after[place])
        name = history.who(place)
        violations.append(
            violation(
                history,
                "commit-index-decreased",
                f"{name} took its commit index back from {old} to {new}. "
                "What a process knows to be committed can only grow.",
                [
                    (_set(history, place - 1), f"commits up to {old}"),
                    (place, f"{execution.text(int(history.rows[place]))}: commit index {new}"),
                ],
                facts={"process": name, "from": old, "to": new, "term": int(history.term[place])},
            )
        )
    first = (after >= 0) & (before < 0)
    commits = int((judged & (after != before)).sum() + (first & (after > 0)).sum())
    return CheckResult(
        examined={"commits": commits},
        violations=tuple(violations),
        violations_total=len(broken),
        applicable=commits > 0,
        method="recorded commit indexes in program order",
    )


def _set(history: RaftHistory, place: int) -> int:
    """The place at which the process took on the commit index that it has at a place."""
    while not history.first[place] and history.commit[place - 1] == history.commit[place]:
        place -= 1
    return place
