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
