"""Distributed snapshots: recorded states of processes and channels, markers (Chandy & Lamport), colours (Lai & Yang).

Messages whose names begin with ``snapshot.`` belong to the algorithm that takes the snapshot; all other messages belong
to the computation that is recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tracekit.trace.schema import Field, Type
from tracekit.vocabulary import Vocabulary

FIELDS = (
    Field(
        "snapshot.id", Type.TEXT_OR_INT,
        "Which snapshot a recording, a marker or a channel state belongs to. With colours: 1, 2, 3, ...",
    ),
    Field(
        "snapshot.value", Type.INT,
        "Share of a conserved quantity (money, tokens): of the recorded state, of a recorded channel state, or what a "
        "message of the computation carries.",
    ),
    Field(
        "snapshot.total", Type.INT,
        "The conserved quantity of the whole system, as declared; at any event, the same everywhere.",
    ),
    Field(
        "snapshot.outgoing", Type.TEXTS,
        "Processes that this process has a channel to; at any one of its events. Never recorded: channels are those "
        "that carried a message.",
    ),
    Field("snapshot.channel_from", Type.TEXT, "Channel state: the sender's end of the channel; its receiver records."),
    Field(
        "snapshot.messages", Type.TEXTS,
        "Channel state: the messages in it, by snapshot.item or else by message, in the order received; numbers may "
        "stand as numbers.",
    ),
    Field(
        "snapshot.item", Type.TEXT_OR_INT,
        "A message's identity as the system itself knows it, where that is not message; unique in the trace.",
    ),
    Field(
        "snapshot.color", Type.INT,
        "Message of the computation, Lai and Yang: the latest snapshot that its sender had recorded, 0 before the "
        "first. The message is red for that snapshot and those before it, white for those after it.",
    ),
    Field(
        "snapshot.before_receive", Type.BOOL,
        "Recording: true where the state is the one before the process's last receive, which made it record.",
    ),
)  # fmt: skip

EVENTS = {
    "snapshot.init": "A process that takes part starts, with its outgoing channels and the conserved total.",
    "snapshot.record": "The process records its state: the one after all its events before this one (internal).",
    "snapshot.marker": "A marker is sent or received.",
    "snapshot.channel_state": "The process records the state of one of its incoming channels (internal).",
    "snapshot.count": "Lai and Yang: how many white messages were sent on a channel, sent or received.",
}


def describe(name: str, fields: Mapping[str, Any]) -> str:
    """``records its state, 80 of the total, snapshot 2``."""
    what = _WHAT.get(name)
    words = what(fields) if what else name.removeprefix("snapshot.").replace("_", " ")
    return words if fields.get("snapshot.id") is None else f"{words}, snapshot {fields['snapshot.id']}"


def _sent(fields: Mapping[str, Any], what: str) -> str:
    verb, way = ("sends", "to") if fields.get("kind") == "send" else ("receives", "from")
    return f"{verb} {what} {way} {fields.get('peer', '?')}"


def _record(fields: Mapping[str, Any]) -> str:
    value = fields.get("snapshot.value")
    early = " as it was before its last receive" if fields.get("snapshot.before_receive") else ""
    return f"records its state{early}" + ("" if value is None else f", value {value}")


def _channel(fields: Mapping[str, Any]) -> str:
    messages = fields.get("snapshot.messages")
    found = "" if messages is None else f": {len(messages)} messages" if messages else ": empty"
    return f"records the channel from {fields.get('snapshot.channel_from', '?')}{found}"


_WHAT: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "snapshot.init": lambda f: "starts",
    "snapshot.record": _record,
    "snapshot.marker": lambda f: _sent(f, "a marker"),
    "snapshot.channel_state": _channel,
    "snapshot.count": lambda f: _sent(f, "the number of white messages"),
}

VOCABULARY = Vocabulary(
    domain="snapshot",
    summary="Distributed snapshots: recorded states, markers, colours, channel states",
    fields=FIELDS,
    events=EVENTS,
    describe=describe,
)
