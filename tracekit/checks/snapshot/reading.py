"""What a trace says about snapshots: each with its recordings, markers and channel states, and the computation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracekit.checks.snapshot.channels import Channel, Ends, channels_of
from tracekit.execution import Execution
from tracekit.order.matching import Origin
from tracekit.trace.columns import ListColumn
from tracekit.trace.schema import Kind

Bool = NDArray[np.bool_]
RECORD, MARKER, STATE = "snapshot.record", "snapshot.marker", "snapshot.channel_state"


def snapshots_occur(execution: Execution) -> bool:
    """Whether any state is recorded or any marker sent."""
    return bool(execution.trace.names & {RECORD, MARKER, STATE})


@dataclass
class Snapshot:
    """What belongs to one snapshot: rows in program order; channels by their ends (sender, receiver).

    Attributes
    ----------
    place: where each process that recorded its state did so: events before that place are in the recorded state.
    """

    id: int | str
    records: dict[int, list[int]] = field(default_factory=dict)
    marker_sends: dict[Ends, list[int]] = field(default_factory=dict)
    marker_receives: dict[Ends, list[int]] = field(default_factory=dict)
    states: dict[Ends, list[int]] = field(default_factory=dict)
    place: dict[int, int] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Reading:
    """All snapshots of a trace.

    Attributes
    ----------
    snapshots: in the order in which they appear.
    outgoing: for each process that takes part, the processes that it has a channel to.
    declared: whether `outgoing` was recorded; else it is the channels that carried a message.
    channels: those that carried messages of the computation.
    traffic: for each process, places of its sends and receives of the computation.
    ended: whether the run was left alone until nothing moved: then what is missing will never come.
    doubts: why nothing can be judged; empty: all can.
    """

    execution: Execution
    snapshots: tuple[Snapshot, ...]
    outgoing: Mapping[int, tuple[int, ...]]
    declared: bool
    channels: Mapping[Ends, Channel]
    traffic: Mapping[int, NDArray[np.int64]]
    ended: bool
    doubts: tuple[str, ...]

    def at(self, row: int) -> int:
        """Place of a row at its process."""
        return int(self.execution.program_order.index[row])

    def who(self, process: int) -> str:
        """Name of a process."""
        return self.execution.trace.processes[process]

    def number(self, row: int, name: str) -> int | None:
        """An integer that a row carries."""
        return _integer(_value(self.execution, name, row))

    def item(self, send: int) -> str | None:
        """A message's identity, as channel states list it."""
        found = _value(self.execution, "snapshot.item", send)
        return _text(_value(self.execution, "message", send) if found is None else found)

    def listed(self, row: int) -> list[str] | None:
        """The messages that a channel state has; None where that is not recorded."""
        column = self.execution.trace.lists("snapshot.messages")
        found = None if column is None else column.at(row)
        return None if found is None else [str(item) for item in found]

    def incoming(self) -> list[Ends]:
        """Every channel between processes that take part."""
        return [(p, q) for p, targets in self.outgoing.items() for q in targets]

    def complete(self, snapshot: Snapshot) -> bool:
        """Whether every process and every channel was recorded."""
        return all(p in snapshot.place for p in self.outgoing) and all(c in snapshot.states for c in self.incoming())


def read(execution: Execution) -> Reading:
    """Reads all events of snapshots, and the messages of the computation. O(n) and O(m log m) for m messages."""
    trace = execution.trace
    of_snapshots = _named(execution)
    snapshots, doubts = _snapshots(execution)
    members = set(np.unique(trace.process[of_snapshots]).tolist())
    declared = _declared_channels(execution, of_snapshots)
    members |= {q for targets in declared.values() for q in targets} | {p for s in snapshots for p in _ends_of(s)}
    computation = trace.is_kind(Kind.SEND, Kind.RECEIVE) & ~of_snapshots & np.isin(trace.process, list(members))
    color = trace.get("snapshot.color")
    colors = np.full(len(trace), -1, np.int64)
    if color is not None and color.texts is None and color.values.dtype == np.int64:
        colors = np.where(color.present, color.values, -1)
    channels = {
        ends: channel
        for ends, channel in channels_of(execution, computation, colors).items()
        if set(ends) <= members and ends[0] != ends[1]
    }
    used = {*channels, *(c for s in snapshots for c in (*s.marker_sends, *s.marker_receives, *s.states))}
    used |= {(p, q) for p, targets in declared.items() for q in targets}
    outgoing = {p: tuple(sorted(b for a, b in used if a == p)) for p in sorted(members)}
    return Reading(
        execution,
        snapshots,
        outgoing,
        bool(declared),
        channels,
        {p: _places(execution, computation, p) for p in outgoing},
        bool(trace.run.quiescent) and trace.complete,
        (*doubts, *_absent(execution), *_unsound(execution, computation, members), *_repeated(execution, channels)),
    )


