"""Candidates of receives by Lamport timestamps alone, against looking at each send; and what the check says of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.oracle import candidates as oracle
from tests.oracle import order
from tests.strategies import PROCESSES, examples, executions, trace_of, with_seq
from tracekit.analysis import analyze
from tracekit.execution import Execution
from tracekit.order.candidates import Candidates
from tracekit.results import CheckResult, Verdict
from tracekit.trace.run import Run

Row = dict[str, Any]
STAMPS = st.none() | st.integers(0, 6) | st.sampled_from([2**63 - 1, 2**62])


@st.composite
def recordings(draw: st.DrawFn) -> list[Row]:
    """Anything that may stand in a trace without message ids."""
    rows = []
    for _ in range(draw(st.integers(0, 14))):
        kind = draw(st.sampled_from(["internal", "send", "send", "receive", "receive", "fault"]))
        row: Row = {"process": draw(st.sampled_from(PROCESSES)), "kind": kind, "lamport": draw(STAMPS)}
        if kind in ("send", "receive"):
            row["peer"] = draw(st.none() | st.sampled_from([*PROCESSES, "stranger"]))
        rows.append({name: value for name, value in row.items() if value is not None})
    return rows


@st.composite
def runs(draw: st.DrawFn) -> list[Row]:
    """Correct executions with true Lamport timestamps; some ends of messages are recorded, some are not. In the column
    `sent` the send of each receive, which no trace here has."""
    rows = with_seq(draw(executions()))
    stamps = order.lamport(rows, order.happens_before(rows, order.message_edges(rows)))
    of = {j: i for i, j in order.message_edges(rows)}
    out = []
    for number, row in enumerate(rows):
        plain = {"process": row["process"], "kind": row["kind"], "seq": row["seq"], "lamport": stamps[number]}
        if number in of and draw(st.booleans()):
            plain["peer"] = rows[of[number]]["process"]
        receivers = {rows[j]["process"] for j, i in of.items() if i == number}
        if row["kind"] == "send" and len(receivers) == 1 and draw(st.booleans()):
            plain["peer"] = receivers.pop()
        out.append({**plain, "sent": of[number]} if number in of else plain)
    return out


def without_answer(rows: list[Row]) -> list[Row]:
    return [{name: value for name, value in row.items() if name != "sent"} for row in rows]


def counted(rows: list[Row]) -> Candidates:
    trace = trace_of(rows)
    column = trace.get("lamport")
    if column is None:
        return Candidates.of(trace, np.zeros(len(trace), np.int64), np.zeros(len(trace), np.bool_))
    return Candidates.of(trace, column.values, column.present)


def run(rows: list[Row], said: Run | None = None) -> CheckResult:
    result = analyze(Execution(trace_of(rows, run=said or Run())), check=["clock.lamport"])
    return next(c for c in result.checks if c.check == "clock.lamport")


@examples(800)
@given(recordings())
def test_each_send_looked_at(rows: list[Row]) -> None:
    found = counted(rows)
    stamped = [i for i, row in enumerate(rows) if row["kind"] == "receive" and "lamport" in row]
    assert found.receives.tolist() == stamped
    for place, row in enumerate(stamped):
        expected = tuple(len(sends) for sends in oracle.possible(rows, row))
        assert (found.addressed[place], found.earlier[place], found.exact[place]) == expected


@examples(500)
@given(runs())
def test_the_true_send_is_among_them_and_a_correct_run_is_silent(rows: list[Row]) -> None:
    plain = without_answer(rows)
    assume(any(row["kind"] == "receive" for row in plain))
    result = run(plain)
    assert result.verdict is not Verdict.VIOLATED, result.violations
    receives = [i for i, row in enumerate(rows) if row["kind"] == "receive"]
    facts = result.facts
    sent = [i for i in receives if "sent" in rows[i]]
    assert all(rows[i]["sent"] in oracle.possible(plain, i)[1] for i in sent)
    assert facts["receives"] == len(receives)
    if len(sent) == len(receives):
        assert "with no possible send by their timestamps" not in facts
        one, several = facts.get("with one possible send", 0), facts.get("with several possible sends", 0)
        assert one + several == len(receives), "narrowing never loses the true send"
        by_order = sum(len(oracle.possible(plain, i)[1]) == 1 for i in receives)
        assert one >= by_order


@examples(500)
@given(runs(), st.data())
def test_a_receive_that_no_send_explains(rows: list[Row], data: st.DataObject) -> None:
    plain = without_answer(rows)
    receives = [i for i, row in enumerate(plain) if row["kind"] == "receive"]
    assume(receives)
    row = data.draw(st.sampled_from(receives))
    plain[row] = {**plain[row], "lamport": data.draw(st.integers(0, 4))}
    impossible = [i for i in receives if oracle.possible(plain, i)[0] and not oracle.possible(plain, i)[1]]
    result = run(plain)
    flagged = {v.facts["at"] for v in result.violations}
    assert {f"row {i}" for i in impossible} <= flagged
    early = {v.facts["at"] for v in result.violations if "Whichever was received" in v.summary}
    assert early <= {f"row {i}" for i in impossible}


PING: list[Row] = [
    {"process": "a", "kind": "send", "peer": "b", "lamport": 5},
    {"process": "a", "kind": "send", "peer": "b", "lamport": 7},
    {"process": "a", "kind": "send", "peer": "c", "lamport": 8},
    {"process": "b", "kind": "receive", "peer": "a", "lamport": 5},
    {"process": "b", "kind": "receive", "peer": "a", "lamport": 9},
    {"process": "b", "kind": "receive", "peer": "stranger", "lamport": 10},
]


def test_what_is_said() -> None:
    result = run(PING)
    (violation,) = result.violations
    assert violation.anomaly == "receive-not-after-send"
    assert violation.summary == (
        "b:0 is stamped 5, but each of the 2 sends that fit is stamped later or alike: a:0 with 5. "
        "Whichever was received, its receive is not later."
    )
    assert [e.event for e in violation.events] == ["a:0", "b:0"]
    assert (violation.facts["recorded"], violation.facts["expected"]) == (5, "at least 6")
    assert result.facts == {
        "receives": 3,
        "that no recorded send fits by its ends": 1,
        "with no possible send by their timestamps": 1,
        "with several possible sends": 1,
    }
    assert result.remark == "3 receives without ids: 0 can belong to one send, 1 to several"


def test_sends_that_may_be_missing_excuse_it() -> None:
    result = run(PING, Run(coverage={"a": {"start": False, "end": True}}))
    assert result.verdict is Verdict.UNKNOWN
    assert result.reasons == (
        "1 receives are stamped no later than each send that fits, but the start or end of a is not recorded",
    )


def test_exact_amounts_name_the_send() -> None:
    steps = [{"process": "a", "kind": "send", "peer": "b", "lamport": stamp} for stamp in range(1, 7)]
    receives = [{"process": "b", "kind": "internal", "lamport": 1}]
    receives += [{"process": "b", "kind": "receive", "peer": "a", "lamport": stamp} for stamp in (4, 5)]
    facts = run([*steps, *receives]).facts
    assert facts == {
        "receives": 2,
        "with one possible send": 1,
        "with several possible sends": 1,
        "narrowed by the exact amounts of the clocks": 1,
    }
    assert "narrowed" not in str(run([*steps, {**steps[0], "lamport": 9}, *receives]).facts), "a step of three"


def test_nothing_of_it_enters_the_order() -> None:
    execution = Execution(trace_of(PING))
    assert run(PING).facts["receives"] == 3
    assert not len(execution.happens_before.edges())


def test_with_message_ids_there_are_no_candidates() -> None:
    rows = [{**row, "message": number % 3} for number, row in enumerate(PING)]
    assert "receives" not in run(rows).facts
