"""Global predicates: whether some observation of an execution, or every one, passes through a state that fulfils one.

``possibly``: some consistent cut fulfils it. ``definitely``: every way in which the execution may have gone, event by
event, passes through one that does (Cooper and Marzullo, "Consistent Detection of Global Predicates", 1991). For
conjunctions of conditions on single processes both are found without looking at all cuts (Garg and Waldecker,
"Detection of Weak Unstable Predicates in Distributed Programs", 1994, and "... of Strong Unstable ...", 1996).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tracekit.kernels.engine import kernels
from tracekit.order.conditions import Binder, Condition, Conjunction, disjuncts
from tracekit.order.cuts import Counts, Cut, consistent_cuts
from tracekit.order.expressions import parse
from tracekit.order.happens_before import HappensBefore

if TYPE_CHECKING:
    from tracekit.execution import Execution

CONJUNCTIONS = 20_000
"""Conjunctions that an expression may be taken apart into."""


@dataclass(frozen=True, eq=False)
class Detection:
    """The answer to `possibly` or `definitely`.

    Attributes
    ----------
    answer: None where it could not be decided; then `reason` says why.
    cut: where the answer is yes: a consistent cut that fulfils the expression; for `definitely` one of those that every
        observation meets, where the method gives one.
    method: how it was decided.
    examined: cuts looked at, where cuts were looked at one by one.
    """

    answer: bool | None
    method: str
    cut: Cut | None = None
    reason: str = ""
    examined: int = 0

    def states(self) -> Mapping[str, Mapping[str, Any]]:
        """Every process's state in the cut: by field, the value recorded last, and under ``event`` its last event."""
        if self.cut is None:
            return {}
        trace, order = self.cut.order.trace, self.cut.order
        out = {}
        for p, (process, count) in enumerate(zip(trace.processes, self.cut.counts.tolist(), strict=True)):
            rows = order.program.of_process(p)[:count]
            state: dict[str, Any] = {"event": trace.event(int(rows[-1])) if count else None}
            for name, column in trace.columns.items():
                some = np.flatnonzero(column.present[rows])
                if "." in name and len(some):
                    state[name] = column.at(int(rows[some[-1]]))
            out[process] = state
        return out


def possibly(execution: Execution, expression: str, *, limit: int = 100_000) -> Detection:
    """Whether some consistent cut fulfils the expression; with the earliest cut found as witness.

    Parameters
    ----------
    expression: see `tracekit.order.expressions`.
    limit: how many cuts may be looked at where processes are compared with each other; more: undecided.

    Raises
    ------
    TracekitError: TK304 for mistakes in the expression.

    Disjunctions of conjunctions of local conditions: O(n) and O(p^2) a run of true states; else exponential in
    processes, up to the limit.
    """
    order = execution.happens_before
    condition = Binder(order, expression).condition(parse(expression))
    found = disjuncts(condition, CONJUNCTIONS)
    if found is None:
        return _search(order, condition, limit)
    method = "conjunctive (Garg and Waldecker)"
    doubtful = None
    for conjunction in found:
        cut = earliest(order, conjunction)
        if cut is not None and not len(cut.doubtful):
            return Detection(True, method, cut)
        doubtful = doubtful if cut is None else cut
    if doubtful is not None:
        return Detection(None, method, reason=_doubt(doubtful))
    return Detection(False, method)


def definitely(execution: Execution, expression: str, *, limit: int = 100_000) -> Detection:
    """Whether every observation passes through a cut that fulfils the expression. Parameters as in `possibly`.

    One conjunction of local conditions: O(n) and O(p^2) a run of true states. Else every cut that does not fulfil it is
    followed, up to the limit.
    """
    order = execution.happens_before
    condition = Binder(order, expression).condition(parse(expression))
    found = disjuncts(condition, CONJUNCTIONS)
    method = "conjunctive (Garg and Waldecker)"
    if found == []:
        return Detection(False, method)
    # What every observation passes through for one disjunct, it passes through for all; the converse is not true.
    for conjunction in found or ():
        cut = unavoidable(order, conjunction)
        if cut is not None:
            return Detection(True, method, cut)
    if found is None or len(found) > 1:
        return _avoid(order, condition, limit)
    return _unless_doubtful(order, method, 0)


def _unless_doubtful(order: HappensBefore, method: str, examined: int) -> Detection:
    """No: an observation avoids it; but it may be none where the order of some events is not known."""
    whole = Cut.whole(order)
    if len(whole.doubtful):
        return Detection(None, method, reason=_doubt(whole), examined=examined)
    return Detection(False, method, examined=examined)


