"""Leases: no two holders take a lock to be their own at one moment, and no lease is extended that is over."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracekit.checks.doubts import domain_check
from tracekit.checks.evidence import SHOWN, duration, times, violation
from tracekit.checks.lock.facts import DECIDED, HELD, Facts, facts_of
from tracekit.checks.lock.gaps import ends_left_out, never_end
from tracekit.checks.lock.holdings import NEVER, Holdings, held
from tracekit.checks.lock.order import Order, order_of
from tracekit.checks.lock.overlaps import overlaps
from tracekit.checks.lock.told import judged, skew_that_excuses
from tracekit.execution import Execution, Options
from tracekit.results import CheckResult, Violation

Int64 = NDArray[np.int64]


def _occurs(execution: Execution) -> bool:
    return bool(execution.trace.names & {"lock.acquire", "lock.extend"})


@domain_check("lock.lease", applies=_occurs)
def lease(execution: Execution, options: Options) -> CheckResult:
    """No two holders take a lock to be their own at the same moment, and no lease is extended after it has expired.

    Meaning
        A holder takes a lock to be its own from when it learns of the grant (lock.acquire) until it gives the lock
        back (lock.leave), sees its lease run out (lock.lapse), stops (crash), or until its own clock shows the end of
        the lease that it knew of, be it awake to see that or not. Of every two holders of a lock, one has to be done
        before the other begins. Messages decide where they can. Else times do: on the simulator's clock, a lease of
        length t ends between t / (1 + d) and t / (1 - d) after it was told, for clocks that run wrong by a declared
        d at most (bounds.drift_ppm); on the processes' own clocks, moments count as apart only beyond the bound on
        their difference. An overlap that no clock within these bounds can explain violates the rule. One that may be
        none is counted as possible, and is no violation.
        And whoever decides extends no lease (lock.extend) that it knows to have expired: where lock.expire of the same
        grant happened before.

    Example
        c1:8   holds l1, token 7 for 400 ms
        n2:30  ends the lease on l1 of c1, token 7
        n2:31  grants l1 to c2, token 8
        c2:5   holds l1, token 8 for 320 ms      <- c1's lease goes on for 38 ms

    Needs
        lock.acquire with lock.lease_ns or lock.expires_ns, and lock.leave or lock.lapse, at the holders; lock.token
        where a holder may have a lock twice; a clock: time_ns, or the simulator's true_time_ns. For the second rule
        lock.extend and lock.expire with lock.token.

    Cannot see
        Overlaps shorter than what the clocks leave open. What a holder does with a lock after its lease is over: that
        shows at the resource (lock.fencing). Clocks that jump, where the simulator's clock is not recorded. How long a
        holder took a lock to be its own that never records lock.leave, where others do: the answer is unknown where
        that would decide. A single lock.leave left out looks as if it had not happened.

    Cost
        Sorting the events of locks; linear where no two holders overlap.

    Reference
        Gray and Cheriton, Leases: An Efficient Fault-Tolerant Mechanism for Distributed File Cache Consistency, SOSP
        1989. What it says of clocks that fail: a server's that runs too fast, or a client's that runs
        too slow, breaks leases. Variant: both rules, with declared bounds on rate and difference of clocks.
    """
    holdings, extended = execution.derive(held), execution.derive(_extensions)
    if not len(holdings) and not len(extended.rows):
        return CheckResult(applicable=False)
    found = overlaps(holdings)
    late = extended.broken
    unclocked = len(found.open_first) > 0 and not holdings.order.clocked
    reasons: tuple[str, ...] = (
        ("leases are recorded and no clock is, by which they could be compared",) if unclocked else ()
    )
    pairs = list(zip(found.first.tolist(), found.second.tolist(), strict=True))
    endless = never_end(execution, holdings.first[found.first], "lock.leave")
    if endless.any():
        begun = int(holdings.first[found.first[endless][0]])
        who, at = execution.trace.processes[execution.trace.process[begun]], execution.trace.event(begun)
        reasons += (f"{who} never records lock.leave, as others do: how long it took {at} to be its own is not known",)
        pairs = [pair for pair, lasting in zip(pairs, endless.tolist(), strict=True) if not lasting]
    possible = len(np.unique(found.open_first))
    return judged(
        execution,
        holdings,
        len(pairs) + len(late),
        lambda: [
            *(_told_late(execution, extended, entry) for entry in late[:SHOWN]),
            *(_told(holdings, i, j) for i, j in pairs[: max(0, SHOWN - len(late))]),
        ],
        examined={"leases": len(holdings), "extensions": len(extended.rows)},
        ends=() if len(late) else ends_left_out(execution, HELD),
        reasons=reasons,
        rests_on=_clocks(holdings.order),
        facts={"possible overlaps": possible},
        remark=f"{times(possible, 'lease')} may overlap within what the clocks leave open" if possible else "",
        method=f"holders' own times, {holdings.order.text.removeprefix('lock order: ')}",
    )


def _clocks(order: Order) -> tuple[str, ...]:
    if order.column != "true_time_ns":
        return ()
    if not order.drift_ppm:
        return ("leases: clocks run at the right rate (assumed)",)
    return (f"leases: clocks run wrong by at most {order.drift_ppm / 10_000:g} % (declared)",)


def _told(holdings: Holdings, i: int, j: int) -> Violation:
    execution, order = holdings.order.execution, holdings.order
    first, second = int(holdings.first[i]), int(holdings.first[j])
    lock, one, other = holdings.what(i), holdings.who(i), holdings.who(j)
    ends = holdings.ends(i).tolist()
    rows = [(second, int(row)) for row in ends] + [(first, int(row)) for row in holdings.ends(j).tolist()]
    facts: dict[str, Any] = {"lock": lock, "holders": [one, other], **skew_that_excuses(holdings, rows)}
    until = [int(order.moment[row]) for row in ends if order.known[row]]
    until += [int(holdings.early[i])] if holdings.leased[i] and holdings.early[i] < NEVER else []
    length = ""
    if order.clocked and until:
        facts["overlap_ns"] = min(until) - int(order.moment[second])
        length = f" for at least {duration(facts['overlap_ns'])} more"
    events = [(first, execution.text(first)), (second, f"{execution.text(second)}: {one}'s lease is not over")]
    if ends:
        events.insert(1, (int(ends[0]), execution.text(int(ends[0]))))
    return violation(
        execution,
        "leases-overlap",
        f"{other} took {lock} to be its own while {one} still did, by its own clock{length}.",
        events,
        facts=facts,
    )


class Extensions:
    """Extensions of leases, and those of grants that had expired before.

    Attributes
    ----------
    rows: every row that extends a lease.
    broken: pairs (row of the expiry, row of the extension).
    """

    def __init__(self, facts: Facts, rows: Int64, broken: list[tuple[int, int]]) -> None:
        self.facts, self.rows, self.broken = facts, rows, broken


def _extensions(execution: Execution) -> Extensions:
    """Compares each extension with the first expiry of the same lock, holder and token at each process."""
    facts = facts_of(execution, DECIDED)
    expires = execution.trace.named("lock.expire")[facts.rows] & (facts.token >= 0)
    extends = np.flatnonzero(facts.extends)
    if not len(facts) or not expires.any() or not len(extends):
        return Extensions(facts, facts.rows[extends], [])
    key = np.stack([facts.lock, facts.holder, facts.token])
    _, grant = np.unique(key, axis=1, return_inverse=True)
    grant = grant.reshape(-1)
    over = np.flatnonzero(expires)
    order = order_of(execution, facts.rows)
    over = over[np.lexsort((order.linear(facts.rows[over]).argsort(), grant[over]))]
    starts = np.searchsorted(grant[over], grant[extends])
    ends = np.searchsorted(grant[over], grant[extends], side="right")
    broken = []
    for e, low, high in zip(extends.tolist(), starts.tolist(), ends.tolist(), strict=True):
        if low == high:
            continue
        before = execution.happens_before.precedes(facts.rows[over[low:high]], facts.rows[e])
        if bool(before.any()):
            broken.append((int(facts.rows[over[low + int(np.argmax(before))]]), int(facts.rows[e])))
    return Extensions(facts, facts.rows[extends], broken)


def _told_late(execution: Execution, extended: Extensions, pair: tuple[int, int]) -> Violation:
    expiry, extension = pair
    facts = extended.facts
    at = int(np.flatnonzero(facts.rows == extension)[0])
    holder, lock = facts.holders[facts.holder[at]], facts.locks[facts.lock[at]] or "the lock"
    token = int(facts.token[at])
    return violation(
        execution,
        "extended-after-expiry",
        f"The lease of {holder} on {lock}, token {token}, was extended after it had expired.",
        [(expiry, execution.text(expiry)), (extension, execution.text(extension))],
        facts={"lock": lock, "holder": holder, "token": token},
    )
