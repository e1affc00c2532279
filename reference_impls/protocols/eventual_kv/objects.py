"""Replicated objects whose updates commute (Shapiro et al., INRIA RR-7506)."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable


class ObservedRemoveSet:
    """OR-Set (section 3.3.5): each add has a tag of its own, and a removal takes away the adds that it has observed.

    There, a removal reaches a replica after the adds that it observed. Here it may come before them, so the tags that
    were removed are remembered as tombstones, as in the U-Set and 2P-Set (section 3.3.2).
    """

    def __init__(self) -> None:
        self.added: dict[str, str] = {}
        self.tombstones: set[str] = set()

    def add(self, tag: str, element: str) -> None:
        """An add with its unique tag."""
        if tag not in self.tombstones:
            self.added[tag] = element

    def observed(self, element: str) -> tuple[str, ...]:
        """The tags that a removal at this replica takes away."""
        return tuple(sorted(tag for tag, other in self.added.items() if other == element))

    def remove(self, tags: Iterable[str]) -> None:
        """A removal, here or elsewhere, that has observed these tags."""
        for tag in tags:
            self.added.pop(tag, None)
            self.tombstones.add(tag)

    @property
    def value(self) -> str:
        """The elements, sorted, as JSON."""
        elements = {json.loads(element) for element in self.added.values()}
        return json.dumps(sorted(elements), separators=(",", ":"))


class PnCounter:
    """PN-Counter (section 3.1.3): per replica what was added and what was taken away; both only grow."""

    def __init__(self) -> None:
        self.plus: Counter[str] = Counter()
        self.minus: Counter[str] = Counter()

    @property
    def value(self) -> str:
        """All that was added less all that was taken away, as JSON."""
        return str(self.plus.total() - self.minus.total())
