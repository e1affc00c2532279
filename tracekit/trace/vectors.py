"""Vector clocks as lists, from entries that name their components, or with the components in another order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tracekit.errors import TracekitError
from tracekit.trace.columns import Column, ListColumn

Int64 = NDArray[np.int64]

LARGEST = 1 << 28
"""Entries of all clocks together: two gigabytes."""


@dataclass(frozen=True, eq=False)
class Entries:
    """The entries of many clocks, clock after clock.

    Attributes
    ----------
    lengths: int64, shape (n,): how many entries each clock has.
    component, value: int64, shape (entries,).
    present: shape (n,): which rows have a clock.
    """

    lengths: Int64
    component: Int64
    value: Int64
    present: NDArray[np.bool_]

    def lists(self, at: str) -> ListColumn:
        """Each clock as a list up to its largest component, zero where it has no entry. O(n + members).

        Raises
        ------
        TracekitError: TK207 where the lists would need more than two gigabytes.
        """
        owner = np.repeat(np.arange(len(self.lengths)), self.lengths)
        sizes = np.zeros(len(self.lengths), np.int64)
        np.maximum.at(sizes, owner, self.component + 1)
        offsets = np.concatenate([[0], np.cumsum(sizes)])
        if offsets[-1] > LARGEST:
            raise TracekitError(
                "TK207",
                "the vector clocks name too many processes",
                at=at,
                found=f"{int(self.component.max()) + 1:,} processes in {len(self.lengths):,} clocks",
                want=f"at most {LARGEST:,} entries in all clocks together",
            )
        values = np.zeros(offsets[-1], np.int64)
        values[offsets[owner] + self.component] = self.value
        return ListColumn(offsets, Column(values), None if self.present.all() else self.present)


def reordered(clocks: ListColumn, component: Int64, at: str) -> ListColumn:
    """The clocks with each component at its new place: ``component[old] == new``."""
    if (component == np.arange(len(component))).all():
        return clocks
    assert isinstance(clocks.items, Column), "the schema's type was checked on read"
    lengths = np.diff(clocks.offsets)
    old = np.arange(clocks.offsets[-1]) - np.repeat(clocks.offsets[:-1], lengths)
    return Entries(lengths, component[old], clocks.items.values, clocks.present).lists(at)
