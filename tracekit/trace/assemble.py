"""From raw columns, as a file or a recorder gave them, to a valid Trace; what cannot be used is set aside, counted."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from tracekit.errors import TracekitError
from tracekit.kernels.engine import kernels
from tracekit.trace.columns import AnyColumn, Column, ListColumn
from tracekit.trace.run import Run
from tracekit.trace.schema import FIELD, KINDS, REQUIRED, Type
from tracekit.trace.trace import SetAside, SetAsides, Trace, process_order

Mask = NDArray[np.bool_]
SLICE = 1 << 16

UNKNOWN_KIND = f"the row has no known kind ({', '.join(KINDS)})"


def assemble(
    columns: Mapping[str, AnyColumn],
    *,
    at: str,
    processes: Sequence[str] = (),
    run: Run | None = None,
    set_aside: SetAsides | None = None,
    complete: bool = True,
    path: str | None = None,
    inferred: tuple[str, ...] = (),
    unsigned: Collection[str] = (),
) -> Trace:
    """Checks the columns against the schema and builds the trace. O(n).

    Parameters
    ----------
    columns: by the schema's names, all of one length; `process` and `kind` are required.
    at: what an error names as its place.
    processes: declared order of the vector components; empty: order of appearance (then no list clocks are possible).
    set_aside: what the caller had to set aside before.
    unsigned: columns that were unsigned in the file: what is negative here was 2^63 or above there.

    Raises
    ------
    TracekitError: TK103 a required column is missing, TK104 a column has a wrong type, TK106 vector clocks whose
        components nobody named.
    """
    _require(columns, at)
    if "vclock" in columns and not processes:
        raise TracekitError(
            "TK106",
            "vector clocks are recorded, but nothing names their components",
            at=at,
            want="metadata tracekit.processes, a JSON list of process names in the order of the components",
            help='or record clocks as maps from process to number: {"n1": 3, "n2": 1}',
        )
    log = _Log(columns, path or at)
    process_column = _text(columns["process"])
    names = _texts(process_column)
    kind = _kind_codes(_text(columns["kind"]))
    bad = log.rows(_blank(process_column), "the row names no process", columns["process"])
    bad |= log.rows(~bad & (kind < 0), UNKNOWN_KIND, columns["kind"])
    seq = columns.get("seq")
    if isinstance(seq, Column):
        bad |= log.rows(~bad & (~seq.present | (seq.values < 0)), "the row has no place (seq) at its process", seq)
    order, components = process_order(_in_order_of_appearance(process_column), processes)
    place = {name: code for code, name in enumerate(order)}
    table = np.array([place.get(name, -1) for name in names] + [-1], np.int32)
    same = np.array_equal(table[:-1], np.arange(len(names)))
    process = process_column.values if same else table[process_column.values]
    rest = {k: v for k, v in columns.items() if k not in ("process", "kind", "seq")}
    rest.update(_fields_set_aside(rest, components, log))
    rest.update(_numbers_set_aside(rest, unsigned, log))
    good = None
    if bad.any():
        good = np.flatnonzero(~bad)
        process, kind = process[good], kind[good]
        rest = {name: column.take(good) for name, column in rest.items()}
        seq = seq.take(good) if isinstance(seq, Column) else None
    return Trace(
        processes=order,
        components=components,
        process=process,
        seq=seq.values if isinstance(seq, Column) else file_order(process, len(order)),
        kind=kind,
        columns=rest,
        run=run or Run(),
        set_aside=(set_aside or SetAsides()) + log.result(),
        complete=complete,
        path=path,
        inferred=inferred,
        kept=good,
    )


def file_order(process: NDArray[np.int32], processes: int) -> NDArray[np.int64]:
    """Shape (n,): how many earlier rows have the same process. O(n)."""
    seq = np.empty(len(process), np.int64)
    kernels("order", work=len(process)).file_order(process, np.zeros(processes, np.int64), seq)
    return seq


class _Log:
    """What was set aside, each with its place."""

    def __init__(self, columns: Mapping[str, AnyColumn], path: str) -> None:
        self.source = columns.get("source")
        self.line = columns.get("line")
        self.path = path
        self.counts: dict[str, int] = {}
        self.first: list[SetAside] = []

    def place(self, row: int) -> str:
        line = self.line.at(row) if self.line is not None else None
        if line is None:
            return f"row {row}"
        return f"{(self.source.at(row) if self.source is not None else None) or self.path}:{line}"

    def rows(self, mask: Mask, reason: str, column: AnyColumn) -> Mask:
        """Notes whole rows; returns the mask."""
        self._note(mask, reason, column, None)
        return mask

    def fields(self, mask: Mask, reason: str, column: AnyColumn, name: str) -> Mask:
        """Notes single values; returns the mask."""
        self._note(mask, reason, column, name)
        return mask

    def _note(self, mask: Mask, reason: str, column: AnyColumn, name: str | None) -> None:
        rows = np.flatnonzero(mask)
        if not len(rows):
            return
        self.counts[reason] = len(rows)
        for row in rows[: SetAsides.KEPT]:
            value = column.at(int(row))
            self.first.append(SetAside(self.place(int(row)), reason, "" if value is None else str(value)[:120], name))

    def result(self) -> SetAsides:
        return SetAsides(self.counts, tuple(self.first[: SetAsides.KEPT]))


def _require(columns: Mapping[str, AnyColumn], at: str) -> None:
    missing = [name for name in REQUIRED if name not in columns]
    if missing:
        raise TracekitError(
            "TK103",
            f"the required column {missing[0]} is missing",
            at=at,
            found=f"columns {', '.join(sorted(columns)) or '(none)'}",
            want=f"columns {', '.join(REQUIRED)}; the others are optional",
            help="the columns are described in docs/trace-format.md",
        )
    for name, column in columns.items():
        field = FIELD.get(name)
        if field and not _FITS[field.type](column):
            raise TracekitError(
                "TK104", f"column {name} has the wrong type", at=at, found=describe(column), want=str(field.type)
            )


def describe(column: AnyColumn) -> str:
    """The type of a column in the schema's words: ``list<int64>``."""
    if isinstance(column, ListColumn):
        if isinstance(column.items, Column):
            return f"list<{describe(column.items)}>"
        return f"list<struct<{', '.join(column.items)}>>"
    if column.texts is None and column.values.dtype == np.int32:
        return "int64"  # kept in half of it, where all numbers fit
    return "string" if column.texts is not None else str(column.values.dtype)


