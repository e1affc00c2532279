"""How long messages were under way, and what that says of the network's timing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracekit.checks.channel import may_miss_events, may_miss_first_receipts
from tracekit.checks.clock_physical import UNDECLARED, declared_skew
from tracekit.checks.evidence import duration
from tracekit.execution import Execution, Options
from tracekit.registry import check
from tracekit.results import CheckResult, Violation
from tracekit.trace.columns import AnyColumn, Column
from tracekit.trace.schema import Kind
from tracekit.trace.trace import Trace

SHOWN = 20
"""Hints that the line of measurements has; the facts have all."""
NEVER = -(2**62)
"""Reading of a process without any."""
ENOUGH = 50
"""Messages from which a run may be said to have settled."""
MUCH = 2
"""By how much the bound must fall for the early part of a run to count as unstable."""
Int64 = NDArray[np.int64]


def _applies(execution: Execution) -> bool:
    return bool(execution.trace.is_kind(Kind.SEND, Kind.RECEIVE).any())


def _declared(execution: Execution) -> bool:
    return "delay_ns" in execution.trace.run.bounds


@check("timing.synchrony", applies=_applies, measured=True, declared=_declared)
def synchrony(execution: Execution, options: Options) -> CheckResult:
    """Messages arrive within the declared bound: always, or from the declared time of stabilization on.

    Meaning
        In a synchronous system every message arrives within a known delay. In a partially synchronous one that is true
        from some time on, the global stabilization time: a message sent at t arrives by max(t, that time) plus the
        bound. In an asynchronous one no bound is known. A finite recording always has a largest delay, so it never
        shows asynchrony; it can only break a declared bound. Without one the check is not applicable, and it is
        measured which bound would do: the largest delay of the run, and the largest of the second half of its messages
        with the time from which on that one holds. Where the second is less than half of the first, the run is said to
        fit partial synchrony. Where channels are declared reliable, a message that a live process did not receive in
        time breaks the bound as well.

    Example
        declared: at most 20 ms, from 1 s on
        n1:40  send     message 7   at 1.200 s
        n2:61  receive  message 7   at 1.231 s      <- 31 ms

    Needs
        Messages, and one clock for both of their ends: `true_time_ns`; else `time_ns`, with a bound on how far clocks
        differ (`bounds.skew_ns`, or `clocks`) in tracekit.run: so much is forgiven, and without it nothing is judged.
        `bounds.delay_ns`, and `bounds.gst_ns` on the same clock, for a verdict.

    Cannot see
        How fast processes are: the bound is on messages alone. Messages that were lost, unless channels are declared
        reliable. The delay of messages sent several times under one id: which copy arrived is not known. The time at
        which a message arrived, where its process handles it later. Hints name processes that fell silent, receivers
        that missed messages, and ids or places used twice with different contents; they are guesses of crash, omission
        and equivocation, and never a verdict.

    Cost
        O(m log m) for m messages.

    Reference
        Dwork, Lynch and Stockmeyer, "Consensus in the Presence of Partial Synchrony", JACM 35(2), 1988.
        Variant: known bound, unknown or declared stabilization time; bound on delays only.
    """
    clock = Clock.of(execution)
    guesses = hints(execution, clock)
    facts: dict[str, Any] = {"hints": guesses}
    told = []
    if len(clock.delay):
        measured = _fit(clock)
        facts |= measured
        told.append(_words(measured))
    if guesses:
        rest = len(guesses) - 1
        more = f"; {rest:,} more hint{'s are' if rest > 1 else ' is'} in the report" if rest else ""
        told.append(f"A hint, which is a guess: {guesses[0]}{more}")
    remark = ". ".join(told)
    bound = execution.trace.run.bounds.get("delay_ns")
    if bound is None:
        return CheckResult(applicable=False, facts=facts, remark=remark, method="no bound on delays is declared")
    unjudged = int((clock.skew == UNDECLARED).sum())
    unknown = f"{unjudged:,} messages went between clocks of which nobody declared how far they differ (bounds.skew_ns)"
    late = clock.late(bound, execution.trace.run.bounds.get("gst_ns"))
    missing, excuse = _missing(execution, clock, bound), may_miss_events(execution)
    if not excuse and len(execution.messages.nameless[1]):
        excuse = f"{len(execution.messages.nameless[1]):,} receives carry no message id"
    if not len(clock.delay) + len(missing):
        return CheckResult(reasons=(f"no message has {clock.name} at both ends",), facts=facts, remark=remark)
    reasons = [unknown] if unjudged else []
    if excuse and len(missing):
        reasons.append(f"{len(missing):,} messages were not received by their deadline, but {excuse}")
        missing = missing[:0]
    earlier = may_miss_first_receipts(execution)
    if earlier and len(late):
        reasons.append(f"{len(late):,} messages were late, unless they had been received before as well: {earlier}")
        late = late[:0]
    spoiled = execution.trace.set_aside.spoiling(lambda name: name in (clock.name, "message", "peer"))
    reasons += [f"{spoiled}: they may have been sends or receives with times"] if spoiled else []
    violations = [_late(execution, clock, int(i), bound) for i in late[:SHOWN]]
    violations += [_never(execution, clock, int(row), bound) for row in missing[: SHOWN - len(violations)]]
    return CheckResult(
        examined={"messages": len(clock.delay) + len(missing)},
        reasons=tuple(reasons),
        violations=tuple(violations),
        violations_total=len(late) + len(missing),
        method=f"delays by {clock.name}",
        facts=facts,
        remark=remark,
    )


@dataclass(frozen=True, eq=False)
class Clock:
    """The clock by which delays are measured, and the delays.

    Attributes
    ----------
    name: ``true_time_ns`` or ``time_ns``.
    values, present: shape (n,), the readings and which events have one.
    receives, sent, delay: shape (m,): rows of first receipts in order of sending; reading of each one's send; delay.
    skew: shape (m,): by how much the two readings may differ, ns; `UNDECLARED` where nobody said.
    """

    name: str
    values: Int64
    present: NDArray[np.bool_]
    receives: Int64
    sent: Int64
    delay: Int64
    skew: Int64

    @classmethod
    def of(cls, execution: Execution) -> Clock:
        trace, messages = execution.trace, execution.messages
        name = "true_time_ns" if _some(trace, "true_time_ns") else "time_ns"
        column, none = trace.get(name), np.empty(0, np.int64)
        if column is None or column.values.dtype != np.int64:
            return cls(name, np.zeros(len(trace), np.int64), np.zeros(len(trace), np.bool_), none, none, none, none)
        receives = np.flatnonzero(messages.send_of >= 0)
        left_out = np.concatenate([messages.repeated, messages.uncertain])
        receives = np.setdiff1d(receives, left_out, assume_unique=False)
        sends = messages.send_of[receives]
        both = column.present[receives] & column.present[sends]
        receives, sends = receives[both], sends[both]
        order = np.lexsort((receives, column.values[sends]))
        receives, sends = receives[order], sends[order]
        sent = column.values[sends]
        skew = _skew(trace, name)[trace.process[sends], trace.process[receives]]
        return cls(name, column.values, column.present, receives, sent, column.values[receives] - sent, skew)

    def late(self, bound: int, stable: int | None) -> Int64:
        """Which messages arrived after their deadline, beyond what skew excuses."""
        start = self.sent if stable is None else np.maximum(self.sent, stable)
        return np.flatnonzero(_beyond(self.sent + self.delay - start, bound) > self.skew)


def _beyond(span: Int64, bound: int) -> Int64:
    """By how much spans exceed a bound. Times and bounds are within 2^62: so far below is cut off, or it runs over."""
    return np.maximum(span, NEVER) - bound


def _skew(trace: Trace, name: str) -> Int64:
    """Shape (processes, processes): by how much readings of two processes at one moment may differ."""
    if name == "true_time_ns":
        return np.zeros((len(trace.processes),) * 2, np.int64)
    skew = declared_skew(trace)
    np.fill_diagonal(skew, 0)
    return skew


def _some(trace: Trace, name: str) -> bool:
    column = trace.get(name)
    return column is not None and bool(column.present.any())


def _fit(clock: Clock) -> dict[str, Any]:
    """The largest delay; the largest of the second half, and from when on no delay is larger."""
    largest = int(clock.delay.max())
    later = int(clock.delay[len(clock.delay) // 2 :].max())
    over = np.flatnonzero(clock.delay > later)
    since = int(clock.sent[over[-1] + 1]) if len(over) else int(clock.sent[0])
    partial = len(clock.delay) >= ENOUGH and len(over) > 0 and later * MUCH <= largest
    return {
        "messages": len(clock.delay),
        "clock": clock.name,
        "median delay, ns": int(np.median(clock.delay)),
        "largest delay, ns": largest,
        "negative delays": int((clock.delay < 0).sum()),
        "fits": "partial synchrony" if partial else "synchrony",
        "bound, ns": later if partial else largest,
        "from, ns": since if partial else int(clock.sent[0]),
        "first sent, ns": int(clock.sent[0]),
    }


def _words(fit: Mapping[str, Any]) -> str:
    if fit["bound, ns"] < 0:
        return "by the recorded clocks every message arrived before it was sent: they tell no bound on delays"
    settled = duration(fit["from, ns"] - fit["first sent, ns"])
    since = f" from {settled} into the run on" if fit["fits"] == "partial synchrony" else ""
    whose = " (by the processes' own clocks)" if fit["clock"] == "time_ns" else ""
    early = f"; by them {fit['negative delays']:,} arrived before they were sent" if fit["negative delays"] else ""
    return f"fits {fit['fits']}: every delay at most {duration(fit['bound, ns'])}{since}{whose}{early}"


def _missing(execution: Execution, clock: Clock, bound: int) -> Int64:
    """Rows of sends on channels declared reliable that their receiver, alive, did not receive by the deadline."""
    trace, messages = execution.trace, execution.messages
    peer = trace.get("peer")
    if not trace.run.channels.get("reliable") or peer is None:
        return np.empty(0, np.int64)
    to = trace.process_codes(peer)
    sends = messages.undelivered[(to[messages.undelivered] >= 0) & clock.present[messages.undelivered]]
    down = np.isin(to[sends], trace.process[trace.is_kind(Kind.CRASH)])
    stable = trace.run.bounds.get("gst_ns")
    sent = clock.values[sends] if stable is None else np.maximum(clock.values[sends], stable)
    # Up to the deadline plus skew the message may have been under way.
    waited = _beyond(_last_seen(trace, clock)[to[sends]] - sent, bound)
    found: Int64 = sends[~down & (waited > _skew(trace, clock.name)[trace.process[sends], to[sends]])]
    return found


def _last_seen(trace: Trace, clock: Clock) -> Int64:
    """Shape (processes,): the largest reading of each process's events."""
    last = np.full(len(trace.processes), NEVER)
    np.maximum.at(last, trace.process[clock.present], clock.values[clock.present])
    return last


