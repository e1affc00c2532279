"""The quorum register as tracekit offers it."""

from __future__ import annotations

from reference_impls.protocols.abd.mutants import BUGS
from reference_impls.protocols.abd.node import AbdNode
from reference_impls.workloads.kv import REGISTERS
from reference_impls.workloads.stores import store

DESIGN = store(
    name="abd",
    summary="Quorum registers of Attiya, Bar-Noy and Dolev, with several writers: linearizable",
    reference="Attiya, Bar-Noy & Dolev, Sharing Memory Robustly in Message-Passing Systems, 1995; several writers: "
    "Lynch & Shvartsman, Robust Emulation of Shared Memory Using Dynamic Quorum-Acknowledged Broadcasts, 1997",
    claims=("clock.*", "channel.delivery", "consistency.linearizable"),
    node=AbdNode,
    bugs=BUGS,
    mix=REGISTERS,
    model="kv",
)
