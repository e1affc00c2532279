"""Three-phase commit with one rule broken each, for checks to find."""

from __future__ import annotations

from collections.abc import Sequence

from reference_impls.protocols.commit_site import ABORT, COMMIT
from reference_impls.protocols.three_phase_commit.node import UNCERTAIN, ThreePhaseCommitNode, Transaction
from reference_impls.runtime.faults import Ambush
from reference_impls.runtime.network import MILLISECOND
from reference_impls.runtime.plan import Bug, by_name
from tracekit.protocols import Mutant


class CommitBeforeAcks(ThreePhaseCommitNode):
    """Commits as soon as the first pre-commit is acknowledged."""

    def _answered(self, t: Transaction | None, phase: str, sender: str) -> None:
        if t is not None and t.phase == phase == "acks":
            t.awaited = {sender}
        super()._answered(t, phase, sender)


class SkipPreCommit(ThreePhaseCommitNode):
    """An elected coordinator that finds somebody committable commits at once."""

    def _some_committable(self, t: Transaction, uncertain: Sequence[str]) -> None:
        self._decide(t, COMMIT, "termination: one is committable")


class UncertainCommit(ThreePhaseCommitNode):
    """An elected coordinator that finds everybody uncertain commits: all that it can ask have voted yes."""

    def _all_uncertain(self, t: Transaction) -> None:
        self._decide(t, COMMIT, "termination: all have voted yes")


class RecoverAlone(ThreePhaseCommitNode):
    """A process that recovers uncertain aborts without asking anybody."""

    def _recover(self, t: Transaction) -> None:
        if t.state == UNCERTAIN:
            self._decide(t, ABORT, "restarted before it knew the decision")
        else:
            super()._recover(t)


PRE_COMMITS = Ambush("commit.pre_commit", chance=0.15, down_ns=400 * MILLISECOND, times=20)
"""Sites crash when they have just become committable: coordinators before they have told everybody."""
BEGINNINGS = Ambush("commit.begin", chance=0.2, down_ns=400 * MILLISECOND, times=20)
"""Coordinators crash when they have just begun to ask for votes."""
VOTES = Ambush("commit.vote_request", chance=0.1, down_ns=300 * MILLISECOND, times=20)
"""Participants crash when they have just voted."""

BUGS = by_name(
    Bug(
        Mutant(
            "commit-before-acks",
            "commit is decided when every operational process has acknowledged its pre-commit",
            "atomic-commit.pre-commit",
        ),
        CommitBeforeAcks,
        (),
    ),
    Bug(
        Mutant(
            "skip-pre-commit",
            "an elected coordinator sends pre-commits to the uncertain processes before it commits (TR4)",
            "atomic-commit.pre-commit",
        ),
        SkipPreCommit,
        (),
        (PRE_COMMITS,),
    ),
    Bug(
        Mutant(
            "uncertain-commit",
            "an elected coordinator that finds all uncertain aborts (TR3)",
            "atomic-commit.pre-commit",
        ),
        UncertainCommit,
        (),
        (BEGINNINGS,),
    ),
    Bug(
        Mutant(
            "recover-alone",
            "a process that has failed while it was uncertain asks the others; all reach one decision (AC1)",
            "atomic-commit.agreement",
        ),
        RecoverAlone,
        (),
        (VOTES,),
    ),
)
"""Every bug by its mutant's name."""
