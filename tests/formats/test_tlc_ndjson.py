"""Messages with vector clocks in JSON Lines: a recorded run, hand-made lines, damaged files."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from tests.corpora import corpus
from tests.formats.fuzz import damaged, survives
from tracekit.errors import TracekitError
from tracekit.formats.tlc_ndjson import FORMAT
from tracekit.trace.schema import Kind
from tracekit.trace.trace import Trace

SAMPLE = b"""{"N":3}
{"event":"<","node":1,"pkt":{"snd":0,"rcv":1,"msg":{"type":"tok","q":-1,"color":"white"},"vc":{"0":1,"1":1}}}
{"event":">","node":0,"pkt":{"snd":0,"rcv":1,"msg":{"type":"tok","q":-1},"vc":{"0":1}}}
{"event":"d","node":1,"pkt":{"vc":{"0":1,"1":2}}}
"""


def read(folder: Path, text: bytes) -> Trace:
    path = folder / "trace.ndjson"
    path.write_bytes(text)
    assert FORMAT.can_read(path, text)
    (trace,) = FORMAT.read(path)
    return trace


def test_the_recorded_run_is_read_whole() -> None:
    path = corpus("shiviz/ewd998-tlc.ndjson")
    assert FORMAT.can_read(path, path.read_bytes()[: 1 << 16])
    (trace,) = FORMAT.read(path)
    assert trace.set_aside.count == 0 and trace.run.n == 5
    assert Counter(Kind(code).label for code in trace.kind) == {"receive": 356, "send": 228, "internal": 70}
    assert np.bincount(trace.process).tolist() == [109, 150, 110, 125, 160]
    own = [trace.fields(row)["vclock"][trace.process[row]] for row in range(len(trace))]
    assert np.array_equal(own, trace.seq + 1)


def test_lines_become_events(tmp_path: Path) -> None:
    trace = read(tmp_path, SAMPLE)
    place = {"source": "trace.ndjson"}
    assert [(trace.event(row), trace.fields(row)) for row in range(3)] == [
        ("1:0", place | {"vclock": [1, 1], "name": "tok", "peer": "0", "line": 2, "msg.q": -1, "msg.color": "white"}),
        ("0:0", place | {"vclock": [1], "name": "tok", "peer": "1", "line": 3, "msg.q": -1}),
        ("1:1", place | {"vclock": [1, 2], "name": "d", "line": 4}),
    ]
    assert trace.processes == ("0", "1", "2")


def test_bad_lines_are_set_aside(tmp_path: Path) -> None:
    bad = (
        b'{\n[1]\n{"event":"x"}\n{"event":"x","node":1,"pkt":{"vc":{"1":-1}}}\n{"event":"x","node":1,"pkt":{"vc":{}}}\n'
    )
    trace = read(tmp_path, SAMPLE + bad)
    assert [(aside.place, aside.reason) for aside in trace.set_aside.first] == [
        ("trace.ndjson:5", "not JSON"), ("trace.ndjson:6", "not an object"),
        ("trace.ndjson:7", "an event, a node or a packet is missing"),
        ("trace.ndjson:8", "the vector clock is no object of whole numbers"),
        ("trace.ndjson:9", "the clock does not name its own node"),
    ]  # fmt: skip


def test_another_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.ndjson"
    path.write_text('{"a": 1}\n')
    assert not FORMAT.can_read(path, path.read_bytes())
    with pytest.raises(TracekitError) as caught:
        FORMAT.read(path)
    assert caught.value.code == "TK201"


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=damaged(SAMPLE))
def test_damaged_files_are_survived(tmp_path: Path, data: bytes) -> None:
    survives(FORMAT, tmp_path, data)
