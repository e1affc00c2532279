"""A replica that lets updates take effect after all that they may depend on."""

from __future__ import annotations

from reference_impls.protocols.replica import Replica, Update


class CausalReplica(Replica):
    """Clients read and write at one replica, without waiting for any other (Ahamad et al., section 4)."""

    def may_take_effect(self, update: Update) -> bool:
        """The next one of its origin, and everything that had taken effect at its origin before it, has here too."""
        follows = update.number == self.version.get(update.origin, 0) + 1
        return follows and all(self.version.get(origin, 0) >= count for origin, count in update.after.items())
