"""From hosts and recorded vector clocks to processes, program order, and the clock column of a trace."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tracekit.errors import TracekitError
from tracekit.kernels.engine import kernels
from tracekit.trace.columns import Column, ListColumn
from tracekit.trace.schema import NEMESIS

Int64 = NDArray[np.int64]
Mask = NDArray[np.bool_]

BYTES_OF_WORK = 4
"""Bytes that cost about as much as one event elsewhere."""
MOST_ENTRIES = 500_000_000
"""Entries of all vector clocks together, four gigabytes of them."""


@dataclass
class Clocks:
    """Vector clocks of n events as entries, in order of events.

    Attributes
    ----------
    row, name, value: int64, shape (m,): the event, the component (into `names`) and its number.
    bad: shape (n,): true where there is no clock that could be read.
    """

    names: list[str]
    row: Int64
    name: Int64
    value: Int64
    bad: Mask

    def take(self, rows: Int64) -> Clocks:
        """The clocks of some events, given in ascending order."""
        if len(rows) == len(self.bad):
            return self
        new = np.full(len(self.bad), -1, np.int64)
        new[rows] = np.arange(len(rows))
        kept = new[self.row] >= 0
        return Clocks(self.names, new[self.row[kept]], self.name[kept], self.value[kept], self.bad[rows])


def read_clocks(data: bytes, spans: Int64, kernel: ModuleType | None = None) -> Clocks:
    """The clocks at the spans of a text, each a JSON object of whole numbers, its quotes perhaps escaped. O(bytes).

    kernel: kernels/json_clocks.py, interpreted or compiled; None: as the work is.
    """
    length = int((spans[:, 1] - spans[:, 0]).sum())
    kernel = kernel or kernels("json_clocks", length // BYTES_OF_WORK)
    text: Any = data if kernel.__name__ == "tracekit.kernels.json_clocks" else np.frombuffer(data, np.uint8)
    room, hosts = 1 << 12, -1
    while hosts < 0:
        table, names = np.zeros(4 * room, np.int64), np.zeros((room, 2), np.int64)
        name, value = (np.empty(length // 3 + 1, np.int64) for _ in range(2))  # an entry takes four bytes
        ends, bad = np.zeros(len(spans), np.int64), np.zeros(len(spans), np.bool_)
        hosts = kernel.json_clocks(text, spans, table, names, name, value, ends, bad)
        room *= 8
    total = int(ends[-1]) if len(ends) else 0
    row = np.repeat(np.arange(len(spans)), np.diff(ends, prepend=0))
    texts = [_decoded(data, *span) for span in names[:hosts].tolist()]
    clocks = Clocks(texts, row, name[:total], value[:total], bad)
    return _unusual(clocks, data, spans) if bad.any() else clocks


def _decoded(data: bytes, start: int, end: int) -> str:
    return data[start:end].decode("utf-8", "replace")


def _unusual(clocks: Clocks, data: bytes, spans: Int64) -> Clocks:
    """Clocks that the kernel left over, read by a complete parser."""
    codes = {name: code for code, name in enumerate(clocks.names)}
    rows, names, values = [clocks.row], [clocks.name], [clocks.value]
    for row in np.flatnonzero(clocks.bad).tolist():
        entries = _parse(_decoded(data, *spans[row].tolist()))
        if entries is not None:
            clocks.bad[row] = False
            rows.append(np.full(len(entries), row, np.int64))
            names.append(np.array([codes.setdefault(name, len(codes)) for name in entries], np.int64))
            values.append(np.array(list(entries.values()), np.int64))
    row_of = np.concatenate(rows)
    order = np.argsort(row_of, kind="stable")
    return Clocks(list(codes), row_of[order], np.concatenate(names)[order], np.concatenate(values)[order], clocks.bad)


def _parse(text: str) -> dict[str, int] | None:
    """A clock's entries; None where it is no object of integers that a column can hold."""
    for written in (text, text.replace('\\"', '"')):
        try:
            clock = json.loads(written)
        except (ValueError, RecursionError):
            continue
        numbers = isinstance(clock, dict) and all(type(n) is int and -(2**63) <= n < 2**63 for n in clock.values())
        return {name.encode("utf-8", "replace").decode(): n for name, n in clock.items()} if numbers else None
    return None