def _late(execution: Execution, clock: Clock, i: int, bound: int) -> Violation:
    trace, row = execution.trace, int(clock.receives[i])
    send, delay = int(execution.messages.send_of[row]), int(clock.delay[i])
    stable = trace.run.bounds.get("gst_ns")
    sentence = (
        f"The message sent at {trace.event(send)} was received at {trace.event(row)} after {duration(delay)}; "
        f"at most {duration(bound)} are declared" + (f", from {duration(stable)} on." if stable is not None else ".")
    )
    shown = [(r, f"{execution.text(r)}, {clock.name} {int(clock.values[r])}") for r in (send, row)]
    facts = {"delay_ns": delay, "declared_ns": bound, "sent_ns": int(clock.sent[i])}
    return Violation("late-message", sentence, execution.witness(shown), (execution.edge(send, row),), facts)


def _never(execution: Execution, clock: Clock, row: int, bound: int) -> Violation:
    sentence = (
        f"The message sent at {execution.trace.event(row)} was not received, although its receiver was there longer "
        f"than the declared {duration(bound)}, on a channel declared reliable."
    )
    shown = [(row, f"{execution.text(row)}, {clock.name} {int(clock.values[row])}")]
    return Violation("message-not-in-time", sentence, execution.witness(shown), (), {"declared_ns": bound})


