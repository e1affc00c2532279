"""The sample traces are what their manifest says: made again they are the same, and every verdict stands."""

from __future__ import annotations

import importlib.util
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tracekit.analysis import analyze
from tracekit.registry import checks
from tracekit.trace.parquet import read_parquet, to_table

FOLDER = Path(__file__).parents[1] / "sample_traces"
MANIFEST: list[dict[str, Any]] = tomllib.loads((FOLDER / "MANIFEST.toml").read_text())["sample"]


def samples() -> dict[str, Any]:
    spec = importlib.util.spec_from_file_location("samples", FOLDER / "generate.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["samples"] = module
    spec.loader.exec_module(module)
    return {f"{sample.name}.parquet": sample for sample in module.SAMPLES}


SAMPLES = samples()


def test_the_manifest_names_every_file() -> None:
    named = {entry["path"] for entry in MANIFEST}
    assert named == {path.name for path in FOLDER.glob("*.parquet")} == set(SAMPLES)


@pytest.mark.parametrize("entry", MANIFEST, ids=lambda e: e["path"])
def test_a_sample(entry: dict[str, Any]) -> None:
    trace = read_parquet(FOLDER / entry["path"])
    again = SAMPLES[entry["path"]].make()
    assert to_table(again).equals(to_table(trace), check_metadata=True), (
        "python sample_traces/generate.py makes it anew"
    )
    result = analyze(trace)
    assert (str(result.verdict), result.exit_code, len(trace)) == (
        entry["verdict"],
        entry["exit_code"],
        entry["events"],
    )
    assert {c.check: str(c.verdict) for c in result.required} == entry["required"]
    if "shows" in entry:
        name, _, anomaly = entry["shows"].partition(": ")
        found = next(c for c in result.required if c.check == name)
        assert anomaly in {v.anomaly for v in found.violations}
        assert result.exit_code == 1


@pytest.mark.parametrize("entry", MANIFEST, ids=lambda e: e["path"])
def test_a_sample_is_small_enough_to_read(entry: dict[str, Any]) -> None:
    assert entry["events"] <= 1500


def test_every_check_is_violated_by_some_sample_or_is_never_required() -> None:
    shown = {entry["shows"].partition(":")[0] for entry in MANIFEST if "shows" in entry}
    missing = {name for name, check in checks().items() if not check.measured and check.asked is None} - shown
    assert not missing
    rungs = {name for name in checks() if name.partition(".")[0] in ("consistency", "session")}
    assert not rungs - shown, "stores claim them, and --expect requires them"
