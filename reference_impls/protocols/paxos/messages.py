"""The messages of the two phases (2.2), of learning (2.3), and of clients; and the fields that their rows carry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple


class Proposal(NamedTuple):
    """A proposal: its number, which no other one has, and its value (2.2)."""

    ballot: int
    value: str


@dataclass(frozen=True, slots=True)
class _Message:
    """Every message is about one instance of consensus."""

    EVENT: ClassVar[str]
    instance: int

    @property
    def event(self) -> str:
        """Name of its rows."""
        return self.EVENT

    def fields(self) -> Mapping[str, Any]:
        """What its rows carry."""
        return {"paxos.instance": self.instance, **self.content()}

    def content(self) -> Mapping[str, Any]:
        """What they carry beside the instance."""
        return {}


@dataclass(frozen=True, slots=True)
class Submit(_Message):
    """A client puts a value forward."""

    EVENT = "paxos.submit"
    value: str

    def content(self) -> Mapping[str, Any]:
        return {"paxos.value": self.value}


@dataclass(frozen=True, slots=True)
class Answer(_Message):
    """What was chosen, for a client that had put a value forward."""

    EVENT = "paxos.answer"
    value: str

    def content(self) -> Mapping[str, Any]:
        return {"paxos.value": self.value}


@dataclass(frozen=True, slots=True)
class Prepare(_Message):
    """Phase 1(a): a proposer asks for a promise, and for what has been accepted (2.2)."""

    EVENT = "paxos.prepare"
    ballot: int

    def content(self) -> Mapping[str, Any]:
        return {"paxos.ballot": self.ballot}


@dataclass(frozen=True, slots=True)
class Promise(_Message):
    """Phase 1(b): the promise, with the highest-numbered proposal that the acceptor has accepted, if any (2.2)."""

    EVENT = "paxos.promise"
    ballot: int
    last: Proposal | None

    def content(self) -> Mapping[str, Any]:
        fields: dict[str, Any] = {"paxos.ballot": self.ballot}
        if self.last is not None:
            fields["paxos.last_ballot"], fields["paxos.last_value"] = self.last
        return fields


@dataclass(frozen=True, slots=True)
class Accept(_Message):
    """Phase 2(a): an accept request (2.2)."""

    EVENT = "paxos.accept"
    proposal: Proposal

    def content(self) -> Mapping[str, Any]:
        return {"paxos.ballot": self.proposal.ballot, "paxos.value": self.proposal.value}


@dataclass(frozen=True, slots=True)
class Accepted(_Message):
    """Phase 2(b): the acceptor tells the proposer, who is the learner that tells the others (2.3)."""

    EVENT = "paxos.accepted"
    proposal: Proposal

    def content(self) -> Mapping[str, Any]:
        return {"paxos.ballot": self.proposal.ballot, "paxos.value": self.proposal.value}


@dataclass(frozen=True, slots=True)
class Refusal(_Message):
    """The acceptor ignores a request and says so, which helps progress and is not needed for safety (2.2)."""

    EVENT = "paxos.refusal"
    ballot: int
    promised: int

    def content(self) -> Mapping[str, Any]:
        return {"paxos.ballot": self.ballot, "paxos.message_promised": self.promised}


@dataclass(frozen=True, slots=True)
class Chosen(_Message):
    """The news that a value is chosen (2.3)."""

    EVENT = "paxos.chosen"
    value: str

    def content(self) -> Mapping[str, Any]:
        return {"paxos.value": self.value}