def hints(execution: Execution, clock: Clock) -> list[str]:
    """What may have been a crash, an omission or an equivocation; guesses, each worded as one."""
    trace, messages = execution.trace, execution.messages
    equivocal, crashed, missed = [], [], []
    for what, (count, event) in (("message id", _ids_told_twice(execution)), ("place", _places_told_twice(execution))):
        if count:
            repeat = "event repeats" if count == 1 else "events repeat"
            equivocal.append(f"equivocation is possible: {count:,} {repeat} a {what} with other contents ({event})")
    peer = trace.get("peer")
    if peer is not None:
        to = trace.process_codes(peer)
        sends = messages.undelivered[(to[messages.undelivered] >= 0) & clock.present[messages.undelivered]]
        last = _last_seen(trace, clock)
        after = clock.values[sends] > last[to[sends]]
        unheard = np.bincount(to[sends[after]], minlength=len(trace.processes))
        ignored = np.bincount(to[sends[~after]], minlength=len(trace.processes))
        known = set(trace.process[trace.is_kind(Kind.CRASH)].tolist())
        for p, name in enumerate(trace.processes):
            if unheard[p] and last[p] > NEVER and p not in known:
                count = int(unheard[p])
                crashed.append(f"{name} may have crashed: after its last event messages were sent to it ({count:,})")
            if ignored[p]:
                missed.append(f"{name} may have missed messages: {int(ignored[p]):,} sent to it while it was there")
    return equivocal + crashed + missed


