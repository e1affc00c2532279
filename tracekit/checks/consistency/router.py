"""Chooses, key by key, the method that decides it, and says which and why.

Zones and containers need values that are written, or inserted, once; the sweep of queues fixes no order of members
before a dequeue shows it; all others are searched. Where clocks may differ, `skewed` judges.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tracekit.checks.consistency import containers, queues, search, zones
from tracekit.checks.consistency.cells import Cells, of_keys, written_once
from tracekit.checks.consistency.decided import Broken, Decided
from tracekit.execution import Budget
from tracekit.history.models import ANY, Choice
from tracekit.history.operations import NEVER

Bool = NDArray[np.bool_]

LONG_QUEUE = 60
"""Queues of more operations are left to the sweep of queues; the search gives shorter ones a certificate and a core."""


@dataclass(frozen=True, eq=False)
class Judged:
    """The cells and what each method found; each method has parts of the cells of its own.

    Attributes
    ----------
    zone_cells, zoned: registers of unique values.
    container_cells, contained: containers without duplicates.
    queue_cells, queued, queues_left: long queues with duplicates; those that the sweep had to leave.
    search_cells, searched: all others.
    """

    cells: Cells
    zone_cells: Cells
    zoned: zones.Zoned
    container_cells: Cells
    contained: Decided
    search_cells: Cells
    searched: search.Searched
    queue_cells: Cells | None = None
    queued: Decided = field(default_factory=Decided)
    queues_left: dict[int, search.Undecided] = field(default_factory=dict)

    @property
    def violated(self) -> Bool:
        """Shape (keys,): keys without a linearization."""
        wrong = np.zeros(len(self.cells), np.bool_)
        wrong[[*self.zoned.counts, *self.contained.broken, *self.searched.stuck, *self.queued.broken]] = True
        return wrong

    @property
    def undecided(self) -> dict[int, tuple[Cells, search.Undecided]]:
        """By key that a method had to leave, the cells that its entries are of, and how it stood."""
        found = {key: (self.search_cells, left) for key, left in self.searched.undecided.items()}
        if self.queue_cells is not None:
            found |= {key: (self.queue_cells, left) for key, left in self.queues_left.items()}
        return found

    def count(self, key: int) -> int:
        """How many mistakes were found at a key."""
        return self.zoned.counts.get(key, 0) or self.contained.counts.get(key, 1)

    @property
    def method(self) -> str:
        """Which method decided how many keys, and why that one."""
        parts = [
            (self.zone_cells, "zones (unique values)"),
            (self.container_cells, "decrease and conquer (no value inserted twice)"),
            (self.queue_cells, "sweep of queues (a value enqueued twice)"),
            (self.search_cells, f"search ({self._why()})"),
        ]
        counted = [(len(np.unique(cells.key)), text) for cells, text in parts if cells is not None]
        return "; ".join(f"{text}: {n} key{'s' if n > 1 else ''}" for n, text in counted if n) or "nothing to judge"

    def _why(self) -> str:
        actions = self.search_cells.actions
        if actions.calls is not None:
            return "a model with a step function"
        reasons = []
        if ((actions.equals != ANY) & (actions.effect != ANY)).any() or (actions.differs != ANY).any():
            reasons.append("cas")
        if (actions.argument != ANY).any():
            reasons.append("append")
        return " and ".join(reasons) or "a value written twice"


def judge(cells: Cells, choice: Choice, budget: Budget, name: Callable[[int], str]) -> Judged:
    """Judges every key by the method that suits it. name: how an operation of the cells is called in a sentence."""
    unique = np.zeros(len(cells), np.bool_) if cells.actions.calls is not None else written_once(cells)
    simple = containers.decidable(cells, choice)
    contained = containers.decide(of_keys(cells, simple), choice)
    if contained.left:
        simple[list(contained.left)] = False
        contained = containers.decide(of_keys(cells, simple), choice)
    queue = np.zeros(len(cells), np.bool_)
    if choice.model.name == "queue":
        queue = ~simple & (np.bincount(cells.key, minlength=len(cells)) > LONG_QUEUE)
    parts = [of_keys(cells, chosen) for chosen in (unique, simple, queue, ~unique & ~simple & ~queue)]
    places = np.flatnonzero(queue[cells.key])
    queued, left = _queues(parts[2], budget, lambda entry: name(int(places[entry])))
    searched = search.decide(parts[3], budget)
    return Judged(
        cells, parts[0], zones.decide(parts[0]), parts[1], contained, parts[3], searched, parts[2], queued, left
    )


def _queues(cells: Cells, budget: Budget, name: Callable[[int], str]) -> tuple[Decided, dict[int, search.Undecided]]:
    """Short queues first, so that an exhausted budget leaves as few undecided as possible."""
    decided, left = Decided(), {}
    sizes = np.bincount(cells.key, minlength=len(cells))
    for key in np.flatnonzero(sizes)[np.argsort(sizes[sizes > 0], kind="stable")].tolist():
        found = queues.decide_key(cells, key, budget, name)
        if isinstance(found, Broken):
            decided.broken[key] = found
        elif found is not None:
            a = cells.actions
            crashed = sum(int(a.end[e]) == NEVER for e in found.open)
            since = min(found.open, key=lambda e: int(a.start[e]), default=found.entry)
            left[key] = search.Undecided(found.reason, found.entry, since, len(found.open), crashed, found.decided)
    return decided, left
