"""Columns of values in canonical JSON, gathered batch by batch from spans of a text."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tracekit.formats.text import as_int, coded
from tracekit.trace.columns import Column

Int64 = NDArray[np.int64]
Bad = Callable[[int, str], object]
"""Told of a row whose value cannot be read, and why."""

NULL, INTEGER, TEXT, OTHER = range(4)  # as in kernels/edn.py


class Source:
    """A text under scanning: its bytes as the kernels take them, and how an unusual value is read.

    Parameters
    ----------
    kernel: kernels/edn.py, interpreted or compiled. Interpreted, it runs several times faster over `bytes`.
    parse: the complete parser: text of one value to canonical JSON, None for null. Raises ValueError.
    """

    def __init__(self, data: bytes, is_json: bool, kernel: ModuleType, parse: Callable[[str], str | None]) -> None:
        self.data = data
        self.json = int(is_json)
        self.kernel = kernel
        self.parse = parse
        compiled = kernel.__name__.startswith("tracekit.kernels.compiled.")
        self.array: Any = np.frombuffer(data, np.uint8) if compiled else data
        self.stack = np.empty(kernel.MAX_DEPTH, np.int64)

    def text(self, start: int, end: int) -> str:
        """A stretch of the text."""
        return self.data[start:end].decode("utf-8", "replace")


class JsonColumn:
    """One value a row: absent, an integer, or canonical JSON text."""

    def __init__(self, rows: int) -> None:
        self.kind = np.zeros(rows, np.int8)
        self.number = np.zeros(rows, np.int64)
        self.texts: list[pa.Array] = []
        self.other: dict[int, str] = {}

    @classmethod
    def of(cls, source: Source, spans: Int64, bad: Bad) -> JsonColumn:
        """The values at the spans, negative ones absent. `bad` is told rows whose value cannot be read, and why."""
        column = cls(len(spans))
        column.add(source, spans, slice(None), bad)
        return column

    def add(self, source: Source, spans: Int64, rows: slice | Int64, bad: Bad) -> None:
        """Fills some rows; calls come in order of rows. O(bytes)."""
        where = np.arange(len(self.kind))[rows] if isinstance(rows, slice) else rows
        room = int(3 * (spans[:, 1] - spans[:, 0]).sum()) + 8
        out, ends = np.empty(room, np.uint8), np.zeros(len(spans), np.int64)
        kind, number = np.zeros(len(spans), np.int8), np.zeros(len(spans), np.int64)
        count = source.kernel.canonical(source.array, source.json, spans, kind, number, out, ends, source.stack)
        offsets = np.concatenate([[0], ends[:count]])
        self.texts.append(
            pa.LargeStringArray.from_buffers(count, pa.py_buffer(offsets), pa.py_buffer(out[: offsets[-1]].tobytes()))
        )
        for row in np.flatnonzero(kind == OTHER):
            self._parse(source, spans[row], int(where[row]), bad)
            kind[row], number[row] = self.kind[where[row]], self.number[where[row]]
        self.kind[where], self.number[where] = kind, number

    def _parse(self, source: Source, span: Int64, row: int, bad: Bad) -> None:
        try:
            self.set(row, source.parse(source.text(int(span[0]), int(span[1]))))
        except ValueError as error:
            bad(row, str(error))

    def set(self, row: int, value: str | None) -> None:
        """One row that the kernels did not read."""
        number = as_int(value)
        self.kind[row] = NULL if value is None else OTHER if number is None else INTEGER
        if number is not None:
            self.number[row] = number
        elif value is not None:
            self.other[row] = value

    def cut(self, rows: int) -> None:
        """Keeps the first rows."""
        self.kind, self.number = self.kind[:rows], self.number[:rows]

    @property
    def is_number(self) -> bool:
        """Whether all values are integers."""
        return bool((self.kind <= INTEGER).all())

    def column(self) -> Column:
        """Numbers where all values are; else canonical JSON text. O(n log n)."""
        if self.is_number:
            present = self.kind == INTEGER
            return Column(self.number, None if present.all() else present)
        codes = np.full(len(self.kind), -1, np.int64)
        encoded = pa.chunked_array(self.texts, pa.large_string()).combine_chunks().dictionary_encode()
        codes[self.kind == TEXT] = np.asarray(encoded.indices)
        texts = encoded.dictionary.to_pylist()
        integers = self.kind == INTEGER
        if integers.any():
            distinct, places = np.unique(self.number[integers], return_inverse=True)
            codes[integers] = len(texts) + places
            texts += map(str, distinct.tolist())
        for row, text in self.other.items():
            codes[row] = len(texts)
            texts.append(text)
        return coded(texts, codes)

    def names(self) -> Column:
        """The values as plain text: strings without quotes. What is no string stays JSON."""
        return renamed(self.column(), lambda text: str(json.loads(text)) if text.startswith('"') else text)

    def key(self) -> Column:
        """The values as keys: numbers where all are, plain text where all are strings, else JSON."""
        column = self.column()
        if column.texts is None or not all(text.startswith('"') for text in column.texts.to_pylist()):
            return column
        return renamed(column, json.loads)


def renamed(column: Column, name: Callable[[str], str]) -> Column:
    """The column with its texts, or its numbers as texts, changed."""
    if column.texts is not None:
        return coded([name(text) for text in column.texts.to_pylist()], column.values)
    distinct, places = np.unique(column.values, return_inverse=True)
    return coded([name(str(n)) for n in distinct.tolist()], np.where(column.present, places, -1))
