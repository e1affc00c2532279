"""What clients and servers, servers among each other, and clients and the storage tell each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple

MILLISECOND = 1_000_000
LEASES = {"240ms": 240 * MILLISECOND, "80ms": 80 * MILLISECOND, "1s": 1_000 * MILLISECOND}
"""How long a lease may last by the leading server's clock, by the names of the setting."""
LEASE = LEASES["240ms"]
DRIFT_PPM = 100_000
"""By how much the rate of a clock may be wrong: 10 %."""


def held(lease: int) -> int:
    """How much of a lease a client takes for its own, by its own clock, ns.

    With clocks within 10 % of the true rate this is over before the lease is: 0.8 / 0.9 < 1 / 1.1.
    """
    return lease * 4 // 5


What = Literal["grant", "extend", "release", "expire"]
Status = Literal["granted", "extended", "released", "refused", "redirect"]


class Hold(NamedTuple):
    """Who has a lock, or had it last.

    Attributes
    ----------
    number: of the request that it was granted to.
    held: whether the lock is held; else it is free.
    """

    holder: str
    number: int
    token: int
    held: bool


class Operation(NamedTuple):
    """One change of the table.

    Attributes
    ----------
    hold: what the lock's entry is after it.
    by, number: who asked for it, and in which request; the service itself lets leases expire.
    """

    what: What
    lock: str
    hold: Hold
    by: str
    number: int = 0


class Version(NamedTuple):
    """Orders tables: by the epoch of the server that made them, then one after the other."""

    epoch: int
    number: int


@dataclass(frozen=True, slots=True)
class Table:
    """All locks, with the last token given and the operation that led to this table."""

    holds: Mapping[str, Hold]
    token: int = 0
    last: Operation | None = None

    def after(self, operation: Operation) -> Table:
        """The table that an operation leads to."""
        holds = {**self.holds, operation.lock: operation.hold}
        return Table(holds, max(self.token, operation.hold.token), operation)


class Named:
    """A message whose rows carry its name; a subclass says what else."""

    EVENT: ClassVar[str]

    @property
    def event(self) -> str:
        """Name of its rows."""
        return self.EVENT

    def fields(self) -> Mapping[str, Any]:
        """What its rows carry."""
        return {}


# Clients and servers. A client numbers its requests; an answer has the number of its request.


@dataclass(frozen=True, slots=True)
class Acquire(Named):
    """The client wants the lock. `wait_ns`: for how long it waits at most; 0: it does not; None: for ever."""

    EVENT = "lock.request"
    number: int
    lock: str
    wait_ns: int | None

    def fields(self) -> Mapping[str, Any]:
        return {"lock.name": self.lock, "lock.wait_ns": self.wait_ns}


@dataclass(frozen=True, slots=True)
class Extend(Named):
    """The client wants the lease of its grant to begin anew."""

    EVENT = "lock.extend_request"
    number: int
    lock: str
    token: int

    def fields(self) -> Mapping[str, Any]:
        return {"lock.name": self.lock, "lock.message_token": self.token}


@dataclass(frozen=True, slots=True)
class Release(Named):
    """The client does not need the lock any more."""

    EVENT = "lock.release_request"
    number: int
    lock: str
    token: int

    def fields(self) -> Mapping[str, Any]:
        return {"lock.name": self.lock, "lock.message_token": self.token}


@dataclass(frozen=True, slots=True)
class Answer(Named):
    """What became of a request; `redirect` goes with the server that leads, where that is known."""

    EVENT = "lock.answer"
    number: int
    status: Status
    lock: str
    token: int | None = None
    leader: str | None = None

    def fields(self) -> Mapping[str, Any]:
        return {"lock.name": self.lock, "lock.status": self.status, "lock.message_token": self.token}


# Servers


@dataclass(frozen=True, slots=True)
class Prepare(Named):
    """Follow me under this epoch, and tell me what you store."""

    EVENT = "lock.prepare"
    epoch: int

    def fields(self) -> Mapping[str, Any]:
        return {"lock.message_epoch": self.epoch}


@dataclass(frozen=True, slots=True)
class Promise(Named):
    """I follow nobody of an earlier epoch any more; this is what I store."""

    EVENT = "lock.promise"
    epoch: int
    version: Version
    table: Table

    def fields(self) -> Mapping[str, Any]:
        return {"lock.message_epoch": self.epoch, "lock.message_version": self.version.number}


@dataclass(frozen=True, slots=True)
class Store(Named):
    """The leading server's table; sent again and again, it also says that the server is there."""

    EVENT = "lock.store"
    version: Version
    table: Table

    def fields(self) -> Mapping[str, Any]:
        return {"lock.message_epoch": self.version.epoch, "lock.message_version": self.version.number}


@dataclass(frozen=True, slots=True)
class Stored(Named):
    """I store this version, or I follow a later epoch and do not."""

    EVENT = "lock.stored"
    epoch: int
    version: Version

    def fields(self) -> Mapping[str, Any]:
        return {"lock.message_epoch": self.epoch, "lock.message_version": self.version.number}


# Clients and the storage


@dataclass(frozen=True, slots=True)
class Write(Named):
    """A write to what the lock guards, with the token of the grant."""

    EVENT = "lock.write"
    number: int
    lock: str
    token: int

    def fields(self) -> Mapping[str, Any]:
        return {"lock.name": self.lock, "lock.message_token": self.token}


@dataclass(frozen=True, slots=True)
class Written(Named):
    """Whether the write was accepted."""

    EVENT = "lock.written"
    number: int
    lock: str
    accepted: bool

    def fields(self) -> Mapping[str, Any]:
        return {"lock.name": self.lock, "lock.status": "accepted" if self.accepted else "rejected"}
