"""Sentences of the paper's sections 6 to 8 and of Ongaro's thesis, asked of one Raft server at a time."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from random import Random
from typing import Any

import pytest

from reference_impls.protocols.kv_store import Command, KvStore
from reference_impls.protocols.raft.log import Configuration, Entry, Snapshot
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
from reference_impls.protocols.raft.node import RaftNode
from reference_impls.protocols.raft.reads import LEASE
from reference_impls.protocols.raft.server import ELECTION_TIMEOUT
from reference_impls.runtime.effects import Effect, Persist, Reply, Send
from reference_impls.runtime.process import Stable

MEMBERS = ("n1", "n2", "n3", "n4", "n5")
READ = ClientRequest(Command("c1", 9, "read", "k", None))


def follower(*terms: int, members: Sequence[str] = MEMBERS, **settings: Any) -> RaftNode:
    """n1 after a restart, with a log of these terms, each entry a write of its index."""
    server = RaftNode("n1", members, Random(0), **settings)
    log = [Entry(t, Command("c", i, "write", "k", str(i))) for i, t in enumerate(terms, 1)]
    server.on_start(Stable({"term": max(terms, default=0), "vote": ""}, log))
    return server


def leader(*terms: int, members: Sequence[str] = MEMBERS, committed: bool = True, **settings: Any) -> RaftNode:
    """n1 as the leader of the term after `terms`; with its no-op committed, unless told otherwise."""
    server = follower(*terms, members=members, **settings)
    server.on_timer(0, "election")
    others = [member for member in members if member != "n1"]
    for other in others:
        server.on_message(0, other, PreVoteResponse(server.term + 1, True))
    for other in others:
        server.on_message(0, other, RequestVoteResponse(server.term, True))
    if committed:
        stores(server, *others)
    return server


def stores(server: RaftNode, *others: str, now: int = 0) -> list[Any]:
    """Followers acknowledge the leader's whole log and its latest round; what it then sends."""
    match, number, out = server.log.last_index, server.round, []
    for other in others:
        out += sent(server.on_message(now, other, AppendEntriesResponse(server.term, True, match=match, round=number)))
    return out


def sent(effects: Sequence[Effect], to: str | None = None) -> list[Any]:
    return [e.message for e in effects if isinstance(e, (Send, Reply)) and to in (None, e.to)]


def snapshot(index: int, term: int, voters: Sequence[str] = MEMBERS) -> Snapshot:
    store = KvStore()
    store.execute(Command("c", index, "write", "k", str(index)))
    values, sessions = store.state()
    return Snapshot(index, term, (0, Configuration(tuple(voters))), values, sessions, store.digest)


class TestPreVote:
    def test_9_6_a_server_asks_before_it_raises_its_term(self) -> None:
        server = follower(1, 1)
        effects = server.on_timer(0, "election")
        assert (server.role, server.term, server.vote) == ("pre-candidate", 1, "")
        assert sent(effects) == [PreVote(2, 2, 1)] * 4

    def test_9_6_it_stands_once_a_majority_would_vote(self) -> None:
        server = follower(1)
        server.on_timer(0, "election")
        server.on_message(0, "n2", PreVoteResponse(2, True))
        assert server.term == 1
        server.on_message(0, "n3", PreVoteResponse(2, True))
        assert (server.role, server.term, server.vote) == ("candidate", 2, "n1")

    def test_9_6_granting_a_pre_vote_changes_nothing(self) -> None:
        server = follower(1)
        assert sent(server.on_message(0, "n2", PreVote(2, 1, 1))) == [PreVoteResponse(2, True)]
        assert sent(server.on_message(0, "n3", PreVote(2, 1, 1))) == [PreVoteResponse(2, True)]
        assert (server.term, server.vote) == (1, "")

    @pytest.mark.parametrize("request_", [PreVote(2, 0, 0), PreVote(1, 9, 1)])
    def test_9_6_it_is_refused_to_a_log_that_is_behind_and_for_an_old_term(self, request_: PreVote) -> None:
        assert sent(follower(1).on_message(0, "n2", request_)) == [PreVoteResponse(1, False)]

    def test_a_refusal_brings_a_newer_term(self) -> None:
        server = follower(1)
        server.on_timer(0, "election")
        server.on_message(0, "n2", PreVoteResponse(5, False))
        assert (server.role, server.term) == ("follower", 5)

    def test_6_servers_that_hear_a_leader_disregard_vote_requests(self) -> None:
        server = follower(1)
        server.on_message(0, "n2", AppendEntries(1, 1, 1, (), 0))
        assert server.on_message(0, "n3", RequestVote(7, 9, 1)) == []
        assert server.term == 1
        assert sent(server.on_message(0, "n3", PreVote(2, 9, 1))) == [PreVoteResponse(1, False)]
        server.on_timer(0, "quiet")
        assert sent(server.on_message(0, "n3", RequestVote(7, 9, 1))) == [RequestVoteResponse(7, True)]


