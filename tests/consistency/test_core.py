"""The cores of violations: they break under relaxing, and no operation of them can be spared; by the definition."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest

from tests.consistency.histories import OBJECT_CALLS, object_history, trace_of
from tests.consistency.many import FAMILIES, draw, judged
from tests.oracle.linearizability import Op, apply, linearizable, linearizable_object, precedes
from tests.oracle.objects import OBJECTS
from tracekit.checks.consistency import search
from tracekit.checks.consistency.cells import cells_of
from tracekit.checks.consistency.core import core_of
from tracekit.execution import Budget
from tracekit.history.models import actions_of, parse_model
from tracekit.history.operations import operations_of
from tracekit.results import Verdict

OBSERVERS = ("read", "peek", "contains")


def loosened(ops: list[Op], core: set[int], since: int = -1) -> list[Op]:
    """Operations outside of the core may take effect at any time or never, with any answer."""
    out = []
    for i, op in enumerate(ops):
        if op.outcome == "fail":
            continue
        if i in core:
            out.append(op)
        elif op.f not in OBSERVERS:
            out.append(replace(op, answer=None, outcome="info", start=None, end=None))
    return out


def cut_off(ops: list[Op], doomed: Op) -> list[Op]:
    """The history up to the moment at which it broke: what began later is not there, what ended later is open."""
    assert doomed.end is not None
    return [
        replace(op, outcome="fail")
        if op.start is not None and op.start > doomed.end
        else replace(op, outcome="info", end=None)
        if op is not doomed and op.outcome == "ok" and op.end is not None and op.end > doomed.end
        else op
        for op in ops
    ]


def judge_core(ops: list[Op], model: str, holds: Any) -> bool:
    """Whether there was a core to judge."""
    found = judged(ops, model)
    if found is None or found.verdict is not Verdict.VIOLATED or "core" not in found.violations[0].facts:
        return False
    facts = found.violations[0].facts
    assert facts["minimal"] and facts["completed_before"] == 0
    core = {int(event.partition(":")[0][1:]) for event in facts["core"]}
    doomed = ops[int(facts["doomed_at"].partition(":")[0][1:])]
    until = cut_off(ops, doomed)
    same_moment = [i for i in core if until[i].outcome == "ok" and until[i].end == doomed.end and ops[i] is not doomed]
    if same_moment:  # which of several completions of one moment came first is not seen from outside
        return False
    assert not holds(loosened(until, core))
    for spared in core:
        assert holds(loosened(until, core - {spared})), (spared, core)
    return True


@pytest.mark.parametrize("model", OBJECT_CALLS)
def test_cores_of_objects_are_minimal(model: str) -> None:
    rng, seen = random.Random(7), 0
    start, after = OBJECTS[model]
    for _ in range(150):
        ops = object_history(model, rng, most=6)
        seen += judge_core(ops, model, lambda ops: linearizable_object(ops, start, after))
    assert seen > 5  # containers of values that go in once are judged by another method, which has its own


@pytest.mark.parametrize("family", [f for f in FAMILIES if not f.unique and "asserts" not in f.model], ids=str)
def test_cores_of_cells_are_minimal(family: Any) -> None:
    rng, seen = random.Random(8), 0
    for _ in range(150):
        ops = [op for op in draw(family, rng) if op.start is not None]
        seen += bool(ops) and judge_core(ops, family.model, lambda ops: linearizable(ops, **family.oracle))
    assert seen > 10


def reachable(states: set[Any], ops: list[Op], certain: set[int]) -> set[Any]:
    """Every state after some of the operations in an order that keeps real time, all certain ones among them."""
    found: set[Any] = set()

    def extend(state: Any, left: frozenset[int]) -> None:
        if not left & certain:
            found.add(state)
        for i in left:
            if not any(precedes(ops[j], ops[i]) for j in left):
                for after in [apply(state, ops[i], kv=False)]:
                    if isinstance(after, int) or after is None:
                        extend(after, left - {i})

    for state in states:
        extend(state, frozenset(range(len(ops))))
    return found


def test_states_before_a_cut_are_all_that_are_possible_and_break() -> None:
    rng, seen, cuts = random.Random(9), 0, 0
    for _ in range(600):
        ops = [op for op in draw(FAMILIES[3], rng) if op.start is not None and op.outcome != "fail"]
        ops = [op for op in ops if op.f != "read" or op.outcome == "ok"]
        ops = [op if op.outcome == "ok" else replace(op, end=None) for op in ops]
        if not ops or not any(op.outcome == "ok" for op in ops):
            continue
        cells = cells_of(
            operations_of(trace_of(ops)), actions_of(operations_of(trace_of(ops)), parse_model("cas-register"))
        )
        of = [int(trace_of(ops).processes[p][1:]) for p in operations_of(trace_of(ops)).process]
        searched = search.decide(cells, Budget(60))
        for stuck in searched.stuck.values():
            core = core_of(cells, stuck, Budget(60), 1, nearest=2)
            assert core is not None and core.minimal
            seen += 1
            cuts += core.completed > 0
            text = cells.actions.values.text
            states = {None if s == 0 else int(text(s)) for s in core.states}
            place = {int(e): of[int(cells.actions.operation[e])] for e in range(len(cells.key))}
            kept = [ops[place[e]] for e in core.entries]
            doomed = kept[-1]
            assert doomed.end is not None and doomed.start is not None
            moment, began = doomed.end, doomed.start
            loose = [replace(ops[place[e]], outcome="info", start=None, end=None) for e in core.relaxed]
            loose = [op for op in loose if op.f != "read"]
            kept = [
                op if op.end is not None and op.end <= moment else replace(op, outcome="info", end=None) for op in kept
            ]
            together = kept + loose
            certain = {i for i, op in enumerate(together) if op.outcome == "ok"}
            assert not reachable(states, together, certain)
            others = [place[e] for e in place if e not in {*core.entries, *core.relaxed}]
            before = [i for i in others if ops[i].end is not None and (ops[i].start or 0) <= moment]
            prefix = [ops[i] for i in before]
            assert len(prefix) >= core.completed
            if all((op.end or 0) < began for op in prefix) and not loose:
                assert reachable({None}, prefix, set(range(len(prefix)))) <= states
    assert seen > 200 and cuts > 20


def test_the_moment_at_which_a_register_broke_is_the_earliest() -> None:
    rng, seen = random.Random(10), 0
    for _ in range(400):
        ops = [op for op in draw(FAMILIES[2], rng) if op.start is not None]
        found = judged(ops, "register") if ops else None
        if found is None or found.verdict is not Verdict.VIOLATED:
            continue
        moments = [ops[int(v.facts["doomed_at"].partition(":")[0][1:])].end for v in found.violations]
        first = min(moment for moment in moments if moment is not None)
        for moment in sorted({op.end for op in ops if op.end is not None}):
            until = [
                replace(op, outcome="info", end=None)
                if op.outcome == "ok" and op.end is not None and op.end > moment
                else op
                for op in ops
                if op.start is not None and op.start <= moment
            ]
            assert linearizable(until) == (moment < first), (ops, moment, first)
        seen += 1
    assert seen > 100
