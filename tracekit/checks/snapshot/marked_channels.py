"""What markers do on channels: messages keep their side of the marker, and what came in before it is recorded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from tracekit.checks.snapshot.channels import NEVER, Channel, Ends, Int64
from tracekit.checks.snapshot.findings import Finding, few
from tracekit.checks.snapshot.reading import Reading, Snapshot


def markers_arrive(reading: Reading, snapshot: Snapshot) -> Iterator[Finding]:
    """A marker that was sent is received."""
    for ends, sends in snapshot.marker_sends.items():
        if reading.ended and _receipt(reading, snapshot, ends) is None:
            sentence = f"the marker from {reading.who(ends[0])} to {reading.who(ends[1])} never arrived."
            yield Finding("marker-lost", ends, sentence, sends[:1])


def in_order_around_markers(reading: Reading, snapshot: Snapshot) -> Iterator[Finding]:
    """A channel's messages that were sent before the marker are received before it, the others after it."""
    for ends, sends in snapshot.marker_sends.items():
        receive, channel = _receipt(reading, snapshot, ends), reading.channels.get(ends)
        if receive is None or channel is None:
            continue
        sent, received = reading.at(sends[0]), reading.at(receive)
        late = channel.forward(sent, received)
        chosen = {
            "message-lost": late[channel.received[late] == NEVER],
            "marker-overtook-message": late[channel.received[late] < NEVER],
            "message-overtook-marker": channel.backward(sent, received),
        }
        for anomaly, numbers in chosen.items():
            if len(numbers):
                yield _out_of_order(reading, ends, channel, anomaly, numbers, (sends[0], receive))


_WHAT = {
    "message-lost": "sent before the marker and never received, though the marker was",
    "marker-overtook-message": "sent before the marker and received after it",
    "message-overtook-marker": "sent after the marker and received before it",
}


def _out_of_order(
    reading: Reading, ends: Ends, channel: Channel, anomaly: str, numbers: Int64, marker: tuple[int, int]
) -> Finding:
    names = [reading.item(row) or "?" for row in channel.sends[numbers].tolist()]
    verb = "was" if len(names) == 1 else "were"
    sentence = (
        f"on the channel from {reading.who(ends[0])} to {reading.who(ends[1])}, {few(names)} {verb} {_WHAT[anomaly]}: "
        "the algorithm supposes reliable channels that keep the order."
    )
    first = int(numbers[0])
    rows = [marker[0], int(channel.sends[first]), int(channel.receives[first]), marker[1]]
    return Finding(anomaly, ends, sentence, [row for row in rows if row >= 0], names)


def _receipt(reading: Reading, snapshot: Snapshot, ends: Ends) -> int | None:
    """The receive of the first marker that was sent along a channel."""
    send_of, sent = reading.execution.messages.send_of, snapshot.marker_sends[ends][0]
    return next((row for row in snapshot.marker_receives.get(ends, ()) if send_of[row] == sent), None)


def channel_states(reading: Reading, snapshot: Snapshot) -> Iterator[Finding]:
    """A channel's state is what arrived between recording and the channel's marker; nothing on the first one."""
    for ends in dict.fromkeys([*snapshot.marker_receives, *snapshot.states]):
        record = snapshot.records.get(ends[1])
        marker, state = snapshot.marker_receives.get(ends), snapshot.states.get(ends)
        channel = f"the channel from {reading.who(ends[0])}"
        name = reading.who(ends[1])
        if state is None:
            if record is not None and marker is not None and reading.ended:
                sentence = f"{name} received the marker on {channel} and never recorded the channel's state."
                yield Finding("channel-not-recorded", ends, sentence, marker[:1])
            continue
        if len(state) > 1:
            sentence = f"{name} recorded the state of {channel} {len(state)} times."
            yield Finding("channel-recorded-twice", ends, sentence, state[:3])
        if marker is None or reading.at(state[0]) < reading.at(marker[0]):
            sentence = f"{name} recorded the state of {channel} before the marker had come on it."
            yield Finding("channel-closed-early", ends, sentence, [state[0], *(marker or ())[:1]])
        elif record is not None:
            yield from _contents(reading, ends, record[0], marker[0], state[0])


def _contents(reading: Reading, ends: Ends, record: int, marker: int, state: int) -> Iterator[Finding]:
    listed, channel = reading.listed(state), reading.channels.get(ends)
    if listed is None:
        return
    name, sender = reading.who(ends[1]), reading.who(ends[0])
    if reading.at(marker) < reading.at(record):
        if listed:
            sentence = (
                f"{name} recorded its state on the marker from {sender}, and {few(listed)} as the state of that "
                "channel; the state of the channel of the first marker is empty."
            )
            yield Finding("first-channel-not-empty", ends, sentence, [marker, record, state], listed)
        return
    numbers = [] if channel is None else channel.arrived(reading.at(record), reading.at(marker)).tolist()
    receives = {} if channel is None else {
        reading.item(int(channel.sends[i])) or "?": int(channel.receives[i]) for i in numbers
    }  # fmt: skip
    window = f"between recording its state ({_event(reading, record)}) and the marker ({_event(reading, marker)})"
    yield from compared(
        ends,
        listed,
        receives,
        rows=(record, marker, state),
        missing=f"{name} received {{}} from {sender} {window}, but the recorded state of that channel lacks {{}}.",
        phantom=f"{name} recorded {{}} as the state of the channel from {sender}, but did not receive {{}} {window}.",
    )
    if sorted(listed) == sorted(receives) and listed != list(receives):
        sentence = f"{name} recorded the messages of the channel from {sender} in another order than they came in."
        yield Finding("channel-out-of-order", ends, sentence, [record, *receives.values(), marker, state][-6:], listed)


def compared(
    ends: Ends, listed: list[str], expected: dict[str, int], *, rows: tuple[int, ...], missing: str, phantom: str
) -> Iterator[Finding]:
    """What a channel state lacks, and what it has too much.

    Parameters
    ----------
    expected: messages that belong to it, with an event of each.
    missing, phantom: sentences with two places: for the messages, and for the word that means them.
    """
    lacking = [item for item in expected if item not in set(listed)]
    phantoms = list((Counter(listed) - Counter(dict.fromkeys(expected, 1))).elements())
    for anomaly, items, sentence in (
        ("message-missing-in-channel", lacking, missing),
        ("phantom-message-in-channel", phantoms, phantom),
    ):
        if items:
            shown = [expected[item] for item in items[:2] if item in expected]
            words = sentence.format(few(items), "it" if len(items) == 1 else "them")
            yield Finding(anomaly, ends, words, [*rows, *shown], items)


def _event(reading: Reading, row: int) -> str:
    return reading.execution.trace.event(row)
