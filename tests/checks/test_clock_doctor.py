"""Every mistake that a recorder of clocks can make, in otherwise correct executions under every convention."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given
from hypothesis import strategies as st

from tests.oracle import order
from tests.oracle.clocks import Fault, Recorder, recorded, vectors
from tests.strategies import PROCESSES, examples, executions, trace_of, with_seq
from tracekit.execution import Execution, Options
from tracekit.kernels import engine
from tracekit.registry import checks
from tracekit.results import CheckResult, Verdict
from tracekit.trace.run import Run

Row = dict[str, Any]
BOTH = ("clock.lamport", "clock.vector")
WHOLE = Run(coverage={p: {"start": True, "end": True} for p in PROCESSES})
RECORDERS = [
    *(Recorder(start=start) for start in (-1, 0, 1)),
    *(Recorder(internal=False, start=start) for start in (0, 1)),
    *(Recorder(internal=False, receive=False, start=start) for start in (0, 1)),
    Recorder(receive=False),
]
EVIDENCE: list[Row] = [
    {"process": p, **event}
    for p, events in {
        "a": [{"kind": "send", "message": m} for m in range(5)] + [{"kind": "internal"}] * 4,
        "b": [{"kind": "send", "message": m} for m in range(10, 30)] + [{"kind": "internal"}] * 4,
        "c": [{"kind": "send", "message": m} for m in range(30, 50)] + [{"kind": "internal"}] * 4,
    }.items()
    for event in events
] + [{"process": p, "kind": "receive", "message": m} for m in range(5) for p in "bc"]
"""Enough events of each class to tell the convention; one mistake does not change it."""


@st.composite
def runs(draw: st.DrawFn) -> list[Row]:
    """Executions of a, b and c that end with the evidence; places are written out."""
    return with_seq([*draw(executions(12, 3)), *EVIDENCE])


def run(rows: list[Row], check: str, said: Run | None = None) -> CheckResult:
    return checks()[check].run(Execution(trace_of(rows, run=said or Run())), Options())


def only(rows: list[Row], check: str, anomaly: str, row: int, said: Run | None = None) -> CheckResult:
    """The one mistake is found, named and located, and nothing else is."""
    found = run(rows, check, said)
    told = [(v.anomaly, v.facts["at"]) for v in found.violations]
    assert told == [(anomaly, f"row {row}")], (found.violations, found.method)
    assert found.violations_total == 1
    return found


def at_process(rows: list[Row], row: int) -> list[int]:
    return [i for i, other in enumerate(rows) if other["process"] == rows[row]["process"]]


def before(rows: list[Row], row: int) -> int | None:
    return max((i for i in at_process(rows, row) if i < row), default=None)


def sender(rows: list[Row], row: int) -> int | None:
    if rows[row]["kind"] != "receive":
        return None
    return next(i for i, r in enumerate(rows) if r["kind"] == "send" and r["message"] == rows[row]["message"])


def own(row: Row) -> int:
    return int(row["vclock"][PROCESSES.index(row["process"])])


@examples(150)
@given(executions())
def test_the_algorithm_gives_the_vectors_of_the_definition(rows: list[Row]) -> None:
    rows = with_seq(rows)
    past = order.happens_before(rows, order.message_edges(rows))
    assert [r["vclock"] for r in recorded(rows, Recorder(), PROCESSES)] == vectors(rows, past, PROCESSES)


@pytest.mark.parametrize("recorder", RECORDERS, ids=str)
@examples(60)
@given(rows=runs(), whole=st.booleans())
def test_correct_clocks_are_silent_under_each_convention(recorder: Recorder, rows: list[Row], whole: bool) -> None:
    stamped = recorded(rows, recorder, PROCESSES)
    for check in BOTH:
        found = run(stamped, check, WHOLE if whole else None)
        assert found.verdict is Verdict.HOLDS, (found.violations, found.reasons)
        assert ("internal events do not tick" in found.method) == (not recorder.internal)
        assert ("receives do not tick" in found.method) == (not recorder.receive)
        assert ("every event ticks" in found.method) == (recorder.internal and recorder.receive)


any_recorder = st.sampled_from(RECORDERS)


@examples(100)
@given(runs(), any_recorder, st.data())
def test_a_missing_increment_and_all_that_follows_are_one_error(
    rows: list[Row], recorder: Recorder, data: st.DataObject
) -> None:
    ticking = {"send"} | ({"internal"} if recorder.internal else set())
    able = [i for i, r in enumerate(rows) if r["kind"] in ticking and before(rows, i) is not None]
    row = data.draw(st.sampled_from(able))
    wrong = recorded(rows, recorder, PROCESSES, Fault(row, tick=0))
    for check in BOTH:
        found = only(wrong, check, "missing-increment", row)
        assert found.violations[0].facts["consequences"] == 0


@examples(100)
@given(runs(), any_recorder, st.integers(2, 9), st.data())
def test_a_jump_of_the_own_component(rows: list[Row], recorder: Recorder, tick: int, data: st.DataObject) -> None:
    able = [i for i in range(len(rows)) if before(rows, i) is not None]
    row = data.draw(st.sampled_from(able))
    wrong = recorded(rows, recorder, PROCESSES, Fault(row, tick=tick))
    found = only(wrong, "clock.vector", "own-component-jumped", row)
    facts = found.violations[0].facts
    right = recorded(rows, recorder, PROCESSES)[row]
    assert (facts["recorded"], facts["expected"]) == (own(wrong[row]), own(right))


def first_of_its_process(rows: list[Row], row: int) -> bool:
    return all(r["process"] != rows[row]["process"] for r in rows[:row])


@examples(150)
@given(runs(), any_recorder, st.data())
def test_a_message_that_is_not_merged(rows: list[Row], recorder: Recorder, data: st.DataObject) -> None:
    row = data.draw(st.sampled_from([i for i, r in enumerate(rows) if r["kind"] == "receive"]))
    right = recorded(rows, recorder, PROCESSES)
    wrong = recorded(rows, recorder, PROCESSES, Fault(row, merges=False))
    send = sender(rows, row)
    assert send is not None
    # Counting from 0, a component of 0 may mean the first event or none: to miss it cannot be seen.
    unseen = recorder.start == -1 and first_of_its_process(rows, send)
    if wrong[row]["vclock"] != right[row]["vclock"] and not unseen:
        only(wrong, "clock.vector", "missing-merge", row)
    if wrong[row]["lamport"] <= wrong[send]["lamport"]:
        only(wrong, "clock.lamport", "receive-not-after-send", row)


@examples(150)
@given(runs(), any_recorder, st.data())
def test_knowledge_from_the_future_at_any_event(rows: list[Row], recorder: Recorder, data: st.DataObject) -> None:
    row = data.draw(st.integers(0, len(rows) - 1))
    me = PROCESSES.index(rows[row]["process"])
    component = data.draw(st.sampled_from([c for c in range(len(PROCESSES)) if c != me]))
    wrong = recorded(rows, recorder, PROCESSES, Fault(row, foresees=component))
    anomaly = "unknown-process" if PROCESSES[component] == "d" else "knowledge-from-the-future"
    only(wrong, "clock.vector", anomaly, row)


@examples(100)
@given(runs(), any_recorder, st.data())
def test_a_restart_that_resets_the_clock(rows: list[Row], recorder: Recorder, data: st.DataObject) -> None:
    stamped = recorded(rows, recorder, PROCESSES)
    places = [i for i in range(len(rows)) if own(stamped[i]) >= 1 and stamped[i]["lamport"] >= 1]
    row = data.draw(st.sampled_from(places)) + 1
    process = rows[row - 1]["process"]
    plain = [{k: v for k, v in r.items() if k != "seq"} for r in rows]
    with_restart = with_seq([*plain[:row], {"process": process, "kind": "restart"}, *plain[row:]])
    wrong = recorded(with_restart, recorder, PROCESSES, Fault(row, resets=True))
    for check in BOTH:
        only(wrong, check, "restart-reset-clock", row)


@examples(100)
@given(runs(), any_recorder, st.data())
def test_a_single_value_that_falls_and_what_follows(rows: list[Row], recorder: Recorder, data: st.DataObject) -> None:
    wrong = recorded(rows, recorder, PROCESSES)
    able = [i for i in range(len(rows)) if (b := before(rows, i)) is not None and own(wrong[b]) and wrong[b]["lamport"]]
    row = data.draw(st.sampled_from(able))
    earlier = before(rows, row)
    assert earlier is not None
    vector = list(wrong[row]["vclock"])
    vector[PROCESSES.index(rows[row]["process"])] = own(wrong[earlier]) - 1
    wrong[row] = {**wrong[row], "lamport": wrong[earlier]["lamport"] - 1, "vclock": vector}
    for check in BOTH:
        only(wrong, check, "clock-went-back", row)


@examples(100)
@given(runs(), any_recorder, st.data())
def test_two_rows_of_one_event(rows: list[Row], recorder: Recorder, data: st.DataObject) -> None:
    row = data.draw(st.integers(0, len(rows) - 1))
    stamped = recorded(rows, recorder, PROCESSES)
    twice = [*stamped[: row + 1], stamped[row], *stamped[row + 1 :]]
    for check in BOTH:
        only(twice, check, "duplicate-event", row + 1)


@examples(100)
@given(runs(), any_recorder, st.data())
def test_an_event_missing_from_a_whole_recording(rows: list[Row], recorder: Recorder, data: st.DataObject) -> None:
    inner = [i for i in range(len(rows)) if at_process(rows, i)[0] < i < at_process(rows, i)[-1]]
    row = data.draw(st.sampled_from(inner))
    after = min(i for i in at_process(rows, row) if i > row)
    stamped = recorded(rows, recorder, PROCESSES)
    for check in BOTH:
        only(stamped[:row] + stamped[row + 1 :], check, "missing-event", after - 1, WHOLE)
        found = run(stamped[:row] + stamped[row + 1 :], check)
        assert (found.verdict, found.facts["gaps in seq"]) == (Verdict.HOLDS, 1)


@pytest.fixture(params=["interpreted", "compiled"])
def mode(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "COMPILE_FROM", 1 << 60 if request.param == "interpreted" else 0)


@pytest.mark.usefixtures("mode")
@examples(300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(runs(), any_recorder, st.data())
def test_one_wrong_component_is_one_error_at_its_event(
    rows: list[Row], recorder: Recorder, data: st.DataObject
) -> None:
    wrong = recorded(rows, recorder, PROCESSES)
    row, component = data.draw(st.integers(0, len(rows) - 1)), data.draw(st.integers(0, len(PROCESSES) - 1))
    value = data.draw(st.integers(0, 30))
    vector = list(wrong[row]["vclock"])
    assume(vector[component] != value)
    assume(before(rows, row) is not None or PROCESSES[component] != rows[row]["process"])
    vector[component] = value
    wrong[row] = {**wrong[row], "vclock": vector}
    found = run(wrong, "clock.vector")
    assert [v.facts["at"] for v in found.violations] == [f"row {row}"]
    following = found.facts.get("of these, consequences of others", 0)
    assert found.violations[0].facts["consequences"] == following


@examples(100)
@given(runs(), any_recorder, st.integers(4, 20), st.data())
def test_first_events_of_a_whole_recording(rows: list[Row], recorder: Recorder, more: int, data: st.DataObject) -> None:
    wrong = recorded(rows, recorder, PROCESSES)
    row = data.draw(st.sampled_from([i for i in range(len(rows)) if before(rows, i) is None]))
    vector = list(wrong[row]["vclock"])
    vector[PROCESSES.index(rows[row]["process"])] += more
    wrong[row] = {**wrong[row], "vclock": vector}
    only(wrong, "clock.vector", "own-component-jumped", row, WHOLE)


def stamps(process: str, *values: int) -> list[Row]:
    return [{"process": process, "kind": "internal", "lamport": v} for v in values]


@pytest.mark.parametrize(
    ("values", "verdict"),
    [
        ((1, 2, 2), Verdict.UNKNOWN),  # one of two keeps the clock
        ((1, 2, 3, 4, 4), Verdict.VIOLATED),  # one of four
        ((1, 1, 1, 1), Verdict.HOLDS),  # three of three
        ((1, 1, 1, 1, 2, 3), Verdict.UNKNOWN),  # three keep it, two do not
        ((1, 1, 1, 1, 2), Verdict.HOLDS),
    ],
)
def test_a_convention_needs_a_clear_majority(values: tuple[int, ...], verdict: Verdict) -> None:
    found = run(stamps("a", *values), "clock.lamport")
    assert found.verdict is verdict
    assert ("undecided" in found.method) == (verdict is Verdict.UNKNOWN) == bool(found.reasons)
    assert found.rests_on == (f"clocks: {found.method.removeprefix('local: previous event and send; ')}",)


def test_what_is_wrong_under_each_convention_is_told_of_undecided_ones() -> None:
    found = run(stamps("a", 1, 2, 2, 1), "clock.lamport")
    assert [v.anomaly for v in found.violations] == ["clock-went-back"]


def test_an_event_against_the_convention_of_events_that_do_not_tick() -> None:
    rows = [{"process": "a", "kind": "internal", "vclock": [v]} for v in (1, 1, 1, 1, 1, 2, 2, 2)]
    only(rows, "clock.vector", "own-component-jumped", 5)


def test_zeros_that_mean_no_timestamp() -> None:
    found = run(stamps("a", 1, 2, 0, 3, 0, 4, 0, 5), "clock.lamport")
    assert (found.verdict, found.facts) == (Verdict.HOLDS, {"zeros taken as no timestamp": 3})
    assert run(stamps("a", 1, 2, 0, 3, 4, 5), "clock.lamport").violations_total == 1
    assert run(stamps("a", 5, 6, 0, 1, 2, 0, 1, 0, 1), "clock.lamport").violations_total == 3


def test_vectors_of_zeros_that_mean_no_timestamp() -> None:
    rows = [{"process": "a", "kind": "internal", "vclock": v} for v in ([1], [0], [3], [0], [5], [0], [7])]
    found = run(rows, "clock.vector")
    assert (found.verdict, found.examined) == (Verdict.HOLDS, {"events": 4})


def test_a_receive_without_a_known_send_knows_no_more_than_there_was() -> None:
    rows: list[Row] = [
        {"process": "a", "kind": "internal", "vclock": [1, 0]},
        {"process": "b", "kind": "receive", "message": 9, "vclock": [7, 1]},
        {"process": "b", "kind": "internal", "vclock": [7, 2]},
    ]
    undeclared = run(rows, "clock.vector")
    assert undeclared.verdict is Verdict.UNKNOWN and "than it recorded" in undeclared.reasons[-1]
    only(rows, "clock.vector", "knowledge-from-the-future", 1, WHOLE)


def test_a_message_that_knows_more_of_its_receiver_than_there_was() -> None:
    rows: list[Row] = [
        {"process": "b", "kind": "internal", "vclock": [0, 1]},
        {"process": "a", "kind": "receive", "message": 8, "vclock": [1, 5]},
        {"process": "a", "kind": "send", "message": 1, "vclock": [2, 5]},
        {"process": "b", "kind": "receive", "message": 1, "vclock": [2, 6]},
        {"process": "a", "kind": "send", "message": 2, "vclock": [3, 5]},
        {"process": "b", "kind": "receive", "message": 2, "vclock": [3, 7]},
    ]
    found = only(rows, "clock.vector", "knowledge-from-the-future", 3)
    assert "receives knowledge of 5 events of its own process; it had 1" in found.violations[0].summary


def test_a_process_that_begins_later_is_taken_as_recorded_from_there_on() -> None:
    rows = [{"process": "a", "kind": "send", "message": 1, "vclock": [40, 7]}]
    rows += [{"process": "a", "kind": "internal", "vclock": [41, 7]}]
    found = run(rows, "clock.vector")
    assert (found.verdict, found.facts["processes that had begun before"]) == (Verdict.HOLDS, 1)


def test_a_process_without_a_component() -> None:
    rows = [{"process": "a", "kind": "internal", "vclock": [1]}]
    rows += [{"process": "stranger", "kind": "internal", "vclock": [1]} for _ in range(3)]
    found = only(rows, "clock.vector", "unknown-process", 1)
    assert found.violations[0].facts["consequences"] == 2
    assert run([{**r, "vclock": [0]} if i else r for i, r in enumerate(rows)], "clock.vector").violations_total == 0


def test_a_stamp_too_high_explains_the_receives_that_are_not_later() -> None:
    rows: list[Row] = [{"process": "a", "kind": "internal", "lamport": i} for i in range(1, 6)]
    rows += [{"process": "a", "kind": "send", "message": 1, "lamport": 900}, *stamps("a", 7, 8)]
    rows += [{"process": p, "kind": "receive", "message": 1, "lamport": 7} for p in "bcd"]
    found = only(rows, "clock.lamport", "clock-went-back", 6)
    assert found.facts == {"clock-went-back": 1, "receive-not-after-send": 3, "of these, consequences of others": 3}


def test_all_are_counted_and_twenty_listed() -> None:
    rows: list[Row] = [{"process": "a", "kind": "internal", "vclock": [2 * i + 1]} for i in range(100)]
    found = run(rows, "clock.vector")
    assert (found.violations_total, len(found.violations)) == (99, 20)
    assert found.facts == {"own-component-jumped": 99, "events with unknown sends": 100}
    assert [v.events[-1].event for v in found.violations] == [f"a:{i}" for i in range(1, 21)]


def test_an_error_tells_its_source_its_rule_and_what_was_expected() -> None:
    rows = [{**r, "source": "a.log", "line": 10 + i} for i, r in enumerate(stamps("a", 1, 2, 3, 4, 5, 3))]
    assert run(rows, "clock.lamport").violations[0].facts == {
        "rule": "a process's clock advances (IR1)", "recorded": 3, "expected": "at least 6",
        "at": "a.log:15", "consequences": 0,
    }  # fmt: skip


def off(rows: list[Row], process: str, own: int, lamport: int) -> list[Row]:
    """The rows with one process's stamps off by as much, as its recorder writes them; messages carry the right ones."""
    at = PROCESSES.index(process)
    return [
        {
            **row,
            "lamport": row["lamport"] + lamport,
            "vclock": [v + own * (i == at) for i, v in enumerate(row["vclock"])],
        }
        if row["process"] == process
        else row
        for row in rows
    ]


