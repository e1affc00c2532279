"""A process of the bank that takes snapshots with markers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any, NamedTuple

from reference_impls.runtime.effects import Effect, Send
from reference_impls.workloads.bank import BankNode, Transfer


class Marker(NamedTuple):
    """Says: what I sent before this one was sent before I recorded my state."""

    snapshot: int

    @property
    def event(self) -> str:
        return "snapshot.marker"

    def fields(self) -> Mapping[str, Any]:
        return {"snapshot.id": self.snapshot}


class ChandyLamportNode(BankNode):
    """The two rules of section 3, for any number of snapshots.

    Attributes
    ----------
    channels: for each snapshot in which it has recorded its state, what came in since then on each incoming channel
        whose marker is still to come.
    """

    def __init__(self, name: str, names: Sequence[str], random: Random, quota: int) -> None:
        super().__init__(name, names, random, quota)
        self.channels: dict[int, dict[str, list[Transfer]]] = {}

    def initiate(self) -> list[Effect]:
        """Records spontaneously; several processes may do so at once."""
        return self._record(max(self.channels, default=0) + 1)

    def on_control(self, sender: str, message: Marker) -> list[Effect]:
        """Marker-receiving rule."""
        snapshot = message.snapshot
        effects: list[Effect] = []
        if self._first(snapshot):
            effects += self._record(snapshot)
        came = self.channels[snapshot].pop(sender, [])
        return [*effects, self.channel_state(snapshot, sender, self._state(came))]

    def take_transfer(self, sender: str, transfer: Transfer) -> list[Effect]:
        """What comes in between recording and a channel's marker is the state of that channel."""
        for channels in self.channels.values():
            if sender in channels:
                channels[sender].append(transfer)
        return super().take_transfer(sender, transfer)

    def _first(self, snapshot: int) -> bool:
        return snapshot not in self.channels

    def _record(self, snapshot: int) -> list[Effect]:
        """Marker-sending rule: one marker along each channel, before any further message along it."""
        self.channels[snapshot] = {other: [] for other in self.others}
        return [self.recorded(snapshot), *self._markers(snapshot)]

    def _markers(self, snapshot: int) -> list[Effect]:
        return [Send(other, Marker(snapshot)) for other in self.others]

    def _state(self, came: list[Transfer]) -> list[Transfer]:
        return came
