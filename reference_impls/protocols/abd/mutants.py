"""The quorum register with one rule broken each, for checks to find."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from reference_impls.protocols.abd.messages import Versioned
from reference_impls.protocols.abd.node import AbdNode, UnderWay
from reference_impls.protocols.store_messages import Request
from reference_impls.runtime.plan import Bug
from reference_impls.workloads.kv import Mix, Quota
from reference_impls.workloads.kv_workload import KvClients
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


def _mostly_reads(quota: Quota, random: Random) -> tuple[str, str, str | None]:
    """All of one register: a value that few servers store is missed only by a read that follows at once."""
    return ("read", "k1", None) if random.random() < 0.7 else ("write", "k1", quota.new)


BUGS = (
    Bug(
        Mutant(
            "no-write-back",
            "a reader writes back the value that it returns (ABD, section 3)",
            "consistency.linearizable",
        ),
        NoWriteBack,
        ("send-omission", "reordering", "loss"),
        workload=KvClients(Request, Mix(_mostly_reads), "any", final_reads=True),
    ),
    Bug(
        Mutant("sloppy-quorum", "both rounds wait for a majority (ABD, section 3)", "consistency.linearizable"),
        SloppyQuorum,
        ("partition", "loss"),
    ),
)
