"""The language of global predicates: text to a checked tree. Nothing is ever evaluated as code.

    raft.role["n1"] == "leader" and raft.role["n2"] == "leader"
    count(raft.role == "leader") >= 2 and not raft.term["n1"] < raft.term["n2"]

    sum(shop.stock) + in_flight(shop.items) != 100

A field of a process, ``raft.role["n1"]``, is the value that the process recorded last, ``None`` before it recorded any.
Fields are compared (``== != < <= > >=``) with literals and with each other; ``and``, ``or``, ``not`` and brackets
combine comparisons; a field that is true or false may stand alone. ``count(...)`` is how many processes fulfil what
stands in it, where fields carry no process; it counts over the processes that ever recorded one of them, and is
compared with a whole number.

``up`` is a field that every process has: false from a recorded crash to the next restart, else true. Other fields keep
their values through a crash, so a leader that is to be alive is ``raft.role["n1"] == "leader" and up["n1"]``, and
``count(raft.role == "leader" and up) >= 2`` counts those. ``count`` with no other field counts over every process.

Totals are sums of terms, with ``+``, ``-`` and whole factors, ``2 * in_flight("n1", "n2") - 1``, compared with a whole
number or with each other. A term is

- ``sum(FIELD)``: the latest values at all processes, added; what was not recorded yet counts 0;
- ``FIELD["n1"]``: the latest value at one process; in a total, too, 0 before it was recorded;
- ``in_flight()``: messages sent and not received; ``in_flight("n1", "n2")``: those from n1 to n2. A message to several
  receivers counts once for each; one that is sent or received again counts once; one that never arrives stays in
  flight from its send on; one whose send was not recorded is never in flight;
- ``in_flight(FIELD)``: a numeric field of the sends of these messages, added; where it was not recorded it counts 0.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NoReturn, TypeVar

from tracekit.errors import TracekitError

LONGEST = 2_000
"""Characters that an expression may have."""
DEEPEST = 100
"""Levels of brackets and ``not`` that it may have."""
OPERATORS: dict[type[ast.cmpop], str] = {
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
}
MIRRORED = {"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
UP = "up"
"""The field that every process has: whether it is not crashed."""
LARGEST = 2**53
"""Factors and numbers of a total are smaller."""
Value = str | int | float | bool | None
T = TypeVar("T")


@dataclass(frozen=True)
class Literal:
    """A text, number, truth value or None."""

    value: Value
    at: int


@dataclass(frozen=True)
class FieldOf:
    """A recorded column at a process; inside `Count` at any (process is None)."""

    name: str
    process: str | None
    at: int


@dataclass(frozen=True)
class Count:
    """How many processes fulfil the body."""

    body: Expression
    at: int


@dataclass(frozen=True)
class Term:
    """One summand of a total.

    Attributes
    ----------
    what: ``sum``, ``in_flight``, or ``field`` for the field of one process.
    factor: what it is multiplied by.
    field: the column; None: messages are counted.
    process: of ``field``.
    channel: of ``in_flight``: sender and receiver; None: all channels.
    """

    what: str
    factor: int
    at: int
    field: str | None = None
    process: str | None = None
    channel: tuple[str, str] | None = None


@dataclass(frozen=True)
class Total:
    """Terms added to a constant."""

    terms: tuple[Term, ...]
    constant: int
    at: int

    def times(self, factor: int) -> Total:
        """The total multiplied by a whole number."""
        terms = tuple(replace(term, factor=term.factor * factor) for term in self.terms)
        return Total(terms, self.constant * factor, self.at)

    def plus(self, other: Total) -> Total:
        """Both totals, added."""
        return Total(self.terms + other.terms, self.constant + other.constant, self.at)


@dataclass(frozen=True)
class Comparison:
    """Two operands; a `Total`, a `Count` or a field stands left of a literal."""

    operator: str
    left: FieldOf | Count | Total | Literal
    right: FieldOf | Literal
    at: int


@dataclass(frozen=True)
class Combination:
    """``and`` or ``or`` of parts, ``not`` of one."""

    operator: str
    parts: tuple[Expression, ...]


Expression = Comparison | Combination
Operand = FieldOf | Count | Total | Literal


def mistake(text: str, at: int, summary: str, *, want: str = "", help: str = "") -> NoReturn:
    """Raises TK304, pointing at a place in the expression."""
    start = max(0, at - 50)
    shown = text[start : start + 100]
    raise TracekitError(
        "TK304",
        summary,
        at=f"the expression, column {at + 1}",
        found=f"{shown}\n{' ' * (at - start)}^",
        want=want or None,
        help=help or None,
    )


def parse(text: str) -> Expression:
    """The tree of an expression.

    Raises
    ------
    TracekitError: TK304 with the column, for anything that the language does not have.
    """
    return _read(text, lambda reader, node: reader.boolean(node, inside=False))


def parse_total(text: str) -> Total:
    """The tree of a total alone: ``sum(shop.stock) + in_flight()``. Errors as in `parse`."""
    return _read(text, _Reader.total)


def fields_of(expression: Expression) -> tuple[str, ...]:
    """The distinct fields that an expression reads, in its order; those of messages in flight are not among them."""
    if isinstance(expression, Combination):
        found = [name for part in expression.parts for name in fields_of(part)]
    else:
        found = []
        for side in (expression.left, expression.right):
            if isinstance(side, FieldOf):
                found.append(side.name)
            elif isinstance(side, Count):
                found += fields_of(side.body)
            elif isinstance(side, Total):
                found += [term.field for term in side.terms if term.field is not None and term.what != "in_flight"]
    return tuple(dict.fromkeys(found))


def _read(text: str, rule: Callable[[_Reader, ast.expr], T]) -> T:
    """What a rule of the grammar makes of the text."""
    if len(text) > LONGEST:
        mistake(text, LONGEST, f"the expression is longer than {LONGEST:,} characters")
    line = "".join(" " if c.isspace() else c for c in text)
    indent = len(line) - len(line.lstrip())
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(line.lstrip(), mode="eval")
        return rule(_Reader(text, line.lstrip(), indent), tree.body)
    except SyntaxError as error:
        if error.offset == 0:  # so says Python where something is missing at the end
            what = "it ends too early" if text.strip() else "it is empty"
            mistake(text, len(text.rstrip()), f"the expression cannot be read: {what}", want=_EXAMPLE)
        place = indent + max(0, (error.offset or 1) - 1)
        mistake(text, min(place, len(text)), f"the expression cannot be read: {error.msg}", want=_EXAMPLE)
    except (ValueError, RecursionError, MemoryError):
        mistake(text, 0, "the expression cannot be read: it is nested too deeply or has forbidden characters")


_EXAMPLE = 'raft.role["n1"] == "leader" and count(raft.role == "leader") >= 2'


class _Reader:
    """From Python's syntax tree to ours; everything that is not expected is refused."""

    def __init__(self, text: str, line: str, indent: int) -> None:
        self.text = text
        self.line = line.encode()
        self.indent = indent
        self.depth = 0

    def place(self, node: ast.AST) -> int:
        # Python counts bytes of UTF-8.
        return self.indent + len(self.line[: getattr(node, "col_offset", 0)].decode(errors="ignore"))

    def refuse(self, node: ast.AST, summary: str, want: str = "") -> NoReturn:
        mistake(self.text, self.place(node), summary, want=want or _EXAMPLE)

    def boolean(self, node: ast.expr, inside: bool) -> Expression:
        """A condition; `inside` of count fields carry no process."""
        if isinstance(node, ast.BoolOp):
            operator = "and" if isinstance(node.op, ast.And) else "or"
            return Combination(operator, self.parts(node, node.values, inside))
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            return Combination("not", self.parts(node, [node.operand], inside))
        if isinstance(node, ast.Compare):
            return self.comparison(node, inside)
        operand = self.operand(node, inside)
        if isinstance(operand, FieldOf):
            return Comparison("==", operand, Literal(True, operand.at), operand.at)
        wanted = {Count: "count(...) >= 1", Total: "in_flight() <= 10"}.get(
            type(operand), 'raft.role["n1"] == "leader"'
        )
        return self.refuse(node, "a condition is expected here", f"a comparison: {wanted}")

    def parts(self, node: ast.expr, values: list[ast.expr], inside: bool) -> tuple[Expression, ...]:
        """The conditions that a combination is made of."""
        self.depth += 1
        if self.depth > DEEPEST:
            self.refuse(node, f"the expression is nested too deeply, over {DEEPEST} levels")
        parts = tuple(self.boolean(value, inside) for value in values)
        self.depth -= 1
        return parts

    def comparison(self, node: ast.Compare, inside: bool) -> Expression:
        """One comparison, or a chain of them: ``1 <= count(...) <= 2``."""
        operands = [self.operand(part, inside) for part in (node.left, *node.comparators)]
        parts: list[Expression] = []
        for left, operator, right, where in zip(operands, node.ops, operands[1:], node.comparators, strict=False):
            name = OPERATORS.get(type(operator))
            if name is None:
                self.refuse(where, "this comparison is not part of the language", " ".join(OPERATORS.values()))
            parts.append(self.sides(name, left, right, where))
        return parts[0] if len(parts) == 1 else Combination("and", tuple(parts))

    def sides(self, name: str, left: Operand, right: Operand, where: ast.expr) -> Comparison:
        """Totals, counts and fields to the left."""
        if isinstance(left, Total) or isinstance(right, Total):
            return self.totals(name, left, right, where)
        if isinstance(right, Count) or (isinstance(left, Literal) and isinstance(right, FieldOf)):
            left, right, name = right, left, MIRRORED[name]
        if isinstance(left, Count) and not (isinstance(right, Literal) and type(right.value) is int):
            self.refuse(where, "a count is compared with a whole number", 'count(raft.role == "leader") >= 2')
        if isinstance(left, Literal):
            self.refuse(where, "two fixed values are compared", 'a field: raft.role["n1"] == "leader"')
        assert not isinstance(right, Count), "it was put to the left, or refused"
        return Comparison(name, left, right, left.at)

    def totals(self, name: str, left: Operand, right: Operand, where: ast.expr) -> Comparison:
        """All terms to the left, a number to the right."""
        if isinstance(left, Literal):
            left, right, name = right, left, MIRRORED[name]
        assert not isinstance(left, Literal), "one of the two is a total"
        if isinstance(right, Literal) and type(right.value) is not int:
            self.refuse(where, "a total is compared with a whole number", "in_flight() <= 10")
        total = self.summed(left, where).plus(self.summed(right, where).times(-1))
        if not total.terms:
            self.refuse(where, "two fixed values are compared", "in_flight() <= 10")
        return Comparison(name, Total(total.terms, 0, total.at), Literal(-total.constant, right.at), total.at)

    def summed(self, operand: Operand, where: ast.expr) -> Total:
        """An operand as a total."""
        if isinstance(operand, Total):
            return operand
        if isinstance(operand, FieldOf):
            if operand.process is None or operand.name == UP:
                self.refuse(where, "this cannot be added", 'a numeric field: shop.stock["n1"]')
            return Total((Term("field", 1, operand.at, operand.name, operand.process),), 0, operand.at)
        if isinstance(operand, Literal) and type(operand.value) is int and abs(operand.value) < LARGEST:
            return Total((), operand.value, operand.at)
        return self.refuse(
            where, "this cannot be added", "whole numbers, sum(...), in_flight(...), fields of a process"
        )

    def total(self, node: ast.expr) -> Total:
        """A total that stands alone."""
        return self.summed(self.operand(node, inside=False), node)

    def arithmetic(self, node: ast.BinOp | ast.UnaryOp, inside: bool) -> Total:
        """``+``, ``-``, and ``*`` with a whole number."""
        if inside:
            self.refuse(node, "inside count(...) stand conditions on one process", 'count(raft.role == "leader")')
        self.depth += 1
        if self.depth > DEEPEST:
            self.refuse(node, f"the expression is nested too deeply, over {DEEPEST} levels")
        if isinstance(node, ast.UnaryOp):
            found = self.total(node.operand).times(-1 if isinstance(node.op, ast.USub) else 1)
        else:
            left, right = self.total(node.left), self.total(node.right)
            if isinstance(node.op, ast.Mult):
                if left.terms and right.terms:
                    self.refuse(node, "terms are multiplied by whole numbers only", '2 * in_flight("n1", "n2")')
                found = right.times(left.constant) if right.terms else left.times(right.constant)
            else:
                found = left.plus(right if isinstance(node.op, ast.Add) else right.times(-1))
        if any(abs(number) >= LARGEST for number in (found.constant, *(term.factor for term in found.terms))):
            self.refuse(node, "the number is too large", "2 * in_flight()")
        self.depth -= 1
        return replace(found, at=self.place(node))

    def operand(self, node: ast.expr, inside: bool) -> Operand:
        """A field, a count, a total or a literal."""
        if isinstance(node, ast.Constant) and isinstance(node.value, str | int | float | bool | None):
            return Literal(node.value, self.place(node))
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant):
            value = node.operand.value
            if isinstance(value, int | float) and not isinstance(value, bool):
                return Literal(-value, self.place(node))
        if isinstance(node, ast.Call):
            return self.call(node, inside)
        arithmetic = (ast.Add, ast.Sub, ast.Mult) if isinstance(node, ast.BinOp) else (ast.UAdd, ast.USub)
        if isinstance(node, ast.BinOp | ast.UnaryOp) and isinstance(node.op, arithmetic):
            return self.arithmetic(node, inside)
        return self.field(node, inside)

    def field(self, node: ast.expr, inside: bool) -> FieldOf:
        """A column, at a process unless inside of count."""
        process = None
        if isinstance(node, ast.Subscript):
            if not (isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, str)):
                self.refuse(node.slice, "a process is named by a text", 'raft.role["n1"]')
            process = node.slice.value
            node = node.value
        if not isinstance(node, ast.Name | ast.Attribute):
            self.refuse(node, "this is not part of the language", "fields, literals, totals, count(...), and, or, not")
        name = self.name(node)
        if inside and process is not None:
            self.refuse(node, "inside count(...) fields carry no process", 'count(raft.role == "leader")')
        if not inside and process is None:
            counted = f"count({name}) >= 1" if name == UP else f"count({name} == ...) >= 1"
            mistake(
                self.text,
                self.place(node),
                f"{name} is meant at which process?",
                want=f'{name}["n1"], or {counted}',
                help="" if "." in name or name == UP else f'a text stands in quotes: "{name}"',
            )
        return FieldOf(name, process, self.place(node))

    def name(self, node: ast.expr) -> str:
        """The dotted name of a column."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            self.refuse(node, "this is not part of the language", "a column's name: raft.role")
        return ".".join([node.id, *reversed(parts)])

    def call(self, node: ast.Call, inside: bool) -> Count | Total:
        """``count(condition)``, ``sum(FIELD)``, ``in_flight()``: nothing else can be called."""
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if name not in ("count", "sum", "in_flight"):
            self.refuse(node, "the only functions are count(...), sum(...) and in_flight(...)")
        if inside:
            self.refuse(node, "functions are not nested", 'count(raft.role == "leader")')
        if node.keywords or any(isinstance(argument, ast.Starred) for argument in node.args):
            self.refuse(node, f"{name}(...) takes no such arguments")
        if name == "in_flight":
            return self.in_flight(node)
        if len(node.args) != 1:
            self.refuse(node, f"{name}(...) takes one {'condition' if name == 'count' else 'field'}")
        if name == "count":
            return Count(self.boolean(node.args[0], inside=True), self.place(node))
        return self.one(Term("sum", 1, self.place(node), self.bare(node.args[0])))

    def in_flight(self, node: ast.Call) -> Total:
        """``in_flight()``, ``in_flight("n1", "n2")``, ``in_flight(FIELD)``."""
        at = self.place(node)
        if not node.args:
            return self.one(Term("in_flight", 1, at))
        names = [a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
        if len(names) == len(node.args) == 2:
            return self.one(Term("in_flight", 1, at, channel=(names[0], names[1])))
        if len(node.args) != 1 or names:
            self.refuse(node, "in_flight takes nothing, a field, or sender and receiver", 'in_flight("n1", "n2")')
        return self.one(Term("in_flight", 1, at, self.bare(node.args[0])))

    def bare(self, node: ast.expr) -> str:
        """The name of a field without a process."""
        if not isinstance(node, ast.Name | ast.Attribute):
            self.refuse(node, "a field without a process is expected here", "sum(shop.stock)")
        name = self.name(node)
        if name == UP:
            self.refuse(node, "up is no number", "count(up)")
        return name

    def one(self, term: Term) -> Total:
        """A total of one term."""
        return Total((term,), 0, term.at)
