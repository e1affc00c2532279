"""What a method says of the keys that it was given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Int64 = NDArray[np.int64]


@dataclass(frozen=True)
class Broken:
    """A key without a linearization. Entries are those of `Cells.actions`.

    Attributes
    ----------
    anomaly: stable code: ``lost-element``.
    text: one sentence that an engineer understands.
    core: few entries that show it.
    ties: (entry, entry, reason): why one of them comes before the other.
    breaks: the entry at whose completion no order was left.
    facts: plain JSON values.
    """

    anomaly: str
    text: str
    core: tuple[int, ...]
    ties: tuple[tuple[int, int, str], ...]
    breaks: int
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Decided:
    """Keys by what was found; a key with operations that is neither broken nor left holds.

    Attributes
    ----------
    broken: by key, the first mistake.
    counts: by broken key, how many mistakes; one where it is not listed.
    orders: by key that holds, its linearization as entries; may leave out keys, where it costs too much.
    left: keys that the method cannot decide after all.
    """

    broken: dict[int, Broken] = field(default_factory=dict)
    counts: dict[int, int] = field(default_factory=dict)
    orders: dict[int, Int64] = field(default_factory=dict)
    left: set[int] = field(default_factory=set)
