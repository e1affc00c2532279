"""Values of one field in many JSON objects, batch by batch, as one column of a trace.

A column's type is a `Type` of the schema, its name as ``tracekit.columns`` declares it, or unknown and found from the
values: integers with fractions become fractions, any other mixture canonical JSON text.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tracekit.formats.edn import dumps
from tracekit.trace.columns import AnyColumn, Column, ListColumn, from_arrow
from tracekit.trace.schema import Type

JSON = "json"
"""Any JSON value: a column of integers where all are, else of canonical JSON text."""

KEY = "string or int64 or json"
"""A column of integers or of texts where all values are, else of canonical JSON text."""

Want = str | Mapping[str, str] | None
"""A type's name; for lists of objects the types of their members; None: found from the values."""

TRANSACTION: Mapping[str, str] = {"f": Type.TEXT, "key": KEY, "value": JSON}

ARROW: Mapping[str, pa.DataType] = {
    "int64": pa.int64(), "float64": pa.float64(), "bool": pa.bool_(), "string": pa.string(),
    "list<int64>": pa.list_(pa.int64()), "list<float64>": pa.list_(pa.float64()), "list<bool>": pa.list_(pa.bool_()),
    "list<string>": pa.list_(pa.string()),
}  # fmt: skip
"""The types that need no thought, and what they are in Arrow."""

EMPTY = pa.list_(pa.null())
"""Lists of nothing yet: they become lists of whatever the others hold."""

LOW, HIGH = -(2**63), 2**63 - 1
NOT_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
"""Fractions that JSON has no number for, as text."""


class Values:
    """Gathers the values of one field; `bad` is told positions, from 0 over all batches, that hold no such value."""

    def __init__(self, want: Want, bad: Callable[[int, Any], object]) -> None:
        self.want = want
        self.bad = bad
        self.count = 0
        self.batches: list[pa.Array] = []
        self.encoded: list[bool] = []

    def skip(self, rows: int) -> None:
        """The field is absent in the next rows."""
        if rows:
            self.batches.append(pa.nulls(rows))
            self.encoded.append(False)
            self.count += rows

    def add(self, values: list[Any]) -> None:
        """The next rows' values, None where absent."""
        kinds = set(map(type, values)) - {type(None)}
        array, encoded = self._array(values, kinds)
        self.batches.append(array)
        self.encoded.append(encoded)
        self.count += len(values)

    def _array(self, values: list[Any], kinds: set[type]) -> tuple[pa.Array, bool]:
        want = self.want
        if isinstance(want, str) and want in ARROW:
            if kinds <= _QUICK.get(want, set()):
                try:
                    return pa.array(values, ARROW[want]), False
                except (pa.ArrowException, OverflowError):
                    pass  # an integer beyond 64 bits is among them
            return pa.array(self._fitting(values, lambda v: _fit(v, want)), ARROW[want]), False
        if want == Type.TEXT_OR_INT:
            if not kinds <= {int, str}:
                values = self._fitting(values, lambda v: v if type(v) in (int, str) else None)
            if kinds <= {int} and _in_range(values):
                return pa.array(values, pa.int64()), False
            return pa.array([None if v is None else str(v) for v in values], pa.string()), False
        if kinds <= {int} and _in_range(values):
            return pa.array(values, pa.int64() if kinds else None), False
        if kinds <= {str} and want != JSON:
            return pa.array(values, pa.string()), False
        found = _found(values, kinds) if want is None else None
        if found is not None:
            return found, False
        return pa.array([None if v is None else dumps(v) for v in values], pa.string()), True

    def _fitting(self, values: list[Any], fit: Callable[[Any], Any]) -> list[Any]:
        fitted = [None if v is None else fit(v) for v in values]
        for place, (value, now) in enumerate(zip(values, fitted, strict=True)):
            if now is None and value is not None:
                self.bad(self.count + place, value)
        return fitted

    def column(self) -> AnyColumn:
        """All values as a column."""
        want = self.want
        kinds = {b.type for b in self.batches} - {pa.null(), EMPTY}
        if isinstance(want, str) and want in ARROW:
            target = ARROW[want]
        elif want == Type.TEXT_OR_INT or want == JSON:
            target = pa.int64() if kinds == {pa.int64()} else pa.string()
        elif kinds == {pa.int64(), pa.float64()} and want is None:
            target = pa.float64()
        elif len(kinds) == 1 and not any(self.encoded):
            target = next(iter(kinds))
            if not pa.types.is_list(target) and any(b.type == EMPTY for b in self.batches):
                return self._as_json()
        elif not kinds:
            target = ARROW["list<int64>"] if any(b.type == EMPTY for b in self.batches) else pa.string()
        else:
            return self._as_json()
        return from_arrow(pa.chunked_array([b.cast(target) for b in self.batches], target))

    def _as_json(self) -> AnyColumn:
        texts = [b if e else _json_of(b) for b, e in zip(self.batches, self.encoded, strict=True)]
        return from_arrow(pa.chunked_array(texts, pa.string()))


