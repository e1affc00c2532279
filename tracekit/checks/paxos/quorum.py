"""What is proposed and what is learned rests on a quorum."""

from __future__ import annotations

import numpy as np

from tracekit.checks.doubts import torn
from tracekit.checks.evidence import SHOWN, listed
from tracekit.checks.paxos.acceptors import Acceptors, acceptors
from tracekit.checks.paxos.evidence import paxos_check, violation
from tracekit.checks.paxos.history import NONE, Bool, Int64, PaxosHistory, Steps, distinct, firsts, paxos_history, shown
from tracekit.checks.paxos.order import Order, order
from tracekit.execution import Execution, Options
from tracekit.results import CheckResult, Violation


@paxos_check("paxos.quorum")
def quorum(execution: Execution, options: Options) -> CheckResult:
    """An accept request follows promises of a majority for its ballot; a value is learned after a majority accepted it.

    Meaning
        Any two majorities have a member in common. So whoever holds the promises of a majority knows of every value
        that may have been chosen, and a value accepted by a majority under one ballot stays chosen. A proposer that
        proposes earlier, or a learner that trusts fewer acceptors, rests on luck. Follows means: there is a chain of
        messages from each of those promises or acceptances to the event. A process's own promise counts. Each process
        counts once for a ballot of an instance, with its first accept request, and once for a value that it learned.

    Example
        (instance 4, five acceptors)
        n2:38  accepts 17, ballot 6
        n1:44  receives acceptance of ballot 6 with 17 from n2
        n1:45  learns that 17 is chosen

    Needs
        For accept requests: paxos.accept sent, and the promises (paxos.promised, or paxos.promise sent). For values
        learned: paxos.learn, and the acceptances (paxos.accepted_ballot, or paxos.accepted). The acceptors
        (paxos.acceptors) or their number (n); messages, or one recorder's total order (index).

    Cannot see
        Quorums other than majorities. A first ballot that needs no promises by agreement: record paxos.promised of it
        when acceptors start. An acceptor of which nothing is recorded is taken as if it might have promised and
        accepted, and so is a proposer that never records its own promise, or its own acceptance: where that would
        decide, the answer is unknown. So it is where promises or acceptances are sent and nobody ever records the
        receipt of one: what was known is then not known.

    Cost
        Accept requests and values learned, times acceptors.

    Reference
        Paxos Made Simple, 2.2 and 2.1. Phase 2(a); the third safety requirement: a process never learns that a value
        has been chosen unless it actually has been.
        Lamport, Paxos Made Simple, 2001.
    """
    history, group = execution.derive(paxos_history), execution.derive(acceptors)
    requests, learned = history.requests, history.learned
    reasons = history.doubts("requests", "learned")
    if not len(requests) and not len(learned):
        return CheckResult(reasons=reasons, applicable=False)
    causal = execution.derive(order)
    if group.reason or causal.reason:
        return CheckResult(reasons=tuple(r for r in (group.reason, causal.reason) if r))
    requests = requests[firsts(requests.process, requests.instance, requests.ballot)]
    learned = learned[firsts(learned.process, learned.instance, learned.value)]
    examined: dict[str, int] = {}
    told: list[Violation] = []
    total = 0
    for unit, steps, evidence, doubt in (
        ("accept requests", requests, history.promises, "promises"),
        ("values learned", learned, history.acceptances, "acceptances"),
    ):
        if not len(steps):
            continue
        if not len(evidence):
            reasons += history.doubts(doubt) or (f"no {doubt} are recorded, so {unit} cannot be judged",)
            continue
        certain = history.promises is evidence or "values" not in history.useless
        counted = _promised if evidence is history.promises else _accepted
        count = counted(group, causal, evidence, steps)
        # Where receipts are not recorded, whatever stands anywhere in the recording may have been known
        most = counted(group, None, evidence, steps) if causal.unheard else count
        silent = _silent(history, group, steps, evidence is history.promises)
        possible = most + silent + group.unseen + len(group.partial) >= group.majority
        excused = possible | (not causal.whole) | (not certain) | (doubt in history.useless)
        excused |= bool(torn(execution))
        broken, unsure = np.flatnonzero((count < group.majority) & ~excused), (count < group.majority) & excused
        examined[unit] = len(steps) - int(unsure.sum())
        total += len(broken)
        if unsure.any():
            at = execution.trace.event(int(steps.row[np.flatnonzero(unsure)[0]]))
            why = f"{int(unsure.sum())} of {len(steps)} {unit} cannot be judged, as at {at}"
            lost = f"too many {doubt} before it may not be recorded"
            if causal.unheard:
                lost = f"no receipt of {' or '.join(causal.unheard)} is recorded, so what was known there is not known"
            reasons += (f"{why}: {lost}",)
        tell = _told_request if evidence is history.promises else _told_learned
        told += [tell(history, group, causal, steps, int(b)) for b in broken[: SHOWN - len(told)]]
    return CheckResult(
        examined=examined,
        violations=tuple(told),
        violations_total=total,
        reasons=reasons,
        rests_on=group.rests_on + causal.rests_on,
        method=f"promises and acceptances before each event, {causal.method}",
    )


def _silent(history: PaxosHistory, group: Acceptors, steps: Steps, promises: bool) -> Int64:
    """How many acceptors may have promised their own ballot, or accepted their own proposal, without a word."""
    if promises:
        return np.isin(steps.process, group.silent_promises).astype(np.int64)
    own = history.requests[np.isin(history.requests.process, group.silent_votes)]
    own = own[firsts(own.instance, own.value, own.process)]
    _, news = _pairs((own.instance, own.value), (steps.instance, steps.value))
    return np.bincount(news, minlength=len(steps)).astype(np.int64)


