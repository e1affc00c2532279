"""tracekit show: the whole, one event's surroundings, a possible state, the page."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tracekit.execution import Execution
from tracekit.report.lanes import lanes, neighbourhood
from tracekit.trace.builder import TraceBuilder
from tracekit.trace.parquet import read_parquet, write_parquet

HEALTHY = str(Path(__file__).parents[2] / "sample_traces" / "raft-healthy.parquet")


def test_the_whole_has_a_line_a_process(tracekit: Run) -> None:
    done = tracekit("show", HEALTHY)
    assert done.returncode == 0, done.stderr
    for name in read_parquet(HEALTHY).processes:
        assert sum(line.split()[:1] == [name] for line in done.stdout.splitlines()) == 1
    assert "next: tracekit show" in done.stdout


def test_around_an_event(tracekit: Run) -> None:
    done = tracekit("show", HEALTHY, "--around", "n1:20")
    assert done.returncode == 0, done.stderr
    marked = [line for line in done.stdout.splitlines() if "◆" in line]
    assert marked[0].strip().startswith("n1:20")
    assert "happened before it" in done.stdout


def test_causes_stand_above_their_effects() -> None:
    execution = Execution(read_parquet(HEALTHY))
    order = execution.happens_before
    for row in range(0, len(execution.trace), 7):
        rows = neighbourhood(execution, row).tolist()
        assert row in rows
        for i, above in enumerate(rows):
            assert not any(bool(order.precedes(below, above)) for below in rows[i + 1 :])
        drawn = lanes(execution, rows, row).splitlines()
        assert len(drawn) == len(rows) + 1
        assert sum("◆" in line for line in drawn) == 1


def test_long_names_stay_different_above_their_lanes() -> None:
    for names, heads in (
        (("etcd-node-1", "etcd-node-2"), ["…-node-1", "…-node-2"]),
        (("alphabetical", "n2"), ["alphabe…", "n2"]),
    ):
        builder = TraceBuilder(list(names))
        for name in names:
            builder.add({"process": name, "kind": "internal"})
        assert lanes(Execution(builder.build()), [0, 1]).splitlines()[0].split() == heads


def test_a_possible_state(tracekit: Run) -> None:
    done = tracekit("show", HEALTHY, "--possibly", 'count(raft.role == "leader" and up) >= 1')
    assert done.returncode == 0, done.stderr
    assert "POSSIBLE" in done.stdout
    assert "raft.role leader" in done.stdout
    assert "messages in flight" in done.stdout


def test_an_impossible_state(tracekit: Run) -> None:
    done = tracekit("show", HEALTHY, "--possibly", 'raft.role["n1"] == "king"')
    assert done.returncode == 0
    assert "NEVER" in done.stdout
    assert 'raft.role is never "king" in this run' in done.stdout


def test_one_question_at_a_time(tracekit: Run) -> None:
    done = tracekit("show", HEALTHY, "--around", "n1:3", "--possibly", 'up["n1"]')
    assert done.returncode == 2
    assert "one at a time" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--around", "n9:1"], "TK310"),
        (["--around", "n1:99999999999999999999"], "TK310"),
        (["--around", ""], "TK310"),
        (["--possibly", "raft.rol == 1"], "TK304"),
        (["--possibly", "__import__('os')"], "TK304"),
    ],
)
def test_mistakes(tracekit: Run, arguments: list[str], code: str) -> None:
    done = tracekit("show", HEALTHY, *arguments)
    assert done.returncode == 2
    assert f"error[{code}]" in done.stderr
    assert "Traceback" not in done.stderr


def test_names_from_a_trace_do_not_reach_the_terminal_raw(tracekit: Run, tmp_path: Path) -> None:
    builder = TraceBuilder(["a\x1b[31m", "b\u202e"])
    builder.add({"process": "a\x1b[31m", "kind": "send", "message": "\x1b]0;x\x07", "raft.role": "\x1b[2J"})
    builder.add({"process": "b\u202e", "kind": "receive", "message": "\x1b]0;x\x07"})
    write_parquet(builder.build(), tmp_path / "hostile.parquet")
    for arguments in ([], ["--around", "b\u202e:0"], ["--possibly", 'raft.role["a\x1b[31m"] != "x"']):
        done = tracekit("show", "hostile.parquet", *arguments)
        assert done.returncode == 0, done.stderr
        assert not set("\x1b\x07\u202e") & set(done.stdout)


def test_the_page_opens_in_a_browser(tracekit: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opener = tmp_path / "browser.py"
    opener.write_text(f"#!{sys.executable}\nimport sys\nopen({str(tmp_path / 'opened')!r}, 'w').write(sys.argv[1])\n")
    opener.chmod(0o755)
    monkeypatch.setenv("BROWSER", f"{opener} %s")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    done = tracekit("show", HEALTHY, "--browser")
    assert done.returncode == 0, done.stderr
    page = Path((tmp_path / "opened").read_text().removeprefix("file://"))
    assert page.read_text().startswith("<!")
    assert str(page) in done.stdout
