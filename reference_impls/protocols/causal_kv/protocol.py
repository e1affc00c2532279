"""The causal store as tracekit offers it."""

from __future__ import annotations

from reference_impls.protocols.causal_kv.mutants import BUGS
from reference_impls.protocols.causal_kv.node import CausalReplica
from reference_impls.workloads.kv import REGISTERS
from reference_impls.workloads.stores import store

DESIGN = store(
    name="causal-kv",
    summary="Causal store: dependencies first, last writer wins by Lamport timestamps: causal and convergent",
    reference="Ahamad et al., Causal Memory, 1995; Lloyd et al., Don't Settle for Eventual (COPS), 2011",
    claims=(
        "clock.*",
        "channel.delivery",
        "consistency.causal-convergence",
        "consistency.eventual",
        "consistency.strong-eventual",
    ),
    node=CausalReplica,
    bugs=BUGS,
    mix=REGISTERS,
    model="kv",
)
