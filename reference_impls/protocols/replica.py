"""A replica that keeps a log of updates and spreads it: by mail at once, and by anti-entropy whatever the mail lost.

After Demers et al., "Epidemic Algorithms for Replicated Database Maintenance", PODC 1987 (direct mail, section 1.2;
anti-entropy, section 1.3), here by pull; what one side lacks is told by a version vector, as in Petersen et al.,
"Flexible Update Propagation for Weakly Consistent Replication", SOSP 1997.

When an update that has arrived may take effect, and what it does, is what the stores differ in. Left out: cutting off
the log of what everybody has.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, NamedTuple

from reference_impls.protocols.kv_store import Command
from reference_impls.protocols.store_messages import Named, Request, Response
from reference_impls.runtime.effects import Effect, Note, Persist, Reply, Send, SetTimer
from reference_impls.runtime.process import Stable

MILLISECOND = 1_000_000
ANTI_ENTROPY = 50 * MILLISECOND
"""How often a replica asks another one for what it lacks."""
MOST_UPDATES = 100
"""How many updates one message carries at most."""


class Stamp(NamedTuple):
    """A Lamport timestamp, made total by the replica's name (Lamport 1978)."""

    time: int
    replica: str


class Update(NamedTuple):
    """What a client's request changes.

    Attributes
    ----------
    origin, number: the replica that accepted the request, and the place among all that it accepted, from 1.
    stamp: when it was accepted, for whoever has to choose between updates.
    after: the version vector of the origin when it accepted this.
    observed: what the origin found in its state that the update needs: for a removal what is to be removed.
    """

    origin: str
    number: int
    stamp: Stamp
    after: Mapping[str, int]
    command: Command
    observed: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """Unique in the run."""
        return f"{self.origin}#{self.number}"


@dataclass(frozen=True, slots=True)
class Updates(Named):
    """Some updates; the receiver may know them."""

    EVENT = "store.updates"
    updates: tuple[Update, ...]


@dataclass(frozen=True, slots=True)
class Lacking(Named):
    """Asks for all updates behind this version vector."""

    EVENT = "store.lacking"
    version: Mapping[str, int]


