"""Lamport's mutual exclusion with one rule broken each, for the checks to find."""

from __future__ import annotations

from reference_impls.protocols.lamport_mutex.node import LamportNode, Stamp
from reference_impls.runtime.plan import Bug, by_name
from tracekit.protocols import Mutant


class WithoutAcknowledgements(LamportNode):
    """Waits to be first in its own queue, and not to hear from everybody."""

    def _all_are_later(self, own: Stamp) -> bool:
        return True


class OneMissing(LamportNode):
    """Is content when all others but one have answered."""

    def _all_are_later(self, own: Stamp) -> bool:
        later = [Stamp(self.latest[other], self.place[other]) > own for other in self.others]
        return sum(later) >= len(later) - 1


class LastFirst(LamportNode):
    """Lets the latest request go first, instead of the earliest."""

    def _is_first(self, own: Stamp) -> bool:
        return own == max(self.queue.values())


class TimeOnly(LamportNode):
    """Forgets that two requests may have the same timestamp: both are first."""

    def _is_first(self, own: Stamp) -> bool:
        return own.time == min(stamp.time for stamp in self.queue.values())


EXCLUSION, ORDER = "lock.mutual-exclusion", "lock.timestamp-order"
BUGS = by_name(
    Bug(
        Mutant("without-acknowledgements", "it has heard from every other process (rule 5 ii)", EXCLUSION),
        WithoutAcknowledgements,
    ),
    Bug(
        Mutant("one-acknowledgement-missing", "it has heard from every other process (rule 5 ii)", EXCLUSION),
        OneMissing,
    ),
    Bug(
        Mutant("last-first", "its request is ordered before every other one in its queue (rule 5 i)", ORDER),
        LastFirst,
    ),
    Bug(
        Mutant("equal-timestamps", "the order => is total: equal timestamps are told apart (rule 5 i)", EXCLUSION),
        TimeOnly,
    ),
    Bug(
        Mutant("non-fifo-channel", "messages are received in the order sent (assumed for rules 1 to 5)", EXCLUSION),
        LamportNode,
        fifo=False,
    ),
)
"""Every bug by its mutant's name."""
