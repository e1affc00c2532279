"""Strong eventual consistency: who was delivered the same updates is in the same state."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tracekit.checks.doubts import left_out
from tracekit.execution import Execution, Options
from tracekit.registry import check
from tracekit.results import CheckResult, Violation

Int64 = NDArray[np.int64]
Bool = NDArray[np.bool_]

LISTED = 20
DELIVER, STATE, RESET = "replica.deliver", "replica.state", "replica.reset"
FIELDS = frozenset({"seq", "name", "replica.update", "replica.digest"})
SHOWN = 3
"""Updates that a sentence names."""


def _applies(execution: Execution) -> bool:
    return bool(execution.trace.named(STATE).any())


@check(
    "consistency.strong-eventual",
    applies=_applies,
    columns=("replica.update", "replica.digest"),
    measured=True,
)
def strong_eventual(execution: Execution, options: Options) -> CheckResult:
    """Replicas to which the same updates were delivered are in the same state.

    Meaning
        Two recorded states, of two replicas or of one at two moments, between which the sets of delivered updates are
        equal have equal digests: the state depends on which updates arrived, and not on their order, nor on how often
        each came. That is the safety half of strong eventual consistency (strong convergence); that every update is
        delivered everywhere in the end is the other half, and not judged here (see consistency.eventual).

    Example
        n1  delivers 1,  delivers 2,  state a
        n2  delivers 2,  delivers 1,  state b        the same updates, another state

    Needs
        Events `replica.deliver` with `replica.update` and `replica.state` with `replica.digest`, at the replica as
        process; `replica.reset` where a replica lost its state. All deliveries of a replica from its start: where the
        beginning is not recorded (`coverage`), its states are left out. At least two states with equal deliveries.

    Cannot see
        Different states with the same digest. Replicas that never had the same updates. That a state is the right one:
        only that it is the same.

    Cost
        O(n log n) for n events: sets are compared by sums of random numbers, and what is reported exactly.

    Reference
        Shapiro, Preguiça, Baquero and Zawirski, Conflict-free replicated data types, SSS 2011. Strong convergence.
    """
    trace = execution.trace
    found = _states(execution)
    reasons, excuses = list(found.reasons), []
    spoiled = trace.set_aside.spoiling(lambda name: name in FIELDS)
    if spoiled:
        excuses.append(f"{spoiled}: they may be deliveries")
    groups, compared = found.differing()
    violations = []
    refuted = 0
    for members in groups[:LISTED]:
        pair = found.confirmed(members)
        if pair is None:
            refuted += 1  # two sets with one sum: as good as impossible, and no violation
        else:
            violations.append(_differ(execution, found, *pair))
    total = len(groups) - refuted
    if total and (gaps := left_out(execution)):
        excuses.append(f"{gaps}: they may have been deliveries")
    if excuses and total:
        reasons = [f"{violations[0].summary} But {excuses[0]}", *reasons]
        violations, total = [], 0
    elif excuses:
        reasons += excuses
    if not compared and not reasons:
        reasons.append("no two of the recorded states had the same updates delivered, so nothing was compared")
    return CheckResult(
        examined={"states": len(found.rows), "states with equal deliveries": compared} if compared else {},
        violations=tuple(violations),
        violations_total=total,
        reasons=tuple(reasons),
        method="states by delivered set (sums of random numbers, confirmed exactly)",
        facts={"deliveries": int(found.new.sum()), "repeated_deliveries": int((~found.new).sum())},
    )


@dataclass(frozen=True, eq=False)
class States:
    """Recorded states with what was delivered before each.

    Attributes
    ----------
    rows, digest, total, count, life, until: shape (s,): row; digest; sum and number of the distinct updates delivered;
        the life of the replica (until it was reset); how many of the deliveries below came before.
    updates, lives, new: shape (d,): deliveries in program order: update, life, whether it is the first of its update.
    """

    execution: Execution
    rows: Int64
    digest: Int64
    total: Int64
    count: Int64
    life: Int64
    until: Int64
    updates: Int64
    lives: Int64
    new: Bool
    reasons: tuple[str, ...]

    def differing(self) -> tuple[list[Int64], int]:
        """States with the same sum and number that have several digests, in file order; how many had another's sum."""
        order = np.lexsort((self.rows, self.digest, self.count, self.total))
        first = np.ones(len(order), np.bool_)
        for column in (self.total, self.count):
            same = column[order][1:] == column[order][:-1]
            first[1:] = same if column is self.total else first[1:] & same
        first[1:] = ~first[1:]
        group = np.cumsum(first) - 1
        sizes = np.bincount(group, minlength=1) if len(group) else np.zeros(0, np.int64)
        other = ~first[1:] & (self.digest[order][1:] != self.digest[order][:-1])
        wrong = np.unique(group[1:][other])
        begins = np.flatnonzero(first)
        members = [order[begins[g] : begins[g] + sizes[g]] for g in wrong.tolist()]
        members.sort(key=lambda states: int(self.rows[states].min()))
        return members, int(sizes[sizes > 1].sum())

    def confirmed(self, members: Int64) -> tuple[int, int] | None:
        """The first two of some states that differ, if their updates are exactly the same."""
        members = members[np.argsort(self.rows[members])]
        a = int(members[0])
        b = int(members[self.digest[members] != self.digest[a]][0])
        return (a, b) if np.array_equal(self.delivered(a), self.delivered(b)) else None

    def delivered(self, state: int) -> Int64:
        """The distinct updates delivered before a state."""
        earlier = self.lives[: self.until[state]] == self.life[state]
        return np.unique(self.updates[: self.until[state]][earlier])


