"""Finds checks, formats and exports by looking into their packages: a new one is a new file and no edit elsewhere."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from tracekit.errors import TracekitError, nearest

if TYPE_CHECKING:
    from tracekit.execution import Execution, Options
    from tracekit.results import CheckResult
    from tracekit.trace.trace import Trace

    CheckFunction = Callable[[Execution, Options], CheckResult]

HEADINGS = ("Meaning", "Example", "Needs", "Cannot see", "Cost", "Reference")
"""The parts that every check's page has, in this order; they are sections of the docstring of its function."""


@dataclass(frozen=True)
class Check:
    """A property that can be decided of an execution.

    Attributes
    ----------
    name: ``family.property``.
    run: the function that decides it; its docstring is the page that ``tracekit explain`` shows.
    applies: whether any of the property's events occur; where not, the check is not-applicable and does not run.
    columns: recorded columns without which the check cannot decide; where one is missing, it is unknown and says so.
    measured: without claims or `--check`, the check is shown but does not decide.
    declared: makes a measured check required, where the run declared the bound or guarantee that it judges.
    search: NP-hard; it runs only where it is required, within the budget.
    asked: for checks of something that the caller says (``--never EXPR``): whether he did; then they are required, and
        else they do not run.
    """

    name: str
    run: CheckFunction
    applies: Callable[[Execution], bool]
    columns: tuple[str, ...] = ()
    measured: bool = False
    declared: Callable[[Execution], bool] = field(default=lambda execution: False)
    search: bool = False
    asked: Callable[[Options], bool] | None = None

    @property
    def family(self) -> str:
        """``raft`` of ``raft.log-matching``."""
        return self.name.partition(".")[0]

    @property
    def summary(self) -> str:
        """One line."""
        return inspect.getdoc(self.run).partition("\n")[0]  # type: ignore[union-attr]

    @property
    def page(self) -> Mapping[str, str]:
        """The parts of the page by heading (`HEADINGS`)."""
        return parse_page(inspect.getdoc(self.run) or "")

    @property
    def reference(self) -> str:
        """The paper that the check follows, shortened for a line of output: the first sentence of that part."""
        return " ".join(self.page.get("Reference", "").split()).split(". ")[0].rstrip(".")


def parse_page(doc: str) -> dict[str, str]:
    """The sections of a docstring: a heading alone on a line, its text indented below."""
    parts: dict[str, list[str]] = {}
    current: list[str] = []
    for line in doc.splitlines():
        if line in HEADINGS:
            current = parts.setdefault(line, [])
        else:
            current.append(line)
    return {heading: inspect.cleandoc("\n" + "\n".join(lines)).strip() for heading, lines in parts.items()}


_CHECKS: dict[str, Check] = {}


def check(
    name: str,
    *,
    applies: Callable[[Execution], bool],
    columns: tuple[str, ...] = (),
    measured: bool = False,
    declared: Callable[[Execution], bool] = lambda execution: False,
    search: bool = False,
    asked: Callable[[Options], bool] | None = None,
) -> Callable[[CheckFunction], CheckFunction]:
    """Registers a function as a check; see `Check` for the parameters."""

    def register(function: CheckFunction) -> CheckFunction:
        _CHECKS[name] = Check(name, function, applies, columns, measured, declared, search, asked)
        return function

    return register


@cache
def checks() -> Mapping[str, Check]:
    """Every check by name, in order of name."""
    import tracekit.checks

    _import_all(tracekit.checks.__path__, "tracekit.checks.")
    return dict(sorted(_CHECKS.items()))


def select_checks(pattern: str) -> list[str]:
    """The names that a glob means: ``raft.*``; without a dot a whole family: ``raft``.

    Raises
    ------
    TracekitError: TK301 where nothing matches, with the nearest names.
    """
    names = list(checks())
    found = [n for n in names if fnmatchcase(n, pattern) or n.partition(".")[0] == pattern]
    if not found:
        near = nearest(pattern, names)
        raise TracekitError(
            "TK301",
            f"no check is named {pattern}",
            at="--check",
            want="a name or a glob: " + (", ".join(near) if near else "raft.*, consistency.linearizable"),
            help="tracekit list checks shows all of them",
        )
    return found


@dataclass(frozen=True)
class Format:
    """A way in which executions are written down; its module has it as ``FORMAT``.

    Attributes
    ----------
    name: as in ``--from``.
    can_read: from a path and the file's first 64 KiB (of its decompressed contents where it is gzip).
    read: every execution in the file, in its order. Raises TracekitError TK2xx for a file that is not of the format;
        single bad rows are set aside.
    example: a line or two as they stand in such a file.
    """

    name: str
    summary: str
    can_read: Callable[[Path, bytes], bool]
    read: Callable[[Path], list[Trace]]
    example: str = ""


@cache
def formats() -> Mapping[str, Format]:
    """Every foreign format by name, in order of name."""
    import tracekit.formats

    modules = _import_all(tracekit.formats.__path__, "tracekit.formats.")
    found: list[Format] = [module.FORMAT for module in modules if hasattr(module, "FORMAT")]
    return {f.name: f for f in sorted(found, key=lambda f: f.name)}


@dataclass(frozen=True)
class Export:
    """A way in which a trace can be written; its module in ``exports`` has it as ``EXPORT``.

    Attributes
    ----------
    name: as in ``--to``; where a format of the same name is read, it reads what was written.
    endings: of file names that mean it: ``.csv``.
    write: writes the trace to the path, and returns what it could not write, a phrase each. Raises TracekitError TK1xx.
    """

    name: str
    summary: str
    endings: tuple[str, ...]
    write: Callable[[Trace, Path], tuple[str, ...]]


@cache
def exports() -> Mapping[str, Export]:
    """Every way to write a trace by name, in order of name."""
    import tracekit.exports

    modules = _import_all(tracekit.exports.__path__, "tracekit.exports.")
    found: list[Export] = [module.EXPORT for module in modules if hasattr(module, "EXPORT")]
    return {e.name: e for e in sorted(found, key=lambda e: e.name)}


def _import_all(path: list[str], prefix: str) -> list[object]:
    return [importlib.import_module(info.name) for info in pkgutil.walk_packages(path, prefix)]
