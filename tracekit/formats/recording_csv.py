"""CSV with the schema's column names: what ``convert -o run.csv`` writes, and anybody's spreadsheet can.

A cell without quotes and without text is no value. Vector clocks, lists and transactions are JSON text.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
from numpy.typing import NDArray

from tracekit.formats.json_clocks import Clocks
from tracekit.formats.json_values import TRANSACTION, Objects, Values
from tracekit.formats.text import Rejects, constant, first_line, read_bytes, wrong_format
from tracekit.registry import Format
from tracekit.trace.assemble import assemble
from tracekit.trace.columns import AnyColumn, Column, ListColumn, from_arrow
from tracekit.trace.join import as_log
from tracekit.trace.schema import FIELD, KINDS, Type
from tracekit.trace.trace import Trace
from tracekit.vocabulary import domain_fields

NAME = "tracekit-csv"
EXAMPLE = "process,kind,message,lamport\nn1,send,7,1"
SHORT = "the row has not as many cells as the header"
WHOLE = r"^-?(0|[1-9][0-9]{0,18})$"
NUMBER = r"^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?$|^-?inf$|^nan$"


def can_read(path: Path, head: bytes) -> bool:
    """Whether the first line names the required columns, and the second, if there is one, has a known kind."""
    lines = head.decode("utf-8", "replace").removeprefix("\ufeff").split("\n", 2)
    try:
        names, *rest = csv.reader(lines[:2])
    except (csv.Error, ValueError):
        return False
    if "process" not in names or "kind" not in names:
        return False
    cells = rest[0] if rest else []
    place = names.index("kind")
    return len(lines) < 3 or len(cells) <= place or cells[place] in KINDS


def read(path: Path) -> list[Trace]:
    """The one execution in the file. O(bytes).

    Types that the schema or a domain does not give are found from all cells of a column: numbers, truth values,
    lists in JSON, else text.

    Raises
    ------
    TracekitError: TK201 where there is no such table, TK106 lists as vector clocks whose components nothing names.
    """
    data = read_bytes(path)
    rejects = Rejects(path.name)
    table, lines = _table(path, data, rejects)
    columns: dict[str, AnyColumn] = {}
    clocks: Clocks | None = None
    for name, cells in zip(table.column_names, table.columns, strict=True):

        def bad(row: int, value: Any, name: str = name) -> None:
            rejects.add(int(lines[row]), f"{name}: a value of another type", str(value), name)

        if name == "vclock":
            clocks = Clocks(bad)
            clocks.add(_parsed(cells, bad))
        else:
            columns[name] = _column(name, cells, bad)
    processes: list[str] = []
    if clocks is not None:
        processes = clocks.components([], columns["process"])
        column = clocks.column(processes, str(path))
        columns |= {"vclock": column} if processes else {}
    if not {"source", "line"} & columns.keys():
        columns |= {"source": constant(path.name, len(lines)), "line": Column(lines)}
    trace = assemble(
        columns, at=str(path), path=str(path), processes=processes, set_aside=rejects.result(), complete=False
    )
    return [as_log(trace)]


def _table(path: Path, data: bytes, rejects: Rejects) -> tuple[pa.Table, NDArray[np.int64]]:
    """All cells as text, and the line of each row."""
    bad: list[tuple[int, str]] = []

    def handle(row: pyarrow.csv.InvalidRow) -> str:
        bad.append((row.number, row.text))
        return "skip"

    try:
        header = next(csv.reader([data.split(b"\n", 1)[0].decode()]), [])
    except csv.Error:
        header = []
    if "process" not in header or "kind" not in header or len(set(header)) != len(header):
        raise wrong_format(path, NAME, first_line(data), f"a table such as\n{EXAMPLE}")
    try:
        table = pyarrow.csv.read_csv(
            pa.BufferReader(data),
            pyarrow.csv.ReadOptions(use_threads=False),
            pyarrow.csv.ParseOptions(newlines_in_values=True, invalid_row_handler=handle),
            pyarrow.csv.ConvertOptions(
                column_types=dict.fromkeys(header, pa.string()), null_values=[""], strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        )  # fmt: skip
    except pa.ArrowException as error:
        raise wrong_format(path, NAME, str(error).splitlines()[0], f"a table such as\n{EXAMPLE}") from None
    lines = _lines(data)
    kept = np.ones(len(lines), np.bool_)
    for number, text in bad:
        if number is not None and 2 <= number <= len(lines) + 1:
            kept[number - 2] = False
            rejects.add(int(lines[number - 2]), SHORT, text)
    lines = lines[kept]
    return table, lines if len(lines) == len(table) else np.arange(2, len(table) + 2)


def _lines(data: bytes) -> NDArray[np.int64]:
    """The line on which each row after the header begins; blank lines are no rows."""
    text = np.frombuffer(data, np.uint8)
    feeds = np.flatnonzero(text == 10)
    outside = np.cumsum(text == 34)[feeds] % 2 == 0 if len(feeds) else np.zeros(0, np.bool_)
    starts = np.concatenate([[0], feeds[outside] + 1])
    ends = np.append(feeds[outside], len(text))
    numbers = np.concatenate([[0], np.flatnonzero(outside) + 1]) + 1
    blank = (ends <= starts) | ((ends == starts + 1) & (text[np.minimum(starts, len(text) - 1)] == 13))
    lines: NDArray[np.int64] = numbers[~blank][1:].astype(np.int64)
    return lines


def _column(name: str, cells: pa.ChunkedArray, bad: Any) -> AnyColumn:
    field = FIELD.get(name) or domain_fields().get(name)
    if name == "txn":
        transactions = Objects(TRANSACTION, bad)
        transactions.add(_parsed(cells, bad))
        return transactions.column()
    if field is not None and field.type is Type.TEXT:
        return from_arrow(cells)
    if field is None or field.type is Type.TEXT_OR_INT:
        return _inferred(cells, only_integers=field is not None)
    values = Values(field.type.value, bad)
    values.add(_parsed(cells, bad))
    return values.column()


def _inferred(cells: pa.ChunkedArray, only_integers: bool) -> AnyColumn:
    """Integers where all cells are; else, unless those only, other numbers, truth values or lists; else text."""
    if cells.null_count == len(cells):
        return from_arrow(cells)
    kinds = [(WHOLE, pa.int64())]
    if not only_integers:
        kinds += [(NUMBER, pa.float64()), ("^(true|false)$", pa.bool_())]
    for expression, kind in kinds:
        if pc.all(pc.match_substring_regex(cells, expression)).as_py():
            try:
                return from_arrow(cells.cast(kind))
            except pa.ArrowException:
                continue  # a number beyond 64 bits
    if not only_integers and pc.all(pc.match_substring_regex(cells, r"^\[.*\]$")).as_py():
        wrong: list[int] = []
        values = Values(None, lambda row, value: wrong.append(row))
        values.add(_parsed(cells, lambda row, value: wrong.append(row)))
        if not wrong and isinstance(column := values.column(), ListColumn):
            return column
    return from_arrow(cells)


def _parsed(cells: pa.ChunkedArray, bad: Any) -> list[Any]:
    """Cells as JSON, None where they are empty; fractions that JSON has no number for as text."""
    parsed: list[Any] = []
    for row, text in enumerate(cells.to_pylist()):
        try:
            parsed.append(None if text is None else _WORDS[text] if text in _WORDS else orjson.loads(text))
        except ValueError:
            parsed.append(None)
            bad(row, text)
    return parsed


_WORDS = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}


FORMAT = Format(
    name=NAME,
    summary="CSV with the schema's columns (process, kind, ...); others through a mapping file",
    can_read=can_read,
    read=read,
    example=EXAMPLE,
)
