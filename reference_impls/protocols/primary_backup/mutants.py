"""Primary and backups with one rule broken each, for checks to find."""

from __future__ import annotations

from collections.abc import Sequence

from reference_impls.protocols.primary_backup.node import Server
from reference_impls.protocols.replica import Update
from reference_impls.runtime.effects import Effect, Note
from reference_impls.runtime.plan import Bug
from reference_impls.runtime.process import Stable
from tracekit.protocols import Mutant


class OutOfOrder(Server):
    """Applies updates in the order in which they arrive."""

    def may_take_effect(self, update: Update) -> bool:
        return True


class VolatileBackup(Server):
    """Makes the primary's log stable and not the backups'."""

    def on_start(self, stable: Stable) -> Sequence[Effect]:
        lost = bool(stable.log) and self.name != self.primary
        effects = super().on_start(Stable(stable.cells) if lost else stable)
        return [*effects, *([Note({}, "replica.reset")] if lost else [])]


BUGS = (
    Bug(
        Mutant("out-of-order", "backups apply the primary's log in its order", "consistency.strong-eventual"),
        OutOfOrder,
        ("reordering", "loss"),
    ),
    Bug(
        Mutant("volatile-backup", "what a backup has shown is stable there (Terry et al.)", "session.monotonic-reads"),
        VolatileBackup,
        ("crash", "loss"),
    ),
)
