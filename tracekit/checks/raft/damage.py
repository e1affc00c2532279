"""What came, or may still come, of an entry that was committed against the rules."""

from __future__ import annotations

import numpy as np

from tracekit.checks.evidence import listed
from tracekit.checks.raft.configuration import YES, configurations
from tracekit.checks.raft.logs import SHORT, RaftLogs
from tracekit.checks.raft.order import order
from tracekit.kernels.raft import DEPTH, TERM


def damage_of(logs: RaftLogs, place: int, entry: int) -> str:
    """One or two sentences for an entry (a node) that was committed at a place.

    First what is visible: the entry was removed or replaced somewhere after it had been stored there, or a leader of
    a later term lacks it. Else what the state at the commit allows: a process whose log would win an election and
    lacks the entry. That state is the one that the commit's past shows, which is a consistent cut.
    """
    return _visible(logs, place, entry) or _possible(logs, place, entry)


def _visible(logs: RaftLogs, place: int, entry: int) -> str:
    history = logs.history
    event = history.execution.trace.event
    index = int(logs.nodes[entry, DEPTH])
    later = history.leaderships[history.term[history.leaderships] > history.term[place]]
    held = logs.entries(later, np.full(len(later), index))
    terms = logs.term_of(held)
    lacking = later[(held == SHORT) | ((terms >= 0) & (terms != logs.nodes[entry, TERM]))]
    if len(lacking):
        leader = int(lacking[np.argmin(history.term[lacking])])
        return (
            f"{history.who(leader)} led term {int(history.term[leader])} without entry {index} "
            f"({event(int(history.rows[leader]))}): a committed entry was lost."
        )
    changes = np.flatnonzero((logs.replaced > 0) & (logs.replaced <= index))
    for change in changes.tolist():
        at = int(logs.changes[change])
        if history.term[at] < history.term[place] or logs.entries(np.array([at - 1]), np.array([index]))[0] != entry:
            continue
        if logs.entries(np.array([at]), np.array([index]))[0] != entry:
            where = event(int(history.rows[at]))
            return f"{history.who(at)} removed entry {index} again ({where}): a committed entry was lost."
    return ""


def _possible(logs: RaftLogs, place: int, entry: int) -> str:
    history = logs.history
    index, causal = int(logs.nodes[entry, DEPTH]), history.execution.derive(order)
    frontier = causal.frontiers(np.array([place]))[0]
    groups = history.execution.derive(configurations).of(place)
    voters = [v for v in {*groups.voters, *groups.outgoing} if v < len(frontier) and frontier[v]]
    at = {v: int(causal.begin[v] + frontier[v] - 1) for v in voters}
    last = {v: (int(logs.last_term[p]), int(logs.last_index[p])) for v, p in at.items()}
    last = {v: key for v, key in last.items() if min(key) >= 0}
    for rival in sorted(last, key=lambda v: last[v], reverse=True):
        held = int(logs.entries(np.array([at[rival]]), np.array([index]))[0])
        if held == entry or held == -1 or last[rival][0] <= int(logs.nodes[entry, TERM]):
            continue
        electors = [v for v in sorted(last) if v != rival and last[v] <= last[rival]]
        votes = np.isin(np.arange(len(history.names)), [rival, *electors]).astype(np.int64)
        if groups.quorum(votes[None, :])[0] == YES:
            return (
                f"None visible in this run. But {history.names[rival]}'s log ended in term {last[rival][0]}, so "
                f"{listed([history.names[v] for v in electors])} could still elect {history.names[rival]}, which would "
                "overwrite a committed entry."
            )
    return "None visible in this run."
