"""One columnar reading of a trace for all Raft checks: every process's state after every event, in program order."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracekit.execution import Execution
from tracekit.trace.assemble import fits
from tracekit.trace.columns import Column
from tracekit.trace.schema import Kind
from tracekit.vocabulary.raft import FIELDS

Int64 = NDArray[np.int64]
Bool = NDArray[np.bool_]

TYPES = {field.name: field.type for field in FIELDS}
UNKNOWN = -1
NOBODY = -2
"""A vote that the process certainly has not given."""

FOLLOWER, PRE_CANDIDATE, CANDIDATE, LEADER, LEARNER = range(5)
ROLES = {
    "follower": FOLLOWER,
    "pre-candidate": PRE_CANDIDATE,
    "candidate": CANDIDATE,
    "leader": LEADER,
    "learner": LEARNER,
}
ROLE_OF_EVENT = {
    "raft.become_follower": FOLLOWER,
    "raft.become_pre_candidate": PRE_CANDIDATE,
    "raft.become_candidate": CANDIDATE,
    "raft.become_leader": LEADER,
}
STATE = (
    "raft.term",
    "raft.role",
    "raft.vote",
    "raft.commit",
    "raft.last_index",
    "raft.last_term",
    "raft.log_from",
    "raft.apply_index",
    "raft.voters",
)
"""Fields that only a process which runs Raft records."""


def raft_occurs(execution: Execution) -> bool:
    """Whether the trace has any event of Raft."""
    trace = execution.trace
    return any(name in trace.columns for name in STATE) or any(name.startswith("raft.") for name in trace.names)


def configurations_occur(execution: Execution) -> bool:
    """Whether the trace has any change of the members of a Raft cluster."""
    return "raft.entry_configurations" in execution.trace.columns or (
        "raft.change_configuration" in execution.trace.names
    )


def snapshots_occur(execution: Execution) -> bool:
    """Whether the trace has any snapshot of a Raft server's state."""
    return "raft.snapshot_index" in execution.trace.columns or "raft.take_snapshot" in execution.trace.names


@dataclass(frozen=True, eq=False)
class RaftHistory:
    """State of every process after every event; -1 where it is not known.

    Arrays have shape (n,) and are in program order, process after process: their positions are *places*. A value that
    an event did not record is the one before it at the process. A crash ends a role; a restart makes a follower; both
    forget the commit index, which the paper's Figure 2 lists as volatile; term, vote and log survive.

    Attributes
    ----------
    rows: the trace's row at each place.
    process: the process at each place.
    first: whether it is the process's first event.
    begin: the place of the process's first event.
    restart, crash: whether the process starts again, or stops, there.
    term, role, vote, commit: state after the event. A vote is a process code (`names`), or `NOBODY`.
    names: process names, followed by names that occur only as votes, peers or voters.
    members: codes of the processes that run Raft.
    """

    execution: Execution
    rows: Int64
    process: Int64
    first: Bool
    begin: Int64
    restart: Bool
    crash: Bool
    term: Int64
    role: Int64
    vote: Int64
    commit: Int64
    names: tuple[str, ...]
    members: Int64

    def recorded(self, name: str) -> bool:
        """Whether any row has a value in the column, of the type that the vocabulary gives it."""
        column = self.execution.trace.columns.get(name)
        return column is not None and bool(column.present.any()) and fits(column, TYPES[name])

    def before(self, values: NDArray[Any]) -> NDArray[Any]:
        """The state before each event: that after the event before it at the same process; -1 at the first."""
        out = np.empty_like(values)
        out[1:] = values[:-1]
        out[self.first] = UNKNOWN
        return out

    @cached_property
    def leads(self) -> Bool:
        """Whether the process leads a known term after the event."""
        leads: Bool = (self.role == LEADER) & (self.term >= 0)
        return leads

    @cached_property
    def still_leads(self) -> Bool:
        """Whether the process leads one and the same term before and after the event."""
        same_term: Bool = self.before(self.term) == self.term
        leads: Bool = self.leads & (self.before(self.role) == LEADER) & same_term & ~self.restart
        return leads

    @cached_property
    def leaderships(self) -> Int64:
        """Places at which a process is first seen to lead a term: each pair of process and term once."""
        return self._first_of(np.flatnonzero(self.leads & ~self.still_leads))

    @cached_property
    def elected(self) -> Int64:
        """Those of `leaderships` where the process was seen in another role before: it won an election there."""
        places = self.leaderships
        before = self.before(self.role)[places]
        elected: Int64 = places[(before != UNKNOWN) & ~self.restart[places]]
        return elected

    @cached_property
    def heard(self) -> Int64:
        """The highest term that each process recorded or was told up to each event: recorders may leave out that it
        took over the term of a message."""
        told = self.kind(Kind.RECEIVE) & ~self.named("raft.pre_vote", "raft.pre_vote_response")
        return highest(np.maximum(self.term, np.where(told, self.column("raft.message_term"), UNKNOWN)), self.first)

    def took_lead(self, place: int) -> list[int]:
        """The place, as a list of at most one, at which the leader at a place was first seen to lead its term."""
        mine = (self.process[self.leaderships] == self.process[place]) & (
            self.term[self.leaderships] == self.term[place]
        )
        return [int(p) for p in self.leaderships[mine]]

    def _first_of(self, places: Int64) -> Int64:
        _, first = np.unique(np.stack([self.process[places], self.term[places]]), axis=1, return_index=True)
        found: Int64 = places[np.sort(first)]
        return found

    def codes(self, column: Column) -> Int64:
        """A column of process names as codes into `names`, in the order of the trace's rows."""
        assert column.texts is not None, "names are text"
        place = {name: code for code, name in enumerate(self.names)}
        table = np.array([place.get(t, UNKNOWN) for t in column.texts.to_pylist()] + [UNKNOWN], np.int64)
        codes: Int64 = table[column.values]
        return codes

    def column(self, name: str) -> Int64:
        """A column of integers in program order, -1 where absent."""
        column = self.execution.trace.get(name)
        if column is None or column.texts is not None:
            return np.full(len(self.rows), UNKNOWN, np.int64)
        return np.where(column.present, column.values.astype(np.int64), UNKNOWN)[self.rows]

    def peer(self) -> Int64:
        """The peer of each event in program order, as a code into `names`; -1 where absent."""
        column = self.execution.trace.get("peer")
        if column is None or column.texts is None:
            return np.full(len(self.rows), UNKNOWN, np.int64)
        return self.codes(column)[self.rows]

    def named(self, *names: str) -> Bool:
        """Events of one of the names, in program order."""
        return self.execution.trace.named(*names)[self.rows]

    def kind(self, kind: Kind) -> Bool:
        """Events of a kind, in program order."""
        mask: Bool = self.execution.trace.kind[self.rows] == kind
        return mask

    def who(self, place: int) -> str:
        """The name of the process at a place."""
        return self.names[int(self.process[place])]


