"""Jepsen's log: ``INFO  jepsen.util - 0<tab>:invoke<tab>:read<tab>nil``, and ``history.txt`` without the prefix."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from tracekit.formats.edn import EdnError, parse, to_json
from tracekit.formats.text import Rejects, as_int, first_line, read_bytes, wrong_format
from tracekit.registry import Format
from tracekit.trace.builder import TraceBuilder
from tracekit.trace.schema import NEMESIS
from tracekit.trace.trace import Trace

NAME = "jepsen-log"
EXAMPLE = "INFO  jepsen.util - 0\t:invoke\t:write\t3"
LINE = re.compile(
    r"(?:[^\t]*\bjepsen\.[\w.-]+(?: +-|:)\s+)?"
    r"(?P<process>\d+|:nemesis[\w-]*)[ \t]+:(?P<kind>invoke|ok|fail|info)[ \t]+:(?P<f>[^\s:]+)[ \t]+"
    r"(?P<value>[^\t]*)(?:\t(?P<error>.*))?"
)


class Row(NamedTuple):
    """One history line; `value` is canonical JSON, None for nil."""

    line: int
    process: str
    kind: str
    f: str
    value: str | None
    error: str | None


def can_read(path: Path, head: bytes) -> bool:
    """Whether one of the first hundred lines is a history line."""
    return any(LINE.fullmatch(line.rstrip()) for line in head.decode("utf-8", "replace").split("\n", 100)[:100])


def read(path: Path) -> list[Trace]:
    """The one history of the file; line order is its `index`.

    Lines of other log output are set aside. A keyword where an `info` or `fail` completion has its value
    (``:timed-out``) says why the operation ended so, and becomes `error`.

    Raises
    ------
    TracekitError: TK201 where no line is a history line.
    """
    data = read_bytes(path)
    rejects = Rejects(path.name)
    rows: list[Row] = []
    parsed: dict[str, str | EdnError | None] = {}
    for number, line in enumerate(data.decode().split("\n"), 1):
        match = LINE.fullmatch(line.rstrip())
        if match is None:
            if line.strip():
                rejects.add(number, "not a history line", line)
            continue
        process, kind, f, text, error = match.groups()
        if kind in ("info", "fail") and text.startswith(":") and not process.startswith(":"):
            text, error = "nil", text
        if text not in parsed:
            parsed[text] = _value(text)
        value = parsed[text]
        if isinstance(value, EdnError):
            rejects.add(number, "the value is not EDN", line)
        else:
            rows.append(Row(number, process, kind, f, value, error))
    if not rows:
        raise wrong_format(path, NAME, first_line(data), f"lines such as  {EXAMPLE}")
    return [_trace(path, rows, rejects)]


def _value(text: str) -> str | EdnError | None:
    try:
        form = parse(text)
        return None if form is None else to_json(form)
    except EdnError as error:
        return error


def _trace(path: Path, rows: list[Row], rejects: Rejects) -> Trace:
    """A column is of numbers or of texts: values are numbers only where all of them are."""
    integers = all(as_int(row.value) is not None for row in rows if row.value is not None and row.process[0] != ":")
    builder = TraceBuilder()
    for index, row in enumerate(rows):
        event = {"index": index, "source": path.name, "line": row.line}
        event["error"] = row.error and row.error.removeprefix(":")
        if row.process.startswith(":"):
            event |= {"process": NEMESIS, "kind": "fault", "name": row.f, "nemesis.value": row.value}
        else:
            value = as_int(row.value) if integers else row.value
            event |= {"process": row.process, "kind": row.kind, "f": row.f, "value": value}
        builder.add(event)
    return builder.build(
        at=str(path), path=str(path), set_aside=rejects.result(), inferred=("real time: the order of the lines",)
    )


FORMAT = Format(
    name=NAME,
    summary="Jepsen's log lines (jepsen.log, history.txt)",
    can_read=can_read,
    read=read,
    example=EXAMPLE,
)
