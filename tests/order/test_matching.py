"""Matching without ids: by places on channels that are declared FIFO and reliable."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import PROCESSES, examples, with_seq
from tracekit.execution import Execution
from tracekit.order.matching import Origin
from tracekit.trace.builder import TraceBuilder
from tracekit.trace.run import Run

Row = dict[str, Any]


def execution(rows: list[Row], **channels: bool) -> Execution:
    builder = TraceBuilder(PROCESSES, Run(channels=channels))
    for row in rows:
        builder.add(row)
    return Execution(builder.build())


STEPS = st.lists(st.tuples(*(st.sampled_from(PROCESSES[:3]),) * 2, st.booleans()), max_size=14)


def channels_of(steps: list[tuple[str, str, bool]]) -> tuple[list[Row], list[int]]:
    """Sends and receives without ids on FIFO channels that lose nothing, and which row each receive has its send at."""
    rows: list[Row] = []
    waiting: dict[tuple[str, str], list[int]] = {}
    sender = []
    for a, b, receives in steps:
        queue = waiting.setdefault((a, b), [])
        if receives and queue:
            sender.append(queue.pop(0))
            rows.append({"process": b, "kind": "receive", "peer": a})
        else:
            sender.append(-1)
            queue.append(len(rows))
            rows.append({"process": a, "kind": "send", "peer": b})
    return rows, sender


@examples(300)
@given(STEPS)
def test_the_kth_receive_is_of_the_kth_send(steps: list[tuple[str, str, bool]]) -> None:
    rows, sender = channels_of(steps)
    found = execution(rows, fifo=True, reliable=True)
    assert found.messages.send_of.tolist() == sender
    edges = found.happens_before.edges()
    assert set(zip(edges.sources.tolist(), edges.targets.tolist(), strict=True)) == {
        (s, r) for r, s in enumerate(sender) if s >= 0
    }
    assert (edges.origin == Origin.MATCHED).all()


PAIR: list[Row] = [{"process": "a", "kind": "send", "peer": "b"}, {"process": "b", "kind": "receive", "peer": "a"}]


@examples(300)
@given(st.lists(st.tuples(st.sampled_from("ab"), st.just("c"), st.booleans()), min_size=3, max_size=12), st.data())
def test_what_is_missing_never_joins_a_receive_with_another_send(steps: Any, data: st.DataObject) -> None:
    """Of a recording that tells of its gaps, every join is that of the whole one."""
    rows, sender = channels_of(steps)
    rows = with_seq(rows)
    broken = data.draw(st.lists(st.sampled_from(range(len(rows))), unique=True)) if rows else []
    how = data.draw(st.sampled_from(["left out", "set aside", "without peer"]))
    old = [i for i in range(len(rows)) if how == "without peer" or i not in broken]
    if how == "left out":
        rows = [{"process": "d", "kind": "internal", "seq": 0}, *(rows[i] for i in old)]  # says where places begin
        old = [-1, *old]
    for i in broken if how != "left out" else ():
        rows[i] = {**rows[i], "kind": "?"} if how == "set aside" else {**rows[i], "peer": None}
    found = execution(rows, fifo=True, reliable=True).messages.send_of.tolist()
    assert len(found) == len(old)
    for row, send in enumerate(found):
        assert send < 0 or old[send] == sender[old[row]]


def test_a_first_place_that_is_not_zero_leaves_its_process_out() -> None:
    late = execution([{**PAIR[0], "seq": 1}, {**PAIR[1], "seq": 0}], fifo=True, reliable=True)
    assert late.messages.send_of.tolist() == [-1, -1]
    assert "no known place" in late.happens_before.words


def test_nothing_is_matched_by_place_unless_declared() -> None:
    for channels in ({}, {"fifo": True}, {"reliable": True}):
        assert execution(PAIR, **channels).messages.send_of.tolist() == [-1, -1]
    found = execution(PAIR, fifo=True, reliable=True).happens_before
    assert found.reason(0, 1) == "message matched by its place on the channel"
    assert "k-th" in found.words


def test_ids_win_and_unknown_peers_match_nothing() -> None:
    assert execution([{**PAIR[0], "message": 1}, PAIR[1]], fifo=True, reliable=True).messages.send_of.tolist() == [
        -1,
        -1,
    ]
    assert execution([PAIR[0], {**PAIR[1], "peer": "x"}], fifo=True, reliable=True).messages.send_of.tolist() == [
        -1,
        -1,
    ]
    assert execution([{"process": "a", "kind": "send"}], fifo=True, reliable=True).messages.send_of.tolist() == [-1]
