"""A Raft server as a pure state machine: its inputs, and its concerns put together.

"Figure 2" is the paper's summary, numbers are its sections; "thesis 6.4" is a section of Ongaro's thesis.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from reference_impls.protocols.kv_store import Command
from reference_impls.protocols.raft.elections import Elections
from reference_impls.protocols.raft.log import Configuration, Entry, Log
from reference_impls.protocols.raft.membership import Membership
from reference_impls.protocols.raft.messages import (
    AdminRequest,
    AppendEntries,
    AppendEntriesResponse,
    ClientRequest,
    ClientResponse,
    InstallSnapshot,
    InstallSnapshotResponse,
    PreVote,
    PreVoteResponse,
    RequestVote,
    RequestVoteResponse,
    TimeoutNow,
)
from reference_impls.protocols.raft.reads import Reads
from reference_impls.protocols.raft.replication import Replication
from reference_impls.protocols.raft.server import HEARTBEAT, LEADER
from reference_impls.protocols.raft.snapshots import Snapshots
from reference_impls.runtime.effects import Effect, Note, Persist, SetTimer
from reference_impls.runtime.process import Stable


class RaftNode(Elections, Replication, Snapshots, Membership, Reads):
    """One server."""

    def on_start(self, stable: Stable) -> Sequence[Effect]:
        """Servers start as followers (5.2), with the term, the vote, the snapshot and the log that they persisted."""
        self._effects = []
        if stable.cells:
            self._restore(stable)
        self._use_configuration()
        fields = {
            "raft.role": self._shown_role,
            "raft.term": self.term,
            "raft.vote": self.vote,
            "raft.commit": self.commit,
            "raft.last_index": self.log.last_index,
            "raft.last_term": self.log.last_term,
            **self._configuration_fields(),
        }
        if not stable.cells:
            fields |= {"raft.log_from": 1, "raft.entry_terms": [], "raft.entry_digests": []}
            fields |= {"raft.effective": self.effective}
        self._effects.append(Note(fields, "raft.restart" if stable.cells else "raft.init"))
        self._recorded, self._recorded_commit = (self._shown_role, self.term, self.vote), self.commit
        if not stable.cells:
            self._effects.append(Persist({"term": self.term, "vote": self.vote}))
        self._await_leader()
        return self._effects

    def _restore(self, stable: Stable) -> None:
        """What was stable is known again."""
        self.term, self.vote = stable.cells.get("term", 0), stable.cells.get("vote", "")
        self.used = stable.cells.get("used", 0)
        self.snapshot = stable.cells.get("snapshot")
        if self.snapshot:
            self.configurations = [self.snapshot.configuration]
            self._load(self.snapshot)
        self.log = Log(self.commit, self.snapshot.last_term if self.snapshot else 0, stable.log)
        for index, entry in enumerate(stable.log, self.log.base + 1):
            if isinstance(entry.command, Configuration):
                self.configurations.append((index, entry.command))
        if self.reads == "lease":
            # It may have heard a leader just before it crashed. If it forgot that and voted, the leader's lease would
            # not hold (thesis 6.4.1)
            self._keep_quiet()

    def on_message(self, now_ns: int, sender: str, message: Any) -> Sequence[Effect]:
        """A message from a server, a client or an administrator."""
        self._effects, self.now = [], now_ns
        if isinstance(message, ClientRequest):
            self._on_request(sender, message.command)
        elif isinstance(message, AdminRequest):
            self._on_admin_request(sender, message)
        elif not (isinstance(message, RequestVote) and self._disregards(message)):
            # Figure 2, all servers: a term above the own one makes a follower of that term (5.1). A pre-vote asks about
            # a term that nobody is in yet (thesis 9.6)
            if message.term > self.term and not _supposes_term(message):
                self._become_follower(message.term)
            _HANDLERS[type(message)](self, sender, message)
        return self._effects

    def on_timer(self, now_ns: int, name: str) -> Sequence[Effect]:
        """The election timeout elapsed without hearing from a leader, a heartbeat is due, or a time is over."""
        self._effects, self.now = [], now_ns
        if name == "election":
            self._election_timed_out()
        elif name == "quiet":
            self.quiet = False
        elif name == "transfer":
            self.transfer = ""
        elif self.role == LEADER:
            self._heartbeat()
        return self._effects

    def _heartbeat(self) -> None:
        """Figure 2, leaders: repeated during idle periods to prevent election timeouts (5.2)."""
        if self._is_abandoned():
            self._become_follower(self.term)
            self._record("raft.become_follower")
            return
        self._effects.append(SetTimer("heartbeat", HEARTBEAT))
        self._begin_round()
        for other in self.others:
            self._append_entries(other)
        self._confirm()
        self._go_on_with_change()

    def _on_request(self, client: str, command: Command) -> None:
        """A client's request (8). Whoever does not lead names the leader; one that hands over takes none (thesis
        3.10)."""
        if self.role != LEADER or self.transfer:
            leader = "" if self.transfer else self.leader
            self._reply(client, ClientResponse(command.number, "redirect", leader=leader))
            return
        if command.f == "read" and self.reads != "log":
            self._on_read(command)
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


def _supposes_term(message: Any) -> bool:
    return isinstance(message, PreVote) or (isinstance(message, PreVoteResponse) and message.granted)


_HANDLERS: dict[type, Any] = {
    RequestVote: RaftNode._on_request_vote,
    RequestVoteResponse: RaftNode._on_request_vote_response,
    PreVote: RaftNode._on_pre_vote,
    PreVoteResponse: RaftNode._on_pre_vote_response,
    AppendEntries: RaftNode._on_append_entries,
    AppendEntriesResponse: RaftNode._on_append_entries_response,
    InstallSnapshot: RaftNode._on_install_snapshot,
    InstallSnapshotResponse: RaftNode._on_install_snapshot_response,
    TimeoutNow: RaftNode._on_timeout_now,
}
