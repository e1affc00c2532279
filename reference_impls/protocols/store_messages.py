"""What clients of the replicated stores say and hear, and how messages are made that need no fields of their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from reference_impls.protocols.kv_store import Command


class Named:
    """A message whose rows carry its name and nothing else."""

    EVENT: ClassVar[str]

    @property
    def event(self) -> str:
        """Name of its rows."""
        return self.EVENT

    def fields(self) -> Mapping[str, Any]:
        """What its rows carry."""
        return {}


@dataclass(frozen=True, slots=True)
class Request(Named):
    """A client asks for an operation."""

    EVENT = "store.request"
    command: Command


@dataclass(frozen=True, slots=True)
class Response(Named):
    """The operation was done; `value` is what a read found, as canonical JSON, None: nothing."""

    EVENT = "store.response"
    number: int
    value: str | None = None
    status: str = "ok"
