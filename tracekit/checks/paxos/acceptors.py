"""Who the acceptors are, and how many of them are a quorum."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tracekit.checks.doubts import not_covered
from tracekit.checks.evidence import recorded
from tracekit.checks.paxos.history import Int64, PaxosHistory, paxos_history
from tracekit.execution import Execution
from tracekit.trace.columns import Column, ListColumn
from tracekit.trace.schema import Kind


@dataclass(frozen=True, eq=False)
class Acceptors:
    """The acceptors of a run; a majority of them is a quorum.

    Attributes
    ----------
    codes: processes whose steps are recorded, ascending.
    partial: those of them of which the recording is declared not to be whole.
    silent_votes: those that propose and that never record an acceptance: they may accept their own proposals without a
        word.
    unseen: how many more there are, of which nothing is recorded.
    declared: whether the run says who they are, or how many.
    reason: why they are not known; empty where they are.
    """

    codes: Int64
    partial: Int64
    silent_votes: Int64
    unseen: int
    declared: bool
    reason: str = ""

    @property
    def count(self) -> int:
        """All of them."""
        return len(self.codes) + self.unseen

    @property
    def majority(self) -> int:
        """How many are a quorum."""
        return self.count // 2 + 1

    @property
    def rests_on(self) -> tuple[str, ...]:
        """What a verdict supposes, for people."""
        if self.declared:
            return ()
        told = f"acceptors: the {len(self.codes)} that promise or accept"
        told += f", and {self.unseen} more to which requests were sent" if self.unseen else ""
        return (f"{told} (assumed)",)

    def among(self, processes: Int64) -> Int64:
        """The place of each process in `codes`; -1 for those that are no acceptors."""
        at = np.searchsorted(self.codes, processes)
        at[at == len(self.codes)] = 0
        if not len(self.codes):
            return np.full(len(processes), -1, np.int64)
        return np.where(self.codes[at] == processes, at, -1)


def acceptors(execution: Execution) -> Acceptors:
    """Reads paxos.acceptors; never recorded: the processes that promise or accept, and as many more as n says; without
    n, as many more as requests are sent to of which nothing is recorded.

    Use it through ``execution.derive(acceptors)``. O(n).
    """
    history, trace = execution.derive(paxos_history), execution.trace
    column = trace.lists("paxos.acceptors")
    acting = np.unique(np.concatenate([history.promises.process, history.acceptances.process]))
    if column is None or not recorded(execution, "paxos.acceptors"):
        unseen = len(_asked(execution)) if trace.run.n is None else max(trace.run.n - len(acting), 0)
        return _acceptors(history, acting, unseen, trace.run.n is not None)
    rows = np.flatnonzero(column.present)
    keys = _keys(column, rows)
    if bool((keys != keys[0]).any()):
        why = "paxos.acceptors is not the same everywhere, and changes of the acceptors are not followed"
        return _acceptors(history, acting, 0, True, why)
    names = {name for name in column.at(int(rows[0])) or () if name}
    if not names:
        return _acceptors(history, acting, 0, True, "paxos.acceptors names nobody")
    present = np.unique(trace.process[_of_paxos(execution)])
    codes = np.array(sorted(c for c in present.tolist() if trace.processes[c] in names), np.int64)
    return _acceptors(history, codes, len(names) - len(codes), True)


def _asked(execution: Execution) -> set[str]:
    """Whom prepare or accept requests are sent to, of those of whom nothing is recorded."""
    trace = execution.trace
    peer = trace.get("peer")
    if peer is None or peer.texts is None:
        return set()
    sent = trace.named("paxos.prepare", "paxos.accept") & trace.is_kind(Kind.SEND) & peer.present
    texts = peer.texts.to_pylist()
    return {texts[code] for code in np.unique(peer.values[sent]).tolist()} - set(trace.processes)


def _acceptors(history: PaxosHistory, codes: Int64, unseen: int, declared: bool, reason: str = "") -> Acceptors:
    partial = np.array(sorted(not_covered(history.execution)), np.int64)
    proposers = np.concatenate([history.starts.process, history.prepares.process, history.requests.process])
    proposers = np.intersect1d(codes, proposers)
    return Acceptors(
        codes,
        np.intersect1d(codes, partial),
        np.setdiff1d(np.intersect1d(proposers, history.requests.process), history.acceptances.process),
        unseen,
        declared,
        reason,
    )


def _of_paxos(execution: Execution) -> Int64:
    """Rows of events of Paxos: a process with any of them is recorded."""
    trace = execution.trace
    names = sorted(name for name in trace.names if name.startswith("paxos."))
    mask = trace.named(*names)
    for name in ("paxos.promised", "paxos.accepted_ballot", "paxos.acceptors"):
        found = trace.columns.get(name)
        if found is not None:
            mask = mask | found.present
    return np.flatnonzero(mask)


def _keys(lists: ListColumn, rows: Int64) -> Int64:
    """A number per list of names, the same for the same names: a sum of numbers drawn at random for each name."""
    if not isinstance(lists.items, Column) or lists.items.texts is None or not len(lists.items):
        return np.zeros(len(rows), np.int64)
    drawn = np.random.default_rng(0x5AF7).integers(1, 1 << 62, len(lists.items.texts) + 1)
    with np.errstate(over="ignore"):
        sums = np.concatenate([[0], np.cumsum(drawn[lists.items.values])])
        return np.asarray(sums[lists.offsets[rows + 1]] - sums[lists.offsets[rows]], np.int64)
