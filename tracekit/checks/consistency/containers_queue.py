"""Queues into which no element goes twice: first in, first out."""

from __future__ import annotations

from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from tracekit.checks.consistency.containers_elements import BEFORE, Elements, by_key, occupied, openings
from tracekit.checks.consistency.decided import Broken, Decided
from tracekit.history.operations import NEVER
from tracekit.kernels.engine import kernels

Int64 = NDArray[np.int64]


def decide(elements: Elements, scale: int = 1) -> Decided:
    """Judges every key. O(n log n).

    An element goes before another if it was in before the other began to go in, or if it was seen at the head before
    the other was seen there for the last time. Where these two orders together have no cycle, elements can go in and
    out in a common order; where they have one, they have one of at most three elements (two, if nobody peeks:
    Henzinger, Sezgin & Vafeiadis, CONCUR 2013). What finds the queue empty has a place exactly if at some moment of it
    no element is certainly there: all that may be out by then comes before all that need not be in.
    """
    m, keys = len(elements), len(elements.cells)
    bounds = np.stack([elements.enter[:, 0], elements.enter[:, 1], elements.leave[:, 0], elements.first_seen])
    sorted_by = np.argsort(bounds, axis=1, kind="stable") if m else np.zeros((4, 0), np.int64)
    order, stuck = np.zeros(m, np.int64), np.full((keys, 3), -1, np.int64)
    run = kernels("containers", work=8 * m * scale)
    placed = run.queue_order(elements.key, bounds, sorted_by, np.zeros(m, np.int64), order, stuck)
    decided = Decided()
    for key in np.flatnonzero(stuck[:, 0] >= 0).tolist():
        decided.broken[key] = _out_of_order(elements, key, [v for v in stuck[key].tolist() if v >= 0])
    opening = openings(elements)
    moment = opening[elements.line.start[elements.empties]]
    hopeless = elements.empties[moment > elements.line.end[elements.empties]]
    for entry in hopeless[np.argsort(elements.line.end[hopeless], kind="stable")].tolist():
        key = int(elements.cells.key[entry])
        if key not in decided.broken:
            members = np.flatnonzero(elements.key == key)
            decided.broken[key] = occupied(elements, key, entry, members, "The queue was found empty")
    if not decided.broken:
        decided.orders.update(_linearizations(elements, order[:placed], moment))
    return decided


def _ties(elements: Elements, v: int, w: int) -> tuple[int, int] | None:
    """Why v goes before w: an operation that ended before another began, of those that put in or that see."""
    if elements.enter[v, 1] < elements.enter[w, 0]:
        return elements.entered_by(v), int(elements.insert[w])
    if elements.first_seen[v] < elements.leave[w, 0]:
        return int(elements.first[v]), elements.left_from(w) if elements.remove[w] >= 0 else -1
    return None


def _out_of_order(elements: Elements, key: int, among: list[int]) -> Broken:
    """A cycle of two, else of three elements."""
    for size in (2, 3):
        for cycle in permutations(among, size):
            ties = [_ties(elements, v, w) for v, w in zip(cycle, (*cycle[1:], cycle[0]), strict=True)]
            found = [tie for tie in ties if tie is not None]
            if len(found) == size:
                return _told(elements, key, cycle, found)
    raise AssertionError("elements in each other's way have a cycle")


def _told(elements: Elements, key: int, cycle: tuple[int, ...], ties: list[tuple[int, int]]) -> Broken:
    line = elements.line
    core = {e for tie in ties for e in tie if e >= 0}
    for v in cycle:
        core |= {int(e) for e in (elements.insert[v], elements.first[v], elements.remove[v]) if e >= 0}
    names = [elements.name(v) for v in cycle]
    sentences = []
    for (before, after), v, w in zip(ties, cycle, (*cycle[1:], cycle[0]), strict=True):
        one, other = elements.name(v), elements.name(w)
        if after == elements.insert[w]:
            sentences.append(f"{one} was in before {other} began to go in")
        elif after < 0:
            sentences.append(f"{one} came to the head while {other} never left")
        else:
            sentences.append(f"{one} was at the head before the last that saw {other} there began")
        assert after < 0 or line.end[before] < line.start[after]
    text = f"First in, first out is broken {elements.where(key)}: {'; but '.join(sentences)}."
    shown = tuple((before, after, BEFORE) for before, after in ties if after >= 0)
    ended = [e for e in core if elements.cells.actions.end[e] != NEVER]
    breaks = max(ended, key=lambda e: int(line.end[e]))
    return Broken("out-of-order", text, tuple(core), shown, breaks, {"pattern": "VOrd", "elements": names})


def _linearizations(elements: Elements, order: Int64, moment: Int64) -> dict[int, Int64]:
    """Of each key: everything as early as it can be, in the order found, empty at the moments chosen for that."""
    line, cells = elements.line, elements.cells
    cuts = np.unique(moment)
    block = np.searchsorted(cuts, elements.leave[:, 0])
    order = order[np.argsort(block[order], kind="stable")]
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    after_cut = np.where(block[order] > 0, cuts[np.maximum(block[order], 1) - 1], 0) if len(cuts) else 0
    entering = np.maximum.accumulate(np.maximum(elements.enter[order, 0], after_cut))
    leaving = np.maximum.accumulate(np.maximum(entering, elements.leave[order, 0]))
    heading = np.maximum(entering, np.r_[0, leaving[:-1]])
    at = np.full(len(cells.key), -1, np.int64)
    rank = np.zeros(len(cells.key), np.int64)
    seen = np.flatnonzero(elements.seen >= 0)
    nth = place[elements.seen[seen]]
    at[seen], rank[seen] = np.maximum(line.start[seen], heading[nth]), 4 * nth + 1
    at[elements.insert], rank[elements.insert] = entering[place], 4 * place
    out = np.flatnonzero(elements.remove >= 0)
    at[elements.remove[out]], rank[elements.remove[out]] = leaving[place[out]], 4 * place[out] + 2
    at[elements.empties] = moment
    gone = np.searchsorted(block[order], np.searchsorted(cuts, moment), side="right")
    rank[elements.empties] = 4 * gone - 1
    return by_key(cells.key, at, rank)
