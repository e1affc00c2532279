"""channel.delivery: what no channel may do, and what channels do."""

from __future__ import annotations

from typing import Any

from hypothesis import given

from tests.oracle import order
from tests.strategies import examples, executions, recordings, trace_of, with_seq
from tracekit.analysis import analyze
from tracekit.execution import Execution
from tracekit.results import CheckResult, Verdict
from tracekit.trace.builder import TraceBuilder
from tracekit.trace.run import Run
from tracekit.trace.trace import Trace

Row = dict[str, Any]


def run(trace: Trace) -> CheckResult:
    result = analyze(Execution(trace), check=["channel.delivery"])
    return next(c for c in result.checks if c.check == "channel.delivery")


def built(rows: list[Row], **declared: Any) -> Trace:
    builder = TraceBuilder(["a", "b", "c"], Run(**declared))
    for row in rows:
        builder.add(row)
    return builder.build()


def message(**receive: Any) -> list[Row]:
    return [
        {"process": "a", "kind": "send", "message": 7, "peer": "b", "raft.message_term": 3},
        {"process": "b", "kind": "receive", "message": 7, "peer": "a", "raft.message_term": 3, **receive},
    ]


def oracle(rows: list[Row]) -> Verdict:
    """Whether something happened that no channel may do, by the words of the page; unknown where ids do not tell."""
    if wrong(rows):
        return Verdict.VIOLATED
    nameless = [r for r in rows if r["kind"] in ("send", "receive") and r.get("message") is None]
    named = [r for r in rows if r["kind"] in ("send", "receive") and r.get("message") is not None]
    for receive in (r for r in named if r["kind"] == "receive"):
        senders = {s["process"] for s in named if s["kind"] == "send" and s["message"] == receive["message"]}
        if len(senders) != 1:
            return Verdict.UNKNOWN
    return Verdict.HOLDS if named and all(r["kind"] == "send" for r in nameless) else Verdict.UNKNOWN


def wrong(rows: list[Row]) -> bool:
    numbered = with_seq(rows)
    before = order.happens_before(numbered, order.message_edges(numbered))
    if any(a == b for a, b in before):
        return True
    for receive in (r for r in rows if r["kind"] == "receive" and r.get("message") is not None):
        sends = [s for s in rows if s["kind"] == "send" and s.get("message") == receive["message"]]
        if not sends and any(s["kind"] == "send" and s.get("message") is None for s in rows):
            continue  # one of these may be it
        if not sends:
            return True
        if len({s["process"] for s in sends}) > 1:
            continue
        if receive.get("peer") not in (None, sends[0]["process"]):
            return True
        if all(s.get("peer") not in (None, receive["process"]) for s in sends):
            return True
    return False


@examples(400)
@given(recordings())
def test_against_the_definition(rows: list[Row]) -> None:
    if not any(r["kind"] in ("send", "receive") for r in rows):
        return
    assert run(trace_of(rows)).verdict is oracle(rows)


@examples(200)
@given(executions())
def test_loss_duplication_multicast_and_reordering_are_facts(rows: list[Row]) -> None:
    trace = trace_of(rows)
    if rows and any(row["kind"] in ("send", "receive") for row in rows):
        found = run(trace)
        assert found.verdict is Verdict.HOLDS
        received = {row["message"] for row in rows if row["kind"] == "receive"}
        assert found.facts["undelivered"] == sum(r["kind"] == "send" and r["message"] not in received for r in rows)


def test_what_carries_no_id_excuses_and_is_not_passed() -> None:
    sent, received = message()
    settled = {"quiescent": True, "channels": {"reliable": True}}
    for rows, declared, why in (
        ([sent, {**received, "message": None}], settled, "1 receives carry no message id"),
        ([{**sent, "message": None}, received], {}, "1 sends carry no message id"),
        ([*message(), {**received, "message": None}], {}, "1 receives carry no message id"),
    ):
        found = run(built(rows, **declared))
        assert found.verdict is Verdict.UNKNOWN and any(why in reason for reason in found.reasons)


def test_a_correct_message() -> None:
    assert run(built(message())).verdict is Verdict.HOLDS


def test_wrong_receiver_wrong_sender_other_contents_never_sent() -> None:
    for receive, anomaly in (
        ({"process": "c"}, "wrong-receiver"),
        ({"peer": "c"}, "wrong-sender"),
        ({"raft.message_term": 4}, "contents-changed"),
        ({"message": 8}, "received-but-never-sent"),
    ):
        assert [v.anomaly for v in run(built(message(**receive))).violations] == [anomaly]


