"""A replicated store with clients, final reads and mutants, made into a protocol that tracekit can simulate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from reference_impls.protocols.store_messages import Request
from reference_impls.runtime.faults import FAULTS
from reference_impls.runtime.process import Process
from reference_impls.runtime.settings import command, draw_faults, validate
from reference_impls.workloads.kv import Asks, Mix
from reference_impls.workloads.kv_run import KvCluster, KvRun, Progress
from tracekit.protocols import Mutant, Protocol, Simulation
from tracekit.trace.run import Run
from tracekit.trace.trace import Trace

MakeNode = Callable[[str, Sequence[str], Random], Process]


@dataclass(frozen=True)
class Bug:
    """A mutant: what it is, how it runs, and the faults that give it an opportunity."""

    mutant: Mutant
    node: MakeNode
    faults: tuple[str, ...]


@dataclass(frozen=True)
class Store:
    """A replicated store.

    Attributes
    ----------
    claims: what a correct run passes, with its rung of the ladder of consistency.
    node: makes a node from its name, all nodes' names and its own randomness.
    mix: what clients do.
    model: the sequential specification of the operations, where there is one for all of them.
    asks: which servers a client asks.
    """

    name: str
    summary: str
    reference: str
    claims: tuple[str, ...]
    node: MakeNode
    bugs: Sequence[Bug]
    mix: Mix
    model: str | None = None
    asks: Asks = "home"

    def protocol(self) -> Protocol:
        """As tracekit offers it; every fault is tolerated."""
        return Protocol(
            name=self.name,
            summary=self.summary,
            reference=self.reference,
            claims=self.claims,
            mutants=tuple(bug.mutant for bug in self.bugs),
            faults={name: fault.meaning for name, fault in FAULTS.items()},
            simulate=self.simulate,
            default_nodes=3,
            minimum_nodes=2,  # whether one server agrees with itself is no question
        )

    def simulate(self, simulation: Simulation, progress: Progress | None = None) -> Trace:
        """A run with clients, and with final reads at all servers.

        Raises
        ------
        TracekitError: TK401 to TK405, see `validate`.
        """
        protocol = self.protocol()
        validate(protocol, simulation)
        bug = next((bug for bug in self.bugs if bug.mutant.name == simulation.mutant), None)
        cluster = KvCluster(
            domain=self.name,
            make=bug.node if bug else self.node,
            request=Request,
            faults=bug.faults if bug and simulation.faults is None else draw_faults(simulation, protocol.faults),
            mix=self.mix,
            asks=self.asks,
            final_reads=True,
        )
        run = Run(
            system=f"{self.name}, reference implementation{f', mutant {bug.mutant.name}' if bug else ''}",
            protocol=self.name,
            network=simulation.network,
            seed=simulation.seed,
            command=command(protocol, simulation),
            n=simulation.nodes,
            f=(simulation.nodes - 1) // 2,
            claims=self.claims,
            model=self.model,
        )
        return KvRun(simulation, cluster, progress).trace(run)
