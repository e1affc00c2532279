"""Operations from invoke / ok / fail / info rows: joins, real time, and what does not fit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import examples
from tracekit.analysis import analyze
from tracekit.history.operations import BEGINNING, NEVER, Operations, Outcome, operations_of, out_of_turn, overlapping
from tracekit.results import Verdict
from tracekit.trace.builder import TraceBuilder
from tracekit.trace.run import Run
from tracekit.trace.trace import Trace


def made(rows: list[dict[str, Any]], run: Run | None = None) -> Trace:
    builder = TraceBuilder(run=run)
    for row in rows:
        builder.add(row)
    return builder.build()


def row(process: str, kind: str, f: str = "read", **more: Any) -> dict[str, Any]:
    return {"process": process, "kind": kind, "f": f} | more


def pairs(operations: Operations) -> list[tuple[int, int, str]]:
    names = [Outcome(o).name.lower() for o in operations.outcome]
    return list(zip(operations.invoke.tolist(), operations.completion.tolist(), names, strict=True))


def test_joined_by_program_order() -> None:
    trace = made(
        [
            row("a", "invoke"),
            row("b", "invoke"),
            row("a", "ok", value=1),
            row("a", "invoke"),
            row("b", "fail"),
            row("nemesis", "info"),
            row("a", "info"),
            row("c", "invoke"),
        ]
    )
    assert pairs(operations_of(trace)) == [(0, 2, "ok"), (1, 4, "fail"), (3, 6, "info"), (7, -1, "info")]


def test_joined_by_op_where_it_is_recorded() -> None:
    trace = made(
        [
            row("a", "invoke", op=7),
            row("a", "invoke", op=3),
            row("a", "ok", op=7, value=1),
            row("a", "ok", op=3, value=2),
        ]
    )
    operations = operations_of(trace)
    assert pairs(operations) == [(0, 2, "ok"), (1, 3, "ok")]
    assert overlapping(trace, operations).tolist() == [False, True]
    assert not operations.doubtful.any() and not operations.problems


def test_a_completion_without_invocation_began_before_everything() -> None:
    operations = operations_of(made([row("a", "ok", value=1, time_ns=5), row("a", "invoke", time_ns=6)]))
    assert pairs(operations) == [(-1, 0, "ok"), (1, -1, "info")]
    assert operations.start.tolist() == [BEGINNING, 6] and operations.end.tolist() == [5, NEVER]
    assert operations.problems["completion without invocation"].rows == (0,)
    assert not operations.doubtful.any()


def test_a_completion_of_another_call_is_no_answer() -> None:
    trace = made([row("a", "invoke", "write", value=1), row("a", "ok", "read", value=1), row("a", "invoke", "read")])
    assert pairs(operations_of(trace)) == [(0, -1, "info"), (1 - 2, 1, "ok"), (2, -1, "info")]


def test_overlap_without_op_leaves_the_process_in_doubt() -> None:
    trace = made([row("a", "invoke"), row("a", "invoke"), row("a", "ok"), row("b", "invoke"), row("b", "ok")])
    operations = operations_of(trace)
    assert operations.doubtful.tolist() == [True, True, False]
    assert operations.problems["invocation while an operation of the process is open"].count == 1


def test_second_completions_are_problems_and_no_operations() -> None:
    trace = made([row("a", "invoke", op=1), row("a", "ok", op=1), row("a", "fail", op=1), row("a", "invoke", op=2)])
    operations = operations_of(trace)
    assert pairs(operations) == [(0, 1, "ok"), (3, -1, "info")]
    assert operations.problems["second completion of one operation"].rows == (2,)
    assert operations.doubtful.tolist() == [True, False]


@pytest.mark.parametrize(
    ("columns", "run", "text", "assumed"),
    [
        (("index", "time_ns"), None, "real time: index (one recorder)", False),
        (("true_time_ns", "time_ns"), None, "real time: the simulator's clock", False),
        (("time_ns",), None, "real time: one shared clock (assumed)", True),
        (("time_ns",), Run(clocks={"a": "lan", "b": "lan"}), "real time: one shared clock (declared)", False),
        (
            ("time_ns",),
            Run(clocks={"a": "x", "b": "y"}),
            "real time: 2 clocks without a bound between them (declared)",
            False,
        ),
        (("time_ns",), Run(bounds={"skew_ns": 5}), "real time: clocks that differ by at most 5 ns (declared)", False),
        ((), None, "real time: file order (assumed: one recorder)", True),
    ],
)
def test_what_real_time_rests_on(columns: tuple[str, ...], run: Run | None, text: str, assumed: bool) -> None:
    rows = [row("a", "invoke"), row("b", "invoke"), row("a", "ok"), row("b", "ok")]
    trace = made([r | dict.fromkeys(columns, number) for number, r in enumerate(rows)], run)
    real_time = operations_of(trace).real_time
    assert (real_time.text, real_time.assumed) == (text, assumed)


def test_a_clock_that_went_back_leaves_the_operation_in_doubt() -> None:
    operations = operations_of(made([row("a", "invoke", time_ns=9), row("a", "ok", time_ns=3)]))
    assert operations.doubtful.tolist() == [True]
    assert operations.problems["completion earlier than its invocation"].count == 1


def test_a_missing_time_leaves_the_operation_in_doubt() -> None:
    trace = made(
        [
            row("a", "invoke", time_ns=1),
            row("a", "ok"),
            row("b", "invoke", time_ns=4),
            row("b", "ok", time_ns=5),
        ]
    )
    operations = operations_of(trace)
    assert operations.doubtful.tolist() == [True, False]
    assert operations.end.tolist() == [NEVER, 5]


def test_no_client_rows_are_no_operations() -> None:
    assert len(operations_of(made([{"process": "a", "kind": "internal"}]))) == 0
    assert len(operations_of(made([]))) == 0


def joined_by_definition(trace: Trace) -> list[tuple[int, int]]:
    """Row by row: a completion answers the invocation right before it of the same process (and op)."""
    found: dict[int, int] = {}
    before: dict[Any, int] = {}
    op = trace.get("op")
    for place in range(len(trace)):
        group = (int(trace.process[place]), None if op is None else op.at(place))
        kind, last = int(trace.kind[place]), before.get(group)
        if kind == 3:
            found[place] = -1
        elif last is not None and int(trace.kind[last]) == 3:
            found[last] = place
        elif last is None or group[1] is None:
            found[-1 - place] = place
        before[group] = place
    joined = [(key if key >= 0 else -1, completion) for key, completion in found.items()]
    return sorted(joined, key=lambda pair: pair[0] if pair[0] >= 0 else pair[1])


@examples(300)
@given(
    st.lists(
        st.tuples(
            st.sampled_from("abc"),
            st.sampled_from(["invoke", "invoke", "ok", "fail", "info"]),
            st.sampled_from([None, 0, 1, 2]),
        ),
        max_size=14,
    ),
    st.booleans(),
)
def test_joins_agree_with_the_definition(events: list[tuple[str, str, int | None]], with_op: bool) -> None:
    rows = [row(process, kind) | ({"op": op} if with_op and op is not None else {}) for process, kind, op in events]
    trace = made(rows)
    operations = operations_of(trace)
    joined = list(zip(operations.invoke.tolist(), operations.completion.tolist(), strict=True))
    assert joined == joined_by_definition(trace)
    used = {r for pair in joined_by_definition(trace) for r in pair if r >= 0}
    second = operations.problems.get("second completion of one operation")
    assert len(used) + (second.count if second else 0) == len(trace)


def test_every_completion_is_counted() -> None:
    rng = np.random.default_rng(1)
    rows = [row(f"p{rng.integers(4)}", ["invoke", "ok", "info"][rng.integers(3)]) for _ in range(500)]
    operations = operations_of(made(rows))
    orphans = operations.problems["completion without invocation"].count
    assert orphans == int((operations.invoke < 0).sum())


@pytest.mark.parametrize(("column", "words"), [("time_ns", "time_ns puts before"), ("index", "index puts before")])
def test_a_client_whose_clock_contradicts_its_order_is_in_doubt(column: str, words: str) -> None:
    """By the clock the write of 2 came first, by program order last: nothing follows from a read of 1."""
    builder = TraceBuilder()
    for process, f, value, start in (("a", "write", 1, 100), ("a", "write", 2, 50), ("b", "read", 1, 200)):
        common = {"process": process, "f": f}
        builder.add(common | {"kind": "invoke", "value": value if f == "write" else None, column: start})
        builder.add(common | {"kind": "ok", "value": value, column: start + 10})
    trace = builder.build()
    assert out_of_turn(trace, operations_of(trace), 0).tolist() == [False, True, False]
    assert not out_of_turn(trace, operations_of(trace), 60).any()
    [found] = [c for c in analyze(trace).checks if c.check == "consistency.linearizable"]
    assert found.verdict is Verdict.UNKNOWN and words in found.reasons[0]


def test_an_answer_that_stands_before_its_invocation_is_in_doubt() -> None:
    builder = TraceBuilder()
    for kind, op in (("invoke", 1), ("ok", 1), ("ok", 2), ("invoke", 2), ("ok", 3)):
        builder.add({"process": "a", "kind": kind, "f": "read", "op": op, "value": None if kind == "invoke" else 1})
    found = operations_of(builder.build())
    assert found.doubtful.tolist() == [False, True, True, False]
    assert found.problems["completion before the invocation of its operation"].count == 1
    assert found.problems["completion without invocation"].count == 1
