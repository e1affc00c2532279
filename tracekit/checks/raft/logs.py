"""Every process's log after every event, rebuilt from the recorded log changes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from tracekit.checks.raft.history import UNKNOWN, Int64, RaftHistory, filled, raft_history
from tracekit.execution import Execution
from tracekit.kernels.engine import kernels
from tracekit.kernels.raft import (
    BASE,
    CHANGE,
    DEPTH,
    DIGEST,
    ENTRIES,
    PARENT,
    ROOT,
    SNAPSHOT,
    SNAPSHOT_TERM,
    TERM,
)
from tracekit.trace.columns import Column, ListColumn

FARTHEST = 1 << 60
"""Indexes from here on are taken for this one, and the whole log is then unknown: they are mistakes of a recorder."""
SHORT = -2
"""Instead of an entry's node: the log ends before the index."""


@dataclass(frozen=True, eq=False)
class Committed:
    """Events at which more of a process's log, or another log, became known to be committed.

    Attributes
    ----------
    place: shape (c,).
    node: the entry up to which the log is committed.
    floor: first index of that log that is known.
    since: first index whose entry was not known to be committed, or was another one, before.
    """

    place: Int64
    node: Int64
    floor: Int64
    since: Int64


@dataclass(frozen=True, eq=False)
class RaftLogs:
    """The logs as one tree of entries (see ``kernels/raft.py``).

    Attributes
    ----------
    nodes: int64, shape (nodes, 7): parent, jump pointer, index, term, digest code, a change that wrote it, first index
        that is recorded of the log that it ends.
    changes: places of the events that changed a log, in program order.
    spans: int64, shape (changes, 7): what each change is, see ``kernels/raft.py: log_tree``.
    entry_configurations: for each entry listed the code of its raft.entry_configurations; -1: none.
    replaced: shape (changes,): lowest index of an entry that the change removed or replaced by another; 0: none.
    log: shape (n,): node of the last entry of the log after each event; 0: empty, -1: unknown.
    floor: shape (n,): first index of that log whose entry is recorded.
    """

    history: RaftHistory
    nodes: Int64
    changes: Int64
    spans: Int64
    entry_configurations: Int64
    replaced: Int64
    log: Int64
    floor: Int64

    @property
    def written(self) -> Int64:
        """Shape (changes,): how many entries each change listed."""
        written: Int64 = self.spans[:, ENTRIES]
        return written

    @cached_property
    def loops(self) -> ModuleType:
        """The kernels, interpreted or compiled by the size of the whole trace."""
        return kernels("raft", work=len(self.log))

    @cached_property
    def last_index(self) -> Int64:
        """Index of each log's last entry after each event: as recorded, else as rebuilt; -1 unknown."""
        recorded = self.history.column("raft.last_index")
        known = (recorded >= 0) | self._changed
        return filled(np.where(recorded >= 0, recorded, self._of_log(DEPTH)), known, self.history.begin)

    @cached_property
    def last_term(self) -> Int64:
        """Term of each log's last entry after each event; 0 for the empty log; -1 unknown."""
        recorded, index = self.history.column("raft.last_term"), self.last_index
        rebuilt = np.where(self._of_log(DEPTH) == index, np.maximum(self._of_log(TERM), UNKNOWN), UNKNOWN)
        rebuilt = np.where(index == 0, 0, rebuilt)
        known = (recorded >= 0) | self._changed | (index != self.history.before(index))
        return filled(np.where(recorded >= 0, recorded, rebuilt), known, self.history.begin)

    @cached_property
    def still_leads(self) -> NDArray[np.bool_]:
        """As the history tells; but nobody leads a term with entries of a later one in its log: that it had stepped
        down was not recorded."""
        leads: NDArray[np.bool_] = self.history.still_leads & (self.last_term <= self.history.term)
        return leads

    @cached_property
    def reached(self) -> Int64:
        """The highest term that each process may have reached after each event, by what it had heard and stored."""
        return np.maximum(self.history.heard, self.last_term)

    @cached_property
    def _changed(self) -> NDArray[np.bool_]:
        changed = np.zeros(len(self.log), np.bool_)
        changed[self.changes] = True
        return changed

    def _of_log(self, part: int) -> Int64:
        return np.where(self.log >= 0, self.nodes[np.maximum(self.log, 0), part], UNKNOWN)

    def entries(self, places: Int64, indexes: Int64) -> Int64:
        """Nodes of the entries at given indexes of the logs after given events; -1 not recorded, `SHORT` not there."""
        places, indexes = np.atleast_1d(places), np.atleast_1d(indexes).astype(np.int64)
        out = np.empty(len(places), np.int64)
        self.loops.entries_at(self.nodes, self.log[places], self.floor[places], indexes, out)
        return out

    def term_of(self, nodes: Int64) -> Int64:
        """Terms of entries; -1 where unknown."""
        return np.where(nodes >= 0, np.maximum(self.nodes[np.maximum(nodes, 0), TERM], UNKNOWN), UNKNOWN)

    @cached_property
    def lag(self) -> bool:
        """Whether the recorded logs lag behind the commit indexes: somewhere a commit index rises to an entry that its
        process's log does not have yet, which no state of Raft shows.

        So record programs that note a log change only when it reaches the disk. An entry at or below the commit
        index may then still be an old one that the next change replaces; it counts only after that change.
        """
        return bool(self._commits_ahead.any())

    @cached_property
    def _commits_ahead(self) -> NDArray[np.bool_]:
        history = self.history
        rises = (history.commit > history.before(history.commit)) & ~history.restart
        ahead: NDArray[np.bool_] = rises & (self.log >= 0) & (history.commit > self._of_log(DEPTH))
        return ahead

    @cached_property
    def incomplete(self) -> Int64:
        """Codes of processes that commit or apply entries which their recorded log does not have: it lacks changes."""
        applied = (self.log >= 0) & (self.history.column("raft.apply_index") > self._of_log(DEPTH))
        return np.unique(self.history.process[self._commits_ahead | applied])

    @property
    def rests_on(self) -> tuple[str, ...]:
        """What a verdict about committed entries supposes, for people."""
        return (
            "commit indexes run ahead of the recorded logs: a commit counts from the next log change on",
        ) * self.lag

    @cached_property
    def committed(self) -> Committed:
        """What became known to be committed, and where; in a recording that lags, as of the next log change."""
        history = self.history
        log, floor = self.log, self.floor
        replaced = np.zeros(len(log), np.int64)
        replaced[self.changes] = self.replaced
        if self.lag:
            following = np.append(self.changes, UNKNOWN)[np.cumsum(self._changed)]
            same = (following >= 0) & (history.process[following] == history.process)
            log = np.where(same, log[following], UNKNOWN)
            floor, replaced = floor[following], replaced[following]
        depth = np.where(log >= 0, self.nodes[np.maximum(log, 0), DEPTH], UNKNOWN)
        reach = np.minimum(history.commit, depth)
        before = history.before(reach)
        other_log = log != history.before(log)
        places = np.flatnonzero((reach >= floor) & (reach > 0) & ((reach != before) | other_log))
        nodes = np.empty(len(places), np.int64)
        self.loops.entries_at(self.nodes, log[places], floor[places], reach[places], nodes)
        cut = np.where(other_log & (replaced > 0), replaced - 1, before)
        since = np.maximum(np.minimum(before, cut) + 1, floor)[places]
        found = nodes > 0
        places = places[found]
        return Committed(places, nodes[found], floor[places], since[found])

    def writer(self, node: int) -> int:
        """The place of the change that first wrote an entry, in program order; see `stored`."""
        return int(self.changes[self.nodes[node, CHANGE]])

    def stored(self, node: int) -> list[int]:
        """For each process the place where its log first held an entry equal to a node's in index and term.

        O(changes); for witnesses.
        """
        index, term = int(self.nodes[node, DEPTH]), int(self.nodes[node, TERM])
        held = self.entries(self.changes, np.full(len(self.changes), index))
        has = self.term_of(held) == term
        places = self.changes[has]
        _, first = np.unique(self.history.process[places], return_index=True)
        return [int(p) for p in places[np.sort(first)]]

    def describe(self, node: int) -> str:
        """``entry 2 of term 2``."""
        term = int(self.nodes[node, TERM])
        return f"entry {int(self.nodes[node, DEPTH])} of " + (f"term {term}" if term >= 0 else "an unknown term")

    def digest(self, node: int) -> str | None:
        """The digest of an entry's command; None where it was not recorded."""
        column = self.history.execution.trace.lists("raft.entry_digests")
        code = int(self.nodes[node, DIGEST])
        if code < 0 or column is None or not isinstance(column.items, Column):
            return None
        return column.items.text(code)

    def digest_codes(self, nodes: Int64) -> Int64:
        """Digest codes of entries; -1 where not recorded."""
        codes: Int64 = self.nodes[nodes, DIGEST]
        return codes

    @cached_property
    def known(self) -> NDArray[np.bool_]:
        """Nodes that stand for one recorded entry."""
        known: NDArray[np.bool_] = (self.nodes[:, TERM] != BASE) & (self.nodes[:, DEPTH] > 0)
        return known

    @cached_property
    def parent_term(self) -> Int64:
        """Term of each node's predecessor in its log; 0 at the first entry, -1 where unknown."""
        parent = self.nodes[:, PARENT]
        return np.where(parent == ROOT, np.where(self.nodes[:, DEPTH] == 1, 0, UNKNOWN), self.term_of(parent))


