"""Columns of a trace: arrays with a mask for absent values; text as codes into a list of distinct texts.

Everything is built from Arrow batches, one batch at a time, into arrays allocated once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Int64 = NDArray[np.int64]
Bool = NDArray[np.bool_]


@dataclass(frozen=True, eq=False, slots=True)
class Column:
    """One value a row.

    Attributes
    ----------
    values: shape (n,). int64, float64 or bool; int32 codes where ``texts`` is set; int32 also for the members of
        vector clocks that fit. What stands where ``valid`` is false means nothing (codes are -1 there).
    valid: shape (n,), true where the row has a value; None where every row has.
    texts: the distinct texts that the codes point at, an Arrow string array; None for numbers.
    """

    values: NDArray[Any]
    valid: Bool | None = None
    texts: pa.StringArray | None = None

    def __len__(self) -> int:
        return len(self.values)

    @property
    def present(self) -> Bool:
        """Shape (n,): true where the row has a value."""
        return np.ones(len(self.values), np.bool_) if self.valid is None else self.valid

    def at(self, row: int) -> str | int | float | bool | None:
        """The value at a row, None where it has none."""
        if self.valid is not None and not self.valid[row]:
            return None
        value = self.values[row]
        if self.texts is not None:
            return str(self.texts[int(value)].as_py())
        return value.item()  # type: ignore[no-any-return]

    def differs(self, first: NDArray[Any], second: NDArray[Any]) -> Bool:
        """Whether rows have other values than their counterparts: both have one, and not the same. NaN is itself."""
        here, there = self.values[first], self.values[second]
        differ: Bool = here != there
        if self.values.dtype.kind == "f":
            differ &= ~(np.isnan(here) & np.isnan(there))
        return differ if self.valid is None else differ & self.valid[first] & self.valid[second]

    def code(self, text: str) -> int:
        """The code of a text, -1 where no row has it."""
        assert self.texts is not None, "only text has codes"
        texts = self.texts.to_pylist()
        return texts.index(text) if text in texts else -1

    def text(self, code: int) -> str:
        """The text of a code."""
        assert self.texts is not None, "only text has codes"
        return str(self.texts[int(code)].as_py())

    def take(self, rows: NDArray[Any]) -> Column:
        """The column of some rows, in the order asked for; codes keep their meaning."""
        return Column(self.values[rows], None if self.valid is None else self.valid[rows], self.texts)

    def to_arrow(self) -> pa.Array:
        """The column as an Arrow array; text comes dictionary-encoded."""
        mask = None if self.valid is None else ~self.valid
        if self.texts is None:
            return pa.array(self.values, mask=mask)
        return pa.DictionaryArray.from_arrays(pa.array(self.values.astype(np.int32), mask=mask), self.texts)


@dataclass(frozen=True, eq=False, slots=True)
class ListColumn:
    """A list a row: row i holds ``items[offsets[i]:offsets[i + 1]]``.

    Attributes
    ----------
    offsets: int64, shape (n + 1,).
    items: the members of all lists, back to back; a mapping of columns where members are structs.
    valid: as in `Column`.
    """

    offsets: Int64
    items: Column | Mapping[str, Column]
    valid: Bool | None = None

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def present(self) -> Bool:
        """Shape (n,): true where the row has a list, be it empty."""
        return np.ones(len(self), np.bool_) if self.valid is None else self.valid

    def at(self, row: int) -> list[Any] | None:
        """The list at a row, None where it has none."""
        if self.valid is not None and not self.valid[row]:
            return None
        span = range(int(self.offsets[row]), int(self.offsets[row + 1]))
        if isinstance(self.items, Column):
            return [self.items.at(i) for i in span]
        return [{name: column.at(i) for name, column in self.items.items()} for i in span]

    def differs(self, first: NDArray[Any], second: NDArray[Any]) -> Bool:
        """Whether rows have other lists than their counterparts: both have one, and some member differs. O(members)."""
        sizes = self.offsets[first + 1] - self.offsets[first]
        differ: Bool = sizes != self.offsets[second + 1] - self.offsets[second]
        same = np.flatnonzero(~differ)
        owner = np.repeat(same, sizes[same])
        place = np.arange(len(owner)) - np.repeat(np.cumsum(sizes[same]) - sizes[same], sizes[same])
        here, there = self.offsets[first[owner]] + place, self.offsets[second[owner]] + place
        for column in [self.items] if isinstance(self.items, Column) else self.items.values():
            one_lacks = column.present[here] != column.present[there]
            differ[owner[one_lacks | column.differs(here, there)]] = True
        return differ if self.valid is None else differ & self.valid[first] & self.valid[second]

    def take(self, rows: NDArray[Any]) -> ListColumn:
        """The column of some rows, in the order asked for."""
        rows = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
        lengths = self.offsets[rows + 1] - self.offsets[rows]
        offsets = np.zeros(len(rows) + 1, np.int64)
        np.cumsum(lengths, out=offsets[1:])
        members = np.arange(offsets[-1]) + np.repeat(self.offsets[rows] - offsets[:-1], lengths)
        items = (
            self.items.take(members)
            if isinstance(self.items, Column)
            else {name: column.take(members) for name, column in self.items.items()}
        )
        return ListColumn(offsets, items, None if self.valid is None else self.valid[rows])

    def to_arrow(self) -> pa.Array:
        """The column as an Arrow list array."""
        if isinstance(self.items, Column):
            items = self.items.to_arrow()
            items = items.dictionary_decode() if isinstance(items, pa.DictionaryArray) else items
            items = items.cast(pa.int64()) if pa.types.is_int32(items.type) else items
        else:
            members = {name: column.to_arrow() for name, column in self.items.items()}
            decoded = [m.dictionary_decode() if isinstance(m, pa.DictionaryArray) else m for m in members.values()]
            items = pa.StructArray.from_arrays(decoded, names=list(members))
        mask = None if self.valid is None else pa.array(~self.valid)
        return pa.ListArray.from_arrays(pa.array(self.offsets.astype(np.int32)), items, mask=mask)


AnyColumn = Column | ListColumn


class ColumnReader:
    """Gathers the batches of one Arrow column into a `Column` or `ListColumn`, copying each batch once.

    Parameters
    ----------
    kind: the Arrow type of the column.
    rows: how many rows all batches have together.
    members: for lists, an upper bound of the members of all lists together; None: unknown, gathered in chunks.
    narrow: whether integer members are held in 32 bits while all fit: vector clocks are most of a trace.
    """

    def __init__(self, kind: pa.DataType, rows: int, members: int | None = None, narrow: bool = False) -> None:
        self.kind = kind
        self.rows = rows
        self.filled = 0
        self.valid: Bool | None = None
        self.text = is_text(kind)
        self.chunks: list[pa.Array] = []
        self.dictionaries: list[tuple[int, pa.StringArray]] = []
        self.offsets: Int64 | None = None
        self.values: NDArray[Any] | None = None
        self.member_valid: Bool | None = None
        if is_list(kind):
            self.offsets = np.zeros(rows + 1, np.int64)
            if members is not None and pa.types.is_integer(kind.value_type):
                self.values = np.empty(members, np.int32 if narrow else np.int64)
        else:
            self.values = np.empty(rows, np.int32 if self.text else _number_type(kind))

    def add(self, batch: pa.Array) -> None:
        """Takes the next batch."""
        start, end = self.filled, self.filled + len(batch)
        self.filled = end
        if self.text:
            self._add_texts(batch, start, end)
            return
        if batch.null_count:
            if self.valid is None:
                self.valid = np.ones(self.rows, np.bool_)
            self.valid[start:end] = _mask(batch)
        if self.offsets is not None:
            self._add_lists(batch, start, end)
        else:
            assert self.values is not None
            self.values[start:end] = _numbers(batch)

    def _add_texts(self, batch: pa.Array, start: int, end: int) -> None:
        """Codes into the batch's own dictionary, which is mostly that of the batch before."""
        assert self.values is not None
        encoded = batch if isinstance(batch, pa.DictionaryArray) else batch.dictionary_encode()
        self.values[start:end] = _filled(encoded.indices, -1)
        texts = encoded.dictionary.cast(pa.string())
        if not self.dictionaries or not texts.equals(self.dictionaries[-1][1]):
            self.dictionaries.append((start, texts))

    def _add_lists(self, batch: pa.Array, start: int, end: int) -> None:
        assert self.offsets is not None
        lengths = _filled(pc.list_value_length(batch), 0)
        np.cumsum(lengths, out=self.offsets[start + 1 : end + 1])
        self.offsets[start + 1 : end + 1] += self.offsets[start]
        flat = batch.flatten()
        if self.values is None:
            self.chunks.append(flat)
        else:
            span = slice(self.offsets[start], self.offsets[end])
            numbers = _numbers(flat)
            if self.values.dtype == np.int32 and len(numbers) and not _fit_int32(numbers):
                self.values = self.values.astype(np.int64)
            self.values[span] = numbers
            if flat.null_count:
                if self.member_valid is None:
                    self.member_valid = np.ones(len(self.values), np.bool_)
                self.member_valid[span] = _mask(flat)

    def finish(self) -> AnyColumn:
        """The whole column."""
        if self.offsets is not None:
            if self.values is not None:
                used = int(self.offsets[-1])
                valid = None if self.member_valid is None else self.member_valid[:used]
                return ListColumn(self.offsets, Column(self.values[:used], valid), self.valid)
            members = pa.chunked_array(self.chunks, type=None if self.chunks else self.kind.value_type)
            return ListColumn(self.offsets, _members(members), self.valid)
        assert self.values is not None
        return _encode(self.values, self.dictionaries) if self.text else Column(self.values, self.valid)


