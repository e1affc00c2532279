"""Where Lamport timestamps are all that tells of messages: candidates counted, receives that no send explains."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tracekit.checks.channel import may_miss_events
from tracekit.checks.clock.findings import ANOMALIES, SHOWN, located
from tracekit.checks.clock.timed import ENOUGH, Timed
from tracekit.execution import Execution
from tracekit.order.candidates import Candidates
from tracekit.order.matching import NOBODY
from tracekit.results import Edge, Violation
from tracekit.trace.schema import Kind

Bool = NDArray[np.bool_]
Int64 = NDArray[np.int64]
NOT_AFTER_SEND = 3


@dataclass(frozen=True, eq=False)
class Unmatched:
    """Receives of a trace in which neither ids, vectors nor declared channels join them with sends.

    Attributes
    ----------
    impossible: rows of receives that have sends with the right ends, each of them stamped no earlier.
    excuse: why those sends may be missing from the recording; empty where none can be.
    facts, remark: how many candidates there are, for people.
    """

    execution: Execution
    clock: Int64
    impossible: Int64
    excuse: str
    facts: dict[str, int]
    remark: str

    @classmethod
    def of(cls, execution: Execution, clock: Int64, timed: Timed) -> Unmatched:
        """O(n log n); nothing where sends and receives are joined otherwise."""
        trace, messages = execution.trace, execution.messages
        joined = messages.identified or bool((messages.send_of >= 0).any())
        stamped = (trace.kind == Kind.RECEIVE) & timed.present
        if joined or execution.happens_before.recovered is not None or not stamped.any():
            return cls(execution, clock, np.empty(0, np.int64), "", {}, "")
        found = Candidates.of(trace, clock, timed.present)
        counts, narrowed = _narrowed(execution, clock, timed, found)
        none = (found.addressed > 0) & (found.earlier == 0)
        facts = {
            "receives": len(counts),
            "that no recorded send fits by its ends": int((found.addressed == 0).sum()),
            "with no possible send by their timestamps": int(none.sum()),
            "with one possible send": int((counts == 1).sum()),
            "with several possible sends": int((counts > 1).sum()),
            "narrowed by the exact amounts of the clocks": int(narrowed.sum()),
        }
        facts = {name: count for name, count in facts.items() if count}
        several, one = facts.get("with several possible sends", 0), facts.get("with one possible send", 0)
        remark = f"{len(counts):,} receives without ids: {one:,} can belong to one send, {several:,} to several"
        return cls(execution, clock, found.receives[none], may_miss_events(execution), facts, remark)

    def reasons(self) -> tuple[str, ...]:
        """Why receives that no send explains decide nothing."""
        if not len(self.impossible) or not self.excuse:
            return ()
        return (f"{len(self.impossible):,} receives are stamped no later than each send that fits, but {self.excuse}",)

    def violations(self, known: Int64) -> tuple[int, tuple[Violation, ...]]:
        """How many there are, and the first of them; without the rows that are known to be wrong for another cause."""
        rows = self.impossible[~np.isin(self.impossible, known)]
        if self.excuse or not len(rows):
            return 0, ()
        return len(rows), tuple(self._violation(int(row)) for row in rows[:SHOWN])

    def _violation(self, row: int) -> Violation:
        execution, trace, clock = self.execution, self.execution.trace, self.clock
        fitting = _fitting(execution, row)
        first = int(fitting[np.argmin(clock[fitting])])
        which = f"each of the {len(fitting):,} sends that fit" if len(fitting) > 1 else "the only send that fits"
        summary = (
            f"{trace.event(row)} is stamped {int(clock[row])}, but {which} is stamped later or alike: "
            f"{trace.event(first)} with {int(clock[first])}. Whichever was received, its receive is not later."
        )
        shown = [(r, f"{execution.text(r)}, lamport {int(clock[r])}") for r in (first, row)]
        facts = {"recorded": int(clock[row]), "expected": f"at least {int(clock[first]) + 1}"}
        edges = (Edge(trace.event(first), trace.event(row), "may be its send (earliest timestamp that fits)"),)
        rule = "a receive is later than its send (IR2)"
        return Violation(
            ANOMALIES[NOT_AFTER_SEND], summary, execution.witness(shown), edges, located(execution, row, rule, facts, 0)
        )


def _narrowed(execution: Execution, clock: Int64, timed: Timed, found: Candidates) -> tuple[Int64, Bool]:
    """How many sends each receive can belong to, and for which of them the clocks' exact amounts said so.

    Where clocks count by one, a receive that is further ahead than one step of its own process has its timestamp from
    its send, which is stamped by one less. That is used only where nothing in the recording speaks against it: no other
    event takes a larger step, and every receive that jumps finds such a send.
    """
    trace = execution.trace
    known = timed.present & (timed.before >= 0) & (timed.missed == 0) & ~timed.restarted
    step = clock - clock[timed.before]
    others = known & (trace.kind != Kind.RECEIVE)
    jumps = (known & (step > 1))[found.receives]
    by_one = int(others.sum()) >= ENOUGH and bool((step[others] <= 1).all())
    if not by_one or (found.exact[jumps & (found.addressed > 0)] == 0).any():
        jumps[:] = False
    return np.where(jumps, found.exact, found.earlier), jumps & (found.exact < found.earlier)


def _fitting(execution: Execution, row: int) -> Int64:
    """Rows of the sends whose ends, as far as recorded, are those of a receive. O(n)."""
    trace = execution.trace
    fits: Bool = trace.kind == Kind.SEND
    peer = trace.get("peer")
    if peer is not None:
        codes = np.where(peer.present, trace.process_codes(peer), NOBODY)
        fits &= (codes == NOBODY) | (codes == trace.process[row])
        if codes[row] != NOBODY:
            fits &= trace.process == codes[row]
    return np.flatnonzero(fits)
