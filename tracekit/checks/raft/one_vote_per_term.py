"""A process votes at most once in a term."""

from __future__ import annotations

import numpy as np

from tracekit.checks.doubts import domain_check
from tracekit.checks.evidence import SHOWN, listed
from tracekit.checks.raft.evidence import not_recorded, violation
from tracekit.checks.raft.history import raft_history, raft_occurs
from tracekit.checks.raft.votes import votes
from tracekit.execution import Execution, Options
from tracekit.results import CheckResult


@domain_check("raft.one-vote-per-term", applies=raft_occurs)
def one_vote_per_term(execution: Execution, options: Options) -> CheckResult:
    """A process votes for at most one candidate in a given term, even across a restart.

    Meaning
        A candidate wins with the votes of a majority. Any two majorities share a process, so if every process votes
        only once in a term, two candidates cannot both win. The vote is on stable storage before it is sent: a
        process that forgets it in a crash may vote a second time in the same term, for another candidate.
        A candidate's vote for itself counts.

    Example
        n4:149  receives vote request of term 7 from n1, grants it
        n4:150  restarts in term 7
        n4:163  receives vote request of term 7 from n3, grants it

    Needs
        raft.vote together with raft.term at the events of a process, or the votes that it sends
        (raft.request_vote_response with raft.message_term and raft.message_reject).

    Cannot see
        A vote of which neither the state nor the answer was recorded. Answers to pre-votes, which are no votes, must
        be named raft.pre_vote_response.

    Cost
        Sorting the votes; linear in the events otherwise.

    Reference
        Raft 5.2, Figure 2. State votedFor; RequestVote receiver rule 2.
        Ongaro and Ousterhout, In Search of an Understandable Consensus Algorithm (extended version), 2014.
    """
    history = execution.derive(raft_history)
    given = execution.derive(votes)
    if not len(given):
        missing = () if history.recorded("raft.vote") else not_recorded(history, "raft.vote")
        return CheckResult(reasons=missing, applicable=False)
    new = np.ones(len(given), np.bool_)
    new[1:] = (np.diff(given.voter) != 0) | (np.diff(given.term) != 0)
    starts = np.flatnonzero(new)
    counts = np.diff(np.append(starts, len(given)))
    broken = starts[counts > 1]
    broken = broken[np.lexsort((given.place[broken], given.term[broken]))]
    violations = []
    for start in broken[:SHOWN].tolist():
        mine = np.arange(start, start + int(counts[np.searchsorted(starts, start)]))
        mine = mine[np.argsort(given.place[mine], kind="stable")]
        places = given.place[mine].tolist()
        candidates = [history.names[c] for c in given.candidate[mine].tolist()]
        name, term = history.who(places[0]), int(given.term[start])
        restarts = (places[0] + 1 + np.flatnonzero(history.restart[places[0] + 1 : places[1] + 1])).tolist()
        forgot = ""
        if restarts:
            at = execution.trace.event(int(history.rows[restarts[0]]))
            forgot = f" It restarted in between ({at}) and forgot its vote."
        events = [(p, f"votes for {c} in term {term}") for p, c in zip(places, candidates, strict=True)]
        events[1:1] = [(p, execution.text(int(history.rows[p]))) for p in restarts[:1] if p != places[1]]
        violations.append(
            violation(
                history,
                "two-votes-in-term",
                f"{name} voted for {listed(candidates)} in term {term}. A process has one vote in a term.{forgot}",
                events,
                facts={"process": name, "term": term, "candidates": candidates, "restarted": bool(restarts)},
            )
        )
    return CheckResult(
        examined={"votes": len(starts)},
        violations=tuple(violations),
        violations_total=len(broken),
        method="votes by voter and term",
    )
