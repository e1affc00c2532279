"""The eventually consistent store with one rule broken each, for checks to find."""

from __future__ import annotations

from collections.abc import Iterable

from reference_impls.protocols.eventual_kv.node import EventualReplica
from reference_impls.protocols.eventual_kv.objects import ObservedRemoveSet
from reference_impls.protocols.replica import Stamp
from reference_impls.runtime.plan import Bug
from tracekit.protocols import Mutant


class ForgetfulSet(ObservedRemoveSet):
    """Takes removed elements out and keeps no tombstone; an add that comes after its removal stays."""

    def remove(self, tags: Iterable[str]) -> None:
        super().remove(tags)
        self.tombstones.clear()


class LostTombstone(EventualReplica):
    """Sets forget what was removed."""

    make_set = ForgetfulSet


class NonCommutativeMerge(EventualReplica):
    """Of two writes of a register the one that arrives last stays, which is not the same one everywhere."""

    def is_later(self, stamp: Stamp, than: Stamp) -> bool:
        return True


BUGS = (
    Bug(
        Mutant(
            "lost-tombstone",
            "an add that was removed has no effect when it arrives later (2P-Set, RR-7506, section 3.3.2)",
            "consistency.strong-eventual",
        ),
        LostTombstone,
        ("reordering", "loss"),
    ),
    Bug(
        Mutant(
            "non-commutative-merge",
            "concurrent updates commute (Shapiro et al. 2011, section 2.4)",
            "consistency.strong-eventual",
        ),
        NonCommutativeMerge,
        ("reordering", "loss"),
    ),
)
