"""The lock service with one rule broken each, for the checks to find."""

from __future__ import annotations

from collections.abc import Sequence

from reference_impls.protocols.lock.client import LockClient, Section
from reference_impls.protocols.lock.messages import (
    MILLISECOND,
    Extend,
    Hold,
    Operation,
    Promise,
    Release,
    Table,
    Write,
)
from reference_impls.protocols.lock.node import LockNode
from reference_impls.protocols.lock.storage import Storage
from reference_impls.runtime.effects import Effect
from reference_impls.runtime.faults import Ambush
from reference_impls.runtime.plan import Bug, by_name
from reference_impls.runtime.process import Stable
from reference_impls.workloads.locking import Locking
from tracekit.protocols import Mutant


class WithoutFencing(Storage):
    """Takes every write, whatever its token."""

    def _accepts(self, write: Write) -> bool:
        return True


class ForgetfulStorage(Storage):
    """Keeps the largest token in memory only."""

    def on_start(self, stable: Stable) -> Sequence[Effect]:
        return super().on_start(Stable({"largest": {}} if stable.cells else {}))


class ReleaseByAnybody(LockNode):
    """Frees a lock for whoever asks for it, also for a client whose lease was over and which has not noticed."""

    def _may_release(self, sender: str, request: Release, hold: Hold) -> bool:
        return hold.held


class ExtendsWhatIsOver(LockNode):
    """Extends the lease of whoever asks, be it over or not."""

    def _on_extend(self, sender: str, request: Extend) -> None:
        hold = Hold(sender, request.number, request.token, held=True)
        self._propose(Operation("extend", request.lock, hold, sender, request.number))


class LosesLocks(LockNode):
    """Takes over with every lock free."""

    def _recovered(self, promises: list[Promise]) -> Table:
        return Table({}, super()._recovered(promises).token)


class DoesNotWait(LockNode):
    """Takes over and regards the leases that its predecessor granted as over."""

    def _lease_at_takeover(self) -> int:
        return 0


class ForgetsTokens(LockNode):
    """Takes over with the locks, and counts tokens anew from those that it finds held."""

    def _recovered(self, promises: list[Promise]) -> Table:
        table = super()._recovered(promises)
        held = [hold.token for hold in table.holds.values() if hold.held]
        return Table(table.holds, max(held, default=0), table.last)


class TrustsItsClock(LockClient):
    """Takes the whole lease for its own, from when it heard of it, as if all clocks ran alike."""

    def _lease_end(self, section: Section) -> int:
        return self.now + self.lease


FENCING, LEASES = "lock.fencing", "lock.lease"
BUGS = by_name(
    Bug(
        Mutant("no-fencing", "the resource refuses a token below one that it has accepted (Kleppmann 2016)", FENCING),
        faults=("pause", "loss"),
        workload=Locking(storage=WithoutFencing),
    ),
    Bug(
        Mutant(
            "storage-forgets-token", "the largest token accepted survives a crash of the resource (Kleppmann 2016)",
            FENCING,
        ),
        faults=("pause", "loss"),
        ambushes=(Ambush("lock.accept", chance=0.5, down_ns=20 * MILLISECOND, times=1_000),),
        workload=Locking(storage=ForgetfulStorage),
    ),
    Bug(
        Mutant("tokens-start-again", "tokens only grow, over a failover as well (Chubby, section 2.4)", FENCING),
        ForgetsTokens,
        faults=("crash", "partition"),
    ),
    Bug(
        Mutant("release-without-owner", "a lock is given back by its holder only", "lock.owner-release"),
        ReleaseByAnybody,
        faults=("pause", "slow"),
    ),
    Bug(
        Mutant("extend-after-expiry", "a lease that is over cannot be extended (Gray & Cheriton)", LEASES),
        ExtendsWhatIsOver,
        faults=("pause", "slow", "reordering", "loss"),
    ),
    Bug(
        Mutant(
            "failover-loses-lock", "who takes over knows the locks of his predecessor (Chubby, section 2.9)",
            "lock.mutual-exclusion",
        ),
        LosesLocks,
        faults=("crash", "partition"),
    ),
    Bug(
        Mutant(
            "failover-without-waiting", "who takes over waits until the leases granted before are over (Chubby, 2.9)",
            LEASES,
        ),
        DoesNotWait,
        faults=("crash", "partition"),
    ),
    Bug(
        Mutant(
            "drifting-clock", "a client allows for clocks that drift apart (Gray & Cheriton)",
            LEASES,
        ),
        faults=("clock-drift", "pause"),
        workload=Locking(client=TrustsItsClock),
    ),
)  # fmt: skip
"""Every bug by its mutant's name."""
