"""What the lines of a log say that are no events: what the run declares, and whether the log was closed."""

from __future__ import annotations

import json
from typing import Any

from tracekit.errors import TracekitError
from tracekit.formats.json_values import ARROW, JSON, KEY, Want
from tracekit.formats.text import Rejects
from tracekit.trace.run import Run
from tracekit.trace.schema import VERSION, Type
from tracekit.trace.trace import SetAside, SetAsides

TYPES = {*ARROW, JSON, KEY, Type.TEXT_OR_INT.value}
KNOWN = ("run", "processes", "columns", "set_aside")
NOT_FITTING = "a line of metadata that contradicts an earlier one"


class Metadata:
    """Gathers the metadata of one file, which may be several logs one after the other (``cat n1.jsonl n2.jsonl``).

    Attributes
    ----------
    sections: how many lines declare something; each begins a log.
    run, processes, columns, set_aside: what they declare; the first one counts, one that differs is set aside.
    closed: whether all processes of the execution are declared; typed: whether all columns are.
    complete: whether each log's last line says that nothing is missing.
    """

    def __init__(self, at: str, rejects: Rejects) -> None:
        self.at = at
        self.rejects = rejects
        self.sections = 0
        self.raw: dict[str, Any] = {}
        self.run = Run()
        self.processes: list[str] = []
        self.columns: dict[str, Want] = {}
        self.set_aside = SetAsides()
        self._unclosed = False
        self._ended = False

    @property
    def closed(self) -> bool:
        return "processes" in self.raw

    @property
    def typed(self) -> bool:
        return "columns" in self.raw

    @property
    def complete(self) -> bool:
        return self._ended and not self._unclosed

    @property
    def inferred(self) -> tuple[str, ...]:
        """What had to be assumed."""
        return () if self.sections else (f"schema version {VERSION} (not declared)",)

    def event(self) -> None:
        """An event was read: what was closed before it goes on."""
        self._ended = False

    def end(self, complete: Any, line: int) -> None:
        """A line that says whether anything is missing before it."""
        self._ended = complete is True
        if not isinstance(complete, bool):
            self.rejects.add(line, "tracekit.complete is neither true nor false", str(complete), "tracekit.complete")

    def begin(self, row: dict[str, Any], line: int) -> None:
        """A line that declares something.

        Raises
        ------
        TracekitError: TK107 for what is declared in a wrong way, TK108 for a newer version of the schema.
        """
        at = f"{self.at}, line {line}"
        version = row["tracekit.version"]
        if type(version) is not int or not 1 <= version <= VERSION:
            raise TracekitError(
                "TK108", "the log was written in a version of the schema that this tracekit does not read", at=at,
                found=f"tracekit.version {version!s:.40}", want=f"1 to {VERSION}", help="a newer tracekit reads it",
            )  # fmt: skip
        self._unclosed |= self.sections > 0 and not self._ended
        self.sections += 1
        for name in KNOWN:
            value = row.get(f"tracekit.{name}")
            if value is None:
                continue
            if name not in self.raw:
                self.raw[name] = value
                getattr(self, f"_take_{name}")(value, at)
            elif value != self.raw[name]:
                self.rejects.add(line, NOT_FITTING, json.dumps(value), f"tracekit.{name}")
        self._ended = row.get("tracekit.complete") is True

    def _take_run(self, value: Any, at: str) -> None:
        self.run = Run.from_json(json.dumps(value), at)

    def _take_processes(self, value: Any, at: str) -> None:
        names = isinstance(value, list) and all(isinstance(p, str) and p for p in value)
        if not names or len(set(value)) != len(value):
            raise _wrong("processes", value, 'a list of different names: ["n1", "n2"]', at)
        self.processes = value

    def _take_columns(self, value: Any, at: str) -> None:
        want = f"an object from a column's name to its type: {', '.join(sorted(TYPES))}"
        if not isinstance(value, dict):
            raise _wrong("columns", value, want, at)
        for kind in value.values():
            members = list(kind.values()) if isinstance(kind, dict) else [kind]
            if not all(isinstance(member, str) and member in TYPES for member in members):
                raise _wrong("columns", kind, want, at)
        self.columns = dict(value)

    def _take_set_aside(self, value: Any, at: str) -> None:
        try:
            first = tuple(
                SetAside(str(e["place"]), str(e["reason"]), str(e.get("text", "")), e.get("field"))
                for e in value["first"]
            )
            self.set_aside = SetAsides({str(k): int(v) for k, v in value["counts"].items()}, first)
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
            raise _wrong("set_aside", value, '{"counts": {reason: count}, "first": [...]}', at) from None


def _wrong(name: str, value: Any, want: str, at: str) -> TracekitError:
    return TracekitError(
        "TK107", f"the metadata entry tracekit.{name} has the wrong form", at=at, found=str(value)[:80], want=want
    )
