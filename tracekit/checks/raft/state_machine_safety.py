"""State Machine Safety."""

from __future__ import annotations

import numpy as np

from tracekit.checks.doubts import domain_check
from tracekit.checks.evidence import SHOWN
from tracekit.checks.raft.evidence import not_recorded, violation
from tracekit.checks.raft.history import UNKNOWN, Int64, RaftHistory, raft_history, raft_occurs, several
from tracekit.checks.raft.logs import RaftLogs, raft_logs
from tracekit.execution import Execution, Options
from tracekit.kernels.raft import DEPTH
from tracekit.results import CheckResult, Violation


def applications_recorded(execution: Execution) -> bool:
    """Whether applications are recorded; else committed entries stand for them."""
    return bool((execution.derive(raft_history).column("raft.apply_index") >= 0).any())


@domain_check("raft.state-machine-safety", self_evident=applications_recorded, applies=raft_occurs)
def state_machine_safety(execution: Execution, options: Options) -> CheckResult:
    """No two processes ever apply different entries at the same index.

    Meaning
        All state machines execute the same commands in the same order. Once any process has applied an entry at an
        index, no process may apply another there: the copies would differ for ever. Two applications differ if the
        terms of their entries differ or their commands do. A process that replays its log after a restart is held to
        the same: what it applies again must be what was applied before. Where applications are not recorded,
        committed entries stand for them, because they are what will be applied.

    Example
        n1:90  applies entry 8, term 3
        n4:71  applies entry 8, term 5

    Needs
        raft.apply_index with raft.apply_term and raft.apply_digest; or raft.commit with every log change
        (raft.log_from, raft.entry_terms, raft.entry_digests). Without digests only terms can be compared: a
        difference is found, but its absence leaves the property unknown.

    Cannot see
        State that a process took over as a snapshot: raft.snapshot-safety does. Whether an entry applied had been
        committed.
        Without applications, where a log is recorded only when it reaches the disk, so that the commit index runs
        ahead of it: a commit counts from the next log change on; what that change itself does is not seen.

    Cost
        Sorting the applications; linear otherwise.

    Reference
        Raft 5.4.3, Figure 3. State Machine Safety.
        Ongaro and Ousterhout, In Search of an Understandable Consensus Algorithm (extended version), 2014.
    """
    if applications_recorded(execution):
        return _applied(execution.derive(raft_history))
    return _committed(execution)


def _applied(history: RaftHistory) -> CheckResult:
    index = history.column("raft.apply_index")
    places = np.flatnonzero(index >= 0)
    places = places[np.argsort(index[places], kind="stable")]
    term, digest = history.column("raft.apply_term")[places], _digests(history)[places]
    starts = np.flatnonzero(np.append(True, np.diff(index[places]) != 0))
    by_term, by_digest = several(term, starts), several(digest, starts)
    broken = np.flatnonzero(by_term | by_digest)
    ends = np.append(starts[1:], len(places))
    told = []
    for b in broken[:SHOWN].tolist():
        values = (term if by_term[b] else digest)[starts[b] : ends[b]]
        told.append(_told(history, places[starts[b] : ends[b]], values, bool(by_term[b])))
    reasons: tuple[str, ...] = ()
    if bool((digest < 0).any()):
        name = "raft.apply_digest"
        reasons = (
            (f"terms agree, but the commands applied are not all recorded ({name})",)
            if (term >= 0).any()
            else not_recorded(history, "raft.apply_term", name)
        )
    return CheckResult(
        examined={"applied entries": len(places)},
        violations=tuple(told),
        violations_total=len(broken),
        reasons=reasons,
        method="entries applied, by index",
    )


def _digests(history: RaftHistory) -> Int64:
    column = history.execution.trace.get("raft.apply_digest")
    if column is None or column.texts is None:
        return np.full(len(history.rows), UNKNOWN, np.int64)
    return column.values.astype(np.int64)[history.rows]


