"""Errors in timestamps and in places, root causes told from what follows from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tracekit.checks.clock.timed import ENOUGH, covered
from tracekit.execution import Execution
from tracekit.kernels.engine import kernels
from tracekit.results import Edge, Violation
from tracekit.trace.schema import Kind

Int64 = NDArray[np.int64]
SHOWN = 20
DUPLICATE = 9
MISSING = 10
ANOMALIES = {
    1: "clock-went-back",
    2: "missing-increment",
    3: "receive-not-after-send",
    4: "missing-merge",
    5: "knowledge-from-the-future",
    6: "own-component-jumped",
    7: "restart-reset-clock",
    8: "unknown-process",
    DUPLICATE: "duplicate-event",
    MISSING: "missing-event",
    11: "wrong-count",
    12: "behind-own-clock",
    13: "ahead-of-every-clock",
}


@dataclass(frozen=True, eq=False)
class Findings:
    """Errors as columns, one entry each, in the order of their rows.

    Attributes
    ----------
    rows: where each shows.
    code: which it is, of `ANOMALIES`.
    component: the vector's component that shows it; 0 where there is none.
    root: whether it is a root cause.
    consequences: how many others follow from it.
    """

    rows: Int64
    code: Int64
    component: Int64
    root: NDArray[np.bool_]
    consequences: Int64

    @classmethod
    def of(cls, rows: Int64, code: Int64, component: Int64, parent: Int64) -> Findings:
        """From the error that may explain each, as a place in `rows`, -1 where there is none. O(errors)."""
        role = np.zeros(len(rows), np.int8)
        loops = kernels("clocks", work=len(rows))
        loops.separate(parent, role)
        root = role == loops.ROOT
        consequences = np.bincount(parent[~root], minlength=len(rows)).astype(np.int64)
        return cls(rows, code, component, root, consequences)

    @property
    def causes(self) -> int:
        """How many root causes there are."""
        return int(self.root.sum())

    @property
    def facts(self) -> dict[str, int]:
        """How many of each anomaly, all of them counted; and how many are consequences of others."""
        facts = {name: n for code, name in ANOMALIES.items() if (n := int((self.code == code).sum()))}
        following = len(self.rows) - self.causes
        return {**facts, **({"of these, consequences of others": following} if following else {})}

    def shown(self, execution: Execution) -> list[int]:
        """Places of the first root causes: those that explain many errors, then so that none depends on a later one. By
        file order where there are many."""
        places = np.flatnonzero(self.root)
        if len(places) <= 10_000:
            rows, count = self.rows[places], self.consequences[places]
            many = np.where(count >= ENOUGH, -count, 0)
            clock = execution.happens_before.lamport(rows)
            places = places[np.lexsort((execution.program_order.index[rows], clock, many))]
        return [int(place) for place in places[:SHOWN]]


def alike(parent: Int64, key: Int64) -> Int64:
    """Errors of one systematic mistake: where at least `ENOUGH` that nothing explains have one key, they have one
    cause, and the first of them stands for all and for what these explain.

    parent: as `Findings.of` takes it. key: shape of `parent`; negative for errors that are like no other.
    """
    free = np.flatnonzero((parent < 0) & (key >= 0))
    _, first, which, count = np.unique(key[free], return_index=True, return_inverse=True, return_counts=True)
    leader = np.arange(len(parent))
    leader[free] = np.where(count[which] >= ENOUGH, free[first[which]], free)
    out = np.where(parent >= 0, leader[parent], leader)
    return np.where(out == np.arange(len(parent)), -1, out)


def counted(sentence: str, consequences: int) -> str:
    """What is wrong, with how many other errors are explained by it."""
    if not consequences:
        return sentence
    return f"{sentence} {consequences:,} more error{'s have' if consequences > 1 else ' has'} the same cause."


def duplicates(execution: Execution) -> Int64:
    """Rows that take a place (process, seq) that an earlier row has, ascending."""
    trace, rows = execution.trace, execution.program_order.rows
    if execution.program_order.counted:
        return rows[:0]
    same = (trace.process[rows[1:]] == trace.process[rows[:-1]]) & (trace.seq[rows[1:]] == trace.seq[rows[:-1]])
    found = rows[1:][same]
    return np.sort(found[trace.kind[found] != Kind.FAULT])


def gaps(execution: Execution) -> Int64:
    """Rows before which places (process, seq) are missing at their process, ascending, but for first rows."""
    rows = execution.program_order.gaps(execution.trace)
    return rows[execution.program_order.index[rows] > 0]


def declared_whole(execution: Execution, rows: Int64) -> NDArray[np.bool_]:
    """Shape of `rows`: whether their process is declared recorded from start to end, and no row was set aside."""
    trace = execution.trace
    if not trace.complete or trace.set_aside.spoiling(lambda name: False):
        return np.zeros(len(rows), np.bool_)
    whole = [bool(covered(trace, p, "start") and covered(trace, p, "end")) for p in range(len(trace.processes))]
    told: NDArray[np.bool_] = np.array(whole, np.bool_)[trace.process[rows]]
    return told


def with_places(
    execution: Execution, rows: Int64, code: Int64, parent: Int64, component: Int64 | None = None
) -> Findings:
    """Errors of timestamps, and those of places; what is wrong with a duplicate's timestamp follows from it."""
    again, missing = duplicates(execution), gaps(execution)
    missing = missing[declared_whole(execution, missing)]
    if len(again):
        at = np.minimum(np.searchsorted(again, rows), len(again) - 1)
        parent = np.where(again[at] == rows, len(rows) + at, parent)
    places = len(again) + len(missing)
    component = np.zeros(len(rows), np.int64) if component is None else component
    return Findings.of(
        np.concatenate([rows, again, missing]),
        np.concatenate([code, np.full(len(again), DUPLICATE), np.full(len(missing), MISSING)]),
        np.concatenate([component, np.zeros(places, np.int64)]),
        np.concatenate([parent, np.full(places, -1)]),
    )


