"""Cycles and paths through sessions with few steps between them, and violations of causal consistency in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracekit.checks.consistency.causal_order import Chains, Edges, Tie
from tracekit.results import Edge, Violation

Int32 = NDArray[np.int32]

SEEDS = 20
"""Nodes of a cycle from which a shorter one is looked for."""

MOST_EVENTS = 30
"""Operations that a witness may show; what they do not explain is still named by its edge."""


@dataclass(frozen=True, eq=False)
class Paths:
    """Ways through chains and edges with the fewest edges between chains.

    Parameters
    ----------
    chains: the nodes. edges: between chains; only the first `known` of them count.
    """

    chains: Chains
    edges: Edges
    known: int

    def fewest(self, start: int, target: int) -> list[int] | None:
        """The edges of a way from one node to another, over at least one edge; None where there is none.

        Breadth first; of each chain only the earliest node that a step reached leads on. O(edges) in all.
        """
        order = np.argsort(self.edges.start[: self.known], kind="stable")
        source, end = self.edges.start[order], self.edges.end[order]
        chain = self.chains.nodes[:, 0]
        top = self.chains.starts[1:].copy()  # what lies behind was explored
        steps: list[tuple[int, int, int]] = [(start, -1, -1)]  # node, its edge, the step before
        level = [0]
        while level:
            following: dict[int, tuple[int, int, int]] = {}
            for at in level:
                node = steps[at][0]
                c = int(chain[node])
                if node >= top[c]:
                    continue
                low, high = np.searchsorted(source, [node, top[c]])
                top[c] = node
                reached = end[low:high]
                home = np.flatnonzero((chain[reached] == chain[target]) & (reached <= target))
                if len(home):
                    return self._back(steps, at, int(order[low + home[0]]))
                first = np.lexsort((reached, chain[reached]))
                grouped = chain[reached[first]]
                for i in first[np.flatnonzero(np.diff(grouped, prepend=-1))].tolist():
                    to = int(reached[i])
                    other = int(chain[to])
                    if to < top[other] and (other not in following or to < following[other][0]):
                        following[other] = (to, int(order[low + i]), at)
            level = []
            for step in following.values():
                level.append(len(steps))
                steps.append(step)
        return None

    def _back(self, steps: list[tuple[int, int, int]], at: int, last: int) -> list[int]:
        out = [last]
        while steps[at][1] >= 0:
            out.append(steps[at][1])
            at = steps[at][2]
        return out[::-1]

    def short_cycle(self, cursor: Int32, waits: Int32) -> list[int]:
        """The edges of a cycle, where an order stopped at `cursor`, waiting for `waits`.

        Chains that stopped wait for each other in a circle; from each of its nodes the way back to itself with the
        fewest edges is looked for.
        """
        chain = int(np.flatnonzero(waits >= 0)[0])
        seen: list[int] = []
        while chain not in seen:
            seen.append(chain)
            chain = int(self.chains.nodes[waits[chain], 0])
        circle = seen[seen.index(chain) :]
        ways = [self.fewest(int(cursor[c]), int(cursor[c])) for c in circle[:SEEDS]]
        found = [way for way in ways if way is not None]
        return min(found, key=len)


@dataclass(frozen=True, eq=False)
class Story:
    """A violation about nodes: gathers events and ties, and tells them."""

    chains: Chains
    edges: Edges

    def cycle(self, anomaly: str, text: str, cursor: Int32, waits: Int32) -> Violation:
        """Operations each of which must come before the next, and the last before the first."""
        paths = Paths(self.chains, self.edges, len(self.edges))
        cycle = paths.short_cycle(cursor, waits)
        return self.told(anomaly, text + self._round(cycle), self._closed(cycle), self._needed(cycle), cycle)

    def pair(
        self, anomaly: str, text: str, ways: Sequence[tuple[int, int]], ties: Sequence[tuple[int, int, str]] = ()
    ) -> Violation:
        """Nodes of which the first of each pair comes before the second, and what else ties nodes together."""
        used: list[int] = []
        steps: list[tuple[int, int, str]] = list(ties)
        for start, end in ways:
            way = self.way(start, end, len(self.edges))
            steps += way[0]
            used += way[1]
        return self.told(anomaly, text, steps, self._needed(used), used)

    def way(self, start: int, end: int, known: int) -> tuple[list[tuple[int, int, str]], list[int]]:
        """The ties of a way from one node to another, and the edges that it takes."""
        chain = self.chains.nodes[:, 0]
        if chain[start] == chain[end] and start < end:
            return [(start, end, "same session")], []
        if not known:
            return [], []
        edges = Paths(self.chains, self.edges, known).fewest(start, end) or []
        steps, at = [], start
        for e in edges:
            if at != self.edges.start[e]:
                steps.append((at, int(self.edges.start[e]), "same session"))
            steps.append(self._tie(e))
            at = int(self.edges.end[e])
        if at != end and edges:
            steps.append((at, end, "same session"))
        return steps, edges

    def told(
        self,
        anomaly: str,
        text: str,
        steps: Sequence[tuple[int, int, str]],
        more: Sequence[tuple[int, int, str]],
        used: Sequence[int],
    ) -> Violation:
        """The violation: its own steps first, then what explains their conflicts."""
        history = self.chains.history
        kept: list[tuple[int, int, str]] = []
        shown: set[int] = set()
        for step in [*steps, *more]:
            if step in kept or (len(shown | set(step[:2])) > MOST_EVENTS and len(kept) >= len(steps)):
                continue
            kept.append(step)
            shown |= set(step[:2])
        entries = {node: int(self.chains.entry[node]) for node in shown}
        rows = {node: history.row(entry) for node, entry in entries.items()}
        witness = history.execution.witness([(rows[u], history.verb(entries[u])) for u in self._ordered(kept, rows)])
        edges: list[Edge] = []
        for start, end, reason in kept:
            edge = history.execution.edge(rows[start], rows[end], reason)
            if edge not in edges:
                edges.append(edge)
        keys = sorted({int(self.chains.nodes[u, 1]) for u in shown})
        facts: dict[str, Any] = {
            "keys": [history.sessions.names[k] for k in keys[:10]],
            "clients": sorted({history.client(e) for e in entries.values()}),
        }
        if used:
            facts["edges_between_sessions"] = len(used)
        return Violation(anomaly, text, witness, tuple(edges), facts)

    def _ordered(self, steps: Sequence[tuple[int, int, str]], rows: dict[int, int]) -> list[int]:
        """The nodes in file order, where that keeps each session's own order: then happens-before is kept as well."""
        return sorted(rows, key=lambda u: (rows[u], u))

    def _closed(self, cycle: list[int]) -> list[tuple[int, int, str]]:
        steps = []
        for e, following in zip(cycle, [*cycle[1:], cycle[0]], strict=True):
            steps.append(self._tie(e))
            arrived, leaves = int(self.edges.end[e]), int(self.edges.start[following])
            if arrived != leaves:
                steps.append((arrived, leaves, "same session"))
        return steps

    def _tie(self, e: int) -> tuple[int, int, str]:
        start, end, tie = int(self.edges.start[e]), int(self.edges.end[e]), Tie(self.edges.tie[e])
        if tie is Tie.CONFLICT:
            reader = self.chains.history.client(int(self.chains.entry[self.edges.read[e]]))
            return start, end, f"conflict: {reader} had seen the first when it read the second"
        if tie is Tie.REPLACED:
            return start, end, "conflict: the write replaced what was read"
        reasons = {Tie.SESSION: "same session", Tie.READ_FROM: "read-from", Tie.MESSAGE: "message"}
        return start, end, reasons[tie]

    def _needed(self, edges: Sequence[int]) -> list[tuple[int, int, str]]:
        """What explains the conflicts among some edges: the read that forces each, and why it had seen the first."""
        steps: list[tuple[int, int, str]] = []
        todo, seen = [e for e in edges if self.edges.tie[e] >= Tie.CONFLICT], set(edges)
        while todo:
            e = todo.pop(0)
            read, source = int(self.edges.read[e]), int(self.chains.nodes[self.edges.read[e], 2])
            steps += [(source, read, "read-from")] if source >= 0 else []
            # The write was before the read, or after the one that was read; before it is nothing but the initial value.
            replaced = self.edges.tie[e] == Tie.REPLACED
            between = (source, int(self.edges.end[e])) if replaced else (int(self.edges.start[e]), read)
            way, used = self.way(*between, int(self.edges.known[e])) if between[0] >= 0 else ([], [])
            steps += way
            todo += [u for u in used if u not in seen and self.edges.tie[u] >= Tie.CONFLICT]
            seen |= set(used)
        return steps

    def _round(self, cycle: list[int]) -> str:
        """``s1's write of 2 at key x, then ..., then s1's write of 2 at key x again``."""
        history = self.chains.history
        nodes = [int(self.edges.end[e]) for e in cycle]
        names = [history.name(int(self.chains.entry[u])) for u in nodes[:4]]
        more = f" and {len(nodes) - 4} more" if len(nodes) > 4 else ""
        return ", ".join(names) + more + (" comes before itself." if len(nodes) == 1 else ", and so round again.")
