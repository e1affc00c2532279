"""Chooses, key by key, the method that decides it, and says which and why.

Where a store numbered its changes, that order may be one. Zones and containers need values that are written, or
inserted, once; of other queues and stacks no order of members is fixed before one leaves; all others are searched.
Where clocks may differ, `skewed` judges.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from tracekit.checks.consistency import containers, queues, search, stacks, zones
from tracekit.checks.consistency import revisions as revisions_module
from tracekit.checks.consistency.cells import Cells, of_keys, written_once
from tracekit.checks.consistency.decided import Broken, Decided
from tracekit.checks.consistency.revisions import Revisions
from tracekit.execution import Budget
from tracekit.history.models import ANY, Choice
from tracekit.history.operations import NEVER

Bool = NDArray[np.bool_]

LONG = 60
"""Queues and stacks of more operations have methods of their own; the search gives shorter ones an order or a core."""

SWEEPS: Mapping[str, tuple[str, str, Callable[..., Broken | queues.Left | None]]] = {
    "queue": ("queues", "sweep of queues (a value enqueued twice)", queues.decide_key),
    "stack": ("stacks", "dynamic programming over frontiers (a value pushed twice, or a peek)", stacks.decide_key),
}
"""By model: a name for facts, the method and why, and the function that judges one key."""


@dataclass(frozen=True, eq=False)
class Part:
    """Some of the cells, and what one method found of them.

    Attributes
    ----------
    name: as in facts: ``keys_by_queues``.
    method: which method, and why that one.
    undecided: keys that it had to leave.
    """

    name: str
    method: str
    cells: Cells
    decided: Decided
    undecided: Mapping[int, search.Undecided] = field(default_factory=dict)

    @property
    def keys(self) -> int:
        """How many keys it judged."""
        return len(np.unique(self.cells.key))


@dataclass(frozen=True, eq=False)
class Judged:
    """The cells and what each method found; each method has parts of the cells of its own.

    Attributes
    ----------
    zone_cells, zoned: registers of unique values.
    search_cells, searched: all that no other method takes.
    parts: the other methods.
    against: keys that the order of revisions does not explain, where that alone decides nothing.
    """

    cells: Cells
    zone_cells: Cells
    zoned: zones.Zoned
    search_cells: Cells
    searched: search.Searched
    parts: tuple[Part, ...] = ()
    against: tuple[int, ...] = ()

    @property
    def violated(self) -> Bool:
        """Shape (keys,): keys without a linearization."""
        wrong = np.zeros(len(self.cells), np.bool_)
        wrong[[*self.zoned.counts, *self.searched.stuck]] = True
        for part in self.parts:
            wrong[list(part.decided.broken)] = True
        return wrong

    @property
    def undecided(self) -> dict[int, tuple[Cells, search.Undecided]]:
        """By key that a method had to leave, the cells that its entries are of, and how it stood."""
        found = {key: (self.search_cells, left) for key, left in self.searched.undecided.items()}
        for part in self.parts:
            found |= {key: (part.cells, left) for key, left in part.undecided.items()}
        return found

    def count(self, key: int) -> int:
        """How many mistakes were found at a key."""
        return self.zoned.counts.get(key, 0) or max((p.decided.counts.get(key, 1) for p in self.parts), default=1)

    @property
    def keys_by(self) -> dict[str, int]:
        """How many keys each method judged."""
        zoned, searched = (len(np.unique(cells.key)) for cells in (self.zone_cells, self.search_cells))
        return {"zones": zoned, **{part.name: part.keys for part in self.parts if part.method}, "search": searched}

    @property
    def method(self) -> str:
        """Which method decided how many keys, and why that one."""
        texts = {
            "zones": "zones (unique values)",
            "search": f"search ({self._why()}; {self.searched.widest} open at once)",
        }
        texts |= {part.name: part.method for part in self.parts}
        counted = [(n, texts[name]) for name, n in self.keys_by.items()]
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


def judge(
    cells: Cells, choice: Choice, budget: Budget, name: Callable[[int], str], revisions: Revisions | None = None
) -> Judged:
    """Judges every key by the method that suits it. name: how an operation of the cells is called in a sentence.

    revisions: where the store numbered its changes; they find an order, or, if the model has them asserted, are one.
    """
    left = np.ones(len(cells), np.bool_)
    unique = np.zeros(len(cells), np.bool_) if cells.actions.calls is not None else written_once(cells)
    numbered, against = _numbered(cells, choice, revisions, unique, name)
    left &= ~_having(cells, numbered.cells)
    unique &= left
    contained = _contained(cells, choice, containers.decidable(cells, choice))
    left &= ~unique & ~_having(cells, contained.cells)
    long = np.zeros(len(cells), np.bool_)
    if choice.model.name in SWEEPS:
        long = left & (np.bincount(cells.key, minlength=len(cells)) > LONG)
    swept = _swept(of_keys(cells, long), choice.model.name, budget, _renamed(cells, long, name))
    zone_cells, search_cells = of_keys(cells, unique), of_keys(cells, left & ~long)
    searched = search.decide(search_cells, budget)
    parts = (numbered, contained, swept)
    return Judged(cells, zone_cells, zones.decide(zone_cells), search_cells, searched, parts, against)


def _having(cells: Cells, part: Cells) -> Bool:
    keys = np.zeros(len(cells), np.bool_)
    keys[part.key] = True
    return keys


def _renamed(cells: Cells, chosen: Bool, name: Callable[[int], str]) -> Callable[[int], str]:
    """How an operation of some of the keys is called, by its place among those."""
    places = np.flatnonzero(chosen[cells.key])
    return lambda entry: name(int(places[entry]))


def _numbered(
    cells: Cells, choice: Choice, revisions: Revisions | None, unique: Bool, name: Callable[[int], str]
) -> tuple[Part, tuple[int, ...]]:
    """Keys decided by the store's own order. Zones need no help, unless the order is asserted."""
    chosen = np.zeros(len(cells), np.bool_)
    decided = Decided()
    if revisions is not None:
        chosen = np.ones(len(cells), np.bool_) if choice.revision_asserts else ~unique
        decided = revisions_module.decide(of_keys(cells, chosen), revisions, _renamed(cells, chosen, name))
    kept = np.zeros(len(cells), np.bool_)
    kept[list(decided.orders)] = True
    against = tuple(decided.broken)
    if choice.revision_asserts:
        kept[list(decided.broken)] = True
        against = ()
    moved = _moved(decided, cells, chosen, kept)
    return Part("revisions", "order of revisions (the store's own)", of_keys(cells, kept), moved), against


