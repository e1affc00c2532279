"""Short ways to write events about locks, and to judge them."""

from __future__ import annotations

from typing import Any

from tracekit.execution import Execution, Options
from tracekit.registry import checks
from tracekit.results import CheckResult
from tracekit.trace.builder import TraceBuilder
from tracekit.trace.run import Run
from tracekit.trace.trace import SetAsides, Trace

Row = dict[str, Any]
PLAIN = ("message", "peer", "index", "time_ns", "true_time_ns", "op", "f", "key", "value", "seq")


def event(process: str, name: str, kind: str = "internal", **fields: Any) -> Row:
    """A row; fields of the domain go without their prefix."""
    named = {k if k in PLAIN else f"lock.{k}": v for k, v in fields.items()}
    return {"process": process, "kind": kind, "name": f"lock.{name}", **named}


def in_order(rows: list[Row]) -> list[Row]:
    """The rows as one recorder wrote them."""
    return [{**row, "index": place} for place, row in enumerate(rows)]


def trace(rows: list[Row], set_aside: SetAsides | None = None, complete: bool = True, **run: Any) -> Trace:
    """The rows as a trace."""
    builder = TraceBuilder((), Run(**run))
    for row in rows:
        builder.add(row)
    return builder.build(set_aside=set_aside, complete=complete)


def check(rows: list[Row], name: str, *, skew_ns: int = 0, **more: Any) -> CheckResult:
    """What a check says, where it applies; else it is not applicable."""
    execution = Execution(trace(rows, **more), Options(skew_ns=skew_ns))
    found = checks()[f"lock.{name}"]
    if not found.applies(execution):
        return CheckResult(applicable=False)
    return found.run(execution, execution.options)


def anomalies(result: CheckResult) -> list[str]:
    """The anomaly codes found."""
    return [violation.anomaly for violation in result.violations]
