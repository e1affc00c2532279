"""Commitment written by hand: what the checks say of single events, and when they say that they cannot know."""

from __future__ import annotations

import random
from typing import Any

import pytest

from tests.atomic_commit.runs import Row, demonstration
from tests.atomic_commit.test_oracle import results
from tracekit.execution import Execution, Options
from tracekit.registry import HEADINGS, checks
from tracekit.results import CheckResult, Verdict
from tracekit.trace.builder import TraceBuilder
from tracekit.trace.run import Run
from tracekit.trace.trace import SetAside, SetAsides

NAMES = ("a", "b")
PLAIN = ("message", "peer", "true_time_ns", "time_ns", "index")


def at(process: str, name: str, kind: str = "internal", txn: Any = "t", **fields: Any) -> Row:
    named = {k if k in PLAIN else f"commit.{k}": v for k, v in {"txn": txn, **fields}.items()}
    return {"process": process, "kind": kind, "name": f"commit.{name}", **named}


def message(p: str, q: str, number: int, name: str, **fields: Any) -> list[Row]:
    """Sent and received; `fields` are what the receiver does then."""
    return [
        at(p, name, "send", message=number, peer=q),
        at(q, name, "receive", message=number, peer=p, **fields),
    ]


BEGIN = at("a", "begin", participants=["a", "b"], vote="yes", held=["k1"])
ASKED = [BEGIN, *message("a", "b", 1, "vote_request", vote="yes", held=["k2"])]
VOTED = [*ASKED, *message("b", "a", 2, "vote")]
COMMIT, ABORT = at("a", "decide", decision="commit"), at("a", "decide", decision="abort")
TOLD = message("a", "b", 3, "decision", decision="commit")
RIGHT = [*VOTED, COMMIT, *TOLD]
CRASH, RESTART = ({"process": "b", "kind": kind, "name": f"commit.{kind}"} for kind in ("crash", "restart"))
READY = [*VOTED, at("a", "pre_commit", committable=True)]
PRE = message("a", "b", 5, "pre_commit", committable=True)
ACK = message("b", "a", 6, "pre_commit_ack")


def judge(
    name: str, rows: list[Row], set_aside: SetAsides | None = None, *, shown: bool = False, **run: Any
) -> CheckResult:
    """shown: what follows shows that every process records everything."""
    builder = TraceBuilder(NAMES, Run(**{"quiescent": True, **run}))
    indexed = rows and "index" in rows[0]
    after = demonstration(NAMES) if shown else []
    for row in [*rows, *({**r, "index": 1000 + i} if indexed else r for i, r in enumerate(after))]:
        builder.add(row)
    trace = builder.build(set_aside=set_aside)
    return checks()[f"atomic-commit.{name}"].run(Execution(trace), Options())


def codes(result: CheckResult) -> list[str]:
    return [violation.anomaly for violation in result.violations]


def test_a_right_transaction_keeps_every_rule() -> None:
    builder = TraceBuilder(NAMES, Run(quiescent=True))
    for row in [*READY, *PRE, *ACK, COMMIT, *TOLD]:
        builder.add(row)
    found = results(builder.build())
    assert {name: result.verdict for name, result in found.items()} == dict.fromkeys(found, Verdict.HOLDS)
    assert len(found) == 8


