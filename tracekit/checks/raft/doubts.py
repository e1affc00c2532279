"""What a recording leaves open about Raft, whatever the check: rows that were set aside."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from typing import TYPE_CHECKING

from tracekit.checks.raft.history import raft_occurs
from tracekit.execution import Execution, Options
from tracekit.registry import check
from tracekit.results import CheckResult

if TYPE_CHECKING:
    from tracekit.registry import CheckFunction

ORDER_FIELDS = frozenset({"message", "peer", "index"})
"""Fields beside Raft's own that its checks are built from."""


def raft_check(
    name: str, *, self_evident: Callable[[Execution], bool] = lambda execution: False
) -> Callable[[CheckFunction], CheckFunction]:
    """Registers a check of Raft, which becomes unknown where events that were set aside could change its answer.

    self_evident: whether a violation shows in recorded values alone, so that no missing event could excuse it. Most do
    not: a vote, a log change or a step down that was set aside makes what follows look wrong.
    """

    def register(function: CheckFunction) -> CheckFunction:
        @wraps(function)
        def judged(execution: Execution, options: Options) -> CheckResult:
            found = function(execution, options)
            spoiled = execution.trace.set_aside.spoiling(lambda f: f.startswith("raft.") or f in ORDER_FIELDS)
            return _doubted(found, spoiled, self_evident(execution)) if spoiled else found

        return check(name, applies=raft_occurs)(judged)

    return register


def not_covered(execution: Execution) -> list[int]:
    """Codes of processes of which the start or the end is declared not to be recorded: what they did not record, they
    may have done."""
    coverage, processes = execution.trace.run.coverage, execution.trace.processes
    partial = [name for name, c in coverage.items() if not (c.get("start", True) and c.get("end", True))]
    return [processes.index(name) for name in partial if name in processes]


def _doubted(found: CheckResult, spoiled: str, self_evident: bool) -> CheckResult:
    may = f"{spoiled}: they may belong to Raft"
    if not found.violations_total:
        return replace(found, reasons=(*found.reasons, may))
    if self_evident:
        return found
    excused = f"{found.violations[0].summary} But {spoiled}, which may explain it."
    return replace(found, violations=(), violations_total=0, reasons=(*found.reasons, excused))
