"""Log compaction (7) and the installation of snapshots (Figure 13)."""

from __future__ import annotations

from reference_impls.protocols.kv_store import KvStore
from reference_impls.protocols.raft.log import Snapshot
from reference_impls.protocols.raft.messages import InstallSnapshot, InstallSnapshotResponse
from reference_impls.protocols.raft.server import LEADER, Server


class Snapshots(Server):
    """What stands for the beginning of the log."""

    def _compact(self) -> None:
        """7: each server takes snapshots independently, of committed entries only, and discards the log up to there."""
        if not self.compaction or self.applied - self.log.base < self.compaction:
            return
        index = self.applied
        configuration = next(known for known in reversed(self.configurations) if known[0] <= index)
        values, sessions = self.store.state()
        self._keep(Snapshot(index, self.log.term_at(index), configuration, values, sessions, self.store.digest))
        self._record("raft.take_snapshot")

    def _keep(self, snapshot: Snapshot) -> None:
        """The snapshot stands for the log up to its last entry, and its configuration for those up to there."""
        self.snapshot = self._taken = snapshot
        if not self.log.compact(snapshot.last_index, snapshot.last_term):
            self._changed_from = snapshot.last_index + 1
        later = [known for known in self.configurations if snapshot.last_index < known[0] <= self.log.last_index]
        self.configurations = [snapshot.configuration, *later]

    def _send_snapshot(self, other: str) -> None:
        assert self.snapshot is not None, "only a snapshot takes entries out of the log"
        self._send(other, InstallSnapshot(self.term, self.snapshot, self.round))

    def _on_install_snapshot(self, sender: str, message: InstallSnapshot) -> None:
        """Figure 13, receiver implementation; the snapshot comes in one piece (2 to 4)."""
        if message.term < self.term:  # 1
            self._record()
            self._send(sender, InstallSnapshotResponse(self.term, 0))
            return
        self._heard_leader(sender)
        snapshot = message.snapshot
        if self._is_news(snapshot):
            self._install(snapshot)
        self._record()
        self._send(sender, InstallSnapshotResponse(self.term, snapshot.last_index, message.round))

    def _is_news(self, snapshot: Snapshot) -> bool:
        """Whether the snapshot says more than this server knows to be committed: a late one does not, and what it
        includes is here already."""
        return snapshot.last_index > self.commit

    def _install(self, snapshot: Snapshot) -> None:
        """5 to 8: keep it; retain what follows its last entry, or discard the log; load the state, and the members."""
        self._keep(snapshot)
        self._load(snapshot)

    def _load(self, snapshot: Snapshot) -> None:
        """The state machine is what the snapshot says."""
        self.commit = self.applied = snapshot.last_index
        self.store = KvStore()
        self.store.load(snapshot.values, snapshot.sessions)

    def _on_install_snapshot_response(self, sender: str, message: InstallSnapshotResponse) -> None:
        self._record()
        if self.role != LEADER or message.term < self.term or sender not in self.next:
            return
        self._round_answered(sender, message.round)
        self.waiting.discard(sender)
        if message.match:
            self._acknowledged(sender, message.match)
        self._replicate()
