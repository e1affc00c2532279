"""Execution: one run under analysis; what is derived from its trace is computed once, when first asked for."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

from tracekit.history.operations import Operations, operations_of
from tracekit.order.happens_before import HappensBefore
from tracekit.order.matching import Messages, match
from tracekit.order.program import ProgramOrder
from tracekit.results import CheckResult, Edge, WitnessEvent
from tracekit.trace.assemble import describe as describe_column
from tracekit.trace.assemble import fits
from tracekit.trace.schema import FIELD, Kind
from tracekit.trace.trace import Trace
from tracekit.vocabulary import describe, domain_fields

T = TypeVar("T")


@dataclass(frozen=True)
class Options:
    """What the caller may set of an analysis.

    Attributes
    ----------
    model: sequential specification, ``kv`` or ``NAME:fail=asserts,nil=any``; None: the trace's own, or inferred.
    skew_ns: bound on how far recorders' clocks differ; 0: one shared clock.
    budget_s: seconds that each search may take.
    never: expressions (`tracekit.order.expressions`) that no global state may fulfil.
    inevitable: expressions that every observation must pass through.
    causality: what orders operations for the causal checks: ``sessions``, ``messages`` or ``both``.
    """

    model: str | None = None
    skew_ns: int = 0
    budget_s: float = 60.0
    never: tuple[str, ...] = ()
    inevitable: tuple[str, ...] = ()
    causality: str = "sessions"


@dataclass
class Budget:
    """Time that a search may still take; asked at steps inside long work.

    Attributes
    ----------
    interrupted: somebody pressed Ctrl-C, and the work was left where it stood: nothing is left either.
    """

    seconds: float
    started: float = field(default_factory=time.monotonic)
    interrupted: bool = False

    @property
    def left(self) -> float:
        """Seconds left; negative when overdrawn."""
        return -1.0 if self.interrupted else self.seconds - (time.monotonic() - self.started)

    @property
    def spent(self) -> str:
        """Why nothing is left, as a reason for unknown."""
        return "interrupted" if self.interrupted else f"{self.seconds:g} s budget spent"


class Interrupted(KeyboardInterrupt):
    """Raised by a check that was interrupted and has something to show: what it found until then."""

    def __init__(self, result: CheckResult) -> None:
        super().__init__("interrupted")
        self.result = result


class Execution:
    """One run under analysis. Never changes its trace.

    Parameters
    ----------
    trace: the recorded events.
    options: what the caller set.
    """

    def __init__(self, trace: Trace, options: Options | None = None) -> None:
        self.trace = trace
        self.options = options or Options()
        self._derived: dict[Callable[..., Any], Any] = {}

    @cached_property
    def program_order(self) -> ProgramOrder:
        """Each process's events in its own order."""
        return ProgramOrder.of(self.trace)

    @cached_property
    def messages(self) -> Messages:
        """Sends matched to receives."""
        return match(self.trace, self.program_order)

    @cached_property
    def happens_before(self) -> HappensBefore:
        """Lamport's partial order over the events."""
        return HappensBefore.of(self.trace, self.program_order, self.messages)

    @cached_property
    def operations(self) -> Operations:
        """What clients invoked and what they were answered."""
        return operations_of(self.trace)

    def derive(self, function: Callable[[Execution], T]) -> T:
        """`function` of this execution, computed once: several checks may rest on the same reading of the events."""
        if function not in self._derived:
            self._derived[function] = function(self)
        result: T = self._derived[function]
        return result

    def assuming(self, function: Callable[[Execution], T], value: T) -> Execution:
        """This execution with something else derived by one function, and so by all that ask for it."""
        other = Execution(self.trace, self.options)
        other.__dict__ |= self.__dict__ | {"_derived": {function: value}}
        return other

    def unusable(self, name: str) -> str:
        """Why a column cannot be read: it is missing, or not of its type; empty where it can."""
        column = self.trace.columns.get(name)
        field = FIELD.get(name) or domain_fields().get(name)
        if column is None:
            return f"{name} is not recorded"
        if field is not None and not fits(column, field.type):
            return f"{name} is recorded as {describe_column(column)}; {field.type} is needed"
        return ""

    def witness(self, rows: Iterable[int | tuple[int, str]]) -> tuple[WitnessEvent, ...]:
        """Events by row, each with its own words or with those that the check gives it."""
        out = []
        for entry in rows:
            row, text = entry if isinstance(entry, tuple) else (entry, self.text(entry))
            row = int(row)
            out.append(WitnessEvent(self.trace.event(row), text, self.trace.source(row)))
        return tuple(out)

    def text(self, row: int) -> str:
        """What an event did, in a few words."""
        return describe(self.trace.fields(int(row)), Kind(self.trace.kind[row]).label)

    def edge(self, start: int, end: int, reason: str | None = None) -> Edge:
        """A tie between two events; without a reason, the one that happens-before gives."""
        reason = reason or self.happens_before.reason(int(start), int(end))
        return Edge(self.trace.event(int(start)), self.trace.event(int(end)), reason)
