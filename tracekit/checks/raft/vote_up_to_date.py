"""Votes go only to candidates whose log is up to date."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tracekit.checks.doubts import domain_check
from tracekit.checks.evidence import SHOWN, times
from tracekit.checks.raft.evidence import not_recorded, violation
from tracekit.checks.raft.history import CANDIDATE, LEADER, UNKNOWN, Bool, Int64, RaftHistory, raft_history, raft_occurs
from tracekit.checks.raft.logs import RaftLogs, raft_logs
from tracekit.checks.raft.votes import Votes, votes
from tracekit.execution import Execution, Options
from tracekit.results import CheckResult, Violation
from tracekit.trace.schema import Kind


@domain_check("raft.vote-up-to-date", applies=raft_occurs)
def vote_up_to_date(execution: Execution, options: Options) -> CheckResult:
    """A process votes only for a candidate whose log is at least as up-to-date as its own.

    Meaning
        A committed entry is on a majority. A candidate needs a majority's votes, so one of its voters has every
        committed entry; if each voter refuses candidates whose log is behind its own, the winner has them all.
        Of two logs, the one whose last entry has the later term is more up-to-date; with equal last terms, the
        longer one. The voter's log is compared as it was when it voted, the candidate's as its vote request said.

    Example
        n2:30  stores entry 9, term 4
        n2:41  receives vote request of term 5 from n3 (last entry 12 of term 3), grants it

    Needs
        raft.vote and raft.term; the voter's log (raft.log_from with raft.entry_terms, or raft.last_index with
        raft.last_term); of the candidate, its request (raft.request_vote with raft.message_index and
        raft.message_log_term) or its log.

    Cannot see
        A vote given before the voter's recording began, or before the first event that shows it: where the voter's log
        has entries of the vote's term by then, and the request was not received in that event, it is unknown. A
        candidate whose request does not tell the truth about its log. A vote in an event that changes the voter's log
        as well is unknown.

    Cost
        Sorting the votes; linear in the events otherwise.

    Reference
        Raft 5.4.1, Figure 2. RequestVote receiver rule 2.
        Ongaro and Ousterhout, In Search of an Understandable Consensus Algorithm (extended version), 2014.
    """
    history, logs, given = execution.derive(raft_history), execution.derive(raft_logs), execution.derive(votes)
    mine = np.flatnonzero((given.candidate != given.voter) & given.cast)
    if not len(mine):
        return CheckResult(reasons=() if len(given) else not_recorded(history, "raft.vote"), applicable=False)
    place = given.place[mine]
    own = _Last(logs.last_term[place - 1], logs.last_index[place - 1], place - 1)
    now = _Last(logs.last_term[place], logs.last_index[place], place)
    steady = (own.term == now.term) & (own.index == now.index)
    requested = _requested(history, given, mine)
    asked = _asked(history, logs, given, mine, requested)
    # Entries of a term are there only once its leader is: who has some voted before, where its request is not recorded.
    late = ~requested & (own.term >= given.term[mine])
    judged = own.known & asked.known & steady & ~late
    behind = (asked.term < own.term) | ((asked.term == own.term) & (asked.index < own.index))
    broken = np.flatnonzero(judged & behind)
    broken = broken[np.argsort(given.term[mine[broken]], kind="stable")]
    reasons: tuple[str, ...] = ()
    if not judged.all():
        odd = int(np.flatnonzero(~judged)[0])
        whose = "voter's" if not own.known[odd] else "candidate's" if not asked.known[odd] else ""
        why = "the voter's log changed in the same event"
        if late[odd]:
            why = f"the voter has entries of term {int(given.term[mine[odd]])} already, so it voted before that event"
        elif whose:
            why = f"the last entry of the {whose} log is not recorded (raft.last_index, raft.last_term, or the entries)"
        first = execution.trace.event(int(history.rows[place[odd]]))
        reasons = (f"{times(int((~judged).sum()), 'vote')} of {len(mine)} cannot be judged: at {first}, {why}",)
    told = [_told(history, given, int(mine[b]), own.at(b), asked.at(b)) for b in broken[:SHOWN].tolist()]
    return CheckResult(
        examined={"votes": int(judged.sum())},
        violations=tuple(told),
        violations_total=len(broken),
        reasons=reasons,
        method="last term, then last index, at each vote",
    )


@dataclass(frozen=True, eq=False)
class _Last:
    """Last entries of logs, and the places that show them."""

    term: Int64
    index: Int64
    place: Int64

    @property
    def known(self) -> Bool:
        return (self.term >= 0) & (self.index >= 0)

    def at(self, i: int) -> tuple[int, int, int]:
        return int(self.term[i]), int(self.index[i]), int(self.place[i])


def _requested(history: RaftHistory, given: Votes, mine: Int64) -> Bool:
    """Which votes are recorded where the candidate's request was received."""
    place = given.place[mine]
    here = history.named("raft.request_vote")[place] & history.kind(Kind.RECEIVE)[place]
    for name in ("raft.message_log_term", "raft.message_index"):
        here &= history.column(name)[place] >= 0
    same = history.column("raft.message_term")[place] == given.term[mine]
    found: Bool = here & same & (history.peer()[place] == given.candidate[mine])
    return found