class Objects:
    """Gathers a field whose values are lists of objects with known members: a transaction's micro-operations."""

    def __init__(self, members: Mapping[str, str], bad: Callable[[int, Any], object]) -> None:
        self.bad = bad
        self.count = 0
        self.lengths: list[int] = []
        self.present: list[bool] = []
        self.owner: list[int] = []
        self.members = {name: Values(want, self._bad_member) for name, want in members.items()}

    def _bad_member(self, place: int, value: Any) -> None:
        self.bad(self.owner[place], value)

    def skip(self, rows: int) -> None:
        """The field is absent in the next rows."""
        self.lengths += [0] * rows
        self.present += [False] * rows
        self.count += rows

    def add(self, values: list[Any]) -> None:
        """The next rows' values, None where absent."""
        for place, value in enumerate(values):
            if value is not None and not (type(value) is list and all(type(v) is dict for v in value)):
                self.bad(self.count + place, value)
                values[place] = None
        self.present += [value is not None for value in values]
        self.lengths += [0 if value is None else len(value) for value in values]
        for place, value in enumerate(values):
            self.owner += [self.count + place] * (0 if value is None else len(value))
        parts = list(chain.from_iterable(value for value in values if value is not None))
        for name, member in self.members.items():
            member.add([part.get(name) for part in parts])
        self.count += len(values)

    def column(self) -> AnyColumn:
        """All values as a column."""
        offsets = np.concatenate([[0], np.cumsum(np.array(self.lengths, np.int64))])
        items = {name: member.column() for name, member in self.members.items()}
        assert all(isinstance(item, Column) for item in items.values()), "members are scalars"
        present = np.array(self.present, np.bool_)
        return ListColumn(offsets, items, None if present.all() else present)  # type: ignore[arg-type]  # as asserted


_QUICK: Mapping[str, set[type]] = {
    "int64": {int}, "float64": {int, float}, "bool": {bool}, "string": {str},
}  # fmt: skip


def _fit(value: Any, want: str) -> Any:
    """The value as one of the type; None where it is none."""
    kind = type(value)
    if want.startswith("list<"):
        fitted = [_fit(v, want[5:-1]) for v in value] if kind is list else [None]
        return None if any(v is None for v in fitted) else fitted
    if want == "int64":
        whole = int(value) if kind is float and value.is_integer() and abs(value) < 2**53 else value
        return whole if type(whole) is int and LOW <= whole <= HIGH else None
    if want == "float64":
        return float(value) if kind in (int, float) else NOT_FINITE.get(value) if kind is str else None
    return value if kind is {"bool": bool, "string": str}[want] else None


def _in_range(values: Iterable[Any]) -> bool:
    numbers = [v for v in values if v is not None]
    return not numbers or (min(numbers) >= LOW and max(numbers) <= HIGH)


def _found(values: list[Any], kinds: set[type]) -> pa.Array | None:
    """Fractions, truth values, or lists of one sort, by their own type; None for a mixture."""
    if kinds <= {int, float}:
        return pa.array([None if v is None else float(v) for v in values], pa.float64())
    if kinds == {bool}:
        return pa.array(values, pa.bool_())
    if kinds != {list}:
        return None
    members = list(chain.from_iterable(v for v in values if v is not None))
    inner = set(map(type, members))
    if not inner:
        return pa.array(values, EMPTY)
    if inner == {int} and _in_range(members):
        return pa.array(values, ARROW["list<int64>"])
    if inner <= {int, float}:
        return pa.array([None if v is None else list(map(float, v)) for v in values], ARROW["list<float64>"])
    return pa.array(values, ARROW[f"list<{_LISTS[inner.pop()]}>"]) if inner in ({str}, {bool}) else None


_LISTS: Mapping[type, str] = {str: "string", bool: "bool"}


def _json_of(array: pa.Array) -> pa.Array:
    """Numbers, texts and lists as canonical JSON text."""
    if pa.types.is_null(array.type) or pa.types.is_integer(array.type):
        return array.cast(pa.string())
    if pa.types.is_string(array.type):
        encoded = array.dictionary_encode()
        quoted = pa.array([dumps(text) for text in encoded.dictionary.to_pylist()], pa.string())
        return pc.take(quoted, encoded.indices)
    return pa.array([None if v is None else dumps(v) for v in array.to_pylist()], pa.string())