ROUND: list[Row] = with_seq(
    [
        {"process": p, "kind": kind, "message": (i, q)}
        for i in range(20)
        for q, p in enumerate("abc")
        for p, kind in ((p, "send"), ("bca"[q], "receive"))
    ]
)
"""Messages round and round: each receive is followed by a send."""


@pytest.mark.parametrize("by", [-1, 1])
@pytest.mark.parametrize("check", BOTH)
def test_a_process_whose_stamps_are_off_by_one_is_one_error(check: str, by: int) -> None:
    rows = recorded([{**row, "message": f"{row['message']}"} for row in ROUND], Recorder(), PROCESSES)
    found = run(off(rows, "b", by, 0 if check == "clock.vector" else by), check)
    assert found.violations_total == 1
    assert "more errors have the same cause" in found.violations[0].summary
    assert found.facts["of these, consequences of others"] >= 15


def test_a_clock_that_jumps_and_stays_explains_all_who_do_not_know_it() -> None:
    rows = recorded([{**row, "message": f"{row['message']}"} for row in ROUND], Recorder(), PROCESSES)
    half = [*rows[:60], *off(rows[60:], "b", 5, 0)]
    found = run(half, "clock.vector")
    assert found.violations[0].anomaly == "own-component-jumped" and found.violations_total <= 2
    assert sum(bool(v.facts["consequences"]) for v in found.violations) == 1


