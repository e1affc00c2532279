"""Cuts by their definition: all of them, each tried."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

Counts = tuple[int, ...]


def sizes(rows: Sequence[Mapping[str, Any]], processes: Sequence[str]) -> Counts:
    return tuple(sum(row["process"] == p for row in rows) for p in processes)


def members(rows: Sequence[Mapping[str, Any]], processes: Sequence[str], cut: Counts) -> set[int]:
    """Rows in a cut; `seq` counts each process's events from 0."""
    held = dict(zip(processes, cut, strict=True))
    return {i for i, row in enumerate(rows) if row["seq"] < held[row["process"]]}


def is_consistent(inside: set[int], before: set[tuple[int, int]]) -> bool:
    """Whether a set of events holds all that happens before its members."""
    return all(i in inside for i, j in before if j in inside)


def all_consistent(
    rows: Sequence[Mapping[str, Any]], processes: Sequence[str], before: set[tuple[int, int]]
) -> set[Counts]:
    every = product(*(range(size + 1) for size in sizes(rows, processes)))
    return {cut for cut in every if is_consistent(members(rows, processes, cut), before)}


def below(a: Counts, b: Counts) -> bool:
    return all(x <= y for x, y in zip(a, b, strict=True))
