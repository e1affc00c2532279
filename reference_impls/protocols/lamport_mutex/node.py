"""A process that enters the critical section again and again, by Lamport's five rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, ClassVar, NamedTuple

from reference_impls.runtime.effects import Effect, Note, Send, SetTimer
from reference_impls.runtime.process import Stable

LOCK = "resource"
"""The one resource."""
THINK = (200_000, 6_000_000)
"""Between two requests, ns."""
USE = (200_000, 3_000_000)
"""How long the resource is used, ns."""


class Stamp(NamedTuple):
    """What orders requests totally: a timestamp, then the place of the process (the relation => of the paper)."""

    time: int
    place: int


@dataclass(frozen=True)
class Stamped:
    """A message with its sender's timestamp (IR2 a)."""

    EVENT: ClassVar[str]
    time: int

    @property
    def event(self) -> str:
        """Name of its rows."""
        return self.EVENT

    def fields(self) -> Mapping[str, Any]:
        """What its rows carry."""
        return {"lock.name": LOCK, "lock.message_timestamp": self.time}


class Request(Stamped):
    """Tm:Pi requests resource."""

    EVENT = "lock.request"


class Acknowledge(Stamped):
    """The receiver's clock is past Tm."""

    EVENT = "lock.acknowledge"


class Release(Stamped):
    """Pi releases resource."""

    EVENT = "lock.release_message"


class LamportNode:
    """One process; the resource is used by nobody but these.

    Parameters
    ----------
    names: all processes; a process's place among them decides between equal timestamps.
    quota: how often it requests the resource.

    Attributes
    ----------
    clock: its logical clock, Ci.
    queue: its request queue: each process's request, where it has one.
    latest: timestamp of the latest message from each other process.
    using: whether it has been granted the resource.
    """

    def __init__(self, name: str, names: Sequence[str], random: Random, quota: int) -> None:
        self.name = name
        self.place = {other: place for place, other in enumerate(names)}
        self.others = [other for other in names if other != name]
        self.random = random
        self.left = quota
        self.clock = 0
        self.queue: dict[str, Stamp] = {}
        self.latest = dict.fromkeys(self.others, 0)
        self.using = False

    # Inputs

    def on_start(self, stable: Stable) -> Sequence[Effect]:
        """Nobody has the resource at first but him who asks first; every queue is empty."""
        return [Note({}, "lock.init"), *self._think()]

    def on_timer(self, now_ns: int, name: str) -> Sequence[Effect]:
        """It is time to ask for the resource, or it has been used long enough."""
        return self._request() if name == "request" else self._release()

    def on_message(self, now_ns: int, sender: str, message: Stamped) -> Sequence[Effect]:
        """IR2 (b): the clock becomes later than the message's timestamp."""
        self.clock = max(self.clock, message.time) + 1
        self.latest[sender] = message.time
        effects: list[Effect] = []
        if isinstance(message, Request):
            # Rule 2: it is placed on the queue and acknowledged.
            self.queue[sender] = Stamp(message.time, self.place[sender])
            effects.append(Send(sender, Acknowledge(self._tick())))
        elif isinstance(message, Release):
            # Rule 4: any request of the sender is removed.
            self.queue.pop(sender, None)
        return [*effects, *self._enter_if_granted()]

    # The rules

    def _request(self) -> list[Effect]:
        """Rule 1: the request goes to every other process and on its own queue."""
        self.left -= 1
        time = self._tick()
        self.queue[self.name] = Stamp(time, self.place[self.name])
        asked = Note({"lock.name": LOCK, "lock.timestamp": time}, "lock.request")
        return [asked, *(Send(other, Request(time)) for other in self.others), *self._enter_if_granted()]

    def _enter_if_granted(self) -> list[Effect]:
        """Rule 5; whether it holds is decided by the process alone."""
        own = self.queue.get(self.name)
        if own is None or self.using or not (self._is_first(own) and self._all_are_later(own)):
            return []
        self.using = True
        granted = Note({"lock.name": LOCK, "lock.timestamp": own.time}, "lock.grant")
        return [granted, SetTimer("release", self.random.randint(*USE))]

    def _is_first(self, own: Stamp) -> bool:
        """Rule 5 (i): its request is before any other one in its queue."""
        return own == min(self.queue.values())

    def _all_are_later(self, own: Stamp) -> bool:
        """Rule 5 (ii): it has received a message with a later timestamp from every other process."""
        return all(Stamp(self.latest[other], self.place[other]) > own for other in self.others)

    def _release(self) -> list[Effect]:
        """Rule 3: its request is removed, and every other process is told."""
        self.using = False
        own = self.queue.pop(self.name)
        time = self._tick()
        released = Note({"lock.name": LOCK, "lock.timestamp": own.time}, "lock.release")
        return [released, *(Send(other, Release(time)) for other in self.others), *self._think()]

    def _tick(self) -> int:
        """IR1: the clock is incremented between any two successive events."""
        self.clock += 1
        return self.clock

    def _think(self) -> list[Effect]:
        return [SetTimer("request", self.random.randint(*THINK))] if self.left else []
