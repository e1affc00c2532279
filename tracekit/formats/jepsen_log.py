"""Jepsen's log: ``INFO  jepsen.util - 0<tab>:invoke<tab>:read<tab>nil``, and ``history.txt`` without the prefix."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tracekit.formats.jepsen_scan import BYTES_OF_WORK, canonical_edn
from tracekit.formats.json_columns import JsonColumn, Source
from tracekit.formats.matches import find_all, set_aside_rest, texts_at
from tracekit.formats.text import Rejects, coded, constant, first_line, read_bytes, wrong_format
from tracekit.kernels.engine import kernels
from tracekit.registry import Format
from tracekit.trace.assemble import assemble
from tracekit.trace.columns import AnyColumn, Column, texts_of
from tracekit.trace.schema import NEMESIS, REQUIRED
from tracekit.trace.trace import NOT_AN_EVENT, Trace

Int64 = NDArray[np.int64]
Mask = NDArray[np.bool_]

NAME = "jepsen-log"
EXAMPLE = "INFO  jepsen.util - 0\t:invoke\t:write\t3"
# What is bounded or possessive here keeps hostile lines from taking quadratic time.
LINE = re.compile(
    rb"^(?:[^\t\n]{0,500}\bjepsen\.[\w.-]{1,100}(?: {1,9}-|:)[ \t]++)?"
    rb"(?P<process>\d+|:nemesis[\w-]*)[ \t]++:(?P<kind>invoke|ok|fail|info)[ \t]++:(?P<f>[^\s:]++)[ \t]++"
    rb"(?P<value>[^\t\n]*[^\s])[ ]*(?:\t(?P<error>[^\n]*))?$",
    re.MULTILINE,
)
COLON = ord(":")


def can_read(path: Path, head: bytes) -> bool:
    """Whether one of the first lines is a history line."""
    return LINE.search(head.replace(b"\r\n", b"\n"), 0, 1 << 14) is not None


def read(path: Path) -> list[Trace]:
    """The one history of the file; line order is its `index`. O(bytes).

    Lines of other log output are set aside. A keyword where an `info` or `fail` completion has its value
    (``:timed-out``) says why the operation ended so, and becomes `error`.

    Raises
    ------
    TracekitError: TK201 where no line is a history line.
    """
    data = read_bytes(path).replace(b"\r\n", b"\n")
    spans = find_all(LINE, data, 0, len(data))
    if not len(spans):
        raise wrong_format(path, NAME, first_line(data), f"lines such as  {EXAMPLE}")
    rejects = Rejects(path.name)
    feeds = np.flatnonzero(np.frombuffer(data, np.uint8) == 10)
    set_aside_rest(data, 0, len(data), spans, feeds, rejects, NOT_AN_EVENT)
    lines = np.searchsorted(feeds, spans[:, 0, 0]) + 1
    columns, bad = _columns(data, spans)
    rejects.add_many(lines[bad].tolist(), "the value is not EDN", lambda k: _line(data, spans[bad[k], 0]))
    kept = np.setdiff1d(np.arange(len(spans)), bad)
    columns = {n: column.take(kept) for n, column in columns.items() if n in REQUIRED or column.present[kept].any()}
    columns |= {
        "index": Column(np.arange(len(kept))), "line": Column(lines[kept]), "source": constant(path.name, len(kept))
    }  # fmt: skip
    return [
        assemble(
            columns, at=str(path), path=str(path), set_aside=rejects.result(),
            inferred=("index: the order of the lines",),
        )
    ]  # fmt: skip


def _line(data: bytes, span: Int64) -> str:
    return data[span[0] : span[1]].decode("utf-8", "replace")


def _columns(data: bytes, spans: Int64) -> tuple[dict[str, AnyColumn], Int64]:
    """Every column of all history lines, and the rows whose value is not EDN."""
    process, kind, f, value, error = (spans[:, LINE.groupindex[name]].copy() for name in LINE.groupindex)
    fault = _begins_with_colon(data, process)
    kinds = texts_at(data, kind)
    why = np.isin(kinds.values, [kinds.code("info"), kinds.code("fail")]) & _begins_with_colon(data, value) & ~fault
    error[why] = value[why]
    error[_begins_with_colon(data, error), 0] += 1
    value[why] = -1
    source = Source(data, False, kernels("edn", len(data) // BYTES_OF_WORK), canonical_edn)
    bad: dict[int, str] = {}
    names = texts_at(data, f)
    columns: dict[str, AnyColumn] = {
        "process": _with(texts_at(data, process), fault, NEMESIS), "kind": _with(kinds, fault, "fault"),
        "f": _only(names, ~fault), "name": _only(names, fault), "error": texts_at(data, error),
        "value": JsonColumn.of(source, _of(value, ~fault), bad.setdefault).column(),
        "nemesis.value": JsonColumn.of(source, _of(value, fault), bad.setdefault).column(),
    }  # fmt: skip
    return columns, np.array(sorted(bad), np.int64)


def _begins_with_colon(data: bytes, spans: Int64) -> Mask:
    """Whether each span is there, has a byte, and begins with a colon; the file may end before it does."""
    begin, end = spans.T
    there: Mask = (begin >= 0) & (begin < end)
    there[there] = np.frombuffer(data, np.uint8)[begin[there]] == COLON
    return there


def _of(spans: Int64, rows: Mask) -> Int64:
    return np.where(rows[:, None], spans, -1)


def _only(column: Column, rows: Mask) -> Column:
    return Column(np.where(rows, column.values, -1), column.present & rows, column.texts)


def _with(column: Column, rows: Mask, text: str) -> Column:
    texts = [*texts_of(column), text]
    return coded(texts, np.where(rows, len(texts) - 1, column.values))


FORMAT = Format(
    name=NAME,
    summary="Jepsen's log lines (jepsen.log, history.txt)",
    can_read=can_read,
    read=read,
    example=EXAMPLE,
)
