"""A process's term never decreases."""

from __future__ import annotations

import numpy as np

from tracekit.checks.doubts import domain_check
from tracekit.checks.evidence import SHOWN
from tracekit.checks.raft.evidence import not_recorded, violation
from tracekit.checks.raft.history import raft_history, raft_occurs
from tracekit.execution import Execution, Options
from tracekit.results import CheckResult


@domain_check("raft.term-monotonic", self_evident=lambda execution: True, applies=raft_occurs)
def term_monotonic(execution: Execution, options: Options) -> CheckResult:
    """A process's current term never decreases, not even across a restart.

    Meaning
        Every process keeps a current term, which only grows: it takes over a larger term that it sees, and adds one
        when it starts an election. The term is on stable storage before the process answers anybody, so it survives
        a crash. A process whose term went back may vote, or lead, in a term in which it already did.

    Example
        n2:51  follower in term 5
        n2:52  restarts in term 4

    Needs
        raft.term at the events of a process, in its program order.

    Cannot see
        A term that went back and came up again between two events that recorded it.

    Cost
        Linear in the events.

    Reference
        Raft 5.1, Figure 2. State currentTerm ("increases monotonically").
        Ongaro and Ousterhout, In Search of an Understandable Consensus Algorithm (extended version), 2014.
    """
    history = execution.derive(raft_history)
    missing = not_recorded(history, "raft.term")
    if missing:
        return CheckResult(reasons=missing)
    before = history.before(history.term)
    broken = np.flatnonzero((before >= 0) & (history.term >= 0) & (history.term < before))
    violations = []
    for place in broken[:SHOWN].tolist():
        old, new = int(before[place]), int(history.term[place])
        restarts = bool(history.restart[place])
        violations.append(
            violation(
                history,
                "term-decreased",
                f"{history.who(place)} went back from term {old} to term {new}{' at its restart' if restarts else ''}. "
                "A term only grows, and survives a restart.",
                [(place - 1, f"in term {old}"), (place, f"{'restarts ' if restarts else ''}in term {new}")],
                facts={"process": history.who(place), "from": old, "to": new, "restart": restarts},
            )
        )
    terms = np.unique(history.term[history.term >= 0])
    return CheckResult(
        examined={"terms": len(terms)},
        violations=tuple(violations),
        violations_total=len(broken),
        method="recorded terms in program order",
    )
