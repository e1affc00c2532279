"""One order of all operations that keeps every session's own and explains every read: found, excluded, or given up."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tracekit.checks.consistency.causal_order import Chains
from tracekit.execution import Budget
from tracekit.history.sessions import AMBIGUOUS, INITIAL
from tracekit.kernels import causal

Int32 = NDArray[np.int32]

ASKED = 256
"""Steps between two looks at the budget."""

MOST_STATES = 2_000_000
"""Dead states that are remembered; about a GiB with ten sessions."""


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a search came to.

    Attributes
    ----------
    order: nodes of the order that was found, or of the longest beginning of one.
    found: whether it is whole. exhausted: whether every order was excluded.
    stopped: the operations that the longest beginning left, first of each chain. states: dead states seen.
    reason: why the search gave up; empty where it did not.
    """

    order: list[int]
    found: bool
    exhausted: bool = False
    stopped: tuple[int, ...] = ()
    states: int = 0
    reason: str = ""


def steps_of(chains: Chains) -> Int32:
    """int32, shape (n, 5): kind, key, value, source and rank of each node, as the kernels want them."""
    history = chains.history
    sessions, entry = history.sessions, chains.entry
    source = chains.nodes[:, 2]
    steps = np.empty((len(entry), 5), np.int32)
    values = np.unique(sessions.value, return_inverse=True)[1].astype(np.int32)[entry]
    may_be_initial = np.isin(sessions.value[entry], sessions.initial)
    kind = np.where(sessions.open[entry], causal.OPEN, causal.WRITE)
    read = ~sessions.write[entry]
    kind[read] = causal.READ
    either = read & (source == AMBIGUOUS)
    kind[either] = np.where(may_be_initial[either], causal.BLANK, causal.EITHER)
    kind[either & sessions.unclear_keys[chains.nodes[:, 1]]] = causal.FREE
    rank = np.empty(len(entry), np.int32)
    row = history.operations.row[sessions.operation[entry]]
    rank[np.argsort(row, kind="stable")] = np.arange(len(entry))
    steps[:, 0], steps[:, 1], steps[:, 2], steps[:, 4] = kind, chains.nodes[:, 1], values, rank
    steps[:, 3] = np.maximum(source, INITIAL)  # -1 in `current` is the initial value as well
    return steps


def search(chains: Chains, lists: tuple[Int32, Int32], budget: Budget) -> Outcome:
    """First in the order of the recording, without going back, O(n k); then depth first over what each session did,
    with dead states remembered: exponential in the sessions at worst. lists: the orders that must hold."""
    steps, (heads, linked) = steps_of(chains), lists
    n = len(steps)
    pending = np.bincount(chains.read_from.start, minlength=n).astype(np.int32)
    current = np.full(len(chains.history.sessions.names), -1, np.int32)
    order = np.empty(n, np.int32)
    count = chains.kernels.sequence(chains.starts, chains.nodes, steps, heads, linked, pending, current, order)
    left = np.ones(n, np.bool_)
    left[order[:count]] = False
    if (steps[left, 0] == causal.OPEN).all():
        return Outcome(order[:count].tolist(), True)
    return _Search(chains, steps, heads, linked, budget).run()


