"""A leader commits by counting only entries of its own term."""

from __future__ import annotations

import numpy as np

from tracekit.checks.doubts import domain_check
from tracekit.checks.evidence import SHOWN, times
from tracekit.checks.raft.damage import damage_of
from tracekit.checks.raft.evidence import legible, not_recorded, violation
from tracekit.checks.raft.history import raft_history, raft_occurs
from tracekit.checks.raft.leader_commits import leader_commits
from tracekit.checks.raft.logs import RaftLogs, raft_logs
from tracekit.checks.raft.order import order
from tracekit.execution import Execution, Options
from tracekit.kernels.raft import DEPTH, TERM
from tracekit.results import CheckResult, Violation


@domain_check("raft.commit-current-term", applies=raft_occurs)
@legible
def commit_current_term(execution: Execution, options: Options) -> CheckResult:
    """A leader commits by counting copies only entries of its own term.

    Meaning
        An entry of an older term may be on a majority and still be lost: a process whose log ends in a later term,
        without that entry, can win the next election and overwrite it (the paper's Figure 8). Only when an entry of
        the leader's own term is on a majority can no such process win any more; the older entries before it are then
        committed with it. So wherever a leader raises its commit index, the entry there must be of the leader's
        current term. This is the rule itself: the run may break it long before, or without, an entry being lost.

    Example
        n1:188  becomes leader, term 4; entry 2 of its log is of term 2
        n1:196  receives acknowledgement up to 2 from n3
        n1:203  commits up to 2

    Needs
        raft.role, raft.term and raft.commit; every log change of leaders (raft.log_from with raft.entry_terms).

    Cannot see
        A commit in the very event in which the process becomes leader: what it knew before and what it counted cannot
        be told apart there. What followers learn is the leader's doing and is not judged.

    Cost
        Linear in the events, times the logarithm of the log's length.

    Reference
        Raft 5.4.2, Figure 8. Also Figure 2, rules for leaders.
        Ongaro and Ousterhout, In Search of an Understandable Consensus Algorithm (extended version), 2014.
    """
    history, logs = execution.derive(raft_history), execution.derive(raft_logs)
    commits = execution.derive(leader_commits)
    if not len(commits.place):
        return CheckResult(reasons=not_recorded(history, "raft.role", "raft.commit"), applicable=False)
    entry_term = logs.term_of(commits.entry)
    judged = entry_term >= 0
    broken = np.flatnonzero(judged & (entry_term != history.term[commits.place]))
    broken = broken[np.argsort(history.term[commits.place[broken]], kind="stable")]
    reasons: tuple[str, ...] = ()
    if not judged.all():
        first = int(commits.place[~judged][0])
        unjudged = f"{times(int((~judged).sum()), 'commit')} of {len(judged)} cannot be judged"
        at = execution.trace.event(int(history.rows[first]))
        reasons = (f"{unjudged}: the term of the entry is not recorded (raft.entry_terms), as at {at}",)
    told = [_told(logs, int(commits.place[b]), int(commits.entry[b])) for b in broken[:SHOWN].tolist()]
    return CheckResult(
        examined={"commits": int(judged.sum())},
        violations=tuple(told),
        violations_total=len(broken),
        reasons=reasons,
        method="term of the entry at each new commit index of a leader",
    )


def _told(logs: RaftLogs, place: int, entry: int) -> Violation:
    history = logs.history
    index, old = int(logs.nodes[entry, DEPTH]), int(logs.nodes[entry, TERM])
    name, term = history.who(place), int(history.term[place])
    in_past = history.execution.derive(order).past(place, logs.stored(entry))
    holders = {int(history.process[p]): p for p in in_past}
    held_on = ", ".join(history.names[p] for p in sorted(holders))
    events = []
    for p in in_past:
        own = history.term[p] == old and history.leads[p]
        events.append((p, f"{'appends' if own else 'stores'} entry {index}, term {old}"))
    events += [(p, f"leads term {term}") for p in history.took_lead(place)]
    acted = max((p for p in in_past if p != place), key=lambda p: int(history.rows[p]), default=None)
    events = [(p, f"{t}: now on {held_on}" if p == acted and len(holders) > 1 else t) for p, t in events]
    return violation(
        history,
        "older-term-committed-by-counting",
        f"{name}, leader of term {term}, committed entry {index} of term {old} by counting copies. "
        "A leader may commit by counting only entries of its own term.",
        [*events, (place, f"commits entry {index}, term {old}")],
        facts={
            "leader": name,
            "term": term,
            "index": index,
            "entry_term": old,
            "stored_on": [history.names[p] for p in sorted(holders)],
        },
        damage=damage_of(logs, place, entry),
    )
