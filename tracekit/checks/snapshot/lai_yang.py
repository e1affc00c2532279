"""Snapshots with coloured messages."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tracekit.checks.snapshot.channels import NEVER, Ends, Int64
from tracekit.checks.snapshot.findings import Finding, few
from tracekit.checks.snapshot.global_state import consistent, recorded_once, total_conserved
from tracekit.checks.snapshot.judged import judge
from tracekit.checks.snapshot.marked_channels import compared
from tracekit.checks.snapshot.reading import Reading, Snapshot, read, snapshots_occur
from tracekit.execution import Execution, Options
from tracekit.registry import check
from tracekit.results import CheckResult


def colors_of_senders(reading: Reading, snapshot: Snapshot) -> Iterator[Finding]:
    """A white process sends white messages, a red one red messages."""
    number = _number(snapshot)
    for ends, channel in reading.channels.items():
        place = snapshot.place.get(ends[0], NEVER)
        record = snapshot.records.get(ends[0], [])[:1]
        name = reading.who(ends[0])
        for anomaly, chosen, words in (
            ("white-after-recording", channel.white(place, number), "is red, having recorded its state, but sent"),
            ("red-before-recording", channel.red(place, number), "is white, its state not being recorded, but sent"),
        ):
            if len(chosen):
                color = "white" if anomaly.startswith("white") else "red"
                yield _colored(reading, ends, anomaly, chosen, record, f"{name} {words} {{}} coloured {color}.")


def red_messages_taken_red(reading: Reading, snapshot: Snapshot) -> Iterator[Finding]:
    """A process records its state before it takes a red message."""
    for ends, channel in reading.channels.items():
        chosen = channel.red_arrived(snapshot.place.get(ends[1], NEVER), _number(snapshot))
        if len(chosen):
            record = snapshot.records.get(ends[1], [])[:1]
            sentence = (
                f"{reading.who(ends[1])} took {{}} from {reading.who(ends[0])}, red, while it was white: it had not "
                "recorded its state."
            )
            yield _colored(reading, ends, "red-message-taken-white", chosen, record, sentence)


def _colored(
    reading: Reading, ends: Ends, anomaly: str, chosen: Int64, record: list[int], sentence: str
) -> Finding:  # fmt: skip
    channel = reading.channels[ends]
    names = [reading.item(row) or "?" for row in channel.sends[chosen].tolist()]
    first = int(chosen[0])
    rows = [int(channel.sends[first]), int(channel.receives[first]), *record]
    return Finding(anomaly, ends, sentence.format(few(names)), [row for row in rows if row >= 0], names)


def channel_states(reading: Reading, snapshot: Snapshot) -> Iterator[Finding]:
    """A channel's state is the white messages that its receiver had not taken when it turned red."""
    for ends in reading.incoming():
        p, q = ends
        if p not in snapshot.place or q not in snapshot.place:
            continue
        state, channel = snapshot.states.get(ends), reading.channels.get(ends)
        sender, name = reading.who(p), reading.who(q)
        if state is None:
            if reading.ended:
                sentence = f"{name} never recorded the state of the channel from {sender}."
                yield Finding("channel-not-recorded", ends, sentence, snapshot.records[q][:1])
            continue
        if len(state) > 1:
            sentence = f"{name} recorded the state of the channel from {sender} {len(state)} times."
            yield Finding("channel-recorded-twice", ends, sentence, state[:3])
        listed = reading.listed(state[0])
        if listed is None:
            continue
        numbers = [] if channel is None else channel.forward(snapshot.place[p], snapshot.place[q]).tolist()
        expected = {} if channel is None else {
            reading.item(int(channel.sends[i])) or "?": int(channel.sends[i]) for i in numbers
        }  # fmt: skip
        yield from compared(
            ends,
            listed,
            expected,
            rows=(snapshot.records[q][0], state[0]),
            missing=f"{sender} sent {{}}, white, which {name} had not received when it recorded its state, but the "
            f"recorded state of the channel lacks {{}}.",
            phantom=f"{name} recorded {{}} as the state of the channel from {sender}, but no white message that it had "
            "not yet received is {}.",
        )


