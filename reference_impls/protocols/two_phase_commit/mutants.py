"""Two-phase commit with one rule broken each, for checks to find."""

from __future__ import annotations

from reference_impls.protocols.commit_site import ABORT, COMMIT
from reference_impls.protocols.two_phase_commit.node import Transaction, TwoPhaseCommitNode
from reference_impls.runtime.faults import Ambush
from reference_impls.runtime.network import MILLISECOND
from reference_impls.runtime.plan import Bug, by_name
from tracekit.protocols import Mutant


class CommitOnTimeout(TwoPhaseCommitNode):
    """Takes silence for a yes: commits with the votes that have come."""

    def _on_votes_timeout(self, t: Transaction) -> None:
        self._decide(t, COMMIT, "nobody has voted no")


class ChangeVote(TwoPhaseCommitNode):
    """Votes anew each time that it is asked. The keys are locked the second time: by the transaction itself."""

    def _vote_again(self, t: Transaction) -> None:
        if t.decision:
            super()._vote_again(t)
        else:
            self._vote(t, self.locks.conflict(t.keys))


class ForgetDecision(TwoPhaseCommitNode):
    """Tells its decision before it is in the log, and never writes it there."""

    def _log_decision(self, t: Transaction) -> None:
        pass


class ForgetVote(TwoPhaseCommitNode):
    """Votes yes without writing it to the log: after a crash it believes that it has not voted."""

    def _log_vote(self, t: Transaction) -> None:
        pass


class HeuristicAbort(TwoPhaseCommitNode):
    """An uncertain participant that has waited too long aborts, to get its locks free."""

    def _terminate(self, t: Transaction, name: str) -> None:
        if t.asked:
            self._adopt(t, ABORT, "commit.decide", reason="it has waited too long")
        else:
            super()._terminate(t, name)


class WaitForCoordinator(TwoPhaseCommitNode):
    """An uncertain participant waits for the decision and asks nobody."""

    def _terminate(self, t: Transaction, name: str) -> None:
        pass


class FaintHeart(TwoPhaseCommitNode):
    """Aborts when it had to ask for votes again, though all have come in the end."""

    def _all_voted_yes(self, t: Transaction) -> None:
        self._decide(t, COMMIT if t.asked == 1 else ABORT)


DECISIONS = Ambush("commit.decide", chance=0.3, down_ns=150 * MILLISECOND, times=10)
"""Coordinators crash when they have just decided."""
VOTES = Ambush("commit.vote_request", chance=0.1, down_ns=150 * MILLISECOND, times=20)
"""Participants crash when they have just voted."""

BUGS = by_name(
    Bug(
        Mutant(
            "commit-on-timeout",
            "commit is decided only if all have voted yes (AC3); without all votes the coordinator aborts (7.4)",
            "atomic-commit.validity",
        ),
        CommitOnTimeout,
        ("crash", "loss"),
    ),
    Bug(
        Mutant("change-vote", "a process has one vote (7.3)", "atomic-commit.one-vote"),
        ChangeVote,
        ("duplication", "loss"),
    ),
    Bug(
        Mutant(
            "forget-decision",
            "the commit record is in the log before the first COMMIT is sent (7.4); no decision is reversed (AC2)",
            "atomic-commit.irrevocable",
        ),
        ForgetDecision,
        ("loss",),
        (DECISIONS,),
    ),
    Bug(
        Mutant(
            "forget-vote",
            "the yes record is in the log before the vote is sent (7.4), so that it decides in the end (AC5)",
            "atomic-commit.termination",
        ),
        ForgetVote,
        ("loss",),
        (VOTES,),
    ),
    Bug(
        Mutant(
            "heuristic-abort",
            "an uncertain process may not decide by itself (7.4); all reach one decision (AC1)",
            "atomic-commit.agreement",
        ),
        HeuristicAbort,
        ("partition", "crash"),
    ),
    Bug(
        Mutant(
            "wait-for-coordinator",
            "an uncertain process asks the others when it has waited too long (7.4); all decide in the end (AC5)",
            "atomic-commit.termination",
        ),
        WaitForCoordinator,
        ("loss", "partition"),
    ),
    Bug(
        Mutant(
            "faint-heart",
            "the decision is commit if all have voted yes and nothing fails (AC4)",
            "atomic-commit.commit-when-possible",
        ),
        FaintHeart,
        ("reordering",),
    ),
)
"""Every bug by its mutant's name."""
