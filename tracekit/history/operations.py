"""Operations: what clients invoked and what they were answered, built from invoke / ok / fail / info events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracekit.trace.columns import Column
from tracekit.trace.schema import NEMESIS, Kind
from tracekit.trace.trace import Trace

Int64 = NDArray[np.int64]
Bool = NDArray[np.bool_]

BEGINNING = -(2**63) + 1
"""Start of an operation whose invocation was not recorded: after the initial state, before everything recorded."""

NEVER = 2**63 - 1
"""End of an operation that stays open for ever."""


class Outcome(IntEnum):
    """How an operation ended."""

    OK = 0
    FAIL = 1
    INFO = 2


@dataclass(frozen=True)
class Problem:
    """Rows that do not fit into a history: how many, and the first few of them."""

    count: int
    rows: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class RealTime:
    """What the real-time order of a history rests on.

    Attributes
    ----------
    column: ``index``, ``true_time_ns``, ``time_ns``, or None: the order of rows in the file.
    text: one line for people: ``real time: one shared clock (assumed)``.
    assumed: nothing in the trace says that the moments of different processes may be compared.
    skew_ns: declared bound on how far the clocks differ; None where they are declared to differ without a bound.
    """

    column: str | None
    text: str
    assumed: bool = False
    skew_ns: int | None = 0


@dataclass(frozen=True, eq=False)
class Operations:
    """The history of a trace, one entry an operation, in the order of the first recorded row of each.

    Attributes
    ----------
    process: int32, shape (m,): the client, an index into ``trace.processes``.
    invoke, completion: int64, shape (m,): rows; -1 where there is none.
    outcome: int8, shape (m,): `Outcome`; an operation without completion is INFO, open for ever.
    f, key: what it does to which object, of the invocation, else of the completion; None where the trace has no such
        column.
    invoked, returned: the values of invocation and completion, both in the codes of the trace's column `value`.
    start, end: int64, shape (m,): moments of invocation and completion: one operation precedes another where its end is
        strictly less than the other's start. `BEGINNING` without invocation, `NEVER` for INFO.
    doubtful: shape (m,): operations that the problems below leave unclear: nothing is decided about their keys.
    real_time: what start and end are.
    problems: rows that do not fit, by what is wrong with them.
    """

    process: NDArray[np.int32]
    invoke: Int64
    completion: Int64
    outcome: NDArray[np.int8]
    f: Column | None
    key: Column | None
    invoked: Column | None
    returned: Column | None
    start: Int64
    end: Int64
    doubtful: Bool
    real_time: RealTime
    problems: Mapping[str, Problem] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.process)

    @property
    def row(self) -> Int64:
        """Shape (m,): the invocation's row, or the completion's where there is no invocation."""
        return np.where(self.invoke >= 0, self.invoke, self.completion)


def operations_of(trace: Trace) -> Operations:
    """Joins invocations to completions: by process and `op` where op is recorded, else by program order. O(n log n).

    In program order a completion belongs to the invocation right before it at its process. A process that invokes again
    while an operation is open leaves unclear whose the next completion is; its operations from there on are doubtful,
    unless `op` tells them apart.
    """
    rows = _client_rows(trace)
    ordered, start_of_group, with_op = _grouped(trace, rows)
    is_invoke = trace.kind[ordered] == Kind.INVOKE
    previous_invoke = np.zeros(len(ordered), np.bool_)
    previous_invoke[1:] = is_invoke[:-1]
    previous_invoke &= ~start_of_group
    answers = ~is_invoke & previous_invoke & _same_call(trace, ordered)
    problems: dict[str, Problem] = {}
    duplicate = ~is_invoke & ~answers & with_op & ~start_of_group
    again = is_invoke & previous_invoke
    _note(problems, "second completion of one operation", ordered[duplicate])
    _note(problems, "second invocation of one operation", ordered[again & with_op])
    first_answers = with_op & start_of_group & ~is_invoke
    first_answers[:-1] &= ~start_of_group[1:]
    first_answers[-1:] = False
    _note(problems, "completion before the invocation of its operation", ordered[first_answers])
    _note(problems, "completion without invocation", ordered[~is_invoke & ~answers & ~duplicate & ~first_answers])
    _note(problems, "invocation while an operation of the process is open", ordered[again & ~with_op])
    begins = is_invoke | (~answers & ~duplicate)
    places = np.flatnonzero(begins)
    answered = np.zeros(len(places), np.bool_)
    following = places + 1
    inside = following < len(ordered)
    answered[inside] = is_invoke[places[inside]] & answers[following[inside]]
    invoke = np.where(is_invoke[places], ordered[places], -1)
    completion = np.where(is_invoke[places], -1, ordered[places])
    completion[answered] = ordered[following[answered]]
    doubtful = _unclear(start_of_group, with_op, again, duplicate | first_answers)[places]
    by_row = np.argsort(np.where(invoke >= 0, invoke, completion), kind="stable")
    return _operations(trace, invoke[by_row], completion[by_row], doubtful[by_row], problems)


def _client_rows(trace: Trace) -> Int64:
    client = (trace.kind >= Kind.INVOKE) & (trace.kind <= Kind.INFO)
    nemesis = trace.process_code(NEMESIS)
    return np.flatnonzero(client & (trace.process != nemesis) if nemesis >= 0 else client)


def _grouped(trace: Trace, rows: Int64) -> tuple[Int64, Bool, Bool]:
    """Rows by process, then op, then program order; where groups start; which rows have an op."""
    process = trace.process[rows]
    # Sixteen-bit keys sort by radix, several times faster.
    narrow = process.astype(np.uint16) if len(trace.processes) < 2**16 else process
    rows = rows[np.argsort(narrow, kind="stable")]
    process, seq = trace.process[rows], trace.seq[rows]
    if bool(((process[1:] == process[:-1]) & (seq[1:] < seq[:-1])).any()):
        rows = rows[np.lexsort((seq, process))]
        process = trace.process[rows]
    op = trace.get("op")
    with_op = np.zeros(len(rows), np.bool_) if op is None else op.present[rows]
    number = np.full(len(rows), -1, np.int64) if op is None else np.where(with_op, op.values[rows], -1)
    same = process[1:] == process[:-1]
    if bool((same & ((number[1:] < number[:-1]) | (with_op[1:] & ~with_op[:-1]))).any()):
        order = np.lexsort((number, with_op, process))
        rows, process, number, with_op = rows[order], process[order], number[order], with_op[order]
    first = np.ones(len(rows), np.bool_)
    first[1:] = (process[1:] != process[:-1]) | (number[1:] != number[:-1]) | (with_op[1:] != with_op[:-1])
    return rows, first, with_op


def _same_call(trace: Trace, ordered: Int64) -> Bool:
    """Whether each row names the same f and key as the row before it; what one of them leaves out does not count."""
    same = np.ones(len(ordered), np.bool_)
    for name in ("f", "key"):
        column = trace.get(name)
        if column is not None and len(ordered):
            values, present = column.values[ordered], column.present[ordered]
            same[1:] &= (values[1:] == values[:-1]) | ~present[1:] | ~present[:-1]
    return same


def _unclear(first: Bool, with_op: Bool, again: Bool, duplicate: Bool) -> Bool:
    """With op, a group with a second row of a kind; without, a process's rows from its first overlap on."""
    group = np.cumsum(first) - 1
    groups = int(group[-1]) + 1 if len(group) else 0
    bad = np.zeros(groups, np.bool_)
    bad[group[(again | duplicate) & with_op]] = True
    unclear: Bool = bad[group] & with_op
    overlaps = np.flatnonzero(again & ~with_op)
    if len(overlaps):
        since = np.full(groups, len(first), np.int64)
        np.minimum.at(since, group[overlaps], overlaps - 1)
        unclear = unclear | (~with_op & (np.arange(len(first)) >= since[group]))
    return unclear


