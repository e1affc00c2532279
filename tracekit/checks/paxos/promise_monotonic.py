"""An acceptor keeps its promises."""

from __future__ import annotations

import numpy as np

from tracekit.checks.evidence import SHOWN, listed, recorded
from tracekit.checks.paxos.evidence import paxos_check, violation
from tracekit.checks.paxos.history import NONE, Bool, Int64, PaxosHistory, Steps, distinct, firsts, paxos_history
from tracekit.execution import Execution, Options
from tracekit.results import CheckResult, Violation


@paxos_check("paxos.promise-monotonic")
def promise_monotonic(execution: Execution, options: Options) -> CheckResult:
    """What an acceptor has promised never falls, even across a restart, and it accepts nothing below it.

    Meaning
        An acceptor that answers a prepare request with number n promises not to accept any more proposals numbered
        less than n. The proposer of n rests on it: what it was told of earlier proposals stays the whole truth. The
        promise is on stable storage before it is sent, so a crash is no excuse. Accepting the very number that was
        promised, and giving the same promise again, is allowed. A promise without an instance holds for all of them.
        Each acceptor counts once for an instance, with the first promise that it broke.

    Example
        n3:20  receives prepare request, ballot 12 from n2, has promised 12
        n3:21  restarts
        n3:25  receives accept request, ballot 6 with 17 from n1, accepts it

    Needs
        paxos.promised and paxos.accepted_ballot at the acceptor's events; or the promises (paxos.promise) and
        acceptances (paxos.accepted) that it sends, with paxos.ballot. paxos.instance where there are several.

    Cannot see
        A promise that was not recorded; where an acceptor records acceptances and no promise at all, the answer is
        unknown. Where a process records messages only, a promise or an acceptance that it tells of again is taken for
        the first one.

    Cost
        Sorting the steps of the acceptors.

    Reference
        Paxos Made Simple, 2.2, P1a. An acceptor can accept a proposal numbered n iff it has not responded to a
        prepare request having a number greater than n; stable storage: 2.5.
        Lamport, Paxos Made Simple, 2001.
    """
    history = execution.derive(paxos_history)
    promises, acceptances = _own(history)
    reasons = history.doubts("promises", "acceptances")
    if not len(promises):
        return CheckResult(reasons=reasons or _unrecorded(history), applicable=False)
    reasons += _unbound(history, promises, acceptances)
    before = _promised_before(history, promises, acceptances)
    lowered, broken = promises.ballot < before[: len(promises)], acceptances.ballot < before[len(promises) :]
    row = np.concatenate([promises.row[lowered], acceptances.row[broken]])
    kept = np.concatenate([before[: len(promises)][lowered], before[len(promises) :][broken]])
    instance = np.concatenate([promises.instance[lowered], acceptances.instance[broken]])
    ballot = np.concatenate([promises.ballot[lowered], acceptances.ballot[broken]])
    accepts = np.arange(len(row)) >= int(lowered.sum())
    process = execution.trace.process[row].astype(np.int64)
    at = np.lexsort((~accepts, history.place[row]))
    row, kept, instance, ballot, process = (a[at] for a in (row, kept, instance, ballot, process))
    accepts = accepts[at]
    _, group = distinct(process, instance)
    first = np.unique(group, return_index=True)[1]
    told = [
        _told(history, promises, int(row[i]), int(instance[i]), int(ballot[i]), int(kept[i]), bool(accepts[i]))
        for i in np.sort(first)[:SHOWN].tolist()
    ]
    return CheckResult(
        examined={"promises": len(promises), "acceptances": len(acceptances)},
        violations=tuple(told),
        violations_total=len(first),
        reasons=reasons,
        method="each step against the highest promise before it, by acceptor and instance",
    )


def _unrecorded(history: PaxosHistory) -> tuple[str, ...]:
    return ("no promise is recorded (paxos.promised, paxos.promise)",) if len(history.acceptances) else ()


def _unbound(history: PaxosHistory, promises: Steps, acceptances: Steps) -> tuple[str, ...]:
    """Acceptors of which acceptances are recorded and no promise: nothing that they did was looked at."""
    without = np.setdiff1d(acceptances.process, promises.process)
    if not len(without):
        return ()
    names = [str(history.execution.trace.processes[code]) for code in without[:SHOWN].tolist()]
    return (f"no promise of {listed(names)} is recorded, so whether what it accepted broke one is not known",)


