"""Causal order: session order, reads-from and, where asked for, recorded messages, as vector clocks over sessions.

An open write ends a chain of its own: session order leads into it and not out of it (`tracekit.history.sessions`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracekit.checks.consistency.session_history import SessionHistory, history_of
from tracekit.execution import Execution
from tracekit.history.sessions import INITIAL
from tracekit.kernels import causal
from tracekit.kernels.engine import kernels

Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]

MOST_BYTES = 4 << 30
"""Vector clocks may take so much memory: one number of four bytes a write and session."""

BLOCK = 1 << 16
"""Operations whose recorded past is looked up at a time."""

ALL, NOBODY = causal.ALL, causal.NOBODY


class Tie(IntEnum):
    """Why an edge between two chains is there."""

    SESSION = 0
    READ_FROM = 1
    MESSAGE = 2
    CONFLICT = 3
    REPLACED = 4


@dataclass(frozen=True, eq=False)
class Edges:
    """Edges between nodes, beside those of the chains.

    Attributes
    ----------
    start, end: int32, shape (e,): nodes. tie: int8, shape (e,): `Tie`.
    read: int32, shape (e,): for a conflict the read that forces it, else -1.
    known: int32, shape (e,): for a conflict, how many edges stood in front of it when it was found: they explain it.
    """

    start: Int32
    end: Int32
    tie: NDArray[np.int8]
    read: Int32
    known: Int32

    def __len__(self) -> int:
        return len(self.start)

    @classmethod
    def of(cls, start: NDArray[Any], end: NDArray[Any], tie: Tie) -> Edges:
        """Edges of one kind."""
        n = len(start)
        nothing = np.full(n, -1, np.int32)
        return cls(start.astype(np.int32), end.astype(np.int32), np.full(n, tie, np.int8), nothing, nothing)

    def with_conflicts(self, found: Int32) -> Edges:
        """These edges and behind them conflicts, shape (e, 3): from, to, read; from the read where it is replaced."""
        n = len(found)
        tie = np.where(found[:, 0] == found[:, 2], np.int8(Tie.REPLACED), np.int8(Tie.CONFLICT))
        return Edges(
            np.concatenate([self.start, found[:, 0]]),
            np.concatenate([self.end, found[:, 1]]),
            np.concatenate([self.tie, tie]),
            np.concatenate([self.read, found[:, 2]]),
            np.concatenate([self.known, np.full(n, len(self), np.int32)]),
        )

    def __add__(self, other: Edges) -> Edges:
        names = ("start", "end", "tie", "read", "known")
        return Edges(*(np.concatenate([getattr(self, name), getattr(other, name)]) for name in names))


@dataclass(frozen=True, eq=False)
class Chains:
    """The operations as nodes, chain after chain, and for each key which chains write it.

    Attributes
    ----------
    entry: int32, shape (n,): entry of the `Sessions` of each node. node: the other way round.
    starts: int32, shape (k + 1,): chain c has nodes ``starts[c]:starts[c + 1]``; sessions first, open writes after.
    nodes, key_groups, groups, members: as `tracekit.kernels.causal` wants them.
    branches: edges from the operations before open writes to those.
    """

    history: SessionHistory
    entry: Int32
    node: Int32
    starts: Int32
    nodes: Int32
    key_groups: Int32
    groups: Int32
    members: Int32
    branches: Edges

    @property
    def count(self) -> int:
        """How many chains there are."""
        return len(self.starts) - 1

    @property
    def work(self) -> int:
        """Steps that one pass over everything takes."""
        return len(self.nodes) * self.count

    @cached_property
    def kernels(self) -> Any:
        """The kernels, compiled where a pass is worth it."""
        return kernels("causal", work=self.work)

    @cached_property
    def slots(self) -> int:
        """How many nodes have a clock of their own."""
        return int(self.nodes[:, 3].max(initial=-1)) + 1

    @property
    def readers(self) -> list[int]:
        """Chains that have reads."""
        reads = np.flatnonzero(self.nodes[:, 2] >= INITIAL)
        return [int(chain) for chain in np.unique(self.nodes[reads, 0])]

    def span(self, chain: int) -> tuple[int, int]:
        """The first node of a chain and the one after its last."""
        return int(self.starts[chain]), int(self.starts[chain + 1])

    @cached_property
    def read_from(self) -> Edges:
        """From each write to the reads of it."""
        reads = np.flatnonzero(self.nodes[:, 2] >= 0)
        return Edges.of(self.nodes[reads, 2], reads, Tie.READ_FROM)

    def too_large(self) -> str:
        """Why the clocks would not fit into memory; empty where they do."""
        size = 4 * self.slots * self.count
        if size <= MOST_BYTES:
            return ""
        return (
            f"the clocks of {self.slots:,} operations of {self.count:,} sessions need {size / 2**30:.0f} GiB of memory"
        )


def chains_of(execution: Execution) -> Chains:
    """The chains of an execution's sessions; ask through `execution.derive`. O(n log n)."""
    history = execution.derive(history_of)
    return chains_with_clocks(history, np.zeros(len(history.sessions), np.bool_))


