"""A whole run of a bank with snapshots, until every transfer has arrived and every snapshot is taken."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random

from reference_impls.runtime.faults import Nemesis
from reference_impls.runtime.network import NETWORKS
from reference_impls.runtime.recording import Recording
from reference_impls.runtime.settings import coverage
from reference_impls.runtime.simulator import Host, Simulator
from reference_impls.workloads.bank import BankNode
from tracekit.protocols import Simulation
from tracekit.trace.run import Run
from tracekit.trace.trace import Trace

Progress = Callable[[int, int], None]
MakeNode = Callable[[str, Sequence[str], Random, int], BankNode]


@dataclass(frozen=True)
class Bank:
    """What a protocol brings to such a run.

    Attributes
    ----------
    make: a node from its name, all names, its own randomness and the number of its transfers.
    faults: what the run has to bear.
    fifo: whether the network keeps each channel's order.
    channels: what the trace declares about channels.
    """

    make: MakeNode
    faults: Sequence[str]
    fifo: bool
    channels: Mapping[str, bool]


class BankRun:
    """One run; `trace` runs it. The nodes are their own clients: the number of clients has no meaning here."""

    def __init__(self, simulation: Simulation, bank: Bank, progress: Progress | None = None) -> None:
        self.simulation = simulation
        self.bank = bank
        self.progress = progress
        network = NETWORKS[simulation.network](self._random("network"))
        network.fifo = bank.fifo
        self.simulator = Simulator(network, Recording(), "bank")
        self.simulator.on_event["bank.transfer"] = self._arrived
        self.names = [f"n{i + 1}" for i in range(simulation.nodes)]
        nodes = [self._node(i) for i in range(simulation.nodes)]
        self.nemesis = Nemesis(self.simulator, nodes, self._random("faults"), max(1.0, simulation.operations / 1000))
        self.arrived = 0

    def trace(self, run: Run) -> Trace:
        """Simulates from start to end. The trace declares `run` and what only the run itself can know."""
        if self.simulation.operations:
            self.nemesis.begin(self.bank.faults)
        self.simulator.run()
        recording = self.simulator.recording
        slow = "slow" in self.bank.faults  # a slow node receives late, whatever the network promises
        return recording.trace(
            replace(
                run,
                coverage=coverage(recording.processes),
                channels=self.bank.channels,
                bounds={} if slow else self.simulator.network.bounds(),
                quiescent=True,
                other={**run.other, "faults": list(self.bank.faults)},
            )
        )

    def _random(self, purpose: str) -> Random:
        """Independent randomness for each purpose, so that one more draw here changes nothing there."""
        return Random(f"{self.simulation.seed}/{purpose}")

    def _node(self, place: int) -> Host:
        """A machine with a quartz: up to 50 parts per million fast or slow, up to 2 ms off."""
        name, count, nodes = self.names[place], self.simulation.operations, self.simulation.nodes
        quota = count // nodes + (place < count % nodes)
        host = Host(name, lambda: self.bank.make(name, self.names, self._random(name), quota), self.simulator.recording)
        random = self._random(f"{name}/clock")
        host.rate = 1.0 + random.uniform(-50e-6, 50e-6)
        host.offset_ns = random.randint(-2_000_000, 2_000_000)
        self.simulator.add(host)
        return host

    def _arrived(self, host: Host) -> None:
        """A transfer has arrived: nothing is lost here, so after the last one the run comes to rest."""
        self.arrived += 1
        if self.progress and (self.arrived % 64 == 0 or self.arrived == self.simulation.operations):
            self.progress(self.arrived, self.simulation.operations)
        if self.arrived == self.simulation.operations:
            self.nemesis.stop()