class Replica:
    """A store of registers; the last writer wins (Johnson & Thomas, RFC 677, 1975).

    Attributes
    ----------
    log: updates in the order in which they took effect here; stable.
    version: for each origin, how many of its updates took effect without a gap.
    waiting: updates that have arrived and may not yet take effect.
    sources: whom anti-entropy asks.
    """

    def __init__(self, name: str, members: Sequence[str], random: Random) -> None:
        self.name = name
        self.others = [member for member in members if member != name]
        self.sources = self.others
        self.random = random
        self.log: list[Update] = []
        self.version: dict[str, int] = {}
        self.delivered: set[str] = set()
        self.waiting: dict[str, Update] = {}
        self.time = 0
        self.latest: dict[str, int] = {}
        self.registers: dict[str, tuple[Stamp, str]] = {}
        self._effects: list[Effect] = []

    # What the stores differ in

    def may_take_effect(self, update: Update) -> bool:
        """Whether an update that has arrived may take effect now; later it will be asked again."""
        return True

    def apply(self, update: Update) -> None:
        """What an update does to the state: of two writes of a register the one with the later stamp stays."""
        key, value = update.command.key, update.command.value
        assert value is not None, "only reads come without a value"
        if key not in self.registers or self.is_later(update.stamp, self.registers[key][0]):
            self.registers[key] = update.stamp, value

    def is_later(self, stamp: Stamp, than: Stamp) -> bool:
        """Which of two writes stays."""
        return stamp > than

    def read(self, key: str) -> str | None:
        """What clients see, as canonical JSON; None: nothing."""
        return self.registers[key][1] if key in self.registers else None

    def observe(self, command: Command) -> tuple[str, ...]:
        """What an update needs to know of the state that its client saw."""
        return ()

    def keys(self) -> Sequence[str]:
        """Where clients may see something."""
        return list(self.registers)

    def clock(self, now_ns: int) -> int:
        """The time of a new update: Lamport's clock, later than all that took effect here."""
        return self.time + 1

    # Inputs

    def on_start(self, stable: Stable) -> Sequence[Effect]:
        """Everything is in the log: a restarted replica replays it."""
        for update in stable.log:
            self._take(update)
        start = Note({}, "store.restart" if "started" in stable.cells else "store.init")
        return [start, Persist({"started": True}), *self._anti_entropy_later()]

    def on_timer(self, now_ns: int, name: str) -> Sequence[Effect]:
        """Anti-entropy: asks somebody at random (Demers et al., 1.3)."""
        return [Send(self.random.choice(self.sources), Lacking(dict(self.version))), *self._anti_entropy_later()]

    def on_message(self, now_ns: int, sender: str, message: Any) -> Sequence[Effect]:
        """A client's request or another replica's updates."""
        self._effects = []
        if isinstance(message, Request):
            self.on_request(now_ns, message.command)
        elif isinstance(message, Updates):
            self._on_updates(message.updates)
        elif isinstance(message, Lacking):
            self._on_lacking(sender, message.version)
        else:
            self.on_other(now_ns, sender, message)
        return self._effects

    def on_other(self, now_ns: int, sender: str, message: Any) -> None:
        """A message that only this kind of store has."""
        raise TypeError(f"no replica sends {message}")

    # Clients

    def on_request(self, now_ns: int, command: Command) -> None:
        """Answers from its own state; an update is stable here before the answer, and elsewhere some time later."""
        if command.f == "read":
            self.answer(command, self.read(command.key))
        else:
            self.accept(now_ns, command)
            self.answer(command)

    def answer(self, command: Command, value: str | None = None) -> None:
        """To the client."""
        self._effects.append(Reply(command.client, Response(command.number, value)))

    def accept(self, now_ns: int, command: Command) -> None:
        """Makes an update of a request, lets it take effect and mails it to all others; but only once."""
        if command.number <= self.latest.get(command.client, 0):
            return
        update = Update(
            self.name,
            self.version.get(self.name, 0) + 1,
            Stamp(self.clock(now_ns), self.name),
            dict(self.version),
            command,
            self.observe(command),
        )
        self._deliver(update)
        self._record_state()
        self._effects += (Send(other, Updates((update,))) for other in self.others)

    # Other replicas

    def _on_lacking(self, sender: str, version: Mapping[str, int]) -> None:
        lacking = [update for update in self.log if update.number > version.get(update.origin, 0)]
        if lacking:
            self._effects.append(Send(sender, Updates(tuple(lacking[:MOST_UPDATES]))))

    def _on_updates(self, updates: Sequence[Update]) -> None:
        """Everything that may take effect does; what takes effect may be what others have waited for."""
        self.waiting |= {update.id: update for update in updates if update.id not in self.delivered}
        before = len(self.log)
        while ready := [update for update in self.waiting.values() if self.may_take_effect(update)]:
            del self.waiting[ready[0].id]
            self._deliver(ready[0])
        if len(self.log) > before:
            self._record_state()

    def _deliver(self, update: Update) -> None:
        self._effects.append(Persist({}, len(self.log) + 1, (update,)))
        self._take(update)
        self._effects.append(Note({"replica.update": update.id}, "replica.deliver"))

    def _take(self, update: Update) -> None:
        """An update takes effect, for the first time or again after a crash."""
        self.log.append(update)
        self.delivered.add(update.id)
        number = self.version.get(update.origin, 0)
        while f"{update.origin}#{number + 1}" in self.delivered:
            number += 1
        self.version[update.origin] = number
        self.time = max(self.time, update.stamp.time)
        client = update.command.client
        self.latest[client] = max(self.latest.get(client, 0), update.command.number)
        self.apply(update)

    def _record_state(self) -> None:
        state = json.dumps({key: self.read(key) for key in sorted(self.keys())})
        digest = hashlib.sha256(state.encode()).hexdigest()[:16]
        self._effects.append(Note({"replica.digest": digest}, "replica.state"))

    def _anti_entropy_later(self) -> Sequence[Effect]:
        return [SetTimer("anti-entropy", ANTI_ENTROPY)] if self.sources else []
