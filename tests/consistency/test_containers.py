"""Containers into which no element goes twice, against the definition, against the search, and in words."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.consistency.many import judged, wrong_object
from tests.oracle.linearizability import Op
from tests.oracle.objects import OBJECTS
from tests.strategies import examples

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
