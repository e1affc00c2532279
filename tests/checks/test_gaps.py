"""Gaps in seq: what stood there may excuse a violation, and is no reason to doubt what holds."""

from __future__ import annotations

from typing import Any

import pytest

from tracekit.analysis import analyze
from tracekit.execution import Execution, Options
from tracekit.results import CheckResult, Verdict
from tracekit.trace.builder import TraceBuilder

Row = dict[str, Any]


def grant(client: str, token: int) -> Row:
    return {"process": "s", "kind": "internal", "name": "lock.grant", "lock.holder": client, "lock.token": token}


def operations(*calls: tuple[str, str, int]) -> list[Row]:
    """Calls one after the other: client, f, value."""
    return [
        {"process": c, "kind": kind, "f": f, "value": None if (kind, f) == ("invoke", "read") else str(v), "index": i}
        for i, (c, f, v, kind) in enumerate((*call, kind) for call in calls for kind in ("invoke", "ok"))
    ]


LOCK = [grant("a", 1), grant("b", 2)]
UNWRITTEN = operations(("c1", "write", 1), ("c1", "read", 5), ("c2", "read", 5))
UNSEEN = operations(("c1", "write", 1), ("c1", "write", 2), ("c1", "read", 1))
BACK = operations(("c1", "write", 1), ("c1", "write", 2), ("c2", "read", 2), ("c2", "read", 1))


def judged(rows: list[Row], name: str, skip: int, start: int = 0) -> CheckResult:
    """skip: from this row on, its process's places are two further. start: the first place of each process."""
    builder, places = TraceBuilder(), dict.fromkeys({row["process"] for row in rows}, start)
    for number, row in enumerate(rows):
        places[row["process"]] += 2 * (number == skip)
        builder.add({**row, "seq": places[row["process"]]})
        places[row["process"]] += 1
    options = Options(model="register" if "f" in rows[0] else None)
    result = analyze(Execution(builder.build(), options), check=[name])
    return next(c for c in result.checks if c.check == name)


@pytest.mark.parametrize(
    ("rows", "name", "skip"),
    [
        (LOCK, "lock.mutual-exclusion", 1),
        (UNWRITTEN, "consistency.linearizable", 2),
        (UNWRITTEN, "consistency.causal", 2),
        (UNSEEN, "consistency.pram", 4),
        (BACK, "consistency.linearizable", 2),
    ],
)
def test_what_was_not_recorded_may_explain_it(rows: list[Row], name: str, skip: int) -> None:
    assert judged(rows, name, len(rows)).verdict is Verdict.VIOLATED
    assert judged(rows, name, len(rows), start=1).verdict is Verdict.VIOLATED, "places may count from 1"
    assert judged(rows, name, len(rows), start=2).verdict is Verdict.UNKNOWN
    found = judged(rows, name, skip)
    assert found.verdict is Verdict.UNKNOWN
    assert any("not recorded (gaps in seq)" in reason for reason in found.reasons)


def test_what_holds_is_not_doubted() -> None:
    assert judged(BACK[:6], "consistency.linearizable", 2).verdict is Verdict.HOLDS


def test_gaps_at_processes_without_operations_excuse_no_history() -> None:
    rows = [*UNWRITTEN, *({"process": "n1", "kind": "internal", "index": 90 + i} for i in range(2))]
    assert judged(rows, "consistency.linearizable", len(rows) - 1).verdict is Verdict.VIOLATED
