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
    """Registers a check, which is unknown where instances, ballots, values or acceptors are recorded in a way that
    cannot be read: events of several instances would be taken for those of one, the values 17 and 17.0 for two."""

    def register(function: CheckFunction) -> CheckFunction:
        @wraps(function)
        def judged(execution: Execution, options: Options) -> CheckResult:
            columns = execution.trace.columns
            there = [name for name in _FIELDS if name in columns and columns[name].present.any()]
            wrong = evidence.not_recorded(execution, *there)
            return CheckResult(reasons=wrong) if wrong else function(execution, options)

        return domain_check(name)(judged)

    return register


_FIELDS = (
    "paxos.instance", "paxos.ballot", "paxos.value", "paxos.promised", "paxos.accepted_ballot", "paxos.accepted_value",
    "paxos.acceptors",
)  # fmt: skip


def violation(
    execution: Execution, anomaly: str, summary: str, events: Sequence[tuple[int, str]], *, facts: Mapping[str, Any]
) -> Violation:
    """A violation from the rows of its events, each with its words, in any order; the last in causal order is where the
    rule broke."""
    texts = {int(row): text for row, text in reversed(events)}
    ordered = [(row, texts[row]) for row in evidence.in_causal_order(execution, list(texts))]
    return evidence.violation(execution, anomaly, summary, ordered, facts=facts)
