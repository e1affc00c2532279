"""What all Paxos checks have in common: when they cannot read a trace, and witnesses in causal order."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any

from tracekit.checks import evidence
from tracekit.checks.doubts import domain_check
from tracekit.execution import Execution, Options
from tracekit.results import CheckResult, Violation

if TYPE_CHECKING:
    from tracekit.registry import CheckFunction


def paxos_check(name: str) -> Callable[[CheckFunction], CheckFunction]:
    """Registers a check, which is unknown where instances are recorded in a way that cannot be read: events of several
    instances would be taken for those of one."""

    def register(function: CheckFunction) -> CheckFunction:
        @wraps(function)
        def judged(execution: Execution, options: Options) -> CheckResult:
            column = execution.trace.columns.get("paxos.instance")
            if column is not None and column.present.any():
                wrong = evidence.not_recorded(execution, "paxos.instance")
                if wrong:
                    return CheckResult(reasons=wrong)
            return function(execution, options)

        return domain_check(name)(judged)

    return register


def violation(
    execution: Execution, anomaly: str, summary: str, events: Sequence[tuple[int, str]], *, facts: Mapping[str, Any]
) -> Violation:
    """A violation from the rows of its events, each with its words, in any order; the last in causal order is where the
    rule broke."""
    texts = {int(row): text for row, text in reversed(events)}
    ordered = [(row, texts[row]) for row in evidence.in_causal_order(execution, list(texts))]
    return evidence.violation(execution, anomaly, summary, ordered, facts=facts)
