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


@pytest.mark.parametrize("between", [[], [{"process": "a", "kind": "crash", "seq": 1}]])
def test_a_clock_that_stands_still_over_a_gap_may_be_one_that_does_not_tick(between: list[Row]) -> None:
    stamps = {"lamport": 1, "vclock": [1, 0], "hlc.physical_ns": 5, "hlc.logical": 0}
    rows: list[Row] = [{"process": "a", "kind": "internal", "seq": seq, **stamps} for seq in (0, 2)]
    ticking = [
        {**rows[0], "process": "b", "seq": i, "lamport": i, "vclock": [0, i], "hlc.logical": i} for i in range(6)
    ]
    for check in ("clock.lamport", "clock.vector", "clock.hybrid"):
        assert verdict([rows[0], *between, rows[1]], check) is Verdict.UNKNOWN
    for check in ("clock.lamport", "clock.vector"):
        assert verdict([rows[0], *between, rows[1], *ticking], check) is Verdict.VIOLATED, "by a clear convention"


def test_one_timestamp_of_each_process_is_compared_with_nothing() -> None:
    rows: list[Row] = [{"process": p, "kind": "internal", "lamport": 7} for p in "ab"]
    assert verdict(rows, "clock.lamport") is Verdict.NOT_APPLICABLE
    sent = [{**rows[0], "kind": "send", "message": 1}, {**rows[1], "kind": "receive", "message": 1, "lamport": 8}]
    assert verdict(sent, "clock.lamport") is Verdict.HOLDS
