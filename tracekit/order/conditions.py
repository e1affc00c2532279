"""Expressions bound to an execution: which local states fulfil what.

State k of a process is the one after its first k events, from 0 (before any) to their number.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb
from operator import eq, ge, gt, le, lt, ne
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracekit.errors import nearest
from tracekit.order.expressions import Combination, Comparison, Count, Expression, FieldOf, Literal, mistake
from tracekit.order.happens_before import HappensBefore
from tracekit.trace.columns import Column
from tracekit.trace.schema import NEMESIS

Truth = NDArray[np.bool_]
Counts = Sequence[int]
OPERATORS: dict[str, Callable[[Any, Any], Any]] = {"==": eq, "!=": ne, "<": lt, "<=": le, ">": gt, ">=": ge}
NEGATED = {"==": "!=", "!=": "==", "<": ">=", "<=": ">", ">": "<=", ">=": "<"}


@dataclass(frozen=True, eq=False)
class Local:
    """A condition on one process: its truth in each of the process's states."""

    process: int
    truth: Truth

    def holds(self, counts: Counts) -> bool:
        return bool(self.truth[counts[self.process]])


@dataclass(frozen=True, eq=False)
class Number:
    """How many of some processes fulfil a condition, compared with a number."""

    parts: tuple[Local, ...]
    operator: str
    number: int

    def holds(self, counts: Counts) -> bool:
        return bool(OPERATORS[self.operator](sum(part.holds(counts) for part in self.parts), self.number))


@dataclass(frozen=True, eq=False)
class Pair:
    """A comparison between fields of two processes, as `_related` has it."""

    first: int
    second: int
    left: States
    right: States
    operator: str

    def holds(self, counts: Counts) -> bool:
        return bool(_related(self.left.at(counts[self.first]), self.right.at(counts[self.second]), self.operator)[0])


@dataclass(frozen=True, eq=False)
class All:
    """Every part holds."""

    parts: tuple[Condition, ...]

    def holds(self, counts: Counts) -> bool:
        return all(part.holds(counts) for part in self.parts)


@dataclass(frozen=True, eq=False)
class Some:
    """Some part holds."""

    parts: tuple[Condition, ...]

    def holds(self, counts: Counts) -> bool:
        return any(part.holds(counts) for part in self.parts)


@dataclass(frozen=True, eq=False)
class Never:
    """The part, a `Pair` whose negation is no comparison, does not hold."""

    part: Pair

    def holds(self, counts: Counts) -> bool:
        return not self.part.holds(counts)


Condition = Local | Number | Pair | All | Some | Never


@dataclass(frozen=True, eq=False)
class States:
    """A field in every state of a process: its latest value, and whether it has one."""

    values: NDArray[Any]
    known: Truth

    def at(self, state: int) -> States:
        """One state."""
        return States(self.values[state : state + 1], self.known[state : state + 1])