def raft_logs(execution: Execution) -> RaftLogs:
    """Splices the log changes. O(n + entries written); use it through ``execution.derive(raft_logs)``."""
    history = execution.derive(raft_history)
    places, changes, entries, configurations = _changes(history)
    n = len(history.rows)
    nodes, states = _tree(history.process[places], changes, entries, kernels("raft", work=n))
    changed = np.zeros(n, np.bool_)
    changed[places] = True
    log, floor = np.full(n, UNKNOWN, np.int64), np.ones(n, np.int64)
    log[places], floor[places] = states[:, 0], states[:, 1]
    return RaftLogs(
        history,
        nodes,
        places,
        changes,
        configurations,
        states[:, 2].copy(),
        filled(log, changed, history.begin),
        filled(floor, changed, history.begin),
    )


def _tree(process: Int64, changes: Int64, entries: Int64, loops: ModuleType) -> tuple[Int64, Int64]:
    """The nodes, and the state after each change. Where two entries have one index and term, a snapshot may stand for
    either; it is then taken for none, and all is done again."""
    k = len(changes)
    capacity = 1 + len(entries) + 3 * k
    nodes, states = np.empty((capacity, 7), np.int64), np.empty((k, 4), np.int64)
    while True:
        table = np.full(1 << int(2 * capacity).bit_length(), UNKNOWN, np.int64)
        count = loops.log_tree(process, changes, entries, nodes, table, np.full_like(table, UNKNOWN), states)
        taken_for = states[:, 3]
        installed = np.flatnonzero(taken_for >= 0)
        if not len(installed):
            break
        _, group, size = np.unique(nodes[:count, [DEPTH, TERM]], axis=0, return_inverse=True, return_counts=True)
        several = installed[size[group.reshape(-1)[taken_for[installed]]] > 1]
        if not len(several):
            break
        changes[several, SNAPSHOT_TERM] = UNKNOWN
    return nodes[:count].copy(), states


