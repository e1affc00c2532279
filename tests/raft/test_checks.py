"""Each Raft check on events written by hand: what it must catch, what it must not, and what it must leave unknown."""

from __future__ import annotations

import numpy as np
import pytest

from tests.raft.events import Events, anomalies
from tracekit.checks.raft.configuration import NO, UNDECIDED, YES, Configuration
from tracekit.execution import Execution, Options
from tracekit.registry import HEADINGS, checks
from tracekit.results import Verdict
from tracekit.trace.builder import TraceBuilder
from tracekit.trace.run import Run

NAMES = [name for name in checks() if name.startswith("raft.")]
FIVE = ("n1", "n2", "n3", "n4", "n5")
A, B, C = (1, "a"), (1, "b"), (2, "c")


def replicated() -> Events:
    """n1 leads term 1 of three and has entry 1 stored on n2."""
    events = Events("n1", "n2", "n3")
    events.elect("n1", 1, "n2")
    events("n1", "propose", start=1, log=[A])
    events.message("n1", "n2", "append_entries", start=1, log=[A])
    events.message("n2", "n1", "append_entries_response")
    return events


@pytest.mark.parametrize("name", NAMES)
def test_pages_are_complete(name: str) -> None:
    page = checks()[name].page
    assert tuple(page) == HEADINGS
    assert all(page.values())
    assert checks()[name].summary.endswith(".")


@pytest.mark.parametrize("name", NAMES)
def test_nothing_to_say_without_raft(name: str) -> None:
    builder = TraceBuilder()
    builder.add({"process": "a", "kind": "internal", "name": "other"})
    assert not checks()[name].applies(Execution(builder.build()))


OWN_EVENTS = {
    "raft.configuration-change": "change_configuration",
    "raft.configuration-in-use": "change_configuration",
    "raft.snapshot-safety": "take_snapshot",
}
"""Checks about what does not occur in every run of Raft, and an event that says that it does."""


@pytest.mark.parametrize("name", NAMES)
def test_events_without_any_field_are_unknown(name: str) -> None:
    builder = TraceBuilder()
    builder.add({"process": "a", "kind": "internal", "name": f"raft.{OWN_EVENTS.get(name, 'state')}"})
    execution = Execution(builder.build())
    result = checks()[name].run(execution, Options())
    assert result.verdict is Verdict.UNKNOWN
    assert all(reason.startswith("raft.") for reason in result.reasons)


@pytest.mark.parametrize("name", NAMES)
def test_fields_of_wrong_types_do_not_crash(name: str) -> None:
    builder = TraceBuilder()
    for kind in ("internal", "send", "receive", "restart", "crash"):
        builder.add({
            "process": "a", "kind": kind, "name": f"raft.{OWN_EVENTS.get(name, 'become_leader')}",
            "raft.term": "seven", "raft.role": 3,
            "raft.vote": 1.5, "raft.commit": [1], "raft.log_from": "x", "raft.entry_terms": "y",
            "raft.voters": True, "raft.entry_digests": [1, 2], "raft.apply_index": "z", "raft.snapshot_index": "s",
            "raft.snapshot_term": 2.5, "raft.snapshot_digest": 3, "raft.entry_configurations": "n1",
            "raft.effective": 4,
        })  # fmt: skip
    result = checks()[name].run(Execution(builder.build()), Options())
    assert result.verdict is Verdict.UNKNOWN
    assert all("not recorded" in reason for reason in result.reasons)