class TestSnapshots:
    def test_7_a_server_compacts_what_it_has_applied_and_makes_the_snapshot_stable(self) -> None:
        server = follower(1, 1, 1, compaction=2)
        effects = server.on_message(0, "n2", AppendEntries(1, 3, 1, (), 2))
        assert (server.log.base, server.log.base_term, server.log.last_index) == (2, 1, 3)
        persisted = [e for e in effects if isinstance(e, Persist)][-1]
        assert persisted.cells["snapshot"].last_index == 2
        assert (persisted.log_from, len(persisted.entries)) == (1, 1)

    def test_7_a_restarted_server_begins_with_its_snapshot(self) -> None:
        server = RaftNode("n1", MEMBERS, Random(0))
        server.on_start(Stable({"term": 3, "vote": "", "snapshot": snapshot(5, 2)}, [Entry(3, None)]))
        assert (server.commit, server.applied, server.log.last_index, server.log.last_term) == (5, 5, 6, 3)
        assert server.store.values == {"k": "5"}

    def test_7_the_leader_sends_it_where_the_entries_are_gone(self) -> None:
        server = leader(1, 1, 1, compaction=2)
        (message, *_) = sent(server.on_message(0, "n2", AppendEntriesResponse(2, False, hint=1, round=server.round)))
        assert isinstance(message, InstallSnapshot)
        assert message.snapshot.last_index == server.log.base == 4

    def test_figure_13_a_new_snapshot_takes_the_place_of_a_conflicting_log(self) -> None:
        server = follower(1, 1, 1)
        effects = server.on_message(0, "n2", InstallSnapshot(4, snapshot(2, 3), 7))
        assert (server.log.base, server.log.last_index, server.commit, server.applied) == (2, 2, 2, 2)
        assert server.store.values == {"k": "2"}
        assert sent(effects) == [InstallSnapshotResponse(4, 2, 7)]

    def test_figure_13_6_entries_behind_it_stay_where_the_log_has_its_last_entry(self) -> None:
        server = follower(1, 1, 1)
        server.on_message(0, "n2", InstallSnapshot(1, snapshot(2, 1)))
        assert (server.log.base, server.log.last_index, server.applied) == (2, 3, 2)

    def test_figure_13_1_an_old_term_is_refused(self) -> None:
        server = follower(5)
        assert sent(server.on_message(0, "n2", InstallSnapshot(4, snapshot(9, 4)))) == [InstallSnapshotResponse(5, 0)]
        assert server.log.base == 0

    def test_7_a_snapshot_of_what_is_known_already_changes_nothing(self) -> None:
        server = follower(1, 1, 1)
        server.on_message(0, "n2", AppendEntries(1, 3, 1, (), 3))
        effects = server.on_message(0, "n2", InstallSnapshot(1, snapshot(2, 1)))
        assert (server.log.base, server.applied, server.store.values) == (0, 3, {"k": "3"})
        assert sent(effects) == [InstallSnapshotResponse(1, 2)]

    def test_what_a_snapshot_includes_matches_any_previous_entry(self) -> None:
        server = RaftNode("n1", MEMBERS, Random(0))
        server.on_start(Stable({"term": 2, "vote": "", "snapshot": snapshot(5, 2)}, []))
        entries = tuple(Entry(2, None) for _ in range(4))
        (answer,) = sent(server.on_message(0, "n2", AppendEntries(2, 3, 1, entries, 0)))
        assert (answer.success, answer.match, server.log.last_index) == (True, 7, 7)


