"""What readers of text files share: contents, lines, what was set aside, and the error for a file of another format."""

from __future__ import annotations

import gc
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tracekit.errors import TracekitError
from tracekit.trace.columns import Column
from tracekit.trace.trace import SetAside, SetAsides

SHOWN = 120
"""Characters of a bad row that are shown."""


@contextmanager
def collector_paused() -> Iterator[None]:
    """Rows become millions of small dicts that all live to the end: scanning them again and again frees nothing."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def read_bytes(path: Path) -> bytes:
    """The file's contents, decompressed where it is gzip, as valid UTF-8 without a byte-order mark.

    Bytes that are no UTF-8 become U+FFFD.

    Raises
    ------
    TracekitError: TK101 no such file, TK202 broken gzip.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise TracekitError("TK101", "the file cannot be read", at=str(path), found=str(error.strerror)) from None
    if data.startswith(b"\x1f\x8b"):
        data = _gunzip(data, path)
    if data.startswith(b"\xef\xbb\xbf"):
        data = data[3:]
    try:
        data.decode("ascii" if data.isascii() else "utf-8")
    except UnicodeDecodeError:
        data = data.decode("utf-8", "replace").encode()
    return data


def _gunzip(data: bytes, path: Path) -> bytes:
    """All members of a gzip file; one that is cut off or damaged is an error, for nobody knows what is missing."""
    parts: list[bytes] = []
    while data:
        member = zlib.decompressobj(wbits=31)
        try:
            parts.append(member.decompress(data))
        except zlib.error as error:
            raise TracekitError("TK202", "the gzip data are damaged", at=str(path), found=str(error)) from None
        if not member.eof:
            raise TracekitError("TK202", "the gzip data end too early", at=str(path), help="the copy may be incomplete")
        data = member.unused_data.lstrip(b"\0")
    return b"".join(parts)


def wrong_format(path: Path, name: str, found: str, want: str) -> TracekitError:
    """TK201: the file as a whole is not of the format."""
    return TracekitError(
        "TK201",
        f"the file is not of the format {name}",
        at=str(path),
        found=found,
        want=want,
        help="without --from the format is recognised by content; tracekit list formats shows all of them",
    )


def shorten(text: str) -> str:
    """A bad row as it is shown."""
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"


def first_line(data: bytes) -> str:
    """The first line that is not blank, shortened: what an error says was found."""
    for line in data[:4096].split(b"\n"):
        if line.strip():
            text = line.strip().decode("utf-8", "replace")
            strange = sum(not c.isprintable() or c == "\ufffd" for c in text.replace("\t", " "))
            return shorten(text) if strange * 10 <= len(text) else "no text, but binary data"
    return "an empty file" if not data else "only blank lines"


class Rejects:
    """Rows and fields set aside while a file is read, each with its line."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.counts: dict[str, int] = {}
        self.first: list[SetAside] = []

    def add(self, line: int, reason: str, text: str = "", field: str | None = None) -> None:
        """One row, or one field of a row."""
        self.counts[reason] = self.counts.get(reason, 0) + 1
        if len(self.first) < SetAsides.KEPT:
            self.first.append(SetAside(f"{self.source}:{line}", reason, shorten(text), field))

    def add_many(self, lines: Sequence[int], reason: str, text: Callable[[int], str]) -> None:
        """Many rows for one reason; `text` is asked for the k-th only where it is shown."""
        shown = max(0, SetAsides.KEPT - len(self.first))
        for k, line in enumerate(lines[:shown]):
            self.add(line, reason, text(k))
        if len(lines) > shown:
            self.counts[reason] = self.counts.get(reason, 0) + len(lines) - shown

    def result(self) -> SetAsides:
        """What `assemble` takes."""
        return SetAsides(dict(self.counts), tuple(self.first))


def constant(text: str, rows: int) -> Column:
    """A column that says the same in every row."""
    return Column(np.zeros(rows, np.int32), None, pa.array([text], pa.string()))


def coded(texts: Sequence[str], codes: NDArray[Any]) -> Column:
    """A text column from codes, -1 where absent; the texts need not be distinct."""
    distinct: dict[str, int] = {}
    table = np.array([distinct.setdefault(text, len(distinct)) for text in texts] + [-1], np.int32)
    values = table[codes]
    present = values >= 0
    return Column(values, None if present.all() else present, pa.array(list(distinct), pa.string()))


def as_int(text: str | None) -> int | None:
    """The integer that canonical JSON text is, where it is one that a column can hold."""
    if text is None or len(text) > 20 or not text.isascii() or not text.removeprefix("-").isdecimal():
        return None
    number = int(text)
    return number if -(2**63) <= number < 2**63 else None
