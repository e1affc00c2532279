"""Raft with one rule broken each: bugs that were made in real implementations, for checks to find.

Some bugs show only in rare situations. Their runs get faults that bring those about (unless `--faults` says otherwise):
the bug is never forced, only its opportunity.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from reference_impls.protocols.kv_store import Command
from reference_impls.protocols.raft.administrator import readers_and_writers
from reference_impls.protocols.raft.log import Configuration, Entry, Snapshot
from reference_impls.protocols.raft.messages import PreVote, RequestVote
from reference_impls.protocols.raft.node import RaftNode
from reference_impls.runtime.faults import Ambush
from reference_impls.runtime.network import MILLISECOND
from reference_impls.runtime.plan import Bug, by_name
from tracekit.protocols import Mutant


class CommitOlderTerm(RaftNode):
    """Commits whatever a majority stores, be it of an older term."""

    def _may_commit(self, index: int) -> bool:
        return True


class VoteTwice(RaftNode):
    """Votes for whoever asks, even if it has voted in this term."""

    def _may_vote_for(self, candidate: str) -> bool:
        return True


class ForgetVote(RaftNode):
    """Makes its term stable and not its vote."""

    def _stable_cells(self) -> dict[str, Any]:
        return {"term": self.term}


class VoteWithoutLogCheck(RaftNode):
    """Votes without comparing logs."""

    def _up_to_date(self, message: RequestVote | PreVote) -> bool:
        return True


class CommitWithoutQuorum(RaftNode):
    """Commits what half of the servers store: one copy too few."""

    def _copies_needed(self, servers: int) -> int:
        return max(1, servers // 2)


class StaleReads(RaftNode):
    """Answers reads from its own state, whether it leads or not."""

    def _on_request(self, client: str, command: Command) -> None:
        if command.f == "read":
            self._answer(command, True, self.store.values.get(command.key))
        else:
            super()._on_request(client, command)


class TruncateCommitted(RaftNode):
    """Cuts its log behind the entries of every AppendEntries, a late one as well, though nothing conflicts."""

    def _store(self, previous: int, entries: Sequence[Entry]) -> None:
        super()._store(previous, entries)
        end = previous + len(entries)
        if self.log.last_index > end:
            self._splice(end + 1, ())


class OneMajority(RaftNode):
    """Commits in joint consensus what a majority of the new configuration stores, whatever the old one has."""

    def _deciding_groups(self) -> Sequence[Sequence[str]]:
        return self.configuration.groups[:1]


class ChangeInAnyTerm(RaftNode):
    """Changes a single server before an entry of its own term is committed."""

    def _own_term_committed(self) -> bool:
        return True


class LateConfiguration(RaftNode):
    """Goes on with the old configuration until the new one is committed, though it is in its log."""

    def _effective(self) -> tuple[int, Configuration]:
        return next(pair for pair in reversed(self.configurations) if pair[0] <= max(self.commit, self.used))


class CountLearners(RaftNode):
    """Counts the copies of learners, as if they were voters."""

    def _deciding_groups(self) -> Sequence[Sequence[str]]:
        return [(*group, *self.configuration.learners) for group in self.configuration.groups]

    def _copies_needed(self, servers: int) -> int:
        return (servers - len(self.configuration.learners)) // 2 + 1


class ReadWithoutQuorum(RaftNode):
    """Never asks whether it still leads: answers reads as of its commit index, and does not step down either."""

    def _is_abandoned(self) -> bool:
        return False

    def _on_read(self, command: Command) -> None:
        self.pending.append((command, max(self.commit, self.no_op), self.confirmed))
        self._answer_reads()


class OldSnapshot(RaftNode):
    """Installs whatever snapshot comes, be it older than what it has."""

    def _is_news(self, snapshot: Snapshot) -> bool:
        return True

    def _install(self, snapshot: Snapshot) -> None:
        self._splice(max(self.log.base, snapshot.last_index) + 1, ())
        super()._install(snapshot)


ELECTIONS = Ambush("raft.become_leader", chance=0.9, down_ns=300 * MILLISECOND, times=20)
"""New leaders crash: many elections."""
FREQUENT_ELECTIONS = Ambush("raft.become_leader", chance=0.5, down_ns=150 * MILLISECOND, times=40)
"""Every other new leader crashes, so that many are still new when they are asked for something."""
ISOLATED_LEADERS = Ambush("raft.commit", chance=0.03, down_ns=600 * MILLISECOND, times=6, fault="partition")
"""Leaders are cut off from the others now and then, and still get requests."""

BUGS = by_name(
    Bug(
        Mutant(
            "commit-older-term",
            "a leader commits only entries of its own term by counting (5.4.2, Figure 8)",
            "raft.commit-current-term",
        ),
        CommitOlderTerm,
        ("crash", "partition"),
    ),
    Bug(
        Mutant("vote-twice", "a server votes at most once in a term (5.2)", "raft.one-vote-per-term"),
        VoteTwice,
        ("loss", "reordering"),
        (ELECTIONS,),
    ),
    Bug(
        Mutant(
            "forget-vote",
            "votedFor is on stable storage before the server answers (Figure 2)",
            "raft.one-vote-per-term",
        ),
        ForgetVote,
        ("loss", "reordering"),
        (ELECTIONS, Ambush("raft.request_vote", chance=0.5, down_ns=MILLISECOND, times=40)),
    ),
    Bug(
        Mutant(
            "vote-without-log-check",
            "a vote goes only to a log at least as up to date as the voter's (5.4.1)",
            "raft.vote-up-to-date",
        ),
        VoteWithoutLogCheck,
        ("crash", "partition"),
    ),
    Bug(
        Mutant(
            "commit-without-quorum",
            "an entry is committed once a majority of the servers store it (5.3)",
            "raft.commit-quorum",
        ),
        CommitWithoutQuorum,
        ("loss", "crash"),
    ),
    Bug(
        Mutant("stale-reads", "a read reflects every write completed before it (8)", "consistency.linearizable"),
        StaleReads,
        ("partition", "loss"),
    ),
    Bug(
        Mutant(
            "truncate-committed",
            "AppendEntries removes entries only where one conflicts (Figure 2, receiver 3)",
            "raft.commit-stability",
        ),
        TruncateCommitted,
        ("reordering", "duplication"),
    ),
    Bug(
        Mutant(
            "joint-one-majority",
            "in joint consensus, agreement needs majorities of both configurations (6)",
            "raft.commit-quorum",
        ),
        OneMajority,
        ("loss", "partition"),
    ),
    Bug(
        Mutant(
            "change-in-any-term",
            "a leader changes a single server only after it has committed an entry of its own term (Ongaro 2015)",
            "raft.configuration-change",
        ),
        ChangeInAnyTerm,
        ("slow", "loss"),
        (FREQUENT_ELECTIONS,),
        settings={"membership": "single"},
    ),
    Bug(
        Mutant(
            "late-configuration",
            "a server uses the latest configuration in its log, whether it is committed or not (6)",
            "raft.configuration-in-use",
        ),
        LateConfiguration,
    ),
    Bug(
        Mutant("count-learners", "learners are not counted towards majorities (thesis 4.2.1)", "raft.commit-quorum"),
        CountLearners,
        ("partition", "loss"),
    ),
    Bug(
        Mutant(
            "read-index-without-quorum",
            "a majority answers a round of heartbeats before a read is (thesis 6.4)",
            "consistency.linearizable",
        ),
        ReadWithoutQuorum,
        (),
        (ISOLATED_LEADERS,),
        workload=readers_and_writers,
    ),
    Bug(
        Mutant(
            "old-snapshot",
            "a snapshot that says no more than the server has is not installed (7)",
            "raft.snapshot-safety",
        ),
        OldSnapshot,
        ("duplication", "reordering", "partition", "crash"),
        settings={"compaction": "10"},
    ),
)
"""Every bug by its mutant's name."""
