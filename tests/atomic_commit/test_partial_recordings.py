"""Correct runs of which whole sorts of events are not recorded at some process break no rule of atomic commitment."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.deletions import Part, blank, correct_run, only, selections, violated, without
from tests.strategies import examples
from tracekit.execution import Execution, Options
from tracekit.registry import checks
from tracekit.results import Verdict

PROTOCOLS = st.sampled_from(["two-phase-commit", "three-phase-commit"])
SINGLE_ROWS = {f"atomic-commit.{name}" for name in ("validity", "pre-commit", "termination")}
"""Checks whose pages say that a single event left out looks as if it had not happened."""
NOWHERE = {"atomic-commit.termination"}
"""Checks whose pages say that a sort of event that nobody records is taken for one that the protocol has not."""


@examples(50)
@given(PROTOCOLS, st.integers(0, 30), st.sampled_from([3, 4]), st.integers(0, 2**32), st.booleans())
def test_sorts_of_events_left_out(protocol: str, seed: int, nodes: int, drawn: int, indexed: bool) -> None:
    trace = correct_run(protocol, seed, nodes)
    for left_out in selections(trace, Random(drawn), 4):
        part = without(trace, left_out, indexed)
        excepted = NOWHERE if part.names != trace.names else set()
        assert not violated(part, "atomic-commit").keys() - excepted, left_out


@examples(20)
@given(PROTOCOLS, st.integers(0, 30), st.integers(0, 2**32), st.booleans())
def test_a_field_left_out_by_one_process_and_sorts_of_events_by_others(
    protocol: str, seed: int, drawn: int, indexed: bool
) -> None:
    draw, trace = Random(drawn), correct_run(protocol, seed, 3)
    fields = sorted(name for name in trace.columns if name.startswith("commit."))
    for left_out in selections(trace, draw, 3):
        field, process = draw.choice(fields), draw.choice(["n1", "n2", "n3"])
        part = blank(without(trace, left_out, indexed), process, field)
        excepted = NOWHERE if part.names != trace.names else set()
        assert not violated(part, "atomic-commit").keys() - excepted, (field, process, left_out)


@examples(30)
@given(PROTOCOLS, st.integers(0, 30), st.integers(0, 2**32), st.booleans())
def test_single_events_left_out_break_what_the_pages_say(protocol: str, seed: int, drawn: int, indexed: bool) -> None:
    draw, trace = Random(drawn), correct_run(protocol, seed, 3)
    mine = np.flatnonzero(trace.process == trace.process_code(draw.choice(["n1", "n2", "n3"])))
    for count in (1, 2, len(mine) // 10 + 1):
        rows = np.setdiff1d(np.arange(len(trace)), draw.sample(mine.tolist(), count))
        assert violated(only(trace, rows, indexed), "atomic-commit").keys() <= SINGLE_ROWS


@pytest.mark.parametrize(
    ("protocol", "left_out", "check", "words"),
    [
        ("two-phase-commit", ("n3", "commit.vote", "receive"), "validity", "how n3 came to know of the votes"),
        ("two-phase-commit", ("n3", "commit.vote_request", "receive"), "validity", "n3 does not record every vote"),
        ("three-phase-commit", ("n2", "commit.pre_commit", "receive"), "pre-commit", "whether that of n2 came before"),
        ("three-phase-commit", ("n1", "commit.pre_commit_ack", "receive"), "pre-commit", "came before n1:"),
        ("two-phase-commit", ("n1", "commit.decide", "internal"), "termination", "(first: n1:"),
    ],
)
def test_the_reason_names_the_process_that_leaves_something_out(
    protocol: str, left_out: Part, check: str, words: str
) -> None:
    execution = Execution(without(correct_run(protocol, 0, 3), [left_out], False))
    found = checks()[f"atomic-commit.{check}"].run(execution, Options())
    assert found.verdict is Verdict.UNKNOWN
    assert words in " ".join(found.reasons)
