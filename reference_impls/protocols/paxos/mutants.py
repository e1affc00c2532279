"""Paxos with one rule broken each. The bug is never forced; faults only bring its opportunity about."""

from __future__ import annotations

from collections.abc import Sequence

from reference_impls.protocols.paxos.node import Attempt, PaxosNode
from reference_impls.runtime.effects import Effect
from reference_impls.runtime.faults import Ambush
from reference_impls.runtime.network import MILLISECOND
from reference_impls.runtime.plan import Bug, by_name
from reference_impls.runtime.process import Stable
from tracekit.protocols import Mutant


class IgnoreAccepted(PaxosNode):
    """Proposes its own value whatever the acceptors report."""

    def _choose(self, attempt: Attempt) -> str:
        return attempt.wish


class ForgetPromise(PaxosNode):
    """Makes what it accepts stable and not what it promises."""

    def on_start(self, stable: Stable) -> Sequence[Effect]:
        effects = super().on_start(stable)
        self.promised = {}
        return effects


class ReuseBallot(PaxosNode):
    """Counts its ballots in memory: after a restart it begins with the first one again."""

    def on_start(self, stable: Stable) -> Sequence[Effect]:
        effects = super().on_start(stable)
        self.tried = {}
        return effects

    def _next_ballot(self, instance: int) -> int:
        n = len(self.members)
        highest = max(self.tried.get(instance, 0), self.heard.get(instance, 0))
        return (highest // n + 1) * n + self.place


class SmallQuorum(PaxosNode):
    """Takes one promise too few for a majority."""

    def _quorum(self) -> int:
        return max(1, super()._quorum() - 1)

    def _copies_needed(self) -> int:
        return super()._quorum()


class LearnFromOne(PaxosNode):
    """Takes a value for chosen when one acceptor has accepted it: its own."""

    def _copies_needed(self) -> int:
        return 1


class AcceptAnything(PaxosNode):
    """Accepts whatever it is asked to, though it may have promised not to."""

    def _may_accept(self, ballot: int, promised: int) -> bool:
        return True


class SharedNumbers(PaxosNode):
    """All proposers choose from one set of numbers: 1, 2, 3, ..."""

    def _next_ballot(self, instance: int) -> int:
        return max(self.tried.get(instance, 0), self.promised.get(instance, 0), self.heard.get(instance, 0)) + 1

    def _may_promise(self, ballot: int, promised: int) -> bool:
        return ballot >= promised  # two proposers' requests look alike


class InventValue(PaxosNode):
    """Completes what a client asked for, which nobody put forward."""

    def _choose(self, attempt: Attempt) -> str:
        free = not any(attempt.promises.values())
        chosen = super()._choose(attempt)
        return f"{chosen} (default)" if free and attempt.ballot % 5 == 0 else chosen


RESTARTS = (
    Ambush("paxos.start_ballot", chance=0.2, down_ns=2 * MILLISECOND, times=40),
    Ambush("paxos.prepare", chance=0.05, down_ns=2 * MILLISECOND, times=40),
)
"""Nodes crash just after they began a ballot or made a promise, and are back at once."""

BUGS = by_name(
    Bug(
        Mutant(
            "ignore-accepted",
            "a proposer proposes the value of the highest-numbered proposal reported to it (2.2, P2c)",
            "paxos.value-choice",
        ),
        IgnoreAccepted,
        ("loss", "partition"),
    ),
    Bug(
        Mutant("forget-promise", "an acceptor remembers what it has promised even if it fails (2.5)",
               "paxos.promise-monotonic"),
        ForgetPromise,
        ("reordering",),
        RESTARTS,
    ),
    Bug(
        Mutant("reuse-ballot", "a proposer never uses a number again, even after a restart (2.5)",
               "paxos.unique-ballot"),
        ReuseBallot,
        ("loss",),
        RESTARTS,
    ),
    Bug(
        Mutant("small-quorum", "an accept request follows promises from a majority of the acceptors (2.2)",
               "paxos.quorum"),
        SmallQuorum,
        ("loss", "partition"),
    ),
    Bug(
        Mutant("learn-from-one", "a value is chosen when a majority of the acceptors has accepted it (2.2)",
               "paxos.quorum"),
        LearnFromOne,
        ("loss", "partition"),
    ),
    Bug(
        Mutant("accept-anything", "an acceptor accepts no proposal below what it has promised (2.2, P1a)",
               "paxos.promise-monotonic"),
        AcceptAnything,
        ("reordering", "loss"),
    ),
    Bug(
        Mutant("shared-numbers", "different proposers choose their numbers from disjoint sets (2.5)",
               "paxos.unique-ballot"),
        SharedNumbers,
        ("loss",),
    ),
    Bug(
        Mutant("invent-value", "only a value that has been proposed may be chosen (2.1)", "paxos.validity"),
        InventValue,
    ),
)  # fmt: skip
"""Every bug by its mutant's name."""
