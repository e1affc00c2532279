"""Three-phase commit as tracekit offers it: its promises, its faults, its mutants, its clients."""

from __future__ import annotations

from reference_impls.protocols.commit_site import CLAIMS
from reference_impls.protocols.three_phase_commit.mutants import BUGS
from reference_impls.protocols.three_phase_commit.node import ThreePhaseCommitNode
from reference_impls.runtime.plan import Design
from reference_impls.workloads.transactions import TransactionWorkload

DESIGN = Design(
    name="three-phase-commit",
    summary="Three-phase commit of distributed transactions: no operational site waits for a failed one",
    reference="Skeen, Nonblocking Commit Protocols, SIGMOD 1981; Bernstein, Hadzilacos & Goodman, Concurrency Control "
    "and Recovery in Database Systems, 1987, 7.5",
    domain="commit",
    claims=("clock.*", "channel.delivery", *CLAIMS, "atomic-commit.pre-commit"),
    node=ThreePhaseCommitNode,
    workload=TransactionWorkload,
    bugs=BUGS,
    # No loss, no partition, nothing that delays beyond the bound: a timeout has to mean a failure (7.5)
    tolerates=("duplication", "reordering", "crash", "clock-drift", "clock-step"),
    networks=("sync",),
    f=lambda nodes: nodes,
    quiescent=True,
    default_nodes=4,
    minimum_nodes=1,
)
