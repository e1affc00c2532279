"""Commands are applied in order, without gaps."""

from __future__ import annotations

import numpy as np

from tracekit.checks.evidence import SHOWN, violation
from tracekit.checks.smr.history import NONE, Int64, SmrHistory, smr_check, smr_history
from tracekit.execution import Execution, Options
from tracekit.results import CheckResult, Violation


@smr_check("smr.prefix")
def prefix(execution: Execution, options: Options) -> CheckResult:
    """What a copy of the machine has applied is at all times a prefix of the one sequence of commands.

    Meaning
        A copy applies command i + 1 only to the state after command i: none is left out, none comes early, none comes
        a second time. With smr.slot-agreement it follows that of any two copies' sequences one is a prefix of the
        other. A copy that starts again goes on from the state that it recovered, a copy that takes over another one's
        state from that one; such an event tells which with smr.index.

    Example
        n3:70  applies command 7: write k1 4
        n3:71  applies command 9: write k2 5

    Needs
        smr.command with smr.index at every event that applies a command; smr.index when a process starts, starts again
        or takes over a state; smr.machine where there are several machines.

    Cannot see
        What precedes a process's first command, and what follows a restart, where no smr.index says which state it
        begins with: it is taken to be the one before the first command applied then.

    Cost
        Linear in the events.

    Reference
        Paxos Made Simple, 3. A command is executed when those before it are. Schneider 1990: Order.
        Lamport, Paxos Made Simple, 2001.
    """
    history = execution.derive(smr_history)
    if not bool(history.applied.any()):
        return CheckResult(reasons=history.lost(), applicable=False)
    before = _before(history)
    judged = history.applied & (before != NONE)
    broken = np.flatnonzero(judged & (history.index != before + 1))
    reasons = history.lost()
    if not judged.any():
        reasons += ("of no command applied it is recorded which state it was applied to",)
    return CheckResult(
        examined={"applied commands": int(judged.sum())},
        violations=tuple(_told(history, int(p), int(before[p])) for p in broken[:SHOWN]),
        violations_total=len(broken),
        reasons=reasons,
        rests_on=history.rests_on,
        method="each command applied, against the state before it",
    )


def _before(history: SmrHistory) -> Int64:
    """The index of the state before each event; `NONE` where it is not known."""
    before = np.full(len(history.row), NONE, np.int64)
    before[1:] = history.index[:-1]
    return np.where(history.first | history.restart, NONE, before)


def _told(history: SmrHistory, place: int, before: int) -> Violation:
    index, name = int(history.index[place]), history.who(place)
    if index > before + 1:
        anomaly, left = "applied-too-early", index - before - 1
        what = f"command {before + 1} was" if left == 1 else f"commands {before + 1} to {index - 1} were"
        why = f"when {what} not yet applied"
    else:
        anomaly, why = "applied-again", f"though its state already contained commands up to {before}"
    return violation(
        history.execution,
        anomaly,
        f"{name} applied command {index} ({history.text(place, 'smr.command')}) {why}.",
        [(int(history.row[p]), history.execution.text(int(history.row[p]))) for p in (place - 1, place)],
        facts={"process": name, "index": index, "state": before},
    )
