"""Jepsen's histories as maps: facts of recorded files, both notations alike, keys and transactions, damaged files."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.corpora import corpus
from tests.formats.fuzz import damaged, survives
from tracekit.errors import TracekitError
from tracekit.formats import jepsen_scan
from tracekit.formats.jepsen_edn import FORMAT
from tracekit.kernels.engine import kernels
from tracekit.trace.schema import Kind
from tracekit.trace.trace import Trace

LINES = b"""{:type :invoke, :f :read, :value nil, :process 0, :time 10, :index 0}
{:type :invoke, :f :cas, :value [1 2], :process 1, :time 11, :index 1}
{:type :info, :f :start-partition, :value {"n1" #{"n2"}}, :process :nemesis, :time 12, :index 2}
{:type :ok, :f :read, :value nil, :process 0, :time 13, :index 3}
{:type :info, :f :cas, :value [1 2], :process 1, :time 14, :index 4, :error [:timeout "no answer"]}
"""
JSON = b"""[{"type":"invoke","f":"read","value":null,"process":0,"time":10,"index":0},
{"type":"invoke","f":"cas","value":[1, 2],"process":1,"time":11,"index":1},
{"type":"info","f":"start-partition","value":{"n1":["n2"]},"process":"nemesis","time":12,"index":2},
{"type":"ok","f":"read","value":null,"process":0,"time":13,"index":3},
{"type":"info","f":"cas","value":[1, 2],"process":1,"time":14,"index":4,"error":["timeout","no answer"]}]
"""


def read(folder: Path, text: bytes | str) -> Trace:
    data = text if isinstance(text, bytes) else text.encode()
    path = folder / "history.edn"
    path.write_bytes(data)
    assert FORMAT.can_read(path, data)
    (trace,) = FORMAT.read(path)
    return trace


def events(trace: Trace) -> list[tuple[str, str, dict[str, Any]]]:
    """Everything but the place in the file."""
    rows = []
    for row in range(len(trace)):
        fields = {k: v for k, v in trace.fields(row).items() if k not in ("source", "line")}
        rows.append((trace.event(row), Kind(trace.kind[row]).label, fields))
    return rows


def test_every_recorded_history_is_read_whole() -> None:
    counts: Counter[str] = Counter()
    for path in sorted(corpus("jepsen-edn").rglob("*.*")):
        data = path.read_bytes()
        assert FORMAT.can_read(path, data[: 1 << 16]), path
        (trace,) = FORMAT.read(path)
        assert trace.set_aside.count == 0, path
        assert len(trace) == data.count(b":process ") + data.count(b'"process":'), path
        counts.update(Kind(code).label for code in trace.kind)
    assert counts == {"invoke": 13106, "ok": 7356, "fail": 5372, "info": 250, "fault": 84}


@pytest.mark.parametrize("name", ["elle/paper-example", "elle/rw-register", "workloads/bank"])
def test_both_notations_say_the_same(name: str) -> None:
    in_edn, in_json = (FORMAT.read(corpus(f"jepsen-edn/{name}.{ending}"))[0] for ending in ("edn", "json"))
    drop = ("exception", "nemesis.value")  # the exporter wrote keywords of these as text of another shape
    assert [(e, k, {n: v for n, v in f.items() if n not in drop}) for e, k, f in events(in_edn)] == [
        (e, k, {n: v for n, v in f.items() if n not in drop}) for e, k, f in events(in_json)
    ]


def test_maps_become_events(tmp_path: Path) -> None:
    trace = read(tmp_path, LINES)
    assert events(trace) == [
        ("0:0", "invoke", {"index": 0, "time_ns": 10, "f": "read"}),
        ("1:0", "invoke", {"index": 1, "time_ns": 11, "f": "cas", "value": "[1,2]"}),
        ("nemesis:0", "fault", {
            "index": 2, "time_ns": 12, "name": "start-partition", "nemesis.value": '{"n1":["n2"]}'
        }),
        ("0:1", "ok", {"index": 3, "time_ns": 13, "f": "read"}),
        ("1:1", "info", {
            "index": 4, "time_ns": 14, "f": "cas", "value": "[1,2]", "error": '["timeout","no answer"]'
        }),
    ]  # fmt: skip
    assert trace.source(4) == "history.edn:5" and trace.inferred == ()


@pytest.mark.parametrize("other", [
    b"[" + LINES.replace(b"\n", b" ") + b"]", b"(" + LINES + b")", b"; a comment\n" + LINES.replace(b", ", b" "),
    LINES.replace(b"{:type", b"#jepsen.history.Op{:type"), LINES.replace(b", :value", b",\n   :value"), JSON,
    JSON.replace(b"},", b"}")[1:-2], LINES.replace(b":process 0", b':process 0 #_:node #_"n1"'),
    LINES.replace(b"\n", b"\r\n"), b"\xef\xbb\xbf" + LINES,
])  # fmt: skip
def test_one_history_in_many_clothes(tmp_path: Path, other: bytes) -> None:
    assert events(read(tmp_path, other)) == events(read(tmp_path, LINES))


def test_line_order_is_the_index_where_an_operation_has_none(tmp_path: Path) -> None:
    trace = read(tmp_path, LINES.replace(b", :index 3", b""))
    assert [trace.fields(row)["index"] for row in range(5)] == [0, 1, 2, 3, 4]
    assert trace.inferred == ("real time: the order of the operations in the file, for 1 have no :index",)


def test_unusable_maps_are_set_aside_with_their_line(tmp_path: Path) -> None:
    trace = read(
        tmp_path,
        LINES + b"{:type :invoke, :f :read, :val\n{:type :sleep, :process 0}\n{:type :ok, :f :read}\nhello\n"
        b"{:type :ok :f}\n{:type :ok :type :ok :process 0}\n{:type :ok :process 0 :f :read :value 0x1}\n",
    )
    assert len(trace) == 5
    assert {aside.place: aside.reason for aside in trace.set_aside.first} == {
        "history.edn:6": "the operation is not closed, or its brackets do not match",
        "history.edn:7": "the operation's type is none of invoke, ok, fail, info",
        "history.edn:8": "the operation names no process",
        "history.edn:9": "not an operation (a map)",
        "history.edn:10": "a key without a value",
        "history.edn:11": "a key stands twice",
        "history.edn:12": "a value that is not EDN",
    }
    assert trace.set_aside.count == 7


def test_a_list_that_is_cut_off_is_told(tmp_path: Path) -> None:
    trace = read(tmp_path, b"[" + LINES)
    assert trace.set_aside.counts == {"the list of operations is not closed: its end may be missing": 1}


INDEPENDENT = """{:process 0 :type :invoke :f :read :value [5 nil]}
{:process 1 :type :invoke :f :cas :value [6 [1 2]]}
{:process 0 :type :ok :f :read :value [5 3]}
{:process 1 :type :fail :f :cas :value [6 [1 2]]}
{:process 0 :type :invoke :f :write :value [5 7]}
"""


def test_tuples_of_jepsen_independent_become_keys(tmp_path: Path) -> None:
    trace = read(tmp_path, INDEPENDENT)
    assert [(f.get("key"), f.get("value")) for _, _, f in events(trace)] == [
        (5, None), (6, "[1,2]"), (5, "3"), (6, "[1,2]"), (5, "7")
    ]  # fmt: skip
    assert trace.inferred[0].startswith("keys: every value is a pair")


@pytest.mark.parametrize("change", [
    ("[5 nil]", "nil"),  # a read names no key
    ("[5 3]", "[4 3]"),  # the completion has another key
    ("[5 7]", "[5 7 8]"), ("[5 7]", "7"), ("[5 7]", "[nil 7]"), ("[5 7]", "[[5] 7]"),
    ("[1 2]", "1"),  # a cas of one value is none
])  # fmt: skip
def test_pairs_are_no_keys_unless_the_whole_history_says_so(tmp_path: Path, change: tuple[str, str]) -> None:
    assert "key" not in read(tmp_path, INDEPENDENT.replace(*change))


def test_cas_alone_is_never_taken_for_keys(tmp_path: Path) -> None:
    trace = read(
        tmp_path, "{:process 0 :type :invoke :f :cas :value [1 2]}\n{:process 0 :type :ok :f :cas :value [1 nil]}"
    )
    assert "key" not in trace and trace.fields(1)["value"] == "[1,null]"


def test_transactions_are_taken_apart(tmp_path: Path) -> None:
    trace = read(
        tmp_path,
        """{:process 0 :type :invoke :f :txn :value [[:append :x 1] [:r "y" nil]]}
        {:process 0 :type :ok :f :txn :value [[:append :x 1] [:r "y" #{2 1}]]}
        {:process 0 :type :invoke :f :txn :value []}
        {:process 0 :type :info :f :txn :value :oops}
        {:process 1 :type :invoke :f :read :value [[:r 1 nil]]}""",
    )
    append, read_y = {"f": "append", "key": "x", "value": "1"}, {"f": "r", "key": "y"}
    assert [f.get("txn") for _, _, f in events(trace)] == [
        [append, read_y | {"value": None}], [append, read_y | {"value": "[1,2]"}], [], None, None
    ]  # fmt: skip
    assert [f.get("value") for _, _, f in events(trace)] == [None, None, None, '"oops"', '[["r",1,null]]']


def test_numbers_and_texts_as_keys_are_not_confused(tmp_path: Path) -> None:
    line = "{{:process 0 :type :invoke :f :get :key {} :value nil}}\n"
    assert [f["key"] for _, _, f in events(read(tmp_path, line.format("1") + line.format('"1"')))] == ["1", '"1"']
    assert [f["key"] for _, _, f in events(read(tmp_path, line.format(":a") + line.format('"1"')))] == ["a", "1"]


def test_named_clients_are_clients_and_that_is_said(tmp_path: Path) -> None:
    trace = read(tmp_path, '{"type":"invoke","process":"c1","f":"read"}\n{"type":"info","process":"chaos","f":"kill"}')
    assert [e for e, _, _ in events(trace)] == ["c1:0", "nemesis:0"]
    assert trace.inferred[0] == "clients: processes that are no numbers and invoke operations"


def test_unknown_keys_are_kept(tmp_path: Path) -> None:
    trace = read(tmp_path, '{:process 0 :type :invoke :f :read :link "n1" :line 7 :time 1.5 :deep {:a [1]}}')
    fields = trace.fields(0)
    assert (fields["link"], fields["jepsen.line"], fields["jepsen.time"], fields["deep"]) == (
        "n1",
        7,
        "1.5",
        '{"a":[1]}',
    )
    assert fields["line"] == 1


def test_another_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.json"
    path.write_text('{"name": "x"}')
    assert not FORMAT.can_read(path, path.read_bytes())
    with pytest.raises(TracekitError) as caught:
        FORMAT.read(path)
    assert caught.value.code == "TK201"


def test_what_is_no_plainer_when_written_plainly_is_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "history.edn"
    path.write_bytes(
        b"{:process 0 :type :ok\0 :f :read :value 3}\n"
        b"{:process 0 :type :invoke :f :write :value 7}\n{:process 0 :type :ok :f :write :value 7}\n"
    )
    (trace,) = FORMAT.read(path)
    assert len(trace) == 2 and trace.set_aside.count == 1
    assert trace.set_aside.first[0].place == "history.edn:1"


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=damaged(LINES, JSON, INDEPENDENT.encode(), b"[{:process 0 :type :ok :f :txn :value [[:r :x [1 #_2]]]}]"))
def test_damaged_files_are_survived(tmp_path: Path, data: bytes) -> None:
    survives(FORMAT, tmp_path, data)


@settings(max_examples=200, deadline=None)
@given(data=damaged(LINES, JSON, INDEPENDENT.encode()), as_json=st.booleans())
def test_compiled_scanning_is_interpreted_scanning(data: bytes, as_json: bool) -> None:
    found = []
    for work in (0, 10**9):
        kernel = kernels("edn", work)
        text: Any = np.frombuffer(data, np.uint8) if work else data
        keys, state, stack = np.zeros((62, 2), np.int64), np.zeros(6, np.int64), np.zeros(100, np.int64)
        operations, pairs = np.zeros((20, 4), np.int64), np.zeros((300, 3), np.int64)
        kernel.scan(text, int(as_json), 1, stack, keys, operations, pairs, state)
        found.append((keys, state, operations[: state[2]], pairs[: state[3]]))
    for interpreted, compiled in zip(*found, strict=True):
        assert np.array_equal(interpreted, compiled)


def test_batches_are_joined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = events(read(tmp_path, LINES * 7))
    monkeypatch.setattr(jepsen_scan, "OPERATIONS", 3)
    monkeypatch.setattr(jepsen_scan, "PAIRS", 260)
    assert events(read(tmp_path, LINES * 7)) == whole