def _members(members: pa.ChunkedArray) -> Column | dict[str, Column]:
    if pa.types.is_struct(members.type):
        fields = [members.type.field(i).name for i in range(members.type.num_fields)]
        return {name: _flat(pc.struct_field(members, name)) for name in fields}
    return _flat(members)


def _flat(array: pa.ChunkedArray) -> Column:
    reader = ColumnReader(array.type, len(array))
    for chunk in array.chunks:
        reader.add(chunk)
    column = reader.finish()
    assert isinstance(column, Column), "lists of lists are refused before"
    return column


def _encode(codes: NDArray[np.int32], dictionaries: list[tuple[int, pa.StringArray]]) -> Column:
    """Codes that point into one dictionary; from each given row on, they point into that row's."""
    if not dictionaries:
        return Column(codes, None, pa.array([], pa.string()))
    if len(dictionaries) == 1:
        return _without_null_text(codes, dictionaries[0][1])
    pieces = pa.chunked_array([pa.DictionaryArray.from_arrays(_places(len(texts)), texts) for _, texts in dictionaries])
    unified = pieces.unify_dictionaries().chunks
    ends = [start for start, _ in dictionaries[1:]] + [len(codes)]
    for (start, _), end, piece in zip(dictionaries, ends, unified, strict=True):
        codes[start:end] = np.append(_filled(piece.indices, -1), np.int32(-1))[codes[start:end]]
    return _without_null_text(codes, unified[0].dictionary)


