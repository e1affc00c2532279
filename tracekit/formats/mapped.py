"""Any log of one event a row, read through a mapping: JSON Lines, CSV, or lines of text."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tracekit.errors import TracekitError, nearest
from tracekit.formats.edn import dumps
from tracekit.formats.mapping import UNITS, MappingFile, Source, at, load_mapping
from tracekit.formats.rows import read_rows
from tracekit.formats.table import Table, label, labels
from tracekit.formats.text import Rejects, as_int, collector_paused, constant, first_line, read_bytes, wrong_format
from tracekit.formats.vector_clocks import Clocks, in_order
from tracekit.trace.assemble import assemble
from tracekit.trace.columns import AnyColumn, Column, from_values
from tracekit.trace.schema import FIELD, KINDS, Type
from tracekit.trace.trace import Trace
from tracekit.vocabulary import domain_fields

LARGEST = 2**63
SHOWN = 6


def read_mapped(path: Path, mapping_path: Path) -> list[Trace]:
    """The one execution in the file, its columns as the mapping says. About 100,000 rows a second.

    Rows without a process or a kind are set aside whole, values of a wrong type or without a translation singly.

    Raises
    ------
    TracekitError: TK201 where no line is a row, TK203 and TK204 where the mapping is wrong or does not fit the file.
    """
    mapping = load_mapping(mapping_path)
    with collector_paused():
        return _read(path, mapping)


def _read(path: Path, mapping: MappingFile) -> list[Trace]:
    data = read_bytes(path)
    rejects = Rejects(path.name)
    rows, lines = read_rows(data, mapping.layout, rejects)
    if not rows:
        wants = {"jsonl": "a JSON object a line", "csv": "a header and rows", "text": "lines that the pattern matches"}
        raise wrong_format(path, mapping.layout.kind, first_line(data), wants[mapping.layout.kind])
    table = Table(rows)
    for source in mapping.sources:
        _require(path, mapping, source, table)
    reader = _Reader(mapping, table, lines, rejects)
    columns: dict[str, list[Any]] = {}
    for source in mapping.sources:
        values = reader.read(source)
        before = columns.get(source.target)
        columns[source.target] = values if before is None else _first(before, values)
    if KINDS.keys().isdisjoint(columns["kind"]):
        raise _no_kinds(path, mapping, table)
    return [_trace(path, mapping, reader, columns)]


def _first(values: list[Any], others: list[Any]) -> list[Any]:
    return [other if value is None else value for value, other in zip(values, others, strict=True)]


def _require(path: Path, mapping: MappingFile, source: Source, table: Table) -> None:
    """A column that no row has is a mistake in the mapping, unless it says that it may be."""
    for name in (*source.paths, *source.join, *source.when):
        if source.optional or name in table.keys or any(value is not None for value in table.column(name)):
            continue
        near = nearest(re.split(r"[.\[]", name)[0], table.keys)
        raise TracekitError(
            "TK204", f"the mapping takes `{source.target}` from a column that no row has",
            at=at(mapping.path, source.line, source.text),
            found=f"{path.name} has {', '.join(sorted(table.keys))}"[:400], want=name,
            help=(f"{near[0]} may be meant; " if near else "") + "optional = true says that a column may be absent",
        )  # fmt: skip


HINTS = {
    "send": ("send", "sent", "_out"), "receive": ("recv", "receive", "deliver", "_in"), "ok": ("ok", "success"),
    "invoke": ("invoke", "request"), "crash": ("crash",), "restart": ("restart",),
}  # fmt: skip
"""Parts of words that may mean a kind."""


def _no_kinds(path: Path, mapping: MappingFile, table: Table) -> TracekitError:
    """No row has a kind: what the column holds, and which other column may be meant."""
    source = next(source for source in mapping.sources if source.target == "kind")
    name = (*source.paths, *source.join, "")[0]
    held = Counter(labels(table.column(name))) if name else Counter([str(source.constant)])
    shown = ", ".join(f"{value} {count:,}" for value, count in held.most_common(SHOWN))
    return TracekitError(
        "TK204", f"the mapping takes `kind` from a {'column' if name else 'constant'} that holds no event kinds",
        at=at(mapping.path, source.line, source.text),
        found=f'{path.name}, "{name}" in {len(table.rows):,} rows: {shown}; 0 rows fit', want=" ".join(KINDS),
        help=_other_kinds(table, name),
    )  # fmt: skip


def _other_kinds(table: Table, name: str) -> str | None:
    """The column whose words come closest to kinds, as a help."""
    best, most, held = "", 0, Counter[str]()
    for key in sorted(table.keys - {name}):
        words = Counter(value for value in labels(table.column(key)) if value is not None)
        hits = sum(count for word, count in words.items() if _kind_like(word)) if len(words) <= 50 else 0
        if hits > most:
            best, most, held = key, hits, words
    if not best:
        return None
    values = held.most_common(SHOWN)
    fits = ", ".join(f'{json.dumps(word)} = "{_kind_like(word)}"' for word, _ in values if _kind_like(word))
    return (
        f'column "{best}" may be meant: ' + ", ".join(f"{word} {count:,}" for word, count in values)
        + f'. If so, write\nkind = {{ column = "{best}", values = {{ {fits} }} }}'
    )  # fmt: skip


def _kind_like(word: str) -> str | None:
    return next((kind for kind, parts in HINTS.items() if any(part in word.lower() for part in parts)), None)


class _Reader:
    """Takes columns from a table; what does not fit is set aside with its line."""

    def __init__(self, mapping: MappingFile, table: Table, lines: list[int], rejects: Rejects) -> None:
        self.table, self.lines, self.rejects = table, lines, rejects
        self.typed = mapping.layout.kind == "jsonl"
        self.kept: dict[tuple[str, tuple[str, ...]], list[bool]] = {}

    def read(self, source: Source) -> list[Any]:
        """One column's values, None where absent."""
        values = self._found(source)
        if source.pattern is not None:
            values = [None if value is None else _matched(source.pattern, value) for value in labels(values)]
        if source.values is not None:
            values = self._translated(source, values)
        if source.absent is not None:
            values = [source.absent if value is None else value for value in values]
        for name, wanted in source.when.items():
            if (name, wanted) not in self.kept:
                self.kept[name, wanted] = [test in wanted for test in self.table.labels(name)]
            values = [value if keep else None for value, keep in zip(values, self.kept[name, wanted], strict=True)]
        return labels(values) if source.target in ("process", "kind") else self._converted(source, values)

    def _found(self, source: Source) -> list[Any]:
        if source.constant is not None:
            return [source.constant] * len(self.table.rows)
        if source.join:
            parts = zip(*(self.table.labels(name) for name in source.join), strict=True)
            return [None if None in part else ":".join(part) for part in parts]
        values = self.table.column(source.paths[0])
        for name in source.paths[1:]:
            values = _first(values, self.table.column(name))
        return values

    def _translated(self, source: Source, values: list[Any]) -> list[Any]:
        assert source.values is not None, "asked for only then"
        found = labels(values)
        out = [source.values.get(text, MISSING) for text in found]
        for row, value in enumerate(out) if MISSING in out else ():
            if value is not MISSING:
                continue
            kept = source.keep or source.target == "kind"  # a row of an unknown kind is set aside as a whole
            out[row] = values[row] if kept else source.default
            if not kept and source.default is None and values[row] is not None:
                reason = f"no translation of a value of {source.target}"
                self.rejects.add(self.lines[row], reason, found[row], source.target)
            elif source.target == "kind" and source.default is not None and values[row] is not None:
                out[row] = source.default
        return out

    def _converted(self, source: Source, values: list[Any]) -> list[Any]:
        field = FIELD.get(source.target) or domain_fields().get(source.target)
        if source.target in ("value", "key", "message") or field is None:
            return values
        time = source.target in ("time_ns", "true_time_ns")
        if not (time and source.unit != "ns") and _fits(field.type, values):
            return values
        convert = _time(source.unit) if time else _clock if source.target == "vclock" else _CONVERT[field.type]
        out = []
        for row, value in enumerate(values):
            try:
                out.append(None if value is None else convert(value))
            except (ValueError, TypeError, OverflowError, RecursionError):
                self.rejects.add(self.lines[row], f"not of type {field.type}", str(value), source.target)
                out.append(None)
        return out