@dataclass
class _Search:
    """Depth first. A state is how far each chain came and the last write of every key.

    A read that fits happens at once: it changes nothing, so no order is lost. Then some write is next; not one that
    would hide what a determined read still has to see.
    """

    chains: Chains
    table: Int32
    heads_of: Int32
    linked: Int32
    budget: Budget
    dead: set[tuple[int, ...]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.steps: list[list[int]] = self.table.tolist()
        self.heads: list[int] = self.heads_of.tolist()
        self.edges: list[list[int]] = self.linked.tolist()
        self.chain: list[int] = self.chains.nodes[:, 0].tolist()
        self.starts: list[int] = self.chains.starts.tolist()
        self.cursor = self.starts[:-1]
        self.current = [-1] * len(self.chains.history.sessions.names)
        self.pending: list[int] = np.bincount(self.chains.read_from.start, minlength=len(self.steps)).tolist()
        self.order: list[int] = []
        self.hidden: list[int] = []  # per write in `order`, what it replaced

    def run(self) -> Outcome:
        longest: tuple[list[int], tuple[int, ...]] = ([], ())
        counter = 0
        self._take_reads()
        stack: list[tuple[list[int], int]] = [(self._choices(), len(self.order))]
        while stack:
            counter += 1
            if self._is_whole():
                return Outcome(list(self.order), True, states=len(self.dead))
            if len(self.order) > len(longest[0]):
                longest = (list(self.order), self._next())
            if counter % ASKED == 0 and (self.budget.left < 0 or len(self.dead) > MOST_STATES):
                what = "the budget ended" if self.budget.left < 0 else "the memory for remembered states is full"
                return Outcome(*longest[:1], False, stopped=longest[1], states=len(self.dead), reason=what)
            choices, mark = stack[-1]
            self._back_to(mark)
            if not choices:
                self.dead.add(self._state())
                stack.pop()
                continue
            self._write(choices.pop())
            self._take_reads()
            if self._state() not in self.dead:
                stack.append((self._choices(), len(self.order)))
        return Outcome(longest[0], False, exhausted=True, stopped=longest[1] or self._next(), states=len(self.dead))

    def _state(self) -> tuple[int, ...]:
        return (*self.cursor, *self.current)

    def _next(self) -> tuple[int, ...]:
        return tuple(u for c, u in enumerate(self.cursor) if u < self.starts[c + 1])

    def _is_whole(self) -> bool:
        # An open write ends its chain, and may never have happened.
        return all(self.steps[u][0] == causal.OPEN for u in self._next())

    def _choices(self) -> list[int]:
        """Writes that may be next, those recorded first at the end."""
        found = [
            u for u in self._next() if self.steps[u][0] <= causal.OPEN and not self._hides(u) and not self._blocked(u)
        ]
        return sorted(found, key=lambda u: -self.steps[u][4])

    def _hides(self, u: int) -> bool:
        now = self.current[self.steps[u][1]]
        return now >= 0 and self.pending[now] > 0

    def _blocked(self, u: int) -> bool:
        e = self.heads[u]
        while e >= 0:
            start, e = self.edges[e]
            if start >= self.cursor[self.chain[start]]:
                return True
        return False

    def _fits(self, u: int) -> bool:
        kind, key, value, source, _ = self.steps[u]
        now = self.current[key]
        if kind == causal.READ:
            return now == source
        if kind == causal.FREE:
            return True
        if now < 0:
            return kind == causal.BLANK
        return self.steps[now][2] == value

    def _take_reads(self) -> None:
        moved = True
        while moved:
            moved = False
            for c in range(len(self.cursor)):
                while (u := self.cursor[c]) < self.starts[c + 1]:
                    if self.steps[u][0] <= causal.OPEN or not self._fits(u) or self._blocked(u):
                        break
                    self._count(u, -1)
                    self.cursor[c] += 1
                    self.order.append(u)
                    moved = True

    def _write(self, u: int) -> None:
        key = self.steps[u][1]
        self.hidden.append(self.current[key])
        self.current[key] = u
        self.cursor[self.chain[u]] += 1
        self.order.append(u)

    def _back_to(self, mark: int) -> None:
        while len(self.order) > mark:
            u = self.order.pop()
            self.cursor[self.chain[u]] -= 1
            if self.steps[u][0] <= causal.OPEN:
                self.current[self.steps[u][1]] = self.hidden.pop()
            else:
                self._count(u, 1)

    def _count(self, u: int, more: int) -> None:
        kind, _, _, source, _ = self.steps[u]
        if kind == causal.READ and source >= 0:
            self.pending[source] += more
