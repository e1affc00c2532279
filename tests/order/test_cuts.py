"""Cuts against all cuts of small executions."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.oracle import cuts as oracle
from tests.oracle import order, predicates
from tests.strategies import PROCESSES, examples, executions, trace_of, with_seq
from tracekit.execution import Execution
from tracekit.kernels import engine
from tracekit.order.cuts import Cut, consistent_cuts, count_consistent_cuts, rollback_line
from tracekit.order.happens_before import HappensBefore

Row = dict[str, Any]


@pytest.fixture(params=["interpreted", "compiled"])
def mode(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "COMPILE_FROM", 1 << 60 if request.param == "interpreted" else 0)


def prepared(rows: list[Row]) -> tuple[list[Row], HappensBefore, set[tuple[int, int]], set[oracle.Counts]]:
    rows = with_seq(rows)
    before = order.happens_before(rows, order.message_edges(rows))
    return rows, Execution(trace_of(rows)).happens_before, before, oracle.all_consistent(rows, PROCESSES, before)


def any_cut(data: st.DataObject, rows: list[Row]) -> oracle.Counts:
    return tuple(data.draw(st.integers(0, size)) for size in oracle.sizes(rows, PROCESSES))


def counts(cut: Cut) -> oracle.Counts:
    return tuple(cut.counts.tolist())


@pytest.mark.usefixtures("mode")
class TestAgainstAllCuts:
    @examples(400)
    @given(executions(max_events=11), st.data())
    def test_consistency_and_its_neighbours(self, drawn: list[Row], data: st.DataObject) -> None:
        rows, hb, _, consistent = prepared(drawn)
        at = any_cut(data, rows)
        cut = Cut.of(hb, at)
        assert cut.consistent == (at in consistent) == (not len(cut.offending))
        below = [c for c in consistent if oracle.below(c, at)]
        above = [c for c in consistent if oracle.below(at, c)]
        assert counts(cut.largest_below()) == max(below, key=sum)
        assert all(oracle.below(c, counts(cut.largest_below())) for c in below)
        assert counts(cut.smallest_above()) == min(above, key=sum)
        assert all(oracle.below(counts(cut.smallest_above()), c) for c in above)
        assert not len(cut.doubtful)

    @examples(300)
    @given(executions(max_events=11), st.data())
    def test_messages_of_a_cut(self, drawn: list[Row], data: st.DataObject) -> None:
        rows, hb, _, _ = prepared(drawn)
        at = any_cut(data, rows)
        cut, inside = Cut.of(hb, at), oracle.members(rows, PROCESSES, at)
        edges = order.message_edges(rows)
        assert {i for i in range(len(rows)) if i in cut} == inside
        pairs = lambda e: sorted(zip(e.sources.tolist(), e.targets.tolist(), strict=True))  # noqa: E731  used twice, here
        assert pairs(cut.offending) == sorted((i, j) for i, j in edges if i not in inside and j in inside)
        arrivals = predicates.flights(rows, edges)
        flying = sorted((i, j) for (i, _), j in arrivals.items() if i in inside and j is not None and j not in inside)
        assert pairs(cut.in_flight) == flying
        assert sum(cut.channels().values()) == len(flying)
        for (a, b), number in cut.channels().items():
            assert number == sum((rows[i]["process"], rows[j]["process"]) == (a, b) for i, j in flying)
        sent = {i for i, _ in edges}
        assert set(cut.undelivered.tolist()) == {i for i in inside if rows[i]["kind"] == "send" and i not in sent}

    @examples(200)
    @given(executions(max_events=9), st.data())
    def test_all_cuts_between_two(self, drawn: list[Row], data: st.DataObject) -> None:
        rows, hb, _, consistent = prepared(drawn)
        low, high = any_cut(data, rows), any_cut(data, rows)
        wanted = {c for c in consistent if oracle.below(low, c) and oracle.below(c, high)}
        found = list(consistent_cuts(Cut.of(hb, low), Cut.of(hb, high)))
        assert set(found) == wanted and len(found) == len(wanted)
        assert [sum(c) for c in found] == sorted(sum(c) for c in found)
        assert count_consistent_cuts(Cut.of(hb, low), Cut.of(hb, high)) == len(wanted)
        if wanted:
            assert count_consistent_cuts(Cut.of(hb, low), Cut.of(hb, high), limit=len(wanted) - 1) is None

    @examples(400)
    @given(executions(max_events=12), st.data())
    def test_rollback_line(self, drawn: list[Row], data: st.DataObject) -> None:
        rows, hb, _, consistent = prepared(drawn)
        saved = data.draw(st.lists(st.sampled_from(range(len(rows))), unique=True)) if rows else []
        failed = data.draw(st.none() | st.lists(st.sampled_from(PROCESSES), unique=True))
        ends = oracle.sizes(rows, PROCESSES)
        stops = []
        for p, end in zip(PROCESSES, ends, strict=True):
            mine = {0} | {rows[i]["seq"] + 1 for i in saved if rows[i]["process"] == p}
            stops.append(mine if failed is None or p in failed else mine | {end})
        possible = [c for c in product(*stops) if c in consistent]
        line, distances = rollback_line(hb, np.array(saved, np.int64), failed)
        assert counts(line) == max(possible, key=sum)
        assert all(oracle.below(c, counts(line)) for c in possible)
        for p, (at, end, back) in enumerate(zip(counts(line), ends, distances, strict=True)):
            mine = [i for i in saved if rows[i]["process"] == PROCESSES[p]]
            assert (back.process, back.events) == (PROCESSES[p], end - at)
            assert back.checkpoints == sum(rows[i]["seq"] + 1 > at for i in mine)
            assert back.checkpoint == next((i for i in mine if rows[i]["seq"] + 1 == at and at < end), None)


def domino(rounds: int) -> list[Row]:
    """a and b save their states between messages such that each rollback undoes a send."""
    rows: list[Row] = []
    for k in range(rounds):
        rows += [
            {"process": "a", "kind": "send", "message": 2 * k},
            {"process": "b", "kind": "receive", "message": 2 * k},
            {"process": "b", "kind": "internal", "name": "saved"},
            {"process": "b", "kind": "send", "message": 2 * k + 1},
            {"process": "a", "kind": "receive", "message": 2 * k + 1},
            {"process": "a", "kind": "internal", "name": "saved"},
        ]
    return [*rows, {"process": "a", "kind": "send", "message": -1}, {"process": "b", "kind": "receive", "message": -1}]


def test_the_domino_effect() -> None:
    rows = domino(50)
    hb = Execution(trace_of(rows)).happens_before
    saved = np.flatnonzero(hb.trace.named("saved"))
    line, (a, b, *_) = rollback_line(hb, saved[hb.trace.process[saved] == 1], ["b"])
    assert counts(line) == (0, 0, 0, 0), "a never saved: b's failure takes both back to the start"
    assert (b.checkpoints, a.events, b.checkpoint) == (50, 151, None)
    line, (a, b, *_) = rollback_line(hb, saved, ["b"])
    assert (a.checkpoints, b.checkpoints, counts(line)) == (50, 50, (0, 0, 0, 0)), "each rollback undoes a send"
    rows = [row for row in rows if row["process"] == "a" or row["kind"] != "send"]
    hb = Execution(
        trace_of([row for row in rows if row.get("name") or row["message"] % 2 == 0 or row["message"] < 0])
    ).happens_before
    line, (a, b, *_) = rollback_line(hb, np.flatnonzero(hb.trace.named("saved")), ["b"])
    assert (a.events, b.checkpoints, b.events) == (0, 0, 1), "a need not go back for what it only sent"


def test_counts_by_name_and_wrong_counts() -> None:
    hb = Execution(trace_of(domino(1))).happens_before
    assert counts(Cut.of(hb, {"b": 2})) == (0, 2, 0, 0)
    assert Cut.whole(hb).consistent and Cut.past(hb, [1]) == Cut.of(hb, [1, 1, 0, 0])
    assert Cut.of(hb, [1, 0, 0, 0]) <= Cut.of(hb, [1, 1, 0, 0]) and hash(Cut.whole(hb)) == hash(Cut.whole(hb))
    for wrong in ([9, 0, 0, 0], [-1, 0, 0, 0], [0]):
        with pytest.raises(ValueError, match="one count a process"):
            Cut.of(hb, wrong)
    with pytest.raises(ValueError, match="no process has the name A: a, b, c, d"):
        Cut.of(hb, {"A": 1})
    with pytest.raises(ValueError, match="no process has the name A"):
        rollback_line(hb, np.array([0]), failed=["A"])
    assert repr(Cut.of(hb, [1, 0, 0, 0])) == "<Cut {'a': 1, 'b': 0, 'c': 0, 'd': 0}>"


def test_faults_are_outside() -> None:
    rows: list[Row] = [
        {"process": "nemesis", "kind": "fault", "name": "partition"},
        {"process": "a", "kind": "internal"},
    ]
    hb = Execution(trace_of(rows)).happens_before
    assert Cut.whole(hb).consistent and Cut.whole(hb).largest_below() == Cut.whole(hb)
    assert count_consistent_cuts(Cut.of(hb, {}), Cut.whole(hb)) == 4


def test_what_is_not_known_is_told() -> None:
    rows: list[Row] = [
        {"process": "a", "kind": "receive", "message": 2},
        {"process": "a", "kind": "send", "message": 1},
        {"process": "b", "kind": "receive", "message": 1},
        {"process": "b", "kind": "send", "message": 2},
    ]
    rows = [{"process": "a", "kind": "internal"}, *rows, {"process": "c", "kind": "send", "message": 3}]
    rows += [{"process": "d", "kind": "receive", "message": 3}]
    hb = Execution(trace_of(rows)).happens_before
    assert Cut.of(hb, [2, 0, 0, 0]).doubtful.tolist() == [1]
    assert not len(Cut.of(hb, [1, 0, 1, 1]).doubtful)
    assert counts(Cut.of(hb, [3, 2, 0, 1]).largest_below())[2:] == (0, 0), "what does not depend on a cycle is ordered"
