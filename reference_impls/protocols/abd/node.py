"""A server of the register, which also carries out operations for the clients that ask it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from reference_impls.protocols.abd.messages import (
    INITIAL,
    Acknowledge,
    Answer,
    Operation,
    Query,
    Tag,
    Update,
    Versioned,
)
from reference_impls.protocols.kv_store import Command
from reference_impls.protocols.store_messages import Request, Response
from reference_impls.runtime.effects import Effect, Message, Note, Persist, Reply, Send
from reference_impls.runtime.process import Stable


@dataclass
class UnderWay:
    """An operation that is carried out for a client.

    Attributes
    ----------
    found: first round: what each server that has answered stores.
    new: second round: what is to be stored; None during the first round.
    acknowledged: second round: the servers that store it.
    """

    command: Command
    found: dict[str, Versioned] = field(default_factory=dict)
    new: Versioned | None = None
    acknowledged: set[str] = field(default_factory=set)

    @property
    def operation(self) -> Operation:
        """As messages name it."""
        return Operation(self.command.client, self.command.number)


class AbdNode:
    """One server; a majority of them has to be up and connected for operations to be answered."""

    def __init__(self, name: str, members: Sequence[str], random: Random) -> None:
        self.name = name
        self.others = [member for member in members if member != name]
        self.quorum = len(members) // 2 + 1
        self.stored: dict[str, Versioned] = {}
        self.written: dict[str, tuple[int, Versioned]] = {}
        self.under_way: dict[str, UnderWay] = {}
        self._effects: list[Effect] = []

    # Inputs

    def on_start(self, stable: Stable) -> Sequence[Effect]:
        """What was acknowledged was made stable before, and so was the tag of every write that had begun to spread."""
        self.stored = dict(stable.cells.get("stored", {}))
        self.written = dict(stable.cells.get("written", {}))
        return [Note({}, "abd.restart" if stable.cells else "abd.init"), Persist({"stored": dict(self.stored)})]

    def on_message(self, now_ns: int, sender: str, message: Any) -> Sequence[Effect]:
        """A client's request, or a message of either round."""
        self._effects = []
        self._handle(sender, message)
        return self._effects

    def on_timer(self, now_ns: int, name: str) -> Sequence[Effect]:
        """There are no timers: a client that waits too long asks again."""
        return []

    def _handle(self, sender: str, message: Any) -> None:
        if isinstance(message, Request):
            self._on_request(message.command)
        elif isinstance(message, Query):
            self._send(sender, Answer(message.operation, self.stored.get(message.key, INITIAL)))
        elif isinstance(message, Answer):
            self._on_answer(sender, message)
        elif isinstance(message, Update):
            self._on_update(sender, message)
        else:
            self._on_acknowledge(sender, message)

    def _send(self, to: str, message: Message) -> None:
        """To itself without a network."""
        if to == self.name:
            self._handle(self.name, message)
        else:
            self._effects.append(Send(to, message))

    # The server: ABD, section 3; Lynch & Shvartsman, section 4

    def _on_update(self, sender: str, message: Update) -> None:
        """Adopts a newer value and acknowledges, be the value newer or not."""
        if message.new.tag > self.stored.get(message.key, INITIAL).tag:
            self.stored[message.key] = message.new
            self._effects.append(Persist({"stored": dict(self.stored)}))
        self._send(sender, Acknowledge(message.operation, message.new.tag))

    # The coordinator: every operation is two rounds, each of which waits for a majority

    def _on_request(self, command: Command) -> None:
        """A new operation begins; one that is under way asks again those who have not answered.

        A write that had its tag before a crash goes on with it: with a second tag it would be written twice.
        """
        client, number = command.client, command.number
        current = self.under_way.get(client)
        last, new = self.written.get(client, (0, INITIAL))
        if number < max(last, current.command.number if current else 0):
            return  # a copy that has come too late
        if current is None or number > current.command.number:
            current = self.under_way[client] = UnderWay(command, new=new if number == last else None)
        self._ask(current)

    def _ask(self, current: UnderWay) -> None:
        """Asks every server that has not answered in this round, itself last."""
        operation, key, new = current.operation, current.command.key, current.new
        message = Query(operation, key) if new is None else Update(operation, key, new)
        answered = set(current.found if new is None else current.acknowledged)
        for server in (*self.others, self.name):
            if server not in answered:
                self._send(server, message)

    def _current(self, operation: Operation) -> UnderWay | None:
        current = self.under_way.get(operation.client)
        return current if current and current.operation == operation else None

    def _on_answer(self, sender: str, message: Answer) -> None:
        """First round: the newest of what a majority stores is at least as new as every completed operation's value."""
        current = self._current(message.operation)
        if current is None or current.new is not None:
            return
        current.found[sender] = message.found
        if len(current.found) < self.quorum:
            return
        newest = max(current.found.values(), key=lambda found: found.tag)
        command = current.command
        if command.f == "read":
            self._after_query(current, newest)
            return
        # Several writers: the next number, and the writer's name where two choose the same (Lynch & Shvartsman)
        current.new = Versioned(Tag(newest.tag.number + 1, command.client), command.value)
        self.written[command.client] = command.number, current.new
        self._effects.append(Persist({"written": dict(self.written)}))
        self._ask(current)

    def _after_query(self, current: UnderWay, newest: Versioned) -> None:
        """A reader writes back what it is about to return, so that no later read returns less (ABD, section 3)."""
        current.new = newest
        self._ask(current)

    def _on_acknowledge(self, sender: str, message: Acknowledge) -> None:
        """Second round: a majority stores the value."""
        current = self._current(message.operation)
        if current is None or current.new is None or current.new.tag != message.tag:
            return
        current.acknowledged.add(sender)
        if len(current.acknowledged) >= self.quorum:
            self._complete(current, current.new)

    def _complete(self, current: UnderWay, result: Versioned) -> None:
        del self.under_way[current.command.client]
        self._effects.append(Reply(current.command.client, Response(current.command.number, result.value)))
