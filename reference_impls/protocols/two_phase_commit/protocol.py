"""Two-phase commit as tracekit offers it: its promises, its faults, its mutants, its clients."""

from __future__ import annotations

from reference_impls.protocols.commit_site import CLAIMS
from reference_impls.protocols.two_phase_commit.mutants import BUGS
from reference_impls.protocols.two_phase_commit.node import TwoPhaseCommitNode
from reference_impls.runtime.faults import FAULTS
from reference_impls.runtime.plan import Design
from reference_impls.workloads.transactions import TransactionWorkload

DESIGN = Design(
    name="two-phase-commit",
    summary="Two-phase commit of distributed transactions, with recovery and cooperative termination",
    reference="Bernstein, Hadzilacos & Goodman, Concurrency Control and Recovery in Database Systems, 1987, 7.4",
    domain="commit",
    claims=("clock.*", "channel.delivery", *CLAIMS),
    node=TwoPhaseCommitNode,
    workload=TransactionWorkload,
    bugs=BUGS,
    tolerates=tuple(fault for fault in FAULTS if fault != "disk-loss"),
    f=lambda nodes: nodes,  # any number may be down at one time: the others wait
    transports=("sim", "tcp"),
    quiescent=True,
    default_nodes=4,
    minimum_nodes=1,
)
