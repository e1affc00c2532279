"""The state of a server (Figure 2), how it is made stable and recorded, and what its concerns ask of each other."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence
from random import Random
from typing import Any

from reference_impls.protocols.kv_store import Command, KvStore
from reference_impls.protocols.raft.log import Configuration, Entry, Log, Snapshot
from reference_impls.protocols.raft.messages import ClientResponse
from reference_impls.runtime.effects import Effect, Message, Note, Persist, Reply, Send

MILLISECOND = 1_000_000
ELECTION_TIMEOUT = (150 * MILLISECOND, 300 * MILLISECOND)
"""Chosen anew for every election (5.2); the paper's own numbers (9.3)."""
HEARTBEAT = 50 * MILLISECOND
"""Well below the election timeout (5.2, 5.6)."""

FOLLOWER, PRE_CANDIDATE, CANDIDATE, LEADER, LEARNER = "follower", "pre-candidate", "candidate", "leader", "learner"


class Server(ABC):
    """State and recording.

    A handler first changes the state, then calls `_record`, which makes the change stable and records it, and only
    then sends what rests on it. So nothing is promised that a crash could undo, and no half-made state is recorded.

    Parameters
    ----------
    members: the voters of the first configuration.
    reads: how a read is answered: ``index``, ``lease`` or ``log``.
    single: whether members change one at a time, and not by joint consensus.
    effective: when a configuration is used: ``append`` or ``apply``.
    compaction: how many entries a server applies, at least, before it takes a snapshot; 0: it takes none.
    """

    def __init__(
        self,
        name: str,
        members: Sequence[str],
        random: Random,
        reads: str = "index",
        single: bool = False,
        effective: str = "append",
        compaction: int = 0,
    ) -> None:
        self.name = name
        self.random = random
        self.reads = reads
        self.single = single
        self.effective = effective
        self.compaction = compaction
        self.now = 0
        # Persistent state on all servers (Figure 2; 7)
        self.term = 0
        self.vote = ""
        self.log = Log()
        self.snapshot: Snapshot | None = None
        # Volatile state on all servers
        self.commit = 0
        self.applied = 0
        self.role = FOLLOWER
        self.leader = ""
        self.quiet = False
        self.store = KvStore()
        # The configurations of the log, each with the index of its entry; the first one is that of the snapshot, or
        # the one that the cluster began with. `configuration` is in use.
        self.configurations: list[tuple[int, Configuration]] = [(0, Configuration(tuple(members)))]
        self.used = 0
        self.configuration = self.configurations[0][1]
        self.others = [member for member in members if member != name]
        # Volatile state on candidates and leaders
        self.votes: set[str] = set()
        self.next: dict[str, int] = {}
        self.match: dict[str, int] = {}
        self.waiting: set[str] = set()
        self.asked: set[tuple[str, int]] = set()
        # ... of changes of members, and of a transfer: what is wanted (voters and learners), and who is to lead
        self.goal: tuple[tuple[str, ...], tuple[str, ...]] | None = None
        self.transfer = ""
        self.handed_over = False
        # ... of rounds of heartbeats: which is the latest, when each began, which one each follower has answered, up to
        # which a majority has; and reads that wait for one
        self.round = 0
        self.begun: dict[int, int] = {}
        self.answered: dict[str, int] = {}
        self.confirmed = 0
        self.no_op = 0
        self.confirmed_at = 0
        self.lease_void = False
        self.pending: deque[tuple[Command, int, int]] = deque()
        # What was last recorded, and what a step still has to record and to do
        self._recorded: tuple[str, int, str] = ("", -1, "")
        self._recorded_commit = -1
        self._recorded_configuration: Configuration | None = None
        self._changed_from = 0
        self._taken: Snapshot | None = None
        self._effects: list[Effect] = []

    # What the concerns ask of each other

    @abstractmethod
    def _await_leader(self) -> None:
        """(Re)starts the election timeout."""

    @abstractmethod
    def _heard_leader(self, leader: str) -> None:
        """A legitimate leader of the current term has sent something."""

    @abstractmethod
    def _become_follower(self, term: int) -> None:
        """Converts to follower in a term; the caller records."""

    @abstractmethod
    def _become_candidate(self, transfer: bool = False) -> None:
        """Starts an election."""

    @abstractmethod
    def _lead(self) -> None:
        """Begins to replicate: the election is won."""

    def _begin_to_lead(self) -> None:
        """Figure 2, volatile state on leaders, reinitialised after election; concerns add theirs."""
        self.next = dict.fromkeys(self.others, self.log.last_index + 1)
        self.match = dict.fromkeys(self.others, 0)
        self.waiting, self.asked = set(), set()

    @abstractmethod
    def _append(self, entry: Entry) -> None:
        """A leader appends to its log."""

    @abstractmethod
    def _append_entries(self, other: str) -> None:
        """Sends a server the entries, or the snapshot, that it needs next."""

    @abstractmethod
    def _replicate(self) -> None:
        """Sends every server what it lacks."""

    @abstractmethod
    def _acknowledged(self, sender: str, match: int) -> None:
        """A follower's log agrees with the leader's up to an index."""

    @abstractmethod
    def _advance_commit(self) -> None:
        """A leader commits what it may."""

    @abstractmethod
    def _apply(self) -> None:
        """Applies what is committed."""

    @abstractmethod
    def _send_snapshot(self, other: str) -> None:
        """Sends the latest snapshot."""

    @abstractmethod
    def _compact(self) -> None:
        """Takes a snapshot where the log has grown enough."""

    @abstractmethod
    def _use_configuration(self) -> None:
        """The log or the commit index has changed: the configuration in use may be another one."""

    @abstractmethod
    def _go_on_with_change(self) -> None:
        """A leader takes the next step of a change of members, or of a transfer, where it may."""

    @abstractmethod
    def _begin_round(self) -> int:
        """A round of heartbeats begins; returns its number."""

    @abstractmethod
    def _round_answered(self, sender: str, number: int) -> None:
        """A follower still follows, as of a round of heartbeats."""

    @abstractmethod
    def _is_abandoned(self) -> bool:
        """Whether a leader has lost its majority."""

    @abstractmethod
    def _answer_reads(self) -> None:
        """Answers reads that may be answered by now."""

    # Sending

    def _send(self, to: str, message: Message) -> None:
        self._effects.append(Send(to, message))

    def _reply(self, to: str, message: Message) -> None:
        self._effects.append(Reply(to, message))

    # Recording

    def _record(self, name: str = "") -> None:
        """Makes stable what changed of the persistent state, and records what changed of all state since the last call.

        Role, term and vote are recorded together: any of them alone would be half a state.
        """
        if self._changed_from or self.commit != self._recorded_commit:
            self._use_configuration()
        fields: dict[str, Any] = {}
        state = (self._shown_role, self.term, self.vote)
        cells: dict[str, Any] = {}
        if state != self._recorded:
            self._recorded = state
            fields["raft.role"], fields["raft.term"], fields["raft.vote"] = state
            cells = self._stable_cells()
        if self.commit != self._recorded_commit:
            self._recorded_commit = fields["raft.commit"] = self.commit
        if self.configuration is not self._recorded_configuration:
            fields |= self._configuration_fields()
            if self.effective == "apply":
                cells["used"] = self.used
        if self._taken or self._changed_from:
            self._record_log(fields, cells)
        elif cells:
            self._effects.append(Persist(cells))
        if fields or name:
            self._effects.append(Note(fields, name))

    @property
    def _shown_role(self) -> str:
        learns = self.role == FOLLOWER and self.name in self.configuration.learners
        return LEARNER if learns and self.name not in self.configuration.electors else self.role

    def _stable_cells(self) -> dict[str, Any]:
        """Figure 2: currentTerm and votedFor are on stable storage before any answer."""
        return {"term": self.term, "vote": self.vote}

    def _configuration_fields(self) -> dict[str, Any]:
        self._recorded_configuration = self.configuration
        return {"raft.voters": self.configuration.voters, "raft.voters_outgoing": self.configuration.outgoing}

    def _record_log(self, fields: dict[str, Any], cells: dict[str, Any]) -> None:
        """A snapshot and the log behind it become stable together."""
        snapshot, changed = self._taken, self._changed_from
        if snapshot:
            fields["raft.snapshot_index"], fields["raft.snapshot_term"] = snapshot.last_index, snapshot.last_term
            fields["raft.snapshot_digest"] = snapshot.digest
        if changed:
            entries = self.log.since(changed)
            fields["raft.log_from"] = changed
            fields["raft.entry_terms"] = [entry.term for entry in entries]
            fields["raft.entry_digests"] = [entry.digest for entry in entries]
            fields["raft.last_index"], fields["raft.last_term"] = self.log.last_index, self.log.last_term
            if self.configurations[-1][0] >= changed:
                fields["raft.entry_configurations"] = [
                    entry.command.recorded if isinstance(entry.command, Configuration) else "" for entry in entries
                ]
        if snapshot:
            self._effects.append(Persist({**cells, "snapshot": snapshot}, 1, self.log.since(self.log.base + 1)))
        else:
            self._effects.append(Persist(cells, changed - self.log.base, self.log.since(changed)))
        self._taken, self._changed_from = None, 0

    def _answer(self, command: Command, ok: bool, value: str | None) -> None:
        self._reply(command.client, ClientResponse(command.number, "ok" if ok else "fail", value))
