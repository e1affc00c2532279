"""Fencing tokens: they only grow, and a resource accepts none below one that it has accepted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tracekit.checks.doubts import domain_check
from tracekit.checks.evidence import SHOWN, not_recorded, times, violation
from tracekit.checks.lock.facts import column_texts, numbers
from tracekit.checks.lock.gaps import gaps, unnamed
from tracekit.checks.lock.holdings import Holdings, decided
from tracekit.checks.lock.inversions import inversions
from tracekit.checks.lock.told import skew_that_excuses
from tracekit.execution import Execution, Options
from tracekit.results import CheckResult, Violation
from tracekit.trace.schema import Kind

Int64 = NDArray[np.int64]


def _occurs(execution: Execution) -> bool:
    trace = execution.trace
    return "lock.accept" in trace.names or ("lock.grant" in trace.names and "lock.token" in trace)


@dataclass(frozen=True, eq=False)
class Broken:
    """What breaks the rule, each as the row that came before and the row where it broke.

    Attributes
    ----------
    examined: how many rows were compared.
    reasons: why not all could be.
    """

    pairs: list[tuple[int, int]]
    examined: int
    reasons: tuple[str, ...] = ()


@domain_check("lock.fencing", applies=_occurs, self_evident=lambda execution: True)
def fencing(execution: Execution, options: Options) -> CheckResult:
    """No resource accepts a write with a token below one that it has accepted, and every grant has a larger token.

    Meaning
        A holder may be paused for longer than its lease, or its write be late on its way; by then somebody else has
        the lock. No clock can prevent that. So every grant of a lock has a token, larger than those of all grants
        before; each write carries it; and a resource refuses a token that is smaller than one it has accepted for that
        lock, also after a restart. Grants are compared where one came certainly before the other, by happens-before or
        a clock. Two holders never have the same token of a lock.

    Example
        storage:12  accepts a write l1, token 8
        storage:19  accepts a write l1, token 7     <- c1 was paused, and its lease was over

    Needs
        lock.accept with lock.token at the resource, a process of its own; lock.name where there are several locks. For
        the tokens themselves lock.grant with lock.token, and an order: messages, index or a clock.

    Cannot see
        Writes that the resource took without recording lock.accept. A write of an earlier holder that comes before
        the first one of the later holder: the resource cannot know of the new token, and accepts it.

    Cost
        Sorting accepted writes and grants.

    Reference
        Kleppmann, How to do distributed locking, 2016 (fencing tokens). Sequencers are the same:
        Burrows, The Chubby Lock Service for Loosely-Coupled Distributed Systems, OSDI 2006, section 2.4.
    """
    accepted = _accepted(execution)
    holdings = execution.derive(decided)
    granted, twice = _granted(holdings)
    missing = not_recorded(execution, "lock.token") if not (accepted.examined or granted.examined) else ()
    left_out = gaps(execution)
    pairs = [
        *((pair, "token-given-twice") for pair in twice * (not left_out)),
        *((pair, "token-not-larger") for pair in granted.pairs),
        *((pair, "older-token-accepted") for pair in accepted.pairs * (not unnamed(execution))),
    ]
    return CheckResult(
        examined={"accepted writes": accepted.examined, "grants with tokens": granted.examined},
        violations=tuple(_told(holdings, *pair, code) for pair, code in pairs[:SHOWN]),
        violations_total=len(pairs),
        reasons=(*missing, *accepted.reasons, *granted.reasons, *left_out),
        rests_on=(holdings.order.text,) if granted.examined else (),
        method="largest token so far, at each resource and over all grants",
    )


def _accepted(execution: Execution) -> Broken:
    """Each resource's accepted tokens, lock by lock, in its own order: none below the largest so far."""
    trace = execution.trace
    rows = np.flatnonzero(trace.named("lock.accept") & (trace.kind != Kind.FAULT))
    token = numbers(trace.get("lock.token"), rows)
    without = int((token < 0).sum())
    reasons: tuple[str, ...] = ()
    if without:
        first = trace.event(int(rows[np.argmax(token < 0)]))
        reasons = (f"{times(without, 'accepted write')} without lock.token (first: {first})",)
    rows, token = rows[token >= 0], token[token >= 0]
    _, lock = column_texts(trace.get("lock.name"), rows, np.full(len(rows), "", object))
    process = trace.process[rows].astype(np.int64)
    by = np.lexsort((execution.program_order.index[rows], lock, process))
    rows, token = rows[by], token[by]
    new = np.ones(len(by), np.bool_)
    new[1:] = (np.diff(process[by]) != 0) | (np.diff(lock[by]) != 0)
    largest, at = _largest_so_far(token, new)
    broken = np.flatnonzero(token < largest)
    return Broken([(int(rows[at[b]]), int(rows[b])) for b in broken.tolist()], len(rows), reasons)


