"""Primary and backups as tracekit offers them."""

from __future__ import annotations

from reference_impls.protocols.primary_backup.mutants import BUGS
from reference_impls.protocols.primary_backup.node import Server
from reference_impls.workloads.kv import REGISTERS
from reference_impls.workloads.stores import store

DESIGN = store(
    name="primary-backup",
    summary="Primary and backups with asynchronous replication, reads at backups: all session guarantees but one",
    reference="Alsberg & Day, A Principle for Resilient Sharing of Distributed Resources, 1976; lazy master: Gray et "
    "al., The Dangers of Replication and a Solution, 1996; guarantees: Terry et al., 1994",
    claims=(
        "clock.*",
        "channel.delivery",
        "session.monotonic-reads",
        "session.monotonic-writes",
        "session.writes-follow-reads",
        "consistency.eventual",
        "consistency.strong-eventual",
    ),
    node=Server,
    bugs=BUGS,
    mix=REGISTERS,
    model="kv",
)
