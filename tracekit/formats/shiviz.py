"""ShiViz logs: events that a regular expression finds, each with its host and its vector clock.

The file may begin with two lines, the expression and the delimiter between executions (either may be empty); without
them, the expressions of ShiViz's own examples, GoVector's and TSViz's are tried. As in ShiViz (js/model/parser.js,
github.com/DistributedClocks/shiviz): the named groups `host`, `clock` and `event` are required, others are kept;
matches are looked for across lines; a clock is JSON and names its host; zero means absent.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tracekit.formats.expressions import compile_expression
from tracekit.formats.matches import find_all, set_aside_rest, texts_at
from tracekit.formats.text import Rejects, constant, first_line, read_bytes, wrong_format
from tracekit.formats.vector_clocks import Clocks, in_order, read_clocks
from tracekit.registry import Format
from tracekit.trace.assemble import assemble
from tracekit.trace.columns import AnyColumn, Column
from tracekit.trace.run import Run
from tracekit.trace.schema import FIELD
from tracekit.trace.trace import NOT_MATCHED, Trace

Int64 = NDArray[np.int64]
Mask = NDArray[np.bool_]
Pattern = re.Pattern[bytes]

NAME = "shiviz"
EXPRESSIONS = (
    r"(?<event>.*)\n(?<host>\S*) (?<clock>{.*})",  # ShiViz's default
    r"^(?<host>\S*) (?<clock>{.*})\n(?<event>.*)",  # GoVector
    r"^(?<timestamp>\d{10,19}) (?<event>.*)\n(?<host>\S*) (?<clock>{.*})",  # TSViz
    r"^(?<timestamp>\d{10,19}) (?<host>\S*) (?<clock>{.*})\n(?<event>.*)",  # GoVector with times
    r"\[(?<priority>\w+)\] \[(?<date>[^\]\n]*)\] \S+ \[akka:\S*/(?<host>\w+)\] (?<clock>{.*?}) (?<event>.*)",  # Akka
)
"""Tried on files that name none."""
DELIMITER = r"^=== (?<trace>.*) ===$"
GROUPS = ("host", "clock", "event")
_HEADER = re.compile(rb"[^\n]*\(\?P?<(?:host|clock|event)>[^\n]*")


def can_read(path: Path, head: bytes) -> bool:
    """Whether the first line is an expression with the three groups, or one of the known ones finds an event."""
    text = head.replace(b"\r\n", b"\n")
    if _HEADER.match(text):
        return all(re.search(rb"\(\?P?<%s>" % group.encode(), text.split(b"\n", 1)[0]) for group in GROUPS)
    return _best(text)[1] > 0


def read(path: Path) -> list[Trace]:
    """Every execution in the file, ``file#1`` and so on where there are several; a delimiter's `trace` is its label.

    All events are internal: a ShiViz log says no more of messages than the clocks do.

    Raises
    ------
    TracekitError: TK201 where the expression finds no event, TK203 where it cannot be used.
    """
    data = read_bytes(path).replace(b"\r\n", b"\n")
    pattern, delimiter, start, inferred = _header(path, data)
    stretches = [
        (begin, end, label) for begin, end, label in _executions(data, delimiter, start) if data[begin:end].strip()
    ]
    feeds = np.flatnonzero(np.frombuffer(data, np.uint8) == 10)
    traces = []
    for number, (begin, end, label) in enumerate(stretches, 1):
        name = f"{path}#{number}" if len(stretches) > 1 else str(path)
        spans = find_all(pattern, data, begin, end)
        rejects = Rejects(path.name)
        set_aside_rest(data, begin, end, spans, feeds, rejects, NOT_MATCHED)
        run = Run(other={"execution": label}) if label else Run()
        traces.append(_trace(path, name, data, pattern, spans, feeds, rejects, run, inferred))
    if not any(len(trace) for trace in traces):
        raise wrong_format(
            path, NAME, first_line(data), f"events that {pattern.pattern.decode()} finds",
        )  # fmt: skip
    return traces


def _header(path: Path, data: bytes) -> tuple[Pattern, Pattern | None, int, tuple[str, ...]]:
    """The expression, the delimiter, where the log begins, and what of it was inferred."""
    lines = data.split(b"\n", 2)
    first = lines[0].decode().strip()
    second = lines[1].decode().strip() if len(lines) > 1 else ""
    start = len(data) if len(lines) < 3 else len(lines[0]) + len(lines[1]) + 2
    if _HEADER.match(data):
        pattern = compile_expression(first, GROUPS, f"{path}, line 1")
        return pattern, compile_expression(second, (), f"{path}, line 2") if second else None, start, ()
    if not first and second:
        found = compile_expression(EXPRESSIONS[0], GROUPS, "")
        delimiter = compile_expression(second, (), f"{path}, line 2")
        if delimiter.search(data, start):
            return found, delimiter, start, ("expression: ShiViz's default, for the first line is empty",)
    best, _ = _best(data[: 1 << 16])
    known = compile_expression(DELIMITER, (), "")
    inferred = f"expression: {best}, of those that are built in the one that fits best"
    delimited = b"\n=== " in data or data.startswith(b"=== ")
    return compile_expression(best, GROUPS, ""), known if delimited else None, 0, (inferred,)


def _best(text: bytes) -> tuple[str, int]:
    """The built-in expression that finds most events whose clocks name their hosts, and how many; of equals, that with
    most groups.
    """
    counts = [
        sum(_names_host(match) for match in compile_expression(expression, GROUPS, "").finditer(text))
        for expression in EXPRESSIONS
    ]
    best = max(range(len(counts)), key=lambda k: (counts[k], EXPRESSIONS[k].count("(?<")))
    return EXPRESSIONS[best], counts[best]


def _names_host(match: re.Match[bytes]) -> bool:
    host = match["host"]
    return bool(host) and re.search(rb'"%s\\?"\s*:\s*\d' % re.escape(host), match["clock"]) is not None


def _executions(data: bytes, delimiter: Pattern | None, start: int) -> list[tuple[int, int, str]]:
    """Stretches of the log between delimiters, each with the label that the delimiter before it has."""
    stretches, label = [], ""
    for match in delimiter.finditer(data, start) if delimiter is not None else ():
        stretches.append((start, match.start(), label))
        start = match.end()
        label = (match.groupdict().get("trace") or b"").decode("utf-8", "replace")
    return [*stretches, (start, len(data), label)]


def _trace(
    path: Path, name: str, data: bytes, pattern: Pattern, spans: Int64, feeds: Int64, rejects: Rejects, run: Run,
    inferred: tuple[str, ...],
) -> Trace:  # fmt: skip
    spans = spans[spans[:, 0, 1] > spans[:, 0, 0]]
    lines = np.searchsorted(feeds, spans[:, 0, 0]) + 1
    groups = {key: texts_at(data, spans[:, place]) for key, place in pattern.groupindex.items() if key != "clock"}
    where = np.ascontiguousarray(spans[:, pattern.groupindex["clock"]])
    clocks = read_clocks(data, where)
    hosts = groups.pop("host")
    good = _usable(
        hosts, clocks, lines, lambda row: data[where[row, 0] : where[row, 1]].decode("utf-8", "replace"), rejects
    )
    rows = np.flatnonzero(good)
    ordered = in_order(hosts.take(rows), clocks.take(rows))
    columns: dict[str, AnyColumn] = {"name": groups.pop("event").take(rows)}
    for key, column in groups.items():
        time = _nanoseconds(column.take(rows)) if key == "timestamp" else None
        if time is not None:
            columns["time_ns"] = time
        else:
            columns[f"shiviz.{key}" if key in FIELD else key] = column.take(rows)
    columns |= {
        "process": ordered.process, "seq": ordered.seq,
        "kind": constant("internal", len(rows)), "source": constant(path.name, len(rows)), "line": Column(lines[rows]),
    }  # fmt: skip
    if ordered.processes:
        columns["vclock"] = ordered.vclock
    return assemble(
        columns, at=name, path=name, processes=ordered.processes, run=run, set_aside=rejects.result(),
        inferred=(*inferred, *ordered.inferred),
    )  # fmt: skip


def _usable(hosts: Column, clocks: Clocks, lines: Int64, text: Callable[[int], str], rejects: Rejects) -> Mask:
    """Events that have a host and a clock that names it; the others are set aside."""
    assert hosts.texts is not None, "hosts are text"
    code = {name: k for k, name in enumerate(clocks.names)}
    host = np.array([code.get(name, -1) for name in hosts.texts.to_pylist()] + [-1], np.int64)[hosts.values]
    own = np.zeros(len(hosts), np.bool_)
    own[clocks.row[host[clocks.row] == clocks.name]] = True
    good = np.ones(len(hosts), np.bool_)
    for mask, reason in (
        (~hosts.present, "the event has no host"),
        (clocks.bad, "the clock is not a JSON object of whole numbers"),
        (~own, "the clock does not name its own host"),
    ):
        rows = np.flatnonzero(mask & good)
        rejects.add_many(lines[rows].tolist(), reason, lambda k, rows=rows: text(int(rows[k])))  # type: ignore[misc]
        good[rows] = False
    return good


def _nanoseconds(column: Column) -> Column | None:
    """Times since 1970 in nanoseconds, as GoVector and TSViz write them; None where some are anything else."""
    try:
        numbers = np.asarray(column.texts.cast(pa.int64()))  # type: ignore[union-attr]
    except pa.ArrowInvalid:
        return None
    used = np.unique(column.values[column.present])
    if not len(used) or numbers[used].min() < 10**17:
        return None
    return Column(np.where(column.present, numbers[column.values], 0), column.valid)


FORMAT = Format(
    name=NAME,
    summary="ShiViz logs with vector clocks, also GoVector's and TSViz's",
    can_read=can_read,
    read=read,
    example='Sending put request\nclient {"client": 2, "server": 1}',
)