def _places(count: int) -> pa.Int32Array:
    """0, 1, 2, ...; from a buffer: Arrow's own conversion imports pandas where it is installed."""
    return pa.Array.from_buffers(pa.int32(), count, [None, pa.py_buffer(np.arange(count, dtype=np.int32))])


def _without_null_text(codes: NDArray[np.int32], texts: pa.Array) -> Column:
    """A dictionary may itself hold a null, and equal texts twice; then codes are made anew."""
    if texts.null_count or len(pc.unique(texts)) != len(texts):
        again = pa.DictionaryArray.from_arrays(pa.array(codes, mask=codes < 0), texts).cast(pa.string())
        again = again.dictionary_encode()
        codes = _filled(again.indices, -1).astype(np.int32)
        texts = again.dictionary
    present = codes >= 0
    return Column(codes, None if present.all() else present, texts)


def _number_type(kind: pa.DataType) -> type[Any]:
    if pa.types.is_floating(kind):
        return np.float64
    if pa.types.is_boolean(kind):
        return np.bool_
    return np.int64


def _numbers(array: pa.Array) -> NDArray[Any]:
    """An Arrow array of numbers as numpy; what stands at nulls means nothing."""
    if pa.types.is_timestamp(array.type) or pa.types.is_duration(array.type):
        array = array.cast(pa.int64())
    if pa.types.is_boolean(array.type):
        return _numbers(array.cast(pa.uint8())).astype(np.bool_)
    if pa.types.is_float16(array.type):
        array = array.cast(pa.float64())
    data = array.buffers()[1]
    if data is None:
        return np.zeros(len(array), np.int64)
    # Through the buffer: Arrow's own conversion imports pandas (0.4 s) where it is installed.
    kind = np.dtype(str(array.type) if not pa.types.is_floating(array.type) else f"f{array.type.bit_width // 8}")
    return np.frombuffer(data, kind, count=array.offset + len(array))[array.offset :]


