"""What recorders wrote, as one trace."""

from __future__ import annotations

from pathlib import Path

from tracekit.formats.recording import read
from tracekit.trace.join import join
from tracekit.trace.trace import Trace


def joined(*paths: Path) -> Trace:
    """The logs of the processes of one run."""
    return join([trace for path in paths for trace in read(path)])
