"""A mapping: TOML that says which column of a JSON Lines, CSV or text log is which column of a trace.

docs/formats/mapping.md describes it.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tracekit.errors import TracekitError, nearest
from tracekit.formats.expressions import compile_expression
from tracekit.trace.run import Run
from tracekit.trace.schema import REQUIRED

TOP = ("absent", "csv", "event", "one_recorder", "run", "text")
OPTIONS = ("absent", "column", "constant", "default", "join", "keep", "optional", "pattern", "unit", "values", "when")
READER = ("source", "line", "txn")
"""Columns of a trace that no mapping fills: the reader itself does, or nothing in such a log can."""
UNITS = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": 1_000_000_000, "iso": 0}


@dataclass(frozen=True)
class Source:
    """Where one column of the trace comes from.

    Attributes
    ----------
    paths: columns of the log, the first that a row has counts; none: `constant`.
    join: instead, columns whose values are joined by ``:``; all must be there.
    values: translations by the value's text; other values are `default`, or stay with `keep`, or are set aside.
    when: column -> the texts of which it must have one; other rows have no value.
    pattern: of a text only what the expression's group finds.
    absent: what a row without a value gets.
    unit: of a time.
    line: line of the mapping, for errors.
    """

    target: str
    line: int
    text: str
    paths: tuple[str, ...] = ()
    join: tuple[str, ...] = ()
    constant: Any = None
    values: Mapping[str, Any] | None = None
    default: Any = None
    keep: bool = False
    when: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    pattern: re.Pattern[bytes] | None = None
    absent: Any = None
    unit: str = "ns"
    optional: bool = False


@dataclass(frozen=True)
class Layout:
    """How the log is written: ``jsonl``, ``csv`` or ``text``.

    Attributes
    ----------
    pattern: of text lines; its named groups are the columns.
    ignore: lines of text that are no records of events.
    columns: of CSV without a header.
    absent: texts that stand for no value, in CSV and text.
    """

    kind: str
    pattern: re.Pattern[bytes] | None = None
    ignore: re.Pattern[bytes] | None = None
    delimiter: str = ","
    columns: tuple[str, ...] = ()
    absent: frozenset[str] = frozenset()


@dataclass(frozen=True)
class MappingFile:
    """A mapping, read and checked."""

    path: Path
    layout: Layout
    sources: tuple[Source, ...]  # several for one target: the first that gives a row a value
    run: Run
    processes: tuple[str, ...]
    one_recorder: bool = False  # its lines stand in the order of their events, also where they have times


def load_mapping(path: Path) -> MappingFile:
    """Reads a mapping.

    Raises
    ------
    TracekitError: TK101 no such file; TK203 a regular expression that cannot be used; TK204 whatever else is wrong,
        with its line.
    """
    try:
        text = path.read_text("utf-8")
        raw = tomllib.loads(text)
    except OSError as error:
        raise TracekitError("TK101", "the mapping cannot be read", at=str(path), found=str(error.strerror)) from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise TracekitError("TK204", "the mapping is not TOML", at=str(path), found=str(error)) from None
    lines = text.splitlines()
    for key in raw:
        if key not in TOP:
            raise _unknown(path, lines, key, TOP)
    for section in ("event", "run"):
        if not isinstance(raw.setdefault(section, {}), dict):
            raise _wrong(path, lines, section, raw[section], f"a table, [{section}]")
    event, run = raw["event"], dict(raw["run"])
    missing = [name for name in REQUIRED if name not in event]
    if missing:
        raise TracekitError(
            "TK204", f"the mapping does not say where `{missing[0]}` comes from", at=str(path),
            want=f'under [event]:  {missing[0]} = "the log\'s column"', help="docs/formats/mapping.md has examples",
        )  # fmt: skip
    processes = _texts(path, lines, "processes", run.pop("processes", []))
    sources = tuple(
        _source(path, lines, target, choice)
        for target, value in event.items()
        for choice in (value or [None] if isinstance(value, list) else [value])
    )
    layout, one = _layout(path, lines, raw), raw.get("one_recorder", False)
    if not isinstance(one, bool):
        raise _wrong(path, lines, "one_recorder", one, "true or false")
    declared = Run.from_json(json.dumps(run, default=str), f"{path}, [run]")
    return MappingFile(path, layout, sources, declared, processes, one)


def place(path: Path, lines: list[str], key: str) -> tuple[int, str]:
    """The line on which a key is given a value, and what stands there; 0 where that is not found."""
    for number, line in enumerate(lines, 1):
        if re.match(rf'\s*"?{re.escape(key)}"?\s*=|\s*\[+\s*"?{re.escape(key)}"?\s*\]', line):
            return number, line.strip()
    return 0, ""


def at(path: Path, line: int, text: str) -> str:
    """The place of an error."""
    return f"{path}, line {line}:  {text}" if line else str(path)


def _unknown(path: Path, lines: list[str], key: str, known: tuple[str, ...]) -> TracekitError:
    near = nearest(key, known)
    return TracekitError(
        "TK204", f"a mapping has no entry `{key}`", at=at(path, *place(path, lines, key)), want=", ".join(known),
        help=f"{near[0]} may be meant" if near else None,
    )  # fmt: skip


def _wrong(path: Path, lines: list[str], key: str, found: Any, want: str) -> TracekitError:
    return TracekitError(
        "TK204", f"`{key}` in the mapping cannot be used", at=at(path, *place(path, lines, key)),
        found=repr(found)[:120], want=want,
    )  # fmt: skip


def _texts(path: Path, lines: list[str], key: str, value: Any) -> tuple[str, ...]:
    found = [value] if isinstance(value, str) else value
    if not isinstance(found, list) or not all(isinstance(entry, str) for entry in found):
        raise _wrong(path, lines, key, value, "a text or a list of texts")
    return tuple(found)


def _layout(path: Path, lines: list[str], raw: Mapping[str, Any]) -> Layout:
    absent = frozenset(_texts(path, lines, "absent", raw.get("absent", [])))
    text, csv = raw.get("text"), raw.get("csv")
    if text is not None:
        if not isinstance(text, dict) or not isinstance(text.get("pattern"), str):
            raise _wrong(path, lines, "text", text, "[text] with a pattern")
        number, _ = place(path, lines, "pattern")
        pattern = compile_expression(text["pattern"], (), f"{path}, line {number}")
        if not pattern.groupindex:
            raise _wrong(path, lines, "pattern", text["pattern"], "named groups, (?<name>...): they are the columns")
        ignore, (line, _) = text.get("ignore"), place(path, lines, "ignore")
        if not isinstance(ignore, str | None):
            raise _wrong(path, lines, "ignore", ignore, "a regular expression")
        other = None if ignore is None else compile_expression(ignore, (), f"{path}, line {line}")
        return Layout("text", pattern=pattern, ignore=other, absent=absent)
    if csv is None:
        return Layout("jsonl", absent=absent)
    delimiter = csv.get("delimiter", ",") if isinstance(csv, dict) else None
    if not isinstance(delimiter, str) or len(delimiter) != 1 or delimiter in '\r\n"':
        raise _wrong(path, lines, "csv", csv, "[csv], perhaps with a delimiter of one character and columns")
    return Layout(
        "csv", delimiter=delimiter, columns=_texts(path, lines, "columns", csv.get("columns", [])), absent=absent
    )


def _source(path: Path, lines: list[str], target: str, value: Any) -> Source:
    number, text = place(path, lines, target)
    if target in READER or value is None:
        want = "a column of the trace that a log can fill" if target in READER else "at least one source"
        raise _wrong(path, lines, target, value, want)
    if isinstance(value, str):
        return Source(target, number, text, paths=(value,))
    if not isinstance(value, dict):
        raise _wrong(path, lines, target, value, 'the name of a column, or { column = "...", ... }')
    for option in value:
        if option not in OPTIONS:
            raise TracekitError(
                "TK204", f"a column of a mapping has no option `{option}`", at=at(path, number, text),
                want=", ".join(OPTIONS), help=", ".join(nearest(option, OPTIONS)) or None,
            )  # fmt: skip
    if sum(option in value for option in ("column", "join", "constant")) != 1:
        raise _wrong(path, lines, target, value, "one of column, join, constant")
    if not (value.get("column", "-") and value.get("join", "-")):
        raise _wrong(path, lines, target, value, "at least one column")
    values, when, unit = value.get("values"), value.get("when", {}), value.get("unit", "ns")
    if not isinstance(values, dict | None) or not isinstance(when, dict) or unit not in UNITS:
        raise _wrong(path, lines, target, value, f"tables as values and when; a unit of {', '.join(UNITS)}")
    pattern = value.get("pattern")
    return Source(
        target, number, text,
        paths=_texts(path, lines, target, value.get("column", [])),
        join=_texts(path, lines, target, value.get("join", [])),
        constant=value.get("constant"), values=values, default=value.get("default"), keep=bool(value.get("keep")),
        when={name: _texts(path, lines, target, wanted) for name, wanted in when.items()},
        pattern=compile_expression(str(pattern), (), at(path, number, text)) if pattern is not None else None,
        absent=value.get("absent"), unit=unit, optional=bool(value.get("optional")),
    )  # fmt: skip
