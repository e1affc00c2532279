"""TraceBuilder: events one by one, or columns in bulk, into a Trace. For recorders and for readers of small formats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from tracekit.trace.assemble import assemble
from tracekit.trace.columns import AnyColumn, from_arrow
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

        Raises TracekitError like `assemble`.
        """
        columns = {
            **(columns or {}),
            **{name: self._column(name, rows, values) for name, (rows, values) in self._columns.items()},
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

    def _column(self, name: str, rows: list[int], values: list[Any]) -> AnyColumn:
        kind = ARROW_TYPES[FIELD[name].type] if name in FIELD else None
        array = pa.array(values, type=kind)
        if len(rows) == self.count:
            return from_arrow(array)
        where = np.full(self.count, -1, np.int64)
        where[rows] = np.arange(len(rows))
        return from_arrow(array.take(pa.array(where, mask=where < 0)))


def _no_text() -> AnyColumn:
    return from_arrow(pa.array([], pa.string()))
