"""Reads that write nothing to the log: read index (8; thesis 6.4) and leases (thesis 6.4.1)."""

from __future__ import annotations

from reference_impls.protocols.kv_store import Command
from reference_impls.protocols.raft.server import ELECTION_TIMEOUT, LEADER, Server

DRIFT = 1.01
"""The clock assumption of leases: while one clock advances by t, no other one advances by more than 1.01 t."""
LEASE = int(ELECTION_TIMEOUT[0] / DRIFT)
"""For so long after a round of heartbeats began, no other leader can be elected: those who answered it disregard vote
requests for the minimum election timeout, on clocks that may be fast."""


class Reads(Server):
    """What a leader may answer from its state machine, and when."""

    def _begin_to_lead(self) -> None:
        super()._begin_to_lead()
        self.answered = {}
        self.pending.clear()
        self.lease_void = False
        self.begun.clear()
        self.confirmed, self.confirmed_at = self.round, self.now
        self.no_op = self.log.last_index + 1
        self._begin_round()

    # Rounds of heartbeats

    def _begin_round(self) -> int:
        """What is sent from now on belongs to a new round."""
        self.round += 1
        self.begun[self.round] = self.now
        return self.round

    def _round_answered(self, sender: str, number: int) -> None:
        """A follower still followed this leader after a round had begun."""
        if number > self.answered.get(sender, 0):
            self.answered[sender] = number
            if number > self.confirmed:
                self._confirm()

    def _confirm(self) -> None:
        """Thesis 6.4: a majority has answered a round, so no newer leader existed when that round began; in joint
        consensus, a majority of each configuration."""
        self.answered[self.name] = self.round
        number = min(self._answered_by_majority(group) for group in self.configuration.groups)
        if number <= self.confirmed:
            return
        self.confirmed_at = self.begun[number]
        for earlier in range(self.confirmed + 1, number + 1):
            del self.begun[earlier]
        self.confirmed = number
        self._answer_reads()

    def _answered_by_majority(self, group: tuple[str, ...]) -> int:
        answers = sorted([self.answered.get(server, 0) for server in group], reverse=True)
        return answers[len(group) // 2]

    def _is_abandoned(self) -> bool:
        """Thesis 6.2: whether no majority has answered for an election timeout; a leader then steps down."""
        return self.now - self.confirmed_at > ELECTION_TIMEOUT[1]

    # Reads

    def _on_read(self, command: Command) -> None:
        """Thesis 6.4: 1. wait for the own no-op to be committed; 2. the commit index is the read index; 3. a round of
        heartbeats confirms that this server still leads; 4. the state machine gets as far; 5. answer."""
        index = max(self.commit, self.no_op)
        if self.reads == "lease" and self._lease_holds():
            self.pending.append((command, index, self.confirmed))
        else:
            self.pending.append((command, index, self._begin_round()))
            for other in self.others:
                if self.next[other] > self.log.base:  # who needs a snapshot gets that with the next heartbeat
                    self._append_entries(other)
            self._confirm()
        self._answer_reads()

    def _lease_holds(self) -> bool:
        """Thesis 6.4.1: a round that a majority has answered began less than a lease ago."""
        return not self.lease_void and self.now < self.confirmed_at + LEASE

    def _answer_reads(self) -> None:
        """Reads whose round is confirmed and whose index is applied."""
        pending = self.pending
        while pending and self.role == LEADER and pending[0][2] <= self.confirmed and pending[0][1] <= self.applied:
            command, *_ = pending.popleft()
            self._answer(command, True, self.store.values.get(command.key))
