"""Snapshots written by hand: what the checks say of single events, and when they say that they cannot know."""

from __future__ import annotations

from typing import Any

import pytest

from tracekit.execution import Execution, Options
from tracekit.registry import HEADINGS, checks
from tracekit.results import CheckResult, Verdict
from tracekit.trace.builder import TraceBuilder
from tracekit.trace.run import Run
from tracekit.trace.trace import SetAside, SetAsides

Row = dict[str, Any]
NAMES = ("snapshot.chandy-lamport", "snapshot.lai-yang")


def event(process: str, kind: str, name: str, **fields: Any) -> Row:
    plain = ("message", "peer")
    return {
        "process": process,
        "kind": kind,
        "name": name if "." in name else f"snapshot.{name}",
        **{k if k in plain else f"snapshot.{k}": v for k, v in fields.items()},
    }


def send(p: str, q: str, message: int, name: str = "app.data", **fields: Any) -> Row:
    return event(p, "send", name, message=message, peer=q, **fields)


def take(q: str, p: str, message: int, name: str = "app.data", **fields: Any) -> Row:
    return event(q, "receive", name, message=message, peer=p, **fields)


def record(p: str, **fields: Any) -> Row:
    return event(p, "internal", "record", id=1, **fields)


def state(q: str, p: str, messages: list[Any], **fields: Any) -> Row:
    return event(q, "internal", "channel_state", id=1, channel_from=p, messages=messages, **fields)


def marker(p: str, q: str, message: int) -> list[Row]:
    return [send(p, q, message, "marker", id=1), take(q, p, message, "marker", id=1)]


def right() -> list[Row]:
    """a begins; message 7 is in flight from b to a, which numbers of the column message name."""
    go, come = marker("a", "b", 1), marker("b", "a", 2)
    return [
        send("b", "a", 7), record("a", value=5), go[0],
        go[1], record("b", value=4), state("b", "a", [], value=0), come[0],
        take("a", "b", 7), come[1], state("a", "b", [7], value=1),
    ]  # fmt: skip


def judge(rows: list[Row], name: str = NAMES[0], set_aside: SetAsides | None = None, **run: Any) -> CheckResult:
    builder = TraceBuilder(("a", "b"), Run(**run))
    for row in rows:
        builder.add(row)
    return checks()[name].run(Execution(builder.build(set_aside=set_aside)), Options())


def codes(result: CheckResult) -> list[str]:
    return [violation.anomaly for violation in result.violations]


def without(rows: list[Row], **wanted: Any) -> list[Row]:
    return [row for row in rows if not all(row.get(k) == v for k, v in wanted.items())]


def test_a_right_snapshot_with_its_certificate() -> None:
    result = judge(right())
    assert result.verdict is Verdict.HOLDS
    assert result.examined == {"snapshots": 1, "recorded states": 2, "channel states": 2}
    assert result.facts["messages recorded in channels"] == 1
    (proof,) = result.certificate
    assert proof == {
        "snapshot": 1,
        "events in the recorded state": {"a": 0, "b": 2},
        "before": ["b:0"],
        "after": ["a:2"],
    }
    assert any("assumed" in phrase for phrase in result.rests_on), "channels were not declared"


def test_totals() -> None:
    rows = right()
    assert judge([event("a", "internal", "init", total=10), *rows]).verdict is Verdict.HOLDS
    result = judge([event("a", "internal", "init", total=11), *rows])
    assert codes(result) == ["total-not-conserved"]
    assert "9 at processes and 1 in channels" in result.violations[0].summary
    two = [event("a", "internal", "init", total=10), event("b", "internal", "init", total=9)]
    assert judge([*two, *rows]).verdict is Verdict.UNKNOWN
    silent = [{k: v for k, v in row.items() if k != "snapshot.value"} for row in rows]
    assert "snapshot.value" in judge([event("a", "internal", "init", total=10), *silent]).reasons[0]


