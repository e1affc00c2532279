"""Primary and backups with one rule broken each, for checks to find."""

from __future__ import annotations

from reference_impls.protocols.primary_backup.node import Server
from reference_impls.protocols.replica import Update
from reference_impls.workloads.stores import Bug
from tracekit.protocols import Mutant


class OutOfOrder(Server):
    """Applies updates in the order in which they arrive."""

    def may_take_effect(self, update: Update) -> bool:
        return True


BUGS = (
    Bug(
        Mutant("out-of-order", "backups apply the primary's log in its order", "session.monotonic-reads"),
        OutOfOrder,
        ("reordering", "loss"),
    ),
)
