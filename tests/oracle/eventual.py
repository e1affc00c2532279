"""Convergence by its definitions, event by event. Shares nothing with the checks."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations
from typing import Any

Row = dict[str, Any]


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