def test_a_lost_channel_state_shows_the_message_and_what_is_missing() -> None:
    rows = right()
    rows[-1] = state("a", "b", [])
    (violation,) = judge(rows).violations
    assert violation.anomaly == "message-missing-in-channel"
    assert violation.facts == {"snapshot": 1, "sender": "b", "receiver": "a", "messages": ["7"]}
    assert [e.event for e in violation.events] == ["a:0", "a:2", "a:3", "a:4"]
    assert all(edge.reason == "same process" for edge in violation.edges)
    rows[-1] = state("a", "b", ["7", "7"])
    assert codes(judge(rows)) == ["phantom-message-in-channel"]


def test_what_never_comes_counts_only_where_the_run_came_to_rest() -> None:
    rows = right()[:-1]
    unfinished = judge(rows)
    assert (unfinished.verdict, unfinished.facts["unfinished"]) == (Verdict.UNKNOWN, 1)
    assert codes(judge(rows, quiescent=True)) == ["channel-not-recorded"]
    lost = without(right(), message=1, kind="receive")
    assert "marker-lost" in codes(judge(lost, quiescent=True))
    assert "marker-lost" not in codes(judge(lost))


def test_a_message_before_the_marker_is_the_cause_and_the_cut_what_follows() -> None:
    rows = [
        record("a"), send("a", "b", 9), *marker("a", "b", 1)[:1], take("b", "a", 9), marker("a", "b", 1)[1],
        record("b"), state("b", "a", []), *marker("b", "a", 2), state("a", "b", []),
    ]  # fmt: skip
    result = judge(rows)
    assert codes(result) == ["message-before-marker", "inconsistent-cut"]
    assert [e.event for e in result.violations[1].events] == ["a:0", "a:1", "b:0", "b:2"]
    assert "message 9" in [edge.reason for edge in result.violations[1].edges]


def test_several_initiators_are_allowed() -> None:
    go, come = marker("a", "b", 1), marker("b", "a", 2)
    rows = [record("a"), record("b"), go[0], come[0], go[1], state("b", "a", []), come[1], state("a", "b", [])]
    assert judge(rows).verdict is Verdict.HOLDS


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda rows: without(rows, message=7, kind="send"), "belong to no send"),
        (lambda rows: [{k: v for k, v in r.items() if k != "snapshot.id"} for r in rows], "snapshot.id"),
        (lambda rows: [{k: v for k, v in r.items() if k != "snapshot.channel_from"} for r in rows], "channel_from"),
        (lambda rows: [{k: v for k, v in r.items() if k != "snapshot.messages"} for r in rows], "snapshot.messages"),
        (lambda rows: [*rows, send("a", "b", 7)], "belong to no send"),
        (lambda rows: [{k: v for k, v in r.items() if (k, v) != ("message", 7)} for r in rows], "no send"),
    ],
)
def test_what_is_not_recorded_leaves_it_unknown(change: Any, words: str) -> None:
    result = judge(change(right()))
    assert result.verdict is Verdict.UNKNOWN, result
    assert any(words in reason for reason in result.reasons)


def test_rows_that_are_missing_leave_it_unknown() -> None:
    aside = SetAsides({"bad row": 1}, (SetAside("row 3", "bad row"),))
    assert judge(right()[:-3], set_aside=aside, quiescent=True).verdict is Verdict.UNKNOWN
    covered = {"a": {"start": False, "end": True}}
    assert judge(right()[:-3], quiescent=True, coverage=covered).verdict is Verdict.UNKNOWN


def test_identities_that_repeat_and_processes_that_are_absent_leave_it_unknown() -> None:
    twice = [send("b", "a", 8, item="x"), send("b", "a", 6, item="x"), take("a", "b", 8), take("a", "b", 6)]
    assert "snapshot.item repeats" in judge([*right(), *twice]).reasons[0]
    absent = event("a", "internal", "init", outgoing=["b", "c"])
    assert judge([absent, *right()]).reasons == ("c (in snapshot.outgoing) has no events in the trace",)


