"""Logs through a mapping: recorded systems with the project's own mappings, every option, every mistake's message."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from tests.corpora import corpus
from tests.formats.fuzz import damaged, survives
from tracekit.errors import TracekitError
from tracekit.formats.mapped import read_mapped
from tracekit.registry import Format
from tracekit.trace.assemble import UNKNOWN_KIND
from tracekit.trace.schema import Kind
from tracekit.trace.trace import Trace

MAPPINGS = Path(__file__).parents[2] / "docs/mappings"


def read(folder: Path, log: str, mapping: str) -> Trace:
    (folder / "node.jsonl").write_text(log)
    (folder / "node.toml").write_text(mapping)
    (trace,) = read_mapped(folder / "node.jsonl", folder / "node.toml")
    return trace


def fields(trace: Trace) -> list[dict[str, Any]]:
    return [
        {"kind": Kind(trace.kind[row]).label, "event": trace.event(row)}
        | {name: value for name, value in trace.fields(row).items() if name not in ("source", "line")}
        for row in range(len(trace))
    ]


@pytest.mark.parametrize(("name", "mapping", "kinds", "aside"), [
    ("raft/etcd-raft-ok.jsonl.gz", "etcd-raft",
     {"internal": 18074, "send": 14598, "receive": 9159, "crash": 199, "restart": 198}, 0),
    ("raft/etcd-raft-fig8.jsonl.gz", "etcd-raft",
     {"internal": 20409, "send": 13652, "receive": 8391, "crash": 210, "restart": 209}, 0),
    ("raft/etcd-raft-losevote.jsonl.gz", "etcd-raft",
     {"internal": 20369, "send": 14588, "receive": 9406, "crash": 217, "restart": 215}, 0),
    ("pysyncobj/pysyncobj-0.3.10.jsonl", "pysyncobj", {"internal": 437, "send": 1154, "receive": 1154}, 0),
    ("pysyncobj/pysyncobj-0.3.17.jsonl", "pysyncobj", {"internal": 350, "send": 1093, "receive": 1093}, 0),
    ("etcd-run/history.jsonl", "etcd-history", {"invoke": 5393, "ok": 3561, "fail": 1218, "info": 1162}, 0),
    ("lock/lock_1_happy.txt.gz", "lock-server", {"invoke": 10000, "ok": 1675, "fail": 8325}, 1),
    ("lock/lock_1_error.txt.gz", "lock-server", {"invoke": 10000, "ok": 1677, "fail": 8326}, 4),
])  # fmt: skip
def test_recorded_systems_are_read_whole(name: str, mapping: str, kinds: dict[str, int], aside: int) -> None:
    (trace,) = read_mapped(corpus(name), MAPPINGS / f"{mapping}.toml")
    assert Counter(Kind(code).label for code in trace.kind) == kinds
    assert trace.set_aside.count == aside


def test_the_raft_recording_says_what_the_checks_need() -> None:
    (trace,) = read_mapped(corpus("raft/etcd-raft-ok.jsonl.gz"), MAPPINGS / "etcd-raft.toml")
    change = trace.find("etcd-raft-ok.jsonl.gz:6")
    assert change is not None
    assert {name: value for name, value in trace.fields(change).items() if name.startswith("raft.")} == {
        "raft.term": 1, "raft.role": "follower", "raft.vote": "", "raft.commit": 5, "raft.last_index": 5,
        "raft.log_from": 1, "raft.entry_terms": [1] * 5,
        "raft.entry_digests": [f"bd08{c}0c35e6{d}" for c, d in zip(
            ("8d", "8c", "8b", "8a", "89"), ("f18a", "efd7", "ee24", "ec71", "eabe"), strict=True)],
    }  # fmt: skip
    vote = trace.find("etcd-raft-ok.jsonl.gz:31")
    assert vote is not None and trace.fields(vote)["peer"] == "5" and trace.fields(vote)["raft.message_index"] == 5
    assert "message" not in trace


BASE = '[event]\nprocess = "node"\nkind = "what"\n'
ROW = '{"node":"a","what":"send","n":{"x":[{"t":1,"u":[7]},{"t":2}]},"ms":1.5,"to":"b","id":4}\n'


@pytest.mark.parametrize(("source", "want"), [
    ('"n.x[0].t"', 1), ('"n.x[1].t"', 2), ('"n.x[#]"', 2), ('{ constant = 5 }', 5),
    ('{ column = ["none", "id"], optional = true }', 4), ('{ column = "id", values = { 4 = 9 } }', 9),
    ('{ column = "id", values = { 5 = 9 }, default = 3 }', 3),
    ('{ column = "id", values = { 5 = 9 }, keep = true }', 4),
    ('{ column = "id", when = { to = "b" } }', 4), ('{ column = "id", when = { to = ["c", "d"] } }', None),
    ('{ column = "none", optional = true, absent = 8 }', 8), ('[{ column = "id", when = { to = "c" } }, "ms"]', "1.5"),
    ('{ join = ["node", "id"] }', "a:4"), ('{ column = "n.x[9].t", optional = true }', None),
    ('{ column = "to", pattern = "^(b)" }', "b"), ('{ column = "to", pattern = "^(?<x>c)" }', None),
    ('"n.x[].u[0]"', "[7,null]"), ('"n.x[].t"', "[1,2]"),
])  # fmt: skip
def test_where_a_value_may_come_from(tmp_path: Path, source: str, want: Any) -> None:
    (event,) = fields(read(tmp_path, ROW, BASE + f"message = {source}\n"))
    assert event.get("message") == want


@pytest.mark.parametrize(("target", "source", "want"), [
    ("time_ns", '{ column = "ms", unit = "ms" }', 1_500_000), ("lamport", '"id"', 4),
    ("value", '"n.x[0]"', '{"t":1,"u":[7]}'), ("value", '"to"', '"b"'), ("value", '"id"', 4), ("key", '"to"', "b"),
    ('"raft.entry_terms"', '"n.x[].t"', [1, 2]), ('"raft.message_reject"', '{ constant = true }', True),
    ('"my.own"', '"ms"', 1.5), ("peer", '"id"', "4"),
])  # fmt: skip
def test_what_a_value_becomes(tmp_path: Path, target: str, source: str, want: Any) -> None:
    (event,) = fields(read(tmp_path, ROW, BASE + f"{target} = {source}\n"))
    assert event[target.strip('"')] == want


def test_a_key_written_like_a_path_comes_first(tmp_path: Path) -> None:
    (event,) = fields(read(tmp_path, '{"node":1,"what":"ok","a.b":7,"a":{"b":8}}', BASE + 'message = "a.b"\n'))
    assert event["message"] == 7 and event["event"] == "1:0"


def test_clocks_may_be_objects_or_lists(tmp_path: Path) -> None:
    rows = '{"node":"b","what":"send","vc":{"b":1,"c":3}}\n{"node":"a","what":"send","vc":{"a":1,"b":1}}\n'
    trace = read(tmp_path, rows, BASE + 'vclock = "vc"\n')
    assert trace.processes == ("b", "a", "c")
    assert [event["vclock"] for event in fields(trace)] == [[1, 0, 3], [1, 1]]
    lists = read(
        tmp_path, '{"node":"b","what":"send","vc":[0,1]}', BASE + 'vclock = "vc"\n[run]\nprocesses = ["a", "b"]\n'
    )
    assert lists.processes == ("a", "b") and fields(lists)[0]["vclock"] == [0, 1]


def test_csv(tmp_path: Path) -> None:
    mapping = (
        'absent = ["-"]\n[csv]\ndelimiter = ";"\n' + BASE + 'value = "v"\ntime_ns = { column = "at", unit = "iso" }\n'
    )
    log = "node;what;v;at\na;invoke;3;1970-01-01T00:00:01\n\nb;ok;-;1970-01-01 00:00:02.5+00:00\n"
    log += '"x;y";send\na;ok;4;nonsense\n'
    trace = read(tmp_path, log, mapping)
    assert fields(trace) == [
        {"kind": "invoke", "event": "a:0", "value": 3, "time_ns": 1_000_000_000},
        {"kind": "ok", "event": "b:0", "time_ns": 2_500_000_000}, {"kind": "ok", "event": "a:1", "value": 4},
    ]  # fmt: skip
    assert [(aside.place, aside.reason, aside.field) for aside in trace.set_aside.first] == [
        ("node.jsonl:5", "the row has not as many cells as there are columns", None),
        ("node.jsonl:6", "not of type int64", "time_ns"),
    ]


def test_text_lines(tmp_path: Path) -> None:
    mapping = "[text]\npattern = '^(?<node>\\w+) (?<what>\\w+)(?: to (?<to>\\w+))?$'\n" + BASE + 'peer = "to"\n'
    trace = read(tmp_path, "a send to b\nb receive\n--- noise ---\n\na ponders\n", mapping)
    assert fields(trace) == [
        {"kind": "send", "event": "a:0", "peer": "b", "index": 0}, {"kind": "receive", "event": "b:0", "index": 1}
    ]  # fmt: skip
    assert trace.set_aside.counts == {"the pattern does not match": 1, UNKNOWN_KIND: 1}
    assert trace.inferred == ("index: the order of the lines",)


def test_lines_to_ignore_spoil_nothing(tmp_path: Path) -> None:
    pattern = "[text]\npattern = '^(?<node>\\w+) (?<what>\\w+)(?: to (?<to>\\w+))?$'\nignore = '^---'\n"
    trace = read(tmp_path, "a send to b\n--- noise ---\nb receive\n", pattern + BASE + 'peer = "to"\n')
    assert trace.set_aside.counts == {"not a history line": 1}
    assert not trace.set_aside.spoiling(lambda name: True)


def test_one_recorder_orders_lines_that_have_times(tmp_path: Path) -> None:
    mapping = BASE + 'time_ns = "t"\n'
    row = '{"node":"a","what":"send","to":"b","t":7}\n'
    assert "index" not in read(tmp_path, row + row, mapping)
    trace = read(tmp_path, row + row, "one_recorder = true\n" + mapping)
    assert [event["index"] for event in fields(trace)] == [0, 1]
    assert trace.inferred == ("index: the order of the lines (the mapping says: one recorder)",)


def test_run_facts_and_bad_rows(tmp_path: Path) -> None:
    rows = ROW + '{"node":"a"\n[1]\n{"what":"send"}\n{"node":"c","what":"sleeps"}\n{"node":"a","what":"ok","id":"x"}\n'
    trace = read(tmp_path, rows, BASE + 'op = "id"\n[run]\nmodel = "kv"\nn = 3\n')
    assert (trace.run.model, trace.run.n, len(trace)) == ("kv", 3, 2)
    assert sorted((aside.place, aside.reason, aside.text) for aside in trace.set_aside.first) == [
        ("node.jsonl:2", "not JSON", '{"node":"a"'), ("node.jsonl:3", "not a JSON object", "[1]"),
        ("node.jsonl:4", "the row names no process", ""), ("node.jsonl:5", UNKNOWN_KIND, "sleeps"),
        ("node.jsonl:6", "not of type int64", "x"),
    ]  # fmt: skip


def test_values_without_translation_are_set_aside(tmp_path: Path) -> None:
    trace = read(tmp_path, ROW + ROW.replace('"b"', '"c"'), BASE + 'peer = { column = "to", values = { b = "B" } }\n')
    assert [event.get("peer") for event in fields(trace)] == ["B", None]
    assert trace.set_aside.counts == {"no translation of a value of peer": 1}


def test_a_column_without_kinds_is_explained(tmp_path: Path) -> None:
    log = '{"node":"a","level":"INFO","event":"rpc_out"}\n' * 3 + '{"node":"b","level":"WARN","event":"rpc_in"}\n'
    with pytest.raises(TracekitError) as caught:
        read(tmp_path, log, '# mine\n[event]\nprocess = "node"\nkind = "level"\n')
    assert str(caught.value).splitlines() == [
        "error[TK204]: the mapping takes `kind` from a column that holds no event kinds",
        f'  at:    {tmp_path}/node.toml, line 4:  kind = "level"',
        '  found: node.jsonl, "level" in 4 rows: INFO 3, WARN 1; 0 rows fit',
        "  want:  internal send receive invoke ok fail info crash restart fault",
        '  help:  column "event" may be meant: rpc_out 3, rpc_in 1. If so, write',
        '         kind = { column = "event", values = { "rpc_out" = "send", "rpc_in" = "receive" } }',
    ]


@pytest.mark.parametrize(("mapping", "code", "words"), [
    ("[event\n", "TK204", "not TOML"), ("", "TK204", "`process`"), ('[event]\nprocess = "node"\n', "TK204", "`kind`"),
    (BASE + "[evnt]\n", "TK204", "no entry `evnt`"), (BASE + "peer = 3\n", "TK204", "`peer`"),
    (BASE + 'peer = { colum = "to" }\n', "TK204", "no option `colum`"), (BASE + "peer = {}\n", "TK204", "`peer`"),
    (BASE + 'peer = { column = "to", join = ["a"] }\n', "TK204", "`peer`"),
    (BASE + 'time_ns = { column = "ms", unit = "h" }\n', "TK204", "`time_ns`"),
    (BASE + 'peer = "tto"\n', "TK204", "from a column that no row has"),
    (BASE + 'peer = "to.x"\n', "TK204", "no row has"),
    (BASE + 'peer = { column = "to", pattern = "(" }\n', "TK203", "regular expression"),
    ("one_recorder = 1\n" + BASE, "TK204", "`one_recorder`"),
    ("[text]\npattern = '(?<node>x)'\nignore = 1\n" + BASE, "TK204", "`ignore`"),
    ("[text]\npattern = '(?<node>x)'\nignore = '('\n" + BASE, "TK203", "regular expression"),
    ("[text]\npattern = 'x'\n" + BASE, "TK204", "`pattern`"), ("[text]\n" + BASE, "TK204", "`text`"),
    ("[csv]\ndelimiter = ',,'\n" + BASE, "TK204", "`csv`"), (BASE + "[run]\nn = 'x'\n", "TK107", "wrong type"),
    ('[event]\nprocess = "node"\nkind = { constant = "x" }\n', "TK204", "constant that holds no event kinds"),
    ("event = 3\n", "TK204", "`event`"), ("run = 3\n" + BASE, "TK204", "`run`"),
    (BASE + "peer = []\n", "TK204", "`peer`"),
    ("csv = 3\n" + BASE, "TK204", "`csv`"), (BASE + 'txn = "n"\n', "TK204", "`txn`"),
    (BASE + 'source = "n"\n', "TK204", "`source`"),
])  # fmt: skip
def test_a_wrong_mapping_is_explained(tmp_path: Path, mapping: str, code: str, words: str) -> None:
    with pytest.raises(TracekitError) as caught:
        read(tmp_path, ROW, mapping)
    assert caught.value.code == code and words in str(caught.value)


def test_missing_files_are_errors(tmp_path: Path) -> None:
    for path, mapping in (
        (tmp_path / "none", MAPPINGS / "pysyncobj.toml"),
        (MAPPINGS / "pysyncobj.toml", tmp_path / "none"),
    ):
        with pytest.raises(TracekitError) as caught:
            read_mapped(path, mapping)
        assert caught.value.code in ("TK101", "TK201")


def test_deep_nesting_is_set_aside(tmp_path: Path) -> None:
    deep = ROW.replace('"id":4', '"id":' + "[" * 900 + "]" * 900)
    trace = read(tmp_path, ROW + deep, BASE + 'value = "id"\n')
    assert trace.set_aside.counts == {"nested deeper than 100": 1}


FUZZED = {
    "etcd-raft": b'{"commit":5,"msg":{"commit":0,"ents":[{"h":"a","i":1,"t":1}],"from":1,"index":5,"logTerm":1,'
    b'"reject":false,"term":2,"to":2,"type":"MsgApp"},"name":"send","nid":1,"plast":5,"role":"StateLeader","seq":28,'
    b'"term":2,"vote":1,"i":1,"t":1,"h":"x","ents":[{"h":"a","i":1,"t":1}]}\n' * 2,
    "lock-server": b"2023-12-01 16:10:34.000921 [main] INFO  StructuredLogger - : MessageType=REQUEST, ClientID=0, "
    b"LockID=0, TransactionType=LOCK, TransactionID=0, Result=null, LockStatus=null, Message=null\n" * 2,
    "csv": b'node,what,n\na,send,1\n"b,c",receive,"2\n3"\n',
}


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=damaged(*FUZZED.values()))
def test_damaged_files_are_survived(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "csv.toml").write_text("[csv]\n" + BASE + 'value = { column = "n", optional = true }\n')
    for name in FUZZED:
        mapping = (tmp_path if name == "csv" else MAPPINGS) / f"{name}.toml"
        as_format = Format(name, "", lambda path, head: True, lambda path, mapping=mapping: read_mapped(path, mapping))  # type: ignore[misc]
        survives(as_format, tmp_path, data)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(mapping=damaged(*(path.read_bytes() for path in sorted(MAPPINGS.glob("*.toml")))))
def test_damaged_mappings_are_survived(tmp_path: Path, mapping: bytes) -> None:
    (tmp_path / "m.toml").write_bytes(mapping)
    as_format = Format("mapped", "", lambda path, head: True, lambda path: read_mapped(path, tmp_path / "m.toml"))
    survives(as_format, tmp_path, FUZZED["etcd-raft"])
