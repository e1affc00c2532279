"""One columnar reading of a trace for all checks of atomic commitment: votes, pre-commits and decisions by transaction
and process."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tracekit.checks.doubts import not_covered
from tracekit.checks.evidence import not_recorded, times
from tracekit.execution import Execution
from tracekit.trace.columns import Column
from tracekit.trace.schema import Kind

Int64 = NDArray[np.int64]
Bool = NDArray[np.bool_]

NO, YES = 0, 1
ABORT, COMMIT = 0, 1
VOTES = {"no": NO, "yes": YES}
DECISIONS = {"abort": ABORT, "commit": COMMIT}
LIFE = ("commit.init", "commit.restart", "commit.crash")
"""Events that are about no transaction."""


def commit_occurs(execution: Execution) -> bool:
    """Whether the trace has anything about a transaction."""
    trace = execution.trace
    return any(name.startswith("commit.") for name in trace.columns) or any(
        name.startswith("commit.") and name not in LIFE for name in trace.names
    )


@dataclass(frozen=True, eq=False)
class Marks:
    """What processes did about transactions, by transaction, then process, then program order.

    Attributes
    ----------
    txn, process, row, value: shape (k,): the codes, the event, and what was done there (`VOTES`, `DECISIONS`, or 1).
    width: how many codes of processes there are.
    """

    txn: Int64
    process: Int64
    row: Int64
    value: Int64
    width: int

    def __len__(self) -> int:
        return len(self.row)

    @cached_property
    def pair(self) -> Int64:
        """Transaction and process as one number; it does not fall."""
        return self.txn * self.width + self.process

    @cached_property
    def starts(self) -> Int64:
        """Where each pair begins."""
        return np.flatnonzero(np.diff(self.pair, prepend=-1))

    def only(self, mask: Bool) -> Marks:
        """Some of them."""
        return Marks(self.txn[mask], self.process[mask], self.row[mask], self.value[mask], self.width)

    @cached_property
    def first(self) -> Marks:
        """The first of each pair."""
        mask = np.zeros(len(self), np.bool_)
        mask[self.starts] = True
        return self.only(mask)

    def find(self, pair: Int64) -> Int64:
        """The place of the first mark of each pair asked for; -1 where it has none."""
        if not len(self):
            return np.full(len(pair), -1, np.int64)
        at = np.minimum(np.searchsorted(self.pair, pair), len(self) - 1)
        return np.where(self.pair[at] == pair, at, -1)

    def rows_of(self, pair: Int64) -> Int64:
        """The row of the first mark of each pair asked for; -1 where it has none."""
        at = self.find(pair)
        return np.where(at >= 0, self.row[np.maximum(at, 0)], -1) if len(self) else at

    def following(self, pair: Int64, since: Int64, index: Int64) -> Int64:
        """The row of each pair's first mark that is not before `since`, a row of the same process; -1 where none is.

        index: shape (n,): the place of each row at its process.
        """
        at = self.find(pair)
        if not len(self):
            return at
        number = np.searchsorted(self.starts, np.arange(len(self)), side="right")  # of each mark's pair
        key = number * (len(index) + 1) + index[self.row]
        found = np.searchsorted(key, number[at] * (len(index) + 1) + index[since])
        inside = np.minimum(found, len(self) - 1)
        return np.where((at >= 0) & (found < len(self)) & (self.pair[inside] == pair), self.row[inside], -1)

    def of(self, txn: int) -> range:
        """Places of the marks of a transaction."""
        return range(int(np.searchsorted(self.txn, txn)), int(np.searchsorted(self.txn, txn, side="right")))


@dataclass(frozen=True, eq=False)
class CommitHistory:
    """What was done about every transaction.

    Attributes
    ----------
    txn: shape (n,): code of the transaction that each row is about; -1: none.
    count: how many codes of transactions there are.
    names: names of processes by code, followed by names that occur only as participants.
    votes, committable, decisions: see `Marks`.
    listed: participants, by transaction, then process; `row` is an event that lists them.
    unclear: by field, why some of its values cannot be used; empty where all can.
    """

    execution: Execution
    txn: Int64
    count: int
    names: tuple[str, ...]
    votes: Marks
    committable: Marks
    decisions: Marks
    listed: Marks
    unclear: dict[str, str]

    def txn_name(self, code: int) -> str:
        """A transaction as the trace names it."""
        column = self.execution.trace.get("commit.txn")
        row = int(np.flatnonzero(self.txn == code)[0])
        return str(column.at(row)) if column is not None else "?"

    def who(self, code: int) -> str:
        """A process's name."""
        return self.names[int(code)]

    def doubts(self, *names: str) -> tuple[str, ...]:
        """Why values of some fields cannot be used."""
        return tuple(dict.fromkeys(self.unclear[name] for name in names if self.unclear[name]))

    def missing(self, name: str) -> tuple[str, ...]:
        """Why nothing can be concluded from the absence of a field at an event: nobody records it, or some cannot be
        used."""
        return self.doubts(name) or not_recorded(self.execution, f"commit.{name}")

    @cached_property
    def is_listed(self) -> Bool:
        """Shape (count,): whether the participants of a transaction are recorded."""
        listed = np.zeros(self.count, np.bool_)
        listed[self.listed.txn] = True
        return listed

    @cached_property
    def partial(self) -> Bool:
        """Shape (names,): processes that may have done what is not recorded: absent ones, and those whose start or end
        is not covered."""
        trace = self.execution.trace
        partial = np.full(len(self.names), not trace.complete, np.bool_)
        partial[not_covered(self.execution)] = True
        heard = np.zeros(len(self.names), np.bool_)
        heard[np.unique(trace.process)] = True
        return partial | ~heard

    def began(self, txn: int) -> list[int]:
        """The row that lists the participants of a transaction, as a list of at most one."""
        return [int(row) for row in self.listed.row[list(self.listed.of(txn))[:1]]]

    def by_txn(self, marks: Marks, wanted: int) -> Bool:
        """Shape (count,): transactions with a mark of that value."""
        found = np.zeros(self.count, np.bool_)
        found[marks.txn[marks.value == wanted]] = True
        return found

    def with_participants(self, marks: Marks) -> tuple[Int64, Int64]:
        """Each mark with each participant of its transaction: places of marks, codes of processes."""
        low, high = (np.searchsorted(self.listed.txn, marks.txn, side) for side in ("left", "right"))
        counts = high - low
        place = np.repeat(np.arange(len(marks)), counts)
        offset = np.arange(len(place)) - np.repeat(np.cumsum(counts) - counts, counts)
        return place, self.listed.process[np.repeat(low, counts) + offset]

    def absent_names(self, codes: Int64) -> str:
        """The first few of some processes that have no events or are not covered."""
        return ", ".join(self.who(int(code)) for code in np.unique(codes)[:3].tolist())


