"""Jepsen's log lines, by facts counted in the files, by hand-made lines, and by damaged files."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from tests.corpora import corpus
from tests.formats.fuzz import damaged, survives
from tracekit.errors import TracekitError
from tracekit.formats.jepsen_log import FORMAT
from tracekit.trace.schema import Kind
from tracekit.trace.trace import Trace

SAMPLE = b"""INFO  jepsen.util - 0\t:invoke\t:read\tnil
INFO  jepsen.core - everything set up
INFO  jepsen.util - :nemesis\t:info\t:start\t"Cut off {:n1 #{:n2}}"
INFO  jepsen.util - 0\t:ok\t:read\tnil
INFO  jepsen.util - 1\t:invoke\t:cas\t[0 -3]
INFO  jepsen.util - 1\t:info\t:cas\t:timed-out
INFO  jepsen.util - 2\t:invoke\t:write\t{:a 1
2\t:fail\t:write\t7\t:conflict
"""


def read(folder: Path, text: bytes) -> Trace:
    path = folder / "jepsen.log"
    path.write_bytes(text)
    assert FORMAT.can_read(path, text)
    (trace,) = FORMAT.read(path)
    return trace


def test_every_recorded_log_is_read_whole() -> None:
    kinds: Counter[str] = Counter()
    for path in sorted(corpus("jepsen-log").glob("*.log")):
        assert FORMAT.can_read(path, path.read_bytes()[: 1 << 16])
        (trace,) = FORMAT.read(path)
        assert len(trace) == len(path.read_bytes().splitlines())
        assert trace.set_aside.count == 0
        kinds.update(Kind(code).label for code in trace.kind)
    assert kinds == {"invoke": 2506, "ok": 1595, "fail": 513, "info": 398}


def test_lines_become_events(tmp_path: Path) -> None:
    trace = read(tmp_path, SAMPLE)
    assert [Kind(code).label for code in trace.kind] == ["invoke", "fault", "ok", "invoke", "info", "fail"]
    assert trace.processes == ("0", "1", "2", "nemesis")
    place = {"source": "jepsen.log"}
    assert trace.fields(0) == place | {"index": 0, "line": 1, "f": "read"}
    assert trace.fields(1) == place | {
        "index": 1,
        "line": 3,
        "name": "start",
        "nemesis.value": '"Cut off {:n1 #{:n2}}"',
    }
    assert trace.fields(3) == place | {"index": 3, "line": 5, "f": "cas", "value": "[0,-3]"}
    assert trace.fields(4) == place | {"index": 4, "line": 6, "f": "cas", "error": "timed-out"}
    assert trace.fields(5) == place | {"index": 5, "line": 8, "f": "write", "value": "7", "error": "conflict"}


def test_other_lines_are_set_aside_with_their_place(tmp_path: Path) -> None:
    aside = read(tmp_path, SAMPLE).set_aside
    assert aside.counts == {"not a history line": 1, "the value is not EDN": 1}
    assert [(a.place, a.text[:20]) for a in aside.first] == [
        ("jepsen.log:2", "INFO  jepsen.core - "),
        ("jepsen.log:7", "INFO  jepsen.util - "),
    ]


def test_values_are_numbers_where_all_of_them_are(tmp_path: Path) -> None:
    trace = read(tmp_path, b'0\t:invoke\t:write\t3\n:nemesis\t:info\t:stop\t"healed"\n0\t:ok\t:write\t3\n')
    value = trace.get("value")
    assert value is not None and value.texts is None
    assert [value.at(row) for row in range(3)] == [3, None, 3]


def test_another_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.log"
    path.write_text("hello\nworld\n")
    assert not FORMAT.can_read(path, path.read_bytes())
    with pytest.raises(TracekitError, match="not of the format jepsen-log") as caught:
        FORMAT.read(path)
    assert caught.value.code == "TK201" and caught.value.found == "hello"


@settings(max_examples=200, deadline=2000, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=damaged(SAMPLE, SAMPLE.replace(b"\n", b"\r\n")))
def test_damaged_files_are_survived(tmp_path: Path, data: bytes) -> None:
    survives(FORMAT, tmp_path, data)


@pytest.mark.timeout(60)
def test_long_lines_take_no_quadratic_time(tmp_path: Path) -> None:
    long = b"x jepsen." * 200_000 + b"\n" + b"0\t:ok\t:read\t" + b" " * 2_000_000 + b"\n"
    assert len(read(tmp_path, b"0\t:invoke\t:read\tnil\n" + long)) == 1


def test_values_that_are_not_edn_alone(tmp_path: Path) -> None:
    trace = read(tmp_path, b"0\t:invoke\t:write\t{:a\n")
    assert len(trace) == 0 and trace.set_aside.counts == {"the value is not EDN": 1}


def test_a_file_that_ends_where_a_value_would_begin(tmp_path: Path) -> None:
    whole = read(tmp_path, SAMPLE)
    trace = read(tmp_path, SAMPLE + b"INFO  jepsen.util - 2\t:fail\t:write\t")
    assert len(trace) - len(whole) + trace.set_aside.count - whole.set_aside.count == 1
