"""Committed entries stay."""

from __future__ import annotations

import numpy as np

from tracekit.checks.doubts import domain_check
from tracekit.checks.evidence import SHOWN
from tracekit.checks.raft.evidence import legible, not_recorded, violation
from tracekit.checks.raft.history import Int64, RaftHistory, highest, raft_history, raft_occurs
from tracekit.checks.raft.logs import raft_logs
from tracekit.execution import Execution, Options
from tracekit.results import CheckResult


@domain_check("raft.commit-stability", applies=raft_occurs)
@legible
def commit_stability(execution: Execution, options: Options) -> CheckResult:
    """An entry that a process knows to be committed is never removed from its log or replaced there.

    Meaning
        Entries at or below the commit index may already have changed the state machine and been answered to clients.
        A follower removes entries only where a new entry conflicts with them, and committed entries never conflict
        with what a legitimate leader sends. A follower that cuts its log at every AppendEntries loses committed
        entries when an old, delayed message arrives; if it then helps another candidate to win, they are gone for
        good. Entries known to be committed before a restart count as well: the log survives it.

    Example
        n2:60  commits up to 12
        n2:71  receives 1 entries from n1 (sent long ago), stores entry 9: entries 10 to 12 are gone

    Needs
        raft.commit, and every log change (raft.log_from with raft.entry_terms, better raft.entry_digests).

    Cannot see
        Changes before raft.log_known_from. Without digests, another command of the same term at the same
        index.
        Where a log is recorded only when it reaches the disk, so that the commit index runs ahead of it, a commit
        counts from the next log change on; what that change itself does is not seen.

    Cost
        Linear in the events and entries written.

    Reference
        Raft, Figure 2. AppendEntries receiver rule 3 ("If an existing entry conflicts"); 5.3, 5.4.3.
        Ongaro and Ousterhout, In Search of an Understandable Consensus Algorithm (extended version), 2014.
    """
    history, logs = execution.derive(raft_history), execution.derive(raft_logs)
    missing = not_recorded(history, "raft.commit", "raft.log_from")
    if missing or not len(logs.changes):
        return CheckResult(reasons=missing, applicable=bool(missing))
    known = highest_so_far(history)[logs.changes]
    committed = known
    if logs.lag:  # what was known before the change before
        committed = np.full_like(known, -1)
        same = history.process[logs.changes[1:]] == history.process[logs.changes[:-1]]
        committed[1:] = np.where(same, known[:-1], -1)
    judged = committed >= 0
    broken = np.flatnonzero(judged & (logs.replaced > 0) & (logs.replaced <= committed))
    violations = []
    for b in broken[:SHOWN].tolist():
        place, index, commit = int(logs.changes[b]), int(logs.replaced[b]), int(committed[b])
        old = int(logs.entries(np.array([place - 1]), np.array([index]))[0])
        new = int(logs.entries(np.array([place]), np.array([index]))[0])
        name, what = history.who(place), logs.describe(old) if old >= 0 else f"entry {index}"
        start = int(history.begin[place])
        knew = start + int(np.flatnonzero(history.commit[start:place] >= index)[0])
        did = f"replaced it by {logs.describe(new)}" if new >= 0 else "removed it"
        text = execution.text(int(history.rows[place]))
        violations.append(
            violation(
                history,
                "committed-entry-lost",
                f"{name} knew {what} to be committed (commit index {commit}) and {did}. "
                "Committed entries never change.",
                [(knew, f"commits up to {int(history.commit[knew])}"), (place, f"{text}: entry {index} is lost")],
                facts={"process": name, "index": index, "commit": commit, "term": int(history.term[place])},
            )
        )
    return CheckResult(
        examined={"log entries": int(logs.written[judged].sum())},
        violations=tuple(violations),
        violations_total=len(broken),
        applicable=bool(judged.any()),
        rests_on=logs.rests_on,
        method="log changes against the commit index before",
    )


def highest_so_far(history: RaftHistory) -> Int64:
    """The largest commit index that each process knew before each event, restarts notwithstanding; -1: none."""
    return history.before(highest(history.commit, history.first))