@pytest.mark.parametrize(
    ("name", "rows", "anomaly", "events"),
    [
        ("agreement", [*VOTED, COMMIT, at("b", "decide", decision="abort")], "different-decisions",
         ["a:0", "b:2", "a:3"]),
        ("irrevocable", [*VOTED, ABORT, COMMIT], "decision-reversed", ["a:3", "a:4"]),
        ("one-vote", [*ASKED, at("b", "vote", vote="no")], "vote-changed", ["b:0", "b:1"]),
        ("validity", [BEGIN, *message("a", "b", 1, "vote_request", vote="no"), COMMIT], "committed-despite-no",
         ["a:0", "b:0", "a:2"]),
        ("validity", [BEGIN, *message("a", "b", 1, "vote_request"), COMMIT], "committed-without-vote",
         ["a:0", "a:2"]),
        ("validity", [BEGIN, COMMIT, *ASKED[1:], *message("b", "a", 2, "vote")], "committed-before-vote",
         ["a:0", "b:0", "a:1"]),
        ("commit-when-possible", [*VOTED, ABORT], "aborted-without-reason", ["a:0", "b:0", "a:3"]),
        ("termination", [*VOTED, COMMIT, TOLD[0]], "never-decided", ["b:0", "a:3", "b:1"]),
        ("pre-commit", [*READY, COMMIT, *PRE], "committed-before-pre-commit", ["b:0", "b:2", "a:4"]),
        ("pre-commit", [*READY, PRE[0], COMMIT], "committed-before-pre-commit", ["b:0", "a:5"]),
    ],
)  # fmt: skip
def test_each_breach_with_its_witness(name: str, rows: list[Row], anomaly: str, events: list[str]) -> None:
    result = judge(name, rows, shown=True)
    assert (codes(result), result.violations_total) == ([anomaly], 1)
    assert [e.event for e in result.violations[0].events] == events


def test_a_coordinator_that_forgot_its_decision() -> None:
    lost = [{**row, "process": "a"} for row in (CRASH, RESTART)]
    (violation,) = judge("irrevocable", [*VOTED, COMMIT, *lost, ABORT]).violations
    assert [e.event for e in violation.events] == ["a:3", "a:4", "a:6"]
    assert "It failed in between (a:4) and forgot." in violation.summary


def test_one_process_that_decides_both_disagrees_with_nobody() -> None:
    assert judge("agreement", [*VOTED, COMMIT, ABORT]).verdict is Verdict.HOLDS


class TestCommitWhenPossible:
    """AC4 binds where nothing fails."""

    def test_a_crash_after_the_vote_excuses(self) -> None:
        result = judge("commit-when-possible", [*VOTED, CRASH, RESTART, ABORT])
        assert (result.verdict, result.facts["aborted after a failure"]) == (Verdict.HOLDS, 1)

    def test_a_crash_after_the_abort_does_not(self) -> None:
        rows = [*VOTED, ABORT, *message("a", "b", 3, "decision", decision="abort"), CRASH]
        assert codes(judge("commit-when-possible", rows)) == ["aborted-without-reason"]

    def test_a_clock_of_all_orders_what_messages_do_not(self) -> None:
        rows = [{**row, "true_time_ns": i} for i, row in enumerate([*VOTED, ABORT, CRASH])]
        assert codes(judge("commit-when-possible", rows)) == ["aborted-without-reason"]
        rows = [{**row, "true_time_ns": i} for i, row in enumerate([*VOTED, CRASH, ABORT])]
        assert judge("commit-when-possible", rows).verdict is Verdict.HOLDS

    def test_a_lost_message_of_the_transaction_excuses(self) -> None:
        assert judge("commit-when-possible", [*VOTED, TOLD[0], ABORT]).verdict is Verdict.HOLDS
        other = at("a", "decision", "send", txn="u", message=9, peer="b")
        assert codes(judge("commit-when-possible", [*VOTED, other, ABORT])) == ["aborted-without-reason"]
        nameless = {k: v for k, v in other.items() if k != "commit.txn"}
        assert judge("commit-when-possible", [*VOTED, nameless, ABORT]).verdict is Verdict.HOLDS

    def test_votes_that_had_not_come_excuse(self) -> None:
        result = judge("commit-when-possible", [*ASKED, ABORT, *message("b", "a", 2, "vote")])
        assert result.facts["aborted before the votes were known"] == 1
        assert result.verdict is Verdict.HOLDS


