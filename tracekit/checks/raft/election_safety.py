"""Election Safety."""

from __future__ import annotations

import numpy as np

from tracekit.checks.doubts import domain_check
from tracekit.checks.evidence import SHOWN, listed
from tracekit.checks.raft.evidence import legible, not_recorded, violation
from tracekit.checks.raft.history import raft_history, raft_occurs
from tracekit.execution import Execution, Options
from tracekit.results import CheckResult


@domain_check("raft.election-safety", applies=raft_occurs)
@legible
def election_safety(execution: Execution, options: Options) -> CheckResult:
    """At most one leader can be elected in a given term.

    Meaning
        Raft divides time into terms, numbered upward. Each term begins with an election, and at most one process may
        win it. Two leaders of one term would both append entries and both have them acknowledged, so two different
        commands could be committed at one place of the log. Two leaders at one time are no violation, as long as
        their terms differ: the older one does not know yet that it was replaced.

    Example
        n1:40  becomes leader, term 4
        n3:77  becomes leader, term 4

    Needs
        raft.term and raft.role (or the events raft.become_leader) of the leaders. Nothing else: no messages, no clocks.

    Cannot see
        A leader that nobody recorded as such. Why two were elected: raft.one-vote-per-term and raft.leader-quorum
        tell that.

    Cost
        Linear in the events.

    Reference
        Raft 5.2, Figure 3. Election Safety.
        Ongaro and Ousterhout, In Search of an Understandable Consensus Algorithm (extended version), 2014.
    """
    history = execution.derive(raft_history)
    places = history.leaderships
    if not len(places):
        return CheckResult(reasons=not_recorded(history, *_fields(execution)), applicable=False)
    order = np.lexsort((places, history.term[places]))
    places = places[order]
    terms, starts, counts = np.unique(history.term[places], return_index=True, return_counts=True)
    broken = np.flatnonzero(counts > 1)
    violations = []
    for b in broken[:SHOWN].tolist():
        leaders = places[starts[b] : starts[b] + counts[b]].tolist()
        term = int(terms[b])
        names = [history.who(p) for p in leaders]
        violations.append(
            violation(
                history,
                "two-leaders-in-term",
                f"{listed(names)} were {'both' if len(names) == 2 else 'all'} leader of term {term}. "
                "A term may have only one leader.",
                [(p, f"leads term {term}") for p in leaders],
                facts={"term": term, "leaders": names},
            )
        )
    return CheckResult(
        examined={"elections": len(places)},
        violations=tuple(violations),
        violations_total=len(broken),
        method="leaders by term",
    )


def _fields(execution: Execution) -> tuple[str, ...]:
    named = any(name.startswith("raft.become_") for name in execution.trace.names)
    return ("raft.term",) if named else ("raft.term", "raft.role")
