"""Witnesses of Raft violations, by the places of their events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import wraps
from typing import TYPE_CHECKING, Any

from tracekit.checks import evidence
from tracekit.checks.raft.history import RaftHistory, unread
from tracekit.execution import Execution, Options
from tracekit.results import CheckResult, Violation

if TYPE_CHECKING:
    from tracekit.registry import CheckFunction


def legible(function: CheckFunction) -> CheckFunction:
    """For checks that go by who led and what logs had: where a role or an index cannot be read, nothing holds."""

    @wraps(function)
    def judged(execution: Execution, options: Options) -> CheckResult:
        found, reasons = function(execution, options), unread(execution)
        return replace(found, reasons=(*found.reasons, *reasons)) if reasons else found

    return judged


def violation(
    history: RaftHistory,
    anomaly: str,
    summary: str,
    events: Sequence[tuple[int, str]],
    *,
    facts: Mapping[str, Any],
    damage: str = "",
) -> Violation:
    """A violation from the places of its events, each with its words; the last one is where the rule broke."""
    rows = [(int(history.rows[place]), text) for place, text in events]
    return evidence.violation(history.execution, anomaly, summary, rows, facts=facts, damage=damage)


def not_recorded(history: RaftHistory, *names: str) -> tuple[str, ...]:
    """One reason for each field that no event has, or that has another type than the vocabulary gives it."""
    return evidence.not_recorded(history.execution, *names)