class TestTermination:
    """AC5 needs rest, and everything repaired."""

    waiting = (*VOTED, COMMIT, TOLD[0])

    def test_unknown_unless_the_run_came_to_rest(self) -> None:
        result = judge("termination", list(self.waiting), quiescent=None)
        assert result.verdict is Verdict.UNKNOWN
        assert "quiescent" in result.reasons[0]

    def test_unknown_while_a_process_is_down(self) -> None:
        result = judge("termination", [*self.waiting, CRASH])
        assert "b was down at the end" in result.reasons[0]
        assert codes(judge("termination", [*self.waiting, CRASH, RESTART], shown=True)) == ["never-decided"]

    def test_unknown_while_a_fault_lasts(self) -> None:
        cut = {"process": "nemesis", "kind": "fault", "name": "fault.partition"}
        assert judge("termination", [*self.waiting, cut]).verdict is Verdict.UNKNOWN
        healed = {**cut, "name": "fault.heal"}
        assert codes(judge("termination", [*self.waiting, cut, healed], shown=True)) == ["never-decided"]

    def test_who_has_decided_needs_no_rest(self) -> None:
        assert judge("termination", RIGHT, quiescent=None).verdict is Verdict.HOLDS


class TestPreCommit:
    """Operational participants count; those that have failed do not."""

    def test_a_crash_excuses_unless_it_is_known_to_come_later(self) -> None:
        result = judge("pre-commit", [*READY, PRE[0], CRASH, COMMIT])
        assert (result.verdict, result.facts["failed participants excused"]) == (Verdict.HOLDS, 1)
        assert judge("pre-commit", [*READY, PRE[0], COMMIT, CRASH]).verdict is Verdict.HOLDS, "concurrent"
        rows = [*READY, PRE[0], COMMIT, *TOLD, CRASH]
        assert codes(judge("pre-commit", rows, shown=True)) == ["committed-before-pre-commit"]
        timed = [{**row, "true_time_ns": i} for i, row in enumerate([*READY, PRE[0], COMMIT, CRASH])]
        assert judge("pre-commit", timed).verdict is Verdict.UNKNOWN, "b shows no commit.committable as participant"
        assert codes(judge("pre-commit", timed, shown=True)) == ["committed-before-pre-commit"]

    def test_a_crash_before_the_vote_is_none_of_the_transaction(self) -> None:
        rows = [CRASH, RESTART, *READY, PRE[0], COMMIT]
        assert codes(judge("pre-commit", rows, shown=True)) == ["committed-before-pre-commit"]

    def test_two_phase_commit_has_no_such_phase(self) -> None:
        builder = TraceBuilder(NAMES)
        for row in RIGHT:
            builder.add(row)
        assert not checks()["atomic-commit.pre-commit"].applies(Execution(builder.build()))

    def test_the_sentence_for_a_coordinator_that_is_uncertain_itself(self) -> None:
        rows = [*VOTED, at("b", "pre_commit", committable=True), *message("b", "a", 8, "state_response"), COMMIT]
        (violation,) = judge("pre-commit", rows, shown=True).violations
        assert violation.summary.startswith("a committed t while it was uncertain itself.")


class TestBlocking:
    """Measured, and no verdict."""

    rows = (
        *ASKED, *message("b", "a", 2, "vote"), COMMIT, TOLD[0],
        at("b", "terminate"), *message("b", "a", 7, "decision_request"),
        *message("a", "b", 8, "decision_response", decision="commit"),
    )  # fmt: skip

    def test_windows_and_what_was_held(self) -> None:
        timed = [{**row, "true_time_ns": 1000 * i} for i, row in enumerate(self.rows)]
        facts = judge("blocking", timed).facts
        assert (facts["uncertain"], facts["blocked"], facts["never ended"]) == (2, 1, 0)
        assert facts["longest"][0] == {
            "process": "b", "transaction": "t", "from": "b:0", "to": "b:4",
            "uncertain_ns": 9000, "blocked_ns": 4000, "held": ["k2"],
        }  # fmt: skip

    def test_without_clocks_they_are_counted(self) -> None:
        result = judge("blocking", list(self.rows))
        assert result.verdict is Verdict.HOLDS
        assert "blocked_ns" not in result.facts

    def test_a_clock_that_was_set_back_measures_nothing(self) -> None:
        timed = [{**row, "time_ns": -1000 * i} for i, row in enumerate(self.rows)]
        assert judge("blocking", timed).facts["uncertain_ns"] == {"longest": 0, "all": 0}


def without(rows: list[Row], *fields: str) -> list[Row]:
    return [{k: v for k, v in row.items() if k not in fields} for row in rows]


