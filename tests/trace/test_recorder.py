"""Recorder keeps both clocks rightly, whatever the program does."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tracekit
from tracekit.results import Verdict

steps = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from(["event", "send", "receive"]), st.integers(0, 5)), max_size=30
)


@settings(max_examples=150, deadline=None)
@given(steps)
def test_clocks_are_the_ones_that_happens_before_gives(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, str, int]]
) -> None:
    path = tmp_path_factory.mktemp("r") / "r.parquet"
    sent: list[int] = []
    with tracekit.Recorder(path, ["a", "b", "c"]) as recorder:
        for process, step, number in steps:
            if step == "send":
                sent.append(recorder.send(process, "m"))
            elif step == "receive" and sent:
                recorder.receive(process, sent[number % len(sent)], "m")
            else:
                recorder.event(process, "e")
    trace = tracekit.read_trace(path)
    execution = tracekit.Execution(trace)
    rows = list(range(len(trace)))
    recorded = [trace.fields(row) for row in rows]
    assert [f["lamport"] for f in recorded] == execution.happens_before.lamport(rows).tolist()
    assert [f["vclock"] for f in recorded] == execution.happens_before.frontiers(rows).tolist()
    result = tracekit.analyze(execution)
    assert result.verdict is (Verdict.HOLDS if steps else Verdict.UNKNOWN)


def test_what_was_recorded_before_an_error_is_kept_and_not_called_complete(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), tracekit.Recorder(tmp_path / "r.parquet", ["a"]) as recorder:
        recorder.event("a", "before")
        raise RuntimeError
    trace = tracekit.read_trace(tmp_path / "r.parquet")
    assert len(trace) == 1
    assert not trace.complete


def test_mistakes_are_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="different names"):
        tracekit.Recorder(tmp_path / "r", ["a", "a"])
    recorder = tracekit.Recorder(tmp_path / "r", ["a"])
    with pytest.raises(ValueError, match="none of the recorder's processes"):
        recorder.event("z")
    with pytest.raises(ValueError, match="never sent"):
        recorder.receive("a", 7)
