"""read_traces(): any file that holds executions, recognised by its content."""

from __future__ import annotations

import gzip
import os
import zlib
from pathlib import Path

from tracekit.errors import TracekitError, nearest
from tracekit.registry import Format, formats
from tracekit.trace.parquet import MAGIC, Progress, read_parquet
from tracekit.trace.trace import Trace

HEAD = 1 << 16
NATIVE = "parquet"


def read_trace(path: str | os.PathLike[str], format: str | None = None) -> Trace:
    """The one execution of a file.

    Raises
    ------
    TracekitError: as `read_traces`; TK206 where the file holds several executions.
    """
    traces = read_traces(path, format)
    if len(traces) != 1:
        raise TracekitError(
            "TK206",
            "the file holds several executions",
            at=str(path),
            found=f"{len(traces)} executions",
            help="tracekit.read_traces gives all of them",
        )
    return traces[0]


def read_traces(
    path: str | os.PathLike[str], format: str | None = None, progress: Progress | None = None
) -> list[Trace]:
    """Every execution of a file, in its order.

    Parameters
    ----------
    format: a name from ``tracekit list formats``, or a mapping file ``*.toml``; None: recognised by content.

    Raises
    ------
    TracekitError: TK1xx for native files; TK201 where the content is of no known format, or of several; TK202 for an
        unknown format name; TK2xx from a format's reader.
    """
    path = Path(path)
    if not path.exists():
        raise TracekitError("TK101", "there is no such file", at=str(path), help=_near_files(path))
    if not path.is_file():
        raise TracekitError("TK101", "this is not a file", at=str(path))
    try:
        head = head_of(path)
    except OSError as error:
        raise TracekitError("TK101", "the file cannot be read", at=str(path), found=str(error.strerror)) from None
    if (format is None and head.startswith(MAGIC)) or format == NATIVE:
        return [read_parquet(path, progress=progress)]
    if format and format.endswith(".toml"):
        from tracekit.formats.mapped import read_mapped

        return read_mapped(path, Path(format))
    return _named(format).read(path) if format else _recognised(path, head).read(path)


def head_of(path: Path) -> bytes:
    """The first 64 KiB of a file, of its contents where it is gzip; nothing where the gzip is broken at once."""
    with path.open("rb") as stream:
        head = stream.read(HEAD)
    if head.startswith(b"\x1f\x8b"):
        try:
            return zlib.decompressobj(wbits=31).decompress(head, HEAD)
        except (zlib.error, gzip.BadGzipFile):
            return b""
    return head


def _named(name: str) -> Format:
    known = formats()
    if name not in known:
        near = nearest(name, [*known, NATIVE])
        raise TracekitError(
            "TK202",
            f"no format is named {name}",
            at="--from",
            want=", ".join(near or [*known, NATIVE]),
            help="tracekit list formats shows all of them",
        )
    return known[name]


def _recognised(path: Path, head: bytes) -> Format:
    if not head:
        raise TracekitError("TK201", "the file is empty", at=str(path), want="a trace")
    fitting = [f for f in formats().values() if f.can_read(path, head)]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise TracekitError(
            "TK201",
            "the file may be of several formats",
            at=str(path),
            found=", ".join(f.name for f in fitting),
            help=f"say which one: --from {fitting[0].name}",
        )
    from tracekit.formats.text import first_line

    raise TracekitError(
        "TK201",
        "the file is of no format that is known",
        at=str(path),
        found=f"first line: {first_line(head)}",
        want=", ".join([NATIVE, *formats()]),
        help="tracekit list formats shows them; any other log is read through a mapping, --from MAPPING.toml "
        "(docs/formats/mapping.md)",
    )


def _near_files(path: Path) -> str | None:
    folder = path.parent
    if not folder.is_dir():
        return None
    near = nearest(path.name, (p.name for p in folder.iterdir() if p.is_file()), 2)
    return f"nearby: {', '.join(str(folder / name) if str(folder) != '.' else name for name in near)}" if near else None
