"""Every check of atomic commitment against its brute-force definition, on runs with and without mistakes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.atomic_commit.runs import NAMES, Row, demonstration, play, trace
from tests.oracle import atomic_commit as oracle
from tests.strategies import examples, with_seq
from tracekit.execution import Execution, Options
from tracekit.kernels import engine
from tracekit.registry import checks
from tracekit.results import CheckResult, Verdict
from tracekit.trace.trace import Trace

SEEDS = st.integers(0, 2**32)


NEEDS = {
    "agreement": {"commit.decision"},
    "irrevocable": {"commit.decision"},
    "validity": {"commit.decision", "commit.vote"},
    "pre-commit": {"commit.decision", "commit.committable"},
    "termination": {"commit.decision", "commit.vote"},
}


def results(judged: Trace) -> dict[str, CheckResult]:
    execution = Execution(judged)
    names = [name for name in checks() if name.startswith("atomic-commit.")]
    return {n.partition(".")[2]: checks()[n].run(execution, Options()) for n in names if checks()[n].applies(execution)}


def compare(rows: list[Row]) -> dict[str, CheckResult]:
    """The rows, in a recording in which every process shows that it records everything."""
    rows = [*rows, *demonstration(NAMES)]
    found, run = results(trace(rows)), oracle.Run(rows)
    listed = all(run.participants(t) for t in run.txns)
    told = {field for row in rows for field in row}
    for name, rule in oracle.RULES.items():
        if name not in found:
            continue
        broken = rule(run)
        assert len(found[name].violations) == min(found[name].violations_total, 20)
        if not told >= NEEDS.get(name, {"commit.vote"}):
            assert not found[name].violations_total
        elif name in PASSED_ON:
            evident = rule(oracle.Run(_decided(rows)))
            evident -= {row["commit.txn"] for row in rows if _unrecorded(row, run)} if name == "pre-commit" else set()
            assert len(evident & broken) <= found[name].violations_total <= len(broken), (name, found[name].reasons)
            assert not broken or found[name].verdict is not Verdict.HOLDS, name
        else:
            assert found[name].violations_total == len(broken), (name, broken, found[name].reasons)
            assert broken or not listed or not found[name].reasons, (name, found[name].reasons)
    if "blocking" in found and found["blocking"].facts:
        assert found["blocking"].facts["never ended"] == oracle.never_ended(run)
    return found


PASSED_ON = ("validity", "pre-commit", "commit-when-possible")
"""Rules that are judged where a decision is made: who passes it on may know less than who made it."""


def _decided(rows: list[Row]) -> list[Row]:
    """The rows without decisions made at the receipt of one."""
    passed_on = [row["kind"] == "receive" and row["name"] == "commit.decision" for row in rows]
    return [
        {k: v for k, v in row.items() if k != "commit.decision" or not passed}
        for row, passed in zip(rows, passed_on, strict=True)
    ]


def _unrecorded(row: Row, run: oracle.Run) -> bool:
    """Whether it acknowledges a pre-commit that the process does not record to have made."""
    named = ("commit.pre_commit_ack", "send")
    return (row["name"], row["kind"]) == named and not run.where(
        txn=row["commit.txn"], process=row["process"], committable=True
    )


@examples(200)
@given(SEEDS)
def test_definitions(seed: int) -> None:
    compare(play(seed))


@examples(150)
@given(SEEDS)
def test_the_order_of_concurrent_rows_and_the_names_do_not_matter(seed: int) -> None:
    rows = with_seq(play(seed))
    before = {name: found.violations_total for name, found in results(trace(rows)).items()}
    other = dict(zip(NAMES, ("x", "m", "b"), strict=True))
    change: dict[str, Callable[[Any], Any]] = {
        "process": other.__getitem__,
        "peer": other.__getitem__,
        "commit.participants": lambda names: [other[name] for name in names],
        "commit.txn": {"t1": 9, "t2": -4}.__getitem__,
    }
    renamed = [{k: change[k](v) if k in change else v for k, v in row.items()} for row in rows]
    Random(seed).shuffle(renamed)
    after = {name: found.violations_total for name, found in results(trace(renamed, ("m", "x", "b"))).items()}
    assert before == after


@examples(100)
@given(SEEDS)
def test_a_witness_is_in_causal_order(seed: int) -> None:
    judged = trace(play(seed))
    execution = Execution(judged)
    for result in results(judged).values():
        for violation in result.violations:
            rows = [judged.find(event.event) for event in violation.events]
            assert all(row is not None for row in rows)
            for i, later in enumerate(rows[:-1]):
                assert not any(execution.happens_before.precedes(later, earlier) for earlier in rows[:i])
            for edge in violation.edges:
                assert execution.happens_before.precedes(judged.find(edge.start), judged.find(edge.end))


@examples(30)
@given(SEEDS)
def test_compiled_kernels_say_the_same(seed: int) -> None:
    judged = trace(play(seed))
    interpreted = results(judged)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "COMPILE_FROM", 0)
        assert results(judged) == interpreted


def test_the_runs_break_every_rule_and_keep_every_rule() -> None:
    """The comparison means nothing for a rule that the drawn runs never break."""
    broken: Counter[str] = Counter()
    kept: Counter[str] = Counter()
    for seed in range(400):
        found = results(trace(play(seed)))
        broken.update(name for name, result in found.items() if result.verdict is Verdict.VIOLATED)
        kept.update(name for name, result in found.items() if result.verdict is Verdict.HOLDS)
    assert set(broken) == set(oracle.RULES)
    assert set(kept) == {*oracle.RULES, "blocking"}
    assert min(broken.values()) >= 5, broken
