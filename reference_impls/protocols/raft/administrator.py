"""An administrator, who asks for other members and other leaders while clients work; and the workload of both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Any

from reference_impls.protocols.raft.messages import AdminRequest, ClientRequest
from reference_impls.runtime.effects import CancelTimer, Done, Effect, Send, SetTimer
from reference_impls.runtime.process import Stable
from reference_impls.runtime.world import Stage, Workload
from reference_impls.workloads.kv import SPELLS
from reference_impls.workloads.kv_workload import KvClients, KvWorkload
from tracekit.protocols import Simulation

MILLISECOND = 1_000_000
PAUSE = (100 * MILLISECOND, 400 * MILLISECOND)
"""Between two requests."""
RETRY = 60 * MILLISECOND
"""Without an answer for so long, or sent away, another server is asked."""
TRANSFERS = 0.3
"""Share of requests that are for another leader; the others are for other members."""


@dataclass
class Agenda:
    """What the administrator is told while it runs.

    Attributes
    ----------
    members: whether it changes them.
    over: whether there is nothing more to ask for.
    """

    members: bool
    over: bool = False


class Administrator:
    """Asks for one thing after another; what has not come about by then is not asked for again."""

    def __init__(self, name: str, servers: Sequence[str], agenda: Agenda, random: Random) -> None:
        self.name = name
        self.servers = servers
        self.agenda = agenda
        self.random = random
        self.server = servers[0]
        self.request: AdminRequest | None = None
        self.number = 0

    def on_start(self, stable: Stable) -> Sequence[Effect]:
        """Begins after a pause."""
        return [self._pause()]

    def on_timer(self, now_ns: int, name: str) -> Sequence[Effect]:
        """Time for the next request, or for another server."""
        if self.agenda.over:
            return [Done()]
        if name == "next":
            self.number += 1
            self.request = self._wish()
        else:
            self.server = self.random.choice(self.servers)
        return self._ask()

    def on_message(self, now_ns: int, sender: str, message: Any) -> Sequence[Effect]:
        """An answer: it is being done, or another server leads."""
        if self.request is None or message.number != self.request.number or sender != self.server:
            return []
        if message.status != "redirect":
            self.request = None
            return [CancelTimer("retry"), self._pause()]
        if message.leader and message.leader != sender:
            self.server = message.leader
            return self._ask()
        return []

    def _wish(self) -> AdminRequest:
        """Another leader; or any majority of the servers, or more, as voters, and some of the others as learners."""
        draw, servers = self.random, list(self.servers)
        if not self.agenda.members or draw.random() < TRANSFERS:
            return AdminRequest(self.number, leader=draw.choice(servers))
        voters = draw.sample(servers, draw.randint(len(servers) // 2 + 1, len(servers)))
        learners = [server for server in servers if server not in voters and draw.random() < 0.5]
        return AdminRequest(self.number, tuple(sorted(voters)), tuple(sorted(learners)))

    def _ask(self) -> Sequence[Effect]:
        assert self.request is not None, "only asked for with a request"
        return [Send(self.server, self.request), SetTimer("retry", RETRY)]

    def _pause(self) -> Effect:
        return SetTimer("next", self.random.randint(*PAUSE))


class RaftWorkload(KvWorkload):
    """Clients, and an administrator beside them as long as they have something to do."""

    def begin(self, stage: Stage) -> None:
        """Starts the clients and the administrator."""
        super().begin(stage)
        self.agenda = Agenda(self.simulation.settings.get("membership") != "none")
        if self.simulation.operations and len(stage.nodes) > 1:
            stage.start("admin", partial(Administrator, "admin", stage.nodes, self.agenda, stage.random("admin")))

    def ended(self, name: str) -> None:
        """A client has ended, or the administrator."""
        if name in self.client_of:
            super().ended(name)

    def _come_to_rest(self) -> None:
        self.agenda.over = True
        super()._come_to_rest()


def clients_and_administrator(simulation: Simulation) -> Workload:
    """The workload of a run."""
    return RaftWorkload(KvClients(ClientRequest), simulation)


def readers_and_writers(simulation: Simulation) -> Workload:
    """The same where clients read for a while: so they stay with a leader that cannot write any more."""
    return RaftWorkload(KvClients(ClientRequest, SPELLS), simulation)
