"""Clients of consensus: each puts a value forward for instance 1, then for 2, and so on, and is told what was chosen.

All clients go through the same instances, so that several proposers compete for each. A client that got no answer in
time leaves its operation open (info); its process ends and a new one goes on with the next instance.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Any

from reference_impls.runtime.effects import CancelTimer, Done, Effect, Message, Operation, Send, SetTimer
from reference_impls.runtime.network import MILLISECOND, SECOND
from reference_impls.runtime.process import Stable
from reference_impls.runtime.world import Stage, Workload
from tracekit.protocols import Simulation

THINK = (100_000, 2 * MILLISECOND)
"""Between two proposals."""
RETRY = 150 * MILLISECOND
"""Without an answer for so long, another node is asked."""
GIVE_UP = 1_500 * MILLISECOND
"""Without an answer for so long, the operation is left open."""
SETTLE = SECOND
"""How long the run goes on, healed and without clients."""


@dataclass
class Share:
    """What is left to do for one client, through all its processes.

    Attributes
    ----------
    left: instances still to go through; `instance`: the latest one.
    """

    place: int
    clients: int
    left: int
    instance: int = 0

    @property
    def value(self) -> str:
        """A value that nobody else puts forward, nor this client again."""
        return str(self.instance * self.clients + self.place)


class ProposalClient:
    """One client process.

    Parameters
    ----------
    request: makes the protocol's message of an instance and a value. Answers have `instance` and `value`.
    """

    def __init__(
        self,
        name: str,
        servers: Sequence[str],
        share: Share,
        request: Callable[[int, str], Message],
        random: Random,
    ) -> None:
        self.name = name
        self.servers = servers
        self.share = share
        self.request = request
        self.random = random
        self.waits = False

    def on_start(self, stable: Stable) -> Sequence[Effect]:
        """Begins after a short pause."""
        return [self._pause()]

    def on_timer(self, now_ns: int, name: str) -> Sequence[Effect]:
        """Time for the next instance, for another node, or to give up."""
        share = self.share
        if name == "retry":
            return self._ask()
        if name == "give-up":
            return [Operation("info", share.instance, "propose", str(share.instance), share.value), Done()]
        if not share.left:
            return [Done()]
        share.left -= 1
        share.instance += 1
        self.waits = True
        invoke = Operation("invoke", share.instance, "propose", str(share.instance), share.value)
        return [invoke, SetTimer("give-up", GIVE_UP), *self._ask()]

    def on_message(self, now_ns: int, sender: str, message: Any) -> Sequence[Effect]:
        """What was chosen; a second answer, or one to an earlier request, has come too late to matter."""
        instance = self.share.instance
        if not self.waits or message.instance != instance:
            return []
        self.waits = False
        end = Operation("ok", instance, "propose", str(instance), message.value)
        return [CancelTimer("retry"), CancelTimer("give-up"), end, self._pause()]

    def _ask(self) -> Sequence[Effect]:
        server = self.random.choice(self.servers)
        return [Send(server, self.request(self.share.instance, self.share.value)), SetTimer("retry", RETRY)]

    def _pause(self) -> Effect:
        return SetTimer("next", self.random.randint(*THINK))


@dataclass(frozen=True)
class Proposals:
    """What a protocol says of its clients; called with a simulation, it makes their workload.

    request: an instance and a value as the protocol's message.
    """

    request: Callable[[int, str], Message]

    def __call__(self, simulation: Simulation) -> Workload:
        return ProposalWorkload(self.request, simulation)


@dataclass
class ProposalWorkload:
    """The clients of one run.

    Attributes
    ----------
    shares: what each client still has to do.
    client_of: client and incarnation of each process.
    active: client processes that are not done.
    """

    request: Callable[[int, str], Message]
    simulation: Simulation
    shares: dict[str, Share] = field(default_factory=dict)
    client_of: dict[str, tuple[str, int]] = field(default_factory=dict)
    active: int = 0

    def begin(self, stage: Stage) -> None:
        """Starts the clients."""
        self.stage = stage
        clients, operations = self.simulation.clients, self.simulation.operations
        for place in range(clients):
            share = Share(place, clients, operations // clients + (place < operations % clients))
            self.shares[f"c{place + 1}"] = share
            self._start(f"c{place + 1}", 1)

    def completed(self, operations: int) -> None:
        """Tells how far the run is."""
        self.stage.progress(operations, self.simulation.operations)

    def ended(self, name: str) -> None:
        """A client process ended: a new one does what is left; after the last one, the run comes to rest."""
        client, incarnation = self.client_of[name]
        self.active -= 1
        if self.shares[client].left:
            self._start(client, incarnation + 1)
        elif not self.active:
            self.stage.heal()
            self.stage.end(SETTLE)

    def _start(self, client: str, incarnation: int) -> None:
        name = client if incarnation == 1 else f"{client}.{incarnation}"
        make = partial(
            ProposalClient, name, self.stage.nodes, self.shares[client], self.request, self.stage.random(name)
        )
        self.client_of[name] = (client, incarnation)
        self.active += 1
        self.stage.start(name, make)
