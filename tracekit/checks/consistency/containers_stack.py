"""Stacks onto which no element goes twice: last in, first out."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from tracekit.checks.consistency.containers_elements import BEFORE, Elements, by_key, chain, occupied, openings
from tracekit.checks.consistency.decided import Broken, Decided
from tracekit.history.operations import NEVER
from tracekit.kernels import containers as layout
from tracekit.kernels.engine import kernels

Int64 = NDArray[np.int64]


def decide(elements: Elements, scale: int = 1) -> Decided:
    """Judges every key in which nobody peeks at an element. O(n log n).

    Takes away one element at a time that can lie under all others, see the kernel `stack_order`. Where there is none,
    few elements already have none: some of which at each moment one is certainly on the stack.
    """
    m = len(elements)
    order = np.argsort(elements.enter[:, 1], kind="stable")
    low, high = elements.enter[order, 1], elements.leave[order, 0]
    points = np.unique(np.concatenate([low, high, elements.line.never]))
    rows = np.stack(
        [
            np.searchsorted(points, low),
            np.searchsorted(points, high),
            np.searchsorted(points, elements.enter[order, 0]),
            np.searchsorted(points, elements.leave[order, 1], side="right") - 1,
        ]
    )
    first = np.searchsorted(rows[0], np.arange(len(points) + 1))
    trees = np.full((3, 2 * _power(m)), layout.NONE, np.int64)
    cover = np.zeros((2, 2 * _power(len(points))), np.int64)
    parts, stuck = np.zeros((len(points) + 2, 2), np.int64), np.zeros((len(points) + 1, 2), np.int64)
    place = np.full((m, 4), -1, np.int64)
    run = kernels("containers", work=40 * m * scale)
    count = run.stack_order(rows, first, trees, cover, parts, place, stuck)
    decided = Decided()
    for left, right in stuck[:count].tolist():
        members = order[np.arange(first[left], first[right])[place[first[left] : first[right], 2] < 0]]
        broken = _no_bottom(elements, members, int(points[left]), int(points[right]))
        key = int(elements.key[members[0]])
        decided.counts[key] = decided.counts.get(key, 0) + 1
        if key not in decided.broken or _end(elements, broken) < _end(elements, decided.broken[key]):
            decided.broken[key] = broken
    moment = openings(elements)[elements.line.start[elements.empties]]
    hopeless = elements.empties[moment > elements.line.end[elements.empties]]
    for entry in hopeless[np.argsort(elements.line.end[hopeless], kind="stable")].tolist():
        key = int(elements.cells.key[entry])
        if key not in decided.broken:
            members = np.flatnonzero(elements.key == key)
            decided.broken[key] = occupied(elements, key, entry, members, "The stack was found empty")
    if not decided.broken:
        back = np.empty(m, np.int64)
        back[order] = np.arange(m)
        decided.orders.update(_linearizations(elements, points, place[back], moment))
    return decided


def _end(elements: Elements, broken: Broken) -> int:
    return int(elements.line.end[broken.breaks])


def _power(size: int) -> int:
    return 1 << max(size - 1, 1).bit_length()


def _no_bottom(elements: Elements, members: Int64, left: int, right: int) -> Broken:
    """Why none of the elements that fill a part of the line can lie under all others."""
    key = int(elements.key[members[0]])
    covering = chain(elements, members, left, right)
    first, last = covering[0], covering[-1]
    ties = []
    for one, other in itertools.pairwise(covering):
        ties.append((elements.entered_by(other), elements.left_from(one), BEFORE))
    reasons = []
    for v in covering:
        if elements.enter[v, 0] > left:
            ties.append((elements.entered_by(first), int(elements.insert[v]), BEFORE))
            reasons.append(f"{elements.name(v)} was pushed after {elements.name(first)} had been")
        else:
            if elements.remove[last] >= 0:
                ties.append((int(elements.remove[v]), elements.left_from(last), BEFORE))
            gone = "began to be" if elements.remove[last] >= 0 else "was ever"
            reasons.append(f"{elements.name(v)} was popped before {elements.name(last)} {gone}")
    core = {e for tie in ties for e in tie[:2]}
    for v in covering:
        core |= {int(e) for e in (elements.insert[v], elements.remove[v]) if e >= 0}
    names = [elements.name(v) for v in covering]
    shown = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
    why = "; ".join(reasons[:4]) + ("; and so on" if len(reasons) > 4 else "")
    text = (
        f"Last in, first out is broken {elements.where(key)}: {shown} were there without a gap between them, so one of "
        f"them lay under the others all the time; but {why}."
    )
    ended = [e for e in core if elements.cells.actions.end[e] != NEVER]
    breaks = max(ended, key=lambda e: int(elements.line.end[e]))
    return Broken("out-of-order", text, tuple(core), tuple(ties), breaks, {"elements": names[:100]})


def _linearizations(elements: Elements, points: Int64, place: Int64, moment: Int64) -> dict[int, Int64]:
    """Of each key: every element is pushed at its first cut and popped at its last.

    At one cut all pops come first, inner elements before outer ones; then what is there for that moment only; pushes
    last, outer elements first.
    """
    m, n = len(elements), len(elements.cells.key)
    at, rank = np.full(n, -1, np.int64), np.zeros(n, np.int64)
    alone, nth = place[:, 3] == 1, place[:, 2]
    at[elements.insert] = points[place[:, 0]]
    rank[elements.insert] = np.where(alone, 2 * nth, 2 * (m + 1) + nth)
    out = np.flatnonzero(elements.remove >= 0)
    at[elements.remove[out]] = points[place[out, 1]]
    rank[elements.remove[out]] = np.where(alone, 2 * nth + 1, -1 - nth)[out]
    at[elements.empties] = moment
    rank[elements.empties] = 2 * (m + 1) - 1
    return by_key(elements.cells.key, at, rank)