def _fit_int32(numbers: NDArray[Any]) -> bool:
    kind = np.iinfo(np.int32)
    return bool(numbers.min() >= kind.min and numbers.max() <= kind.max)


def _filled(array: pa.Array, value: int) -> NDArray[Any]:
    numbers = _numbers(array)
    return np.where(_mask(array), numbers, value) if array.null_count else numbers


def _mask(array: pa.Array) -> Bool:
    """Shape (n,): where an Arrow array has values."""
    return _numbers(array.is_valid())


def is_text(kind: pa.DataType) -> bool:
    """Whether values of the Arrow type are texts, dictionary-encoded or plain."""
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_null(kind))


def is_list(kind: pa.DataType) -> bool:
    """Whether values of the Arrow type are lists (maps are not)."""
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def from_arrow(array: pa.Array | pa.ChunkedArray) -> AnyColumn:
    """One Arrow array as a column.

    Raises
    ------
    TypeError: for types that no trace column can have (nested lists, binary, ...); see `supported`.
    """
    if not supported(array.type):
        raise TypeError(f"no trace column has type {array.type}")
    reader = ColumnReader(array.type, len(array))
    for chunk in array.chunks if isinstance(array, pa.ChunkedArray) else [array]:
        reader.add(chunk)
    return reader.finish()


def supported(kind: pa.DataType) -> bool:
    """Whether a column of the Arrow type can be held."""
    types = pa.types
    if is_list(kind):
        inner = kind.value_type
        if types.is_struct(inner):
            return all(
                supported(inner.field(i).type) and not is_list(inner.field(i).type) for i in range(inner.num_fields)
            )
        return supported(inner) and not is_list(inner)
    return (
        is_text(kind)
        or types.is_integer(kind)
        or types.is_floating(kind)
        or types.is_boolean(kind)
        or types.is_timestamp(kind)
        or types.is_duration(kind)
    )


def from_values(values: Iterable[Any], kind: pa.DataType | None = None) -> AnyColumn:
    """Python values, None where absent, as a column."""
    return from_arrow(pa.array(values, type=kind))


def texts_of(column: Column) -> Iterator[str]:
    """The distinct texts of a text column, in code order."""
    assert column.texts is not None, "only text has texts"
    return iter(column.texts.to_pylist())