class TestMembership:
    def test_6_old_and_new_configuration_are_joint_until_that_is_committed(self) -> None:
        server = leader()
        server.on_message(0, "admin", AdminRequest(1, ("n1", "n2", "n3")))
        assert server.configuration == Configuration(("n1", "n2", "n3"), MEMBERS), "in use though not committed"
        assert server.commit == 1
        stores(server, "n2", "n3")
        assert server.commit == 2, "a majority of each"
        assert server.configuration == Configuration(("n1", "n2", "n3"))

    def test_6_agreement_needs_both_majorities(self) -> None:
        server = leader(members=("n1", "n2", "n3"))
        server.on_message(0, "admin", AdminRequest(1, ("n1", "n4", "n5")))
        assert server.configuration.learners == ("n4", "n5"), "thesis 4.2.1: they catch up first"
        stores(server, "n2", "n3", "n4", "n5")
        assert server.configuration.outgoing == ("n1", "n2", "n3")
        before = server.commit
        stores(server, "n4", "n5")
        assert server.commit == before, "no majority of the old members"
        stores(server, "n2")
        assert server.commit > before

    def test_4_2_1_learners_get_entries_and_are_not_counted(self) -> None:
        server = leader(members=("n1", "n2", "n3"))
        server.on_message(0, "admin", AdminRequest(1, ("n1", "n2", "n3"), ("n4",)))
        before = server.commit
        assert "n4" in server.others
        stores(server, "n4")
        assert server.commit == before
        stores(server, "n3")
        assert server.commit == before + 1

    def test_4_2_1_a_learner_shows_as_such_and_does_not_stand(self) -> None:
        server = follower(1)
        learner = Entry(1, Configuration(("n2", "n3"), (), ("n1",)))
        server.on_message(0, "n2", AppendEntries(1, 1, 1, (learner,), 2))
        assert server._shown_role == "learner"
        assert sent(server.on_timer(0, "election")) == []

    def test_6_a_server_follows_the_configuration_of_its_log_back_as_well(self) -> None:
        server = follower(1)
        server.on_message(0, "n2", AppendEntries(1, 1, 1, (Entry(1, Configuration(("n1", "n2"))),), 0))
        assert server.configuration.voters == ("n1", "n2")
        server.on_message(0, "n3", AppendEntries(2, 1, 1, (Entry(2, None),), 0))
        assert server.configuration.voters == MEMBERS

    def test_6_a_leader_that_is_removed_steps_down_once_the_new_configuration_is_committed(self) -> None:
        server = leader(members=("n1", "n2", "n3"))
        server.on_message(0, "admin", AdminRequest(1, ("n2", "n3")))
        stores(server, "n2", "n3")
        assert (server.role, server.configuration.outgoing) == ("leader", ())
        stores(server, "n2")
        assert server.role == "leader", "its own copy does not count any more"
        stores(server, "n3")
        assert server.role == "follower"

    def test_4_1_one_server_at_a_time(self) -> None:
        server = leader(members=("n1", "n2", "n3"), single=True)
        server.on_message(0, "admin", AdminRequest(1, ("n1", "n4")))
        voters = []
        for _ in range(6):
            stores(server, "n2", "n3", "n4")
            voters.append(set(server.configuration.voters))
        assert voters[-1] == {"n1", "n4"}
        assert all(len(a ^ b) <= 1 for a, b in pairwise(voters))

    def test_ongaro_2015_no_change_before_an_entry_of_the_own_term_is_committed(self) -> None:
        server = leader(committed=False, single=True)
        server.on_message(0, "admin", AdminRequest(1, ("n1", "n2", "n3", "n4")))
        assert server.log.last_index == 1
        stores(server, "n2", "n3")
        assert server.configuration.voters == ("n1", "n2", "n3", "n4")

    def test_where_configurations_take_effect_once_committed(self) -> None:
        server = leader(effective="apply")
        effects = server.on_message(0, "admin", AdminRequest(1, ("n1", "n2", "n3")))
        assert server.configuration == Configuration(MEMBERS)
        assert not any("used" in e.cells for e in effects if isinstance(e, Persist))
        stores(server, "n2", "n3")
        assert server.configuration == Configuration(("n1", "n2", "n3"), MEMBERS)


