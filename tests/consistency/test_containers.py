"""Containers into which no element goes twice, against the definition, against the search, and in words."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.consistency.histories import trace_of
from tests.consistency.many import judged, wrong_object
from tests.corpora import corpus, manifest
from tests.oracle.linearizability import Op
from tests.oracle.objects import OBJECTS
from tests.strategies import examples
from tracekit.analysis import analyze
from tracekit.checks.consistency import containers, search
from tracekit.checks.consistency.cells import cells_of, of_keys
from tracekit.execution import Budget, Execution
from tracekit.history.models import actions_of
from tracekit.history.models.choice import parse_model
from tracekit.reading import read_traces

CALLS = {"queue": ("enqueue", "dequeue"), "stack": ("push", "pop"), "priority-queue": ("insert", "poll")}
MODELS = ("queue", "stack", "priority-queue", "priority-queue:order=max", "set")


def unique_history(model: str, rng: random.Random, most: int = 8, crashes: bool = True, peeks: bool = True) -> list[Op]:
    """Calls that happened in some order at some moments, each stretched over a while; then some things are changed.

    Answers are those of the model, or, so that orders are wrong in many ways, of another kind of container.
    """
    like = model if model == "set" else rng.choice((model, model, *CALLS))
    state, after = OBJECTS[like]
    count, span = rng.randint(2, most), rng.choice((5, 10, 20))
    moments = sorted(rng.randint(0, span) for _ in range(count))
    fresh = rng.sample(range(1, count + 1), count)
    added: set[int] = set()
    removed: set[int] = set()
    ops: list[Op] = []
    for moment in moments:
        f, argument = _call(model, rng, fresh, added, removed, peeks)
        done = CALLS[like.partition(":")[0]][0] if model != "set" and argument is not None else f
        answers = [a for a in (None, True, False, *range(1, count + 1)) if after(state, done, argument, [a])]
        answer: Any = rng.choice(answers) if f in ("contains", "dequeue", "pop", "poll", "peek") else None
        state = after(state, done, argument, [answer])[0]
        wide = rng.choice((0, 1, 3, 6))
        outcome = "info" if crashes and rng.random() < 0.12 else "ok"
        ops.append(Op(f, argument, answer, outcome, moment - rng.randint(0, wide), moment + rng.randint(0, wide)))
    return _changed(ops, rng)


def _call(
    model: str, rng: random.Random, fresh: list[int], added: set[int], removed: set[int], peeks: bool
) -> tuple[str, Any]:
    if model == "set":
        f = rng.choice(("add", "remove", "contains", "contains"))
        used = added if f == "add" else removed if f == "remove" else set()
        value = rng.choice(fresh[:3])
        if value in used:
            return "contains", value
        used.add(value)
        return f, value
    put, take = CALLS[model.partition(":")[0]]
    f = rng.choice((put, put, take, take, "peek") if peeks else (put, put, take, take))
    return f, fresh.pop() if f == put else None


def _changed(ops: list[Op], rng: random.Random) -> list[Op]:
    """None, one or two answers swapped or intervals cut, moved."""
    ops = list(ops)
    for _ in range(rng.choice((0, 0, 1, 1, 2))):
        i, j = rng.randrange(len(ops)), rng.randrange(len(ops))
        a, b = ops[i], ops[j]
        assert a.start is not None and a.end is not None
        if (
            rng.random() < 0.5
            and a.f in ("dequeue", "pop", "poll", "peek")
            and b.answer != a.answer
            and b.argument is None
        ):
            ops[i] = Op(a.f, None, b.answer, a.outcome, a.start, a.end)
            ops[j] = Op(b.f, None, a.answer, b.outcome, b.start, b.end)
        elif a.f == "contains" and rng.random() < 0.5:
            ops[i] = Op(a.f, a.argument, not a.answer, a.outcome, a.start, a.end)
        else:
            by = rng.randint(-4, 4)
            ops[i] = Op(
                a.f, a.argument, a.answer, a.outcome, a.start + by, max(a.start, a.end - rng.randint(0, 3)) + by
            )
    return ops


def check(ops: list[Op], model: str) -> str:
    """What is wrong with the verdict or its certificate; empty where nothing is."""
    found = judged(ops, model)
    return wrong_object(ops, model, found) if found is not None else ""


@pytest.mark.parametrize("model", MODELS)
@examples(300)
@given(seed=st.integers(0, 2**40))
def test_verdict_and_certificate_are_those_of_the_definition(model: str, seed: int) -> None:
    ops = unique_history(model, random.Random(seed))
    assert not check(ops, model), ops


def both(ops: list[Op], model: str, keys: list[int]) -> tuple[Any, Any]:
    """The cells of a history and the model chosen for it."""
    execution = Execution(trace_of(ops, keys))
    choice = parse_model(model)
    return cells_of(execution.operations, actions_of(execution.operations, choice), choice.model), choice


@pytest.mark.parametrize("model", MODELS)
def test_many_keys_at_once_compiled_or_not_agree_with_the_search(model: str) -> None:
    rng = random.Random(5)
    several = [unique_history(model, rng, most=12, peeks=model != "stack") for _ in range(60)]
    keys = [k for k, ops in enumerate(several) for _ in ops]
    cells, choice = both([op for ops in several for op in ops], model, keys)
    chosen = containers.decidable(cells, choice)
    assert chosen.sum() > 40
    cells = of_keys(cells, chosen)
    interpreted, compiled = (containers.decide(cells, choice, scale) for scale in (1, 10**6))
    assert (interpreted.broken, interpreted.left) == (compiled.broken, compiled.left)
    searched = search.decide(cells, Budget(60))
    left = set(np.flatnonzero(chosen)) - interpreted.left
    assert not searched.undecided and len(interpreted.left) < 20
    assert set(interpreted.broken) == set(searched.stuck) & left and interpreted.broken


@pytest.mark.parametrize(
    "entry", [e for e in manifest() if e["path"].startswith("containers/")], ids=lambda e: e["path"]
)
def test_recorded_containers(entry: dict[str, Any]) -> None:
    [trace] = read_traces(corpus(entry["path"]))
    result = analyze(Execution(trace), check=["consistency.linearizable"])
    assert str(result.verdict) == entry["expected"]


def op(f: str, value: int | None, start: int, end: int) -> Op:
    put = f in ("enqueue", "push", "insert")
    return Op(f, value if put else None, None if put else value, "ok", start, end)


TOLD = [
    ("queue", [op("dequeue", 1, 0, 1)], "never-inserted", 1),
    ("queue", [op("dequeue", 1, 0, 1), op("enqueue", 1, 2, 3)], "removed-before-inserted", 2),
    ("queue", [op("enqueue", 1, 0, 1), op("dequeue", 1, 2, 3), op("dequeue", 1, 4, 5)], "removed-twice", 3),
    ("queue", [op("enqueue", 1, 0, 1), op("enqueue", 2, 2, 3), op("dequeue", 2, 4, 5)], "out-of-order", 3),
    ("queue", [op("enqueue", 1, 0, 1), op("dequeue", None, 2, 3)], "empty-while-occupied", 2),
    (
        "stack",
        [op("push", 1, 0, 1), op("push", 2, 2, 3), op("pop", 1, 4, 5), op("pop", 2, 6, 7)],
        "out-of-order",
        4,
    ),
    ("priority-queue", [op("insert", 1, 0, 1), op("insert", 2, 0, 1), op("poll", 2, 2, 3)], "priority-inversion", 3),
]


@pytest.mark.parametrize(("model", "ops", "anomaly", "size"), TOLD, ids=lambda value: str(value)[:40])
def test_each_mistake_has_its_name_and_few_events(model: str, ops: list[Op], anomaly: str, size: int) -> None:
    found = judged(ops, model)
    assert found is not None
    [violation] = found.violations
    assert violation.anomaly == anomaly and len(violation.events) == size, violation
    names = [e.event for e in violation.events]
    assert all(names.index(e.start) < names.index(e.end) for e in violation.edges)


def test_three_elements_of_a_queue_may_be_in_each_others_way_where_somebody_peeks() -> None:
    ops = [
        op("enqueue", 3, 0, 0), op("enqueue", 1, 1, 2), op("enqueue", 2, 0, 5),
        op("dequeue", 1, 1, 8), op("peek", 2, 1, 5), op("dequeue", 2, 9, 12), op("dequeue", 3, 6, 20),
    ]  # fmt: skip
    found = judged(ops, "queue")
    assert found is not None and not wrong_object(ops, "queue", found)
    [violation] = found.violations
    assert violation.anomaly == "out-of-order" and len(violation.facts["elements"]) == 3


def test_a_removal_without_answer_may_have_taken_what_is_missing() -> None:
    ops = [op("enqueue", 1, 0, 1), Op("dequeue", None, None, "info", 2, None), op("dequeue", None, 4, 5)]
    found = judged(ops, "queue")
    assert found is not None and str(found.verdict) == "holds" and found.method.startswith("search")
