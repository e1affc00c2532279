"""Leader election (5.2, 5.4.1), with pre-vote (thesis 9.6) and protection of leaders (6; thesis 4.2.3)."""

from __future__ import annotations

from reference_impls.protocols.raft.messages import (
    PreVote,
    PreVoteResponse,
    RequestVote,
    RequestVoteResponse,
    TimeoutNow,
)
from reference_impls.protocols.raft.server import (
    CANDIDATE,
    ELECTION_TIMEOUT,
    FOLLOWER,
    LEADER,
    PRE_CANDIDATE,
    Server,
)
from reference_impls.runtime.effects import CancelTimer, SetTimer


class Elections(Server):
    """Who leads."""

    def _await_leader(self) -> None:
        """(Re)starts the election timeout; random, so that votes seldom split (5.2)."""
        self._effects.append(SetTimer("election", self.random.randint(*ELECTION_TIMEOUT)))

    def _heard_leader(self, leader: str) -> None:
        """5.2: a legitimate leader of this term exists, a candidate returns to follower. 6: for the minimum election
        timeout from here on, this server disregards vote requests."""
        self.role, self.leader = FOLLOWER, leader
        self._await_leader()
        self._keep_quiet()

    def _keep_quiet(self) -> None:
        self.quiet = True
        self._effects.append(SetTimer("quiet", ELECTION_TIMEOUT[0]))

    def _disregards(self, message: RequestVote | PreVote) -> bool:
        """6: whether a leader is believed to exist, so that the request is disregarded; not one that the leader itself
        has asked for (thesis 4.2.3)."""
        transfer = isinstance(message, RequestVote) and message.transfer
        return (self.quiet or self.role == LEADER) and not transfer

    def _become_follower(self, term: int) -> None:
        """Figure 2: set currentTerm = T, convert to follower. Nothing is sent: the caller records."""
        if self.role == LEADER:
            self._effects.append(CancelTimer("heartbeat"))
            self._await_leader()
        if term > self.term:
            self.term, self.vote = term, ""
        self.role, self.leader = FOLLOWER, ""

    def _election_timed_out(self) -> None:
        """5.2: no leader was heard. Who does not vote does not stand either; but a configuration that is not known to
        be committed may be in no other log, and its removed servers may be needed to commit it (thesis 4.2.2)."""
        if self.name in self.configuration.electors or self.used > self.commit:
            self._become_pre_candidate()
        else:
            self._await_leader()

    def _become_pre_candidate(self) -> None:
        """Thesis 9.6: ask first whether a majority would vote; terms stay as they are."""
        self.role, self.leader = PRE_CANDIDATE, ""
        self.votes = {self.name}
        self._await_leader()
        self._record("raft.become_pre_candidate")
        for other in self.configuration.electors:
            if other != self.name:
                self._send(other, PreVote(self.term + 1, self.log.last_index, self.log.last_term))
        self._count_votes()

    def _become_candidate(self, transfer: bool = False) -> None:
        """Figure 2, candidates: increment currentTerm, vote for self, reset the timer, ask all others."""
        self.role, self.leader = CANDIDATE, ""
        self.term += 1
        self.vote = self.name
        self.votes = {self.name}
        self._await_leader()
        self._record("raft.become_candidate")
        for other in self.configuration.electors:
            if other != self.name:
                self._send(other, RequestVote(self.term, self.log.last_index, self.log.last_term, transfer))
        self._count_votes()

    def _on_pre_vote(self, sender: str, message: PreVote) -> None:
        """Thesis 9.6: granted where the log is up to date and no leader is believed to exist. Nothing changes here."""
        granted = message.term > self.term and self._up_to_date(message) and not self._disregards(message)
        self._record()
        self._send(sender, PreVoteResponse(message.term if granted else self.term, granted))

    def _on_pre_vote_response(self, sender: str, message: PreVoteResponse) -> None:
        self._record()
        if self.role == PRE_CANDIDATE and message.term == self.term + 1 and message.granted:
            self.votes.add(sender)
            self._count_votes()

    def _on_request_vote(self, sender: str, message: RequestVote) -> None:
        """Figure 2, RequestVote, receiver: 1. refuse an old term; 2. one vote a term, for a log up to date (5.4.1)."""
        granted = message.term == self.term and self._may_vote_for(sender) and self._up_to_date(message)
        if granted:
            self.vote = sender
            self._await_leader()
        self._record()
        self._send(sender, RequestVoteResponse(self.term, granted))

    def _may_vote_for(self, candidate: str) -> bool:
        """Each server votes for at most one candidate in a term, first come, first served (5.2)."""
        return self.vote in ("", candidate)

    def _up_to_date(self, message: RequestVote | PreVote) -> bool:
        """Whether the candidate's log is at least as up to date: by the last entry's term, then by length (5.4.1)."""
        return (message.last_log_term, message.last_log_index) >= (self.log.last_term, self.log.last_index)

    def _on_request_vote_response(self, sender: str, message: RequestVoteResponse) -> None:
        self._record()
        if self.role == CANDIDATE and message.term == self.term and message.granted:
            self.votes.add(sender)
            self._count_votes()

    def _count_votes(self) -> None:
        """Votes from a majority of servers make a leader (5.2); in joint consensus, from both majorities (6)."""
        if not self.configuration.agree(self.votes):
            return
        if self.role == PRE_CANDIDATE:
            self._become_candidate()
        else:
            self._lead()

    def _on_timeout_now(self, sender: str, message: TimeoutNow) -> None:
        """Thesis 3.10: the leader wants this server to lead; it starts an election without waiting."""
        self._record()
        if message.term == self.term and self.role == FOLLOWER and self.name in self.configuration.electors:
            self._become_candidate(transfer=True)
