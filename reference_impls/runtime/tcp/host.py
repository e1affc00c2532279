"""A host: carries out what one process asks for, on this machine's clock, network and disk.

Steps and rows are those of the simulator (see `effects`); what is made stable is forced to the disk before anything
that rests on it leaves the process.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from reference_impls.runtime.effects import (
    CancelTimer,
    Done,
    Effect,
    Message,
    Note,
    Operation,
    Persist,
    Reply,
    Send,
    SetTimer,
)
from reference_impls.runtime.process import Process, Stable
from reference_impls.runtime.tcp.wire import Envelope, Frame, Ping, Pong, Slow, Start, Told, Watch, dumps, loads
from tracekit.trace.recorder import Recorder

ROWS = (Note, Send, Reply, Operation)
"""Effects that are rows of the trace."""


class Stored(Protocol):
    """Where what is made stable goes."""

    stable: Stable

    def write(self, cells: Mapping[str, Any], log_from: int, entries: Sequence[Any]) -> None:
        """Carries out a Persist."""

    def force(self) -> None:
        """Everything written will survive."""


class Host:
    """One incarnation of a process, with what it works with. Runs in an event loop.

    Parameters
    ----------
    send: hands a frame to the connection.
    clock: the process's physical clock, ns.
    again: whether the process has run before.

    Attributes
    ----------
    done: set when the process has nothing more to do.
    service_ns: time that it needs for a step; what comes meanwhile waits.
    """

    def __init__(
        self,
        process: Process,
        recorder: Recorder,
        storage: Stored,
        send: Callable[[Frame], None],
        clock: Callable[[], int],
        again: bool,
    ) -> None:
        self.process = process
        self.recorder = recorder
        self.storage = storage
        self.send = send
        self.clock = clock
        self.again = again
        self.done = asyncio.Event()
        self.service_ns = 0
        self._loop = asyncio.get_running_loop()
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._watched: set[str] = set()
        self._operations: dict[int, int] = {}
        self._waiting: deque[Callable[[], None]] = deque()
        self._rest: asyncio.TimerHandle | None = None

    def take(self, frame: Frame) -> None:
        """A frame has arrived."""
        match frame:
            case Start():
                self._do(self._start)
            case Envelope():
                self._do(lambda: self._receive(frame))
            case Ping():
                self._do(lambda: self.send(Pong(frame.number)))
            case Watch():
                self._watched.add(frame.event)
            case Slow():
                self.service_ns = frame.service_ns

    def stop(self) -> None:
        """Nothing more happens here."""
        self.done.set()
        self._waiting.clear()
        for timer in self._timers.values():
            timer.cancel()
        if self._rest:
            self._rest.cancel()

    def rest(self, for_ns: int) -> None:
        """No step begins for so long."""
        until = self._loop.time() + for_ns / 1e9
        if self._rest and self._rest.when() >= until:
            return
        if self._rest:
            self._rest.cancel()
        self._rest = self._loop.call_at(until, self._wake)

    # One step after the other

    def _do(self, step: Callable[[], None]) -> None:
        self._waiting.append(step)
        self._work()

    def _wake(self) -> None:
        self._rest = None
        self._work()

    def _work(self) -> None:
        while self._waiting and not self._rest and not self.done.is_set():
            self._waiting.popleft()()
            if self.service_ns:
                self.rest(self.service_ns)

    # What causes a step

    def _start(self) -> None:
        self._perform("restart" if self.again else "internal", self.process.on_start(self.storage.stable), None)

    def _receive(self, envelope: Envelope) -> None:
        message = loads(envelope.message)
        effects = self.process.on_message(self.clock(), envelope.sender, message)
        self._perform("receive", effects, (envelope.context, message))

    def _set(self, name: str, delay_ns: int) -> None:
        self._cancel(name)
        timer = self._loop.call_later(delay_ns / 1e9, lambda: self._do(lambda: self._expire(name, timer)))
        self._timers[name] = timer

    def _cancel(self, name: str) -> None:
        if name in self._timers:
            self._timers.pop(name).cancel()

    def _expire(self, name: str, timer: asyncio.TimerHandle) -> None:
        """A timer has run out, unless it was moved or cancelled while the process was busy."""
        if self._timers.get(name) is timer:
            del self._timers[name]
            self._perform("internal", self.process.on_timer(self.clock(), name), None)

    # What a step does

    def _perform(self, kind: str, effects: Sequence[Effect], received: tuple[str, Message] | None) -> None:
        """Carries out a step; see `effects` for how its rows come about.

        A cause that no note joins is recorded first, so that what is made stable is followed by the row that tells it.
        """
        first = next((effect for effect in effects if isinstance(effect, ROWS)), None)
        joins = first if isinstance(first, Note) and (received is None or not first.name) else None
        if joins is None and (received is not None or kind == "restart"):
            self._cause(kind, received, Note({}))
        for effect in effects:
            if effect is joins and joins is not None:
                self._cause(kind, received, joins)
            else:
                self._carry_out(effect)
        self.storage.force()

    def _carry_out(self, effect: Effect) -> None:
        match effect:
            case SetTimer():
                self._set(effect.name, effect.delay_ns)
            case CancelTimer():
                self._cancel(effect.name)
            case Persist():
                self.storage.write(*effect)
            case Note():
                self.recorder.event(effect.name or None, effect.fields)
                self._tell(effect.name)
            case Send() | Reply():
                self.storage.force()
                name, fields = effect.message.event, effect.message.fields()
                context = self.recorder.send(name, to=effect.to, fields=fields)
                self.send(Envelope(self.recorder.process, effect.to, context, dumps(effect.message)))
            case Operation():
                self.storage.force()
                self._operation(effect)
            case Done():
                self.stop()
                self.send(Told("done"))

    def _cause(self, kind: str, received: tuple[str, Message] | None, note: Note) -> None:
        name = note.name or None
        if received is not None:
            context, message = received
            name = message.event
            self.recorder.receive(context, name, fields={**message.fields(), **note.fields})
        elif kind == "restart":
            self.recorder.restart(name, note.fields)
        else:
            self.recorder.event(name, note.fields)
        self._tell(name)

    def _tell(self, name: str | None) -> None:
        if name in self._watched:
            self.send(Told("event", name))

    def _operation(self, operation: Operation) -> None:
        """A client's operation; the recorder has numbers of its own."""
        kind, op, f, key, text, server = operation
        value = None if text is None else json.loads(text)
        fields = {} if server is None else {"replica.server": server}
        if kind == "invoke":
            self._operations[op] = self.recorder.invoke(f, key, value, fields=fields)
            return
        end = {"ok": self.recorder.ok, "fail": self.recorder.fail, "info": self.recorder.info}[kind]
        end(self._operations.pop(op), value, fields=fields)
        self.send(Told("completed"))
