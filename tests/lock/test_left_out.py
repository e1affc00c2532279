"""Correct runs of the lock service of which whole sorts of events are not recorded at some process break no rule."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from tests.deletions import blank, correct_run, selections, violated, without
from tests.strategies import examples


@examples(15)
@given(st.integers(0, 15), st.integers(0, 2**32), st.booleans())
def test_sorts_of_events_left_out(seed: int, drawn: int, indexed: bool) -> None:
    trace = correct_run("lock", seed, 3)
    for left_out in selections(trace, Random(drawn), 4):
        assert not violated(without(trace, left_out, indexed), "lock"), left_out


@examples(10)
@given(st.integers(0, 15), st.integers(0, 2**32))
def test_a_field_left_out_by_one_process(seed: int, drawn: int) -> None:
    draw, trace = Random(drawn), correct_run("lock", seed, 3)
    fields = sorted(name for name in trace.columns if name.startswith("lock."))
    for _ in range(4):
        field, process = draw.choice(fields), draw.choice(trace.processes)
        assert not violated(blank(trace, process, field), "lock"), (field, process)
