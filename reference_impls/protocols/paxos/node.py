"""A node as a pure state machine: proposer, acceptor and learner. Numbers in comments are sections of the paper."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from reference_impls.protocols.paxos.messages import (
    Accept,
    Accepted,
    Answer,
    Chosen,
    Prepare,
    Promise,
    Proposal,
    Refusal,
    Submit,
)
from reference_impls.runtime.effects import CancelTimer, Effect, Note, Persist, Reply, Send, SetTimer
from reference_impls.runtime.process import Stable

MILLISECOND = 1_000_000
PATIENCE = (60 * MILLISECOND, 120 * MILLISECOND)
"""How long a proposer waits for answers before it tries a higher ballot."""
BACK_OFF = (5 * MILLISECOND, 40 * MILLISECOND)
"""How long it waits once it was refused: random, so that two proposers do not refuse each other for ever (2.4)."""

STABLE = ("tried", "promised", "accepted")
"""What is on stable storage, a cell for each instance (2.5)."""


@dataclass
class Attempt:
    """What a proposer does for one instance until it learns what is chosen.

    Attributes
    ----------
    wish: the value that it proposes where it is free to.
    clients: who waits for the outcome.
    ballot: the one under way.
    promises: phase 1: the acceptors that have promised, each with what it had accepted.
    proposal: phase 2: what was proposed; None during phase 1.
    acceptors: phase 2: who has accepted it.
    """

    wish: str
    clients: list[str] = field(default_factory=list)
    ballot: int = 0
    promises: dict[str, Proposal | None] = field(default_factory=dict)
    proposal: Proposal | None = None
    acceptors: set[str] = field(default_factory=set)


class PaxosNode:
    """One node. A handler first makes stable what it is about to promise, then records it, and only then sends it."""

    def __init__(self, name: str, members: Sequence[str], random: Random) -> None:
        self.name = name
        self.members = members
        self.others = [member for member in members if member != name]
        self.place = members.index(name)
        self.random = random
        # Stable: of the proposer, the highest ballot tried; of the acceptor, what it has promised and accepted (2.5)
        self.tried: dict[int, int] = {}
        self.promised: dict[int, int] = {}
        self.accepted: dict[int, Proposal] = {}
        # Volatile: what a proposer is about, the highest ballot it has heard of, and what a learner knows
        self.attempts: dict[int, Attempt] = {}
        self.heard: dict[int, int] = {}
        self.learned: dict[int, str] = {}
        self._effects: list[Effect] = []

    # Inputs

    def on_start(self, stable: Stable) -> Sequence[Effect]:
        """A node remembers what is in stable storage, and nothing else (2.5)."""
        known: dict[str, dict[int, Any]] = {what: {} for what in STABLE}
        for cell, value in stable.cells.items():
            what, _, instance = cell.partition(" ")
            if what in known:
                known[what][int(instance)] = value
        self.tried, self.promised, self.accepted = (known[what] for what in STABLE)
        fields = {"paxos.acceptors": list(self.members)}
        first = "started" not in stable.cells
        return [Note(fields, "paxos.init" if first else "paxos.restart"), Persist({"started": True})]

    def on_message(self, now_ns: int, sender: str, message: Any) -> Sequence[Effect]:
        """A value from a client, or a message of another node."""
        self._effects = []
        getattr(self, _HANDLERS[type(message)])(sender, message)
        return self._effects

    def on_timer(self, now_ns: int, name: str) -> Sequence[Effect]:
        """A ballot has come to nothing: the next one."""
        self._effects = []
        self._start_ballot(int(name))
        return self._effects

    # Proposer (2.2)

    def _on_submit(self, client: str, message: Submit) -> None:
        """A client wants a value chosen. If one is known to be, it is the answer."""
        instance = message.instance
        if instance in self.learned:
            self._effects.append(Reply(client, Answer(instance, self.learned[instance])))
            return
        under_way = instance in self.attempts
        attempt = self.attempts.setdefault(instance, Attempt(message.value))
        if client not in attempt.clients:
            attempt.clients.append(client)
        if not under_way:
            self._start_ballot(instance)

    def _start_ballot(self, instance: int) -> None:
        """Phase 1(a): selects a proposal number and sends a prepare request to the acceptors, itself included."""
        attempt = self.attempts[instance]
        attempt.ballot = ballot = self._next_ballot(instance)
        attempt.promises, attempt.proposal, attempt.acceptors = {}, None, set()
        self.tried[instance] = self.promised[instance] = ballot
        attempt.promises[self.name] = self.accepted.get(instance)
        self._make_stable(instance, "tried", "promised")
        fields = {"paxos.instance": instance, "paxos.ballot": ballot, "paxos.promised": ballot}
        self._effects.append(Note(fields, "paxos.start_ballot"))
        self._effects += [Send(other, Prepare(instance, ballot)) for other in self.others]
        self._effects.append(SetTimer(str(instance), self.random.randint(*PATIENCE)))
        self._count_promises(instance)

    def _next_ballot(self, instance: int) -> int:
        """Proposers choose from disjoint sets of numbers, and each a higher one than any it has tried (2.5)."""
        n = len(self.members)
        highest = max(
            self.tried.get(instance, 0), self.promised.get(instance, 0), self.heard.get(instance, 0)
        )  # fmt: skip
        return (highest // n + 1) * n + self.place

    def _on_promise(self, sender: str, message: Promise) -> None:
        attempt = self.attempts.get(message.instance)
        if attempt is not None and attempt.ballot == message.ballot and attempt.proposal is None:
            attempt.promises[sender] = message.last
            self._count_promises(message.instance)

    def _count_promises(self, instance: int) -> None:
        """Phase 2(a): with promises from a majority of acceptors, proposes a value; its own acceptor accepts at once.

        A proposer whose own acceptor has promised a higher ballot since had better abandon its own (2.2).
        """
        attempt = self.attempts[instance]
        if len(attempt.promises) < self._quorum() or self.promised[instance] > attempt.ballot:
            return
        attempt.proposal = Proposal(attempt.ballot, self._choose(attempt))
        self._accept(instance, attempt.proposal)
        fields = {"paxos.instance": instance, "paxos.ballot": attempt.ballot, "paxos.value": attempt.proposal.value}
        self._effects.append(Note({**fields, **self._acceptance(instance)}, "paxos.accepted"))
        attempt.acceptors.add(self.name)
        self._effects += [Send(other, Accept(instance, attempt.proposal)) for other in self.others]
        self._count_acceptances(instance)

    def _choose(self, attempt: Attempt) -> str:
        """P2c: the value of the highest-numbered proposal among the responses, or any if they report none (2.2)."""
        reported = [last for last in attempt.promises.values() if last is not None]
        return max(reported).value if reported else attempt.wish

    def _quorum(self) -> int:
        """A majority of the acceptors: any two of them have a member in common (2.2)."""
        return len(self.members) // 2 + 1

    def _on_refusal(self, sender: str, message: Refusal) -> None:
        """Another proposer has begun a higher ballot: the proposer had better abandon its own (2.2)."""
        instance = message.instance
        self.heard[instance] = max(self.heard.get(instance, 0), message.promised)
        attempt = self.attempts.get(instance)
        if attempt is not None and attempt.ballot == message.ballot:
            self._effects.append(SetTimer(str(instance), self.random.randint(*BACK_OFF)))

    # Acceptor (2.2)

    def _on_prepare(self, sender: str, message: Prepare) -> None:
        """Phase 1(b): a number greater than that of any prepare request answered before gets a promise."""
        instance, ballot = message.instance, message.ballot
        promised = self.promised.get(instance, 0)
        if self._may_promise(ballot, promised):
            self.promised[instance] = ballot
            self._make_stable(instance, "promised")
            self._effects.append(Note({"paxos.promised": ballot}))
            self._effects.append(Send(sender, Promise(instance, ballot, self.accepted.get(instance))))
        elif ballot < promised:
            self._effects.append(Send(sender, Refusal(instance, ballot, promised)))

    def _on_accept(self, sender: str, message: Accept) -> None:
        """Phase 2(b): P1a: accepts unless it has answered a prepare request with a greater number."""
        instance, proposal = message.instance, message.proposal
        promised = self.promised.get(instance, 0)
        if not self._may_accept(proposal.ballot, promised):
            self._effects.append(Send(sender, Refusal(instance, proposal.ballot, promised)))
            return
        self._accept(instance, proposal)
        self._effects.append(Note(self._acceptance(instance)))
        self._effects.append(Send(sender, Accepted(instance, proposal)))

    def _may_promise(self, ballot: int, promised: int) -> bool:
        """Whether the number is greater than that of any prepare request answered before (2.2)."""
        return ballot > promised

    def _may_accept(self, ballot: int, promised: int) -> bool:
        """P1a: whether no prepare request with a greater number was answered (2.2)."""
        return ballot >= promised

    def _accept(self, instance: int, proposal: Proposal) -> None:
        """Accepts a proposal. What is accepted is promised as well, so that the number of promises never falls."""
        self.promised[instance] = proposal.ballot
        self.accepted[instance] = proposal
        self._make_stable(instance, "promised", "accepted")

    def _acceptance(self, instance: int) -> dict[str, Any]:
        ballot, value = self.accepted[instance]
        return {"paxos.promised": ballot, "paxos.accepted_ballot": ballot, "paxos.accepted_value": value}

    # Learner (2.3)

    def _on_accepted(self, sender: str, message: Accepted) -> None:
        attempt = self.attempts.get(message.instance)
        if attempt is not None and attempt.proposal == message.proposal:
            attempt.acceptors.add(sender)
            self._count_acceptances(message.instance)

    def _count_acceptances(self, instance: int) -> None:
        """A proposal that a majority of acceptors has accepted is chosen; the others hear of it (2.3)."""
        attempt = self.attempts[instance]
        if attempt.proposal is None or len(attempt.acceptors) < self._copies_needed():
            return
        value = attempt.proposal.value
        self._learn(instance, value)
        self._effects += [Send(other, Chosen(instance, value)) for other in self.others]

    def _copies_needed(self) -> int:
        """How many acceptors choose a value (2.2)."""
        return self._quorum()

    def _on_chosen(self, sender: str, message: Chosen) -> None:
        if message.instance not in self.learned:
            self._learn(message.instance, message.value)

    def _learn(self, instance: int, value: str) -> None:
        """The value is chosen: what the proposer still wanted is settled, and its clients are answered."""
        self.learned[instance] = value
        self._effects.append(Note({"paxos.instance": instance, "paxos.value": value}, "paxos.learn"))
        attempt = self.attempts.pop(instance, None)
        if attempt is not None:
            self._effects.append(CancelTimer(str(instance)))
            self._effects += [Reply(client, Answer(instance, value)) for client in attempt.clients]

    def _make_stable(self, instance: int, *what: str) -> None:
        """Writes what changed to stable storage, before the response to it is sent (2.5)."""
        self._effects.append(Persist({f"{name} {instance}": getattr(self, name)[instance] for name in what}))


_HANDLERS: dict[type, str] = {
    Submit: "_on_submit",
    Prepare: "_on_prepare",
    Promise: "_on_promise",
    Accept: "_on_accept",
    Accepted: "_on_accepted",
    Refusal: "_on_refusal",
    Chosen: "_on_chosen",
}
