"""Lamport's mutual exclusion grants requests in the order of their timestamps."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tracekit.checks.doubts import domain_check
from tracekit.checks.evidence import SHOWN, not_recorded, times, violation
from tracekit.checks.lock.facts import numbers
from tracekit.checks.lock.holdings import Holdings, decided
from tracekit.checks.lock.inversions import inversions
from tracekit.checks.lock.told import unclear
from tracekit.execution import Execution, Options
from tracekit.results import CheckResult, Violation

Int64 = NDArray[np.int64]


def _occurs(execution: Execution) -> bool:
    return "lock.grant" in execution.trace.names and "lock.timestamp" in execution.trace


@domain_check("lock.timestamp-order", applies=_occurs, self_evident=lambda execution: True)
def timestamp_order(execution: Execution, options: Options) -> CheckResult:
    """Requests are granted in the order of their timestamps: none after one with a later timestamp.

    Meaning
        Requests are ordered by their timestamps, and all processes agree on that order, as each has a logical clock. A
        process enters when its request is the first of all that it knows of, and it knows of all that may be earlier.
        So no request is granted before one with an earlier timestamp. Where a request happened before another one it
        has the earlier timestamp, so those are granted in the order in which they were made (the paper's condition II).
        Two grants are compared where one came certainly before the other, by happens-before or a clock.

    Example
        n1:4   enters resource, timestamp 3
        n2:9   enters resource, timestamp 2     <- n2 asked earlier

    Needs
        lock.grant with lock.timestamp, the timestamp of the request that is granted; an order: messages, index or a
        clock; lock.name where there are several locks.

    Cannot see
        The order of requests with equal timestamps, which processes may settle in any way that all of them agree on.
        Requests that are never granted (condition III): that is liveness.

    Cost
        Sorting the grants.

    Reference
        Lamport, Time, Clocks, and the Ordering of Events in a Distributed System, CACM 1978. Section "Ordering the
        Events Totally": rule 5 and condition II. Variant: the order of timestamps alone, without the order of
        processes between equal ones.
    """
    holdings = execution.derive(decided)
    time = numbers(execution.trace.get("lock.timestamp"), holdings.first)
    keep = np.flatnonzero((time >= 0) & holdings.begun)
    if not len(keep):
        missing = not_recorded(execution, "lock.timestamp")
        return CheckResult(reasons=missing, applicable=bool(len(holdings)))
    pairs, unsure = inversions(holdings, keep, time[keep])
    reasons = [*unclear(holdings)]
    without = int(holdings.begun.sum()) - len(keep)
    if without:
        reasons.append(f"{times(without, 'grant')} without lock.timestamp")
    if unsure and not pairs:
        event = execution.trace.event
        i, j = (int(holdings.first[k]) for k in unsure[0])
        reasons.append(
            f"{times(len(unsure), 'grant')} may have come after one with a later timestamp (first: {event(i)} and "
            f"{event(j)}): neither messages nor a clock order them"
        )
    return CheckResult(
        examined={"grants": len(keep)},
        violations=tuple(_told(holdings, i, j) for i, j in pairs[:SHOWN]),
        violations_total=len(pairs),
        reasons=tuple(reasons),
        rests_on=(holdings.order.text,),
        method="largest timestamp granted before each grant",
    )


def _told(holdings: Holdings, i: int, j: int) -> Violation:
    execution = holdings.order.execution
    first, second = int(holdings.first[i]), int(holdings.first[j])
    high, low = numbers(execution.trace.get("lock.timestamp"), np.array([first, second])).tolist()
    one, other = holdings.who(i), holdings.who(j)
    return violation(
        execution,
        "granted-out-of-order",
        f"{one} was granted {holdings.what(i)} with timestamp {high} before {other}, whose request has the earlier "
        f"timestamp {low}.",
        [(first, execution.text(first)), (second, execution.text(second))],
        facts={"lock": holdings.what(i), "holders": [one, other], "timestamps": [high, low]},
    )
