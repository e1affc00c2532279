"""Recorded executions that nobody here wrote: every verdict and fact that the corpora's manifest states."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.corpora import corpus, manifest
from tracekit.analysis import analyze
from tracekit.execution import Execution, Options
from tracekit.formats.mapped import read_mapped
from tracekit.reading import read_traces
from tracekit.results import Result, Verdict
from tracekit.trace.trace import Trace

ROOT = Path(__file__).parents[1]
MODELS = {
    "cas-register (initial value absent, read as nil)": "cas-register",
    "cas-register (a read of nil constrains nothing)": "cas-register:nil=any",
    'kv with append (initial value "")': "kv",
    "queue": "queue",
    "stack": "stack",
    "priorityqueue": "priority-queue:order=max",
}
MAPPINGS = {
    "raft/etcd-raft-": "docs/mappings/etcd-raft.toml",
    "pysyncobj/": "docs/mappings/pysyncobj.toml",
    "lock/": "docs/mappings/lock-server.toml",
    "etcd-run/history.jsonl": "docs/mappings/etcd-history.toml",
}
NO_READER_YET = ("spans/", "isolation/", "etcd-run/n")
ENTRIES = [e for e in manifest() if not e["path"].startswith(NO_READER_YET)]


def read(entry: dict[str, Any]) -> list[Trace]:
    path = corpus(entry["path"])
    mapping = next((m for prefix, m in MAPPINGS.items() if entry["path"].startswith(prefix)), None)
    return read_mapped(path, ROOT / mapping) if mapping else read_traces(path)


def judge(entry: dict[str, Any], trace: Trace, *checks: str) -> Result:
    return analyze(Execution(trace, Options(model=MODELS.get(entry.get("model", "")))), check=checks)


def test_the_recordings_are_here() -> None:
    corpus("MANIFEST.toml")
    assert len(ENTRIES) > 100


def ids(entry: dict[str, Any]) -> str:
    return str(entry["path"])


@pytest.mark.parametrize("entry", ENTRIES, ids=ids)
def test_every_file_is_read(entry: dict[str, Any]) -> None:
    traces = read(entry)
    assert traces
    assert all(len(trace) > 0 for trace in traces)


@pytest.mark.parametrize("entry", [e for e in ENTRIES if "events" in e], ids=ids)
def test_stated_facts(entry: dict[str, Any]) -> None:
    (trace,) = read(entry)
    assert (len(trace), len(trace.processes)) == (entry["events"], entry["processes"])
    if "message_edges" in entry:
        assert len(Execution(trace).happens_before.edges().sources) == entry["message_edges"]


CONSISTENCY = [e for e in ENTRIES if e.get("model") in MODELS]


@pytest.mark.parametrize("entry", CONSISTENCY, ids=ids)
def test_linearizability(entry: dict[str, Any]) -> None:
    (trace,) = read(entry)
    assert str(judge(entry, trace, "consistency.linearizable").verdict) == entry["expected"]


@pytest.mark.parametrize("entry", [e for e in ENTRIES if e.get("check") == "clock.vector"], ids=ids)
def test_clocks(entry: dict[str, Any]) -> None:
    for trace in read(entry):
        assert str(judge(entry, trace, "clock.vector").verdict) == entry["expected"]


def verdicts(result: Result) -> dict[str, Verdict]:
    return {c.check: c.verdict for c in result.checks}


def violated(result: Result) -> set[str]:
    return {check for check, verdict in verdicts(result).items() if verdict is Verdict.VIOLATED}


@pytest.mark.parametrize(
    ("name", "expected"),
    [("ok", set()), ("fig8", {"raft.commit-current-term"}), ("losevote", {"raft.one-vote-per-term"})],
)
def test_the_etcd_raft_library(name: str, expected: set[str]) -> None:
    entry = {"path": f"raft/etcd-raft-{name}.jsonl.gz"}
    (trace,) = read(entry)
    result = judge(entry, trace, "raft.*")
    assert violated(result) == expected
    assert all(v in (Verdict.HOLDS, Verdict.VIOLATED) for c, v in verdicts(result).items() if c.startswith("raft."))


def test_the_trace_of_the_etcd_raft_library_raises_no_false_alarm() -> None:
    entry = {"path": "raft/etcd_example.ndjson"}
    (trace,) = read(entry)
    result = judge(entry, trace, "raft.*")
    assert not violated(result)
    unknown = {c.check: c.reasons for c in result.required if c.verdict is Verdict.UNKNOWN}
    members = {"raft.configuration-change", "raft.configuration-in-use"}  # what is changed, is not recorded
    assert set(unknown) == {"raft.log-matching", "raft.state-machine-safety"} | members
    assert all("not recorded" in reasons[0] for reasons in unknown.values())


@pytest.mark.parametrize("entry", [e for e in ENTRIES if e.get("check") == "lock.mutual-exclusion"], ids=ids)
def test_locks(entry: dict[str, Any]) -> None:
    (trace,) = read(entry)
    result = judge(entry, trace, "lock.*")
    expected = entry["expected"].partition(" ")[0]
    assert str(verdicts(result)["lock.mutual-exclusion"]) == expected
    # Of the three errors put into the log, one grants a held lock and one frees it for somebody else; the third only
    # refuses a lock that is free.
    told = {c.check: c.violations[0].events[-1].source for c in result.required if c.violations}
    name = entry["path"].rpartition("/")[2]
    wrong = {"lock.mutual-exclusion": f"{name}:1876", "lock.owner-release": f"{name}:16954"}
    assert told == (wrong if expected == "violated" else {})


@pytest.mark.parametrize(("version", "regressions"), [("0.3.10", 8), ("0.3.17", 0)])
def test_pysyncobj(version: str, regressions: int) -> None:
    entry = {"path": f"pysyncobj/pysyncobj-{version}.jsonl"}
    (trace,) = read(entry)
    result = judge(entry, trace, "raft.commit-index-monotonic")
    (found,) = result.required
    assert found.violations_total == regressions
    assert violated(result) == ({"raft.commit-index-monotonic"} if regressions else set())


def test_the_clients_of_a_real_etcd() -> None:
    entry = {"path": "etcd-run/history.jsonl"}
    (trace,) = read(entry)
    execution = Execution(trace)
    result = analyze(execution, check=["consistency.linearizable"])
    (found,) = result.required
    assert not found.violations_total
    told = " ".join([*found.reasons, *found.rests_on, str(dict(found.facts)), found.remark])
    assert "548" in told, "completions without an invocation are reported, not hidden"