def test_stamps_that_are_one_event_late_are_few_errors() -> None:
    rows = recorded([{**row, "message": f"{row['message']}"} for row in ROUND], Recorder(), PROCESSES)
    last = {p: [0] * len(PROCESSES) for p in PROCESSES}
    late = []
    for row in rows:
        late.append({**row, "vclock": last[row["process"]]})
        last[row["process"]] = row["vclock"]
    found = run(late, "clock.vector")
    assert found.verdict is Verdict.VIOLATED
    errors = found.violations_total + found.facts["of these, consequences of others"]
    assert errors > 50 and found.violations_total <= errors // 5


@pytest.mark.parametrize("others", [0, 5])
def test_a_first_event_that_did_not_tick_is_an_error_only_where_others_of_its_class_do(others: int) -> None:
    rows: list[Row] = [{"process": "a", "kind": "internal", "vclock": [0, 0, 0, 0]}]
    for i, p in enumerate("bcd"):
        first = {"process": p, "kind": "send", "message": p}
        rows.append({**first, "vclock": [int(q == p) for q in PROCESSES]})
        rows += [
            {"process": p, "kind": "internal", "vclock": [(n + 2) * int(q == p) for q in PROCESSES]}
            for n in range(others * (i == 0))
        ]
    verdict = run(with_seq(rows), "clock.vector", WHOLE).verdict
    assert verdict is (Verdict.VIOLATED if others else Verdict.HOLDS)
