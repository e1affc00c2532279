"""``clock.lamport``: recorded Lamport timestamps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tracekit.checks.clock.convention import Convention
from tracekit.checks.clock.findings import (
    ANOMALIES,
    DUPLICATE,
    SHOWN,
    Findings,
    alike,
    counted,
    located,
    misplaced,
    undeclared_gaps,
    with_places,
)
from tracekit.checks.clock.timed import Timed, absent_zeros, any_compared
from tracekit.checks.clock.unmatched import Unmatched
from tracekit.execution import Execution, Options
from tracekit.kernels.engine import kernels
from tracekit.registry import check
from tracekit.results import CheckResult, Violation
from tracekit.trace.schema import Kind

Int64 = NDArray[np.int64]


@check("clock.lamport", applies=lambda execution: "lamport" in execution.trace)
def lamport(execution: Execution, options: Options) -> CheckResult:
    """Recorded Lamport timestamps grow along each process and across each message.

    Meaning
        Lamport's clock condition: if event a happens before event b, the timestamp of a is smaller than that of b.
        It is checked as the two implementation rules that give it: a process's clock advances between any two of its
        events (IR1), and a receive is stamped later than the send of its message (IR2). The exact amounts are free.

        Each error has a name: clock-went-back, missing-increment, receive-not-after-send; restart-reset-clock where the
        clock falls, or stands still, across a crash or restart of its process; duplicate-event, two rows with the same
        (process, seq), and missing-event, a gap in `seq` of a process that is declared recorded from start to end
        (elsewhere gaps are counted and allowed for). Only the previous timestamp and the send are looked at, so an
        error is reported where it arises and not at everything after it. Where one value explains several errors -
        a stamp too high, from which the next one falls and which the receiver is not later than - one is reported,
        and the others are counted as its consequences. So are three receives or more, of one process or of messages of
        one, that fall short of their sends by the same amount.

        Recorders differ, and what one does is inferred from the recording and stated: whether internal events
        and receives advance the clock (sends always do), and whether 0 means that there is no timestamp. A convention
        takes three events that follow it, and three times as many as break it; those that break it are the errors. With
        less than that it is undecided: then the events in question are not judged, and a verdict is unknown.
        A receive must be later than its send under every convention.

    Example
        n1:4  send     message 7   lamport 12
        n2:9  receive  message 7   lamport 12     <- not later than its send: n2 did not merge the sender's clock

    Needs
        The column `lamport`. Messages need `message` ids, or channels that are declared FIFO and reliable; without
        them only program order is checked, and the verdict says so in what it rests on. Then the sends that each
        receive may belong to are counted, by timestamps and `peer` alone; none of them enters the order. A receive that
        is stamped no later than every send that may be its own is a receive-not-after-send, whichever it was; it is
        excused where the recording may have missed sends.

    Cannot see
        Whether a larger timestamp was really caused by the event: Lamport clocks do not show concurrency, and may
        advance by any amount. Timestamps of events that were not recorded. A recorder that forgets to advance the clock
        at every internal event, or every receive, looks like one that does so on purpose.

    Cost
        A few passes over the events, O(n). Without message ids, O(n log n).

    Reference
        Lamport, "Time, Clocks, and the Ordering of Events in a Distributed System", CACM 21(7), 1978. Rules IR1, IR2.
    """
    column = execution.trace.get("lamport")
    if column is None:
        return CheckResult(applicable=False)
    doctor = LamportClocks.of(execution, column.values, column.present)
    findings, unmatched = doctor.findings(), Unmatched.of(execution, doctor.clock, doctor.timed)
    unexplained, impossible = unmatched.violations(findings.rows)
    convention, trace = doctor.convention, execution.trace
    spoiled = trace.set_aside.spoiling(lambda name: name in ("lamport", "message"))
    absent = {"zeros taken as no timestamp": doctor.absent} if doctor.absent else {}
    compared = any_compared(execution, doctor.timed) or unmatched.facts
    if not (compared or findings.causes or unexplained or spoiled):
        return CheckResult(applicable=False, facts=absent)
    return CheckResult(
        examined={"events": doctor.timed.count},
        violations=(*(doctor.violation(findings, i) for i in findings.shown(execution)), *impossible)[:SHOWN],
        violations_total=findings.causes + unexplained,
        method=f"local: previous event and send; {convention.words}",
        reasons=(
            *convention.doubts,
            *unmatched.reasons(),
            *([f"{spoiled}: they may have had timestamps"] if spoiled else []),
        ),
        facts={**findings.facts, **undeclared_gaps(execution), **absent, **unmatched.facts},
        remark=unmatched.remark,
        rests_on=convention.rests_on,
    )


@dataclass(frozen=True, eq=False)
class LamportClocks:
    """The recorded timestamps of one execution, read by the recorder's convention."""

    execution: Execution
    clock: Int64
    timed: Timed
    convention: Convention
    absent: int

    @classmethod
    def of(cls, execution: Execution, clock: Int64, present: NDArray[np.bool_]) -> LamportClocks:
        """Infers the convention. O(n)."""
        trace = execution.trace
        present = present & (trace.kind != Kind.FAULT)
        timed = Timed.of(execution, present)
        zeros = absent_zeros(timed, clock, present & (clock == 0), trace.process)
        absent = int(zeros.sum())
        if absent:
            timed = Timed.of(execution, present & ~zeros)
        convention = Convention.of(trace, timed, clock, execution.messages.send_of)
        return cls(execution, clock, timed, convention, absent)

    def findings(self) -> Findings:
        """Every error. O(n)."""
        execution, timed = self.execution, self.timed
        trace = execution.trace
        loops = kernels("clocks", work=len(trace))
        found = np.zeros(len(trace), np.int64)
        loops.lamport_errors(
            trace.kind, self.convention.must, self.clock, timed.present, timed.before, timed.restarted,
            execution.messages.send_of, found,
        )  # fmt: skip
        bad = np.flatnonzero(found)
        return with_places(execution, bad, found[bad], self._too_high(bad, found[bad], loops.NOT_AFTER_SEND))

    def _too_high(self, bad: Int64, code: Int64, not_after_send: int) -> Int64:
        """For a receive not later than its send: the error of the event after that send, where it falls below it. Then
        the send was stamped too high, or the process's clock lost what it had told."""
        parent = np.full(len(bad), -1, np.int64)
        falls = np.flatnonzero(code == 1)
        if not len(falls):
            return self._systematic(bad, code == not_after_send, parent)
        falls = falls[np.argsort(self.timed.before[bad[falls]])]
        fallen_from = self.timed.before[bad[falls]]
        late = np.flatnonzero(code == not_after_send)
        sends = self.execution.messages.send_of[bad[late]]
        at = np.minimum(np.searchsorted(fallen_from, sends), len(falls) - 1)
        parent[late] = np.where(fallen_from[at] == sends, falls[at], -1)
        return self._systematic(bad, code == not_after_send, parent)

    def _systematic(self, bad: Int64, late: NDArray[np.bool_], parent: Int64) -> Int64:
        """Receives of one process, or of messages of one, that fall short by as much: there a clock is off."""
        send = self.execution.messages.send_of[bad]
        short = np.where(late, self.clock[send] - self.clock[bad], 0)
        keys = []
        for process in (self.execution.trace.process[bad], self.execution.trace.process[send]):
            _, key, count = np.unique(np.stack([short, process]), axis=1, return_inverse=True, return_counts=True)
            keys.append((key.reshape(-1), count[key.reshape(-1)]))
        (receiver, here), (sender, there) = keys
        key = np.where(here >= there, 2 * receiver, 2 * sender + 1)
        return alike(parent, np.where(late, key, -1))

    def violation(self, findings: Findings, i: int) -> Violation:
        """One error in words, with its witness."""
        row, code, consequences = int(findings.rows[i]), int(findings.code[i]), int(findings.consequences[i])
        execution, clock = self.execution, self.clock
        if code >= DUPLICATE:
            return misplaced(execution, row, code, consequences)
        trace, at = execution.trace, int(clock[row])
        name, process = trace.event(row), trace.processes[trace.process[row]]
        merges = code == 3
        cause = int(execution.messages.send_of[row] if merges else self.timed.before[row])
        known = int(clock[cause])
        if merges:
            sentence = f"{name} is stamped {at}, not later than {known}, the stamp of its send ({trace.event(cause)})."
        elif code == 7:
            sentence = (
                f"A restart resets the clock of {process}: {at} at {name}, after {known} at {trace.event(cause)}."
            )
        else:
            verb = "falls back to" if code == 1 else "stays at"
            sentence = f"The clock of {process} {verb} {at} at {name}, after {known} at {trace.event(cause)}."
        rule = "a receive is later than its send (IR2)" if merges else "a process's clock advances (IR1)"
        rows = [(r, f"{execution.text(r)}, lamport {int(clock[r])}") for r in (cause, row)]
        smallest = known + int(merges or bool(self.convention.must[trace.kind[row]]))
        facts = located(execution, row, rule, {"recorded": at, "expected": f"at least {smallest}"}, consequences)
        edges = (execution.edge(cause, row),)
        return Violation(ANOMALIES[code], counted(sentence, consequences), execution.witness(rows), edges, facts)
