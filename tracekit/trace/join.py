"""Joining the logs of several processes into the trace of one execution; and what one log says of the others."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace
from functools import reduce
from itertools import combinations, pairwise
from operator import add
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tracekit.errors import TracekitError
from tracekit.trace.columns import AnyColumn, Column, ListColumn, from_arrow
from tracekit.trace.run import Run
from tracekit.trace.schema import NEMESIS, Kind
from tracekit.trace.trace import SetAsides, Trace, process_order
from tracekit.trace.vectors import reordered

ABSENT = "not recorded here: events of "
LATE = "not recorded here: the first events of "


def as_log(trace: Trace) -> Trace:
    """The trace of some processes' logs, with what they show to be missing declared as not covered, and stated.

    Processes that a vector clock or a received message names and that have no events; processes whose places (seq) do
    not begin at 0. What the run declares itself is left as it is.
    """
    first = _first_places(trace)
    absent = [name for name in _named(trace) if name not in first and name != NEMESIS]
    late = [name for name, place in first.items() if place > 0 and name != NEMESIS]
    coverage: dict[str, Mapping[str, bool]] = {name: {"start": False, "end": True} for name in late}
    coverage.update((name, {"start": False, "end": False}) for name in absent)
    said = tuple(what + _list(names) for what, names in ((ABSENT, absent), (LATE, late)) if names)
    coverage.update(trace.run.coverage)
    return replace(trace, run=replace(trace.run, coverage=coverage), inferred=(*trace.inferred, *said))


def join(traces: Sequence[Trace]) -> Trace:
    """One execution from the logs of its processes, row after row. O(n) for n events, O(n p) for their clocks.

    A process may be in several logs only where their places (seq) continue each other. Set-asides add up, and the whole
    is complete only if every log is. `coverage` that a log has of another's process gives way to that process's log.

    Raises
    ------
    TracekitError: TK207 vector clocks too large, TK208 a process in two logs, TK209 two logs that declare different
        runs, or rank their events each by an `index` of its own.
    """
    if len(traces) == 1:
        return traces[0]
    _continuing(traces)
    ranked = [t for t in traces if "index" in t]
    if len(ranked) > 1:
        raise TracekitError(
            "TK209",
            "several logs rank their events, each by an index of its own",
            at=_places(ranked),
            help="an index is the total order of one recorder; analyse such logs one by one",
        )
    here = [name for trace in traces for name in _first_places(trace)]
    components = dict.fromkeys(name for trace in traces for name in trace.processes[: trace.components])
    owners = [name for name in dict.fromkeys(here) if name in components]
    processes, count = process_order(
        [*dict.fromkeys(here), *(name for trace in traces for name in trace.processes)],
        [*owners, *(name for name in components if name not in owners)],
    )
    place = {name: code for code, name in enumerate(processes)}
    codes = [np.array([place[name] for name in trace.processes], np.int32) for trace in traces]
    names = dict.fromkeys(name for trace in traces for name in trace.columns)
    return as_log(
        Trace(
            processes=processes,
            components=count,
            process=np.concatenate([code[trace.process] for code, trace in zip(codes, traces, strict=True)]),
            seq=np.concatenate([trace.seq for trace in traces]),
            kind=np.concatenate([trace.kind for trace in traces]),
            columns={name: _column(name, traces, codes) for name in names},
            run=_run(traces, set(here)),
            set_aside=reduce(add, (trace.set_aside for trace in traces), SetAsides()),
            complete=all(trace.complete for trace in traces),
            inferred=tuple(
                dict.fromkeys(p for trace in traces for p in trace.inferred if not p.startswith((ABSENT, LATE)))
            ),
        )
    )


def _first_places(trace: Trace) -> dict[str, int]:
    """The smallest seq of every process that has events, in order of the processes."""
    first = np.full(len(trace.processes), np.iinfo(np.int64).max, np.int64)
    np.minimum.at(first, trace.process, trace.seq)
    present = np.bincount(trace.process, minlength=len(trace.processes)) > 0
    return {name: int(first[code]) for code, name in enumerate(trace.processes) if present[code]}


def _named(trace: Trace) -> dict[str, None]:
    """Processes that must have had events: components of clocks, and senders of what was received."""
    named = dict.fromkeys(trace.processes[: trace.components] if "vclock" in trace else ())
    peer, message = trace.get("peer"), trace.get("message")
    if peer is not None and peer.texts is not None and message is not None:
        received = (trace.kind == Kind.RECEIVE) & message.present & peer.present
        named.update(dict.fromkeys(peer.text(code) for code in np.unique(peer.values[received])))
    return named


def _list(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _places(traces: Iterable[Trace]) -> str:
    return ", ".join(trace.path or "a trace" for trace in traces)


def _continuing(traces: Sequence[Trace]) -> None:
    """Rotated logs of one process continue each other; anything else would be two processes of one name."""
    spans: dict[str, list[tuple[int, int, Trace]]] = {}
    for trace in traces:
        last = np.full(len(trace.processes), -1, np.int64)
        np.maximum.at(last, trace.process, trace.seq)
        for name, first in _first_places(trace).items():
            spans.setdefault(name, []).append((first, int(last[trace.process_code(name)]), trace))
    for name, parts in spans.items():
        parts.sort(key=lambda part: part[:2])
        for (_, end, before), (start, _, after) in pairwise(parts):
            gap = start != end + 1 and not before.set_aside.count
            if start <= end or gap:
                raise TracekitError(
                    "TK208",
                    f"process {name} is in two logs that do not continue each other",
                    at=_places((before, after)),
                    found=f"places (seq) up to {end}, then from {start}",
                    want=f"from {end + 1}, as in a log that was rotated",
                    help="give each process its own name; a restarted process goes on in its own log",
                )


def _column(name: str, traces: Sequence[Trace], codes: Sequence[NDArray[np.int32]]) -> AnyColumn:
    """The column over all rows, absent where a log has none."""
    parts: list[AnyColumn | None] = []
    for trace, code in zip(traces, codes, strict=True):
        column = trace.columns.get(name)
        if name == "vclock" and isinstance(column, ListColumn):
            column = reordered(column, code[: trace.components].astype(np.int64), trace.path or "vclock")
        parts.append(column if column is not None and column.present.any() else None)
    return _concatenated(parts, [len(trace) for trace in traces])


def _concatenated(parts: Sequence[AnyColumn | None], rows: Sequence[int]) -> AnyColumn:
    """The columns one after the other, absent for as many rows where there is none."""
    # A column without values says nothing of its type, unless all are so.
    some = [part if part is not None and part.present.any() else None for part in parts]
    parts = some if any(part is not None for part in some) else parts
    shapes = {(type(part), type(getattr(part, "items", None))) for part in parts if part is not None}
    if len(shapes) == 1 and shapes.pop()[0] is ListColumn:
        return _concatenated_lists(parts, rows)
    arrays = [pa.nulls(n) if p is None else _scalars(p) for p, n in zip(parts, rows, strict=True)]
    kinds = {a.type for a in arrays} - {pa.null()}
    numbers = pa.float64() if kinds == {pa.int64(), pa.float64()} else pa.string()
    target = kinds.pop() if len(kinds) == 1 else numbers
    if pa.types.is_dictionary(target) or target == pa.string():
        arrays = [a if pa.types.is_dictionary(a.type) else a.cast(pa.string()).dictionary_encode() for a in arrays]
    else:
        arrays = [a.cast(target) for a in arrays]
    return from_arrow(pa.chunked_array(arrays))


def _scalars(column: AnyColumn) -> pa.Array:
    """The column in Arrow; lists as JSON text, where another log has the field as something else."""
    if isinstance(column, Column):
        return column.to_arrow()
    return pa.array(
        [None if (v := column.at(row)) is None else json.dumps(v, separators=(",", ":")) for row in range(len(column))],
        pa.string(),
    )


def _concatenated_lists(parts: Sequence[AnyColumn | None], rows: Sequence[int]) -> ListColumn:
    lengths = [
        np.diff(p.offsets) if isinstance(p, ListColumn) else np.zeros(n, int) for p, n in zip(parts, rows, strict=True)
    ]
    present = np.concatenate(
        [np.zeros(n, np.bool_) if p is None else p.present for p, n in zip(parts, rows, strict=True)]
    )
    some = [part for part in parts if isinstance(part, ListColumn)]
    sizes = [int(part.offsets[-1]) for part in some]
    items: Any
    if isinstance(some[0].items, Column):
        items = _concatenated([part.items for part in some if isinstance(part.items, Column)], sizes)
    else:
        members = [part.items for part in some if not isinstance(part.items, Column)]
        names = dict.fromkeys(name for member in members for name in member)
        items = {name: _concatenated([member.get(name) for member in members], sizes) for name in names}
    offsets = np.concatenate([[0], np.cumsum(np.concatenate(lengths), dtype=np.int64)])
    return ListColumn(offsets, items, None if present.all() else present)


def _run(traces: Sequence[Trace], here: set[str]) -> Run:
    """What all logs declare together."""
    merged: dict[str, Any] = {}
    for entry in fields(Run):
        values = [(getattr(trace.run, entry.name), trace) for trace in traces]
        if entry.name == "coverage":
            merged[entry.name] = _coverage(traces, here)
        elif entry.name in ("claims", "broken_assumptions"):
            lists = [value for value, _ in values if value is not None]
            merged[entry.name] = tuple(dict.fromkeys(v for value in lists for v in value)) if lists else None
        elif isinstance(values[0][0], Mapping):
            merged[entry.name] = _agreed_entries(entry.name, values)
        else:
            merged[entry.name] = _agreed(entry.name, [(v, trace) for v, trace in values if v is not None])
    return Run(**merged)


def _coverage(traces: Sequence[Trace], here: set[str]) -> dict[str, Mapping[str, bool]]:
    """Of a process that has events: what the logs with its events declare. Of others: what any declares."""
    coverage: dict[str, Mapping[str, bool]] = {}
    inferred = [any(p.startswith((ABSENT, LATE)) for p in trace.inferred) for trace in traces]
    for trace, guessed in zip(traces, inferred, strict=True):
        own = _first_places(trace)
        for name, ends in trace.run.coverage.items():
            if name in own or name not in here:
                if guessed and own.get(name, 0) > 0:
                    ends = {**ends, "start": True}  # another log may have the first events; asked again of the whole
                    if ends.get("end", True):
                        continue
                before = coverage.get(name, {})
                coverage[name] = {end: ends.get(end, True) and before.get(end, True) for end in ("start", "end")}
    return coverage


def _agreed_entries(what: str, values: Sequence[tuple[Mapping[str, Any], Trace]]) -> dict[str, Any]:
    keys = dict.fromkeys(key for value, _ in values for key in value)
    return {key: _agreed(f"{what}.{key}", [(v[key], t) for v, t in values if key in v]) for key in keys}


def _agreed(what: str, values: Sequence[tuple[Any, Trace]]) -> Any:
    for (one, first), (other, second) in combinations(values, 2):
        if one != other:
            raise TracekitError(
                "TK209",
                f"the logs declare different runs: {what} differs",
                at=_places((first, second)),
                found=f"{str(one)[:60]} and {str(other)[:60]}",
                want="logs of one run",
            )
    return values[0][0] if values else None
