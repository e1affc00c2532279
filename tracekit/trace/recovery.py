"""Where a recorder's file ends: what a recorder needs in order to go on with it."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from tracekit.errors import TracekitError
from tracekit.trace.context import Context
from tracekit.trace.schema import NEMESIS

if sys.platform != "win32":  # there, nothing keeps two recorders from one file
    import fcntl

METADATA = b'{"tracekit.version":'
"""How every recorder's file begins."""

STEP = 1 << 16


@dataclass(frozen=True, slots=True)
class Past:
    """The state of a process's clocks after its events so far.

    Attributes
    ----------
    seq: how many events there are; the next one's place.
    lamport, vclock: timestamps of the last one.
    """

    seq: int = 0
    lamport: int = 0
    vclock: Mapping[str, int] = field(default_factory=dict)

    def next(self, process: str, learned: Context | None) -> Past:
        """After one more event of the process, which learned what a message carried."""
        vclock = dict(self.vclock)
        lamport = self.lamport
        if learned is not None:
            lamport = max(lamport, learned.lamport)
            for name, value in learned.vclock.items():
                if value > vclock.get(name, 0):
                    vclock[name] = value
        vclock[process] = self.seq + 1
        return Past(self.seq + 1, lamport + 1, vclock)


def lock(file: int, path: Path) -> None:
    """Keeps others from recording to the file; the lock ends with the process, however it ends.

    Raises
    ------
    TracekitError: TK111 where another recorder has it.
    """
    if sys.platform == "win32":
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise TracekitError(
            "TK111",
            "another recorder is writing to this file",
            at=str(path),
            help="every process records to a file of its own; the process's last incarnation may still be alive",
        ) from None


def unlock(file: int) -> None:
    """Lets others record to the file, though a child that was forked just now may still hold it open."""
    if sys.platform != "win32":
        fcntl.flock(file, fcntl.LOCK_UN)


def past_of(file: int, path: Path, process: str) -> tuple[Past | None, bool | None]:
    """The state in which the file leaves the process; None where nothing was ever recorded.

    Second: None where the file ends with a line's end; else whether its last line is torn, and no event. Reads from
    the end backwards: O(1) in the length of the file.

    Raises
    ------
    TracekitError: TK110 where the file is not a recorder's log of this process.
    """
    size = os.fstat(file).st_size
    head = os.pread(file, STEP, 0)
    if not head.startswith(METADATA[: len(head)]):
        found = head.split(b"\n")[0][:80].decode("utf-8", "replace")
        raise _not_ours(path, f"first line: {found}", "an empty file, or one that a recorder began")
    if b"\n" not in head and size < STEP:
        os.ftruncate(file, 0)  # the first line itself is torn: nothing had been recorded
        return None, None
    span = STEP
    while True:
        start = max(0, size - span)
        lines = _read(file, start, size).split(b"\n")
        *whole, last = lines if start == 0 else lines[1:] or [b""]
        end = _event(last)
        torn = None if not last else end is None
        for row in (end, *map(_event, reversed(whole))):
            if row is not None:
                return _checked(row, path, process), torn
        if start == 0:
            return Past(), torn
        span *= 16


def _read(file: int, start: int, end: int) -> bytes:
    parts = []
    while start < end and (part := os.pread(file, end - start, start)):
        parts.append(part)
        start += len(part)
    return b"".join(parts)


def _event(line: bytes) -> dict[str, Any] | None:
    try:
        row = orjson.loads(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) and "kind" in row else None


def _checked(row: dict[str, Any], path: Path, process: str) -> Past:
    if row.get("process") != process:
        raise _not_ours(path, f"events of {row.get('process')}", f"events of {process}")
    seq, lamport, vclock = (row.get(name, empty) for name, empty in (("seq", None), ("lamport", 0), ("vclock", {})))
    clocked = process == NEMESIS or ("lamport" in row and "vclock" in row)
    if type(seq) is not int or type(lamport) is not int or not isinstance(vclock, dict) or not clocked:
        raise _not_ours(path, f"a last event without seq and clocks: {row}", "events that a recorder wrote")
    return Past(seq + 1, lamport, vclock)


def _not_ours(path: Path, found: str, want: str) -> TracekitError:
    return TracekitError(
        "TK110", "the file is not this process's log", at=str(path), found=found[:120], want=want,
        help="a recorder goes on with its own file only; give each process a file of its own",
    )  # fmt: skip
