"""Correct runs of which whole sorts of events are not recorded at some process break no rule of Raft, nor of replicated
machines."""

from __future__ import annotations

from random import Random

from hypothesis import example, given
from hypothesis import strategies as st

from tests.deletions import correct_run, selections, violated, without
from tests.strategies import examples


@examples(12)
@given(st.integers(0, 15), st.integers(0, 2**32), st.booleans())
@example(6, 0, False)  # a vote that shows only once entries of its term are there
def test_sorts_of_events_left_out(seed: int, drawn: int, indexed: bool) -> None:
    trace = correct_run("raft", seed, 3)
    for left_out in selections(trace, Random(drawn), 4):
        assert not violated(without(trace, left_out, indexed), "raft"), left_out


@examples(12)
@given(st.integers(0, 15), st.integers(0, 2**32), st.booleans())
def test_sorts_of_events_of_replicated_machines_left_out(seed: int, drawn: int, indexed: bool) -> None:
    trace = correct_run("multi-paxos", seed, 3)
    for left_out in selections(trace, Random(drawn), 4):
        assert not violated(without(trace, left_out, indexed), "smr"), left_out
