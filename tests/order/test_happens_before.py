"""Happens-before against its definition."""

from __future__ import annotations

from itertools import combinations, pairwise, product
from typing import Any

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.oracle import order as oracle
from tests.strategies import examples, executions, recordings, trace_of, with_seq
from tracekit.execution import Execution
from tracekit.kernels import engine
from tracekit.order.happens_before import HappensBefore

Row = dict[str, Any]


@pytest.fixture(params=["interpreted", "compiled"])
def mode(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "COMPILE_FROM", 1 << 60 if request.param == "interpreted" else 0)


def check_against_definition(rows: list[Row]) -> None:
    execution = Execution(trace_of(rows))
    hb = execution.happens_before
    edges = oracle.message_edges(rows)
    before = oracle.happens_before(rows, edges)
    n = len(rows)
    pairs = np.array(list(product(range(n), repeat=2)), np.int64).reshape(-1, 2)
    found = hb.precedes(pairs[:, 0], pairs[:, 1])
    assert {(i, j) for (i, j), yes in zip(pairs.tolist(), found, strict=True) if yes} == before
    concurrent = hb.concurrent(pairs[:, 0], pairs[:, 1])
    assert all(
        yes == (i != j and (i, j) not in before and (j, i) not in before)
        for (i, j), yes in zip(pairs.tolist(), concurrent, strict=True)
    )
    assert hb.lamport(np.arange(n)).tolist() == oracle.lamport(rows, before)
    for i in range(n):
        past, future = hb.past(i).tolist(), hb.future(i).tolist()
        assert set(past) == {j for j in range(n) if (j, i) in before}
        assert set(future) == {j for j in range(n) if (i, j) in before}
        for some in (past, future):
            assert some == sorted(some, key=lambda j: (hb.trace.process[j], hb.program.index[j]))
            assert hb.linearized(some).tolist() == by_timestamp(hb, some), "an order that respects the relation"
        for j in range(n):
            check_path(rows, edges, before, hb.path(i, j).tolist(), i, j)


def by_timestamp(hb: HappensBefore, rows: list[int]) -> list[int]:
    clock = hb.lamport(np.array(rows, np.int64)).tolist()
    return [row for _, _, row in sorted(zip(clock, hb.trace.process[rows].tolist(), rows, strict=True))]


def check_path(
    rows: list[Row], edges: list[tuple[int, int]], before: set[tuple[int, int]], path: list[int], i: int, j: int
) -> None:
    if (i, j) not in before:
        assert path == []
        return
    assert (path[0], path[-1]) == (i, j)
    assert all(step in before for step in pairwise(path))
    across = [step for step in pairwise(path) if rows[step[0]]["process"] != rows[step[1]]["process"]]
    assert all(step in edges for step in across)
    assert sum(step in edges for step in pairwise(path)) <= (oracle.shortest(rows, edges, i, j) or 0) + sum(
        rows[a]["process"] == rows[b]["process"] for a, b in pairwise(path)
    )
    assert len(across) == oracle.shortest(rows, edges, i, j)


@pytest.mark.usefixtures("mode")
class TestAgainstDefinition:
    @examples(300)
    @given(executions(), st.randoms(use_true_random=False))
    def test_correct_executions_in_any_file_order(self, rows: list[Row], random: Any) -> None:
        rows = with_seq(rows)
        random.shuffle(rows)
        check_against_definition(rows)

    @examples(300)
    @given(recordings())
    def test_arbitrary_recordings(self, rows: list[Row]) -> None:
        rows = with_seq(rows)
        before = oracle.happens_before(rows, oracle.message_edges(rows))
        cyclic = {i for i in range(len(rows)) if (i, i) in before}
        hb = Execution(trace_of(rows)).happens_before
        assert set(hb.unordered.tolist()) == {
            j for j in range(len(rows)) if j in cyclic or any((i, j) in before for i in cyclic)
        }
        if not cyclic:
            check_against_definition(rows)
            assert not len(hb.cycle)
            return
        line = hb.linearized(np.arange(len(rows))).tolist()
        same = [rows[i]["process"] for i in line]
        assert all(line[i] < line[j] for i, j in combinations(range(len(line)), 2) if same[i] == same[j])
        cycle = hb.cycle.tolist()
        assert cycle and set(cycle) <= cyclic
        ordered = [i for i in range(len(rows)) if i not in set(hb.unordered.tolist())]
        for i, j in product(ordered, repeat=2):
            assert bool(hb.precedes(i, j)) == ((i, j) in before), "what does not depend on the cycle is still ordered"


def test_multicast_lost_duplicate_and_orphan() -> None:
    rows = [
        {"process": "a", "kind": "send", "message": 1},
        {"process": "a", "kind": "send", "message": 2},
        {"process": "b", "kind": "receive", "message": 1},
        {"process": "c", "kind": "receive", "message": 1},
        {"process": "c", "kind": "receive", "message": 1},
        {"process": "b", "kind": "receive", "message": 9},
    ]
    messages = Execution(trace_of(rows)).messages
    assert messages.send_of.tolist() == [-1, -1, 0, 0, 0, -1]
    assert messages.undelivered.tolist() == [1]
    assert messages.repeated.tolist() == [4]
    assert messages.orphans.tolist() == [5]


def test_message_ids_may_be_text_sparse_or_absent() -> None:
    for first, second in (("x", "y"), (5, 10**15)):
        rows = [
            {"process": "a", "kind": "send", "message": second},
            {"process": "a", "kind": "send", "message": first},
            {"process": "b", "kind": "receive", "message": first},
            {"process": "b", "kind": "receive"},
        ]
        assert Execution(trace_of(rows)).messages.send_of.tolist() == [-1, -1, 1, -1]


@examples(100)
@given(executions())
def test_networkx_has_the_same_relation(rows: list[Row]) -> None:
    rows = with_seq(rows)
    execution = Execution(trace_of(rows))
    graph = execution.happens_before.to_networkx()
    closure = nx.transitive_closure(graph)
    for i, j in product(range(len(rows)), repeat=2):
        a, b = execution.trace.event(i), execution.trace.event(j)
        assert closure.has_edge(a, b) == bool(execution.happens_before.precedes(i, j))


def test_a_cycle_is_told_with_its_messages() -> None:
    rows = [
        {"process": "a", "kind": "receive", "message": 2},
        {"process": "a", "kind": "send", "message": 1},
        {"process": "b", "kind": "receive", "message": 1},
        {"process": "b", "kind": "send", "message": 2},
        {"process": "c", "kind": "internal"},
    ]
    hb = Execution(trace_of(rows)).happens_before
    assert sorted(hb.cycle.tolist()) == [0, 1, 2, 3]
    assert hb.unordered.tolist() == [0, 1, 2, 3]
    assert hb.reason(1, 2) == "message 1"


def test_cycles_apart_are_all_told() -> None:
    def pair(a: str, b: str, first: int) -> list[dict[str, object]]:
        return [
            {"process": a, "kind": "receive", "message": first},
            {"process": a, "kind": "send", "message": first + 1},
            {"process": b, "kind": "receive", "message": first + 1},
            {"process": b, "kind": "send", "message": first},
        ]

    hb = Execution(trace_of([*pair("a", "b", 1), *pair("c", "d", 3)])).happens_before
    assert [sorted(rows.tolist()) for rows in hb.cycles] == [[0, 1, 2, 3], [4, 5, 6, 7]]
