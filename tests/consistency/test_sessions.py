"""Sessions from operations: order, reads-from, open writes, and what is left unclear."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.consistency.programs import program, programs, trace_of
from tests.oracle.causal import Op
from tests.strategies import examples
from tracekit.history.operations import operations_of
from tracekit.history.sessions import AMBIGUOUS, INITIAL, NONE, UNWRITTEN, Sessions, sessions_of
from tracekit.trace.builder import TraceBuilder
from tracekit.trace.trace import Trace


def read(trace: Trace, **options: Any) -> Sessions:
    return sessions_of(trace, operations_of(trace), **options)


def made(*rows: dict[str, Any]) -> Trace:
    builder = TraceBuilder()
    for row in rows:
        builder.add(row)
    return builder.build()


def call(process: str, f: str, value: Any, key: Any = None, kind: str = "ok", **more: Any) -> list[dict[str, Any]]:
    common = {"process": process, "f": f, "key": key} | more
    argument = None if f in ("read", "get") else value
    return [common | {"kind": "invoke", "value": argument}, common | {"kind": kind, "value": value}]


def test_sessions_are_clients_in_program_order() -> None:
    found = read(trace_of(program("w(x1) r(y2) | w(y2) r(x1) r(x0)")))
    assert found.count == 2 and found.starts.tolist() == [0, 2, 5]
    assert found.session.tolist() == [0, 0, 1, 1, 1]
    assert found.place.tolist() == [0, 1, 0, 1, 2]
    assert found.write.tolist() == [True, False, True, False, False]
    assert found.source.tolist() == [NONE, 2, NONE, 0, INITIAL]
    assert [found.key_name(int(k)) for k in found.key] == ["key x", "key y", "key y", "key x", "key x"]


def test_a_value_is_looked_for_at_its_own_key() -> None:
    assert read(trace_of(program("w(x1) | r(y1)"))).source.tolist() == [NONE, UNWRITTEN]


def test_a_value_written_twice_is_ambiguous_only_where_it_is_read() -> None:
    found = read(trace_of(program("w(x1) w(x1) w(y1) w(x2) | r(x1) r(y1) r(x2)")))
    assert found.source[found.write == 0].tolist() == [AMBIGUOUS, 2, 3]


def test_an_open_write_has_a_part_only_where_it_was_read() -> None:
    found = read(trace_of(program("w(x1)? w(y2)? r(y0) | r(y2)")))
    assert found.unread == 1
    assert found.open.tolist() == [True, False, False]
    assert found.source.tolist() == [NONE, INITIAL, 0]


def test_failed_operations_and_reads_without_answer_have_none() -> None:
    rows = [*call("a", "write", 1, kind="fail"), *call("a", "read", 1), *call("b", "read", None, kind="info")]
    found = read(made(*rows))
    assert found.operation.tolist() == [1] and found.source.tolist() == [UNWRITTEN]


def test_nil() -> None:
    rows = [*call("a", "put", '"v"', "k"), *call("a", "get", None, "k")]
    assert read(made(*rows)).source.tolist() == [NONE, INITIAL]
    assert len(read(made(*rows), nil_any=True)) == 1
    null = [*call("a", "put", "null", "k"), *call("a", "put", '"v"', "k"), *call("a", "get", "null", "k")]
    assert read(made(*null)).source.tolist() == [NONE, NONE, AMBIGUOUS]


def test_an_absent_key_reads_as_empty_where_the_model_says_so() -> None:
    rows = [*call("a", "put", '"v"', "k"), *call("a", "get", '""', "k")]
    assert read(made(*rows)).source.tolist() == [NONE, UNWRITTEN]
    assert read(made(*rows), empty_is_absent=True).source.tolist() == [NONE, INITIAL]
    both = [*rows, *call("b", "put", '""', "k")]
    assert read(made(*both), empty_is_absent=True).source.tolist() == [NONE, AMBIGUOUS, NONE]


def test_other_operations_leave_their_key_unclear() -> None:
    rows = [*call("a", "append", 1, "x"), *call("a", "write", 1, "x"), *call("b", "read", 1, "x")]
    found = read(made(*rows, *call("b", "read", 1, "y"), *call("c", "cas", 1, "y", "fail")))
    assert found.source.tolist() == [NONE, AMBIGUOUS, UNWRITTEN]
    assert found.unclear.tolist() == [0] and found.unclear_keys.tolist() == [True, False]


def test_without_a_key_an_operation_may_be_about_any() -> None:
    found = read(made(*call("a", "write", 1, "x"), *call("b", "append", 1), *call("b", "read", 1, "x")))
    assert found.unclear_keys.all() and found.source.tolist() == [NONE, AMBIGUOUS]


def test_a_write_without_invocation_wrote_what_its_answer_says() -> None:
    known = {"process": "a", "f": "write", "kind": "ok"}
    found = read(made(known | {"value": 7}, *call("b", "read", 7)))
    assert found.source.tolist() == [NONE, 0] and not len(found.unclear)
    assert read(made(known, *call("b", "read", 7))).unclear.tolist() == [0]


def test_a_late_recording_does_not_know_the_initial_values() -> None:
    found = read(trace_of(program("w(x1) | r(x0) r(x9) r(x1)")), began_late=True)
    assert found.unconstrained == 2 and found.source.tolist() == [NONE, 0]


def test_overlapping_operations_are_told() -> None:
    rows = [{"process": "a", "kind": "invoke", "f": "write", "value": v, "op": v} for v in (1, 2)]
    done = [{"process": "a", "kind": "ok", "f": "write", "value": v, "op": v} for v in (1, 2)]
    assert read(made(*rows, *done)).overlapping.tolist() == [1]


@examples(300)
@given(programs(most=10, unique=False, opens=True), st.permutations(range(3)), st.sampled_from([1, 2**40, -5]))
def test_reads_from_by_its_definition(sessions: list[list[Op]], turns: list[int], scale: int) -> None:
    scaled = [
        [Op(o.f, o.key, None if o.value is None else o.value * scale, o.open) for o in session] for session in sessions
    ]
    trace = trace_of(scaled, turns=turns)
    operations = operations_of(trace)
    found = sessions_of(trace, operations)
    sessions_there = [int(name[1:]) for name in trace.processes]
    everything = [(s, o) for s in sessions_there for o in scaled[s]]
    looked = {(o.key, o.value) for _, o in everything if o.f == "r"}
    kept = [(s, o) for s, o in everything if not o.open or (o.key, o.value) in looked]
    assert [f"s{s}" for s, _ in kept] == [trace.processes[p] for p in found.process[found.session]]
    assert [o.f == "w" for _, o in kept] == found.write.tolist()
    for entry, (_, op) in enumerate(kept):
        if op.f == "w":
            assert found.source[entry] == NONE and found.open[entry] == op.open
            continue
        writers = [e for e, (_, w) in enumerate(kept) if w.f == "w" and (w.key, w.value) == (op.key, op.value)]
        if op.value is None:
            assert found.source[entry] == INITIAL
        else:
            wanted = AMBIGUOUS if len(writers) > 1 else writers[0] if writers else UNWRITTEN
            assert found.source[entry] == wanted
    assert np.array_equal(np.sort(found.operation), np.unique(found.operation))
