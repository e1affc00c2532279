"""tracekit convert: joining, target formats, and what every mistake is answered with."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.cli.conftest import Run
from tracekit import Recorder, read_trace


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    with Recorder(tmp_path / "n1.jsonl", "n1") as n1, Recorder(tmp_path / "n2.jsonl", "n2") as n2:
        for _ in range(3):
            n2.extract(n1.inject({}, "request", to="n2"), "request")
            n1.receive(n2.send("answer", to="n1"), "answer")
    with (tmp_path / "n2.jsonl").open("a") as file:
        file.write('{"process":"n2","ki')
    return tmp_path


@pytest.mark.usefixtures("logs")
class TestJoining:
    def test_logs_of_processes_become_one_execution(self, tracekit: Run, logs: Path) -> None:
        done = tracekit("convert", "n1.jsonl", "n2.jsonl", "-o", "run.parquet")
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines() == [
            "run.parquet   12 events of 2 processes, 1 set aside", "next: tracekit analyze run.parquet",
        ]  # fmt: skip
        trace = read_trace(logs / "run.parquet")
        assert {trace.source(row) for row in range(12)} == {
            f"n{k}.jsonl:{line}" for k in (1, 2) for line in range(2, 8)
        }
        done = tracekit("analyze", "run.parquet")
        assert done.returncode == 0, done.stdout
        assert "a torn line" in done.stdout + tracekit("analyze", "run.parquet", "-v").stdout

    def test_the_order_of_logs_does_not_matter_to_the_verdict(self, tracekit: Run) -> None:
        tracekit("convert", "n2.jsonl", "n1.jsonl", "-o", "run.parquet")
        assert tracekit("analyze", "run.parquet").returncode == 0

    def test_each_log_alone_is_a_trace_and_undecided(self, tracekit: Run) -> None:
        done = tracekit("analyze", "n1.jsonl", "n2.jsonl")
        assert done.returncode == 3
        assert done.stdout.count("UNKNOWN       3 required checks") == 2

    @pytest.mark.parametrize("name", ["run.jsonl", "run.csv", "run.shiviz", "run.log", "run.ndjson"])
    def test_there_and_back(self, tracekit: Run, logs: Path, name: str) -> None:
        tracekit("convert", "n1.jsonl", "n2.jsonl", "-o", "run.parquet")
        done = tracekit("convert", "run.parquet", "-o", name)
        assert done.returncode == 0, done.stderr
        assert tracekit("convert", name, "-o", "again.parquet").returncode == 0
        first, again = (pq.read_table(logs / f"{which}.parquet") for which in ("run", "again"))
        if "json" in name:
            assert again.equals(first) and again.schema.metadata == first.schema.metadata
        assert len(again) == len(first)
        assert tracekit("analyze", "again.parquet").returncode == 0

    def test_to_overrides_the_ending(self, tracekit: Run, logs: Path) -> None:
        assert tracekit("convert", "n1.jsonl", "--to", "shiviz", "-o", "run.csv").returncode == 0
        assert (logs / "run.csv").read_text().startswith("send request n1:0 n2\nn1 {")


@pytest.mark.usefixtures("logs")
class TestMistakes:
    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (["n1.jsonl", "-o", "run"], "error[TK304]"),
            (["n1.jsonl", "-o", "run.parquet", "--to", "shivis"], "shiviz"),
            (["n1.jsonl", "n1.jsonl", "-o", "run.parquet"], "error[TK208]"),
            (["n1.jsonl", "none.jsonl", "-o", "run.parquet"], "error[TK101]"),
            (["n1.jsonl", "-o", "no/folder/run.csv"], "error[TK109]"),
            (["n1.jsonl", "-o", "./n1.jsonl"], "error[TK305]"),
            (["n1.jsonl", "--from", "nothing", "-o", "run.parquet"], "error[TK202]"),
            (["-o", "run.parquet"], "IN"),
        ],
    )
    def test_told(self, tracekit: Run, logs: Path, arguments: list[str], words: str) -> None:
        before = (logs / "n1.jsonl").read_bytes()
        done = tracekit("convert", *arguments)
        assert done.returncode == 2
        assert words in done.stderr
        assert "Traceback" not in done.stderr
        assert (logs / "n1.jsonl").read_bytes() == before
        assert not list(logs.glob("run*"))


MAPPING = """
[event]
process = "node"
kind = { column = "what", values = { out = "send", in = "receive" } }
message = "id"
"""


def test_a_mapping(tracekit: Run, tmp_path: Path) -> None:
    rows = ['{"node":"a","what":"out","id":"m1"}', '{"node":"b","what":"in","id":"m1"}']
    (tmp_path / "node.log").write_text("\n".join(rows) + "\n")
    (tmp_path / "node.toml").write_text(MAPPING)
    done = tracekit("convert", "node.log", "--from", "node.toml", "-o", "run.parquet")
    assert done.returncode == 0, done.stderr
    assert tracekit("analyze", "run.parquet").returncode == 0
    assert tracekit("analyze", "node.log", "--from", "node.toml").returncode == 0
    assert tracekit("analyze", "node.log", "--from", "none.toml").returncode == 2
