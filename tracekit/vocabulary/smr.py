"""Replicated state machines (Schneider 1990): commands applied in order to copies of one deterministic machine.

Any replicated log may carry these fields beside its own events (an apply of Raft, a slot of Multi-Paxos): an event with
`smr.command` applies a command, whatever its name is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tracekit.trace.schema import Field, Type
from tracekit.vocabulary import Vocabulary

FIELDS = (
    Field(
        "smr.machine", Type.TEXT_OR_INT,
        "Which machine the event is about, where processes keep copies of several (shards, groups, partitions), each "
        "with indices of its own. Absent: there is one; at a crash or restart: all that the process keeps.",
    ),
    Field(
        "smr.index", Type.INT,
        "The machine's state after the event contains the commands up to this index (slot); 1 is the first, 0 the "
        "initial state. With smr.command: the index at which the command was applied. Every command has one of its "
        "own, a no-op as well: those of a batch are numbered one by one.",
    ),
    Field("smr.command", Type.TEXT, "The event applies this command (its digest); equal command, equal digest."),
    Field(
        "smr.request", Type.TEXT,
        "The client's request that the command carries out, unique in the trace. Absent: it is no client's (a no-op).",
    ),
    Field(
        "smr.executed", Type.BOOL,
        "Whether the command was executed: false where the machine knew the request and only repeats its answer. "
        "Absent: it was.",
    ),
    Field("smr.state", Type.TEXT_OR_INT, "Digest of the machine's state after the event; equal state, equal digest."),
)  # fmt: skip

EVENTS = {
    "smr.init": "The machine starts in its initial state.",
    "smr.restart": "It starts again from the state that it had made stable: that after smr.index (kind restart).",
    "smr.install": "It takes over another copy's state: that after smr.index.",
    "smr.crash": "It stops (kind crash).",
    "smr.apply": "One command is applied.",
    "smr.checkpoint": "The state is made stable.",
    "smr.client_request": "A client's request arrives or is sent.",
    "smr.client_response": "The answer to a client is sent or arrives.",
}


def describe(name: str, fields: Mapping[str, Any]) -> str:
    """``applies command 8: write k1 4 (c1 #2)``."""
    what = _WHAT.get(name)
    return what(fields) if what else name.removeprefix("smr.").replace("_", " ")


def _sent(fields: Mapping[str, Any], what: str) -> str:
    verb, way = ("sends", "to") if fields.get("kind") == "send" else ("receives", "from")
    return f"{verb} {what} {way} {fields.get('peer', '?')}"


def _apply(fields: Mapping[str, Any]) -> str:
    machine = f" of machine {fields['smr.machine']}" if "smr.machine" in fields else ""
    known = ", which it has executed before" if fields.get("smr.executed") is False else ""
    return f"applies command {fields.get('smr.index', '?')}{machine}: {fields.get('smr.command', '?')}{known}"


_WHAT: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "smr.init": lambda f: "starts in the initial state",
    "smr.restart": lambda f: f"restarts with the state after command {f.get('smr.index', '?')}",
    "smr.install": lambda f: f"takes over the state after command {f.get('smr.index', '?')}",
    "smr.crash": lambda f: "crashes",
    "smr.apply": _apply,
    "smr.checkpoint": lambda f: f"makes the state after command {f.get('smr.index', '?')} stable",
    "smr.client_request": lambda f: _sent(f, "request"),
    "smr.client_response": lambda f: _sent(f, "answer"),
}

VOCABULARY = Vocabulary(
    domain="smr",
    summary="Replicated state machines: commands applied, states after them",
    fields=FIELDS,
    events=EVENTS,
    describe=describe,
)