def _ids_told_twice(execution: Execution) -> tuple[int, str]:
    """Sends that repeat an id of their process with other message contents (`domain.message_*`)."""
    trace, messages = execution.trace, execution.messages
    times = np.bincount(messages.identity[messages.sends], minlength=1)
    sends = messages.sends[times[messages.identity[messages.sends]] > 1]
    sends = sends[np.lexsort((sends, messages.identity[sends], trace.process[sends]))]
    same = messages.identity[sends[1:]] == messages.identity[sends[:-1]]
    same &= trace.process[sends[1:]] == trace.process[sends[:-1]]
    contents = [c for name, c in trace.columns.items() if name.partition(".")[2].startswith("message_")]
    return _told_twice(trace, contents, sends[1:][same], sends[:-1][same])


def _places_told_twice(execution: Execution) -> tuple[int, str]:
    """Events that repeat a (process, seq) with other contents."""
    trace, rows = execution.trace, execution.program_order.rows
    same = (trace.process[rows[1:]] == trace.process[rows[:-1]]) & (trace.seq[rows[1:]] == trace.seq[rows[:-1]])
    named = {"name", "f", "key", "value", "message", "peer"}
    contents = [column for name, column in trace.columns.items() if "." in name or name in named]
    return _told_twice(trace, [Column(trace.kind), *contents], rows[1:][same], rows[:-1][same])


def _told_twice(trace: Trace, contents: Sequence[AnyColumn], after: Int64, before: Int64) -> tuple[int, str]:
    """How many rows differ in the columns from their counterparts, and the first of them."""
    differ = np.zeros(len(after), np.bool_)
    for column in contents:
        differ |= (column.present[after] != column.present[before]) | column.differs(after, before)
    found = after[differ]
    return len(found), trace.event(int(found[0])) if len(found) else ""
