"""Sentences of the Raft paper, asked of one server at a time; section and figure stand with each test."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

import pytest

from reference_impls.protocols.kv_store import Command
from reference_impls.protocols.raft.log import Entry
from reference_impls.protocols.raft.messages import (
    AppendEntries,
    AppendEntriesResponse,
    ClientRequest,
    ClientResponse,
    PreVoteResponse,
    RequestVote,
    RequestVoteResponse,
)
from reference_impls.protocols.raft.node import RaftNode
from reference_impls.protocols.raft.replication import MOST_ENTRIES
from reference_impls.protocols.raft.server import ELECTION_TIMEOUT
from reference_impls.runtime.effects import Effect, Note, Persist, Reply, Send, SetTimer
from reference_impls.runtime.process import Stable

MEMBERS = ("n1", "n2", "n3", "n4", "n5")


def node(*terms: int, term: int = 0, vote: str = "", members: Sequence[str] = MEMBERS) -> RaftNode:
    """n1 after a restart, with a log of these terms."""
    server = RaftNode("n1", members, Random(0))
    log = [Entry(t, Command("c", i, "write", "k", str(i))) for i, t in enumerate(terms, 1)]
    server.on_start(Stable({"term": term or max(terms, default=0), "vote": vote}, log))
    return server


def candidate(*terms: int) -> tuple[RaftNode, Sequence[Effect]]:
    """n1 as a candidate of the term after `terms`, whose pre-votes were granted; and what it did to become one."""
    server = node(*terms)
    server.on_timer(0, "election")
    server.on_message(0, "n2", PreVoteResponse(server.term + 1, True))
    return server, server.on_message(0, "n3", PreVoteResponse(server.term + 1, True))


def leader(*terms: int) -> RaftNode:
    """n1 as the leader of the term after `terms`."""
    server, _ = candidate(*terms)
    for other in ("n2", "n3"):
        server.on_message(0, other, RequestVoteResponse(server.term, True))
    assert server.role == "leader"
    return server


def sent(effects: Sequence[Effect], to: str | None = None) -> list[Any]:
    return [e.message for e in effects if isinstance(e, (Send, Reply)) and to in (None, e.to)]


def terms_of(server: RaftNode) -> list[int]:
    return [entry.term for entry in server.log.entries]


def test_5_1_a_server_with_a_stale_term_becomes_follower_of_the_newer_one() -> None:
    server = leader(1)
    server.on_message(0, "n2", AppendEntriesResponse(9, False))
    assert (server.role, server.term, server.vote) == ("follower", 9, "")


@pytest.mark.parametrize("message", [RequestVote(1, 9, 1), AppendEntries(1, 0, 0, (), 9)])
def test_5_1_a_request_with_a_stale_term_is_rejected(message: Any) -> None:
    server = node(1, term=3)
    (answer,) = sent(server.on_message(0, "n2", message))
    assert answer.term == 3
    assert not (answer.granted if isinstance(answer, RequestVoteResponse) else answer.success)
    assert server.commit == 0


def test_5_2_a_candidate_raises_its_term_votes_for_itself_and_asks_all_others() -> None:
    server, effects = candidate(1, 1)
    assert (server.role, server.term, server.vote) == ("candidate", 2, "n1")
    assert [e.to for e in effects if isinstance(e, Send)] == ["n2", "n3", "n4", "n5"]
    assert set(sent(effects)) == {RequestVote(2, 2, 1)}


def test_5_2_the_election_timeout_is_chosen_at_random_from_its_interval() -> None:
    server = node()
    delays = {e.delay_ns for _ in range(50) for e in server.on_timer(0, "election") if isinstance(e, SetTimer)}
    assert len(delays) > 40
    assert min(delays) >= ELECTION_TIMEOUT[0]
    assert max(delays) <= ELECTION_TIMEOUT[1]


def test_5_2_a_server_votes_once_in_a_term_first_come_first_served() -> None:
    server = node()
    assert sent(server.on_message(0, "n2", RequestVote(1, 0, 0))) == [RequestVoteResponse(1, True)]
    assert sent(server.on_message(0, "n3", RequestVote(1, 0, 0))) == [RequestVoteResponse(1, False)]
    assert sent(server.on_message(0, "n2", RequestVote(1, 0, 0))) == [RequestVoteResponse(1, True)], (
        "a repeated request"
    )


def test_5_2_a_majority_of_different_voters_makes_a_leader() -> None:
    server, _ = candidate()
    for voter in ("n2", "n2", "n2"):
        server.on_message(0, voter, RequestVoteResponse(1, True))
    server.on_message(0, "n3", RequestVoteResponse(1, False))
    assert server.role == "candidate"
    server.on_message(0, "n4", RequestVoteResponse(1, True))
    assert server.role == "leader"


def test_5_2_a_new_leader_sends_heartbeats_and_section_8_appends_a_no_op() -> None:
    server, _ = candidate(1, 1)
    server.on_message(0, "n2", RequestVoteResponse(2, True))
    effects = server.on_message(0, "n3", RequestVoteResponse(2, True))
    assert sent(effects) == [AppendEntries(2, 2, 1, (), 0, round=1)] * 4
    assert server.log.entries[-1] == Entry(2, None)
    assert [e.name for e in effects if isinstance(e, Note)] == ["raft.become_leader"]


def test_5_2_a_candidate_that_hears_from_the_leader_of_its_term_becomes_follower() -> None:
    server, _ = candidate()
    server.on_message(0, "n2", AppendEntries(1, 0, 0, (), 0))
    assert (server.role, server.vote, server.leader) == ("follower", "n1", "n2")


@pytest.mark.parametrize(
    ("last_term", "last_index", "granted"), [(2, 3, True), (2, 4, True), (3, 1, True), (2, 2, False), (1, 9, False)]
)
def test_5_4_1_a_vote_goes_to_a_log_at_least_as_up_to_date(last_term: int, last_index: int, granted: bool) -> None:
    server = node(1, 1, 2)
    (answer,) = sent(server.on_message(0, "n2", RequestVote(5, last_index, last_term)))
    assert answer.granted == granted


def test_figure_2_term_and_vote_are_stable_before_the_vote_is_sent() -> None:
    effects = node().on_message(0, "n2", RequestVote(3, 0, 0))
    kinds = [type(e) for e in effects]
    assert kinds.index(Persist) < kinds.index(Send)
    assert next(e for e in effects if isinstance(e, Persist)).cells == {"term": 3, "vote": "n2"}


def test_figure_2_entries_are_stable_before_they_are_acknowledged() -> None:
    effects = node(1).on_message(0, "n2", AppendEntries(1, 1, 1, (Entry(1, None),), 0))
    kinds = [type(e) for e in effects]
    assert kinds.index(Persist) < kinds.index(Send)
    assert next(e for e in effects if isinstance(e, Persist)) == Persist({}, 2, (Entry(1, None),))


@pytest.mark.parametrize(
    ("previous", "previous_term", "success"), [(0, 0, True), (2, 1, True), (3, 2, True), (3, 1, False), (4, 2, False)]
)
def test_5_3_the_consistency_check(previous: int, previous_term: int, success: bool) -> None:
    server = node(1, 1, 2)
    (answer,) = sent(server.on_message(0, "n2", AppendEntries(3, previous, previous_term, (), 0)))
    assert answer.success == success
    assert terms_of(server) == [1, 1, 2], "without a conflict nothing is removed"


@pytest.mark.parametrize(
    ("previous", "new", "after"),
    [
        (3, [4], [1, 1, 2, 4]),
        (2, [2], [1, 1, 2, 2]),
        (1, [1], [1, 1, 2, 2]),
        (2, [4], [1, 1, 4]),
        (1, [1, 4], [1, 1, 4]),
        (4, [4, 4], [1, 1, 2, 2, 4, 4]),
    ],
)
def test_figure_2_conflicting_entries_go_others_stay(previous: int, new: list[int], after: list[int]) -> None:
    server = node(1, 1, 2, 2)
    term = server.log.term_at(previous)
    server.on_message(0, "n2", AppendEntries(4, previous, term, tuple(Entry(t, None) for t in new), 0))
    assert terms_of(server) == after


def test_figure_2_commit_index_is_the_lower_of_leader_commit_and_the_last_new_entry() -> None:
    server = node(1, 1, 1)
    server.on_message(0, "n2", AppendEntries(1, 1, 1, (Entry(1, None),), 9))
    assert server.commit == 2
    server.on_message(0, "n2", AppendEntries(1, 0, 0, (), 9))
    assert server.commit == 2, "a late message does not lower it"


def test_5_3_a_refusal_lets_the_leader_bypass_a_whole_conflicting_term() -> None:
    follower = node(1, 2, 2, 2)
    (answer,) = sent(follower.on_message(0, "n2", AppendEntries(5, 4, 4, (), 0)))
    assert (answer.success, answer.hint) == (False, 2)
    (short,) = sent(follower.on_message(0, "n2", AppendEntries(5, 9, 4, (), 0)))
    assert short.hint == 5


def test_5_3_the_leader_goes_back_and_sends_what_is_missing() -> None:
    server = leader(1, 1, 1)
    (again,) = sent(server.on_message(0, "n2", AppendEntriesResponse(2, False, hint=2)))
    assert again == AppendEntries(2, 1, 1, server.log.since(2), 0, round=1)


def test_5_4_2_a_leader_commits_by_counting_only_entries_of_its_own_term() -> None:
    server = leader(1, 1)
    for other in ("n2", "n3", "n4"):
        server.on_message(0, other, AppendEntriesResponse(2, True, match=2))
    assert server.commit == 0, "Figure 8: stored on a majority, and of an older term"
    server.on_message(0, "n2", AppendEntriesResponse(2, True, match=3))
    assert server.commit == 0
    server.on_message(0, "n3", AppendEntriesResponse(2, True, match=3))
    assert server.commit == 3, "with an entry of its own term, all before it are committed"


def test_5_3_one_message_carries_a_bounded_number_of_entries() -> None:
    server = leader(*[1] * (MOST_ENTRIES * 2))
    (message,) = sent(server.on_message(0, "n2", AppendEntriesResponse(2, False, hint=1)))
    assert len(message.entries) == MOST_ENTRIES


def test_a_refusal_from_before_the_election_changes_nothing() -> None:
    server = leader(1, 1)
    effects = server.on_message(0, "n2", AppendEntriesResponse(2, False))
    assert server.next["n2"] == 3
    assert AppendEntries(2, 0, 0, server.log.since(1), 0, round=1) not in sent(effects)


def test_8_a_server_that_does_not_lead_names_the_leader() -> None:
    server = node()
    request = ClientRequest(Command("c1", 1, "read", "k", None))
    assert sent(server.on_message(0, "c1", request)) == [ClientResponse(1, "redirect")]
    server.on_message(0, "n2", AppendEntries(1, 0, 0, (), 0))
    assert sent(server.on_message(0, "c1", request)) == [ClientResponse(1, "redirect", leader="n2")]


def test_8_a_request_that_comes_twice_is_executed_once_and_answered_twice() -> None:
    server = node(members=("n1",))
    server.on_timer(0, "election")
    request = ClientRequest(Command("c1", 1, "write", "k", "5"))
    first = sent(server.on_message(0, "c1", request))
    length = server.log.last_index
    assert sent(server.on_message(0, "c1", request)) == first == [ClientResponse(1, "ok", "5")]
    assert server.log.last_index == length


def test_8_a_command_that_stands_in_the_log_twice_is_applied_once() -> None:
    server = node(members=("n1",))
    server.on_timer(0, "election")
    swap = Command("c1", 2, "cas", "k", "[5,6]")
    for command in (Command("c1", 1, "write", "k", "5"), swap):
        server.on_message(0, "c1", ClientRequest(command))
    assert server.store.apply(swap) == (True, "[5,6]")
    assert server.store.values == {"k": "6"}


def test_5_3_answers_come_after_the_entry_is_committed() -> None:
    server = leader()
    effects = server.on_message(0, "c1", ClientRequest(Command("c1", 1, "write", "k", "5")))
    assert not any(isinstance(e, Reply) for e in effects)
    server.on_message(0, "n2", AppendEntriesResponse(1, True, match=2))
    effects = server.on_message(0, "n3", AppendEntriesResponse(1, True, match=2))
    assert sent(effects, "c1") == [ClientResponse(1, "ok", "5")]


def test_a_deposed_leader_stops_its_heartbeat() -> None:
    server = leader()
    server.on_message(0, "n2", AppendEntries(7, 0, 0, (), 0))
    assert server.on_timer(0, "heartbeat") == []
