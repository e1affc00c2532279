"""Raft checks on executions of real libraries that nobody here wrote: the verdicts that their manifest states."""

from __future__ import annotations

import pytest

from tests.corpora import corpus
from tests.raft.recordings import etcd, pysyncobj
from tests.raft.test_checks import OWN_EVENTS
from tests.raft.test_oracle import results
from tracekit.results import Verdict

VIOLATED = {"ok": set(), "fig8": {"raft.commit-current-term"}, "losevote": {"raft.one-vote-per-term"}}


@pytest.mark.parametrize("name", VIOLATED)
def test_etcd_library(name: str) -> None:
    found = results(etcd(corpus(f"raft/etcd-raft-{name}.jsonl.gz")))
    assert {n for n, r in found.items() if r.verdict is Verdict.VIOLATED} == VIOLATED[name]
    silent = {n for n, r in found.items() if r.verdict is Verdict.NOT_APPLICABLE}
    assert silent == set(OWN_EVENTS), "their members stay, and they take no snapshots"
    assert {n for n, r in found.items() if r.verdict is not Verdict.HOLDS} == VIOLATED[name] | silent


def test_figure_8_shows_who_stored_the_entry() -> None:
    result = results(etcd(corpus("raft/etcd-raft-fig8.jsonl.gz")))["raft.commit-current-term"]
    first = result.violations[0]
    assert first.facts == {"leader": "5", "term": 10, "index": 12, "entry_term": 4, "stored_on": ["1", "4", "5"]}
    assert "now on 1, 4, 5" in " ".join(event.text for event in first.events)


@pytest.mark.parametrize(("version", "regressions"), [("0.3.10", 8), ("0.3.17", 0)])
def test_pysyncobj(version: str, regressions: int) -> None:
    found = results(pysyncobj(corpus(f"pysyncobj/pysyncobj-{version}.jsonl")))
    assert found["raft.commit-index-monotonic"].violations_total == regressions
    others = {n for n, r in found.items() if r.verdict is Verdict.VIOLATED} - {"raft.commit-index-monotonic"}
    assert not others
    assert "raft.log_from is not recorded" in found["raft.log-matching"].reasons
    holds = ("election-safety", "leader-quorum", "one-vote-per-term", "term-monotonic", "vote-up-to-date")
    assert all(found[f"raft.{name}"].verdict is Verdict.HOLDS for name in holds)
