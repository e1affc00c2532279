"""Configurations and snapshots by hand: the smallest breaches, what excuses them, and what nobody can say."""

from __future__ import annotations

from typing import Any

import pytest

from tests.raft.events import Events, anomalies
from tracekit.results import Verdict
from tracekit.trace.run import Run

THREE = ["n1", "n2", "n3"]


def led(*processes: str, **run: Any) -> Events:
    """n1 leads term 1 of three voters, and has committed its no-op with n2."""
    events = Events(*(processes or THREE), run=Run(**run) if run else None)
    for process in processes or THREE:
        events(process, "state", voters=THREE)
    events.elect("n1", 1, "n2")
    events("n1", "propose", start=1, log=[(1, "no-op")])
    events.message("n1", "n2", "append_entries", start=1, log=[(1, "no-op")])
    events.message("n2", "n1", "append_entries_response")
    events("n1", "commit", commit=1)
    return events


def configure(events: Events, index: int, text: str, used: bool = True, process: str = "n1", **more: Any) -> None:
    """A process appends a configuration, and uses it unless told otherwise."""
    voters, _, outgoing = text.partition("/")
    now = {"voters": voters.split(), "voters_outgoing": outgoing.split()} if used else {}
    fields = {"start": index, "log": [(more.pop("term", 1), text)], "entry_configurations": [text]}
    events(process, "change_configuration", **fields, **now, **more)


class TestChanges:
    @pytest.mark.parametrize(
        ("text", "anomaly"),
        [
            ("n1 n4 n5 / n1 n2 n3", None),
            ("n1 n2", None),
            ("n1 n2 n3 n4", None),
            ("n1 n2 n3", None),
            ("n1 n2 n4", "configurations-apart"),
            ("n1 n4 n5 / n1 n2", "configurations-apart"),
        ],
    )
    def test_what_may_follow_a_configuration(self, text: str, anomaly: str | None) -> None:
        events = led()
        configure(events, 2, text)
        assert anomalies(events.check("configuration-change")) == [anomaly] * (anomaly is not None)

    def test_joint_consensus_is_left_to_the_new_members(self) -> None:
        for text, broken in (("n1 n4 n5", []), ("n1 n2 n3", ["configurations-apart"])):
            events = led()
            configure(events, 2, "n1 n4 n5 / n1 n2 n3")
            events("n1", "commit", commit=2)
            configure(events, 3, text)
            assert anomalies(events.check("configuration-change")) == broken

    def test_one_change_at_a_time(self) -> None:
        events = led()
        configure(events, 2, "n1 n2")
        configure(events, 3, "n1 n2")
        assert anomalies(events.check("configuration-change")) == ["change-before-last-committed"]

    def test_a_single_change_needs_a_committed_entry_of_the_own_term(self) -> None:
        for commit, broken in ((1, ["change-before-own-term-committed"]), (2, [])):
            events = led()
            events.elect("n2", 2, "n3")
            events("n2", "propose", start=2, log=[(2, "no-op")], commit=commit)
            configure(events, 3, "n1 n2", process="n2", term=2)
            assert anomalies(events.check("configuration-change")) == broken

    def test_entries_copied_from_the_leader_are_no_proposals(self) -> None:
        events = led()
        configure(events, 2, "n4 n5", process="n2")
        assert events.check("configuration-change").verdict is Verdict.NOT_APPLICABLE

    def test_what_was_before_and_nobody_recorded_is_unknown(self) -> None:
        events = Events("n1")
        events("n1", "become_leader", term=2, role="leader", start=9, log=[(2, "no-op")], commit=9)
        configure(events, 10, "n1 n2", term=2)
        result = events.check("configuration-change")
        assert result.verdict is Verdict.UNKNOWN
        assert "not recorded" in result.reasons[0]


class TestUse:
    def test_a_commit_by_the_old_configuration(self) -> None:
        for used, broken in ((False, ["wrong-configuration-in-use"]), (True, [])):
            events = led()
            configure(events, 2, "n1 n2", used)
            events.message("n2", "n1", "append_entries_response")
            events("n1", "commit", commit=2)
            assert anomalies(events.check("configuration-in-use")) == broken

    def test_an_election_by_the_old_configuration(self) -> None:
        events = led()
        configure(events, 2, "n1 n2", used=False, process="n2")
        events.elect("n2", 2, "n3")
        assert anomalies(events.check("configuration-in-use")) == ["wrong-configuration-in-use"]

    @pytest.mark.parametrize(("used", "verdict"), [(False, Verdict.HOLDS), (True, Verdict.VIOLATED)])
    def test_where_configurations_are_used_once_applied(self, used: bool, verdict: Verdict) -> None:
        events = led()
        events("n1", "state", effective="apply")
        configure(events, 2, "n1 n2", used)
        events.message("n2", "n1", "append_entries_response")
        events("n1", "commit", commit=2)
        assert events.check("configuration-in-use").verdict is verdict

    def test_what_is_applied_must_be_used(self) -> None:
        events = led()
        events("n1", "state", effective="apply")
        configure(events, 2, "n1 n2", used=False)
        events("n1", "commit", commit=2)
        events("n1", "apply", apply_index=2, apply_term=1, apply_digest="n1 n2")
        events("n1", "propose", start=3, log=[(1, "c")])
        events("n1", "commit", commit=3)
        assert anomalies(events.check("configuration-in-use")) == ["wrong-configuration-in-use"]

    def test_learners_hold_no_copies_that_count(self) -> None:
        events = led("n1", "n2", "n3", "n4")
        events("n1", "propose", start=2, log=[(1, "c")])
        events.message("n1", "n4", "append_entries", start=1, log=[(1, "no-op"), (1, "c")], role="learner")
        events.message("n4", "n1", "append_entries_response")
        events("n1", "commit", commit=2)
        for name in ("n2", "n3"):
            events.message("n1", name, "append_entries")
        assert anomalies(events.check("commit-quorum")) == ["committed-without-quorum"]


