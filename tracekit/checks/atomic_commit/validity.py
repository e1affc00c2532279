"""AC3: commit only if all have voted yes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tracekit.checks.atomic_commit.demonstrated import demonstrated, own_decision
from tracekit.checks.atomic_commit.findings import first_of_each, nothing_decided, unlisted
from tracekit.checks.atomic_commit.history import (
    COMMIT,
    NO,
    YES,
    Bool,
    CommitHistory,
    Int64,
    Marks,
    commit_history,
    commit_occurs,
)
from tracekit.checks.atomic_commit.order import Order, order
from tracekit.checks.doubts import domain_check
from tracekit.checks.evidence import SHOWN, listed, times, violation
from tracekit.execution import Execution, Options
from tracekit.results import CheckResult, Violation
from tracekit.trace.schema import Kind


@domain_check("atomic-commit.validity", domain="commit", applies=commit_occurs)
def validity(execution: Execution, options: Options) -> CheckResult:
    """Commit is decided only if all participants have voted yes (AC3).

    Meaning
        A participant that votes no cannot do its part of the transaction; one that has not voted has not said that it
        can. Whoever commits has to know of every yes vote: it happened before the decision. If it did not, the decision
        would have been the same had the participant voted no, even if by chance it was about to vote yes.

    Example
        n1:12  begins, asking n1, n2, n3, votes yes on t7
        n1:25  receives the vote yes from n2
        n1:40  commits t7
        n3:33  votes no on t7, because: k3 is locked by t6

    Needs
        commit.txn; commit.vote and commit.decision where processes vote and decide; commit.participants at an event of
        each transaction. Whether votes came before decisions is judged by messages, or by one recorder's index.

    Cannot see
        Where messages are not recorded and there is no index: a yes vote that came after the decision. What is not
        recorded is evidence only where its process demonstrably records such events, and the answer is unknown
        elsewhere. A participant does so of votes where it has one recorded of a transaction in which it has the same
        part (it coordinates it, or is asked by another one; both, where its part is not known), and nobody is told of
        one that it did not record. A commit came before a vote demonstrably only where it was no receipt of another
        one's decision, and its process records receipts of votes, and coordinates this transaction or received some
        vote on it. A single vote, or receipt of one, left out looks as if it had not happened.

    Cost
        Each commit times the participants of its transaction.

    Reference
        Bernstein, Hadzilacos & Goodman 7.3, AC3. Concurrency Control and Recovery in Database Systems, 1987.
    """
    history, causal = execution.derive(commit_history), execution.derive(order)
    commits = history.decisions.only(history.decisions.value == COMMIT).first
    if not len(commits):
        return nothing_decided(history)
    pairs = _pairs(history, commits, causal)
    refused = _refused(history, commits)
    missing, early = pairs.missing & pairs.judged, pairs.early & pairs.heard & causal.whole
    wrong = np.concatenate([refused, pairs.commit[missing], pairs.commit[early]])
    broken = first_of_each(history, commits, wrong)
    told = [_told(history, commits, place, pairs, missing | early) for place in broken[:SHOWN].tolist()]
    return CheckResult(
        examined={"committed transactions": len(np.unique(commits.txn))},
        violations=tuple(told),
        violations_total=len(broken),
        reasons=_reasons(history, commits, pairs, causal),
        method=f"votes of all participants, {causal.method}" if causal.whole else "votes of all participants",
        rests_on=causal.rests_on if causal.whole else (),
    )


@dataclass(frozen=True, eq=False)
class Pairs:
    """Each commit with each participant of its transaction.

    Attributes
    ----------
    commit: shape (k,): place of the commit.
    participant: its code.
    vote: row of its yes vote; -1: none.
    missing, early: whether it has cast no vote at all; whether its yes vote is not known to come before the commit.
    judged: whether a vote that is not recorded was not cast.
    heard: whether a vote that is not known to come before was not known.
    """

    commit: Int64
    participant: Int64
    vote: Int64
    missing: Bool
    early: Bool
    judged: Bool
    heard: Bool


def _pairs(history: CommitHistory, commits: Marks, causal: Order) -> Pairs:
    place, participant = history.with_participants(commits)
    pair = commits.txn[place] * history.listed.width + participant
    vote = history.votes.only(history.votes.value == YES).rows_of(pair)
    missing = history.votes.rows_of(pair) < 0
    early = np.zeros(len(place), np.bool_)
    if causal.recorded:
        cast = vote >= 0
        early[cast] = ~causal.upto(vote[cast], commits.row[place[cast]])
    shown = history.execution.derive(demonstrated)
    told, _, _ = shown.told("commit.vote", "commit.message_vote", "yes")
    judged = ~history.partial[participant] & (not history.missing("vote"))
    judged &= shown.does(history.votes, pair) & ~np.isin(pair, told)
    return Pairs(place, participant, vote, missing, early, judged, _heard(history, commits, causal)[place])


def _heard(history: CommitHistory, commits: Marks, causal: Order) -> Bool:
    """Whether who decides each commit would have told of the votes: it decides by itself on a transaction of which it
    has the votes, and it records receipts of votes. One recorder's total order needs none."""
    if not causal.by_messages:
        return np.ones(len(commits), np.bool_)
    shown = history.execution.derive(demonstrated)
    _, at, rows = shown.told("commit.vote")
    received = history.txn[rows] * commits.width + at
    received = received[history.execution.trace.kind[rows] == Kind.RECEIVE]
    counts = np.isin(commits.pair, shown.coordinates) | np.isin(commits.pair, received)
    heard: Bool = own_decision(history, commits) & counts & shown.receives("commit.vote")[commits.process]
    return heard


