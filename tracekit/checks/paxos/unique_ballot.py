"""No number is used for two proposals."""

from __future__ import annotations

import numpy as np

from tracekit.checks.evidence import SHOWN, listed
from tracekit.checks.paxos.evidence import paxos_check, violation
from tracekit.checks.paxos.history import NONE, Bool, Int64, PaxosHistory, Steps, distinct, firsts, paxos_history, shown
from tracekit.execution import Execution, Options
from tracekit.results import CheckResult, Violation


@paxos_check("paxos.unique-ballot")
def unique_ballot(execution: Execution, options: Options) -> CheckResult:
    """In one instance, a ballot belongs to one proposer, is begun once and has one value.

    Meaning
        Different proposals have different numbers: proposers choose theirs from disjoint sets, and each begins with a
        higher number than any that it has used, even after a restart. Else promises for one proposal are taken for
        promises for the other, and acceptors that accepted different values count as a majority for one. A ballot
        without an instance is one for all of them. Sending a request again is no second use.

    Example
        (instance 4)
        n2:30  starts ballot 12
        n2:31  restarts
        n2:32  starts ballot 12

    Needs
        paxos.start_ballot, prepare or accept requests sent, or acceptances, each with paxos.ballot, and paxos.value
        where there is one; paxos.instance where there are several.

    Cannot see
        A number used again by the same proposer for the same value, where paxos.start_ballot is not recorded.
        A process that passes on another's request must not record it as its own paxos.accept.

    Cost
        Sorting the ballots.

    Reference
        Paxos Made Simple, 2.5. Different proposers choose their numbers from disjoint sets of numbers; uniqueness is
        presumed in 2.2.
        Lamport, Paxos Made Simple, 2001.
    """
    history = execution.derive(paxos_history)
    starts, owners, proposals = history.starts, _owners(history), history.proposals
    reasons = history.doubts("starts", "prepares", "requests", "received", "acceptances")
    used = _together(owners, proposals)
    if not len(used):
        return CheckResult(reasons=reasons, applicable=False)
    keys, group = distinct(used.instance, used.ballot)
    broken = {
        "ballot-with-two-values": _several(keys, group[len(owners) :], proposals.value),
        "ballot-of-two-proposers": _shared(keys, group[: len(owners)], owners),
        "ballot-begun-twice": _twice(keys, starts),
    }
    any_broken = np.flatnonzero(np.logical_or.reduce(list(broken.values())))
    told = [
        _told(history, keys[b], next(name for name, mask in broken.items() if mask[b]))
        for b in any_broken[:SHOWN].tolist()
    ]
    return CheckResult(
        examined={"ballots": len(keys)},
        violations=tuple(told),
        violations_total=len(any_broken),
        reasons=reasons,
        method="ballots by instance",
    )


def _owners(history: PaxosHistory) -> Steps:
    """What only the proposer of a ballot does: it begins it, and sends its requests."""
    return _together(_together(history.starts, history.prepares), history.requests)


def _together(first: Steps, second: Steps) -> Steps:
    return Steps(*(np.concatenate([getattr(first, a), getattr(second, a)]) for a in Steps.__dataclass_fields__))


def _several(keys: Int64, group: Int64, what: Int64) -> Bool:
    """Which keys have two different values of something."""
    low, high = np.full(len(keys), np.iinfo(np.int64).max), np.full(len(keys), NONE, np.int64)
    np.minimum.at(low, group, what)
    np.maximum.at(high, group, what)
    return (high >= 0) & (low < high)


def _shared(keys: Int64, group: Int64, owners: Steps) -> Bool:
    """Which keys have two proposers, or one that is not the proposer of that ballot for all instances."""
    low, high = np.full(len(keys), np.iinfo(np.int64).max), np.full(len(keys), NONE, np.int64)
    np.minimum.at(low, group, owners.process)
    np.maximum.at(high, group, owners.process)
    everywhere = np.flatnonzero((keys[:, 0] == NONE) & (high >= 0))
    if len(everywhere):
        at = np.searchsorted(keys[everywhere, 1], keys[:, 1])
        at[at == len(everywhere)] = 0
        whole = everywhere[at]
        same = keys[whole, 1] == keys[:, 1]
        low = np.where(same, np.minimum(low, low[whole]), low)
        high = np.where(same & (high >= 0), np.maximum(high, high[whole]), high)
    return (high >= 0) & (low < high)


def _twice(keys: Int64, starts: Steps) -> Bool:
    """Which keys were begun twice."""
    count = len(keys)
    _, group = distinct(np.append(keys[:, 0], starts.instance), np.append(keys[:, 1], starts.ballot))
    times: Int64 = np.bincount(group[count:], minlength=int(group.max(initial=0)) + 1)
    found: Bool = times[group[:count]] > 1
    return found


def _told(history: PaxosHistory, key: Int64, anomaly: str) -> Violation:
    instance, ballot = int(key[0]), int(key[1])
    number, where = int(history.ballots[ballot]), history.at(instance)
    facts = {**history.about(instance), "ballot": number}
    text = history.execution.text
    if anomaly == "ballot-with-two-values":
        mine = _of(history.proposals, instance, ballot)
        rows = mine.row[firsts(mine.value)][:2].tolist()
        names = [history.values[v] for v in mine.value[firsts(mine.value)][:2].tolist()]
        summary = f"Ballot {number}{where} carries two values, {shown([names[0]])} and {shown([names[1]])}."
        facts |= {"values": names}
    elif anomaly == "ballot-of-two-proposers":
        mine = _of(_owners(history), instance, ballot, everywhere=True)
        rows = mine.row[firsts(mine.process)][:2].tolist()
        names = [history.who(r) for r in rows]
        summary = f"{listed(names)} both use ballot {number}{where}. Proposers choose from disjoint sets of numbers."
        facts |= {"proposers": names}
    else:
        rows = _of(history.starts, instance, ballot).row[:2].tolist()
        name, restarts = history.who(rows[0]), history.restarts(rows[0], rows[1])
        forgot = f" It restarted in between ({history.execution.trace.event(restarts[0])})." if restarts else ""
        summary = f"{name} began ballot {number}{where} twice. A proposer never uses a number again.{forgot}"
        rows[1:1] = restarts[:1]
        facts |= {"proposers": [name]}
    return violation(history.execution, anomaly, summary, [(r, text(r)) for r in rows], facts=facts)


def _of(steps: Steps, instance: int, ballot: int, everywhere: bool = False) -> Steps:
    mine = (steps.instance == instance) | (everywhere & (steps.instance == NONE))
    return steps[mine & (steps.ballot == ballot)]
