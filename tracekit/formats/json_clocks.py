"""Vector clocks in JSON: maps from process to number, or lists in the order of declared processes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, count
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tracekit.errors import TracekitError
from tracekit.formats.json_values import ARROW
from tracekit.trace.columns import AnyColumn, Column, from_arrow
from tracekit.trace.schema import MAX_TIMESTAMP, NEMESIS
from tracekit.trace.vectors import Entries

Int64 = NDArray[np.int64]
LISTS = ARROW["list<int64>"]


@dataclass(frozen=True, eq=False, slots=True)
class _Maps:
    """Clocks that name their components, one after the other: the fields of `Entries`."""

    lengths: Int64
    component: Int64
    value: Int64
    present: NDArray[np.bool_]


class Clocks:
    """Gathers vector clocks; `bad` is told positions, from 0 over all batches, that hold none."""

    def __init__(self, bad: Callable[[int, Any], object]) -> None:
        self.bad = bad
        self.count = 0
        self.batches: list[pa.Array | _Maps] = []
        self.codes: defaultdict[str, int] = defaultdict(count().__next__)

    def skip(self, rows: int) -> None:
        """No clocks in the next rows."""
        if rows:
            self.batches.append(pa.nulls(rows, LISTS))
            self.count += rows

    def add(self, values: list[Any]) -> None:
        """The next rows' clocks, None where absent."""
        batch = self._batch(values)
        if batch is None:
            for place, value in enumerate(values):
                if value is not None and self._batch([value]) is None:
                    self.bad(self.count + place, value)
                    values[place] = None
            batch = self._batch(values)
        if batch is None:  # maps and lists
            self.batches += [b for value in values if (b := self._batch([value])) is not None]
        else:
            self.batches.append(batch)
        self.count += len(values)

    def _batch(self, values: list[Any]) -> pa.Array | _Maps | None:
        """The clocks of some rows; None where they are not all maps, or all lists, of what a clock can have."""
        kinds = set(map(type, values)) - {type(None)}
        if kinds == {dict}:
            maps = [value or {} for value in values]
            numbers = list(chain.from_iterable(map(dict.values, maps)))
            if not _are_stamps(numbers) or any("" in m or NEMESIS in m for m in maps):
                return None
            names = chain.from_iterable(maps)
            return _Maps(
                lengths=np.fromiter(map(len, maps), np.int64, len(maps)),
                component=np.fromiter(map(self.codes.__getitem__, names), np.int64, len(numbers)),
                value=np.fromiter(numbers, np.int64, len(numbers)),
                present=np.fromiter((value is not None for value in values), np.bool_, len(values)),
            )
        if kinds <= {list} and _are_stamps(list(chain.from_iterable(v for v in values if v is not None))):
            return pa.array(values, LISTS)
        return None

    def components(self, declared: Sequence[str], process: AnyColumn) -> list[str]:
        """The components of all clocks: declared ones, then processes with events, then others that clocks name."""
        if not any(isinstance(batch, _Maps) for batch in self.batches):
            return list(declared)
        assert isinstance(process, Column), "process is text"
        owners = [] if process.texts is None else process.texts.to_pylist()
        return [name for name in dict.fromkeys([*declared, *owners, *self.codes]) if name not in ("", NEMESIS)]

    def column(self, components: Sequence[str], at: str) -> AnyColumn:
        """All clocks as lists in the order of the components.

        Raises
        ------
        TracekitError: TK106 for lists whose components nothing names; TK207 where there are too many.
        """
        lists = [batch for batch in self.batches if not isinstance(batch, _Maps)]
        if not components and any(batch.null_count < len(batch) for batch in lists):
            raise TracekitError(
                "TK106",
                "vector clocks are recorded as lists, but nothing names their components",
                at=at,
                want="a first line with tracekit.processes, a list of process names in the order of the components",
                help='or record clocks as maps from process to number: {"n1": 3, "n2": 1}',
            )
        if len(lists) == len(self.batches):
            return from_arrow(pa.chunked_array(lists, LISTS))
        starts = np.cumsum([0, *(len(b.lengths if isinstance(b, _Maps) else b) for b in self.batches)])
        maps = [
            b if isinstance(b, _Maps) else self._named(b, components, int(start))
            for b, start in zip(self.batches, starts[:-1], strict=True)
        ]
        place = {name: k for k, name in enumerate(components)}
        table = np.array([place[name] for name in self.codes] or [0], np.int64)
        entries = Entries(
            lengths=np.concatenate([m.lengths for m in maps]),
            component=table[np.concatenate([m.component for m in maps])],
            value=np.concatenate([m.value for m in maps]),
            present=np.concatenate([m.present for m in maps]),
        )
        return entries.lists(at)

    def _named(self, lists: pa.Array, components: Sequence[str], start: int) -> _Maps:
        """Clocks that are lists, where others are maps; one with more entries than there are processes is bad."""
        clocks = lists.to_pylist()
        for place, clock in enumerate(clocks):
            if clock is not None and len(clock) > len(components):
                self.bad(start + place, clock)
                clocks[place] = None
        named = self._batch([None if c is None else dict(zip(components, c, strict=False)) for c in clocks])
        nothing = np.zeros(0, np.int64)
        absent = _Maps(np.zeros(len(clocks), np.int64), nothing, nothing, np.zeros(len(clocks), np.bool_))
        return named if isinstance(named, _Maps) else absent


def _are_stamps(numbers: Iterable[Any]) -> bool:
    """Whether all are numbers that a clock can have."""
    numbers = list(numbers)
    return set(map(type, numbers)) <= {int} and (not numbers or (min(numbers) >= 0 and max(numbers) <= MAX_TIMESTAMP))
