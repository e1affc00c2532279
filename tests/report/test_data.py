"""The data behind the page, without any HTML."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.report.runs import MILLISECOND, Script, figure8, hostile, quiet, stale_read, summary
from tracekit.execution import Execution
from tracekit.report.html.charts import events_over_time, faults, raft_terms
from tracekit.report.html.data import BEGINNING, counts, headline, report_data
from tracekit.report.html.events import EventTable, Surroundings, Times, beginning, carried, plain
from tracekit.report.html.page import inert
from tracekit.results import CheckResult, Result, Violation
from tracekit.trace.builder import TraceBuilder
from tracekit.trace.schema import Kind


def result_of(execution: Execution, *checks: CheckResult) -> Result:
    return Result(trace=summary(execution.trace, "x.parquet", ""), checks=checks, rests_on=())


def test_verdict_counts_and_headline_say_what_the_result_says() -> None:
    result, execution = figure8()
    data = report_data(result, execution)
    assert data["verdict"] == "violated"
    assert data["counts"] == {"holds": 5, "violated": 1, "unknown": 1, "not-applicable": 0}
    assert data["headline"] == "raft.commit-current-term: older term committed by counting"
    assert {c["check"]: c["verdict"] for c in data["checks"]} == {c.check: str(c.verdict) for c in result.checks}


def test_an_unfinished_or_empty_analysis_never_reads_as_a_pass() -> None:
    _, execution = quiet(1)
    undecided = CheckResult(check="a.b", required=True, reasons=("budget",))
    assert headline(result_of(execution, undecided)) == "a.b is undecided"
    assert headline(result_of(execution)) == "no required check examined anything, so nothing was decided"
    absent = CheckResult(check="a.b", required=True, applicable=False)
    assert "nothing was decided" in headline(result_of(execution, absent))
    assert counts(result_of(execution, absent))["holds"] == 0
    held = CheckResult(check="a.b", required=True, examined={"x": 1})
    assert headline(result_of(execution, held)).startswith("the one required check holds")


@pytest.mark.parametrize("run", [figure8, hostile, quiet])
def test_embedded_json_is_inert_and_reads_back_the_same(run: Any) -> None:
    data = report_data(*run())
    text = inert(data)
    assert text.isascii()
    assert not set(text) & set("<>&")
    assert json.loads(text) == data


def test_values_that_javascript_would_change_are_kept_as_text() -> None:
    assert plain(2**53) == str(2**53)
    assert plain(-(2**60)) == str(-(2**60))
    assert plain(2**53 - 1) == 2**53 - 1
    assert plain(math.nan) == "nan"
    assert plain(-math.inf) == "-inf"
    assert plain(True) is True
    assert plain([1, math.inf, {"k": 2**60}]) == [1, "inf", {"k": str(2**60)}]
    assert plain(np.int64(7)) == 7
    assert plain("x" * 3000).endswith("… (3,000 characters)")
    assert plain(list(range(1000)))[-1] == "… (1,000 entries)"


@st.composite
def executions(draw: st.DrawFn) -> Execution:
    """Small runs of up to four processes with messages that may be lost, doubled or overtake each other."""
    processes = [f"n{i}" for i in range(draw(st.integers(1, 4)))]
    builder = TraceBuilder(processes)
    sent: list[int] = []
    for _ in range(draw(st.integers(0, 24))):
        process = draw(st.sampled_from(processes))
        kind = draw(st.sampled_from(["internal", "send", "receive", "fault", "crash"]))
        fields: dict[str, Any] = {"process": process if kind != "fault" else "nemesis", "kind": kind}
        if kind == "send":
            fields["message"] = len(sent)
            sent.append(len(sent))
        elif kind == "receive" and sent:
            fields["message"] = draw(st.sampled_from(sent))
        if draw(st.booleans()):
            fields["raft.term"] = draw(st.integers(1, 3))
        if draw(st.booleans()):
            fields["true_time_ns"] = draw(st.integers(0, 50))
        builder.add(fields)
    return Execution(builder.build())


def closure(execution: Execution) -> np.ndarray[Any, Any]:
    """Happens-before by its definition: steps within a process and from send to receive, closed transitively."""
    trace, n = execution.trace, len(execution.trace)
    before = np.zeros((n, n), np.bool_)
    message = trace.get("message")
    fault = trace.kind == Kind.FAULT
    for a in range(n):
        for b in range(n):
            same = trace.process[a] == trace.process[b] and trace.seq[a] < trace.seq[b]
            sent = (
                message is not None
                and trace.kind[a] == Kind.SEND
                and trace.kind[b] == Kind.RECEIVE
                and message.at(a) is not None
                and message.at(a) == message.at(b)
            )
            before[a, b] = (same or sent) and not fault[a] and not fault[b]
    for k in range(n):
        before |= np.outer(before[:, k], before[k])
    return before


@settings(max_examples=150, deadline=None)
@given(executions())
def test_the_page_carries_happens_before_exactly(execution: Execution) -> None:
    """The page's own rule on the clocks that it carries against the definition."""
    before = closure(execution)
    data = report_data(result_of(execution), execution)
    events = [data["events"][k] for k in data["run"]["events"]]
    assert len(events) == len(execution.trace)
    for a, first in enumerate(events):
        for b, second in enumerate(events):
            if first["clock"] is None or second["clock"] is None:
                found = False
            elif first["p"] == second["p"]:
                found = first["i"] < second["i"]
            else:
                found = second["clock"][first["p"]] > first["i"]
            assert found == before[a, b]