@pytest.mark.parametrize(
    ("name", "rows", "words"),
    [
        ("agreement", without(RIGHT, "commit.decision"), "commit.decision is not recorded"),
        ("irrevocable", without(RIGHT, "commit.txn"), "stands without commit.txn"),
        ("one-vote", without(RIGHT, "commit.vote"), "commit.vote is not recorded"),
        ("validity", without(RIGHT, "commit.vote"), "commit.vote is not recorded"),
        ("validity", without(RIGHT, "commit.participants"), "the participants of 1 committed transaction"),
        ("validity", [at("b", "vote", vote="perhaps", txn="u"), *RIGHT], "neither no nor yes"),
        ("agreement", [at("b", "decide", decision=True), *without(RIGHT, "commit.decision")], "but as bool"),
        ("pre-commit", [*without(READY, "commit.committable"), *without(PRE, "commit.committable"), COMMIT],
         "commit.committable is not recorded"),
        ("pre-commit", [*READY, COMMIT, *without(PRE, "message")], "cannot be judged"),
        ("commit-when-possible", without([*VOTED, ABORT], "message"), "do not tell whether those who aborted knew"),
        ("commit-when-possible", without([*VOTED, ABORT], "commit.participants"), "the participants of 1 aborted"),
        ("termination", without(RIGHT, "commit.decision"), "commit.decision is not recorded"),
        ("validity", [{**BEGIN, "commit.participants": ["a", "b", "zoe"]}, *RIGHT[1:]], "zoe is not recorded"),
    ],
)  # fmt: skip
def test_what_is_not_recorded_leaves_it_unknown(name: str, rows: list[Row], words: str) -> None:
    result = judge(name, rows)
    assert result.verdict is Verdict.UNKNOWN, result
    assert any(words in reason for reason in result.reasons), result.reasons


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("validity", [BEGIN, *message("a", "b", 1, "vote_request"), COMMIT]),
        ("pre-commit", [*READY, PRE[0], COMMIT]),
        ("termination", [*VOTED, COMMIT, TOLD[0]]),
        ("validity", [BEGIN, COMMIT, *ASKED[1:], *message("b", "a", 2, "vote")]),
        ("commit-when-possible", [*VOTED, ABORT]),
    ],
)
def test_what_may_be_missing_is_no_violation(name: str, rows: list[Row]) -> None:
    assert judge(name, rows, shown=True).verdict is Verdict.VIOLATED
    partial = judge(name, rows, shown=True, coverage={"b": {"start": False, "end": True}})
    assert partial.verdict is Verdict.UNKNOWN
    aside = SetAsides({"bad row": 1}, (SetAside("row 3", "bad row"),))
    assert judge(name, rows, set_aside=aside, shown=True).verdict is Verdict.UNKNOWN


def test_what_shows_in_the_events_themselves_stays_a_violation() -> None:
    aside = SetAsides({"bad row": 1}, (SetAside("row 3", "bad row"),))
    rows = [*VOTED, COMMIT, at("b", "decide", decision="abort")]
    assert judge("agreement", rows, set_aside=aside).verdict is Verdict.VIOLATED
    assert judge("agreement", RIGHT, set_aside=aside).verdict is Verdict.UNKNOWN


def test_an_order_without_messages_is_the_recorders() -> None:
    rows = [{**row, "index": i} for i, row in enumerate(without([*VOTED, ABORT], "message"))]
    result = judge("commit-when-possible", rows)
    assert codes(result) == ["aborted-without-reason"]
    assert "index" in result.rests_on[0]


@pytest.mark.parametrize("name", [n for n in checks() if n.startswith("atomic-commit.")])
def test_every_page_is_whole(name: str) -> None:
    assert tuple(checks()[name].page) == HEADINGS


EXTREMES = (-(2**63), -1, 0, 2**62, 2**63 - 1)
KINDS = ("internal", "send", "receive", "restart", "crash", "fault", "invoke", "ok")
EVENTS = ("begin", "vote", "decide", "decision", "terminate", "crash", "restart", "pre_commit", "unheard_of")


