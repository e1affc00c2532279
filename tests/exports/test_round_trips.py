"""What is written is read again: all of it where the format holds all, and the rest is named."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from tests.exports.traces import NAMES, traces
from tests.strategies import executions, trace_of
from tracekit.errors import TracekitError
from tracekit.execution import Execution
from tracekit.reading import read_trace
from tracekit.registry import exports
from tracekit.trace.columns import ListColumn
from tracekit.trace.parquet import to_table
from tracekit.trace.trace import Trace


def written(trace: Trace, name: str, folder: Path) -> tuple[Trace, tuple[str, ...]]:
    """The trace written by an export and read again by its format, recognised by content."""
    export = exports()[name]
    path = folder / f"trace{export.endings[0]}"
    left_out = export.write(trace, path)
    assert [p.name for p in folder.iterdir()] == [path.name]
    return read_trace(path), left_out


def table(trace: Trace) -> tuple[Any, Any, str]:
    """Columns with their types, metadata, and values so that not-a-number equals itself."""
    arrow = to_table(trace)
    return arrow.schema, arrow.schema.metadata, repr(arrow.to_pylist())


@settings(max_examples=150, deadline=None)
@given(trace=traces())
@pytest.mark.parametrize("name", ["parquet", "tracekit-jsonl"])
def test_everything_comes_back(tmp_path_factory: pytest.TempPathFactory, name: str, trace: Trace) -> None:
    again, left_out = written(trace, name, tmp_path_factory.mktemp("r"))
    assert left_out == ()
    assert table(again) == table(trace)
    assert (again.processes, again.components, again.complete) == (trace.processes, trace.components, trace.complete)


@settings(max_examples=150, deadline=None)
@given(trace=traces())
def test_csv_brings_every_value_that_cells_can_tell(tmp_path_factory: pytest.TempPathFactory, trace: Trace) -> None:
    again, left_out = written(trace, "tracekit-csv", tmp_path_factory.mktemp("r"))
    assert len(left_out) == (trace.run.to_json() != "{}") + bool(trace.set_aside.count)
    assert len(again) == len(trace)
    for row in range(len(trace)):
        assert again.event(row) == trace.event(row)
        assert again.kind[row] == trace.kind[row]
        before, after = trace.fields(row), again.fields(row)
        if not {"source", "line"} & trace.columns.keys():
            assert (after.pop("source"), after.pop("line")) == ("trace.csv", again.fields(row)["line"])
        assert before.keys() == after.keys()
        for name, value in before.items():
            if name == "vclock":
                found = zip(again.processes, after[name], strict=False)
                assert {p: n for p, n in found if n} == {
                    p: n for p, n in zip(trace.processes, value, strict=False) if n
                }
            else:
                # Text that looks like a number or a list becomes one; a list of numbers and texts stays JSON text.
                pair = [after[name], value]
                if isinstance(pair[0], list) != isinstance(pair[1], list):
                    pair = [json.loads(v) if isinstance(v, str) else v for v in pair]
                assert told(pair[0]) == told(pair[1]), name


def told(value: Any) -> str:
    """A value as a cell tells it."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, list):
        return str([told(item) for item in value])
    if isinstance(value, dict):
        return str({key: told(value[key]) for key in sorted(value)})
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}.get(text, text)


@settings(max_examples=150, deadline=None)
@given(rows=executions())
def test_shiviz_keeps_happens_before(tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]]) -> None:
    trace = trace_of([*rows, {"process": "nemesis", "kind": "fault"}])
    if not rows:
        return
    again, left_out = written(trace, "shiviz", tmp_path_factory.mktemp("r"))
    assert left_out[0].startswith("1 faults")
    places = {again.event(row): row for row in range(len(again))}
    assert len(places) == len(rows)
    index = Execution(trace).program_order.index
    same = [places[f"{trace.processes[trace.process[row]]}:{index[row]}"] for row in range(len(rows))]
    one, other = np.meshgrid(np.arange(len(rows)), np.arange(len(rows)))
    before, after = Execution(trace).happens_before, Execution(again).happens_before
    recovered = after.precedes(np.array(same)[one], np.array(same)[other])
    assert (before.precedes(one, other) == recovered).all()


def test_shiviz_refuses_what_it_cannot_read(tmp_path: Path) -> None:
    write = exports()["shiviz"].write
    with pytest.raises(TracekitError) as error:
        write(trace_of([{"process": "n 1", "kind": "internal"}]), tmp_path / "t.log")
    assert error.value.code == "TK112"
    cycle = [
        {"process": "a", "kind": "receive", "message": 1}, {"process": "a", "kind": "send", "message": 2},
        {"process": "b", "kind": "receive", "message": 2}, {"process": "b", "kind": "send", "message": 1},
    ]  # fmt: skip
    with pytest.raises(TracekitError) as error:
        write(trace_of(cycle), tmp_path / "t.log")
    assert error.value.code == "TK113"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["parquet", "tracekit-jsonl", "tracekit-csv", "shiviz"])
def test_a_place_that_cannot_be_written(name: str, tmp_path: Path) -> None:
    with pytest.raises(TracekitError) as error:
        exports()[name].write(trace_of([{"process": "a", "kind": "internal"}]), tmp_path / "no" / "file")
    assert error.value.code == "TK109"


def test_batches_meet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [
        {"process": f"n{k % 3}", "kind": "internal", "vclock": list(range(k % 4)), "x.text": f"t{k % 7}"}
        for k in range(50)
    ]
    trace = trace_of_names(rows)
    monkeypatch.setattr("tracekit.exports.text.BATCH", 7)
    for name in ("tracekit-jsonl", "tracekit-csv"):
        again, _ = written(trace, name, folder := tmp_path / name) if not (tmp_path / name).mkdir() else (trace, ())
        assert again.to_pandas()["x.text"].tolist() == trace.to_pandas()["x.text"].tolist()
        clocks = again.lists("vclock")
        assert isinstance(clocks, ListColumn) and folder.exists()
        assert [clocks.at(k) for k in range(50)] == [row["vclock"] for row in rows]


def trace_of_names(rows: list[dict[str, Any]]) -> Trace:
    from tracekit.trace.builder import TraceBuilder

    builder = TraceBuilder(["n0", "n1", "n2"])
    for row in rows:
        builder.add(row)
    return builder.build()


def test_names_of_the_strategy_are_unusual() -> None:
    assert any("\n" in name for name in NAMES)
