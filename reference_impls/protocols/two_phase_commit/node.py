"""A site of two-phase commit as a pure state machine. Numbers are sections of Bernstein, Hadzilacos & Goodman."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from reference_impls.protocols.commit_site import (
    ABORT,
    COMMIT,
    NO,
    YES,
    Decision,
    Record,
    Site,
    Vote,
    VoteRequest,
)
from reference_impls.protocols.two_phase_commit.messages import Ack, DecisionRequest, DecisionResponse
from reference_impls.runtime.effects import Effect, Note
from reference_impls.runtime.process import Stable
from reference_impls.workloads.transactions import Request

MILLISECOND = 1_000_000
VOTE_TIMEOUT = 60 * MILLISECOND
"""How long the coordinator waits for votes."""
ASKS = 3
"""How many times it asks for them before it aborts."""
DECISION_TIMEOUT = 100 * MILLISECOND
"""How long a participant waits for the decision before it asks the others, and before it asks them again."""


@dataclass
class Transaction:
    """What a site knows of a transaction. It is uncertain from its yes vote until it decides (7.4).

    Attributes
    ----------
    keys: those that the transaction writes here.
    vote: this site's own; empty: none was asked for.
    decision: empty: none yet.
    wanted: coordinator: all keys.
    votes, asked: coordinator: the votes that have arrived, and how many times it has asked for them.
    acknowledged: coordinator: who has the decision.
    """

    txn: str
    coordinator: str
    participants: tuple[str, ...]
    keys: tuple[str, ...] = ()
    vote: str = ""
    decision: str = ""
    client: str = ""
    wanted: tuple[str, ...] = ()
    votes: dict[str, str] = field(default_factory=dict)
    asked: int = 0
    acknowledged: set[str] = field(default_factory=set)


class TwoPhaseCommitNode(Site):
    """One site; of some transactions it is the coordinator, of others a participant."""

    transactions: dict[str, Transaction]

    # Inputs

    def on_start(self, stable: Stable) -> Sequence[Effect]:
        """The first start, or recovery from the log (7.4)."""
        self._effects = []
        self.log = list(stable.log)
        self.transactions = {}
        self._effects.append(Note({}, "commit.restart" if self.log else "commit.init"))
        ended = self._read_log()
        for t in list(self.transactions.values()):
            if t.txn not in ended:
                self._recover(t)
        return self._effects

    def on_message(self, now_ns: int, sender: str, message: Any) -> Sequence[Effect]:
        """A message from a site or from a client."""
        self._effects = []
        if isinstance(message, Request):
            self._on_request(sender, message)
        else:
            _HANDLERS[type(message)](self, sender, message)
        return self._effects

    def on_timer(self, now_ns: int, name: str) -> Sequence[Effect]:
        """Timeout actions (7.4): a coordinator waits for votes, or a participant for the decision."""
        self._effects = []
        what, _, txn = name.partition(" ")
        t = self.transactions[txn]
        if t.decision:
            return self._effects
        if what == "votes":
            self._on_votes_timeout(t)
        else:
            self._terminate(t, "" if t.asked else "commit.terminate")
        return self._effects

    # The coordinator

    def _on_request(self, client: str, message: Request) -> None:
        """Step 1: the coordinator sends VOTE-REQ to all participants. Its own vote it casts at once."""
        if message.txn in self.transactions:
            return  # the request has come twice
        participants, keys = self.sites(message.keys), self.share(message.keys, self.name)
        t = Transaction(message.txn, self.name, participants, keys, client=client, wanted=message.keys)
        self.transactions[t.txn] = t
        conflict = self.locks.conflict(keys)
        if conflict:
            t.vote, t.decision = NO, ABORT
            self._write(Record(ABORT, t.txn))
            self._note(t.txn, "commit.begin", participants=participants, vote=NO, decision=ABORT, reason=conflict)
            self._answer(client, t.txn, ABORT)
            return
        t.vote = t.votes[self.name] = YES
        self.locks.take(keys, t.txn)
        # The start record, with the participants, is in the log before the first VOTE-REQ (7.4)
        self._write(Record("start", t.txn, self.name, participants, keys))
        self._note(t.txn, "commit.begin", participants=participants, vote=YES, held=keys)
        self._ask_for_votes(t)
        self._count_votes(t)

    def _ask_for_votes(self, t: Transaction) -> None:
        t.asked += 1
        for site in t.participants:
            if site not in t.votes:
                self._send(site, VoteRequest(t.txn, t.participants, self.share(t.wanted, site)))
        self._start_timer("votes", t.txn, VOTE_TIMEOUT)

    def _on_vote(self, sender: str, message: Vote) -> None:
        t = self.transactions.get(message.txn)
        if t is None or t.coordinator != self.name or t.decision:
            return  # it has decided: who voted late learns it by DECISION or asks for it
        t.votes[sender] = message.vote
        self._count_votes(t)

    def _count_votes(self, t: Transaction) -> None:
        """Step 3: COMMIT if all have voted yes, the coordinator among them; ABORT as soon as one has voted no."""
        if NO in t.votes.values():
            self._decide(t, ABORT)
        elif len(t.votes) == len(t.participants):
            self._all_voted_yes(t)

    def _all_voted_yes(self, t: Transaction) -> None:
        """AC4: then, and if nothing fails, the decision is commit."""
        self._decide(t, COMMIT)

    def _on_votes_timeout(self, t: Transaction) -> None:
        """Without all votes the coordinator decides abort (7.4, timeout actions)."""
        silent = [site for site in t.participants if site not in t.votes]
        if t.asked < ASKS:
            self._ask_for_votes(t)
        else:
            self._decide(t, ABORT, f"no vote from {', '.join(silent)}")

    def _decide(self, t: Transaction, decision: str, reason: str = "") -> None:
        """The commit record is in the log before the first COMMIT is sent (7.4): there the decision is made."""
        t.decision = decision
        self._log_decision(t)
        self._note(t.txn, "commit.decide", decision=decision, reason=reason)
        self.locks.release(t.keys, t.txn)
        self._stop_timer("votes", t.txn)
        self._tell(t)
        self._answer(t.client, t.txn, decision)

    def _log_decision(self, t: Transaction) -> None:
        self._write(Record(t.decision, t.txn))

    def _tell(self, t: Transaction) -> None:
        """Who voted no has decided already and is not told."""
        for site in self._to_be_told(t):
            self._send(site, Decision(t.txn, t.decision))
        self._end_if_all_know(t)

    def _to_be_told(self, t: Transaction) -> list[str]:
        return [site for site in self.others(t.participants) if t.votes.get(site) != NO]

    def _on_ack(self, sender: str, message: Ack) -> None:
        t = self.transactions.get(message.txn)
        if t is not None and t.coordinator == self.name and sender not in t.acknowledged:
            t.acknowledged.add(sender)
            self._end_if_all_know(t)

    def _end_if_all_know(self, t: Transaction) -> None:
        """Nobody will have to be told again (7.4, garbage collection)."""
        if t.acknowledged.issuperset(self._to_be_told(t)):
            self._write(Record("end", t.txn))

    # The participant

    def _on_vote_request(self, sender: str, message: VoteRequest) -> None:
        """Step 2: yes, or no and abort. The yes record is in the log before the vote is sent (7.4)."""
        t = self.transactions.get(message.txn)
        if t is None:
            t = Transaction(message.txn, sender, message.participants, message.keys)
            self.transactions[t.txn] = t
            self._vote(t, self.locks.conflict(t.keys))
        else:
            self._vote_again(t)
        self._send(sender, Vote(t.txn, t.vote))

    def _vote(self, t: Transaction, conflict: str) -> None:
        """A process has one vote and keeps to it (7.3)."""
        if conflict:
            t.vote = NO
            self._adopt(t, ABORT, vote=NO, reason=conflict)
            return
        t.vote = YES
        self.locks.take(t.keys, t.txn)
        self._log_vote(t)
        self._note(t.txn, vote=YES, held=t.keys)
        self._start_timer("decision", t.txn, DECISION_TIMEOUT)

    def _vote_again(self, t: Transaction) -> None:
        """As it did before; or no, if it has aborted since another one asked it for the decision."""
        if not t.vote:
            t.vote = NO
            self._note(t.txn, vote=NO, reason="it has aborted")

    def _log_vote(self, t: Transaction) -> None:
        self._write(Record(YES, t.txn, t.coordinator, t.participants, t.keys))

    def _on_decision(self, sender: str, message: Decision) -> None:
        """Step 4: decides as the message says, and acknowledges. It may never have been asked for its vote."""
        t = self.transactions.get(message.txn) or self._unheard(message.txn, sender)
        if not t.decision:
            self._adopt(t, message.decision)
        self._send(sender, Ack(t.txn))

    def _adopt(self, t: Transaction, decision: str, name: str = "", **fields: Any) -> None:
        """Decides, as part of what has just arrived."""
        t.decision = decision
        self._write(Record(decision, t.txn))
        self._note(t.txn, name, decision=decision, **fields)
        self.locks.release(t.keys, t.txn)
        self._stop_timer("decision", t.txn)

    def _unheard(self, txn: str, coordinator: str) -> Transaction:
        return self.transactions.setdefault(txn, Transaction(txn, coordinator, ()))

    # Cooperative termination (7.4)

    def _terminate(self, t: Transaction, name: str) -> None:
        """An uncertain process may not decide alone: it asks everybody, and is blocked as long as nobody can answer."""
        t.asked += 1
        if name:
            self._note(t.txn, name)
        for site in self.others(t.participants):
            self._send(site, DecisionRequest(t.txn))
        self._start_timer("decision", t.txn, DECISION_TIMEOUT)

    def _on_decision_request(self, sender: str, message: DecisionRequest) -> None:
        """1. It has decided: it says so. 2. It has not voted: it aborts and says so. 3. It is uncertain: no help."""
        t = self.transactions.get(message.txn)
        if t is None:
            t = self._unheard(message.txn, "")
            self._adopt(t, ABORT, reason="asked for the decision before it has voted")
        if t.decision:
            self._send(sender, DecisionResponse(t.txn, t.decision))

    def _on_decision_response(self, sender: str, message: DecisionResponse) -> None:
        t = self.transactions.get(message.txn)
        if t is not None and not t.decision:
            self._adopt(t, message.decision)

    # Recovery (7.4)

    def _read_log(self) -> set[str]:
        """What the log tells of each transaction; returns those that nobody has to be told of again."""
        ended = set()
        for record in self.log:
            txn = record.txn
            if record.kind in ("start", YES):
                self.transactions[txn] = Transaction(
                    txn, record.coordinator, record.participants, record.keys, vote=YES
                )
            elif record.kind == "end":
                ended.add(txn)
            else:
                t = self._unheard(txn, "")
                t.decision, t.vote = record.kind, t.vote or NO
        return ended

    def _recover(self, t: Transaction) -> None:
        """A coordinator that has not decided aborts; one that has tells it again. An uncertain participant asks."""
        if t.coordinator == self.name:
            if t.decision:
                self._tell(t)
            else:
                self._decide(t, ABORT, "restarted before it had decided")
        elif not t.decision:
            self.locks.take(t.keys, t.txn)
            self._terminate(t, "commit.terminate")


_HANDLERS: dict[type, Any] = {
    VoteRequest: TwoPhaseCommitNode._on_vote_request,
    Vote: TwoPhaseCommitNode._on_vote,
    Decision: TwoPhaseCommitNode._on_decision,
    Ack: TwoPhaseCommitNode._on_ack,
    DecisionRequest: TwoPhaseCommitNode._on_decision_request,
    DecisionResponse: TwoPhaseCommitNode._on_decision_response,
}
