"""Decisions are made by the configuration that the log says."""

from __future__ import annotations

import numpy as np

from tracekit.checks.doubts import domain_check
from tracekit.checks.evidence import SHOWN, times
from tracekit.checks.raft.configuration import configurations
from tracekit.checks.raft.evidence import legible, not_recorded, violation
from tracekit.checks.raft.history import UNKNOWN, Bool, Int64, RaftHistory, configurations_occur, raft_history
from tracekit.checks.raft.leader_commits import leader_commits
from tracekit.checks.raft.logged import LoggedConfigurations, logged_configurations
from tracekit.execution import Execution, Options
from tracekit.kernels.raft import DEPTH, ROOT
from tracekit.results import CheckResult, Violation


@domain_check("raft.configuration-in-use", applies=configurations_occur)
@legible
def configuration_in_use(execution: Execution, options: Options) -> CheckResult:
    """Elections and commits go by the configuration that is in effect: the latest one in the process's log.

    Meaning
        A process uses a new configuration as soon as it is in its log, whether it is committed or not; else the old
        and the new configuration could decide independently of each other. Judged wherever a process decides: it
        wins an election, or raises its commit index as the leader. Systems that use a configuration only once it is
        applied, as etcd does, record raft.effective = apply: then a process must not use one that it does not know
        to be committed, and must use one that it has applied.

    Example
        n1:40  appends entry 9, configuration n1 n2 n3 jointly with n3 n4 n5
        n1:47  commits up to 9 by the configuration n1 n2 n3

    Needs
        raft.voters and raft.voters_outgoing where they change; every log change with raft.entry_configurations;
        raft.role, raft.term, raft.commit. raft.effective where it is apply; raft.apply_index says what was applied.

    Cannot see
        A configuration that is used wrongly while nothing is decided by it. Logs before raft.log_known_from.

    Cost
        Linear in the events and entries written.

    Reference
        Raft 6. "A server always uses the latest configuration in its log, regardless of whether the entry is
        committed".
        Ongaro and Ousterhout, In Search of an Understandable Consensus Algorithm (extended version), 2014.
    """
    history, logged = execution.derive(raft_history), execution.derive(logged_configurations)
    places = np.union1d(history.elected, execution.derive(leader_commits).place)
    if not (logged.of_node >= 0).any():
        happen = bool(history.named("raft.change_configuration").any())
        missing = not_recorded(history, "raft.entry_configurations") if happen else ()
        return CheckResult(reasons=missing, applicable=False)
    if not len(places):
        return CheckResult(applicable=False)
    missing = not_recorded(history, "raft.voters")
    unknown = execution.derive(configurations).reason
    if missing or unknown:
        return CheckResult(reasons=missing or (unknown,))
    wrong, known = (_late if logged.late else _at_once)(logged, places)
    broken = places[wrong]
    reasons: tuple[str, ...] = ()
    if not known.all():
        at = execution.trace.event(int(history.rows[places[~known][0]]))
        unjudged = f"{times(int((~known).sum()), 'decision')} of {len(places)} cannot be judged, as at {at}"
        reasons = (f"{unjudged}: the configuration in the log, or the one in use, is not recorded",)
    return CheckResult(
        examined={"decisions": int(known.sum())},
        violations=tuple(_told(logged, int(place)) for place in broken[:SHOWN]),
        violations_total=len(broken),
        reasons=reasons,
        rests_on=_assumed(history),
        method=f"configuration in use at each decision; in effect once {'applied' if logged.late else 'in the log'}",
    )


def _assumed(history: RaftHistory) -> tuple[str, ...]:
    told = history.recorded("raft.effective")
    return () if told else ("configurations: in effect once in the log (assumed: raft.effective is not recorded)",)


