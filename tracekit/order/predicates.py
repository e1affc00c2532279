"""Global predicates: whether some observation of an execution, or every one, passes through a state that fulfils one.

``possibly``: some consistent cut fulfils it. ``definitely``: every way in which the execution may have gone, event by
event, passes through one that does (Cooper and Marzullo, "Consistent Detection of Global Predicates", 1991). For
conjunctions of conditions on single processes both are found without looking at all cuts (Garg and Waldecker,
"Detection of Weak Unstable Predicates in Distributed Programs", 1994, and "... of Strong Unstable ...", 1996); what a
total may possibly be, by a minimum cut (`tracekit.order.totals`).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tracekit.kernels.engine import kernels
from tracekit.order.binder import Binder
from tracekit.order.conditions import Condition, Some, Sum, changes, doubt
from tracekit.order.cuts import Cut
from tracekit.order.disjuncts import Conjunction, disjuncts
from tracekit.order.expressions import UP, parse, parse_total
from tracekit.order.happens_before import HappensBefore
from tracekit.order.scope import Scope, Steps
from tracekit.order.search import Lattice
from tracekit.order.synchronised import synchronise
from tracekit.order.totals import Extreme, extreme, possible
from tracekit.trace.schema import Kind

if TYPE_CHECKING:
    from tracekit.execution import Execution

Window = tuple[Cut, Cut]
"""Two cuts, the first below the second: only what lies between them counts."""
LIMIT = 100_000
"""Cuts that are looked at one by one, unless the caller says otherwise."""
BUDGET_S = 60.0
GARG_WALDECKER = "conjunctive (Garg and Waldecker)"
MINIMUM_CUT = "totals by minimum cut (Picard)"
ALL_CUTS = "all consistent cuts (Cooper and Marzullo)"
ALL_OBSERVATIONS = "all observations (Cooper and Marzullo)"
CONJUNCTIONS = 20_000
"""Conjunctions that an expression may be taken apart into."""


@dataclass(frozen=True, eq=False)
class Detection:
    """The answer to `possibly` or `definitely`.

    Attributes
    ----------
    answer: None where it could not be decided; then `reason` says why. A no may have a reason, too.
    cut: where the answer is yes: a consistent cut that fulfils the expression; for `definitely` one of those that every
        observation meets, where the method gives one.
    method: how it was decided.
    examined: cuts looked at, where cuts were looked at one by one.
    asynchronous: where clocks say no: a cut that fulfils the expression if they are not believed.
    """

    answer: bool | None
    method: str
    cut: Cut | None = None
    reason: str = ""
    examined: int = 0
    asynchronous: Cut | None = None

    def states(self) -> Mapping[str, Mapping[str, Any]]:
        """Every process's state in the cut: by field, the value recorded last; under ``event`` its last event, and
        under ``up`` whether it is not crashed. Messages: `Cut.in_flight`, `Cut.undelivered`."""
        if self.cut is None:
            return {}
        trace, order = self.cut.order.trace, self.cut.order
        out = {}
        for p, (process, count) in enumerate(zip(trace.processes, self.cut.counts.tolist(), strict=True)):
            rows = order.program.of_process(p)[:count]
            turns = rows[(trace.kind[rows] == Kind.CRASH) | (trace.kind[rows] == Kind.RESTART)]
            up = not len(turns) or bool(trace.kind[turns[-1]] == Kind.RESTART)
            state: dict[str, Any] = {"event": trace.event(int(rows[-1])) if count else None, UP: up}
            for name, column in trace.columns.items():
                some = np.flatnonzero(column.present[rows])
                if "." in name and len(some):
                    state[name] = column.at(int(rows[some[-1]]))
            out[process] = state
        return out


def possibly(
    execution: Execution,
    expression: str,
    *,
    within: Window | None = None,
    skew_ns: int | None = None,
    limit: int = LIMIT,
    budget_s: float = BUDGET_S,
) -> Detection:
    """Whether some consistent cut fulfils the expression; with a cut as witness, for conjunctions the earliest.

    Parameters
    ----------
    expression: see `tracekit.order.expressions`.
    within: only cuts between these two count.
    skew_ns: only cuts count that agree with clocks which never differ by more (`tracekit.order.synchronised`): the
        column ``time_ns``; for 0 ``true_time_ns`` where it was recorded. None: clocks are not believed.
    limit, budget_s: how many cuts may be looked at one by one, and for how long; more: undecided.

    Raises
    ------
    TracekitError: TK304 for mistakes in the expression.
    ValueError: for a window that is none.

    Disjunctions of conjunctions of local conditions: O(n) and O(p^2) a run of true states. One total compared with a
    number, and disjunctions of these: O(n) and a minimum cut. Else exponential in processes, up to the limit, in the
    number of events that change what the expression reads.
    """
    order = execution.happens_before
    binder = Binder(order, expression)
    condition = binder.condition(parse(expression))
    scope = Scope.of(order, within, limit, budget_s)
    found = _told(_possibly(scope, condition), binder)
    if skew_ns is None or found.answer is False:
        return found
    clocks = synchronise(order, skew_ns)
    if isinstance(clocks, str):
        return Detection(None, found.method, reason=clocks, asynchronous=found.cut)
    believed = _possibly(Scope.of(order, within, limit, scope.ends - time.monotonic(), clocks), condition)
    if believed.answer is False and found.answer:
        excluded = f"a witness exists only under full asynchrony ({clocks.words} exclude it)"
        return replace(believed, reason=excluded, asynchronous=found.cut)
    return believed


def definitely(
    execution: Execution,
    expression: str,
    *,
    within: Window | None = None,
    skew_ns: int | None = None,
    limit: int = LIMIT,
    budget_s: float = BUDGET_S,
) -> Detection:
    """Whether every observation passes through a cut that fulfils the expression. Parameters as in `possibly`.

    Within a window: every way from its smallest consistent cut to its largest. With a skew: every observation that
    agrees with the clocks.

    One conjunction of local conditions: O(n) and O(p^2) a run of true states. Else every cut that does not fulfil it is
    followed, up to the limit.
    """
    order = execution.happens_before
    binder = Binder(order, expression)
    condition = binder.condition(parse(expression))
    clocks = None if skew_ns is None else synchronise(order, skew_ns)
    if isinstance(clocks, str):
        return Detection(None, ALL_OBSERVATIONS, reason=clocks)
    scope = Scope.of(order, within, limit, budget_s, clocks)
    if scope.empty:
        return Detection(None, ALL_OBSERVATIONS, reason=EMPTY)
    if within is not None and len(scope.high.doubtful):
        return Detection(None, ALL_OBSERVATIONS, reason=_doubt(scope.high))
    return _told(_definitely(scope, condition), binder)


def _told(found: Detection, binder: Binder) -> Detection:
    """An answer, with the texts of the expression that nobody recorded: most are mistyped."""
    if found.answer is None or not binder.unseen:
        return found
    return replace(found, reason="; ".join([*([found.reason] if found.reason else []), *binder.unseen]))


def extremes(
    execution: Execution,
    total: str,
    *,
    within: Window | None = None,
    skew_ns: int | None = None,
    budget_s: float = BUDGET_S,
) -> tuple[Extreme, Extreme]:
    """The smallest and the largest value of a total over all consistent cuts, each with a cut that has it.

    Parameters
    ----------
    total: ``in_flight()``, ``sum(shop.stock) + in_flight(shop.items)``: see `tracekit.order.expressions`.
    within, skew_ns: as in `possibly`.
    budget_s: for how long minimum cuts may be looked for.

    Raises
    ------
    TracekitError: TK304 for mistakes in the total.
    ValueError: for a window that is none.

    O(n) and a minimum cut. A value is None where it is not decided; then its reason says why.
    """
    order = execution.happens_before
    tree = parse_total(total)
    levels, reason = Binder(order, total).total(tree)
    clocks = None if skew_ns is None else synchronise(order, skew_ns)
    scope = Scope.of(order, within, LIMIT, budget_s, None if isinstance(clocks, str) else clocks)
    reason = reason or (clocks if isinstance(clocks, str) else EMPTY if scope.empty else "")
    found = [Extreme(None, None, reason) if reason else extreme(scope, levels, largest) for largest in (False, True)]
    for i, one in enumerate(found):
        if one.cut is not None and one.value is not None:
            unsure = len(one.cut.doubtful)
            found[i] = Extreme(None, None, _doubt(one.cut)) if unsure else replace(one, value=one.value + tree.constant)
    return found[0], found[1]


EMPTY = "no consistent cut lies in the window"


def _possibly(scope: Scope, condition: Condition) -> Detection:
    """In the order of a scope."""
    if scope.empty:
        return Detection(False, ALL_CUTS + scope.words, reason=EMPTY)
    found = disjuncts(condition, CONJUNCTIONS)
    if found is not None:
        return _conjunctive(scope, condition, found)
    if isinstance(condition, Some):
        return _any([_possibly(scope, part) for part in condition.parts])
    if reason := doubt(condition):
        return Detection(None, ALL_CUTS, reason=reason)
    return _totalled(scope, condition) if isinstance(condition, Sum) else _search(scope, condition)


def _any(found: list[Detection]) -> Detection:
    """One yes is enough."""
    best = next((one for one in found if one.answer), None) or next(
        (one for one in found if one.answer is None), found[0]
    )
    method = "; ".join(dict.fromkeys(one.method for one in found))
    return replace(best, method=method, examined=sum(one.examined for one in found))


def _conjunctive(scope: Scope, condition: Condition, found: list[Conjunction]) -> Detection:
    method = GARG_WALDECKER + scope.words
    unsure: Cut | None = None
    steps = None if scope.clocks is None else scope.steps(changes(condition))
    if isinstance(steps, str):
        return Detection(None, method, reason=steps)
    for i, conjunction in enumerate(found):
        if i and time.monotonic() > scope.ends:
            return Detection(None, method, reason=f"the time was over after {i:,} of {len(found):,} conjunctions")
        if steps is None:
            cut = earliest(scope.order, _inside(scope, conjunction))
            cut = None if cut is None else Cut(scope.order, np.maximum(cut.counts, scope.low.counts))
        else:
            reduced = {p: truth[steps.states[p]] for p, truth in conjunction.items()}
            counts = _earliest(_stepwise(steps), reduced)
            cut = None if counts is None else steps.cut(counts)
        if cut is not None and not len(cut.doubtful):
            return Detection(True, method, cut)
        unsure = unsure if cut is None else cut
    return Detection(None, method, reason=_doubt(unsure)) if unsure is not None else Detection(False, method)


def _inside(scope: Scope, conjunction: Conjunction) -> Conjunction:
    """The conjunction, true only in states of the scope."""
    found = {}
    for p, truth in conjunction.items():
        inside = np.zeros(len(truth), np.bool_)
        part = slice(int(scope.low.counts[p]), int(scope.high.counts[p]) + 1)
        inside[part] = truth[part]
        found[p] = inside
    return found


def _totalled(scope: Scope, condition: Sum) -> Detection:
    """From the extremes of a total, where they decide it."""
    method = MINIMUM_CUT + scope.words
    for part in (scope, scope.sure()):
        if part.empty:
            continue
        found = possible(part, condition)
        if found.reason:
            return Detection(None, method, reason=found.reason)
        if found.cut is None:
            if found.value is not None:
                return _search(scope, condition)
            if part is scope:
                return Detection(False, method)
        elif not len(found.cut.doubtful):
            return Detection(True, method, found.cut)
    return Detection(None, method, reason=_doubt(scope.high))


def _search(scope: Scope, condition: Condition) -> Detection:
    """All consistent cuts of the events that matter, one by one."""
    method = ALL_CUTS + scope.words
    steps = scope.steps(changes(condition))
    if isinstance(steps, str):
        return Detection(None, method, reason=steps)
    lattice = Lattice(steps, condition)
    cut, unsure = lattice.witness(lambda cut: not len(cut.doubtful))
    if cut is not None:
        return Detection(True, method, cut, examined=lattice.examined)
    reason = lattice.overdrawn or ("" if unsure is None else _doubt(unsure))
    return Detection(None if reason else False, method, reason=reason, examined=lattice.examined)


def _definitely(scope: Scope, condition: Condition) -> Detection:
    """In the order of a scope."""
    found = disjuncts(condition, CONJUNCTIONS)
    method = GARG_WALDECKER + scope.words
    if found == []:
        return Detection(False, method)
    if reason := doubt(condition):
        return Detection(None, method, reason=reason)
    whole = not scope.low.counts.any() and scope.high == Cut.whole(scope.order) and scope.clocks is None
    steps = scope.steps(changes(condition)) if not whole or found is None or len(found) > 1 else None
    # What every observation passes through for one disjunct, it passes through for all; the converse is not true.
    for i, conjunction in enumerate(found or ()):
        if i and time.monotonic() > scope.ends:
            reason = f"the time was over after {i:,} of {len(found or ()):,} conjunctions"
            return Detection(None, method, reason=reason)
        if whole:
            cut = unavoidable(scope.order, conjunction)
        elif isinstance(steps, str) or steps is None:
            break
        else:
            reduced = {p: truth[steps.states[p]] for p, truth in conjunction.items()}
            counts = _unavoidable(_stepwise(steps), reduced)
            cut = None if counts is None else steps.cut(counts)
        if cut is not None:
            return Detection(True, method, cut)
    if isinstance(steps, str):
        return Detection(None, method, reason=steps)
    if found is not None and len(found) == 1:
        return _unless_doubtful(scope, Detection(False, method))
    assert steps is not None, "made for all but a single conjunction"
    lattice = Lattice(steps, condition)
    avoided, met = lattice.avoided()
    method = ALL_OBSERVATIONS + scope.words
    if lattice.overdrawn:
        return Detection(None, method, reason=lattice.overdrawn, examined=lattice.examined)
    if not avoided:
        return Detection(True, method, met, examined=lattice.examined)
    return _unless_doubtful(scope, Detection(False, method, examined=lattice.examined))


def _unless_doubtful(scope: Scope, no: Detection) -> Detection:
    """An observation avoids it; but it may be none where the order of some events is not known."""
    return replace(no, answer=None, reason=_doubt(scope.high)) if len(scope.high.doubtful) else no


def _doubt(cut: Cut) -> str:
    name = cut.order.trace.event(int(cut.doubtful[0]))
    return f"what happened before {len(cut.doubtful):,} events is not known (the first: {name})"


@dataclass(frozen=True, eq=False)
class _Events:
    """The order that the kernels read: events in program order, and how much their last join of each knows."""

    rows: NDArray[np.int64]
    starts: NDArray[np.int64]
    last_join: NDArray[np.int32]
    vectors: NDArray[np.int32]


def earliest(order: HappensBefore, conjunction: Conjunction) -> Cut | None:
    """The smallest consistent cut in which each process's condition holds; None where there is none."""
    counts = _earliest(_events(order), conjunction)
    return None if counts is None else Cut(order, counts).smallest_above()


