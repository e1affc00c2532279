"""The protocols of this package, by name: what the entry point ``tracekit.protocols`` offers.

A protocol is a package under `protocols` whose module `protocol` has it as ``DESIGN``.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

import reference_impls.protocols
from reference_impls.runtime.plan import Design
from reference_impls.runtime.reference import protocol_of
from tracekit.protocols import Protocol


@cache
def designs() -> dict[str, Design]:
    """Every reference protocol by name, as it declares itself."""
    found: dict[str, Design] = {}
    for info in pkgutil.iter_modules(reference_impls.protocols.__path__):
        if info.ispkg:
            module = importlib.import_module(f"reference_impls.protocols.{info.name}.protocol")
            found[module.DESIGN.name] = module.DESIGN
    return found


@cache
def protocols() -> dict[str, Protocol]:
    """Every reference protocol by name, as tracekit offers it."""
    return {name: protocol_of(design) for name, design in designs().items()}