def _own(history: PaxosHistory) -> tuple[Steps, Steps]:
    """Promises and acceptances as acts: an acceptance by state only where the state changed."""
    promises, _ = _acts(history, history.promises, "paxos.promised")
    acceptances, by_state = _acts(history, history.acceptances, "paxos.accepted_ballot")
    _, pair = distinct(acceptances.process, acceptances.instance)
    order = np.argsort(pair, kind="stable")
    ballot, pair, state = acceptances.ballot[order], pair[order], by_state[order]
    same = np.zeros(len(order), np.bool_)
    same[order[1:]] = (pair[1:] == pair[:-1]) & (ballot[1:] == ballot[:-1]) & state[1:]
    return promises, acceptances[~same]


def _acts(history: PaxosHistory, steps: Steps, field: str) -> tuple[Steps, Bool]:
    """The steps by state, of processes that record it; of others those that they tell of, each the first time."""
    column = history.execution.trace.columns.get(field)
    by_state = np.zeros(len(steps), np.bool_)
    if column is not None and recorded(history.execution, field):
        by_state = column.present[steps.row]
    told = np.flatnonzero(~by_state & ~np.isin(steps.process, steps.process[by_state]))
    mine = steps[told]
    told = told[firsts(mine.process, mine.instance, mine.ballot)]
    chosen = np.sort(np.concatenate([np.flatnonzero(by_state), told]))
    return steps[chosen], by_state[chosen]


def _promised_before(history: PaxosHistory, promises: Steps, acceptances: Steps) -> Int64:
    """The highest ballot promised before each step that binds it; `NONE` where there is none. O(n log n).

    A step for one instance is bound by promises for it and for all; a promise for all by every one.
    """
    count = len(promises)
    place = history.place[np.concatenate([promises.row, acceptances.row])]
    process = np.concatenate([promises.process, acceptances.process])
    instance = np.concatenate([promises.instance, acceptances.instance])
    ballot = np.concatenate([promises.ballot, np.full(len(acceptances), NONE, np.int64)])
    everywhere = instance == NONE
    _, pair = distinct(process, instance)
    mine = _highest_before(pair, place, ballot)
    for_all = _highest_before(process, place, np.where(everywhere, ballot, NONE))
    any_at_all = _highest_before(process, place, ballot)
    assert len(mine) == count + len(acceptances)
    return np.where(everywhere, any_at_all, np.maximum(mine, for_all))


def _highest_before(group: Int64, place: Int64, ballot: Int64) -> Int64:
    """The highest ballot of the group at an earlier place. Steps at one place do not bind each other."""
    if not len(group):
        return np.empty(0, np.int64)
    order = np.lexsort((place, group))
    g, at = group[order], place[order]
    span = int(ballot.max(initial=0)) + 2
    _, dense = np.unique(g, return_inverse=True)
    running = np.maximum.accumulate(dense * span + ballot[order] + 1) - dense * span - 1
    starts = np.flatnonzero(np.append(True, (g[1:] != g[:-1]) | (at[1:] != at[:-1])))
    first = starts[np.cumsum(_starts(len(g), starts)) - 1]  # of the steps at the same place
    earlier = np.where(
        (first > 0) & (dense[np.maximum(first - 1, 0)] == dense), running[np.maximum(first - 1, 0)], NONE
    )
    out = np.empty(len(group), np.int64)
    out[order] = earlier
    return out


def _starts(n: int, starts: Int64) -> Bool:
    mask = np.zeros(n, np.bool_)
    mask[starts] = True
    return mask


def _told(
    history: PaxosHistory, promises: Steps, row: int, instance: int, ballot: int, kept: int, accepts: bool
) -> Violation:
    execution, place = history.execution, history.place
    binding = (promises.process == execution.trace.process[row]) & (promises.ballot == kept)
    binding &= place[promises.row] < place[row]
    if instance != NONE:
        binding &= (promises.instance == instance) | (promises.instance == NONE)
    source = int(promises.row[binding][0])
    name, where = history.who(row), history.at(instance)
    number, high = int(history.ballots[ballot]), int(history.ballots[kept])
    restarts = history.restarts(source, row)
    forgot = f" It restarted in between ({execution.trace.event(restarts[0])})." if restarts else ""
    what = f"accepted the proposal of ballot {number}" if accepts else f"promised only ballot {number}"
    act = f"accepts ballot {number}" if accepts else f"has promised {number}"
    events = [(source, f"promises ballot {high}{where}")]
    events += [(int(r), execution.text(int(r))) for r in restarts[:1] if int(r) != row]
    return violation(
        execution,
        "promise-broken" if accepts else "promise-lowered",
        f"{name} had promised ballot {high}{where}, and then {what}.{forgot}",
        [*events, (row, act)],
        facts={**history.about(instance), "acceptor": name, "promised": high, "ballot": number,
               "restarted": bool(restarts)},
    )  # fmt: skip