def _colors(reading: Reading) -> list[int]:
    """Every colour that a message has: nobody may have recorded such a snapshot."""
    found = [channel.color[channel.color > 0] for channel in reading.channels.values()]
    return np.unique(np.concatenate(found)).tolist() if found else []


def _number(snapshot: Snapshot) -> int:
    return int(snapshot.id)


RULES = (
    recorded_once,
    colors_of_senders,
    red_messages_taken_red,
    channel_states,
    consistent,
    total_conserved,
)
"""Causes before what follows from them."""


def _applies(execution: Execution) -> bool:
    return snapshots_occur(execution) and "snapshot.color" in execution.trace


@check("snapshot.lai-yang", applies=_applies)
def lai_yang(execution: Execution, options: Options) -> CheckResult:
    """Snapshots with coloured messages follow the algorithm's rules, and record a state the system can have been in.

    Meaning
        Where messages may overtake each other, a marker does not part those before it from those after it. Instead
        every message says on which side it is: a process is white until it records its state, then red, and a message
        has the colour of its sender. A white process records its state before it takes a red message, and a channel's
        state is its white messages that a red process receives. Each rule is judged by itself; the code of the anomaly
        says which one broke:
        A process records its state once (recorded-twice).
        A red process sends no white messages (white-after-recording), a white one no red messages
        (red-before-recording).
        A process records its state before it takes a red message (red-message-taken-white).
        Each channel is recorded once (channel-not-recorded, channel-recorded-twice), as exactly the messages sent
        before the sender's recording and not received before the receiver's (message-missing-in-channel,
        phantom-message-in-channel); their order means nothing.
        No recorded state holds the receipt of a message that in the sender's is not sent yet (inconsistent-cut).
        Where a conserved total is declared, the recorded shares add up to it (total-not-conserved).
        If all of this holds, the recorded state lies between the state in which the snapshot began and the one in
        which it ended; the certificate is an order of events that leads through it (of the first snapshots, where
        there are many). What was never recorded counts only where the run declares that it was left alone until
        nothing moved (`quiescent`).

    Example
        n1:4  records its state, value 80, snapshot 1
        n1:5  sends bank.transfer, message 7, to n2      with snapshot.color 1: red
        n2:3  receives message 7 from n1                 <- while n2 is white
        n2:4  records its state, value 130, snapshot 1   <- message 7 is received in it, but not sent in n1's

    Needs
        Events snapshot.record and snapshot.channel_state with snapshot.id 1, 2, 3, ...; snapshot.color of messages;
        snapshot.channel_from and snapshot.messages of channel states; `message` ids and `peer` of all messages.
        snapshot.before_receive where a message that has already arrived makes a process record its state.
        snapshot.total and snapshot.value for totals.

    Cannot see
        Whether a recorded state is the process's state at that event, but for what totals show. How a process knows
        that it has all white messages. Processes without any event of a snapshot are outside of the system, and so is
        what goes through them. Where a recording lacks events, or messages cannot be matched, nothing is
        judged.

    Cost
        Sorting the messages, O(m log m); then O(log m) and what there is to tell for each channel of each snapshot.

    Reference
        Lai and Yang, On Distributed Snapshots, Information Processing Letters 25(3), 1987. Variant: snapshots are
        numbered and colours are their numbers; channels are as recorded, or as the histories of both ends show.
    """
    reading = execution.derive(read)
    colored = [s for s in reading.snapshots if not s.marker_sends and not s.marker_receives]
    doubts = []
    if any(not isinstance(s.id, int) or s.id < 1 for s in colored):
        doubts.append("snapshot.id is no positive integer: which colours are red for a snapshot is not known")
    uncolored = sum(int(np.count_nonzero(c.color < 0)) for c in reading.channels.values())
    if uncolored:
        doubts.append(f"snapshot.color is not recorded at {uncolored:,} messages")
    if doubts and not reading.doubts:
        return CheckResult(reasons=tuple(doubts))
    colored += [Snapshot(color) for color in _colors(reading) if all(s.id != color for s in reading.snapshots)]
    return judge(reading, colored, RULES, "rule by rule")
