"""ShiViz logs: stated facts of recorded ones, the header's forms, clocks in every writing, damaged files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.corpora import corpus, manifest
from tests.formats.fuzz import damaged, survives
from tests.oracle.causal_edges import causal_edges
from tracekit.errors import TracekitError
from tracekit.formats import vector_clocks
from tracekit.formats.shiviz import FORMAT
from tracekit.formats.vector_clocks import read_clocks
from tracekit.kernels.engine import kernels
from tracekit.trace.trace import Trace

LOG = """start
a {"a":1}
hello
b {"b":1, "a":1}
bye
a {"a":2, "b":0}
"""


def read_all(folder: Path, text: str) -> list[Trace]:
    path = folder / "some.log"
    path.write_text(text)
    assert FORMAT.can_read(path, text.encode())
    return FORMAT.read(path)


def read(folder: Path, text: str) -> Trace:
    (trace,) = read_all(folder, text)
    return trace


def events(trace: Trace) -> list[tuple[str, object, object]]:
    return [(trace.event(row), trace.fields(row).get("name"), trace.fields(row)["vclock"]) for row in range(len(trace))]


WANT = [("a:0", "start", [1]), ("b:0", "hello", [1, 1]), ("a:1", "bye", [2])]


@pytest.mark.parametrize(
    "entry", [e for e in manifest() if e["format"] == "shiviz" and "events" in e], ids=lambda e: e["path"]
)
def test_stated_facts_are_found(entry: dict[str, Any]) -> None:
    path = corpus(entry["path"])
    assert FORMAT.can_read(path, path.read_bytes()[: 1 << 16])
    (trace,) = FORMAT.read(path)
    clocks: dict[str, list[dict[str, int]]] = {name: [] for name in trace.processes}
    for row in np.lexsort((trace.seq, trace.process)):
        fields = trace.fields(int(row))
        known = zip(trace.processes, fields["vclock"], strict=False)
        clocks[trace.processes[trace.process[row]]].append({name: n for name, n in known if n})
    assert len(trace) == entry["events"] and len(trace.processes) == entry["processes"]
    assert len(causal_edges(clocks)) == entry["message_edges"]
    assert trace.set_aside.count == 0
    assert "clocks: a process's first event has 1" in trace.inferred


def test_all_recorded_logs_are_read() -> None:
    traces = FORMAT.read(corpus("shiviz/multiple-comparison.log"))
    assert [(len(t), (t.path or "")[-2:], t.run.other["execution"]) for t in traces] == [
        (8, "#1", "Base execution"), (8, "#2", "Same as base"), (8, "#3", "Different host from base"),
        (8, "#4", "All events are different from base"), (8, "#5", "Some events are different from base"),
    ]  # fmt: skip
    (trace,) = FORMAT.read(corpus("shiviz/reliable-broadcast.log"))
    assert len(trace) == 116 and trace.set_aside.counts == {"the expression finds no event here": 1}
    assert trace.set_aside.first[0].place == "reliable-broadcast.log:8"


@pytest.mark.parametrize("header", [
    "", "\n\n", "(?<event>.*)\\n(?<host>\\S*) (?<clock>{.*})\n\n", "(?P<event>.*)\\n(?P<host>\\w+) (?P<clock>.*)\n\n",
])  # fmt: skip
def test_the_header_may_be_absent_empty_or_given(tmp_path: Path, header: str) -> None:
    trace = read(tmp_path, header + LOG)
    assert events(trace) == WANT
    assert trace.source(0) == f"some.log:{header.count(chr(10)) + 1}"
    assert events(read(tmp_path, (header + LOG).replace("\n", "\r\n"))) == WANT


def test_executions_are_told_apart_by_the_delimiter(tmp_path: Path) -> None:
    header = "(?<event>.*)\\n(?<host>\\S*) (?<clock>{.*})\n^-- run (?<trace>\\w+)$\n"
    traces = read_all(tmp_path, f"{header} \n-- run one\n{LOG}-- run two\n\n-- run three\n{LOG}")
    assert [(t.path, t.run.other) for t in traces] == [
        (f"{tmp_path}/some.log#1", {"execution": "one"}), (f"{tmp_path}/some.log#2", {"execution": "three"}),
    ]  # fmt: skip
    assert [events(t) for t in traces] == [WANT, WANT]


def test_other_groups_are_kept(tmp_path: Path) -> None:
    header = "(?<level>\\w+) (?<line>\\d+) (?<host>\\w+) (?<clock>{.*?})(?: (?<event>.+))?\n\n"
    trace = read(tmp_path, header + 'INFO 7 a {"a":1} x\nWARN 8 a {"a":2}\n')
    assert [[trace.fields(row).get(name) for name in ("level", "shiviz.line", "name")] for row in (0, 1)] == [
        ["INFO", "7", "x"], ["WARN", "8", None]
    ]  # fmt: skip
    assert trace.fields(1)["line"] == 4


def test_variants_with_times(tmp_path: Path) -> None:
    tsviz = '1456966522871394967 lock\nt1 {"t1":1}\n1456966522871394999 free\nt1 {"t1":2}\n'
    govector = '1456966522871394967 t1 {"t1":1}\nlock\n1456966522871394999 t1 {"t1":2}\nfree\n'
    for text in (tsviz, govector):
        trace = read(tmp_path, text)
        assert [trace.fields(row)["time_ns"] for row in (0, 1)] == [1456966522871394967, 1456966522871394999]
        assert [trace.fields(row)["name"] for row in (0, 1)] == ["lock", "free"]
    plain = read(tmp_path, tsviz.replace("1456966522871394", "1456966"))
    assert plain.fields(0)["timestamp"] == "1456966967" and "time_ns" not in plain


def test_clocks_in_every_writing(tmp_path: Path) -> None:
    clocks = ['{"a":1}', '{ "a" : 2 , "b":0 }', '{\\"a\\":3,\\"b\\":7}', '{"\\u0061":4}', '{"é":1,"a":5}', '{"a":6}']
    trace = read(tmp_path, "".join(f"e\na {clock}\n" for clock in clocks))
    assert [trace.fields(row)["vclock"] for row in range(6)] == [[1], [2], [3, 7], [4], [5, 0, 1], [6]]
    assert trace.processes == ("a", "b", "é")


def test_events_stand_in_the_order_of_their_own_clocks(tmp_path: Path) -> None:
    trace = read(tmp_path, 'c\na {"a":2}\nb\na {"a":1}\na\na {"a":0}\n')
    assert [trace.event(row) for row in range(3)] == ["a:2", "a:1", "a:0"]
    assert "clocks: a process's first event has 0" in trace.inferred


def test_bad_clocks_are_set_aside_with_their_line(tmp_path: Path) -> None:
    header = "(?<event>.*)\\n(?<host>\\S*) (?<clock>{.*})\n\n"
    bad = ['{"b":1}', '{"a":1.5}', '{"a":"x"}', "{a:1}", '{"a":99999999999999999999}', '{"a":1,}', '{"a":true}']
    trace = read(tmp_path, header + 'good\na {"a":1}\n' + "".join(f"e\na {clock}\n" for clock in bad))
    assert len(trace) == 1
    assert trace.set_aside.counts == {
        "the clock is not a JSON object of whole numbers": 6, "the clock does not name its own host": 1
    }  # fmt: skip
    assert [a.text for a in trace.set_aside.first] == [*bad[1:], bad[0]]
    assert trace.set_aside.first[-1].place == "some.log:5"


def test_a_host_called_nemesis_is_no_fault(tmp_path: Path) -> None:
    trace = read(tmp_path, 'x\nnemesis {"nemesis":1}\ny\na {"a":1,"nemesis":1}\n')
    assert trace.processes == ("nemesis (host)", "a") and trace.components == 2
    assert trace.fields(1)["vclock"] == [1, 1]


@pytest.mark.parametrize(("text", "code"), [
    ("hello\nworld\n", "TK201"), ("", "TK201"), ("(?<event>.*) (?<host>.*) (?<clock>.*\n\nx\n", "TK203"),
    ("(?<event>(x+)+) (?<host>.*) (?<clock>{.*})\n\nx\n", "TK203"),
    ("(?<event>.*)\\n(?<host>\\S*) {}\n\n" + LOG, "TK203"),
    ("(?<event>.*)\\n(?<host>\\S*) (?<clock>{.*})\n(\n" + LOG, "TK203"),
])  # fmt: skip
def test_what_cannot_be_read_says_why(tmp_path: Path, text: str, code: str) -> None:
    path = tmp_path / "bad.log"
    path.write_text(text)
    with pytest.raises(TracekitError) as caught:
        FORMAT.read(path)
    assert caught.value.code == code


@pytest.mark.timeout(60)
def test_long_lines_take_no_quadratic_time(tmp_path: Path) -> None:
    path = tmp_path / "long.log"
    for long in ("x" * 3_000_000, " {" * 300_000, "[a] [" * 300_000, " " * 1_000_000, "1" * 1_000_000, "}" * 1_000_000):
        path.write_text(LOG + long + "\n" + LOG.replace('"a":1}', '"a":3}'))
        (trace,) = FORMAT.read(path)
        assert len(trace) == 6


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=damaged(LOG.encode(), ("(?<event>.*)\\n(?<host>\\S*) (?<clock>{.*})\n^=$\n" + LOG + "=\n" + LOG).encode()))
def test_damaged_files_are_survived(tmp_path: Path, data: bytes) -> None:
    survives(FORMAT, tmp_path, data)


CLOCKS = st.dictionaries(st.text('ab"\\é', max_size=3), st.integers(-2, 2**64), max_size=4)


@settings(max_examples=300, deadline=None)
@given(texts=st.lists(CLOCKS.map(json.dumps) | st.text('{}":,a1\\ ', max_size=12), max_size=5))
def test_the_kernel_reads_what_a_json_parser_reads(texts: list[str]) -> None:
    """Compiled, interpreted and by the complete parser alone; what the kernel takes, the parser takes alike."""
    data = "\n".join(texts).encode()
    ends = np.cumsum([len(text.encode()) + 1 for text in texts], dtype=np.int64)
    spans = np.stack([np.concatenate([np.zeros(1, np.int64), ends[:-1]])[: len(ends)], ends - 1], axis=1)
    want = [vector_clocks._parse(text) for text in texts]
    for work in (0, 10**9):
        clocks = read_clocks(data, spans, kernels("json_clocks", work))
        got: list[dict[str, int] | None] = [None if bad else {} for bad in clocks.bad]
        for row, name, value in zip(clocks.row.tolist(), clocks.name.tolist(), clocks.value.tolist(), strict=True):
            entries = got[row]
            assert entries is not None
            entries[clocks.names[name]] = value
        assert got == want
