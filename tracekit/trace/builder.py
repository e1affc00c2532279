"""TraceBuilder: events one by one, or columns in bulk, into a Trace. For recorders and for readers of small formats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from tracekit.errors import TracekitError
from tracekit.trace.assemble import assemble
from tracekit.trace.columns import AnyColumn, from_arrow, supported
from tracekit.trace.run import Run
from tracekit.trace.schema import FIELD, Type
from tracekit.trace.trace import SetAsides, Trace

ARROW_TYPES: dict[Type, pa.DataType | None] = {
    Type.TEXT: pa.string(),
    Type.INT: pa.int64(),
    Type.FLOAT: pa.float64(),
    Type.BOOL: pa.bool_(),
    Type.TEXT_OR_INT: None,
    Type.VECTOR: pa.list_(pa.int64()),
    Type.TEXTS: pa.list_(pa.string()),
    Type.TRANSACTION: None,
}
"""What a column of the type is in Arrow; None: found from the values."""


class TraceBuilder:
    """Collects events; columns are sparse until `build`.

    `add` costs about a microsecond and a half an event plus a fraction of one a field.
    """

    def __init__(self, processes: Sequence[str] = (), run: Run | None = None) -> None:
        self.processes = tuple(processes)
        self.run = run or Run()
        self.count = 0
        self._columns: dict[str, tuple[list[int], list[Any]]] = {}

    def __len__(self) -> int:
        return self.count

    def add(self, fields: Mapping[str, Any]) -> int:
        """Appends one event given by its columns (`process` and `kind` among them); absent and None are the same.

        Returns the event's row.
        """
        row = self.count
        columns = self._columns
        for name, value in fields.items():
            if value is None:
                continue
            column = columns.get(name)
            if column is None:
                column = columns[name] = ([], [])
            column[0].append(row)
            column[1].append(value)
        self.count = row + 1
        return row

    def build(
        self,
        *,
        at: str = "recorder",
        path: str | None = None,
        set_aside: SetAsides | None = None,
        complete: bool = True,
        inferred: tuple[str, ...] = (),
        columns: Mapping[str, AnyColumn] | None = None,
    ) -> Trace:
        """The trace of all events added so far, and of whole columns gathered elsewhere, one value for each of them.

        Raises TracekitError like `assemble`; TK104 as well for a value that no column can hold, or that does not go
        with the ones before it.
        """
        columns = {
            **(columns or {}),
            **{name: self._column(name, rows, values, at) for name, (rows, values) in self._columns.items()},
        }
        if not self.count:
            columns = {"process": _no_text(), "kind": _no_text()}
        return assemble(
            columns,
            at=at,
            processes=self.processes,
            run=self.run,
            path=path,
            set_aside=set_aside,
            complete=complete,
            inferred=inferred,
        )

    def _column(self, name: str, rows: list[int], values: list[Any], at: str) -> AnyColumn:
        try:
            array = _array(name, values)
        except _REFUSALS:
            raise self._refused(name, rows, values, at) from None
        if len(rows) == self.count:
            return from_arrow(array)
        where = np.full(self.count, -1, np.int64)
        where[rows] = np.arange(len(rows))
        return from_arrow(array.take(pa.array(where, mask=where < 0)))

    def _refused(self, name: str, rows: list[int], values: list[Any], at: str) -> TracekitError:
        """What is wrong with a column: the first value with which it cannot be made. O(n log n)."""
        good, bad = 0, len(values)
        while bad - good > 1:
            middle = (good + bad) // 2
            try:
                _array(name, values[:middle])
                good = middle
            except _REFUSALS:
                bad = middle
        value, first = values[good], values[0]
        found = f"{_shown(value)} ({type(value).__name__})"
        if good and type(value) is not type(first):
            found += f", after {_shown(first)} ({type(first).__name__}) at event {rows[0]}"
        types = "int64, float64, bool, text, or a list of one of these, the same at all events"
        return TracekitError(
            "TK104",
            f"column {name} cannot hold a value",
            at=f"{at}, event {rows[good]}",
            found=found,
            want=str(FIELD[name].type) if name in FIELD else types,
            help="give numbers of 2^63 and above, and what is neither number nor text, as text, at all events of the "
            "column; the columns are described in docs/trace-format.md",
        )


_REFUSALS = (ValueError, TypeError, OverflowError, pa.ArrowException)
"""What Arrow raises for values that it cannot put into a column."""


def _array(name: str, values: list[Any]) -> pa.Array:
    array = pa.array(values, type=ARROW_TYPES[FIELD[name].type] if name in FIELD else None)
    if not (supported(array.type) or pa.types.is_null(array.type)):
        raise TypeError(f"no trace column has type {array.type}")
    return array


def _shown(value: Any) -> str:
    text = ascii(value)
    return text if len(text) <= 80 else f"{text[:80]}..."


def _no_text() -> AnyColumn:
    return from_arrow(pa.array([], pa.string()))
