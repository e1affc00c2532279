"""The recorder's logs: JSON Lines with the schema's column names, a line an event, in any language (docs/recording.md).

The file needs no end: a last line that its writer was stopped in is set aside. Lines with ``tracekit.version`` say what
the run declares, ``{"tracekit.complete": true}`` that nothing is missing before it.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from tracekit.formats.json_clocks import Clocks
from tracekit.formats.json_values import JSON, KEY, TRANSACTION, Objects, Values, Want
from tracekit.formats.log_metadata import Metadata
from tracekit.formats.text import Rejects, constant, first_line, read_bytes, wrong_format
from tracekit.registry import Format
from tracekit.trace.assemble import assemble
from tracekit.trace.columns import AnyColumn, Column
from tracekit.trace.join import as_log
from tracekit.trace.schema import FIELD, KINDS, Type
from tracekit.trace.trace import TORN, Trace
from tracekit.vocabulary import domain_fields

NAME = "tracekit-jsonl"
EXAMPLE = '{"process":"n1","kind":"send","message":"n1:0","lamport":1,"vclock":{"n1":1}}'
BATCH = 1 << 11
"""Lines that are parsed at a time: few enough for the processor's cache, which halves the time."""
MOST = 1000
"""Different fields that a file may have; the fields of more are set aside."""
META, COMPLETE = "tracekit.version", "tracekit.complete"

NOT_JSON = "the line is not a JSON object"

TYPES: dict[str, Want] = {"value": JSON, "key": KEY, "txn": TRANSACTION}
"""Columns that JSON writes otherwise than Parquet does: values are themselves, and not JSON text."""


def can_read(path: Path, head: bytes) -> bool:
    """Whether the first line that is an object is an event of the schema, or says what a run declares.

    A kind in capitals is none of the schema's; its row is set aside, which says more than that no format fits.
    """
    for line in head.split(b"\n", 20)[:20]:
        row = _object(line)
        if row is not None:
            return META in row or (isinstance(row.get("process"), str) and str(row.get("kind")).lower() in KINDS)
    return False


def read(path: Path) -> list[Trace]:
    """The one log of the file. O(bytes); a million lines take a few seconds.

    `source` and `line` say where each event stands, unless the file declares its columns. Where it does not declare all
    processes either (``tracekit.processes``), those that it names and has no events of count as not recorded.

    Raises
    ------
    TracekitError: TK201 no line is an event, TK106 lists as vector clocks whose components nothing names, TK107 and
        TK108 as in the native file, TK207 vector clocks too large.
    """
    data = read_bytes(path)
    log = _Log(path, data)
    with _no_collector():
        log.parse()
    if not log.lines and not log.metadata.sections:
        raise wrong_format(path, NAME, first_line(data), f"events such as  {EXAMPLE}")
    return [log.trace()]


