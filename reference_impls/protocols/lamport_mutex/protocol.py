"""Lamport's mutual exclusion as tracekit offers it: promises, faults, mutants, workload."""

from __future__ import annotations

from reference_impls.protocols.lamport_mutex.mutants import BUGS
from reference_impls.protocols.lamport_mutex.node import LamportNode
from reference_impls.runtime.plan import Design
from reference_impls.workloads.bank import quota
from reference_impls.workloads.sections import SectionsWorkload

DESIGN = Design(
    name="lamport-mutex",
    summary="Lamport's mutual exclusion with logical clocks, on reliable FIFO channels",
    reference="Lamport, Time, Clocks, and the Ordering of Events in a Distributed System, 1978",
    domain="lock",
    claims=(
        "clock.*",
        "channel.delivery",
        "channel.fifo",
        "lock.mutual-exclusion",
        "lock.timestamp-order",
        "lock.owner-release",
    ),
    node=LamportNode,
    workload=SectionsWorkload,
    bugs=BUGS,
    tolerates=("clock-drift", "slow", "pause", "clock-step"),
    f=lambda nodes: 0,
    arguments=quota,
    channels={"reliable": True, "fifo": True},
    quiescent=True,
    minimum_nodes=2,
)
