"""What a recording of locks leaves out: then its events cannot be put together as they happened."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tracekit.checks.lock.facts import DECIDED, HELD
from tracekit.execution import Execution
from tracekit.trace.schema import Kind

Int64 = NDArray[np.int64]
Bool = NDArray[np.bool_]
GIVEN_BACK = ("lock.leave", "lock.release_request", "lock.release_message", "lock.release")
"""Events that show that locks are given back."""


def gaps(execution: Execution) -> tuple[str, ...]:
    """Reasons why it is not known which lock an event is about, or whose it is. O(n)."""
    return (*unnamed(execution), *_of_nobody(execution))


def ends_left_out(execution: Execution, names: dict[str, str]) -> tuple[str, ...]:
    """A reason where locks are given back and the events that end a holding are not recorded: it seems to go on.

    names: `DECIDED` or `HELD`.
    """
    end = "lock.release" if names is DECIDED else "lock.leave"
    others = [name for name in GIVEN_BACK if name in execution.trace.names]
    if not others or end in others:
        return ()
    return (f"locks are given back ({others[0]}), and {end} is not recorded",)


def never_end(execution: Execution, rows: Int64, end: str) -> Bool:
    """Which of some rows, at which holdings begin, stand at a process that never records the event that ends holdings,
    though others do: how long they lasted may not be recorded."""
    trace = execution.trace
    ending = np.unique(trace.process[trace.named(end)])
    silent: Bool = ~np.isin(trace.process[rows], ending) & (len(ending) > 0)
    return silent


def unnamed(execution: Execution) -> tuple[str, ...]:
    """A reason where some events name their lock and others do not."""
    trace = execution.trace
    name = trace.get("lock.name")
    rows = np.flatnonzero(trace.named(*DECIDED, *HELD, "lock.accept") & (trace.kind != Kind.FAULT))
    if name is None or not len(rows):
        return ()
    named = name.present[rows]
    if named.all() or not named.any():
        return ()
    first = trace.event(int(rows[np.argmin(named)]))
    return (f"some events name their lock (lock.name) and others do not, as {first}: which it means is not known",)


def _of_nobody(execution: Execution) -> tuple[str, ...]:
    """Grants without holder at a process that grants to others: it sends them, or others take locks and it does not."""
    trace = execution.trace
    holder = trace.get("lock.holder")
    grants = trace.named("lock.grant") & (trace.kind != Kind.FAULT)
    if holder is not None:
        grants &= ~holder.present
    takers = np.unique(trace.process[trace.named("lock.acquire")])
    serves = trace.is_kind(Kind.SEND)
    if len(takers):
        serves |= ~np.isin(trace.process, takers)
    rows = np.flatnonzero(grants & serves)
    if not len(rows):
        return ()
    return (f"lock.holder is not recorded at {trace.event(int(rows[0]))}, and the process grants locks to others",)
