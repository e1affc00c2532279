"""Happens-before from recorded vectors alone: against the definition, and against vectors that are wrong."""

from __future__ import annotations

from itertools import pairwise, product
from typing import Any

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.corpora import corpus
from tests.oracle import clocks
from tests.oracle import order as oracle
from tests.strategies import PROCESSES, examples, executions, with_seq
from tracekit.execution import Execution
from tracekit.kernels import engine
from tracekit.order.happens_before import CAUSAL, HappensBefore
from tracekit.order.matching import Origin
from tracekit.registry import formats
from tracekit.trace.builder import TraceBuilder
from tracekit.trace.run import Run

Row = dict[str, Any]
OPEN_ENDED = Run(coverage={name: {"start": True, "end": False} for name in PROCESSES})


@pytest.fixture(params=["interpreted", "compiled"])
def mode(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "COMPILE_FROM", 1 << 60 if request.param == "interpreted" else 0)


def truth(rows: list[Row]) -> set[tuple[int, int]]:
    return oracle.happens_before(rows, oracle.message_edges(rows))


def stamped(rows: list[Row], ticks: tuple[str, ...] = ("internal", "send", "receive")) -> list[Row]:
    """The rows with vectors kept by the textbook's rules, in file order; only the given kinds advance the clock."""
    now = {name: [0] * len(PROCESSES) for name in PROCESSES}
    sent: dict[int, list[int]] = {}
    out = []
    for row in with_seq(rows):
        own = PROCESSES.index(row["process"])
        clock = now[row["process"]]
        if row["kind"] == "receive":
            clock = [max(a, b) for a, b in zip(clock, sent[row["message"]], strict=True)]
        clock = [v + (c == own and row["kind"] in ticks) for c, v in enumerate(clock)]
        now[row["process"]] = clock
        if row["kind"] == "send":
            sent[row["message"]] = clock
        out.append({**row, "vclock": clock})
    return out


def recovered(rows: list[Row], run: Run | None = None, kinds: bool = False) -> HappensBefore:
    """Happens-before of the rows without their message ids (and without their kinds)."""
    builder = TraceBuilder(PROCESSES, run)
    for row in rows:
        kept = {name: value for name, value in row.items() if name != "message"}
        builder.add(kept if kinds else {**kept, "kind": "internal"})
    return Execution(builder.build()).happens_before


def relation(hb: HappensBefore) -> set[tuple[int, int]]:
    n = len(hb.trace)
    pairs = np.array(list(product(range(n), repeat=2)), np.int64).reshape(-1, 2)
    return {(i, j) for (i, j), yes in zip(pairs.tolist(), hb.precedes(pairs[:, 0], pairs[:, 1]), strict=True) if yes}


@pytest.mark.usefixtures("mode")
class TestTrueVectors:
    @examples(400)
    @given(executions(), st.randoms(use_true_random=False))
    def test_the_relation_its_edges_and_its_answers(self, rows: list[Row], random: Any) -> None:
        rows = stamped(rows)
        random.shuffle(rows)
        before = truth(rows)
        assert [row["vclock"] for row in rows] == clocks.vectors(rows, before, PROCESSES), "the test's own clocks"
        hb = recovered(rows)
        edges = hb.edges()
        assert relation(hb) == before
        found = list(zip(edges.sources.tolist(), edges.targets.tolist(), strict=True))
        assert set(found) == oracle.covers(rows, before) and len(set(found)) == len(found)
        assert (edges.origin == Origin.CAUSAL).all()
        assert not len(hb.unordered) and not len(hb.cycle)
        assert hb.lamport(np.arange(len(rows))).tolist() == oracle.lamport(rows, before)
        assert hb.frontiers(np.arange(len(rows))).tolist() == [row["vclock"] for row in rows]
        for i in range(len(rows)):
            assert set(hb.past(i).tolist()) == {j for j in range(len(rows)) if (j, i) in before}
            assert set(hb.future(i).tolist()) == {j for j in range(len(rows)) if (i, j) in before}
            for j in range(len(rows)):
                path = hb.path(i, j).tolist()
                assert bool(path) == ((i, j) in before)
                across = [step for step in pairwise(path) if rows[step[0]]["process"] != rows[step[1]]["process"]]
                assert all(step in before for step in pairwise(path)) and all(step in found for step in across)
                if path:
                    assert len(across) == oracle.shortest(rows, found, i, j)

    @examples(200)
    @given(executions(), st.sampled_from([("send",), ("send", "receive"), ("send", "internal")]))
    def test_where_only_some_events_tick(self, rows: list[Row], ticks: tuple[str, ...]) -> None:
        rows = stamped(rows, ticks)
        assert relation(recovered(rows)) == truth(rows), "every message comes from an event that ticked"

    @examples(200)
    @given(executions())
    def test_counting_from_zero_hides_first_events_only(self, rows: list[Row]) -> None:
        rows = stamped(rows)
        before = truth(rows)
        for row in rows:
            row["vclock"] = [max(0, v - 1) for v in row["vclock"]]
        hb = recovered(rows)
        assert relation(hb) == oracle.recorded_order(rows, PROCESSES) & before
        hidden = before - relation(hb)
        assert all(rows[i]["seq"] == 0 for i, _ in hidden)
        assert not rows or "stamped 0" in hb.words

    @examples(200)
    @given(executions(), st.data())
    def test_events_that_were_not_recorded(self, rows: list[Row], data: st.DataObject) -> None:
        rows = stamped(rows)
        before = truth(rows)
        left = data.draw(st.lists(st.sampled_from(range(len(rows))), unique=True)) if rows else []
        left.sort()
        hb = recovered([rows[i] for i in left], OPEN_ENDED)
        assert relation(hb) == {(a, b) for a, i in enumerate(left) for b, j in enumerate(left) if (i, j) in before}
        assert not len(hb.unordered)