class _Log:
    """One file on its way to a trace."""

    def __init__(self, path: Path, data: bytes) -> None:
        self.path = path
        self.data = data
        self.rejects = Rejects(path.name)
        self.metadata = Metadata(str(path), self.rejects)
        self.lines: list[int] = []
        self.fields: dict[str, Values | Objects | Clocks] = {}
        self.torn: tuple[int, bytes] | None = None

    def parse(self) -> None:
        """Every line: an event, metadata, or set aside."""
        for first, lines in _batches(self.data):
            rows = _parsed(lines)
            if all(type(row) is dict and "kind" in row for row in rows):
                self._settle_torn(rows[0])
                self.metadata.event()
                self._add(rows, range(first, first + len(rows)))
            else:
                events, numbers = self._sort(rows, lines, first)
                self._add(events, numbers)
        self._settle_torn(None)

    def _sort(self, rows: list[Any], lines: list[bytes], first: int) -> tuple[list[dict[str, Any]], list[int]]:
        """Which rows are events, and their lines; metadata and what is neither is taken out."""
        events: list[dict[str, Any]] = []
        numbers: list[int] = []
        for number, (row, line) in enumerate(zip(rows, lines, strict=True), first):
            if row is None and not line.strip():
                continue
            if type(row) is not dict:
                self._settle_torn({})
                self.torn = number, line
                continue
            self._settle_torn(row)
            if META in row and "kind" not in row:
                self.metadata.begin(row, number)
            elif COMPLETE in row and "kind" not in row:
                self.metadata.end(row[COMPLETE], number)
            else:
                self.metadata.event()
                events.append(row)
                numbers.append(number)
        return events, numbers

    def _settle_torn(self, following: dict[str, Any] | None) -> None:
        """A bad line is torn if the file ends in it (`following` is None), or if a crash or a restart follows it."""
        if self.torn is None:
            return
        (number, line), self.torn = self.torn, None
        torn = not self.data.endswith(b"\n") if following is None else following.get("kind") in ("crash", "restart")
        self.rejects.add(number, TORN if torn else NOT_JSON, line.decode("utf-8", "replace"))

    def _add(self, rows: list[dict[str, Any]], numbers: range | list[int]) -> None:
        if not rows:
            return
        names = dict.fromkeys(name for keys in dict.fromkeys(map(tuple, rows)) for name in keys)
        done = len(self.lines)
        self.lines.extend(numbers)
        for name in names:
            field = self.fields.get(name)
            if field is None:
                field = self._field(name, done)
            if field is None:
                self._too_many(name, rows, numbers)
            else:
                field.add([row.get(name) for row in rows])
        for field in self.fields.values():
            field.skip(done + len(rows) - field.count)

    def _field(self, name: str, done: int) -> Values | Objects | Clocks | None:
        """The column that a field which is met for the first time goes to; None where there are too many."""
        if len(self.fields) >= MOST and name not in FIELD:
            return None

        def bad(row: int, value: Any) -> None:
            self.rejects.add(self.lines[row], f"{name}: no {shown}", str(value), name)

        want = self.metadata.columns.get(name) or TYPES.get(name) or _type(name)
        shown = want if isinstance(want, str) else "list of micro-operations"
        field: Values | Objects | Clocks
        if name == "vclock":
            field, shown = Clocks(bad), "vector clock"
        elif isinstance(want, dict):
            field = Objects(want, bad)
        else:
            field = Values(want, bad)
        field.skip(done)
        self.fields[name] = field
        return field

    def _too_many(self, name: str, rows: list[dict[str, Any]], numbers: range | list[int]) -> None:
        for row, number in zip(rows, numbers, strict=True):
            if row.get(name) is not None:
                self.rejects.add(number, f"more than {MOST} different fields", str(row[name]), name)

    def trace(self) -> Trace:
        """All events as a trace."""
        metadata, at = self.metadata, str(self.path)
        columns: dict[str, AnyColumn] = {}
        clocks: Clocks | None = None
        for name in dict.fromkeys((*metadata.columns, "process", "kind", *self.fields)):
            field = self.fields.get(name) or _absent(metadata.columns.get(name, Type.TEXT), len(self.lines))
            if isinstance(field, Clocks):
                clocks = field
                continue
            column = field.column()
            if name in metadata.columns or name in ("process", "kind") or column.present.any():
                columns[name] = column
        processes = metadata.processes
        if clocks is not None:
            processes = clocks.components(processes, columns["process"])
            column = clocks.column(processes, at)
            columns |= {"vclock": column} if processes else {}
        if metadata.typed:
            columns = {name: columns[name] for name in metadata.columns if name in columns} | columns
        added = self._place(columns)
        trace = assemble(
            columns | added,
            at=at,
            processes=processes,
            run=metadata.run,
            path=at,
            set_aside=metadata.set_aside + self.rejects.result(),
            complete=metadata.complete,
            inferred=metadata.inferred,
        )
        if metadata.typed:
            trace = replace(trace, columns={k: column for k, column in trace.columns.items() if k not in added})
        return trace if metadata.closed else as_log(trace)

    def _place(self, columns: dict[str, AnyColumn]) -> dict[str, AnyColumn]:
        """`source` and `line` of every event, where the events do not bring their own."""
        if "source" in columns or "line" in columns:
            return {}
        return {"source": constant(self.path.name, len(self.lines)), "line": Column(np.array(self.lines, np.int64))}


def _absent(want: Want, rows: int) -> Values | Objects:
    """A field that no event has."""
    field = Objects(want, _fine) if isinstance(want, dict) else Values(want, _fine)
    field.skip(rows)
    return field


def _fine(row: int, value: Any) -> None:
    """Nothing is bad where nothing is."""


def _type(name: str) -> str | None:
    field = FIELD.get(name) or domain_fields().get(name)
    if field is None or field.type in (Type.VECTOR, Type.TRANSACTION):
        return None
    return field.type.value


@contextmanager
def _no_collector() -> Iterator[None]:
    """What is parsed holds no cycles; the garbage collector would look at it again and again, a third of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _object(line: bytes) -> dict[str, Any] | None:
    try:
        row = orjson.loads(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) else None


def _batches(data: bytes) -> Iterator[tuple[int, list[bytes]]]:
    """The lines of a text, many at a time, with the number of the first."""
    start, number = 0, 1
    while start < len(data):
        end = min(start + (BATCH << 11), len(data))
        end = data.find(b"\n", end) + 1 or len(data)
        lines = data[start:end].removesuffix(b"\n").split(b"\n")
        for first in range(0, len(lines), BATCH):
            yield number + first, lines[first : first + BATCH]
        start, number = end, number + len(lines)


def _parsed(lines: list[bytes]) -> list[Any]:
    """The lines' values, None where a line is no JSON."""
    try:
        return list(map(orjson.loads, lines))
    except ValueError:
        return [_object(line) for line in lines]


FORMAT = Format(
    name=NAME,
    summary="tracekit's own logs: JSON Lines with the schema's columns, as the Recorder writes them",
    can_read=can_read,
    read=read,
    example=EXAMPLE,
)
