"""docs/recording.md: its code runs, and every command that it shows does what it says."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.test_docs import ROOT, shell

PAGE = (ROOT / "docs/recording.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The page's folder as a reader has it: the examples, and a log that her other program wrote."""
    for file in (ROOT / "docs/examples").glob("*.py"):
        shutil.copy(file, tmp_path)
    (log,) = blocks("jsonl")
    (tmp_path / "foreign.jsonl").write_text(log)
    return tmp_path


def test_code_and_commands(folder: Path) -> None:
    (code,) = blocks("python")
    subprocess.run([sys.executable, "-c", code], cwd=folder, check=True, timeout=60)
    shell("true", folder)  # makes the folder of commands
    (folder / "bin/python").symlink_to(sys.executable)
    commands = [line for block in blocks("sh") for line in block.splitlines()]
    assert len(commands) == 7
    for command in commands:
        done = shell(command, folder)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"


def test_the_service_survives_a_kill(folder: Path) -> None:
    done = subprocess.run([sys.executable, "run.py"], cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    taken, refused = map(int, re.findall(r"\d+", done.stdout))
    assert taken >= 40 and taken + refused == 60
    assert '"kind":"restart"' in (folder / "stock.jsonl").read_text()
    for name in ("orders", "stock", "customer"):
        assert (folder / f"{name}.jsonl").read_text().endswith('{"tracekit.complete":true}\n')
    (folder / "foreign.jsonl").unlink()
    done = shell("tracekit convert *.jsonl -o all.parquet && tracekit analyze all.parquet --format json", folder)
    result = json.loads(done.stdout[done.stdout.index("\n{") :])
    verdicts = {check["check"]: check["verdict"] for check in result["checks"] if check["required"]}
    assert verdicts == dict.fromkeys(["clock.lamport", "clock.vector", "channel.delivery"], "holds")
    assert result["trace"]["processes"] == ["customer", "orders", "stock"]
