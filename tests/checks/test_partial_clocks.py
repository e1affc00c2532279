"""Clocks and channels where the recording has gaps: what was not recorded may excuse what looks wrong."""

from __future__ import annotations

from typing import Any

import pytest

from tracekit.analysis import analyze
from tracekit.results import Verdict
from tracekit.trace.builder import TraceBuilder

Row = dict[str, Any]


def event(process: str, kind: str, vclock: list[int] | None = None, **fields: Any) -> Row:
    return {"process": process, "kind": kind, "vclock": vclock, **fields}


def verdict(rows: list[Row], check: str) -> Verdict:
    builder = TraceBuilder(("a", "b"))
    for row in rows:
        builder.add(row)
    return next(c.verdict for c in analyze(builder.build(), check=[check]).checks if c.check == check)


@pytest.mark.parametrize(
    "rows",
    [
        [event("a", "internal", [1, 0]), event("a", "internal"), event("a", "internal", [3, 0])],
        [event("a", "internal", [1, 0], seq=0), event("a", "internal", [3, 0], seq=2)],
        [event("a", "send", message=1), event("b", "receive", [1, 1], message=1)],
        [event("a", "send", [1, 0], message=1), event("b", "receive", message=1), event("b", "internal", [1, 2])],
        [
            event("a", "send", [1, 0], message=1), event("a", "send", [2, 0], message=1),
            event("b", "receive", [2, 1], message=1),
        ],
    ],
    ids=["no timestamp", "gap in seq", "send without", "receive without", "second copy"],
)  # fmt: skip
def test_unrecorded_timestamps_excuse_a_vector(rows: list[Row]) -> None:
    assert verdict(rows, "clock.vector") is Verdict.HOLDS


def test_they_excuse_no_more_ticks_than_events() -> None:
    rows = [event("a", "internal", [1, 0]), event("a", "internal"), event("a", "internal", [4, 0])]
    assert verdict(rows, "clock.vector") is Verdict.VIOLATED


@pytest.mark.parametrize("spoiled", [event("a", "bogus", [2, 0]), event("a", "internal", [2, -1])])
def test_what_was_set_aside_leaves_a_vector_unknown(spoiled: Row) -> None:
    rows = [event("a", "internal", [1, 0]), spoiled, event("a", "internal", [3, 0])]
    assert verdict(rows, "clock.vector") is Verdict.UNKNOWN
    assert verdict([*rows, event("a", "internal", [2, 0])], "clock.vector") is Verdict.VIOLATED


@pytest.mark.parametrize("spoiled", [{"kind": "bogus", "lamport": 2}, {"kind": "internal", "lamport": -2}])
def test_what_was_set_aside_is_no_pass_for_lamport(spoiled: Row) -> None:
    rows: list[Row] = [{"process": "a", "kind": "internal", "lamport": 1}, {"process": "a", **spoiled}]
    assert verdict(rows, "clock.lamport") is Verdict.UNKNOWN


@pytest.mark.parametrize(("received", "expected"), [(2, Verdict.HOLDS), (3, Verdict.VIOLATED)])
def test_any_copy_of_a_message_may_have_arrived(received: int, expected: Verdict) -> None:
    rows = [
        {"process": "a", "kind": "send", "message": 1, "peer": "b", "raft.message_term": 1},
        {"process": "a", "kind": "send", "message": 1, "peer": "b", "raft.message_term": 2},
        {"process": "b", "kind": "receive", "message": 1, "peer": "a", "raft.message_term": received},
    ]
    assert verdict(rows, "channel.delivery") is expected
