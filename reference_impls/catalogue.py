"""The protocols of this package, by name: what the entry point ``tracekit.protocols`` offers.

A protocol is a package under `protocols` whose module `protocol` has it as ``PROTOCOL``.
"""

from __future__ import annotations

import importlib
import pkgutil

import reference_impls.protocols
from tracekit.protocols import Protocol


def protocols() -> dict[str, Protocol]:
    """Every reference protocol by name."""
    found: dict[str, Protocol] = {}
    for info in pkgutil.iter_modules(reference_impls.protocols.__path__):
        if info.ispkg:
            module = importlib.import_module(f"reference_impls.protocols.{info.name}.protocol")
            found[module.PROTOCOL.name] = module.PROTOCOL
    return found
