"""Columns as JSON text, many rows at a time, without a loop over rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from tracekit.errors import TracekitError
from tracekit.trace.columns import AnyColumn, Column

BATCH = 1 << 16

Texts = Callable[[int, int], pa.Array]
"""The JSON texts of rows [a, b), null where a row has no value."""


def batches(rows: int) -> Iterator[tuple[int, int]]:
    """Stretches of rows that are written at a time."""
    for start in range(0, rows, BATCH):
        yield start, min(start + BATCH, rows)


def quoted(texts: Sequence[str]) -> pa.Array:
    """Each text as a JSON string."""
    return pa.array([orjson.dumps(text).decode() for text in texts], pa.string())


def json_texts(column: AnyColumn, embedded: bool = False) -> Texts:
    """A column's values as JSON. `embedded`: its texts are JSON already."""
    if isinstance(column, Column):
        return _scalars(column, embedded)
    offsets, present = column.offsets, column.present
    if isinstance(column.items, Column):
        inside = _scalars(column.items, False)
    else:
        inside = json_objects({name: json_texts(member, name == "value") for name, member in column.items.items()})

    def texts(start: int, end: int) -> pa.Array:
        low, high = int(offsets[start]), int(offsets[end])
        members = pc.fill_null(inside(low, high), "null")
        lists = pa.ListArray.from_arrays(
            pa.array((offsets[start : end + 1] - low).astype(np.int32)), members, mask=pa.array(~present[start:end])
        )
        return wrapped("[", pc.binary_join(lists, ","), "]")

    return texts


def _scalars(column: Column, embedded: bool) -> Texts:
    values, valid = column.values, column.valid
    if column.texts is not None:
        words = column.texts if embedded else quoted(column.texts.to_pylist())
        return lambda start, end: pc.take(words, _masked(column, start, end))

    def texts(start: int, end: int) -> pa.Array:
        numbers = _masked(column, start, end)
        written = numbers.cast(pa.string())
        if values.dtype != np.float64:
            return written
        whole = pc.match_substring_regex(written, "^-?[0-9]+$")  # 1.0 is no integer, and -0.0 is not 0
        written = pc.if_else(whole, pc.binary_join_element_wise(written, ".0", ""), written)
        if np.isfinite(values[start:end]).all():
            return written
        stretch = values[start:end]
        for mask, word in (
            (np.isnan(stretch), "NaN"),
            (stretch == np.inf, "Infinity"),
            (stretch == -np.inf, "-Infinity"),
        ):
            chosen = mask if valid is None else mask & valid[start:end]
            written = pc.if_else(pa.array(chosen), f'"{word}"', written)
        return written

    return texts


def _masked(column: Column, start: int, end: int) -> pa.Array:
    mask = None if column.valid is None else ~column.valid[start:end]
    return pa.array(column.values[start:end], mask=mask)


def json_objects(members: Mapping[str, Texts]) -> Texts:
    """Objects of what each row has; a row without anything is an empty object."""
    labels = {name: orjson.dumps(name).decode() + ":" for name in members}

    def texts(start: int, end: int) -> pa.Array:
        parts = [wrapped(labels[name], member(start, end), "") for name, member in members.items()]
        empty = pa.array([""] * (end - start), pa.string())
        if not parts:
            return wrapped("{", empty, "}")
        joined = pc.binary_join_element_wise(*parts, ",", null_handling="skip")
        return wrapped("{", joined, "}")

    return texts


def wrapped(before: str, texts: pa.Array, after: str) -> pa.Array:
    """Each text between two others; null where it is null."""
    return pc.binary_join_element_wise(pa.scalar(before), texts, pa.scalar(after), "")


def write_lines(file: BinaryIO, lines: pa.Array) -> None:
    """Texts that are never null, each with a line feed."""
    ended = wrapped("", lines, "\n").cast(pa.large_binary())
    offsets = np.frombuffer(ended.buffers()[1], np.int64)
    if len(ended):
        file.write(memoryview(ended.buffers()[2])[offsets[ended.offset] : offsets[ended.offset + len(ended)]])


def write_whole(path: Path, write: Callable[[BinaryIO], None]) -> None:
    """Writes a file that appears under its name only when it is whole.

    Raises
    ------
    TracekitError: TK109 where the file cannot be written.
    """
    partial = path.with_name(path.name + ".partial")
    try:
        with partial.open("wb") as file:
            write(file)
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise TracekitError("TK109", "the trace cannot be written", at=str(path), found=str(error.strerror)) from None
