"""Chooses, key by key, the method that decides it, and says which and why."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tracekit.checks.consistency import containers, search, zones
from tracekit.checks.consistency.cells import Cells, of_keys, written_once
from tracekit.checks.consistency.decided import Decided
from tracekit.execution import Budget
from tracekit.history.models import ANY, Choice

Bool = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Judged:
    """The cells and what each method found; each method has parts of the cells of its own.

    Attributes
    ----------
    zone_cells, zoned: registers of unique values.
    container_cells, contained: containers without duplicates.
    search_cells, searched: all others.
    """

    cells: Cells
    zone_cells: Cells
    zoned: zones.Zoned
    container_cells: Cells
    contained: Decided
    search_cells: Cells
    searched: search.Searched

    @property
    def violated(self) -> Bool:
        """Shape (keys,): keys without a linearization."""
        wrong = np.zeros(len(self.cells), np.bool_)
        wrong[[*self.zoned.counts, *self.contained.broken, *self.searched.stuck]] = True
        return wrong

    def count(self, key: int) -> int:
        """How many mistakes were found at a key."""
        return self.zoned.counts.get(key, 0) or self.contained.counts.get(key, 1)

    @property
    def method(self) -> str:
        """Which method decided how many keys, and why that one."""
        parts = [
            (self.zone_cells, "zones (unique values)"),
            (self.container_cells, "decrease and conquer (no value inserted twice)"),
            (self.search_cells, f"search ({self._why()})"),
        ]
        counted = [(len(np.unique(cells.key)), text) for cells, text in parts]
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


def judge(cells: Cells, choice: Choice, budget: Budget) -> Judged:
    """Unique values go to the zones, unambiguous containers to theirs, all others to the search."""
    unique = np.zeros(len(cells), np.bool_) if cells.actions.calls is not None else written_once(cells)
    simple = containers.decidable(cells, choice)
    contained = containers.decide(of_keys(cells, simple), choice)
    if contained.left:
        simple[list(contained.left)] = False
        contained = containers.decide(of_keys(cells, simple), choice)
    parts = [of_keys(cells, chosen) for chosen in (unique, simple, ~unique & ~simple)]
    zoned = zones.decide(parts[0])
    return Judged(cells, parts[0], zoned, parts[1], contained, parts[2], search.decide(parts[2], budget))
