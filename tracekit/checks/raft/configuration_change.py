"""Configurations follow each other so that their majorities overlap."""

from __future__ import annotations

import numpy as np

from tracekit.checks.doubts import domain_check
from tracekit.checks.evidence import SHOWN, times
from tracekit.checks.raft.evidence import legible, not_recorded, violation
from tracekit.checks.raft.history import UNKNOWN, Int64, configurations_occur, raft_history
from tracekit.checks.raft.logged import LoggedConfigurations, Members, logged_configurations
from tracekit.execution import Execution, Options
from tracekit.kernels.raft import DEPTH
from tracekit.results import CheckResult, Violation

LAST, OWN, APART = "change-before-last-committed", "change-before-own-term-committed", "configurations-apart"
SAYS = {
    LAST: "the configuration before it, entry {last}, was not committed. One change at a time.",
    OWN: "no entry of its own term {term} was committed. Until then another leader's change may be hidden from it; "
    "majorities of the two need not have a process in common.",
    APART: "after {before}. Majorities of these two need not have a process in common.",
}


@domain_check("raft.configuration-change", applies=configurations_occur)
@legible
def configuration_change(execution: Execution, options: Options) -> CheckResult:
    """A leader appends a configuration only when that is safe: one at a time, each overlapping the one before it.

    Meaning
        Majorities of configurations that follow each other must have a process in common, or two leaders can decide
        independently. So the voters change either by joint consensus, through a configuration that needs majorities
        of the old and of the new voters; or by one process at a time. In both cases the configuration before must be
        committed first. A change of one process moreover needs a committed entry of the leader's own term: without
        it, an uncommitted change of an earlier leader may exist elsewhere, and the two changes together are not one
        process apart.

    Example
        n2:31  becomes leader, term 5
        n2:33  appends entry 8, configuration n1 n2 n3 n4; nothing of term 5 is committed

    Needs
        raft.role, raft.term and raft.commit; every log change with raft.entry_terms and raft.entry_configurations;
        raft.voters at the start, for what the first change changes.

    Cannot see
        Configurations of which the leader's own log change is not recorded. What learners there are.

    Cost
        Linear in the entries written.

    Reference
        Raft 6, joint consensus. Changes of one process: Ongaro, Consensus: Bridging Theory and Practice (thesis, 2014),
        4.1, with the correction of his message "bug in single-server membership changes" (raft-dev, 2015).
        Ongaro and Ousterhout, In Search of an Understandable Consensus Algorithm (extended version), 2014.
    """
    history, logged = execution.derive(raft_history), execution.derive(logged_configurations)
    if not len(logged.written):
        happen = bool(history.named("raft.change_configuration").any())
        return CheckResult(
            reasons=not_recorded(history, "raft.entry_configurations") if happen else (), applicable=False
        )
    missing = not_recorded(history, "raft.commit")
    if missing:
        return CheckResult(reasons=missing)
    judged = [_judged(logged, *row) for row in logged.written.tolist()]
    broken = [i for i, found in enumerate(judged) if found]
    open_ = [i for i, found in enumerate(judged) if found is None]
    reasons: tuple[str, ...] = ()
    if open_:
        at = execution.trace.event(int(history.rows[int(logged.written[open_[0], 0])]))
        unjudged = f"{times(len(open_), 'change')} of {len(judged)} cannot be judged, as at {at}"
        reasons = (f"{unjudged}: the configuration before it, or what was committed, is not recorded",)
    return CheckResult(
        examined={"changes": len(judged) - len(open_)},
        violations=tuple(_told(logged, logged.written[i], str(judged[i])) for i in broken[:SHOWN]),
        violations_total=len(broken),
        reasons=reasons,
        method="each configuration that a leader appends against the one before it in its log",
    )


def _judged(logged: LoggedConfigurations, place: int, index: int, code: int) -> str | None:
    """The anomaly of one change, empty: none, None: unknown."""
    logs, history = logged.logs, logged.logs.history
    before, last = _before(logged, place, index)
    commit = int(history.commit[place])
    if last < 0 or (last > 0 and commit < 0):
        return None
    if last > commit and last > 0:
        return LAST
    if before < 0:
        return None
    step = _step(logged.members[before], logged.members[code])
    if step != "single":
        return APART if step == "apart" else ""
    if commit < 0:
        return None
    if commit == 0:
        return OWN
    term = int(logs.term_of(logs.entries(np.array([place]), np.array([commit])))[0])
    return None if term < 0 else OWN if term < history.term[place] else ""


def _before(logged: LoggedConfigurations, place: int, index: int) -> tuple[int, int]:
    """The configuration before the one at an index of a log, and the index of its entry; -1 unknown."""
    logs = logged.logs
    node = logged.before(int(logs.entries(np.array([place]), np.array([index]))[0]))
    process = logs.history.process[[place]]
    return int(logged.of(np.array([node]), process)[0]), int(logs.nodes[node, DEPTH]) if node >= 0 else UNKNOWN


def _step(before: Members, after: Members) -> str:
    """How one configuration leads to the next: joint, single, none (the same voters), or apart."""
    (old, old_outgoing), (new, outgoing) = before, after
    if outgoing:
        return "joint" if (not old_outgoing and outgoing == old) or before == after else "apart"
    if old_outgoing:
        return "joint" if new == old else "apart"
    return ("none", "single", "apart")[min(len(old ^ new), 2)]


def _told(logged: LoggedConfigurations, written: Int64, anomaly: str) -> Violation:
    history = logged.logs.history
    place, index, code = (int(value) for value in written)
    before, last = _before(logged, place, index)
    name, term = history.who(place), int(history.term[place])
    what = f"entry {index}, configuration {logged.describe(code)}"
    because = SAYS[anomaly].format(last=last, term=term, before=logged.describe(before))
    joint = "," if anomaly == APART else ", but"
    events = [(p, f"leads term {term}") for p in history.took_lead(place) if p != place]
    return violation(
        history,
        anomaly,
        f"{name}, leader of term {term}, appended {what}{joint} {because}",
        [*events, (place, f"appends {what}; commit index {max(int(history.commit[place]), 0)}")],
        facts={"leader": name, "term": term, "index": index, "before": logged.describe(before)},
    )
