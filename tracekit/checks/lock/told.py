"""What the checks of locks have in common: when they apply, what excuses a violation, and how they tell of one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tracekit.checks.doubts import not_covered
from tracekit.checks.lock.facts import ACQUIRE, named_operations
from tracekit.checks.lock.gaps import gaps
from tracekit.checks.lock.holdings import Holdings, from_operations, told_by_several
from tracekit.execution import Execution
from tracekit.results import CheckResult, Violation
from tracekit.trace.schema import Kind

HISTORY = frozenset({"f", "op", "key", "value", "index", "time_ns", "true_time_ns"})
"""Fields beside those of the domain that holdings are read from."""


def grants_occur(execution: Execution) -> bool:
    """Whether anybody decides about a lock, or clients are answered that they have one."""
    return bool(execution.trace.names & {"lock.grant", "lock.keep"}) or operations_occur(execution)


def operations_occur(execution: Execution) -> bool:
    """Whether clients acquire locks by operations."""
    trace = execution.trace
    return bool((named_operations(trace, ACQUIRE) & trace.is_kind(Kind.OK)).any())


def excuses(execution: Execution) -> tuple[str, ...]:
    """Why an event that was not recorded may explain a violation; empty: none may."""
    trace = execution.trace
    partial = [trace.processes[p] for p in not_covered(execution)]
    reasons = [f"not all events of {', '.join(partial[:3])} were recorded (declared coverage)"] if partial else []
    if not trace.complete:
        reasons.append("the file is not marked complete, so events at its end may be missing")
    spoiled = trace.set_aside.spoiling(lambda name: name in HISTORY)
    return (*reasons, *([f"{spoiled}: they may be about locks"] if spoiled else []))


def unclear(holdings: Holdings) -> tuple[str, ...]:
    """Reasons where events cannot be told apart."""
    left_out = gaps(holdings.order.execution)
    if not len(holdings.unclear):
        return left_out
    event = holdings.order.execution.trace.event(int(holdings.unclear[0]))
    told = (
        f"{len(holdings.unclear):,} events without a lock.token may belong to an earlier or a later grant "
        f"(first: {event}): their order is not known"
    )
    return (told, *left_out)


def judged(
    execution: Execution, holdings: Holdings, total: int, violations: Callable[[], Sequence[Violation]], **more: Any
) -> CheckResult:
    """The result, with violations turned into a reason where an event that is missing may explain them.

    more: fields of the result; ends: reasons why ends of holdings may be missing.
    """
    order, reasons = holdings.order, (*unclear(holdings), *more.pop("reasons", ()))
    rests_on = (order.text, *more.pop("rests_on", ()))
    if holdings.facts.locks == ("",):
        rests_on += ("one lock (assumed: lock.name is not recorded)",)
    if from_operations(holdings):
        rests_on += ("locks: held from the answer to acquire until the request to release",)
    doubts = (*excuses(execution), *unclear(holdings), *told_by_several(holdings), *more.pop("ends", ()))
    if not total:
        return CheckResult(reasons=reasons, rests_on=rests_on, **more)
    told = tuple(violations())
    if doubts:
        return CheckResult(reasons=(*reasons, f"{told[0].summary} But {doubts[0]}."), rests_on=rests_on, **more)
    return CheckResult(
        violations=told, violations_total=total, reasons=reasons, rests_on=rests_on, **more
    )  # fmt: skip


def skew_that_excuses(holdings: Holdings, rows: Sequence[tuple[int, int]]) -> dict[str, int]:
    """The smallest difference of clocks with which the rows of a pair may have come in the other order, where clocks
    decide and nothing was declared: each pair, earlier one first."""
    order = holdings.order
    if not order.assumed:
        return {}
    precedes = order.execution.happens_before.precedes
    gaps = [int(order.moment[b] - order.moment[a]) for a, b in rows if not bool(precedes(a, b))]
    return {"excused_by_skew_ns": min(gaps)} if gaps else {}


def begin_text(holdings: Holdings, i: int) -> str:
    """What the first event of a holding says."""
    execution, row = holdings.order.execution, int(holdings.first[i])
    if Kind(execution.trace.kind[row]) == Kind.OK:
        return f"is answered that it has {holdings.what(i)}"
    return execution.text(row)