def _note(problems: dict[str, Problem], what: str, rows: NDArray[Any]) -> None:
    if len(rows):
        problems[what] = Problem(len(rows), tuple(int(r) for r in np.sort(rows)[:20]))


def _operations(
    trace: Trace, invoke: Int64, completion: Int64, doubtful: Bool, problems: dict[str, Problem]
) -> Operations:
    row = np.where(invoke >= 0, invoke, completion)
    outcome = np.full(len(row), Outcome.INFO, np.int8)
    kind = trace.kind[completion]
    outcome[(completion >= 0) & (kind == Kind.OK)] = Outcome.OK
    outcome[(completion >= 0) & (kind == Kind.FAIL)] = Outcome.FAIL
    real_time, moment, known = _moments(trace, row)
    start = np.where(invoke >= 0, moment[invoke], BEGINNING)
    ended = (completion >= 0) & (outcome != Outcome.INFO)
    end = np.where(ended, moment[completion], NEVER)
    if known is not None:
        lost = ((invoke >= 0) & ~known[invoke]) | (ended & ~known[completion])
        _note(problems, f"no {real_time.column} where other operations have one", row[lost])
        start = np.where((invoke >= 0) & ~known[invoke], BEGINNING, start)
        end = np.where(ended & ~known[completion], NEVER, end)
        doubtful = doubtful | lost
    backwards = end < start
    _note(problems, "completion earlier than its invocation", row[backwards])
    value = trace.get("value")
    f, key = (None if c is None else _either(c, invoke, completion) for c in (trace.get("f"), trace.get("key")))
    return Operations(
        process=trace.process[row],
        invoke=invoke,
        completion=completion,
        outcome=outcome,
        f=f,
        key=key,
        invoked=None if value is None else _taken(value, invoke),
        returned=None if value is None else _taken(value, completion),
        start=start,
        end=end,
        doubtful=doubtful | backwards,
        real_time=real_time,
        problems=problems,
    )


def _taken(column: Column, rows: Int64) -> Column:
    """The column at rows, absent at row -1."""
    return Column(column.values[rows], column.present[rows] & (rows >= 0), column.texts)


