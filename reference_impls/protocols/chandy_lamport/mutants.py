"""Chandy and Lamport's algorithm with one rule broken each, for the check to find."""

from __future__ import annotations

from typing import Any

from reference_impls.protocols.chandy_lamport.node import ChandyLamportNode, Marker
from reference_impls.runtime.effects import Effect, Send
from reference_impls.runtime.plan import Bug, by_name
from reference_impls.workloads.bank import Transfer
from tracekit.protocols import Mutant


class MarkerAfterMessage(ChandyLamportNode):
    """Keeps its markers back until the next transfer has left."""

    kept: list[Effect]

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.kept = []

    def _markers(self, snapshot: int) -> list[Effect]:
        if self.made == self.quota:  # no transfer will follow
            return super()._markers(snapshot)
        self.kept += super()._markers(snapshot)
        return []

    def send_transfer(self, to: str, transfer: Transfer) -> list[Effect]:
        kept, self.kept = self.kept, []
        return [*super().send_transfer(to, transfer), *kept]


class LostChannelState(ChandyLamportNode):
    """Records every channel as empty."""

    def _state(self, came: list[Transfer]) -> list[Transfer]:
        return []


class RecordedTwice(ChandyLamportNode):
    """Records its state anew with every marker; the markers that it has sent stand."""

    def on_control(self, sender: str, message: Marker) -> list[Effect]:
        again: list[Effect] = [] if self._first(message.snapshot) else [self.recorded(message.snapshot)]
        return [*again, *super().on_control(sender, message)]


class MarkerNotForwarded(ChandyLamportNode):
    """Sends markers where it is an initiator, and to one process only where it is not."""

    def on_control(self, sender: str, message: Marker) -> list[Effect]:
        first = self._first(message.snapshot)
        effects = super().on_control(sender, message)
        kept = self.others[0]
        return [e for e in effects if not (first and isinstance(e, Send) and e.to != kept)]


CHECK = "snapshot.chandy-lamport"
BUGS = by_name(
    Bug(
        Mutant("non-fifo-channel", "messages are received in the order sent (section 2)", CHECK),
        ChandyLamportNode,
        fifo=False,
    ),
    Bug(
        Mutant(
            "marker-after-message",
            "the marker is sent before any further message along the channel (section 3, marker-sending rule)",
            CHECK,
        ),
        MarkerAfterMessage,
    ),
    Bug(
        Mutant(
            "lost-channel-state",
            "a channel's state is what came in between recording and its marker (section 3, marker-receiving rule)",
            CHECK,
        ),
        LostChannelState,
    ),
    Bug(
        Mutant("recorded-twice", "a process that has recorded its state does not record it again (section 3)", CHECK),
        RecordedTwice,
    ),
    Bug(
        Mutant(
            "marker-not-forwarded",
            "a process that records sends a marker along every outgoing channel (section 3, marker-sending rule)",
            CHECK,
        ),
        MarkerNotForwarded,
    ),
)
"""Every bug by its mutant's name."""