def nonsense(draw: random.Random, numbers: bool) -> Row:
    """A row of drawn fields, each with a drawn value or absent."""
    maybe = {
        "commit.txn": draw.choice((*EXTREMES, 1, 2)) if numbers else draw.choice(("t", "u", "", "t\x1b[2J")),
        "commit.participants": [draw.choice(("a", "b", "zoe", "", None)) for _ in range(draw.randrange(4))],
        "commit.vote": draw.choice(("yes", "no", "maybe", "")),
        "commit.decision": draw.choice(("commit", "abort", "rollback")),
        "commit.committable": draw.random() < 0.6,
        "commit.held": [draw.choice(("k1", None)) for _ in range(draw.randrange(3))],
        "message": draw.randrange(6),
        "peer": draw.choice(("a", "b", "q")),
        "time_ns": draw.choice(EXTREMES),
        "index": draw.randrange(9),
    }
    row: Row = {"process": draw.choice(("a", "b", "c", "nemesis")), "kind": draw.choice(KINDS)}
    if draw.random() < 0.9:
        row["name"] = f"commit.{draw.choice(EVENTS)}"
    return row | {name: value for name, value in maybe.items() if draw.random() < 0.6}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("seed", range(6))
def test_any_events(seed: int) -> None:
    draw = random.Random(seed)
    for _ in range(30):
        builder, numbers = TraceBuilder(), draw.random() < 0.5
        left_out = draw.choice(("", "message", "index", "commit.vote", "commit.participants"))
        for _ in range(draw.randrange(1, 40)):
            builder.add({k: v for k, v in nonsense(draw, numbers).items() if k != left_out})
        for result in results(builder.build()).values():
            result.to_json()


def unheard(rows: list[Row]) -> list[Row]:
    """The rows without the receipts of what tells the coordinator anything."""
    telling = ("commit.vote", "commit.pre_commit_ack")
    return [row for row in rows if row["kind"] != "receive" or row["name"] not in telling]


def test_receipts_that_nobody_records_leave_open_what_was_known() -> None:
    found = judge("validity", unheard(RIGHT))
    assert found.verdict is Verdict.UNKNOWN
    assert "how a came to know of the votes, by receipts of commit.vote, is not recorded" in found.reasons[0]
    found = judge("pre-commit", unheard([*READY, *PRE, *ACK, COMMIT]))
    assert found.verdict is Verdict.UNKNOWN
    assert judge("pre-commit", [*READY, *PRE, *ACK, COMMIT]).verdict is Verdict.HOLDS
    indexed = [{**row, "index": i} for i, row in enumerate(unheard(RIGHT))]
    assert judge("validity", indexed).verdict is Verdict.HOLDS


def test_places_that_two_events_share_are_no_total_order() -> None:
    rows = [at("b", "vote", vote="yes", participants=["a", "b"]), at("a", "begin", vote="yes"), COMMIT]
    assert judge("validity", [{**row, "index": 3} for row in rows]).verdict is not Verdict.VIOLATED
    assert judge("validity", [{**row, "index": -i} for i, row in enumerate(rows)]).verdict is not Verdict.VIOLATED
    late = [{**row, "index": i} for i, row in enumerate(rows[1:] + rows[:1])]
    assert judge("validity", late).verdict is Verdict.VIOLATED


def test_two_phases_are_not_three_where_nobody_is_ever_committable() -> None:
    builder = TraceBuilder(NAMES, Run())
    for row in (*VOTED, {**COMMIT, "commit.committable": False}):
        builder.add(row)
    assert not checks()["atomic-commit.pre-commit"].applies(Execution(builder.build()))


@pytest.mark.parametrize("name", ["agreement", "irrevocable", "one-vote", "validity", "termination"])
def test_transactions_of_another_type_are_not_told_apart(name: str) -> None:
    rows = [at("a", "decide", txn=1.5, decision="commit", vote="yes"), at("b", "decide", txn=1.5, decision="abort")]
    found = judge(name, rows)
    assert found.verdict is Verdict.UNKNOWN
    assert any("commit.txn is not recorded" in reason for reason in found.reasons)
