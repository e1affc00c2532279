"""Configurations as they stand in the logs: which entries they are, and which one a log would have a process use."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tracekit.checks.raft.commit_stability import highest_so_far
from tracekit.checks.raft.configuration import Configurations, configuration_texts, configurations
from tracekit.checks.raft.history import UNKNOWN, Int64
from tracekit.checks.raft.logs import RaftLogs, raft_logs
from tracekit.execution import Execution
from tracekit.kernels.raft import BASE, CHANGE, DEPTH, FIRST_ENTRY, LOG_FROM, PARENT, ROOT, TERM

Members = tuple[frozenset[str], frozenset[str]]
"""Voters, and those of the outgoing configuration."""


@dataclass(frozen=True, eq=False)
class LoggedConfigurations:
    """Attributes
    ----------
    members: the distinct configurations.
    of_node: shape (nodes,): the configuration that an entry is, -1: it is none.
    latest: shape (nodes,): the node of the latest configuration of each log; `ROOT`: the log has none, the first
        configuration of all counts; -1 not known.
    used: shape (n,): the configuration that each process is recorded to use after each event; -1 none recorded.
    written: shape (w, 3): places at which a leader appends a configuration to its log, its index, and what it is.
    late: whether processes of this system use a configuration once it is applied, and not once it is in the log.
    """

    logs: RaftLogs
    members: tuple[Members, ...]
    of_node: Int64
    latest: Int64
    used: Int64
    written: Int64
    late: bool

    @cached_property
    def first(self) -> Int64:
        """For each process the configuration that it was recorded to use while its log had none; -1 not recorded."""
        history = self.logs.history
        log = self.logs.log
        bare = np.flatnonzero((log >= 0) & (self.used >= 0) & (self.latest[np.maximum(log, 0)] == ROOT))
        first = np.full(len(history.names), UNKNOWN, np.int64)
        process, where = np.unique(history.process[bare], return_index=True)
        first[process] = self.used[bare[where]]
        return first

    @cached_property
    def committed(self) -> Int64:
        """The highest commit index that each process has known up to each event, restarts notwithstanding."""
        history = self.logs.history
        return np.maximum(highest_so_far(history), history.commit)

    def of(self, nodes: Int64, process: Int64) -> Int64:
        """What the nodes of `latest` are, for processes; -1 unknown."""
        initial = self.first[process]
        return np.where(nodes == ROOT, initial, np.where(nodes > 0, self.of_node[np.maximum(nodes, 0)], UNKNOWN))

    def of_log(self, places: Int64) -> Int64:
        """The node of the latest configuration in the log after events; `ROOT`, -1 as in `latest`."""
        log = self.logs.log[places]
        return np.where(log >= 0, self.latest[np.maximum(log, 0)], UNKNOWN)

    def before(self, node: int) -> int:
        """The node of the configuration before a node's own in its log."""
        return int(self.latest[self.logs.nodes[node, PARENT]])

    def describe(self, code: int) -> str:
        """``n1 n2 n3``, or ``n1 n2 n3 jointly with n3 n4 n5``."""
        if code < 0:
            return "(not recorded)"
        voters, outgoing = self.members[code]
        return " ".join(sorted(voters)) + (f" jointly with {' '.join(sorted(outgoing))}" if outgoing else "")


def logged_configurations(execution: Execution) -> LoggedConfigurations:
    """Reads raft.entry_configurations; O(n + entries). Use it through ``execution.derive(logged_configurations)``."""
    logs, groups = execution.derive(raft_logs), execution.derive(configurations)
    codes: dict[Members, int] = {}
    texts = configuration_texts(execution)
    of_text = np.array([_code(codes, _parsed(text)) if text else UNKNOWN for text in texts] + [UNKNOWN], np.int64)
    entry = of_text[logs.entry_configurations] if len(logs.entry_configurations) else np.zeros(0, np.int64)
    used = _used(codes, groups)
    nodes, spans = logs.nodes, logs.spans
    of_node = np.full(len(nodes), UNKNOWN, np.int64)
    real = np.flatnonzero((nodes[:, TERM] != BASE) & (nodes[:, DEPTH] > 0))
    change = nodes[real, CHANGE]
    if len(entry):
        of_node[real] = entry[spans[change, FIRST_ENTRY] + nodes[real, DEPTH] - spans[change, LOG_FROM]]
    latest = np.empty(len(nodes), np.int64)
    logs.loops.latest_marked(nodes, of_node >= 0, latest)
    return LoggedConfigurations(
        logs, tuple(codes), of_node, latest, used, _written(logs, entry), _effective_late(execution)
    )  # fmt: skip


def _parsed(text: str) -> Members:
    voters, _, outgoing = text.partition("/")
    return frozenset(voters.split()), frozenset(outgoing.split())


def _code(codes: dict[Members, int], members: Members) -> int:
    return codes.setdefault(members, len(codes)) if members[0] else UNKNOWN


def _used(codes: dict[Members, int], groups: Configurations) -> Int64:
    """The configurations recorded to be in use; none where voters were only assumed."""
    history = groups.history
    if not history.recorded("raft.voters") or not len(groups.table):
        return np.full(len(history.rows), UNKNOWN, np.int64)
    names = history.names
    table = [
        _code(codes, (frozenset(names[v] for v in c.voters), frozenset(names[v] for v in c.outgoing)))
        for c in groups.table
    ]
    return np.array([*table, UNKNOWN], np.int64)[groups.at]


def _written(logs: RaftLogs, entry: Int64) -> Int64:
    """Configurations that leaders append to their logs in their own terms."""
    marked = np.flatnonzero(entry >= 0)
    change = np.searchsorted(logs.spans[:, FIRST_ENTRY], marked, side="right") - 1
    place = logs.changes[change]
    index = logs.spans[change, LOG_FROM] + marked - logs.spans[change, FIRST_ENTRY]
    history = logs.history
    node = logs.entries(place, index)
    own = history.leads[place] & (node >= 0) & (logs.term_of(node) == history.term[place])
    fresh = logs.entries(np.maximum(place - 1, 0), index) != node
    own &= fresh | history.first[place]
    return np.stack([place[own], index[own], entry[marked[own]]], axis=1)


def _effective_late(execution: Execution) -> bool:
    column = execution.trace.get("raft.effective")
    if column is None or column.texts is None:
        return False
    recorded = np.unique(column.values[column.present])
    return len(recorded) == 1 and column.text(int(recorded[0])) == "apply"
