"""Raft as tracekit offers it: its promises, its faults, its mutants, its clients."""

from __future__ import annotations

from reference_impls.protocols.raft.messages import ClientRequest
from reference_impls.protocols.raft.mutants import BUGS
from reference_impls.protocols.raft.node import RaftNode
from reference_impls.runtime.faults import FAULTS
from reference_impls.runtime.plan import Design
from reference_impls.workloads.kv_workload import KvClients

DESIGN = Design(
    name="raft",
    summary="Raft consensus under a replicated key-value store",
    reference="Ongaro & Ousterhout, In Search of an Understandable Consensus Algorithm (extended version), 2014",
    domain="raft",
    claims=("clock.*", "channel.delivery", "raft.*", "consistency.linearizable"),
    node=RaftNode,
    workload=KvClients(ClientRequest),
    bugs=BUGS,
    tolerates=tuple(fault for fault in FAULTS if fault != "disk-loss"),
    model="kv",
    default_nodes=5,
    minimum_nodes=1,
)
