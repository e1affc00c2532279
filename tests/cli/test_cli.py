"""The command line: exit codes, where output goes, and what every mistake is answered with."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import jsonschema
import pytest
from click.testing import CliRunner

from tests.cli.conftest import Run
from tracekit.cli.explain import command as explain
from tracekit.trace.builder import TraceBuilder
from tracekit.trace.parquet import write_parquet
from tracekit.trace.run import Run as Declared

SCHEMA = json.loads(files("tracekit").joinpath("result.schema.json").read_text())


def make(path: Path, stamps: tuple[int, ...], run: Declared | None = None) -> None:
    builder = TraceBuilder(["a"], run)
    for stamp in stamps:
        builder.add({"process": "a", "kind": "internal", "lamport": stamp, "name": "\x1b[31mred\u202e"})
    write_parquet(builder.build(), path)


@pytest.fixture
def traces(tmp_path: Path) -> Path:
    make(tmp_path / "good.parquet", (1, 2, 3))
    make(tmp_path / "bad.parquet", (1, 3, 2))
    make(tmp_path / "undecided.parquet", (1, 2), Declared(claims=("raft.*",)))
    (tmp_path / "cut.parquet").write_bytes((tmp_path / "good.parquet").read_bytes()[:-9])
    (tmp_path / "text.txt").write_text("what is this?\n")
    (tmp_path / "empty.txt").touch()
    return tmp_path


@pytest.mark.usefixtures("traces")
class TestExitCodes:
    @pytest.mark.parametrize(
        ("arguments", "code"),
        [
            (["good.parquet"], 0),
            (["bad.parquet"], 1),
            (["undecided.parquet"], 3),
            (["cut.parquet"], 2),
            (["text.txt"], 2),
            (["empty.txt"], 2),
            (["none.parquet"], 2),
            (["."], 2),
            (["good.parquet", "--check", "raft.*"], 3),
            (["good.parquet", "--check", "nothing.at-all"], 2),
            (["good.parquet", "--from", "nothing"], 2),
            (["good.parquet", "--budget", "soon"], 2),
            (["good.parquet", "--format", "xml"], 2),
            (["good.parquet", "--wrong"], 2),
            ([], 2),
            (["good.parquet", "bad.parquet"], 1),
            (["good.parquet", "undecided.parquet"], 3),
            (["bad.parquet", "undecided.parquet"], 1),
            (["good.parquet", "cut.parquet", "bad.parquet"], 2),
        ],
    )
    def test_analyze(self, tracekit: Run, arguments: list[str], code: int) -> None:
        done = tracekit("analyze", *arguments)
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stdout + done.stderr
        if code == 2:
            assert "error" in done.stderr.lower()


@pytest.mark.usefixtures("traces")
class TestOutput:
    def test_results_to_stdout_nothing_else_anywhere(self, tracekit: Run) -> None:
        done = tracekit("analyze", "good.parquet")
        assert done.stderr == ""
        lines = done.stdout.splitlines()
        assert lines[0].startswith("good.parquet")
        assert any(line.startswith("HOLDS") for line in lines)
        assert any(line.startswith("RESTS ON") for line in lines)
        assert "exit 0" in lines[-1]

    def test_a_violation_shows_its_events(self, tracekit: Run) -> None:
        out = tracekit("analyze", "bad.parquet").stdout
        assert "VIOLATED      clock.lamport" in out
        assert "a:2" in out
        assert "<- rule broken here" in out
        assert "tracekit explain clock.lamport" in out

    def test_text_of_traces_cannot_drive_the_terminal(self, tracekit: Run) -> None:
        for arguments in (["bad.parquet"], ["bad.parquet", "-v"]):
            out = tracekit("analyze", *arguments).stdout
            assert "\x1b" not in out
            assert "\u202e" not in out
            assert "red" in out

    def test_a_file_name_cannot_fake_a_line(self, tracekit: Run, traces: Path) -> None:
        name = "x\nHOLDS         all checks\u2028.parquet"
        (traces / "bad.parquet").rename(traces / name)
        out = tracekit("analyze", name).stdout
        assert not any(line.startswith("HOLDS") for line in out.splitlines())

    def test_a_hostile_claim_is_shown_and_inert(self, tracekit: Run, traces: Path) -> None:
        make(traces / "claims.parquet", (1, 2), Declared(claims=("clock.*", "\x1b[2Jno\nHOLDS  such check")))
        done = tracekit("analyze", "claims.parquet", "--report", "claims.html")
        assert done.returncode == 3
        assert "\x1b" not in done.stdout and "such check" in done.stdout
        assert not any(line.startswith("HOLDS  such") for line in done.stdout.splitlines())

    @pytest.mark.parametrize("name", ["good", "bad", "undecided"])
    def test_json_is_the_contract(self, tracekit: Run, name: str) -> None:
        done = tracekit("analyze", f"{name}.parquet", "--format", "json")
        out = json.loads(done.stdout)
        jsonschema.validate(out, SCHEMA)
        assert {"holds": 0, "violated": 1, "unknown": 3}[out["verdict"]] == done.returncode
        assert out["command"].startswith("tracekit")

    def test_json_of_several(self, tracekit: Run) -> None:
        done = tracekit("analyze", "good.parquet", "bad.parquet", "cut.parquet", "--format", "json")
        out = json.loads(done.stdout)
        jsonschema.validate(out, SCHEMA)
        assert (out["verdict"], len(out["runs"]), out["errors"][0]["code"]) == ("unreadable", 2, "TK105")

    def test_json_of_one_that_cannot_be_read(self, tracekit: Run) -> None:
        done = tracekit("analyze", "none.parquet", "--format", "json")
        out = json.loads(done.stdout)
        jsonschema.validate(out, SCHEMA)
        assert (out["verdict"], out["runs"], out["errors"][0]["code"]) == ("unreadable", [], "TK101")
        assert "error[TK101]" in done.stderr and done.returncode == 2

    @pytest.mark.parametrize("wrong", ["--model", "--never", "--check", "--expect"])
    def test_a_wrong_argument_is_told_once_whatever_the_traces_hold(self, tracekit: Run, wrong: str) -> None:
        done = tracekit("analyze", "good.parquet", "bad.parquet", wrong, "no such =")
        assert (done.returncode, done.stderr.count("error["), done.stdout) == (2, 1, "")

    def test_report(self, tracekit: Run, traces: Path) -> None:
        done = tracekit("analyze", "bad.parquet", "--report", "out.html")
        assert done.returncode == 1
        assert (traces / "out.html").read_text().lower().startswith("<!doctype html>")
        assert "out.html" in done.stdout.splitlines()[-1]

    def test_a_report_that_cannot_be_written(self, tracekit: Run) -> None:
        done = tracekit("analyze", "good.parquet", "--report", "no/such/folder/out.html")
        assert done.returncode == 2
        assert "error[TK" in done.stderr

    @pytest.mark.parametrize("spelled", ["good.parquet", "./good.parquet"])
    def test_a_report_never_overwrites_the_trace(self, tracekit: Run, traces: Path, spelled: str) -> None:
        before = (traces / "good.parquet").read_bytes()
        done = tracekit("analyze", "bad.parquet", "good.parquet", "--report", spelled)
        assert done.returncode == 2
        assert "error[TK305]" in done.stderr
        assert (traces / "good.parquet").read_bytes() == before

    def test_codes_of_anomalies_are_in_the_contract(self, tracekit: Run) -> None:
        sample = Path(__file__).parents[2] / "sample_traces" / "sessions-causal-cyclicco.parquet"
        out = json.loads(tracekit("analyze", str(sample), "--format", "json").stdout)
        jsonschema.validate(out, SCHEMA)
        assert "CyclicCO" in {v["anomaly"] for c in out["checks"] for v in c["violations"]}

    def test_a_reader_that_went_away_is_no_verdict(self, traces: Path) -> None:
        reader, writer = os.pipe()
        os.close(reader)
        try:
            done = subprocess.run(
                [sys.executable, "-c", "from tracekit.cli.main import main; main()", "analyze", "good.parquet"],
                cwd=traces, env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
                stdout=writer, stderr=subprocess.PIPE, text=True, timeout=120, check=False,
            )  # fmt: skip
        finally:
            os.close(writer)
        assert (done.returncode, done.stderr) == (141, "")


class TestMistakes:
    def test_kinds_in_capitals_are_told(self, tracekit: Run, traces: Path) -> None:
        (traces / "go.jsonl").write_text('{"process": "a", "kind": "Internal"}\n{"process": "a", "kind": "send"}\n')
        done = tracekit("analyze", "go.jsonl")
        assert done.returncode == 3
        assert "1 × the row has no known kind (internal, send, receive" in done.stdout

    def test_a_file_that_is_no_text(self, tracekit: Run, traces: Path) -> None:
        (traces / "blob").write_bytes(bytes(range(128, 256)) * 4)
        done = tracekit("analyze", "blob")
        assert "found: first line: no text, but binary data" in done.stderr.splitlines()[2]

    def test_unknown_command(self, tracekit: Run) -> None:
        done = tracekit("analyse")
        assert done.returncode == 2
        assert "analyze" in done.stderr

    def test_nearest_check(self, tracekit: Run, traces: Path) -> None:
        assert "clock.lamport" in tracekit("analyze", "good.parquet", "--check", "clock.lampot").stderr

    def test_nearest_page(self, tracekit: Run) -> None:
        done = tracekit("explain", "comit-current-term")
        assert done.returncode == 2
        assert "raft.commit-current-term" in done.stderr

    def test_nearby_file(self, tracekit: Run, traces: Path) -> None:
        assert "good.parquet" in tracekit("analyze", "god.parquet").stderr


class TestListsAndPages:
    @pytest.mark.parametrize("what", ["checks", "formats", "protocols", "models"])
    def test_lists(self, tracekit: Run, what: str) -> None:
        entries = json.loads(tracekit("list", what, "--format", "json").stdout)
        assert entries and all(entry["name"] and entry["summary"] for entry in entries)
        text = tracekit("list", what).stdout
        assert all(entry["name"] in text for entry in entries)

    def test_every_mutant_names_the_check_that_catches_it(self, tracekit: Run) -> None:
        known = {entry["name"] for entry in json.loads(tracekit("list", "checks", "--format", "json").stdout)}
        for protocol in json.loads(tracekit("list", "protocols", "--format", "json").stdout):
            assert protocol["claims"]
            for mutant in protocol["mutants"]:
                assert mutant["name"] and mutant["breaks"]
                assert mutant["caught_by"] in known

    def test_every_name_has_a_page(self, tracekit: Run) -> None:
        for name in ("raft.log-matching", "consistency.linearizable", "raft", "jepsen-log", "kv"):
            done = tracekit("explain", name)
            assert done.returncode == 0
            assert done.stdout.startswith(name)
            assert done.stdout.splitlines()[-1].startswith("next: tracekit")

    @pytest.mark.parametrize("what", ["checks", "formats", "protocols", "models"])
    def test_whatever_is_listed_is_explained(self, tracekit: Run, what: str) -> None:
        for entry in json.loads(tracekit("list", what, "--format", "json").stdout):
            done = CliRunner().invoke(explain, [entry["name"]])
            assert done.exit_code == 0, entry["name"]
            assert done.output.startswith(f"{entry['name']}: {entry['summary']}"), entry["name"]
            assert entry.get("values", "") in done.output, entry["name"]

    @pytest.mark.parametrize("command", [[], ["analyze"], ["simulate"], ["convert"], ["list"], ["explain"]])
    def test_help_has_examples(self, tracekit: Run, command: list[str]) -> None:
        done = tracekit(*command, "--help")
        assert done.returncode == 0
        assert "Examples:" in done.stdout

    def test_version(self, tracekit: Run) -> None:
        assert tracekit("--version").stdout.startswith("tracekit")


class TestSimulateAndConvert:
    def test_simulate_then_analyze(self, tracekit: Run, tmp_path: Path) -> None:
        done = tracekit("simulate", "raft", "--nodes", "3", "--seed", "1", "--operations", "60", "-o", "run.parquet")
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[-1] == "next: tracekit analyze run.parquet"
        done = tracekit("analyze", "run.parquet")
        assert done.returncode == 0, done.stdout + done.stderr

    @pytest.mark.parametrize(
        "arguments",
        [
            ["rafft"], ["raft", "--mutant", "vote-twise"], ["raft", "--faults", "earthquake"], ["raft", "--nodes", "0"],
            ["raft", "--network", "fast"], ["raft", "--seed", "-1"],
        ],
    )  # fmt: skip
    def test_wrong_settings(self, tracekit: Run, arguments: list[str], tmp_path: Path) -> None:
        done = tracekit("simulate", *arguments, "-o", "run.parquet")
        assert done.returncode == 2
        assert "error" in done.stderr.lower()
        assert not (tmp_path / "run.parquet").exists()

    def test_output_that_cannot_be_written(self, tracekit: Run) -> None:
        done = tracekit("simulate", "raft", "--operations", "5", "-o", "no/such/folder/run.parquet")
        assert done.returncode == 2
        assert "error[TK109]" in done.stderr

    def test_convert_gives_the_same_verdict(self, tracekit: Run, tmp_path: Path) -> None:
        lines = [
            "INFO  jepsen.util - 0\t:invoke\t:write\t1",
            "INFO  jepsen.util - 0\t:ok\t:write\t1",
            "INFO  jepsen.util - 1\t:invoke\t:read\tnil",
            "INFO  jepsen.util - 1\t:ok\t:read\t2",
        ]
        (tmp_path / "h.log").write_text("\n".join(lines) + "\n")
        assert tracekit("convert", "h.log", "-o", "h.parquet").returncode == 0
        direct = tracekit("analyze", "h.log", "--model", "register")
        converted = tracekit("analyze", "h.parquet", "--model", "register")
        assert (direct.returncode, converted.returncode) == (1, 1)