def unavoidable(order: HappensBefore, conjunction: Conjunction) -> Cut | None:
    """A consistent cut in which each process's condition holds, such that every observation passes through one with the
    same runs of true states; None where some observation avoids all."""
    counts = _unavoidable(_events(order), conjunction)
    return None if counts is None else Cut(order, counts).smallest_above()


def _events(order: HappensBefore) -> _Events:
    return _Events(order.program.rows, order.program.starts, order.last_receive, order.vectors)


def _stepwise(steps: Steps) -> _Events:
    """Each of the events that matter knows for itself."""
    each = np.arange(len(steps.rows))
    return _Events(each, steps.starts, each.astype(np.int32), steps.needs)


def _earliest(events: _Events, conjunction: Conjunction) -> NDArray[np.int64] | None:
    """States of the processes with a condition, 0 of the others."""
    first, last, starts = _runs(events, conjunction)
    counts = np.full(len(events.starts) - 1, -1, np.int64)
    counts[list(conjunction)] = 0
    loops = kernels("predicates", work=len(first) + len(conjunction))
    found = loops.earliest_cut(
        events.rows, events.starts, events.last_join, events.vectors, first, last, starts, counts
    )
    return np.maximum(counts, 0) if found else None


def _unavoidable(events: _Events, conjunction: Conjunction) -> NDArray[np.int64] | None:
    """As `_earliest`."""
    first, last, starts = _runs(events, conjunction)
    run = np.full(len(events.starts) - 1, -1, np.int64)
    run[list(conjunction)] = 0
    loops = kernels("predicates", work=len(first) + len(conjunction))
    if not loops.unavoidable_runs(
        events.rows, events.starts, events.last_join, events.vectors, first, last, starts, run
    ):
        return None
    counts = np.zeros(len(run), np.int64)
    counts[run >= 0] = first[run[run >= 0]]
    return counts


def _runs(events: _Events, conjunction: Conjunction) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """First and last states of the longest stretches in which each condition holds, and where each process's begin."""
    firsts, lasts, starts = [np.empty(0, np.int64)], [np.empty(0, np.int64)], [0]
    for p in range(len(events.starts) - 1):
        if p in conjunction:
            change = np.flatnonzero(np.diff(conjunction[p], prepend=False, append=False))
            firsts.append(change[::2])
            lasts.append(change[1::2] - 1)
        starts.append(starts[-1] + (len(firsts[-1]) if p in conjunction else 0))
    return np.concatenate(firsts), np.concatenate(lasts), np.array(starts, np.int64)
