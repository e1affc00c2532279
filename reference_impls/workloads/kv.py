"""Closed-loop clients of a replicated store: each has one operation at a time under way, drawn from a mix.

As in Jepsen: an operation without an answer ends as ``info``, it may or may not have happened. Then its process ends
as well, and a new one goes on (c1, c1.2, c1.3, ...), so that every process is sequential.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Literal, NamedTuple

from reference_impls.protocols.kv_store import Command
from reference_impls.runtime.effects import (
    CancelTimer,
    Done,
    Effect,
    Message,
    Operation,
    Send,
    SetTimer,
)
from reference_impls.runtime.process import Stable

MILLISECOND = 1_000_000
RETRY = 120 * MILLISECOND
"""Without an answer for so long, the request is sent again."""
BACK_OFF = 25 * MILLISECOND
"""Pause after being sent away by a server that knows no leader."""
GIVE_UP = 1_500 * MILLISECOND
"""Without an answer for so long, the operation is left open (info)."""
THINK = (100_000, 2 * MILLISECOND)
"""Between two operations."""


Asks = Literal["leader", "home", "any"]
"""Which servers a client asks: whoever may be the leader, and another one where no answer comes; always the same one,
so that all clients of a server have sessions there; or for each operation any one, of which it then expects the answer.
"""


class Mix(NamedTuple):
    """Which operations clients choose.

    Attributes
    ----------
    choose: the next operation of a client: its f, key and value in the trace's terms.
    objects: keys that are used beside the registers k1, k2, ...
    """

    choose: Callable[[Quota, Random], tuple[str, str, str | None]]
    objects: tuple[str, ...] = ()

    def keys(self, registers: int) -> list[str]:
        """Every key that is used."""
        return [*(f"k{i + 1}" for i in range(registers)), *self.objects]


@dataclass
class Quota:
    """What is left to do for one client, through all its processes.

    Attributes
    ----------
    left: operations still to begin, each chosen by `mix`.
    keys: how many registers there are.
    number: operations begun; every written value is `number * clients + index`, so that no value is written twice.
    seen: what the client last saw at each key, which is what its cas expects.
    """

    index: int
    clients: int
    left: int
    keys: int
    mix: Mix
    number: int = 0
    seen: dict[str, str] = field(default_factory=dict)

    @property
    def new(self) -> str:
        """A value that nobody has written before."""
        return str(self.number * self.clients + self.index)


class KvClient:
    """One client process.

    Parameters
    ----------
    asks: which servers: see `Asks`.
    request: makes the protocol's request message of a command. Answers have `number`, `status` (ok, fail, redirect),
        `value` and `leader`.
    """

    def __init__(
        self,
        name: str,
        servers: Sequence[str],
        asks: Asks,
        quota: Quota,
        request: Callable[[Command], Message],
        random: Random,
    ) -> None:
        self.name = name
        self.servers = servers
        self.asks = asks
        self.server = servers[quota.index % len(servers)] if asks == "home" else random.choice(servers)
        self.quota = quota
        self.request = request
        self.random = random
        self.command: Command | None = None

    def on_start(self, stable: Stable) -> Sequence[Effect]:
        """Begins after a short pause."""
        return [self._pause()]

    def on_timer(self, now_ns: int, name: str) -> Sequence[Effect]:
        """Time for the next operation, for another try, or to give up."""
        if name == "next":
            return self._begin()
        command = self.command
        assert command is not None, "retry and give-up only run during an operation"
        if name == "retry":
            if self.asks == "leader":
                self.server = self._another()
            return self._ask(command)
        end = Operation("info", command.number, command.f, command.key, command.value)
        return [end, Done()]

    def on_message(self, now_ns: int, sender: str, message: Any) -> Sequence[Effect]:
        """An answer; one to an earlier request has come too late to matter."""
        command = self.command
        if command is None or message.number != command.number:
            return []
        if message.status == "redirect":
            if sender != self.server:
                return []  # the request has gone elsewhere since
            if message.leader and message.leader != sender:
                self.server = message.leader
                return self._ask(command)
            return [SetTimer("retry", BACK_OFF)]
        self.server = sender
        return self._complete(command, message.status, message.value)

    def _begin(self) -> Sequence[Effect]:
        quota = self.quota
        if not quota.left:
            return [Done()]
        quota.left -= 1
        quota.number += 1
        if self.asks == "any":
            self.server = self.random.choice(self.servers)
        command = self.command = self._choose()
        invoke = Operation("invoke", command.number, command.f, command.key, command.value)
        return [invoke, SetTimer("give-up", GIVE_UP), *self._ask(command)]

    def _choose(self) -> Command:
        f, key, value = self.quota.mix.choose(self.quota, self.random)
        return Command(self.name, self.quota.number, f, key, value)

    def _complete(self, command: Command, status: str, value: str | None) -> Sequence[Effect]:
        self.command = None
        if status == "ok":
            self._learn(command, value)
        shown = value if command.f == "read" else command.value
        replica = None if self.asks == "leader" else self.server
        end = Operation("ok" if status == "ok" else "fail", command.number, command.f, command.key, shown, replica)
        return [CancelTimer("retry"), CancelTimer("give-up"), end, self._pause()]

    def _learn(self, command: Command, value: str | None) -> None:
        seen = self.quota.seen
        if command.f == "cas":
            assert command.value is not None
            seen[command.key] = command.value[1:-1].partition(",")[2]
        elif value is not None:
            seen[command.key] = value

    def _ask(self, command: Command) -> Sequence[Effect]:
        return [Send(self.server, self.request(command)), SetTimer("retry", RETRY)]

    def _another(self) -> str:
        place = self.servers.index(self.server)
        return self.servers[(place + 1) % len(self.servers)]

    def _pause(self) -> Effect:
        return SetTimer("next", self.random.randint(*THINK))


def _with_cas(quota: Quota, random: Random) -> tuple[str, str, str | None]:
    """Half reads; of the rest, three writes to two cas, where the client has seen a value that it can expect."""
    key = f"k{random.randint(1, quota.keys)}"
    dice = random.random()
    if dice < 0.5:
        return "read", key, None
    if dice < 0.8 or key not in quota.seen:
        return "write", key, quota.new
    return "cas", key, f"[{quota.seen[key]},{quota.new}]"


def _registers(quota: Quota, random: Random) -> tuple[str, str, str | None]:
    """Half reads, half writes."""
    key = f"k{random.randint(1, quota.keys)}"
    return ("read", key, None) if random.random() < 0.5 else ("write", key, quota.new)


SPELL = 100
"""How many operations of one kind a client does, before it does as many of the other."""


def _by_spells(quota: Quota, random: Random) -> tuple[str, str, str | None]:
    """A client reads for a while and then writes for a while; others do the opposite."""
    key = f"k{random.randint(1, quota.keys)}"
    reads = (quota.number // SPELL + quota.index) % 2
    return ("read", key, None) if reads else ("write", key, quota.new)


CART, HITS = "cart", "hits"
"""A set and a counter."""


def _objects(quota: Quota, random: Random) -> tuple[str, str, str | None]:
    """Half on registers; the rest puts few elements into a set and takes them out again, and counts."""
    if random.random() < 0.5:
        return _registers(quota, random)
    by = str(random.randint(1, 4))
    return random.choice(
        [
            ("read", CART, None),
            ("add", CART, by),
            ("remove", CART, by),
            ("read", HITS, None),
            ("increment", HITS, by),
            ("decrement", HITS, by),
        ]
    )


def _one_after_the_other(quota: Quota, random: Random) -> tuple[str, str, str | None]:
    return "read", quota.mix.objects[quota.number - 1], None


REGISTERS_WITH_CAS = Mix(_with_cas)
REGISTERS = Mix(_registers)
SPELLS = Mix(_by_spells)
OBJECTS = Mix(_objects, (CART, HITS))


def registers(operations: int) -> int:
    """How many there are: about eighty operations to a key, so that keys grow with the run."""
    return max(3, operations // 80)


def quotas(operations: int, clients: int, mix: Mix) -> dict[str, Quota]:
    """The operations shared out among clients c1, c2, ..."""
    keys = registers(operations)
    return {
        f"c{i + 1}": Quota(i, clients, operations // clients + (i < operations % clients), keys, mix)
        for i in range(clients)
    }


def final_reads(servers: int, operations: int, mix: Mix) -> dict[str, Quota]:
    """One reader a server, r1, r2, ...; each reads every key once."""
    keys = mix.keys(registers(operations))
    reads = Mix(_one_after_the_other, tuple(keys))
    return {f"r{i + 1}": Quota(i, servers, len(keys), 0, reads) for i in range(servers)}
