"""Correct runs of Paxos of which whole sorts of events are not recorded at some process are never violated."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.deletions import blank, correct_run, only, parts, selections, violated, without
from tests.strategies import examples
from tracekit.execution import Execution, Options
from tracekit.registry import checks
from tracekit.results import Verdict

PROTOCOLS = st.sampled_from(["paxos", "multi-paxos"])
SINGLE_ROWS = {"paxos.quorum", "paxos.validity"}
"""Checks whose pages say that a single event left out looks as if it had not happened."""


@examples(40)
@given(PROTOCOLS, st.integers(0, 30), st.sampled_from([3, 5]), st.integers(0, 2**32), st.booleans())
def test_sorts_of_events_left_out(protocol: str, seed: int, nodes: int, drawn: int, indexed: bool) -> None:
    trace = correct_run(protocol, seed, nodes)
    for left_out in selections(trace, Random(drawn), 4):
        assert not violated(without(trace, left_out, indexed), "paxos"), left_out


@examples(20)
@given(PROTOCOLS, st.integers(0, 30), st.integers(0, 2**32), st.booleans())
def test_a_field_left_out_by_one_process_and_sorts_of_events_by_others(
    protocol: str, seed: int, drawn: int, indexed: bool
) -> None:
    draw, trace = Random(drawn), correct_run(protocol, seed, 3)
    fields = sorted(name for name in trace.columns if name.startswith("paxos."))
    for left_out in selections(trace, draw, 3):
        field, process = draw.choice(fields), draw.choice(["n1", "n2", "n3"])
        part = blank(without(trace, left_out, indexed), process, field)
        assert not violated(part, "paxos"), (field, process, left_out)


@examples(30)
@given(PROTOCOLS, st.integers(0, 30), st.integers(0, 2**32), st.booleans())
def test_single_events_left_out_break_what_the_pages_say(protocol: str, seed: int, drawn: int, indexed: bool) -> None:
    draw, trace = Random(drawn), correct_run(protocol, seed, 3)
    mine = np.flatnonzero(trace.process == trace.process_code(draw.choice(["n1", "n2", "n3"])))
    for count in (1, 2, len(mine) // 10 + 1):
        rows = np.setdiff1d(np.arange(len(trace)), draw.sample(mine.tolist(), count))
        assert violated(only(trace, rows, indexed), "paxos").keys() <= SINGLE_ROWS


@pytest.mark.parametrize(
    ("left_out", "check", "words"),
    [
        ([("n3", "paxos.promise", "receive")], "quorum", "no receipt of paxos.promise is recorded at n3"),
        ([("n2", "paxos.accepted", "receive")], "quorum", "the last message that n2 received before"),
        ([("n1", "paxos.chosen", "receive")], "quorum", "the last message that n1 received before"),
    ],
)
def test_the_reason_names_the_process_that_leaves_something_out(
    left_out: list[tuple[str, ...]], check: str, words: str
) -> None:
    execution = Execution(without(correct_run("paxos", 0, 3), left_out, False))
    found = checks()[f"paxos.{check}"].run(execution, Options())
    assert found.verdict is Verdict.UNKNOWN
    assert words in " ".join(found.reasons)


def test_an_acceptor_that_records_no_promises_is_not_said_to_have_kept_them() -> None:
    trace = correct_run("paxos", 0, 3)
    left_out = [p for p in parts(trace, False) if p[0] == "n1" and p[1] in ("paxos.promise", "paxos.prepare")]
    part = blank(without(trace, left_out, False), "n1", "paxos.promised")
    found = checks()["paxos.promise-monotonic"].run(Execution(part), Options())
    assert found.verdict is Verdict.UNKNOWN
    assert found.reasons == ("no promise of n1 is recorded, so whether what it accepted broke one is not known",)


def test_without_acceptances_nothing_binds_a_proposal() -> None:
    trace = correct_run("paxos", 0, 3)
    left_out = [p for p in parts(trace, False) if p[1] == "paxos.accepted"]
    part = without(trace, left_out, False)
    for process in ("n1", "n2", "n3"):
        part = blank(part, process, "paxos.accepted_ballot")
    found = checks()["paxos.value-choice"].run(Execution(part), Options())
    assert found.verdict is Verdict.UNKNOWN
    assert found.reasons == ("no acceptance is recorded, so nothing can be said to bind a proposal",)
