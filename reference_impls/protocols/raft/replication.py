"""Log replication (5.3) and commitment (5.3, 5.4.2)."""

from __future__ import annotations

from collections.abc import Sequence

from reference_impls.protocols.kv_store import Command
from reference_impls.protocols.raft.log import Configuration, Entry
from reference_impls.protocols.raft.messages import AppendEntries, AppendEntriesResponse
from reference_impls.protocols.raft.server import HEARTBEAT, LEADER, Server
from reference_impls.runtime.effects import CancelTimer, Note, SetTimer

MOST_ENTRIES = 100
"""How many entries one AppendEntries carries at most."""


class Replication(Server):
    """What the logs hold, and how much of it is committed."""

    def _lead(self) -> None:
        """Figure 2, leaders: what they do upon election."""
        self.role, self.leader = LEADER, self.name
        self._begin_to_lead()
        self._effects += CancelTimer("election"), SetTimer("heartbeat", HEARTBEAT)
        first = self._entries_from(self.log.last_index + 1)
        # Section 8: a no-op at the start of the term, so that the leader learns which entries are committed
        self._append(Entry(self.term, None))
        self._record("raft.become_leader")
        # Send initial empty AppendEntries (heartbeat); the no-op follows the answer
        for other in self.others:
            self.waiting.add(other)
            self._send(other, first)
        self._advance_commit()

    def _append(self, entry: Entry) -> None:
        """A leader only ever appends to its log (5.3, Leader Append-Only)."""
        index = self.log.last_index + 1
        self._changed_from = self._changed_from or index
        self.log.entries.append(entry)
        self.match[self.name] = index
        if isinstance(entry.command, Configuration):
            self.configurations.append((index, entry.command))

    def _entries_from(self, index: int) -> AppendEntries:
        """The AppendEntries that carries the log from an index on."""
        entries = self.log.since(index, MOST_ENTRIES)
        return AppendEntries(self.term, index - 1, self.log.term_at(index - 1), entries, self.commit, self.round)

    def _append_entries(self, other: str) -> None:
        """One message to a follower; what it needs next may be in the snapshot only (7)."""
        self.waiting.add(other)
        if self.next[other] > self.log.base:
            self._send(other, self._entries_from(self.next[other]))
        else:
            self._send_snapshot(other)

    def _replicate(self) -> None:
        """Figure 2, leaders: if last log index >= nextIndex for a follower, send it the entries from nextIndex on.

        One message at a time is under way to each follower; the heartbeat replaces a lost one.
        """
        last = self.log.last_index
        for other in self.others:
            if other not in self.waiting and self.next[other] <= last:
                self._append_entries(other)

    def _on_append_entries(self, sender: str, message: AppendEntries) -> None:
        """Figure 2, AppendEntries, receiver implementation 1 to 5."""
        if message.term < self.term:  # 1
            self._record()
            self._send(sender, AppendEntriesResponse(self.term, False))
            return
        self._heard_leader(sender)
        previous, entries, log = message.prev_log_index, message.entries, self.log
        if previous < log.base:  # 7: what the snapshot includes is committed, and so the same in the leader's log
            entries = entries[log.base - previous :]
            previous = log.base
        elif previous > log.last_index or log.term_at(previous) != message.prev_log_term:  # 2
            self._record()
            self._send(
                sender, AppendEntriesResponse(self.term, False, hint=self._hint(previous), round=message.round)
            )  # fmt: skip
            return
        self._store(previous, entries)  # 3 and 4
        match = previous + len(entries)
        if message.leader_commit > self.commit:  # 5; a late message may know less than this server has committed
            self.commit = max(self.commit, min(message.leader_commit, match))
        self._record()
        self._send(sender, AppendEntriesResponse(self.term, True, match=match, round=message.round))
        self._apply()

    def _store(self, previous: int, entries: Sequence[Entry]) -> None:
        """3. Delete an existing entry that conflicts, and all that follow it. 4. Append those not there."""
        for index, entry in enumerate(entries, previous + 1):
            if index > self.log.last_index or self.log.term_at(index) != entry.term:
                self._splice(index, entries[index - 1 - previous :])
                return

    def _splice(self, index: int, entries: Sequence[Entry]) -> None:
        """Entries from an index on give way to others, and so do the configurations among them (6)."""
        self.log.replace(index, entries)
        self._changed_from = min(self._changed_from or index, index)
        while self.configurations[-1][0] >= index:
            self.configurations.pop()
        for place, entry in enumerate(entries, index):
            if isinstance(entry.command, Configuration):
                self.configurations.append((place, entry.command))

    def _hint(self, previous: int) -> int:
        """Where the leader had better try: it may bypass the whole conflicting term (5.3)."""
        if previous > self.log.last_index:
            return self.log.last_index + 1
        term = self.log.term_at(previous)
        while previous > self.log.base + 1 and self.log.term_at(previous - 1) == term:
            previous -= 1
        return previous

    def _on_append_entries_response(self, sender: str, message: AppendEntriesResponse) -> None:
        """Figure 2, leaders: on success update nextIndex and matchIndex, on inconsistency go back and try again."""
        self._record()
        if self.role != LEADER or message.term < self.term or sender not in self.next:
            return
        self._round_answered(sender, message.round)
        self.waiting.discard(sender)
        if message.success:
            self._acknowledged(sender, message.match)
        elif 0 < message.hint < self.next[sender]:
            # Without a hint, the follower refused the term of a message sent before this election. One that does not
            # lead back is a copy of an answer already heeded: to send again for each would multiply messages.
            self.next[sender] = message.hint
            self._append_entries(sender)
        self._replicate()

    def _acknowledged(self, sender: str, match: int) -> None:
        """A follower's log agrees with the leader's up to an index."""
        match = min(match, self.log.last_index)  # nobody has more, unless committed entries were lost
        if match > self.match[sender]:
            self.match[sender] = match
            self._advance_commit()
        self.next[sender] = self.match[sender] + 1
        self._go_on_with_change()

    def _advance_commit(self) -> None:
        """Figure 2, leaders: N > commitIndex, a majority of matchIndex >= N, log[N].term == currentTerm.

        Terms never fall along a log, so that the highest N of a majority decides. In joint consensus, an entry needs
        majorities of both configurations (6). The leader's own log counts where it votes.
        """
        index = min(self._stored_by_majority(group) for group in self._deciding_groups())
        if index > self.commit and self._may_commit(index):
            self.commit = index
            self._record("raft.commit")
            self._apply()
            self._go_on_with_change()

    def _deciding_groups(self) -> Sequence[Sequence[str]]:
        """The groups of servers of which a majority each has to store an entry; learners are in none (6)."""
        return self.configuration.groups

    def _stored_by_majority(self, group: Sequence[str]) -> int:
        """The highest index up to which a majority of a group has stored the log."""
        copies = sorted([self.match.get(server, 0) for server in group], reverse=True)
        return copies[self._copies_needed(len(group)) - 1]

    def _copies_needed(self, servers: int) -> int:
        """An entry is committed once it is stored on a majority of the servers (5.3)."""
        return servers // 2 + 1

    def _may_commit(self, index: int) -> bool:
        """Only entries of the leader's own term are committed by counting; earlier ones with them (5.4.2, Figure 8)."""
        return self.log.term_at(index) == self.term

    def _apply(self) -> None:
        """Figure 2, all servers: while commitIndex > lastApplied, apply the next entry; the leader answers (5.3)."""
        if self.applied == self.commit:
            return
        while self.applied < self.commit:
            self.applied += 1
            entry = self.log.at(self.applied)
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
            if isinstance(entry.command, Command):
                self._execute(entry.command)
        self._answer_reads()
        self._compact()

    def _execute(self, command: Command) -> None:
        result = self.store.apply(command)
        if self.role == LEADER and (command.client, command.number) in self.asked:
            self.asked.discard((command.client, command.number))
            self._answer(command, result.ok, result.value)
