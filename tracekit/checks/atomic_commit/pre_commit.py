"""Three-phase commit: nobody commits while an operational participant is uncertain."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tracekit.checks.atomic_commit.demonstrated import demonstrated, own_decision
from tracekit.checks.atomic_commit.findings import first_of_each, nothing_decided, unlisted
from tracekit.checks.atomic_commit.history import (
    COMMIT,
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


def _three_phases(execution: Execution) -> bool:
    """Whether anybody was ever committable, or pre-commits were sent."""
    state = execution.trace.get("commit.committable")
    ever = False
    if state is not None:  # of another type it tells nothing, but that is for the check to say
        ever = bool((state.present & (state.values if state.values.dtype == np.bool_ else True)).any())
    return commit_occurs(execution) and (
        ever or not execution.trace.names.isdisjoint(("commit.pre_commit", "commit.pre_commit_ack"))
    )


@domain_check("atomic-commit.pre-commit", domain="commit", applies=_three_phases)
def pre_commit(execution: Execution, options: Options) -> CheckResult:
    """No process commits before every operational participant is committable (three-phase commit).

    Meaning
        This is what makes three-phase commit non-blocking. If a process could commit while another one that is up is
        uncertain, and then fail, those that are left could not tell whether it has committed, and would have to wait
        for it. So each commit has to come after the pre-commit of every participant, by happens-before: whoever decides
        has to know. A participant that has failed is excused, from its crash on: whoever decides has waited for its
        acknowledgement in vain.

    Example
        n1:31  is committable: all have voted yes; sends a pre-commit to n2 and to n3
        n1:36  receives the acknowledgement of a pre-commit from n2
        n1:37  commits t7
        n3:22  receives a pre-commit from n1

    Needs
        commit.txn; commit.committable and commit.decision where processes pre-commit and decide; commit.participants;
        crashes and restarts; messages with ids, or one recorder's index.

    Cannot see
        Whether a crash was noticed: a participant that crashes at some time after its vote and not certainly after the
        commit is excused. Two-phase commit, which has no such phase: the check applies where a process is committable
        at any time (commit.committable is true), or pre-commits are recorded. What is not recorded is evidence only
        where its process demonstrably records such events, and the answer is unknown elsewhere: commit.committable of
        a participant, where it has it in another transaction in which it has the same part (it coordinates, or is
        asked) and nobody is told of a pre-commit that it did not record; that it was up, where it has some crash or
        restart, or acknowledged the pre-commit; that a pre-commit was not known, where who decides does not pass on
        another one's decision, records receipts of commit.pre_commit_ack and, if it does not coordinate the
        transaction from its beginning, of commit.state_response. Single events left out look as if they had not
        happened.

    Cost
        Each commit times the participants of its transaction.

    Reference
        Bernstein, Hadzilacos & Goodman 7.5. No process can have decided to commit while an operational one is
        uncertain. Concurrency Control and Recovery in Database Systems, 1987. Skeen, Nonblocking Commit
        Protocols, 1981.
    """
    history, causal = execution.derive(commit_history), execution.derive(order)
    commits = history.decisions.only(history.decisions.value == COMMIT).first
    if not len(commits):
        return nothing_decided(history)
    pairs = _pairs(history, commits, causal)
    broken = first_of_each(history, commits, pairs.commit[pairs.broken])
    told = [_told(history, commits, place, pairs) for place in broken[:SHOWN].tolist()]
    return CheckResult(
        examined={
            "committed transactions": len(np.unique(commits.txn)),
            "pre-commits": len(history.committable.first),
        },
        violations=tuple(told),
        violations_total=len(broken),
        reasons=_reasons(history, commits, pairs),
        method=f"pre-commits of all operational participants, {causal.method}",
        facts={"failed participants excused": int(pairs.excused.sum())},
        rests_on=causal.rests_on,
    )


@dataclass(frozen=True, eq=False)
class Pairs:
    """Each commit with each participant of its transaction whose pre-commit is not known to come before it.

    Attributes
    ----------
    commit: shape (k,): place of the commit.
    participant: its code.
    pre_commit: row of its pre-commit; -1: none.
    broken, excused: whether that breaks the rule; whether a crash excuses it. Neither: the recording does not tell.
    """

    commit: Int64
    participant: Int64
    pre_commit: Int64
    broken: Bool
    excused: Bool


def _pairs(history: CommitHistory, commits: Marks, causal: Order) -> Pairs:
    place, participant = history.with_participants(commits)
    pair = commits.txn[place] * history.listed.width + participant
    row = history.committable.rows_of(pair)
    late = row < 0
    late[~late] = ~causal.upto(row[~late], commits.row[place[~late]])
    place, participant, row, pair = place[late], participant[late], row[late], pair[late]
    vote = history.votes.only(history.votes.value == YES).rows_of(pair)
    crash = causal.crash_after(participant, vote)
    excused = crash >= 0
    # A crash that is known to come after the commit is no excuse: the participant was operational then
    excused[excused] = ~causal.later(commits.row[place[excused]], crash[excused])
    told = (causal.whole | (row < 0)) & ~history.partial[participant] & (not history.missing("committable"))
    told &= _shown(history, commits, causal, place, participant, row)
    return Pairs(place, participant, row, ~excused & told, excused)


def _shown(history: CommitHistory, commits: Marks, causal: Order, place: Int64, participant: Int64, row: Int64) -> Bool:
    """Whether the pre-commit of a participant (row; -1: none) that is not known to come before a commit did not, and
    whether the participant was up: by what it and who decided demonstrably record."""
    shown = history.execution.derive(demonstrated)
    decider, itself = commits.process[place], participant == commits.process[place]
    pair = commits.txn[place] * commits.width + participant
    acknowledged, _, _ = shown.told("commit.pre_commit_ack")
    committable, _, _ = shown.told("commit.state_response", "commit.message_state", "committable")
    told = np.isin(pair, acknowledged)
    absent = shown.does(history.committable, pair) & ~told & ~np.isin(pair, committable)
    hears = shown.receives("commit.pre_commit_ack")
    # Who is elected learns of pre-commits by answers to its question as well
    elected = hears & shown.receives("commit.state_response")
    coordinates = np.isin(commits.pair[place], shown.coordinates)
    late = np.where(coordinates, hears[decider], elected[decider]) & own_decision(history, commits)[place]
    late |= itself | (not causal.by_messages)
    up: Bool = itself | told | shown.crashes()[participant]
    return np.where(row < 0, absent, late) & up


def _reasons(history: CommitHistory, commits: Marks, pairs: Pairs) -> tuple[str, ...]:
    reasons = [*history.doubts("decision"), *history.missing("committable")]
    reasons += unlisted(history, np.unique(commits.txn[~history.is_listed[commits.txn]]), "committed transaction")
    open_ = ~pairs.broken & ~pairs.excused
    if open_.any() and not history.missing("committable"):
        first = int(np.flatnonzero(open_)[0])
        who = history.who(int(pairs.participant[first]))
        at = history.execution.trace.event(int(commits.row[pairs.commit[first]]))
        told = f"the recording does not tell whether that of {who} came before {at}, or whether {who} was up"
        reasons.append(f"{times(int(open_.sum()), 'pre-commit')} cannot be judged: {told}")
    return tuple(reasons)


def _told(history: CommitHistory, commits: Marks, place: int, pairs: Pairs) -> Violation:
    execution = history.execution
    row, txn = int(commits.row[place]), int(commits.txn[place])
    mine = np.flatnonzero(pairs.broken & (pairs.commit == place))
    names = [history.who(code) for code in pairs.participant[mine].tolist()][:SHOWN]
    pre = [int(r) for r in pairs.pre_commit[mine][:SHOWN].tolist() if r >= 0]
    votes = history.votes.rows_of(txn * history.votes.width + pairs.participant[mine])
    shown = dict.fromkeys([*(int(r) for r in votes[:SHOWN].tolist() if r >= 0), *pre])
    who, name = history.who(int(commits.process[place])), history.txn_name(txn)
    others = [other for other in names if other != who]
    return violation(
        execution,
        "committed-before-pre-commit",
        f"{who} committed {name} {_ignorance(others, len(others) < len(names))}. "
        f"If {who} fails now, nobody can tell what it decided.",
        [(r, execution.text(r)) for r in shown if r != row] + [(row, execution.text(row))],
        facts={"transaction": name, "process": who, "not committable": names},
    )


def _ignorance(others: list[str], itself: bool) -> str:
    """What was wrong at the commit: the process was uncertain itself, or did not know others to be committable."""
    told = ["while it was uncertain itself"] if itself else []
    if others:
        were = "was" if len(others) == 1 else "were"
        told.append(f"without knowing that {listed(others)}, which had not failed, {were} committable")
    return " and ".join(told)
