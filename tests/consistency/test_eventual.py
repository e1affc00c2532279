"""Eventual and strong eventual consistency against their definitions; what a recording leaves open."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.oracle.eventual import states_converge
from tests.strategies import examples
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


@examples(400)
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
