"""Equal index, equal state."""

from __future__ import annotations

import numpy as np

from tracekit.checks.evidence import SHOWN, recorded, violation
from tracekit.checks.smr.history import NONE, SmrHistory, differing, smr_check, smr_history
from tracekit.execution import Execution, Options
from tracekit.results import CheckResult, Violation


@smr_check("smr.state", self_evident=lambda execution: True)
def state(execution: Execution, options: Options) -> CheckResult:
    """All copies of the machine have the same state after the same index.

    Meaning
        The machine is deterministic: from the same initial state, the same commands in the same order lead to the same
        state. If the digests of two copies' states differ at an index, the copies applied different commands, applied
        them wrongly, or the next state depends on something else: a clock, chance, the order of a hash table, what was
        left on a disk. The first index at which they differ shows where; at all later ones they differ as a rule.

    Example
        n1:88  applies command 8: write k1 4    state 9f...
        n3:70  applies command 8: write k1 4    state 03...

    Needs
        smr.state with smr.index, after commands or at least now and then (checkpoints); smr.machine where there are
        several machines.

    Cannot see
        A difference that the digest does not cover. Whether the state is the right one: only that it is the same.

    Cost
        Sorting the states.

    Reference
        Schneider 1990, determinism of a state machine. Also Paxos Made Simple, section 3: servers produce the same
        sequences of states and outputs if they all execute the same sequence of commands.
        Schneider, Implementing Fault-Tolerant Services Using the State Machine Approach: A Tutorial, 1990.
    """
    history = execution.derive(smr_history)
    places = np.flatnonzero((history.index != NONE) & (history.state != NONE))
    if not len(places):
        missing = () if recorded(execution, "smr.state") else ("smr.state is not recorded",)
        told = history.lost_states() or (missing if bool(history.applied.any()) else ())
        return CheckResult(reasons=told, applicable=False)
    broken = differing(history.slot[places], history.state[places])
    return CheckResult(
        examined={"states": len(places)},
        violations=tuple(_told(history, int(slot)) for slot in broken[:SHOWN]),
        violations_total=len(broken),
        reasons=history.lost_states(),
        method="digests of states, by index",
    )


def _told(history: SmrHistory, slot: int) -> Violation:
    places = np.flatnonzero((history.slot == slot) & (history.state != NONE))
    places = places[np.argsort(history.row[places], kind="stable")]
    pair = [int(places[0]), int(places[history.state[places] != history.state[places[0]]][0])]
    index = int(history.index[pair[0]])
    names, digests = [history.who(p) for p in pair], [history.text(p, "smr.state") for p in pair]
    commands = [history.command[p] for p in pair]
    both = bool(commands[0] == commands[1] and commands[0] != NONE)
    whose = f"{names[0]} and {names[1]} have" if names[0] != names[1] else f"{names[0]} has, at two times,"
    same = f", though both applied {history.text(pair[0], 'smr.command')} there" if both else ""
    return violation(
        history.execution,
        "states-differ",
        f"{whose} different states after {history.where(pair[0])}: {digests[0]} and {digests[1]}{same}.",
        [(int(history.row[p]), f"{history.execution.text(int(history.row[p]))}, state {d}")
         for p, d in zip(pair, digests, strict=True)],
        facts={"index": index, "processes": names, "states": digests, "same_command": both},
    )  # fmt: skip