def _either(column: Column, invoke: Int64, completion: Int64) -> Column:
    """The column at the invocations, where it is absent there at the completions."""
    first = (invoke >= 0) & column.present[invoke]
    return _taken(column, np.where(first, invoke, completion))


def overlapping(trace: Trace, operations: Operations) -> Bool:
    """Shape (m,): operations invoked while an earlier one of their process was not answered. O(m log m).

    Sessions have no order then; linearizability does not mind.
    """
    process, invoke, completion = operations.process, operations.invoke, operations.completion
    n = len(process)
    never = np.iinfo(np.int64).max
    begun = np.where(invoke >= 0, trace.seq[invoke], -1)
    answered = np.where(completion >= 0, trace.seq[completion], never)
    order = np.lexsort((begun, process)) if n else np.empty(0, np.int64)
    p, b, a = process[order], begun[order], answered[order]
    overlaps = np.zeros(n, np.bool_)
    # Any overlap at all shows between neighbours; only then is the latest answer so far worth the loop.
    neighbour = np.zeros(n, np.bool_)
    neighbour[1:] = (p[1:] == p[:-1]) & (a[:-1] > b[1:])
    for code in np.unique(p[neighbour]):
        low, high = np.searchsorted(p, [code, code + 1])
        latest = np.maximum.accumulate(a[low:high])
        overlaps[order[low + 1 : high]] = latest[:-1] > b[low + 1 : high]
    return overlaps


def out_of_turn(trace: Trace, operations: Operations, slack: int) -> Bool:
    """Shape (m,): operations that by the clock began over `slack` before the end of an earlier one of their client.

    Only of clients that, by program order, never have two open at once: clock and program order contradict each other
    then. A slack of -1 finds those as well that the clock leaves unordered. O(m log m).
    """
    n = len(operations)
    found = np.zeros(n, np.bool_)
    order = np.lexsort((trace.seq[operations.row], operations.process)) if n else np.empty(0, np.int64)
    process, start, end = operations.process[order], operations.start[order], operations.end[order]
    begun = np.where(start == BEGINNING, np.where(end == NEVER, BEGINNING, end), start)
    over = np.where(end == NEVER, begun, np.maximum(begun, end))
    # Any contradiction at all shows between neighbours; only then is the latest moment so far worth the loop.
    clients = np.unique(process[1:][(process[1:] == process[:-1]) & (begun[1:] < over[:-1] - min(slack, 0))])
    if len(clients):
        clients = np.setdiff1d(clients, operations.process[overlapping(trace, operations)])
    for code in clients:
        low, high = np.searchsorted(process, [code, code + 1])
        latest, own = np.maximum.accumulate(over[low:high])[:-1], begun[low + 1 : high]
        found[order[low + 1 : high]] = (own < latest - slack) & (own != BEGINNING)
    return found


def _moments(trace: Trace, rows: Int64) -> tuple[RealTime, Int64, Bool | None]:
    """What real time is, the moment of every row of the trace, and which rows have one (None: all that matter)."""
    candidates = [(name, trace.get(name)) for name in ("index", "true_time_ns", "time_ns")]
    recorded = [(name, column) for name, column in candidates if column is not None and column.present[rows].any()]
    clients = np.zeros(0, np.int64) if not recorded else _client_rows(trace)
    whole = [entry for entry in recorded if entry[1] is not None and entry[1].present[clients].all()]
    if not recorded:
        text = "real time: file order (assumed: one recorder)"
        return RealTime(None, text, assumed=True), np.arange(len(trace), dtype=np.int64), None
    name, column = (whole or recorded)[0]
    assert column is not None
    known = None if whole else column.present
    if name == "index":
        return RealTime(name, "real time: index (one recorder)"), column.values, known
    if name == "true_time_ns":
        return RealTime(name, "real time: the simulator's clock"), column.values, known
    return _clock(trace, np.unique(trace.process[rows])), column.values, known


def _clock(trace: Trace, clients: NDArray[np.int32]) -> RealTime:
    """How far the clients' own clocks may be compared, from what the run declares."""
    declared = [trace.run.clocks.get(trace.processes[code]) for code in clients]
    bounds = [d.get("skew_ns") if isinstance(d, dict) else None for d in declared]
    bound = trace.run.bounds.get("skew_ns")
    known = [b for b in bounds if isinstance(b, int)]
    if bound is not None or (known and len(known) == len(bounds)):
        skew = max([*known, *([bound] if bound is not None else [])])
        return RealTime("time_ns", f"real time: clocks that differ by at most {skew} ns (declared)", skew_ns=skew)
    domains = {d if isinstance(d, str) else None for d in declared}
    if domains <= {None}:
        return RealTime("time_ns", "real time: one shared clock (assumed)", assumed=True)
    if len(domains) == 1:
        return RealTime("time_ns", "real time: one shared clock (declared)")
    text = f"real time: {len(domains)} clocks without a bound between them (declared)"
    return RealTime("time_ns", text, skew_ns=None)
