"""Searches through the consistent cuts of an execution, one number of events after the other.

Cooper and Marzullo, "Consistent Detection of Global Predicates", 1991. There may be exponentially many: every search
has a limit of cuts and of time. Memory: two levels of the lattice, within the limit.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from tracekit.order.conditions import Condition
from tracekit.order.cuts import Counts, Cut
from tracekit.order.scope import Steps

ASKED = 1_000
"""Cuts after which the time is asked."""


@dataclass
class Lattice:
    """The consistent cuts of some events, as far as they are looked at.

    Attributes
    ----------
    examined: how many cuts were looked at.
    overdrawn: why the search was given up, and how far it got; empty where it was not.
    """

    steps: Steps
    condition: Condition
    examined: int = 0
    overdrawn: str = ""
    _needs: dict[tuple[int, int], Counts] = field(default_factory=dict)

    def witness(self, good: Callable[[Cut], bool]) -> tuple[Cut | None, Cut | None]:
        """A first cut that fulfils the condition, among those that are good; and one that fulfils it and is not."""
        doubtful: Cut | None = None
        for level in self._levels(lambda cut, holds: True):
            for counts, holds in level:
                if holds:
                    cut = self.cut(counts)
                    if good(cut):
                        return cut, doubtful
                    doubtful = doubtful or cut
        return None, doubtful

    def avoided(self) -> tuple[bool, Cut | None]:
        """Whether a way from the first cut to the last passes only through cuts that do not fulfil the condition; else
        one of those that stand in the way."""
        met: Counts | None = None
        last = tuple(len(states) - 1 for states in self.steps.states)
        for level in self._levels(lambda cut, holds: not holds):
            for counts, holds in level:
                if holds:
                    met = met or counts
                elif counts == last:
                    return True, None
        return False, None if met is None else self.cut(met)

    def cut(self, counts: Counts) -> Cut:
        """The smallest cut of the execution for one of these events."""
        return self.steps.cut(np.array(counts, np.int64))

    def _levels(self, follow: Callable[[Counts, bool], bool]) -> Iterator[list[tuple[Counts, bool]]]:
        """The cuts with no event, with one, and so on, each with whether it fulfils the condition; those above are
        visited from the ones to follow."""
        states = [some.tolist() for some in self.steps.states]
        level: set[Counts] = {(0,) * len(states)}
        size, limit = 0, self.steps.scope.limit
        while level:
            judged: list[tuple[Counts, bool]] = []
            for counts in sorted(level):
                if self.examined >= limit:
                    self._give_up(f"more than {limit:,} consistent cuts", size)
                    yield judged
                    return
                if self.examined % ASKED == 0 and time.monotonic() > self.steps.scope.ends:
                    self._give_up(f"the time was over after {self.examined:,} consistent cuts", size)
                    yield judged
                    return
                self.examined += 1
                judged.append((counts, self.condition.holds([some[n] for some, n in zip(states, counts, strict=True)])))
            yield judged
            level = self._above((counts for counts, holds in judged if follow(counts, holds)), limit - self.examined)
            size += 1

    def _above(self, level: Iterable[Counts], most: int) -> set[Counts]:
        """The consistent cuts with one event more; no more of them than one above what may still be looked at."""
        found: set[Counts] = set()
        for counts in level:
            for p, number in enumerate(counts):
                if number + 1 < len(self.steps.states[p]) and self._enabled(counts, p):
                    found.add((*counts[:p], number + 1, *counts[p + 1 :]))
            if len(found) > most:
                break
        return found

    def _enabled(self, counts: Counts, p: int) -> bool:
        """Whether the next event of p has all its past in the cut."""
        key = (p, counts[p])
        if key not in self._needs:
            row = self.steps.needs[self.steps.starts[p] + counts[p]].tolist()
            row[p] = 0
            self._needs[key] = tuple(row)
        return all(want <= have for want, have in zip(self._needs[key], counts, strict=True))

    def _give_up(self, why: str, size: int) -> None:
        total = len(self.steps.rows)
        self.overdrawn = (
            f"{why}: those with up to {size:,} of the {total:,} events that change what the expression reads; try a "
            "narrower window, or fewer processes"
        )
