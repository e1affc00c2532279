"""Clients of a replicated key-value store, from the first request to a calm end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from reference_impls.protocols.kv_store import Command
from reference_impls.runtime.effects import Message
from reference_impls.runtime.network import SECOND
from reference_impls.runtime.world import Stage, Workload
from reference_impls.workloads.kv import REGISTERS_WITH_CAS, Asks, KvClient, Mix, Quota, final_reads, quotas
from tracekit.protocols import Simulation

SETTLE = SECOND
"""How long the run goes on, healed and without clients: before the final reads, if there are any, and at the end."""


@dataclass(frozen=True)
class KvClients:
    """What a protocol says of its clients; called with a simulation, it makes their workload.

    Attributes
    ----------
    request: a client's command as the protocol's message.
    mix: what the clients do.
    asks: which servers a client asks.
    final_reads: when all is over, every key is read at every server.
    """

    request: Callable[[Command], Message]
    mix: Mix = REGISTERS_WITH_CAS
    asks: Asks = "leader"
    final_reads: bool = False

    def __call__(self, simulation: Simulation) -> Workload:
        return KvWorkload(self, simulation)


@dataclass
class KvWorkload:
    """The clients of one run.

    Attributes
    ----------
    quotas: what each client still has to do.
    client_of: client and incarnation of each process.
    active: client processes that are not done.
    over: whether the operations are done and only final reads are left.
    """

    clients: KvClients
    simulation: Simulation
    quotas: dict[str, Quota] = field(init=False)
    client_of: dict[str, tuple[str, int]] = field(default_factory=dict)
    active: int = 0
    over: bool = False

    def begin(self, stage: Stage) -> None:
        """Starts the clients."""
        self.stage = stage
        self.quotas = quotas(self.simulation.operations, self.simulation.clients, self.clients.mix)
        for client in self.quotas:
            self._start(client, 1)

    def completed(self, operations: int) -> None:
        """Tells how far the run is."""
        self.stage.progress(operations, self.simulation.operations)

    def ended(self, name: str) -> None:
        """A client process ended: a new one does what is left; after the last one, the run comes to rest."""
        client, incarnation = self.client_of[name]
        self.active -= 1
        if self.quotas[client].left:
            self._start(client, incarnation + 1)
        elif not self.active:
            self._come_to_rest()

    def _start(self, client: str, incarnation: int) -> None:
        name = client if incarnation == 1 else f"{client}.{incarnation}"
        asks = "home" if self.over else self.clients.asks
        make = partial(
            KvClient, name, self.stage.nodes, asks, self.quotas[client], self.clients.request, self.stage.random(name)
        )
        self.client_of[name] = (client, incarnation)
        self.active += 1
        self.stage.start(name, make)

    def _come_to_rest(self) -> None:
        """Everything heals. Final reads wait for requests that are still under way, of clients that have given up."""
        self.stage.heal()
        if self.over or not self.clients.final_reads:
            self.stage.end(SETTLE)
            return
        self.over = True
        self.stage.settle(SETTLE, self._read_everywhere)

    def _read_everywhere(self) -> None:
        readers = final_reads(len(self.stage.nodes), self.simulation.operations, self.clients.mix)
        self.quotas |= readers
        for reader in readers:
            self._start(reader, 1)