def test_figure_8() -> None:
    events = Events(*FIVE)
    events.elect("n1", 2, "n2", "n3")
    events("n1", "propose", start=1, log=[(2, "x")])
    events.message("n1", "n2", "append_entries", start=1, log=[(2, "x")])
    events("n1", "crash")
    events.elect("n5", 3, "n3", "n4")
    events("n5", "propose", start=1, log=[(3, "y")])
    events.message("n5", "n2", "append_entries", term=3)
    events("n1", "restart", term=2, vote="n1", commit=0)
    events.elect("n1", 4, "n2", "n3")
    events.message("n1", "n3", "append_entries", start=1, log=[(2, "x")])
    events.message("n3", "n1", "append_entries_response")
    events("n1", "commit", commit=1)
    result = events.check("commit-current-term")
    [violation] = result.violations
    assert violation.summary == (
        "n1, leader of term 4, committed entry 1 of term 2 by counting copies. "
        "A leader may commit by counting only entries of its own term."
    )
    assert [e.text for e in violation.events] == [
        "appends entry 1, term 2", "stores entry 1, term 2", "leads term 4",
        "stores entry 1, term 2: now on n1, n2, n3", "commits entry 1, term 2",
    ]  # fmt: skip
    assert "n5's log ended in term 3" in violation.damage
    assert "n2, n3 and n4 could still elect n5" in violation.damage
    assert events.check("commit-quorum").verdict is Verdict.HOLDS

    events.elect("n5", 5, "n2", "n3", "n4")
    assert "n5 led term 5 without entry 1" in events.check("commit-current-term").violations[0].damage
    assert anomalies(events.check("leader-completeness")) == ["committed-entry-missing"]


def test_commit_of_own_term_covers_older_entries() -> None:
    events = replicated()
    events.elect("n2", 2, "n3")
    events("n2", "propose", start=2, log=[C])
    events.message("n2", "n3", "append_entries", start=1, log=[A, C])
    events.message("n3", "n2", "append_entries_response")
    events("n2", "commit", commit=2)
    for name in ("commit-current-term", "commit-quorum", "leader-completeness"):
        assert events.check(name).verdict is Verdict.HOLDS, name


def test_what_was_learned_as_a_follower_is_not_counted() -> None:
    events = replicated()
    events.message("n1", "n2", "append_entries", commit=1)
    events("n2", "become_leader", role="leader", term=2, commit=1)
    assert events.check("commit-current-term").verdict is Verdict.NOT_APPLICABLE


def test_commit_without_quorum() -> None:
    events = replicated()
    events("n1", "propose", start=2, log=[(1, "z")])
    events.message("n1", "n2", "append_entries", start=2, log=[(1, "z")])
    events("n1", "commit", commit=2)
    result = events.check("commit-quorum")
    assert result.verdict is Verdict.UNKNOWN, "n3 records no receipt of entries: it may have stored any"
    events.message("n1", "n3", "append_entries")
    result = events.check("commit-quorum")
    assert anomalies(result) == ["committed-without-quorum"]
    assert "when only n1 had stored it; it needs 2 of 3" in result.violations[0].summary


def test_a_copy_that_was_removed_later_was_stored() -> None:
    events = Events("n1", "n2", "n3")
    events.elect("n1", 1, "n2")
    events("n1", "propose", start=1, log=[A])
    events.message("n1", "n2", "append_entries", start=1, log=[A])
    events("n2", "state", term=2, start=1, log=[])
    events.message("n2", "n1", "client_response")
    events("n1", "commit", commit=1)
    assert events.check("commit-quorum").verdict is Verdict.HOLDS


def test_an_unmatched_receive_leaves_a_missing_quorum_unknown() -> None:
    events = replicated()
    events("n1", "propose", start=2, log=[(1, "z")])
    events("n1", "append_entries_response", "receive", message=99, peer="n3")
    events("n1", "commit", commit=2)
    assert events.check("commit-quorum").verdict is Verdict.UNKNOWN


def test_voters_nobody_recorded_may_have_stored_it() -> None:
    events = Events("n1", "n2", run=Run(n=5))
    events.elect("n1", 1, "n2")
    events("n1", "propose", start=1, log=[A])
    events.message("n1", "n2", "append_entries", start=1, log=[A])
    events.message("n2", "n1", "append_entries_response")
    events("n1", "commit", commit=1)
    assert events.check("commit-quorum").verdict is Verdict.UNKNOWN
    assert events.check("leader-quorum").verdict is Verdict.UNKNOWN


def test_without_messages_and_total_order_quorums_are_unknown() -> None:
    events = Events("n1", "n2")
    events("n1", "become_candidate", term=1, role="candidate", vote="n1")
    events("n2", "state", term=1, vote="n1")
    events("n1", "become_leader", role="leader", start=1, log=[A])
    events("n2", "state", start=1, log=[A])
    events("n1", "commit", commit=1)
    result = events.check("commit-quorum")
    assert "message" in result.reasons[0]
    assert "index" in result.reasons[0]
    assert events.check("leader-quorum").verdict is Verdict.UNKNOWN


