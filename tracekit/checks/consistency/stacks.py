"""A stack with values pushed twice: dynamic programming over frontiers, where few operations are open at once.

A frontier says which operations have happened: all that have completed, and some of the open ones. There are n 2^k of
them, for n operations of which k are open at once. To each belong the stacks that may stand there, perhaps 2^n of them:
two pushes that overlap leave two orders, until somebody pops. So they are not kept one by one, but as a graph, as a
parser keeps its own (Tomita, Efficient Parsing for Natural Language, 1985): a node is a push at a frontier, and below
it lie all nodes that may have been on top just before. A frontier has only the nodes that may be on top. So time and
memory are c^k poly(n), as of the reachability of Lee & Mathur, Fixed parameter tractable linearizability monitoring,
PLDI 2026 (arXiv 2509.05586), which asks for a path through the frontiers that is a run of the stack.

* An operation takes effect when its completion forces it; open ones may go before it. Frontiers are gone through by how
  many have happened, so that what lies below a node is complete before anybody pops it.
* Of open operations that do the same, the one that completes first goes first.

Python, not a kernel: the graph is one of small sets.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tracekit.checks.consistency.cells import Cells
from tracekit.checks.consistency.decided import Broken
from tracekit.checks.consistency.queues import Left
from tracekit.execution import Budget
from tracekit.history.models import ABSENT, UNANSWERED
from tracekit.history.operations import NEVER

MOST = 200_000
"""Tops of frontiers side by side, at which it gives up."""


@dataclass(frozen=True, eq=False, slots=True)
class Node:
    """A member on the stack: the entry that pushed it, its value, and what may lie below it. Equal only to itself."""

    entry: int
    value: int
    below: frozenset[Node]


BOTTOM = Node(-1, -1, frozenset())
"""Below it there is nothing: the stack is empty."""

Tops = frozenset[Node]


def decide_key(cells: Cells, key: int, budget: Budget, name: Callable[[int], str]) -> Broken | Left | None:
    """Judges one stack; None: it is linearizable. Exponential only in operations that are open at once."""
    return _Stack(cells, key, budget, name).run()


class _Stack:
    def __init__(self, cells: Cells, key: int, budget: Budget, name: Callable[[int], str]) -> None:
        calls, a = cells.actions.calls, cells.actions
        assert calls is not None, "stacks are models with calls"
        self.cells, self.budget, self.name = cells, budget, name
        self.function = [calls.functions[f] for f in calls.function.tolist()]
        self.given, self.answer = calls.given.tolist(), calls.answered.tolist()
        self.start, self.end = a.start.tolist(), a.end.tolist()
        self.entries = np.flatnonzero(cells.key == key).tolist()
        ends = [(self.end[e], 1, e) for e in self.entries if self.end[e] != NEVER]
        self.events = sorted([(self.start[e], 0, e) for e in self.entries] + ends)
        self.open: dict[int, int] = {}
        """The open operations, by completion, each with its bit in the masks."""
        self.full = False

    def run(self) -> Broken | Left | None:
        """All events in order of time, invocations before completions of the same moment."""
        frontiers: dict[int, Tops] = {0: frozenset({BOTTOM})}
        for place, (_, completion, entry) in enumerate(self.events):
            if not completion:
                taken = sum(self.open.values())
                self.open[entry] = ~taken & (taken + 1)
                self.open = dict(sorted(self.open.items(), key=lambda item: self.end[item[0]]))
                continue
            after = self._completed(frontiers, entry)
            if self.full or self.budget.left < 0:
                reason = f"more than {MOST:,} tops of stacks" if self.full else self.budget.spent
                return Left(reason, entry, tuple(self.open), place)
            if not after:
                return self._broken(frontiers, entry, place)
            frontiers = after
            del self.open[entry]
        return None

    def _completed(self, frontiers: dict[int, Tops], entry: int) -> dict[int, Tops]:
        """The frontiers in which the completing operation has happened, others before it."""
        own = self.open[entry]
        found = {mask & ~own: tops for mask, tops in frontiers.items() if mask & own}
        layers: list[dict[int, set[Node]]] = [{} for _ in range(len(self.open) + 1)]
        for mask, tops in frontiers.items():
            if not mask & own:
                layers[mask.bit_count()][mask] = set(tops)
        for size, layer in enumerate(layers):
            self.full = sum(map(len, layer.values())) > MOST
            following = layers[min(size + 1, len(layers) - 1)]
            for mask, gathered in layer.items():
                self.full = self.full or len(following) > MOST
                if self.full or self.budget.left < 0:
                    return {}
                top = frozenset(gathered)
                for op, bit in self._next(mask):
                    after = self._after(op, top)
                    if after and op == entry:
                        found[mask] = found.get(mask, frozenset()) | after
                    elif after:
                        following.setdefault(mask | bit, set()).update(after)
        return found

    def _next(self, mask: int) -> list[tuple[int, int]]:
        """The open operations that have not happened; of those that do the same only the first to complete."""
        first: dict[tuple[str, int, int], tuple[int, int]] = {}
        for op, bit in self.open.items():
            if not mask & bit:
                first.setdefault((self.function[op], self.given[op], self.answer[op]), (op, bit))
        return list(first.values())

    def _after(self, op: int, tops: Tops) -> Tops:
        """What may be on top after an operation; nothing where it cannot happen."""
        if self.function[op] == "push":
            return frozenset({Node(op, self.given[op], tops)})
        answer = self.answer[op]
        if answer == ABSENT:
            return tops & {BOTTOM}
        chosen = [top for top in tops if answer in (top.value, UNANSWERED)]
        if self.function[op] == "peek":
            return frozenset(chosen)
        return frozenset().union(*(top.below if top is not BOTTOM else {BOTTOM} for top in chosen))

    def _broken(self, frontiers: dict[int, Tops], entry: int, place: int) -> Broken:
        calls, cells = self.cells.actions.calls, self.cells
        assert calls is not None, "stacks are models with calls"
        tops = sorted({top for tops in frontiers.values() for top in tops}, key=lambda top: top.entry)
        told = dict.fromkeys(
            "it was empty" if top is BOTTOM else f"the top was {calls.values.text(top.value)}" for top in tops
        )
        text = (
            f"{self.name(entry)} at {cells.name(int(cells.key[entry]))} cannot have happened before it completed: in "
            f"every order of the operations before it that their answers allow, {' or '.join([*told][:3])}"
            f"{f' or {len(told) - 3} others' if len(told) > 3 else ''}."
        )
        sources = [e for e in self.entries if self.function[e] == "push" and self.given[e] == self.answer[entry]]
        shown = [e for e in sources if self.start[e] <= self.end[entry]][-2:]
        shown += [top.entry for top in tops if top is not BOTTOM][-3:]
        core = (*dict.fromkeys(e for e in shown if e != entry), entry)
        ties = [(a, b, "ended before it began") for a in core for b in core if self.end[a] < self.start[b]]
        done = sum(completion for _, completion, _ in self.events[:place])
        facts = {"operations_before": done, "minimal": False, "open_then_total": len(self.open) - 1}
        return Broken("no-linearization", text, core, tuple(ties), entry, facts)
