"""A bank: processes send each other money; what all of them hold, with what is on its way, never changes.

The textbook's system for snapshots: whether a recorded global state is a possible one shows in its total.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any, NamedTuple

from reference_impls.runtime.effects import Effect, Note, Send, SetTimer
from reference_impls.runtime.process import Stable
from reference_impls.runtime.world import Stage
from tracekit.protocols import Simulation

MILLISECOND = 1_000_000
THINK = (100_000, 2 * MILLISECOND)
"""Between two transfers."""
OPENING = 100
"""What every process starts with."""
LARGEST = 20
"""The largest transfer."""
SNAPSHOTS = 4
"""How many snapshots each process initiates in a run, where it makes that many transfers."""


class Transfer(NamedTuple):
    """Money on its way. `item` tells it from every other one; `color` where the protocol colours messages."""

    item: str
    amount: int
    color: int | None = None

    @property
    def event(self) -> str:
        return "bank.transfer"

    def fields(self) -> Mapping[str, Any]:
        return {"snapshot.item": self.item, "snapshot.value": self.amount, "snapshot.color": self.color}


class BankNode(ABC):
    """One process of the bank; a subclass says how snapshots are taken.

    Parameters
    ----------
    names: all processes; there is a channel from each to each other one.
    quota: how many transfers it makes.
    """

    def __init__(self, name: str, names: Sequence[str], random: Random, quota: int) -> None:
        self.name = name
        self.others = [other for other in names if other != name]
        self.random = random
        self.quota = quota
        self.total = OPENING * len(names)
        self.balance = OPENING
        self.made = 0
        self.between = max(1, quota // SNAPSHOTS)
        self.first = random.randint(1, self.between)

    def on_start(self, stable: Stable) -> Sequence[Effect]:
        """Opens the account."""
        init = Note({"snapshot.outgoing": self.others, "snapshot.total": self.total}, "snapshot.init")
        return [init, *self._pause()]

    def on_timer(self, now_ns: int, name: str) -> Sequence[Effect]:
        """A transfer is due; after some of them a snapshot is initiated."""
        self.made += 1
        amount = min(self.balance, self.random.randint(1, LARGEST))
        transfer = Transfer(f"{self.name}#{self.made}", amount)
        effects = self.send_transfer(self.random.choice(self.others), transfer)
        if self.made % self.between == self.first % self.between:
            effects += self.initiate()
        return [*effects, *self._pause()]

    def on_message(self, now_ns: int, sender: str, message: Any) -> Sequence[Effect]:
        """Money arrives, or something of the algorithm that takes the snapshot."""
        if isinstance(message, Transfer):
            return self.take_transfer(sender, message)
        return self.on_control(sender, message)

    def send_transfer(self, to: str, transfer: Transfer) -> list[Effect]:
        """Money leaves."""
        self.balance -= transfer.amount
        return [Send(to, transfer)]

    def take_transfer(self, sender: str, transfer: Transfer) -> list[Effect]:
        """Money comes in."""
        self.balance += transfer.amount
        return []

    @abstractmethod
    def initiate(self) -> list[Effect]:
        """Begins a snapshot."""

    @abstractmethod
    def on_control(self, sender: str, message: Any) -> list[Effect]:
        """A message of the algorithm has arrived."""

    def recorded(self, snapshot: int, **more: Any) -> Note:
        """The state of the process as it is now, as a row."""
        fields = {"snapshot.id": snapshot, "snapshot.value": self.balance}
        return Note({**fields, **{f"snapshot.{name}": value for name, value in more.items()}}, "snapshot.record")

    def channel_state(self, snapshot: int, sender: str, transfers: Sequence[Transfer]) -> Note:
        """The state of the channel from a process, as a row."""
        return Note(
            {
                "snapshot.id": snapshot,
                "snapshot.channel_from": sender,
                "snapshot.messages": [transfer.item for transfer in transfers],
                "snapshot.value": sum(transfer.amount for transfer in transfers),
            },
            "snapshot.channel_state",
        )

    def _pause(self) -> list[Effect]:
        return [SetTimer("transfer", self.random.randint(*THINK))] if self.made < self.quota else []


class BankWorkload:
    """Waits until every transfer has arrived. The nodes are their own clients: the number of clients means nothing."""

    def __init__(self, simulation: Simulation) -> None:
        self.total = simulation.operations
        self.arrived = 0

    def begin(self, stage: Stage) -> None:
        """Nothing is lost here, so after the last transfer the run comes to rest by itself."""
        self.stage = stage
        stage.on_event("bank.transfer", self._arrived)
        if not self.total:
            stage.rest()

    def completed(self, operations: int) -> None:
        """The bank has no clients."""

    def ended(self, name: str) -> None:
        """No process of the bank ends by itself."""

    def _arrived(self, name: str) -> None:
        self.arrived += 1
        self.stage.progress(self.arrived, self.total)
        if self.arrived == self.total:
            self.stage.heal()
            self.stage.rest()


def quota(simulation: Simulation, place: int) -> Mapping[str, int]:
    """How many of the transfers a node makes."""
    count, nodes = simulation.operations, simulation.nodes
    return {"quota": count // nodes + (place < count % nodes)}