@pytest.mark.usefixtures("mode")
class TestWrongVectors:
    @examples(400)
    @given(executions(), st.data())
    def test_few_wrong_clocks_put_few_events_out_of_order(self, rows: list[Row], data: st.DataObject) -> None:
        rows = stamped(rows)
        wrong = data.draw(st.lists(st.sampled_from(range(len(rows))), unique=True, max_size=3)) if rows else []
        for i in wrong:
            at = data.draw(st.integers(0, len(PROCESSES) - 1))
            value = data.draw(st.integers(0, 12))
            rows[i] = {**rows[i], "vclock": [value if c == at else v for c, v in enumerate(rows[i]["vclock"])]}
        hb = recovered(rows, OPEN_ENDED)
        assert len(hb.unordered) <= 2 * len(wrong)
        self.check(rows, hb)

    @examples(400)
    @given(executions(), st.data(), st.booleans())
    def test_any_numbers_at_all(self, rows: list[Row], data: st.DataObject, whole: bool) -> None:
        vectors = st.lists(st.integers(0, 4), min_size=4, max_size=4)
        rows = [{**row, "vclock": data.draw(vectors)} for row in with_seq(rows)]
        self.check(rows, recovered(rows, None if whole else OPEN_ENDED))

    def check(self, rows: list[Row], hb: HappensBefore) -> None:
        """What is claimed is an order; and what is left in order is what its vectors say."""
        before = relation(hb)
        assert all((j, i) not in before for i, j in before), "no event comes before itself or what comes before it"
        assert all((i, k) in before for i, j in before for j2, k in before if j == j2)
        good = [i for i in range(len(rows)) if i not in set(hb.unordered.tolist())]
        kept = [rows[i] for i in good]
        claimed = {(a, b) for a, i in enumerate(good) for b, j in enumerate(good) if (i, j) in before}
        said = oracle.recorded_order(kept, PROCESSES)
        shared = {
            (a, b)
            for a, b in said
            if any(
                kept[c]["process"] == kept[a]["process"]
                and kept[c]["seq"] < kept[a]["seq"]
                and kept[c]["vclock"][PROCESSES.index(kept[a]["process"])]
                == kept[a]["vclock"][PROCESSES.index(kept[a]["process"])]
                for c in range(len(kept))
            )
        }
        assert claimed <= said
        resets = len(hb.recovered.impossible) if hb.recovered else 0
        assert resets or said - claimed <= shared, "of events that share a clock value, the first is known"
        for a, b in claimed:
            assert all(x <= y for x, y in zip(kept[a]["vclock"], kept[b]["vclock"], strict=True))
        n = len(rows)
        for i, j in product(range(n), repeat=2):
            if hb.concurrent(i, j):
                assert (i in good and j in good) or rows[i]["process"] == rows[j]["process"]
        if len(hb.unordered):
            assert "left unordered" in hb.words


