"""AC4: commit if all have voted yes and nothing fails."""

from __future__ import annotations

import numpy as np

from tracekit.checks.atomic_commit.demonstrated import own_decision
from tracekit.checks.atomic_commit.findings import nothing_voted, unlisted
from tracekit.checks.atomic_commit.history import (
    ABORT,
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


@domain_check("atomic-commit.commit-when-possible", domain="commit", applies=commit_occurs)
def commit_when_possible(execution: Execution, options: Options) -> CheckResult:
    """If all participants have voted yes and nothing has failed, the decision is commit (AC4).

    Meaning
        Without this rule a protocol that always aborts would be correct. It binds where nothing fails, and a recording
        may be of a run in which much does; so a transaction counts where its own messages have all arrived and none of
        its participants has crashed since it voted. And as a process that waits cannot tell a slow vote from a failed
        voter, an abort is a breach only where every process that decided it knew of every yes vote: each happened
        before the decision.

    Example
        n1:12  begins, asking n1, n2, votes yes on t7
        n1:25  receives the vote yes from n2
        n1:26  aborts t7

    Needs
        commit.txn on messages and on what processes do; commit.vote, commit.decision, commit.participants; messages
        with ids, or one recorder's index; crashes and restarts.

    Cannot see
        A coordinator that gives up too early, before the votes have come: nothing in the recording tells a late
        vote from one that was not awaited long enough. Transactions that nobody decides: atomic-commit.termination.
        An abort of which only receipts are recorded: who decided it may have known less.

    Cost
        Each abort times the participants of its transaction.

    Reference
        Bernstein, Hadzilacos & Goodman 7.3, AC4. Concurrency Control and Recovery in Database Systems, 1987.
    """
    history, causal = execution.derive(commit_history), execution.derive(order)
    if not len(history.votes):
        return nothing_voted(history)
    unanimous = _unanimous(history)
    aborts = history.decisions.only(history.decisions.value == ABORT)
    own = history.by_txn(aborts.only(own_decision(history, aborts)), ABORT)
    aborted = history.by_txn(aborts, ABORT) & unanimous
    known, failed = _known(history, causal, aborted), _failed(history, causal, aborted)
    broken = np.flatnonzero(aborted & own & known & ~failed) if causal.whole else np.empty(0, np.int64)
    told = [_told(history, txn) for txn in broken[:SHOWN].tolist()]
    reasons = list(history.doubts("vote", "decision")) + _unlisted(history)
    passed_on = aborted & known & ~failed & ~own
    if passed_on.any() and causal.whole:
        name = history.txn_name(int(np.flatnonzero(passed_on)[0]))
        count = times(int(passed_on.sum()), "aborted transaction")
        reasons.append(f"of {count} with all votes (first: {name}) it is not recorded who decided to abort")
    if not causal.whole and aborted.any():
        count = times(int(aborted.sum()), "aborted transaction")
        reasons.append(f"{count} had all votes, and messages do not tell whether those who aborted knew of them")
    return CheckResult(
        examined={"transactions that all voted yes on": int(unanimous.sum())},
        violations=tuple(told),
        violations_total=len(broken),
        reasons=tuple(reasons),
        applicable=bool(reasons),
        method=f"votes before aborts, {causal.method}",
        facts={
            "aborted after a failure": int((aborted & failed).sum()),
            "aborted before the votes were known": int((aborted & ~known & ~failed).sum()),
        },
        rests_on=causal.rests_on if causal.whole else (),
    )


def _unanimous(history: CommitHistory) -> Bool:
    """Transactions whose participants are recorded and have all voted yes, and none of them no."""
    yes = history.votes.only(history.votes.value == YES)
    agreed = history.is_listed & ~history.by_txn(history.votes, NO)
    agreed[history.listed.txn[yes.find(history.listed.pair) < 0]] = False
    return agreed


def _unlisted(history: CommitHistory) -> list[str]:
    """Aborted transactions may have had all votes, where nothing but yes is recorded, and not who had to vote."""
    doubtful = (
        history.by_txn(history.decisions, ABORT)
        & history.by_txn(history.votes, YES)
        & ~history.by_txn(history.votes, NO)
        & ~history.is_listed
    )
    return unlisted(history, np.flatnonzero(doubtful), "aborted transaction")


def _known(history: CommitHistory, causal: Order, among: Bool) -> Bool:
    """Transactions among some of which everybody who aborted knew all votes."""
    aborts = _aborts(history, among)
    place, participant = history.with_participants(aborts)
    vote = history.votes.rows_of(aborts.txn[place] * history.listed.width + participant)
    known = among.copy()
    known[aborts.txn[place[~causal.upto(vote, aborts.row[place])]]] = False
    return known


def _failed(history: CommitHistory, causal: Order, among: Bool) -> Bool:
    """Transactions among some of which a message was lost, or before whose every abort a participant may have crashed
    since its vote; or of which that is not recorded."""
    failed = np.zeros(history.count, np.bool_)
    lost = history.execution.messages.undelivered
    txn = history.txn[lost]
    failed[txn[txn >= 0]] = True
    nameless = (txn < 0) & _of_domain(history, lost)
    if nameless.any():  # lost messages that may belong to any of them
        failed[:] = True
    failed[history.listed.txn[history.partial[history.listed.process]]] = True
    aborts = _aborts(history, among)
    place, participant = history.with_participants(aborts)
    vote = history.votes.rows_of(aborts.txn[place] * history.listed.width + participant)
    crash = causal.crash_after(participant, vote)
    place, crash = place[crash >= 0], crash[crash >= 0]
    excused = np.zeros(len(aborts), np.bool_)
    excused[place[~causal.later(aborts.row[place], crash)]] = True
    calm = np.zeros(history.count, np.bool_)
    calm[aborts.txn[~excused]] = True
    return (failed | ~calm) & among


def _aborts(history: CommitHistory, among: Bool) -> Marks:
    """The first abort of each process, of some transactions."""
    return history.decisions.only((history.decisions.value == ABORT) & among[history.decisions.txn]).first


def _of_domain(history: CommitHistory, rows: Int64) -> Bool:
    """Which of some rows have a name of the domain, or none."""
    name = history.execution.trace.get("name")
    if name is None or name.texts is None:
        return np.ones(len(rows), np.bool_)
    table = np.array([text.startswith("commit.") for text in name.texts.to_pylist()] + [True], np.bool_)
    found: Bool = table[name.values[rows]]
    return found


def _told(history: CommitHistory, txn: int) -> Violation:
    execution, decisions = history.execution, history.decisions
    places = np.array(decisions.of(txn), np.int64)
    places = places[decisions.value[places] == ABORT]
    place = int(places[np.argmin(execution.happens_before.lamport(decisions.row[places]))])
    row, who, name = int(decisions.row[place]), history.who(int(decisions.process[place])), history.txn_name(txn)
    votes = dict.fromkeys(history.votes.first.row[list(history.votes.first.of(txn))][:SHOWN].tolist())
    voters = [history.who(int(code)) for code in history.votes.first.process[list(history.votes.first.of(txn))][:SHOWN]]
    return violation(
        execution,
        "aborted-without-reason",
        f"{who} aborted {name}, although it knew that {listed(voters)} had voted yes, and nothing had failed.",
        [(int(r), execution.text(int(r))) for r in votes if r != row] + [(row, execution.text(row))],
        facts={"transaction": name, "process": who, "participants": voters},
    )
