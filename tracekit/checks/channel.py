"""What channels did to messages."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracekit.checks.doubts import left_out
from tracekit.execution import Execution, Options
from tracekit.order.matching import Messages, Origin
from tracekit.registry import check
from tracekit.results import CheckResult, Violation
from tracekit.trace.columns import AnyColumn, ListColumn
from tracekit.trace.schema import Kind

SHOWN = 20


def _messages_recorded(execution: Execution) -> bool:
    return bool(execution.trace.is_kind(Kind.SEND, Kind.RECEIVE).any())


@check("channel.delivery", applies=_messages_recorded)
def delivery(execution: Execution, options: Options) -> CheckResult:
    """Every message received was sent, by whom and to whom the receive says, with the same contents.

    Meaning
        What no channel may do, however bad: deliver a message that nobody sent, deliver it before it was sent (a cycle
        of messages, told by happens-before and not by clocks), deliver it to a process that it was not addressed to,
        or change what it says. Loss, delay, duplication and reordering are what channels do; they are
        measured and shown. Where the run declares reliable channels, a message delivered twice is a violation as
        well, and a message never delivered is one if the run was left alone until nothing moved.

    Example
        n1:4  send     message 7  to n2
        n3:9  receive  message 7  from n1      <- wrong receiver: the message was addressed to n2

    Needs
        `kind` send and receive, and `message` ids. `peer` for senders and receivers. Contents are the fields named
        `domain.message_*`, where both events have them.

    Cannot see
        Whether a message that was never received was lost or still under way at the end: it is counted as undelivered,
        unless a fault event `fault.drop` with its id says that it was lost, or channel.fifo that a later one arrived.
        Contents that were not recorded. A receive without a send is excused where the recording may have missed
        the send: rows were set aside, a process's start or end is not covered, places (seq) are left out, or a send
        carries no id. Receives without an id are not judged, and a verdict is then unknown.

    Cost
        O(n), after the matching of sends and receives.

    Reference
        Cachin, Guerraoui and Rodrigues, "Introduction to Reliable and Secure Distributed Programming", 2011,
        section 2.4.
        Variant: fair-loss links' "no creation" (FLL3) for every channel; perfect links' "no duplication" (PL2) and
        "reliable delivery" (PL1) where declared.
    """
    trace, messages = execution.trace, execution.messages
    communication = int(trace.is_kind(Kind.SEND, Kind.RECEIVE).sum())
    sends, receives = len(messages.sends), len(messages.receives)
    if not sends + receives:
        return _by_their_places(execution, communication)
    found = _Findings(execution)
    reasons: list[str] = []
    missed = may_miss_events(execution)
    unsent, unreceived = (
        f"{len(rows):,} {what} carry no message id" if len(rows) else ""
        for rows, what in zip(messages.nameless, ("sends", "receives"), strict=True)
    )
    excuse = missed or unsent
    if excuse and len(messages.orphans):
        reasons.append(f"{len(messages.orphans):,} receives have no send, but {excuse}")
    elif len(messages.orphans):
        found.orphans()
    if unreceived:
        reasons.append(f"{unreceived}: whether their messages were sent, and sent to them, is unknown")
    found.cycles()
    found.wrong_ends()
    found.other_contents()
    if len(messages.ambiguous):
        reasons.append(
            f"{len(messages.ambiguous):,} receives have an id that several processes sent; which send they belong to "
            "is unknown (a message's id is its own in the whole trace: put the sender's name into it)"
        )
    reliable = bool(trace.run.channels.get("reliable"))
    if reliable:
        found.delivered_twice()
        why_not = missed or unreceived
        if not trace.run.quiescent:
            why_not = "the run is not marked quiescent: they may have been under way"
        if not why_not:
            found.never_delivered()
        elif len(messages.undelivered):
            never = f"{len(messages.undelivered):,} messages were never received"
            reasons.append(f"reliable channels are declared and {never}, but {why_not}")
    spoiled = trace.set_aside.spoiling(lambda name: name in ("message", "peer") or _is_content(name))
    if spoiled:
        reasons.append(f"{spoiled}: they may have been sends or receives")
    facts = _facts(messages)
    return CheckResult(
        examined={"sent": sends, "received": receives},
        violations=tuple(found.violations[:SHOWN]),
        violations_total=found.total,
        reasons=tuple(reasons),
        method="message ids" + (", reliable channels declared" if reliable else ""),
        facts=facts,
        remark=_remark(facts),
    )


def _by_their_places(execution: Execution, communication: int) -> CheckResult:
    """Without ids: what channels that are declared FIFO and reliable cannot have done, whatever was sent."""
    found, messages = _Findings(execution), execution.messages
    if messages.origin is Origin.MATCHED:
        found.cycles()
        if not messages.doubtful and not may_miss_events(execution):
            found.received_more_than_sent()
    return CheckResult(
        examined={"matched by their places": int((messages.send_of >= 0).sum())} if found.total else {},
        violations=tuple(found.violations[:SHOWN]),
        violations_total=found.total,
        reasons=(f"{communication:,} sends and receives carry no message id (column message)",),
    )


def may_miss_events(execution: Execution) -> str:
    """Why a send or a receive may be missing from the recording; empty where none can be."""
    trace = execution.trace
    if trace.set_aside.count:
        return f"{trace.set_aside.count:,} rows or fields were set aside"
    if not trace.complete:
        return "the file is not marked complete"
    uncovered = [p for p, ends in trace.run.coverage.items() if not (ends.get("start", True) and ends.get("end", True))]
    if uncovered:
        return f"the start or end of {', '.join(sorted(uncovered)[:3])} is not recorded"
    return left_out(execution)


def may_miss_first_receipts(execution: Execution) -> str:
    """Why a recorded receipt may not be the first of its message at its process, although no earlier one is recorded;
    empty where none can be missing, or where channels are declared to deliver each message once."""
    trace, nameless = execution.trace, execution.messages.nameless[1]
    if trace.run.channels.get("reliable"):
        return ""
    if spoiled := trace.set_aside.spoiling(lambda name: name in ("message", "seq")):
        return spoiled
    if len(nameless):
        return f"{len(nameless):,} receives carry no message id"
    late = sorted(name for name, ends in trace.run.coverage.items() if ends.get("start") is False)
    return f"the start of {', '.join(late[:3])} is not recorded" if late else left_out(execution)


def _is_content(name: str) -> bool:
    """Whether a column has something that a message says: `domain.message_*`."""
    return name.partition(".")[2].startswith("message_")


def _facts(messages: Messages) -> dict[str, int]:
    dropped = messages.identity[messages.trace.named("fault.drop")]
    lost = int(np.isin(messages.identity[messages.undelivered], dropped).sum()) if len(dropped) else 0
    return {
        "sent": len(messages.sends),
        "received": len(messages.receives),
        "received again": len(messages.repeated),
        "undelivered": len(messages.undelivered),
        **({"of these, recorded as lost": lost} if lost else {}),
    }


def _remark(facts: dict[str, int]) -> str:
    again = f" ({facts['received again']:,} of them again)" if facts["received again"] else ""
    lost = facts.get("of these, recorded as lost", 0)
    rest = f"{facts['undelivered'] - lost:,} undelivered (lost or in flight)"
    undelivered = f"{lost:,} lost (recorded), {rest}" if lost else rest
    return f"{facts['sent']:,} sent: {facts['received']:,} received{again}, {undelivered}"


class _Findings:
    """Violations gathered class by class; only the first few are put into words."""

    def __init__(self, execution: Execution) -> None:
        self.execution = execution
        self.trace = execution.trace
        self.messages = execution.messages
        self.violations: list[Violation] = []
        self.total = 0

    def _add(self, rows: NDArray[np.int64], put: Any) -> None:
        self.total += len(rows)
        room = SHOWN - len(self.violations)
        self.violations.extend(put(int(row)) for row in rows[: max(room, 0)])

    def orphans(self) -> None:
        def put(row: int) -> Violation:
            name = self.messages.name(row)
            sentence = f"{self.trace.event(row)} received message {name}, which nobody sent in this complete recording."
            return Violation("received-but-never-sent", sentence, self.execution.witness([row]), (), {"message": name})

        self._add(self.messages.orphans, put)

    def cycles(self) -> None:
        """Receives that wait for each other: in no execution does a message arrive before it was sent."""
        for rows in self.execution.happens_before.cycles:
            self.total += 1
            if len(self.violations) < SHOWN:
                self.violations.append(self._cycle(rows))

    def _cycle(self, rows: NDArray[np.int64]) -> Violation:
        receives = [int(row) for row in rows if self.trace.kind[row] == Kind.RECEIVE][::-1]
        pairs = [(int(self.messages.send_of[row]), row) for row in receives]
        names = ", ".join(self.messages.name(row) for row in receives) if self.messages.identified else ""
        if len(pairs) > 1:
            which = f"Messages {names}" if names else f"{len(pairs)} messages"
            sentence = f"{which} were each received before they were sent: their receives wait for each other."
        else:
            which = f"Message {names}" if names else "A message"
            sentence = (
                f"{which} was received before it was sent: {self.trace.event(pairs[0][0])} comes after its receive."
            )
        sentence += (
            " Ids, or the order within a process, were recorded wrongly; "
            f"{len(self.execution.happens_before.unordered):,} events on a cycle or after one have no order between "
            "processes."
        )
        witness = self.execution.witness([row for pair in pairs for row in pair])
        edges = tuple(self.execution.edge(send, row) for send, row in pairs)
        return Violation("received-before-sent", sentence, witness, edges, {"messages": names})

    def received_more_than_sent(self) -> None:
        """Receives that their channel has no send for: for traces without ids, of which nothing is missing."""
        peer = self.trace.get("peer")
        if peer is None:
            return
        sender = self.trace.process_codes(peer)
        more = (self.trace.kind == Kind.RECEIVE) & (sender >= 0) & (self.messages.send_of < 0)

        def put(row: int) -> Violation:
            name, at = self.trace.processes[sender[row]], self.trace.processes[self.trace.process[row]]
            sentence = (
                f"{self.trace.event(row)} received a message from {name}, but {at} had by then received as many as "
                f"{name} sent to it in this complete recording."
            )
            return Violation("received-but-never-sent", sentence, self.execution.witness([row]), (), {"sender": name})

        self._add(np.flatnonzero(more), put)

    def wrong_ends(self) -> None:
        """A send's peer is its receiver, a receive's peer its sender."""
        peer = self.trace.get("peer")
        if peer is None:
            return
        codes = self.trace.process_codes(peer)
        receives = self.messages.receives[self.messages.send_of[self.messages.receives] >= 0]
        sends = self.messages.send_of[receives]
        process = self.trace.process
        addressed, claimed = codes[sends], codes[receives]
        self._add(receives[(addressed != -1) & (addressed != process[receives])], self._wrong_receiver)
        self._add(receives[(claimed != -1) & (claimed != process[sends])], self._wrong_sender)

    def _pair(self, anomaly: str, sentence: str, row: int, **facts: Any) -> Violation:
        send = int(self.messages.send_of[row])
        edges = (self.execution.edge(send, row),)
        return Violation(anomaly, sentence, self.execution.witness([send, row]), edges, facts)

    def _wrong_receiver(self, row: int) -> Violation:
        send = int(self.messages.send_of[row])
        to = self._peer(send)
        received = f"{self.trace.event(row)} received message {self.messages.name(row)}"
        sentence = f"{received}, which {self.trace.event(send)} had addressed to {to}."
        return self._pair("wrong-receiver", sentence, row, addressed_to=to)

    def _wrong_sender(self, row: int) -> Violation:
        send = int(self.messages.send_of[row])
        said = self._peer(row)
        received = f"{self.trace.event(row)} received message {self.messages.name(row)}"
        sentence = f"{received} as if from {said}; {self.trace.event(send)} sent it."
        return self._pair("wrong-sender", sentence, row, said_from=said)

    def _peer(self, row: int) -> str:
        column = self.trace.get("peer")
        return str(column.at(row)) if column is not None else "?"

    def other_contents(self) -> None:
        contents = {name: column for name, column in self.trace.columns.items() if _is_content(name)}
        if not contents:
            return
        receives = self.messages.receives[self.messages.send_of[self.messages.receives] >= 0]
        sends = self.messages.send_of[receives]
        for name, column in contents.items():
            differ = receives[column.differs(receives, sends)]
            differ = differ[~self._as_another_copy(differ, column)]
            self._add(differ, lambda row, name=name, column=column: self._changed(row, name, column))

    def _as_another_copy(self, rows: NDArray[np.int64], column: AnyColumn) -> NDArray[np.bool_]:
        """Whether the sender sent the message several times, and one copy had, or may have had, the value received.
        Lists of several copies are not compared."""
        again = np.isin(rows, self.messages.uncertain)
        if not again.any() or isinstance(column, ListColumn):
            return again
        identity, sends = self.messages.identity, self.messages.sends
        _, value = np.unique(column.values, return_inverse=True)
        pair = identity * (len(self.trace) + 1) + value
        equal = np.isin(pair[rows], pair[sends[column.present[sends]]])
        unknown = np.isin(identity[rows], identity[sends[~column.present[sends]]])
        excused: NDArray[np.bool_] = again & (equal | unknown)
        return excused

    def _changed(self, row: int, name: str, column: AnyColumn) -> Violation:
        send = int(self.messages.send_of[row])
        sent, came = column.at(send), column.at(row)
        sentence = (
            f"Message {self.messages.name(row)} was sent with {name} {sent} ({self.trace.event(send)}) "
            f"and received with {came} ({self.trace.event(row)})."
        )
        return self._pair("contents-changed", sentence, row, field=name, sent=sent, received=came)

    def delivered_twice(self) -> None:
        self._add(
            self.messages.repeated,
            lambda row: self._pair(
                "delivered-twice",
                f"{self.trace.event(row)} received message {self.messages.name(row)} again, "
                "on a channel declared reliable.",
                row,
            ),
        )

    def never_delivered(self) -> None:
        self._add(self.messages.undelivered, self._never_delivered)

    def _never_delivered(self, row: int) -> Violation:
        sent = f"Message {self.messages.name(row)}, sent at {self.trace.event(row)}"
        sentence = f"{sent}, was never received, on a channel declared reliable."
        return Violation("never-delivered", sentence, self.execution.witness([row]))
