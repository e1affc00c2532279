"""What commands share: colours, progress on a terminal, names with their nearest neighbours."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

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
