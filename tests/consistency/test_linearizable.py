"""consistency.linearizable against its definition, on small random histories; interpreted and compiled."""

from __future__ import annotations

from typing import Any

from hypothesis import given

from tests.consistency.histories import histories, trace_of
from tests.oracle.linearizability import Op, explains, linearizable
from tests.strategies import examples
from tracekit.analysis import analyze
from tracekit.checks.consistency import search
from tracekit.checks.consistency.cells import cells_of, without_unobserved
from tracekit.execution import Budget, Options
from tracekit.history.models import actions_of, choose
from tracekit.history.operations import operations_of
from tracekit.results import CheckResult, Verdict
from tracekit.trace.trace import Trace

MANY = examples(600)


def judge(trace: Trace, model: str | None = None, **options: Any) -> CheckResult:
    result = analyze(trace, check=["consistency.linearizable"], options=Options(model=model, **options))
    [found] = [c for c in result.checks if c.check == "consistency.linearizable"]
    return found


def verdict_of(holds: bool) -> Verdict:
    return Verdict.HOLDS if holds else Verdict.VIOLATED


def relevant(ops: list[Op]) -> bool:
    """Whether the check can decide: without an invocation it does not apply, without any value it knows nothing, and
    where nobody was answered it judges nothing."""
    answered = any(op.outcome != "info" and op.end is not None for op in ops)
    return answered and any(op.start is not None for op in ops) and "value" in trace_of(ops)


def compare(ops: list[Op], model: str, **oracle: Any) -> None:
    if not relevant(ops):
        return
    found = judge(trace_of(ops), model)
    assert found.verdict == verdict_of(linearizable(ops, **oracle)), (found.reasons, found.violations)
    if found.verdict is Verdict.HOLDS and found.certificate:
        certified(ops, found, **oracle)


def certified(ops: list[Op], found: CheckResult, **oracle: Any) -> None:
    """The certificate is legal, keeps real time, and has everything that certainly happened."""
    [entry] = found.certificate["keys"]
    order = [int(event.partition(":")[0][1:]) for event in entry["order"]]
    assert len(set(order)) == len(order)
    assert explains([ops[i] for i in order], kv=oracle.get("kv", False))
    for i, op in enumerate(ops):
        nil = oracle.get("nil_any") and op.f == "read" and op.answer is None
        assert i in order or op.outcome != "ok" or nil


@MANY
@given(histories(unique=True, most=7))
def test_registers_of_unique_values(ops: list[Op]) -> None:
    compare(ops, "register")


@MANY
@given(histories(most=7))
def test_registers_of_repeated_values(ops: list[Op]) -> None:
    compare(ops, "register")


@MANY
@given(histories(("read", "write", "cas", "cas"), values=(1, 2)))
def test_compare_and_set(ops: list[Op]) -> None:
    compare(ops, "cas-register")


@MANY
@given(histories(("read", "write", "cas", "cas"), values=(1, 2)))
def test_a_failed_cas_may_assert_that_the_value_differed(ops: list[Op]) -> None:
    compare(ops, "cas-register:fail=asserts", fail_asserts=True)


@MANY
@given(histories(("read", "write", "cas"), values=(1, 2)))
def test_a_read_of_nil_may_constrain_nothing(ops: list[Op]) -> None:
    compare(ops, "cas-register:nil=any", nil_any=True)


@MANY
@given(histories(("read", "write", "cas", "append", "append"), values=("", "a", "ab", "b"), lost=False))
def test_key_value_with_append(ops: list[Op]) -> None:
    compare(ops, "kv", kv=True)


@MANY
@given(histories(("read", "write"), values=("", "a"), unique=False))
def test_an_absent_key_reads_as_null_or_as_empty(ops: list[Op]) -> None:
    compare(ops, "kv", kv=True)


@examples(200)
@given(histories(("read", "write", "cas", "append"), values=("a", "ab", "b"), most=7))
def test_the_compiled_search_says_the_same(ops: list[Op]) -> None:
    operations = operations_of(trace_of(ops))
    cells = without_unobserved(cells_of(operations, actions_of(operations, choose(operations, "kv", None))))
    interpreted = search.decide(cells, Budget(60))
    compiled = search.decide(cells, Budget(60), scale=10**9)
    assert interpreted == compiled or vars(interpreted) == vars(compiled)


@examples(200)
@given(histories(("read", "write", "cas"), values=(1, 2, 3), most=8))
def test_configurations_are_bounded_by_what_is_open_at_once(ops: list[Op]) -> None:
    """One value, k operations open at once: 2^k frontiers, and at each the value of one of k last writes, or none."""
    operations = operations_of(trace_of(ops))
    cells = cells_of(operations, actions_of(operations, choose(operations, "cas-register", None)))
    searched = search.decide(cells, Budget(60))
    assert searched.peak <= 2**searched.widest * (searched.widest + 1)
