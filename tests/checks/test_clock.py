"""clock.lamport and clock.vector against their definitions, and against every mistake that has a name."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.oracle import clocks, order
from tests.strategies import PROCESSES, examples, executions, trace_of, with_seq
from tracekit.analysis import analyze
from tracekit.execution import Execution
from tracekit.kernels import engine
from tracekit.results import CheckResult, Verdict

Row = dict[str, Any]


@pytest.fixture(params=["interpreted", "compiled"])
def mode(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "COMPILE_FROM", 1 << 60 if request.param == "interpreted" else 0)


def run(rows: list[Row], check: str) -> CheckResult:
    result = analyze(Execution(trace_of(rows)), check=[check])
    return next(c for c in result.checks if c.check == check)


def with_true_clocks(rows: list[Row]) -> list[Row]:
    rows = with_seq(rows)
    before = order.happens_before(rows, order.message_edges(rows))
    stamps, vectors = order.lamport(rows, before), clocks.vectors(rows, before, PROCESSES)
    return [{**row, "lamport": c, "vclock": v} for row, c, v in zip(rows, stamps, vectors, strict=True)]


@pytest.mark.usefixtures("mode")
class TestAgainstDefinition:
    @examples(300)
    @given(executions(), st.data())
    def test_lamport(self, rows: list[Row], data: st.DataObject) -> None:
        rows = [{**row, "lamport": data.draw(st.integers(0, 9))} for row in with_seq(rows)]
        before = order.happens_before(rows, order.message_edges(rows))
        found = run(rows, "clock.lamport") if rows else CheckResult(applicable=False)
        assume("do not tick" not in found.method and not found.reasons and "zeros" not in str(found.facts))
        breaks = clocks.lamport_condition_breaks([row["lamport"] for row in rows], before)
        assert (found.verdict is Verdict.VIOLATED) == bool(breaks)

    @examples(300)
    @given(executions(), st.data())
    def test_vector(self, rows: list[Row], data: st.DataObject) -> None:
        rows = with_true_clocks(rows)
        assume(any(row["kind"] == "send" for row in rows))
        assert run(rows, "clock.vector").verdict is Verdict.HOLDS
        at = data.draw(st.integers(0, len(rows) - 1))
        component = data.draw(st.integers(0, len(PROCESSES) - 1))
        old = rows[at]["vclock"][component]
        new = data.draw(st.integers(0, 20).filter(lambda v: v != old))
        rows[at] = {**rows[at], "vclock": [new if c == component else v for c, v in enumerate(rows[at]["vclock"])]}
        found = run(rows, "clock.vector")
        if found.verdict is not Verdict.VIOLATED:
            first_of_own = rows[at]["process"] == PROCESSES[component] and rows[at]["seq"] == 0
            undecided = "do not tick" in found.method or found.reasons
            assert first_of_own or undecided, "only the first value of a process is free"


@examples(200)
@given(executions())
def test_true_clocks_are_silent(rows: list[Row]) -> None:
    result = analyze(trace_of(with_true_clocks(rows)))
    assert all(c.verdict is not Verdict.VIOLATED for c in result.checks)


BASE: list[Row] = [
    {"process": "a", "kind": "internal"},
    {"process": "a", "kind": "send", "message": 1, "peer": "b"},
    {"process": "b", "kind": "internal"},
    {"process": "b", "kind": "receive", "message": 1, "peer": "a"},
    {"process": "b", "kind": "internal"},
    {"process": "a", "kind": "internal"},
    *({"process": "c", "kind": "internal"} for _ in range(4)),
]


def changed(row: int, **fields: Any) -> list[Row]:
    rows = with_true_clocks(BASE)
    rows[row] = {**rows[row], **fields}
    return rows


@pytest.mark.parametrize(
    ("row", "value", "anomaly", "at"),
    [
        (1, 0, "clock-went-back", "a:1"),
        (1, 1, "missing-increment", "a:1"),
        (3, 2, "receive-not-after-send", "b:1"),
    ],
)
def test_lamport_mistakes_have_names(row: int, value: int, anomaly: str, at: str) -> None:
    found = run(changed(row, lamport=value), "clock.lamport")
    first = found.violations[0]
    assert (first.anomaly, first.events[-1].event) == (anomaly, at)
    assert str(value) in first.summary


@pytest.mark.parametrize(
    ("row", "value", "anomaly", "at"),
    [
        (1, [0, 0, 0, 0], "clock-went-back", "a:1"),
        (1, [1, 0, 0, 0], "missing-increment", "a:1"),
        (1, [5, 0, 0, 0], "own-component-jumped", "a:1"),
        (3, [0, 2, 0, 0], "missing-merge", "b:1"),
        (3, [3, 2, 0, 0], "knowledge-from-the-future", "b:1"),
        (4, [2, 3, 1, 0], "knowledge-from-the-future", "b:2"),
        (4, [2, 3, 0, 1], "unknown-process", "b:2"),
        (4, [1, 3, 0, 0], "clock-went-back", "b:2"),
    ],
)
def test_vector_mistakes_have_names(row: int, value: list[int], anomaly: str, at: str) -> None:
    found = run(changed(row, vclock=value), "clock.vector")
    first = found.violations[0]
    assert (first.anomaly, first.events[-1].event) == (anomaly, at)
    assert set(first.facts) == {"rule", "component", "recorded", "expected", "at", "consequences"}


def test_one_wrong_clock_is_told_where_it_arises_and_not_at_all_that_follows() -> None:
    rows: list[Row] = [{"process": "a", "kind": "send", "message": i} for i in range(50)]
    rows += [{"process": "b", "kind": "receive", "message": i} for i in range(50)]
    rows = with_true_clocks(rows)
    for row in rows[25:50]:
        row["vclock"] = [row["vclock"][0] + 1, *row["vclock"][1:]]
    for row in rows[75:]:
        row["vclock"] = [row["vclock"][0] + 1, *row["vclock"][1:]]
    found = run(rows, "clock.vector")
    assert (found.violations_total, found.violations[0].events[-1].event) == (1, "a:25")


def test_a_recorder_whose_internal_events_do_not_tick_is_taken_at_its_convention() -> None:
    rows = [{"process": "a", "kind": "internal", "lamport": 3, "vclock": [3]} for _ in range(6)]
    for check in ("clock.lamport", "clock.vector"):
        found = run(rows, check)
        assert found.verdict is Verdict.HOLDS
        assert "internal events do not tick (inferred: 5 of 5 keep the clock)" in found.method


def test_events_without_timestamps_are_passed_over() -> None:
    rows = with_true_clocks(BASE)
    del rows[1]["lamport"], rows[1]["vclock"]
    assert run(rows, "clock.lamport").verdict is Verdict.HOLDS
    rows[5]["lamport"] = 1
    assert run(rows, "clock.lamport").violations[0].events[0].event == "a:0"


def test_without_messages_knowledge_may_have_come_from_anywhere() -> None:
    rows = [
        {"process": "a", "kind": "internal", "vclock": [1, 0]},
        {"process": "b", "kind": "internal", "vclock": [1, 1]},
    ]
    assert run(rows, "clock.vector").verdict is Verdict.HOLDS
