"""Conditions as disjunctions of conjunctions of local conditions, where they are such."""

from __future__ import annotations

from itertools import combinations
from math import comb

from tracekit.order.conditions import Condition, Local, Never, Number, Pair, Some, Sum, Truth

Conjunction = dict[int, Truth]


def disjuncts(condition: Condition, limit: int) -> list[Conjunction] | None:
    """The condition as a disjunction of conjunctions of local conditions; None where it compares processes with each
    other, adds, or would have more than `limit` disjuncts. Those that no state of some process fulfils are left out."""
    if isinstance(condition, Local):
        return [{condition.process: condition.truth}] if condition.truth.any() else []
    if isinstance(condition, Number):
        return _numbered(condition, limit)
    if isinstance(condition, Pair | Never | Sum):
        return None
    lists = [disjuncts(part, limit) for part in condition.parts]
    if isinstance(condition, Some):
        found = [c for part in lists if part is not None for c in part]
        return found if len(found) <= limit and None not in lists else None
    product: list[Conjunction] = [{}]
    for part in lists:
        if part is None or len(product) * len(part) > limit:
            return None
        product = [both for a in product for b in part if (both := _and(a, b)) is not None]
    return product


def _and(a: Conjunction, b: Conjunction) -> Conjunction | None:
    out = dict(a)
    for p, truth in b.items():
        out[p] = out[p] & truth if p in out else truth
        if not out[p].any():
            return None
    return out


def _numbered(condition: Number, limit: int) -> list[Conjunction] | None:
    """``count(...) >= k`` as: some k processes fulfil it; likewise the other comparisons."""
    n, k = len(condition.parts), condition.number
    least, most = {
        "==": (k, k), ">=": (k, n), ">": (k + 1, n), "<=": (0, k), "<": (0, k - 1), "!=": (0, n),
    }[condition.operator]  # fmt: skip
    if condition.operator == "!=":
        parts = [Number(condition.parts, ">", k), Number(condition.parts, "<", k)]
        lists = [_numbered(part, limit) for part in parts]
        return None if None in lists else [c for part in lists if part is not None for c in part]
    least, most = max(least, 0), min(most, n)
    if least > most:
        return []
    truths = {part.process: part.truth for part in condition.parts}
    may = [p for p, truth in truths.items() if truth.any()]
    may_not = [p for p, truth in truths.items() if not truth.all()]
    if most == n:
        if comb(len(may), least) > limit:
            return None
        return [{p: truths[p] for p in chosen} for chosen in combinations(may, least)]
    if least == 0:
        if comb(len(may_not), n - most) > limit:
            return None
        return [{p: ~truths[p] for p in chosen} for chosen in combinations(may_not, n - most)]
    if comb(len(may), least) > limit:
        return None
    exact = ({p: truths[p] if p in chosen else ~truths[p] for p in truths} for chosen in combinations(may, least))
    return [c for c in exact if all(truth.any() for truth in c.values())]
