"""What is proposed and what is learned rests on a quorum."""

from __future__ import annotations

import numpy as np

from tracekit.checks.evidence import SHOWN, listed
from tracekit.checks.paxos.acceptors import Acceptors, acceptors
from tracekit.checks.paxos.evidence import paxos_check, violation
from tracekit.checks.paxos.history import NONE, PaxosHistory, Steps, firsts, paxos_history, shown
from tracekit.checks.paxos.order import Order, order
from tracekit.checks.paxos.quorum_rules import Accepted, Promised
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
        when acceptors start. What is not recorded is evidence only where its process demonstrably records such events.
        A proposer does so of promises where it records the receipt of any; a learner of acceptances where it learns the
        value upon the receipt of one of that value. Elsewhere only a request or value is a breach that too few
        acceptors can have promised or accepted before, whatever was known. An acceptor demonstrably records promises
        (acceptances) where it records one at the receipt of a request, at its answer, or for another's ballot; and,
        if it has ballots of its own, one for these; and nobody receives one from it that it does not record. Any other
        acceptor may have promised and accepted. Single events left out of a sort that their process does record
        look as if they had not happened.

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
    promised, accepted = (
        Promised(execution, requests, history.promises),
        Accepted(execution, learned, history.acceptances),
    )
    for rule, tell in ((promised, _told_request), (accepted, _told_learned)):
        if not len(rule.events):
            continue
        if not len(rule.steps):
            reasons += history.doubts(rule.sort) or (f"no {rule.sort} are recorded, so {rule.unit} cannot be judged",)
            continue
        found = rule.judge()
        examined[rule.unit] = len(rule.events) - len(found.unsure)
        total += len(found.broken)
        if len(found.unsure):
            at = execution.trace.event(int(rule.events.row[found.unsure[0]]))
            count = f"{len(found.unsure)} of {len(rule.events)} {rule.unit} cannot be judged, as at {at}"
            reasons += (f"{count}: {found.why}",)
        told += [tell(history, group, causal, rule.events, int(b)) for b in found.broken[: SHOWN - len(told)]]
    return CheckResult(
        examined=examined,
        violations=tuple(told),
        violations_total=total,
        reasons=reasons,
        rests_on=group.rests_on + causal.rests_on,
        method=f"promises and acceptances before each event, {causal.method}",
    )


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