@pytest.mark.parametrize(("late", "verdict"), [(False, Verdict.HOLDS), (True, Verdict.VIOLATED)])
def test_a_recorders_total_order_stands_in_for_messages(late: bool, verdict: Verdict) -> None:
    builder = TraceBuilder()
    rows = [
        ("n1", {"raft.term": 1, "raft.role": "candidate", "raft.vote": "n1", "raft.commit": 0}),
        ("n2", {"raft.term": 1, "raft.role": "follower", "raft.vote": "n1"}),
        ("n1", {"raft.role": "leader", "raft.log_from": 1, "raft.entry_terms": [1], "raft.entry_digests": ["a"]}),
        ("n2", {"raft.log_from": 1, "raft.entry_terms": [1], "raft.entry_digests": ["a"]}),
        ("n1", {"raft.commit": 1}),
    ]
    if late:
        rows[3], rows[4] = rows[4], rows[3]
    for index, (process, fields) in enumerate(rows):
        name = "raft.init" if index < 2 else "raft.state"
        builder.add({"process": process, "kind": "internal", "name": name, "index": index, **fields})
    execution = Execution(builder.build())
    assert checks()["raft.commit-quorum"].run(execution, Options()).verdict is verdict
    assert checks()["raft.leader-quorum"].run(execution, Options()).verdict is Verdict.HOLDS


def test_two_leaders() -> None:
    events = Events("n1", "n2", "n3")
    events.elect("n1", 3, "n2")
    events.elect("n2", 3, "n3")
    result = events.check("election-safety")
    assert result.violations[0].summary.startswith("n1 and n2 were both leader of term 3.")
    assert [e.event for e in result.violations[0].events] == ["n1:4", "n2:6"]
    assert anomalies(events.check("one-vote-per-term")) == ["two-votes-in-term"]


def test_leader_without_quorum() -> None:
    events = Events(*FIVE)
    events.elect("n3", 6, "n1")
    result = events.check("leader-quorum")
    assert "with the votes of n1 and n3 only; it needs 3 of 5" in result.violations[0].summary


def test_a_vote_for_another_does_not_count_for_oneself() -> None:
    events = Events("n1", "n2", "n3")
    events("n1", "state", term=1, vote="n2", role="candidate")
    events.message("n3", "n1", "request_vote_response", {"message_term": 1, "message_reject": False})
    events("n1", "become_leader", role="leader")
    assert events.check("leader-quorum").verdict is Verdict.VIOLATED


def test_vote_forgotten_at_restart() -> None:
    events = Events("n1", "n2", "n3")
    events("n3", "request_vote", term=7, vote="n1")
    events("n3", "crash")
    events("n3", "restart", term=7, vote="")
    assert events.check("one-vote-per-term").verdict is Verdict.HOLDS
    events("n3", "request_vote", vote="n2")
    result = events.check("one-vote-per-term")
    assert "It restarted in between (n3:3) and forgot its vote." in result.violations[0].summary


def test_two_votes_sent() -> None:
    events = Events("n1", "n2", "n3")
    for candidate in ("n1", "n2"):
        events.message("n3", candidate, "request_vote_response", {"message_term": 2, "message_reject": False})
    assert events.check("one-vote-per-term").verdict is Verdict.VIOLATED


def test_a_vote_in_each_term_is_fine() -> None:
    events = Events("n1", "n2", "n3")
    events("n3", "state", term=1, vote="n1")
    events("n3", "state", term=2)
    events("n3", "state", term=3, vote="n2")
    assert events.check("one-vote-per-term").verdict is Verdict.HOLDS


def test_vote_for_a_stale_candidate() -> None:
    events = Events("n1", "n2", "n3")
    events("n2", "state", start=1, log=[A, C], term=2)
    asked = {"message_term": 3, "message_index": 5, "message_log_term": 1}
    events("n3", "become_candidate", term=3, role="candidate", vote="n3", start=1, log=[A] * 5)
    events.message("n3", "n2", "request_vote", asked, term=3, vote="n3")
    result = events.check("vote-up-to-date")
    assert "its last term 1 is lower than 2" in result.violations[0].summary