def raft_history(execution: Execution) -> RaftHistory:
    """Reads the trace; O(n). Use it through ``execution.derive(raft_history)``."""
    trace = execution.trace
    rows = execution.program_order.rows
    process = trace.process[rows].astype(np.int64)
    first = np.ones(len(rows), np.bool_)
    first[1:] = process[1:] != process[:-1]
    begin = np.maximum.accumulate(np.where(first, np.arange(len(rows)), 0))
    restart = (trace.is_kind(Kind.RESTART) | trace.named("raft.restart"))[rows] | (
        trace.named("raft.init")[rows] & ~first
    )
    crash = (trace.is_kind(Kind.CRASH) | trace.named("raft.crash"))[rows]

    def number(name: str) -> tuple[Int64, Bool]:
        column = trace.get(name)
        if column is None or column.texts is not None:
            return np.full(len(rows), UNKNOWN, np.int64), np.zeros(len(rows), np.bool_)
        return column.values.astype(np.int64)[rows], column.present[rows]

    term, present = number("raft.term")
    term = filled(term, present & (term >= 0), begin)
    changed = term != np.where(first, UNKNOWN, np.roll(term, 1))

    role, present = _roles(execution)
    role, present = role[rows], present[rows]
    role = np.where(crash, UNKNOWN, np.where(restart & ~present, FOLLOWER, role))
    role = _carried(role, present, present | crash | restart, term, process, begin)

    commit, present = number("raft.commit")
    commit = filled(np.where(present, commit, UNKNOWN), present | restart | crash, begin)

    names = _names(execution)
    vote, present = _votes(execution, names)
    vote, present = vote[rows], present[rows]
    vote = filled(np.where(present, vote, UNKNOWN), present | changed, begin)
    return RaftHistory(
        execution, rows, process, first, begin, restart, crash, term, role, vote, commit, names, _members(execution)
    )


def filled(values: Int64, present: Bool, begin: Int64) -> Int64:
    """Values carried forward within each process; -1 before the first. `begin`: place where each process begins."""
    place = np.maximum.accumulate(np.where(present, np.arange(len(values)), -1))
    return np.where(place >= begin, values[np.maximum(place, 0)], UNKNOWN) if len(values) else values


def highest(values: Int64, first: Bool) -> Int64:
    """The largest of each process's values up to each event. `first`: where each process begins."""
    out = np.empty_like(values)
    starts = np.append(np.flatnonzero(first), len(out))
    for start, end in pairwise(starts.tolist()):
        out[start:end] = np.maximum.accumulate(values[start:end])
    return out