def _changes(history: RaftHistory) -> tuple[Int64, Int64, Int64, Int64]:
    """Places of log changes, what each is (k, 7), the entries written (m, 2), see ``kernels/raft.py: log_tree``, and
    which of these are configurations (m,)."""
    trace = history.execution.trace
    terms, digests = trace.lists("raft.entry_terms"), trace.lists("raft.entry_digests")
    start = history.column("raft.log_from")
    known = history.column("raft.log_known_from")
    last = history.column("raft.last_index")
    snapshot, snapshot_term = history.column("raft.snapshot_index"), history.column("raft.snapshot_term")
    snapshot[snapshot < 1] = UNKNOWN
    if terms is None and digests is None:
        start[:] = UNKNOWN
    start[start < 1] = UNKNOWN
    known[known < 2] = UNKNOWN
    fresh = history.named("raft.init") & ~history.restart & (start < 0) & (known < 0) & (last <= 0)
    if terms is not None or digests is not None:
        start[fresh] = 1
    last[~history.restart] = UNKNOWN
    start, known, snapshot = (np.minimum(index, FARTHEST) for index in (start, known, snapshot))
    places = np.flatnonzero((start >= 0) | (known >= 0) | (last >= 0) | (snapshot >= 0))
    changes = np.zeros((len(places), 7), np.int64)
    changes[:, 0], changes[:, 1], changes[:, 2] = start[places], known[places], last[places]
    changes[:, SNAPSHOT], changes[:, SNAPSHOT_TERM] = snapshot[places], np.maximum(snapshot_term[places], UNKNOWN)
    rows = history.rows[places]
    counts = np.maximum(_lengths(terms, rows), _lengths(digests, rows))
    changes[:, 4] = np.where((changes[:, 0] >= 0) & (changes[:, 0] < FARTHEST), counts, 0)
    ends = np.cumsum(changes[:, 4])
    changes[:, 3] = ends - changes[:, 4]
    entries = np.full((int(ends[-1]) if len(ends) else 0, 2), UNKNOWN, np.int64)
    for part, lists in enumerate((terms, digests)):
        if lists is not None:
            _gather(lists, rows, changes[:, 3], np.minimum(_lengths(lists, rows), changes[:, 4]), entries[:, part])
    configurations = np.full(len(entries), UNKNOWN, np.int64)
    lists = trace.lists("raft.entry_configurations")
    if lists is not None:
        _gather(lists, rows, changes[:, 3], np.minimum(_lengths(lists, rows), changes[:, 4]), configurations)
    return places, changes, entries, configurations


def _lengths(lists: ListColumn | None, rows: Int64) -> Int64:
    if lists is None:
        return np.zeros(len(rows), np.int64)
    return np.where(lists.present[rows], lists.offsets[rows + 1] - lists.offsets[rows], 0)


def _gather(lists: ListColumn, rows: Int64, at: Int64, counts: Int64, out: Int64) -> None:
    """Copies the members of each row's list to where the row's entries begin."""
    if not isinstance(lists.items, Column):
        return
    within = np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)
    source = np.repeat(lists.offsets[rows], counts) + within
    values = lists.items.values[source].astype(np.int64)
    if lists.items.valid is not None:
        values = np.where(lists.items.valid[source], values, UNKNOWN)
    out[np.repeat(at, counts) + within] = np.maximum(values, UNKNOWN)
