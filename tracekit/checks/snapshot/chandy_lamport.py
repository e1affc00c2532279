"""Snapshots with markers."""

from __future__ import annotations

from tracekit.checks.snapshot.global_state import consistent, recorded_once, total_conserved
from tracekit.checks.snapshot.judged import judge
from tracekit.checks.snapshot.marked_channels import channel_states, in_order_around_markers, markers_arrive
from tracekit.checks.snapshot.markers import (
    marker_after_recording,
    marker_before_messages,
    one_marker,
    records_on_marker,
)
from tracekit.checks.snapshot.reading import MARKER, read
from tracekit.execution import Execution, Options
from tracekit.registry import check
from tracekit.results import CheckResult

RULES = (
    recorded_once,
    marker_after_recording,
    one_marker,
    marker_before_messages,
    records_on_marker,
    markers_arrive,
    in_order_around_markers,
    channel_states,
    consistent,
    total_conserved,
)
"""Causes before what follows from them."""


def _applies(execution: Execution) -> bool:
    return MARKER in execution.trace.names


@check("snapshot.chandy-lamport", applies=_applies)
def chandy_lamport(execution: Execution, options: Options) -> CheckResult:
    """Snapshots with markers follow the algorithm's rules, and record a state the system can have been in.

    Meaning
        A snapshot records the state of every process and of every channel without stopping the system. Its parts are
        recorded at different times, and yet shall fit together. Markers see to that: a process that records its state
        sends a marker along each outgoing channel before any further message, and records the state of each incoming
        channel as what arrives on it from then on until the channel's marker. Each rule is judged by itself; the code
        of the anomaly says which one broke:
        A process records its state once (recorded-twice), sends markers only after that (marker-before-recording), one
        along each channel (two-markers, marker-not-sent), before any further message (message-before-marker).
        On its first marker it records its state before it goes on (recorded-late, never-recorded).
        Channels are reliable and FIFO around markers (marker-lost, message-lost, marker-overtook-message,
        message-overtook-marker).
        The channel of the first marker is recorded as empty (first-channel-not-empty). Each other one is recorded once
        (channel-not-recorded, channel-recorded-twice), when its marker has come (channel-closed-early), as exactly
        what arrived in between (message-missing-in-channel, phantom-message-in-channel), in that order
        (channel-out-of-order).
        No recorded state holds the receipt of a message that in the sender's is not sent yet (inconsistent-cut).
        Where a conserved total is declared, the recorded shares add up to it (total-not-conserved).
        If all of this holds, the recorded state lies between the state in which the snapshot began and the one in
        which it ended, though the system may never have been in it. The certificate is the proof (of the first
        snapshots, where there are many): an order of the events in between, first those inside of the recorded
        state, then the others, that might have happened as well. What never came counts only where the run declares
        that it was left alone until nothing moved (`quiescent`); else the snapshot is unfinished.

    Example
        n1:4  records its state, value 80, snapshot 1
        n1:5  sends bank.transfer, message 7, to n2      <- before the marker
        n1:6  sends a marker to n2, snapshot 1
        n2:3  receives message 7 from n1
        n2:4  receives a marker from n1, snapshot 1
        n2:5  records its state, value 130, snapshot 1   <- message 7 is received in it, but not sent in n1's

    Needs
        Events snapshot.record, snapshot.marker and snapshot.channel_state with snapshot.id; snapshot.channel_from and
        snapshot.messages of channel states; `message` ids and `peer` of all messages. snapshot.outgoing for channels
        that carry nothing; snapshot.total and snapshot.value for totals.

    Cannot see
        Whether a recorded state is the process's state at that event, but for what totals show. Steps within a process
        between its first marker and its recording that are neither sends nor receives. Processes without any event of
        a snapshot are outside of the system, and so is what goes through them. Where a recording lacks events,
        or messages cannot be matched, nothing is judged.

    Cost
        Sorting the messages, O(m log m); then O(log m) and what there is to tell for each channel of each snapshot.

    Reference
        Chandy and Lamport, Distributed Snapshots, ACM TOCS 3(1), 1985. Rules: section 3; the order that leads
        through the recorded state: theorem 1 in section 4. Variant: several snapshots, told apart by their id, may be
        under way, and one may have several initiators.
    """
    reading = execution.derive(read)
    marked = [s for s in reading.snapshots if s.marker_sends or s.marker_receives]
    return judge(reading, marked, RULES, "rule by rule")