def test_the_candidates_log_stands_in_for_its_request() -> None:
    events = Events("n1", "n2")
    events("n2", "state", start=1, log=[A, B])
    events("n1", "become_candidate", term=3, role="candidate", vote="n1", start=1, log=[A])
    events.message("n1", "n2", "request_vote", term=3, vote="n1")
    assert "in the same last term 1 it ends at 1, before 2" in events.check("vote-up-to-date").violations[0].summary


def test_vote_without_logs_is_unknown() -> None:
    builder = TraceBuilder()
    for term, vote in ((0, ""), (1, "n2")):
        fields = {"raft.term": term, "raft.vote": vote}
        builder.add({"process": "n1", "kind": "internal", "name": "raft.state", **fields})
    result = checks()["raft.vote-up-to-date"].run(Execution(builder.build()), Options())
    assert "raft.last_index" in result.reasons[0]


def test_a_term_goes_back() -> None:
    events = Events("n1")
    events("n1", "state", term=5)
    events("n1", "restart", term=4)
    assert "went back from term 5 to term 4 at its restart" in events.check("term-monotonic").violations[0].summary


def test_the_commit_index_may_begin_anew_only_at_a_restart() -> None:
    events = Events("n1")
    events("n1", "commit", commit=5)
    events("n1", "crash")
    events("n1", "restart", commit=0)
    events("n1", "commit", commit=3)
    assert events.check("commit-index-monotonic").verdict is Verdict.HOLDS
    events("n1", "state", commit=2)
    assert anomalies(events.check("commit-index-monotonic")) == ["commit-index-decreased"]


def test_a_leader_rewrites_its_log() -> None:
    events = replicated()
    events("n1", "state", start=1, log=[A])
    assert events.check("leader-append-only").verdict is Verdict.HOLDS
    events("n1", "state", start=1, log=[B])
    assert anomalies(events.check("leader-append-only")) == ["leader-rewrote-log"]


def test_giving_up_the_lead_and_the_log_in_one_event() -> None:
    events = replicated()
    events("n1", "append_entries", term=2, role="follower", start=1, log=[C])
    assert events.check("leader-append-only").verdict is Verdict.HOLDS


@pytest.mark.parametrize(
    ("first", "second", "anomaly"),
    [([A], [B], "same-entry-different-command"), ([A, (3, "x")], [C, (3, "x")], "same-entry-different-prefix")],
)
def test_logs_that_do_not_match(first: list[tuple[int, str]], second: list[tuple[int, str]], anomaly: str) -> None:
    events = Events("n1", "n2")
    events("n1", "state", start=1, log=first)
    events("n2", "state", start=1, log=second)
    assert anomalies(events.check("log-matching")) == [anomaly]


def test_logs_begun_late_or_compacted_match() -> None:
    events = Events("n1", "n2", "n3")
    events("n1", "state", start=1, log=[A, C, (3, "d")])
    events("n2", "state", log_known_from=3, start=3, log=[(3, "d")])
    events("n1", "state", log_known_from=3)
    events("n1", "state", start=4, log=[(3, "e")])
    events("n3", "state", start=7, log=[(4, "x")])
    assert events.check("log-matching").verdict is Verdict.HOLDS
    events("n2", "state", start=4, log=[(3, "other")])
    assert anomalies(events.check("log-matching")) == ["same-entry-different-command"]


def test_terms_alone_leave_log_matching_unknown() -> None:
    events = Events("n1")
    events("n1", "state", log_from=1, entry_terms=[1, 1])
    result = events.check("log-matching")
    assert result.verdict is Verdict.UNKNOWN
    assert result.reasons[0].startswith("terms agree")


def test_a_snapshot_takes_the_place_of_a_log() -> None:
    """Neither the entries that it covers nor those that it drops are lost or wrong."""
    events = Events("n1", "n2", "n3")
    events("n1", "state", term=1, role="leader", start=1, log=[A, B, (1, "d")], commit=0)
    events("n1", "commit", commit=3)
    events("n2", "install_snapshot", term=1, log_known_from=4, start=4, log=[], commit=3)
    events("n2", "become_leader", term=2, role="leader")
    for name in ("commit-stability", "leader-completeness", "log-matching", "leader-append-only"):
        assert events.check(name).verdict is not Verdict.VIOLATED, name


