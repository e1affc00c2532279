"""Locks: who asks, who is given a lock and for how long, who uses it, and which writes a resource takes.

Three places may record, and each check says whose events it reads. Whoever decides (a lock service; in Lamport's
algorithm each process for itself) records ``lock.grant``, ``lock.extend``, ``lock.release``, ``lock.expire``. Whoever
holds a lock on lease records from when to when it takes the lock to be its own: ``lock.acquire``, ``lock.renew``,
``lock.leave``, ``lock.lapse``. A resource that compares fencing tokens records ``lock.accept`` and ``lock.reject``.

A lock is named by `lock.name` (absent: there is one lock only). A token stands for one grant: two grants of one lock
with the same holder and token are one, told twice, as servers do after a failover; so are ends told twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tracekit.trace.schema import Field, Type
from tracekit.vocabulary import Vocabulary

FIELDS = (
    Field("lock.name", Type.TEXT, "The lock that the event is about. Absent: there is one lock only."),
    Field(
        "lock.holder", Type.TEXT, "Who is given the lock, has it or had it. Absent: the process that records the event."
    ),
    Field("lock.token", Type.INT, "Fencing token of the grant: every later grant of the lock has a larger one."),
    Field(
        "lock.lease_ns",
        Type.INT,
        "The lock is given for so long from this event on, by the clock of the process that records it. Absent at "
        "every event of a grant: until it is released.",
        unit="ns",
    ),
    Field(
        "lock.expires_ns",
        Type.INT,
        "Instead of `lock.lease_ns`: what the clock (`time_ns`) of the recording process shows when the lease ends.",
        unit="ns",
    ),
    Field("lock.by", Type.TEXT, "Who asked for the release. Absent: the holder that the event names."),
    Field("lock.timestamp", Type.INT, "Lamport's algorithm: timestamp of the request that is made, granted or ended."),
    Field("lock.wait_ns", Type.INT, "How long a request waits at most; 0: it does not wait. Absent: for ever.", "ns"),
    Field("lock.status", Type.TEXT, "State of the lock as an answer tells it: LOCKED, FREE."),
    Field("lock.epoch", Type.INT, "Replicated service: the number under which a server leads."),
    Field("lock.message_timestamp", Type.INT, "Lamport's algorithm: timestamp that the message carries."),
    Field("lock.message_token", Type.INT, "Token in the message."),
    Field("lock.message_epoch", Type.INT, "Epoch in a message between servers."),
    Field("lock.message_version", Type.INT, "Version of the table of locks in a message between servers."),
)

EVENTS = {
    "lock.init": "A server starts.",
    "lock.restart": "The process starts again with what it had made stable (kind restart).",
    "lock.crash": "The process stops (kind crash).",
    "lock.request": "A process asks for a lock; also the request itself, sent or received.",
    "lock.grant": "Decided: the holder has the lock from now on.",
    "lock.keep": "Decided: a server that takes over finds the lock held and leaves it to its holder.",
    "lock.extend": "Decided: the holder's lease is extended.",
    "lock.release": "Decided: the holder has the lock no more, since somebody gave it back.",
    "lock.expire": "Decided: the holder has the lock no more, since its lease is over.",
    "lock.refuse": "Decided: a request is not granted.",
    "lock.acquire": "The holder learns that it has the lock, and takes it to be its own from now on.",
    "lock.renew": "The holder learns that its lease is extended.",
    "lock.leave": "The holder stops using the lock and gives it back.",
    "lock.lapse": "The holder's lease is over by its own clock: it does not take the lock to be its own any more.",
    "lock.write": "A write to the resource that the lock guards, sent or received.",
    "lock.written": "The resource's answer to a write, sent or received.",
    "lock.accept": "The resource takes a write with this token.",
    "lock.reject": "The resource refuses a write with this token.",
    "lock.extend_request": "A holder asks for an extension of its lease, sent or received.",
    "lock.release_request": "A holder gives its lock back, sent or received.",
    "lock.answer": "A server's answer to any request, sent or received.",
    "lock.acknowledge": "Lamport's algorithm: a request is acknowledged, sent or received.",
    "lock.release_message": "Lamport's algorithm: the message that a lock is released, sent or received.",
    "lock.lead": "A server leads the others, under the epoch recorded.",
    "lock.prepare": "A server asks the others to follow it under its epoch, sent or received.",
    "lock.promise": "The answer, with the newest table of locks that the server stores, sent or received.",
    "lock.store": "The leading server's table of locks, sent or received.",
    "lock.stored": "A server stores that table; or it follows a later epoch; sent or received.",
}


def describe(name: str, fields: Mapping[str, Any]) -> str:
    """``grants l1 to c2, token 7``, ``refuses token 6``."""
    words = [_WHAT.get(name, _plain)({**fields, "name": name})]
    if fields.get("message") is not None:
        words.append(f"message {fields['message']}")
    return ", ".join(words)


def _plain(fields: Mapping[str, Any]) -> str:
    words = str(fields["name"]).removeprefix("lock.").replace("_", " ")
    if fields.get("kind") in ("send", "receive"):
        verb, way = ("sends", "to") if fields["kind"] == "send" else ("receives", "from")
        return f"{verb} {words} {way} {fields.get('peer', '?')}{_told(fields)}"
    return words + _of(fields)


def _told(fields: Mapping[str, Any]) -> str:
    """What a message carries."""
    for name, words in (
        ("lock.message_timestamp", ", timestamp"), ("lock.message_token", ", token"), ("lock.message_epoch", ", epoch"),
    ):  # fmt: skip
        if fields.get(name) is not None:
            return f"{words} {fields[name]}"
    return ""


def _of(fields: Mapping[str, Any]) -> str:
    """Which lock, token or timestamp."""
    words = f" {fields['lock.name']}" if fields.get("lock.name") is not None else ""
    for name, what in (("lock.token", "token"), ("lock.timestamp", "timestamp"), ("lock.epoch", "epoch")):
        if fields.get(name) is not None:
            words += f", {what} {fields[name]}"
    return words


def _lease(fields: Mapping[str, Any]) -> str:
    length = fields.get("lock.lease_ns")
    return f" for {length / 1e6:.6g} ms" if isinstance(length, int | float) else ""


def _decided(verb: str, way: str) -> Callable[[Mapping[str, Any]], str]:
    def words(fields: Mapping[str, Any]) -> str:
        holder = fields.get("lock.holder")
        lock = f" {fields['lock.name']}" if fields.get("lock.name") is not None else " the lock"
        who = "" if holder is None else f" {way} {holder}"
        return f"{verb}{lock}{who}{_of({**fields, 'lock.name': None})}{_lease(fields)}"

    return words


def _released(fields: Mapping[str, Any]) -> str:
    by, holder = fields.get("lock.by"), fields.get("lock.holder")
    asked = f", asked by {by}" if by is not None and by != holder else ""
    return _decided("frees", "held by")(fields) + asked if holder is not None else f"releases{_of(fields)}"


_WHAT: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "lock.request": lambda f: _plain(f) if f.get("kind") in ("send", "receive") else f"requests{_of(f)}",
    "lock.grant": lambda f: _decided("grants", "to")(f) if f.get("lock.holder") is not None else f"enters{_of(f)}",
    "lock.keep": _decided("leaves", "to"),
    "lock.extend": _decided("extends", "of"),
    "lock.release": _released,
    "lock.expire": _decided("ends the lease on", "of"),
    "lock.refuse": _decided("refuses", "to"),
    "lock.acquire": lambda f: f"holds{_of(f)}{_lease(f)}",
    "lock.renew": lambda f: f"holds on to{_of(f)}{_lease(f)}",
    "lock.leave": lambda f: f"gives back{_of(f)}",
    "lock.lapse": lambda f: f"sees its lease run out{_of(f)}",
    "lock.accept": lambda f: f"accepts a write{_of(f)}",
    "lock.reject": lambda f: f"refuses a write{_of(f)}",
    "lock.lead": lambda f: f"leads epoch {f.get('lock.epoch', '?')}",
    "lock.crash": lambda f: "crashes",
    "lock.restart": lambda f: "restarts",
}

VOCABULARY = Vocabulary(
    domain="lock",
    summary="Locks: grants, leases, fencing tokens",
    fields=FIELDS,
    events=EVENTS,
    describe=describe,
)
