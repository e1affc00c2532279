"""Only a value that was put forward is chosen."""

from __future__ import annotations

import numpy as np

from tracekit.checks.doubts import not_covered, torn
from tracekit.checks.evidence import SHOWN, listed, times
from tracekit.checks.paxos.acceptors import acceptors
from tracekit.checks.paxos.demonstrated import ballot_owners, demonstrated_acceptances
from tracekit.checks.paxos.evidence import paxos_check, violation
from tracekit.checks.paxos.history import NONE, Bool, Int64, PaxosHistory, Steps, distinct, paxos_history, shown
from tracekit.execution import Execution, Options
from tracekit.results import CheckResult, Violation


@paxos_check("paxos.validity")
def validity(execution: Execution, options: Options) -> CheckResult:
    """Every value proposed, accepted or learned was put forward for its instance by somebody.

    Meaning
        Consensus is about the values that the processes were asked to agree on. A value that nobody put forward, be it
        a default, a remnant of another instance or made of a damaged message, must not be chosen. The variant decided
        here is the stricter one that Paxos keeps: no proposal carries such a value, chosen or not, since a proposer
        proposes what it was asked for or what a proposal before it carried. A no-op that fills a gap in a log is put
        forward by the leader that needs it. A value put forward without an instance may be chosen in any.

    Example
        (instance 4)
        c1:3   puts 17 forward
        n2:40  sends accept request, ballot 12 with 17 (default) to n1

    Needs
        paxos.submit with paxos.value, and paxos.value or paxos.accepted_value at proposals, acceptances or
        paxos.learn.

    Cannot see
        Whether a value was put forward before it was proposed; values are compared by their digests. Where a process
        that proposes never records paxos.submit, a value may have been put forward unseen, and so may one that was
        proposed unseen: that was accepted, or, where a majority of the acceptors does not demonstrably record what it
        accepts, learned, and of which no paxos.accept is recorded. The answer is unknown then. A single
        paxos.submit left out looks as if it had not happened.

    Cost
        Sorting the values by instance.

    Reference
        Paxos Made Simple, 2.1. The first safety requirement: only a value that has been proposed may be chosen.
        Lamport, Paxos Made Simple, 2001.
    """
    history = execution.derive(paxos_history)
    told = history.submitted
    parts = [history.proposals, history.acceptances, history.learned]
    used = Steps(*(np.concatenate([getattr(p, a) for p in parts]) for a in Steps.__dataclass_fields__))
    used = used[used.value >= 0]
    doubts = history.doubts("acceptances", "requests", "received", "learned")
    if not len(used):
        return CheckResult(reasons=doubts, applicable=False)
    if not len(told):
        lost = history.doubts("submitted")
        return CheckResult(reasons=lost or ("no value put forward is recorded (paxos.submit)",))
    keys, group = distinct(used.instance, used.value)
    known = _known(keys, told)
    broken = np.flatnonzero(~known)
    lost = history.doubts("submitted")
    excuse = (lost[0] if lost else _excuse(history, keys[broken])) if len(broken) else ""
    if excuse:
        row = int(used.row[group == broken[0]][0])
        at, name = execution.trace.event(row), shown([history.values[int(keys[broken[0], 1])]])
        why = f"nobody is recorded to have put {name} forward ({at}), but {excuse}"
        return CheckResult(examined={"values": len(keys)}, reasons=(why, *doubts))
    return CheckResult(
        examined={"values": len(keys)},
        violations=tuple(_told(history, used[group == b], keys[b]) for b in broken[:SHOWN].tolist()),
        violations_total=len(broken),
        reasons=doubts,
        method=f"values by instance, against {times(len(told), 'event')} that put one forward",
    )


def _excuse(history: PaxosHistory, broken: Int64) -> str:
    """Why the values of some (instance, value) may have been put forward without a record; empty where they were not.

    Whoever proposes was asked for it, or passes on what an earlier proposer was asked for; and anybody may have asked.
    So it takes the record of all proposers.
    """
    execution = history.execution
    partial = not_covered(execution)
    if partial:
        return f"{execution.trace.processes[partial[0]]} is not recorded from start to end"
    cut = torn(execution)
    if cut:
        return cut
    proposers = execution.derive(ballot_owners)
    silent = np.setdiff1d(proposers[:, 0], history.submitted.process)
    if len(silent):
        names = [str(execution.trace.processes[code]) for code in silent[:SHOWN].tolist()]
        return f"{listed(names)} proposed and never recorded that a value was put forward (paxos.submit)"
    unsent = broken[~_known(broken, _together(history.requests, history.received))]
    accepted = unsent[_known(unsent, history.acceptances)]
    if len(accepted) or (len(unsent) and _unaccepted(execution)):
        name = history.values[int((accepted if len(accepted) else unsent)[0, 1])]
        return f"it is not recorded who proposed {shown([name])} (paxos.accept)"
    return ""


def _unaccepted(execution: Execution) -> bool:
    """Whether a value may have been chosen of which no acceptance is recorded."""
    group = execution.derive(acceptors)
    doubtful = execution.derive(demonstrated_acceptances).doubtful(group)
    return bool(group.reason) or not group.count or len(doubtful) + group.unseen >= group.majority


def _together(first: Steps, second: Steps) -> Steps:
    return Steps(*(np.concatenate([getattr(first, a), getattr(second, a)]) for a in Steps.__dataclass_fields__))


def _known(keys: Int64, told: Steps) -> Bool:
    """Whether each (instance, value) was put forward, for its instance or for any."""
    count = len(keys)
    _, group = distinct(np.append(keys[:, 0], told.instance), np.append(keys[:, 1], told.value))
    known: Bool = np.isin(group[:count], group[count:]) | np.isin(keys[:, 1], told.value[told.instance == NONE])
    return known


def _told(history: PaxosHistory, used: Steps, key: Int64) -> Violation:
    instance, value = int(key[0]), int(key[1])
    name = history.values[value]
    learned = history.learned
    rows = [int(used.row[0])]
    news = learned.row[(learned.instance == instance) & (learned.value == value)]
    rows += [int(r) for r in news[:1] if int(r) != rows[0]]
    only_learned = bool(np.isin(used.row[0], news))
    used_it = "learned that" if only_learned else "used the value"
    which = "a value that" if only_learned else "which"
    told = f"{shown([name])} is chosen" if only_learned else shown([name])
    chosen = f" {history.who(rows[-1])} learned it to be chosen." if len(news) and not only_learned else ""
    return violation(
        history.execution,
        "value-never-put-forward",
        f"{history.who(rows[0])} {used_it} {told}{history.at(instance)}, {which} nobody had put forward.{chosen}",
        [(row, history.execution.text(row)) for row in rows],
        facts={**history.about(instance), "value": name, "learned": bool(len(news))},
    )
