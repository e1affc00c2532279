"""Witnesses of violated rules of protocols: a few events in causal order, and what ties each to the ones before it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from tracekit.execution import Execution
from tracekit.results import Edge, Violation
from tracekit.trace.assemble import describe, fits
from tracekit.vocabulary import domain_fields

SHOWN = 20
"""How many violations of a check are told one by one; all are counted."""


def duration(ns: int) -> str:
    """A time as people read it: ``19 ns``, ``4.2 µs``, ``340 ms``, ``1,234 s``."""
    unit, size = next(
        ((u, s) for u, s in (("ns", 1), ("µs", 10**3), ("ms", 10**6)) if abs(ns) < 1000 * s), ("s", 10**9)
    )
    return f"{ns / size:,.0f} {unit}" if abs(ns) >= 1000 * size else f"{ns / size:.4g} {unit}"


def violation(
    execution: Execution,
    anomaly: str,
    summary: str,
    events: Sequence[tuple[int, str]],
    *,
    facts: Mapping[str, Any],
    damage: str = "",
) -> Violation:
    """A violation from the rows of its events, each with its words; the last one is where the rule broke."""
    texts = {int(row): text for row, text in reversed(events)}
    final = int(events[-1][0])
    rows = [r for r in in_causal_order(execution, list(texts)) if r != final or len(texts) == 1]
    rows += [final] if len(texts) > 1 else []
    return Violation(
        anomaly, summary, execution.witness([(row, texts[row]) for row in rows]), edges(execution, rows), facts, damage
    )


def in_causal_order(execution: Execution, rows: Sequence[int]) -> list[int]:
    """Rows in an order that respects happens-before; a global clock or a recorder's order decides among the others."""
    at = np.asarray(rows, np.int64)
    for name in ("index", "true_time_ns"):
        column = execution.trace.get(name)
        if column is not None and bool(column.present[at].all()):
            ordered = at[np.lexsort((at, column.values[at]))]
            later, earlier = np.triu_indices(len(ordered), 1)[::-1]
            if not bool(execution.happens_before.precedes(ordered[later], ordered[earlier]).any()):
                return [int(r) for r in ordered]
    return [int(r) for r in at[np.lexsort((at, execution.happens_before.lamport(at)))]]


def edges(execution: Execution, rows: Sequence[int]) -> tuple[Edge, ...]:
    """Ties each event to the nearest one before it that happens before it."""
    found = []
    for i, row in enumerate(rows):
        for earlier in reversed(rows[:i]):
            if bool(execution.happens_before.precedes(earlier, row)):
                found.append(execution.edge(earlier, row, _reason(execution, earlier, row)))
                break
    return tuple(found)


def _reason(execution: Execution, first: int, second: int) -> str | None:
    """The messages between two events of different processes, where they are few."""
    order = execution.happens_before
    path = order.path(first, second).tolist()
    messages = [order.messages.name(row) for send, row in pairwise(path) if order.messages.send_of[row] == send]
    if len(messages) == 1:
        return f"message {messages[0]}"
    return f"messages {', '.join(messages)}" if 1 < len(messages) <= 3 else None


def recorded(execution: Execution, name: str) -> bool:
    """Whether any row has a value in a domain's column, of the type that the vocabulary gives it."""
    column = execution.trace.columns.get(name)
    return column is not None and bool(column.present.any()) and fits(column, domain_fields()[name].type)


def not_recorded(execution: Execution, *names: str) -> tuple[str, ...]:
    """One reason for each field that no event has, or that has another type than the vocabulary gives it."""
    columns = execution.trace.columns
    reasons = []
    for name in names:
        if not recorded(execution, name):
            column = columns.get(name)
            wrong = column is not None and bool(column.present.any())
            other = (
                f" as {domain_fields()[name].type}, but as {describe(column)}" if wrong and column is not None else ""
            )
            reasons.append(f"{name} is not recorded{other}{'' if wrong else _spelled(name, columns)}")
    return tuple(reasons)


def _spelled(name: str, columns: Iterable[str]) -> str:
    """`` (raft.lastIndex is)`` where a field differs in capitals and underscores only."""
    plain = _plain(name)
    near = [column for column in columns if column != name and _plain(column) == plain]
    return f" ({near[0]} is)" if near else ""


def _plain(name: str) -> str:
    return name.replace("_", "").replace("-", "").lower()


def listed(names: Sequence[str]) -> str:
    """``n1, n2 and n3``."""
    if not names:
        return "nobody"
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def times(count: int, unit: str) -> str:
    """``1 commit``, ``3 commits``."""
    return f"{count} {unit}" + ("" if count == 1 else "s")
