"""What commands share: colours, progress on a terminal, names with their nearest neighbours."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tracekit.errors import TracekitError

if TYPE_CHECKING:
    from tracekit.trace.trace import Trace

COLOURS = {"violated": "red", "unknown": "yellow", "holds": "green"}
PATIENCE = 1.0
"""Seconds before progress is shown; what is done sooner needs none."""


def style(text: str, role: str) -> str:
    """Colours by role; click takes them out again where the output is no terminal."""
    if role in COLOURS:
        return click.style(text, fg=COLOURS[role], bold=True)
    if role == "dim":
        return click.style(text, dim=True)
    return click.style(text, bold=True) if role == "name" else text


UNITS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


class Seconds(click.ParamType[float]):
    """A duration: ``60s``, ``10m``, ``5ms``."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        number = value.rstrip("numsh")
        unit = value[len(number) :] or "s"
        try:
            seconds = float(number) * UNITS[unit]
        except (ValueError, KeyError):
            seconds = -1.0
        if not 0 <= seconds < 1e9:
            self.fail(f"{value!r} is no duration; write 60s, 10m or 5ms", param, ctx)
        return seconds


@contextmanager
def progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on stderr for work that takes more than a second, if that is a terminal; gives ``advance(done, total)``."""
    if not sys.stderr.isatty():
        yield lambda done, total: None
        return
    started = time.monotonic()
    bar = None

    def advance(done: int, total: int) -> None:
        nonlocal bar
        if bar is None and time.monotonic() - started < PATIENCE:
            return
        if bar is None:
            from rich.console import Console
            from rich.progress import Progress

            bar = Progress(console=Console(stderr=True), transient=True)
            bar.add_task(what, total=total)
            bar.start()
        bar.update(bar.task_ids[0], completed=done, total=total)

    try:
        yield advance
    finally:
        if bar is not None:
            bar.stop()


@contextmanager
def status(what: str) -> Iterator[Callable[[str], None]]:
    """One changing line on stderr, if that is a terminal; gives ``say(text)``."""
    if not sys.stderr.isatty():
        yield lambda text: None
        return
    from rich.console import Console

    with Console(stderr=True).status(what) as shown:
        yield lambda text: shown.update(text)


def writable(path: str, option: str) -> None:
    """Refuses a file that cannot be written before the work is done whose result it is to hold.

    Raises
    ------
    TracekitError: TK109 where its folder is not there or may not be written to.
    """
    folder = Path(path).absolute().parent
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise TracekitError(
            "TK109",
            "the file cannot be written",
            at=f"{option} {path}",
            found=f"no folder {folder}" if not folder.is_dir() else f"no permission to write to {folder}",
            help="nothing was done; name a file in a folder that is there",
        )


def read_one(source: str, format_name: str | None) -> Trace:
    """The one execution of a file, with progress. Raises TracekitError TK206 where it holds several."""
    from tracekit.reading import read_traces

    with progress(f"reading {source}") as advance:
        traces = read_traces(source, format_name, advance)
    if len(traces) != 1:
        raise TracekitError(
            "TK206",
            "the file holds several executions; this command takes one",
            at=source,
            found=f"{len(traces)} executions",
            help="tracekit analyze judges each of them",
        )
    return traces[0]
