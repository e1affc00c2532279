"""--never and --inevitable as checks; what `possibly` and `definitely` answer is compared elsewhere."""

from __future__ import annotations

import pytest

from tracekit.analysis import analyze
from tracekit.errors import TracekitError
from tracekit.execution import Options
from tracekit.results import Verdict
from tracekit.trace.builder import TraceBuilder
from tracekit.trace.trace import Trace


def two_leaders(told: bool) -> Trace:
    """n1 leads and steps down; n2 begins to lead, `told` by n1 that it has stepped down, or not."""
    builder = TraceBuilder(["n1", "n2"])
    builder.add({"process": "n1", "kind": "internal", "raft.role": "leader", "raft.term": 1})
    builder.add({"process": "n1", "kind": "internal", "raft.role": "follower", "raft.term": 2})
    builder.add({"process": "n1", "kind": "send", "message": 1})
    if told:
        builder.add({"process": "n2", "kind": "receive", "message": 1})
    builder.add({"process": "n2", "kind": "internal", "raft.role": "leader", "raft.term": 2})
    return builder.build()


TWO = 'count(raft.role == "leader") >= 2'


def test_a_state_that_may_have_been_violates_never() -> None:
    result = analyze(two_leaders(told=False), check=["clock"], options=Options(never=(TWO,)))
    found = next(c for c in result.required if c.check == "predicate.never")
    assert found.verdict is Verdict.VIOLATED
    assert result.exit_code == 1
    (violation,) = found.violations
    assert [e.event for e in violation.events] == ["n1:0", "n2:0"]
    assert violation.facts["cut"] == {"n1": 1, "n2": 1}


def test_a_state_that_messages_exclude_does_not() -> None:
    result = analyze(two_leaders(told=True), check=["clock"], options=Options(never=(TWO,)))
    assert next(c for c in result.required if c.check == "predicate.never").verdict is Verdict.HOLDS


@pytest.mark.parametrize(
    ("expression", "verdict"),
    [
        ('raft.role["n2"] == "leader"', Verdict.HOLDS),  # every order ends there
        ('raft.role["n1"] == "candidate"', Verdict.VIOLATED),  # nobody ever was
        (TWO, Verdict.VIOLATED),  # n1 may have stepped down before n2 led
    ],
)
def test_inevitable(expression: str, verdict: Verdict) -> None:
    result = analyze(two_leaders(told=False), check=["clock"], options=Options(inevitable=(expression,)))
    assert next(c for c in result.required if c.check == "predicate.inevitable").verdict is verdict


def test_what_cannot_be_decided_is_unknown() -> None:
    builder = TraceBuilder([f"n{i}" for i in range(8)])
    for step in range(10):
        for i in range(8):
            builder.add({"process": f"n{i}", "kind": "internal", "raft.term": step})
    hard = " and ".join(f'raft.term["n{i}"] < raft.term["n{(i + 1) % 8}"]' for i in range(8))
    result = analyze(builder.build(), check=["clock"], options=Options(never=(hard,), budget_s=0.2))
    found = next(c for c in result.required if c.check == "predicate.never")
    assert found.verdict is Verdict.UNKNOWN
    assert found.reasons
    assert result.exit_code == 3


def test_without_an_expression_the_checks_are_not_there() -> None:
    result = analyze(two_leaders(told=True))
    assert not [c for c in result.checks if c.check.startswith("predicate.")]
    assert "predicate" not in " ".join(result.not_checked)


def test_a_mistake_points_at_its_column() -> None:
    with pytest.raises(TracekitError) as caught:
        analyze(two_leaders(told=True), options=Options(never=('raft.rol["n1"] == 1',)))
    assert caught.value.code == "TK304"