def chains_with_clocks(history: SessionHistory, clocked: NDArray[np.bool_]) -> Chains:
    """The chains of sessions; beside the writes, the chosen entries have clocks of their own: edges may start there."""
    sessions = history.sessions
    n, count = len(sessions), sessions.count
    last = np.zeros(n, np.bool_)
    last[sessions.starts[1:] - 1] = n > 0
    branch = np.flatnonzero(sessions.open & ~last)
    chain = sessions.session.copy()
    chain[branch] = count + np.arange(len(branch))
    entry = np.argsort(chain, kind="stable").astype(np.int32) if len(branch) else np.arange(n, dtype=np.int32)
    # A session of nothing but open writes that branch off keeps no node: its chain is empty.
    starts = np.zeros(count + len(branch) + 1, np.int32)
    np.cumsum(np.bincount(chain, minlength=len(starts) - 1), out=starts[1:])
    node = np.empty(n, np.int32)
    node[entry] = np.arange(n, dtype=np.int32)
    nodes = np.empty((n, 4), np.int32)
    nodes[:, 0], nodes[:, 1] = chain[entry], sessions.key[entry]
    source = sessions.source[entry]
    nodes[:, 2] = np.where(source >= 0, node[np.maximum(source, 0)], source) if n else source
    has_clock = sessions.write[entry] | clocked[entry]
    has_clock[starts[1:][np.diff(starts) > 0] - 1] = True  # the past of a session's last operation is asked for
    # Before an open write that branches off comes the last answered operation of its session.
    answered = np.where(~(sessions.open & ~last), np.arange(n), -1)
    before = np.maximum.accumulate(answered)[branch] if n else branch
    inside = before >= sessions.starts[sessions.session[branch]]
    branches = Edges.of(node[before[inside]], node[branch[inside]], Tie.SESSION)
    has_clock[branches.start] = True
    nodes[:, 3] = np.where(has_clock, np.cumsum(has_clock) - 1, -1)
    key_groups, groups, members = _writers(nodes, sessions.write[entry], len(sessions.names))
    return Chains(history, entry, node, starts, nodes, key_groups, groups, members, branches)


def _writers(nodes: Int32, write: NDArray[np.bool_], keys: int) -> tuple[Int32, Int32, Int32]:
    """The writes by key, then node; where the chains that write a key begin among them."""
    writes = np.flatnonzero(write)
    key = nodes[writes, 1]
    narrow = key.astype(np.uint16) if keys < 2**16 else key
    members = writes[np.argsort(narrow, kind="stable")].astype(np.int32)
    key, chain = nodes[members, 1], nodes[members, 0]
    first = np.ones(len(members), np.bool_)
    first[1:] = (key[1:] != key[:-1]) | (chain[1:] != chain[:-1])
    at = np.flatnonzero(first)
    groups = np.empty((len(at) + 1, 2), np.int32)
    groups[:-1, 0], groups[:-1, 1] = chain[at], at
    groups[-1] = -1, len(members)
    key_groups = np.searchsorted(key[at], np.arange(keys + 1)).astype(np.int32)
    return key_groups, groups, members


@dataclass(frozen=True, eq=False)
class CausalOrder:
    """Causality as far as it could be ordered: everything, or up to cycles.

    Attributes
    ----------
    extra: edges beside chains and reads-from. reader: ALL where reads order their writes before them, else NOBODY.
    heads, linked: the extra edges as the kernels want them.
    clocks: int32, shape (slots, k). cursor, waits: where each chain stopped, and for which node; -1: at its end.
    words: what the order rests on.
    doubt: why recorded messages may order more than is known here; empty where they do not.
    """

    chains: Chains
    extra: Edges
    reader: int
    heads: Int32
    linked: Int32
    clocks: Int32
    cursor: Int32
    waits: Int32
    words: str
    doubt: str = ""

    @property
    def cyclic(self) -> bool:
        """Whether some operations precede themselves."""
        return bool((self.waits >= 0).any())

    @cached_property
    def edges(self) -> Edges:
        """Every edge between chains."""
        return self.extra + self.chains.read_from if self.reader == ALL else self.extra

    def overwritten(self) -> Int32:
        """int32, shape (n,): for each read a write that overwrote what it read, in its past; -1 where there is none."""
        culprit = np.full(len(self.chains.nodes), -1, np.int32)
        c = self.chains
        for chain in c.readers:
            c.kernels.overwritten(
                c.nodes, self.heads, self.linked, self.clocks, c.key_groups, c.groups, c.members, culprit,
                *c.span(chain), self.reader,
            )  # fmt: skip
        return culprit


