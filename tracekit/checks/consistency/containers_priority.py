"""Priority queues into which no element goes twice: the best comes out first."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tracekit.checks.consistency.containers_elements import Elements, by_key, occupied, openings
from tracekit.checks.consistency.decided import Decided
from tracekit.kernels.engine import kernels

Int64 = NDArray[np.int64]


def decide(elements: Elements, priority: Int64, largest: bool, scale: int = 1) -> Decided:
    """Judges every key. priority: of each element. O(n log n).

    The worst element is in nobody's way: the others find their places with it or without. It needs, for each operation
    that sees it at the head, a moment at which no better one is certainly there; at such a moment none need be. So one
    element after the other, from best to worst, is put to that test.
    """
    m, line = len(elements), elements.line
    order = np.argsort(-priority if largest else priority, kind="stable")
    nth = np.empty(m, np.int64)
    nth[order] = np.arange(m)
    heads = np.flatnonzero(elements.seen >= 0)
    heads = heads[elements.insert[elements.seen[heads]] != heads]
    heads = heads[np.argsort(nth[elements.seen[heads]], kind="stable")]
    of = elements.seen[heads]
    taking = elements.remove[of] == heads
    since = np.where(taking, elements.leave[of, 0], np.maximum(line.start[heads], elements.enter[of, 0]))
    until = np.where(taking, elements.leave[of, 1], np.minimum(line.end[heads], elements.leave[of, 1]))
    moments = np.full((2, len(heads)), -1, np.int64)
    run = kernels("containers", work=8 * len(line.start) * scale)
    spans = np.stack([elements.enter[order, 1], elements.leave[order, 0]])
    following, preceding = np.arange(line.length + 2), np.arange(line.length + 2)
    run.priority_moments(spans, np.stack([nth[of], since, until]), following, preceding, moments)
    decided = Decided()
    bad = np.flatnonzero(moments[0] < 0)
    word = "largest" if largest else "smallest"
    for place in bad[np.argsort(line.end[heads[bad]], kind="stable")].tolist():
        entry, v = int(heads[place]), int(of[place])
        key = int(elements.cells.key[entry])
        decided.counts[key] = decided.counts.get(key, 0) + 1
        if key not in decided.broken:
            better = np.flatnonzero((elements.key == key) & (nth < nth[v]))
            broken = occupied(
                elements, key, entry, better, f"{elements.name(v)} was the {word}", (since[place], until[place])
            )
            decided.broken[key] = replace(
                broken, anomaly="priority-inversion", facts={"elements": broken.facts["elements"]}
            )
    moment = openings(elements)[line.start[elements.empties]]
    hopeless = elements.empties[moment > line.end[elements.empties]]
    for entry in hopeless[np.argsort(line.end[hopeless], kind="stable")].tolist():
        key = int(elements.cells.key[entry])
        if key not in decided.broken:
            members = np.flatnonzero(elements.key == key)
            decided.broken[key] = occupied(elements, key, entry, members, "The priority queue was found empty")
    if not decided.broken:
        decided.orders.update(_linearizations(elements, nth, heads, moments, moment))
    return decided


def _linearizations(elements: Elements, nth: Int64, heads: Int64, moments: Int64, moment: Int64) -> dict[int, Int64]:
    """Of each key: what takes out comes as early as it can, what looks and what puts in as late.

    At one moment first come the elements that can be out by then, the best first, then the others, the worst first.
    """
    m, n, line = len(elements), len(elements.cells.key), elements.line
    at, rank = np.full(n, -1, np.int64), np.zeros(n, np.int64)
    of = elements.seen[heads]
    taking = elements.remove[of] == heads
    leaving = np.full(m, line.length, np.int64)
    leaving[of[taking]] = moments[0, taking]
    at[heads] = np.where(taking, moments[0], np.minimum(moments[1], leaving[of]))
    entering = np.minimum(line.end[elements.insert], leaving)
    np.minimum.at(entering, of, at[heads])
    at[elements.insert] = entering
    seen = np.flatnonzero(elements.seen >= 0)
    of = elements.seen[seen]
    closed = elements.leave[of, 0] <= at[seen]
    step = np.where(elements.insert[of] == seen, 0, np.where(elements.remove[of] == seen, 2, 1))
    rank[seen] = np.where(closed, 3 * nth[of], 3 * (2 * m + 1 - nth[of])) + step
    at[elements.empties] = moment
    rank[elements.empties] = 3 * m + 1
    return by_key(elements.cells.key, at, rank)