MISSING = object()


def _matched(pattern: re.Pattern[bytes], text: str) -> str | None:
    """What the first group that took part in the match found; the whole match of a pattern without groups."""
    match = pattern.search(text.encode())
    if match is None:
        return None
    found = next((group for group in match.groups() if group is not None), match[0] if not pattern.groups else None)
    return None if found is None else found.decode("utf-8", "replace")


def _integer(value: Any) -> int:
    number = int(value) if isinstance(value, int | str) and not isinstance(value, bool) else None
    if number is None and isinstance(value, float) and value.is_integer():
        number = int(value)
    if number is None or not -LARGEST <= number < LARGEST:
        raise ValueError(value)
    return number


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if value in ("true", "false"):
        return bool(value == "true")
    raise ValueError(value)


def _list_of(convert: Callable[[Any], Any]) -> Callable[[Any], list[Any]]:
    def lists(value: Any) -> list[Any]:
        if not isinstance(value, list):
            raise ValueError(value)
        return [convert(item) for item in value]

    return lists


def _clock(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(name): _integer(number) for name, number in value.items()}
    return [_integer(item) for item in value] if isinstance(value, list) else _clock(json.loads(value))


def _time(unit: str) -> Callable[[Any], int]:
    """Times in nanoseconds; of ISO 8601, one without a zone counts as UTC."""

    def number(value: Any) -> int:
        if isinstance(value, int) or (isinstance(value, str) and as_int(value) is not None):
            return _integer(_integer(value) * UNITS[unit])
        return _integer(round(float(value) * UNITS[unit]))

    def iso(value: Any) -> int:
        moment = datetime.fromisoformat(value)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        since = moment - datetime(1970, 1, 1, tzinfo=UTC)
        return _integer((since.days * 86_400 + since.seconds) * 1_000_000_000 + since.microseconds * 1_000)

    return iso if unit == "iso" else number


