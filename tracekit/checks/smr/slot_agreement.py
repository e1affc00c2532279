"""One index, one command."""

from __future__ import annotations

import numpy as np

from tracekit.checks.evidence import SHOWN, violation
from tracekit.checks.smr.history import SmrHistory, differing, smr_check, smr_history
from tracekit.execution import Execution, Options
from tracekit.results import CheckResult, Violation


@smr_check("smr.slot-agreement", self_evident=lambda execution: True)
def slot_agreement(execution: Execution, options: Options) -> CheckResult:
    """No two copies of the machine ever apply different commands at the same index.

    Meaning
        Copies stay equal because all execute the same commands in the same order. Once any copy has applied a command
        at an index, no copy may apply another one there. A copy that replays its log after a restart is held to the
        same.

    Example
        n1:90  applies command 8: write k1 4
        n3:71  applies command 8: no-op

    Needs
        smr.command with smr.index at every event that applies a command; smr.machine where there are several machines.

    Cannot see
        Commands that reached a copy inside a state that it took over. Two commands with the same digest.

    Cost
        Sorting the applications.

    Reference
        Schneider 1990, Agreement and Order. Also Paxos Made Simple, section 3: the value chosen by the i-th instance of
        consensus is the i-th command.
        Schneider, Implementing Fault-Tolerant Services Using the State Machine Approach: A Tutorial, 1990.
    """
    history = execution.derive(smr_history)
    places = np.flatnonzero(history.applied)
    if not len(places):
        return CheckResult(reasons=history.lost(), applicable=False)
    broken = differing(history.slot[places], history.command[places])
    return CheckResult(
        examined={"applied commands": len(places)},
        violations=tuple(_told(history, int(slot)) for slot in broken[:SHOWN]),
        violations_total=len(broken),
        reasons=history.lost(),
        method="commands applied, by index",
    )


def _told(history: SmrHistory, slot: int) -> Violation:
    places = np.flatnonzero(history.applied & (history.slot == slot))
    places = places[np.argsort(history.row[places], kind="stable")]
    other = places[history.command[places] != history.command[places[0]]][0]
    pair = [int(places[0]), int(other)]
    index = int(history.index[pair[0]])
    names, commands = [history.who(p) for p in pair], [history.text(p, "smr.command") for p in pair]
    whose = f"{names[0]} and {names[1]}" if names[0] != names[1] else f"{names[0]}, at two times,"
    return violation(
        history.execution,
        "different-commands-applied",
        f"{whose} applied different commands at {history.where(pair[0])}: {commands[0]} and {commands[1]}. "
        "Their machines diverge there.",
        [(int(history.row[p]), f"applies command {index}: {c}") for p, c in zip(pair, commands, strict=True)],
        facts={"index": index, "processes": names, "commands": commands},
    )