def undeclared_gaps(execution: Execution) -> dict[str, int]:
    """As a fact: in how many places events are missing from the recording, where nobody declared it whole."""
    rows = gaps(execution)
    count = int((~declared_whole(execution, rows)).sum())
    return {"gaps in seq": count} if count else {}


def misplaced(execution: Execution, row: int, code: int, consequences: int) -> Violation:
    """A place that two events have, or that none has."""
    trace, program = execution.trace, execution.program_order
    earlier = int(program.rows[program.starts[trace.process[row]] + program.index[row] - 1])
    process, seq, last = trace.processes[trace.process[row]], int(trace.seq[row]), int(trace.seq[earlier])
    facts: dict[str, object] = {"recorded": seq, "expected": last + 1}
    if code == DUPLICATE:
        summary = f"Two rows are event {seq} of {process}: {trace.place(earlier)} and {trace.place(row)}."
        rule = "each event has its own place (process, seq)"
    else:
        several = seq > last + 2
        which = f"Events {last + 1} to {seq - 1} of {process} are" if several else f"Event {last + 1} of {process} is"
        summary = f"{which} missing, though {process} is declared recorded from start to end."
        rule = "the places of a process that is recorded from start to end have no gap"
    witness = execution.witness([earlier, row])
    edges = (Edge(trace.event(earlier), trace.event(row), "same process"),)
    summary = counted(summary, consequences)
    return Violation(ANOMALIES[code], summary, witness, edges, located(execution, row, rule, facts, consequences))


def located(
    execution: Execution, row: int, rule: str, facts: Mapping[str, object], consequences: int
) -> dict[str, object]:
    """What every error states: the rule, recorded and expected value, where, and how many others follow from it."""
    return {"rule": rule, **facts, "at": execution.trace.place(row), "consequences": consequences}
