"""Rows of JSON Lines, CSV and text logs, each with its line; lines that are no rows are set aside."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping
from typing import Any

import orjson

from tracekit.formats.edn import MAX_DEPTH
from tracekit.formats.mapping import Layout
from tracekit.formats.text import Rejects
from tracekit.trace.trace import NOT_AN_EVENT

Row = Mapping[str, Any]


def read_rows(data: bytes, layout: Layout, rejects: Rejects) -> tuple[list[Row], list[int]]:
    """The rows and the line that each begins on."""
    return {"jsonl": _jsonl, "csv": _csv, "text": _text}[layout.kind](data, layout, rejects)


def _jsonl(data: bytes, layout: Layout, rejects: Rejects) -> tuple[list[Row], list[int]]:
    rows: list[Row] = []
    lines: list[int] = []
    for number, line in enumerate(data.split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            row = orjson.loads(line)
        except orjson.JSONDecodeError:
            rejects.add(number, "not JSON", line.decode("utf-8", "replace"))
            continue
        if too_deep(line):
            rejects.add(number, f"nested deeper than {MAX_DEPTH}", line[:200].decode("utf-8", "replace"))
        elif isinstance(row, dict):
            rows.append(row)
            lines.append(number)
        else:
            rejects.add(number, "not a JSON object", line.decode("utf-8", "replace"))
    return rows, lines


def too_deep(text: bytes) -> bool:
    """Whether JSON is nested deeper than `MAX_DEPTH`: whoever walks it would exhaust the stack."""
    if text.count(b"[") + text.count(b"{") <= MAX_DEPTH:
        return False
    depth = deepest = 0
    for bracket in re.findall(rb'[\[\]{}]|"(?:[^"\\]|\\.)*"', text):
        depth += 1 if bracket in (b"[", b"{") else -1 if bracket in (b"]", b"}") else 0
        deepest = max(deepest, depth)
    return deepest > MAX_DEPTH


def _csv(data: bytes, layout: Layout, rejects: Rejects) -> tuple[list[Row], list[int]]:
    rows: list[Row] = []
    lines: list[int] = []
    # A NUL is no text; csv refuses whole files for one.
    reader = csv.reader(io.StringIO(data.decode().replace("\0", "\ufffd"), newline=""), delimiter=layout.delimiter)
    names, number = list(layout.columns), 1
    while True:
        number = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return rows, lines
        except csv.Error as error:
            rejects.add(number, "not CSV", str(error))
            continue
        if not cells:
            continue
        if not names:
            names = cells
        elif len(cells) != len(names):
            rejects.add(number, "the row has not as many cells as there are columns", layout.delimiter.join(cells))
        else:
            rows.append({n: c for n, c in zip(names, cells, strict=True) if c != "" and c not in layout.absent})
            lines.append(number)


def _text(data: bytes, layout: Layout, rejects: Rejects) -> tuple[list[Row], list[int]]:
    rows: list[Row] = []
    lines: list[int] = []
    assert layout.pattern is not None, "text has a pattern"
    for number, line in enumerate(data.replace(b"\r\n", b"\n").split(b"\n"), 1):
        match = layout.pattern.search(line)
        if match is not None:
            groups = {
                name: text.decode("utf-8", "replace") for name, text in match.groupdict().items() if text is not None
            }
            rows.append({name: text for name, text in groups.items() if text not in layout.absent})
            lines.append(number)
        elif layout.ignore is not None and layout.ignore.search(line):
            rejects.add(number, NOT_AN_EVENT, line.decode("utf-8", "replace"))
        elif line.strip():
            rejects.add(number, "the pattern does not match", line.decode("utf-8", "replace"))
    return rows, lines
