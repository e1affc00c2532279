"""Multi-Paxos as tracekit offers it."""

from __future__ import annotations

from reference_impls.protocols.multi_paxos.messages import ClientRequest
from reference_impls.protocols.multi_paxos.mutants import BUGS
from reference_impls.protocols.multi_paxos.node import MultiPaxosNode
from reference_impls.runtime.faults import FAULTS
from reference_impls.runtime.plan import Design
from reference_impls.workloads.kv_workload import KvClients

DESIGN = Design(
    name="multi-paxos",
    summary="Multi-Paxos: a replicated key-value store with a stable leader",
    reference="Lamport, Paxos Made Simple, 2001, section 3; van Renesse & Altinbuken, Paxos Made Moderately Complex, "
    "2015",
    domain="smr",
    claims=("clock.*", "channel.delivery", "paxos.*", "smr.*", "consistency.linearizable"),
    node=MultiPaxosNode,
    workload=KvClients(ClientRequest),
    bugs=BUGS,
    tolerates=tuple(fault for fault in FAULTS if fault != "disk-loss"),
    model="kv",
    default_nodes=3,
)