def test_crashes_are_a_broken_assumption() -> None:
    result = judge([*right(), {"process": "b", "kind": "crash"}])
    assert result.verdict is Verdict.HOLDS
    assert result.broken_assumptions == ("b crashed; the algorithm supposes processes that do not",)


def test_others_than_those_of_the_snapshot_do_not_matter() -> None:
    rows = [send("client", "a", 50), take("a", "client", 50), *right(), send("b", "client", 51)]
    result = judge(rows)
    assert result.verdict is Verdict.HOLDS
    assert result.examined["snapshots"] == 1


def colored() -> list[Row]:
    """b's red message makes a record its state; the white message 7 arrives after it."""
    return [
        send("b", "a", 7, color=0), record("b"), send("b", "a", 8, color=1), take("a", "b", 8, color=1),
        record("a", before_receive=True), take("a", "b", 7, color=0), state("a", "b", [7]), state("b", "a", []),
        send("a", "b", 9, color=1),
    ]  # fmt: skip


def test_lai_yang() -> None:
    rows = colored()
    assert judge(rows, NAMES[1]).verdict is Verdict.HOLDS
    late = [record("a") if r == record("a", before_receive=True) else r for r in rows]
    assert codes(judge(late, NAMES[1])) == ["red-message-taken-white", "inconsistent-cut"]
    rows[6] = state("a", "b", [8])
    assert codes(judge(rows, NAMES[1])) == ["message-missing-in-channel", "phantom-message-in-channel"]
    rows[2]["snapshot.color"] = 0
    assert codes(judge(rows, NAMES[1]))[0] == "white-after-recording"


def test_lai_yang_cannot_judge_without_colours_or_numbers() -> None:
    rows = colored()
    del rows[0]["snapshot.color"]
    assert "snapshot.color" in judge(rows, NAMES[1]).reasons[0]
    named = [{**r, "snapshot.id": "first"} if "snapshot.id" in r else r for r in colored()]
    assert "no positive integer" in judge(named, NAMES[1]).reasons[0]


@pytest.mark.parametrize("name", NAMES)
def test_fields_of_wrong_types_do_not_crash(name: str) -> None:
    rows = [
        {
            "process": "a", "kind": kind, "name": f"snapshot.{what}", "snapshot.id": 1.5, "snapshot.value": "much",
            "snapshot.total": [1], "snapshot.outgoing": "b", "snapshot.channel_from": 3, "snapshot.messages": "m",
            "snapshot.item": True, "snapshot.color": "red", "snapshot.before_receive": 1,
        }
        for what in ("record", "marker", "channel_state") for kind in ("internal", "send", "receive")
    ]  # fmt: skip
    assert judge(rows, name).verdict is Verdict.UNKNOWN
    assert judge([{**row, "snapshot.id": 1} for row in rows], name).verdict is Verdict.UNKNOWN


@pytest.mark.parametrize("name", NAMES)
def test_pages_are_complete(name: str) -> None:
    page = checks()[name].page
    assert tuple(page) == HEADINGS
    assert all(page.values())
    assert checks()[name].summary.endswith(".")


def test_a_cycle_elsewhere_does_not_keep_a_snapshot_from_being_judged() -> None:
    ring: list[Row] = [
        {"process": p, "kind": kind, "message": message}
        for p, received, sent in (("x", 91, 92), ("y", 92, 91))
        for kind, message in (("receive", received), ("send", sent))
    ]
    assert judge([*right(), *ring]).verdict is Verdict.HOLDS
    told: Row = {"process": "y", "kind": "send", "message": 93}
    heard: Row = {"process": "a", "kind": "receive", "message": 93}
    result = judge([*right(), *ring, told, heard])
    assert result.verdict is Verdict.UNKNOWN and any("cycle" in reason for reason in result.reasons)
