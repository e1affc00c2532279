"""Breaches of session guarantees in words: who read what, and why no order of the writes explains it."""

from __future__ import annotations

from dataclasses import dataclass

from tracekit.checks.consistency.session_guarantees_order import Axiom, Constraints, Int64
from tracekit.checks.consistency.session_history import SessionHistory
from tracekit.results import Edge, Violation

MOST_WRITES = 10
"""Writes of a cycle that are shown; the sentence says how many there are."""

Tie = tuple[int, int, str]


@dataclass(frozen=True)
class Step:
    """One write before another in every order of writes that the guarantee allows, and the reads that say so."""

    start: int
    end: int
    axiom: Axiom
    read: int
    before: int


@dataclass(frozen=True, eq=False)
class Telling:
    """Puts what was found in a history into words."""

    history: SessionHistory

    def initial(self, axiom: Axiom, read: int, shown: int) -> Violation:
        """A read of the initial value, after an own write of the key or a read of another value."""
        history = self.history
        who = history.client(read)
        where = history.sessions.key_name(int(history.sessions.key[read]))
        own = axiom is Axiom.READ_YOUR_WRITES
        done = f"had written {history.value(shown)} there" if own else f"had read {history.value(shown)} there"
        text = f"{who} read {history.value(read)} at {where}, the initial value, although it {done} before."
        ties = [(shown, read, "same session")]
        if not own:
            ties.insert(0, (int(history.sessions.source[shown]), shown, "read-from"))
        return self._violation("own-write-not-seen" if own else "value-lost", text, ties, {"client": who})

    def cycle(self, constraints: Constraints, edges: Int64) -> Violation:
        """Writes each of which must come before the next, and the last before the first."""
        steps = self._steps(constraints, edges)
        reasons = [
            f"{self.history.name(s.start)} comes before {self.history.name(s.end)} ({self._why(s)})" for s in steps[:4]
        ]
        more = f"; and {len(steps) - 4} more steps round" if len(steps) > 4 else ""
        text = "No order of the writes fits what was read: " + "; ".join(reasons) + more + "."
        ties = [tie for step in steps[:MOST_WRITES] for tie in self._ties(step)]
        kinds = sorted({step.axiom for step in steps})
        facts = {"writes": len(steps), "guarantees": [a.name.lower().replace("_", "-") for a in kinds]}
        return self._violation("write-order-cycle", text, ties, facts)

    def _steps(self, constraints: Constraints, edges: Int64) -> list[Step]:
        """The edges, those through gatherers joined, from a write to a write."""
        n = len(self.history.sessions)
        around = [int(e) for e in edges]
        first = next(i for i, e in enumerate(around) if constraints.start[e] < n)
        steps, start, read, before = [], -1, -1, -1
        for e in around[first:] + around[:first]:
            start = int(constraints.start[e]) if constraints.start[e] < n else start
            read, before = max(read, int(constraints.read[e])), max(before, int(constraints.before[e]))
            if constraints.end[e] < n:
                steps.append(Step(start, int(constraints.end[e]), Axiom(int(constraints.axiom[e])), read, before))
                read = before = -1
        return steps

    def _why(self, step: Step) -> str:
        who = self.history.client(step.read if step.read >= 0 else step.end)
        if step.axiom is Axiom.READ_YOUR_WRITES:
            return f"{who} had written the first when it read the second"
        if step.axiom is Axiom.MONOTONIC_READS:
            return f"{who} read the first and later the second"
        if step.axiom is Axiom.WRITES_FOLLOW_READS:
            return f"{self.history.client(step.end)} had read the first when it wrote the second"
        return f"{who} wrote them in that order"

    def _ties(self, step: Step) -> list[Tie]:
        if step.axiom is Axiom.MONOTONIC_WRITES:
            return [(step.start, step.end, "same session")]
        order = (step.start, step.end, f"must come before: {self._why(step)}")
        if step.axiom is Axiom.READ_YOUR_WRITES:
            return [(step.start, step.read, "same session"), (step.end, step.read, "read-from"), order]
        if step.axiom is Axiom.WRITES_FOLLOW_READS:
            return [(step.start, step.read, "read-from"), (step.read, step.end, "same session"), order]
        reads = [(step.start, step.before, "read-from"), (step.before, step.read, "same session")]
        return [*reads, (step.end, step.read, "read-from"), order]

    def _violation(self, anomaly: str, text: str, ties: list[Tie], facts: dict[str, object]) -> Violation:
        history = self.history
        entries = {entry for start, end, _ in ties for entry in (start, end)}
        # File order keeps each session's own order, and so does not contradict happens-before.
        shown = sorted(entries, key=lambda entry: (history.row(entry), entry))
        edges: list[Edge] = []
        for start, end, reason in ties:
            edge = history.execution.edge(history.row(start), history.row(end), reason)
            if edge not in edges:
                edges.append(edge)
        names = history.sessions.names
        keys = {"keys": [names[key] for key in sorted({int(history.sessions.key[e]) for e in entries})[:10]]}
        witness = history.execution.witness([(history.row(entry), history.verb(entry)) for entry in shown])
        return Violation(anomaly, text, witness, tuple(edges), keys | facts)
