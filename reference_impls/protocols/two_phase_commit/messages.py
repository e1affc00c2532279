"""The messages of two-phase commit that three-phase commit does not have; the others are in `commit_site`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reference_impls.protocols.commit_site import About


class Ack(About):
    """The decision has arrived: the coordinator need not tell it again."""

    EVENT = "commit.ack"
    __slots__ = ()


class DecisionRequest(About):
    """An uncertain process asks another one for the decision (cooperative termination, 7.4)."""

    EVENT = "commit.decision_request"
    __slots__ = ()


@dataclass(frozen=True, slots=True)
class DecisionResponse(About):
    """The answer of one that knows the decision; one that is uncertain itself cannot help and is silent."""

    EVENT = "commit.decision_response"
    decision: str

    def fields(self) -> Mapping[str, Any]:
        return {"commit.txn": self.txn, "commit.message_decision": self.decision}
