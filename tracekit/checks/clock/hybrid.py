"""``clock.hybrid``: recorded hybrid logical clocks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracekit.checks.clock.findings import (
    ANOMALIES,
    DUPLICATE,
    MISSING,
    Findings,
    counted,
    located,
    misplaced,
    undeclared_gaps,
    with_places,
)
from tracekit.checks.clock.hybrid_rules import HybridRules, Stamps, safe
from tracekit.checks.clock.timed import Timed, absent_zeros, any_compared
from tracekit.execution import Execution, Options
from tracekit.order.hybrid import HybridError, largest_causes
from tracekit.registry import check
from tracekit.results import CheckResult, Violation
from tracekit.trace.schema import Kind

Bool = NDArray[np.bool_]
Int64 = NDArray[np.int64]

COLUMNS = ("hlc.physical_ns", "hlc.logical")
WENT_BACK, STOOD_STILL, NOT_AFTER_SEND, RESTARTED = 1, 2, 3, 7
WRONG_COUNT, BEHIND, AHEAD = 11, 12, 13
RULES = {
    WENT_BACK: "timestamps grow along a process",
    STOOD_STILL: "timestamps grow along a process",
    NOT_AFTER_SEND: "a receive is later than its send",
    RESTARTED: "timestamps grow along a process, across restarts",
    WRONG_COUNT: "c is one more than the largest c that came with the same l, and 0 with a new l",
    BEHIND: "l is at least the process's own physical reading",
    AHEAD: "l is the process's own physical reading, or one that it heard of",
}


def _recorded(execution: Execution) -> bool:
    return any(name in execution.trace for name in COLUMNS)


@check("clock.hybrid", applies=_recorded, columns=COLUMNS)
def hybrid(execution: Execution, options: Options) -> CheckResult:
    """Recorded hybrid logical clocks grow along each process and across each message, and hold what they promise.

    Meaning
        A hybrid timestamp is a pair (l, c), compared first by l, then by c: l is the largest physical reading that the
        event has heard of, c tells events with the same l apart. What must hold of every such clock: if event a happens
        before event b, the timestamp of a is smaller. Its breaches: clock-went-back, missing-increment,
        receive-not-after-send; restart-reset-clock where the timestamp falls, or stands still, across a crash or
        restart; duplicate-event and missing-event as in `clock.lamport`.

        The paper's algorithm says more, and clocks that are kept otherwise (c counted in other steps, l cut to
        milliseconds, events that do not tick) are none the worse for it. So these rules are judged only where the
        recording clearly follows them: three events that do, and three times as many as do not. wrong-count: c is not
        one more than the largest c that came with the same l, or not 0 with a new l. Where new values of l are a
        process's recorded `time_ns`, to the nanosecond: behind-own-clock, l is smaller than that reading;
        ahead-of-every-clock, l is larger than it and than every l that the event can have heard of. A class of events
        (internal events, sends, receives) may keep the timestamp before by convention; what is inferred is stated, and
        where it is undecided, the events in question are not judged, and a verdict is unknown.

        An error is reported where it arises: only the timestamps of the previous event and of the send are looked at.
        Where one value explains several errors, one is reported and the others are counted as its consequences.

    Example
        n1:4  send     message 7   hlc (1000, 3)
        n2:9  receive  message 7   hlc (1000, 2)     <- not later than its send: n2 did not merge the sender's clock

    Needs
        The columns `hlc.physical_ns` and `hlc.logical`; an event with one of the two is not judged, and a verdict is
        then unknown. Messages need `message` ids, or channels that are declared FIFO and reliable, or `vclock`; without
        them only program order is checked, and the verdict says so in what it rests on. `time_ns` for what l promises:
        it must be the very reading that the clock used. Readings taken a little later or earlier are only measured; on
        a clock that shows whole microseconds, or where l is cut to them, they cannot be told from that one.
        First timestamps, and those after events without one, after a restart, or of receives whose send is unknown, are
        judged only by what must hold of every clock.

    Cannot see
        Causality: a smaller timestamp is no proof of happening before, and hybrid timestamps order nothing here. How
        far l may run ahead of the true time: bounds on clocks are the matter of `clock.physical`; the largest lead of l
        over the process's own reading is measured. Timestamps of events that were not recorded. A recorder that forgets
        to tick at every internal event, every send or every receive looks like one that does so on purpose.

    Cost
        A few passes over the events, O(n); O(m log m) for m causal edges where the order is recovered from vectors.

    Reference
        Kulkarni, Demirbas, Madappa, Avva and Leone, "Logical Physical Clocks", OPODIS 2014. Figure 5, Theorems 1 and 2.
    """
    trace = execution.trace
    physical, logical = (trace.get(name) for name in COLUMNS)
    if physical is None or logical is None:
        return CheckResult(applicable=False)
    halves = int((physical.present != logical.present).sum())
    doctor = HybridClocks.of(execution, physical.values, logical.values, physical.present & logical.present)
    findings, rules = doctor.findings(), doctor.rules
    spoiled = trace.set_aside.spoiling(lambda name: name in (*COLUMNS, "message"))
    if not (any_compared(execution, doctor.timed) or findings.causes or spoiled or halves):
        return CheckResult(applicable=False)
    reasons = [*rules.doubts]
    reasons += [f"{halves:,} events have one half of a timestamp ({' or '.join(COLUMNS)})"] if halves else []
    reasons += [f"{spoiled}: they may have had timestamps"] if spoiled else []
    return CheckResult(
        examined={"events": int(doctor.timed.present.sum())},
        violations=tuple(doctor.violation(findings, i) for i in findings.shown(execution)),
        violations_total=findings.causes,
        method="; ".join(["local: previous event and send", *rules.words]),
        reasons=tuple(reasons),
        facts={**findings.facts, **undeclared_gaps(execution), **doctor.facts()},
        rests_on=tuple(f"hybrid clocks: {words}" for words in rules.words),
    )


@dataclass(frozen=True, eq=False)
class HybridClocks:
    """The recorded timestamps of one execution, read by the rules that its recorder follows."""

    execution: Execution
    timed: Timed
    stamps: Stamps
    rules: HybridRules
    absent: int

    @classmethod
    def of(cls, execution: Execution, physical: Int64, logical: Int64, present: Bool) -> HybridClocks:
        """Infers the rules. O(n)."""
        trace = execution.trace
        present = present & (trace.kind != Kind.FAULT)
        timed = Timed.of(execution, present)
        zero = present & (physical == 0) & (logical == 0)
        zeros = absent_zeros(timed, physical, zero, trace.process)
        if zeros.any():
            timed = Timed.of(execution, present & ~zeros)
        cause = largest_causes(execution.happens_before, physical, logical, timed.present)
        send_of = execution.messages.send_of
        send_known = (send_of < 0) | timed.present[send_of]
        stamps = Stamps.of(execution, timed, physical, logical, cause, send_known)
        return cls(execution, timed, stamps, HybridRules.of(execution, stamps), int(zeros.sum()))

    def facts(self) -> dict[str, int]:
        """Measurements: how far l lies from the process's own readings."""
        stamps = self.stamps
        lead = (stamps.physical - stamps.reading)[stamps.readable & safe(stamps.physical)]
        facts = {"zeros taken as no timestamp": self.absent} if self.absent else {}
        if len(lead):
            facts["largest lead of l over the own reading, ns"] = max(int(lead.max()), 0)
            facts["events with l behind the own reading"] = int((lead < 0).sum())
        return facts

    def findings(self) -> Findings:
        """Every error. O(n)."""
        trace, stamps, rules = self.execution.trace, self.stamps, self.rules
        error = stamps.errors(rules.by_reading)
        code = np.zeros(len(trace), np.int64)
        count = (error == HybridError.WRONG_COUNT) & ((stamps.bound & rules.counts) | (stamps.logical < 0))
        code[count] = WRONG_COUNT
        code[(error == HybridError.AHEAD) & stamps.bound] = AHEAD
        code[error == HybridError.BEHIND_CLOCK] = BEHIND
        equal = stamps.equal
        late = (error == HybridError.NOT_LATER) & (~equal | rules.ticks[trace.kind])
        code[late] = np.where(equal[late], STOOD_STILL, WENT_BACK)
        own = stamps.cause == self.timed.before
        code[late & own & self.timed.restarted] = RESTARTED
        code[late & ~own] = NOT_AFTER_SEND
        bad = np.flatnonzero(code)
        return with_places(self.execution, bad, code[bad], self._explained(bad, code[bad]))

    def _explained(self, bad: Int64, code: Int64) -> Int64:
        """For each error, the one that explains it, as a place in `bad`, or -1.

        A timestamp that is too small only beside one that is too large, or the other way round, follows from that one.
        A receive not later than its send follows from the fall of the sender's next timestamp, where it falls: then the
        send was stamped too high, or its process's clock lost what it had told.
        """
        parent = np.full(len(bad), -1, np.int64)
        if not len(bad):
            return parent
        low = (code < WRONG_COUNT) | (code == BEHIND)
        low |= (code == WRONG_COUNT) & (self.stamps.logical[bad] < 0)
        falls = np.flatnonzero((code == WENT_BACK) | (code == RESTARTED))
        falls = falls[np.argsort(self.timed.before[bad[falls]])]
        late = np.flatnonzero(code == NOT_AFTER_SEND)
        if len(falls):
            fallen_from = self.timed.before[bad[falls]]
            sends = self.stamps.cause[bad[late]]
            at = np.minimum(np.searchsorted(fallen_from, sends), len(falls) - 1)
            parent[late] = np.where(fallen_from[at] == sends, falls[at], -1)
        for reference, concerned in (
            (self.execution.messages.send_of[bad], ~low),
            (self.timed.before[bad], ~low),
            (self.stamps.cause[bad], low),
        ):
            at = np.minimum(np.searchsorted(bad, reference), len(bad) - 1)
            opposite = concerned & (bad[at] == reference) & (low[at] != low)
            parent[opposite] = at[opposite]
        return parent

    def violation(self, findings: Findings, i: int) -> Violation:
        """One error in words, with its witness."""
        row, code, consequences = int(findings.rows[i]), int(findings.code[i]), int(findings.consequences[i])
        execution, trace, cause = self.execution, self.execution.trace, int(self.stamps.cause[row])
        if code in (DUPLICATE, MISSING):
            return misplaced(execution, row, code, consequences)
        rows = [row] if cause < 0 else [cause, row]
        shown = [(r, f"{execution.text(r)}, hlc {self._stamp(r)}") for r in rows]
        expected = self._expected(row, code)
        facts: dict[str, Any] = {"recorded": self._stamp(row), "expected": expected}
        edges = () if cause < 0 else (execution.edge(cause, row),)
        sentence = counted(self._sentence(trace.event(row), row, code, expected), consequences)
        return Violation(
            ANOMALIES[code], sentence, execution.witness(shown), edges,
            located(execution, row, RULES[code], facts, consequences),
        )  # fmt: skip

    def _sentence(self, name: str, row: int, code: int, expected: str) -> str:
        trace, cause, stamp = self.execution.trace, int(self.stamps.cause[row]), self._stamp(row)
        process = trace.processes[trace.process[row]]
        before = "" if cause < 0 else f"{self._stamp(cause)} at {trace.event(cause)}"
        if code == NOT_AFTER_SEND:
            return f"{name} is stamped {stamp}, not later than what it heard of: {before}."
        if code == RESTARTED:
            return f"A restart resets the hybrid clock of {process}: {stamp} at {name}, after {before}."
        if code in (WENT_BACK, STOOD_STILL):
            verb = "falls back to" if code == WENT_BACK else "stays at"
            return f"The hybrid clock of {process} {verb} {stamp} at {name}, after {before}."
        if code == WRONG_COUNT:
            after = f", after {before}" if before else ""
            return f"{name} is stamped {stamp}{after}: its count c is {expected}."
        reading = f"{process}'s own clock read {int(self.stamps.reading[row])}"
        if code == BEHIND:
            return f"{name} is stamped {stamp}, while {reading}: l is {expected}."
        return f"{name} is stamped {stamp}, while {reading} and it had heard of {before}: l is {expected}."

    def _expected(self, row: int, code: int) -> str:
        """The value that the rule asks for. Python's integers: a recorded number may be the largest there is."""
        stamps, cause = self.stamps, int(self.stamps.cause[row])
        known = (0, 0) if cause < 0 else (int(stamps.physical[cause]), int(stamps.logical[cause]))
        reading = int(stamps.reading[row])
        if code == WRONG_COUNT:
            if cause < 0 or not stamps.bound[row] or not self.rules.counts:
                return "at least 0"
            return str(known[1] + 1 if int(stamps.physical[row]) == known[0] else 0)
        if code == BEHIND:
            return f"at least {reading}"
        if code == AHEAD:
            return f"at most {max(reading, known[0])}"
        ticks = bool(self.rules.ticks[self.execution.trace.kind[row]])
        return f"at least ({known[0]}, {known[1] + int(ticks)})"

    def _stamp(self, row: int) -> str:
        return f"({int(self.stamps.physical[row])}, {int(self.stamps.logical[row])})"
