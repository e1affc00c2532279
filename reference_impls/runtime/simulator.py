"""A deterministic discrete-event simulator: processes, their network, their clocks and their crashes, on one heap."""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping, Sequence
from heapq import heappop, heappush
from typing import Any

from reference_impls.runtime.effects import (
    CancelTimer,
    Effect,
    Message,
    Note,
    Operation,
    Persist,
    Reply,
    Send,
    SetTimer,
)
from reference_impls.runtime.network import Network
from reference_impls.runtime.process import Process, Stable
from reference_impls.runtime.recording import Recording

NEVER = 1 << 62


class Host:
    """A simulated machine with one process on it.

    Attributes
    ----------
    up, done: whether its process runs, and whether it has ended by itself.
    rate, offset_ns: its physical clock shows C(t) = rate * t + offset at true time t.
    service_ns: time that it needs for a step; a slow machine's messages queue up.
    deadlines: its timers, by name, in true time.
    pending: when the heap entry of each timer is due; never later than the deadline.
    """

    def __init__(self, name: str, make: Callable[[], Process], recording: Recording) -> None:
        self.name = name
        self.make = make
        self.process = make()
        self.clocks = recording.join(name)
        self.stable = Stable()
        self.up = False
        self.started = False
        self.done = False
        self.rate = 1.0
        self.offset_ns = 0
        self.service_ns = 0
        self.busy_until = 0
        self.deadlines: dict[str, int] = {}
        self.pending: dict[str, int] = {}

    def clock(self, now: int) -> int:
        """The process's own physical clock."""
        return int(self.rate * now) + self.offset_ns


class Envelope:
    """A message on its way, with the clocks of its send."""

    __slots__ = ("fields", "id", "lamport", "message", "sender", "vector")

    def __init__(self, id: int, sender: str, message: Message, lamport: int, vector: list[int]) -> None:
        self.id = id
        self.sender = sender
        self.message = message
        self.fields = message.fields()
        self.lamport = lamport
        self.vector = vector