def _moved(decided: Decided, cells: Cells, chosen: Bool, kept: Bool) -> Decided:
    """The keys kept, in entries of those alone."""
    place = (np.cumsum(kept[cells.key]) - 1)[np.flatnonzero(chosen[cells.key])]

    def moved(found: Broken) -> Broken:
        ties = tuple((int(place[a]), int(place[b]), reason) for a, b, reason in found.ties)
        core = tuple(int(place[e]) for e in found.core)
        return replace(found, core=core, ties=ties, breaks=int(place[found.breaks]))

    return Decided(
        broken={key: moved(found) for key, found in decided.broken.items() if kept[key]},
        orders={key: place[order] for key, order in decided.orders.items() if kept[key]},
    )


def _contained(cells: Cells, choice: Choice, simple: Bool) -> Part:
    """Containers without duplicates; what the method cannot decide after all is not in its cells."""
    decided = containers.decide(of_keys(cells, simple), choice)
    if decided.left:
        simple[list(decided.left)] = False
        decided = containers.decide(of_keys(cells, simple), choice)
    return Part("containers", "decrease and conquer (no value inserted twice)", of_keys(cells, simple), decided)


def _swept(cells: Cells, model: str, budget: Budget, name: Callable[[int], str]) -> Part:
    """Short keys first, so that an exhausted budget leaves as few undecided as possible."""
    called, method, decide_key = SWEEPS.get(model, ("sweeps", "", queues.decide_key))
    decided, left = Decided(), {}
    sizes = np.bincount(cells.key, minlength=len(cells))
    for key in np.flatnonzero(sizes)[np.argsort(sizes[sizes > 0], kind="stable")].tolist():
        found = decide_key(cells, key, budget, name)
        if isinstance(found, Broken):
            decided.broken[key] = found
        elif found is not None:
            a = cells.actions
            crashed = sum(int(a.end[e]) == NEVER for e in found.open)
            since = min(found.open, key=lambda e: int(a.start[e]), default=found.entry)
            left[key] = search.Undecided(found.reason, found.entry, since, len(found.open), crashed, found.decided)
    return Part(called, method, cells, decided, left)
