"""Jepsen's histories as maps, EDN or JSON: ``history.edn``, Knossos' and Elle's files.

Maps stand one a line, or in a list. `index` is what was recorded where every operation has it, else the file's order.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tracekit.formats.jepsen_scan import REASONS, Maps, is_json, scan
from tracekit.formats.jepsen_values import independent, transactions, without
from tracekit.formats.json_columns import NULL, JsonColumn
from tracekit.formats.text import Rejects, coded, constant, first_line, read_bytes, wrong_format
from tracekit.registry import Format
from tracekit.trace.assemble import assemble
from tracekit.trace.columns import AnyColumn, Column, texts_of
from tracekit.trace.schema import FIELD, NEMESIS
from tracekit.trace.trace import Trace

Mask = NDArray[np.bool_]

NAME = "jepsen-edn"
EXAMPLE = "{:index 0, :time 1209, :type :invoke, :process 0, :f :write, :value 3}"
KINDS = ("invoke", "ok", "fail", "info")
_BEFORE = re.compile(rb"(?:\xef\xbb\xbf)?(?:[\s,(\[]|;[^\n]*\n|#[\w./-]+)*\{")
_TYPE = re.compile(rb':type\s+:(?:invoke|ok|fail|info)\b|"type"\s*:\s*"(?:invoke|ok|fail|info)"')
_PROCESS = re.compile(rb':process\s+[:"\d-]|"process"\s*:\s*["\d-]')


def can_read(path: Path, head: bytes) -> bool:
    """Whether the text begins with a map, and maps have a type and a process."""
    return all((_BEFORE.match(head), _TYPE.search(head), _PROCESS.search(head)))


class _Rows:
    """Which maps are operations; the others are set aside."""

    def __init__(self, maps: Maps, rejects: Rejects) -> None:
        self.maps = maps
        self.rejects = rejects
        self.lines = maps.lines()
        self.usable = np.ones(len(self.lines), np.bool_)

    def set_aside(self, rows: Mask | list[int], reason: str) -> None:
        chosen = np.zeros(len(self.usable), np.bool_)
        chosen[rows] = True
        found = np.flatnonzero(chosen & self.usable)
        self.usable[found] = False
        self.rejects.add_many(self.lines[found].tolist(), reason, lambda k: self.maps.text(int(found[k])))

    def absent(self, column: str) -> Mask:
        values = self.maps.columns.get(column)
        return np.ones(len(self.usable), np.bool_) if values is None else values.kind == NULL


def read(path: Path) -> list[Trace]:
    """The one history of the file. O(bytes); a million operations take seconds.

    Operations of a process that is no number and never invokes anything are fault events at the pseudo-process
    `nemesis`, their `f` being the `name`. Keys of the map that the schema does not know are kept as columns.

    Raises
    ------
    TracekitError: TK201 where no map is an operation.
    """
    data = read_bytes(path)
    maps = scan(data, is_json(data), keep=("value",))
    rejects = Rejects(path.name)
    rows = _Rows(maps, rejects)
    for status, reason in REASONS.items():
        rows.set_aside(maps.status == status, reason)
    rows.set_aside(rows.absent("process"), "the operation names no process")
    kind = maps.names("type")
    known = np.array([text in KINDS for text in texts_of(kind)] + [False])
    rows.set_aside(~known[kind.values], "the operation's type is none of invoke, ok, fail, info")
    if not rows.usable.any():
        raise wrong_format(path, NAME, first_line(data), f"operations such as  {EXAMPLE}")
    columns, inferred = _columns(path, maps, rows, kind)
    if maps.open > 0:
        rejects.add(data.count(b"\n") + 1, "the list of operations is not closed: its end may be missing")
    kept = np.flatnonzero(rows.usable)
    columns["index"], order = _index(columns.pop("index", None), rows.usable)
    columns = {name: column.take(kept) for name, column in columns.items() if column.present[kept].any()}
    return [assemble(columns, at=str(path), path=str(path), set_aside=rejects.result(), inferred=(*inferred, *order))]


def _columns(path: Path, maps: Maps, rows: _Rows, kind: Column) -> tuple[dict[str, AnyColumn], tuple[str, ...]]:
    """Every column over all maps, usable or not; maps whose values cannot be read are set aside."""
    process, f = maps.names("process"), maps.names("f")
    invoke = (kind.values == kind.code("invoke")) & rows.usable
    fault, inferred = _faults(maps, process, invoke, rows.usable)
    spans = maps.kept.get("value", np.full((len(process), 2), -1, np.int64))
    client = without(spans, fault | ~rows.usable)
    bad = maps.bad
    columns: dict[str, AnyColumn] = {"f": f}
    transactional, have = transactions(maps.source, client, f, bad.setdefault)
    columns |= transactional
    split = None if have.any() or "key" in maps.columns else independent(maps.source, client, f, process.values, invoke)
    if split is not None:
        columns["key"] = JsonColumn.of(maps.source, split[0], bad.setdefault).key()
        client = split[1]
        inferred += ("keys: every value is a pair [key value], as jepsen.independent writes them",)
    elif "key" in maps.columns:
        columns["key"] = maps.columns["key"].key()
    columns["value"] = JsonColumn.of(maps.source, without(client, have), bad.setdefault).column()
    if fault.any():
        columns["nemesis.value"] = JsonColumn.of(maps.source, without(spans, ~fault), bad.setdefault).column()
        columns["name"] = _only(f, fault)
        columns["f"] = _only(columns["f"], ~fault)
    columns["process"] = _replaced(process, fault, NEMESIS)
    columns["kind"] = _replaced(kind, fault, "fault")
    columns["source"], columns["line"] = constant(path.name, len(process)), Column(rows.lines)
    rows.set_aside(list(bad), f"a value that is not {'JSON' if maps.source.json else 'EDN'}")
    return {**_others(maps), **columns}, inferred


def _faults(maps: Maps, process: Column, invoke: Mask, usable: Mask) -> tuple[Mask, tuple[str, ...]]:
    """Rows of processes that are no clients. Jepsen's clients are numbered; others' histories may name theirs."""
    named = np.array([re.fullmatch(r"-?[0-9]+", text) is None for text in texts_of(process)] + [False])
    invokes = np.zeros(len(named), np.bool_)
    invokes[process.values[invoke]] = True
    inferred = ("clients: processes that are no numbers and invoke operations",) if (named & invokes).any() else ()
    return (named & ~invokes)[process.values] & usable, inferred


def _others(maps: Maps) -> dict[str, AnyColumn]:
    """The index, the time and every key that the schema has no place for."""
    columns: dict[str, AnyColumn] = {}
    for key, values in maps.columns.items():
        if key in ("type", "process", "f", "key"):
            continue
        name = {"index": "index", "time": "time_ns"}.get(key) if values.is_number else None
        columns[name or (f"jepsen.{key}" if key in FIELD or key == "time" else key)] = (
            values.column() if values.is_number else values.names()
        )
    return columns


def _index(recorded: AnyColumn | None, usable: Mask) -> tuple[Column, tuple[str, ...]]:
    """The recorded place in the total order; the order of the file where an operation has none."""
    if isinstance(recorded, Column) and recorded.present[usable].all():
        return recorded, ()
    why = "" if recorded is None else f", for {int((~recorded.present[usable]).sum())} have no :index"
    return Column(np.cumsum(usable) - 1), (f"real time: the order of the operations in the file{why}",)


def _only(column: AnyColumn, rows: Mask) -> Column:
    """A text column without its other rows' values."""
    assert isinstance(column, Column), "f is text"
    return Column(np.where(rows, column.values, -1), column.present & rows, column.texts)


def _replaced(column: Column, rows: Mask, text: str) -> Column:
    """A text column that says `text` in some rows."""
    if not rows.any():
        return column
    texts = [*texts_of(column), text]
    return coded(texts, np.where(rows, len(texts) - 1, column.values))


FORMAT = Format(
    name=NAME,
    summary="Jepsen's histories as maps, EDN or JSON (history.edn)",
    can_read=can_read,
    read=read,
    example=EXAMPLE,
)
