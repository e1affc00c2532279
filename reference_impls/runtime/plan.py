"""What a protocol brings to a run, and the run that is asked for: what every runtime starts from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from reference_impls.runtime.faults import FAULTS, Ambush
from reference_impls.runtime.process import Process
from reference_impls.runtime.schedule import Schedule
from reference_impls.runtime.world import Workload
from tracekit.protocols import Mutant, Setting, Simulation

Progress = Callable[[int, int], None]


MakeNode = Callable[..., Process]
"""Makes an incarnation of a node, from its name, all nodes' names, its own randomness, and what else it takes."""


@dataclass(frozen=True)
class Bug:
    """A mutant: what it is, how it runs, and what gives it an opportunity. The bug itself is never forced.

    Attributes
    ----------
    node: the node with the bug; None: the bug is not in the nodes.
    workload: the workload with the bug; None: the bug is not in the clients.
    faults, ambushes: what the run has to bear unless the caller names faults; None: drawn as for the correct protocol.
    fifo: whether channels keep their order; None: as in the correct protocol.
    settings: the protocol's settings under which the bug can show, unless the caller sets them.
    """

    mutant: Mutant
    node: MakeNode | None = None
    faults: tuple[str, ...] | None = None
    ambushes: tuple[Ambush, ...] = ()
    workload: Callable[[Simulation], Workload] | None = None
    fifo: bool | None = None
    settings: Mapping[str, str] = field(default_factory=dict)


def by_name(*bugs: Bug) -> dict[str, Bug]:
    """Bugs by their mutants' names."""
    return {bug.mutant.name: bug for bug in bugs}


@dataclass(frozen=True)
class Design:
    """A protocol as its package declares it; `reference.py` makes of it what tracekit offers.

    Attributes
    ----------
    domain: prefix of the events' names.
    claims: globs of the checks that a correct run passes.
    node: makes a node.
    workload: what is done with the nodes.
    bugs: by their mutants' names.
    tolerates: names of the faults that a correct run has to bear.
    not_tolerated: those of them that it does not bear under these settings.
    f: how many of n nodes may be faulty.
    model: the sequential specification of the clients' operations, where there is one.
    arguments: what `node` takes beside its name, the names and its randomness, from the run and the node's place.
    channels: what is declared of them; ``fifo`` also makes the simulated network so.
    quiescent: whether the run is left alone until nothing moves.
    bounds: what the protocol supposes of clocks, by name, as the trace declares it.
    settings: what else can be chosen, by name.
    transports: where it runs: a workload that says when it ends runs anywhere.
    networks: on which networks its promises rest, the usual one first; on others an assumption of its is broken.
    """

    name: str
    summary: str
    reference: str
    domain: str
    claims: tuple[str, ...]
    node: MakeNode
    workload: Callable[[Simulation], Workload]
    bugs: Mapping[str, Bug]
    tolerates: Sequence[str] = tuple(FAULTS)
    not_tolerated: Callable[[Mapping[str, str]], Sequence[str]] = lambda settings: ()
    f: Callable[[int], int] = lambda nodes: (nodes - 1) // 2
    model: str | None = None
    arguments: Callable[[Simulation, int], Mapping[str, Any]] = lambda simulation, place: {}
    channels: Mapping[str, bool] = field(default_factory=dict)
    quiescent: bool | None = None
    bounds: Mapping[str, int] = field(default_factory=dict)
    settings: Mapping[str, Setting] = field(default_factory=dict)
    transports: tuple[str, ...] = ("sim", "tcp")
    networks: tuple[str, ...] = ("async", "sync", "partial-sync")
    default_nodes: int = 3
    minimum_nodes: int = 1

    def tolerated(self, settings: Mapping[str, str]) -> Sequence[str]:
        """The faults that it bears under all of its settings, each set or left at its default."""
        chosen = {name: settings.get(name, setting.default) for name, setting in self.settings.items()}
        excepted = self.not_tolerated(chosen)
        return [fault for fault in self.tolerates if fault not in excepted]


@dataclass(frozen=True)
class Plan:
    """One run: what is asked for, of which protocol, with which bug, under which faults."""

    design: Design
    simulation: Simulation
    bug: Bug | None
    schedule: Schedule
    progress: Progress | None = None

    @property
    def nodes(self) -> tuple[str, ...]:
        """Their names: n1, n2, ..."""
        return tuple(f"n{i + 1}" for i in range(self.simulation.nodes))

    @property
    def tolerates(self) -> Sequence[str]:
        """The faults that the protocol bears under the settings of this run."""
        return self.design.tolerated(self.simulation.settings)

    @property
    def fifo(self) -> bool:
        """Whether no message overtakes another one on its channel."""
        if self.bug is not None and self.bug.fifo is not None:
            return self.bug.fifo
        return self.design.channels.get("fifo", False)

    def random(self, purpose: str) -> Random:
        """Independent randomness for each purpose, so that one more draw here changes nothing there."""
        return Random(f"{self.simulation.seed}/{purpose}")

    def make_node(self, place: int, random: Random) -> Process:
        """A new incarnation of a node."""
        make = self.bug.node if self.bug and self.bug.node else self.design.node
        return make(self.nodes[place], self.nodes, random, **self.design.arguments(self.simulation, place))

    def make_workload(self) -> Workload:
        """What is done with the nodes."""
        make = self.bug.workload if self.bug and self.bug.workload else self.design.workload
        return make(self.simulation)
