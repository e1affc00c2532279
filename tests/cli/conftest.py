"""Running the command line as a user does: a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def tracekit(tmp_path: Path) -> Run:
    """Runs ``tracekit ARGS`` in an empty folder; gives exit code, stdout and stderr."""

    def run(*arguments: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", "from tracekit.cli.main import main; main()", *arguments],
            cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "COLUMNS": "100"},
            capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    return run
