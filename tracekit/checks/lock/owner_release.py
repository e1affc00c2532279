"""Only its holder gives a lock back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tracekit.checks.doubts import domain_check
from tracekit.checks.evidence import SHOWN, times, violation
from tracekit.checks.lock.facts import ACQUIRE, RELEASE, column_texts, lock_names, named_operations, numbers
from tracekit.checks.lock.holdings import Holdings, decided, from_operations
from tracekit.checks.lock.told import begin_text, judged
from tracekit.execution import Execution, Options
from tracekit.results import CheckResult, Violation
from tracekit.trace.schema import Kind

Int64 = NDArray[np.int64]
LIMIT = 5_000
"""How many releases that need a second look get one."""


def _occurs(execution: Execution) -> bool:
    trace = execution.trace
    return "lock.release" in trace.names or bool((named_operations(trace, RELEASE) & trace.is_kind(Kind.OK)).any())


@dataclass(frozen=True, eq=False)
class Releases:
    """Locks given back: events of whoever decides, or clients' operations that were answered ok.

    Attributes
    ----------
    rows: where it is told.
    asked: where it began: the request of an operation, else the same row.
    lock, by: names.
    ended: whose holding the event says it ended; empty: it does not say.
    token: -1 where there is none.
    """

    rows: Int64
    asked: Int64
    lock: NDArray[np.object_]
    by: NDArray[np.object_]
    ended: NDArray[np.object_]
    token: Int64

    def __len__(self) -> int:
        return len(self.rows)


@domain_check("lock.owner-release", applies=_occurs)
def owner_release(execution: Execution, options: Options) -> CheckResult:
    """A lock is given back by its holder only: nobody releases what another process holds.

    Meaning
        A client whose lease is over may not know it yet, and give the lock back. If the service frees it for him, it
        takes it from the next holder, and a third one can have it. So a release counts only from the holder of the
        grant. A release names whom it was asked by (lock.by) and whose holding it ended (lock.holder): they are the
        same. Where it has a token, the token is one that was granted to him. Where it has none, he may have the lock
        at that moment, or else nobody else certainly has it: giving back a free lock takes nothing from anybody.
        Of clients' operations, a release that was answered ok counts from its request to its answer: it violates the
        rule if another client certainly had the lock all that time, and its own client can not have had it.

    Example
        n1:40   grants l1 to c1, token 7
        n1:58   ends the lease on l1 of c1, token 7
        n1:59   grants l1 to c2, token 8
        n1:66   frees l1 held by c2, token 8, asked by c1

    Needs
        lock.release with lock.holder and lock.by, or with lock.token; lock.grant; lock.name where there are several
        locks. Or operations acquire (lock) and release (unlock).

    Cannot see
        Who asked, where lock.by is absent: then it is taken to be the holder. An administrator who takes a lock away is
        to be recorded as lock.expire.

    Cost
        Sorting the events of locks; a release that is not the first of its grant costs a look at all grants of its
        lock.

    Reference
        Burrows, The Chubby Lock Service for Loosely-Coupled Distributed Systems, OSDI 2006. Also the interface of
        POSIX mutexes (pthread_mutex_unlock, error EPERM): a thread may unlock only what it has locked.
    """
    holdings = execution.derive(decided)
    given = _releases(execution, holdings)
    if not len(given):
        return CheckResult(applicable=False)
    second = np.flatnonzero(_need_a_look(holdings, given))
    broken: list[tuple[int, int]] = []
    reasons: list[str] = []
    for k in second[:LIMIT].tolist():
        victim, why = _judge(execution, holdings, given, k)
        if victim is not None:
            broken.append((k, victim))
        elif why:
            reasons.append(why)
    if len(second) > LIMIT:
        reasons.append(
            f"of {times(len(second), 'release')} that may be by others than the holder {LIMIT:,} were judged"
        )
    if len(reasons) > 1:
        reasons = [f"{reasons[0]}; so it is with {times(len(reasons), 'release')}"]
    return judged(
        execution,
        holdings,
        len(broken),
        lambda: [_told(holdings, given, k, victim) for k, victim in broken[:SHOWN]],
        examined={"releases": len(given)},
        reasons=tuple(reasons),
        method="each release against the grants of its lock",
    )


def _releases(execution: Execution, holdings: Holdings) -> Releases:
    trace = execution.trace
    if from_operations(holdings) or "lock.release" not in trace.names:
        return _operations(execution)
    rows = np.flatnonzero(trace.named("lock.release") & (trace.kind != Kind.FAULT))
    own = np.array(trace.processes, object)[trace.process[rows]]
    nobody = np.full(len(rows), "", object)
    holder = _values(execution, "lock.holder", rows, nobody)
    by = _values(execution, "lock.by", rows, np.where(holder != "", holder, own))
    lock = _values(execution, "lock.name", rows, nobody)
    return Releases(rows, rows, lock, by, holder, numbers(trace.get("lock.token"), rows))


def _operations(execution: Execution) -> Releases:
    """Releases that were answered ok, each with the request that it answers, where there is one."""
    trace, program = execution.trace, execution.program_order
    mine = named_operations(trace, RELEASE)
    rows = np.flatnonzero(mine & (trace.kind == Kind.OK))
    invokes = np.flatnonzero(mine & (trace.kind == Kind.INVOKE))
    op = numbers(trace.get("op"), np.arange(len(trace)))
    latest: dict[tuple[int, int], int] = {}
    asked = []
    merged = np.concatenate([rows, invokes])
    for row in merged[np.lexsort((program.index[merged], trace.process[merged]))].tolist():
        call = (int(trace.process[row]), int(op[row]))
        if trace.kind[row] == Kind.INVOKE:
            latest[call] = row
        else:
            asked.append((row, latest.get(call, -1)))
    of = dict(asked)
    start = np.array([of[row] for row in rows.tolist()], np.int64)
    by = np.array(trace.processes, object)[trace.process[rows]]
    nobody = np.full(len(rows), "", object)
    return Releases(rows, start, lock_names(trace, rows), by, nobody, np.full(len(rows), -1, np.int64))


def _values(execution: Execution, name: str, rows: Int64, default: NDArray[np.object_]) -> NDArray[np.object_]:
    names, codes = column_texts(execution.trace.get(name), rows, default)
    return np.array([*names, ""], object)[codes]


def _need_a_look(holdings: Holdings, given: Releases) -> NDArray[np.bool_]:
    """All but those that are the first end of a holding of who asked for it."""
    first = holdings.end_starts[:-1][np.diff(holdings.end_starts) > 0]
    look = ~np.isin(given.asked, holdings.end_rows[first])
    look |= np.array((given.ended != "") & (given.ended != given.by), np.bool_)
    return look


def _judge(execution: Execution, holdings: Holdings, given: Releases, k: int) -> tuple[int | None, str]:
    """The holding that was taken from its holder, -1 where it is not known which; or why it cannot be judged."""
    row, by, ended, token = int(given.rows[k]), given.by[k], given.ended[k], int(given.token[k])
    of_lock = np.flatnonzero(holdings.lock == _code(holdings.facts.locks, given.lock[k]))
    same = of_lock[holdings.token[of_lock] == token] if token >= 0 else of_lock[:0]
    if ended not in ("", by):
        mine = same[holdings.holder[same] == _code(holdings.facts.holders, ended)]
        return (int(mine[0]) if len(mine) else -1), ""
    own = _code(holdings.facts.holders, by)
    if len(same):
        return (None, "") if bool((holdings.holder[same] == own).any()) else (int(same[0]), "")
    others = of_lock[holdings.holder[of_lock] != own]
    if not len(others) or _may_have(execution, holdings, given, k, of_lock[holdings.holder[of_lock] == own]):
        return None, ""
    if given.asked[k] < 0:
        return None, f"{execution.trace.event(row)} answers a request to release that was not recorded"
    rows, starts = np.full(len(others), row), np.full(len(others), int(given.asked[k]))
    certain = holdings.order.before(holdings.first[others], starts) & holdings.open_at(others, rows)
    if certain.any():
        return int(others[np.flatnonzero(certain)[-1]]), ""
    possible = ~holdings.over_before(others, starts) & ~holdings.order.before(rows, holdings.first[others])
    when = f"{by} gave it back ({execution.trace.event(row)})"
    why = f"whether somebody else had {given.lock[k] or 'the lock'} when {when} is not known"
    return None, why if possible.any() else ""


def _may_have(execution: Execution, holdings: Holdings, given: Releases, k: int, own: Int64) -> bool:
    """Whether who gives the lock back may have had it."""
    row = int(given.rows[k])
    if not from_operations(holdings):
        rows = np.full(len(own), row)
        gone = holdings.over_before(own, rows) | holdings.order.before(rows, holdings.first[own])
        return bool((~gone).any())
    trace, program = execution.trace, execution.program_order
    mine = program.of_process(int(trace.process[row]))
    mine = mine[program.index[mine] < program.index[row]]
    mine = mine[(lock_names(trace, mine) == given.lock[k]) & (trace.kind[mine] != Kind.FAULT)]
    acquires, releases = named_operations(trace, ACQUIRE)[mine], named_operations(trace, RELEASE)[mine]
    last = np.flatnonzero(releases & (trace.kind[mine] == Kind.OK))
    since = acquires[int(last[-1]) + 1 :] if len(last) else acquires
    kinds = trace.kind[mine][len(mine) - len(since) :][since]
    # An answer that it has the lock, or a request that was not answered no.
    asked, refused = int((kinds == Kind.INVOKE).sum()), int((kinds == Kind.FAIL).sum())
    return bool((kinds == Kind.OK).any()) or asked > refused


def _code(names: tuple[str, ...], name: str) -> int:
    return names.index(name) if name in names else -1


def _told(holdings: Holdings, given: Releases, k: int, victim: int) -> Violation:
    execution, row, by = holdings.order.execution, int(given.rows[k]), str(given.by[k])
    lock = str(given.lock[k]) or "the lock"
    holder = holdings.who(victim) if victim >= 0 else str(given.ended[k])
    events = [(int(holdings.first[victim]), begin_text(holdings, victim))] if victim >= 0 else []
    if from_operations(holdings):
        events += [(int(given.asked[k]), f"asks to release {lock}"), (row, f"is answered that it released {lock}")]
    else:
        events.append((row, execution.text(row)))
    return violation(
        execution,
        "released-by-other",
        f"{by} gave back {lock}, which {holder} held.",
        events,
        facts={"lock": lock, "by": by, "holder": holder},
    )
