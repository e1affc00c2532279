"""Chandy and Lamport's snapshots as tracekit offers them: promises, faults, mutants, workload."""

from __future__ import annotations

from reference_impls.protocols.chandy_lamport.mutants import BUGS
from reference_impls.protocols.chandy_lamport.node import ChandyLamportNode
from reference_impls.runtime.plan import Design
from reference_impls.workloads.bank import BankWorkload, quota

DESIGN = Design(
    name="chandy-lamport",
    summary="Chandy and Lamport's distributed snapshots of a bank, on reliable FIFO channels",
    reference="Chandy & Lamport, Distributed Snapshots: Determining Global States of Distributed Systems, 1985",
    domain="bank",
    claims=("clock.*", "channel.delivery", "channel.fifo", "snapshot.chandy-lamport"),
    node=ChandyLamportNode,
    workload=BankWorkload,
    bugs=BUGS,
    tolerates=("clock-drift", "slow", "pause", "clock-step"),
    f=lambda nodes: 0,
    arguments=quota,
    channels={"reliable": True, "fifo": True},
    quiescent=True,
    default_nodes=4,
    minimum_nodes=2,
)
