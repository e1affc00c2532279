"""What docs/predicates.md shows works as it stands there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.test_docs import shell
from tracekit.order.expressions import parse, parse_total

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/predicates.md").read_text()


def commands() -> list[str]:
    return [line for line in PAGE.splitlines() if line.startswith("tracekit ")]


def test_the_page_shows_both_verbs() -> None:
    assert {line.split()[1] for line in commands()} == {"analyze", "show"}


@pytest.mark.parametrize("command", commands())
def test_commands(command: str, tmp_path: Path) -> None:
    (tmp_path / "sample_traces").symlink_to(ROOT / "sample_traces")
    done = shell(command, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert ("POSSIBLE" if "--possibly" in command else "predicate") in done.stdout


def test_python() -> None:
    code = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert code
    done = subprocess.run([sys.executable, "-c", code[1]], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "n1" in done.stdout


def test_the_table_of_the_language_is_the_language() -> None:
    rows = PAGE.split("## The language")[1].split("\n\n")[1].splitlines()[2:]
    shown = [text for row in rows for text in re.findall(r"`([^`]+)`", row.split("|")[1])]
    assert len(shown) >= 8
    for text in shown:
        if text in ("and", "or", "not", "( )"):
            continue
        read = parse_total if text.startswith(("sum", "in_flight")) and not re.search("[=<>]", text) else parse
        assert read(text)
