"""The native file: what is written is read again, and every malformed file gets a clear answer."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracekit.analysis import analyze
from tracekit.errors import TracekitError
from tracekit.trace.assemble import UNKNOWN_KIND
from tracekit.trace.builder import TraceBuilder
from tracekit.trace.parquet import read_parquet, to_table, write_parquet
from tracekit.trace.run import Run
from tracekit.trace.schema import KINDS, Kind
from tracekit.trace.trace import Trace

GOOD = {
    "process": ["a", "b", "a"],
    "kind": ["send", "receive", "internal"],
    "message": [1, 1, None],
}


def write(path: Path, columns: dict[str, Any], **metadata: Any) -> Path:
    table = pa.table(columns)
    encoded = {f"tracekit.{k}": v if isinstance(v, str) else json.dumps(v) for k, v in metadata.items()}
    pq.write_table(table.replace_schema_metadata(encoded), path)
    return path


def code_of(path: Path) -> str:
    with pytest.raises(TracekitError) as caught:
        read_parquet(path)
    assert str(path) in str(caught.value)
    return caught.value.code


class TestMalformed:
    def test_no_such_file(self, tmp_path: Path) -> None:
        assert code_of(tmp_path / "none.parquet") == "TK101"

    def test_empty_file(self, tmp_path: Path) -> None:
        (tmp_path / "e").touch()
        assert code_of(tmp_path / "e") == "TK102"

    def test_not_parquet(self, tmp_path: Path) -> None:
        (tmp_path / "t").write_text("process,kind\n")
        assert code_of(tmp_path / "t") == "TK102"

    def test_cut_off(self, tmp_path: Path) -> None:
        path = write(tmp_path / "t", GOOD)
        path.write_bytes(path.read_bytes()[:-10])
        assert code_of(path) == "TK105"

    @pytest.mark.parametrize("missing", ["process", "kind"])
    def test_required_column_missing(self, tmp_path: Path, missing: str) -> None:
        path = write(tmp_path / "t", {k: v for k, v in GOOD.items() if k != missing})
        assert code_of(path) == "TK103"

    @pytest.mark.parametrize(
        "column", [{"lamport": ["x", "y", "z"]}, {"process": [1, 2, 3]}, {"vclock": [1, 2, 3]}, {"op": [0.5, 1.5, 2.5]}]
    )
    def test_wrong_type(self, tmp_path: Path, column: dict[str, Any]) -> None:
        assert code_of(write(tmp_path / "t", {**GOOD, **column}, processes=["a", "b"])) == "TK104"

    def test_clocks_without_names_of_components(self, tmp_path: Path) -> None:
        assert code_of(write(tmp_path / "t", {**GOOD, "vclock": [[1], [1, 1], [2]]})) == "TK106"

    @pytest.mark.parametrize(
        "metadata",
        [
            {"run": "{"},
            {"run": [1]},
            {"run": {"n": "five"}},
            {"run": {"bounds": {"delay_ns": 2**62}}},
            {"run": {"clocks": {"a": {"skew_ns": -(2**63)}}}},
            {"run": {"clocks": {"a": 5}}},
            {"processes": {"a": 1}},
            {"processes": ["a", "a"]},
            {"processes": "["},
        ],
    )
    def test_damaged_metadata(self, tmp_path: Path, metadata: dict[str, Any]) -> None:
        assert code_of(write(tmp_path / "t", GOOD, **metadata)) == "TK107"

    @pytest.mark.parametrize("version", ["2", "x", "0", "99999999999999999999999"])
    def test_newer_or_nonsensical_version(self, tmp_path: Path, version: str) -> None:
        assert code_of(write(tmp_path / "t", GOOD, version=version)) == "TK108"

    def test_cut_anywhere(self, tmp_path: Path) -> None:
        whole = write(tmp_path / "w", GOOD).read_bytes()
        for size in range(0, len(whole), 7):
            path = tmp_path / "cut"
            path.write_bytes(whole[:size])
            assert code_of(path) in ("TK102", "TK105")

    def test_damaged_data(self, tmp_path: Path) -> None:
        """Whatever byte of the data is damaged, its page's checksum tells. (The footer has none: Arrow's matter.)"""
        builder = TraceBuilder(["a"])
        for i in range(50):
            builder.add({"process": "a", "kind": "internal", "name": f"e{i}", "vclock": [i + 1], "x": i * i})
        write_parquet(builder.build(), tmp_path / "w")
        whole = (tmp_path / "w").read_bytes()
        footer = len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")
        dice = random.Random(7)
        told = 0
        for _ in range(200):
            damaged = bytearray(whole)
            damaged[dice.randrange(4, footer)] ^= 1 << dice.randrange(8)
            (tmp_path / "d").write_bytes(bytes(damaged))
            try:
                read_parquet(tmp_path / "d")
            except TracekitError as error:
                assert error.code == "TK105"
                told += 1
        assert told > 100


class TestSetAside:
    def test_rows_without_process_or_kind(self, tmp_path: Path) -> None:
        columns = {"process": ["a", None, "a", ""], "kind": ["send", "send", "sent", "send"], "line": [10, 11, 12, 13]}
        trace = read_parquet(write(tmp_path / "t", columns))
        assert len(trace) == 1
        assert trace.set_aside.counts == {"the row names no process": 2, UNKNOWN_KIND: 1}
        assert {s.place.rpartition(":")[2] for s in trace.set_aside.first} == {"11", "12", "13"}

    def test_clock_values_that_no_clock_has(self, tmp_path: Path) -> None:
        columns = {
            "process": pa.array(["a"] * 4),
            "kind": pa.array(["internal"] * 4),
            "lamport": pa.array([1, 2**63, 3, None], pa.uint64()),
            "vclock": pa.array([[1], [2, 3], [-1], [None]], pa.list_(pa.int64())),
        }
        trace = read_parquet(write(tmp_path / "t", columns, processes=["a"]))
        assert len(trace) == 4, "the events stay, only the values are set aside"
        assert [trace.fields(row).get("lamport") for row in range(4)] == [1, None, 3, None]
        assert [trace.fields(row).get("vclock") for row in range(4)] == [[1], None, None, None]
        assert trace.set_aside.count == 4

    def test_places_are_those_of_the_file(self, tmp_path: Path) -> None:
        trace = read_parquet(write(tmp_path / "t", {"process": ["a", None, "a", "", "b"], "kind": ["send"] * 5}))
        assert [trace.place(row) for row in range(3)] == ["row 0", "row 2", "row 4"]
        assert trace.select(trace.process == trace.process_code("b")).place(0) == "row 4"
        whole = read_parquet(write(tmp_path / "u", {"process": ["a", "b"], "kind": ["send"] * 2}))
        assert [whole.place(0), whole.select(np.array([1])).place(0)] == ["row 0", "row 1"]

    def test_written_and_read_again(self, tmp_path: Path) -> None:
        trace = read_parquet(write(tmp_path / "t", {"process": ["a", None], "kind": ["send", "send"]}))
        write_parquet(trace, tmp_path / "u")
        assert read_parquet(tmp_path / "u").set_aside == trace.set_aside


class TestAccepted:
    def test_clocks_by_name(self, tmp_path: Path) -> None:
        clock = pa.array([[("a", 1)], [("a", 1), ("b", 1)], [("b", 1), ("a", 2)]], pa.map_(pa.string(), pa.int64()))
        trace = read_parquet(write(tmp_path / "t", {**{k: pa.array(v) for k, v in GOOD.items()}, "vclock": clock}))
        assert [trace.columns["vclock"].at(i) for i in range(3)] == [[1, 0], [1, 1], [2, 1]]
        structs = pa.array([{"a": 1, "b": None}, {"a": 1, "b": 1}, {"a": 2, "b": 1}])
        trace = read_parquet(write(tmp_path / "u", {**{k: pa.array(v) for k, v in GOOD.items()}, "vclock": structs}))
        assert [trace.columns["vclock"].at(i) for i in range(3)] == [[1, 0], [1, 1], [2, 1]]

    def test_unsigned_numbers_in_lists_keep_every_digit(self, tmp_path: Path) -> None:
        large = 2**64 - 1
        members = pa.struct([("f", pa.string()), ("key", pa.uint64()), ("value", pa.uint64())])
        extra = {
            "mine.ids": pa.array([[1, large], None, []], pa.list_(pa.uint64())),
            "mine.fixed": pa.array([[2**63], [None], [7]], pa.list_(pa.uint64(), 1)),
            "mine.small": pa.array([[1, 2**63 - 1], None, []], pa.large_list(pa.uint64())),
            "txn": pa.array([[{"f": "r", "key": 5, "value": large}], None, []], pa.list_(members)),
        }
        trace = read_parquet(write(tmp_path / "t", {**{k: pa.array(v) for k, v in GOOD.items()}, **extra}))
        for _ in range(2):
            assert trace.fields(0)["mine.ids"] == ["1", str(large)]
            assert [trace.columns["mine.fixed"].at(row) for row in range(3)] == [[str(2**63)], [None], ["7"]]
            assert trace.fields(0)["mine.small"] == [1, 2**63 - 1], "what can be a number stays one"
            assert trace.fields(0)["txn"] == [{"f": "r", "key": 5, "value": str(large)}]
            write_parquet(trace, tmp_path / "u")
            trace = read_parquet(tmp_path / "u")

    def test_unknown_columns_are_kept(self, tmp_path: Path) -> None:
        extra = {"mine.note": ["x", None, "y"], "mine.list": [[1, 2], None, []], "mine.blob": [b"\0", None, b"x"]}
        trace = read_parquet(write(tmp_path / "t", {**GOOD, **extra}))
        assert trace.fields(0)["mine.note"] == "x"
        assert trace.fields(0)["mine.list"] == [1, 2]
        assert "mine.blob" in trace.fields(0)

    def test_projection(self, tmp_path: Path) -> None:
        trace = read_parquet(write(tmp_path / "t", {**GOOD, "x": [1, 2, 3]}), columns=["message"])
        assert set(trace.columns) == {"message"}

    def test_a_trace_without_rows(self, tmp_path: Path) -> None:
        empty = {"process": pa.array([], pa.string()), "kind": pa.array([], pa.string())}
        trace = read_parquet(write(tmp_path / "t", empty))
        assert len(trace) == 0
        assert analyze(trace).exit_code == 3, "nothing examined is not a pass"

    def test_columns_without_any_value(self, tmp_path: Path) -> None:
        trace = read_parquet(write(tmp_path / "t", {**GOOD, "lamport": pa.nulls(3), "peer": pa.nulls(3)}))
        assert trace.fields(0) == {"message": 1}


value = st.none() | st.integers(-(2**63), 2**63 - 1)
row = st.fixed_dictionaries(
    {"process": st.sampled_from(["a", "b", "nemesis", "ü\n\"'"]), "kind": st.sampled_from(list(KINDS))},
    optional={
        "name": st.text(max_size=5), "message": st.integers(0, 99), "vclock": st.lists(st.integers(0, 9), max_size=2),
        "lamport": st.integers(0, 2**63 - 1), "demo.flag": st.booleans(), "demo.real": st.floats(allow_nan=False),
        "demo.texts": st.lists(st.text(max_size=3), max_size=3), "value": st.text(max_size=4),
        "txn": st.lists(st.fixed_dictionaries({"f": st.text(max_size=2), "key": st.text(max_size=2)}), max_size=2),
    },
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.lists(row, max_size=12))
def test_round_trip(tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]]) -> None:
    builder = TraceBuilder(["a", "b"], Run(seed=3, claims=("raft.*",), other={"mine": [1]}))
    for entry in rows:
        builder.add(entry)
    trace = builder.build()
    path = tmp_path_factory.mktemp("t") / "t.parquet"
    write_parquet(trace, path)
    again = read_parquet(path)
    assert to_table(again).equals(to_table(trace), check_metadata=True)
    for number, entry in enumerate(rows):
        assert again.processes[again.process[number]] == entry["process"]
        assert Kind(again.kind[number]).label == entry["kind"]
        assert again.fields(number) == {k: v for k, v in entry.items() if k not in ("process", "kind")}
    first = path.read_bytes()
    write_parquet(again, path)
    assert path.read_bytes() == first, "same trace, same bytes"


def test_many_batches_and_row_groups(tmp_path: Path) -> None:
    n = 200_000
    columns = {
        "process": pa.array([f"p{i % 3}" for i in range(n)]).dictionary_encode(),
        "kind": pa.array(["internal"] * n),
        "vclock": pa.array([[i, i + 1] for i in range(n)]),
        "name": pa.array([None if i % 7 == 0 else f"event {i}" for i in range(n)]),
    }
    table = pa.table(columns).replace_schema_metadata({"tracekit.processes": '["p0", "p1", "p2"]'})
    pq.write_table(table, tmp_path / "t", row_group_size=30_000)
    trace = read_parquet(tmp_path / "t")
    for i in (0, 1, 65_535, 65_536, 65_537, 99_999, 131_072, n - 1):
        assert trace.fields(i).get("name") == columns["name"][i].as_py()
        assert trace.fields(i)["vclock"] == [i, i + 1]
        assert trace.event(i) == f"p{i % 3}:{i // 3}"


class TestTrace:
    @pytest.fixture
    def trace(self) -> Trace:
        builder = TraceBuilder(["a", "b:c"])
        for i in range(6):
            builder.add(
                {
                    "process": "b:c" if i % 2 else "a",
                    "kind": "internal",
                    "time_ns": 10 * i,
                    "source": "x.log",
                    "line": i + 1,
                    "name": f"e{i}",
                }
            )
        return builder.build()

    def test_events_are_found_by_name_and_by_source(self, trace: Trace) -> None:
        for row in range(6):
            assert trace.find(trace.event(row)) == row
            assert trace.find(f"x.log:{row + 1}") == row
        for nothing in ("a:9", "z:0", "a", "", "a:-1", "a:" + "9" * 40, "y.log:1"):
            assert trace.find(nothing) is None

    def test_window_and_select_and_pandas(self, trace: Trace) -> None:
        part = trace.window(10, 30)
        assert [part.event(i) for i in range(len(part))] == ["b:c:0", "a:1"]
        assert part.names == {part.fields(i)["name"] for i in range(len(part))}, "of its own events"
        assert part.run.coverage["a"] == {"start": False, "end": False}, "a part is not the whole run"
        frame = trace.to_pandas()
        assert list(frame["name"]) == [f"e{i}" for i in range(6)]
        assert list(frame["process"].astype(str)) == ["a", "b:c"] * 3

    def test_nothing_can_be_changed(self, trace: Trace) -> None:
        with pytest.raises(ValueError, match="read-only"):
            trace.process[0] = 1


class TestManyBatches:
    def test_dictionaries_that_differ_from_batch_to_batch(self, tmp_path: Path) -> None:
        names = [f"n{i // 700}" for i in range(5_000)] + ["n1", "n0"]
        texts = [None if i % 97 == 0 else f"t{(i * 7) % 2_000 + i // 1_000}" for i in range(len(names))]
        columns = {"process": names, "kind": ["internal"] * len(names), "name": texts}
        path = tmp_path / "t"
        pq.write_table(pa.table(columns), path, row_group_size=500)
        trace = read_parquet(path)
        assert [trace.processes[p] for p in trace.process] == names
        name = trace.get("name")
        assert name is not None
        assert [name.at(row) for row in range(len(trace))] == texts
        assert trace.seq[-1] == names[:-1].count("n0")

    @pytest.mark.parametrize("large", [2**31 - 1, 2**31, 2**62])
    def test_vector_clocks_grow_beyond_what_they_are_held_in(self, tmp_path: Path, large: int) -> None:
        rows = 20_000
        clocks = [[i, large if i >= rows - 2 else 0] for i in range(rows)]
        path = tmp_path / "t"
        columns = {"process": ["a"] * rows, "kind": ["internal"] * rows, "vclock": clocks}
        trace = read_parquet(write(path, columns, processes=["a", "b"]))
        column = trace.lists("vclock")
        assert column is not None
        assert [column.at(row) for row in (0, 1, rows - 3, rows - 1)] == [clocks[r] for r in (0, 1, rows - 3, rows - 1)]
        assert to_table(trace)["vclock"].type == pa.list_(pa.int64()), "the format says int64, however they are held"
        assert to_table(trace)["vclock"].to_pylist() == clocks
