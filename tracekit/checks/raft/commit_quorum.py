"""A leader commits only what a quorum has stored."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tracekit.checks.doubts import domain_check, not_covered
from tracekit.checks.evidence import SHOWN, listed, times
from tracekit.checks.raft.configuration import NO, UNDECIDED, YES, Configurations, configurations
from tracekit.checks.raft.evidence import legible, not_recorded, violation
from tracekit.checks.raft.history import Int64, RaftHistory, raft_history, raft_occurs
from tracekit.checks.raft.leader_commits import leader_commits
from tracekit.checks.raft.logs import RaftLogs, raft_logs
from tracekit.checks.raft.order import Order, order
from tracekit.execution import Execution, Options
from tracekit.kernels.raft import TERM
from tracekit.results import CheckResult, Violation
from tracekit.trace.schema import Kind

BLOCK = 4_000_000
"""Cells of (commits x processes) that are looked at together; bounds memory."""


@domain_check("raft.commit-quorum", applies=raft_occurs)
@legible
def commit_quorum(execution: Execution, options: Options) -> CheckResult:
    """A leader raises its commit index only to an entry that a majority of the voters has stored before.

    Meaning
        An entry is committed when a majority holds it: any later majority that elects a leader then has a member with
        the entry. A leader that commits earlier may crash and take the entry with it. Stored before means before in
        the order of cause and effect: there is a chain of messages from the event at which the entry was stored to
        the commit. An entry that was stored there and removed later counts; so does a snapshot that includes it.
        Learners do not count. In joint consensus, majorities of both configurations are needed.

    Example
        (five voters)
        n1:20  appends entry 5, term 2
        n1:26  receives acknowledgement up to 5 from n2
        n1:27  commits up to 5

    Needs
        raft.role, raft.term and raft.commit; every log change of all voters (raft.log_from with raft.entry_terms);
        messages with their answers (raft.append_entries_response), or one recorder's total order (index). raft.voters,
        and raft.voters_outgoing, where membership changes.

    Cannot see
        Whether what was stored had reached the disk. A voter whose log is not recorded, or that commits or applies
        entries which its recorded log lacks, or that records no receipt of raft.append_entries at all where such
        messages are recorded, is taken as if it might have stored the entry: where that would decide, the answer is
        unknown.

    Cost
        Commits times processes, times the logarithm of the log's length.

    Reference
        Raft 5.3, 5.4.2. Also Figure 2, rules for leaders; joint consensus in section 6.
        Ongaro and Ousterhout, In Search of an Understandable Consensus Algorithm (extended version), 2014.
    """
    history, logs = execution.derive(raft_history), execution.derive(raft_logs)
    commits = execution.derive(leader_commits)
    if not len(commits.place):
        return CheckResult(reasons=not_recorded(history, "raft.role", "raft.commit"), applicable=False)
    if not len(logs.changes):
        return CheckResult(reasons=not_recorded(history, "raft.log_from"))
    groups, causal = execution.derive(configurations), execution.derive(order)
    if groups.reason or causal.reason:
        return CheckResult(reasons=tuple(r for r in (groups.reason, causal.reason) if r))
    answer = np.full(len(commits.place), UNDECIDED, np.int64)
    known = np.flatnonzero((commits.entry >= 0) & (logs.term_of(commits.entry) >= 0))
    step = max(BLOCK // max(len(execution.trace.processes), 1), 1)
    for start in range(0, len(known), step):
        part = known[start : start + step]
        answer[part] = _judged(logs, groups, causal, commits.place[part], commits.entry[part], commits.index[part])
    broken, undecided = np.flatnonzero(answer == NO), np.flatnonzero(answer == UNDECIDED)
    reasons: tuple[str, ...] = ()
    if len(undecided):
        at = execution.trace.event(int(history.rows[commits.place[undecided[0]]]))
        unjudged = f"{times(len(undecided), 'commit')} of {len(answer)} cannot be judged, as at {at}"
        reasons = (f"{unjudged}: of too many voters it is not recorded what they had stored before{causal.missing}",)
    told = [
        _told(logs, groups, causal, int(commits.place[b]), int(commits.entry[b]), int(commits.index[b]))
        for b in broken[:SHOWN].tolist()
    ]
    return CheckResult(
        examined={"commits": len(answer) - len(undecided)},
        violations=tuple(told),
        violations_total=len(broken),
        reasons=reasons,
        rests_on=groups.rests_on + causal.rests_on,
        method=f"entries stored before each commit, {causal.method}",
    )


def _judged(logs: RaftLogs, groups: Configurations, causal: Order, place: Int64, entry: Int64, index: Int64) -> Int64:
    holds = _holds(logs, causal, place, entry, index)
    answer = groups.quorum(place, holds)
    removed = logs.replaced[logs.replaced > 0]
    lowest = int(removed.min()) if len(removed) else np.iinfo(np.int64).max
    for i in np.flatnonzero((answer != YES) & (index >= lowest)).tolist():
        holds[i] = _ever(logs, causal, int(place[i]), int(entry[i]), int(index[i]), holds[i])
    return causal.excused(groups.quorum(place, holds))


def _holds(logs: RaftLogs, causal: Order, place: Int64, entry: Int64, index: Int64) -> Int64:
    """(commits, names): whether each process holds the entry in the last state before the commit."""
    history = logs.history
    frontiers = causal.frontiers(place)
    out = np.empty_like(frontiers)
    begin = causal.begin[: len(history.execution.trace.processes)]
    logs.loops.stored_by(logs.nodes, entry, index, logs.log, logs.floor, begin, frontiers, out)
    holds = np.full((len(place), len(history.names)), UNDECIDED, np.int64)
    holds[:, : len(begin)] = out
    silent = np.ones(len(history.names), np.bool_)
    silent[np.unique(history.process[logs.changes])] = False
    holds[:, silent] = UNDECIDED
    for p in {*not_covered(history.execution), *logs.incomplete.tolist(), *_deaf(history)}:
        holds[:, p] = np.where(holds[:, p] == YES, YES, UNDECIDED)
    return holds


def _deaf(history: RaftHistory) -> list[int]:
    """Processes that record no receipt of entries, though such messages are recorded: what they stored as followers is
    not recorded, even where what they found in their logs when they started, or wrote as leaders, is."""
    trace = history.execution.trace
    entries = trace.named("raft.append_entries")
    if not entries.any():
        return []
    received = np.unique(trace.process[entries & trace.is_kind(Kind.RECEIVE)])
    return [int(p) for p in np.setdiff1d(np.arange(len(trace.processes)), received)]


def _ever(logs: RaftLogs, causal: Order, place: int, entry: int, index: int, holds: NDArray[np.int64]) -> Int64:
    """The same for one commit, with what processes had stored before they removed it again. O(removals), for commits
    that look wrong."""
    frontier = causal.frontiers(np.array([place]))[0]
    process = logs.history.process
    cut = logs.changes[(logs.replaced > 0) & (logs.replaced <= index)]
    mine = cut[cut < (causal.begin[: len(frontier)] + frontier)[process[cut]]] - 1
    held = logs.entries(mine, np.full(len(mine), index))
    out = holds.copy()
    out[np.unique(process[mine[logs.term_of(held) == logs.nodes[entry, TERM]]])] = YES
    unknown = np.unique(process[mine[(held >= 0) & (logs.term_of(held) < 0)]])
    out[unknown] = np.where(out[unknown] == NO, UNDECIDED, out[unknown])
    return out


def _told(logs: RaftLogs, groups: Configurations, causal: Order, place: int, entry: int, index: int) -> Violation:
    history, configuration = logs.history, groups.of(place)
    spot, node, at = np.array([place]), np.array([entry]), np.array([index])
    holds = _ever(logs, causal, place, entry, index, _holds(logs, causal, spot, node, at)[0])
    names = [history.names[v] for v in configuration.members if holds[v] == YES]
    needed = configuration.majority(configuration.voters)
    stored = causal.past(place, logs.stored(entry))
    name, what = history.who(place), logs.describe(entry)
    return violation(
        history,
        "committed-without-quorum",
        f"{name}, leader of term {int(history.term[place])}, committed {what} when only {listed(names)} had stored it; "
        f"it needs {configuration.needs(history.names)}.",
        [*((p, f"stores {what}") for p in stored), (place, f"commits up to {index}")],
        facts={"leader": name, "term": int(history.term[place]), "index": index, "stored_on": names, "needed": needed},
    )
