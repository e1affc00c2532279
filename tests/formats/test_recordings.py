"""Recorded systems, read and checked: the verdicts that the corpora's manifest states."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.corpora import corpus
from tracekit.execution import Execution, Options
from tracekit.formats.mapped import read_mapped
from tracekit.formats.shiviz import FORMAT as SHIVIZ
from tracekit.registry import checks
from tracekit.results import Verdict
from tracekit.trace.trace import Trace

MAPPINGS = Path(__file__).parents[2] / "docs/mappings"


def violated(trace: Trace, family: str) -> dict[str, int]:
    """The violated checks of a family, each with how often it is."""
    execution = Execution(trace)
    results = {
        name: check.run(execution, Options())
        for name, check in checks().items()
        if check.family == family and check.applies(execution)
    }
    assert any(result.verdict is not Verdict.UNKNOWN for result in results.values())
    return {name: r.violations_total for name, r in results.items() if r.verdict is Verdict.VIOLATED}


@pytest.mark.parametrize(("name", "want"), [
    ("ok", {}), ("fig8", {"raft.commit-current-term": 40}), ("losevote", {"raft.one-vote-per-term": 2}),
])  # fmt: skip
def test_recordings_of_the_etcd_raft_library(name: str, want: dict[str, int]) -> None:
    (trace,) = read_mapped(corpus(f"raft/etcd-raft-{name}.jsonl.gz"), MAPPINGS / "etcd-raft.toml")
    assert violated(trace, "raft") == want


@pytest.mark.parametrize(("version", "want"), [("0.3.10", {"raft.commit-index-monotonic": 8}), ("0.3.17", {})])
def test_recordings_of_pysyncobj(version: str, want: dict[str, int]) -> None:
    (trace,) = read_mapped(corpus(f"pysyncobj/pysyncobj-{version}.jsonl"), MAPPINGS / "pysyncobj.toml")
    assert violated(trace, "raft") == want


def test_recorded_vector_clocks_hold() -> None:
    for path in sorted(corpus("shiviz").glob("*.log")):
        for trace in SHIVIZ.read(path):
            result = checks()["clock.vector"].run(Execution(trace), Options())
            assert result.verdict is Verdict.HOLDS, (path, result)
