"""Trace: the immutable columns of one recorded execution."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tracekit.trace.columns import AnyColumn, Column, ListColumn
from tracekit.trace.run import Run
from tracekit.trace.schema import NEMESIS, Kind

if TYPE_CHECKING:
    import pandas as pd


NOT_AN_EVENT = "not a history line"
NOT_MATCHED = "the expression finds no event here"
TORN = "a torn line: its writer was stopped while writing it"
NO_EVENTS = frozenset({NOT_AN_EVENT, NOT_MATCHED, TORN})
"""Reasons for lines that are no records: other output in the same log, what the user's expression leaves out, and what
a killed writer did not finish (its event had not returned, so nobody can have seen it). They hide no event."""


@dataclass(frozen=True)
class SetAside:
    """One row or field that could not be used, and why.

    Attributes
    ----------
    place: ``file:line`` or ``row 17``.
    reason: what was wrong; the same words for the same mistake, so that they can be counted.
    text: what stood there, shortened.
    field: the column; None where the whole row was set aside.
    """

    place: str
    reason: str
    text: str = ""
    field: str | None = None


@dataclass(frozen=True)
class SetAsides:
    """Everything that was set aside: all of it counted, the first few kept."""

    KEPT = 20

    counts: Mapping[str, int] = field(default_factory=dict)
    first: tuple[SetAside, ...] = ()

    @classmethod
    def of(cls, entries: Iterable[SetAside], counts: Mapping[str, int] | None = None) -> SetAsides:
        """Counts the entries by reason, or takes counts made elsewhere where the entries are only the first ones."""
        kept: list[SetAside] = []
        counted: dict[str, int] = {}
        for entry in entries:
            counted[entry.reason] = counted.get(entry.reason, 0) + 1
            if len(kept) < cls.KEPT:
                kept.append(entry)
        return cls(dict(counts) if counts is not None else counted, tuple(kept))

    @property
    def count(self) -> int:
        """How many rows and fields were set aside."""
        return sum(self.counts.values())

    def spoiling(self, matters: Callable[[str], bool]) -> str:
        """What was set aside and may change a verdict, with the first of it; empty where nothing may.

        matters: whether a verdict is built from a field. Whole rows always matter, unless their reader says that they
        are no events; so do fields of which only the number is known.
        """
        total = sum(count for reason, count in self.counts.items() if reason not in NO_EVENTS)
        kept = [entry for entry in self.first if entry.reason not in NO_EVENTS]
        suspects = [entry for entry in kept if entry.field is None or matters(entry.field)]
        if total <= len(kept) - len(suspects):
            return ""
        first = f" (first: {suspects[0].place}, {suspects[0].reason})" if suspects else ""
        return f"{total - len(kept) + len(suspects):,} rows or fields were set aside{first}"

    def __add__(self, other: SetAsides) -> SetAsides:
        counts = dict(self.counts)
        for reason, count in other.counts.items():
            counts[reason] = counts.get(reason, 0) + count
        return SetAsides(counts, (self.first + other.first)[: self.KEPT])


@dataclass(frozen=True, eq=False)
class Trace:
    """One recorded execution, one row per event, in the order of its file.

    Attributes
    ----------
    processes: every process's name; the first `components` of them, in this order, are the components of vector
        clocks. The pseudo-process of faults is never among those.
    components: how many processes have a vector component.
    process: int32, shape (n,): index into `processes`.
    seq: int64, shape (n,): place in the process's program order as recorded, or file order where it was not.
    kind: int8, shape (n,): `Kind`.
    columns: all other columns by name, as the schema names them.
    run: declared facts about the run.
    set_aside: rows and fields that could not be used.
    complete: whether the recorder closed the file; a native file without the mark may have lost its end.
    path: where it was read from; with ``#2`` behind it for a further execution of one file.
    inferred: what the reader concluded and the file did not say, one phrase each.
    kept: int64, shape (n,): the file's rows that these are; None where they are all of them.
    """

    processes: tuple[str, ...]
    components: int
    process: NDArray[np.int32]
    seq: NDArray[np.int64]
    kind: NDArray[np.int8]
    columns: Mapping[str, AnyColumn] = field(default_factory=dict)
    run: Run = field(default_factory=Run)
    set_aside: SetAsides = field(default_factory=SetAsides)
    complete: bool = True
    path: str | None = None
    inferred: tuple[str, ...] = ()
    kept: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        for array in (self.process, self.seq, self.kind):
            array.flags.writeable = False

    def __repr__(self) -> str:
        return f"<Trace {self.path or ''}: {len(self):,} events, {len(self.processes):,} processes>"

    def __len__(self) -> int:
        return len(self.process)

    def __contains__(self, name: str) -> bool:
        """Whether a column of that name was recorded."""
        return name in self.columns

    def get(self, name: str) -> Column | None:
        """The column of scalars of that name, None where it was not recorded."""
        column = self.columns.get(name)
        return column if isinstance(column, Column) else None

    def lists(self, name: str) -> ListColumn | None:
        """The column of lists of that name, None where it was not recorded."""
        column = self.columns.get(name)
        return column if isinstance(column, ListColumn) else None

    def is_kind(self, *kinds: Kind) -> NDArray[np.bool_]:
        """Shape (n,): true for events of one of the kinds."""
        return np.isin(self.kind, np.array(kinds, np.int8)) if len(kinds) > 1 else self.kind == kinds[0]

    def named(self, *names: str) -> NDArray[np.bool_]:
        """Shape (n,): true for events of one of the names."""
        column = self.get("name")
        if column is None or column.texts is None:
            return np.zeros(len(self), np.bool_)
        codes = [code for code in (column.code(name) for name in names) if code >= 0]
        return np.isin(column.values, codes)

    @cached_property
    def names(self) -> frozenset[str]:
        """The distinct event names."""
        column = self.get("name")
        if column is None or column.texts is None:
            return frozenset()
        if self.kept is None:
            return frozenset(column.texts.to_pylist())
        occurs = (
            np.bincount(column.values[column.present], minlength=len(column.texts)) > 0
        )  # of some rows, fewer names
        return frozenset(text for text, here in zip(column.texts.to_pylist(), occurs, strict=True) if here)

    @cached_property
    def digest(self) -> str:
        """Hex SHA-256 of the file that the trace was read from; empty for a trace made in memory."""
        if self.path is None:
            return ""
        file = Path(self.path)
        file = file if file.is_file() else Path(self.path.rpartition("#")[0])
        if not file.is_file():
            return ""
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()

    def process_code(self, name: str) -> int:
        """Index of a process in `processes`, -1 where there is none of that name."""
        return self._codes.get(name, -1)

    @cached_property
    def _codes(self) -> dict[str, int]:
        return {name: code for code, name in enumerate(self.processes)}

    def process_codes(self, column: Column) -> NDArray[np.int32]:
        """Shape (n,): the values of a text column (a peer) as process codes; -1 where absent, -2 where unknown."""
        if column.texts is None:
            return np.full(len(self), -2, np.int32)
        table = np.array([self._codes.get(text, -2) for text in column.texts.to_pylist()] + [-1], np.int32)
        codes: NDArray[np.int32] = table[column.values]
        return codes

    def event(self, row: int) -> str:
        """The event's public name: ``n1:40``."""
        return f"{self.processes[self.process[row]]}:{self.seq[row]}"

    def source(self, row: int) -> str | None:
        """Where the event came from: ``n1.log:912``, None where that was not recorded."""
        source, line = self.get("source"), self.get("line")
        place = None if source is None else source.at(row)
        number = None if line is None else line.at(row)
        if place is None and number is None:
            return None
        return str(place) if number is None else f"{place if place is not None else self.path or 'line'}:{number}"

    def place(self, row: int) -> str:
        """Where the event stands: its source, or its row in the file: ``row 912``."""
        return self.source(row) or f"row {row if self.kept is None else self.kept[row]}"

    def find(self, event: str) -> int | None:
        """The row of an event by its public name or by its source's ``file:line``; None where there is none."""
        name, _, seq = event.rpartition(":")
        code = self._codes.get(name, -1)
        if code >= 0 and seq.isdecimal() and len(seq) <= 18:
            rows = np.flatnonzero((self.process == code) & (self.seq == int(seq)))
            if len(rows):
                return int(rows[0])
        source, line = self.get("source"), self.get("line")
        if source is not None and line is not None and source.texts is not None and seq.isdecimal() and len(seq) <= 18:
            rows = np.flatnonzero((source.values == source.code(name)) & (line.values == int(seq)) & line.present)
            if len(rows):
                return int(rows[0])
        return None

    def fields(self, row: int) -> dict[str, Any]:
        """Every recorded value of one event, absent ones left out."""
        found = {name: column.at(row) for name, column in self.columns.items()}
        return {name: value for name, value in found.items() if value is not None}

    def select(self, rows: NDArray[Any]) -> Trace:
        """The trace of some rows, given as a mask or as row numbers; names and metadata, coverage included, stay."""
        return replace(
            self,
            kept=(np.arange(len(self)) if self.kept is None else self.kept)[rows],
            process=self.process[rows],
            seq=self.seq[rows],
            kind=self.kind[rows],
            columns={name: column.take(rows) for name, column in self.columns.items()},
        )

    def window(self, start: int, end: int, column: str = "time_ns") -> Trace:
        """The events whose `column` (a time or the index) lies in [start, end); no process's ends count as covered."""
        values = self.get(column)
        if values is None:
            raise KeyError(column)
        part = self.select(values.present & (values.values >= start) & (values.values < end))
        left_out = {name: {"start": False, "end": False} for name in self.processes}
        return replace(part, run=replace(self.run, coverage=left_out))

    def to_pandas(self) -> pd.DataFrame:
        """All columns as a data frame; text as categories, integers that may be absent as ``Int64``."""
        import pandas as pd

        frame: dict[str, Any] = {
            "process": pd.Categorical.from_codes(self.process, list(self.processes)),
            "seq": self.seq,
            "kind": pd.Categorical.from_codes(self.kind, [kind.label for kind in Kind]),
        }
        for name, column in self.columns.items():
            if isinstance(column, ListColumn):
                frame[name] = column.to_arrow().to_pandas()
            elif column.texts is not None:
                frame[name] = pd.Categorical.from_codes(column.values, column.texts.to_pylist())
            elif column.valid is not None and column.values.dtype == np.int64:
                frame[name] = pd.arrays.IntegerArray(column.values.copy(), ~column.valid)
            else:
                frame[name] = column.to_arrow().to_pandas()
        return pd.DataFrame(frame)


def process_order(names: Sequence[str], declared: Sequence[str] = ()) -> tuple[tuple[str, ...], int]:
    """All processes and how many of them are vector components: declared ones first, then as they appear.

    Processes beyond the declared order have components only where no order was declared.
    """
    declared = [name for name in declared if name != NEMESIS]
    rest = [name for name in names if name not in set(declared) and name != NEMESIS]
    ends = [NEMESIS] if NEMESIS in names else []
    return (*declared, *rest, *ends), len(declared) if declared else len(rest)
