"""Raft as tracekit offers it: its promises, its faults, its mutants, and how it is simulated."""

from __future__ import annotations

from reference_impls.protocols.raft.messages import ClientRequest
from reference_impls.protocols.raft.mutants import BUGS
from reference_impls.protocols.raft.node import RaftNode
from reference_impls.runtime.faults import FAULTS
from reference_impls.runtime.settings import command, draw_faults, validate
from reference_impls.workloads.kv_run import KvCluster, KvRun, Progress
from tracekit.protocols import Protocol, Simulation
from tracekit.trace.run import Run
from tracekit.trace.trace import Trace


def simulate(simulation: Simulation, progress: Progress | None = None) -> Trace:
    """A run of Raft with a replicated key-value store and its clients.

    Raises
    ------
    TracekitError: TK401 to TK405, see `validate`.
    """
    validate(PROTOCOL, simulation)
    bug = BUGS[simulation.mutant] if simulation.mutant else None
    provoked = bug is not None and simulation.faults is None
    cluster = KvCluster(
        domain="raft",
        make=bug.node if bug else RaftNode,
        request=ClientRequest,
        faults=bug.faults if bug and provoked else draw_faults(simulation, PROTOCOL.faults),
        ambushes=bug.ambushes if bug and provoked else (),
    )
    run = Run(
        system=f"raft, reference implementation{f', mutant {bug.mutant.name}' if bug else ''}",
        protocol="raft",
        network=simulation.network,
        seed=simulation.seed,
        command=command(PROTOCOL, simulation),
        n=simulation.nodes,
        f=(simulation.nodes - 1) // 2,
        claims=PROTOCOL.claims,
        model="kv",
    )
    return KvRun(simulation, cluster, progress).trace(run)


PROTOCOL = Protocol(
    name="raft",
    summary="Raft consensus under a replicated key-value store",
    reference="Ongaro & Ousterhout, In Search of an Understandable Consensus Algorithm (extended version), 2014",
    claims=("clock.*", "channel.delivery", "raft.*", "consistency.linearizable"),
    mutants=tuple(bug.mutant for bug in BUGS.values()),
    faults={name: fault.meaning for name, fault in FAULTS.items()},
    simulate=simulate,
    default_nodes=5,
    minimum_nodes=1,
)
