"""The native file."""

from __future__ import annotations

from pathlib import Path

from tracekit.registry import Export
from tracekit.trace.parquet import write_parquet
from tracekit.trace.trace import Trace


def write(trace: Trace, path: Path) -> tuple[str, ...]:
    """Writes the trace; nothing is left out."""
    write_parquet(trace, path)
    return ()


EXPORT = Export(
    name="parquet",
    summary="the native trace (docs/trace-format.md): holds everything",
    endings=(".parquet",),
    write=write,
)
