"""A node as a pure state machine: acceptor, replica and leader. Numbers in comments are sections of the paper."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

from reference_impls.protocols.kv_store import Command
from reference_impls.protocols.multi_paxos.machine import Machine, digest_of
from reference_impls.protocols.multi_paxos.messages import (
    Accept,
    Accepted,
    CatchUp,
    Chosen,
    ClientRequest,
    ClientResponse,
    Heartbeat,
    Missed,
    Prepare,
    Promise,
    Pvalue,
    Refusal,
    proposal_fields,
)
from reference_impls.runtime.effects import CancelTimer, Effect, Message, Note, Persist, Reply, Send, SetTimer
from reference_impls.runtime.process import Stable

MILLISECOND = 1_000_000
PATIENCE = (150 * MILLISECOND, 300 * MILLISECOND)
"""How long a node waits for a sign of a leader before it begins a ballot; random, so that they seldom collide (2.4)."""
HEARTBEAT = 50 * MILLISECOND
"""How often a leader shows that it is there, and repeats what was not answered."""
CHECKPOINT = 25
"""After so many commands a replica makes its state stable."""
MOST_MISSED = 100
"""How many decisions one message carries at most."""

FOLLOWING, PREPARING, LEADING = "following", "preparing", "leading"


class MultiPaxosNode:
    """One node. A handler first makes stable what it is about to promise, then records it, and only then sends it."""

    def __init__(self, name: str, members: Sequence[str], random: Random) -> None:
        self.name = name
        self.members = members
        self.others = [member for member in members if member != name]
        self.place = members.index(name)
        self.random = random
        # Acceptor, stable: one promise for all slots; what was accepted in slots whose decision is not known (2.5)
        self.promised = 0
        self.accepted: dict[int, Pvalue] = {}
        # Replica: decisions without a gap (stable), those after a gap, and the machine up to `applied`
        self.decided: list[Command | None] = []
        self.ahead: dict[int, Command | None] = {}
        self.machine = self.make_machine()
        self.applied = 0
        # Leader, volatile: its ballot, who promised it, and the proposals under way with who has accepted them
        self.role = FOLLOWING
        self.ballot = 0
        self.heard = 0
        self.promises: dict[str, tuple[Pvalue, ...]] = {}
        self.under_way: dict[int, tuple[Pvalue, set[str]]] = {}
        self.asked: set[tuple[str, int]] = set()
        self._effects: list[Effect] = []

    # Inputs

    def on_start(self, stable: Stable) -> Sequence[Effect]:
        """A node remembers what is in stable storage (2.5): its acceptor's state, decisions, and a checkpoint."""
        self._effects = []
        self.decided = list(stable.log)
        self.promised = stable.cells.get("promised", 0)
        for cell, pvalue in stable.cells.items():
            if cell.startswith("accepted ") and pvalue.slot > len(self.decided):
                self.accepted[pvalue.slot] = pvalue
        if "checkpoint" in stable.cells:
            self.applied, contents = stable.cells["checkpoint"]
            self.machine.take_over(contents)
        state = {"smr.index": self.applied, "smr.state": self.machine.digest}
        fields = {"paxos.acceptors": list(self.members), "paxos.promised": self.promised, **state}
        self._effects.append(Note(fields, "smr.restart" if stable.cells else "smr.init"))
        if not stable.cells:
            self._effects.append(Persist({"promised": 0}))
        self._recover()
        self._await_leader()
        return self._effects

    def on_message(self, now_ns: int, sender: str, message: Any) -> Sequence[Effect]:
        """A message from a node or from a client."""
        self._effects = []
        getattr(self, _HANDLERS[type(message)])(sender, message)
        return self._effects

    def on_timer(self, now_ns: int, name: str) -> Sequence[Effect]:
        """No leader was heard of for too long, or it is time for a leader's heartbeat."""
        self._effects = []
        if name == "heartbeat":
            self._beat()
        else:
            self._start_ballot()
        return self._effects

    # Phase 1: becoming leader (3)

    def _await_leader(self) -> None:
        self._effects.append(SetTimer("election", self.random.randint(*PATIENCE)))

    def _start_ballot(self) -> None:
        """Phase 1(a), for every slot of which the node does not know the decision, and for all after them (3).

        Its own acceptor promises first: a number that is tried is thereby on stable storage, and never tried again.
        """
        n = len(self.members)
        self.role, self.under_way = PREPARING, {}
        self.ballot = self.promised = (max(self.promised, self.heard) // n + 1) * n + self.place
        self.promises = {self.name: tuple(self.accepted.values())}
        self._effects.append(Persist({"promised": self.promised}))
        self._effects.append(Note({"paxos.ballot": self.ballot, "paxos.promised": self.promised}, "paxos.start_ballot"))
        self._send_all(Prepare(self.ballot, len(self.decided) + 1))
        self._await_leader()
        self._count_promises()

    def _on_prepare(self, sender: str, message: Prepare) -> None:
        """Phase 1(b): one promise for all slots, with what was accepted where the outcome is open (2.2, 3)."""
        if message.ballot <= self.promised:
            if message.ballot < self.promised:
                self._send(sender, Refusal(message.ballot, self.promised))
            return
        self._follow()
        self.promised = message.ballot
        self._effects.append(Persist({"promised": self.promised}))
        self._effects.append(Note({"paxos.promised": self.promised}))
        chosen = tuple(self.decided[message.first - 1 :])
        self._send(sender, Promise(message.ballot, tuple(self.accepted.values()), message.first, chosen))

    def _on_promise(self, sender: str, message: Promise) -> None:
        if self.role != PREPARING or message.ballot != self.ballot:
            return
        for slot, command in enumerate(message.chosen, message.first):
            self._learn(slot, command)
        self.promises[sender] = message.accepted
        self._count_promises()
        self._apply()

    def _count_promises(self) -> None:
        """With promises from a majority, the node leads: it completes what was begun, and fills the gaps (3)."""
        if len(self.promises) < self._quorum():
            return
        self.role = LEADING
        self._effects.append(Note({"paxos.ballot": self.ballot}, "paxos.lead"))
        self._effects += CancelTimer("election"), SetTimer("heartbeat", HEARTBEAT)
        self._send_all(Heartbeat(self.ballot, len(self.decided)))
        reported = self._reported()
        for slot in range(len(self.decided) + 1, self._last_slot(reported) + 1):
            if slot in reported:
                self._propose(slot, reported[slot].command)
            elif slot not in self.ahead:
                self._submit(slot, None)

    def _reported(self) -> dict[int, Pvalue]:
        """PMMC's pmax: in each slot the proposal with the highest ballot of those reported (2.2, P2c)."""
        highest: dict[int, Pvalue] = {}
        for accepted in self.promises.values():
            for pvalue in accepted:
                if pvalue.slot > len(self.decided) and pvalue.slot not in self.ahead:
                    known = highest.get(pvalue.slot)
                    if known is None or pvalue.ballot > known.ballot:
                        highest[pvalue.slot] = pvalue
        return highest

    def _last_slot(self, reported: dict[int, Pvalue]) -> int:
        """The last slot in which something may have been chosen; the next command goes behind it."""
        return max(len(self.decided), *reported, *self.ahead, *self.under_way, 0)

    def _quorum(self) -> int:
        """A majority of the acceptors (2.2)."""
        return len(self.members) // 2 + 1

    # Phase 2: commands (3)

    def _on_request(self, client: str, message: ClientRequest) -> None:
        """A client's request; whoever does not lead names the owner of the highest ballot that it knows."""
        command = message.command
        if self.role != LEADING:
            owner = self.members[self.promised % len(self.members)]
            leader = owner if self.promised and owner != self.name else ""
            self._reply(client, ClientResponse(command.number, "redirect", leader=leader))
            return
        known = self.machine.store.known(command)
        if known is not None:  # executed already: the answer was lost
            self._reply(client, ClientResponse(command.number, "ok" if known.ok else "fail", known.value))
            return
        # Sent again while under way, it takes a second slot; sessions make that harmless (PMMC: perform)
        self.asked.add((command.client, command.number))
        self._submit(self._last_slot({}) + 1, command)

    def _submit(self, slot: int, command: Command | None) -> None:
        """Puts a command of a client, or the no-op that fills a gap (3), forward for a slot."""
        fields = {"paxos.instance": slot, "paxos.value": digest_of(command)}
        self._effects.append(Note(fields, "paxos.submit"))
        self._propose(slot, command)

    def _propose(self, slot: int, command: Command | None) -> None:
        """Phase 2(a). The leader's own acceptor accepts at once: had it promised more, the node would not lead."""
        pvalue = Pvalue(self.ballot, slot, command)
        self.under_way[slot] = (pvalue, {self.name})
        self._accept(pvalue)
        self._effects.append(Note({**proposal_fields(pvalue), **_acceptance(pvalue)}, "paxos.accepted"))
        self._send_all(Accept(pvalue))
        self._count_acceptances(slot)

    def _on_accept(self, sender: str, message: Accept) -> None:
        """Phase 2(b): P1a: accepts unless a higher ballot was promised (2.2)."""
        pvalue = message.pvalue
        if pvalue.ballot < self.promised:
            self._send(sender, Refusal(pvalue.ballot, self.promised))
            return
        self._follow()
        self._accept(pvalue)
        self._effects.append(Note(_acceptance(pvalue)))
        self._send(sender, Accepted(pvalue))

    def _accept(self, pvalue: Pvalue) -> None:
        self.promised = pvalue.ballot
        if pvalue.slot > len(self.decided):
            self.accepted[pvalue.slot] = pvalue
        self._effects.append(Persist({"promised": self.promised, f"accepted {pvalue.slot}": pvalue}))

    def _on_accepted(self, sender: str, message: Accepted) -> None:
        slot = message.pvalue.slot
        if slot in self.under_way and self.under_way[slot][0] == message.pvalue:
            self.under_way[slot][1].add(sender)
            self._count_acceptances(slot)

    def _count_acceptances(self, slot: int) -> None:
        """A command that a majority has accepted is chosen: the leader learns it and tells the others (2.3)."""
        pvalue, acceptors = self.under_way[slot]
        if len(acceptors) >= self._copies_needed():
            self._learn(slot, pvalue.command)
            self._send_all(Chosen(slot, pvalue.command))
            self._apply()

    def _copies_needed(self) -> int:
        """How many acceptors choose a command (2.2)."""
        return self._quorum()

    # The leader's life

    def _beat(self) -> None:
        """Shows that the leader is there, and repeats accept requests that were not answered."""
        if self.role != LEADING:
            return
        self._effects.append(SetTimer("heartbeat", HEARTBEAT))
        self._send_all(Heartbeat(self.ballot, len(self.decided)))
        for pvalue, acceptors in self.under_way.values():
            for other in self.others:
                if other not in acceptors:
                    self._send(other, Accept(pvalue))

    def _on_heartbeat(self, sender: str, message: Heartbeat) -> None:
        if message.ballot < self.promised:
            self._send(sender, Refusal(message.ballot, self.promised))
            return
        self._follow()
        if message.decided > len(self.decided):
            self._send(sender, CatchUp(len(self.decided) + 1))

    def _follow(self) -> None:
        """Somebody else leads, or is about to: waits for what he does."""
        if self.role == LEADING:
            self._effects.append(CancelTimer("heartbeat"))
        self.role, self.under_way = FOLLOWING, {}
        self._await_leader()

    def _on_refusal(self, sender: str, message: Refusal) -> None:
        """Preempted (PMMC): another ballot is higher. A later attempt will be above it."""
        self.heard = max(self.heard, message.promised)
        if self.role != FOLLOWING and message.ballot == self.ballot:
            self._follow()

    # Replica: learning and applying

    def _learn(self, slot: int, command: Command | None) -> None:
        """The command is chosen for the slot. Decisions without a gap before them are made stable."""
        self.under_way.pop(slot, None)
        if slot <= len(self.decided) or slot in self.ahead:
            return
        self._effects.append(Note({"paxos.instance": slot, "paxos.value": digest_of(command)}, "paxos.learn"))
        self.ahead[slot] = command
        first = len(self.decided) + 1
        while len(self.decided) + 1 in self.ahead:
            following = len(self.decided) + 1
            self.decided.append(self.ahead.pop(following))
            self.accepted.pop(following, None)
        if len(self.decided) >= first:
            self._effects.append(Persist({}, first, self.decided[first - 1 :]))

    def _on_chosen(self, sender: str, message: Chosen) -> None:
        self._learn(message.slot, message.command)
        self._apply()

    def _on_catch_up(self, sender: str, message: CatchUp) -> None:
        commands = self._missed(message.first)
        if commands:
            self._send(sender, Missed(message.first, commands))

    def _missed(self, first: int) -> tuple[Command | None, ...]:
        """The decisions from a slot on."""
        return tuple(self.decided[first - 1 : first - 1 + MOST_MISSED])

    def _on_missed(self, sender: str, message: Missed) -> None:
        for slot, command in enumerate(message.commands, message.first):
            self._learn(slot, command)
        self._apply()

    def _recover(self) -> None:
        """After a restart: applies what was decided and is not in the checkpoint."""
        self._apply()

    def make_machine(self) -> Machine:
        """The machine in its initial state."""
        return Machine()

    def _apply(self) -> None:
        """Executes decisions in the order of their slots, none before all earlier ones (3; PMMC: perform)."""
        while self.applied < len(self.decided):
            self.applied += 1
            self._execute(self.applied, self.decided[self.applied - 1])

    def _execute(self, index: int, command: Command | None) -> None:
        """Applies the command of a slot. Whoever was asked for it answers."""
        executed, result = self.machine.apply(command)
        fields = {"smr.index": index, "smr.command": digest_of(command), "smr.state": self.machine.digest}
        if command is not None:
            fields |= {"smr.request": f"{command.client} #{command.number}", "smr.executed": executed}
        self._effects.append(Note(fields, "smr.apply"))
        if index % CHECKPOINT == 0:
            self._effects.append(Persist({"checkpoint": (index, self.machine.contents())}))
        if command is not None and result is not None and (command.client, command.number) in self.asked:
            self.asked.discard((command.client, command.number))
            self._reply(command.client, ClientResponse(command.number, "ok" if result.ok else "fail", result.value))

    # Sending

    def _send(self, to: str, message: Message) -> None:
        self._effects.append(Send(to, message))

    def _send_all(self, message: Message) -> None:
        self._effects += [Send(other, message) for other in self.others]

    def _reply(self, client: str, response: ClientResponse) -> None:
        self._effects.append(Reply(client, response))


def _acceptance(pvalue: Pvalue) -> dict[str, Any]:
    """The acceptor's state after it accepted a proposal."""
    return {
        "paxos.promised": pvalue.ballot,
        "paxos.accepted_ballot": pvalue.ballot,
        "paxos.accepted_value": digest_of(pvalue.command),
    }


_HANDLERS: dict[type, str] = {
    Prepare: "_on_prepare",
    Promise: "_on_promise",
    Accept: "_on_accept",
    Accepted: "_on_accepted",
    Refusal: "_on_refusal",
    Chosen: "_on_chosen",
    Heartbeat: "_on_heartbeat",
    CatchUp: "_on_catch_up",
    Missed: "_on_missed",
    ClientRequest: "_on_request",
}