def _fits(wanted: Type, values: list[Any]) -> bool:
    """Whether no value needs to be converted; asked of whole columns, for which Python is fast."""
    present = [value for value in values if value is not None]
    kinds = set(map(type, present))
    if wanted in (Type.VECTOR, Type.TEXTS):
        items = list(chain.from_iterable(present)) if kinds <= {list} else [None]
        return None not in items and _fits(Type.INT if wanted is Type.VECTOR else Type.TEXT, items)
    if wanted is Type.INT:
        return kinds <= {int} and (not present or (min(present) >= -LARGEST and max(present) < LARGEST))
    return kinds <= {str} if wanted is Type.TEXT else kinds <= {bool} and wanted is Type.BOOL


_CONVERT: dict[Type, Callable[[Any], Any]] = {
    Type.TEXT: label,
    Type.INT: _integer,
    Type.FLOAT: float,
    Type.BOOL: _boolean,
    Type.VECTOR: _list_of(_integer),
    Type.TEXTS: _list_of(label),
}


def _trace(path: Path, mapping: MappingFile, reader: _Reader, values: dict[str, list[Any]]) -> Trace:
    columns: dict[str, AnyColumn] = {
        "source": constant(path.name, len(reader.table.rows)), "line": Column(np.array(reader.lines, np.int64)),
    }  # fmt: skip
    processes: tuple[str, ...] = mapping.processes
    for target, found in values.items():
        if target != "vclock":
            columns[target] = _column(target, found, typed=reader.typed)
    inferred: tuple[str, ...] = ()
    if "vclock" in values:
        processes, columns["vclock"], inferred = _clocks(values["process"], values["vclock"], processes, reader)
    if mapping.one_recorder and "index" not in columns:
        columns["index"] = Column(np.arange(len(reader.table.rows)))
        inferred += ("index: the order of the lines (the mapping says: one recorder)",)
    elif not {"index", "time_ns", "true_time_ns"} & set(columns):
        columns["index"] = Column(np.arange(len(reader.table.rows)))
        inferred += ("index: the order of the lines",)
    return assemble(
        columns, at=str(path), path=str(path), processes=processes, run=mapping.run, set_aside=reader.rejects.result(),
        inferred=inferred,
    )  # fmt: skip


_ARROW = {Type.TEXT: pa.string(), Type.INT: pa.int64(), Type.FLOAT: pa.float64(), Type.BOOL: pa.bool_(),
          Type.VECTOR: pa.list_(pa.int64()), Type.TEXTS: pa.list_(pa.string())}  # fmt: skip


def _column(target: str, values: list[Any], *, typed: bool) -> AnyColumn:
    field = FIELD.get(target) or domain_fields().get(target)
    if target in ("value", "key", "message") or field is None:
        return _free(target, values, typed=typed)
    return from_values(values, _ARROW.get(field.type, pa.string()))


def _free(target: str, values: list[Any], *, typed: bool) -> AnyColumn:
    """A column whose type its values decide: numbers where all are; else text, of `value` and of mixed keys JSON."""
    if not typed:  # CSV and text know no numbers
        values = [value if as_int(value) is None else as_int(value) for value in values]
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {int} and all(-LARGEST <= value < LARGEST for value in values if value is not None):
        return from_values(values, pa.int64())
    if target not in FIELD and kinds in ({bool}, {float}, {int, float}):
        return from_values([None if v is None else v if kinds == {bool} else float(v) for v in values])
    as_json = target == "value" or (target == "key" and kinds != {str})
    return from_values([None if v is None else dumps(v) if as_json else label(v) for v in values], pa.string())


def field_free(target: str) -> bool:
    """Whether the schema does not know the column, so that it may have any type."""
    return target not in FIELD


def _clocks(
    hosts: list[Any], values: list[Any], declared: Sequence[str], reader: _Reader
) -> tuple[tuple[str, ...], AnyColumn, tuple[str, ...]]:
    """The processes in the order of vector components, and the clocks: lists in the declared order, or objects."""
    if not any(isinstance(value, dict) for value in values):
        return tuple(declared), from_values(values, pa.list_(pa.int64())), ()
    for row, value in enumerate(values):
        if isinstance(value, list):
            reader.rejects.add(reader.lines[row], "a clock is a list where others are objects", str(value), "vclock")
    clocks = [value if isinstance(value, dict) else {} for value in values]
    names = list(dict.fromkeys(name for clock in clocks for name in clock))
    code = {name: k for k, name in enumerate(names)}
    column = from_values([host or "" for host in hosts], pa.string())
    assert isinstance(column, Column), "hosts are text"
    ordered = in_order(
        column,
        Clocks(
            names,
            np.repeat(np.arange(len(clocks)), [len(clock) for clock in clocks]),
            np.array([code[name] for clock in clocks for name in clock], np.int64),
            np.array([number for clock in clocks for number in clock.values()], np.int64),
            np.array([not isinstance(value, dict) for value in values]),
        ),
        declared,
    )
    return ordered.processes, ordered.vclock, ordered.inferred[1:]