def _named(execution: Execution) -> Bool:
    names = [name for name in execution.trace.names if name.startswith("snapshot.")]
    return execution.trace.named(*names)


def _snapshots(execution: Execution) -> tuple[tuple[Snapshot, ...], list[str]]:
    trace = execution.trace
    found: dict[Any, Snapshot] = {}
    first: dict[Any, int] = {}
    doubts: dict[str, None] = {}
    for row in execution.program_order.rows[trace.named(RECORD, MARKER, STATE)[execution.program_order.rows]].tolist():
        id = _value(execution, "snapshot.id", row)
        if not isinstance(id, (int, str)) or isinstance(id, bool):
            doubts[f"snapshot.id is not recorded at {trace.event(row)}: which snapshot it belongs to is not known"] = (
                None
            )
            continue
        snapshot = found.setdefault(id, Snapshot(id))
        first[id] = min(row, first.get(id, row))
        process, name = int(trace.process[row]), _value(execution, "name", row)
        if name == RECORD:
            snapshot.records.setdefault(process, []).append(row)
            snapshot.place.setdefault(process, _place(execution, row))
            continue
        ends, into = list(_ends(execution, row, str(name))), _INTO[str(name), Kind(trace.kind[row]) == Kind.SEND]
        if not ends:
            doubts[f"which channel {trace.event(row)} is about is not recorded ({_FIELD[str(name)]})"] = None
        for channel in ends:
            getattr(snapshot, into).setdefault(channel, []).append(row)
    return tuple(sorted(found.values(), key=lambda s: first[s.id])), list(doubts)[:3]


_INTO = {
    (MARKER, True): "marker_sends",
    (MARKER, False): "marker_receives",
    (STATE, True): "states",
    (STATE, False): "states",
}
_FIELD = {MARKER: "peer", STATE: "snapshot.channel_from"}


def _ends(execution: Execution, row: int, name: str) -> Iterable[Ends]:
    """The channels that a marker or a channel state is about; several for a marker sent to several at once."""
    trace, process = execution.trace, int(execution.trace.process[row])
    if name == STATE:
        sender = _code(execution, "snapshot.channel_from", row)
        return [(sender, process)] if sender >= 0 else []
    peer = _code(execution, "peer", row)
    messages = execution.messages
    if trace.kind[row] == Kind.SEND:
        if peer >= 0:
            return [(process, peer)]
        takers = messages.receives[messages.send_of[messages.receives] == row]
        return [(process, q) for q in np.unique(trace.process[takers]).tolist()]
    send = int(messages.send_of[row])
    sender = int(trace.process[send]) if send >= 0 else peer
    return [(sender, process)] if sender >= 0 and trace.kind[row] == Kind.RECEIVE else []


def _ends_of(snapshot: Snapshot) -> set[int]:
    tables = (snapshot.marker_sends, snapshot.marker_receives, snapshot.states)
    return {p for table in tables for ends in table for p in ends}


def _place(execution: Execution, record: int) -> int:
    """Where the recorded state ends: at the recording, or before the receive that led to it."""
    place = int(execution.program_order.index[record])
    if _value(execution, "snapshot.before_receive", record) is not True:
        return place
    before = execution.program_order.of_process(int(execution.trace.process[record]))[:place]
    receives = np.flatnonzero(execution.trace.kind[before] == Kind.RECEIVE)
    return int(receives[-1]) if len(receives) else place