@settings(max_examples=150, deadline=None)
@given(executions(), st.data())
def test_surroundings_are_what_they_say(execution: Execution, data: st.DataObject) -> None:
    if not len(execution.trace):
        return
    before = closure(execution)
    near = Surroundings(execution)
    row = data.draw(st.integers(0, len(execution.trace) - 1))
    if execution.trace.kind[row] == Kind.FAULT:
        assert near.concurrent(row, 50) == []
        return
    past = set(np.flatnonzero(before[:, row]).tolist())
    future = set(np.flatnonzero(before[row]).tolist())
    outside = set(np.flatnonzero(execution.trace.kind == Kind.FAULT).tolist())
    assert set(near.past(row, 1000)) == past
    assert set(near.future(row, 1000)) == future
    assert set(near.concurrent(row, 1000)) == set(range(len(execution.trace))) - past - future - outside - {row}
    assert near.size_of_past(row) == len(past)
    for limit in (1, 3):
        assert len(near.past(row, limit)) == min(limit, len(past))
        assert set(near.past(row, limit)) <= past
        assert set(near.future(row, limit)) <= future


@settings(max_examples=150, deadline=None)
@given(executions())
def test_state_is_carried_along_its_process(execution: Execution) -> None:
    trace = execution.trace
    term = carried(execution, "raft.term")
    column = trace.get("raft.term")
    for row in range(len(trace)):
        earlier = [r for r in range(row + 1) if trace.process[r] == trace.process[row]]
        known = [] if column is None else [column.at(r) for r in earlier if column.at(r) is not None]
        assert term(row) == (known[-1] if known else None)


@settings(max_examples=150, deadline=None)
@given(executions())
def test_every_event_is_counted_once(execution: Execution) -> None:
    times = Times(execution)
    bins = events_over_time(execution, times)
    assert sum(sum(c) for c in bins["counts"].values()) + bins["absent"] == len(execution.trace)
    for kind, found in bins["counts"].items():
        wanted = sum(
            1 for r in range(len(execution.trace)) if Kind(execution.trace.kind[r]).label == kind and times.present[r]
        )
        assert sum(found) == wanted
    for k, start in enumerate(bins["starts"]):
        inside = sum(
            1
            for r in range(len(execution.trace))
            if times.present[r] and start <= times.values[r] - times.origin < start + bins["width"]
        )
        assert sum(c[k] for c in bins["counts"].values()) == inside