def _asked(history: RaftHistory, logs: RaftLogs, given: Votes, mine: Int64, here: Bool) -> _Last:
    """The candidate's last entry: from the request received in the event, else from any request of that candidate and
    term (the most up-to-date one, so that nothing is claimed that a repeated candidacy excuses), else from its log."""
    place, term, candidate = given.place[mine], given.term[mine], given.candidate[mine]
    last_term, last_index = history.column("raft.message_log_term"), history.column("raft.message_index")
    message_term, peer = history.column("raft.message_term"), history.peer()
    request = history.named("raft.request_vote") & (last_term >= 0) & (last_index >= 0) & (message_term >= 0)
    out = _Last(np.full(len(mine), UNKNOWN), np.full(len(mine), UNKNOWN), np.full(len(mine), UNKNOWN))

    def take(which: Int64, of: Int64, terms: Int64, indexes: Int64) -> None:
        out.term[which], out.index[which], out.place[which] = terms[of], indexes[of], of

    asks = np.flatnonzero(request)
    sender = np.where(history.kind(Kind.SEND)[asks], history.process[asks], peer[asks])
    best = _best(sender, message_term[asks], last_term[asks], last_index[asks], asks)
    stands = np.flatnonzero(((history.role == CANDIDATE) | (history.role == LEADER)) & (history.term >= 0))
    stands = stands[history.before(history.term)[stands] != history.term[stands]]
    logged = logs.last_term, logs.last_index
    own = _best(history.process[stands], history.term[stands], logged[0][stands], logged[1][stands], stands)
    keys = list(zip(candidate.tolist(), term.tolist(), strict=True))
    for source, terms, indexes in ((own, *logged), (best, last_term, last_index)):
        found = [(i, source[key]) for i, key in enumerate(keys) if key in source]
        if found:
            which, of = np.array(found, np.int64).T
            take(which, of, terms, indexes)
    take(np.flatnonzero(here), place[here], last_term, last_index)
    return out


def _best(who: Int64, term: Int64, last_term: Int64, last_index: Int64, place: Int64) -> dict[tuple[int, int], int]:
    """For each process and term, the place of the most up-to-date of its last entries."""
    order = np.lexsort((last_index, last_term, term, who))
    return dict(zip(zip(who[order].tolist(), term[order].tolist(), strict=True), place[order].tolist(), strict=True))


def _told(
    history: RaftHistory, given: Votes, vote: int, own: tuple[int, int, int], asked: tuple[int, int, int]
) -> Violation:
    place, term = int(given.place[vote]), int(given.term[vote])
    voter, candidate = history.who(place), history.names[int(given.candidate[vote])]
    why = (
        f"its last term {asked[0]} is lower than {own[0]}"
        if asked[0] != own[0]
        else (f"in the same last term {own[0]} it ends at {asked[1]}, before {own[1]}")
    )
    events = [(own[2], f"its log ends with entry {own[1]} of term {own[0]}")]
    if asked[2] != place:
        events.append((asked[2], f"its log ends with entry {asked[1]} of term {asked[0]}"))
    stale = f"whose log ends with entry {asked[1]} of term {asked[0]}"
    events.append((place, f"votes for {candidate} in term {term}, {stale}"))
    return violation(
        history,
        "vote-for-stale-candidate",
        f"{voter} voted in term {term} for {candidate}, whose log is behind its own: {why}. "
        "Such a leader may lack committed entries.",
        events,
        facts={
            "voter": voter,
            "candidate": candidate,
            "term": term,
            "voter_last": [own[0], own[1]],
            "candidate_last": [asked[0], asked[1]],
        },
    )
