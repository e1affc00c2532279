"""Hybrid logical clocks: the paper's algorithm is silent, every other number is found."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.oracle import order
from tests.oracle.hybrid import Recorder, Stamp, stamps
from tests.strategies import PROCESSES, examples, executions, trace_of, with_seq
from tracekit.execution import Execution
from tracekit.order.hybrid import HybridError, hybrid_errors, largest_causes

Row = dict[str, Any]


def errors(rows: list[Row], found: list[Stamp], readings: list[int]) -> list[int]:
    hb = Execution(trace_of(rows)).happens_before
    pairs = np.array(found, np.int64).reshape(-1, 2)
    everywhere = np.ones(len(rows), np.bool_)
    cause = largest_causes(hb, pairs[:, 0], pairs[:, 1], everywhere)
    reading = np.array(readings, np.int64)
    return hybrid_errors(cause, pairs[:, 0], pairs[:, 1], everywhere, reading, everywhere).tolist()


def draw_run(data: st.DataObject, rows: list[Row]) -> tuple[list[int], list[Stamp]]:
    clock = dict.fromkeys(PROCESSES, 0)
    readings = []
    for row in rows:
        clock[row["process"]] += data.draw(st.integers(0, 3))
        readings.append(1 + clock[row["process"]])
    return readings, stamps(rows, readings, Recorder())


@examples(300)
@given(executions(), st.data())
def test_the_algorithm_is_silent(rows: list[Row], data: st.DataObject) -> None:
    rows = with_seq(rows)
    readings, found = draw_run(data, rows)
    assert set(errors(rows, found, readings)) <= {HybridError.NONE}


@examples(500)
@given(executions(), st.data())
def test_any_other_timestamp_is_found(rows: list[Row], data: st.DataObject) -> None:
    rows = with_seq(rows)
    if not rows:
        return
    readings, found = draw_run(data, rows)
    at = data.draw(st.integers(0, len(rows) - 1))
    stamp = data.draw(st.tuples(st.integers(0, 20), st.integers(0, 5)).filter(lambda s: s != found[at]))
    found[at] = stamp
    said = errors(rows, found, readings)
    edges = order.message_edges(rows)
    direct = [i for i, j in edges if j == at] + [
        i
        for i in range(len(rows))
        if rows[i]["process"] == rows[at]["process"] and rows[i]["seq"] == rows[at]["seq"] - 1
    ]
    largest = max((found[i] for i in direct), default=None)
    if largest is not None and stamp <= largest:
        assert said[at] == HybridError.NOT_LATER
    elif stamp[0] < readings[at]:
        assert said[at] == HybridError.BEHIND_CLOCK
    elif largest is not None and stamp[0] > max(largest[0], readings[at]):
        assert said[at] == HybridError.AHEAD
    elif largest is not None and stamp != (largest[0], largest[1] + 1) and not (stamp[0] > largest[0] and not stamp[1]):
        assert said[at] == HybridError.WRONG_COUNT
    else:
        assert largest is None, "only a first timestamp is free"
        assert said[at] == HybridError.NONE
