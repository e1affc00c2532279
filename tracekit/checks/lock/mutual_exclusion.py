"""A lock is held by one process at a time, as whoever decides about it recorded it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tracekit.checks.doubts import domain_check
from tracekit.checks.evidence import SHOWN, duration, times, violation
from tracekit.checks.lock.facts import DECIDED
from tracekit.checks.lock.gaps import ends_left_out
from tracekit.checks.lock.holdings import NEVER, Holdings, decided, from_operations
from tracekit.checks.lock.overlaps import Overlaps, overlaps
from tracekit.checks.lock.told import begin_text, grants_occur, judged, skew_that_excuses
from tracekit.execution import Execution, Options
from tracekit.results import CheckResult, Violation

Bool = NDArray[np.bool_]
Int64 = NDArray[np.int64]


@domain_check("lock.mutual-exclusion", applies=grants_occur)
def mutual_exclusion(execution: Execution, options: Options) -> CheckResult:
    """A lock that one process holds is granted to no other one before it was released or its lease expired.

    Meaning
        A holder has a lock from its grant until it is released, or until whoever granted it regards the lease as over
        (lock.expire); where that is not recorded, until the lease ends by the clock of the process that granted it.
        Of every two grants to different holders, one is over before the other begins. That is decided by
        happens-before. Where two events are not ordered by it, a clock decides: the recorder's order (index), the
        simulator's clock, or the processes' clocks within the declared bound on their difference. What neither
        orders is not judged: then the answer is unknown, since concurrent events may have come in either order.
        It is violated only where both grants were certainly held at one moment. Where a holder was granted the lock
        again and gave that up, its first grant, if nothing ended it, may have been replaced, or may stand (a lock that
        counts): the answer is then unknown for whoever comes next.
        In Lamport's algorithm each process decides for itself. What holders of leases think is lock.lease.
        Where no event lock.grant occurs, clients' operations acquire and release are read: a client has the lock at
        least from the answer to acquire until its next request to release, be that granted or refused, or until it
        crashes.

    Example
        n1:40   grants l1 to c1, token 7 for 400 ms
        n2:77   leads epoch 4
        n2:81   grants l1 to c2, token 8 for 400 ms     <- c1 holds l1

    Needs
        lock.grant with lock.release or lock.expire; lock.name where there are several locks, lock.holder where another
        process than the holder records; lock.token where events of one holder are recorded by several processes. Or
        operations acquire (lock) and release (unlock). An order: messages, index or a clock.

    Cannot see
        Holders that act on a lock which the service regards as over: that is lock.lease, and lock.fencing at the
        resource. A lease of operations: there a lock counts as held until its client asks to release it. Shared locks,
        which several may have at once: the vocabulary has none.

    Cost
        Sorting the events of locks; linear where no two grants overlap.

    Reference
        Dijkstra, Solution of a Problem in Concurrent Programming Control, CACM 1965. Lamport, Time, Clocks, and the
        Ordering of Events in a Distributed System, CACM 1978, condition I. Overlaps that hold in every order of the
        events: Garg and Waldecker, Detection of Strong Unstable Predicates in Distributed Programs, 1996.
    """
    holdings = execution.derive(decided)
    if not len(holdings):
        return CheckResult(applicable=False)
    found = overlaps(holdings)
    left_out, who = _at_silent_servers(holdings, found)
    certain = Overlaps(found.first[~left_out], found.second[~left_out], found.open_first, found.open_second)
    return judged(
        execution,
        holdings,
        len(certain.first),
        lambda: [_told(holdings, int(i), int(j)) for i, j in _firsts(certain)],
        examined={"grants": len(holdings)},
        ends=() if from_operations(holdings) else ends_left_out(execution, DECIDED),
        reasons=_undecided(holdings, found) + _not_told(left_out, who),
        method="each grant against those after it, " + _by(holdings),
    )


def _at_silent_servers(holdings: Holdings, found: Overlaps) -> tuple[Bool, str]:
    """Overlaps that rest on the end of a grant which a process may have left out: one that grants and never records a
    release, though others do. Who grants the lock to itself tells of its end itself. And the name of such a process."""
    execution = holdings.order.execution
    trace, nobody = execution.trace, np.zeros(len(found.first), np.bool_)
    granting, giving = (np.unique(trace.process[trace.named(name)]) for name in ("lock.grant", "lock.release"))
    silent = np.setdiff1d(granting, giving)
    if from_operations(holdings) or not len(giving) or not len(silent):
        return nobody, ""
    own = np.array([trace.process_code(name) for name in holdings.facts.holders], np.int64)

    def unended(i: Int64) -> Bool:
        at = trace.process[holdings.first[i]]
        found: Bool = np.isin(at, silent) | (own[holdings.holder[i]] != at)
        return found

    left_out = unended(found.first)
    if not holdings.order.total:
        left_out |= unended(found.second)
    return left_out, trace.processes[int(silent[0])]


def _not_told(left_out: Bool, who: str) -> tuple[str, ...]:
    if not left_out.any():
        return ()
    grants = times(int(left_out.sum()), "grant")
    return (f"{who} records grants and no lock.release, though others do: {grants} may have been over before another",)


def _by(holdings: Holdings) -> str:
    return "by happens-before" + (f", then {holdings.order.column}" if holdings.order.column else "")


def _firsts(found: Overlaps) -> list[tuple[int, int]]:
    return list(zip(found.first[:SHOWN].tolist(), found.second[:SHOWN].tolist(), strict=True))


def _undecided(holdings: Holdings, found: Overlaps) -> tuple[str, ...]:
    if not len(found.open_first):
        return ()
    i, j = int(found.open_first[0]), int(found.open_second[0])
    event = holdings.order.execution.trace.event
    one, other = (f"{holdings.who(k)} at {event(int(holdings.first[k]))}" for k in (i, j))
    why = "neither messages nor a clock order them"
    if bool(holdings.overlap(found.open_first[:1], found.open_second[:1])[0]):
        why = "a holder was granted the lock again meanwhile, which may replace its first grant, or count beside it"
    told = (
        f"of {times(len(np.unique(found.open_first)), 'grant')} it is not known whether it was over before another "
        f"began (first: {holdings.what(i)} for {one}, for {other}): {why}"
    )
    return (told,)


def _told(holdings: Holdings, i: int, j: int) -> Violation:
    execution = holdings.order.execution
    first, second = int(holdings.first[i]), int(holdings.first[j])
    lock, one, other = holdings.what(i), holdings.who(i), holdings.who(j)
    ends = holdings.ends(i).tolist()
    how = "until then nothing had ended that"
    if ends:
        how = f"{one} had it until {execution.trace.event(int(ends[0]))}"
    elif holdings.leased[i] and holdings.early[i] < NEVER:
        left = int(holdings.early[i]) - int(holdings.order.moment[second])
        how = f"nothing had ended that, and its lease went on for {duration(left)}"
    events = [(first, begin_text(holdings, i)), (second, f"{begin_text(holdings, j)}: {one} still has it")]
    pairs = [(second, int(row)) for row in ends] + [(first, int(row)) for row in holdings.ends(j).tolist()]
    return violation(
        execution,
        "held-by-two",
        f"{lock} was given to {other} while {one} had it: {how}.",
        [*events],
        facts={
            "lock": lock,
            "holders": [one, other],
            "tokens": [t for t in (int(holdings.token[i]), int(holdings.token[j])) if t >= 0],
            **skew_that_excuses(holdings, pairs),
        },
    )
