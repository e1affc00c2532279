"""tracekit analyses and verifies recorded executions of distributed systems.

    >>> import tracekit
    >>> result = tracekit.analyze(tracekit.read_trace("run.parquet"))   # doctest: +SKIP
    >>> result.verdict                                                  # doctest: +SKIP
    <Verdict.HOLDS: 'holds'>

Names are imported when first used, so that ``import tracekit`` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tracekit.analysis import analyze
    from tracekit.errors import TracekitError
    from tracekit.execution import Execution, Options
    from tracekit.order import cuts, predicates
    from tracekit.reading import read_trace, read_traces
    from tracekit.results import CheckResult, Result, Verdict, Violation
    from tracekit.trace.parquet import write_parquet
    from tracekit.trace.recorder import Recorder
    from tracekit.trace.run import Run
    from tracekit.trace.trace import Trace

_HOMES = {
    "analyze": "tracekit.analysis",
    "TracekitError": "tracekit.errors",
    "Execution": "tracekit.execution",
    "Options": "tracekit.execution",
    "read_trace": "tracekit.reading",
    "read_traces": "tracekit.reading",
    "CheckResult": "tracekit.results",
    "Result": "tracekit.results",
    "Verdict": "tracekit.results",
    "Violation": "tracekit.results",
    "write_parquet": "tracekit.trace.parquet",
    "Recorder": "tracekit.trace.recorder",
    "Run": "tracekit.trace.run",
    "Trace": "tracekit.trace.trace",
}

_MODULES = {"cuts": "tracekit.order.cuts", "predicates": "tracekit.order.predicates"}

__all__ = [
    "CheckResult", "Execution", "Options", "Recorder", "Result", "Run", "Trace", "TracekitError", "Verdict",
    "Violation", "analyze", "cuts", "predicates", "read_trace", "read_traces", "write_parquet",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(_MODULES[name])
    if name not in _HOMES:
        raise AttributeError(f"module 'tracekit' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
