"""Leader Append-Only."""

from __future__ import annotations

import numpy as np

from tracekit.checks.doubts import domain_check
from tracekit.checks.evidence import SHOWN
from tracekit.checks.raft.evidence import legible, not_recorded, violation
from tracekit.checks.raft.history import raft_history, raft_occurs
from tracekit.checks.raft.logs import raft_logs
from tracekit.execution import Execution, Options
from tracekit.results import CheckResult


@domain_check("raft.leader-append-only", applies=raft_occurs)
@legible
def leader_append_only(execution: Execution, options: Options) -> CheckResult:
    """A leader never overwrites or removes entries of its own log; it only appends.

    Meaning
        The leader's log is what followers copy, and the leader counts copies of its own entries to commit them. If it
        changed an entry after sending it, copies that it counted would be of something else. Writing an entry again
        unchanged is no violation. Giving up the lead and a change of the log may be one event: what counts is that
        the process leads one and the same term before and after the event.

    Example
        n1:20  becomes leader, term 3
        n1:25  appends entry 8, term 3
        n1:31  removes entries from 7 on

    Needs
        raft.role and raft.term; every log change (raft.log_from with raft.entry_terms, better raft.entry_digests).

    Cannot see
        Changes of entries before raft.log_known_from. Without digests, another command of the same term
        at the same index.

    Cost
        Linear in the events and entries written.

    Reference
        Raft 5.3, Figure 3. Leader Append-Only.
        Ongaro and Ousterhout, In Search of an Understandable Consensus Algorithm (extended version), 2014.
    """
    history, logs = execution.derive(raft_history), execution.derive(raft_logs)
    if not len(history.leaderships):
        return CheckResult(reasons=not_recorded(history, "raft.role"), applicable=False)
    if not len(logs.changes):
        return CheckResult(reasons=not_recorded(history, "raft.log_from"))
    leading = logs.still_leads[logs.changes]
    broken = np.flatnonzero(leading & (logs.replaced > 0))
    violations = []
    for b in broken[:SHOWN].tolist():
        place, index = int(logs.changes[b]), int(logs.replaced[b])
        name, term = history.who(place), int(history.term[place])
        old = int(logs.entries(np.array([place - 1]), np.array([index]))[0])
        new = int(logs.entries(np.array([place]), np.array([index]))[0])
        before = logs.describe(old) if old >= 0 else f"entry {index}"
        events = [(p, f"leads term {term}") for p in history.took_lead(place)]
        stored = [p for p in (logs.stored(old) if old >= 0 else []) if history.process[p] == history.process[place]]
        events += [(p, f"stores {before}") for p in stored[:1]]
        became = "removes it" if new < 0 else f"replaces it by {logs.describe(new)}"
        violations.append(
            violation(
                history,
                "leader-rewrote-log",
                f"{name}, leader of term {term}, {'removed' if new < 0 else 'replaced'} {before} of its own log. "
                "A leader only appends.",
                [*events, (place, became)],
                facts={"leader": name, "term": term, "index": index},
            )
        )
    return CheckResult(
        examined={"log entries": int(logs.written[leading].sum())},
        violations=tuple(violations),
        violations_total=len(broken),
        applicable=bool(leading.any()),
        method="log changes while leading",
    )