@settings(max_examples=150, deadline=None)
@given(executions())
def test_raft_spans_follow_the_recorded_terms(execution: Execution) -> None:
    """Against a replay, event by event."""
    trace, times = execution.trace, Times(execution)
    found = raft_terms(execution, times)
    column = trace.get("raft.term")
    wanted: list[list[Any]] = []
    for p, name in enumerate(trace.processes):
        term, current = None, None
        for row in execution.program_order.of_process(p).tolist():
            value = None if column is None else column.at(row)
            term = value if value is not None else term
            if not times.present[row] or term is None:
                continue
            if current is not None:
                wanted[-1][2] = times.at(row)
            if trace.kind[row] == Kind.CRASH:
                current = None
            elif term != current:
                wanted.append([name, times.at(row), times.at(row), int(term)])
                current = term
    if found is None:
        assert not wanted
        return
    assert sorted([found["processes"][s[0]], *s[1:4]] for s in found["spans"]) == sorted(wanted)
    assert found["shown"] == found["total"] == len(wanted)


def test_the_time_axis_is_named() -> None:
    for column, label in (("true_time_ns", "simulator"), ("time_ns", "processes"), ("index", "index")):
        builder = TraceBuilder(["a"])
        builder.add({"process": "a", "kind": "internal", column: 100})
        builder.add({"process": "a", "kind": "internal", column: 350})
        builder.add({"process": "a", "kind": "internal"})
        times = Times(Execution(builder.build()))
        assert label in times.label
        assert [times.at(0), times.at(1), times.at(2)] == [0, 250, None]
        assert times.absent == 1
    builder = TraceBuilder(["a"])
    builder.add({"process": "a", "kind": "internal"})
    assert "row" in Times(Execution(builder.build())).label


