"""Where recorded executions that nobody here wrote may lie: beside the checkout, never inside it."""

from __future__ import annotations

from pathlib import Path

import pytest

CORPORA = Path(__file__).parents[1] / "../shared/corpora"


def corpus(relative: str) -> Path:
    """The path of one recording; skips the test, with the reason, where the folder is absent."""
    path = CORPORA / relative
    if not CORPORA.is_dir():
        pytest.skip(f"the recorded executions are not here: {CORPORA} is absent")
    assert path.exists(), f"the corpora have no {relative}"
    return path


def manifest() -> list[dict[str, str]]:
    """The entries of the corpora's manifest; empty where the folder is absent."""
    import tomllib

    path = CORPORA / "MANIFEST.toml"
    if not path.is_file():
        return []
    entries: list[dict[str, str]] = tomllib.loads(path.read_text())["file"]
    return entries
