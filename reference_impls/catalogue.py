"""The protocols of this package, by name: what the entry point ``tracekit.protocols`` offers."""

from __future__ import annotations

from tracekit.protocols import Protocol


def protocols() -> dict[str, Protocol]:
    """Every reference protocol by name."""
    return {}
