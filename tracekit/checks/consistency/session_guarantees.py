"""The four session guarantees, each by its own visibility and one order of all writes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from tracekit.checks.consistency.causal_certificate import emitted, event_of, omitted
from tracekit.checks.consistency.guessed import or_guessed
from tracekit.checks.consistency.session_guarantees_order import (
    Axiom,
    Constraints,
    Places,
    constraints_of,
    cycles,
    missed,
    stale_own_reads,
)
from tracekit.checks.consistency.session_guarantees_witness import Telling
from tracekit.checks.consistency.session_history import LISTED, SessionHistory, applies, history_of
from tracekit.execution import Execution, Options
from tracekit.registry import check
from tracekit.results import CheckResult

Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]

METHOD = "constraints on one order of all writes"


@check("session.read-your-writes", applies=applies, columns=("f", "value"), measured=True)
def read_your_writes(execution: Execution, options: Options) -> CheckResult:
    """A client's reads know what it wrote before.

    Meaning
        Every read returns the last, in one total order of all writes of all keys (the arbitration), of those writes of
        its key that are visible to it; the initial value if none is. Read your writes: to each read all writes are
        visible that its session made before. Nothing more need be. So the history is wrong if a session reads the
        initial value of a key that it had written; or if the order is impossible: of the writes that a session made at
        a key before a read of it, all but the one read come before that one, and these demands have a cycle. A value
        that nobody wrote (ThinAirRead) is wrong under every guarantee.

        The order need not be that of the session's own writes, nor of real time. That a client writes 1, then 2, then
        reads 1 is possible if 1 won over 2 everywhere; only monotonic writes and read your writes together forbid
        that. Somebody who asks for read your writes mostly means both: so where the verdict is "holds", and it would
        not with each client's writes in its own order, a remark says so, how many reads return what their own client
        had overwritten, and the facts why. A write that was never answered need not be seen.

        The certificate of this and the other guarantees, of up to 1000 operations, is the order of all writes.

    Example
        s1  write x 1,  read x nil      the client does not find its own write

    Needs
        invoke, ok, fail and info events with `f` (read or get, write or put) and `value`; `key` where there are
        several objects; each client its own `process`, one operation at a time. Distinct values written at a key: reads
        of values that were written twice are left out, then matched to the write recorded last before each; unless that
        explains all, the verdict is unknown.

    Cannot see
        Stale reads that another order of the writes explains. cas, append and other operations: reads at their keys
        are not judged.

    Cost
        O(n log n) for n operations, sorting; the graph has at most a few edges an operation.

    Reference
        Viotti and Vukolić, Consistency in Non-Transactional Distributed Storage Systems, ACM Computing Surveys 49(1),
        2016. Variant: ReadYourWrites with RVal for registers, alone, over any arbitration. First by Terry et al.,
        Session guarantees for weakly consistent replicated data, PDIS 1994.
    """
    return _judged(
        execution, (Axiom.READ_YOUR_WRITES,), Axiom.MONOTONIC_WRITES, "each client's writes in its own order"
    )


@check("session.monotonic-reads", applies=applies, columns=("f", "value"), measured=True)
def monotonic_reads(execution: Execution, options: Options) -> CheckResult:
    """What a client has seen stays seen: its reads of a key never go back.

    Meaning
        Every read returns the last, in one total order of all writes, of those writes of its key that are visible to
        it. Monotonic reads: what is visible to a read is visible to all later reads of its session. So the history is
        wrong if a session reads another value and later the initial one; or if the order is impossible: whenever a
        session reads a key twice with different results, the first write comes before the second, and these demands
        of all sessions together have a cycle. A value that nobody wrote (ThinAirRead) is wrong under every guarantee.

        In which order the writes were made does not count: two sessions may both read 2 and then 1, although one client
        wrote 1 before 2; monotonic writes forbid that.

    Example
        s1  read x 1,  read x 2,  read x 1

    Needs
        What session.read-your-writes needs: invoke and ok events of reads and writes, of clients that have one
        operation open at a time.

    Cannot see
        Stale reads that another order of the writes explains. A session that goes on under a new name, as a Jepsen
        process does after an unanswered operation, is another session.

    Cost
        O(n log n) for n operations, sorting; at most one edge an operation.

    Reference
        Viotti and Vukolić, Consistency in Non-Transactional Distributed Storage Systems, ACM Computing Surveys 49(1),
        2016. MonotonicReads with RVal for registers, alone.
    """
    return _judged(execution, (Axiom.MONOTONIC_READS,), Axiom.MONOTONIC_WRITES, "each client's writes in its own order")


@check("session.monotonic-writes", applies=applies, columns=("f", "value"), measured=True)
def monotonic_writes(execution: Execution, options: Options) -> CheckResult:
    """Everybody whose reads are monotonic sees a client's writes in the order in which it made them.

    Meaning
        One total order of all writes contains each session's own order of its writes. Alone that forbids nothing, since
        a read of one key may always see just the write that it returned. So it is judged together with monotonic reads:
        what is visible to a read is visible to all later reads of its session, and each read returns the last visible
        write of its key in that order. The history is wrong if the orders of the sessions' writes, of all keys, and
        what monotonic reads demand have a cycle; or if monotonic reads fail by themselves: then this fails too, and
        the facts of each violation name the guarantees that its cycle takes.

    Example
        s1  write x 1,  write x 2
        s2  read x 2,   read x 1

    Needs
        What session.read-your-writes needs: invoke and ok events of reads and writes, of clients that have one
        operation open at a time.

    Cannot see
        Writes of different keys that a reader sees in the wrong order: each read is about one key (see
        consistency.causal, consistency.pram). Writes that were never answered: what their client did next need not
        come after them.

    Cost
        O(n log n) for n operations, sorting; at most one edge an operation.

    Reference
        Viotti and Vukolić, Consistency in Non-Transactional Distributed Storage Systems, ACM Computing Surveys 49(1),
        2016. MonotonicWrites and MonotonicReads together, with RVal for registers.
    """
    return _judged(execution, (Axiom.MONOTONIC_READS, Axiom.MONOTONIC_WRITES))


@check("session.writes-follow-reads", applies=applies, columns=("f", "value"), measured=True)
def writes_follow_reads(execution: Execution, options: Options) -> CheckResult:
    """A write comes after everything that its client had read.

    Meaning
        One total order of all writes: a write that is visible to a read comes in it before all writes, of any key, that
        the read's session makes later. Every read sees at least the write that it returned. The history is wrong if
        these demands have a cycle: a session reads what was written by somebody who had read, maybe over others, what
        the session wrote only later. A value that nobody wrote (ThinAirRead) is wrong under every guarantee.

        Alone this does not forbid that a third client sees the answer and then not the question: its reads need not be
        monotonic. The facts, and a remark, say whether monotonic reads would make a difference.

    Example
        s1  read x 1,  write y 1
        s2  read y 1,  write x 1

    Needs
        What session.read-your-writes needs: invoke and ok events of reads and writes, of clients that have one
        operation open at a time.

    Cannot see
        What a client knew without having read it here.

    Cost
        O(n log n) for n operations, sorting; at most a few edges an operation.

    Reference
        Viotti and Vukolić, Consistency in Non-Transactional Distributed Storage Systems, ACM Computing Surveys 49(1),
        2016. WritesFollowReads with RVal for registers, alone.
    """
    return _judged(execution, (Axiom.WRITES_FOLLOW_READS,), Axiom.MONOTONIC_READS, "monotonic reads")


@dataclass(frozen=True, eq=False)
class Found:
    """What some guarantees together demand and do not get.

    Attributes
    ----------
    initial: by guarantee, reads of the initial value and the entries that show them wrong, shape (m, 2).
    constraints, total, cycles: the demands on the order of writes; how many knots they have; a cycle of each listed.
    """

    initial: list[tuple[Axiom, Int64]]
    constraints: Constraints
    total: int
    cycles: list[Int64]

    @property
    def count(self) -> int:
        """How many breaches there are."""
        return self.total + sum(len(pairs) for _, pairs in self.initial)


def _found(execution: Execution, axioms: tuple[Axiom, ...], most: int) -> Found:
    sessions, places = execution.derive(history_of).sessions, execution.derive(places_of)
    constraints = constraints_of(sessions, places, axioms[0])
    for axiom in axioms[1:]:
        constraints += constraints_of(sessions, places, axiom)
    initial = [(axiom, missed(sessions, places, axiom)) for axiom in axioms]
    return Found(initial, constraints, *cycles(constraints, execution.derive(recorded_places), most))


def places_of(execution: Execution) -> Places:
    """The operations by session and key; ask through `execution.derive`."""
    return Places.of(execution.derive(history_of).sessions)


def recorded_places(execution: Execution) -> Int32:
    """The place of every operation of the sessions in the recording; ask through `execution.derive`."""
    operation = execution.derive(history_of).sessions.operation
    place = np.empty(len(operation), np.int32)
    place[np.argsort(operation)] = np.arange(len(operation))  # operations are in the order of their first rows
    return place


def _judged(
    execution: Execution, axioms: tuple[Axiom, ...], besides: Axiom | None = None, what: str = ""
) -> CheckResult:
    return or_guessed(partial(_judge, axioms=axioms, besides=besides, what=what), execution)


def _judge(
    execution: Execution, axioms: tuple[Axiom, ...], besides: Axiom | None = None, what: str = ""
) -> CheckResult:
    """besides: a guarantee that is not judged; the facts say whether, with it, the verdict would be another."""
    history = execution.derive(history_of)
    if history.not_sessions is not None:
        return history.not_sessions
    found = _found(execution, axioms, LISTED)
    telling, thin = Telling(history), history.thin_air()
    violations = [history.thin_air_read(int(entry)) for entry in thin[:LISTED]]
    for axiom, pairs in found.initial:
        violations += [telling.initial(axiom, *pair) for pair in pairs[: LISTED - len(violations)].tolist()]
    violations += [telling.cycle(found.constraints, cycle) for cycle in found.cycles[: LISTED - len(violations)]]
    total = len(thin) + found.count
    facts: dict[str, object] = {"constraints": len(found.constraints.start)}
    remark = ""
    if besides is not None and not total:
        both = found.constraints + constraints_of(history.sessions, execution.derive(places_of), besides)
        knots, cycle = cycles(both, execution.derive(recorded_places), 1)
        # The other guarantee's own breaches are its own matter.
        apart = knots and not _found(execution, (besides,), 0).count
        facts["holds_with_" + besides.name.lower()] = not apart
        if apart:
            facts["with_" + besides.name.lower()] = telling.cycle(both, cycle[0]).summary
            words = axioms[0].name.lower().replace("_", " ")
            remark = f"{words}, but not together with {what}" + _overwritten(execution, axioms, facts)
    certificate = None if total else _certificate(history, axioms, found.constraints)
    result = history.result(violations, total, method=METHOD, facts=facts, certificate=certificate)
    return replace(result, remark=remark)


def _overwritten(execution: Execution, axioms: tuple[Axiom, ...], facts: dict[str, object]) -> str:
    """``: 1 read returns what its own client had overwritten (first: ...)``, where read your writes alone allows it."""
    if Axiom.READ_YOUR_WRITES not in axioms:
        return ""
    history = execution.derive(history_of)
    reads = stale_own_reads(history.sessions, execution.derive(places_of))
    facts["reads_of_own_overwritten_writes"] = len(reads)
    if not len(reads):
        return ""
    what = "reads return what their own client" if len(reads) > 1 else "read returns what its own client"
    return f": {len(reads):,} {what} had overwritten (first: {history.name(int(reads[0]))})"


def _certificate(history: SessionHistory, axioms: tuple[Axiom, ...], constraints: Constraints) -> dict[str, object]:
    """An order of all writes that fulfils the demands: each read returns the last of the writes it must see."""
    sessions, names = history.sessions, [axiom.name.lower().replace("_", "-") for axiom in axioms]
    left_out = omitted("write-order", len(sessions))
    if left_out:
        return left_out
    before: dict[int, list[int]] = {}
    for start, end in zip(constraints.start.tolist(), constraints.end.tolist(), strict=True):
        before.setdefault(end, []).append(start)
    writes = np.flatnonzero(sessions.write)
    writes = writes[np.argsort(history.execution.derive(recorded_places)[writes], kind="stable")]
    order = [u for u in emitted(writes.tolist(), lambda u: before.get(u, ())) if u < len(sessions)]
    return {"kind": "write-order", "guarantees": names, "order": [event_of(history, u) for u in order]}