def _empty(column: AnyColumn) -> bool:
    """A column without any value fits every type: writers of optional columns often do not know theirs."""
    return not column.present.any()


def _is_int(column: AnyColumn) -> bool:
    return isinstance(column, Column) and column.texts is None and column.values.dtype in (np.int64, np.int32)


def _is_text(column: AnyColumn) -> bool:
    return isinstance(column, Column) and column.texts is not None


def _list_of(member: Callable[[AnyColumn], bool]) -> Callable[[AnyColumn], bool]:
    return lambda c: (
        isinstance(c, ListColumn) and isinstance(c.items, Column) and (len(c.items) == 0 or member(c.items))
    )


_FITS: dict[Type, Callable[[AnyColumn], bool]] = {
    Type.TEXT: lambda c: _is_text(c) or _empty(c),
    Type.INT: lambda c: _is_int(c) or _empty(c),
    Type.FLOAT: lambda c: (isinstance(c, Column) and c.values.dtype == np.float64) or _is_int(c) or _empty(c),
    Type.BOOL: lambda c: (isinstance(c, Column) and c.values.dtype == np.bool_) or _empty(c),
    Type.TEXT_OR_INT: lambda c: _is_text(c) or _is_int(c) or _empty(c),
    Type.VECTOR: lambda c: _list_of(_is_int)(c) or _empty(c),
    Type.TEXTS: lambda c: _list_of(_is_text)(c) or _empty(c),
    Type.TRANSACTION: lambda c: isinstance(c, ListColumn) or _empty(c),
}


def fits(column: AnyColumn, kind: Type) -> bool:
    """Whether a column can be read as the schema's type."""
    return _FITS[kind](column)


