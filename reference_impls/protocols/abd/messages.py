"""The two rounds of every operation: query and answer, update and acknowledgement."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from reference_impls.protocols.store_messages import Named


class Tag(NamedTuple):
    """Orders the values of a register: a number, and who wrote, so that no two writes have the same."""

    number: int
    writer: str


class Operation(NamedTuple):
    """Which operation a message belongs to: a client, and its serial number."""

    client: str
    number: int


class Versioned(NamedTuple):
    """A value of the register with its tag; None: the initial value."""

    tag: Tag
    value: str | None


INITIAL = Versioned(Tag(0, ""), None)


@dataclass(frozen=True, slots=True)
class Query(Named):
    """Which value has the key?"""

    EVENT = "abd.query"
    operation: Operation
    key: str


@dataclass(frozen=True, slots=True)
class Answer(Named):
    """What the server stores for the key."""

    EVENT = "abd.answer"
    operation: Operation
    found: Versioned


@dataclass(frozen=True, slots=True)
class Update(Named):
    """Store this value, unless you have a newer one."""

    EVENT = "abd.update"
    operation: Operation
    key: str
    new: Versioned


@dataclass(frozen=True, slots=True)
class Acknowledge(Named):
    """The server stores the value of this tag, or a newer one."""

    EVENT = "abd.acknowledge"
    operation: Operation
    tag: Tag
