"""What a recording leaves open about a protocol, whatever the check: rows set aside, starts and ends that it missed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import wraps
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tracekit.execution import Execution, Options
from tracekit.registry import check
from tracekit.results import CheckResult
from tracekit.trace.schema import Kind

if TYPE_CHECKING:
    from tracekit.registry import CheckFunction

ORDER_FIELDS = frozenset({"message", "peer", "index"})
"""Fields beside a protocol's own that its checks are built from."""


def domain_occurs(execution: Execution, domain: str) -> bool:
    """Whether the trace has any event or field of a domain."""
    trace, prefix = execution.trace, f"{domain}."
    return any(name.startswith(prefix) for name in trace.names) or any(
        name.startswith(prefix) for name in trace.columns
    )


def domain_check(
    name: str,
    *,
    domain: str = "",
    applies: Callable[[Execution], bool] | None = None,
    measured: bool = False,
    self_evident: Callable[[Execution], bool] = lambda execution: False,
) -> Callable[[CheckFunction], CheckFunction]:
    """Registers a check of a protocol, which becomes unknown where events that were set aside could change its answer,
    or where events that are visibly missing could excuse a violation.

    Parameters
    ----------
    domain: prefix of the protocol's events and fields; empty: the check's family.
    applies: whether any of the property's events occur; None: whether any of the domain does.
    measured: see `tracekit.registry.Check`.
    self_evident: whether a violation shows in recorded values alone, so that no missing event could excuse it. Most do
        not: a vote, a log change or a step down that was set aside makes what follows look wrong.
    """
    prefix = domain or name.partition(".")[0]

    def register(function: CheckFunction) -> CheckFunction:
        @wraps(function)
        def judged(execution: Execution, options: Options) -> CheckResult:
            found = function(execution, options)
            spoiled = execution.trace.set_aside.spoiling(lambda f: f.startswith(f"{prefix}.") or f in ORDER_FIELDS)
            if spoiled:
                return _doubted(found, spoiled, prefix, self_evident(execution))
            missing = left_out(execution) if found.violations_total and not self_evident(execution) else ""
            return _excused(found, missing) if missing else found

        occurs = applies or (lambda execution: domain_occurs(execution, prefix))
        return check(name, applies=occurs, measured=measured)(judged)

    return register


def not_covered(execution: Execution) -> list[int]:
    """Codes of processes of which the start or the end is declared not to be recorded: what they did not record, they
    may have done."""
    coverage, processes = execution.trace.run.coverage, execution.trace.processes
    partial = [name for name, c in coverage.items() if not (c.get("start", True) and c.get("end", True))]
    return [processes.index(name) for name in partial if name in processes]


def torn(execution: Execution) -> str:
    """Why some process's last events may be missing though later ones of others are there; empty where that cannot be.

    A file without the mark of its end may have lost that. One that was written as things happened has then lost what
    nothing recorded follows from; not so several logs behind each other. They show by each process's rows standing
    together, or by a receive before its send.
    """
    trace = execution.trace
    if trace.complete:
        return ""
    blocks = np.count_nonzero(np.diff(trace.process)) + 1 == len(np.unique(trace.process)) > 1
    rows = execution.messages.receives
    if blocks or bool((execution.messages.send_of[rows] > rows).any()):
        return "the file is not marked complete, and does not stand in the order in which things happened"
    return ""


def left_out(execution: Execution, processes: NDArray[np.integer[Any]] | None = None) -> str:
    """Where places (seq) show that events were not recorded; empty where none do. processes: codes; None: all."""
    trace, rows = execution.trace, execution.program_order.gaps(execution.trace)
    if processes is not None:
        rows = rows[np.isin(trace.process[rows], processes)]
    if not len(rows):
        return ""
    where = f"before {trace.event(int(rows[0]))}" + (f" and in {len(rows) - 1:,} more places" if len(rows) > 1 else "")
    return f"events {where} are not recorded (gaps in seq)"


def unheard(execution: Execution, names: Sequence[str]) -> tuple[str, ...]:
    """Those names of messages that are sent and never received anywhere: all were lost, or, as likely, receipts of them
    are not recorded. What a message tells may then have been known without a trace of it."""
    trace = execution.trace
    sent, received = trace.is_kind(Kind.SEND), trace.is_kind(Kind.RECEIVE)
    return tuple(
        name for name in names if (trace.named(name) & sent).any() and not (trace.named(name) & received).any()
    )


def _doubted(found: CheckResult, spoiled: str, domain: str, self_evident: bool) -> CheckResult:
    may = f"{spoiled}: they may belong to {domain}"
    if not found.violations_total:
        return replace(found, reasons=(*found.reasons, may))
    if self_evident:
        return found
    return _excused(found, spoiled)


def _excused(found: CheckResult, why: str) -> CheckResult:
    excused = f"{found.violations[0].summary} But {why}, which may explain it."
    return replace(found, violations=(), violations_total=0, reasons=(*found.reasons, excused))
