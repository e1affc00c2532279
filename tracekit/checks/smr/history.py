"""One columnar reading of a trace for all checks of replicated machines: what was applied, and states."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tracekit.checks.doubts import domain_check
from tracekit.checks.evidence import not_recorded, times
from tracekit.execution import Execution, Options
from tracekit.results import CheckResult
from tracekit.trace.columns import Column
from tracekit.trace.schema import Kind

if TYPE_CHECKING:
    from tracekit.registry import CheckFunction

Int64 = NDArray[np.int64]
Bool = NDArray[np.bool_]

NONE = -1
"""No command, no request, no state, no index."""


@dataclass(frozen=True, eq=False)
class SmrHistory:
    """The events that say something of a machine, copy after copy in program order; codes, `NONE` where absent.

    Attributes
    ----------
    row, process: shape (k,).
    copy: which machine of which process: its events stand together, in program order.
    slot: which index of which machine, a number for each.
    restart: whether the process starts anew there, or crashes and no restart of it is recorded before what follows.
    index: the index of the state after the event.
    command, request, state: codes of what was recorded; an event with a command applies it.
    executed: whether an applied command was executed.
    states_lost: how many events have a state and no index.
    """

    execution: Execution
    row: Int64
    process: Int64
    copy: Int64
    slot: Int64
    restart: Bool
    index: Int64
    command: Int64
    request: Int64
    state: Int64
    executed: Bool
    states_lost: int

    @property
    def applied(self) -> Bool:
        """Events that apply a command, with its index."""
        applied: Bool = (self.command != NONE) & (self.index != NONE)
        return applied

    @property
    def first(self) -> Bool:
        """Whether the event is the first one of its copy here."""
        first = np.ones(len(self.row), np.bool_)
        first[1:] = self.copy[1:] != self.copy[:-1]
        return first

    def who(self, place: int) -> str:
        """The name of the process at a place."""
        return str(self.execution.trace.processes[int(self.process[place])])

    def where(self, place: int) -> str:
        """``index 8``; where there are several machines ``index 8 of machine shard-1``."""
        machine = self.text(place, "smr.machine") if "smr.machine" in self.execution.trace else ""
        return f"index {int(self.index[place])}" + (f" of machine {machine}" if machine else "")

    def text(self, place: int, name: str) -> str:
        """What a column has at a place."""
        column = self.execution.trace.get(name)
        return "" if column is None else str(column.at(int(self.row[place])))

    @property
    def rests_on(self) -> tuple[str, ...]:
        """What a verdict supposes, for people."""
        unknown = (self.restart & (self.index == NONE))[:-1] & self.applied[1:] & ~self.first[1:]
        return ("restarts: from the state before the first command applied then (assumed)",) if unknown.any() else ()

    def lost(self) -> tuple[str, ...]:
        """A reason where commands were applied of which the index is not known."""
        count = int(((self.command != NONE) & (self.index == NONE)).sum())
        return (f"the index of {times(count, 'command')} applied is not recorded (smr.index)",) if count else ()

    def lost_states(self) -> tuple[str, ...]:
        """A reason where states were recorded of which the index is not known."""
        count = self.states_lost
        return (f"the index of {times(count, 'state')} is not recorded (smr.index)",) if count else ()


def smr_history(execution: Execution) -> SmrHistory:
    """Reads the trace; O(n log n). Use it through ``execution.derive(smr_history)``."""
    trace, rows = execution.trace, execution.program_order.rows
    index = trace.get("smr.index")
    numbers = np.full(len(trace), NONE, np.int64)
    if index is not None and index.texts is None and index.values.dtype.kind == "i":
        there = index.present & (index.values >= 0)
        numbers = np.where(there, index.values.astype(np.int64), NONE)
    command, request, state = (_codes(trace.get(f"smr.{n}"), len(trace)) for n in ("command", "request", "state"))
    executed = np.ones(len(trace), np.bool_)
    told = trace.get("smr.executed")
    if told is not None and told.values.dtype == np.bool_:
        executed = ~told.present | told.values
    restart = trace.is_kind(Kind.RESTART) | trace.named("smr.restart")
    crash = trace.is_kind(Kind.CRASH) | trace.named("smr.crash")
    ran = np.zeros(len(trace.processes), np.bool_)
    ran[trace.process[(numbers != NONE) | (command != NONE)]] = True
    says = (numbers != NONE) | (command != NONE) | ((restart | crash) & ran[trace.process])
    row = rows[(says & (trace.kind != Kind.FAULT))[rows]]
    followed = np.zeros(len(row), np.bool_)
    followed[:-1] = restart[row[1:]] & (trace.process[row[1:]] == trace.process[row[:-1]])
    row = row[~(crash[row] & followed)]
    named = _codes(trace.get("smr.machine"), len(trace))
    row, machine = _by_copy(row, trace.process[row].astype(np.int64), named[row], (restart | crash)[row])
    number = np.where(machine == named[row], numbers[row], NONE)
    process = trace.process[row].astype(np.int64)
    return SmrHistory(
        execution, row, process, _numbered(process, machine), _numbered(machine, number), (restart | crash)[row],
        number, command[row], request[row], state[row], executed[row],
        int(((state != NONE) & (numbers == NONE) & (trace.kind != Kind.FAULT)).sum()),
    )  # fmt: skip


def _by_copy(row: Int64, process: Int64, machine: Int64, stops: Bool) -> tuple[Int64, Int64]:
    """The rows copy after copy, and the machine of each. A crash or restart that names no machine is one of each that
    its process keeps."""
    if not (machine != NONE).any():
        return row, machine
    machines = int(machine.max()) + 1
    kept = np.divmod(np.unique((process * machines + machine)[machine != NONE]), machines)
    low, high = np.searchsorted(kept[0], process, "left"), np.searchsorted(kept[0], process, "right")
    of_each = stops & (machine == NONE) & (high > low)
    counts = np.where(of_each, high - low, 1)
    at = np.repeat(np.arange(len(row)), counts)
    within = np.arange(len(at)) - np.repeat(np.cumsum(counts) - counts, counts)
    of = machine[at]
    each = np.flatnonzero(of_each[at])
    of[each] = kept[1][low[at[each]] + within[each]]
    by = np.lexsort((at, of, process[at]))
    return row[at[by]], of[by]


def _numbered(first: Int64, second: Int64) -> Int64:
    """A number for each pair, the same for the same pair. `first`: codes, so that no number overflows."""
    values, code = np.unique(second, return_inverse=True)
    return (first + 1) * len(values) + code.reshape(-1)


def _of_no_machine(execution: Execution) -> tuple[str, ...]:
    """A reason where some events say which machine they are about, and others do not."""
    trace = execution.trace
    machine = trace.get("smr.machine")
    if machine is None:
        return ()
    says = np.zeros(len(trace), np.bool_)
    for name in ("smr.index", "smr.command"):
        column = trace.get(name)
        says |= column.present if column is not None else False
    rows = np.flatnonzero(says & ~trace.is_kind(Kind.CRASH, Kind.RESTART, Kind.FAULT))
    unnamed = rows[~machine.present[rows]]
    if not len(unnamed) or len(unnamed) == len(rows):
        return ()
    first = trace.event(int(unnamed[0]))
    return (f"some events name their machine (smr.machine) and others do not, as {first}: which it means is not known",)


def _codes(column: Column | None, n: int) -> Int64:
    """A code for each distinct value, text or number; `NONE` where absent."""
    if column is None:
        return np.full(n, NONE, np.int64)
    if column.texts is not None:
        return np.where(column.present, column.values.astype(np.int64), NONE)
    out = np.full(n, NONE, np.int64)
    _, codes = np.unique(column.values[column.present], return_inverse=True)
    out[column.present] = codes
    return out


def smr_check(
    name: str, *, self_evident: Callable[[Execution], bool] = lambda execution: False
) -> Callable[[CheckFunction], CheckFunction]:
    """Registers a check, which is unknown where commands, indices, requests or states are recorded in a way that cannot
    be read."""

    def register(function: CheckFunction) -> CheckFunction:
        @wraps(function)
        def judged(execution: Execution, options: Options) -> CheckResult:
            columns = execution.trace.columns
            there = [n for n in _FIELDS if n in columns and columns[n].present.any()]
            wrong = (*not_recorded(execution, *there), *_of_no_machine(execution))
            return CheckResult(reasons=wrong) if wrong else function(execution, options)

        return domain_check(name, self_evident=self_evident)(judged)

    return register


_FIELDS = ("smr.machine", "smr.index", "smr.command", "smr.request", "smr.executed", "smr.state")


def differing(group: Int64, value: Int64) -> Int64:
    """Groups (their numbers, ascending) of which two values differ. O(n log n)."""
    if not len(group):
        return np.empty(0, np.int64)
    order = np.argsort(group, kind="stable")
    sorted_groups, values = group[order], value[order]
    starts = np.flatnonzero(np.append(True, np.diff(sorted_groups) != 0))
    low, high = np.minimum.reduceat(values, starts), np.maximum.reduceat(values, starts)
    return sorted_groups[starts[low < high]]