def _doubt(cut: Cut) -> str:
    name = cut.order.trace.event(int(cut.doubtful[0]))
    return f"what happened before {len(cut.doubtful):,} events is not known (the first: {name})"


def earliest(order: HappensBefore, conjunction: Conjunction) -> Cut | None:
    """The smallest consistent cut in which each process's condition holds; None where there is none."""
    first, last, starts = _runs(order, conjunction)
    counts = np.full(len(order.trace.processes), -1, np.int64)
    counts[list(conjunction)] = 0
    loops = kernels("predicates", work=len(first) + len(conjunction))
    if not loops.earliest_cut(
        order.program.rows, order.program.starts, order.last_receive, order.vectors, first, last, starts, counts
    ):
        return None
    return Cut(order, np.maximum(counts, 0)).smallest_above()


def unavoidable(order: HappensBefore, conjunction: Conjunction) -> Cut | None:
    """A consistent cut in which each process's condition holds, such that every observation passes through one with the
    same runs of true states; None where some observation avoids all."""
    first, last, starts = _runs(order, conjunction)
    run = np.full(len(order.trace.processes), -1, np.int64)
    run[list(conjunction)] = 0
    loops = kernels("predicates", work=len(first) + len(conjunction))
    if not loops.unavoidable_runs(
        order.program.rows, order.program.starts, order.last_receive, order.vectors, first, last, starts, run
    ):
        return None
    counts = np.zeros(len(run), np.int64)
    counts[run >= 0] = first[run[run >= 0]]
    return Cut(order, counts).smallest_above()


def _runs(
    order: HappensBefore, conjunction: Conjunction
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """First and last states of the longest stretches in which each condition holds, and where each process's begin."""
    firsts, lasts, starts = [np.empty(0, np.int64)], [np.empty(0, np.int64)], [0]
    for p in range(len(order.trace.processes)):
        if p in conjunction:
            change = np.flatnonzero(np.diff(conjunction[p], prepend=False, append=False))
            firsts.append(change[::2])
            lasts.append(change[1::2] - 1)
        starts.append(starts[-1] + (len(firsts[-1]) if p in conjunction else 0))
    return np.concatenate(firsts), np.concatenate(lasts), np.array(starts, np.int64)


def _search(order: HappensBefore, condition: Condition, limit: int) -> Detection:
    """All consistent cuts, one by one."""
    method = "all consistent cuts (Cooper and Marzullo)"
    examined = 0
    start, end = Cut(order, np.zeros(len(order.trace.processes), np.int64)), Cut.whole(order)
    doubtful: Cut | None = None
    for examined, counts in enumerate(consistent_cuts(start, end), 1):
        if examined > limit:
            return Detection(None, method, reason=f"more than {limit:,} consistent cuts", examined=limit)
        if condition.holds(counts):
            cut = Cut.of(order, counts)
            if not len(cut.doubtful):
                return Detection(True, method, cut, examined=examined)
            doubtful = cut
    if doubtful is not None:
        return Detection(None, method, reason=_doubt(doubtful), examined=examined)
    return Detection(False, method, examined=examined)


def _avoid(order: HappensBefore, condition: Condition, limit: int) -> Detection:
    """Whether a path of single events leads from the beginning to the end through cuts that do not fulfil it."""
    method = "all observations (Cooper and Marzullo)"
    start = Cut(order, np.zeros(len(order.trace.processes), np.int64))
    reached: set[Counts] = set()
    examined, size, fresh = 0, -1, set[Counts]()
    met: Counts | None = None
    for examined, counts in enumerate(consistent_cuts(start, Cut.whole(order)), 1):
        if examined > limit:
            return Detection(None, method, reason=f"more than {limit:,} consistent cuts", examined=limit)
        if sum(counts) != size:
            reached, fresh, size = fresh, set(), sum(counts)
            if examined > 1 and not reached:
                return Detection(True, method, None if met is None else Cut.of(order, met), examined=examined)
        before = examined == 1 or any(
            (*counts[:p], counts[p] - 1, *counts[p + 1 :]) in reached for p in range(len(counts))
        )
        if before and condition.holds(counts):
            met = met or counts
        elif before:
            fresh.add(counts)
    if not fresh:
        return Detection(True, method, None if met is None else Cut.of(order, met), examined=examined)
    return _unless_doubtful(order, method, examined)