def _at_once(logged: LoggedConfigurations, places: Int64) -> tuple[Bool, Bool]:
    """Which decisions go by another configuration than the latest in the log, and which can be judged.

    What is decided, is decided in the state before the event; an event that changes the log may decide after that.
    """
    history = logged.logs.history
    before = np.maximum(places - 1, 0)
    process = history.process[places]
    latest = [logged.of(logged.of_log(at), process) for at in (before, places)]
    used = [logged.used[at] for at in (before, places)]
    changed = logged.of_log(before) != logged.of_log(places)
    fits = (used[0] == latest[0]) | (changed & ((used[1] == latest[1]) | (used[0] == latest[1])))
    known = (np.minimum(latest[0], used[0]) >= 0) & (np.minimum(latest[1], used[1]) >= 0) & ~history.first[places]
    return known & ~fits, known


def _late(logged: LoggedConfigurations, places: Int64) -> tuple[Bool, Bool]:
    """The same where a configuration is used once it is applied: from the latest one applied to the latest one known to
    be committed, any will do; as of before the event."""
    history = logged.logs.history
    before = np.maximum(places - 1, 0)
    process = history.process[before]
    used, node = logged.used[before], _committed(logged, before)
    newest = logged.of(node, process)
    known = (np.minimum(used, newest) >= 0) & ~history.first[places]
    wrong = known & (used != newest)
    for i in np.flatnonzero(wrong).tolist():
        begin, place = int(history.begin[before[i]]), int(before[i])
        done = int(history.column("raft.apply_index")[begin : place + 1].max())
        older = _back_to(logged, int(node[i]), done, process[[i]])
        known[i] = older is not None
        wrong[i] = older is not None and int(used[i]) not in older
    return wrong, known


def _committed(logged: LoggedConfigurations, places: Int64) -> Int64:
    """The nodes of the latest configurations that processes know to be committed; `ROOT`, -1 as in `latest`."""
    logs, commit = logged.logs, logged.committed[places]
    log = logs.log[places]
    depth = np.where(log >= 0, logs.nodes[np.maximum(log, 0), DEPTH], 0)
    entry = logs.entries(places, np.minimum(commit, depth))
    found = np.where(entry >= 0, logged.latest[np.maximum(entry, 0)], UNKNOWN)
    return np.where((commit <= 0) | ((depth == 0) & (log >= 0)), ROOT, found)


def _back_to(logged: LoggedConfigurations, node: int, done: int, process: Int64) -> set[int] | None:
    """The configurations before a node's, down to the one at an index or the last before it; None: not all known."""
    found: set[int] = set()
    while node >= 0:
        found.add(int(logged.of(np.array([node]), process)[0]))
        if node == ROOT or int(logged.logs.nodes[node, DEPTH]) <= done:
            return None if UNKNOWN in found else found
        node = logged.before(node)
    return None


def _told(logged: LoggedConfigurations, place: int) -> Violation:
    logs, history = logged.logs, logged.logs.history
    node = int(logged.of_log(np.array([max(place - 1, 0)]))[0])
    wanted = int(logged.of(np.array([node]), history.process[[place]])[0])
    used, name = logged.describe(int(logged.used[place - 1])), history.who(place)
    index, term = int(logs.nodes[max(node, 0), DEPTH]), int(history.term[place])
    elected = bool(np.isin(place, history.elected))
    did = f"won the election of term {term}" if elected else f"committed up to {int(history.commit[place])}"
    written = [p for p in logs.stored(node) if history.process[p] == history.process[place]] if node > 0 else []
    late = (
        "it had not known that one to be committed, or had applied a later one"
        if logged.late
        else f"its log had {logged.describe(wanted)} at index {index}"
    )
    return violation(
        history,
        "wrong-configuration-in-use",
        f"{name} {did} by the configuration {used}, though {late}.",
        [
            *((p, f"stores entry {index}, configuration {logged.describe(wanted)}") for p in written[:1]),
            (place, f"{'leads' if elected else 'commits'}, using the configuration {used}"),
        ],
        facts={"process": name, "term": term, "used": used, "in_log": logged.describe(wanted), "index": index},
    )
