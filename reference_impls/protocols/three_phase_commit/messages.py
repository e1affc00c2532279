"""The messages of three-phase commit that two-phase commit does not have; the others are in `commit_site`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reference_impls.protocols.commit_site import About


class PreCommit(About):
    """All have voted yes."""

    EVENT = "commit.pre_commit"
    __slots__ = ()


class PreCommitAck(About):
    """The receiver of PRE-COMMIT knows it."""

    EVENT = "commit.pre_commit_ack"
    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Elected(About):
    """The receiver is the new coordinator."""

    EVENT = "commit.elected"
    participants: tuple[str, ...]


class StateRequest(About):
    """A new coordinator asks for the state of the transaction."""

    EVENT = "commit.state_request"
    __slots__ = ()


@dataclass(frozen=True, slots=True)
class StateResponse(About):
    """The answer: aborted, uncertain, committable or committed."""

    EVENT = "commit.state_response"
    state: str

    def fields(self) -> Mapping[str, Any]:
        return {"commit.txn": self.txn, "commit.message_state": self.state}


class DecisionRequest(About):
    """A process that has crashed since it voted asks for the decision."""

    EVENT = "commit.decision_request"
    __slots__ = ()


@dataclass(frozen=True, slots=True)
class DecisionResponse(About):
    """The answer: the state, and whether the one asked has crashed as well since it voted."""

    EVENT = "commit.decision_response"
    state: str
    recovering: bool

    def fields(self) -> Mapping[str, Any]:
        return {
            "commit.txn": self.txn,
            "commit.message_state": self.state,
            "commit.message_recovering": self.recovering,
        }