def _told(history: RaftHistory, places: Int64, values: Int64, by_term: bool) -> Violation:
    known = np.flatnonzero(values >= 0)
    known = known[np.argsort(history.rows[places[known]], kind="stable")]
    pair = [int(places[known[0]]), int(places[known[values[known] != values[known[0]]][0]])]
    trace = history.execution.trace
    column = trace.get("raft.apply_term" if by_term else "raft.apply_digest")
    assert column is not None, "two values of it differ"
    what = [f"{'term' if by_term else 'command'} {column.at(int(history.rows[p]))}" for p in pair]
    index = int(history.column("raft.apply_index")[pair[0]])
    names = [history.who(p) for p in pair]
    whose = f"{names[0]} and {names[1]}" if names[0] != names[1] else f"{names[0]}, at two times,"
    return violation(
        history,
        "different-entries-applied",
        f"{whose} applied different entries at index {index}: {what[0]} and {what[1]}. "
        "Their state machines diverge there.",
        [(p, f"applies entry {index}, {w}") for p, w in zip(pair, what, strict=True)],
        facts={"index": index, "processes": names},
    )


def _committed(execution: Execution) -> CheckResult:
    history, logs = execution.derive(raft_history), execution.derive(raft_logs)
    known = logs.committed
    if not len(known.place):
        missing = not_recorded(history, "raft.commit", "raft.log_from")
        missing = not_recorded(history, "raft.apply_index") + missing if missing else ()
        return CheckResult(reasons=missing, applicable=False)
    room = np.maximum(logs.nodes[known.node, DEPTH] - known.since + 1, 0)
    found = np.empty((int(room.sum()), 2), np.int64)
    found = found[: logs.loops.newest_entries(logs.nodes, known.node, known.since, found)]
    places, nodes = known.place[found[:, 0]], found[:, 1]
    index = logs.nodes[nodes, DEPTH]
    order = np.lexsort((history.rows[places], index))
    places, nodes, index = places[order], nodes[order], index[order]
    starts = np.flatnonzero(np.append(len(index) > 0, np.diff(index) != 0))
    term, digest = logs.term_of(nodes), logs.digest_codes(nodes)
    by_term, by_digest = several(term, starts), several(digest, starts)
    broken, ends = np.flatnonzero(by_term | by_digest), np.append(starts[1:], len(places))
    told = []
    for b in broken[:SHOWN].tolist():
        group = slice(starts[b], ends[b])
        told.append(_told_committed(logs, places[group], nodes[group], (term if by_term[b] else digest)[group]))
    reasons: tuple[str, ...] = ()
    if bool((digest < 0).any()):
        reasons = ("terms agree, but the commands are not recorded (raft.entry_digests, raft.apply_digest)",)
    return CheckResult(
        examined={"committed entries": len(places)},
        violations=tuple(told),
        violations_total=len(broken),
        reasons=reasons,
        rests_on=logs.rests_on,
        method="committed entries, by index, since applications are not recorded",
    )


def _told_committed(logs: RaftLogs, places: Int64, nodes: Int64, values: Int64) -> Violation:
    history = logs.history
    known = np.flatnonzero(values >= 0)
    pair = [int(known[0]), int(known[values[known] != values[known[0]]][0])]
    index, what = int(logs.nodes[nodes[0], DEPTH]), [logs.describe(int(nodes[i])) for i in pair]
    if what[0] == what[1]:
        what = [f"{w}, command {logs.digest(int(nodes[i]))}" for w, i in zip(what, pair, strict=True)]
    names = [history.who(int(places[i])) for i in pair]
    whose = f"{names[0]} and {names[1]}" if names[0] != names[1] else f"{names[0]}, at two times,"
    return violation(
        history,
        "different-entries-committed",
        f"{whose} knew different entries at index {index} to be committed: {what[0]} and {what[1]}.",
        [(int(places[i]), f"has {w} committed") for w, i in zip(what, pair, strict=True)],
        facts={"index": index, "processes": names},
    )
