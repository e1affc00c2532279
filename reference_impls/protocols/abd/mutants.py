"""The quorum register with one rule broken each, for checks to find."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from reference_impls.protocols.abd.messages import Versioned
from reference_impls.protocols.abd.node import AbdNode, UnderWay
from reference_impls.runtime.plan import Bug
from tracekit.protocols import Mutant


class NoWriteBack(AbdNode):
    """Returns what it has read, though perhaps nobody else stores it."""

    def _after_query(self, current: UnderWay, newest: Versioned) -> None:
        self._complete(current, newest)


class SloppyQuorum(AbdNode):
    """Is content with one server fewer than a majority, in both rounds."""

    def __init__(self, name: str, members: Sequence[str], random: Random) -> None:
        super().__init__(name, members, random)
        self.quorum = max(1, self.quorum - 1)


BUGS = (
    Bug(
        Mutant(
            "no-write-back",
            "a reader writes back the value that it returns (ABD, section 3)",
            "consistency.linearizable",
        ),
        NoWriteBack,
        ("reordering", "loss"),
    ),
    Bug(
        Mutant("sloppy-quorum", "both rounds wait for a majority (ABD, section 3)", "consistency.linearizable"),
        SloppyQuorum,
        ("partition", "loss"),
    ),
)
