"""clock.physical: readings against declared bounds, by the definition over all pairs of events."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.oracle import order
from tests.strategies import PROCESSES, examples, executions, with_seq
from tracekit.analysis import analyze
from tracekit.checks.clock_physical import UNDECLARED, declared_skew
from tracekit.execution import Execution
from tracekit.kernels import engine
from tracekit.results import CheckResult, Verdict
from tracekit.trace.builder import TraceBuilder
from tracekit.trace.run import Run
from tracekit.trace.trace import Trace

Row = dict[str, Any]


@pytest.fixture(params=["interpreted", "compiled"])
def mode(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "COMPILE_FROM", 1 << 60 if request.param == "interpreted" else 0)


def built(rows: list[Row], **declared: Any) -> Trace:
    builder = TraceBuilder(PROCESSES, Run(**declared))
    for row in rows:
        builder.add(row)
    return builder.build()


def run(rows: list[Row], **declared: Any) -> CheckResult:
    result = analyze(Execution(built(rows, **declared)), check=["clock.physical"])
    return next((c for c in result.checks if c.check == "clock.physical"), CheckResult(applicable=False))


def contradictions(rows: list[Row], skew: int) -> set[int]:
    """Receives stamped earlier, by more than the skew, than some event of another process that comes before them."""
    edges = order.message_edges(rows)
    before = order.happens_before(rows, edges)
    return {
        j
        for i, j in product(range(len(rows)), repeat=2)
        if (i, j) in before
        and j in {r for _, r in edges}
        and rows[i]["process"] != rows[j]["process"]
        and rows[i].get("time_ns") is not None
        and rows[j].get("time_ns") is not None
        and rows[j]["time_ns"] < rows[i]["time_ns"] - skew
    }


@pytest.mark.usefixtures("mode")
@examples(400)
@given(executions(), st.data(), st.integers(0, 6))
def test_against_the_definition(rows: list[Row], data: st.DataObject, skew: int) -> None:
    times = st.none() | st.integers(0, 15)
    rows = [{**row, "time_ns": data.draw(times)} for row in with_seq(rows)]
    if all(row["time_ns"] is None for row in rows):
        return
    found = run(rows, bounds={"skew_ns": skew})
    wrong = contradictions(rows, skew)
    if found.examined:
        assert found.violations_total == len(wrong)
        assert {v.events[-1].event for v in found.violations} <= {
            f"{rows[j]['process']}:{rows[j]['seq']}" for j in wrong
        }
        for violation in found.violations:
            assert violation.facts["difference_ns"] > violation.facts["declared_ns"] == skew
            assert len(violation.edges) == 1
    else:
        assert found.verdict in (Verdict.UNKNOWN, Verdict.NOT_APPLICABLE)


@examples(200)
@given(executions(), st.lists(st.integers(-5, 5), min_size=4, max_size=4))
def test_clocks_within_the_bound_are_silent(rows: list[Row], offsets: list[int]) -> None:
    stamped = [
        {**row, "time_ns": 100 + at + offsets[PROCESSES.index(row["process"])]} for at, row in enumerate(with_seq(rows))
    ]
    assert run(stamped, bounds={"skew_ns": 10}).verdict is not Verdict.VIOLATED if stamped else True


def chain(*times: int) -> list[Row]:
    """a sends to b, b sends to c; four readings."""
    shape = [("a", "send", 1), ("b", "receive", 1), ("b", "send", 2), ("c", "receive", 2)]
    return [{"process": p, "kind": k, "message": m, "time_ns": t} for (p, k, m), t in zip(shape, times, strict=True)]


def test_a_message_and_a_chain_of_messages() -> None:
    one = run(chain(20, 13, 30, 31), bounds={"skew_ns": 5})
    assert (one.violations_total, one.violations[0].anomaly) == (1, "skew-beyond-bound")
    assert [e.event for e in one.violations[0].events] == ["a:0", "b:0"]
    assert "7 ns" in one.violations[0].summary and "5 ns is declared" in one.violations[0].summary
    assert one.violations[0].edges[0].reason == "message 1"
    two = run(chain(20, 16, 16, 12), bounds={"skew_ns": 5})
    assert [e.event for e in two.violations[0].events] == ["a:0", "c:0"], "each hop alone is within the bound"
    assert two.violations[0].edges[0].reason == "happens before"
    assert run(chain(20, 15, 16, 15), bounds={"skew_ns": 5}).verdict is Verdict.HOLDS


def test_without_a_bound_nothing_is_judged_and_all_is_measured() -> None:
    found = run(chain(20, 13, 30, 31))
    assert found.verdict is Verdict.NOT_APPLICABLE
    assert found.facts["receives stamped before their sends"] == 1
    assert found.facts["bounds"][0]["offset_ns at equal rates"] == [None, -7]
    assert "1 of 2 receives stamped before their sends (by up to 7 ns)" in found.remark


def test_a_bound_makes_the_check_count() -> None:
    result = analyze(built(chain(20, 13, 30, 31), bounds={"skew_ns": 5}))
    assert next(c for c in result.checks if c.check == "clock.physical").required
    assert result.verdict is Verdict.VIOLATED
    result = analyze(built(chain(20, 13, 30, 31)))
    assert not next(c for c in result.checks if c.check == "clock.physical").required


def test_what_may_be_declared() -> None:
    trace = built(chain(0, 0, 0, 0), clocks={"a": "host1", "b": "host1", "c": {"skew_ns": 7}, "d": {"skew_ns": 9}})
    skew = declared_skew(trace)
    assert skew[0, 1] == 0 and skew[2, 3] == skew[3, 2] == 9 and skew[0, 2] == UNDECLARED
    assert run(chain(20, 19, 30, 31), clocks={"a": "h", "b": "h"}).verdict is Verdict.VIOLATED
    assert run(chain(20, 20, 30, 1), clocks={"a": "h", "b": "h"}).verdict is Verdict.HOLDS, "c's clock is its own"


def test_clocks_that_were_stepped_are_located() -> None:
    rows: list[Row] = []
    for k in range(200):
        step = 10_000 if k >= 100 else 0
        t = 100 * k
        rows += [
            {"process": "a", "kind": "send", "message": 2 * k, "time_ns": t},
            {"process": "b", "kind": "receive", "message": 2 * k, "time_ns": t + step + 10},
            {"process": "b", "kind": "send", "message": 2 * k + 1, "time_ns": t + step + 20},
            {"process": "a", "kind": "receive", "message": 2 * k + 1, "time_ns": t + 30},
        ]
    found = run(rows)
    facts = found.facts
    assert facts["pairs that no linear clocks explain"] == 1
    assert "a and b are not (step, slew or mismatch)" in found.remark
    begin, end = facts["bounds"][0]["not linear from, to, ns"]
    assert 9_500 <= begin <= 10_000 <= end <= 10_500, "and when"
    first, last = (int(event.split(":")[1]) // 2 for event in facts["bounds"][0]["not linear between"])
    assert 95 <= first <= 100 <= last <= 105


def test_no_readings_at_all() -> None:
    rows = chain(1, 2, 3, 4)
    for row in rows[::2]:
        del row["time_ns"]
    assert run(rows).verdict is Verdict.NOT_APPLICABLE
    assert run(rows, bounds={"skew_ns": 5}).verdict is Verdict.UNKNOWN
