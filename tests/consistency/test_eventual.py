"""Eventual and strong eventual consistency against their definitions; what a recording leaves open."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.consistency.programs import program, programs, trace_of
from tests.oracle.causal import Op
from tests.oracle.eventual import converged, states_converge
from tests.strategies import examples
from tracekit.checks.consistency.eventual import eventual
from tracekit.checks.consistency.strong_eventual import strong_eventual
from tracekit.execution import Execution, Options
from tracekit.results import CheckResult, Verdict
from tracekit.trace.builder import TraceBuilder
from tracekit.trace.run import Run
from tracekit.trace.trace import Trace

Row = dict[str, Any]


def made(rows: list[Row], **run: Any) -> Trace:
    builder = TraceBuilder(run=Run(**run))
    for row in rows:
        builder.add(row)
    return builder.build()


def deliver(process: str, update: Any) -> Row:
    return {"process": process, "kind": "internal", "name": "replica.deliver", "replica.update": update}


def state(process: str, digest: Any) -> Row:
    return {"process": process, "kind": "internal", "name": "replica.state", "replica.digest": digest}


def reset(process: str) -> Row:
    return {"process": process, "kind": "internal", "name": "replica.reset"}


def strong(rows: list[Row], **run: Any) -> CheckResult:
    return strong_eventual(Execution(made(rows, **run)), Options())


SAME_SET = [deliver("a", "u"), deliver("a", "v"), state("a", 1), deliver("b", "v"), deliver("b", "u"), state("b", 2)]


def test_the_same_updates_and_another_state() -> None:
    found = strong(SAME_SET)
    assert found.verdict is Verdict.VIOLATED and found.violations_total == 1
    assert found.violations[0].summary == (
        "a and b had the same 2 updates (u, v) delivered and are in different states: 1 and 2."
    )
    assert [e.event for e in found.violations[0].events] == ["a:2", "b:2"]


def test_a_merge_that_counts_repeats_is_seen_at_one_replica() -> None:
    found = strong([deliver("a", 1), state("a", 1), deliver("a", 1), state("a", 2)])
    assert found.verdict is Verdict.VIOLATED and "at two moments" in found.violations[0].summary


def test_states_of_other_sets_are_not_compared() -> None:
    found = strong([deliver("a", 1), state("a", 1), deliver("b", 2), state("b", 2)])
    assert found.verdict is Verdict.UNKNOWN and "nothing was compared" in found.reasons[0]


def test_a_reset_forgets() -> None:
    assert strong([deliver("a", 1), reset("a"), state("a", 0), state("b", 0)]).verdict is Verdict.HOLDS
    assert strong([deliver("a", 1), reset("a"), state("a", 0), deliver("b", 1), state("b", 1)]).reasons


def test_what_was_not_recorded_excuses() -> None:
    late = strong(SAME_SET, coverage={"b": {"start": False, "end": True}})
    assert late.verdict is Verdict.UNKNOWN and "began late" in late.reasons[0]
    nameless = strong([*SAME_SET[:3], deliver("b", None), *SAME_SET[3:]])
    assert nameless.verdict is Verdict.UNKNOWN and "name no update" in nameless.reasons[0]


@examples(200)
@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.sampled_from(("deliver", "deliver", "state", "reset")), st.integers(0, 2)),
        max_size=14,
    ),
    st.sampled_from([1, "text", 2**40]),
)
def test_strong_by_definition(events: list[tuple[str, str, int]], scale: Any) -> None:
    kinds = {"deliver": deliver, "state": state}
    rows = [
        reset(p) if kind == "reset" else kinds[kind](p, f"u{n}" if scale == "text" else n * scale)
        for p, kind, n in events
    ]
    if not {"deliver", "state"} <= {kind for _, kind, _ in events}:
        return
    wanted = states_converge(rows)
    found = strong(rows)
    assert found.verdict is (Verdict.UNKNOWN if wanted is None else Verdict.HOLDS if wanted else Verdict.VIOLATED), (
        found
    )


@pytest.mark.parametrize("seed", range(3))
def test_strong_on_a_replicated_counter(seed: int) -> None:
    """Replicas apply the same updates in orders of their own; a last-writer-wins by arrival is caught, a sum is not."""
    draw = np.random.default_rng(seed)
    rows: dict[str, list[Row]] = {"sum": [], "last": []}
    for replica in "abcd":
        total = 0
        for update in draw.permutation(200).tolist():
            total += update
            for name, digest in (("sum", total), ("last", update)):
                rows[name].append(deliver(replica, update))
                rows[name].append(state(replica, digest))
    assert strong(rows["sum"]).verdict is Verdict.HOLDS
    assert strong(rows["last"]).verdict is Verdict.VIOLATED


QUIET = Run(quiescent=True)


def ended(text: str, run: Run = QUIET) -> CheckResult:
    return eventual(Execution(trace_of(program(text), run)), Options())


def test_replicas_that_never_agree() -> None:
    found = ended("w(x1) r(x1) r(x1) | w(x2) r(x2) r(x2) | r(x2) r(x2) r(x2)")
    violation = found.violations[0]
    assert violation.anomaly == "replicas-differ" and violation.facts["laggards"] == ["s0"]
    assert violation.summary == ("After the last write at key x replicas still answer differently: 1 (s0), 2 (s1, s2).")
    names = {e.event for e in violation.events}
    assert {e.start for e in violation.edges} | {e.end for e in violation.edges} <= names


def test_what_was_written_is_lost() -> None:
    lost = ended("w(x1) r(x0) | r(x0) r(x0)")
    assert [v.anomaly for v in lost.violations] == ["writes-lost"]
    assert ended("w(x1)? r(x0) | r(x0) r(x0)").verdict is Verdict.HOLDS
    garbage = ended("w(x1) r(x9) | r(x9) r(x9)")
    assert "which nobody wrote" in garbage.violations[0].summary


def test_without_a_mark_or_final_reads_it_is_unknown() -> None:
    text = "w(x1) r(x1) | w(x2) r(x2)"
    unmarked = ended(text, Run())
    assert unmarked.verdict is Verdict.UNKNOWN and "not marked quiescent" in unmarked.reasons[0]
    assert "the last reads of 1 key differ so far" in unmarked.reasons[0]
    unread = ended("w(x1) r(x1) w(y1) | r(x1) r(x1)")
    assert unread.verdict is Verdict.UNKNOWN and "1 of 2 written keys have no final reads" in unread.reasons[0]


def test_one_replica_that_was_read_says_nothing_of_the_others() -> None:
    alone = ended("w(x1) | r(x1) r(x1)")
    assert alone.verdict is Verdict.UNKNOWN and "no final reads of two replicas" in alone.reasons[0]
    assert ended("w(x1) r(x1)").verdict is Verdict.HOLDS
    rows: list[Row] = []
    for key, f, server in (("x", "write", "n1"), ("y", "write", "n2"), ("x", "read", "n1"), ("y", "read", "n1")):
        row = {"process": "c", "f": f, "key": key}
        rows.append(row | {"kind": "invoke", "value": 1 if f == "write" else None, "index": len(rows)})
        rows.append(row | {"kind": "ok", "value": 1, "index": len(rows), "replica.server": server})
    assert eventual(Execution(made(rows, quiescent=True)), Options()).verdict is Verdict.UNKNOWN


def test_a_server_that_answered_is_the_replica() -> None:
    rows = []
    for number, (f, value, server) in enumerate([("write", 1, "n1"), ("read", 1, "n1"), ("read", None, "n2")]):
        common = {"process": "c", "f": f, "index": 2 * number}
        rows.append(common | {"kind": "invoke", "value": value if f == "write" else None})
        rows.append(common | {"kind": "ok", "value": value, "index": 2 * number + 1, "replica.server": server})
    trace = made(rows, quiescent=True)
    found = eventual(Execution(trace), Options())
    assert found.violations[0].facts["values"] == {"1": ["n1"], "nil": ["n2"]}
    assert "replicas: as recorded (replica.server)" in found.rests_on


def timed(reads: list[tuple[str, int, int]], **run: Any) -> Trace:
    """A write of 1, then at 0 .. 10 ns a write of 2, then reads of a value at a moment."""
    rows: list[Row] = []
    for process, f, value, start in [
        ("w", "write", 1, -20),
        ("w", "write", 2, 0),
        *((p, "read", v, t) for p, v, t in reads),
    ]:
        common = {"process": process, "f": f, "key": "x"}
        asked = value if f == "write" else None
        rows.append(common | {"kind": "invoke", "value": asked, "true_time_ns": start})
        rows.append(common | {"kind": "ok", "value": value, "true_time_ns": start + 10})
    return made(rows, **run)


def test_a_settle_time_lets_every_later_read_count() -> None:
    reads = [("a", 1, 50), ("b", 2, 120), ("a", 2, 130), ("a", 1, 140), ("a", 2, 150)]
    late = eventual(Execution(timed(reads, bounds={"settle_ns": 100})), Options())
    assert late.verdict is Verdict.VIOLATED and late.facts["visible_within"] == {
        "stale_reads": 2,
        "operations": 3,
        "time_ns": 130,
    }
    assert late.remark == "a write was missed by a session for up to 3 of its operations and 130 ns"
    assert eventual(Execution(timed(reads, quiescent=True)), Options()).verdict is Verdict.HOLDS
    short = eventual(Execution(timed(reads[:1] + reads[4:] + reads[1:2], bounds={"settle_ns": 100})), Options())
    assert short.verdict is Verdict.HOLDS


@examples(250)
@given(programs(most=9, keys="xy", sessions=3, opens=True), st.permutations(range(3)))
def test_convergence_by_definition(sessions: list[list[Op]], turns: list[int]) -> None:
    ops = [op for session in sessions for op in session]
    if {"r", "w"} - {op.f for op in ops} or all(op.open for op in ops if op.f == "w"):
        return
    order = [*turns, *(s for _ in range(9) for s in range(3))]
    left = [list(session) for session in sessions]
    history = [(f"s{s}", left[s].pop(0)) for s in order if left[s]]
    trace = trace_of(sessions, QUIET, turns=turns)
    found = eventual(Execution(trace), Options())
    wanted = converged(history)
    assert found.verdict is (Verdict.UNKNOWN if wanted is None else Verdict.HOLDS if wanted else Verdict.VIOLATED), (
        found.reasons,
        found.violations,
        history,
    )


def objects(final: list[Any], f: str = "add", key: str = "k") -> CheckResult:
    """A register, and an object to which two clients add; then each reads."""
    rows: list[Row] = []
    calls = [("a", "write", "r", 7), ("a", f, key, 1), ("b", f, key, 2)]
    calls += [(p, "read", "r", 7) for p in "ab"] + [(p, "read", key, v) for p, v in zip("ab", final, strict=True)]
    for process, name, where, value in calls:
        common = {"process": process, "f": name, "key": where}
        rows.append(common | {"kind": "invoke", "value": None if name == "read" else str(value)})
        rows.append(common | {"kind": "ok", "value": None if value is None else str(value)})
    return eventual(Execution(made(rows, quiescent=True)), Options())


def test_objects_of_any_kind_converge() -> None:
    assert objects(["[1,2]", "[1,2]"]).verdict is Verdict.HOLDS
    assert objects(["[1,2]", "[2,1]"]).verdict is Verdict.HOLDS
    assert objects(["[1,2]", "[2,1]"], f="append").verdict is Verdict.VIOLATED
    lost = objects(["[1,2]", "[1]"])
    assert lost.verdict is Verdict.VIOLATED and lost.violations[0].facts["key"] == "k"
    assert objects([None, None], f="increment").verdict is Verdict.HOLDS