@dataclass
class Ordered:
    """What `in_order` finds: the events' columns."""

    processes: tuple[str, ...]
    process: Column
    seq: Column
    vclock: ListColumn
    own: Int64
    inferred: tuple[str, ...]


def in_order(hosts: Column, clocks: Clocks, processes: Sequence[str] = ()) -> Ordered:
    """Processes, each event's place at its process by its own component, and the clock column. O(n log n + entries).

    Hosts that only clocks name are processes without events. A host called as the pseudo-process of faults gets
    another name. Events with equal own components keep the order of the file. Every event's host must be in its clock
    or its own component counts as 0, as ShiViz has it for components.

    Raises
    ------
    TracekitError: TK205 where the clocks are too large to be held.
    """
    assert hosts.texts is not None, "hosts are text"
    order = list(dict.fromkeys([*processes, *_appeared(hosts), *clocks.names]))
    names = tuple(f"{name} (host)" if name == NEMESIS else name for name in order)
    code = {name: k for k, name in enumerate(order)}
    process = np.array([code.get(text, -1) for text in hosts.texts.to_pylist()], np.int32)[hosts.values]
    component = np.array([code[name] for name in clocks.names] or [0], np.int64)[clocks.name]
    own = np.zeros(len(hosts), np.int64)
    mine = component == process[clocks.row]
    own[clocks.row[mine]] = clocks.value[mine]
    return Ordered(
        names, Column(process, None, pa.array(names, pa.string())), Column(_places(process, own)),
        _dense(len(hosts), clocks, component), own, (*_convention(names, process, own),),
    )  # fmt: skip


def _appeared(hosts: Column) -> list[str]:
    assert hosts.texts is not None, "hosts are text"
    codes, first = np.unique(hosts.values, return_index=True)
    return [hosts.text(int(code)) for code in codes[np.argsort(first)]]


def _places(process: NDArray[np.int32], own: Int64) -> Int64:
    order = np.lexsort((np.arange(len(own)), own, process))
    starts = np.searchsorted(process[order], process[order])
    places = np.empty(len(own), np.int64)
    places[order] = np.arange(len(own)) - starts
    return places


def _dense(rows: int, clocks: Clocks, component: Int64) -> ListColumn:
    """Lists in order of processes, without zeros at their ends."""
    lengths = np.zeros(rows, np.int64)
    nonzero = clocks.value != 0
    np.maximum.at(lengths, clocks.row[nonzero], component[nonzero] + 1)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    if offsets[-1] > MOST_ENTRIES:
        raise TracekitError(
            "TK205", "the vector clocks are too large", found=f"{offsets[-1]:,} entries", want=f"{MOST_ENTRIES:,}"
        )
    items = np.zeros(offsets[-1], np.int64)
    items[offsets[clocks.row[nonzero]] + component[nonzero]] = clocks.value[nonzero]
    return ListColumn(offsets, Column(items), None if not clocks.bad.any() else ~clocks.bad)


def _convention(names: Sequence[str], process: NDArray[np.int32], own: Int64) -> tuple[str, ...]:
    """How the file counts a process's own events."""
    if not len(own):
        return ()
    first = np.full(len(names), np.iinfo(np.int64).max)
    np.minimum.at(first, process, own)
    starts = np.unique(first[np.unique(process)]).tolist()
    what = f"{starts[0]}" if len(starts) == 1 else f"{starts[0]} to {starts[-1]}, not everywhere the same"
    return ("program order: each process's own clock component", f"clocks: a process's first event has {what}")