class TestTransfer:
    def test_3_10_the_target_is_asked_once_it_has_the_whole_log(self) -> None:
        server = leader()
        request = AdminRequest(1, leader="n2")
        assert TimeoutNow(1) in sent(server.on_message(0, "admin", request), "n2")
        behind = leader(committed=False)
        assert TimeoutNow(1) not in sent(behind.on_message(0, "admin", request), "n2")
        assert TimeoutNow(1) in stores(behind, "n2")

    def test_3_10_meanwhile_clients_are_sent_away_and_afterwards_no_more(self) -> None:
        server = leader()
        server.on_message(0, "admin", AdminRequest(1, leader="n2"))
        assert sent(server.on_message(0, "c1", READ)) == [ClientResponse(9, "redirect")]
        server.on_timer(0, "transfer")
        assert ClientResponse(9, "redirect") not in sent(server.on_message(0, "c1", READ))

    def test_3_10_the_target_stands_at_once_and_nobody_protects_the_leader(self) -> None:
        target = follower(1)
        target.on_message(0, "n2", AppendEntries(1, 1, 1, (), 0))
        effects = target.on_message(0, "n2", TimeoutNow(1))
        assert sent(effects) == [RequestVote(2, 1, 1, transfer=True)] * 4
        voter = follower(1)
        voter.on_message(0, "n2", AppendEntries(1, 1, 1, (), 0))
        assert sent(voter.on_message(0, "n3", RequestVote(2, 1, 1, transfer=True))) == [RequestVoteResponse(2, True)]


class TestReads:
    def test_6_4_a_read_waits_for_a_round_of_heartbeats(self) -> None:
        server = leader()
        effects = server.on_message(0, "c1", READ)
        assert sent(effects, "c1") == []
        assert {m.round for m in sent(effects) if isinstance(m, AppendEntries)} == {server.round}
        assert not stores(server, "n2")
        assert stores(server, "n3") == [ClientResponse(9, "ok")]

    def test_6_4_answers_to_earlier_rounds_do_not_count(self) -> None:
        server = leader()
        earlier = server.round
        server.on_message(0, "c1", READ)
        for other in ("n2", "n3", "n4"):
            answer = AppendEntriesResponse(1, True, match=1, round=earlier)
            assert sent(server.on_message(0, other, answer), "c1") == []

    def test_6_4_a_read_waits_for_the_own_no_op(self) -> None:
        server = leader(1, committed=False)
        server.on_message(0, "c1", READ)
        for other in ("n2", "n3"):
            answer = AppendEntriesResponse(2, True, match=1, round=server.round)
            assert sent(server.on_message(0, other, answer), "c1") == []
        assert ClientResponse(9, "ok", "1") in stores(server, "n2", "n3")

    def test_6_4_1_a_lease_answers_without_asking_until_it_runs_out(self) -> None:
        server = leader(reads="lease")
        assert sent(server.on_message(LEASE - 1, "c1", READ)) == [ClientResponse(9, "ok")]
        assert ClientResponse(9, "ok") not in sent(server.on_message(LEASE, "c1", READ))

    def test_6_4_1_there_is_no_lease_from_a_transfer_on(self) -> None:
        server = leader(reads="lease")
        server.on_message(0, "admin", AdminRequest(1, leader="n2"))
        server.on_timer(0, "transfer")
        assert ClientResponse(9, "ok") not in sent(server.on_message(0, "c1", READ))

    def test_6_4_1_a_restarted_voter_keeps_the_promise_that_it_may_have_given(self) -> None:
        assert follower(1, reads="lease").on_message(0, "n2", RequestVote(2, 1, 1)) == []
        assert sent(follower(1).on_message(0, "n2", RequestVote(2, 1, 1))) == [RequestVoteResponse(2, True)]

    def test_6_2_a_leader_that_no_majority_answers_steps_down(self) -> None:
        server = leader()
        server.on_timer(ELECTION_TIMEOUT[1], "heartbeat")
        assert server.role == "leader"
        server.on_timer(ELECTION_TIMEOUT[1] + 1, "heartbeat")
        assert server.role == "follower"

    def test_reads_through_the_log_write_to_it(self) -> None:
        server = leader(reads="log")
        server.on_message(0, "c1", READ)
        assert server.log.last_index == 2
        assert stores(server, "n2", "n3") == [ClientResponse(9, "ok")]
