"""--never and --inevitable as checks; what `possibly` and `definitely` answer is compared elsewhere."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tracekit.analysis import analyze
from tracekit.errors import TracekitError
from tracekit.execution import Options
from tracekit.results import Verdict
from tracekit.trace.builder import TraceBuilder
from tracekit.trace.run import Run
from tracekit.trace.trace import SetAside, SetAsides, Trace


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


@pytest.mark.parametrize("never", [True, False])
def test_a_message_that_is_not_known_as_one_excuses(never: bool) -> None:
    """Without ids nobody knows that n2 was told: an order that would avoid the state, or one in which it may be."""
    told = two_leaders(told=True)
    nameless = replace(told, columns={k: v for k, v in told.columns.items() if k != "message"})
    if never:
        options = Options(never=(TWO,))
    else:
        options = Options(inevitable=('raft.role["n1"] == "follower" and raft.role["n2"] == None',))
    for trace, verdict in ((nameless, Verdict.UNKNOWN), (told, Verdict.HOLDS)):
        result = analyze(trace, check=["predicate"], options=options)
        (found,) = (c for c in result.required if c.check.startswith("predicate"))
        assert found.verdict is verdict
        assert verdict is Verdict.HOLDS or "n2:0" in found.reasons[0]


def test_receives_of_others_excuse_nothing() -> None:
    """Each send of the two has its receive: what n2 received from elsewhere is none of them."""
    builder = TraceBuilder(["n1", "n2", "n3"])
    builder.add({"process": "n2", "kind": "receive"})
    builder.add({"process": "n2", "kind": "internal", "raft.role": "leader"})
    builder.add({"process": "n1", "kind": "internal", "raft.role": "leader"})
    builder.add({"process": "n1", "kind": "internal", "raft.role": "follower"})
    builder.add({"process": "n1", "kind": "send", "message": 1})
    builder.add({"process": "n3", "kind": "receive", "message": 1})
    result = analyze(builder.build(), check=["predicate"], options=Options(never=(TWO,)))
    assert next(c for c in result.required if c.check == "predicate.never").verdict is Verdict.VIOLATED


def test_events_left_out_excuse_where_they_lie_within_the_cut() -> None:
    for seq, verdict in ((1, Verdict.UNKNOWN), (0, Verdict.VIOLATED)):
        builder = TraceBuilder(["n1", "n2"])
        builder.add({"process": "n1", "kind": "internal", "seq": 0, "raft.role": "leader"})
        builder.add({"process": "n1", "kind": "internal", "seq": 4, "raft.role": "follower"})
        builder.add({"process": "n2", "kind": "internal", "seq": seq, "raft.role": "leader"})
        result = analyze(builder.build(), check=["predicate"], options=Options(never=(TWO,)))
        found = next(c for c in result.required if c.check == "predicate.never")
        assert found.verdict is verdict, "what n1 did later decides nothing; what n2 did before may"


def test_a_later_copy_that_may_have_arrived_excuses() -> None:
    builder = TraceBuilder(["n1", "n2"])
    builder.add({"process": "n1", "kind": "send", "message": 1})
    builder.add({"process": "n1", "kind": "internal", "raft.role": "leader"})
    builder.add({"process": "n1", "kind": "internal", "raft.role": "follower"})
    builder.add({"process": "n1", "kind": "send", "message": 1})
    builder.add({"process": "n2", "kind": "receive", "message": 1})
    builder.add({"process": "n2", "kind": "internal", "raft.role": "leader"})
    result = analyze(builder.build(), check=["predicate"], options=Options(never=(TWO,)))
    found = next(c for c in result.required if c.check == "predicate.never")
    assert found.verdict is Verdict.UNKNOWN and "later copy" in found.reasons[0]


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


def test_what_was_set_aside_or_not_recorded_decides_nothing() -> None:
    bad_row = SetAside("row 9", "the row has no known kind", "x")
    bad_field = SetAside("row 9", "raft.role is no text", "x", "raft.role")
    other_field = SetAside("row 9", "a Lamport timestamp is negative or 2^63 and above", "x", "lamport")
    started = {"n1": {"start": True, "end": False}}
    never, inevitable = Options(never=(TWO,)), Options(inevitable=(TWO,))
    for told, options, aside, coverage, verdict in (
        (True, never, bad_row, {}, Verdict.UNKNOWN),
        (False, never, bad_row, {}, Verdict.UNKNOWN),
        (True, never, bad_field, {}, Verdict.UNKNOWN),
        (True, never, other_field, {}, Verdict.HOLDS),
        (False, never, other_field, {}, Verdict.VIOLATED),
        (False, never, None, {"n2": {"start": False}}, Verdict.UNKNOWN),
        (False, never, None, started, Verdict.VIOLATED),
        (False, inevitable, None, started, Verdict.UNKNOWN),
        (False, inevitable, bad_row, {}, Verdict.UNKNOWN),
        (False, inevitable, None, {}, Verdict.VIOLATED),
    ):
        trace = replace(two_leaders(told), run=Run(coverage=coverage), set_aside=SetAsides.of([aside] if aside else []))
        found = next(c for c in analyze(trace, options=options).required if c.check.startswith("predicate."))
        assert found.verdict is verdict, (told, aside, coverage)
        assert verdict is not Verdict.UNKNOWN or "by what is left" in found.reasons[0]