def _carried(role: Int64, present: Bool, known: Bool, term: Int64, process: Int64, begin: Int64) -> Int64:
    """Roles carried forward, but not a lead into another term where the recording shows, or may leave out, that the
    process stepped down: the next role recorded in that term is another one, or the process never records being a
    follower, as recorders do that note elections only."""
    n = len(role)
    following = np.minimum.accumulate(np.where(known, np.arange(n), n)[::-1])[::-1]
    at = np.minimum(following, n - 1)
    role_then, led = np.where(following < n, role[at] if n else role, UNKNOWN), filled(term, known, begin)
    role = filled(role, known, begin)
    onward = (role == LEADER) & ~known & (led >= 0) & (term != led)
    stepped_down = (process[at] == process) & (term[at] == term) & (role_then != LEADER) & (following < n)
    silent = ~np.isin(process, process[present & (role == FOLLOWER)])
    return np.where(onward & (stepped_down | silent), FOLLOWER, role)


def unread(execution: Execution) -> tuple[str, ...]:
    """Reasons where raft.role is no role, or raft.log_from no index: what the process was then, or had in its log, is
    not known."""
    return (*_unread_role(execution), *_unread_index(execution))


def _unread_index(execution: Execution) -> tuple[str, ...]:
    column = execution.trace.get("raft.log_from")
    if column is None or column.values.dtype != np.int64 or column.texts is not None:
        return ()
    rows = np.flatnonzero(column.present & (column.values < 1))
    if not len(rows):
        return ()
    first = int(rows[0])
    return (f"raft.log_from is {column.at(first)} at {execution.trace.event(first)}: the first entry has index 1",)


def _unread_role(execution: Execution) -> tuple[str, ...]:
    column = execution.trace.get("raft.role")
    if column is None or column.texts is None:
        return ()
    odd = [code for code, text in enumerate(column.texts.to_pylist()) if text.lower() not in ROLES]
    rows = np.flatnonzero(np.isin(column.values, odd) & column.present)
    if not len(rows):
        return ()
    first = int(rows[0])
    what = f"raft.role is {column.at(first)!r} at {execution.trace.event(first)}, which is none of {', '.join(ROLES)}"
    return (what,)


def several(values: Int64, starts: Int64) -> Bool:
    """For each group that begins at `starts`: whether two of its known values (>= 0) differ."""
    high = np.maximum.reduceat(values, starts)
    low = np.minimum.reduceat(np.where(values >= 0, values, np.iinfo(np.int64).max), starts)
    found: Bool = (low < high) & (high >= 0)
    return found


def _roles(execution: Execution) -> tuple[Int64, Bool]:
    """Role by row, from the field, else from what the event is."""
    trace = execution.trace
    role = np.full(len(trace), UNKNOWN, np.int64)
    for name, code in ROLE_OF_EVENT.items():
        if name in trace.names:
            role[trace.named(name)] = code
    column = trace.get("raft.role")
    if column is not None and column.texts is not None:
        table = np.array([ROLES.get(t.lower(), UNKNOWN) for t in column.texts.to_pylist()] + [UNKNOWN], np.int64)
        recorded = table[column.values]
        role = np.where(recorded >= 0, recorded, role)
        return role, (role >= 0) | column.present
    return role, role >= 0


def _names(execution: Execution) -> tuple[str, ...]:
    trace = execution.trace
    names = dict.fromkeys(trace.processes)
    voters = [trace.lists(name) for name in ("raft.voters", "raft.voters_outgoing")]
    columns = [trace.get("raft.vote"), trace.get("peer"), *(v.items for v in voters if v is not None)]
    for column in columns:
        if isinstance(column, Column) and column.texts is not None:
            names.update(dict.fromkeys(t for t in column.texts.to_pylist() if t))
    return tuple(names)


def _votes(execution: Execution, names: tuple[str, ...]) -> tuple[Int64, Bool]:
    column = execution.trace.get("raft.vote")
    if column is None or column.texts is None:
        n = len(execution.trace)
        return np.full(n, UNKNOWN, np.int64), np.zeros(n, np.bool_)
    place = {name: code for code, name in enumerate(names)}
    table = np.array([place.get(t, NOBODY) for t in column.texts.to_pylist()] + [UNKNOWN], np.int64)
    return table[column.values], column.present


def _members(execution: Execution) -> Int64:
    trace = execution.trace
    runs = trace.named(*ROLE_OF_EVENT)
    for name in STATE:
        column = trace.columns.get(name)
        if column is not None:
            runs = runs | column.present
    return np.unique(trace.process[runs]).astype(np.int64)
