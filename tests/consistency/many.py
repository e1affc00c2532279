"""Many random histories against the definition; the tests run a few thousand, this as many as one likes.

python -m tests.consistency.many --histories 100000 --seed 1

Fifty histories are judged together, as the keys of one trace; ``--together 1`` judges them one by one, with cores.
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
    if found.verdict is Verdict.HOLDS and "keys" in (found.certificate or {}):
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
    if "value" not in trace and model not in ("mutex", "semaphore:permits=2"):
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


def wrong_together(histories: list[list[Op]], model: str, definition: Family | None) -> tuple[str, int]:
    """What is wrong where each history is one key of a trace, empty where nothing is; and how many keys hold."""
    holds = [_explained(ops, model, definition) for ops in histories]
    found = _judged_keys(histories, model)
    broken = {k for k, answer in enumerate(holds) if not answer}
    said = set(found.facts.get("violated_keys", ()))
    if said != broken or found.reasons:
        return f"the check says {said} of keys {broken}, {found.reasons}", 0
    kept = [ops for ops, answer in zip(histories, holds, strict=True) if answer]
    if not any(op.outcome != "info" and op.end is not None for ops in kept for op in ops):
        return "", len(kept)
    found = _judged_keys(kept, model)
    if found.verdict is not Verdict.HOLDS:
        return f"the check says {found.verdict} {found.reasons} of those that hold", 0
    for entry in found.certificate["keys"] if found.certificate and "keys" in found.certificate else ():
        ops, order = _places(kept, entry)
        legal = explains_object(order, *OBJECTS[model]) if definition is None else _explains(order, definition)
        if not legal or not all(any(op is one for one in order) for op in ops if _certain(op, definition)):
            return f"the certificate {entry['order']} is none", 0
    return "", len(kept)


def _explained(ops: list[Op], model: str, definition: Family | None) -> bool:
    return linearizable(ops, **definition.oracle) if definition else linearizable_object(ops, *OBJECTS[model])


def _explains(order: list[Op], definition: Family) -> bool:
    return explains(order, kv=definition.oracle.get("kv", False))


def _certain(op: Op, definition: Family | None) -> bool:
    """Whether a linearization has to have it."""
    free = definition is not None and definition.oracle.get("nil_any") and op.f == "read" and op.answer is None
    return op.outcome == "ok" and not free


def _places(histories: list[list[Op]], entry: dict[str, Any]) -> tuple[list[Op], list[Op]]:
    """The operations of a certificate's key, and their order in it."""
    flat = [op for ops in histories for op in ops]
    return histories[entry["key"]], [flat[int(event.partition(":")[0][1:])] for event in entry["order"]]


def _judged_keys(histories: list[list[Op]], model: str) -> CheckResult:
    flat = [op for ops in histories for op in ops]
    keys = [key for key, ops in enumerate(histories) for _ in ops]
    options = Options(model=model)
    # The simulator's clock: the smallest skews that would excuse violations have a comparison of their own.
    return check(Execution(trace_of(flat, keys, clock="true_time_ns"), options), options)


def drawn(model: str, rng: random.Random) -> tuple[list[Op], Family | None]:
    """A history of a model that the check has something to say of; for an assignment's model, its family as well."""
    families = [family for family in FAMILIES if family.model == model]
    while True:
        family = rng.choice(families) if families else None
        ops = draw(family, rng) if family else object_history(model, rng)
        if any(op.start is not None for op in ops):
            return ops, family


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--histories", type=int, default=100_000, help="of each model")
    parser.add_argument("--model", action="append", help="one of them; may be repeated")
    parser.add_argument("--together", type=int, default=50, help="histories in one trace, as its keys; 1: one by one")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    known = [*dict.fromkeys(family.model for family in FAMILIES), *OBJECTS]
    for model in arguments.model or known:
        rng = random.Random(f"{arguments.seed} {model}")
        verdicts: Counter[str] = Counter()
        while verdicts.total() < arguments.histories:
            problem, several = (_one if arguments.together == 1 else _several)(model, rng, arguments.together, verdicts)
            if problem:
                raise SystemExit(f"{model}: {problem}\n" + "\n".join(map(str, several)))
        told = "".join(f"{count:9,} {name}" for name, count in sorted(verdicts.items()))
        sys.stdout.write(f"{model:<28}{told}, all as the definition says\n")
        sys.stdout.flush()


def _one(model: str, rng: random.Random, _: int, verdicts: Counter[str]) -> tuple[str, list[Op]]:
    ops, family = drawn(model, rng)
    found = judged(ops, model)
    if found is None:
        return "", ops
    verdicts[str(found.verdict)] += 1
    return (wrong(ops, family, found) if family else wrong_object(ops, model, found)), ops


def _several(model: str, rng: random.Random, count: int, verdicts: Counter[str]) -> tuple[str, list[list[Op]]]:
    ops, family = drawn(model, rng)
    histories = [ops] + [draw(family, rng) if family else object_history(model, rng) for _ in range(count - 1)]
    problem, held = wrong_together(histories, model, family)
    verdicts["holds"] += held
    verdicts["violated"] += count - held
    return problem, histories


if __name__ == "__main__":
    main()
