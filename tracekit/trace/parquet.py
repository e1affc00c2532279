"""The native file: Parquet with the schema's columns, and what the run declared as metadata."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tracekit.errors import TracekitError
from tracekit.trace.assemble import assemble
from tracekit.trace.columns import AnyColumn, Column, ColumnReader, ListColumn, from_arrow, is_list, is_text, supported
from tracekit.trace.run import Run
from tracekit.trace.schema import FIELD, MAX_TIMESTAMP, REQUIRED, VERSION, Kind, Type
from tracekit.trace.trace import SetAside, SetAsides, Trace

MAGIC = b"PAR1"
BATCH = 1 << 14
"""Rows at a time: few enough that Arrow fills the same memory again, of which first touch is the slowest thing."""
Progress = Callable[[int, int], None]


def read_parquet(
    path: str | os.PathLike[str], columns: Collection[str] | None = None, progress: Progress | None = None
) -> Trace:
    """Reads a native trace, batch by batch, into arrays allocated once.

    Parameters
    ----------
    columns: names to read beside the required ones; None: all. Names that the file has not are passed over.
    progress: called with rows done and rows in all.

    Raises
    ------
    TracekitError: TK101 no such file, TK102 not Parquet, TK103 required column missing, TK104 wrong type,
        TK105 cut off before its end, TK106 / TK107 metadata, TK108 written by a newer version.
    """
    try:
        return _read(Path(path), columns, progress)
    except UnicodeDecodeError as error:
        raise TracekitError("TK105", "the Parquet file is damaged", at=str(path), found=_first_line(error)) from None


def _read(path: Path, columns: Collection[str] | None, progress: Progress | None) -> Trace:
    place = str(path)
    with _open(path) as file:
        schema = file.schema_arrow
        metadata = {k.decode(): v.decode("utf-8", "replace") for k, v in (schema.metadata or {}).items()}
        inferred = _check_version(metadata, place)
        wanted = [n for n in schema.names if columns is None or n in columns or n in REQUIRED or n == "seq"]
        if len(set(wanted)) != len(wanted):
            twice = next(name for name in wanted if wanted.count(name) > 1)
            raise TracekitError("TK104", f"column {twice} stands in the file twice", at=place)
        processes = _processes(metadata, place)
        run = Run.from_json(metadata.get("tracekit.run", "{}"), place)
        data, processes, twice_named = _read_columns(file, wanted, processes, place, progress)
    unsigned = _unsigned(schema, data)
    return assemble(
        data,
        at=place,
        processes=processes,
        run=run,
        set_aside=_set_aside(metadata) + SetAsides.of(twice_named),
        path=place,
        complete=metadata.get("tracekit.complete") == "true",
        inferred=inferred,
        unsigned=unsigned,
    )


def _open(path: Path) -> pq.ParquetFile:
    if not path.is_file():
        raise TracekitError("TK101", "there is no such file", at=str(path))
    size = path.stat().st_size
    if size == 0:
        raise TracekitError(
            "TK102",
            "the file is empty",
            at=str(path),
            want="a trace",
            help="the recorder may have been killed before it wrote anything",
        )
    with path.open("rb") as stream:
        head = stream.read(4)
        stream.seek(max(0, size - 4))
        tail = stream.read(4)
    if head != MAGIC:
        raise TracekitError(
            "TK102",
            "this is not a Parquet file",
            at=str(path),
            found=f"first bytes {head!r}",
            want=f"first bytes {MAGIC!r}",
        )
    if tail != MAGIC or size < 12:
        raise TracekitError(
            "TK105",
            "the file is cut off before its end",
            at=str(path),
            found=f"{size:,} bytes without the closing {MAGIC!r}",
            help="its writer was stopped before it closed the file; a Parquet file without its end cannot be read",
        )
    try:
        # Text is read as dictionary codes wherever the file has it so.
        names = pq.read_schema(path)
        text = [field.name for field in names if is_text(field.type)]
        return pq.ParquetFile(path, read_dictionary=text, page_checksum_verification=True)
    except (pa.ArrowException, OSError) as error:
        raise TracekitError("TK105", "the Parquet file is damaged", at=str(path), found=_first_line(error)) from None


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def _check_version(metadata: dict[str, str], place: str) -> tuple[str, ...]:
    text = metadata.get("tracekit.version")
    if text is None:
        return (f"schema version {VERSION} (not declared)",)
    if not text.isdecimal() or not 1 <= int(text[:9]) <= VERSION:
        raise TracekitError(
            "TK108",
            "the trace was written in a version of the schema that this tracekit does not read",
            at=place,
            found=f"tracekit.version {text[:40]}",
            want=f"1 to {VERSION}",
            help="a newer tracekit reads it",
        )
    return ()


def _processes(metadata: dict[str, str], place: str) -> list[str]:
    text = metadata.get("tracekit.processes", "[]")
    try:
        processes = json.loads(text)
    except ValueError:
        processes = None
    if (
        not isinstance(processes, list)
        or not all(isinstance(p, str) and p for p in processes)
        or len(set(processes)) != len(processes)
    ):
        raise TracekitError(
            "TK107",
            "the metadata entry tracekit.processes is no list of process names",
            at=place,
            found=text[:80],
            want='a JSON list of different names: ["n1", "n2"]',
        )
    return processes


def _set_aside(metadata: dict[str, str]) -> SetAsides:
    """What an importer set aside before the file was written. A damaged entry is itself one."""
    text = metadata.get("tracekit.set_aside")
    if not text:
        return SetAsides()
    try:
        raw = json.loads(text)
        first = tuple(SetAside(**entry) for entry in raw["first"])
        return SetAsides({str(k): int(v) for k, v in raw["counts"].items()}, first)
    except (ValueError, KeyError, TypeError, AttributeError):
        return SetAsides.of([SetAside("metadata tracekit.set_aside", "the entry cannot be read", text[:120])])


def _read_columns(
    file: pq.ParquetFile, names: list[str], processes: list[str], place: str, progress: Progress | None
) -> tuple[dict[str, AnyColumn], list[str], list[SetAside]]:
    """The columns, the components of clocks, and clocks that cannot be read."""
    rows = file.metadata.num_rows
    schema = file.schema_arrow
    clock = schema.field("vclock").type if "vclock" in names else None
    clocks_by_name = clock is not None and (pa.types.is_map(clock) or pa.types.is_struct(clock))
    if clock is not None and clocks_by_name:
        _check_clocks_by_name(clock, place)
        processes = processes or _processes_of(file)
    wrong: list[SetAside] = []
    readers: dict[str, ColumnReader] = {}
    done = 0
    try:
        for name in names:
            kind = pa.list_(pa.int64()) if name == "vclock" and clocks_by_name else _read_as(schema.field(name).type)
            readers[name] = ColumnReader(kind, rows, _members(file, name), narrow=name == "vclock")
        for batch in file.iter_batches(batch_size=BATCH, columns=names):
            for name, reader in readers.items():
                array = batch.column(batch.schema.get_field_index(name))
                if name == "vclock" and clocks_by_name:
                    array = _named_clocks(array, processes, done, wrong)
                elif not supported(array.type):
                    array = pc.cast(array, pa.string()) if _castable(array.type) else _as_json(array)
                reader.add(array)
            done += batch.num_rows
            if progress:
                progress(done, rows)
        return {name: reader.finish() for name, reader in readers.items()}, processes, wrong
    except (pa.ArrowException, OSError) as error:
        raise TracekitError("TK105", "the Parquet file is damaged", at=place, found=_first_line(error)) from None


def _read_as(kind: pa.DataType) -> pa.DataType:
    return kind if supported(kind) else pa.string()


def _castable(kind: pa.DataType) -> bool:
    return bool(pa.types.is_decimal(kind) or pa.types.is_temporal(kind))


def _as_json(array: pa.Array) -> pa.Array:
    """Types that no check reads (nested, binary) are kept as text, to be shown."""
    return pa.array([None if v is None else json.dumps(v, default=repr) for v in array.to_pylist()], pa.string())


def _members(file: pq.ParquetFile, name: str) -> int | None:
    """Upper bound of the members of a list column: the values of its leaf in all row groups."""
    meta = file.metadata
    if not meta.num_row_groups:
        return 0
    if not is_list(file.schema_arrow.field(name).type):
        return None
    if any(meta.row_group(g).num_columns != meta.num_columns for g in range(meta.num_row_groups)):
        raise pa.ArrowInvalid("a row group has other columns than the file")  # Arrow itself would abort
    leaves = [i for i in range(meta.num_columns) if f"{meta.schema.column(i).path}.".startswith(f"{name}.")]
    if len(leaves) != 1:
        return None
    return sum(int(meta.row_group(g).column(leaves[0]).num_values) for g in range(meta.num_row_groups))


def _processes_of(file: pq.ParquetFile) -> list[str]:
    """Processes in order of appearance: the components of clocks that name them."""
    seen: dict[str, None] = {}
    for batch in file.iter_batches(batch_size=BATCH, columns=["process"]):
        seen.update(dict.fromkeys(p for p in batch.column(0).unique().to_pylist() if p))
    return [name for name in seen if name != "nemesis"]


def _check_clocks_by_name(kind: pa.DataType, place: str) -> None:
    types = [kind.item_type] if pa.types.is_map(kind) else [kind.field(i).type for i in range(kind.num_fields)]
    if any(not (pa.types.is_integer(t) or pa.types.is_null(t)) for t in types):
        raise TracekitError(
            "TK104", "column vclock has the wrong type", at=place, found=str(kind)[:200], want="numbers by process"
        )


def _unsigned(schema: pa.Schema, data: dict[str, AnyColumn]) -> list[str]:
    """Columns of unsigned numbers of which some are 2^63 or above, and so negative in `data`. Those that need not be
    numbers (message ids, fields that no schema has, members of lists) become texts there: no digit of an id is lost."""
    found = []
    for name, column in data.items():
        kind = schema.field(name).type
        if isinstance(column, ListColumn):
            if name != "vclock" and is_list(kind):
                data[name] = replace(column, items=_exact_members(kind.value_type, column.items))
        elif _wrapped(kind, column) and name in FIELD and FIELD[name].type is Type.INT:
            found.append(name)
        else:
            data[name] = _exact(kind, column)
    return found


def _wrapped(kind: pa.DataType, column: Column) -> bool:
    return bool(kind == pa.uint64() and (column.present & (column.values < 0)).any())


def _exact(kind: pa.DataType, column: Column) -> Column:
    """The column, as texts where it has numbers of 2^63 or above."""
    if not _wrapped(kind, column):
        return column
    numbers = pa.array(column.values.view("uint64"), mask=~column.present)
    texts = from_arrow(numbers.cast(pa.string()))
    assert isinstance(texts, Column), "texts are no lists"
    return texts


def _exact_members(kind: pa.DataType, items: Column | Mapping[str, Column]) -> Column | Mapping[str, Column]:
    if isinstance(items, Column):
        return _exact(kind, items)
    return {name: _exact(kind.field(name).type, column) for name, column in items.items()}


def _named_clocks(array: pa.Array, processes: list[str], before: int, wrong: list[SetAside]) -> pa.Array:
    """Maps or structs from process to number as lists in the order of `processes`; a process nobody has is appended.

    before: rows of the file before these. wrong: takes the clocks that name a process twice: they have no meaning.
    """
    place = {name: i for i, name in enumerate(processes)}
    out: list[list[int] | None] = []
    for number, clock in enumerate(array.to_pylist(), before):
        if clock is None:
            out.append(None)
            continue
        entries = list(clock.items()) if isinstance(clock, dict) else clock
        if len({name for name, _ in entries}) < len(entries):
            wrong.append(SetAside(f"row {number}", "a vector clock names a process twice", str(clock)[:120], "vclock"))
            out.append(None)
            continue
        row = [0] * len(processes)
        for name, value in entries:
            if name not in place:
                place[name] = len(processes)
                processes.append(name)
            row.extend([0] * (place[name] + 1 - len(row)))
            row[place[name]] = -1 if (value or 0) > MAX_TIMESTAMP else int(value or 0)
        out.append(row)
    return pa.array(out, pa.list_(pa.int64()))


def write_parquet(trace: Trace, path: str | os.PathLike[str]) -> None:
    """Writes a native trace; the file appears under its name only when it is whole. Same trace, same bytes.

    Raises
    ------
    TracekitError: TK109 where the file cannot be written.
    """
    target = Path(path)
    partial = target.with_name(target.name + ".partial")
    try:
        pq.write_table(to_table(trace), partial, compression="zstd", row_group_size=1 << 20, write_page_checksum=True)
        partial.replace(target)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise TracekitError("TK109", "the trace cannot be written", at=str(path), found=_first_line(error)) from None


def to_table(trace: Trace) -> pa.Table:
    """The trace as an Arrow table with its metadata, as it stands in a native file."""
    arrays: dict[str, Any] = {
        "process": pa.DictionaryArray.from_arrays(pa.array(trace.process), pa.array(trace.processes, pa.string())),
        "seq": pa.array(trace.seq),
        "kind": pa.DictionaryArray.from_arrays(pa.array(trace.kind), pa.array([k.label for k in Kind], pa.string())),
    }
    arrays.update((name, column.to_arrow()) for name, column in trace.columns.items())
    metadata = {
        "tracekit.version": str(VERSION),
        "tracekit.processes": _json(list(trace.processes[: trace.components])),
        "tracekit.run": trace.run.to_json(),
        "tracekit.complete": "true" if trace.complete else "false",
    }
    if trace.set_aside.count:
        first = [
            {"place": s.place, "reason": s.reason, "text": s.text, "field": s.field} for s in trace.set_aside.first
        ]
        metadata["tracekit.set_aside"] = _json({"counts": dict(trace.set_aside.counts), "first": first})
    return pa.table(arrays).replace_schema_metadata(metadata)


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
