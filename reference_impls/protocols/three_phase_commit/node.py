"""A site of three-phase commit as a pure state machine. TR1 to TR4 are the termination rules of the book's 7.5."""

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
from reference_impls.protocols.three_phase_commit.messages import (
    DecisionRequest,
    DecisionResponse,
    Elected,
    PreCommit,
    PreCommitAck,
    StateRequest,
    StateResponse,
)
from reference_impls.runtime.effects import Effect, Message, Note
from reference_impls.runtime.network import DELAY_BOUND
from reference_impls.runtime.process import Stable
from reference_impls.workloads.transactions import Request

GAP = 1_000_000
"""Between two sends of one message to several sites, which a failure may interrupt."""
UNCERTAIN, COMMITTABLE, COMMITTED, ABORTED = "uncertain", "committable", "committed", "aborted"
DECIDED = {COMMIT: COMMITTED, ABORT: ABORTED}


@dataclass
class Transaction:
    """What a site knows of a transaction.

    Attributes
    ----------
    up: the participants of which this site knows no failure, in the order in which they become coordinator.
    recovering: whether this site has crashed since it voted.
    phase: what this site waits for as the coordinator: votes, acks, states; empty: it does not coordinate.
    awaited: coordinator: those who have not answered yet.
    states: coordinator that was elected: what it was told; after a total failure: what the others' logs say.
    unsent: what is still to be sent of the present round.
    """

    txn: str
    coordinator: str
    participants: tuple[str, ...]
    keys: tuple[str, ...] = ()
    state: str = UNCERTAIN
    client: str = ""
    up: list[str] = field(default_factory=list)
    recovering: bool = False
    phase: str = ""
    awaited: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    states: dict[str, str] = field(default_factory=dict)
    unsent: list[tuple[str, Message]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.up = list(self.participants)

    @property
    def decided(self) -> bool:
        """Whether this site knows the decision."""
        return self.state in (COMMITTED, ABORTED)

    @property
    def round_ns(self) -> int:
        """What a message to everybody and the answers to it take at most, with a margin for clocks that run fast."""
        return 3 * (2 * DELAY_BOUND + len(self.participants) * GAP) // 2

    @property
    def patience_ns(self) -> int:
        """What a coordinator that is up needs at most from one message to a participant to the next one."""
        return 5 * self.round_ns // 2


class ThreePhaseCommitNode(Site):
    """One site; of some transactions it is the coordinator, of others a participant."""

    transactions: dict[str, Transaction]

    # Inputs

    def on_start(self, stable: Stable) -> Sequence[Effect]:
        """The first start, or recovery from the log."""
        self._effects = []
        self.log = list(stable.log)
        self.transactions = {}
        self._effects.append(Note({}, "commit.restart" if self.log else "commit.init"))
        self._read_log()
        for t in list(self.transactions.values()):
            if not t.decided:
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
        """The next site has its turn in a round of sends; or an answer is overdue."""
        self._effects = []
        what, _, txn = name.partition(" ")
        t = self.transactions[txn]
        if what == "send":
            self._send_next(t)
        elif t.decided:
            pass
        elif t.recovering:
            self._ask(t)
        elif t.phase:
            self._on_answers_missing(t)
        else:
            self._on_coordinator_silent(t)
        return self._effects

    # Rounds: the coordinator sends a message to several sites and waits for their answers

    def _round(self, t: Transaction, phase: str, messages: Sequence[tuple[str, Message]]) -> None:
        """Replaces what is still unsent: whoever was not asked yet gets what is decided instead."""
        t.phase, t.awaited = phase, {site for site, _ in messages}
        t.unsent = list(messages)
        if phase:
            self._start_timer("wait", t.txn, t.round_ns)
        else:
            self._stop_timer("wait", t.txn)
        self._send_next(t)

    def _send_next(self, t: Transaction) -> None:
        if t.unsent:
            self._send(*t.unsent.pop(0))
        if t.unsent:
            self._start_timer("send", t.txn, GAP)

    def _on_answers_missing(self, t: Transaction) -> None:
        """Timeout actions of the coordinator: whoever has not answered has failed."""
        t.up = [site for site in t.up if site not in t.awaited]
        if t.phase == "votes":
            self._decide(t, ABORT, f"no vote from {', '.join(s for s in t.participants if s in t.awaited)}")
        else:
            t.awaited = set()
            self._on_answered(t)

    def _on_answered(self, t: Transaction) -> None:
        """All operational sites have answered."""
        if t.phase == "votes":
            self._pre_commit(t, self.others(t.participants))
        elif t.phase == "acks":
            self._decide(t, COMMIT)
        else:
            self._terminate(t)

    def _answered(self, t: Transaction | None, phase: str, sender: str) -> None:
        if t is not None and t.phase == phase and sender in t.awaited:
            t.awaited.discard(sender)
            if not t.awaited:
                self._on_answered(t)

    # The first phase is that of two-phase commit

    def _on_request(self, client: str, message: Request) -> None:
        """The coordinator sends VOTE-REQ to all participants. Its own vote it casts at once."""
        if message.txn in self.transactions:
            return  # the request has come twice
        participants, keys = self.sites(message.keys), self.share(message.keys, self.name)
        t = Transaction(message.txn, self.name, participants, keys, client=client)
        self.transactions[t.txn] = t
        conflict = self.locks.conflict(keys)
        if conflict:
            t.state = ABORTED
            self._write(Record(ABORT, t.txn))
            self._note(t.txn, "commit.begin", participants=participants, vote=NO, decision=ABORT, reason=conflict)
            self._answer(client, t.txn, ABORT)
            return
        self.locks.take(keys, t.txn)
        self._write(Record("start", t.txn, self.name, participants, keys))
        self._note(t.txn, "commit.begin", participants=participants, vote=YES, held=keys)
        asked = [
            (site, VoteRequest(t.txn, participants, self.share(message.keys, site)))
            for site in self.others(participants)
        ]
        self._round(t, "votes", asked)
        if not asked:
            self._on_answered(t)

    def _on_vote_request(self, sender: str, message: VoteRequest) -> None:
        """Yes, or no and abort."""
        t = self.transactions.get(message.txn)
        if t is not None:
            if t.state == ABORTED:  # told or asked of it by others, before the coordinator's request came
                self._send(sender, Vote(t.txn, NO))
            return
        t = self.transactions[message.txn] = Transaction(message.txn, sender, message.participants, message.keys)
        conflict = self.locks.conflict(t.keys)
        if conflict:
            self._adopt(t, ABORT, vote=NO, reason=conflict)
        else:
            self.locks.take(t.keys, t.txn)
            self._write(Record(YES, t.txn, sender, t.participants, t.keys))
            self._note(t.txn, vote=YES, held=t.keys)
            self._await_coordinator(t)
        self._send(sender, Vote(t.txn, NO if conflict else YES))

    def _on_vote(self, sender: str, message: Vote) -> None:
        t = self.transactions.get(message.txn)
        if t is None or t.phase != "votes" or message.vote == YES:
            self._answered(t, "votes", sender)
        else:
            t.refused.add(sender)
            self._decide(t, ABORT)

    # The second phase: everybody learns that all have voted yes

    def _pre_commit(self, t: Transaction, uncertain: Sequence[str]) -> None:
        """The coordinator sends PRE-COMMIT, and waits for acknowledgements before it commits."""
        if t.state == UNCERTAIN:
            self._become_committable(t, "commit.pre_commit")
        self._round(t, "acks", [(site, PreCommit(t.txn)) for site in uncertain])
        if not uncertain:
            self._on_answered(t)

    def _become_committable(self, t: Transaction, name: str = "") -> None:
        t.state = COMMITTABLE
        self._write(Record("pre-commit", t.txn))
        self._note(t.txn, name, committable=True)

    def _on_pre_commit(self, sender: str, message: PreCommit) -> None:
        """A process that is recovering does not act on it: its state is what others may count on."""
        t = self.transactions.get(message.txn)
        if t is None or t.decided or t.recovering:
            return
        if t.state == UNCERTAIN:
            self._become_committable(t)
        self._await_coordinator(t)
        self._send(sender, PreCommitAck(t.txn))

    def _on_pre_commit_ack(self, sender: str, message: PreCommitAck) -> None:
        self._answered(self.transactions.get(message.txn), "acks", sender)

    # The third phase

    def _decide(self, t: Transaction, decision: str, reason: str = "") -> None:
        """The coordinator decides, and tells all who do not know it. Messages are not lost: there are no answers."""
        self._write(Record(decision, t.txn))
        t.state = DECIDED[decision]
        self._note(t.txn, "commit.decide", decision=decision, reason=reason)
        self.locks.release(t.keys, t.txn)
        told = [site for site in self.others(t.participants) if site not in t.refused]
        self._round(t, "", [(site, Decision(t.txn, decision)) for site in told])
        self._answer(t.client, t.txn, decision)

    def _on_decision(self, sender: str, message: Decision) -> None:
        t = self.transactions.get(message.txn) or self._unheard(message.txn)
        if not t.decided:
            self._adopt(t, message.decision)

    def _adopt(self, t: Transaction, decision: str, **fields: Any) -> None:
        """Decides, as part of what has just arrived."""
        t.state, t.phase, t.unsent = DECIDED[decision], "", []
        self._write(Record(decision, t.txn))
        self._note(t.txn, decision=decision, **fields)
        self.locks.release(t.keys, t.txn)
        self._stop_timer("wait", t.txn)

    def _unheard(self, txn: str, participants: tuple[str, ...] = ()) -> Transaction:
        """A transaction that this site has not voted on."""
        return self.transactions.setdefault(txn, Transaction(txn, "", participants))

    def _abort_before_voting(self, txn: str, participants: tuple[str, ...] = ()) -> Transaction:
        """A process that has not voted may decide abort: nobody can be committable without its vote."""
        t = self._unheard(txn, participants)
        self._adopt(t, ABORT, reason="asked about it before it has voted")
        return t

    # Termination protocol: the operational processes elect a new coordinator, which decides by their states

    def _await_coordinator(self, t: Transaction) -> None:
        self._start_timer("wait", t.txn, t.patience_ns)

    def _on_coordinator_silent(self, t: Transaction) -> None:
        """Timeout action of a participant: the coordinator has failed, the next one in the order takes its place."""
        t.up = [site for site in t.up if site != t.coordinator]
        t.coordinator = t.up[0]
        self._note(t.txn, "commit.terminate")
        if t.coordinator == self.name:
            self._take_over(t)
        else:
            self._send(t.coordinator, Elected(t.txn, t.participants))
            self._await_coordinator(t)

    def _on_elected(self, sender: str, message: Elected) -> None:
        t = self.transactions.get(message.txn) or self._abort_before_voting(message.txn, message.participants)
        if t.decided:
            self._send(sender, Decision(t.txn, COMMIT if t.state == COMMITTED else ABORT))
        elif not t.recovering and not t.phase:
            self._take_over(t)

    def _take_over(self, t: Transaction) -> None:
        """The new coordinator asks for states. Those before it in the order have failed, else it were not elected."""
        t.coordinator = self.name
        t.up = t.up[t.up.index(self.name) :]
        t.states = {self.name: t.state}
        asked = [(site, StateRequest(t.txn)) for site in self.others(t.up)]
        self._round(t, "states", asked)
        if not asked:
            self._on_answered(t)

    def _on_state_request(self, sender: str, message: StateRequest) -> None:
        t = self.transactions.get(message.txn) or self._abort_before_voting(message.txn)
        if t.recovering and not t.decided:
            return
        if not t.decided:
            t.coordinator, t.phase = sender, ""
            before = t.participants[: t.participants.index(sender)]
            t.up = [site for site in t.up if site == self.name or site not in before]
            self._await_coordinator(t)
        self._send(sender, StateResponse(t.txn, t.state))

    def _on_state_response(self, sender: str, message: StateResponse) -> None:
        t = self.transactions.get(message.txn)
        if t is not None and t.phase == "states":
            t.states[sender] = message.state
            self._answered(t, "states", sender)

    def _terminate(self, t: Transaction) -> None:
        """The termination rules, on the states of all operational processes."""
        states = {site: state for site, state in t.states.items() if site in t.up}
        if ABORTED in states.values():  # TR1
            self._decide(t, ABORT, "termination: one has aborted")
        elif COMMITTED in states.values():  # TR2
            self._decide(t, COMMIT, "termination: one has committed")
        elif COMMITTABLE not in states.values():  # TR3
            self._all_uncertain(t)
        else:  # TR4
            self._some_committable(t, [site for site in self.others(states) if states[site] == UNCERTAIN])

    def _all_uncertain(self, t: Transaction) -> None:
        """TR3: abort. Nobody has committed: whoever does knows that all operational processes are committable."""
        self._decide(t, ABORT, "termination: all are uncertain")

    def _some_committable(self, t: Transaction, uncertain: Sequence[str]) -> None:
        """TR4: first PRE-COMMIT to those that are uncertain, then commit; this coordinator may fail as well."""
        self._pre_commit(t, uncertain)

    # Recovery

    def _read_log(self) -> None:
        """What the log tells of each transaction."""
        for record in self.log:
            txn = record.txn
            if record.kind in ("start", YES):
                self.transactions[txn] = Transaction(txn, record.coordinator, record.participants, record.keys)
            elif record.kind == "pre-commit":
                self.transactions[txn].state = COMMITTABLE
            else:
                self._unheard(txn).state = DECIDED[record.kind]

    def _recover(self, t: Transaction) -> None:
        """The others may have decided without it: it asks them, the former coordinator as well."""
        t.recovering = True
        self.locks.take(t.keys, t.txn)
        self._note(t.txn, "commit.terminate")
        self._ask(t)

    def _ask(self, t: Transaction) -> None:
        for site in self.others(t.participants):
            self._send(site, DecisionRequest(t.txn))
        self._start_timer("wait", t.txn, t.patience_ns)
        self._after_total_failure(t)

    def _on_decision_request(self, sender: str, message: DecisionRequest) -> None:
        t = self.transactions.get(message.txn) or self._abort_before_voting(message.txn)
        self._send(sender, DecisionResponse(t.txn, t.state, t.recovering))

    def _on_decision_response(self, sender: str, message: DecisionResponse) -> None:
        t = self.transactions.get(message.txn)
        if t is None or t.decided:
            return
        if message.state in (COMMITTED, ABORTED):
            self._adopt(t, COMMIT if message.state == COMMITTED else ABORT)
        elif message.recovering:
            t.states[sender] = message.state
            self._after_total_failure(t)

    def _after_total_failure(self, t: Transaction) -> None:
        """All have crashed since they voted, and all are back, the last one to fail among them.

        Their states do not change any more but to a decision, so all that decide now decide the same.
        """
        if set(self.others(t.participants)) <= set(t.states):
            committable = COMMITTABLE in (t.state, *t.states.values())
            self._decide(t, COMMIT if committable else ABORT, "all have failed and are back")


_HANDLERS: dict[type, Any] = {
    VoteRequest: ThreePhaseCommitNode._on_vote_request,
    Vote: ThreePhaseCommitNode._on_vote,
    PreCommit: ThreePhaseCommitNode._on_pre_commit,
    PreCommitAck: ThreePhaseCommitNode._on_pre_commit_ack,
    Decision: ThreePhaseCommitNode._on_decision,
    Elected: ThreePhaseCommitNode._on_elected,
    StateRequest: ThreePhaseCommitNode._on_state_request,
    StateResponse: ThreePhaseCommitNode._on_state_response,
    DecisionRequest: ThreePhaseCommitNode._on_decision_request,
    DecisionResponse: ThreePhaseCommitNode._on_decision_response,
}
