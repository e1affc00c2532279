"""Many random histories against the definition; the tests run a few thousand, this as many as one likes.

python -m tests.consistency.many --histories 100000 --seed 1
"""

from __future__ import annotations

import argparse
import random
import sys
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tests.consistency.histories import object_history, trace_of
from tests.oracle.linearizability import Op, explains, explains_object, linearizable, linearizable_object
from tests.oracle.objects import OBJECTS
from tracekit.checks.consistency.linearizable import linearizable as check
from tracekit.execution import Execution, Options
from tracekit.results import CheckResult, Verdict


@dataclass(frozen=True)
class Family:
    """A kind of history: its model, operations and values, and what the definition has to know."""

    model: str
    functions: tuple[str, ...]
    values: tuple[Any, ...]
    unique: bool = False
    oracle: dict[str, bool] = field(default_factory=dict)


FAMILIES = (
    Family("register", ("read", "write"), (1, 2, 3)),
    Family("register", ("read", "write"), (1, 2)),
    Family("register", ("read", "write"), (), unique=True),
    Family("cas-register", ("read", "write", "cas"), (1, 2, 3)),
    Family("cas-register:fail=asserts", ("read", "write", "cas"), (1, 2), oracle={"fail_asserts": True}),
    Family("cas-register:nil=any", ("read", "write", "cas"), (1, 2), oracle={"nil_any": True}),
    Family("kv", ("read", "write", "cas", "append", "append"), ("", "a", "ab", "b"), oracle={"kv": True}),
)


def draw(family: Family, rng: random.Random) -> list[Op]:
    """Three to eight operations, more or less crowded, some of them failed, crashed or without invocation."""
    count, span, longest = rng.randint(3, 8), rng.choice((4, 8, 14)), rng.choice((2, 5, 9))
    values = family.values or tuple(range(100, 100 + count))
    ops = []
    for number in range(count):
        f = rng.choice(family.functions)
        start: int | None = rng.randint(0, span)
        assert start is not None
        outcome = rng.choice(("ok", "ok", "ok", "ok", "info", "fail"))
        end = None if outcome == "info" and rng.random() < 0.5 else start + rng.randint(0, longest)
        value = rng.choice((None, *values)) if f == "read" else 100 + number if family.unique else rng.choice(values)
        argument = None if f == "read" else [rng.choice((None, *values)), value] if f == "cas" else value
        lost = end is not None and rng.random() < 0.05
        ops.append(Op(f, argument, value if f == "read" else None, outcome, None if lost else start, end))
    return ops


def wrong_object(ops: list[Op], model: str, found: CheckResult) -> str:
    """As `wrong`, for a model with a step function."""
    start, after = OBJECTS[model]
    if (found.verdict is Verdict.HOLDS) != linearizable_object(ops, start, after) or found.reasons:
        return f"the check says {found.verdict} {found.reasons}"
    if found.verdict is Verdict.HOLDS and found.certificate:
        for entry in found.certificate["keys"]:
            order = [int(event.partition(":")[0][1:]) for event in entry["order"]]
            certain = {i for i, op in enumerate(ops) if op.outcome == "ok"}
            if not explains_object([ops[i] for i in order], start, after) or certain - set(order):
                return f"the certificate {entry['order']} is none"
    return ""


def judged(ops: list[Op], model: str) -> CheckResult | None:
    """What the check says; None where it has nothing to judge."""
    trace = trace_of(ops)
    if not any(op.outcome != "info" and op.end is not None for op in ops):
        return None
    if "value" not in trace and model not in ("mutex", "semaphore:permits=2", "counter"):
        return None
    options = Options(model=model)
    return check(Execution(trace, options), options)


def wrong(ops: list[Op], family: Family, found: CheckResult) -> str:
    """What is wrong with a result; empty where nothing is."""
    if (found.verdict is Verdict.HOLDS) != linearizable(ops, **family.oracle) or found.reasons:
        return f"the check says {found.verdict} {found.reasons}"
    if found.verdict is Verdict.HOLDS and found.certificate:
        for entry in found.certificate["keys"]:
            order = [ops[int(event.partition(":")[0][1:])] for event in entry["order"]]
            if not explains(order, kv=family.oracle.get("kv", False)):
                return f"the certificate {entry['order']} is none"
    return ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--histories", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    verdicts: Counter[str] = Counter()
    while verdicts.total() < arguments.histories:
        family = rng.choice(FAMILIES) if rng.random() < 0.4 else None
        model = family.model if family else rng.choice(list(OBJECTS))
        ops = draw(family, rng) if family else object_history(model, rng)
        found = judged(ops, model)
        if found is None or not any(op.start is not None for op in ops):
            continue
        verdicts[f"{model} {found.verdict}"] += 1
        problem = wrong(ops, family, found) if family else wrong_object(ops, model, found)
        if problem:
            raise SystemExit(f"{model}: {problem}\n" + "\n".join(map(str, ops)))
    lines = [f"{count:8,}  {name}" for name, count in sorted(verdicts.items())]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