def _refused(history: CommitHistory, commits: Marks) -> Int64:
    """Places of commits of transactions that somebody has voted no on."""
    return np.flatnonzero(history.by_txn(history.votes, NO)[commits.txn])


def _reasons(history: CommitHistory, commits: Marks, pairs: Pairs, causal: Order) -> tuple[str, ...]:
    reasons = [*history.doubts("decision"), *history.missing("vote")]
    reasons += unlisted(history, np.unique(commits.txn[~history.is_listed[commits.txn]]), "committed transaction")
    unknown = pairs.missing & ~pairs.judged
    if unknown.any() and not history.missing("vote"):
        who = history.absent_names(pairs.participant[unknown])
        whole = not history.partial[pairs.participant[unknown]].any()
        why = f"{who} does not record every vote" if whole else f"{who} is not recorded as a whole"
        reasons.append(f"{times(int(unknown.sum()), 'vote')} may not be recorded: {why}")
    doubtful = pairs.early & ~(pairs.heard & causal.whole)
    if doubtful.any():
        first = int(np.flatnonzero(doubtful)[0])
        row = int(commits.row[pairs.commit[first]])
        at, votes = history.execution.trace.event(row), times(int(doubtful.sum()), "yes vote")
        who = history.who(int(commits.process[pairs.commit[first]]))
        reasons.append(f"{votes} may have come too late (first: before {at}): {_unsure(causal, who)}")
    return tuple(reasons)


def _unsure(causal: Order, who: str) -> str:
    if not causal.whole:
        return "not all messages are recorded"
    return f"how {who} came to know of the votes, by receipts of commit.vote, is not recorded"


def _told(history: CommitHistory, commits: Marks, place: int, pairs: Pairs, wrong: Bool) -> Violation:
    execution, votes = history.execution, history.votes
    row, txn = int(commits.row[place]), int(commits.txn[place])
    who, name = history.who(int(commits.process[place])), history.txn_name(txn)
    mine = np.array(votes.of(txn), np.int64)
    against = mine[votes.value[mine] == NO]
    if len(against):
        names = list(dict.fromkeys(history.who(code) for code in votes.process[against].tolist()))[:SHOWN]
        anomaly, why = "committed-despite-no", f"although {listed(names)} voted no"
        shown = [int(r) for r in votes.row[against[:SHOWN]].tolist()]
    else:
        rest = np.flatnonzero(wrong & (pairs.commit == place))
        names = [history.who(code) for code in pairs.participant[rest].tolist()][:SHOWN]
        silent = bool(pairs.missing[rest].any())
        anomaly = "committed-without-vote" if silent else "committed-before-vote"
        why = f"without {'a' if silent else 'knowing the'} yes vote of {listed(names)}"
        shown = [int(r) for r in pairs.vote[rest][:SHOWN].tolist() if r >= 0]
    events = dict.fromkeys([*history.began(txn), *shown])
    return violation(
        execution,
        anomaly,
        f"{who} committed {name} {why}. Commit may be decided only if all participants have voted yes.",
        [(r, execution.text(r)) for r in events if r != row] + [(row, execution.text(row))],
        facts={"transaction": name, "process": who, "participants at fault": names},
    )
