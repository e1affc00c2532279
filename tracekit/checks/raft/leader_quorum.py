"""A leader has the votes of a quorum."""

from __future__ import annotations

import numpy as np

from tracekit.checks.doubts import domain_check, not_covered
from tracekit.checks.evidence import SHOWN, listed, times
from tracekit.checks.raft.configuration import NO, UNDECIDED, YES, Configurations, configurations
from tracekit.checks.raft.evidence import legible, not_recorded, violation
from tracekit.checks.raft.history import Int64, RaftHistory, raft_history, raft_occurs
from tracekit.checks.raft.order import Order, order
from tracekit.checks.raft.votes import Votes, answers, votes
from tracekit.execution import Execution, Options
from tracekit.results import CheckResult, Violation
from tracekit.trace.schema import Kind


@domain_check("raft.leader-quorum", applies=raft_occurs)
@legible
def leader_quorum(execution: Execution, options: Options) -> CheckResult:
    """A process becomes leader of a term only with the votes of a majority of the voters for that term.

    Meaning
        A candidate wins an election when a majority of the voting members has voted for it in that term; its own
        vote counts. A process that takes the lead with fewer votes may do so while another leader of the same term,
        or of a later one, commits entries that it does not have. A vote counts if it was given before, in the order
        of cause and effect: a voter's state that shows the vote at an event that happens before the election was
        won, or a vote that the candidate had received. In joint consensus, majorities of both configurations are
        needed.

    Example
        (five voters)
        n3:50  starts an election, term 6
        n3:58  receives vote from n1
        n3:59  becomes leader, term 6

    Needs
        raft.role and raft.term; raft.vote, or received votes (raft.request_vote_response with raft.message_term and
        raft.message_reject); messages with their answers, or one recorder's total order (index). raft.voters, and
        raft.voters_outgoing, where membership changes.

    Cannot see
        Elections won before the recording began. A voter that recorded nothing is taken as if it might have voted, and
        a winner that never records the receipt of a vote (raft.request_vote_response), where others do or votes are
        sent, as if it might have received any: where that would decide, the answer is unknown.

    Cost
        Linear in the events, plus elections times processes.

    Reference
        Raft 5.2. Also Figure 2, rules for candidates; joint consensus in section 6.
        Ongaro and Ousterhout, In Search of an Understandable Consensus Algorithm (extended version), 2014.
    """
    history, given = execution.derive(raft_history), execution.derive(votes)
    elected = history.elected
    elected = elected[np.argsort(history.term[elected], kind="stable")]
    if not len(elected):
        seen = len(history.leaderships) > 0
        late = ("every leader led already when its recording began",)
        return CheckResult(reasons=late if seen else not_recorded(history, "raft.role"), applicable=False)
    groups, causal = execution.derive(configurations), execution.derive(order)
    received = answers(history, Kind.RECEIVE)
    if not len(given) and not len(received[0]):
        return CheckResult(reasons=not_recorded(history, "raft.vote"), examined={})
    if groups.reason or causal.reason:
        return CheckResult(reasons=tuple(r for r in (groups.reason, causal.reason) if r))
    holds = _votes_held(history, given, received, causal, elected)
    answer = causal.excused(groups.quorum(elected, holds))
    broken = np.flatnonzero(answer == NO)
    undecided = np.flatnonzero(answer == UNDECIDED)
    reasons: tuple[str, ...] = ()
    if len(undecided):
        which = int(elected[undecided[0]])
        unjudged = f"of {times(len(elected), 'election')}, {len(undecided)} cannot be judged"
        of = f"{history.who(which)} in term {int(history.term[which])}"
        reasons = (f"{unjudged}: who voted is not recorded ({of}){causal.missing}",)
    return CheckResult(
        examined={"elections": len(elected) - len(undecided)},
        reasons=reasons,
        violations=tuple(_told(history, groups, given, holds[b], int(elected[b])) for b in broken[:SHOWN].tolist()),
        violations_total=len(broken),
        rests_on=groups.rests_on + causal.rests_on,
        method=f"votes before each election, {causal.method}",
    )


def _votes_held(
    history: RaftHistory, given: Votes, received: tuple[Int64, Int64, Int64], causal: Order, elected: Int64
) -> Int64:
    """(elections, names): whether each process certainly (YES), possibly or certainly not voted for each winner."""
    holds = np.full((len(elected), len(history.names)), UNDECIDED, np.int64)
    column = history.execution.trace.columns.get("raft.vote")
    if column is not None:
        holds[:, np.unique(history.execution.trace.process[column.present])] = NO
    holds[:, not_covered(history.execution)] = UNDECIDED
    of_state = _first(given.voter, given.term, given.candidate, given.place)
    places, terms, voters = received
    of_answer = _first(voters, terms, history.process[places], places)
    other = set(zip(given.voter.tolist(), given.term.tolist(), strict=True))
    answered = history.execution.trace.named("raft.request_vote_response")
    hears = np.unique(history.execution.trace.process[answered & history.execution.trace.is_kind(Kind.RECEIVE)])
    if answered.any():  # a winner that records no receipt of any vote may have had them all
        holds[~np.isin(history.process[elected], hears)] = UNDECIDED
    frontiers = causal.frontiers(elected)
    for e, place in enumerate(elected.tolist()):
        term, winner = int(history.term[place]), int(history.process[place])
        for voter in range(len(history.names)):
            vote = of_state.get((voter, term, winner))
            by_state = vote is not None and vote < causal.begin[voter] + frontiers[e, voter]
            if by_state or of_answer.get((voter, term, winner), place + 1) <= place:
                holds[e, voter] = YES
        if (winner, term) not in other:
            holds[e, winner] = YES  # a candidate votes for itself (5.2), and nothing recorded says otherwise
    return holds


def _first(voter: Int64, term: Int64, candidate: Int64, place: Int64) -> dict[tuple[int, int, int], int]:
    """The first place of each vote."""
    first: dict[tuple[int, int, int], int] = {}
    for v, t, c, p in zip(voter.tolist(), term.tolist(), candidate.tolist(), place.tolist(), strict=True):
        key = (v, t, c)
        first[key] = min(p, first.get(key, p))
    return first


def _told(history: RaftHistory, groups: Configurations, given: Votes, holds: Int64, place: int) -> Violation:
    configuration = groups.of(place)
    term, name = int(history.term[place]), history.who(place)
    voters = [v for v in configuration.members if holds[v] == YES]
    names = [history.names[v] for v in voters]
    needed = configuration.majority(configuration.voters)
    events = []
    for voter in voters:
        mine = (given.voter == voter) & (given.term == term) & (given.candidate == history.process[place])
        events += [(int(p), f"votes for {name} in term {term}") for p in given.place[mine] if p != place]
    events.append((place, f"leads term {term} with {times(len(names), 'vote')} of {len(configuration.members)}"))
    return violation(
        history,
        "leader-without-quorum",
        f"{name} became leader of term {term} with the votes of {listed(names)} only; "
        f"it needs {configuration.needs(history.names)}.",
        events,
        facts={"term": term, "leader": name, "votes": names, "needed": needed},
    )