def commit_history(execution: Execution) -> CommitHistory:
    """Reads the trace; O(n + k log k) for k votes, pre-commits and decisions, plus the participants listed.

    Use it through ``execution.derive(commit_history)``.
    """
    trace = execution.trace
    txn, count = _transactions(trace.get("commit.txn"), len(trace))
    names, listed = _listed(execution, txn)
    unclear: dict[str, str] = {}

    def marks(name: str, values: dict[str, int] | None) -> Marks:
        rows, value, unclear[name] = _values(execution, f"commit.{name}", values, txn)
        order = np.lexsort((execution.program_order.index[rows], trace.process[rows], txn[rows]))
        rows, value = rows[order], value[order]
        return Marks(txn[rows], trace.process[rows].astype(np.int64), rows, value, len(names))

    votes, committable = marks("vote", VOTES), marks("committable", None)
    return CommitHistory(
        execution, txn, count, names, votes, committable, marks("decision", DECISIONS), listed, unclear
    )


def _transactions(column: Column | None, n: int) -> tuple[Int64, int]:
    if column is None or not bool(column.present.any()):
        return np.full(n, -1, np.int64), 0
    if column.texts is not None:
        return np.where(column.present, column.values, -1).astype(np.int64), len(column.texts)
    codes = np.full(n, -1, np.int64)
    found, codes[column.present] = np.unique(column.values[column.present], return_inverse=True)
    return codes, len(found)


def _values(execution: Execution, name: str, values: dict[str, int] | None, txn: Int64) -> tuple[Int64, Int64, str]:
    """Rows with a value, the values, and why others cannot be used. `values` None: a boolean that is true."""
    trace, none = execution.trace, np.empty(0, np.int64)
    column = trace.get(name)
    if column is None or not bool(column.present.any()):
        return none, none, "; ".join(not_recorded(execution, name)) if name in trace.columns else ""
    wrong = not_recorded(execution, name) or (not_recorded(execution, "commit.txn") if bool((txn >= 0).any()) else ())
    if wrong:
        return none, none, wrong[0]
    if values is None or column.texts is None:
        code = np.where(column.present & column.values.astype(np.bool_), 1, -1)
        strange = np.zeros(len(trace), np.bool_)
    else:
        table = np.array([values.get(text, -2) for text in column.texts.to_pylist()] + [-1], np.int64)
        code = table[column.values]
        strange = code == -2
    happened = trace.kind != Kind.FAULT
    lost = happened & (strange | ((code >= 0) & (txn < 0)))
    rows = np.flatnonzero(happened & (code >= 0) & (txn >= 0))
    return rows, code[rows], _unusable(execution, name, lost, strange, values or {}) if lost.any() else ""


def _unusable(execution: Execution, name: str, lost: Bool, strange: Bool, values: dict[str, int]) -> str:
    first = int(np.flatnonzero(lost)[0])
    why = f"is neither {' nor '.join(values)}" if strange[first] else "stands without commit.txn"
    count, at = times(int(lost.sum()), "value"), execution.trace.event(first)
    return f"{count} of {name} cannot be used: at {at} it {why}"


def _listed(execution: Execution, txn: Int64) -> tuple[tuple[str, ...], Marks]:
    """Each participant of each transaction once, whichever of its events lists it."""
    trace = execution.trace
    names = dict.fromkeys(trace.processes)
    lists, none = trace.lists("commit.participants"), np.empty(0, np.int64)
    items = lists.items if lists is not None else None
    if lists is None or not isinstance(items, Column) or items.texts is None:
        return tuple(names), Marks(none, none, none, none, max(len(names), 1))
    names.update(dict.fromkeys(text for text in items.texts.to_pylist() if text))
    place = {name: code for code, name in enumerate(names)}
    table = np.array([place.get(text, -1) for text in items.texts.to_pylist()] + [-1], np.int64)
    row = np.repeat(np.arange(len(trace)), np.diff(lists.offsets))
    process = table[items.values[lists.offsets[0] : lists.offsets[-1]]]
    used = (txn[row] >= 0) & (process >= 0) & (trace.kind[row] != Kind.FAULT)
    pair, first = np.unique(txn[row[used]] * len(names) + process[used], return_index=True)
    return tuple(names), Marks(
        pair // len(names), pair % len(names), row[used][first], np.ones(len(pair), np.int64), len(names)
    )
