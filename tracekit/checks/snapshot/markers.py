"""When states are recorded and markers sent: the two rules of Chandy and Lamport 1985, section 3."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tracekit.checks.snapshot.channels import NEVER, Ends
from tracekit.checks.snapshot.findings import Finding, few
from tracekit.checks.snapshot.reading import Reading, Snapshot


def marker_after_recording(reading: Reading, snapshot: Snapshot) -> Iterator[Finding]:
    """A process sends a marker after it recorded its state."""
    for (p, q), sends in snapshot.marker_sends.items():
        record = snapshot.records.get(p)
        if record is None or reading.at(sends[0]) < reading.at(record[0]):
            when = "without having recorded its state" if record is None else "before it recorded its state"
            sentence = f"{reading.who(p)} sent a marker to {reading.who(q)} {when}."
            yield Finding("marker-before-recording", (p, q), sentence, [sends[0], *(record or ())[:1]])


def one_marker(reading: Reading, snapshot: Snapshot) -> Iterator[Finding]:
    """One marker goes along a channel."""
    for (p, q), sends in snapshot.marker_sends.items():
        if len(sends) > 1:
            sentence = f"{reading.who(p)} sent {len(sends)} markers to {reading.who(q)}; it sends one along a channel."
            yield Finding("two-markers", (p, q), sentence, sends[:3])


def marker_before_messages(reading: Reading, snapshot: Snapshot) -> Iterator[Finding]:
    """A marker goes along every outgoing channel, after recording and before any further message along it."""
    for p, records in snapshot.records.items():
        for q in reading.outgoing.get(p, ()):
            marker = next(iter(snapshot.marker_sends.get((p, q), ())), None)
            message = _next_send(reading, (p, q), reading.at(records[0]))
            sender, receiver = reading.who(p), reading.who(q)
            if marker is None and (message is not None or reading.ended):
                went_on = f" It sent {few([reading.item(message)])} there." if message is not None else ""
                sentence = f"{sender} recorded its state and sent no marker to {receiver}.{went_on}"
                rows = [records[0]] if message is None else [records[0], message]
                yield Finding("marker-not-sent", (p, q), sentence, rows)
            elif marker is not None and message is not None and reading.at(message) < reading.at(marker):
                sentence = (
                    f"{sender} recorded its state, sent {few([reading.item(message)])} to {receiver} and only then its "
                    "marker: the receiver takes the message for one from before the recording."
                )
                yield Finding("message-before-marker", (p, q), sentence, [records[0], message, marker])


def _next_send(reading: Reading, ends: Ends, place: int) -> int | None:
    channel = reading.channels.get(ends)
    if channel is None:
        return None
    number = channel.sent_before(place)
    return int(channel.sends[number]) if number < len(channel) else None


def records_on_marker(reading: Reading, snapshot: Snapshot) -> Iterator[Finding]:
    """A process that receives a first marker has recorded its state, or does so before it goes on."""
    first: dict[int, int] = {}
    for (_, q), rows in snapshot.marker_receives.items():
        if q not in first or reading.at(rows[0]) < reading.at(first[q]):
            first[q] = rows[0]
    for q, marker in first.items():
        record = next(iter(snapshot.records.get(q, ())), None)
        end = NEVER if record is None else reading.at(record)
        traffic = reading.traffic[q]
        number = int(np.searchsorted(traffic, reading.at(marker)))
        went_on = number < len(traffic) and traffic[number] < end
        name = reading.who(q)
        if went_on:
            row = int(reading.execution.program_order.of_process(q)[traffic[number]])
            late = "and recorded its state only later" if record is not None else "and did not record its state"
            sentence = f"{name} received its first marker, went on with the computation, {late}."
            yield Finding("recorded-late", (q,), sentence, [marker, row, *([] if record is None else [record])])
        elif record is None and reading.ended:
            yield Finding("never-recorded", (q,), f"{name} received a marker and never recorded its state.", [marker])
