"""Lai and Yang's snapshots as tracekit offers them: promises, faults, mutants, workload."""

from __future__ import annotations

from reference_impls.protocols.lai_yang.mutants import BUGS
from reference_impls.protocols.lai_yang.node import LaiYangNode
from reference_impls.runtime.plan import Design
from reference_impls.workloads.bank import BankWorkload, quota

DESIGN = Design(
    name="lai-yang",
    summary="Lai and Yang's distributed snapshots of a bank, on reliable channels that are not FIFO",
    reference="Lai & Yang, On Distributed Snapshots, Information Processing Letters 25, 1987",
    domain="bank",
    claims=("clock.*", "channel.delivery", "snapshot.lai-yang"),
    node=LaiYangNode,
    workload=BankWorkload,
    bugs=BUGS,
    tolerates=("reordering", "clock-drift", "slow", "pause", "clock-step"),
    f=lambda nodes: 0,
    arguments=quota,
    channels={"reliable": True},
    quiescent=True,
    default_nodes=4,
    minimum_nodes=2,
)
