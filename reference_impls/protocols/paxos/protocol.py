"""Single-decree Paxos as tracekit offers it."""

from __future__ import annotations

from reference_impls.protocols.paxos.messages import Submit
from reference_impls.protocols.paxos.mutants import BUGS
from reference_impls.protocols.paxos.node import PaxosNode
from reference_impls.runtime.faults import FAULTS
from reference_impls.runtime.plan import Design
from reference_impls.workloads.proposals import Proposals

DESIGN = Design(
    name="paxos",
    summary="Paxos: consensus on single values, many instances, several proposers",
    reference="Lamport, Paxos Made Simple, 2001",
    domain="paxos",
    claims=("clock.*", "channel.delivery", "paxos.*"),
    node=PaxosNode,
    workload=Proposals(Submit),
    bugs=BUGS,
    tolerates=tuple(fault for fault in FAULTS if fault != "disk-loss"),
    default_nodes=5,
)
