"""Sets of configurations: rows in two hash tables, without those that another one makes superfluous."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tracekit.kernels.engine import kernel

from .linearizability_transitions import mixed

Array = NDArray[np.int64]

# A configuration's columns; masks of free, then of need follow. LINK: the row before with the same value, plus 1.
# BUCKET and HEAD are two hash tables that lie beside the rows: rows by all they say, and the last row of each value;
# PLACE and AMONG are where a row stands in them.
VALUE_OF, NODE, PLACE, BUCKET, AMONG, HEAD, LINK, MASKS = 0, 1, 2, 3, 4, 5, 6, 7

SCANNED = 256
"""How many earlier configurations with its value are compared with a new one."""


@kernel
def copy_row(source: Array, side: int, row: int, target: Array, new_side: int, new: int) -> None:
    """Copies what a configuration says, and not where it stands in the hash tables."""
    target[new_side, new, VALUE_OF] = source[side, row, VALUE_OF]
    target[new_side, new, NODE] = source[side, row, NODE]
    for column in range(MASKS, source.shape[2]):
        target[new_side, new, column] = source[side, row, column]


@kernel
def dominates(configs: Array, side: int, row: int, other: int, words: int) -> bool:
    """Whether a configuration that needs no more and has no less free can do all that another one of its value can."""
    for w in range(MASKS, MASKS + words):
        less_free = configs[side, other, w] & ~configs[side, row, w]
        more_need = configs[side, row, w + words] & ~configs[side, other, w + words]
        if (less_free | more_need) != 0:
            return False
    return True


@kernel
def insert(configs: Array, side: int, count: int, words: int) -> bool:
    """Puts the row `count` into its set's hash table; False where the set has it, or has one that can do all it can."""
    size = configs.shape[1]
    last = MASKS + 2 * words
    h = configs[side, count, VALUE_OF]
    for column in range(MASKS, last):
        h = mixed(h, configs[side, count, column])
    place = h & (size - 1)
    while configs[side, place, BUCKET] > 0:
        other = configs[side, place, BUCKET] - 1
        if configs[side, other, VALUE_OF] == configs[side, count, VALUE_OF]:
            same = True
            for column in range(MASKS, last):
                if configs[side, other, column] != configs[side, count, column]:
                    same = False
                    break
            if same:
                return False
        place = (place + 1) & (size - 1)
    value = configs[side, count, VALUE_OF]
    among = mixed(value, 0) & (size - 1)
    while configs[side, among, HEAD] > 0 and configs[side, configs[side, among, HEAD] - 1, VALUE_OF] != value:
        among = (among + 1) & (size - 1)
    link = configs[side, among, HEAD]
    other, scanned = link - 1, 0
    while other >= 0 and scanned < SCANNED:
        if dominates(configs, side, other, count, words):
            return False
        other = configs[side, other, LINK] - 1
        scanned += 1
    configs[side, among, HEAD] = count + 1
    configs[side, count, AMONG] = among
    configs[side, count, LINK] = link
    configs[side, place, BUCKET] = count + 1
    configs[side, count, PLACE] = place
    return True


@kernel
def forget(configs: Array, side: int, count: int) -> None:
    """Empties the hash table of a set."""
    for row in range(count):
        configs[side, configs[side, row, PLACE], BUCKET] = 0
        configs[side, configs[side, row, AMONG], HEAD] = 0


@kernel
def rehash(configs: Array, side: int, count: int, words: int) -> int:
    """Puts the first rows of a set into its table anew, equal ones once; returns how many remain."""
    kept = 0
    for row in range(count):
        if configs[side, row, VALUE_OF] < 0:
            continue
        if kept != row:
            copy_row(configs, side, row, configs, side, kept)
        if insert(configs, side, kept, words):
            kept += 1
    return kept


@kernel
def prune(configs: Array, side: int, count: int, words: int) -> int:
    """Drops the rows that a later one dominates; `insert` has seen to the earlier ones. Returns how many remain."""
    for row in range(count):
        other, scanned = configs[side, configs[side, row, AMONG], HEAD] - 1, 0
        while other > row and scanned < SCANNED:
            if dominates(configs, side, other, row, words):
                configs[side, row, VALUE_OF] = -1 - configs[side, row, VALUE_OF]
                break
            other = configs[side, other, LINK] - 1
            scanned += 1
    forget(configs, side, count)
    return rehash(configs, side, count, words)
