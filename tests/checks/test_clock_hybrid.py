"""clock.hybrid: silent on every way to keep hybrid clocks, and every mistake in them is one error where it is made."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.oracle import order
from tests.oracle.hybrid import Fault, Recorder, condition_breaks, stamps
from tests.strategies import PROCESSES, examples, executions, trace_of, with_seq
from tracekit.analysis import analyze
from tracekit.execution import Execution
from tracekit.kernels import engine
from tracekit.results import CheckResult, Verdict
from tracekit.trace.run import Run

Row = dict[str, Any]
Stamp = tuple[int, int]
CHECK = "clock.hybrid"
PAPER = Recorder()
RECORDERS = [
    PAPER,
    *(Recorder(unit=10**power) for power in (3, 6, 9)),
    Recorder(first=1),
    Recorder(step=3),
    Recorder(receive=False),
    Recorder(internal=False, receive=False),
    Recorder(internal=False, send=False, receive=False),
]
MILLISECOND = 10**6
EVIDENCE: list[Row] = [
    {"process": p, **event}
    for number, p in enumerate("abc")
    for k in range(5)
    for event in (
        {"kind": "internal"},
        {"kind": "send", "message": 10 * number + k},
        {"kind": "send", "message": 30 + 10 * number + k},
        {"kind": "internal"},
        *([{"kind": "receive", "message": 10 * (number - 1) + k}] if number else []),
    )
]
"""Enough events of each class to tell the rules; one mistake does not change them."""


@pytest.fixture(params=["interpreted", "compiled"])
def mode(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "COMPILE_FROM", 1 << 60 if request.param == "interpreted" else 0)


@st.composite
def runs(draw: st.DrawFn) -> tuple[list[Row], list[int]]:
    """An execution of a, b and c between two times the evidence, and the readings of their clocks, in ns, which are off
    by up to two seconds and stand still now and then."""
    rows = with_seq([*EVIDENCE, *draw(executions(12, 3)), *[later(row) for row in EVIDENCE]])
    offset = {p: draw(st.integers(0, 2 * 10**8)) * 10 + 3 for p in PROCESSES}
    dice = draw(st.randoms(use_true_random=False))
    readings, clock, middle = [], 0, range(len(EVIDENCE), len(rows) - len(EVIDENCE))
    for number, row in enumerate(rows):
        clock += dice.choice([0, 0, 7, 13 * MILLISECOND, 7 * 10**8]) if number in middle else (number % 3) * 41 * 10**7
        readings.append(10**15 + clock + offset[row["process"]])
    return rows, readings


def leading(drawn: tuple[list[Row], list[int]]) -> tuple[list[Row], list[int]]:
    """a's clock is far ahead: the others' timestamps live on what they heard of it."""
    rows, readings = drawn
    return rows, [r + 10**12 * (row["process"] == "a") for row, r in zip(rows, readings, strict=True)]


def shown(rows: list[Row]) -> list[int]:
    """Rows of a behind the evidence: with a clock far ahead, it has shown by then that l is its own reading."""
    return [i for i in range(len(EVIDENCE), len(rows)) if rows[i]["process"] == "a"]


def later(row: Row) -> Row:
    return {**row, "message": row["message"] + 1000} if "message" in row else row


def stamped(rows: list[Row], found: list[Stamp], readings: list[int] | None = None) -> list[Row]:
    return [
        {
            **row,
            **({} if readings is None else {"time_ns": readings[i]}),
            "hlc.physical_ns": found[i][0],
            "hlc.logical": found[i][1],
        }
        for i, row in enumerate(rows)
    ]


def run(rows: list[Row], said: Run | None = None) -> CheckResult:
    result = analyze(Execution(trace_of(rows, run=said or Run())), check=[CHECK])
    return next(c for c in result.checks if c.check == CHECK)


def told(found: CheckResult) -> list[tuple[str, str]]:
    return [(v.anomaly, v.facts["at"]) for v in found.violations]


def only(rows: list[Row], found: list[Stamp], readings: list[int], anomaly: str, row: int) -> CheckResult:
    """The one mistake is found, named and located, and nothing else is."""
    result = run(stamped(rows, found, readings))
    assert told(result) == [(anomaly, f"row {row}")], (result.violations, result.method)
    assert result.violations_total == 1
    return result


def draw_row(data: st.DataObject, able: list[int]) -> int:
    assume(able)
    return int(data.draw(st.sampled_from(able)))


def before(rows: list[Row], row: int) -> int:
    return max((i for i in range(row) if rows[i]["process"] == rows[row]["process"]), default=-1)


@pytest.mark.usefixtures("mode")
class TestAgainstTheDefinition:
    @examples(500)
    @given(executions(), st.data())
    def test_any_timestamps(self, rows: list[Row], data: st.DataObject) -> None:
        rows = with_seq(rows)
        assume(rows)
        found = [(data.draw(st.integers(0, 4)), data.draw(st.integers(0, 3))) for _ in rows]
        less, equal = condition_breaks(found, order.happens_before(rows, order.message_edges(rows)))
        result = run(stamped(rows, found))
        said = {v.anomaly for v in result.violations}
        if less:
            assert result.verdict is Verdict.VIOLATED
        elif result.verdict is Verdict.VIOLATED:
            assert equal or said == {"wrong-count"}
        elif result.verdict is Verdict.HOLDS:
            assert not equal or "do not tick" in result.method

    @examples(300)
    @given(runs(), st.data())
    def test_any_other_timestamp_is_found(self, drawn: tuple[list[Row], list[int]], data: st.DataObject) -> None:
        rows, readings = leading(drawn)
        found = stamps(rows, readings, PAPER)
        wrong = data.draw(st.tuples(st.integers(-3, 3), st.integers(-3, 3)).filter(any))
        able = [i for i in range(len(rows)) if before(rows, i) >= 0]
        row = draw_row(data, shown(rows) if wrong[0] else able)
        found[row] = (found[row][0] + wrong[0], found[row][1] + wrong[1])
        result = run(stamped(rows, found, readings))
        assert result.verdict is Verdict.VIOLATED
        assert result.violations_total == 1, result.violations


@pytest.mark.parametrize("recorder", RECORDERS, ids=str)
@examples(60)
@given(drawn=runs(), timed=st.booleans())
def test_correct_clocks_are_silent_however_they_are_kept(
    recorder: Recorder, drawn: tuple[list[Row], list[int]], timed: bool
) -> None:
    rows, readings = drawn
    result = run(stamped(rows, stamps(rows, readings, recorder), readings if timed else None))
    assert result.verdict is Verdict.HOLDS, (result.violations, result.reasons)
    assert ("internal events do not tick" in result.method) == (not recorder.internal)
    assert ("receives do not tick" in result.method) == (not recorder.receive)
    assert ("sends do not tick" in result.method) == (not recorder.send)
    if recorder.unit == 10**6:
        assert ("l is time_ns in whole ms (inferred)" in result.method) == timed


@examples(100)
@given(runs(), st.sampled_from(RECORDERS), st.integers(-900, 900).filter(bool))
def test_a_reading_taken_at_another_moment_spoils_nothing(
    drawn: tuple[list[Row], list[int]], recorder: Recorder, off: int
) -> None:
    rows, readings = drawn
    found = stamps(rows, readings, recorder)
    result = run(stamped(rows, found, [reading + off for reading in readings]))
    assert result.verdict is Verdict.HOLDS, (result.violations, result.method)


@pytest.mark.parametrize("step", [1, 10**6])
@pytest.mark.parametrize("unit", [1, 10**6])
def test_a_single_reading_taken_later_is_an_error_only_on_a_clock_that_would_show_every_other(
    step: int, unit: int
) -> None:
    rows = with_seq(EVIDENCE)
    readings = [10**15 + (7 * i + 3) * 10**6 // step * step + (i % 7 if step == 1 else 0) for i in range(len(rows))]
    found = stamps(rows, readings, Recorder(unit=unit))
    readings[8] += 2 * 10**6
    result = run(stamped(rows, found, readings))
    if step == unit == 1:
        assert told(result) == [("behind-own-clock", "row 8")]
    else:
        assert result.verdict is Verdict.HOLDS
        assert "at 1 events l is not time_ns" in result.method


def test_one_process_whose_readings_are_not_its_clocks() -> None:
    rows = with_seq(EVIDENCE)
    readings = [10**15 + 7 * i * 10**6 + i % 7 for i in range(len(rows))]
    found = stamps(rows, readings, PAPER)
    shown = [reading + 40 * (row["process"] == "b") for row, reading in zip(rows, readings, strict=True)]
    result = run(stamped(rows, found, shown))
    assert result.verdict is Verdict.HOLDS, result.violations
    assert "l is not time_ns" in result.method


@examples(150)
@given(runs(), st.data())
def test_a_message_that_is_not_merged(drawn: tuple[list[Row], list[int]], data: st.DataObject) -> None:
    rows, readings = leading(drawn)
    right = stamps(rows, readings, PAPER)

    def lagging(i: int) -> bool:
        return stamps(rows, readings, PAPER, Fault(i, merges=False))[i] <= right[sender(rows, i)]

    row = draw_row(data, [i for i in range(len(rows)) if sender(rows, i) >= 0 and before(rows, i) >= 0 and lagging(i)])
    found = stamps(rows, readings, PAPER, Fault(row, merges=False))
    only(rows, found, readings, "receive-not-after-send", row)


def sender(rows: list[Row], row: int) -> int:
    if rows[row]["kind"] != "receive":
        return -1
    return next(i for i, r in enumerate(rows) if r["kind"] == "send" and r["message"] == rows[row]["message"])


@examples(150)
@given(runs(), st.data())
def test_a_clock_that_does_not_tick(drawn: tuple[list[Row], list[int]], data: st.DataObject) -> None:
    rows, readings = drawn
    row = draw_row(data, [i for i in range(len(rows)) if rows[i]["kind"] != "receive" and before(rows, i) >= 0])
    found = stamps(rows, readings, PAPER, Fault(row, ticks=False))
    only(rows, found, readings, "missing-increment", row)


@examples(150)
@given(runs(), st.booleans(), st.data())
def test_a_clock_that_begins_anew(drawn: tuple[list[Row], list[int]], crashed: bool, data: st.DataObject) -> None:
    rows, readings = leading(drawn)
    right = stamps(rows, readings, PAPER)
    able = [i for i in range(len(rows)) if before(rows, i) >= 0 and readings[i] < right[before(rows, i)][0]]
    row = draw_row(data, [i for i in able if rows[i]["kind"] in ("internal", "internal" if crashed else "send")])
    found = stamps(rows, readings, PAPER, Fault(row, resets=True))
    if crashed:
        rows = [{**r, "kind": "restart"} if i == row else r for i, r in enumerate(rows)]
    only(rows, found, readings, "restart-reset-clock" if crashed else "clock-went-back", row)


@examples(150)
@given(runs(), st.integers(1, 10**12), st.data())
def test_an_l_that_no_clock_has_shown(drawn: tuple[list[Row], list[int]], ahead: int, data: st.DataObject) -> None:
    rows, readings = leading(drawn)
    row = draw_row(data, shown(rows))
    found = stamps(rows, readings, PAPER, Fault(row, shift=(ahead, 0)))
    only(rows, found, readings, "ahead-of-every-clock", row)


@examples(150)
@given(runs(), st.data())
def test_a_clock_that_is_not_read(drawn: tuple[list[Row], list[int]], data: st.DataObject) -> None:
    rows, readings = leading(drawn)
    right = stamps(rows, readings, PAPER)
    row = draw_row(
        data, [i for i in shown(rows) if stamps(rows, readings, PAPER, Fault(i, reads=False))[i] != right[i]]
    )
    found = stamps(rows, readings, PAPER, Fault(row, reads=False))
    only(rows, found, readings, "behind-own-clock", row)


@examples(150)
@given(runs(), st.integers(1, 9), st.booleans(), st.data())
def test_a_count_that_jumps(drawn: tuple[list[Row], list[int]], more: int, goes_on: bool, data: st.DataObject) -> None:
    rows, readings = drawn
    row = draw_row(data, [i for i in range(len(rows)) if before(rows, i) >= 0])
    found = stamps(rows, readings, PAPER, Fault(row, shift=(0, more)))
    if not goes_on:
        right = stamps(rows, readings, PAPER)
        found = [*right[:row], found[row], *right[row + 1 :]]
    only(rows, found, readings, "wrong-count", row)


BASE: list[Row] = [
    {"process": "a", "kind": "internal", "time_ns": 100},
    {"process": "a", "kind": "send", "message": 1, "time_ns": 100},
    {"process": "b", "kind": "internal", "time_ns": 90},
    {"process": "b", "kind": "receive", "message": 1, "time_ns": 91},
    {"process": "b", "kind": "internal", "time_ns": 92},
]


class TestWhatIsSaid:
    def test_a_violation(self) -> None:
        found = run(stamped(with_seq(BASE), [(100, 0), (100, 1), (90, 0), (91, 0), (92, 0)]))
        (violation,) = found.violations
        assert violation.summary == "b:1 is stamped (91, 0), not later than what it heard of: (100, 1) at a:1."
        assert [e.event for e in violation.events] == ["a:1", "b:1"]
        assert violation.facts == {
            "rule": "a receive is later than its send",
            "recorded": "(91, 0)",
            "expected": "at least (100, 2)",
            "at": "row 3",
            "consequences": 0,
        }
        assert [(e.start, e.end, e.reason) for e in violation.edges] == [("a:1", "b:1", "message 1")]

    def test_too_little_to_tell_whether_receives_tick(self) -> None:
        found = run(stamped(with_seq(BASE), [(100, 0), (100, 1), (90, 0), (100, 1), (100, 2)]))
        assert found.verdict is Verdict.UNKNOWN
        assert "1 receives keep the timestamp before and 0 advance it" in found.reasons[0]

    def test_events_with_half_a_timestamp(self) -> None:
        rows = stamped(with_seq(BASE), [(100, 0), (100, 1), (90, 0), (100, 2), (100, 3)])
        del rows[4]["hlc.logical"]
        found = run(rows)
        assert found.verdict is Verdict.UNKNOWN
        assert found.reasons == ("1 events have one half of a timestamp (hlc.physical_ns or hlc.logical)",)

    def test_one_half_is_not_recorded_at_all(self) -> None:
        rows = [{**row, "hlc.physical_ns": 5} for row in with_seq(BASE)]
        assert run(rows).reasons == ("hlc.logical is not recorded",)

    @pytest.mark.parametrize("huge", [2**63 - 1, -(2**63)])
    def test_the_largest_numbers(self, huge: int) -> None:
        rows = stamped(with_seq(BASE), [(huge, huge), (huge, huge), (90, 0), (huge, huge), (92, 0)])
        assert run(rows).verdict is Verdict.VIOLATED
        rows = [{**row, "time_ns": -huge - 1} for row in rows]
        assert run(rows).verdict is Verdict.VIOLATED

    def test_two_rows_of_one_event_and_a_gap(self) -> None:
        rows = stamped(with_seq(BASE), [(100, 0), (100, 1), (90, 0), (100, 2), (100, 3)])
        again = {**rows[4], "hlc.logical": 4}
        assert told(run([*rows, again])) == [("duplicate-event", "row 5")]
        whole = Run(coverage={p: {"start": True, "end": True} for p in PROCESSES})
        assert told(run([*rows, {**again, "seq": 5}], whole)) == [("missing-event", "row 5")]

    def test_nothing_is_ordered_by_hybrid_clocks(self) -> None:
        rows = [{k: v for k, v in row.items() if k != "message"} for row in with_seq(BASE)]
        execution = Execution(trace_of(stamped(rows, [(100, 0), (100, 1), (90, 0), (91, 0), (92, 0)])))
        assert len(execution.happens_before.receives) == 0
        assert analyze(execution).verdict is not Verdict.VIOLATED
