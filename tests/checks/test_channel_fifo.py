"""channel.fifo against its definition over all pairs of messages."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import PROCESSES, examples, executions, recordings, with_seq
from tracekit.analysis import analyze
from tracekit.execution import Execution
from tracekit.results import CheckResult, Verdict
from tracekit.trace.builder import TraceBuilder
from tracekit.trace.run import Run
from tracekit.trace.trace import Trace

Row = dict[str, Any]


def built(rows: list[Row], **channels: bool) -> Trace:
    builder = TraceBuilder(PROCESSES, Run(channels=channels))
    for row in rows:
        builder.add(row)
    return builder.build()


def run(rows: list[Row], **channels: bool) -> CheckResult:
    result = analyze(Execution(built(rows, **channels)), check=["channel.fifo"])
    return next((c for c in result.checks if c.check == "channel.fifo"), CheckResult(applicable=False))


def overtaken(rows: list[Row]) -> set[int]:
    """Rows of first receipts of m1 that follow, at the same process, one of m2, where m1 was sent before m2 there.

    Only ids that one process sent once to the receiver, or once to nobody in particular, are looked at.
    """
    found = []
    seen = set()
    in_order = sorted(range(len(rows)), key=lambda i: (rows[i]["process"], rows[i]["seq"]))
    for r in in_order:
        receive = rows[r]
        if receive["kind"] != "receive" or receive.get("message") is None:
            continue
        sends = [s for s in rows if s["kind"] == "send" and s.get("message") == receive["message"]]
        if len({s["process"] for s in sends}) != 1:
            continue
        if len(sends) > 1:
            sends = [s for s in sends if s.get("peer") in (None, receive["process"])]
        if len(sends) != 1 or (receive["process"], receive["message"]) in seen:
            continue
        seen.add((receive["process"], receive["message"]))
        found.append((r, sends[0]))
    return {
        r1
        for (r1, s1), (r2, s2) in permutations(found, 2)
        if rows[r1]["process"] == rows[r2]["process"]
        and s1["process"] == s2["process"]
        and s1["seq"] < s2["seq"]
        and rows[r2]["seq"] < rows[r1]["seq"]
    }


def names(rows: list[Row], chosen: set[int]) -> set[str]:
    return {f"{rows[i]['process']}:{rows[i]['seq']}" for i in chosen}


@examples(600)
@given(executions(max_processes=2) | executions(), st.randoms(use_true_random=False))
def test_against_the_definition(rows: list[Row], random: Any) -> None:
    rows = with_seq(rows)
    random.shuffle(rows)
    wanted = overtaken(rows)
    found = run(rows, fifo=True)
    assert found.violations_total == len(wanted)
    assert {v.events[-1].event for v in found.violations} == names(rows, wanted)
    measured = run(rows)
    assert measured.verdict is not Verdict.VIOLATED
    assert measured.facts.get("overtaken", 0) == len(wanted)


@examples(400)
@given(recordings(max_events=14))
def test_ids_sent_again_wrong_receivers_and_cycles(rows: list[Row]) -> None:
    rows = with_seq(rows)
    found, wanted = run(rows, fifo=True), len(overtaken(rows))
    excused = any(row["kind"] == "receive" and row["message"] is None for row in rows)
    assert found.facts.get("overtaken", 0) == wanted
    assert found.violations_total == (0 if excused else wanted)


def pair(first: int, second: int) -> list[Row]:
    return [
        {"process": "a", "kind": "send", "message": 7, "peer": "b"},
        {"process": "a", "kind": "send", "message": 8, "peer": "b"},
        {"process": "b", "kind": "receive", "message": first, "peer": "a"},
        {"process": "b", "kind": "receive", "message": second, "peer": "a"},
    ]


def test_the_example_of_the_page() -> None:
    assert run(pair(7, 8), fifo=True).verdict is Verdict.HOLDS
    found = run(pair(8, 7), fifo=True)
    violation = found.violations[0]
    assert violation.anomaly == "overtaken"
    assert [e.event for e in violation.events] == ["a:0", "a:1", "b:0", "b:1"]
    assert "message 8 (b:0) before message 7 (b:1)" in violation.summary
    assert [e.reason for e in violation.edges] == ["same process", "message 8", "same process", "message 7"]


def test_undeclared_it_is_measured() -> None:
    found = run(pair(8, 7))
    assert found.verdict is Verdict.NOT_APPLICABLE
    assert found.remark == "1 of 2 messages overtaken on their channel"
    result = analyze(built(pair(8, 7)))
    assert not next(c for c in result.checks if c.check == "channel.fifo").required
    assert analyze(built(pair(8, 7), fifo=True)).verdict is Verdict.VIOLATED


def test_copies_and_losses() -> None:
    again = [*pair(7, 8), {"process": "b", "kind": "receive", "message": 7}]
    assert run(again, fifo=True).verdict is Verdict.HOLDS, "a later copy is a duplicate"
    lost = [row for row in pair(7, 8) if not (row["kind"] == "receive" and row["message"] == 7)]
    found = run(lost, fifo=True)
    assert found.verdict is Verdict.HOLDS and found.facts["lost"] == 1
    in_flight = [row for row in pair(7, 8) if not (row["kind"] == "receive" and row["message"] == 8)]
    assert run(in_flight, fifo=True).facts["lost"] == 0


def test_a_first_receipt_that_may_be_missing_excuses() -> None:
    late = {"b": {"start": False, "end": True}}
    nameless = {"process": "b", "kind": "receive"}
    for rows, coverage in (
        (pair(8, 7), late),
        ([nameless, *pair(8, 7)], {}),
        ([{**nameless, "kind": "?"}, *pair(8, 7)], {}),
    ):
        for reliable, verdict in ((False, Verdict.UNKNOWN), (True, Verdict.VIOLATED)):
            trace = built(rows, fifo=True, reliable=reliable)
            trace = replace(trace, run=replace(trace.run, coverage=coverage))
            result = analyze(trace, check=["channel.fifo"])
            assert result.verdict is verdict, "reliable channels deliver nothing twice"


def test_a_message_sent_again_is_left_out() -> None:
    rows = [pair(8, 7)[0], *pair(8, 7)]
    found = run(rows, fifo=True)
    assert found.facts["left out, sent several times"] == 1 and found.verdict is Verdict.HOLDS


def test_without_ids() -> None:
    rows = [{k: v for k, v in row.items() if k != "message"} for row in pair(7, 8)]
    assert run(rows, fifo=True).verdict is Verdict.UNKNOWN
    assert run(rows, fifo=True, reliable=True).verdict is Verdict.UNKNOWN, "matched by the order that is to be judged"
    assert run(rows).verdict is Verdict.NOT_APPLICABLE
