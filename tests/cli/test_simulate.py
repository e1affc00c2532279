"""tracekit simulate: one run, many runs, and arguments that make none."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from tracekit.analysis import analyze
from tracekit.cli.main import tracekit_command
from tracekit.errors import TracekitError
from tracekit.trace.parquet import read_parquet


def run(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(tracekit_command, ["simulate", *words], standalone_mode=False)
    if done.exception:
        raise done.exception
    return done.return_value, done.output


def test_one_run(tmp_path: Path) -> None:
    path = str(tmp_path / "x.parquet")
    code, output = run("raft", "--nodes", "3", "--operations", "20", "-o", path)
    assert code == 0
    assert f"next: tracekit analyze {path}" in output
    assert read_parquet(Path(path)).run.n == 3


def test_many_runs_stop_at_the_first_violation_with_the_command_that_makes_it_again(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    code, output = run("raft", "--mutant", "vote-twice", "--operations", "100", "--runs", "30", "-o", str(path))
    assert code == 1
    assert "violated: raft.one-vote-per-term" in output
    again = next(line.removeprefix("again: ") for line in output.splitlines() if line.startswith("again: "))
    trace = read_parquet(path)
    assert analyze(trace).exit_code == 1
    assert f"--seed {trace.run.seed}" in again
    replayed = tmp_path / "y.parquet"
    run(*again.replace(str(path), str(replayed)).split()[2:])
    assert read_parquet(replayed).digest == trace.digest


def test_many_runs_that_hold(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    code, output = run("raft", "--nodes", "3", "--seed", "5", "--operations", "20", "--runs", "3", "-o", str(path))
    assert code == 0
    assert "3 of 3 runs" in output
    assert "every one holds" in output
    assert read_parquet(path).run.seed == 7, "the last one is written"


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["rafft"], "TK401"),
        (["raft", "--nodes", "3", "--mutant", "nothing", "-o", "x.parquet"], "TK404"),
        (["raft", "--faults", "crahs", "-o", "x.parquet"], "TK403"),
        (["raft", "--faults", "nowhere.toml", "-o", "x.parquet"], "TK406"),
        (["abd", "--nodes", "1", "-o", "x.parquet"], "TK401"),
        (["abd", "-o", "x.csv"], "TK411"),
        (["abd", "-o", "no/such/folder/x.parquet"], "TK109"),
    ],
)
def test_what_cannot_be_run(words: list[str], code: str) -> None:
    with pytest.raises(TracekitError) as caught:
        run(*words)
    assert caught.value.code == code
