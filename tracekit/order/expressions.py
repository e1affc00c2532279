"""The language of global predicates: text to a checked tree. Nothing is ever evaluated as code.

    raft.role["n1"] == "leader" and raft.role["n2"] == "leader"
    count(raft.role == "leader") >= 2 and not raft.term["n1"] < raft.term["n2"]

A field of a process, ``raft.role["n1"]``, is the value that the process recorded last, ``None`` before it recorded any.
Fields are compared (``== != < <= > >=``) with literals and with each other; ``and``, ``or``, ``not`` and brackets
combine comparisons; a field that is true or false may stand alone. ``count(...)`` is how many processes fulfil what
stands in it, where fields carry no process; it counts over the processes that ever recorded one of them, and is
compared with a whole number.
"""

from __future__ import annotations

import ast
import warnings
from dataclasses import dataclass
from typing import NoReturn

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
Value = str | int | float | bool | None


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
class Comparison:
    """Two operands; a `Count` or a field stands left of a literal."""

    operator: str
    left: FieldOf | Count | Literal
    right: FieldOf | Literal
    at: int


@dataclass(frozen=True)
class Combination:
    """``and`` or ``or`` of parts, ``not`` of one."""

    operator: str
    parts: tuple[Expression, ...]


Expression = Comparison | Combination


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
    if len(text) > LONGEST:
        mistake(text, LONGEST, f"the expression is longer than {LONGEST:,} characters")
    line = "".join(" " if c.isspace() else c for c in text)
    indent = len(line) - len(line.lstrip())
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(line.lstrip(), mode="eval")
        return _Reader(text, line.lstrip(), indent).boolean(tree.body, inside=False)
    except SyntaxError as error:
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
        return self.refuse(node, "a condition is expected here", 'a comparison: raft.role["n1"] == "leader"')

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

    def sides(
        self, name: str, left: FieldOf | Count | Literal, right: FieldOf | Count | Literal, where: ast.expr
    ) -> Comparison:
        """Counts and fields to the left."""
        if isinstance(right, Count) or (isinstance(left, Literal) and isinstance(right, FieldOf)):
            left, right, name = right, left, MIRRORED[name]
        if isinstance(left, Count) and not (isinstance(right, Literal) and type(right.value) is int):
            self.refuse(where, "a count is compared with a whole number", 'count(raft.role == "leader") >= 2')
        if isinstance(left, Literal):
            self.refuse(where, "two fixed values are compared", 'a field: raft.role["n1"] == "leader"')
        assert not isinstance(right, Count), "it was put to the left, or refused"
        return Comparison(name, left, right, left.at)

    def operand(self, node: ast.expr, inside: bool) -> FieldOf | Count | Literal:
        """A field, a count or a literal."""
        if isinstance(node, ast.Constant) and isinstance(node.value, str | int | float | bool | None):
            return Literal(node.value, self.place(node))
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant):
            value = node.operand.value
            if isinstance(value, int | float) and not isinstance(value, bool):
                return Literal(-value, self.place(node))
        if isinstance(node, ast.Call):
            return self.count(node, inside)
        process = None
        if isinstance(node, ast.Subscript):
            if not (isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, str)):
                self.refuse(node.slice, "a process is named by a text", 'raft.role["n1"]')
            process = node.slice.value
            node = node.value
        if not isinstance(node, ast.Name | ast.Attribute):
            self.refuse(node, "this is not part of the language", "fields, literals, count(...), and, or, not")
        name = self.name(node)
        if inside and process is not None:
            self.refuse(node, "inside count(...) fields carry no process", 'count(raft.role == "leader")')
        if not inside and process is None:
            self.refuse(node, f"{name} is meant at which process?", f'{name}["n1"], or count({name} == ...)')
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

    def count(self, node: ast.Call, inside: bool) -> Count:
        """``count(condition)``."""
        if inside or not isinstance(node.func, ast.Name) or node.func.id != "count":
            self.refuse(node, "the only function is count(...), and it is not nested", 'count(raft.role == "leader")')
        if len(node.args) != 1 or node.keywords or isinstance(node.args[0], ast.Starred):
            self.refuse(node, "count(...) takes one condition", 'count(raft.role == "leader")')
        return Count(self.boolean(node.args[0], inside=True), self.place(node))