class Binder:
    """From expressions to conditions on one execution. Raises TK304 for names and types that the trace lacks."""

    def __init__(self, order: HappensBefore, text: str) -> None:
        self.order = order
        self.trace = order.trace
        self.text = text

    def condition(self, expression: Expression) -> Condition:
        """The expression as a condition on global states, negations pushed inward."""
        return self._bound(expression, negated=False)

    def _bound(self, expression: Expression, negated: bool) -> Condition:
        if isinstance(expression, Combination):
            if expression.operator == "not":
                return self._bound(expression.parts[0], not negated)
            parts = tuple(self._bound(part, negated) for part in expression.parts)
            return _combined(parts, every=(expression.operator == "and") != negated)
        if isinstance(expression.left, Count):
            assert isinstance(expression.right, Literal) and isinstance(expression.right.value, int), "as parsed"
            operator = NEGATED[expression.operator] if negated else expression.operator
            return Number(self._counted(expression.left), operator, expression.right.value)
        assert isinstance(expression.left, FieldOf), "as parsed"
        first = self._process(expression.left)
        if isinstance(expression.right, Literal):
            truth = self._against_literal(expression, first)
            return Local(first, ~truth if negated else truth)
        second = self._process(expression.right)
        left, right = self._both(expression, first, second)
        if first == second:
            truth = _related(left, right, expression.operator)
            return Local(first, ~truth if negated else truth)
        pair = Pair(first, second, left, right, expression.operator)
        return Never(pair) if negated else pair

    def _counted(self, count: Count) -> tuple[Local, ...]:
        """The body at each process that ever recorded one of its fields."""
        names = [field.name for field in _fields(count.body)]
        columns = [self._column(field) for field in _fields(count.body)]
        parts = []
        for p, process in enumerate(self.trace.processes):
            rows = self.order.program.of_process(p)
            if process == NEMESIS or not any(bool(column.present[rows].any()) for column in columns):
                continue
            local = self._bound(_at(count.body, process), negated=False)
            assert isinstance(local, Local), f"a condition on {names} of one process"
            parts.append(local)
        return tuple(parts)

    def _process(self, field: FieldOf) -> int:
        code = self.trace.process_code(field.process or "")
        if code < 0:
            near = nearest(field.process or "", self.trace.processes) or list(self.trace.processes[:5])
            mistake(self.text, field.at, f"the trace has no process {field.process}", want=", ".join(near))
        return code

    def _column(self, field: FieldOf) -> Column:
        column = self.trace.get(field.name)
        if column is None:
            names = [name for name in self.trace.columns if self.trace.get(name) is not None]
            near = nearest(field.name, names) or sorted(names)[:8]
            mistake(self.text, field.at, f"the trace has no field {field.name}", want=", ".join(near))
        return column

    def _states(self, field: FieldOf, process: int) -> States:
        """The field's latest value in each state of the process. O(events of the process)."""
        column = self._column(field)
        rows = self.order.program.of_process(process)
        present = column.present[rows]
        latest = np.maximum.accumulate(np.where(present, np.arange(len(rows)), -1)) if len(rows) else rows
        known = np.concatenate([[False], latest >= 0])
        values = np.concatenate([column.values[:0], [0], column.values[rows[np.maximum(latest, 0)]]])
        return States(values.astype(column.values.dtype), known)

    def _against_literal(self, comparison: Comparison, process: int) -> Truth:
        assert isinstance(comparison.left, FieldOf) and isinstance(comparison.right, Literal), "as asked"
        value, operator = comparison.right.value, comparison.operator
        column, states = self._column(comparison.left), self._states(comparison.left, process)
        ordered = operator not in ("==", "!=")
        kind = _kind(column)
        if value is None and not ordered:
            return ~states.known if operator == "==" else states.known
        fits = (
            isinstance(value, bool) if kind == "bool" else isinstance(value, str) if kind == "text" else _number(value)
        )
        if value is None or not fits or (ordered and kind != "number"):
            wanted = {"text": "== or != with a text", "bool": "== or != with True or False"}.get(kind, "a number")
            summary = f"{comparison.left.name} is a {kind}; it cannot be compared so"
            mistake(self.text, comparison.right.at, summary, want=wanted)
        if isinstance(value, str):
            value = column.code(value)
        truth: Truth = states.known & OPERATORS[operator](states.values, value)
        return truth | ~states.known if operator == "!=" else truth

    def _both(self, comparison: Comparison, first: int, second: int) -> tuple[States, States]:
        """The two fields' states in comparable values."""
        assert isinstance(comparison.left, FieldOf) and isinstance(comparison.right, FieldOf), "as asked"
        a, b = self._column(comparison.left), self._column(comparison.right)
        left, right = self._states(comparison.left, first), self._states(comparison.right, second)
        if _kind(a) != _kind(b) or (_kind(a) != "number" and comparison.operator not in ("==", "!=")):
            summary = (
                f"{comparison.left.name} ({_kind(a)}) cannot be compared so with {comparison.right.name} ({_kind(b)})"
            )
            mistake(self.text, comparison.at, summary, want="two numbers, or == and != of two texts")
        if a is not b and a.texts is not None and b.texts is not None:
            codes = {text: code for code, text in enumerate(a.texts.to_pylist())}
            table = np.array([codes.get(text, -2) for text in b.texts.to_pylist()] + [-1])
            right = States(table[right.values], right.known)
        return left, right


def _related(left: States, right: States, operator: str) -> Truth:
    """The comparison state by state; without a value on one side only ``!=`` is true, on both only ``==``."""
    truth: Truth = left.known & right.known & OPERATORS[operator](left.values, right.values)
    if operator == "==":
        truth |= ~left.known & ~right.known
    if operator == "!=":
        truth |= left.known ^ right.known
    return truth


def _kind(column: Column) -> str:
    if column.texts is not None:
        return "text"
    return "bool" if column.values.dtype == np.bool_ else "number"


def _number(value: object) -> bool:
    return isinstance(value, float) or (type(value) is int and -(2**63) <= value < 2**63)


def _fields(expression: Expression) -> list[FieldOf]:
    if isinstance(expression, Combination):
        return [field for part in expression.parts for field in _fields(part)]
    return [side for side in (expression.left, expression.right) if isinstance(side, FieldOf)]


def _at(expression: Expression, process: str) -> Expression:
    """The body of a count at one process."""
    if isinstance(expression, Combination):
        return Combination(expression.operator, tuple(_at(part, process) for part in expression.parts))
    left, right = (
        FieldOf(side.name, process, side.at) if isinstance(side, FieldOf) else side
        for side in (expression.left, expression.right)
    )
    assert not isinstance(right, Count), "counts are not nested"
    return Comparison(expression.operator, left, right, expression.at)


def _combined(parts: Sequence[Condition], every: bool) -> Condition:
    """Conditions on one process become one; a single part stands alone."""
    merged: dict[int, Truth] = {}
    rest: list[Condition] = []
    for part in parts:
        if isinstance(part, Local):
            old = merged.get(part.process)
            merged[part.process] = part.truth if old is None else old & part.truth if every else old | part.truth
        else:
            rest.append(part)
    all_parts = (*(Local(p, truth) for p, truth in merged.items()), *rest)
    if len(all_parts) == 1:
        return all_parts[0]
    return All(all_parts) if every else Some(all_parts)


Conjunction = dict[int, Truth]


def disjuncts(condition: Condition, limit: int) -> list[Conjunction] | None:
    """The condition as a disjunction of conjunctions of local conditions; None where it compares processes with each
    other, or would have more than `limit` disjuncts. Those that no state of some process fulfils are left out."""
    if isinstance(condition, Local):
        return [{condition.process: condition.truth}] if condition.truth.any() else []
    if isinstance(condition, Number):
        return _numbered(condition, limit)
    if isinstance(condition, Pair | Never):
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
