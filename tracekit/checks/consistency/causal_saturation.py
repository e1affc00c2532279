"""What reads force: conflicts between writes of one key, added to an order until none is new or a cycle closes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tracekit.checks.consistency.causal_order import ALL, NOBODY, CausalOrder, Chains, Edges, Tie, lists
from tracekit.execution import Budget

Int32 = NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Saturated:
    """An order with the conflicts that reads force in it.

    Attributes
    ----------
    edges: all edges between chains, conflicts last; empty where nothing is wrong.
    cursor, waits: as of `CausalOrder`: where a cycle stopped it; waits is -1 everywhere where it is acyclic.
    missed: nodes of a read of an initial value and of a write of its key before it; None where there is none.
    rounds: how often conflicts were looked for. finished: whether the budget sufficed.
    lists: all edges, of `saturate` without reads-from, as the kernels want them; None where it found something wrong.
    past: of each node how many operations must come before it, itself included, where one order is to hold for all.
    """

    edges: Edges
    cursor: Int32
    waits: Int32
    missed: tuple[int, int] | None = None
    rounds: int = 1
    finished: bool = True
    lists: tuple[Int32, Int32] | None = None
    past: NDArray[np.int64] | None = None

    @property
    def cyclic(self) -> bool:
        """Whether something must come before itself."""
        return bool((self.waits >= 0).any())


def with_conflicts(order: CausalOrder) -> Saturated:
    """Causality and, once, every conflict that it forces: an edge from each write in the past of a read of its key to
    the write that was read (the relation CF of Bouajjani et al.). O(n k log n)."""
    chains = order.chains
    found = _conflicts(chains, order.heads, order.linked, order.clocks, chains.readers, order.reader, None)
    edges = order.edges.with_conflicts(found[found[:, 1] >= 0])
    heads, linked = lists(edges, len(chains.nodes))
    clocks, cursor, waits = np.empty_like(order.clocks), np.empty_like(order.cursor), np.empty_like(order.waits)
    starts, ends = chains.starts[:-1], chains.starts[1:]
    # Reads-from is among the edges already, where it counts.
    chains.kernels.clocks(starts, ends, chains.nodes, heads, linked, clocks, cursor, waits, NOBODY)
    return Saturated(edges, cursor, waits, lists=(heads, linked))


def saturate(
    chains: Chains,
    of_chains: list[int],
    reader: int,
    extra: Edges,
    budget: Budget,
    begun: tuple[Int32, Int32] | None = None,
    total: bool = False,
) -> Saturated:
    """The least order that has what is given and all conflicts that the reads of some chains force in it. O(n k) a
    round. Of one chain it is HB of Bouajjani et al., for the chain's last operation.

    Parameters
    ----------
    total: one order is to hold for all, so a read also comes before the writes that come after the one it read.
    reader: whose reads come after their writes (see `tracekit.kernels.causal`).
    extra: edges beside chains and reads-from.
    begun: the clocks of the order without conflicts, and where the past of a chain's last operation ends in each
        chain, where these are known; else everything is looked at.
    """
    n, k = len(chains.nodes), chains.count
    heads, linked = lists(extra, n)
    used, parts = len(extra), list[Int32]()
    starts = chains.starts[:-1]
    ends = chains.starts[1:].copy()
    cursor, waits = np.empty(k, np.int32), np.full(k, -1, np.int32)
    own = np.empty((chains.slots, k), np.int32)
    clocks = None
    if begun is not None:
        clocks, ends = begun[0], np.maximum(begun[1], starts)
    nodes_within = int((ends.astype(np.int64) - starts).sum())
    rounds = 0
    while True:
        if clocks is None:
            ordered = chains.kernels.clocks(starts, ends, chains.nodes, heads, linked, own, cursor, waits, reader)
            if ordered < nodes_within:
                return Saturated(_explained(chains, reader, extra, parts), cursor, waits, rounds=rounds)
        rounds += 1
        found = _conflicts(chains, heads, linked, own if clocks is None else clocks, of_chains, reader, budget)
        clocks = None
        waits[:] = -1
        if total:
            found = np.concatenate([found[found[:, 1] >= 0], _followers(chains, own, of_chains, budget)])
        initial = np.flatnonzero(found[:, 1] < 0)
        if len(initial):
            first = found[initial[0]]
            missed = (int(first[2]), int(first[0]))
            return Saturated(_explained(chains, reader, extra, parts), cursor, waits, missed, rounds)
        if not len(found) or budget.left < 0:
            done = not len(found) and budget.left >= 0
            past = _past(own, starts) if total else None
            return Saturated(extra, cursor, waits, rounds=rounds, finished=done, lists=(heads, linked), past=past)
        found = found[np.unique(found[:, 0].astype(np.int64) * n + found[:, 1], return_index=True)[1]]
        parts.append(found)
        if used + len(found) > len(linked):
            linked = np.concatenate([linked, np.empty((used + 2 * len(found), 2), np.int32)])
        chains.kernels.link(found, heads, linked, used)
        used += len(found)


def _past(clocks: Int32, starts: Int32) -> NDArray[np.int64]:
    """How many nodes are in each clock's past; column by column, since clocks may take gigabytes."""
    out = np.zeros(len(clocks), np.int64)
    for chain, start in enumerate(starts.tolist()):
        out += np.maximum(clocks[:, chain] - start, 0)
    return out


def _explained(chains: Chains, reader: int, extra: Edges, found: list[Int32]) -> Edges:
    """All edges that a saturation went by, each round's conflicts behind those of the rounds before."""
    read_from = chains.read_from
    own = np.flatnonzero((reader == ALL) | (chains.nodes[read_from.end, 0] == reader))
    edges = extra + Edges.of(read_from.start[own], read_from.end[own], Tie.READ_FROM)
    for part in found:
        edges = edges.with_conflicts(part)
    return edges


def _conflicts(
    chains: Chains,
    heads: Int32,
    linked: Int32,
    clocks: Int32,
    of_chains: list[int],
    reader: int,
    budget: Budget | None,
) -> Int32:
    """int32, shape (e, 3): edges that the reads of some chains force: from, to (-1: the initial value), read; of as
    many chains as the budget lets."""
    found = np.empty((1024, 3), np.int32)
    count = 0
    for chain in of_chains:
        if budget is not None and budget.left < 0:
            break
        while True:
            after = chains.kernels.conflicts(
                chains.nodes, heads, linked, clocks, chains.key_groups, chains.groups, chains.members, found,
                *chains.span(chain), reader, count,
            )  # fmt: skip
            if after <= len(found):
                break
            found = np.concatenate([found[:count], np.empty((2 * after - count, 3), np.int32)])
        count = after
    return found[:count]


def _followers(chains: Chains, clocks: Int32, of_chains: list[int], budget: Budget) -> Int32:
    """int32, shape (e, 3): edges from reads to the writes that replaced what they read, as `_conflicts`."""
    found = np.empty((1024, 3), np.int32)
    count = 0
    for chain in of_chains:
        if budget.left < 0:
            break
        while True:
            after = chains.kernels.followers(
                chains.nodes,
                clocks,
                chains.key_groups,
                chains.groups,
                chains.members,
                found,
                *chains.span(chain),
                count,
            )
            if after <= len(found):
                break
            found = np.concatenate([found[:count], np.empty((2 * after - count, 3), np.int32)])
        count = after
    return found[:count]
