"""Raft recordings with gaps: what is missing is never held against the protocol."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.raft.events import Events
from tracekit.execution import Execution, Options
from tracekit.registry import checks
from tracekit.results import CheckResult, Verdict
from tracekit.trace.builder import TraceBuilder
from tracekit.trace.run import Run
from tracekit.trace.trace import SetAside, SetAsides, Trace


def check(trace: Trace, name: str) -> CheckResult:
    return checks()[f"raft.{name}"].run(Execution(trace), Options())


def test_a_leader_that_saw_a_later_term_does_not_lead_it() -> None:
    events = Events("n1", "n2", "n3")
    events.elect("n1", 1, "n2")
    events("n1", "request_vote", "receive", message=900, peer="n2", term=2)
    events("n1", "become_follower", role="follower", term=2)
    events.elect("n2", 2, "n3")
    assert events.check("election-safety").verdict is Verdict.HOLDS


def test_a_recorder_of_elections_only_leaves_out_who_stepped_down() -> None:
    builder = TraceBuilder(("n1", "n2"))
    for process, name, term in (("n1", "become_leader", 1), ("n1", "state", 2), ("n2", "become_leader", 2)):
        builder.add({"process": process, "kind": "internal", "name": f"raft.{name}", "raft.term": term})
    assert check(builder.build(), "election-safety").verdict is Verdict.HOLDS


def test_a_crash_forgets_the_commit_index_even_without_a_restart() -> None:
    events = Events("n1")
    events("n1", "commit", commit=1)
    events("n1", "crash")
    events("n1", "become_follower", role="follower", term=1, commit=0)
    assert events.check("commit-index-monotonic").verdict is Verdict.HOLDS


WITHOUT_A_VOTE = (
    ("n1", "init", {"term": 0, "role": "follower", "vote": ""}),
    ("n3", "init", {"term": 0, "role": "follower", "vote": ""}),
    ("n1", "become_candidate", {"term": 1, "role": "candidate", "vote": "n1"}),
    ("n1", "become_leader", {"term": 1, "role": "leader", "vote": "n1"}),
    ("n2", "state", {"term": 2, "role": "follower", "vote": "n3"}),
)


def without_a_vote(coverage: dict[str, Any]) -> Trace:
    builder = TraceBuilder(("n1", "n2", "n3"), Run(coverage=coverage))
    for index, (process, name, state) in enumerate(WITHOUT_A_VOTE):
        row = {"process": process, "kind": "internal", "name": f"raft.{name}", "index": index}
        builder.add(row | {f"raft.{field}": value for field, value in state.items()})
    return builder.build()


@pytest.mark.parametrize(
    ("coverage", "verdict"),
    [({}, Verdict.VIOLATED), ({"n2": {"start": False, "end": True}}, Verdict.UNKNOWN)],
)
def test_a_voter_whose_recording_began_late_may_have_voted(coverage: dict[str, Any], verdict: Verdict) -> None:
    assert check(without_a_vote(coverage), "leader-quorum").verdict is verdict


@pytest.mark.parametrize("aside", [SetAside("x:3", "no kind"), SetAside("x:3", "no integer", "", "raft.vote")])
def test_what_was_set_aside_may_excuse_or_break_a_rule(aside: SetAside) -> None:
    trace = replace(without_a_vote({}), set_aside=SetAsides.of([aside]))
    found = check(trace, "leader-quorum")
    assert found.verdict is Verdict.UNKNOWN
    assert "n1 became leader of term 1" in found.reasons[0] and "x:3" in found.reasons[0]
    assert check(trace, "election-safety").verdict is Verdict.UNKNOWN


@pytest.mark.parametrize("aside", [SetAside("x:3", "not a history line"), SetAside("x:3", "bad", "", "value")])
def test_what_was_set_aside_elsewhere_changes_nothing(aside: SetAside) -> None:
    trace = replace(without_a_vote({}), set_aside=SetAsides.of([aside]))
    assert check(trace, "leader-quorum").verdict is Verdict.VIOLATED
    assert check(trace, "election-safety").verdict is Verdict.HOLDS


def test_a_term_that_went_back_needs_no_missing_row() -> None:
    events = Events("n1")
    events("n1", "state", term=3)
    events("n1", "state", term=2)
    trace = replace(events.trace(), set_aside=SetAsides.of([SetAside("x:3", "no kind")]))
    assert check(trace, "term-monotonic").verdict is Verdict.VIOLATED


ASKED = {"message_term": 1, "message_index": 0, "message_log_term": 0}
GRANTED = {"message_term": 1, "message_reject": False}


def test_a_vote_recorded_without_its_term_is_one_in_the_term_of_the_request() -> None:
    events = Events("n1", "n2", "n3")
    events.message("n1", "n2", "request_vote", ASKED, vote="n1")
    events.message("n2", "n1", "request_vote_response", GRANTED)
    events.message("n3", "n2", "request_vote", ASKED | {"message_term": 2}, vote="n3")
    events.message("n2", "n3", "request_vote_response", GRANTED | {"message_term": 2})
    assert events.check("one-vote-per-term").verdict is Verdict.HOLDS
    events.message("n1", "n2", "request_vote", ASKED | {"message_term": 2}, vote="n1")
    found = events.check("one-vote-per-term")
    assert found.violations[0].summary == "n2 voted for n3 and n1 in term 2. A process has one vote in a term."


def test_what_is_committed_by_a_process_whose_term_is_not_recorded_was_not_so_in_an_earlier_term() -> None:
    """A follower that takes over a term from AppendEntries changes nothing else: recorders of roles leave it out."""
    events = Events("n1", "n2", "n3")
    events.elect("n1", 1, "n2")
    events("n1", "propose", log=[(1, "a")])
    events.message("n1", "n3", "append_entries", ASKED, log=[(1, "a")])
    events.message("n3", "n1", "append_entries_response", GRANTED)
    events("n1", "commit", commit=1)
    events.message("n1", "n3", "append_entries", ASKED | {"message_index": 1}, commit=1)
    assert events.check("leader-completeness").verdict is Verdict.HOLDS
    events.elect("n2", 2, "n3")
    assert events.check("leader-completeness").verdict is Verdict.VIOLATED


def test_a_leader_with_entries_of_a_later_term_had_stepped_down() -> None:
    events = Events("n1", "n2", "n3")
    events.elect("n1", 1, "n2")
    events("n1", "propose", log=[(1, "a"), (1, "b")])
    events.message("n2", "n1", "append_entries", {"message_term": 2}, log=[(2, "c")], start=2)
    events.message("n2", "n1", "append_entries", {"message_term": 2}, commit=2)
    assert events.check("leader-append-only").verdict is Verdict.HOLDS
    assert events.check("commit-current-term").verdict is Verdict.NOT_APPLICABLE


@pytest.mark.parametrize("sent", [False, True])
def test_without_the_answers_a_missing_quorum_is_unknown(sent: bool) -> None:
    """They may be recorded nowhere, or where they are sent only."""
    events = Events("n1", "n2", "n3")
    events("n1", "become_candidate", term=1, role="candidate", vote="n1")
    events.message("n1", "n2", "request_vote", ASKED, term=1, vote="n1")
    if sent:
        events("n2", "request_vote_response", "send", message=100, peer="n1", **GRANTED)
    events("n1", "become_leader", role="leader", log=[(1, "a")])
    events.message("n1", "n2", "append_entries", ASKED, log=[(1, "a")])
    if sent:
        events("n2", "append_entries_response", "send", message=101, peer="n1", **GRANTED)
    events("n1", "commit", commit=1)
    for name, answer in (("leader-quorum", "request_vote"), ("commit-quorum", "append_entries")):
        found = events.check(name)
        assert found.verdict is Verdict.UNKNOWN
        assert f"raft.{answer}_response" in found.reasons[0]


def test_a_role_that_is_none_is_not_the_one_before() -> None:
    events = Events("n1", "n2", "n3")
    events.elect("n1", 1, "n2")
    events("n1", "propose", log=[(1, "a"), (1, "b")])
    events("n1", "state", role="StateFollower")
    events("n1", "append_entries", log=[], start=2)
    found = events.check("leader-append-only")
    assert found.verdict is Verdict.UNKNOWN
    assert "raft.role is 'StateFollower' at n1:6, which is none of follower, " in found.reasons[-1]
    assert events.check("term-monotonic").verdict is Verdict.HOLDS
    events = Events("n1")
    events("n1", "state", role="Leader", term=1)
    assert events.check("election-safety").verdict is Verdict.HOLDS, "capitals are read"


def test_an_installation_that_no_message_brought_came_another_way() -> None:
    events = Events("n1", "n2", "n3")
    events.elect("n1", 1, "n2")
    events("n1", "propose", log=[(1, "a")])
    events("n1", "commit", commit=1)
    events("n3", "install_snapshot", snapshot_index=1, snapshot_term=1)
    assert events.check("snapshot-safety").verdict is Verdict.UNKNOWN


SHRINKS = {"entry_configurations": ["n1 n2 n3 / n1 n2 n3 n4 n5"]}


@pytest.mark.parametrize(
    ("fields", "missing"),
    [(SHRINKS, "raft.voters is not"), (SHRINKS | {"voters": ["n1", "n2", "n3"]}, "raft.voters_outgoing is not")],
)
def test_logs_that_change_who_votes_leave_quorums_open_where_it_is_not_recorded_who_does(
    fields: dict[str, Any], missing: str
) -> None:
    events = Events("n1", "n2", "n3", "n4", "n5")
    events.elect("n1", 1, "n2", "n3")
    events("n1", "change_configuration", log=[(1, "joint")], **fields)
    events("n1", "commit", commit=1)
    for name in ("commit-quorum", "leader-quorum", "configuration-in-use"):
        found = events.check(name)
        assert found.verdict is Verdict.UNKNOWN
        assert found.reasons[0].startswith(missing)


def test_a_voter_that_applies_what_its_recorded_log_lacks_may_have_stored_it_in_time() -> None:
    events = Events("n1", "n2", "n3")
    events.elect("n1", 1, "n2")
    events("n1", "propose", log=[(1, "a")])
    events.message("n1", "n2", "append_entries", ASKED)
    events.message("n2", "n1", "append_entries_response", GRANTED)
    events("n1", "commit", commit=1)
    assert events.check("commit-quorum").verdict is Verdict.UNKNOWN, "n3 records no receipt of entries"
    events.message("n1", "n3", "append_entries")
    assert events.check("commit-quorum").verdict is Verdict.VIOLATED
    events("n2", "apply", apply_index=1, apply_term=1)
    assert events.check("commit-quorum").verdict is Verdict.UNKNOWN


def test_a_field_that_is_spelled_another_way_is_named() -> None:
    builder = TraceBuilder(("n1",))
    builder.add({"process": "n1", "kind": "internal", "name": "raft.become_leader", "raft.Term": 1})
    assert check(builder.build(), "term-monotonic").reasons == ("raft.term is not recorded (raft.Term is)",)


def test_indexes_from_zero_are_named() -> None:
    events = Events("n1", "n2", "n3")
    events.elect("n1", 1, "n2")
    events("n1", "propose", log=[(1, "a")], start=0)
    events("n1", "commit", commit=1)
    for name in ("commit-current-term", "log-matching", "commit-stability"):
        found = events.check(name)
        assert found.verdict is Verdict.UNKNOWN
        assert found.reasons[-1] == "raft.log_from is 0 at n1:5: the first entry has index 1"
