"""Containers into which no element goes twice: queues, stacks, priority queues, and sets, in O(n log n).

After Lee & Mathur, Efficient decrease-and-conquer linearizability monitoring, OOPSLA 2025 (arXiv 2410.04581): take away
an element whose operations find a place in every linearization of the others, until none is left or none can be found.
What is left over here, a key may still be decided by the search: removals that were never answered and may have taken
anything, elements seen at the top of a stack, members that were added twice.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tracekit.checks.consistency import (
    containers_priority,
    containers_queue,
    containers_set,
    containers_stack,
)
from tracekit.checks.consistency.cells import Cells, selected
from tracekit.checks.consistency.containers_elements import Elements, elements_of, roles
from tracekit.checks.consistency.decided import Broken, Decided
from tracekit.history.models import ABSENT, UNANSWERED, Choice
from tracekit.history.models.values import Values

Int64 = NDArray[np.int64]
Bool = NDArray[np.bool_]

MODELS = ("queue", "stack", "priority-queue", "set")

PLAIN = re.compile(r'"[\w .:/+-]*"|0|-?[1-9][0-9]{0,17}|true|false|null', re.ASCII)
"""Texts that are canonical JSON at a glance: different ones are different values."""

WHOLE = re.compile(r"0|-?[1-9][0-9]{0,17}", re.ASCII)


def decidable(cells: Cells, choice: Choice) -> Bool:
    """Shape (keys,): which keys `decide` may be asked about. O(n log n)."""
    calls = cells.actions.calls
    nothing = np.zeros(len(cells), np.bool_)
    if calls is None or choice.model.name not in MODELS or cells.program is not None:
        return nothing
    values = calls.values
    if choice.model.name == "set":
        return _sets(cells)
    inserting, removing, empty = roles(cells)
    odd = inserting & (calls.given == ABSENT)
    if choice.model.name == "stack":
        odd |= ~inserting & ~removing & ~empty
    allowed = _spelled(values, WHOLE if choice.model.name == "priority-queue" else PLAIN)
    if allowed is not None:
        odd |= inserting & ~allowed[calls.given]
        odd |= ~inserting & ~empty & (calls.answered >= 0) & ~allowed[np.maximum(calls.answered, 0)]
    return ~_having(cells, odd) & ~_twice(cells, inserting)


def _sets(cells: Cells) -> Bool:
    calls = cells.actions.calls
    assert calls is not None, "sets are models with step functions"
    role = containers_set.roles(cells)
    odd = ~(role.adds | role.removes | role.there | role.absent)
    truths = [calls.values.codes[text] for text in ("true", "false") if text in calls.values.codes]
    odd |= np.isin(calls.given, truths)
    allowed = _spelled(calls.values, PLAIN)
    if allowed is not None:
        odd |= ~allowed[calls.given]
    return ~_having(cells, odd) & ~_twice(cells, role.adds) & ~_twice(cells, role.removes)


def _having(cells: Cells, chosen: Bool) -> Bool:
    keys = np.zeros(len(cells), np.bool_)
    keys[cells.key[chosen]] = True
    return keys


def _twice(cells: Cells, chosen: Bool) -> Bool:
    """Keys at which two of the chosen operations have the same argument."""
    calls = cells.actions.calls
    assert calls is not None, "containers are models with step functions"
    size = len(calls.values) + 1
    pairs = np.sort((cells.key * size + calls.given)[chosen])
    keys = np.zeros(len(cells), np.bool_)
    keys[pairs[1:][pairs[1:] == pairs[:-1]] // size] = True
    return keys


def _spelled(values: Values, pattern: re.Pattern[str]) -> Bool | None:
    """By code, whether a text is of a pattern; None where all values are numbers."""
    if values.numbers is not None:
        return None
    return np.array([pattern.fullmatch(text) is not None for text in values.texts], np.bool_)


def decide(cells: Cells, choice: Choice, scale: int = 1) -> Decided:
    """Judges cells of keys that are all `decidable`; those that it cannot decide after all are `left`.

    scale multiplies the work that decides whether kernels run compiled; tests set it.
    """
    if not len(cells.key):
        return Decided()
    if choice.model.name == "set":
        return containers_set.decide(cells)
    calls = cells.actions.calls
    assert calls is not None, "containers are models with step functions"
    _, removing, _ = roles(cells)
    unanswered = removing & (calls.answered == UNANSWERED)
    # Removals that were never answered need not have happened. If that leaves no order, they may have.
    rows = np.flatnonzero(~unanswered)
    elements = elements_of(selected(cells, rows))
    broken = {key: _renamed(found, rows) for key, found in elements.mistakes.items()}
    decided = Decided(broken=broken, counts=dict(elements.counts))
    if broken:
        rows = rows[~np.isin(cells.key[rows], list(broken))]
        elements = elements_of(selected(cells, rows))
    found = _method(choice, scale)(elements)
    hopeful = _having(cells, unanswered)
    for key, first in found.broken.items():
        if hopeful[key]:
            decided.left.add(key)
        else:
            decided.broken[key] = _renamed(first, rows)
            decided.counts[key] = found.counts.get(key, 1)
    decided.orders.update({key: rows[order] for key, order in found.orders.items()})
    return decided


def _method(choice: Choice, scale: int) -> Callable[..., Decided]:
    if choice.model.name == "queue":
        return lambda elements: containers_queue.decide(elements, scale)
    if choice.model.name == "stack":
        return lambda elements: containers_stack.decide(elements, scale)

    def priorities(elements: Elements) -> Decided:
        calls = elements.cells.actions.calls
        assert calls is not None, "priority queues are models with step functions"
        given, values = calls.given[elements.insert], calls.values
        if values.numbers is None:
            priority = np.array([int(values.texts[code]) for code in given], np.int64)
        else:
            priority = np.asarray(values.numbers, np.int64)[given - 1]
        return containers_priority.decide(elements, priority, choice.settings["order"] == "max", scale)

    return priorities


def _renamed(broken: Broken, rows: Int64) -> Broken:
    """In entries of all the operations."""
    return replace(
        broken,
        core=tuple(int(rows[e]) for e in broken.core),
        ties=tuple((int(rows[one]), int(rows[other]), reason) for one, other, reason in broken.ties),
        breaks=int(rows[broken.breaks]),
    )
