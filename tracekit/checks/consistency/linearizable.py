"""The check `consistency.linearizable`: chooses a model and, key by key, a method; collects verdict and evidence."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracekit.checks.consistency import cells as cells_module
from tracekit.checks.consistency import skewed
from tracekit.checks.consistency.cells import Cells, cells_of, of_keys
from tracekit.checks.consistency.doubts import Doubts, doubts_of, written_oddly
from tracekit.checks.consistency.linearizable_evidence import (
    LISTED,
    advice,
    certificate_of,
    facts_of,
    listed,
    violations_of,
    why_undecided,
)
from tracekit.checks.consistency.revisions import revisions_of
from tracekit.checks.consistency.router import Judged, judge
from tracekit.checks.consistency.witness import Witnesses
from tracekit.checks.evidence import duration
from tracekit.errors import TracekitError
from tracekit.execution import Budget, Execution, Interrupted, Options
from tracekit.history.models import Choice, actions_of, choose, fitting_models
from tracekit.history.models.steps import States
from tracekit.history.operations import Outcome, out_of_turn
from tracekit.registry import check
from tracekit.results import CheckResult
from tracekit.trace.schema import Kind


def _applies(execution: Execution) -> bool:
    f = execution.trace.get("f")
    if f is None or not (execution.trace.is_kind(Kind.INVOKE) & f.present).any():
        return False
    if execution.options.model or execution.trace.run.model:
        return True
    return bool(fitting_models(execution.operations))


@check("consistency.linearizable", applies=_applies, columns=("f",))
def linearizable(execution: Execution, options: Options) -> CheckResult:
    """Every operation takes effect at one moment between its invocation and its completion.

    Meaning
        Clients call operations on shared objects: a register, or the keys of a key-value store. Calls take time and
        overlap. The history is linearizable if one can choose, for every operation, a single moment between its
        invocation and its completion, so that the operations, executed one after the other in the order of those
        moments, give exactly the answers that the clients got. To its clients the system is then indistinguishable
        from one copy of the data on one machine: once a write has completed, or once somebody has read its value,
        nobody reads an older value. Keys are judged one by one, because a history is linearizable exactly if it is so
        for each object.

        An operation that completed with `fail` did not happen, and demands nothing (with the model option
        fail=asserts, a failed cas says that the value was a different one). An operation with `info`, or without
        completion, may take effect at any time after its invocation, or never. A completion whose invocation was not
        recorded began before everything. Two operations are in real-time order if one ended strictly before the other
        began; which clock says so stands under RESTS ON. With --skew E, operations of one client are in the order
        of its calls, and others only if more than E lies between.

    Example
        A stale read:
            0 ms  a  invoke write 1
            1 ms  a  ok     write 1
            2 ms  a  invoke write 2
            3 ms  a  ok     write 2       from here on the value is 2
            4 ms  b  invoke read
            5 ms  b  ok     read 1        stale: the write of 2 had completed before the read began

        While a write is open, a read may see the old value or the new one; but once somebody saw the new one, nobody
        may go back:
            0 ms  a  invoke write 2       (after a write of 1)
            1 ms  b  read 2               so the write has taken effect
            2 ms  c  read 1               began after b's read ended, and yet sees the older value
            3 ms  a  ok     write 2

    Needs
        invoke, ok, fail and info events with `f` and, but for locks, `value`; `op` where one process has several
        operations open at once; `key` where there are several objects; a real-time order: `index`, `true_time_ns` or
        `time_ns`. A sequential model: one of `tracekit list models`, or one of your own (docs/models.md). It is taken
        from --model, else from what the run declares, else from the operations, if only one model has them all. Where
        the recording leaves something open that could change the answer (rows set aside, missing starts or ends,
        completions that cannot be attributed, clocks that differ), the verdict is unknown, and says why.

    Cannot see
        Order between objects: transactions over several keys are `isolation.*`. Moments at which nobody looked: a
        lost write that no later read should have seen leaves no trace. Two writes of one value that the system
        swapped. Clocks that were wrong: where recorders' clocks are only assumed to be one, a stale read says how far
        they would have to differ to excuse its witness. The inside of the system: events of servers are not looked
        at.

    Cost
        Which method decided, and why, stands in the result. Where the store numbered its changes
        (`history.revision`), that order is tried first: O(n log n). A key whose written values are all different, and
        a queue, stack, set or priority queue into which nothing goes twice: O(n log n) time and O(n) memory, about a
        second for a million operations. A queue with duplicates: a sweep, exponential only in the dequeues that are
        open at once. A stack with duplicates: dynamic programming over frontiers, exponential only in the operations
        that are open at once. Other keys: a search that is exponential in the worst case (it is NP-complete), in the
        number of operations open at once and not in the length; memory up to 1 GiB, time up to --budget; then the
        verdict is unknown, with the key, the stretch of the history and what made it hard. Values written twice, cas,
        models with many states and, most of all, operations that were never answered make a key hard.
        A violation that the search found is made small: up to two seconds for all of them together.

    Reference
        Herlihy & Wing, Linearizability: a correctness condition for concurrent objects, TOPLAS 1990. Unique values:
        zones of Gibbons & Korach, Testing shared memories, SIAM J. Comput. 1997. Containers: Lee & Mathur, Efficient
        decrease-and-conquer linearizability monitoring, OOPSLA 2025. Stacks with duplicates: after Lee & Mathur, Fixed
        parameter tractable linearizability monitoring, PLDI 2026. Search: Wing & Gong, J. Parallel Distrib.
        Comput. 1993; just-in-time linearization of Lowe, Testing for linearizability, Concurrency Computat.: Pract.
        Exper. 2017. One key at a time: Herlihy & Wing's theorem 1; Horn & Kroening, FORTE 2015.
    """
    operations = execution.operations
    try:
        choice = choose(operations, options.model, execution.trace.run.model)
    except TracekitError as error:
        if options.model:
            raise
        return CheckResult(
            reasons=(f"the run declares the model {execution.trace.run.model}: {error.summary}",),
            rests_on=(operations.real_time.text,),
            tried=("--model NAME",),
        )
    if choice is None:
        several = ", ".join(fitting_models(operations))
        reason = f"the operations fit several models: {several}" if several else "no model has all the operations"
        return CheckResult(reasons=(reason,), rests_on=(operations.real_time.text,), tried=("--model NAME",))
    unusable = execution.unusable("value")
    if unusable and (choice.model.valued or "value" in execution.trace):
        return CheckResult(reasons=(unusable,), rests_on=(operations.real_time.text, choice.text))
    actions = actions_of(operations, choice)
    cells = cells_of(operations, actions, choice.model)
    doubts = doubts_of(execution, cells)
    if doubts.started_late:
        cells = cells_module.with_unknown_beginning(cells)
    cells = cells_module.without_unobserved(of_keys(cells, ~doubts.undecidable))
    budget = Budget(options.budget_s)
    if isinstance(actions.values, States):
        actions.values.left = lambda: budget.left
    revisions = None if doubts.started_late else revisions_of(execution)
    judged = judge(cells, choice, budget, Witnesses(execution, cells).name, revisions)
    found = _result(execution, options, choice, doubts, judged, budget)
    if budget.interrupted:
        raise Interrupted(found)
    return found


def _result(
    execution: Execution, options: Options, choice: Choice, doubts: Doubts, judged: Judged, budget: Budget
) -> CheckResult:
    operations, cells = execution.operations, judged.cells
    rests_on = [operations.real_time.text, choice.text]
    reasons = list(doubts.reasons)
    violated, confirmed = judged.violated, judged
    skew = _skew(execution, options)
    by_skew: list[Any] = []
    if choice.revision_asserts:
        reasons += _unnumbered(judged, skew)
        if skew != 0:
            violated[[key for part in judged.parts if part.name == "revisions" for key in part.decided.broken]] = False
    if skew:
        rests_on[0] += f", judged with a skew of {duration(skew)}"
    if skew and (asked := violated | _out_of_turn(execution, cells)).any():
        confirmed, unclear = _with_skew(execution, of_keys(cells, asked), skew, budget)
        excused = violated & ~confirmed.violated
        excused[list(confirmed.undecided)] = False
        reasons += [why_undecided(execution, confirmed, key) for key in list(confirmed.undecided)[:LISTED]]
        if (excused & unclear).any():
            named = listed(cells, excused & unclear)
            reasons.append(
                f"{named}: not linearizable by the clocks, linearizable with a skew of {duration(skew)}, but some "
                "client has several calls open at once, and what order that leaves between its calls is not judged"
            )
        by_skew = [cells.names[k] for k in np.flatnonzero(excused & ~unclear)]
        violated = confirmed.violated
    elif skew is None:
        found = f"{listed(cells, violated)}: not linearizable" if violated.any() else "linearizable"
        reasons.append(f"{found} by the clocks, but they are declared to differ without a bound: nothing follows")
        violated = np.zeros(len(cells), np.bool_)
    for reason, keys in doubts.excuses:
        if (violated & keys).any():
            reasons.append(f"{listed(cells, violated & keys)}: not linearizable as recorded, but {reason}")
            violated &= ~keys
    odd = violated & written_oddly(cells, violated)
    if odd.any():
        reasons.append(
            f"{listed(cells, odd)}: not linearizable if values are equal only where their texts are, but not "
            "all are canonical JSON"
        )
        violated = violated & ~odd
    violations = violations_of(execution, confirmed, violated, skew or 0, options)
    total = sum(confirmed.count(int(k)) for k in np.flatnonzero(violated))
    reasons += [why_undecided(execution, judged, key) for key in list(judged.undecided)[:LISTED]]
    answered = operations.outcome != Outcome.INFO
    if len(operations) and not answered.any() and not reasons:
        reasons.append("no operation was answered, so nothing says what the system did")
    certificate = None if reasons or total else certificate_of(execution, judged, confirmed)
    return CheckResult(
        examined={"operations": len(operations), "keys": len(cells)} if answered.any() else {},
        violations=violations,
        violations_total=total,
        reasons=tuple(reasons),
        tried=advice(judged, options),
        method=judged.method,
        certificate=certificate,
        facts=facts_of(execution, judged, doubts, violated) | ({"linearizable_by_skew": by_skew} if by_skew else {}),
        rests_on=tuple(rests_on),
        remark=", ".join(f"{problem.count} × {what}" for what, problem in operations.problems.items()),
    )


def _unnumbered(judged: Judged, skew: int | None) -> list[str]:
    """Why keys are not judged in the order of revisions, which the model has asserted."""
    [part] = [part for part in judged.parts if part.name == "revisions"]
    cells = judged.cells
    left = np.zeros(len(cells), np.bool_)
    left[cells.key] = True
    left[part.cells.key] = False
    left &= ~judged.violated
    reasons = []
    if left.any():
        reasons.append(f"{listed(cells, left)}: not judged in the order of revisions, which some operations lack")
    if skew != 0 and part.decided.broken:
        broken = np.zeros(len(cells), np.bool_)
        broken[list(part.decided.broken)] = True
        reasons.append(
            f"{listed(cells, broken)}: not linearizable in the order of revisions by the clocks, but how far they may "
            "differ is not looked at in that order"
        )
    return reasons


def _skew(execution: Execution, options: Options) -> int | None:
    """The bound on clocks that matters: none where one recorder or a simulator saw all; None: no bound is known."""
    real_time = execution.operations.real_time
    if real_time.column != "time_ns":
        return 0
    return options.skew_ns or real_time.skew_ns


def _out_of_turn(execution: Execution, cells: Cells) -> NDArray[np.bool_]:
    """Shape (keys,): keys at which the clock does not order some client's own calls, which program order does."""
    keys = np.zeros(len(cells), np.bool_)
    early = out_of_turn(execution.trace, execution.operations, -1)
    keys[cells.key[early[cells.actions.operation]]] = True
    return keys


def _with_skew(execution: Execution, cells: Cells, skew: int, budget: Budget) -> tuple[Judged, NDArray[np.bool_]]:
    """Judges cells again; and at which keys the calls of some client are in no order."""
    ordered, unclear = skewed.with_program_order(execution, cells)
    named = Witnesses(execution, ordered)
    return skewed.judge(ordered, skew, budget, named.name), unclear
