"""A whole run of a replicated key-value store: nodes, clients, network and faults, from start to a calm end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from random import Random

from reference_impls.protocols.kv_store import Command
from reference_impls.runtime.effects import Message
from reference_impls.runtime.faults import Ambush, Nemesis
from reference_impls.runtime.network import NETWORKS, SECOND
from reference_impls.runtime.process import Process
from reference_impls.runtime.recording import Recording
from reference_impls.runtime.settings import coverage
from reference_impls.runtime.simulator import Host, Simulator
from reference_impls.workloads.kv import REGISTERS_WITH_CAS, Asks, KvClient, Mix, final_reads, quotas
from tracekit.protocols import Simulation
from tracekit.trace.run import Run
from tracekit.trace.trace import Trace

SETTLE = SECOND
"""How long the run goes on, healed and without clients: before the final reads, if there are any, and at the end."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class KvCluster:
    """What a protocol brings to such a run.

    Attributes
    ----------
    domain: prefix of the protocol's event names.
    make: a new incarnation of a node, from its name, all nodes' names and its own randomness.
    request: a client's command as the protocol's message.
    faults, ambushes: what the run has to bear.
    mix: what the clients do.
    asks: which servers a client asks.
    final_reads: when all is over, every key is read at every server.
    """

    domain: str
    make: Callable[[str, Sequence[str], Random], Process]
    request: Callable[[Command], Message]
    faults: Sequence[str]
    ambushes: Sequence[Ambush] = ()
    mix: Mix = REGISTERS_WITH_CAS
    asks: Asks = "leader"
    final_reads: bool = False


class KvRun:
    """One run; `trace` runs it."""

    def __init__(self, simulation: Simulation, cluster: KvCluster, progress: Progress | None = None) -> None:
        self.simulation = simulation
        self.cluster = cluster
        self.progress = progress
        self.simulator = Simulator(NETWORKS[simulation.network](self._random("network")), Recording(), cluster.domain)
        self.simulator.on_done = self._client_done
        self.simulator.on_completed = self._completed
        self.names = [f"n{i + 1}" for i in range(simulation.nodes)]
        nodes = [self._node(name) for name in self.names]
        pace = max(1.0, simulation.operations / 1000)
        self.nemesis = Nemesis(self.simulator, nodes, self._random("faults"), pace)
        self.quotas = quotas(simulation.operations, simulation.clients, cluster.mix)
        self.client_of: dict[str, tuple[str, int]] = {}
        self.active = 0
        self.over = False

    def trace(self, run: Run) -> Trace:
        """Simulates from start to end. The trace declares `run` and what only the run itself can know."""
        self.nemesis.begin(self.cluster.faults, self.cluster.ambushes)
        for client in self.quotas:
            self._start_client(client, 1)
        self.simulator.run()
        recording = self.simulator.recording
        slow = "slow" in self.cluster.faults  # a slow node receives late, whatever the network promises
        return recording.trace(
            replace(
                run,
                coverage=coverage(recording.processes),
                bounds={} if slow else self.simulator.network.bounds(),
                quiescent=True if self.cluster.final_reads else None,
                other={**run.other, "faults": list(self.cluster.faults)},
            )
        )

    def _random(self, purpose: str) -> Random:
        """Independent randomness for each purpose, so that one more draw here changes nothing there."""
        return Random(f"{self.simulation.seed}/{purpose}")

    def _host(self, name: str, make: Callable[[], Process]) -> Host:
        """A machine with a quartz: up to 50 parts per million fast or slow, up to 2 ms off."""
        host = Host(name, make, self.simulator.recording)
        random = self._random(f"{name}/clock")
        host.rate = 1.0 + random.uniform(-50e-6, 50e-6)
        host.offset_ns = random.randint(-2_000_000, 2_000_000)
        self.simulator.add(host)
        return host

    def _node(self, name: str) -> Host:
        random = self._random(name)
        return self._host(name, lambda: self.cluster.make(name, self.names, random))

    def _start_client(self, client: str, incarnation: int) -> None:
        name = client if incarnation == 1 else f"{client}.{incarnation}"
        quota = self.quotas[client]
        asks = "home" if self.over else self.cluster.asks
        process = KvClient(name, self.names, asks, quota, self.cluster.request, self._random(name))
        self.client_of[name] = (client, incarnation)
        self.active += 1
        self._host(name, lambda: process)

    def _client_done(self, host: Host) -> None:
        """A client process ended: a new one does what is left; after the last one, the run comes to rest."""
        client, incarnation = self.client_of[host.name]
        self.active -= 1
        if self.quotas[client].left:
            self._start_client(client, incarnation + 1)
        elif not self.active:
            self._come_to_rest()

    def _come_to_rest(self) -> None:
        """Everything heals. Final reads wait for requests that are still under way, of clients that have given up."""
        self.nemesis.stop()
        if self.over or not self.cluster.final_reads:
            self.simulator.end = self.simulator.now + SETTLE
            return
        self.over = True
        self.simulator.at(self.simulator.last_arrival() + SETTLE, self._read_everywhere)

    def _read_everywhere(self, *_: object) -> None:
        readers = final_reads(len(self.names), self.simulation.operations, self.cluster.mix)
        self.quotas |= readers
        for reader in readers:
            self._start_client(reader, 1)

    def _completed(self, operations: int) -> None:
        wanted = self.simulation.operations
        if self.progress and (operations == wanted or (operations % 64 == 0 and operations < wanted)):
            self.progress(operations, wanted)