def test_committed_entries_are_cut_off() -> None:
    events = Events("n1", "n2")
    events("n2", "state", start=1, log=[A, B, (1, "d")], commit=0)
    events("n2", "commit", commit=3)
    events("n2", "append_entries", start=2, log=[B])
    result = events.check("commit-stability")
    assert result.violations[0].summary == (
        "n2 knew entry 3 of term 1 to be committed (commit index 3) and removed it. Committed entries never change."
    )


def test_restart_loses_committed_entries() -> None:
    events = Events("n1")
    events("n1", "state", start=1, log=[A, B], commit=2)
    events("n1", "restart", commit=0, last_index=1)
    assert anomalies(events.check("commit-stability")) == ["committed-entry-lost"]


def test_a_log_recorded_only_when_it_reaches_the_disk() -> None:
    """n2 takes an entry over and learns that it is committed; its row shows the commit index, a later one the log."""
    events = Events("n1", "n2", "n3")
    events.elect("n1", 2, "n3")
    events("n2", "state", start=1, log=[A], term=1)
    events("n1", "propose", start=1, log=[C])
    events("n2", "append_entries", commit=2, term=2)
    events("n2", "state", start=1, log=[C, (2, "d")])
    events.elect("n3", 3, "n1")
    events("n3", "state", start=1, log=[C, (2, "d")])
    for name in ("commit-stability", "state-machine-safety"):
        assert events.check(name).verdict is not Verdict.VIOLATED, name


def test_leader_completeness_goes_by_term() -> None:
    """n2 won term 3 before n1 committed in term 2; it must have the entry all the same."""
    events = Events("n1", "n2", "n3")
    events("n1", "become_leader", term=2, role="leader", start=1, log=[C])
    events("n2", "become_leader", term=3, role="leader")
    events("n1", "commit", commit=1)
    result = events.check("leader-completeness")
    assert "n2, leader of term 3, has no entry 1" in result.violations[0].summary


def test_different_entries_applied() -> None:
    events = Events("n1", "n2")
    events("n1", "apply", apply_index=8, apply_term=3, apply_digest="a")
    events("n2", "apply", apply_index=8, apply_term=5, apply_digest="a")
    events("n2", "apply", apply_index=9, apply_term=5, apply_digest="b")
    result = events.check("state-machine-safety")
    assert result.violations_total == 1
    assert "n1 and n2 applied different entries at index 8: term 3 and term 5." in result.violations[0].summary


def test_applied_terms_alone_are_unknown() -> None:
    events = Events("n1")
    events("n1", "apply", apply_index=1, apply_term=1)
    assert events.check("state-machine-safety").verdict is Verdict.UNKNOWN


def test_committed_entries_stand_for_applied_ones() -> None:
    events = Events("n1", "n2")
    events("n1", "state", start=1, log=[A], commit=1)
    events("n2", "state", start=1, log=[B], commit=1)
    assert anomalies(events.check("state-machine-safety")) == ["different-entries-committed"]


def test_quorums_of_joint_consensus() -> None:
    joint = Configuration((0, 1, 2), (3, 4, 5))
    holds = np.array([
        [YES, YES, NO, YES, YES, NO], [YES, YES, YES, YES, NO, NO], [YES, YES, NO, YES, UNDECIDED, NO],
        [YES, NO, NO, YES, UNDECIDED, UNDECIDED],
    ])  # fmt: skip
    assert joint.quorum(holds).tolist() == [YES, NO, UNDECIDED, NO]
    assert Configuration(()).quorum(holds).tolist() == [UNDECIDED] * 4


def test_members_decide_not_learners() -> None:
    events = Events("n1", "n2", "n3", "n4")
    events("n4", "state", role="learner")
    events.elect("n1", 1, "n2")
    assert "learners" in events.check("leader-quorum").reasons[0]
    events("n1", "state", voters=["n1", "n2", "n3"])
    events.elect("n1", 2, "n2")
    result = events.check("leader-quorum")
    assert result.verdict is Verdict.UNKNOWN  # the first election's voters stay unknown
    assert result.examined == {"elections": 1}


def test_a_configuration_may_change_with_the_commit() -> None:
    events = replicated()
    events("n1", "state", voters=["n1", "n2", "n3", "n4"])
    events("n1", "commit", commit=1, voters=["n1", "n2", "n3"])
    assert events.check("commit-quorum").verdict is Verdict.HOLDS
