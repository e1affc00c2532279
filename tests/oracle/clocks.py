"""Logical clocks by their definitions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def lamport_condition_breaks(clock: list[int | None], before: set[tuple[int, int]]) -> list[tuple[int, int]]:
    """Pairs a -> b whose timestamps do not grow (Lamport 1978, the Clock Condition)."""
    out = []
    for a, b in before:
        first, second = clock[a], clock[b]
        if first is not None and second is not None and first >= second:
            out.append((a, b))
    return out


def vectors(rows: list[Mapping[str, Any]], before: set[tuple[int, int]], processes: tuple[str, ...]) -> list[list[int]]:
    """Mattern's vectors: for each event and process, how many of its events happen before the event or are it."""
    out = []
    for j in range(len(rows)):
        past = [i for i in range(len(rows)) if (i, j) in before] + [j]
        out.append([sum(rows[i]["process"] == p for i in past) for p in processes])
    return out
