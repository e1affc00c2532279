"""fastlin's histories, by the source's own files and by hand-made lines."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from tests.corpora import corpus
from tests.formats.fuzz import damaged, survives
from tracekit.errors import TracekitError
from tracekit.formats.fastlin import FORMAT
from tracekit.trace.schema import Kind
from tracekit.trace.trace import Trace

SAMPLE = b"# priorityqueue\ninsert 2 1 5\npeek 2 1 2\npoll -1 5 7\n\npoll 3 x 4\ninsert 4 5 5\nfly 3 1 2\n"


def read(folder: Path, text: bytes) -> Trace:
    path = folder / "history.log"
    path.write_bytes(text)
    assert FORMAT.can_read(path, text)
    (trace,) = FORMAT.read(path)
    return trace


@pytest.mark.parametrize("name", ["queue", "stack", "priorityqueue"])
def test_every_recorded_history_is_read_whole(name: str) -> None:
    files = sorted(corpus(f"containers/{name}").glob("*.log"))
    assert files
    for path in files:
        lines = path.read_bytes().splitlines()
        assert FORMAT.can_read(path, path.read_bytes())
        (trace,) = FORMAT.read(path)
        assert len(trace) == 2 * (len(lines) - 1) and trace.set_aside.count == 0
        assert trace.run.model == {"priorityqueue": "priority-queue:order=max"}.get(name, name)


def test_operations_become_events(tmp_path: Path) -> None:
    trace = read(tmp_path, SAMPLE)
    place = {"source": "history.log"}
    assert [trace.fields(row) for row in range(6)] == [
        place | {"index": 0, "time": 1, "f": "insert", "value": 2, "line": 2},
        place | {"index": 2, "time": 5, "f": "insert", "value": 2, "line": 2},
        place | {"index": 0, "time": 1, "f": "peek", "line": 3},
        place | {"index": 1, "time": 2, "f": "peek", "value": 2, "line": 3},
        place | {"index": 3, "time": 5, "f": "poll", "line": 4},
        place | {"index": 4, "time": 7, "f": "poll", "line": 4},
    ]
    assert [Kind(code).label for code in trace.kind] == ["invoke", "ok"] * 3
    assert trace.processes == ("op2", "op3", "op4")
    assert [(aside.place, aside.reason) for aside in trace.set_aside.first] == [
        ("history.log:6", "not a line of method, value, start and end"),
        ("history.log:7", "the operation does not end after its start"),
        ("history.log:8", "a method that is not known"),
    ]


def test_an_end_comes_before_a_start_at_the_same_time() -> None:
    """The source calls this history not linearizable: only so because 2 was enqueued before 1."""
    (trace,) = FORMAT.read(corpus("containers/queue/nonlin_simple_0.log"))
    index = trace.get("index")
    assert index is not None
    assert index.values[1] < index.values[2]  # enq 2 ends at 1, enq 1 starts at 1


def test_another_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "readme.md"
    path.write_text("# tracekit\nhello\n")
    assert not FORMAT.can_read(path, path.read_bytes())
    with pytest.raises(TracekitError) as caught:
        FORMAT.read(path)
    assert caught.value.code == "TK201"


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=damaged(SAMPLE, b"# queue\r\nenq 2 0 1\r\n"))
def test_damaged_files_are_survived(tmp_path: Path, data: bytes) -> None:
    survives(FORMAT, tmp_path, data)