def _text(column: AnyColumn) -> Column:
    assert isinstance(column, Column)
    if column.texts is None:  # a required column without any value
        import pyarrow as pa

        return Column(np.full(len(column), -1, np.int32), np.zeros(len(column), np.bool_), pa.array([], pa.string()))
    return column


def _texts(column: Column) -> list[str]:
    return [] if column.texts is None else list(column.texts.to_pylist())


def _blank(column: Column) -> Mask:
    empty = column.code("")
    blank = np.zeros(len(column), np.bool_) if column.valid is None else ~column.valid
    return blank | (column.values == empty) if empty >= 0 else blank


def _in_order_of_appearance(column: Column) -> list[str]:
    texts = _texts(column)
    appeared: dict[str, None] = {}
    for start in range(0, len(column), SLICE):
        codes, first = np.unique(column.values[start : start + SLICE], return_index=True)
        appeared.update((texts[code], None) for code in codes[np.argsort(first)] if code >= 0)
        if len(appeared) == len(texts):
            break
    return [text for text in appeared if text]


def _kind_codes(column: Column) -> NDArray[np.int8]:
    table = np.array([KINDS.get(text, -1) for text in _texts(column)] + [-1], np.int8)
    codes: NDArray[np.int8] = table[column.values]
    return codes


def _fields_set_aside(columns: Mapping[str, AnyColumn], components: int, log: _Log) -> dict[str, AnyColumn]:
    """Columns of clocks and times without the values that no clock can have."""
    changed: dict[str, AnyColumn] = {}
    lamport = columns.get("lamport")
    if isinstance(lamport, Column) and _is_int(lamport) and lamport.values.min(initial=0) < 0:
        bad = lamport.present & (lamport.values < 0)
        if log.fields(bad, "a Lamport timestamp is negative or 2^63 and above", lamport, "lamport").any():
            changed["lamport"] = Column(lamport.values, lamport.present & ~bad)
    vclock = columns.get("vclock")
    if isinstance(vclock, ListColumn) and isinstance(vclock.items, Column):
        lengths = np.diff(vclock.offsets)
        long = log.fields(
            lengths > components, "a vector clock has more entries than there are processes", vclock, "vclock"
        )
        negative = np.zeros(len(vclock), np.bool_)
        values = vclock.items.values
        wrong = np.flatnonzero(values < 0) if values.min(initial=0) < 0 else np.empty(0, np.int64)
        if vclock.items.valid is not None:
            wrong = np.union1d(wrong, np.flatnonzero(~vclock.items.valid))
        if len(wrong):
            negative[np.searchsorted(vclock.offsets, wrong, side="right") - 1] = True
            log.fields(
                negative, "a vector clock has an entry that is negative, absent or 2^63 and above", vclock, "vclock"
            )
        if (long | negative).any():
            changed["vclock"] = ListColumn(vclock.offsets, vclock.items, vclock.present & ~(long | negative))
    return changed


LONGEST = 1 << 62
"""In ns, 146 years. Times within it can be subtracted from one another; recorders that have none write the extremes."""


def _numbers_set_aside(columns: Mapping[str, AnyColumn], unsigned: Collection[str], log: _Log) -> dict[str, AnyColumn]:
    """Columns of numbers without those that a trace cannot hold, or that are no times."""
    changed: dict[str, AnyColumn] = {}
    for name in unsigned:
        column = columns.get(name)
        if isinstance(column, Column) and name != "lamport":
            bad = log.fields(column.present & (column.values < 0), f"{name} is 2^63 or above", column, name)
            changed[name] = Column(column.values, column.present & ~bad)
    for name in ("time_ns", "true_time_ns"):
        column = changed.get(name, columns.get(name))
        if not isinstance(column, Column) or not _is_int(column):
            continue
        if column.values.min(initial=0) > -LONGEST and column.values.max(initial=0) < LONGEST:
            continue
        bad = column.present & ((column.values <= -LONGEST) | (column.values >= LONGEST))
        log.fields(bad, f"{name} is further from 0 than 146 years (2^62 ns)", column, name)
        changed[name] = Column(column.values, column.present & ~bad)
    return changed
