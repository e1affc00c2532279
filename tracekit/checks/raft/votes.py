"""Votes: who voted for whom in which term, as processes' states and their answers show it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tracekit.checks.raft.history import UNKNOWN, Bool, Int64, RaftHistory, raft_history
from tracekit.execution import Execution
from tracekit.trace.schema import Kind


@dataclass(frozen=True, eq=False)
class Votes:
    """Each vote once, in order of voter, term and candidate.

    Attributes
    ----------
    voter, term, candidate: shape (v,).
    place: the first event at the voter that shows the vote: its state, or a vote sent.
    cast: whether the vote was seen to be given there: the state before was recorded and did not have it.
    """

    voter: Int64
    term: Int64
    candidate: Int64
    place: Int64
    cast: Bool

    def __len__(self) -> int:
        return len(self.voter)


def votes(execution: Execution) -> Votes:
    """Votes from raft.vote and from votes sent; O(n log n). Use it through ``execution.derive(votes)``."""
    history = execution.derive(raft_history)
    shown = (history.vote >= 0) & (history.term >= 0)
    shown &= (history.vote != history.before(history.vote)) | (history.term != history.before(history.term))
    of = _terms(history)
    in_state = np.flatnonzero(shown & (of >= 0))
    sent, terms, candidates = answers(history, Kind.SEND)
    place = np.concatenate([in_state, sent])
    term = np.concatenate([of[in_state], terms])
    candidate = np.concatenate([history.vote[in_state], candidates])
    voter = history.process[place]
    order = np.lexsort((place, candidate, term, voter))
    place, term, candidate, voter = place[order], term[order], candidate[order], voter[order]
    new = np.ones(len(place), np.bool_)
    new[1:] = (np.diff(voter) != 0) | (np.diff(term) != 0) | (np.diff(candidate) != 0)
    place, term, candidate, voter = place[new], term[new], candidate[new], voter[new]
    cast = ~history.first[place] & ~history.restart[place] & (history.before(history.term)[place] >= 0)
    return Votes(voter, term, candidate, place, cast)


def _terms(history: RaftHistory) -> Int64:
    """The term of a vote recorded at each event. Where no term is recorded with it and the process had heard of a later
    one than it recorded, it is that of the request that it grants there; else not known: -1."""
    carried = (history.column("raft.term") < 0) & (history.heard > history.term)
    asked = history.named("raft.request_vote") & history.kind(Kind.RECEIVE) & (history.peer() == history.vote)
    of_request = np.where(asked, history.column("raft.message_term"), UNKNOWN)
    return np.where(carried, np.where(of_request >= history.term, of_request, UNKNOWN), history.term)


def answers(history: RaftHistory, kind: Kind) -> tuple[Int64, Int64, Int64]:
    """Places of votes (not refusals) sent or received, their terms, and the peers."""
    mine = history.kind(kind) & history.named("raft.request_vote_response")
    term, peer = history.column("raft.message_term"), history.peer()
    places = np.flatnonzero(mine & (history.column("raft.message_reject") == 0) & (term >= 0) & (peer >= 0))
    return places, term[places], peer[places]
