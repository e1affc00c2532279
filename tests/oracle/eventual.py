"""Convergence by its definitions, event by event. Shares nothing with the checks."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations
from typing import Any

from tests.oracle.causal import Op

Row = dict[str, Any]


def converged(ops: Iterable[tuple[str, Op]]) -> bool | None:
    """Whether all replicas answer alike in the end; None: it was not looked at, at some written key.

    It was looked at if two replicas (or the only one there is) read the key after its last write; if their answers
    differ, they count if they came after the last write of all.

    Operations one after the other, each with its replica, of whose reads at a key the last one counts. Open writes are
    over when they begin; a key that nothing else touches is left out, since nothing may have happened there.
    """
    history = list(ops)
    replicas = {replica for replica, _ in history}
    heard_enough = True
    end = max(i for i, (_, op) in enumerate(history) if op.f == "w")
    sure: list[str] = []
    unsure: list[str] = []
    touched = {op.key for _, op in history if not op.open}
    for key in {op.key for _, op in history if op.f == "w"} & touched:
        last = max(i for i, (_, op) in enumerate(history) if op.f == "w" and op.key == key)
        answers: dict[str, tuple[int, int | None]] = {}
        for i, (replica, op) in enumerate(history):
            if i > last and op.f == "r" and op.key == key:
                answers[replica] = (i, op.value)
        written = {op.value for _, op in history if op.f == "w" and op.key == key}
        answered = any(op.f == "w" and op.key == key and not op.open for _, op in history)
        for values, found in (
            ({v for _, v in answers.values()}, unsure),
            ({v for i, v in answers.values() if i > end}, sure),
        ):
            if len(values) > 1 or not values <= written | {None} or (answered and None in values):
                found.append(key)
        heard_enough &= len(answers) >= min(2, len(replicas))
    return False if sure else True if heard_enough and not unsure else None


def states_converge(rows: Iterable[Row]) -> bool | None:
    """Whether states with equal sets of delivered updates are equal (Shapiro et al., SSS 2011); None: none compared."""
    delivered: dict[str, frozenset[Any]] = {}
    states: list[tuple[frozenset[Any], Any]] = []
    for row in rows:
        have = delivered.get(row["process"], frozenset())
        if row["name"] == "replica.deliver":
            delivered[row["process"]] = have | {row["replica.update"]}
        elif row["name"] == "replica.reset":
            delivered[row["process"]] = frozenset()
        else:
            states.append((have, row["replica.digest"]))
    compared = [one == other for (a, one), (b, other) in combinations(states, 2) if a == b]
    return all(compared) if compared else None
