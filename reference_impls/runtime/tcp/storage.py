"""Stable storage: a journal of what was made stable, one record after the other, forced to the disk.

A process that is killed may have written what it had not yet recorded in its trace. Nobody can have seen it: it had not
been sent either. So that storage and trace agree on what had happened, such records are taken back (`take_back`), as if
the kill had come a moment earlier. For this, each record keeps how many events the trace had before it: it stands only
if one more followed.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from struct import Struct
from typing import Any

from reference_impls.runtime.process import Stable
from reference_impls.runtime.tcp.wire import dumps, loads

HEAD = Struct("!QII")
"""Of a record: events before it, bytes of its body, their checksum."""


class Storage:
    """The journal of one process.

    Parameters
    ----------
    events: how many events the process has recorded so far.

    Attributes
    ----------
    stable: what it holds.
    """

    def __init__(self, path: Path, events: Callable[[], int]) -> None:
        self.stable = Stable()
        for _, _, body in records(path):
            self.stable.write(*loads(body))
        self._events = events
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._forced = True
        _force_folder(path.parent)

    def write(self, cells: Mapping[str, Any], log_from: int, entries: Sequence[Any]) -> None:
        """Carries out a Persist. It is stable once `force` has returned."""
        self.stable.write(cells, log_from, entries)
        body = dumps((dict(cells), log_from, list(entries)))
        record = HEAD.pack(self._events(), len(body), zlib.crc32(body)) + body
        if os.write(self._file, record) != len(record):
            raise OSError("the disk is full")
        self._forced = False

    def force(self) -> None:
        """Everything written is on the disk; a few ms, and nothing where nothing was written since."""
        if not self._forced:
            os.fsync(self._file)
            self._forced = True

    def close(self) -> None:
        """No more is written."""
        self.force()
        os.close(self._file)


def records(path: Path) -> Iterator[tuple[int, int, bytes]]:
    """For each whole record: where it begins in the file, how many events were before it, its body."""
    data = path.read_bytes() if path.exists() else b""
    at = 0
    while len(data) - at >= HEAD.size:
        events, length, checksum = HEAD.unpack_from(data, at)
        body = data[at + HEAD.size : at + HEAD.size + length]
        if len(body) < length or zlib.crc32(body) != checksum:
            return
        yield at, events, body
        at += HEAD.size + length


def take_back(path: Path, events: int) -> None:
    """Cuts off what a killed process had not finished: a torn record, and those that no event of the trace followed."""
    end = 0
    for at, before, body in records(path):
        if before >= events:
            break
        end = at + HEAD.size + len(body)
    if path.exists():
        os.truncate(path, end)


def _force_folder(folder: Path) -> None:
    """The file's name is on the disk as well."""
    file = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)
