"""JSON Lines as the Recorder writes them: everything that a native file holds, as text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc

from tracekit.exports.text import batches, json_objects, json_texts, write_lines, write_whole
from tracekit.registry import Export
from tracekit.trace.assemble import describe
from tracekit.trace.columns import AnyColumn, Column
from tracekit.trace.parquet import to_table
from tracekit.trace.schema import Kind
from tracekit.trace.trace import Trace

SIMPLE = r'^(-?(0|[1-9][0-9]{0,17})|"[^"\\\x00-\x1f\x7f]*")$'
"""Texts that surely are canonical JSON; the others are looked at one by one."""
INTEGER = r"^-?[0-9]+$"


def write(trace: Trace, path: Path) -> tuple[str, ...]:
    """Writes the trace; read again, it is the same table with the same metadata. O(bytes)."""
    whole = {
        "process": Column(trace.process, None, pa.array(trace.processes, pa.string())),
        "seq": Column(trace.seq),
        "kind": Column(trace.kind, None, pa.array([kind.label for kind in Kind], pa.string())),
        **trace.columns,
    }
    types = {name: _type(name, column) for name, column in trace.columns.items()}
    rows = json_objects({name: json_texts(column, types.get(name) == "json") for name, column in whole.items()})

    def lines(file: BinaryIO) -> None:
        file.write(json.dumps(_metadata(trace, types), separators=(",", ":"), ensure_ascii=False).encode() + b"\n")
        for start, end in batches(len(trace)):
            write_lines(file, rows(start, end))
        if trace.complete:
            file.write(b'{"tracekit.complete":true}\n')

    write_whole(path, lines)
    return ()


def _metadata(trace: Trace, types: dict[str, Any]) -> dict[str, Any]:
    """What a native file has as metadata, and the columns' types, which JSON cannot tell in every case."""
    native = {key.decode(): value for key, value in to_table(trace.select(trace.kind < 0)).schema.metadata.items()}
    native.pop("tracekit.complete")
    order = ["tracekit.version", "tracekit.run", "tracekit.processes", "tracekit.set_aside"]
    return {key: json.loads(native[key]) for key in order if key in native} | {"tracekit.columns": types}


def _type(name: str, column: AnyColumn) -> str | dict[str, str]:
    if isinstance(column, Column):
        return "json" if name == "value" and _is_json(column) else describe(column)
    if isinstance(column.items, Column):
        return describe(column)
    return {member: str(_type(member, items)) for member, items in column.items.items()}


def _is_json(column: Column) -> bool:
    """Whether every text is canonical JSON, so that it can stand for itself, and some are more than integers."""
    if column.texts is None or not len(column.texts):
        return False
    texts = column.texts
    if pc.all(pc.match_substring_regex(texts, INTEGER)).as_py():
        return False
    return all(map(_is_canonical, texts.filter(pc.invert(pc.match_substring_regex(texts, SIMPLE))).to_pylist()))


def _is_canonical(text: str) -> bool:
    try:
        value = json.loads(text)
        again = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        return value is not None and again == text
    except (ValueError, RecursionError):
        return False


EXPORT = Export(
    name="tracekit-jsonl",
    summary="JSON Lines with the schema's columns, as the Recorder writes them: holds everything",
    endings=(".jsonl", ".ndjson"),
    write=write,
)