def test_one_wrong_clock_among_many_stays_one() -> None:
    rows = stamped([{"process": "ab"[i % 2], "kind": ["send", "receive"][i % 2], "message": i // 2} for i in range(60)])
    rows[20] = {**rows[20], "vclock": [9_999, 0, 0, 0]}
    hb = recovered(rows)
    assert 20 in hb.unordered.tolist() and len(hb.unordered) <= 2
    assert bool(hb.precedes(0, 59)) and hb.reason(0, 59) == "happens before"
    assert "contradictory clocks" in hb.words


def test_a_restart_that_resets_the_clock_makes_both_lives_ambiguous() -> None:
    rows = stamped([{"process": "a", "kind": "internal"} for _ in range(5)])
    rows += [{**row, "seq": row["seq"] + 5} for row in rows]
    rows.append({"process": "b", "kind": "internal", "seq": 0, "vclock": [3, 1, 0, 0]})
    hb = recovered(rows)
    assert bool(hb.precedes(2, 10)), "whichever of the two events stamped 3 was meant, this one came before"
    assert not bool(hb.precedes(7, 10)) and not bool(hb.precedes(3, 10))
    assert hb.reason(3, 10) == "order unknown"
    assert bool(hb.precedes(0, 9)), "program order stays"
    rows[-1] = {**rows[-1], "vclock": [5, 1, 0, 0]}
    hb = recovered(rows)
    assert bool(hb.precedes(4, 10)) and not bool(hb.precedes(9, 10)) and not bool(hb.precedes(5, 10))


def test_knowledge_of_events_beyond_the_recording() -> None:
    rows: list[Row] = [
        {"process": "a", "kind": "internal", "seq": 0, "vclock": [1, 0, 0, 0]},
        {"process": "b", "kind": "internal", "seq": 0, "vclock": [7, 1, 0, 0]},
    ]
    assert recovered(rows).unordered.tolist() == [1]
    assert bool(recovered(rows, OPEN_ENDED).precedes(0, 1))


def test_events_without_clocks_are_ordered_by_program_order_only() -> None:
    rows = stamped(
        [
            {"process": "a", "kind": "send", "message": 1},
            {"process": "b", "kind": "receive", "message": 1},
            {"process": "b", "kind": "internal"},
            {"process": "c", "kind": "internal"},
        ]
    )
    del rows[2]["vclock"]
    hb = recovered(rows)
    assert hb.unordered.tolist() == [2]
    assert bool(hb.precedes(0, 2)), "by way of b:0"
    assert not bool(hb.concurrent(2, 3)) and bool(hb.concurrent(1, 3))
    assert "1 events without clocks" in hb.words


def test_several_senders_words_and_reasons() -> None:
    rows: list[Row] = [
        {"process": "a", "kind": "send", "seq": 0, "vclock": [1, 0, 0, 0]},
        {"process": "b", "kind": "send", "seq": 0, "vclock": [0, 1, 0, 0]},
        {"process": "c", "kind": "receive", "seq": 0, "vclock": [1, 1, 1, 0]},
        {"process": "c", "kind": "receive", "seq": 1, "vclock": [1, 1, 2, 0]},
    ]
    hb = recovered(rows, kinds=True)
    assert sorted(hb.edges().sources.tolist()) == [0, 1]
    assert hb.reason(0, 2) == hb.reason(1, 2) == CAUSAL
    assert hb.reason(0, 3) == "happens before" and hb.reason(0, 1) == "concurrent"
    assert "2 causal edges recovered; 1 of 2 receives brought no news" in hb.words
    assert hb.to_networkx().edges["b:0", "c:0"]["reason"] == CAUSAL


def test_message_ids_win_over_vectors() -> None:
    rows: list[Row] = [
        {"process": "a", "kind": "send", "message": 1, "vclock": [1, 0, 0, 0]},
        {"process": "b", "kind": "receive", "message": 1, "vclock": [0, 1, 0, 0]},
    ]
    builder = TraceBuilder(PROCESSES)
    for row in rows:
        builder.add(row)
    hb = Execution(builder.build()).happens_before
    assert bool(hb.precedes(0, 1)) and hb.words == "order: message ids"
    assert hb.edges().origin.tolist() == [Origin.DECLARED]


@examples(100)
@given(executions())
def test_networkx_has_the_same_relation(rows: list[Row]) -> None:
    hb = recovered(stamped(rows))
    closure = nx.transitive_closure(hb.to_networkx())
    for i, j in product(range(len(rows)), repeat=2):
        assert closure.has_edge(hb.trace.event(i), hb.trace.event(j)) == bool(hb.precedes(i, j))


@pytest.mark.parametrize(
    ("name", "events", "processes", "edges"),
    [("chord.log", 1235, 8, 541), ("facebook.log", 47, 4, 23), ("simple-reliable-broadcast.log", 39, 3, 16)],
)
def test_recordings_of_others(name: str, events: int, processes: int, edges: int) -> None:
    (trace,) = formats()["shiviz"].read(corpus(f"shiviz/{name}"))
    hb = Execution(trace).happens_before
    assert (len(trace), len(trace.processes), len(hb.edges())) == (events, processes, edges)
    assert not len(hb.unordered)