def _declared_channels(execution: Execution, of_snapshots: Bool) -> dict[int, tuple[int, ...]]:
    trace, column = execution.trace, execution.trace.lists("snapshot.outgoing")
    found: dict[int, tuple[int, ...]] = {}
    if isinstance(column, ListColumn):
        for row in np.flatnonzero(column.present).tolist():
            process = int(trace.process[row])
            codes = {trace.process_code(str(name)) for name in column.at(row) or ()}
            found[process] = tuple(sorted({*found.get(process, ()), *codes} - {-1, process}))
    return found


def _absent(execution: Execution) -> list[str]:
    """Processes that somebody has a channel to, and of which the trace knows nothing."""
    column = execution.trace.lists("snapshot.outgoing")
    if column is None:
        return []
    named = {str(name) for row in np.flatnonzero(column.present).tolist() for name in column.at(row) or ()}
    absent = sorted(named - set(execution.trace.processes))
    return [f"{', '.join(absent[:3])} (in snapshot.outgoing) has no events in the trace"] if absent else []


def _repeated(execution: Execution, channels: Mapping[Ends, Channel]) -> list[str]:
    """Messages of one channel that have the same identity."""
    column = execution.trace.get("snapshot.item")
    if column is None:
        return []
    for (p, q), channel in channels.items():
        named = channel.sends[column.present[channel.sends]]
        if len(np.unique(column.values[named])) < len(named):
            ends = f"{execution.trace.processes[p]} to {execution.trace.processes[q]}"
            return [f"snapshot.item repeats on the channel from {ends}: messages cannot be told apart"]
    return []


def _places(execution: Execution, computation: Bool, process: int) -> NDArray[np.int64]:
    places: NDArray[np.int64] = np.flatnonzero(computation[execution.program_order.of_process(process)])
    return places


def _unsound(execution: Execution, computation: Bool, members: set[int]) -> list[str]:
    """What keeps the recording from being judged: events missing, or messages that cannot be told apart."""
    trace, messages = execution.trace, execution.messages
    doubts = []
    spoiled = trace.set_aside.spoiling(lambda f: f.startswith("snapshot.") or f in ("message", "peer"))
    if spoiled:
        doubts.append(f"{spoiled}: they may belong to a snapshot")
    cyclic = execution.happens_before.unordered if len(execution.happens_before.cycle) else np.empty(0, np.int64)
    if bool(np.isin(trace.process[cyclic], list(members)).any()):
        doubts.append("messages form a cycle: the recording is wrong")
    coverage = trace.run.coverage
    partial = [trace.processes[p] for p in sorted(members) if not all(coverage.get(trace.processes[p], {}).values())]
    if partial:
        doubts.append(f"not all events of {', '.join(partial[:3])} were recorded (declared coverage)")
    left_out = execution.program_order.gaps(trace)
    left_out = left_out[np.isin(trace.process[left_out], list(members))]
    if len(left_out):
        doubts.append(f"events before {trace.event(int(left_out[0]))} are not recorded (a gap in seq)")
    peer = trace.get("peer")
    to = np.full(len(trace), -1, np.int32) if peer is None else trace.process_codes(peer)
    foreign = (to != -1) & ~np.isin(to, list(members))
    unmatched = computation & (trace.kind == Kind.RECEIVE) & (messages.send_of < 0) & ~foreign
    unmatched[messages.uncertain] = computation[messages.uncertain]
    unnamed = computation & (trace.kind == Kind.SEND) & (messages.identity < 0) & ~foreign
    if messages.origin is Origin.MATCHED:
        unnamed[:] = False
    for rows, what in ((unmatched, "receives belong to no send that is known"), (unnamed, "sends have no message id")):
        if rows.any():
            first = trace.event(int(np.flatnonzero(rows)[0]))
            doubts.append(f"{int(rows.sum()):,} {what} (first: {first}): what was in a channel is not known")
    return doubts


def _value(execution: Execution, name: str, row: int) -> Any:
    column = execution.trace.get(name)
    return None if column is None else column.at(row)


def _code(execution: Execution, name: str, row: int) -> int:
    value = _value(execution, name, row)
    return execution.trace.process_code(value) if isinstance(value, str) else -1


def _integer(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _text(value: object) -> str | None:
    return None if value is None else str(value)
