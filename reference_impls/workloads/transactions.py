"""Clients of distributed transactions: each has one at a time under way, which any node may be asked to coordinate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Any

from reference_impls.runtime.effects import CancelTimer, Done, Effect, Send, SetTimer
from reference_impls.runtime.network import SECOND
from reference_impls.runtime.process import Stable
from reference_impls.runtime.world import Stage
from tracekit.protocols import Simulation

MILLISECOND = 1_000_000
THINK = (100_000, 5 * MILLISECOND)
"""Between two transactions."""
GIVE_UP = 1_000 * MILLISECOND
"""Without an answer for so long, the client goes on; what becomes of the transaction, it never learns."""
KEYS_OF_A_NODE = 12
"""Few enough for transactions to meet now and then."""
MOST_KEYS = 4
"""How many keys a transaction writes at most."""
REST = 3 * SECOND
"""How long the run goes on, healed and without clients, after all that was under way has arrived: twice."""


@dataclass(frozen=True, slots=True)
class Request:
    """A client asks a node to coordinate a transaction that writes some keys."""

    txn: str
    keys: tuple[str, ...]

    @property
    def event(self) -> str:
        """Name of its rows."""
        return "commit.request"

    def fields(self) -> Mapping[str, Any]:
        """What its rows carry."""
        return {"commit.txn": self.txn}


@dataclass(frozen=True, slots=True)
class Outcome:
    """The client is told what became of its transaction."""

    txn: str
    decision: str

    @property
    def event(self) -> str:
        """Name of its rows."""
        return "commit.outcome"

    def fields(self) -> Mapping[str, Any]:
        """What its rows carry."""
        return {"commit.txn": self.txn, "commit.message_decision": self.decision}


class TransactionClient:
    """One client. A transaction's name is the client's with a number, c1#7, and no name is used twice.

    Parameters
    ----------
    left: how many transactions it begins.
    """

    def __init__(self, name: str, nodes: Sequence[str], left: int, random: Random) -> None:
        self.name = name
        self.nodes = nodes
        self.left = left
        self.random = random
        self.keys = [f"k{i + 1}" for i in range(KEYS_OF_A_NODE * len(nodes))]
        self.number = 0
        self.under_way = ""

    def on_start(self, stable: Stable) -> Sequence[Effect]:
        """Begins after a short pause."""
        return [self._pause()] if self.left else [Done()]

    def on_timer(self, now_ns: int, name: str) -> Sequence[Effect]:
        """Time for the next transaction, or to wait no longer for this one."""
        if name == "give-up":
            return self._next()
        self.left -= 1
        self.number += 1
        count = min(self.random.randint(1, MOST_KEYS), len(self.keys))
        request = Request(f"{self.name}#{self.number}", tuple(self.random.sample(self.keys, count)))
        self.under_way = request.txn
        return [Send(self.random.choice(self.nodes), request), SetTimer("give-up", GIVE_UP)]

    def on_message(self, now_ns: int, sender: str, message: Any) -> Sequence[Effect]:
        """An answer; one to an earlier request has come too late to matter."""
        return [CancelTimer("give-up"), *self._next()] if message.txn == self.under_way else []

    def _next(self) -> list[Effect]:
        self.under_way = ""
        return [self._pause()] if self.left else [Done()]

    def _pause(self) -> Effect:
        return SetTimer("next", self.random.randint(*THINK))


class TransactionWorkload:
    """The clients of one run, and its end: healed, until every process has had the time to learn every decision."""

    def __init__(self, simulation: Simulation) -> None:
        self.simulation = simulation
        self.active = simulation.clients
        self.answered = 0

    def begin(self, stage: Stage) -> None:
        """Starts the clients."""
        self.stage = stage
        stage.on_event("commit.outcome", self._answered)
        count, clients = self.simulation.operations, self.simulation.clients
        for i in range(clients):
            name, left = f"c{i + 1}", count // clients + (i < count % clients)
            stage.start(name, partial(TransactionClient, name, stage.nodes, left, stage.random(name)))

    def completed(self, operations: int) -> None:
        """Transactions are no operations of a history: what they read and write is not recorded."""

    def ended(self, name: str) -> None:
        """After the last client has ended, the run comes to rest."""
        self.active -= 1
        if not self.active:
            self.stage.heal()
            self.stage.settle(REST, lambda: self.stage.end(REST))

    def _answered(self, name: str) -> None:
        self.answered += 1
        self.stage.progress(self.answered, self.simulation.operations)
