"""Staleness against its definitions; declared bounds; the k of a history; clocks."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.oracle.staleness import Timed, behind, least_k
from tests.strategies import examples
from tracekit.analysis import analyze
from tracekit.checks.consistency import staleness_measure
from tracekit.checks.consistency.staleness import bounded_staleness
from tracekit.checks.consistency.staleness_measure import Staleness, staleness_of
from tracekit.checks.evidence import duration
from tracekit.execution import Execution, Options
from tracekit.kernels.engine import kernels
from tracekit.results import CheckResult, Verdict
from tracekit.trace.builder import TraceBuilder
from tracekit.trace.run import Run
from tracekit.trace.trace import Trace


def trace_of(ops: Sequence[Timed], run: Run | None = None, clock: str = "true_time_ns", keys: str = "") -> Trace:
    """A process an operation; rows in order of time."""
    rows: list[tuple[int, int, dict[str, Any]]] = []
    for number, op in enumerate(ops):
        common = {
            "process": f"c{number}",
            "f": "read" if op.f == "r" else "write",
            "key": keys[number] if keys else "x",
        }
        asked = op.value if op.f == "w" else None
        rows.append((op.start, 0, common | {"kind": "invoke", "value": asked, clock: op.start}))
        rows.append((op.end, 1, common | {"kind": "ok", "value": op.value, clock: op.end}))
    builder = TraceBuilder(run=run)
    for _, _, row in sorted(rows, key=lambda entry: entry[:2]):
        builder.add(row)
    return builder.build()


def judged(trace: Trace, **options: Any) -> CheckResult:
    return bounded_staleness(Execution(trace, Options(**options)), Options(**options))


def w(value: int, start: int, end: int) -> Timed:
    return Timed("w", value, start, end)


def r(value: int | None, start: int, end: int) -> Timed:
    return Timed("r", value, start, end)


MS = 1_000_000
LAGGING = [w(1, 0, MS), w(2, 2 * MS, 3 * MS), w(3, 4 * MS, 5 * MS), r(1, 10 * MS, 11 * MS), r(3, 12 * MS, 13 * MS)]


def test_without_a_bound_it_is_measured() -> None:
    found = judged(trace_of(LAGGING))
    assert found.verdict is Verdict.NOT_APPLICABLE
    assert found.remark == "1 stale read, worst 7 ms behind, 2 versions behind"
    assert found.facts["versions_behind"] == {"0": 1, "2": 1} and found.facts["k"] == {"at_least": 3, "at_most": 3}
    assert found.facts["most_time_behind_ns"] == 7 * MS
    assert found.facts["time_behind_ns_quantiles"]["0.5"] == 0
    json.dumps(found.to_json())


def test_a_declared_bound_decides() -> None:
    for bounds, verdict in (
        ({"staleness_versions": 2}, Verdict.HOLDS),
        ({"staleness_versions": 1}, Verdict.VIOLATED),
        ({"staleness_ns": 7 * MS}, Verdict.HOLDS),
        ({"staleness_ns": 6 * MS}, Verdict.VIOLATED),
        ({"staleness_ns": 7 * MS, "staleness_versions": 1}, Verdict.VIOLATED),
    ):
        result = analyze(trace_of(LAGGING, Run(bounds=bounds)))
        found = next(c for c in result.checks if c.check == "consistency.bounded-staleness")
        assert found.required and found.verdict is verdict, bounds
        for violation in found.violations:
            assert "2 versions behind, replaced at least 7 ms before" in violation.summary
            names = {e.event for e in violation.events}
            assert {e.start for e in violation.edges} | {e.end for e in violation.edges} <= names


def test_a_bound_on_time_without_times_is_unknown() -> None:
    trace = trace_of(LAGGING, Run(bounds={"staleness_ns": 1}), clock="index")
    found = judged(trace)
    assert found.verdict is Verdict.UNKNOWN and "no time was recorded" in found.reasons[0]
    assert judged(trace_of(LAGGING, clock="index")).remark == "1 stale read, worst 2 versions behind"


def test_what_nobody_wrote_or_only_later_keeps_no_bound() -> None:
    run = Run(bounds={"staleness_versions": 100})
    future = judged(trace_of([r(1, 0, 1), w(1, 5, 6)], run))
    assert [v.anomaly for v in future.violations] == ["read-before-write"]
    thin = judged(trace_of([w(1, 0, 1), r(9, 5, 6)], run))
    assert [v.anomaly for v in thin.violations] == ["ThinAirRead"]


def test_clocks_that_cannot_be_compared_decide_nothing() -> None:
    run = Run(bounds={"staleness_versions": 1}, clocks={f"c{i}": f"d{i}" for i in range(5)})
    assert judged(trace_of(LAGGING, run, clock="time_ns")).verdict is Verdict.UNKNOWN
    near = judged(trace_of(LAGGING, run, clock="time_ns"), skew_ns=2 * MS)
    assert near.facts["most_versions_behind"] == 1 and near.verdict is Verdict.HOLDS


def test_unseen_writes_excuse() -> None:
    run = Run(bounds={"staleness_versions": 1}, coverage={"c0": {"start": True, "end": False}})
    assert judged(trace_of(LAGGING, run)).verdict is Verdict.UNKNOWN


@st.composite
def timed(draw: st.DrawFn, most: int = 6) -> list[Timed]:
    ops: list[Timed] = []
    values: list[int | None] = [None]
    for number in range(draw(st.integers(1, most))):
        start = draw(st.integers(0, 12))
        end = start + draw(st.integers(0, 5))
        if draw(st.booleans()):
            values.append(number)
            ops.append(w(number, start, end))
        else:
            ops.append(r(draw(st.sampled_from(values)), start, end))
    return ops


def measured(ops: Sequence[Timed], skew: int = 0, keys: str = "") -> tuple[Staleness, list[int]]:
    """The staleness, and which operation each read is."""
    execution = Execution(trace_of(ops, keys=keys), Options(skew_ns=skew))
    found = staleness_of(execution)
    operation = found.history.sessions.operation[found.reads]
    names = [execution.trace.processes[p] for p in execution.operations.process[operation]]
    return found, [int(name[1:]) for name in names]


@examples(250)
@given(timed(), st.integers(0, 2))
def test_versions_and_time_by_definition(ops: list[Timed], skew: int) -> None:
    if not {"r", "w"} <= {op.f for op in ops}:
        return
    found, reads = measured(ops, skew)
    early = [
        op
        for op in ops
        if op.f == "r" and any(o.f == "w" and o.value == op.value and op.end + skew < o.start for o in ops)
    ]
    assert len(found.early) == len(early)
    kept = [op for op in ops if op not in early]
    times = dict(zip(found.stale.tolist(), found.behind_ns.tolist(), strict=True))
    for at, number in enumerate(reads):
        versions, time_ns = behind(kept, ops[number], skew)
        assert found.versions[at] == versions
        assert times.get(at, 0) == time_ns


@examples(250)
@given(timed())
def test_the_bounds_of_k_enclose_it_and_meet_where_it_is_small(ops: list[Timed]) -> None:
    if not {"r", "w"} <= {op.f for op in ops}:
        return
    found, _ = measured(ops)
    exact = least_k(ops)
    if exact is None:
        assert len(found.early)
    elif len(found.reads):
        assert found.most_versions is not None
        least, most = found.k
        assert most is not None
        assert 1 + int(found.versions.max()) <= least <= exact <= most <= found.most_versions
        assert least == most or least >= 3


@examples(120)
@given(timed(most=8), st.text("xy", min_size=8, max_size=8))
def test_keys_do_not_touch_each_other(ops: list[Timed], keys: str) -> None:
    for key in "xy":
        own = [number for number in range(len(ops)) if keys[number] == key]
        written = {ops[n].value for n in own if ops[n].f == "w"} | {None}
        for n in own:
            if ops[n].value not in written:
                ops[n] = r(None, ops[n].start, ops[n].end)
    if not {"r", "w"} <= {op.f for op in ops}:
        return
    found, reads = measured(ops, keys=keys[: len(ops)])
    for at, number in enumerate(reads):
        same = [ops[n] for n in range(len(ops)) if keys[n] == keys[number]]
        early = [
            o for o in same if o.f == "r" and any(p.f == "w" and p.value == o.value and o.end < p.start for p in same)
        ]
        assert found.versions[at] == behind([o for o in same if o not in early], ops[number])[0]


@examples(120)
@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), max_size=12), st.integers(0, 12), st.data())
def test_the_kernel_by_counting(writes: list[tuple[int, int]], queries: int, data: st.DataObject) -> None:
    done = np.array([d for d, _ in writes], np.int64)
    order = np.argsort(done, kind="stable")
    n = len(writes)
    moments = np.sort(np.array([data.draw(st.integers(0, 21)) for _ in range(queries)], np.int64))
    first = np.array([data.draw(st.integers(0, n)) for _ in range(queries)], np.int64)
    last = np.array([data.draw(st.integers(int(f), n)) for f in first], np.int64)
    for work in (0, 10**9):
        count = np.zeros(queries, np.int64)
        kernels("staleness", work=work).versions_between(done[order], order, moments, first, last, count, n)
        assert count.tolist() == [int((done[f:t] < m).sum()) for f, t, m in zip(first, last, moments, strict=True)]


@examples(120)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9)), max_size=12), st.booleans(), st.data())
def test_the_first_place_after_a_moment_by_looking(
    places: list[tuple[int, int]], strictly: bool, data: st.DataObject
) -> None:
    places.sort()
    queries = data.draw(st.lists(st.tuples(st.integers(0, 3), st.integers(-1, 10)), max_size=8))
    begins = np.array([sum(g < group for g, _ in places) for group in range(5)], np.int64)
    moment = np.array([m for _, m in places], np.int64)
    wanted, when = np.array([g for g, _ in queries], np.int32), np.array([m for _, m in queries], np.int64)
    for work in (0, 10**9):
        out = np.empty(len(queries), np.int64)
        kernels("staleness", work=work).first_after(begins, moment, wanted, when, strictly, out)
        assert out.tolist() == [
            next(
                (i for i, (h, m) in enumerate(places) if h == g and (m > w or (m == w and not strictly))), begins[g + 1]
            )
            for g, w in queries
        ]


@examples(200)
@given(timed(most=8), st.integers(1, 2))
def test_one_and_two_atomic_by_all_orders(ops: list[Timed], k: int) -> None:
    """Also where the bounds would not ask."""
    if not {"r", "w"} <= {op.f for op in ops}:
        return
    found, _ = measured(ops)
    exact = least_k(ops)
    if exact is None or not len(found.reads):
        return
    answers = []
    for work in (0, 10**9):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(staleness_measure, "kernels", lambda name, work, fixed=work: kernels(name, fixed))
            answers.append(found._is_atomic(k))
    assert answers == [int(exact <= k)] * 2


def test_a_search_that_takes_too_long_leaves_the_bounds() -> None:
    ops = [w(1, 0, 10), w(2, 1, 9), w(3, 2, 8), r(1, 11, 12), r(2, 11, 13)]
    found, _ = measured(ops)
    assert found.k == (2, 2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(staleness_measure, "MOST_STEPS", 0)
        again, _ = measured(ops)
        assert again.k == (1, again.most_versions) != (1, 1)


@pytest.mark.parametrize(
    ("ns", "text"),
    [(19, "19 ns"), (4_200, "4.2 µs"), (340_000_000, "340 ms"), (12_345_000_000, "12.35 s"), (10**13, "10,000 s")],
)
def test_times_are_shown_as_people_read_them(ns: int, text: str) -> None:
    assert duration(ns) == text
