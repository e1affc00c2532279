"""Linearizability where clocks may differ: one operation precedes another if it ended more than the skew before, or if
one client called them one after the other.

The first alone would be an interval order; with program order, which stays exact however wrong a clock is, it is none,
so the zones' sweep does not apply. Of a register of unique values the operations of each value stand together in any
linearization, the write in front. So there is one exactly if no read precedes its write and "some operation of this
value precedes one of that" has no cycle. Other keys go to the search, which lets an operation take effect only after
those before it in program order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tracekit.checks.consistency import search, zones
from tracekit.checks.consistency.cells import Cells, of_keys, written_once
from tracekit.checks.consistency.decided import Broken, Decided
from tracekit.checks.consistency.router import Judged, Part
from tracekit.checks.evidence import duration
from tracekit.execution import Budget, Execution
from tracekit.history.operations import NEVER, overlapping
from tracekit.kernels.engine import kernels

Int64 = NDArray[np.int64]
Bool = NDArray[np.bool_]

NOWHERE = 2**62
"""An end that is later than every start, and does not overflow with a skew added."""


def with_program_order(execution: Execution, cells: Cells) -> tuple[Cells, Bool]:
    """The cells with every operation's client and turn; and the keys at which some client's turns are not known.

    A client with several calls open at once has no program order; its operations are ordered by the clock only.
    """
    operations, a = execution.operations, cells.actions
    seq = execution.trace.seq[operations.row]
    turn = np.empty(len(operations), np.int64)
    turn[np.lexsort((seq, operations.process))] = np.arange(len(operations))
    tangled = np.unique(operations.process[overlapping(execution.trace, operations)])
    client = np.where(np.isin(operations.process, tangled), -1, operations.process).astype(np.int64)
    unclear = np.zeros(len(cells), np.bool_)
    unclear[cells.key[client[a.operation] < 0]] = True
    return replace(cells, program=np.stack([client, turn], axis=1)[a.operation]), unclear


def judge(cells: Cells, skew_ns: int, budget: Budget, name: Callable[[int], str]) -> Judged:
    """Judges cells that come from `with_program_order`. name: how an operation is called in a sentence."""
    unique = np.zeros(len(cells), np.bool_) if cells.actions.calls is not None else written_once(cells)
    parts = [of_keys(cells, unique), of_keys(widened(cells, skew_ns), ~unique)]
    nothing = of_keys(cells, np.zeros(len(cells), np.bool_))
    places = np.flatnonzero(unique[cells.key])
    decided = _by_values(parts[0], skew_ns, lambda entry: name(int(places[entry])))
    values = Part("values", "order of values (unique values)", parts[0], decided)
    return Judged(cells, nothing, zones.decide(nothing), parts[1], search.decide(parts[1], budget), (values,))


def smallest(cells: Cells, key: int, known: int, budget: Budget) -> tuple[int, int | None]:
    """Skews between which a broken key becomes linearizable: it is broken at the first, and linearizable at the second.

    known: a skew at which it is broken. They are neighbours unless the budget ends; None: no skew makes it so.
    """
    chosen = np.zeros(len(cells), np.bool_)
    chosen[key] = True
    part = of_keys(cells, chosen)
    a = part.actions
    ended = a.end[a.end != NEVER]
    low, high = known, max(known + 1, int(a.start.max()) - int(ended.min())) if len(ended) else known + 1

    def broken(skew_ns: int) -> bool | None:
        judged = judge(part, skew_ns, budget, str)
        return None if judged.searched.undecided else bool(judged.violated.any())

    if broken(high) is not False:
        return (high, None) if budget.left > 0 else (low, None)
    while high - low > 1 and budget.left > 0:
        middle = (low + high) // 2
        answer = broken(middle)
        if answer is None:
            break
        low, high = (middle, high) if answer else (low, middle)
    return low, high


def widened(cells: Cells, skew_ns: int) -> Cells:
    """One operation precedes another by the clock only if it ended more than `skew_ns` before the other began."""
    end = cells.actions.end
    later = np.where(end == NEVER, NEVER, np.minimum(end, NOWHERE) + skew_ns)
    return replace(cells, actions=replace(cells.actions, end=later))


@dataclass(frozen=True, eq=False)
class _Values:
    """The clusters of one key: zone[c] = (earliest end plus skew, latest start); of cluster used[c].

    pairs: shape (e, 2): entries that follow each other in program order and belong to different clusters.
    """

    cells: Cells
    skew_ns: int
    name: Callable[[int], str]
    clusters: zones.Clusters
    used: Int64
    zone: Int64
    pairs: Int64


def _by_values(cells: Cells, skew_ns: int, name: Callable[[int], str]) -> Decided:
    decided = Decided()
    clusters = zones.clusters_of(cells)
    previous = search.previous(cells)
    a, of = cells.actions, clusters.cluster
    began = np.append(a.start, zones.INITIAL)[clusters.writer[of]] if len(of) else a.start
    writer = clusters.writer[of]
    early = (of >= 0) & (writer >= 0) & (np.minimum(a.end, NOWHERE) + skew_ns < began) & (a.end != NEVER)
    follows = np.flatnonzero(previous >= 0)
    same = follows[clusters.writes[follows] & (of[follows] == of[previous[follows]])]
    early[previous[same]] = True
    for entry in np.flatnonzero((of < 0) | early).tolist():
        key = int(cells.key[entry])
        decided.counts[key] = decided.counts.get(key, 0) + 1
        if key not in decided.broken:
            decided.broken[key] = _no_write(cells, entry, int(writer[entry]) if of[entry] >= 0 else -1, name)
    for key in np.unique(cells.key).tolist():
        if key not in decided.broken:
            found = _cycle(_values_of(cells, key, skew_ns, name, clusters, previous))
            if found is not None:
                decided.broken[key] = found
    return decided


def _no_write(cells: Cells, entry: int, writer: int, name: Callable[[int], str]) -> Broken:
    if writer < 0:
        text = f"{name(entry)}, but no recorded operation wrote that value."
        return Broken("unwritten-value", text, (entry,), (), entry)
    text = f"{name(entry)} had ended, beyond any doubt about clocks, before {name(writer)} began."
    return Broken(
        "read-before-write", text, (entry, writer), ((entry, writer, "ended before it began, beyond the skew"),), entry
    )


def _values_of(
    cells: Cells, key: int, skew_ns: int, name: Callable[[int], str], clusters: zones.Clusters, previous: Int64
) -> _Values:
    entries = np.flatnonzero(cells.key == key)
    a, of = cells.actions, clusters.cluster
    used, place = np.unique(of[entries], return_inverse=True)
    zone = np.empty((len(used), 2), np.int64)
    zone[:, 0], zone[:, 1] = NEVER, zones.INITIAL
    ends = np.where(a.end[entries] == NEVER, NEVER, np.minimum(a.end[entries], NOWHERE) + skew_ns)
    np.minimum.at(zone[:, 0], place, ends)
    np.maximum.at(zone[:, 1], place, a.start[entries])
    zone[clusters.writer[used] < 0, 0] = zones.INITIAL  # the initial value was there before everything
    follows = entries[previous[entries] >= 0]
    follows = follows[of[follows] != of[previous[follows]]]
    pairs = np.stack([previous[follows], follows], axis=1)
    return _Values(cells, skew_ns, name, clusters, used, zone, pairs)


def _cycle(values: _Values) -> Broken | None:
    """The shortest cycle through some cluster that has no place in an order of the values; None: there is an order."""
    zone, used, of = values.zone, values.used, values.clusters.cluster
    n = len(zone)
    source, target = (np.searchsorted(used, of[values.pairs[:, side]]) for side in (0, 1))
    by_source = np.argsort(source, kind="stable")
    first = np.searchsorted(source[by_source], np.arange(n + 1))
    waits = np.bincount(target, minlength=n).astype(np.int64)
    sorting = np.stack([np.argsort(zone[:, side], kind="stable") for side in (0, 1)], axis=1)
    free, order = np.zeros(n, np.int64), np.zeros(n, np.int64)
    run = kernels("linearizability_values", work=4 * len(values.cells.key))
    if run.values_order(zone, sorting, first, target[by_source], waits, free, order) == n:
        return None
    left = np.flatnonzero(free != 2)
    by_low = left[np.argsort(zone[left, 0], kind="stable")]
    # Every cluster that is left has a predecessor that is left: going back from one to the next closes a cycle.
    back: dict[int, tuple[int, int, int]] = {}
    c = int(left[0])
    while c not in back:
        back[c] = _predecessor(values, c, by_low, source, target, free)
        c = back[c][0]
    cycle = [c]
    while back[cycle[-1]][0] != c:
        cycle.append(back[cycle[-1]][0])
    return _told(values, [(back[d][1], back[d][2]) for d in reversed(cycle)])


def _predecessor(
    values: _Values, c: int, by_low: Int64, source: Int64, target: Int64, free: Int64
) -> tuple[int, int, int]:
    """A cluster that has to come before, with an operation of it and the one of c that follows that."""
    m = int(by_low[0]) if by_low[0] != c else int(by_low[1]) if len(by_low) > 1 else -1
    if m >= 0 and values.zone[m, 0] < values.zone[c, 1]:
        return m, _extreme(values, m, 0), _extreme(values, c, 1)
    edge = int(np.flatnonzero((target == c) & (free[source] != 2))[0])
    return int(source[edge]), int(values.pairs[edge, 0]), int(values.pairs[edge, 1])


def _extreme(values: _Values, c: int, side: int) -> int:
    """The operation of a cluster that ended first (0) or began last (1); -1 for the initial value's beginning."""
    cluster = values.used[c]
    if side == 0 and values.clusters.writer[cluster] < 0:
        return -1
    entries = np.flatnonzero(values.clusters.cluster == cluster)
    a = values.cells.actions
    return int(entries[np.argmin(a.end[entries]) if side == 0 else np.argmax(a.start[entries])])


def _told(values: _Values, steps: list[tuple[int, int]]) -> Broken:
    cells, a = values.cells, values.cells.actions
    assert cells.program is not None, "judged with program order"
    sentences, ties = [], []
    for before, after in steps:
        if before < 0:
            sentences.append(f"the initial value was there before {values.name(after)}")
            continue
        same = bool((cells.program[before, 0] == cells.program[after, 0]) & (cells.program[before, 0] >= 0))
        reason = (
            "earlier call of the same client" if same else f"ended more than {duration(values.skew_ns)} before it began"
        )
        sentences.append(f"{values.name(before)} {'came' if same else 'ended'} before {values.name(after)}")
        ties.append((before, after, reason))
    core = list(dict.fromkeys(e for step in steps for e in step if e >= 0))
    text = f"The values of {cells.name(int(cells.key[core[0]]))} have no order: " + "; ".join(sentences) + "."
    ended = [e for e in core if a.end[e] != NEVER]
    breaks = max(ended, key=lambda e: int(a.end[e])) if ended else core[-1]
    return Broken("cyclic-values", text, tuple(core), tuple(ties), breaks, {"skew_ns": values.skew_ns})
