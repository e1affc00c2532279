"""Multi-Paxos with one rule broken each. The bug is never forced; faults only bring its opportunity about."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

from reference_impls.protocols.kv_store import Command, Result
from reference_impls.protocols.multi_paxos.machine import Machine
from reference_impls.protocols.multi_paxos.messages import ClientRequest, ClientResponse, Pvalue
from reference_impls.protocols.multi_paxos.node import MultiPaxosNode
from reference_impls.runtime.effects import Effect
from reference_impls.runtime.faults import Ambush
from reference_impls.runtime.network import MILLISECOND
from reference_impls.runtime.plan import Bug, by_name
from reference_impls.runtime.process import Stable
from tracekit.protocols import Mutant


class OutOfOrder(MultiPaxosNode):
    """Applies a decision when it learns it, though earlier ones are missing."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.early: set[int] = set()

    def _learn(self, slot: int, command: Command | None) -> None:
        super()._learn(slot, command)
        if slot in self.ahead:
            self._execute(slot, command)
            self.early.add(slot)

    def _execute(self, index: int, command: Command | None) -> None:
        if index not in self.early:
            super()._execute(index, command)


class Forgetful(Machine):
    """A machine that may forget to ask whether a request was executed before."""

    asks = False

    def _is_new(self, command: Command) -> bool:
        return not self.asks or super()._is_new(command)


class ApplyTwice(MultiPaxosNode):
    """After a restart, replays its whole log onto the state of its checkpoint, whatever that contains."""

    def make_machine(self) -> Machine:
        machine = Forgetful()
        machine.asks = True
        return machine

    def _recover(self) -> None:
        assert isinstance(self.machine, Forgetful), "every incarnation starts with one, or with a copy of one"
        self.applied, self.machine.asks = 0, False
        super()._recover()
        self.machine.asks = True


class ForgetSession(MultiPaxosNode):
    """Executes a command as often as it was chosen."""

    def make_machine(self) -> Machine:
        return Forgetful()


class Lossy(Machine):
    """A machine that is a cache: by chance it does not keep what it is told to."""

    def __init__(self, random: Random) -> None:
        super().__init__()
        self.random = random

    def _execute(self, command: Command) -> Result:
        if command.f == "write" and self.random.random() < 0.05:
            return Result(True, command.value)
        return super()._execute(command)


class NonDeterministic(MultiPaxosNode):
    """Its machine's next state is a matter of chance."""

    def make_machine(self) -> Machine:
        return Lossy(self.random)


class IgnoreReports(MultiPaxosNode):
    """A new leader takes every slot whose decision it does not know for a gap, and fills it with a no-op."""

    def _reported(self) -> dict[int, Pvalue]:
        return {}

    def _last_slot(self, reported: dict[int, Pvalue]) -> int:
        slots = [pvalue.slot for accepted in self.promises.values() for pvalue in accepted]
        return max(super()._last_slot(reported), *slots, 0)


class ForgetPromise(MultiPaxosNode):
    """Makes what it accepts stable and not what it promises."""

    def on_start(self, stable: Stable) -> Sequence[Effect]:
        accepted = [pvalue.ballot for cell, pvalue in stable.cells.items() if cell.startswith("accepted ")]
        stable.cells |= {"promised": max(accepted, default=0)} if stable.cells else {}
        return super().on_start(stable)


class DecideAlone(MultiPaxosNode):
    """A leader takes a command for chosen when its own acceptor has accepted it."""

    def _copies_needed(self) -> int:
        return 1


class ShiftedCatchUp(MultiPaxosNode):
    """Answers a replica that missed something with the decisions from the next slot on, as if they were asked for."""

    def _missed(self, first: int) -> tuple[Command | None, ...]:
        return super()._missed(first + 1)


class LocalReads(MultiPaxosNode):
    """Answers a read from its own state, without giving it a slot."""

    def _on_request(self, client: str, message: ClientRequest) -> None:
        command = message.command
        if command.f == "read":
            value = self.machine.store.values.get(command.key)
            self._reply(client, ClientResponse(command.number, "ok", value))
        else:
            super()._on_request(client, message)


RESTARTS = Ambush("smr.apply", chance=0.02, down_ns=20 * MILLISECOND, times=10)
"""Replicas crash now and then after they applied a command."""
LEADERS = Ambush("paxos.lead", chance=0.7, down_ns=200 * MILLISECOND, times=12)
"""New leaders crash, with proposals under way."""
PROMISES = Ambush("paxos.prepare", chance=0.5, down_ns=2 * MILLISECOND, times=40)
"""Acceptors crash just after a promise, and are back at once."""

BUGS = by_name(
    Bug(
        Mutant("out-of-order", "a command is applied when all earlier ones are (3)", "smr.prefix"),
        OutOfOrder,
        ("loss", "reordering"),
    ),
    Bug(
        Mutant("apply-twice", "what the recovered state contains is not applied again (PMMC: perform)",
               "smr.exactly-once"),
        ApplyTwice,
        ("loss",),
        (RESTARTS,),
    ),
    Bug(
        Mutant("forget-session", "a command chosen for two slots is executed once (PMMC: perform)",
               "smr.exactly-once"),
        ForgetSession,
        ("loss", "partition"),
        (LEADERS,),
    ),
    Bug(
        Mutant("non-deterministic", "the next state is a function of state and command (3; Schneider 1990)",
               "smr.state"),
        NonDeterministic,
    ),
    Bug(
        Mutant("ignore-reports", "a new leader completes what acceptors report, and fills only gaps (3; 2.2, P2c)",
               "paxos.value-choice"),
        IgnoreReports,
        ("loss", "partition"),
        (LEADERS,),
    ),
    Bug(
        Mutant("forget-promise", "an acceptor remembers what it has promised even if it fails (2.5)",
               "paxos.promise-monotonic"),
        ForgetPromise,
        ("loss", "reordering", "partition"),
        (PROMISES, LEADERS),
    ),
    Bug(
        Mutant("decide-alone", "a command is chosen when a majority of the acceptors has accepted it (2.2)",
               "paxos.quorum"),
        DecideAlone,
        ("loss", "partition"),
    ),
    Bug(
        Mutant("shifted-catch-up", "a replica learns for each slot the command chosen for it (3)",
               "smr.slot-agreement"),
        ShiftedCatchUp,
        ("loss",),
    ),
    Bug(
        Mutant("local-reads", "a read is ordered with the other commands, by a slot (3)",
               "consistency.linearizable"),
        LocalReads,
        ("partition", "loss"),
    ),
)  # fmt: skip
"""Every bug by its mutant's name."""
