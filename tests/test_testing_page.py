"""docs/testing.md: every command that it shows works, here with numbers that take seconds."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.test_docs import ROOT

COMMANDS = re.findall(r"^    ((?:pytest|python) .*)$", (ROOT / "docs/testing.md").read_text(), re.MULTILINE)
SMALLER = {
    "--examples 100000": "--examples 3",
    "--histories 100000": "--histories 30",
    "--seeds 300": "--seeds 2 --operations 30",
    "pytest tests/order tests/checks tests/snapshot -n 2": "pytest tests/order/test_cuts.py -n 0",
    "sweep all": "sweep lai-yang",
    "matrix > docs/mutants.md": "matrix lai-yang --seeds 2 --operations 100 > mutants.md",
}


def test_the_page_shows_commands() -> None:
    assert len(COMMANDS) >= 6
    page = " ".join(COMMANDS)
    assert all(words in page for words in SMALLER), "what is made smaller here stands on the page"


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command(command: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    for words, fewer in SMALLER.items():
        command = command.replace(words, fewer)
    command = re.sub(r"^pytest", "python -m pytest", command).replace(
        "> mutants.md", f"> {tmp_path_factory.mktemp('page')}/mutants.md"
    )
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(["bash", "-c", command], cwd=ROOT, env=env, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
