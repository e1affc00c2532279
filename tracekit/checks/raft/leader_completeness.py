"""Leader Completeness."""

from __future__ import annotations

import numpy as np

from tracekit.checks.doubts import domain_check
from tracekit.checks.evidence import SHOWN, times
from tracekit.checks.raft.evidence import legible, not_recorded, violation
from tracekit.checks.raft.history import Int64, raft_history, raft_occurs
from tracekit.checks.raft.logs import RaftLogs, raft_logs
from tracekit.execution import Execution, Options
from tracekit.kernels.raft import DEPTH, HEADS
from tracekit.results import CheckResult, Violation


@domain_check("raft.leader-completeness", applies=raft_occurs)
@legible
def leader_completeness(execution: Execution, options: Options) -> CheckResult:
    """An entry committed in a term is in the log of the leader of every higher term.

    Meaning
        A leader never takes entries from followers, so what it lacks when it wins is lost. The rule goes by terms,
        never by time: an entry that some process knew to be committed while its term was T was committed in a term
        of at most T, and must be in the log with which the leader of any term above T begins, even if that leader
        won earlier by the clock. One entry is another if their terms differ, or their commands where recorded.

    Example
        n1:60  commits up to 8, in term 3
        n4:35  becomes leader, term 5; its log ends at entry 7

    Needs
        raft.commit, raft.term and raft.role; every log change (raft.log_from with raft.entry_terms).

    Cannot see
        Entries before raft.log_known_from and logs that were not recorded; a snapshot counts as the entries that it
        includes, where raft.snapshot_term tells which those are. Entries that were committed
        while no process noticed. A leader that led already when its recording began is judged by its log there.
        Where a log is recorded only when it reaches the disk, so that the commit index runs ahead of it, a commit
        counts from the next log change on; what that change itself does is not seen.

    Cost
        Linear in the events, times the logarithm of the log's length, while committed logs agree.

    Reference
        Raft 5.4, Figure 3. Leader Completeness.
        Ongaro and Ousterhout, In Search of an Understandable Consensus Algorithm (extended version), 2014.
    """
    history, logs = execution.derive(raft_history), execution.derive(raft_logs)
    leaders = history.leaderships
    leaders = leaders[np.argsort(history.term[leaders], kind="stable")]
    missing = (
        not_recorded(history, "raft.role", "raft.commit", "raft.log_from")
        if not len(leaders) or not len(logs.changes)
        else not_recorded(history, "raft.commit")
    )
    if missing:
        return CheckResult(reasons=missing)
    known = logs.committed
    by = logs.reached[known.place]
    order = np.argsort(by, kind="stable")
    order = order[history.term[known.place[order]] >= 0]
    places, nodes, floors = known.place[order], known.node[order], known.floor[order]
    if not len(leaders) or not len(places):
        return CheckResult(applicable=False)
    out = np.zeros((len(leaders), 2), np.int64)
    full = logs.loops.incomplete_leaders(
        logs.nodes,
        np.stack([nodes, floors, by[order]], axis=1),
        np.stack([logs.log[leaders], logs.floor[leaders], history.term[leaders]], axis=1),
        np.empty((HEADS, 2), np.int64),
        out,
    )
    # A log that is said to be longer than what was recorded of it may hold the entry.
    reach = history.column("raft.last_index")[leaders]
    maybe = (out[:, 0] > np.maximum(logs.nodes[np.maximum(logs.log[leaders], 0), DEPTH], 0)) & (reach >= out[:, 0])
    broken = np.flatnonzero((out[:, 0] > 0) & ~maybe)
    unknown = np.flatnonzero((logs.log[leaders] < 0) | maybe)
    reasons: tuple[str, ...] = ("committed logs diverge too much to follow them all",) if full else ()
    if len(unknown):
        who, term = history.who(int(leaders[unknown[0]])), int(history.term[leaders[unknown[0]]])
        held = (
            "" if logs.log[leaders[unknown[0]]] >= 0 else ", nor what it held at the start: raft.init, raft.last_index"
        )
        reasons += (f"the log of {times(len(unknown), 'leader')} is not recorded ({who} in term {term}{held})",)
    told = [_told(logs, int(leaders[b]), tuple(out[b].tolist()), places, nodes) for b in broken[:SHOWN].tolist()]
    return CheckResult(
        examined={"terms": len(leaders) - len(unknown)},
        violations=tuple(told),
        violations_total=len(broken),
        reasons=reasons,
        rests_on=logs.rests_on,
        method="committed logs by term against each leader's first log",
    )


def _told(logs: RaftLogs, leader: int, lacks: tuple[int, int], places: Int64, nodes: Int64) -> Violation:
    index, head = lacks
    history = logs.history
    entry = int(logs.loops.ancestor(logs.nodes, head, index))
    term = int(history.term[leader])
    reached = logs.reached[places]
    lower = np.flatnonzero((reached < term) & (logs.nodes[nodes, DEPTH] >= index))
    covers = [int(i) for i in lower if logs.loops.ancestor(logs.nodes, nodes[i], index) == entry]
    place, low = int(places[covers[0]]), int(reached[covers[0]])
    own = int(logs.entries(np.array([leader]), np.array([index]))[0])
    name, by = history.who(leader), history.who(place)
    instead = f"has {logs.describe(own)} instead" if own >= 0 else f"has no entry {index}"
    return violation(
        history,
        "committed-entry-missing",
        f"{name}, leader of term {term}, {instead}: {logs.describe(entry)} was committed in term {low} or before "
        f"(by {by}). Every later leader must have it.",
        [
            (logs.writer(entry), f"stores {logs.describe(entry)}"),
            (place, f"commits up to {int(history.commit[place])}, in term {low}"),
            (leader, f"leads term {term}; {instead}"),
        ],
        facts={"leader": name, "term": term, "index": index, "committed_by": by, "committed_in": low},
    )
