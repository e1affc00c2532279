"""The few operations that a violation rests on: a core that is minimal under relaxing.

The history is cut at a moment before it broke. What came before is summed up in the states that were possible then; an
operation that was open at the cut may still take effect at any time, or never. Of the operations that began since,
those of the core keep their moments and answers; the others are relaxed: they may take effect at any time, or never,
with any answer. None is deleted: without a write, a read of its value would be wrong by itself. The core has no
linearization from any of the states, and would have one if any single operation of it were relaxed as well. The cut is
the latest of a few (16 events before the break, 64, 256, ...) from which the history still breaks.

Relaxing more never makes a history less linearizable, so what one pass cannot relax, a later pass cannot either: one
pass over single operations, after ones over halves, quarters, ..., ends with a core of which none can be spared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tracekit.checks.consistency import search
from tracekit.checks.consistency.cells import Cells, selected, without_unobserved
from tracekit.checks.consistency.search import Stuck
from tracekit.execution import Budget
from tracekit.history.models import ANY, COMPUTED, States
from tracekit.history.operations import BEGINNING, NEVER

Int64 = NDArray[np.int64]
Bool = NDArray[np.bool_]

NEAREST = 16
"""Events between the break and the cut that is tried first."""

MEMORY = 2**26
"""Bytes that the configurations of one attempt may take."""

MOST_STATES = 100
"""With more states than these before it, a cut explains nothing; an earlier one is taken."""


@dataclass(frozen=True)
class Core:
    """Why a key has no linearization. Entries are those of `Cells.actions`.

    Attributes
    ----------
    entries: the core, in order of completion; its last operation is the one that found no place.
    relaxed: the other operations that were open or began since the cut.
    states: codes of the states possible at the cut.
    completed: operations of the key that had completed before the cut.
    minimal: whether the core was shown to be so; else the budget ended.
    """

    entries: tuple[int, ...]
    relaxed: tuple[int, ...]
    states: tuple[int, ...]
    completed: int
    minimal: bool


def core_of(cells: Cells, stuck: Stuck, budget: Budget, scale: int, nearest: int = NEAREST) -> Core | None:
    """The core of a key that broke at an operation; None where the limits leave no more than the whole history.

    scale: as in `search.decide`. nearest: how many events before the break the first cut is.
    """
    part, entries = _until(cells, stuck)
    events = search.timeline(part)
    place = int(np.flatnonzero(events == 2 * int(np.flatnonzero(entries == stuck.entry)[0]) + 1)[0])
    invoked, completed = (np.full(len(entries), len(events) + 1, np.int64) for _ in range(2))
    for kind, places in ((0, invoked), (1, completed)):
        found = np.flatnonzero((events & 1 == kind) & (np.arange(len(events)) <= place))
        places[events[found] >> 1] = found
    open_then = np.where(completed > place, NEVER, part.actions.end)  # those of the same moment as well
    part = replace(part, actions=replace(part.actions, end=open_then))
    cuts = sorted({max(0, place - nearest * 4**power) for power in range(14)})
    for cut, states in sorted(search.states_at(part, cuts, budget, search.MEMORY, scale).items(), reverse=True):
        if len(states) > MOST_STATES and cut:
            continue
        live = completed >= cut
        window = _Window(selected(part, live), np.flatnonzero(live), states, budget, scale)
        kept = (invoked >= cut)[live]
        if window.breaks(kept):
            kept, minimal = _minimised(window, kept)
            chosen = window.entries[kept]
            chosen = chosen[np.argsort(completed[chosen], kind="stable")]
            return Core(
                tuple(entries[chosen].tolist()),
                tuple(entries[window.entries[~kept]].tolist()),
                tuple(states),
                int((completed < cut).sum()),
                minimal,
            )
    return None


def _until(cells: Cells, stuck: Stuck) -> tuple[Cells, Int64]:
    """The operations of the key that began before the moment at which it broke."""
    a = cells.actions
    entries = np.flatnonzero((cells.key == cells.key[stuck.entry]) & (a.start <= a.end[stuck.entry]))
    return selected(cells, entries), entries


@dataclass(frozen=True, eq=False)
class _Window:
    """The operations since a cut, and the states at it. `entries` counts them in the cells up to the break."""

    cells: Cells
    entries: Int64
    states: Sequence[int]
    budget: Budget
    scale: int

    def breaks(self, kept: Bool) -> bool:
        """Whether no linearization is left where only some operations keep their moments and answers."""
        if self.budget.left < 0:
            return False
        attempt = without_unobserved(relaxed(self.cells, ~kept))
        return search.from_states(attempt, self.states, self.budget, MEMORY, self.scale) is False


def relaxed(cells: Cells, chosen: Bool) -> Cells:
    """The cells, but the chosen operations may take effect at any time, or never, with any answer."""
    a = cells.actions
    observers = chosen & (a.effect == ANY)
    argument = a.argument
    if isinstance(a.values, States):
        argument = np.where(chosen, a.values.silent[argument], argument)
    loose = replace(
        a, argument=argument, start=np.where(chosen, BEGINNING, a.start), end=np.where(chosen, NEVER, a.end)
    )
    kept = ~observers
    program = cells.program
    if program is not None:
        program = np.where(chosen[:, None], -1, program)
    elif a.calls is None and not (chosen & (a.effect == COMPUTED)).any():
        kept &= ~_superfluous(cells, chosen & ~observers)
    return selected(replace(cells, actions=loose, program=program), kept)


def _superfluous(cells: Cells, chosen: Bool) -> Bool:
    """Relaxed assignments beyond what can be of use.

    Between two operations of the core, a shortest way from value to value takes no assignment twice. So of equal ones
    as many as there are gaps around the core are enough.
    """
    a = cells.actions
    gaps = int((~chosen).sum()) + 1
    places = np.flatnonzero(chosen)
    rows = np.stack([a.equals, a.or_equals, a.effect], axis=1)[places]
    _, kind = np.unique(rows, axis=0, return_inverse=True)
    kind = kind.reshape(-1)
    order = np.argsort(kind, kind="stable")
    first = np.searchsorted(kind[order], kind[order])
    too_many = np.zeros(len(cells.key), np.bool_)
    too_many[places[order[np.arange(len(order)) - first >= gaps]]] = True
    return too_many


def _minimised(window: _Window, kept: Bool) -> tuple[Bool, bool]:
    """Relaxes halves, quarters, ..., single operations, as long as the rest still breaks."""
    kept = kept.copy()
    size = len(kept)
    while size > 1:
        size = -(-size // 2)
        candidates = np.flatnonzero(kept)
        for first in range(0, len(candidates), size):
            fewer = kept.copy()
            fewer[candidates[first : first + size]] = False
            if window.breaks(fewer):
                kept = fewer
    return kept, window.budget.left >= 0
