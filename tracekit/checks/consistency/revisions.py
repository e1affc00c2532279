"""Registers whose store numbers its changes (etcd's revisions): the one order that the numbers leave, in O(n log n).

Changes of a key stand by revision, everything else behind the last change that is not newer than what it saw. The key
is linearizable in that order if every answer is right there and nothing stands behind what began after its end. Such an
order is a linearization, whoever numbered it. If it is none, the numbers may be wrong: the key then goes to the other
methods, unless the caller has the revisions asserted.

A change that was never answered has no revision. It has happened if somebody read what only it can have written, and
then stands right before the first who did.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tracekit.checks.consistency.cells import Cells
from tracekit.checks.consistency.decided import Broken, Decided
from tracekit.execution import Execution
from tracekit.history.models import ABSENT, ANY, COMPUTED
from tracekit.history.models.alarm import OutOfTime
from tracekit.history.operations import NEVER

Int64 = NDArray[np.int64]
Bool = NDArray[np.bool_]

BEFORE_ALL = -(2**63)
"""The revision of a read of the initial value that has none."""


@dataclass(frozen=True, eq=False)
class Revisions:
    """By operation of the history, the revision that it was answered with, and whether there is one."""

    number: Int64
    known: Bool


def revisions_of(execution: Execution) -> Revisions | None:
    """Of completions; None where none has one."""
    column, completion = execution.trace.get("history.revision"), execution.operations.completion
    if column is None or column.texts is not None or column.values.dtype.kind != "i":
        return None
    known = (completion >= 0) & column.present[completion]
    return Revisions(column.values[completion].astype(np.int64), known) if known.any() else None


def decide(cells: Cells, revisions: Revisions, name: Callable[[int], str]) -> Decided:
    """Judges every key of the cells in the order of revisions; those that do not have all of them are `left`.

    name: how an operation of the cells is called in a sentence.
    """
    decided, keys = Decided(), np.unique(cells.key).tolist()
    if cells.actions.calls is not None or cells.program is not None:
        return Decided(left=set(keys))
    by_key = np.argsort(cells.key, kind="stable")
    bounds = np.searchsorted(cells.key[by_key], np.arange(len(cells) + 1))
    for key in keys:
        found = _judged(cells, by_key[bounds[key] : bounds[key + 1]], revisions, name)
        if found is None:
            decided.left.add(key)
        elif isinstance(found, Broken):
            decided.broken[key] = found
        else:
            decided.orders[key] = found
    return decided


def _judged(cells: Cells, entries: Int64, revisions: Revisions, name: Callable[[int], str]) -> Broken | Int64 | None:
    a = cells.actions
    revision, known = revisions.number[a.operation[entries]], revisions.known[a.operation[entries]]
    ended = a.end[entries] != NEVER
    change = a.effect[entries] != ANY
    initial = ~change & ~known & (a.equals[entries] == ABSENT)
    revision = np.where(initial, BEFORE_ALL, revision)
    if (a.differs[entries] != ANY).any() or (ended & ~known & ~initial).any():
        return None
    numbers = np.sort(revision[ended & change])
    if (numbers[1:] == numbers[:-1]).any():
        return None
    done = np.flatnonzero(ended)
    order = entries[done[np.lexsort((a.start[entries[done]], ~change[done], revision[done]))]]
    return _replayed(cells, order, entries[~ended], name)


def _replayed(cells: Cells, order: Int64, unanswered: Int64, name: Callable[[int], str]) -> Broken | Int64 | None:
    """Plays the operations in order, with writes that were never answered where somebody saw them; looks at times."""
    a = cells.actions
    equals, either, effect, argument = (c.tolist() for c in (a.equals, a.or_equals, a.effect, a.argument))
    writes: dict[int, list[int]] = {}
    for entry in unanswered[np.argsort(-a.start[unanswered], kind="stable")].tolist():
        if equals[entry] == ANY and effect[entry] >= 0:
            writes.setdefault(effect[entry], []).append(entry)  # that which began first is taken first
    state, last = ABSENT, -1
    placed: list[int] = []
    for entry in order.tolist():
        wanted = equals[entry]
        if wanted != ANY and state != wanted and (either[entry] == ANY or state != either[entry]):
            if not writes.get(wanted):
                # Another change that was never answered may have made what was seen; that is not followed here.
                return None if len(unanswered) else _misread(cells, entry, last, state, name)
            last = writes[wanted].pop()
            placed.append(last)
            state = wanted
        placed.append(entry)
        if effect[entry] == COMPUTED:
            try:
                after = a.values.successors(state, argument[entry])
            except OutOfTime:
                return None
            if not after:
                return None
            state, last = after[0], entry
        elif effect[entry] != ANY:
            state, last = effect[entry], entry
    sequence = np.array(placed, np.int64)
    late = _late(a.start[sequence], a.end[sequence])
    if late is None:
        return sequence
    return None if len(unanswered) else _against(cells, int(sequence[late[0]]), int(sequence[late[1]]), name)


def _late(start: Int64, end: Int64) -> tuple[int, int] | None:
    """Places of two operations of which the one that stands first began after the end of the other."""
    latest = np.maximum.accumulate(start)
    wrong = np.flatnonzero(end < latest)
    if not len(wrong):
        return None
    later = int(wrong[np.argmin(end[wrong])])
    return int(np.argmax(start[: later + 1])), later


def _misread(cells: Cells, entry: int, last: int, state: int, name: Callable[[int], str]) -> Broken:
    values = cells.actions.values
    text = (
        f"{name(entry)} at {cells.name(int(cells.key[entry]))} does not fit its revision: in the order of revisions "
        f"the value there was {values.text(state)}."
    )
    core = (entry,) if last < 0 else (last, entry)
    ties = () if last < 0 else ((last, entry, "the last change up to its revision"),)
    return Broken("against-revisions", text, core, ties, entry)


def _against(cells: Cells, first: int, second: int, name: Callable[[int], str]) -> Broken:
    text = (
        f"{name(second)} at {cells.name(int(cells.key[second]))} had ended before {name(first)} began, but its "
        "revision says that it came after it."
    )
    return Broken("against-revisions", text, (second, first), ((second, first, "ended before it began"),), first)
