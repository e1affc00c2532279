"""Logs in JSON Lines and CSV: what is read, and what is set aside where."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tracekit
from tests.formats.fuzz import damaged, survives
from tracekit.errors import TracekitError
from tracekit.formats import recording, recording_csv
from tracekit.trace.join import join
from tracekit.trace.trace import Trace

HEAD = {"tracekit.version": 1, "tracekit.run": {"system": "shop"}}
END = {"tracekit.complete": True}


def log(path: Path, *rows: dict[str, Any] | str, end: str = "\n") -> Path:
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows) + end)
    return path


def read(path: Path) -> Trace:
    assert recording.can_read(path, path.read_bytes()[: 1 << 16])
    trace = tracekit.read_trace(path)
    assert trace.path == str(path)
    return trace


def event(seq: int | None = None, **fields: Any) -> dict[str, Any]:
    row = {"process": "n1", "seq": seq, "kind": "internal"} | fields
    return {name: value for name, value in row.items() if value is not None}


class TestReading:
    def test_the_least(self, tmp_path: Path) -> None:
        trace = read(
            log(tmp_path / "t.jsonl", {"process": "b", "kind": "send"}, "", {"process": "a", "kind": "receive"})
        )
        assert trace.processes == ("b", "a")
        assert [trace.source(row) for row in range(2)] == ["t.jsonl:1", "t.jsonl:3"]
        assert not trace.complete
        assert trace.inferred == ("schema version 1 (not declared)",)

    def test_types(self, tmp_path: Path) -> None:
        rows = [
            event(0, value=3, key="x", time_ns=5.0, **{"a.b": 1, "a.list": [1, 2], "a.mixed": 1, "a.object": {"b": 1}}),
            event(1, value="text", key=7, **{"a.b": 2.5, "a.list": [], "a.mixed": "x", "a.truth": True}),
            event(2, value=[1, None], txn=[{"f": "w", "key": "x", "value": "v"}], message=2**64 - 1),
        ]
        trace = read(log(tmp_path / "t.jsonl", *rows))
        known = [{k: v for k, v in trace.fields(row).items() if k not in ("source", "line")} for row in range(3)]
        assert known == [
            {
                "value": "3",
                "key": '"x"',
                "time_ns": 5,
                "a.b": 1.0,
                "a.list": [1, 2],
                "a.mixed": "1",
                "a.object": '{"b":1}',
            },
            {"value": '"text"', "key": "7", "a.b": 2.5, "a.list": [], "a.mixed": '"x"', "a.truth": True},
            {"value": "[1,null]", "txn": [{"f": "w", "key": "x", "value": '"v"'}], "message": str(2**64 - 1)},
        ]

    def test_bad_values_and_rows_are_located(self, tmp_path: Path) -> None:
        rows = [
            HEAD, event(0), "{", event(1, lamport="x"), event("2"), "[1]", event(3, kind="sent"),
            event(4, vclock={"n1": -1}), event(5, time_ns=1.5), event(6, **{"raft.term": True}), event(7, txn=[3]),
            {"a": 1}, event(8, process=3), event(9, op=2**63), event(10, txn=[{"f": 3, "key": "x"}]),
        ]  # fmt: skip
        trace = read(log(tmp_path / "t.jsonl", *rows))
        assert trace.seq.tolist() == [0, 1, 4, 5, 6, 7, 9, 10]
        places = {s.place for s in trace.set_aside.first}
        assert places == {f"t.jsonl:{n}" for n in (3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)}

    def test_torn_lines(self, tmp_path: Path) -> None:
        path = log(tmp_path / "t.jsonl", event(0), '{"process":"n', event(1, kind="restart"), '{"proc', end="")
        trace = read(path)
        assert trace.set_aside.counts == {recording.TORN: 2}
        path.write_text(path.read_text() + "\n")
        assert read(path).set_aside.counts == {recording.TORN: 1, recording.NOT_JSON: 1}

    def test_complete_is_the_last_line_of_every_log(self, tmp_path: Path) -> None:
        path = tmp_path / "t.jsonl"
        assert read(log(path, HEAD, event(0), END)).complete
        assert read(log(path, HEAD, event(0), END, "")).complete
        assert not read(log(path, HEAD, event(0), END, event(1))).complete
        other = {"process": "n2", "kind": "internal"}
        assert read(log(path, HEAD, event(0), END, HEAD, other, END)).complete
        assert not read(log(path, HEAD, event(0), HEAD, other, END)).complete
        assert not read(log(path, HEAD, event(0), END, HEAD, other)).complete

    def test_many_batches(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(recording, "BATCH", 7)
        rows = [event(k, vclock={"n1": k + 1, f"p{k % 3}": k}, **{f"x.{k // 10}": k}) for k in range(100)]
        trace = read(log(tmp_path / "t.jsonl", *rows, "rubbish", event(100)))
        assert trace.processes[: trace.components] == ("n1", "p0", "p1", "p2")
        for k in range(100):
            assert trace.fields(k)[f"x.{k // 10}"] == k
            clock = dict(zip(trace.processes, trace.fields(k)["vclock"], strict=False))
            assert {p: n for p, n in clock.items() if n} == {p: n for p, n in rows[k]["vclock"].items() if n}

    def test_too_many_fields(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(recording, "MOST", 5)
        trace = read(log(tmp_path / "t.jsonl", *(event(k, **{f"x.{k}": 1}, lamport=k + 1) for k in range(9))))
        assert trace.set_aside.count == 8
        assert "lamport" in trace

    @pytest.mark.parametrize(
        ("head", "code"),
        [
            ({"tracekit.version": 2}, "TK108"), ({"tracekit.version": "1"}, "TK108"),
            ({"tracekit.version": 1, "tracekit.run": {"seed": "x"}}, "TK107"),
            ({"tracekit.version": 1, "tracekit.processes": ["a", "a"]}, "TK107"),
            ({"tracekit.version": 1, "tracekit.columns": {"a": "int32"}}, "TK107"),
            ({"tracekit.version": 1, "tracekit.set_aside": 3}, "TK107"),
        ],
    )  # fmt: skip
    def test_wrong_metadata(self, tmp_path: Path, head: dict[str, Any], code: str) -> None:
        with pytest.raises(TracekitError) as error:
            read(log(tmp_path / "t.jsonl", head, event(0)))
        assert error.value.code == code

    def test_clocks_as_lists_need_names(self, tmp_path: Path) -> None:
        path = tmp_path / "t.jsonl"
        with pytest.raises(TracekitError) as error:
            read(log(path, event(0, vclock=[1])))
        assert error.value.code == "TK106"
        named = HEAD | {"tracekit.processes": ["n2", "n1"]}
        trace = read(
            log(path, named, event(0, vclock=[0, 1]), event(1, vclock={"n1": 2, "n3": 1}), event(2, vclock=[0] * 9))
        )
        assert trace.processes == ("n2", "n1", "n3")
        assert [trace.fields(row).get("vclock") for row in range(3)] == [[0, 1], [0, 2, 1], None]
        assert trace.set_aside.count == 1

    def test_names_without_end_are_refused(self, tmp_path: Path) -> None:
        rows = [event(k, vclock={f"p{k}": 1}) for k in range(30_000)]
        with pytest.raises(TracekitError) as error:
            read(log(tmp_path / "t.jsonl", *rows))
        assert error.value.code == "TK207"


class TestOneLogOfSeveral:
    def test_a_process_without_a_log_counts_as_not_recorded(self, tmp_path: Path) -> None:
        received = event(0, kind="receive", message="n2:0", peer="n2")
        trace = read(log(tmp_path / "n1.jsonl", HEAD, received, END))
        assert trace.run.coverage == {"n2": {"start": False, "end": False}}
        assert tracekit.analyze(trace).exit_code == 3
        whole = read(log(tmp_path / "whole.jsonl", HEAD | {"tracekit.processes": ["n1", "n2"]}, received, END))
        assert tracekit.analyze(whole).exit_code == 1

    def test_joined(self, tmp_path: Path) -> None:
        n1 = log(
            tmp_path / "n1.jsonl",
            HEAD,
            event(0, kind="receive", message="n2:0", peer="n2", vclock={"n1": 1, "n2": 1}),
            END,
        )
        n2 = log(
            tmp_path / "n2.jsonl", HEAD, event(0, process="n2", kind="send", message="n2:0", vclock={"n2": 1}), END
        )
        trace = join([read(n1), read(n2)])
        assert trace.run.coverage == {} and trace.inferred == () and trace.complete
        assert trace.run.system == "shop"
        assert [trace.fields(row)["vclock"] for row in range(2)] == [[1, 1], [0, 1]]
        assert tracekit.analyze(trace).exit_code == 0

    def test_types_that_differ_between_logs(self, tmp_path: Path) -> None:
        rows = [
            {"message": 1, "x.n": 1, "x.l": [1], "txn": [{"f": "r", "key": 1}]},
            {"message": "a", "x.n": 1.5, "x.l": ["a"], "txn": [{"f": "r", "key": "k", "value": 3}]}, {"x.l": 3},
        ]  # fmt: skip
        traces = [
            read(log(tmp_path / f"n{k}.jsonl", HEAD, event(0, process=f"n{k}", **row))) for k, row in enumerate(rows)
        ]
        trace = join(traces)
        fields = [{k: v for k, v in trace.fields(row).items() if k not in ("source", "line")} for row in range(3)]
        assert fields == [
            {"message": "1", "x.n": 1.0, "x.l": "[1]", "txn": [{"f": "r", "key": "1", "value": None}]},
            {"message": "a", "x.n": 1.5, "x.l": '["a"]', "txn": [{"f": "r", "key": "k", "value": 3}]},
            {"x.l": "3"},
        ]
        assert [trace.source(row) for row in range(3)] == ["n0.jsonl:2", "n1.jsonl:2", "n2.jsonl:2"]

    def test_rotated_logs_continue_each_other(self, tmp_path: Path) -> None:
        first = read(log(tmp_path / "1.jsonl", HEAD, event(0), event(1), END))
        second = read(log(tmp_path / "2.jsonl", HEAD, event(2), END))
        assert second.run.coverage == {"n1": {"start": False, "end": True}}
        assert join([second, first]).run.coverage == {}
        for other in (event(1), event(3)):
            with pytest.raises(TracekitError) as error:
                join([first, read(log(tmp_path / "3.jsonl", HEAD, other))])
            assert error.value.code == "TK208"

    def test_different_runs_are_not_joined(self, tmp_path: Path) -> None:
        one = read(log(tmp_path / "1.jsonl", HEAD, event(0, index=3)))
        other = log(
            tmp_path / "2.jsonl", {"tracekit.version": 1, "tracekit.run": {"system": "bank"}}, event(0, process="n2")
        )
        with pytest.raises(TracekitError, match="different runs") as error:
            join([one, read(other)])
        assert error.value.code == "TK209"
        with pytest.raises(TracekitError, match="index"):
            join([one, read(log(tmp_path / "3.jsonl", HEAD, event(0, process="n2", index=0)))])


class TestCsv:
    def test_cells(self, tmp_path: Path) -> None:
        path = tmp_path / "t.csv"
        path.write_text(
            'process,kind,message,name,x.flag,vclock,lamport\n'
            'n1,send,007,"two\nlines",true,"{""n1"":1}",1\n'
            '\n'
            'n2,receive,007,"",false,"{""n1"":1,""n2"":1}",x\n'
            'n2,internal\n'
            'n2,internal,,,,,3\n'
        )  # fmt: skip
        assert recording_csv.can_read(path, path.read_bytes())
        trace = tracekit.read_trace(path)
        assert [trace.source(row) for row in range(3)] == ["t.csv:2", "t.csv:5", "t.csv:7"]
        assert trace.fields(0) == {
            "message": "007", "name": "two\nlines", "x.flag": True, "vclock": [1], "lamport": 1,
            "source": "t.csv", "line": 2,
        }  # fmt: skip
        assert trace.fields(1)["name"] == "" and "name" not in trace.fields(2)
        assert {s.place for s in trace.set_aside.first} == {"t.csv:5", "t.csv:6"}

    def test_no_table(self, tmp_path: Path) -> None:
        path = tmp_path / "t.csv"
        for text in ("", "a,b\n", "process,kind,kind\n", 'process,kind\n"'):
            path.write_text(text)
            try:
                assert len(recording_csv.read(path)[0]) == 0
            except TracekitError as error:
                assert error.code.startswith("TK2")


SAMPLE = "\n".join(
    json.dumps(row)
    for row in (
        HEAD, event(0, kind="send", message="n1:0", vclock={"n1": 1}, lamport=1, value=[1, "a"]),
        {"tracekit.complete": False}, event(1, kind="restart", key=3, txn=[{"f": "r", "key": "x", "value": 1}]),
        event(2, **{"raft.entry_terms": [1], "a.b": 1.5}), END,
        HEAD | {"tracekit.processes": ["n1", "n2"], "tracekit.columns": {"vclock": "list<int64>", "x": "bool"}},
        event(2, vclock=[3, 1], x=True),
    )
).encode()  # fmt: skip
TABLE = (
    b"process,kind,seq,message,vclock,value,txn,x\n"
    b'n1,send,0,7,"{""n1"":1}","[1]","[{""f"":""r""}]",1.5\n"n2",receive,0,7,,,,nan\n'
)


@settings(max_examples=600, deadline=None)
@given(damaged(SAMPLE, b'{"process":"n1","kind":"internal","vclock":{"n1":9}}\n' * 3))
def test_fuzzed_json_lines(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    survives(recording.FORMAT, tmp_path_factory.mktemp("f"), data)


SCALARS = st.none() | st.booleans() | st.integers(-(2**65), 2**65) | st.floats() | st.text(max_size=4)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
)
COLUMNS = ["process", "kind", "seq", "vclock", "txn", "value", "key", "message", "raft.entry_terms", "x", "line"]
METADATA = [f"tracekit.{name}" for name in ("run", "version", "complete", "processes", "columns", "set_aside")]
FIELDS = st.sampled_from(COLUMNS + METADATA)


@settings(max_examples=600, deadline=None)
@given(st.lists(st.dictionaries(FIELDS, VALUES, max_size=6), max_size=5), st.booleans())
def test_fuzzed_objects(tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]], sound: bool) -> None:
    base = {"process": "n1", "kind": "internal"} if sound else {}
    data = "\n".join(json.dumps(base | row) for row in rows).encode()
    survives(recording.FORMAT, tmp_path_factory.mktemp("f"), data)


@settings(max_examples=400, deadline=None)
@given(damaged(TABLE))
def test_fuzzed_csv(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    survives(recording_csv.FORMAT, tmp_path_factory.mktemp("f"), data)
