"""clock.vector where no message says how one process learned of another: vectors against each other."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.oracle.clocks import Recorder, contradictory, recorded
from tests.strategies import PROCESSES, examples, executions, trace_of, with_seq
from tracekit.execution import Execution, Options
from tracekit.kernels import engine
from tracekit.order.program import ProgramOrder
from tracekit.order.recovered import Contradictions
from tracekit.registry import checks
from tracekit.results import CheckResult, Verdict
from tracekit.trace.run import Run

Row = dict[str, Any]
OPEN_ENDED = Run(coverage={p: {"start": True, "end": False} for p in PROCESSES})


def event(process: str, seq: int, *vclock: int) -> Row:
    return {"process": process, "seq": seq, "kind": "internal", "vclock": list(vclock)}


def judge(rows: list[Row], run: Run | None = None) -> CheckResult:
    return checks()["clock.vector"].run(Execution(trace_of(rows, run=run or Run())), Options())


@pytest.fixture(params=["interpreted", "compiled"], autouse=True)
def mode(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "COMPILE_FROM", 1 << 60 if request.param == "interpreted" else 0)


@examples(300)
@given(
    executions(),
    st.sampled_from(
        [Recorder(), Recorder(start=1), Recorder(start=-1), Recorder(internal=False), Recorder(receive=False)]
    ),
    st.data(),
)
def test_vectors_of_an_execution_contradict_nothing_however_few_were_recorded(
    rows: list[Row], recorder: Recorder, data: st.DataObject
) -> None:
    rows = recorded(with_seq(rows), recorder, PROCESSES)
    kept = data.draw(st.lists(st.sampled_from(range(len(rows))), unique=True)) if rows else []
    left = [{k: v for k, v in rows[i].items() if k != "message"} for i in sorted(kept)]
    trace = trace_of(left, run=OPEN_ENDED)
    if left:
        assert not len(Contradictions.of(trace, ProgramOrder.of(trace)).rows)
        assert judge(left, OPEN_ENDED).verdict is not Verdict.VIOLATED


@examples(400)
@given(st.lists(st.tuples(st.sampled_from("abc"), *[st.integers(0, 3)] * 3), min_size=1, max_size=8))
def test_there_is_one_exactly_if_the_definition_says_so(steps: list[tuple[str, int, int, int]]) -> None:
    """Where vectors fall nowhere along a process: that is an error of its own."""
    now: dict[str, list[int]] = {}
    rows = []
    for process, *grown in steps:
        before = now.get(process, [0, 0, 0])
        now[process] = [max(v, w) for v, w in zip(before, grown, strict=True)]
        rows.append({"process": process, "kind": "internal", "vclock": [*now[process], 0]})
    rows = with_seq(rows)
    trace = trace_of(rows, run=OPEN_ENDED)
    found = Contradictions.of(trace, ProgramOrder.of(trace))
    pairs = set(zip(found.rows.tolist(), found.others.tolist(), strict=True))
    expected = contradictory(rows, PROCESSES)
    assert pairs <= expected
    assert bool(pairs) == bool(expected)


def test_two_events_that_know_of_each_other() -> None:
    rows = [
        event(p, i, *v) for p, vs in {"a": [(1, 1), (2, 1)], "b": [(1, 1), (1, 2)]}.items() for i, v in enumerate(vs)
    ]
    found = judge(rows)
    assert found.verdict is Verdict.VIOLATED and found.violations_total == 1
    violation = found.violations[0]
    assert violation.anomaly == "knowledge-from-the-future" and "neither can have been first" in violation.summary
    assert {e.event for e in violation.events} == {"a:0", "b:0"}


LESS = [
    event("a", 0, 1, 0, 0),
    event("a", 1, 2, 0, 0),
    event("b", 0, 2, 1, 0),
    event("c", 0, 0, 0, 1),
    event("c", 1, 0, 1, 2),
    event("c", 2, 0, 1, 3),
]
"""c:1 and c:2 know of b:0 but not of the events of a that b:0 knew."""


def test_an_event_that_is_known_without_what_it_knew() -> None:
    found = judge(LESS)
    assert found.verdict is Verdict.VIOLATED and found.violations_total == 1
    violation = found.violations[0]
    assert violation.anomaly == "missing-merge" and violation.events[-1].event == "c:1"
    assert (violation.facts["component"], violation.facts["recorded"], violation.facts["expected"]) == ("a", 0, 2)
    assert judge(LESS, OPEN_ENDED).verdict is Verdict.VIOLATED, "no missing event excuses it"


def test_one_message_with_an_id_does_not_hide_it() -> None:
    sent = [{**event("d", 0, 0, 0, 0, 1), "kind": "send", "message": 1}]
    unknown = [{**row, "kind": "receive"} if row["vclock"] == [0, 1, 2] else row for row in LESS]
    assert judge([*sent, *unknown]).verdict is Verdict.VIOLATED


def test_what_follows_from_a_clock_that_fell_is_counted_with_it() -> None:
    fell = [event("b", 1, 0, 2, 0), event("b", 2, 2, 3, 0), event("b", 3, 2, 4, 0)]
    found = judge([*LESS, *fell])
    assert {v.anomaly for v in found.violations} == {"clock-went-back"}


def test_more_events_than_were_recorded_are_known() -> None:
    rows = [event("a", i, i + 1, 0) for i in range(3)] + [event("b", 0, 9, 1), event("b", 1, 9, 2)]
    found = judge(rows)
    assert found.verdict is Verdict.UNKNOWN and "know more events of a process than it recorded" in found.reasons[-1]
    assert judge(rows, OPEN_ENDED).verdict is Verdict.HOLDS
    untimed = [{"process": "a", "seq": i, "kind": "internal"} for i in range(3, 9)]
    assert judge([*rows, *untimed]).verdict is Verdict.HOLDS, "events without vectors may have ticked"
