"""Operations: what clients invoked and what they were answered, built from invoke / ok / fail / info events."""

from __future__ import annotations

from dataclasses import dataclass

from tracekit.trace.trace import Trace


@dataclass(frozen=True, eq=False)
class Operations:
    """Placeholder until the history room is furnished."""


def operations_of(trace: Trace) -> Operations:
    """Placeholder until the history room is furnished."""
    return Operations()
