"""From expressions to conditions on one execution."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tracekit.errors import nearest
from tracekit.order.conditions import (
    OPERATORS,
    All,
    Condition,
    Levels,
    Local,
    Never,
    Number,
    Pair,
    Some,
    States,
    Sum,
    Truth,
    related,
)
from tracekit.order.expressions import (
    UP,
    Combination,
    Comparison,
    Count,
    Expression,
    FieldOf,
    Literal,
    Term,
    Total,
    mistake,
)
from tracekit.order.happens_before import HappensBefore
from tracekit.order.in_flight import flights
from tracekit.trace.columns import Column
from tracekit.trace.schema import NEMESIS, Kind

NEGATED = {"==": "!=", "!=": "==", "<": ">=", "<=": ">", ">": "<=", ">=": "<"}


class Binder:
    """From expressions to conditions on one execution. Raises TK304 for names and types that the trace lacks."""

    def __init__(self, order: HappensBefore, text: str) -> None:
        self.order = order
        self.trace = order.trace
        self.text = text
        self.unseen: dict[str, None] = {}  # texts compared with that no event has, as phrases

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
        if isinstance(expression.left, Total):
            assert isinstance(expression.right, Literal) and isinstance(expression.right.value, int), "as parsed"
            operator = NEGATED[expression.operator] if negated else expression.operator
            levels, reason = self.total(expression.left)
            return Sum(levels, operator, expression.right.value - expression.left.constant, reason)
        assert isinstance(expression.left, FieldOf), "as parsed"
        first = self.process(expression.left)
        if isinstance(expression.right, Literal):
            truth = self._against_literal(expression, first)
            return Local(first, ~truth if negated else truth)
        second = self.process(expression.right)
        left, right = self._both(expression, first, second)
        if first == second:
            truth = related(left, right, expression.operator)
            return Local(first, ~truth if negated else truth)
        pair = Pair(first, second, left, right, expression.operator)
        return Never(pair) if negated else pair

    def total(self, total: Total) -> tuple[Levels, str]:
        """What each process's events add to a total, its constant left out, and why that may be wrong."""
        levels = {p: np.zeros(int(size) + 1, np.int64) for p, size in enumerate(np.diff(self.order.program.starts))}
        reason, largest = "", 0
        for term in total.terms:
            if term.what == "in_flight":
                found, doubt = self._flying(term)
                reason = reason or doubt
            else:
                found = self._latest(term)
            for p, level in found.items():
                largest += abs(term.factor) * max(int(level.max()), -int(level.min()))
                if largest >= 2**62:
                    mistake(self.text, term.at, "the total may become too large", want="numbers below 2^62")
                levels[p] += term.factor * level
        return {p: level for p, level in levels.items() if level.any()}, reason

    def _latest(self, term: Term) -> Levels:
        """The latest value of a field at one process, or at each."""
        at = FieldOf(term.field or "", term.process, term.at)
        column = self._numeric(at)
        chosen = [name for name in self.trace.processes if name != NEMESIS]
        codes = [self.process(at)] if term.process is not None else [self.trace.process_code(name) for name in chosen]
        found = {}
        for p in codes:
            if bool(column.present[self.order.program.of_process(p)].any()):
                states = self.states(at, p)
                found[p] = np.where(states.known, states.values, 0).astype(np.int64)
        return found

    def _flying(self, term: Term) -> tuple[Levels, str]:
        """What is in flight comes with its send and goes with its receive."""
        known = flights(self.order)
        chosen = np.ones(len(known.sends), np.bool_)
        reason = known.doubt
        if term.channel is not None:
            sender, receiver = (self.process(FieldOf("", name, term.at)) for name in term.channel)
            chosen = self.trace.process[known.sends] == sender
            if bool((chosen & (known.receivers < 0)).any()):
                reason = reason or f"messages of {term.channel[0]} that never arrived do not name their receivers"
            chosen &= known.receivers == receiver
        amount = np.ones(len(known.sends), np.int64)
        if term.field is not None:
            column = self._numeric(FieldOf(term.field, None, term.at))
            amount = np.where(column.present, column.values, 0).astype(np.int64)[known.sends]
        sends, receives, amount = known.sends[chosen], known.receives[chosen], amount[chosen]
        if float(np.abs(amount.astype(float)).sum()) >= 2**62:
            mistake(self.text, term.at, "the total may become too large", want="numbers below 2^62")
        weights = np.zeros(len(self.trace), np.int64)
        np.add.at(weights, sends, amount)
        np.subtract.at(weights, receives[receives >= 0], amount[receives >= 0])
        starts, rows = self.order.program.starts, self.order.program.rows
        return {
            p: np.concatenate([[0], np.cumsum(weights[rows[starts[p] : starts[p + 1]]])])
            for p in range(len(self.trace.processes))
        }, reason

    def _numeric(self, field: FieldOf) -> Column:
        """A column of whole numbers; floats are taken where they are such."""
        column = self.column(field)
        if _kind(column) != "number":
            mistake(self.text, field.at, f"{field.name} is a {_kind(column)}; it cannot be added", want="a number")
        if column.values.dtype != np.int64:
            used = column.values[column.present]
            if not bool((np.isfinite(used) & (np.floor(used) == used) & (np.abs(used) < 2**53)).all()):
                mistake(self.text, field.at, f"{field.name} is no whole number everywhere", want="whole numbers")
        return column

    def _counted(self, count: Count) -> tuple[Local, ...]:
        """The body at each process that ever recorded one of its fields."""
        names = [field.name for field in _fields(count.body)]
        columns = [self.column(field) for field in _fields(count.body) if field.name != UP]
        parts = []
        for p, process in enumerate(self.trace.processes):
            rows = self.order.program.of_process(p)
            never = columns and not any(bool(column.present[rows].any()) for column in columns)
            if process == NEMESIS or never:
                continue
            local = self._bound(_at(count.body, process), negated=False)
            assert isinstance(local, Local), f"a condition on {names} of one process"
            parts.append(local)
        return tuple(parts)

    def process(self, field: FieldOf) -> int:
        """The code of a field's process."""
        code = self.trace.process_code(field.process or "")
        if code < 0:
            near = nearest(field.process or "", self.trace.processes) or list(self.trace.processes[:5])
            mistake(self.text, field.at, f"the trace has no process {field.process}", want=", ".join(near))
        return code

    def column(self, field: FieldOf) -> Column:
        """The recorded values of a field."""
        if field.name == UP:
            kind = self.trace.kind
            return Column(kind == Kind.RESTART, (kind == Kind.CRASH) | (kind == Kind.RESTART))
        column = self.trace.get(field.name)
        if column is None:
            names = [name for name in self.trace.columns if self.trace.get(name) is not None]
            near = nearest(field.name, names) or sorted(names)[:8]
            mistake(self.text, field.at, f"the trace has no field {field.name}", want=", ".join(near))
        return column

    def states(self, field: FieldOf, process: int) -> States:
        """The field's latest value in each state of the process. O(events of the process)."""
        column = self.column(field)
        rows = self.order.program.of_process(process)
        present = column.present[rows]
        latest = np.maximum.accumulate(np.where(present, np.arange(len(rows)), -1)) if len(rows) else rows
        known = np.concatenate([[False], latest >= 0])
        values = np.concatenate([column.values[:0], [0], column.values[rows[np.maximum(latest, 0)]]])
        if field.name == UP:
            values, known = values.astype(np.bool_) | ~known, np.ones(len(known), np.bool_)
        return States(values.astype(column.values.dtype), known)

    def _against_literal(self, comparison: Comparison, process: int) -> Truth:
        assert isinstance(comparison.left, FieldOf) and isinstance(comparison.right, Literal), "as asked"
        value, operator = comparison.right.value, comparison.operator
        column, states = self.column(comparison.left), self.states(comparison.left, process)
        ordered = operator not in ("==", "!=")
        kind = _kind(column)
        if value is None and not ordered:
            return ~states.known if operator == "==" else states.known
        fits = (
            isinstance(value, bool) if kind == "bool" else isinstance(value, str) if kind == "text" else _number(value)
        )
        if value is None or not fits or (ordered and kind != "number"):
            wanted = {"text": "== or != with a text", "bool": "== or != with True or False"}.get(
                kind, "a number below 2^63"
            )
            summary = f"{comparison.left.name} is a {kind}; it cannot be compared so"
            mistake(self.text, comparison.right.at, summary, want=wanted)
        if isinstance(value, str):
            text, value = value, column.code(value)
            if value < 0:
                self.unseen[f'{comparison.left.name} is never "{text}" in this run'] = None
        truth: Truth = states.known & OPERATORS[operator](states.values, value)
        return truth | ~states.known if operator == "!=" else truth

    def _both(self, comparison: Comparison, first: int, second: int) -> tuple[States, States]:
        """The two fields' states in comparable values."""
        assert isinstance(comparison.left, FieldOf) and isinstance(comparison.right, FieldOf), "as asked"
        a, b = self.column(comparison.left), self.column(comparison.right)
        left, right = self.states(comparison.left, first), self.states(comparison.right, second)
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
    assert not isinstance(right, Count) and not isinstance(right, Total), "functions are not nested"
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
