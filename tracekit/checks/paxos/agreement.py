"""Only a single value is chosen."""

from __future__ import annotations

import numpy as np

from tracekit.checks.evidence import SHOWN, listed
from tracekit.checks.paxos.acceptors import Acceptors, acceptors
from tracekit.checks.paxos.evidence import paxos_check, violation
from tracekit.checks.paxos.history import Int64, PaxosHistory, Steps, distinct, firsts, paxos_history, shown
from tracekit.execution import Execution, Options
from tracekit.results import CheckResult, Violation


@paxos_check("paxos.agreement")
def agreement(execution: Execution, options: Options) -> CheckResult:
    """In one instance, no two different values are chosen or learned.

    Meaning
        Consensus: once a value is chosen, it is the value for ever. A value is chosen when a majority of the acceptors
        has accepted it in one proposal (under one ballot); whoever learns a value takes it for chosen. So of all
        values of an instance that were learned by any process or accepted by a majority under one ballot, no two may
        differ. Two proposals with the same value are no conflict.

    Example
        (instance 4)
        n1:90  learns that 17 is chosen
        n4:71  learns that 18 is chosen

    Needs
        paxos.learn with paxos.value; or the steps of acceptors (paxos.accepted_ballot and paxos.accepted_value, or
        paxos.accepted with paxos.ballot and paxos.value), with the acceptors (paxos.acceptors) or their number (n)
        declared. paxos.instance where there are several.

    Cannot see
        A value that was chosen and that nobody learned, where acceptances are not recorded, or the acceptors are not
        declared or not the same throughout. Quorums other than
        majorities.

    Cost
        Sorting the acceptances and the values learned.

    Reference
        Paxos Made Simple, 2.1. The second safety requirement: only a single value is chosen.
        Lamport, Paxos Made Simple, 2001.
    """
    history, group = execution.derive(paxos_history), execution.derive(acceptors)
    chosen = _chosen(history, group)
    learned = history.learned
    instance = np.concatenate([learned.instance, chosen.instance])
    value = np.concatenate([learned.value, chosen.value])
    reasons = history.doubts("learned", "acceptances", "values")
    if not len(instance):
        return CheckResult(reasons=reasons, applicable=False)
    pairs, _ = distinct(instance, value)
    instances, count = np.unique(pairs[:, 0], return_counts=True)
    broken = instances[count > 1]
    by_votes = group.declared and not group.reason and bool(len(history.acceptances))
    return CheckResult(
        examined={"instances": len(instances)},
        violations=tuple(_told(history, group, chosen, int(i)) for i in broken[:SHOWN]),
        violations_total=len(broken),
        reasons=reasons,
        method="values learned" + (" and values accepted by a majority, by instance" if by_votes else ""),
    )


def _chosen(history: PaxosHistory, group: Acceptors) -> Steps:
    """One acceptance of each proposal that a majority has accepted; none where the acceptors are not declared."""
    votes = history.acceptances
    votes = votes[(group.among(votes.process) >= 0) & (votes.value >= 0)]
    if not group.declared or group.reason or not len(votes):
        return votes[np.zeros(len(votes), np.bool_)]
    votes = votes[firsts(votes.instance, votes.ballot, votes.value, votes.process)]
    _, proposal = distinct(votes.instance, votes.ballot, votes.value)
    size = np.bincount(proposal)
    _, first = np.unique(proposal, return_index=True)
    return votes[first[size >= group.majority]]


def _told(history: PaxosHistory, group: Acceptors, chosen: Steps, instance: int) -> Violation:
    learned = history.learned[history.learned.instance == instance]
    mine = chosen[chosen.instance == instance]
    values = np.unique(np.concatenate([learned.value, mine.value]))[:2].tolist()
    events: list[tuple[int, str]] = []
    how: list[str] = []
    for value in values:
        name = history.values[value]
        rows = learned.row[learned.value == value]
        if len(rows):
            row = int(rows[0])
            events.append((row, f"learns that {name} is chosen"))
            how.append(f"{history.who(row)} learned {shown([name])}")
            continue
        ballot = int(mine.ballot[mine.value == value][0])
        voters = _voters(history, group, instance, ballot, value)
        events += [(int(r), f"accepts {name}, ballot {int(history.ballots[ballot])}") for r in voters]
        how.append(f"{shown([name])} was accepted by {listed([history.who(int(r)) for r in voters])}, a majority")
    where = history.at(instance)
    names = [history.values[v] for v in values]
    return violation(
        history.execution,
        "two-values-chosen",
        f"Two values are chosen{where}: {how[0]}, and {how[1]}.",
        events,
        facts={**history.about(instance), "values": names},
    )


def _voters(history: PaxosHistory, group: Acceptors, instance: int, ballot: int, value: int) -> Int64:
    votes = history.acceptances
    mine = votes[(votes.instance == instance) & (votes.ballot == ballot) & (votes.value == value)]
    mine = mine[group.among(mine.process) >= 0]
    return mine[firsts(mine.process)].row[: group.majority]
