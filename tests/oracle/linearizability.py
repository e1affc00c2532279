"""Linearizability by its definition: try every order that respects real time. Shares nothing with the check.

Herlihy & Wing 1990: a history is linearizable if it can be extended by answers to some open operations, the other open
ones left out, so that the result is equivalent to a legal sequential history that keeps the order of operations of
which one ended before the other began.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from tests.oracle.objects import After

REFUSED = object()


@dataclass(frozen=True)
class Op:
    """One call on one object. Values are plain Python values; None is nil.

    start: None where the invocation is missing (before everything); end: None where the operation stays open.
    outcome: ok, fail or info. argument: what was invoked; for cas a pair. answer: what a read returned.
    """

    f: str
    argument: Any = None
    answer: Any = None
    outcome: str = "ok"
    start: int | None = 0
    end: int | None = 0


def apply(state: Any, op: Op, *, kv: bool) -> Any:
    """The state after a completed operation, or REFUSED where the sequential object would have answered otherwise."""
    if op.f == "read":
        return state if op.answer == state or (kv and state is None and op.answer == "") else REFUSED
    if op.f == "write":
        return op.argument
    if op.f == "cas":
        old, new = op.argument
        return new if state == old or (kv and state is None and old == "") else REFUSED
    if op.f == "append":
        return (state or "") + op.argument if state is None or isinstance(state, str) else REFUSED
    raise AssertionError(op.f)


def precedes(first: Op, second: Op) -> bool:
    """Whether one operation had ended strictly before the other began."""
    if first.outcome == "info" or first.end is None or second.start is None:
        return False
    return first.end < second.start


Precede = Callable[[Op, Op], bool]


def linearizable(ops: Iterable[Op], *, kv: bool = False, nil_any: bool = False, fail_asserts: bool = False) -> bool:
    """Whether the operations on one object, whose initial value is None, are linearizable. Factorial."""
    steps: list[tuple[Op, bool, Callable[[Any], Any]]] = []
    for op in ops:
        if op.outcome == "fail":
            if op.f == "cas" and fail_asserts:
                steps.append((op, True, lambda state, op=op: REFUSED if state == op.argument[0] else state))
        elif op.f == "read":
            if op.outcome == "ok" and not (nil_any and op.answer is None):
                steps.append((op, True, lambda state, op=op: apply(state, op, kv=kv)))
        else:
            certain = op.outcome == "ok"
            steps.append(
                (
                    op if certain else Op(op.f, op.argument, None, "info", op.start, None),
                    certain,
                    lambda state, op=op: apply(state, op, kv=kv),
                )
            )

    def extend(state: Any, left: frozenset[int]) -> bool:
        if not any(steps[i][1] for i in left):
            return True
        for i in left:
            if any(precedes(steps[j][0], steps[i][0]) for j in left):
                continue
            after = steps[i][2](state)
            if after is not REFUSED and extend(after, left - {i}):
                return True
        return False

    return extend(None, frozenset(range(len(steps))))


def linearizable_object(ops: Iterable[Op], start: Any, after: After, precede: Precede = precedes) -> bool:
    """As `linearizable`, for any object (`tests.oracle.objects`). An operation with ``info`` may have any answer."""
    steps = [op for op in ops if op.outcome != "fail"]

    def extend(state: Any, left: frozenset[int]) -> bool:
        if not any(steps[i].outcome == "ok" for i in left):
            return True
        for i in left:
            if any(precede(steps[j], steps[i]) for j in left):
                continue
            op = steps[i]
            answers = None if op.outcome == "info" else [op.answer]
            if any(extend(s, left - {i}) for s in after(state, op.f, op.argument, answers)):
                return True
        return False

    return extend(start, frozenset(range(len(steps))))


def explains_object(order: Iterable[Op], start: Any, after: After) -> bool:
    """As `explains`, for any object."""
    sequence = list(order)
    states = [start]
    for place, op in enumerate(sequence):
        if any(precedes(later, op) for later in sequence[place + 1 :]):
            return False
        answers = None if op.outcome == "info" else [op.answer]
        states = [s for state in states for s in after(state, op.f, op.argument, answers)]
    return bool(states)


def explains(order: Iterable[Op], *, kv: bool = False) -> bool:
    """Whether a sequence of operations on one object is legal and keeps real-time order: a certificate's test."""
    state: Any = None
    sequence = list(order)
    for place, op in enumerate(sequence):
        if any(precedes(later, op) for later in sequence[place + 1 :]):
            return False
        if op.f == "cas" and op.outcome == "fail":
            state = REFUSED if state == op.argument[0] else state
        else:
            state = apply(state, op, kv=kv)
        if state is REFUSED:
            return False
    return True
