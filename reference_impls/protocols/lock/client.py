"""A client that takes locks, writes to the storage while it holds them, and knows when its lease is over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from reference_impls.protocols.lock.messages import (
    LEASE,
    MILLISECOND,
    Acquire,
    Answer,
    Extend,
    Release,
    Write,
    Written,
    held,
)
from reference_impls.runtime.effects import CancelTimer, Done, Effect, Message, Note, Persist, Send, SetTimer
from reference_impls.runtime.process import Stable

RETRY = 40 * MILLISECOND
"""Without an answer for so long, a request is sent again, to the next server."""
BACK_OFF = 20 * MILLISECOND
"""Pause after being sent away by a server that knows no leader."""
GIVE_UP = 1_500 * MILLISECOND
"""Without the lock for so long, the client does not want it any more."""
TRIES = 4
"""How often a lock is given back, before it is left to its lease."""
THINK = (1 * MILLISECOND, 20 * MILLISECOND)
WORK = (2 * MILLISECOND, 40 * MILLISECOND)
"""What a client does before each write."""
WAITS = (None, None, 0, 80 * MILLISECOND)
"""How long a client waits for a lock: for ever, not at all (try-acquire), or with a timeout."""
TIMERS = ("work", "retry", "give-up", "lapse")


@dataclass
class Section:
    """One use of a lock, from the request to the end.

    Attributes
    ----------
    number: of the request under way; an answer to an earlier one has come too late.
    asked_ns: what the client's clock showed when it asked for the lock, or for the extension under way.
    token, until_ns: once granted: its token, and what the client's clock shows when its part of the lease ends.
    writes: how many are still to be made.
    extension: number of the extension under way, 0: there is none.
    leaving: how often the lock was given back; 0: it is used, or not had yet.
    """

    number: int
    lock: str
    wait_ns: int | None
    asked_ns: int
    writes: int
    token: int | None = None
    until_ns: int = 0
    extension: int = 0
    leaving: int = 0


class LockClient:
    """One client.

    Parameters
    ----------
    servers, storage, locks: names.
    quota: how many sections it runs through.
    lease: how long a lease lasts by the service's clock, ns.
    """

    def __init__(
        self,
        name: str,
        servers: Sequence[str],
        storage: str,
        locks: Sequence[str],
        quota: int,
        random: Random,
        lease: int = LEASE,
    ) -> None:
        self.name = name
        self.servers = servers
        self.storage = storage
        self.locks = locks
        self.left = quota
        self.lease = lease
        self.random = random
        self.server = servers[0]
        self.number = 0
        self.section: Section | None = None
        self.given_up: set[int] = set()
        self.now = 0
        self._effects: list[Effect] = []

    # Inputs

    def on_start(self, stable: Stable) -> Sequence[Effect]:
        """After a crash it knows which numbers it has used and how much is left to do, and nothing of its locks."""
        self._effects = []
        if stable.cells:
            self.number, self.left = stable.cells["number"], stable.cells["left"]
            self._effects.append(Note({}, "lock.restart"))
        self._pause()
        return self._effects

    def on_timer(self, now_ns: int, name: str) -> Sequence[Effect]:
        """Time to begin, to work, to ask again, to give up; or the lease is over."""
        self._effects, self.now = [], now_ns
        section = self.section
        if name == "next":
            self._begin()
        elif section is None:
            pass
        elif name == "work":
            self._work(section)
        elif name == "retry":
            self._ask_again(section)
        elif name == "lapse":
            self._on_lease_over(section)
        else:
            self.given_up.add(section.number)
            self._end()
        return self._effects

    def on_message(self, now_ns: int, sender: str, message: Any) -> Sequence[Effect]:
        """An answer of a server or of the storage."""
        self._effects, self.now = [], now_ns
        section = self.section
        if isinstance(message, Answer) and message.status == "granted":
            self._on_granted(message)
        elif section is None or message.number not in (section.number, section.extension or section.number):
            pass  # too late to matter
        elif isinstance(message, Written):
            self._on_written(section, message)
        elif message.status == "redirect":
            self._on_redirect(section, sender, message)
        elif message.status == "extended":
            self._on_extended(section, message)
        elif message.number == section.extension:
            self._leave(section)  # refused: the service knows of no lease any more
        else:
            self._end()  # refused, or released
        return self._effects

    # The lease

    def _on_granted(self, message: Answer) -> None:
        """The lease counts from when the client asked first, by its own clock (Gray & Cheriton)."""
        section = self.section
        if section is not None and section.token is None and message.number == section.number:
            section.token = message.token
            section.until_ns = self._lease_end(section)
            if section.until_ns <= self.now:
                self._leave(section, had=False)  # over before it was heard of
                return
            self._holds(section, "lock.acquire")
            self._effects.append(CancelTimer("give-up"))
            self._proceed()
        elif message.number in self.given_up:
            self.given_up.discard(message.number)
            assert message.token is not None, "grants have tokens"
            self._send(self.server, Release(self._next_number(), message.lock, message.token))

    def _on_extended(self, section: Section, message: Answer) -> None:
        """The same counts for an extension, which may be over as well when it is heard of."""
        if message.number != section.extension or section.leaving:
            return
        section.extension = 0
        section.until_ns = self._lease_end(section)
        if section.until_ns > self.now:
            self._holds(section, "lock.renew")
        else:
            self._on_lease_over(section)

    def _lease_end(self, section: Section) -> int:
        return section.asked_ns + held(self.lease)

    def _holds(self, section: Section, event: str) -> None:
        left = section.until_ns - self.now
        self._effects += [Note({**self._told(section), "lock.lease_ns": left}, event), SetTimer("lapse", left)]

    def _on_lease_over(self, section: Section) -> None:
        """It does not take the lock to be its own any more; nobody need be told."""
        self._effects.append(Note(self._told(section), "lock.lapse"))
        self._end()

    # One section

    def _begin(self) -> None:
        if not self.left:
            self._effects.append(Done())
            return
        self.left -= 1
        number = self._next_number()
        lock, wait = self.random.choice(self.locks), self.random.choice(WAITS)
        section = self.section = Section(number, lock, wait, self.now, self.random.randint(1, 3))
        self._effects += [
            Note({"lock.name": lock, "lock.wait_ns": wait}, "lock.request"),
            SetTimer("give-up", GIVE_UP),
        ]
        self._ask(section)

    def _ask(self, section: Section) -> None:
        self._send(self.server, Acquire(section.number, section.lock, section.wait_ns))
        self._effects.append(SetTimer("retry", RETRY))

    def _work(self, section: Section) -> None:
        """Writes, or is done.

        It does not look at its clock first: it might be paused right after that, or the write be late on its way. What
        protects the resource is the token (Kleppmann 2016).
        """
        if not section.writes:
            self._leave(section)
            return
        if not section.extension and self.random.random() < 0.3:
            self._extend(section)
        self._write(section)

    def _extend(self, section: Section) -> None:
        assert section.token is not None, "it works with a lock only"
        section.extension, section.asked_ns = self._next_number(), self.now
        self._send(self.server, Extend(section.extension, section.lock, section.token))

    def _write(self, section: Section) -> None:
        assert section.token is not None, "it works with a lock only"
        self._send(self.storage, Write(section.number, section.lock, section.token))
        self._effects.append(SetTimer("retry", RETRY))

    def _on_written(self, section: Section, message: Written) -> None:
        """A write that was refused says that somebody else has the lock."""
        if section.leaving or message.number != section.number:
            return
        section.writes = max(0, section.writes - 1)
        if message.accepted:
            self._proceed()
        else:
            self._leave(section)

    def _leave(self, section: Section, had: bool = True) -> None:
        """Gives the lock back; from now on it is not used."""
        if had:
            self._effects.append(Note(self._told(section), "lock.leave"))
        self._effects += [CancelTimer("lapse"), CancelTimer("work"), CancelTimer("give-up")]
        section.number, section.extension = self._next_number(), 0
        self._give_back(section)

    def _give_back(self, section: Section) -> None:
        assert section.token is not None, "it had the lock"
        section.leaving += 1
        self._send(self.server, Release(section.number, section.lock, section.token))
        self._effects.append(SetTimer("retry", RETRY))

    def _ask_again(self, section: Section) -> None:
        """The same request, to the next server; an unanswered write goes to the same storage."""
        if section.token is not None and not section.leaving:
            self._write(section)
            return
        self.server = self.servers[(self.servers.index(self.server) + 1) % len(self.servers)]
        if section.token is None:
            self._ask(section)
        elif section.leaving < TRIES:
            self._give_back(section)
        else:
            self._end()

    def _on_redirect(self, section: Section, sender: str, message: Answer) -> None:
        """Asks the server that leads, or a little later again; while it uses the lock, there is nothing to ask."""
        if sender != self.server:
            return  # the request has gone elsewhere since
        using = section.token is not None and not section.leaving
        if message.leader and message.leader != sender:
            self.server = message.leader
            if not using:
                self._send(self.server, self._request(section))
        elif not using:
            self._effects.append(SetTimer("retry", BACK_OFF))

    def _request(self, section: Section) -> Message:
        if section.token is None:
            return Acquire(section.number, section.lock, section.wait_ns)
        return Release(section.number, section.lock, section.token)

    def _end(self) -> None:
        self.section = None
        self._effects += [CancelTimer(name) for name in TIMERS]
        self._pause()

    # Small things

    def _proceed(self) -> None:
        self._effects += [CancelTimer("retry"), SetTimer("work", self.random.randint(*WORK))]

    def _pause(self) -> None:
        self._effects.append(SetTimer("next", self.random.randint(*THINK)))

    def _told(self, section: Section) -> dict[str, Any]:
        return {"lock.name": section.lock, "lock.token": section.token}

    def _next_number(self) -> int:
        self.number += 1
        self._effects.append(Persist({"number": self.number, "left": self.left}))
        return self.number

    def _send(self, to: str, message: Message) -> None:
        self._effects.append(Send(to, message))
