"""Whether messages of one channel overtake each other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tracekit.checks.channel import may_miss_first_receipts
from tracekit.execution import Execution, Options
from tracekit.order.matching import Origin
from tracekit.registry import check
from tracekit.results import CheckResult, Violation
from tracekit.trace.schema import Kind

SHOWN = 20
Int64 = NDArray[np.int64]


def _applies(execution: Execution) -> bool:
    return bool(execution.trace.is_kind(Kind.SEND, Kind.RECEIVE).any())


def _declared(execution: Execution) -> bool:
    return bool(execution.trace.run.channels.get("fifo"))


@check("channel.fifo", applies=_applies, measured=True, declared=_declared)
def fifo(execution: Execution, options: Options) -> CheckResult:
    """Messages from one process to another are received in the order in which they were sent.

    Meaning
        A channel is the way from one process to another. If p sends m1 to q before it sends m2 to q, then q does not
        receive m2 before m1. A message may be lost: then nothing is said about it. What counts is the first time that
        q receives a message; later copies are duplicates, which channel.delivery shows. A violation only where the
        run declares FIFO channels. Elsewhere the check is not applicable, and how many messages were overtaken is
        measured. Where FIFO is declared, a message that was not received although a later one of its channel was is
        lost, and not in flight.

    Example
        n1:4  send     message 7  to n2
        n1:5  send     message 8  to n2
        n2:9  receive  message 8
        n2:10 receive  message 7       <- overtaken by message 8

    Needs
        `kind` send and receive, and `message` ids. `channels.fifo` in tracekit.run, for a verdict. `peer` of sends,
        to tell lost messages.

    Cannot see
        The order of messages that were sent several times under one id: which copy arrived is not known, so they are
        left out and counted. The order in which messages arrived, where a process handles them in another one. An
        overtaken message may have been received before, which would excuse it: where a process's start is not recorded,
        receives carry no id or rows were set aside, and channels are not declared reliable, a verdict is unknown.

    Cost
        O(m log m) for m received messages.

    Reference
        Cachin, Guerraoui and Rodrigues, "Introduction to Reliable and Secure Distributed Programming", 2011. Section
        3.9 has FIFO delivery for broadcast. Variant: point to point, of first receipts, and without reliability.
    """
    messages = execution.messages
    if messages.origin is Origin.MATCHED or not len(messages.receives):
        why = "messages carry no ids (column message): by their order they cannot be told apart"
        return CheckResult(reasons=(why,)) if _declared(execution) else CheckResult(applicable=False)
    channels = _channels(execution)
    late, before = channels.overtaken()
    received = len(channels.receives)
    facts = {
        "received in their channel's order": received - len(late),
        "overtaken": len(late),
        "channels": len(np.unique(channels.channel)),
        "channels with overtaking": len(np.unique(_channel_of(execution, messages.send_of[late], late))),
        "left out, sent several times": channels.left_out,
    }
    remark = f"{len(late):,} of {received:,} messages overtaken on their channel"
    if not _declared(execution):
        return CheckResult(applicable=False, facts=facts, remark=remark, method="FIFO is not declared")
    facts["lost"] = len(_lost(execution, channels))
    remark += f", {facts['lost']:,} lost (later ones arrived)" if facts["lost"] else ""
    reasons = [] if received else ["no message was received that was sent only once"]
    spoiled = execution.trace.set_aside.spoiling(lambda name: name in ("message", "peer"))
    reasons += [f"{spoiled}: they may have been sends or receives"] if spoiled else []
    excuse = may_miss_first_receipts(execution)
    if excuse and len(late):
        reasons.append(f"{len(late):,} messages were overtaken, unless they had been received before as well: {excuse}")
        late = late[:0]
    order = np.lexsort((late, execution.happens_before.lamport(late)))
    return CheckResult(
        examined={"messages": received},
        violations=tuple(_violation(execution, int(late[i]), int(before[i])) for i in order[:SHOWN]),
        violations_total=len(late),
        reasons=tuple(reasons),
        method="first receipts by channel",
        facts=facts,
        remark=remark,
    )


@dataclass(frozen=True, eq=False)
class Channels:
    """First receipts, channel after channel, in the order of the receiver.

    Attributes
    ----------
    receives: rows of receives. channel: number of each one's channel. sent: its send's place at its process.
    left_out: how many receipts were left out because their message was sent several times.
    """

    receives: Int64
    channel: Int64
    sent: Int64
    left_out: int

    def overtaken(self) -> tuple[Int64, Int64]:
        """Rows of receives whose send comes before that of an earlier receive of the channel, and the rows of those."""
        if not len(self.receives):
            return self.receives, self.receives
        first = np.flatnonzero(np.diff(self.channel, prepend=-1))
        span = int(self.sent.max()) + 1
        group = np.repeat(np.arange(len(first)), np.diff(first, append=len(self.channel)))
        latest = np.maximum.accumulate(group * span + self.sent)
        late = np.flatnonzero(group * span + self.sent < latest)
        grew = np.diff(latest, prepend=-1) > 0
        holder = np.maximum.accumulate(np.where(grew, np.arange(len(latest)), 0))
        return self.receives[late], self.receives[holder[late]]


def _channel_of(execution: Execution, sends: Int64, receives: Int64) -> Int64:
    process = execution.trace.process
    return process[sends].astype(np.int64) * len(execution.trace.processes) + process[receives]


def _channels(execution: Execution) -> Channels:
    messages, index = execution.messages, execution.program_order.index
    matched = messages.receives[messages.send_of[messages.receives] >= 0]
    receives = np.setdiff1d(matched, messages.uncertain, assume_unique=True)
    sends = messages.send_of[receives]
    channel = _channel_of(execution, sends, receives)
    order = np.lexsort((index[receives], channel))
    receives, sends, channel = receives[order], sends[order], channel[order]
    message = channel * (int(messages.identity.max(initial=0)) + 1) + messages.identity[receives]
    _, first = np.unique(message, return_index=True)  # of equal ones the first, which is the earliest receipt
    first.sort()
    return Channels(receives[first], channel[first], index[sends[first]], len(messages.uncertain))


def _lost(execution: Execution, channels: Channels) -> Int64:
    """Rows of sends that were not received although a later message of their channel was."""
    trace, messages = execution.trace, execution.messages
    peer = trace.get("peer")
    if peer is None or not len(channels.receives):
        return np.empty(0, np.int64)
    to = trace.process_codes(peer)
    sends = messages.undelivered[to[messages.undelivered] >= 0]
    last = np.zeros(len(trace.processes) ** 2, np.int64) - 1
    np.maximum.at(last, channels.channel, channels.sent)
    channel = trace.process[sends].astype(np.int64) * len(trace.processes) + to[sends]
    lost: Int64 = sends[execution.program_order.index[sends] < last[channel]]
    return lost


def _violation(execution: Execution, late: int, before: int) -> Violation:
    trace, messages = execution.trace, execution.messages
    first, second = int(messages.send_of[late]), int(messages.send_of[before])
    sender, receiver = trace.processes[trace.process[first]], trace.processes[trace.process[late]]
    sentence = (
        f"{receiver} received message {messages.name(before)} ({trace.event(before)}) before message "
        f"{messages.name(late)} ({trace.event(late)}), which {sender} had sent to it earlier ({trace.event(first)}); "
        "the channel is declared FIFO."
    )
    edges = tuple(execution.edge(a, b) for a, b in ((first, second), (second, before), (before, late), (first, late)))
    facts = {"sender": sender, "receiver": receiver, "overtaken": messages.name(late), "by": messages.name(before)}
    return Violation("overtaken", sentence, execution.witness([first, second, before, late]), edges, facts)
