"""A Raft server as a pure state machine. "Figure 2" is the paper's summary, numbers are its sections."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

from reference_impls.protocols.kv_store import Command, KvStore
from reference_impls.protocols.raft.messages import (
    AppendEntries,
    AppendEntriesResponse,
    ClientRequest,
    ClientResponse,
    Entry,
    RequestVote,
    RequestVoteResponse,
)
from reference_impls.runtime.effects import CancelTimer, Effect, Message, Note, Persist, Reply, Send, SetTimer
from reference_impls.runtime.process import Stable

MILLISECOND = 1_000_000
ELECTION_TIMEOUT = (150 * MILLISECOND, 300 * MILLISECOND)
"""Chosen anew for every election (5.2); the paper's own numbers (9.3)."""
HEARTBEAT = 50 * MILLISECOND
"""Well below the election timeout (5.2, 5.6)."""
MOST_ENTRIES = 100
"""How many entries one AppendEntries carries at most."""

FOLLOWER, CANDIDATE, LEADER = "follower", "candidate", "leader"


class RaftNode:
    """One server.

    A handler first changes the state, then calls `_record`, which makes the change stable and records it, and only
    then sends what rests on it. So nothing is promised that a crash could undo, and no half-made state is recorded.
    """

    def __init__(self, name: str, members: Sequence[str], random: Random) -> None:
        self.name = name
        self.others = [member for member in members if member != name]
        self.majority = len(members) // 2 + 1
        self.random = random
        # Persistent state on all servers (Figure 2)
        self.term = 0
        self.vote = ""
        self.log: list[Entry] = []
        # Volatile state on all servers
        self.commit = 0
        self.applied = 0
        self.role = FOLLOWER
        self.leader = ""
        self.store = KvStore()
        # Volatile state on candidates and leaders
        self.votes: set[str] = set()
        self.next: dict[str, int] = {}
        self.match: dict[str, int] = {}
        self.waiting: set[str] = set()
        self.asked: set[tuple[str, int]] = set()
        # What was last recorded, and what a step still has to record and to do
        self._recorded: tuple[str, int, str] = ("", -1, "")
        self._recorded_commit = -1
        self._changed_from = 0
        self._effects: list[Effect] = []

    # Inputs

    def on_start(self, stable: Stable) -> Sequence[Effect]:
        """Servers start as followers (5.2), with the term, the vote and the log that they had persisted."""
        self._effects = []
        self.term = stable.cells.get("term", 0)
        self.vote = stable.cells.get("vote", "")
        self.log = list(stable.log)
        fields = {
            "raft.role": self.role,
            "raft.term": self.term,
            "raft.vote": self.vote,
            "raft.commit": self.commit,
            "raft.last_index": len(self.log),
            "raft.last_term": self.last_log_term,
        }
        if not stable.cells:
            fields |= {"raft.log_from": 1, "raft.entry_terms": [], "raft.entry_digests": []}
        self._effects.append(Note(fields, "raft.restart" if stable.cells else "raft.init"))
        self._recorded, self._recorded_commit = (self.role, self.term, self.vote), self.commit
        if not stable.cells:
            self._effects.append(Persist({"term": self.term, "vote": self.vote}))
        self._await_leader()
        return self._effects

    def on_message(self, now_ns: int, sender: str, message: Any) -> Sequence[Effect]:
        """A message from a server or from a client."""
        self._effects = []
        if isinstance(message, ClientRequest):
            self._on_request(sender, message.command)
            return self._effects
        # Figure 2, all servers: a term above the own one makes a follower of that term (5.1)
        if message.term > self.term:
            self._become_follower(message.term)
        _HANDLERS[type(message)](self, sender, message)
        return self._effects

    def on_timer(self, now_ns: int, name: str) -> Sequence[Effect]:
        """The election timeout elapsed without hearing from a leader, or a heartbeat is due."""
        self._effects = []
        if name == "heartbeat":
            if self.role != LEADER:
                return self._effects
            # Figure 2, leaders: repeated during idle periods to prevent election timeouts (5.2)
            self._effects.append(SetTimer("heartbeat", HEARTBEAT))
            for other in self.others:
                self._append_entries(other)
        else:
            self._become_candidate()
        return self._effects

    # Elections (5.2)

    def _become_follower(self, term: int) -> None:
        """Figure 2: set currentTerm = T, convert to follower. Nothing is sent: the caller records."""
        if self.role == LEADER:
            self._effects.append(CancelTimer("heartbeat"))
            self._await_leader()
        self.role, self.term, self.vote, self.leader = FOLLOWER, term, "", ""

    def _become_candidate(self) -> None:
        """Figure 2, candidates: increment currentTerm, vote for self, reset the timer, ask all others."""
        self.role, self.leader = CANDIDATE, ""
        self.term += 1
        self.vote = self.name
        self.votes = {self.name}
        self._await_leader()
        self._record("raft.become_candidate")
        for other in self.others:
            self._send(other, RequestVote(self.term, len(self.log), self.last_log_term))
        self._count_votes()

    def _await_leader(self) -> None:
        """(Re)starts the election timeout; random, so that votes seldom split (5.2)."""
        self._effects.append(SetTimer("election", self.random.randint(*ELECTION_TIMEOUT)))

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

    def _up_to_date(self, message: RequestVote) -> bool:
        """Whether the candidate's log is at least as up to date: by the last entry's term, then by length (5.4.1)."""
        return (message.last_log_term, message.last_log_index) >= (self.last_log_term, len(self.log))

    def _on_request_vote_response(self, sender: str, message: RequestVoteResponse) -> None:
        self._record()
        if self.role == CANDIDATE and message.term == self.term and message.granted:
            self.votes.add(sender)
            self._count_votes()

    def _count_votes(self) -> None:
        """Votes from a majority of servers make a leader (5.2)."""
        if len(self.votes) < self.majority:
            return
        self.role, self.leader = LEADER, self.name
        # Figure 2, volatile state on leaders, reinitialised after election
        self.next = dict.fromkeys(self.others, len(self.log) + 1)
        self.match = dict.fromkeys(self.others, 0)
        self.waiting, self.asked = set(), set()
        self._effects += CancelTimer("election"), SetTimer("heartbeat", HEARTBEAT)
        first = [self._entries_from(len(self.log) + 1) for _ in self.others]
        # Section 8: a no-op at the start of the term, so that the leader learns which entries are committed
        self._append(Entry(self.term, None))
        self._record("raft.become_leader")
        # Figure 2, leaders: upon election, send initial empty AppendEntries (heartbeat); the no-op follows the answer
        for other, message in zip(self.others, first, strict=True):
            self.waiting.add(other)
            self._send(other, message)
        self._advance_commit()

    # Log replication (5.3)

    def _append(self, entry: Entry) -> None:
        """A leader only ever appends to its log (5.3, Leader Append-Only)."""
        self._changed_from = self._changed_from or len(self.log) + 1
        self.log.append(entry)

    def _entries_from(self, index: int) -> AppendEntries:
        """The AppendEntries that carries the log from an index on."""
        entries = tuple(self.log[index - 1 : index - 1 + MOST_ENTRIES])
        return AppendEntries(self.term, index - 1, self._term_at(index - 1), entries, self.commit)

    def _append_entries(self, other: str) -> None:
        self.waiting.add(other)
        self._send(other, self._entries_from(self.next[other]))

    def _replicate(self) -> None:
        """Figure 2, leaders: if last log index >= nextIndex for a follower, send it the entries from nextIndex on.

        One message at a time is under way to each follower; the heartbeat replaces a lost one.
        """
        for other in self.others:
            if other not in self.waiting and self.next[other] <= len(self.log):
                self._append_entries(other)

    def _on_append_entries(self, sender: str, message: AppendEntries) -> None:
        """Figure 2, AppendEntries, receiver implementation 1 to 5."""
        if message.term < self.term:  # 1
            self._record()
            self._send(sender, AppendEntriesResponse(self.term, False))
            return
        # 5.2: a legitimate leader of this term exists, a candidate returns to follower
        self.role, self.leader = FOLLOWER, sender
        self._await_leader()
        previous = message.prev_log_index
        if previous > len(self.log) or self._term_at(previous) != message.prev_log_term:  # 2
            self._record()
            self._send(sender, AppendEntriesResponse(self.term, False, hint=self._hint(previous)))
            return
        self._store(previous, message.entries)  # 3 and 4
        match = previous + len(message.entries)
        if message.leader_commit > self.commit:  # 5; a late message may know less than this server has committed
            self.commit = max(self.commit, min(message.leader_commit, match))
        self._record()
        self._send(sender, AppendEntriesResponse(self.term, True, match=match))
        self._apply()

    def _store(self, previous: int, entries: Sequence[Entry]) -> None:
        """3. Delete an existing entry that conflicts, and all that follow it. 4. Append those not there."""
        for index, entry in enumerate(entries, previous + 1):
            if index > len(self.log) or self.log[index - 1].term != entry.term:
                del self.log[index - 1 :]
                self.log.extend(entries[index - 1 - previous :])
                self._changed_from = index
                return

    def _hint(self, previous: int) -> int:
        """Where the leader had better try: it may bypass the whole conflicting term (5.3)."""
        if previous > len(self.log):
            return len(self.log) + 1
        term = self._term_at(previous)
        while previous > 1 and self._term_at(previous - 1) == term:
            previous -= 1
        return previous

    def _on_append_entries_response(self, sender: str, message: AppendEntriesResponse) -> None:
        """Figure 2, leaders: on success update nextIndex and matchIndex, on inconsistency go back and try again."""
        self._record()
        if self.role != LEADER or message.term < self.term:
            return
        self.waiting.discard(sender)
        if message.success:
            self.match[sender] = max(self.match[sender], message.match)
            self.next[sender] = self.match[sender] + 1
            self._advance_commit()
        elif message.hint:  # without one, the follower refused the term of a message sent before this election
            self.next[sender] = max(1, min(self.next[sender] - 1, message.hint))
            self._append_entries(sender)
        self._replicate()

    # Committing (5.3, 5.4.2)

    def _advance_commit(self) -> None:
        """Figure 2, leaders: N > commitIndex, a majority of matchIndex >= N, log[N].term == currentTerm.

        Terms never fall along a log, so that the highest N of a majority decides.
        """
        copies = sorted([len(self.log), *self.match.values()], reverse=True)
        index = copies[self._copies_needed() - 1]
        if index > self.commit and self._may_commit(index):
            self.commit = index
            self._record("raft.commit")
            self._apply()

    def _copies_needed(self) -> int:
        """An entry is committed once it is stored on a majority of the servers (5.3)."""
        return self.majority

    def _may_commit(self, index: int) -> bool:
        """Only entries of the leader's own term are committed by counting; earlier ones with them (5.4.2, Figure 8)."""
        return self.log[index - 1].term == self.term

    def _apply(self) -> None:
        """Figure 2, all servers: while commitIndex > lastApplied, apply the next entry; the leader answers (5.3)."""
        while self.applied < self.commit:
            self.applied += 1
            entry = self.log[self.applied - 1]
            self._effects.append(
                Note(
                    {
                        "raft.apply_index": self.applied,
                        "raft.apply_term": entry.term,
                        "raft.apply_digest": entry.digest,
                    },
                    "raft.apply",
                )
            )
            command = entry.command
            if command is None:
                continue
            result = self.store.apply(command)
            if self.role == LEADER and (command.client, command.number) in self.asked:
                self.asked.discard((command.client, command.number))
                self._answer(command, result.ok, result.value)

    # Clients (8)

    def _on_request(self, client: str, command: Command) -> None:
        """A client's request; whoever does not lead names the leader (8)."""
        if self.role != LEADER:
            response = ClientResponse(command.number, "redirect", leader=self.leader)
            self._effects.append(Reply(client, response))
            return
        known = self.store.known(command)
        if known is not None:  # executed already: the answer was lost (8)
            self._answer(command, known.ok, known.value)
        elif (command.client, command.number) not in self.asked:
            self.asked.add((command.client, command.number))
            self._append(Entry(self.term, command))
            self._record()
            self._replicate()
            self._advance_commit()

    def _answer(self, command: Command, ok: bool, value: str | None) -> None:
        response = ClientResponse(command.number, "ok" if ok else "fail", value)
        self._effects.append(Reply(command.client, response))

    # State

    @property
    def last_log_term(self) -> int:
        """Term of the last entry; 0 for an empty log."""
        return self.log[-1].term if self.log else 0

    def _term_at(self, index: int) -> int:
        return self.log[index - 1].term if index > 0 else 0

    def _send(self, to: str, message: Message) -> None:
        self._effects.append(Send(to, message))

    def _record(self, name: str = "") -> None:
        """Makes stable what changed of the persistent state, and records what changed of all state since the last call.

        Role, term and vote are recorded together: any of them alone would be half a state.
        """
        fields: dict[str, Any] = {}
        state = (self.role, self.term, self.vote)
        cells: dict[str, Any] = {}
        if state != self._recorded:
            self._recorded = state
            fields["raft.role"], fields["raft.term"], fields["raft.vote"] = state
            cells = self._stable_cells()
        if self.commit != self._recorded_commit:
            self._recorded_commit = fields["raft.commit"] = self.commit
        if self._changed_from:
            entries = self.log[self._changed_from - 1 :]
            fields["raft.log_from"] = self._changed_from
            fields["raft.entry_terms"] = [entry.term for entry in entries]
            fields["raft.entry_digests"] = [entry.digest for entry in entries]
            fields["raft.last_index"], fields["raft.last_term"] = len(self.log), self.last_log_term
            self._effects.append(Persist(cells, self._changed_from, entries))
            self._changed_from = 0
        elif cells:
            self._effects.append(Persist(cells))
        if fields or name:
            self._effects.append(Note(fields, name))

    def _stable_cells(self) -> dict[str, Any]:
        """Figure 2: currentTerm and votedFor are on stable storage before any answer."""
        return {"term": self.term, "vote": self.vote}


_HANDLERS: dict[type, Any] = {
    RequestVote: RaftNode._on_request_vote,
    RequestVoteResponse: RaftNode._on_request_vote_response,
    AppendEntries: RaftNode._on_append_entries,
    AppendEntriesResponse: RaftNode._on_append_entries_response,
}
