"""What docs/order.md shows works as it stands there."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

import tracekit
from tests.test_docs import ROOT

BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "docs/order.md").read_text(), re.DOTALL)


@pytest.mark.parametrize("code", BLOCKS, ids=["happens-before", "cuts"])
def test_python(code: str) -> None:
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) >= 8
    assert max(map(len, done.stdout.splitlines())) < 400, "what is printed is for people"


def test_the_modules_are_part_of_the_interface() -> None:
    assert tracekit.cuts.Cut and tracekit.predicates.possibly
