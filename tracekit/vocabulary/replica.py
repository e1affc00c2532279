"""Replicas: which updates were delivered to them, what state they were in, which of them answered a client."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tracekit.trace.schema import Field, Type
from tracekit.vocabulary import Vocabulary

FIELDS = (
    Field(
        "replica.update", Type.TEXT_OR_INT,
        "Delivery: the update's identity, unique among all updates of the run, whoever issued it.",
    ),
    Field(
        "replica.digest", Type.TEXT_OR_INT,
        "State: a digest of what clients may see of the replica's whole state, computed the same way everywhere; equal "
        "states have equal digests. Bookkeeping that differs from replica to replica stays out of it.",
    ),
    Field(
        "replica.server", Type.TEXT,
        "Completion of a client's operation: the replica that answered it. Absent: each client counts as a replica.",
    ),
)  # fmt: skip

EVENTS = {
    "replica.deliver": "The update takes effect at this replica, its own updates included (internal). Merging a state "
    "delivers every update in it: one event each; those that were delivered before may be left out.",
    "replica.state": "The replica's state after all its events before this one (internal).",
    "replica.reset": "The replica lost its state: from here on no update was delivered to it (internal).",
}


def describe(name: str, fields: Mapping[str, Any]) -> str:
    """``applies update 17``."""
    if name == "replica.deliver":
        return f"applies update {fields.get('replica.update', '?')}"
    if name == "replica.state":
        return f"is in state {fields.get('replica.digest', '?')}"
    if name == "replica.reset":
        return "loses its state"
    return name.removeprefix("replica.").replace("_", " ")


VOCABULARY = Vocabulary(
    domain="replica",
    summary="Replicas: delivered updates, digests of states, who answered a client",
    fields=FIELDS,
    events=EVENTS,
    describe=describe,
)
