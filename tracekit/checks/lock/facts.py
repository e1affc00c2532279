"""What events say about locks: who was given one, kept it, had it extended, or gave it back; one entry an event."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tracekit.checks.lock.order import FAR
from tracekit.execution import Execution
from tracekit.trace.columns import Column
from tracekit.trace.schema import Kind
from tracekit.trace.trace import Trace

Int64 = NDArray[np.int64]
Bool = NDArray[np.bool_]

DECIDED = {"lock.grant": "begin", "lock.keep": "keep", "lock.extend": "extend",
           "lock.release": "end", "lock.expire": "end"}  # fmt: skip
HELD = {"lock.acquire": "begin", "lock.renew": "extend", "lock.leave": "end", "lock.lapse": "end"}
ROLES = ("begin", "keep", "extend", "end")
ACQUIRE, RELEASE = ("acquire", "lock"), ("release", "unlock")


@dataclass(frozen=True, eq=False)
class Facts:
    """Events about locks, one entry each.

    Attributes
    ----------
    rows: rows of the trace.
    lock, holder: codes into `locks` and `holders`.
    token: -1 where there is none.
    begins, keeps, extends, ends: what an event says; an extension and a keep say that the lock is held, not since when.
    lease: ns from the event on; -1 where there is none.
    """

    locks: tuple[str, ...]
    holders: tuple[str, ...]
    rows: Int64
    lock: Int64
    holder: Int64
    token: Int64
    begins: Bool
    keeps: Bool
    extends: Bool
    ends: Bool
    lease: Int64

    def __len__(self) -> int:
        return len(self.rows)


def facts_of(execution: Execution, names: dict[str, str]) -> Facts:
    """The events of some names, in no order."""
    trace = execution.trace
    roles = {role: trace.named(*(name for name, r in names.items() if r == role)) for role in ROLES}
    rows = np.flatnonzero(np.logical_or.reduce(list(roles.values())))
    rows = rows[trace.kind[rows] != Kind.FAULT]
    locks, lock = column_texts(trace.get("lock.name"), rows, np.full(len(rows), "", object))
    own = np.array(trace.processes, object)[trace.process[rows]]
    holders, holder = column_texts(trace.get("lock.holder"), rows, own)
    begins, keeps, extends, ends = (roles[role][rows] for role in ROLES)
    token = numbers(trace.get("lock.token"), rows)
    return Facts(locks, holders, rows, lock, holder, token, begins, keeps, extends, ends, _leases(execution, rows))


def column_texts(column: Column | None, rows: Int64, default: NDArray[np.object_]) -> tuple[tuple[str, ...], Int64]:
    """The distinct texts of a column at rows, and each row's code; what a row leaves out stands in `default`."""
    values = default.copy()
    if column is not None and column.texts is not None:
        there = column.present[rows]
        values[there] = np.array(column.texts.to_pylist(), object)[column.values[rows[there]]]
    names = sorted(set(values.tolist()))
    code = {name: k for k, name in enumerate(names)}
    return tuple(names), np.fromiter((code[v] for v in values.tolist()), np.int64, len(values))


def numbers(column: Column | None, rows: Int64) -> Int64:
    """A column of whole numbers at rows; -1 where absent, negative, or no number."""
    if column is None or column.texts is not None or column.values.dtype != np.int64:
        return np.full(len(rows), -1, np.int64)
    return np.where(column.present[rows] & (column.values[rows] >= 0), column.values[rows], -1)


def _leases(execution: Execution, rows: Int64) -> Int64:
    """How long the lease that an event tells of lasts from it on; -1 where it tells of none."""
    trace = execution.trace
    lease = np.minimum(numbers(trace.get("lock.lease_ns"), rows), FAR)
    until, clock = trace.get("lock.expires_ns"), trace.get("time_ns")
    if until is not None and until.values.dtype == np.int64 and until.texts is None and clock is not None:
        there = until.present[rows] & clock.present[rows] & (lease < 0)
        span = np.clip(until.values[rows].astype(np.float64) - clock.values[rows].astype(np.float64), 0, FAR)
        exact = np.abs(until.values[rows]) < FAR
        exact &= np.abs(clock.values[rows]) < FAR
        near = np.maximum(np.where(exact, until.values[rows], 0) - np.where(exact, clock.values[rows], 0), 0)
        lease = np.where(there, np.where(exact, near, span.astype(np.int64)), lease)
    return lease


def operations_as_facts(execution: Execution) -> Facts:
    """Clients' operations: whoever was answered that it has a lock has it from then on, until it asks to release it.

    Both ends lie inside of the time in which the client really had it. An attempt to release counts as one, whatever
    came of it: a service that refuses it says that the client does not have the lock.
    """
    trace = execution.trace
    client = (trace.kind >= Kind.INVOKE) & (trace.kind <= Kind.INFO)
    begins = named_operations(trace, ACQUIRE) & (trace.kind == Kind.OK) & ~_says_no(trace.get("value"), len(trace))
    ends = named_operations(trace, RELEASE) & client
    rows = np.flatnonzero(begins | ends)
    locks, lock = column_texts(None, rows, lock_names(trace, rows))
    holders, holder = column_texts(None, rows, np.array(trace.processes, object)[trace.process[rows]])
    none, nothing = np.full(len(rows), -1, np.int64), np.zeros(len(rows), np.bool_)
    return Facts(locks, holders, rows, lock, holder, none, begins[rows], nothing, nothing, ends[rows], none)


def named_operations(trace: Trace, names: Sequence[str]) -> Bool:
    """Shape (n,): rows of operations of one of the names."""
    f = trace.get("f")
    if f is None or f.texts is None:
        return np.zeros(len(trace), np.bool_)
    codes = [code for code, text in enumerate(f.texts.to_pylist()) if text in names]
    return np.isin(f.values, codes) & f.present


def lock_names(trace: Trace, rows: Int64) -> NDArray[np.object_]:
    """The lock that each of some operations is about: its key; empty where it has none."""
    key = trace.get("key")
    names = np.full(len(rows), "", object)
    if key is not None:
        there = key.present[rows]
        values = key.values[rows[there]]
        texts = values.astype(str) if key.texts is None else np.array(key.texts.to_pylist(), object)[values]
        names[there] = texts.astype(object)
    return names


def _says_no(value: Column | None, n: int) -> Bool:
    """Answers `false`: the lock was not to be had."""
    if value is None or value.texts is None:
        return np.zeros(n, np.bool_)
    return np.isin(value.values, [k for k, t in enumerate(value.texts.to_pylist()) if t == "false"]) & value.present
