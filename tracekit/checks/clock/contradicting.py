"""Vectors that contradict each other where no message tells how one came to know of the other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tracekit.checks.clock.findings import ANOMALIES, SHOWN, counted, located
from tracekit.checks.clock.vectors import VectorClocks
from tracekit.execution import Execution
from tracekit.order.recovered import Contradictions
from tracekit.results import Edge, Violation

Int64 = NDArray[np.int64]
MISSING_MERGE, FROM_THE_FUTURE = 4, 5


@dataclass(frozen=True, eq=False)
class Contradicting:
    """What is wrong with vectors beyond the rules of one event: nobody knows an event without all that it knew.

    Attributes
    ----------
    rows, components, others: the events that show it, of which process they know an event, and that event.
    following: how many more such events of the same process follow from each.
    beyond: rows of events that know more of a process than was recorded of it.
    explained: how many contradictions are with a process whose own clocks are wrong, or at it.
    """

    doctor: VectorClocks
    rows: Int64
    components: Int64
    others: Int64
    following: Int64
    beyond: Int64
    explained: int

    @classmethod
    def of(cls, doctor: VectorClocks, wrong: Int64) -> Contradicting:
        """wrong: rows with errors of their own. O(n p) where some event may have received an unknown message."""
        execution, none = doctor.execution, np.empty(0, np.int64)
        if not (doctor.learned & doctor.timed.present).any():
            return cls(doctor, none, none, none, none, none, 0)
        found = execution.derive(_contradictions)
        trace, timed = execution.trace, doctor.timed.present
        judged = (found.others >= 0) & timed[found.rows] & timed[found.others]
        broken = np.zeros(len(trace.processes), np.bool_)
        broken[trace.process[wrong]] = True
        explained = broken[trace.process[found.rows]] | broken[found.components]
        roots = np.flatnonzero(judged & ~explained)
        pair = trace.process[found.rows[roots]].astype(np.int64) * len(trace.processes) + found.components[roots]
        _, first, count = np.unique(pair, return_index=True, return_counts=True)
        kept = roots[first]
        beyond = np.flatnonzero((found.others < 0) & timed[found.rows] & ~explained)
        return cls(
            doctor, found.rows[kept], found.components[kept], found.others[kept], count - 1,
            _more_than_there_were(doctor, found.rows[beyond], found.components[beyond]),
            int((judged & explained).sum()),
        )  # fmt: skip

    @property
    def facts(self) -> dict[str, int]:
        """For people: what follows from other errors."""
        following = self.explained + int(self.following.sum())
        return {"contradictions that follow from these": following} if following else {}

    def reasons(self) -> tuple[str, ...]:
        """Why knowledge of events that nobody recorded decides nothing."""
        if not len(self.beyond):
            return ()
        first = self.doctor.execution.trace.event(int(self.beyond[0]))
        many = f"{len(self.beyond):,} events know more events of a process than it recorded (the first: {first})"
        return (f"{many}: its last ones may be missing, unless `coverage` in tracekit.run declares that none is",)

    def violations(self) -> tuple[Violation, ...]:
        """The first of them in words."""
        return tuple(self._violation(i) for i in range(min(len(self.rows), SHOWN)))

    def _violation(self, i: int) -> Violation:
        execution, column = self.doctor.execution, self.doctor.column
        trace, row, other = execution.trace, int(self.rows[i]), int(self.others[i])
        mine, theirs = (np.array(self._vector(r)) for r in (row, other))
        known = f"{trace.event(row)} records {mine[self.components[i]]} in component {self._name(self.components[i])}"
        lacks = np.flatnonzero(theirs > mine)
        if len(lacks):
            code, c = MISSING_MERGE, int(lacks[0])
            sentence = (
                f"{known}, so it knows of {trace.event(other)}; but it records {mine[c]} in component {self._name(c)}, "
                f"where {trace.event(other)} has {theirs[c]}."
            )
            rule, facts = "who knows an event knows all that it knew", {"recorded": int(mine[c])}
            facts["expected"] = int(theirs[c])
        else:
            code, c = FROM_THE_FUTURE, int(trace.process[row])
            sentence = (
                f"{known}, so it knows of {trace.event(other)}, which records {theirs[c]} in component {self._name(c)} "
                f"and so knows of {trace.event(row)}: neither can have been first."
            )
            rule, facts = "no two events know of each other", {"recorded": int(theirs[c])}
        shown = [(r, f"{execution.text(r)}, {column.at(r)}") for r in (other, row)]
        edges = (Edge(trace.event(other), trace.event(row), "known by its vector"),)
        told = located(execution, row, rule, {"component": self._name(c), **facts}, int(self.following[i]))
        return Violation(
            ANOMALIES[code], counted(sentence, int(self.following[i])), execution.witness(shown), edges, told
        )

    def _vector(self, row: int) -> list[int]:
        vector = list(self.doctor.column.at(row) or ())
        return vector + [0] * (self.doctor.execution.trace.components - len(vector))

    def _name(self, component: int) -> str:
        return self.doctor.execution.trace.processes[component]


def _more_than_there_were(doctor: VectorClocks, rows: Int64, components: Int64) -> Int64:
    """The rows that know more of a process than can have ticked there, with or without a recorded vector."""
    trace = doctor.execution.trace
    if not trace.complete or not len(rows):
        return rows[:0]
    untimed = np.bincount(trace.process[~doctor.timed.present], minlength=len(trace.processes))
    largest = np.zeros(len(trace.processes), np.int64)
    np.maximum.at(largest, trace.process[doctor.timed.rows], doctor.own[doctor.timed.rows])
    known = np.array([(doctor.column.at(int(r)) or ())[c] for r, c in zip(rows, components, strict=True)], np.int64)
    return rows[known > largest[components] + untimed[components]]


def _contradictions(execution: Execution) -> Contradictions:
    recovered = execution.happens_before.recovered
    return recovered.contradictions if recovered else Contradictions.of(execution.trace, execution.program_order)