class Simulator:
    """Runs hosts until nothing is left to do, or until `end`.

    Attributes
    ----------
    now: true time, ns.
    end: nothing happens after it.
    on_completed: called with the number of operations completed, after each.
    on_done: called when a process ends by itself.
    on_event: called after an event of a given name, with its host; for whoever lies in wait for it.
    """

    def __init__(self, network: Network, recording: Recording, domain: str) -> None:
        self.network = network
        self.recording = recording
        self.domain = domain
        self.now = 0
        self.end = NEVER
        self.completed = 0
        self.on_completed: Callable[[int], None] = lambda completed: None
        self.hosts: dict[str, Host] = {}
        self.on_done: Callable[[Host], None] = lambda host: None
        self.on_event: dict[str, Callable[[Host], None]] = {}
        self._heap: list[tuple[int, int, Callable[[Any, Any], None], Any, Any]] = []
        self._pushed = 0
        self._entry = 0  # number of the entry that is being carried out
        self._put_off: set[int] = set()  # entries that wait until their host is no longer busy
        self._messages = 0

    def add(self, host: Host) -> None:
        """A further host; it starts now."""
        self.hosts[host.name] = host
        self.at(self.now, self.start, host)

    def at(self, time: int, action: Callable[[Any, Any], None], first: Any = None, second: Any = None) -> None:
        """Calls `action(first, second)` at a time; what is due at one time happens in the order it was asked for."""
        self._pushed += 1
        heappush(self._heap, (time, self._pushed, action, first, second))

    def last_arrival(self) -> int:
        """When the last of the messages that are under way now arrives; now where none is."""
        return max((time for time, _, action, *_ in self._heap if action == self._deliver), default=self.now)

    def run(self) -> None:
        """Runs to the end.

        Rows are kept for the whole run and hold no cycles; the cyclic collector would walk them again and again, a
        quarter of all time. So it rests meanwhile.
        """
        heap = self._heap
        collecting = gc.isenabled()
        gc.disable()
        try:
            while heap and heap[0][0] <= self.end:
                self.now, self._entry, action, first, second = heappop(heap)
                action(first, second)
        finally:
            if collecting:
                gc.enable()

    def start(self, host: Host, _: object = None) -> None:
        """First start, or restart after a crash: a new process that knows what was made stable and nothing else."""
        again = host.started
        if again:
            host.process = host.make()
        host.up = host.started = True
        host.busy_until = self.now
        self._perform(host, "restart" if again else "internal", host.process.on_start(host.stable), None)

    def crash(self, host: Host) -> None:
        """The process stops; volatile state and timers are gone, and what arrives while it is down is lost."""
        host.up = False
        host.deadlines.clear()
        self._row(host, "crash", f"{self.domain}.crash", {})

    def _deliver(self, host: Host, envelope: Envelope) -> None:
        if not host.up or (self.network.blocked and (envelope.sender, host.name) in self.network.blocked):
            return
        if self._busy(host, self._deliver, envelope):
            return
        effects = host.process.on_message(host.clock(self.now), envelope.sender, envelope.message)
        self._perform(host, "receive", effects, envelope)

    def _expire(self, host: Host, name: str) -> None:
        """A timer's heap entry is due. The timer may have been moved or cancelled since."""
        if host.pending.get(name) != self.now:
            return
        del host.pending[name]
        deadline = host.deadlines.get(name)
        if deadline is None or not host.up:
            return
        if deadline > self.now:
            self._arm(host, name, deadline)
        elif self._busy(host, self._expire, name):
            host.pending[name] = host.busy_until
        else:
            del host.deadlines[name]
            self._perform(host, "internal", host.process.on_timer(host.clock(self.now), name), None)

    def _busy(self, host: Host, action: Callable[[Any, Any], None], what: Any) -> bool:
        """Puts the action off where the host still works at an earlier one; else begins it."""
        if host.busy_until > self.now:
            self._put_off_until(host.busy_until, action, host, what)
            return True
        self._put_off.discard(self._entry)
        if host.service_ns:
            host.busy_until = self.now + host.service_ns
        return False

    def _put_off_until(self, time: int, action: Callable[[Any, Any], None], host: Host, what: Any) -> None:
        """What is put off once more keeps its number, and so its place before what came later: a paused slow host."""
        number = self._entry
        if number not in self._put_off:
            self._pushed += 1
            number = self._pushed
            self._put_off.add(number)
        heappush(self._heap, (time, number, action, host, what))

    def _arm(self, host: Host, name: str, deadline: int) -> None:
        """One heap entry a timer: moving a timer to a later time costs nothing until the entry is due."""
        host.deadlines[name] = deadline
        due = host.pending.get(name)
        if due is None or due > deadline:
            host.pending[name] = deadline
            self.at(deadline, self._expire, host, name)

    def _perform(self, host: Host, kind: str, effects: Sequence[Effect], envelope: Envelope | None) -> None:
        """Carries out a step; see `effects` for how its rows come about."""
        told = False  # whether the row of the cause is written
        for effect in effects:
            if isinstance(effect, SetTimer):
                self._arm(host, effect.name, self.now + int(effect.delay_ns / host.rate))
                continue
            if isinstance(effect, Persist):
                host.stable.write(effect.cells, effect.log_from, effect.entries)
                continue
            if isinstance(effect, CancelTimer):
                host.deadlines.pop(effect.name, None)
                continue
            if not told:
                told = True
                if isinstance(effect, Note) and (envelope is None or not effect.name):
                    self._cause(host, kind, envelope, effect)
                    continue
                if envelope is not None:
                    self._cause(host, kind, envelope, _NOTHING)
            if isinstance(effect, (Send, Reply)):
                self._send(host, effect.to, effect.message)
            elif isinstance(effect, Note):
                self._row(host, "internal", effect.name or None, effect.fields)
            elif isinstance(effect, Operation):
                self._operation(host, effect)
            else:
                host.up, host.done = False, True
                self.on_done(host)
        if not told and envelope is not None:
            self._cause(host, kind, envelope, _NOTHING)

    def _cause(self, host: Host, kind: str, envelope: Envelope | None, note: Note) -> None:
        if envelope is None:
            self._row(host, kind, note.name, note.fields)
            return
        host.clocks.merge(envelope.lamport, envelope.vector)
        fields = {"message": envelope.id, "peer": envelope.sender, **envelope.fields, **note.fields}
        self._row(host, kind, envelope.message.event, fields)

    def _row(self, host: Host, kind: str, name: str | None, fields: Mapping[str, Any]) -> None:
        self.recording.event(host.name, host.clocks, kind, name, host.clock(self.now), self.now, fields)
        if kind != "send" and name in self.on_event:
            self.on_event[name](host)

    def _send(self, host: Host, to: str, message: Message) -> None:
        self._messages += 1
        envelope = Envelope(self._messages, host.name, message, 0, host.clocks.vector)
        self._row(host, "send", message.event, {"message": envelope.id, "peer": to, **envelope.fields})
        envelope.lamport = host.clocks.lamport
        envelope.vector = host.clocks.vector.copy()
        receiver = self.hosts[to]
        for arrival in self.network.arrivals(host.name, to, self.now):
            self.at(arrival, self._deliver, receiver, envelope)

    def _operation(self, host: Host, operation: Operation) -> None:
        kind, op, f, key, value, server = operation
        fields = {"op": op, "f": f, "key": key, "value": value}
        self._row(host, kind, None, fields if server is None else {**fields, "replica.server": server})
        if kind != "invoke":
            self.completed += 1
            self.on_completed(self.completed)


_NOTHING = Note({})