def _promised(group: Acceptors, causal: Order | None, promises: Steps, requests: Steps) -> Int64:
    """How many acceptors had promised the ballot of each request before it, for its instance or for all; without an
    order, before it or not."""
    mine = promises[group.among(promises.process) >= 0]
    mine = mine[firsts(mine.instance, mine.ballot, mine.process)]
    own = _pairs((mine.instance, mine.ballot), (requests.instance, requests.ballot))
    for_all = mine.instance == NONE
    both = _pairs((mine.ballot[for_all],), (requests.ballot,))
    promise = np.concatenate([own[0], np.flatnonzero(for_all)[both[0]]])
    request = np.concatenate([own[1], both[1]])
    return _before(causal, mine, promise, requests, request, mine.process)


def _accepted(group: Acceptors, causal: Order | None, acceptances: Steps, learned: Steps) -> Int64:
    """How many acceptors had accepted each value learned before it, under the ballot that has most; without an order,
    before it or not."""
    mine = acceptances[group.among(acceptances.process) >= 0]
    mine = mine[firsts(mine.instance, mine.value, mine.ballot, mine.process)]
    vote, news = _pairs((mine.instance, mine.value), (learned.instance, learned.value))
    there = _known(causal, mine.row[vote], learned.row[news])
    keys, key = distinct(news[there], mine.ballot[vote[there]])
    out = np.zeros(len(learned), np.int64)
    np.maximum.at(out, keys[:, 0], np.bincount(key, minlength=len(keys)))
    return out


def _known(causal: Order | None, first: Int64, second: Int64) -> Bool:
    return np.ones(len(first), np.bool_) if causal is None else causal.before(first, second)


def _before(causal: Order | None, steps: Steps, step: Int64, events: Steps, event: Int64, who: Int64) -> Int64:
    """How many different processes have a step before each event, of pairs of steps and events."""
    there = _known(causal, steps.row[step], events.row[event])
    keys, _ = distinct(event[there], who[step[there]])
    return np.bincount(keys[:, 0], minlength=len(events)).astype(np.int64)


def _pairs(first: tuple[Int64, ...], second: tuple[Int64, ...]) -> tuple[Int64, Int64]:
    """Every pair of positions at which two groups of columns agree. O(n log n + pairs)."""
    count = len(first[0])
    _, key = distinct(*(np.append(a, b) for a, b in zip(first, second, strict=True)))
    order = np.argsort(key[:count], kind="stable")
    sorted_keys = key[:count][order]
    low = np.searchsorted(sorted_keys, key[count:], side="left")
    high = np.searchsorted(sorted_keys, key[count:], side="right")
    length = high - low
    right = np.repeat(np.arange(len(second[0])), length)
    offset = np.arange(int(length.sum())) - np.repeat(np.cumsum(length) - length, length)
    return order[np.repeat(low, length) + offset], right


def _told_request(history: PaxosHistory, group: Acceptors, causal: Order, requests: Steps, at: int) -> Violation:
    row, instance, ballot = int(requests.row[at]), int(requests.instance[at]), int(requests.ballot[at])
    mine = history.promises
    mine = mine[((mine.instance == instance) | (mine.instance == NONE)) & (mine.ballot == ballot)]
    mine = mine[group.among(mine.process) >= 0]
    mine = mine[causal.before(mine.row, np.full(len(mine), row))]
    rows = mine.row[firsts(mine.process)].tolist()
    number, name = int(history.ballots[ballot]), history.who(row)
    promised = [history.who(r) for r in rows]
    return violation(
        history.execution,
        "proposed-without-quorum",
        f"{name} sent an accept request of ballot {number}{history.at(instance)} when {_few(promised)} had "
        f"promised it; it needs {group.majority} of {group.count}.",
        [*((r, f"promises ballot {number}") for r in rows), (row, history.execution.text(row))],
        facts={**history.about(instance), "ballot": number, "promised": promised, "needed": group.majority},
    )


def _told_learned(history: PaxosHistory, group: Acceptors, causal: Order, learned: Steps, at: int) -> Violation:
    row, instance, value = int(learned.row[at]), int(learned.instance[at]), int(learned.value[at])
    votes = history.acceptances
    votes = votes[(votes.instance == instance) & (votes.value == value) & (group.among(votes.process) >= 0)]
    votes = votes[causal.before(votes.row, np.full(len(votes), row))]
    votes = votes[firsts(votes.ballot, votes.process)]
    ballots, counts = np.unique(votes.ballot, return_counts=True)
    best = votes[votes.ballot == (ballots[np.argmax(counts)] if len(ballots) else NONE)]
    name, accepted = history.values[value], [history.who(int(r)) for r in best.row]
    under = f" under ballot {int(history.ballots[int(best.ballot[0])])}" if len(best) else ""
    return violation(
        history.execution,
        "learned-without-quorum",
        f"{history.who(row)} learned that {shown([name])} is chosen{history.at(instance)} when "
        f"{_few(accepted)} had accepted it{under}; it needs {group.majority} of {group.count}.",
        [*((int(r), f"accepts {name}") for r in best.row), (row, f"learns that {name} is chosen")],
        facts={**history.about(instance), "value": name, "accepted": accepted, "needed": group.majority},
    )


def _few(names: list[str]) -> str:
    return f"only {listed(names)}" if names else "nobody"