def _states(execution: Execution) -> States:
    """Reads deliveries and states, in program order. O(n log n)."""
    trace = execution.trace
    rows = execution.program_order.rows
    update, digest = trace.get("replica.update"), trace.get("replica.digest")
    assert update is not None and digest is not None, "the registry asks for the columns"
    is_delivery, is_state, is_reset = (trace.named(name)[rows] for name in (DELIVER, STATE, RESET))
    process = trace.process[rows]
    nameless = is_delivery & ~update.present[rows]
    blank = is_state & ~digest.present[rows]
    left_out = np.zeros(len(trace.processes), np.bool_)
    left_out[process[nameless]] = True
    reasons = []
    if left_out.any():
        names = ", ".join([trace.processes[p] for p in np.flatnonzero(left_out)][:3])
        reasons.append(f"{int(nameless.sum())} deliveries name no update: states of {names} are not judged")
    if blank.any():
        reasons.append(f"{int(blank.sum())} states have no replica.digest")
    late = [p for p, covered in trace.run.coverage.items() if not covered.get("start", True)]
    codes = [trace.process_code(p) for p in late if trace.process_code(p) >= 0]
    if codes and np.isin(process[is_state], codes).any():
        reasons.append(f"the recording of {', '.join(late[:3])} began late: what was delivered to it is not known")
        left_out[codes] = True
    begins = np.ones(len(rows), np.bool_)
    begins[1:] = (process[1:] != process[:-1]) | is_reset[1:]
    life = np.cumsum(begins, dtype=np.int64)
    is_delivery &= update.present[rows]
    is_state &= digest.present[rows] & ~left_out[process]
    updates, lives = update.values[rows[is_delivery]].astype(np.int64), life[is_delivery]
    code, new = _first_of_life(updates, lives)
    weight = np.random.default_rng(0x5EC).integers(-(2**63), 2**63 - 1, int(code.max(initial=-1)) + 1)
    sums, counts = (np.concatenate([[0], np.cumsum(v)]) for v in (np.where(new, weight[code], 0), new.astype(np.int64)))
    until = np.cumsum(is_delivery, dtype=np.int64)[is_state]
    base = np.searchsorted(lives, life[is_state])  # lives ascend
    return States(
        execution=execution,
        rows=rows[is_state],
        digest=digest.values[rows[is_state]].astype(np.int64),
        total=sums[until] - sums[base],
        count=counts[until] - counts[base],
        life=life[is_state],
        until=until,
        updates=updates,
        lives=lives,
        new=new,
        reasons=tuple(reasons),
    )


def _first_of_life(updates: Int64, lives: Int64) -> tuple[Int64, Bool]:
    """A dense code of each delivery's update, and whether it is the first one of it in its life."""
    code = np.unique(updates, return_inverse=True)[1].astype(np.int64)
    new = np.zeros(len(code), np.bool_)
    new[np.unique(lives * (int(code.max(initial=0)) + 1) + code, return_index=True)[1]] = True
    return code, new


def _differ(execution: Execution, found: States, a: int, b: int) -> Violation:
    trace, column = execution.trace, execution.trace.get("replica.update")
    assert column is not None
    first, second = int(found.rows[a]), int(found.rows[b])
    shared = found.delivered(a)
    names = [str(column.text(int(u)) if column.texts is not None else int(u)) for u in shared[:SHOWN]]
    updates = f"the same {len(shared):,} updates ({', '.join(names)}{', ...' if len(shared) > SHOWN else ''})"
    who, other = (trace.processes[trace.process[row]] for row in (first, second))
    whom = f"{who} and {other}" if who != other else f"{who}, at two moments,"
    text = (
        f"{whom} had {updates if len(shared) else 'no updates'} delivered and {_states_of(execution, first, second)}."
    )
    ordered = sorted((first, second))
    edge = execution.edge(ordered[0], ordered[1], "the same updates delivered")
    facts = {"updates": len(shared), "replicas": sorted({who, other})}
    return Violation("states-differ", text, execution.witness(ordered), (edge,), facts)


def _states_of(execution: Execution, first: int, second: int) -> str:
    column = execution.trace.get("replica.digest")
    assert column is not None
    return f"are in different states: {column.at(first)} and {column.at(second)}"
