"""Rules about the recorded global state, however it was taken: recorded once, consistent, its total, and its proof."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tracekit.checks.snapshot.findings import Finding, few
from tracekit.checks.snapshot.reading import Reading, Snapshot
from tracekit.execution import Execution
from tracekit.order.cuts import Cut
from tracekit.trace.schema import Kind

LONGEST = 3_000
"""Events in a certificate, at most."""


def recorded_once(reading: Reading, snapshot: Snapshot) -> Iterator[Finding]:
    """A process records its state once."""
    for p, rows in snapshot.records.items():
        if len(rows) > 1:
            sentence = f"{reading.who(p)} recorded its state {len(rows)} times; a process records it once."
            yield Finding("recorded-twice", (p,), sentence, rows[:3])


def consistent(reading: Reading, snapshot: Snapshot) -> Iterator[Finding]:
    """No recorded state holds a receive whose send is not in the sender's recorded state."""
    for (p, q), channel in reading.channels.items():
        if p not in snapshot.place or q not in snapshot.place:
            continue
        crossing = channel.backward(snapshot.place[p], snapshot.place[q])
        if len(crossing):
            names = [reading.item(row) for row in channel.sends[crossing].tolist()]
            first = int(crossing[0])
            sentence = (
                f"{few(names)} from {reading.who(p)} {'is' if len(names) == 1 else 'are'} received in the recorded "
                f"state of {reading.who(q)} but not yet sent in that of {reading.who(p)}: the recorded states form no "
                "consistent cut, and the system cannot have been in them."
            )
            records = [snapshot.records[p][0], snapshot.records[q][0]]
            rows = [records[0], int(channel.sends[first]), int(channel.receives[first]), records[1]]
            yield Finding("inconsistent-cut", (p, q), sentence, rows, [name or "?" for name in names])


def total_conserved(reading: Reading, snapshot: Snapshot) -> Iterator[Finding]:
    """The shares of all processes and channels add up to the declared total."""
    total, parts = declared_total(reading), shares(reading, snapshot)
    if total is None or parts is None:
        return
    states, channels = parts
    if states + channels != total:
        sentence = (
            f"{states:,} at processes and {channels:,} in channels were recorded, {states + channels:,} in all; "
            f"the system has {total:,} at any time."
        )
        yield Finding("total-not-conserved", (), sentence, [rows[0] for rows in snapshot.records.values()][:4])


def declared_total(reading: Reading) -> int | None:
    """The conserved quantity of the whole system; None where none, or more than one, is declared."""
    column = reading.execution.trace.get("snapshot.total")
    if column is None or column.texts is not None or column.values.dtype != np.int64:
        return None
    declared = np.unique(column.values[column.present])
    return int(declared[0]) if len(declared) == 1 else None


def shares(reading: Reading, snapshot: Snapshot) -> tuple[int, int] | None:
    """What processes and what channels hold; None where the snapshot is not complete or a share is not recorded."""
    if not reading.complete(snapshot):
        return None
    states = [reading.number(rows[0], "snapshot.value") for rows in snapshot.records.values()]
    channels = [_share(reading, rows[0]) for rows in snapshot.states.values()]
    if None in states or None in channels:
        return None
    return sum(v for v in states if v is not None), sum(v for v in channels if v is not None)


def _share(reading: Reading, state: int) -> int | None:
    value = reading.number(state, "snapshot.value")
    return 0 if value is None and reading.listed(state) == [] else value


def certificate(reading: Reading, snapshots: list[Snapshot]) -> list[dict[str, Any]] | None:
    """For the complete snapshots, the first ones where that is long, the order of events that leads through the
    recorded state.

    Events of the computation between the state in which the algorithm began and the one in which it had ended: first
    those in the recorded state, then the others. As the cut is consistent, that is an order in which they can have
    happened (Chandy and Lamport 1985, section 4, theorem 1).
    """
    out = []
    left = LONGEST
    for snapshot in snapshots:
        before, after = _linearization(reading, snapshot)
        left -= len(before) + len(after)
        if left < 0:
            break
        event = reading.execution.trace.event
        cut = {reading.who(p): place for p, place in sorted(snapshot.place.items())}
        out.append(
            {
                "snapshot": snapshot.id,
                "events in the recorded state": cut,
                "before": [event(row) for row in before],
                "after": [event(row) for row in after],
            }
        )
    return out or None


def _linearization(reading: Reading, snapshot: Snapshot) -> tuple[list[int], list[int]]:
    execution = reading.execution
    order, trace = execution.happens_before, execution.trace
    places = np.zeros(len(trace.processes), np.int64)
    places[list(snapshot.place)] = list(snapshot.place.values())
    begun = np.minimum(Cut.past(order, [_first(execution, snapshot)]).counts, places)
    ended = Cut.past(order, [row for rows in (*snapshot.records.values(), *snapshot.states.values()) for row in rows])
    parts = [order.program.of_process(p)[int(begun[p]) : int(ended.counts[p])] for p in reading.outgoing]
    rows = np.concatenate(parts)
    own = trace.named(*(name for name in trace.names if name.startswith("snapshot.")))
    rows = rows[~own[rows] & (trace.kind[rows] != Kind.FAULT)]
    rows = rows[np.lexsort((rows, order.lamport(rows)))]
    inside = order.program.index[rows] < places[trace.process[rows]]
    return rows[inside].tolist(), rows[~inside].tolist()


def _first(execution: Execution, snapshot: Snapshot) -> int:
    """The recording that no other one precedes in Lamport's clock."""
    rows = np.array([rows[0] for rows in snapshot.records.values()], np.int64)
    return int(rows[np.argmin(execution.happens_before.lamport(rows))])
