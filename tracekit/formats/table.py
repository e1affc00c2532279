"""A log's rows as columns, found by paths into nested objects; each column is taken once."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

from tracekit.formats.edn import dumps
from tracekit.formats.rows import Row

_STEP = re.compile(r"(?:^|\.)([^.\[\]]+)|\[(\d{0,9}|#)\]")


class Table:
    """Rows of JSON-like values.

    Paths: ``term``, ``msg.term``, ``ents[0].i``, ``ents[].t`` (a list of all), ``ents[#]`` (how many). A key that is
    written like a whole path comes first.
    """

    def __init__(self, rows: Sequence[Row]) -> None:
        self.rows = rows
        self.keys = set[str]().union(*rows)
        self._columns: dict[str, list[Any]] = {}
        self._labels: dict[str, list[Any]] = {}

    def column(self, path: str) -> list[Any]:
        """The value at the path in each row, None where there is none."""
        if path not in self._columns:
            self._columns[path] = self._take(path)
        return self._columns[path]

    def labels(self, path: str) -> list[Any]:
        """The value at the path in each row as text, None where there is none."""
        if path not in self._labels:
            self._labels[path] = labels(self.column(path))
        return self._labels[path]

    def _take(self, path: str) -> list[Any]:
        if path in self.keys:
            return [row.get(path) for row in self.rows]
        steps = list(_STEP.finditer(path))
        if len(steps) < 2:
            return [None] * len(self.rows)
        for k, step in enumerate(steps):
            if step[2] == "":
                inner = path[step.end() :].removeprefix(".")
                return [_members(value, inner) for value in self.column(path[: step.start()])]
            if k == len(steps) - 1:
                return _stepped(self.column(path[: step.start()]), step[1], step[2])
        return []


def _members(value: Any, inner: str) -> list[Any] | None:
    if not isinstance(value, list):
        return None
    if not inner:
        return value
    first = value[0] if value else None
    if "." not in inner and "[" not in inner and isinstance(first, dict):
        return [member.get(inner) if isinstance(member, dict) else None for member in value]
    return Table([{"$": member} for member in value]).column(f"${'' if inner[0] == '[' else '.'}{inner}")


def _stepped(parents: list[Any], name: str | None, index: str | None) -> list[Any]:
    if name is not None:
        return [parent.get(name) if type(parent) is dict else None for parent in parents]
    if index == "#":
        return [len(parent) if type(parent) is list else None for parent in parents]
    at = int(index or 0)
    return [parent[at] if type(parent) is list and at < len(parent) else None for parent in parents]


def label(value: Any) -> str:
    """A value as text: text as it is, all else as JSON."""
    if isinstance(value, str):
        return value
    return str(value) if type(value) is int or (type(value) is float and not math.isfinite(value)) else dumps(value)


def labels(values: list[Any]) -> list[Any]:
    """The values as texts, None where absent."""
    kinds = set(map(type, values))
    if kinds <= {str, type(None)}:
        return values
    if kinds == {int}:
        return list(map(str, values))
    return [None if value is None else label(value) for value in values]
