"""Clients of a lock service and the storage that the locks guard. All of them are at risk, as the servers are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from reference_impls.protocols.lock.client import LockClient
from reference_impls.protocols.lock.messages import LEASES
from reference_impls.protocols.lock.storage import Storage
from reference_impls.runtime.network import SECOND
from reference_impls.runtime.process import Process
from reference_impls.runtime.world import Stage, Workload
from tracekit.protocols import Simulation

STORAGE = "storage"
LOCKS = 2
"""How many locks there are; few, so that clients wait for each other."""


@dataclass(frozen=True)
class Locking:
    """What a protocol, or a mutant of it, says of clients and storage; called with a simulation, it is their workload.

    Attributes
    ----------
    client: makes a client from its name, the servers, the storage's name, the locks, its number of sections and its
        randomness and the length of a lease.
    storage: makes the storage.
    """

    client: Callable[..., Process] = LockClient
    storage: Callable[[], Process] = Storage

    def __call__(self, simulation: Simulation) -> Workload:
        return LockingWorkload(self, simulation)


@dataclass
class LockingWorkload:
    """The clients of one run.

    Attributes
    ----------
    active: clients that are not done.
    acquired: how often a lock was held.
    """

    make: Locking
    simulation: Simulation
    active: int = 0
    acquired: int = 0
    stage: Stage = field(init=False)

    def begin(self, stage: Stage) -> None:
        """Starts storage and clients."""
        self.stage = stage
        stage.on_event("lock.acquire", self._acquired)
        stage.start(STORAGE, self.make.storage, at_risk=True)
        locks = [f"l{i + 1}" for i in range(LOCKS)]
        count, clients = self.simulation.operations, self.simulation.clients
        self.active = clients
        for i in range(clients):
            name, quota = f"c{i + 1}", count // clients + (i < count % clients)
            random = stage.random(name)
            lease = LEASES[self.simulation.settings["lease"]]
            make = partial(self.make.client, name, stage.nodes, STORAGE, locks, quota, random, lease)
            stage.start(name, make, at_risk=True)

    def completed(self, operations: int) -> None:
        """There are no operations: whoever holds a lock records it."""

    def ended(self, name: str) -> None:
        """After the last client, what it left is let expire."""
        self.active -= 1
        if not self.active:
            self.stage.heal()
            self.stage.end(SECOND)

    def _acquired(self, name: str) -> None:
        self.acquired += 1
        self.stage.progress(min(self.acquired, self.simulation.operations), self.simulation.operations)
