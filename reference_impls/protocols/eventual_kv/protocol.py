"""The eventually consistent store as tracekit offers it."""

from __future__ import annotations

from reference_impls.protocols.eventual_kv.mutants import BUGS
from reference_impls.protocols.eventual_kv.node import EventualReplica
from reference_impls.workloads.kv import OBJECTS
from reference_impls.workloads.stores import store

DESIGN = store(
    name="eventual-kv",
    summary="Anti-entropy store with last-writer-wins registers, an OR-set and a PN-counter: strongly eventual",
    reference="Demers et al., Epidemic Algorithms for Replicated Database Maintenance, 1987; Shapiro et al., "
    "Conflict-free Replicated Data Types, 2011",
    claims=("clock.*", "channel.delivery", "consistency.eventual", "consistency.strong-eventual"),
    node=EventualReplica,
    bugs=BUGS,
    mix=OBJECTS,
    asks="any",
)