def test_contents_that_are_lists_or_no_numbers() -> None:
    for sent, came, changed in (
        ([1, 2], [1, 2], False), ([1, 2], [1, 3], True), ([1], [1, 2], True), ([], [], False), ([], None, False),
        ([1, None], [1, None], False), ([1, None], [1, 2], True),
        (float("nan"), float("nan"), False), (float("nan"), 1.0, True), (0.0, -0.0, False),
    ):  # fmt: skip
        first, second = message()
        rows = [{**first, "x.message_v": sent}, {**second, "x.message_v": came}]
        found = run(built([*rows, {"process": "c", "kind": "internal", "x.message_v": sent}]))
        assert found.verdict is (Verdict.VIOLATED if changed else Verdict.HOLDS), (sent, came)
    again = [{**message()[0], "x.message_v": [n]} for n in (1, 2)] + [{**message()[1], "x.message_v": [2]}]
    assert run(built(again)).verdict is Verdict.HOLDS, "the second copy may have arrived"


def test_a_cycle_is_told_with_its_messages() -> None:
    rows = [
        {"process": "a", "kind": "receive", "message": 2},
        {"process": "a", "kind": "send", "message": 1},
        {"process": "b", "kind": "receive", "message": 1},
        {"process": "b", "kind": "send", "message": 2},
        {"process": "c", "kind": "internal"},
    ]
    found = run(built(rows))
    assert [v.anomaly for v in found.violations] == ["received-before-sent"]
    assert {e.event for e in found.violations[0].events} == {"a:0", "a:1", "b:0", "b:1"}
    assert {e.reason for e in found.violations[0].edges} == {"message 1", "message 2"}


def test_a_receive_without_send_is_excused_where_the_send_may_be_missing() -> None:
    orphan = [message()[1]]
    assert run(built(orphan)).verdict is Verdict.VIOLATED
    uncovered = run(built(orphan, coverage={"a": {"start": False, "end": True}}))
    assert uncovered.verdict is Verdict.UNKNOWN
    assert "start or end of a" in uncovered.reasons[0]
    assert run(built([*orphan, {"process": "", "kind": "send"}])).verdict is Verdict.UNKNOWN
    gap = [{"process": "a", "kind": "internal", "seq": seq} for seq in (0, 2)]
    left_out = run(built([*gap, {**orphan[0], "seq": 0}]))
    assert left_out.verdict is Verdict.UNKNOWN and "before a:2" in left_out.reasons[0]


def test_reliable_channels_must_deliver_once() -> None:
    twice = [*message(), message()[1]]
    assert run(built(twice)).verdict is Verdict.HOLDS
    assert run(built(twice, channels={"reliable": True})).violations[0].anomaly == "delivered-twice"
    lost = message()[:1]
    assert run(built(lost)).verdict is Verdict.HOLDS
    assert run(built(lost, channels={"reliable": True})).verdict is Verdict.UNKNOWN
    assert run(built(lost, channels={"reliable": True}, quiescent=True)).violations[0].anomaly == "never-delivered"


def test_recorded_drops_tell_what_was_lost() -> None:
    sends = [{"process": "a", "kind": "send", "message": i, "peer": "b"} for i in range(3)]
    drops = [{"process": "nemesis", "kind": "fault", "name": "fault.drop", "message": i} for i in (1, 1, 9)]
    found = run(built([*sends, *drops]))
    assert found.facts["undelivered"] == 3 and found.facts["of these, recorded as lost"] == 1
    assert "1 lost (recorded), 2 undelivered (lost or in flight)" in found.remark


def test_without_ids_nothing_is_decided() -> None:
    rows = [{"process": "a", "kind": "send"}, {"process": "b", "kind": "receive"}]
    found = run(built(rows))
    assert found.verdict is Verdict.UNKNOWN
    assert "message" in found.reasons[0]


def test_without_ids_declared_channels_cannot_deliver_more_than_was_sent() -> None:
    declared = {"fifo": True, "reliable": True}
    send, receive = {"process": "a", "kind": "send", "peer": "b"}, {"process": "b", "kind": "receive", "peer": "a"}
    found = run(built([send, receive, receive], channels=declared))
    assert [v.anomaly for v in found.violations] == ["received-but-never-sent"]
    assert [e.event for e in found.violations[0].events] == ["b:1"]
    assert run(built([send, receive], channels=declared)).verdict is Verdict.UNKNOWN
    for rows in ([{**send, "seq": 1}, receive, receive], [{**send, "peer": None}, send, receive, receive]):
        assert run(built(rows, channels=declared)).verdict is Verdict.UNKNOWN, "another send may be missing"
    unended = run(built([send, receive, receive], channels=declared, coverage={"a": {"end": False}}))
    assert unended.verdict is Verdict.UNKNOWN
    back = [{**receive, "process": "a", "peer": "b"}, send, receive, {**send, "process": "b", "peer": "a"}]
    assert [v.anomaly for v in run(built(back, channels=declared)).violations] == ["received-before-sent"]
    itself = [{"process": "a", "kind": "receive", "message": 1}, {"process": "a", "kind": "send", "message": 1}]
    assert "Message 1 was received before it was sent" in run(built(itself)).violations[0].summary


def test_many_violations_are_counted_and_few_are_shown() -> None:
    rows = [{"process": "b", "kind": "receive", "message": i} for i in range(100)]
    found = run(built(rows))
    assert (found.violations_total, len(found.violations)) == (100, 20)
