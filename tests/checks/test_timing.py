"""timing.synchrony against its definition, message by message."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import PROCESSES, examples, executions, with_seq
from tracekit.analysis import analyze
from tracekit.execution import Execution
from tracekit.results import CheckResult, Verdict
from tracekit.trace.builder import TraceBuilder
from tracekit.trace.run import Run
from tracekit.trace.trace import Trace

Row = dict[str, Any]


def built(rows: list[Row], **declared: Any) -> Trace:
    builder = TraceBuilder(PROCESSES, Run(**declared))
    for row in rows:
        builder.add(row)
    return builder.build()


def run(rows: list[Row], **declared: Any) -> CheckResult:
    result = analyze(Execution(built(rows, **declared)), check=["timing.synchrony"])
    return next((c for c in result.checks if c.check == "timing.synchrony"), CheckResult(applicable=False))


def late(rows: list[Row], clock: str, bound: int, stable: int, skew: int) -> set[str]:
    """First receipts after the deadline of Dwork, Lynch and Stockmeyer: max(sent, stable) + bound."""
    out, seen = set(), set()
    for receive in sorted(rows, key=lambda r: (r["process"], r["seq"])):
        if receive["kind"] != "receive" or (receive["process"], receive["message"]) in seen:
            continue
        seen.add((receive["process"], receive["message"]))
        send = next(s for s in rows if s["kind"] == "send" and s["message"] == receive["message"])
        if send.get(clock) is None or receive.get(clock) is None:
            continue
        allowed = skew if send["process"] != receive["process"] else 0
        if receive[clock] > max(send[clock], stable) + bound + allowed:
            out.add(f"{receive['process']}:{receive['seq']}")
    return out


@examples(500)
@given(executions(), st.data())
def test_against_the_definition(rows: list[Row], data: st.DataObject) -> None:
    clock = data.draw(st.sampled_from(["true_time_ns", "time_ns"]))
    times = st.sampled_from([*range(21), None])
    rows = [{**row, clock: data.draw(times)} for row in with_seq(rows)]
    bound, skew = data.draw(st.integers(0, 8)), data.draw(st.integers(0, 4))
    stable = data.draw(st.none() | st.integers(0, 12))
    bounds = {"delay_ns": bound, "skew_ns": skew, **({} if stable is None else {"gst_ns": stable})}
    found = run(rows, bounds=bounds)
    wanted = late(rows, clock, bound, -1 if stable is None else stable, skew if clock == "time_ns" else 0)
    assert found.violations_total == len(wanted)
    assert {v.events[-1].event for v in found.violations} == wanted
    assert run(rows).verdict in (Verdict.NOT_APPLICABLE, Verdict.UNKNOWN)


def message(number: int, sent: int, received: int | None, **fields: Any) -> list[Row]:
    rows: list[Row] = [
        {"process": "a", "kind": "send", "message": number, "peer": "b", "true_time_ns": sent, **fields},
    ]
    if received is not None:
        rows.append({"process": "b", "kind": "receive", "message": number, "peer": "a", "true_time_ns": received})
    return rows


def test_the_example_of_the_page() -> None:
    rows = message(7, 1_200, 1_231)
    found = run(rows, bounds={"delay_ns": 20, "gst_ns": 1_000})
    assert found.violations[0].anomaly == "late-message" and found.violations[0].facts["delay_ns"] == 31
    assert run(rows, bounds={"delay_ns": 20, "gst_ns": 1_211}).verdict is Verdict.HOLDS
    assert run(rows, bounds={"delay_ns": 31}).verdict is Verdict.HOLDS


def test_clocks_of_unknown_skew_judge_nothing() -> None:
    rows = [
        {**{k: v for k, v in r.items() if k != "true_time_ns"}, "time_ns": r["true_time_ns"]} for r in message(1, 0, 50)
    ]
    found = run(rows, bounds={"delay_ns": 20})
    assert found.verdict is Verdict.UNKNOWN and "1 messages went between clocks" in found.reasons[0]
    assert run(rows, bounds={"delay_ns": 20, "skew_ns": 30}).verdict is Verdict.HOLDS
    assert run(rows, bounds={"delay_ns": 20, "skew_ns": 29}).verdict is Verdict.VIOLATED
    assert run(rows, bounds={"delay_ns": 20}, clocks={"a": "host", "b": "host"}).verdict is Verdict.VIOLATED


def test_reliable_channels_deliver_in_time() -> None:
    rows = [*message(1, 0, None), *message(2, 100, 110)]
    reliable = {"channels": {"reliable": True}}
    found = run(rows, bounds={"delay_ns": 20}, **reliable)
    assert [v.anomaly for v in found.violations] == ["message-not-in-time"]
    assert run(rows, bounds={"delay_ns": 20}).verdict is Verdict.HOLDS, "it may have been lost"
    assert run(rows, bounds={"delay_ns": 110}, **reliable).verdict is Verdict.HOLDS, "it may be under way"
    crash: Row = {"process": "b", "kind": "crash", "true_time_ns": 111}
    assert run([*rows, crash], bounds={"delay_ns": 20}, **reliable).verdict is Verdict.HOLDS


def test_a_copy_of_unknown_age_is_not_judged() -> None:
    rows = [*message(1, 0, None), *message(1, 90, 100)]
    assert run([*rows, *message(2, 200, 201)], bounds={"delay_ns": 20}).verdict is Verdict.HOLDS


def test_what_would_do_is_measured() -> None:
    early = [row for k in range(20) for row in message(k, 100 * k, 100 * k + 90)]
    later = [row for k in range(20, 60) for row in message(k, 100 * k, 100 * k + 10)]
    facts = run(early + later).facts
    assert (facts["fits"], facts["bound, ns"], facts["from, ns"]) == ("partial synchrony", 10, 2_000)
    assert run(early + later).remark == "fits partial synchrony: every delay at most 10 ns from 2 µs into the run on"
    assert run(early[:20] + later[:20]).facts["fits"] == "synchrony", "too few messages to tell"
    facts = run(later).facts
    assert (facts["fits"], facts["bound, ns"], facts["from, ns"]) == ("synchrony", 10, 2_000)
    facts = run(later + [{**row, "message": -row["message"]} for row in message(70, 6_000, 6_500)]).facts
    assert (facts["fits"], facts["bound, ns"]) == ("synchrony", 500), "a late slow message is not before anything"


def test_clocks_by_which_all_arrives_before_it_is_sent_tell_no_bound() -> None:
    rows = with_seq([
        {"process": "a", "kind": "send", "message": 1, "time_ns": 90},
        {"process": "b", "kind": "receive", "message": 1, "time_ns": 20},
    ])  # fmt: skip
    assert "they tell no bound" in run(rows).remark


def test_hints_are_hints() -> None:
    rows = [*message(1, 0, 5, **{"raft.message_term": 1}), *message(2, 10, None), *message(3, 20, None)]
    hints = run(rows).facts["hints"]
    assert hints == ["b may have crashed: after its last event messages were sent to it (2)"]
    rows += [*message(4, 30, 35), *message(1, 40, None, **{"raft.message_term": 2})]
    hints = run(rows).facts["hints"]
    assert "b may have missed messages: 2 sent to it while it was there" in hints
    assert any("repeats a message id with other contents (a:4)" in hint for hint in hints)
    twice = [{"process": "a", "kind": "internal", "seq": 0, "x.n": n, "true_time_ns": 0} for n in (1, 2)]
    twice += [{**row, "seq": 9} for row in message(1, 0, 5)]
    assert "equivocation is possible: 1 event repeats a place with other contents (a:0)" in run(twice).facts["hints"]
    assert "A hint, which is a guess: equivocation is possible" in run(twice).remark, "seen without looking into facts"


def test_without_times_hints_remain_and_a_bound_is_not_judged() -> None:
    sent = {"process": "a", "kind": "send", "message": 1}
    rows = [{**sent, "peer": "b", "x.message_n": 1}, {**sent, "peer": "c", "x.message_n": 2}]
    found = run(rows)
    assert found.verdict is Verdict.NOT_APPLICABLE and "repeats a message id with other contents (a:1)" in found.remark
    for bounds in ({"delay_ns": 5}, {"skew_ns": 5}):
        result = analyze(built(rows, bounds=bounds))
        name = "timing.synchrony" if "delay_ns" in bounds else "clock.physical"
        judged = next(c for c in result.checks if c.check == name)
        assert judged.required and judged.verdict is Verdict.UNKNOWN and "time_ns" in judged.reasons[0]


def test_a_declared_bound_makes_it_count() -> None:
    rows = message(7, 0, 50)
    assert analyze(built(rows, bounds={"delay_ns": 20})).verdict is Verdict.VIOLATED
    assert not next(c for c in analyze(built(rows)).checks if c.check == "timing.synchrony").required


def test_an_earlier_receipt_that_may_be_missing_excuses_a_late_one() -> None:
    rows = [*message(7, 0, 50), {"process": "b", "kind": "receive"}]
    assert run(rows, bounds={"delay_ns": 20}).verdict is Verdict.UNKNOWN
    assert run(rows, bounds={"delay_ns": 20}, channels={"reliable": True}).verdict is Verdict.VIOLATED


def test_times_and_bounds_as_far_apart_as_there_are() -> None:
    far = 2**62 - 1
    for clock in ("true_time_ns", "time_ns"):
        sent = {"process": "a", "kind": "send", "message": 1, "peer": "b", clock: far}
        rows = [sent, {"process": "b", "kind": "receive", "message": 1, "peer": "a", clock: -far}]
        found = analyze(built(rows, bounds={"delay_ns": far, "skew_ns": far if clock == "time_ns" else 0}))
        assert next(c for c in found.checks if c.check == "timing.synchrony").verdict is Verdict.HOLDS
        late = run([{**sent, clock: -far}, {**rows[1], clock: far}], bounds={"delay_ns": far})
        assert late.verdict is (Verdict.VIOLATED if clock == "true_time_ns" else Verdict.UNKNOWN)


def test_a_message_that_never_came_is_late_even_if_no_other_came() -> None:
    rows: list[Row] = [
        {"process": "a", "kind": "send", "message": 1, "peer": "b", "true_time_ns": 0},
        {"process": "b", "kind": "internal", "true_time_ns": 100},
    ]
    found = run(rows, bounds={"delay_ns": 20}, channels={"reliable": True})
    assert [v.anomaly for v in found.violations] == ["message-not-in-time"]
    assert run(rows, bounds={"delay_ns": 200}, channels={"reliable": True}).verdict is Verdict.UNKNOWN