def causal_order_of(execution: Execution) -> CausalOrder:
    """Causality as ``options.causality`` has it; ask through `execution.derive`. O(n k) time.

    sessions: session order and reads-from; both: and recorded happens-before from one operation's completion to
    another's invocation; messages: recorded happens-before alone, where a read need not come after its write.
    """
    causality = execution.options.causality
    chains = execution.derive(chains_of)
    words, doubt = "causality: sessions and reads", ""
    extra = chains.branches
    if causality != "sessions":
        found, doubt = _recorded(execution, chains)
        clocked = np.zeros(len(chains.nodes), np.bool_)
        clocked[chains.entry[found.start]] = True
        chains = chains_with_clocks(chains.history, clocked)
        extra = chains.branches + found
        what = "sessions, reads and recorded messages" if causality == "both" else "recorded messages alone"
        words = f"causality: {what} ({len(found)} edges between sessions)"
    reader = NOBODY if causality == "messages" else ALL
    heads, linked = lists(extra, len(chains.nodes))
    clocks = np.empty((chains.slots, chains.count), np.int32)
    cursor, waits = np.empty(chains.count, np.int32), np.empty(chains.count, np.int32)
    starts, ends = chains.starts[:-1], chains.starts[1:]
    chains.kernels.clocks(starts, ends, chains.nodes, heads, linked, clocks, cursor, waits, reader)
    return CausalOrder(chains, extra, reader, heads, linked, clocks, cursor, waits, words, doubt)


def lists(edges: Edges, n: int) -> tuple[Int32, Int32]:
    """Edges as lists of what leads into each of n nodes, for the kernels."""
    order = np.argsort(edges.end, kind="stable")
    end = edges.end[order]
    heads = np.full(n, -1, np.int32)
    linked = np.full((len(edges), 2), -1, np.int32)
    linked[:, 0] = edges.start[order]
    if len(edges):
        same = np.flatnonzero(end[1:] == end[:-1])
        linked[same, 1] = same + 1
        first = np.flatnonzero(np.diff(end, prepend=-1))
        heads[end[first]] = first
    return heads, linked


def _recorded(execution: Execution, chains: Chains) -> tuple[Edges, str]:
    """Edges from operations that had completed to those whose invocation their completion happens before.

    Of each session the last operation that had completed is enough, and only where it is a later one than for the
    operation before. An open write has no completion that says that it took effect.
    """
    operations, hb, sessions = execution.operations, execution.happens_before, chains.history.sessions
    operation = sessions.operation[chains.entry]
    invoke = operations.invoke[operation]
    # Only sessions: a chain of one open write has no completion.
    chain_of = {int(p): c for c, p in enumerate(sessions.process)}
    receive = np.where(invoke >= 0, hb.last_receive[invoke], -1)
    changed = receive >= 0
    follows = chains.nodes[1:, 0] == chains.nodes[:-1, 0]
    changed[1:] &= ~(follows & (receive[1:] == receive[:-1]))
    starts, ends = [], []
    asking = np.flatnonzero(changed)
    index = hb.program.index
    for low in range(0, len(asking), BLOCK):
        nodes = asking[low : low + BLOCK]
        frontier = hb.frontiers(invoke[nodes])
        for process, chain in chain_of.items():
            first, end = chains.span(chain)
            own = np.arange(first, end)
            completed = own[~sessions.open[chains.entry[first:end]]]
            done = index[operations.completion[operation[completed]]]
            count = np.searchsorted(done, frontier[:, process])
            some = np.flatnonzero((count > 0) & (chains.nodes[nodes, 0] != chain))
            start, end_node = completed[count[some] - 1], nodes[some]
            grown = np.ones(len(some), np.bool_)
            grown[1:] = (start[1:] != start[:-1]) | (chains.nodes[end_node[1:], 0] != chains.nodes[end_node[:-1], 0])
            starts.append(start[grown])
            ends.append(end_node[grown])
    unordered = len(hb.unordered)
    doubt = (
        f"what precedes {unordered} events is not known, so causality may be larger than recorded" if unordered else ""
    )
    if not starts:
        return Edges.of(np.empty(0, np.int32), np.empty(0, np.int32), Tie.MESSAGE), doubt
    return Edges.of(np.concatenate(starts), np.concatenate(ends), Tie.MESSAGE), doubt
