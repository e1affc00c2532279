"""CSV with the schema's columns; what CSV has no form for is JSON text in its cells."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from tracekit.exports.text import Texts, batches, json_texts, quoted, wrapped, write_whole
from tracekit.registry import Export
from tracekit.trace.columns import AnyColumn, Column, ListColumn
from tracekit.trace.parquet import to_table
from tracekit.trace.trace import Trace

LISTS = pa.list_(pa.string())


def write(trace: Trace, path: Path) -> tuple[str, ...]:
    """Writes the trace without its metadata. Vector clocks become JSON objects, other lists JSON arrays. O(bytes)."""
    nested = {name: _nested(name, column, trace) for name, column in trace.columns.items()}

    def table(file: BinaryIO) -> None:
        names = ["process", "seq", "kind", *trace.columns]
        writer = pyarrow.csv.CSVWriter(file, pa.schema([(name, pa.string()) for name in names]))
        for start, end in batches(len(trace)):
            part = to_table(trace.select(np.arange(start, end)))
            cells = [
                texts(start, end)
                if (texts := nested.get(name)) is not None
                else part[name].combine_chunks().cast(pa.string())
                for name in names
            ]
            writer.write_batch(pa.record_batch(cells, names=names))
        writer.close()

    write_whole(path, table)
    declared = ["what the run declares"] if trace.run.to_json() != "{}" else []
    aside = [f"what was set aside ({trace.set_aside.count:,})"] if trace.set_aside.count else []
    return tuple(f"{what}: CSV has no place for it" for what in (*declared, *aside))


def _nested(name: str, column: AnyColumn, trace: Trace) -> Texts | None:
    if name == "vclock" and isinstance(column, ListColumn):
        return clock_texts(column, trace)
    return json_texts(column) if isinstance(column, ListColumn) else None


def clock_texts(clocks: ListColumn, trace: Trace) -> Texts:
    """Vector clocks as JSON objects from process to number."""
    assert isinstance(clocks.items, Column), "the schema's type was checked on read"
    names = wrapped("", quoted(trace.processes[: trace.components]), ":")
    offsets, values, present = clocks.offsets, clocks.items.values, clocks.present

    def texts(start: int, end: int) -> pa.Array:
        low, high = int(offsets[start]), int(offsets[end])
        first = np.repeat(offsets[start:end], np.diff(offsets[start : end + 1]))
        labels = pc.take(names, pa.array(np.arange(low, high) - first))
        entries = pc.binary_join_element_wise(labels, pa.array(values[low:high]).cast(pa.string()), "")
        lists = pa.ListArray.from_arrays(
            pa.array((offsets[start : end + 1] - low).astype(np.int32)), entries, mask=pa.array(~present[start:end])
        )
        return wrapped("{", pc.binary_join(lists, ","), "}")

    return texts


EXPORT = Export(
    name="tracekit-csv",
    summary="CSV with the schema's columns; lists as JSON text; without what the run declares",
    endings=(".csv",),
    write=write,
)
