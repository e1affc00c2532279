"""Matching without ids: by places on channels that are declared FIFO and reliable."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import PROCESSES, examples
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


@examples(300)
@given(st.lists(st.tuples(*(st.sampled_from(PROCESSES[:3]),) * 2, st.booleans()), max_size=14))
def test_the_kth_receive_is_of_the_kth_send(steps: list[tuple[str, str, bool]]) -> None:
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
    found = execution(rows, fifo=True, reliable=True)
    assert found.messages.send_of.tolist() == sender
    edges = found.happens_before.edges()
    assert set(zip(edges.sources.tolist(), edges.targets.tolist(), strict=True)) == {
        (s, r) for r, s in enumerate(sender) if s >= 0
    }
    assert (edges.origin == Origin.MATCHED).all()


PAIR: list[Row] = [{"process": "a", "kind": "send", "peer": "b"}, {"process": "b", "kind": "receive", "peer": "a"}]


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