def _largest_so_far(values: Int64, new: NDArray[np.bool_]) -> tuple[Int64, Int64]:
    """Within each group (that begins where `new`): the largest value up to each, and where it first stood. O(n log n).

    Groups are told apart by ranks: the k-th group's ranks lie above those of all groups before it.
    """
    n = len(values)
    if not n:
        return values, np.empty(0, np.int64)
    group = np.cumsum(new) - 1
    by = np.lexsort((-np.arange(n), values, group))
    rank = np.empty(n, np.int64)
    rank[by] = np.arange(n)
    top = np.maximum.accumulate(rank)
    at = by[top]
    return values[at], at


def _granted(holdings: Holdings) -> tuple[Broken, list[tuple[int, int]]]:
    """Grants whose token is not above that of a grant certainly before; and tokens that two holders were given."""
    keep = np.flatnonzero((holdings.token >= 0) & holdings.begun)
    lock, token, row, holder = (a[keep] for a in (holdings.lock, holdings.token, holdings.first, holdings.holder))
    by = np.lexsort((np.arange(len(keep)), token, lock))
    same = (np.diff(lock[by]) == 0) & (np.diff(token[by]) == 0) & (np.diff(holder[by]) != 0)
    twice = [(int(row[by[k]]), int(row[by[k + 1]])) for k in np.flatnonzero(same).tolist()]
    inverted, unsure = inversions(holdings, keep, token)
    pairs = [(int(holdings.first[i]), int(holdings.first[j])) for i, j in inverted]
    reasons: tuple[str, ...] = ()
    if unsure and not pairs:
        event = holdings.order.execution.trace.event
        first = " and ".join(event(int(holdings.first[k])) for k in unsure[0])
        reasons = (f"which of {times(len(unsure), 'pair')} of grants came first is not known (first: {first})",)
    return Broken(pairs, len(keep), reasons), twice


def _told(holdings: Holdings, earlier: int, row: int, anomaly: str) -> Violation:
    execution, trace = holdings.order.execution, holdings.order.execution.trace
    low, high = (numbers(trace.get("lock.token"), np.array([r]))[0] for r in (row, earlier))
    lock = trace.fields(row).get("lock.name") or "the lock"
    holder = trace.fields(row).get("lock.holder")
    of = f" of {holder}" if holder is not None else ""
    summary = {
        "older-token-accepted": f"{trace.processes[trace.process[row]]} accepted a write{of} with token {low} for "
        f"{lock}, though it had accepted token {high} before.",
        "token-not-larger": f"{lock} was granted with token {low} after it had been granted with token {high}.",
        "token-given-twice": f"Token {low} of {lock} was given to two holders.",
    }[anomaly]
    events = [(earlier, execution.text(earlier)), (row, execution.text(row))]
    facts = {"lock": str(lock), "token": int(low), "before": int(high)}
    if anomaly == "token-not-larger":
        facts |= skew_that_excuses(holdings, [(earlier, row)])
    return violation(execution, anomaly, summary, events, facts=facts)
