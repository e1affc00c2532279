"""The events at which a leader advances its own commit index: it does so by counting copies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tracekit.checks.raft.history import Int64, raft_history
from tracekit.checks.raft.logs import raft_logs
from tracekit.execution import Execution


@dataclass(frozen=True, eq=False)
class LeaderCommits:
    """Attributes
    ----------
    place: shape (c,), events before and after which the process leads one and the same term, and which raise its
        commit index. What a process learned before it won is not among them.
    index: the commit index that it raised to.
    entry: node of the entry there; negative where it is not recorded.
    """

    place: Int64
    index: Int64
    entry: Int64


def leader_commits(execution: Execution) -> LeaderCommits:
    """Use it through ``execution.derive(leader_commits)``. O(n)."""
    history, logs = execution.derive(raft_history), execution.derive(raft_logs)
    before = history.before(history.commit)
    places = np.flatnonzero(logs.still_leads & (before >= 0) & (history.commit > before))
    index = history.commit[places]
    return LeaderCommits(places, index, logs.entries(places, index))