def test_fault_spans() -> None:
    s = Script(("n1",))
    script = (
        "partition",
        "heal",
        "one_way_partition",
        "heal",
        "slow",
        "slow-end",
        "start-kill",
        "stop-kill",
        "clock-step",
    )
    for name in script:
        s.event("nemesis", "fault", f"fault.{name}", 10)
    s.event("n1", "crash", None, 10)
    s.event("n1", "restart", None, 10)
    s.event("n1", "crash", None, 10)
    execution = Execution(s.builder.build())
    spans = faults(execution, Times(execution))["spans"]
    lengths = [(x["what"], None if x["end"] is None else (x["end"] - x["start"]) // MILLISECOND) for x in spans]
    assert lengths == [
        ("fault.partition", 10), ("fault.one_way_partition", 10), ("fault.slow", 10), ("fault.start-kill", 10),
        ("fault.clock-step", 0), ("crash", 10), ("crash", None),
    ]  # fmt: skip


def test_a_large_trace_is_bounded_and_says_which_part_is_shown() -> None:
    result, execution = quiet(1500)
    data = report_data(result, execution)
    n = len(execution.trace)
    assert n == 13_500
    assert data["run"]["of"] == n
    assert len(data["run"]["events"]) == BEGINNING
    assert data["run"]["whole"] is False
    assert len(data["events"]) <= EventTable(execution).limit
    shown = [data["events"][k]["t"] for k in data["run"]["events"]]
    times = Times(execution)
    assert sorted(t for t in shown) == sorted(times.values - times.origin)[:BEGINNING]


def test_the_beginning_takes_processes_alike_where_nothing_is_timed() -> None:
    builder = TraceBuilder(["a", "b"])
    for process in "ab":
        for _ in range(50):
            builder.add({"process": process, "kind": "internal"})
    execution = Execution(builder.build())
    rows = beginning(execution, Times(execution), 20)
    assert np.bincount(execution.trace.process[rows]).tolist() == [10, 10]


def test_a_full_table_refuses_and_does_not_forget() -> None:
    _, execution = figure8()
    table = EventTable(execution)
    table.limit = 3
    assert table.add([0, 1, 2, 3, 1]) == [0, 1, 2, 1]
    assert table.add([5], always=True) == [3]
    assert table.room < 0


def test_many_processes_cost_no_more_than_few() -> None:
    builder = TraceBuilder()
    for k in range(3000):
        builder.add({"process": f"p{k}", "kind": "send", "message": k})
        builder.add({"process": f"p{(k + 1) % 3000}", "kind": "receive", "message": k})
    execution = Execution(builder.build())
    check = CheckResult(
        check="a.b", required=True, violations_total=1, violations=(Violation("x", "s", execution.witness([10, 3001])),)
    )
    data = report_data(result_of(execution, check), execution)
    assert len(inert(data)) < 3_000_000
    carried_lanes = {e["p"] for e in data["events"]}
    assert carried_lanes == set(range(len(carried_lanes)))
    assert all(len(e["clock"]) == len(carried_lanes) for e in data["events"])


def test_several_runs_share_the_page() -> None:
    result, execution = figure8()
    data = report_data(result, execution, 0.001)
    assert len(data["events"]) < len(execution.trace)
    assert data["run"]["whole"] is False
    for violation in result.checks[0].violations:
        for event in violation.events:
            assert any(e["id"] == event.event for e in data["events"])


def test_an_event_that_the_recording_does_not_hold_is_kept_as_text() -> None:
    result, execution = figure8()
    violation = result.checks[0].violations[0]
    stranger = type(violation.events[0])("elsewhere:7", "happened elsewhere", "other.log:7")
    changed = type(violation)("a", "s", (stranger, *violation.events[:1]))
    check = CheckResult(check="a.b", required=True, violations=(changed,), violations_total=9)
    data = report_data(result_of(execution, check), execution)
    witness = data["checks"][0]["violations"][0]["witness"]
    assert witness[0] == {"event": "elsewhere:7", "text": "happened elsewhere", "source": "other.log:7", "number": None}
    assert data["events"][witness[1]["number"]]["id"] == violation.events[0].event
    assert data["checks"][0]["violations_total"] == 9


def test_arrows_may_come_from_recorded_vectors() -> None:
    builder = TraceBuilder(["a", "b"])
    builder.add({"process": "a", "kind": "internal", "vclock": [1, 0]})
    builder.add({"process": "b", "kind": "internal", "vclock": [0, 1]})
    builder.add({"process": "b", "kind": "internal", "vclock": [1, 2]})
    execution = Execution(builder.build())
    data = report_data(result_of(execution), execution)
    assert "vector" in data["order"]
    events = {e["id"]: e for e in data["events"]}
    assert [name for _, name in events["b:1"]["senders"]] == ["a:0"]
    assert "senders" not in events["b:0"]
    assert events["a:0"]["reaches"] is True


def test_a_cycle_of_messages_is_told_and_breaks_nothing() -> None:
    builder = TraceBuilder(["a", "b"])
    for process, received, sent in (("a", 2, 1), ("b", 1, 2)):
        builder.add({"process": process, "kind": "receive", "message": received})
        builder.add({"process": process, "kind": "send", "message": sent})
    execution = Execution(builder.build())
    data = report_data(result_of(execution), execution)
    assert [e["id"] for e in data["events"] if e.get("unordered")] == ["a:0", "a:1", "b:0", "b:1"]


def test_lost_and_unsent_messages_are_marked() -> None:
    builder = TraceBuilder(["a", "b"])
    builder.add({"process": "a", "kind": "send", "message": 1})
    builder.add({"process": "a", "kind": "send", "message": 2})
    builder.add({"process": "b", "kind": "receive", "message": 2})
    builder.add({"process": "b", "kind": "receive", "message": 3})
    execution = Execution(builder.build())
    events = report_data(result_of(execution), execution)["events"]
    assert [bool(e.get("lost")) for e in events] == [True, False, False, False]
    assert [bool(e.get("orphan")) for e in events] == [False, False, False, True]
    assert [bool(e.get("reaches")) for e in events] == [False, True, False, False]


def test_operations_come_with_both_their_ends() -> None:
    data = report_data(*stale_read())
    events = data["events"]
    violation = data["checks"][0]["violations"][0]
    assert [events[k]["id"] for k in violation["partners"]] == ["c1:0", "c1:2", "c2:0"]
    for event in events:
        if event["id"] == "c3:0":
            assert "partner" not in event
        else:
            partner = events[event["partner"]]
            assert partner["p"] == event["p"]
            assert {event["kind"], partner["kind"]} == {"invoke", "ok"}
            assert events[partner["partner"]] is event
