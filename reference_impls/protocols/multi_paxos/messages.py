"""The messages of both phases for many slots, of learning, of the leader's life, and of clients."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from reference_impls.protocols.kv_store import Command
from reference_impls.protocols.multi_paxos.machine import digest_of
from reference_impls.protocols.store_messages import Named


class Pvalue(NamedTuple):
    """A ballot, a slot and a command, in PMMC's terms: a proposal for an instance. None: the no-op."""

    ballot: int
    slot: int
    command: Command | None


@dataclass(frozen=True, slots=True)
class Prepare(Named):
    """Phase 1(a) for every slot from `first` on: a prepare request for infinitely many instances (3)."""

    EVENT = "paxos.prepare"
    ballot: int
    first: int

    def fields(self) -> Mapping[str, Any]:
        return {"paxos.ballot": self.ballot}


@dataclass(frozen=True, slots=True)
class Promise(Named):
    """Phase 1(b), one short message for all slots (3).

    Attributes
    ----------
    accepted: what the acceptor has accepted in slots of which it does not know the outcome.
    first, chosen: what it knows to be chosen, from the slot on that was asked for.
    """

    EVENT = "paxos.promise"
    ballot: int
    accepted: tuple[Pvalue, ...]
    first: int = 1
    chosen: tuple[Command | None, ...] = ()

    def fields(self) -> Mapping[str, Any]:
        return {"paxos.ballot": self.ballot, "paxos.reports": len(self.accepted)}


@dataclass(frozen=True, slots=True)
class Accept(Named):
    """Phase 2(a)."""

    EVENT = "paxos.accept"
    pvalue: Pvalue

    def fields(self) -> Mapping[str, Any]:
        return proposal_fields(self.pvalue)


@dataclass(frozen=True, slots=True)
class Accepted(Named):
    """Phase 2(b)."""

    EVENT = "paxos.accepted"
    pvalue: Pvalue

    def fields(self) -> Mapping[str, Any]:
        return proposal_fields(self.pvalue)


@dataclass(frozen=True, slots=True)
class Refusal(Named):
    """The acceptor has promised a higher ballot; the leader of the lower one is preempted (PMMC)."""

    EVENT = "paxos.refusal"
    ballot: int
    promised: int

    def fields(self) -> Mapping[str, Any]:
        return {"paxos.ballot": self.ballot, "paxos.message_promised": self.promised}


@dataclass(frozen=True, slots=True)
class Chosen(Named):
    """The decision of a slot."""

    EVENT = "paxos.chosen"
    slot: int
    command: Command | None

    def fields(self) -> Mapping[str, Any]:
        return {"paxos.instance": self.slot, "paxos.value": digest_of(self.command)}


@dataclass(frozen=True, slots=True)
class Heartbeat(Named):
    """The leader is there; `decided`: up to which slot it knows every decision."""

    EVENT = "paxos.heartbeat"
    ballot: int
    decided: int

    def fields(self) -> Mapping[str, Any]:
        return {"paxos.ballot": self.ballot}


@dataclass(frozen=True, slots=True)
class CatchUp(Named):
    """A replica asks for the decisions that it missed, from a slot on."""

    EVENT = "paxos.catch_up"
    first: int


@dataclass(frozen=True, slots=True)
class Missed(Named):
    """The decisions of slots from `first` on."""

    EVENT = "paxos.missed"
    first: int
    commands: tuple[Command | None, ...]


@dataclass(frozen=True, slots=True)
class ClientRequest(Named):
    """A client asks for a command to be executed."""

    EVENT = "smr.client_request"
    command: Command


@dataclass(frozen=True, slots=True)
class ClientResponse(Named):
    """The answer to a client.

    Attributes
    ----------
    number: the request's serial number.
    status: ok, fail (the command was executed and refused: a cas that did not match), or redirect: ask `leader`, who
        is empty where no leader is known.
    value: what a read returned, as canonical JSON; None: nothing.
    """

    EVENT = "smr.client_response"
    number: int
    status: str
    value: str | None = None
    leader: str = ""


def proposal_fields(pvalue: Pvalue) -> dict[str, Any]:
    """A proposal as its rows carry it."""
    ballot, slot, command = pvalue
    return {"paxos.instance": slot, "paxos.ballot": ballot, "paxos.value": digest_of(command)}
