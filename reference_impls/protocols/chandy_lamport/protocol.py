"""Chandy and Lamport's snapshots as tracekit offers them: promises, faults, mutants, simulation."""

from __future__ import annotations

from reference_impls.protocols.chandy_lamport.mutants import BUGS
from reference_impls.protocols.chandy_lamport.node import ChandyLamportNode
from reference_impls.runtime.faults import FAULTS
from reference_impls.runtime.settings import command, draw_faults, validate
from reference_impls.workloads.bank_run import Bank, BankRun, Progress
from tracekit.protocols import Protocol, Simulation
from tracekit.trace.run import Run
from tracekit.trace.trace import Trace


def simulate(simulation: Simulation, progress: Progress | None = None) -> Trace:
    """A run of a bank of which snapshots are taken.

    Raises
    ------
    TracekitError: TK401 to TK405, see `validate`.
    """
    validate(PROTOCOL, simulation)
    bug = BUGS[simulation.mutant] if simulation.mutant else None
    bank = Bank(
        make=bug.node if bug else ChandyLamportNode,
        faults=draw_faults(simulation, PROTOCOL.faults),
        fifo=bug.fifo if bug else True,
        channels={"reliable": True, "fifo": True},
    )
    run = Run(
        system=f"bank with chandy-lamport snapshots{f', mutant {bug.mutant.name}' if bug else ''}",
        protocol="chandy-lamport",
        network=simulation.network,
        seed=simulation.seed,
        command=command(PROTOCOL, simulation),
        n=simulation.nodes,
        f=0,
        claims=PROTOCOL.claims,
    )
    return BankRun(simulation, bank, progress).trace(run)


PROTOCOL = Protocol(
    name="chandy-lamport",
    summary="Chandy and Lamport's distributed snapshots of a bank, on reliable FIFO channels",
    reference="Chandy & Lamport, Distributed Snapshots: Determining Global States of Distributed Systems, 1985",
    claims=("clock.*", "channel.delivery", "channel.fifo", "snapshot.chandy-lamport"),
    mutants=tuple(bug.mutant for bug in BUGS.values()),
    faults={name: FAULTS[name].meaning for name in ("clock-drift", "slow")},
    simulate=simulate,
    default_nodes=4,
    minimum_nodes=2,
)
