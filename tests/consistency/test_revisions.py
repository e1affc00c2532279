"""The store's own order of changes: as a hint it changes no verdict, asserted it is part of the definition."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import Any

import pytest

from tests.consistency.histories import text
from tests.consistency.test_skew import register
from tests.oracle.linearizability import Op, explains_object, linearizable_object, precedes
from tracekit.checks.consistency.linearizable import linearizable as check
from tracekit.execution import Execution, Options
from tracekit.results import CheckResult, Verdict
from tracekit.trace.builder import TraceBuilder


@dataclass(frozen=True)
class Numbered(Op):
    """An operation, and the revision that it was answered with."""

    revision: int | None = None


def in_order(first: Op, second: Op) -> bool:
    """Real time, and revisions: changes by theirs, everything else behind the last change that it saw."""
    if precedes(first, second):
        return True
    a, b = getattr(first, "revision", None), getattr(second, "revision", None)
    if a is None or b is None or first is second:
        return False
    return a < b or (a == b and first.f != "read" and second.f == "read")


def history(rng: random.Random) -> list[Numbered]:
    """Operations that happened one after the other, stretched; then some answers, moments or revisions are changed."""
    state, revision = None, 0
    ops: list[Numbered] = []
    for moment in sorted(rng.randint(0, 15) for _ in range(rng.randint(2, 6))):
        f, value = rng.choice(("read", "write", "write", "cas")), rng.choice((1, 2, 3))
        argument: Any = None if f == "read" else [state or 1, value] if f == "cas" else value
        happened = f == "write" or (f == "cas" and state == argument[0])
        if f == "cas" and not happened:
            continue
        revision += happened
        outcome = "ok" if rng.random() < 0.85 else "info"
        known = revision if outcome == "ok" and revision and rng.random() < 0.97 else None
        start, end = moment - rng.randint(0, 1), moment + rng.randint(0, 2)
        state = value if happened else state
        answer = state if f == "read" else None
        ops.append(Numbered(f, argument, answer, outcome, start, end, known))
    for _ in range(rng.choice((0, 1, 2, 3))):
        if ops:
            i = rng.randrange(len(ops))
            ops[i] = _changed(ops[i], rng)
    return ops


def _changed(op: Numbered, rng: random.Random) -> Numbered:
    assert op.start is not None and op.end is not None
    what = rng.randrange(3)
    if what == 0 and op.f == "read":
        return replace(op, answer=rng.choice((None, 1, 2, 3)))
    if what == 1 and op.revision is not None:
        return replace(op, revision=max(1, op.revision + rng.choice((-1, 1))))
    by = rng.randint(-6, 6)
    return replace(op, start=op.start + by, end=op.end + by)


def judge(ops: list[Numbered], model: str) -> CheckResult:
    rows: list[tuple[int, int, dict[str, Any]]] = []
    for number, op in enumerate(ops):
        row: dict[str, Any] = {"process": f"c{number}", "f": op.f, "key": "k"}
        assert op.start is not None and op.end is not None
        rows.append((op.start, 0, row | {"kind": "invoke", "value": text(op.argument), "true_time_ns": op.start}))
        answer = text(op.answer if op.f == "read" else op.argument) if op.outcome == "ok" else None
        told = {"kind": op.outcome, "value": answer, "true_time_ns": op.end, "history.revision": op.revision}
        rows.append((op.end, 1, row | told))
    builder = TraceBuilder()
    for _, _, row in sorted(rows, key=lambda entry: entry[:2]):
        builder.add(row)
    options = Options(model=model)
    return check(Execution(builder.build(), options), options)


def wanted(ops: list[Numbered]) -> bool:
    answered = [op for op in ops if op.outcome == "ok"]
    return bool(answered) and any(op.argument is not None for op in ops) | any(bool(op.answer) for op in answered)


def test_a_hint_changes_no_verdict_and_its_certificates_are_orders() -> None:
    rng, seen, used, against = random.Random(3), {Verdict.HOLDS: 0, Verdict.VIOLATED: 0}, 0, 0
    for _ in range(1000):
        ops = history(rng)
        if not wanted(ops):
            continue
        found = judge(ops, "cas-register")
        expected = linearizable_object(ops, None, register)
        assert (found.verdict is Verdict.HOLDS) == expected and not found.reasons, (ops, found)
        seen[found.verdict] += 1
        used += found.facts["keys_by_revisions"]
        against += "against_revisions" in found.facts
        if found.verdict is Verdict.HOLDS and found.certificate:
            [entry] = found.certificate["keys"]
            order = [ops[int(event.partition(":")[0][1:])] for event in entry["order"]]
            assert explains_object(order, None, register)
    assert min(seen.values()) > 100 and used > 200 and against > 50


def test_asserted_it_is_part_of_the_definition() -> None:
    rng, seen, left = random.Random(4), {Verdict.HOLDS: 0, Verdict.VIOLATED: 0, Verdict.UNKNOWN: 0}, 0
    for _ in range(1000):
        ops = history(rng)
        if not wanted(ops):
            continue
        found = judge(ops, "cas-register:revision=asserts")
        seen[found.verdict] += 1
        left += found.verdict is Verdict.UNKNOWN
        if found.verdict is not Verdict.UNKNOWN:
            expected = linearizable_object(ops, None, register, in_order)
            assert (found.verdict is Verdict.HOLDS) == expected, (ops, found)
    assert seen[Verdict.HOLDS] > 100 and seen[Verdict.VIOLATED] > 100 and left < 500, seen


def test_what_contradicts_the_revisions_is_named() -> None:
    ops = [
        Numbered("write", 1, None, "ok", 0, 1, 2),
        Numbered("write", 2, None, "ok", 2, 3, 1),
        Numbered("read", None, 2, "ok", 4, 5, 2),
    ]
    asserted = judge(ops, "register:revision=asserts")
    [violation] = asserted.violations
    assert violation.anomaly == "against-revisions"
    hinted = judge(ops, "register")
    assert hinted.verdict is Verdict.HOLDS


@pytest.mark.parametrize("model", ["register:revision=asserts", "cas-register:revision=asserts"])
def test_without_revisions_nothing_is_asserted(model: str) -> None:
    found = judge([Numbered("write", 1, None, "ok", 0, 1), Numbered("read", None, 1, "ok", 2, 3)], model)
    assert found.verdict is Verdict.UNKNOWN