class TestSnapshots:
    def install(self, events: Events, index: int, term: int = 1) -> None:
        snapshot = {"snapshot_index": index, "snapshot_term": term}
        events.message("n1", "n3", "install_snapshot", {"message_index": index}, term=1, commit=index, **snapshot)

    def test_a_snapshot_stands_for_the_entries_that_it_includes(self) -> None:
        events = led()
        events("n1", "take_snapshot", snapshot_index=1, snapshot_term=1)
        self.install(events, 1)
        events("n1", "propose", start=2, log=[(1, "c")])
        events.message("n1", "n3", "append_entries", start=2, log=[(1, "c")])
        events.message("n3", "n1", "append_entries_response")
        events("n1", "commit", commit=2)
        events.elect("n3", 2, "n2")
        names = ("commit-quorum", "leader-completeness", "log-matching", "snapshot-safety", "commit-stability")
        assert {name: events.check(name).verdict for name in names} == dict.fromkeys(names, Verdict.HOLDS)
        assert not events.check("commit-quorum").reasons

    def test_of_an_entry_that_nobody_recorded_nothing_is_claimed(self) -> None:
        events = led()
        self.install(events, 7, term=5)
        assert anomalies(events.check("snapshot-safety")) == ["snapshot-of-uncommitted"]
        events.elect("n3", 6, "n2")
        assert events.check("leader-completeness").verdict is Verdict.HOLDS

    def test_one_that_lacks_what_is_committed_loses_it(self) -> None:
        events = led()
        events("n2", "append_entries", term=1, commit=1)
        events.message("n3", "n2", "install_snapshot", snapshot_index=1, snapshot_term=3, term=3)
        assert events.check("snapshot-safety").verdict is Verdict.VIOLATED

    def test_an_old_one(self) -> None:
        events = led()
        events("n1", "propose", start=2, log=[(1, "c")], commit=2)
        for index in (1, 2):
            events("n1", "apply", apply_index=index, apply_term=1, apply_digest="no-op" if index == 1 else "c")
        events.message("n2", "n1", "install_snapshot", snapshot_index=1, snapshot_term=1, start=2, log=[])
        assert anomalies(events.check("snapshot-safety")) == ["snapshot-goes-back"]
        assert events.check("commit-stability").verdict is Verdict.VIOLATED

    def test_one_older_than_the_commit_index_that_is_not_applied_yet_may_help(self) -> None:
        events = led()
        events("n1", "propose", start=2, log=[(1, "c")], commit=2)
        events("n1", "apply", apply_index=1, apply_term=1, apply_digest="no-op")
        events.message("n2", "n1", "install_snapshot", snapshot_index=1, snapshot_term=1)
        assert not anomalies(events.check("snapshot-safety"))

    @pytest.mark.parametrize("coverage", [{}, {"n1": {"start": True, "end": False}}])
    def test_what_nobody_is_known_to_have_committed(self, coverage: dict[str, Any]) -> None:
        events = Events("n1", "n2", run=Run(n=2, coverage=coverage))
        events.message("n1", "n2", "install_snapshot", commit=3, snapshot_index=3, snapshot_term=1)
        result = events.check("snapshot-safety")
        assert result.verdict is (Verdict.UNKNOWN if coverage else Verdict.VIOLATED)
        assert anomalies(result) == ["snapshot-of-uncommitted"] * (not coverage)

    def test_two_logs_with_its_last_entry_leave_it_open_which_one_it_is(self) -> None:
        events = Events("n1", "n2", "n3")
        events("n1", "state", term=1, start=1, log=[(1, "a"), (1, "b")], commit=2)
        events("n2", "state", term=1, start=1, log=[(1, "x"), (1, "b")])
        events.message("n1", "n3", "install_snapshot", snapshot_index=2, snapshot_term=1, commit=2, term=1)
        events("n3", "become_leader", term=2, role="leader")
        assert events.check("log-matching").verdict is Verdict.VIOLATED
        assert not anomalies(events.check("leader-completeness"))
