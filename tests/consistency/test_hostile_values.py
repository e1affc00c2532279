"""Values whose text is not what the format promises: never a wrong verdict, never a traceback."""

from __future__ import annotations

from typing import Any

import pytest

from tests.consistency.histories import text, trace_of
from tests.consistency.test_linearizable import judge
from tests.oracle.linearizability import Op
from tracekit.results import Verdict
from tracekit.trace.builder import TraceBuilder
from tracekit.trace.trace import Trace


def calls(*operations: tuple[str, str | None]) -> Trace:
    """Operations one after the other, by f and the text of their value."""
    builder = TraceBuilder()
    for f, value in operations:
        row: dict[str, Any] = {"process": "a", "f": f}
        builder.add(row | {"kind": "invoke", "value": None if f == "read" else value})
        builder.add(row | {"kind": "ok", "value": value})
    return builder.build()


@pytest.mark.parametrize("text", ['"abc', '"\\ud800"', '"\\x"'])
def test_an_append_to_a_broken_string_is_unknown(text: str) -> None:
    trace = calls(("append", text), ("append", '"d"'), ("read", '"abcd"'))
    assert judge(trace, "kv").verdict is Verdict.UNKNOWN
    trace = calls(("write", text), ("append", '"d"'), ("read", '"abcd"'))
    assert judge(trace, "kv").verdict is not Verdict.HOLDS


@pytest.mark.parametrize("value", ["18446744073709551617", "1.10", "1e2", '"\\u0061"', '{"a": 1}'])
def test_compare_and_set_of_a_value_that_json_writes_otherwise_is_no_violation(value: str) -> None:
    trace = calls(("write", value), ("cas", f"[{value},1]"), ("read", "1"))
    assert judge(trace, "cas-register").verdict is not Verdict.VIOLATED


def test_a_pair_with_a_blank_is_read() -> None:
    assert judge(calls(("write", "1"), ("cas", "[1, 2]"), ("read", "2")), "cas-register").verdict is Verdict.HOLDS


@pytest.mark.parametrize(("written", "read"), [('{"a": 1}', '{"a":1}'), ("1.10", "1.1"), ('"\\u0061"', '"a"')])
def test_one_value_written_in_two_ways_is_no_violation(written: str, read: str) -> None:
    assert judge(calls(("write", written), ("read", read)), "register").verdict is Verdict.UNKNOWN


def test_text_that_is_no_json_is_compared_as_text() -> None:
    assert judge(calls(("write", "red"), ("read", "blue")), "register").verdict is Verdict.VIOLATED


def test_a_history_in_which_nobody_was_answered_is_no_pass() -> None:
    history = [Op("write", 1, None, "info", 0, 1), Op("read", None, None, "info", 2, None)]
    assert judge(trace_of(history), "register").verdict is Verdict.UNKNOWN


def test_a_read_may_see_the_older_of_two_overlapping_writes() -> None:
    """Found in a recording of a real store: the read of 145 overlaps the write of 146 that a later read sees."""
    history = [
        Op("write", 145, None, "ok", 68877, 69990), Op("write", 146, None, "ok", 69814, 70397),
        Op("read", None, 145, "ok", 69078, 70295), Op("read", None, 146, "ok", 70400, 70500),
    ]  # fmt: skip
    assert judge(trace_of(history), "register").verdict is Verdict.HOLDS
    later = [*history, Op("read", None, 145, "ok", 70600, 70700)]
    assert judge(trace_of(later), "register").verdict is Verdict.VIOLATED


@pytest.mark.parametrize(
    ("model", "calls"),
    [
        ("counter", [("add", 1.5, 1.5), ("read", None, 1.5)]),
        ("counter", [("add", 1, 1), ("read", None, None)]),
        ("counter", [("increment", None, None), ("read", None, "1")]),
        ("counter", [("add", 1, 1), ("add", None, None)]),
        ("priority-queue", [("insert", "b", "b"), ("poll", None, "b")]),
        ("priority-queue", [("insert", 1, 1), ("poll", None, 1.0)]),
        ("set", [("add", 1, 1), ("read", None, 1)]),
        ("set", [("add", 1, 1), ("contains", 1, 1)]),
        ("log", [("append", 1, 1), ("read", None, 1)]),
        ("multi-register", [("write", 1, 1), ("read", None, 1)]),
        ("multi-register", [("write", {"x": 1}, None), ("read", None, None)]),
    ],
)
def test_values_of_another_kind_refute_nothing(model: str, calls: list[tuple[str, Any, Any]]) -> None:
    ops = [Op(f, argument, answer, "ok", 2 * n, 2 * n + 1) for n, (f, argument, answer) in enumerate(calls)]
    found = judge(with_argument_answers(ops), model)
    assert found.verdict is Verdict.UNKNOWN and "whose values it cannot read (first: c" in found.reasons[0]


def with_argument_answers(ops: list[Op]) -> Trace:
    """Like `trace_of`, with every recorded argument and answer as it is."""
    builder = TraceBuilder()
    for n, op in enumerate(ops):
        row = {"process": f"c{n}", "f": op.f}
        builder.add(row | {"kind": "invoke", "value": text(op.argument), "time_ns": op.start})
        builder.add(row | {"kind": op.outcome, "value": text(op.answer), "time_ns": op.end})
    return builder.build()


@pytest.mark.parametrize("model", ["set", "log"])
def test_null_is_an_empty_collection(model: str) -> None:
    f = "add" if model == "set" else "append"
    early, late = Op("read", None, None, "ok", 0, 1), Op(f, 1, 1, "ok", 2, 3)
    assert judge(with_argument_answers([early, late]), model).verdict is Verdict.HOLDS
    again = Op("read", None, None, "ok", 4, 5)
    assert judge(with_argument_answers([early, late, again]), model).verdict is Verdict.VIOLATED


def test_locks_need_no_values() -> None:
    ops = [Op("acquire", None, None, "ok", 0, 1), Op("acquire", None, None, "ok", 2, 3)]
    assert judge(with_argument_answers(ops)).verdict is Verdict.VIOLATED
    ops.insert(1, Op("release", None, None, "info", 1, None))
    assert judge(with_argument_answers(ops[:1])).verdict is Verdict.HOLDS
    reads = [Op("read", None, None, "ok", 0, 1)]
    assert judge(with_argument_answers(reads), "register").reasons == ("value is not recorded",)
