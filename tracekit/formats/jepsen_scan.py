"""From the text of a Jepsen history to one column a key: maps of EDN or JSON, a map per line or in a list."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracekit.formats import edn
from tracekit.formats.json_columns import JsonColumn, Source
from tracekit.kernels.engine import kernels
from tracekit.trace.columns import Column

Int64 = NDArray[np.int64]

BYTES_OF_WORK = 4
"""Bytes that cost about as much as one event elsewhere."""
OPERATIONS, PAIRS = 1 << 16, 1 << 19
"""Sizes of a batch."""

UNUSUAL = 1
REASONS = {
    UNUSUAL: "a key that is no string",
    2: "not an operation (a map)",
    3: "the operation is not closed, or its brackets do not match",
    4: "a key without a value",
    5: "a key stands twice",
    6: "more keys than any history has",
}
_JSON_MAP = re.compile(rb'\{\s*(?:\}|"[^"\\]*(?:\\.[^"\\]*)*"\s*:\s*(?:["\[{\-0-9]|true|false|null))')


@dataclass
class Maps:
    """The maps of a text, one a row.

    Attributes
    ----------
    spans: int64, shape (n, 2): where each stands.
    status: shape (n,): 0, or why it could not be read (`REASONS`).
    bad: rows with a value that could not be read, each with the reason.
    columns: by key, without colon or quotes.
    kept: by key, int64, shape (n, 2): the spans of values that were asked for instead of a column.
    open: brackets around the maps that are never closed.
    """

    source: Source
    spans: Int64
    status: Int64
    columns: dict[str, JsonColumn]
    kept: dict[str, Int64]
    open: int
    bad: dict[int, str] = field(default_factory=dict)

    def names(self, key: str) -> Column:
        """The values of a key as plain text; all absent where no map has the key."""
        return self.columns.get(key, JsonColumn(len(self.status))).names()

    def text(self, row: int) -> str:
        """One map as it stands in the text."""
        return self.source.text(int(self.spans[row, 0]), int(self.spans[row, 1]))

    def lines(self) -> Int64:
        """Shape (n,): the line on which each map begins."""
        feeds = np.flatnonzero(np.frombuffer(self.source.data, np.uint8) == 10)
        return np.searchsorted(feeds, self.spans[:, 0]) + 1


def is_json(data: bytes) -> bool:
    """Whether the first map is JSON's, not EDN's."""
    start = data.find(b"{")
    return start >= 0 and _JSON_MAP.match(data, start, start + 4096) is not None


def scan(data: bytes, as_json: bool, keep: tuple[str, ...]) -> Maps:
    """All maps of the text. Those that cannot be taken apart as they stand are written plainly, and scanned again."""
    maps = _scan_lines(data, as_json, keep)
    for written in (_plainly, _as_an_error):
        if as_json or not (maps.status == UNUSUAL).any():
            break
        maps = _scan_lines(_rewritten(maps, written), as_json, keep)
    return maps


def _scan_lines(data: bytes, as_json: bool, keep: tuple[str, ...]) -> Maps:
    """A map that does not end on its line is looked for across lines where that finds more."""
    maps = _scan(data, as_json, keep, one_line=True)
    if (maps.status > UNUSUAL).any():
        across = _scan(data, as_json, keep, one_line=False)
        maps = across if (across.status <= UNUSUAL).sum() > (maps.status <= UNUSUAL).sum() else maps
    return maps


def _scan(data: bytes, as_json: bool, keep: tuple[str, ...], one_line: bool) -> Maps:
    kernel = kernels("edn", len(data) // BYTES_OF_WORK)
    source = Source(data, as_json, kernel, _canonical_json if as_json else canonical_edn)
    most = data.count(b"{") + data.count(b"\n") + 1
    maps = Maps(source, np.empty((0, 2), np.int64), np.empty(0, np.int64), {}, {}, 0)
    keys, state = np.zeros((kernel.MAX_KEYS, 2), np.int64), np.zeros(6, np.int64)
    operations, pairs = np.empty((min(most, OPERATIONS), 4), np.int64), np.empty((PAIRS, 3), np.int64)
    names: list[str] = []
    batches: list[Int64] = []
    done = 0
    while True:
        kernel.scan(source.array, int(as_json), int(one_line), source.stack, keys, operations, pairs, state)
        found = int(state[2])
        if not found:
            break
        batches.append(operations[:found].copy())
        for number in range(len(names), int(state[1])):
            names.append(_name(source.text(int(keys[number, 0]), int(keys[number, 1])), names))
        _gather(maps, names, operations[:found], pairs[: int(state[3])], done, most, keep)
        done += found
    table = np.concatenate(batches) if batches else np.empty((0, 4), np.int64)
    maps.spans, maps.status, maps.open = table[:, :2], table[:, 3], int(state[4])
    for column in maps.columns.values():
        column.cut(done)
    maps.kept = {name: spans[:done] for name, spans in maps.kept.items()}
    return maps


def _gather(
    maps: Maps, names: list[str], operations: Int64, pairs: Int64, done: int, most: int, keep: tuple[str, ...]
) -> None:
    """One batch's values into their columns."""
    ends = np.append(operations[1:, 2], len(pairs))
    rows = np.repeat(np.arange(done, done + len(operations)), ends - operations[:, 2])
    for number in np.unique(pairs[:, 0]).tolist():
        name = names[number]
        mine = pairs[:, 0] == number
        if name in keep:
            spans = maps.kept.setdefault(name, np.full((most, 2), -1, np.int64))
            spans[rows[mine]] = pairs[mine, 1:]
        else:
            column = maps.columns.setdefault(name, JsonColumn(most))
            column.add(maps.source, pairs[mine, 1:], rows[mine], maps.bad.setdefault)


def _name(key: str, known: list[str]) -> str:
    """A key without colon or quotes; one that is there already, written otherwise, gets a name of its own."""
    name = key[1:]
    if key.startswith('"'):
        try:
            name = str(json.loads(key))
        except ValueError:
            name = key[1:-1]
    while name in known:
        name = f"jepsen.{name}"
    return name


def _rewritten(maps: Maps, written: Callable[[str], str]) -> bytes:
    """The text with maps that the scanner cannot take apart (discards, odd keys) written otherwise, on their lines."""
    data, parts, end = maps.source.data, [], 0
    for row in np.flatnonzero(maps.status == UNUSUAL).tolist():
        start, stop = maps.spans[row].tolist()
        text = maps.text(row)
        parts += [data[end:start], written(text).encode(), b"\n" * text.count("\n")]
        end = stop
    return b"".join([*parts, data[end:]])


def _plainly(text: str) -> str:
    try:
        return edn.plain_map(edn.parse(text))
    except edn.EdnError as error:
        return f'"{error}"'.replace("\\", "/")


def _as_an_error(text: str) -> str:
    """For what is no plainer when it is written plainly: a keyword with a zero byte."""
    return '"the map cannot be read"'


def canonical_edn(text: str) -> str | None:
    """One form of EDN as canonical JSON, None for nil. Raises EdnError."""
    form = edn.parse(text)
    return None if form is None else edn.to_json(form)


def _canonical_json(text: str) -> str | None:
    form = json.loads(text, object_pairs_hook=_object, parse_constant=str)
    return None if form is None else edn.dumps(form)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    plain = dict(pairs)
    if len(plain) != len(pairs):
        raise ValueError("a key stands twice in an object")
    return plain
