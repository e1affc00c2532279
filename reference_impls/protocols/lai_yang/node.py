"""A process of the bank that takes snapshots with coloured messages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any, NamedTuple

from reference_impls.runtime.effects import Effect, Note, Send
from reference_impls.workloads.bank import BankNode, Transfer


class Count(NamedTuple):
    """How many messages, white for the snapshot, its sender has sent to the receiver since the beginning."""

    snapshot: int
    white: int

    @property
    def event(self) -> str:
        return "snapshot.count"

    def fields(self) -> Mapping[str, Any]:
        return {"snapshot.id": self.snapshot, "snapshot.value": self.white}


class Recording:
    """A snapshot of which some channels are not complete yet.

    Attributes
    ----------
    taken: white messages received from each process so far.
    waiting: white messages received since the process turned red, for each channel that is still open.
    expected: what the sender of each channel told.
    """

    def __init__(self, taken: Mapping[str, int], others: Sequence[str]) -> None:
        self.taken = Counter(taken)
        self.waiting: dict[str, list[Transfer]] = {other: [] for other in others}
        self.expected: dict[str, int] = {}


class LaiYangNode(BankNode):
    """White for snapshot k until it has recorded it, then red.

    Attributes
    ----------
    color: the latest snapshot that it has recorded.
    sent, taken: how many transfers it has sent to, and received from, each process.
    """

    def __init__(self, name: str, names: Sequence[str], random: Random, quota: int) -> None:
        super().__init__(name, names, random, quota)
        self.color = 0
        self.sent: Counter[str] = Counter()
        self.taken: Counter[str] = Counter()
        self.recordings: dict[int, Recording] = {}

    def initiate(self) -> list[Effect]:
        """Turns red at its own convenience."""
        return self._redden(self.color + 1)

    def send_transfer(self, to: str, transfer: Transfer) -> list[Effect]:
        """A message gets the colour of its sender."""
        self.sent[to] += 1
        return super().send_transfer(to, transfer._replace(color=self._paint()))

    def take_transfer(self, sender: str, transfer: Transfer) -> list[Effect]:
        """Before it takes a red message, a white process turns red; a red process keeps white messages."""
        assert transfer.color is not None, "every transfer has a color here"
        effects = self._redden(transfer.color, before_receive=True) if self._must_redden(transfer.color) else []
        self.taken[sender] += 1
        effects += super().take_transfer(sender, transfer)
        for snapshot, recording in list(self.recordings.items()):
            if transfer.color < snapshot:
                recording.taken[sender] += 1
                if sender in recording.waiting:
                    recording.waiting[sender].append(transfer)
                    effects += self._completed(snapshot, sender)
        return effects

    def on_control(self, sender: str, message: Count) -> list[Effect]:
        """The sender is red: so is the message."""
        effects = self._redden(message.snapshot) if message.snapshot > self.color else []
        self.recordings[message.snapshot].expected[sender] = message.white
        return [*effects, *self._completed(message.snapshot, sender)]

    def _must_redden(self, color: int) -> bool:
        return color > self.color

    def _paint(self) -> int:
        return self.color

    def _redden(self, color: int, before_receive: bool = False) -> list[Effect]:
        """Records every snapshot up to `color`: its state, and from now on what comes in white."""
        effects: list[Effect] = []
        for snapshot in range(self.color + 1, color + 1):
            self.recordings[snapshot] = Recording(self.taken, self.others)
            effects.append(self._note(snapshot, before_receive))
            effects += [Send(other, Count(snapshot, self.sent[other])) for other in self.others]
        self.color = color
        return effects

    def _note(self, snapshot: int, before_receive: bool) -> Note:
        return self.recorded(snapshot, before_receive=before_receive or None)

    def _completed(self, snapshot: int, sender: str) -> list[Effect]:
        """The channel's state, once as many white messages have come as were sent."""
        recording = self.recordings[snapshot]
        if recording.taken[sender] != recording.expected.get(sender):
            return []
        return [self.channel_state(snapshot, sender, self._state(recording.waiting.pop(sender)))]

    def _state(self, came: list[Transfer]) -> list[Transfer]:
        return came
