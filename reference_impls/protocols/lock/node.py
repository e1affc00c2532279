"""A server of the lock service: it leads and decides about locks, or follows and stores what the leader decides."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any, NamedTuple

from reference_impls.protocols.lock.messages import (
    LEASE,
    MILLISECOND,
    Acquire,
    Answer,
    Extend,
    Hold,
    Operation,
    Prepare,
    Promise,
    Release,
    Status,
    Store,
    Stored,
    Table,
    Version,
)
from reference_impls.runtime.effects import CancelTimer, Effect, Message, Note, Persist, Reply, Send, SetTimer
from reference_impls.runtime.process import Stable

BEAT = 20 * MILLISECOND
"""How often the leading server sends its table to the others."""
SILENCE = (70 * MILLISECOND, 140 * MILLISECOND)
"""After hearing nothing for so long, a server tries to take over."""


class Expire(NamedTuple):
    """The lease of a grant is over by the leading server's clock; it waits its turn like a client's request."""

    lock: str
    token: int


ANSWERS: Mapping[str, Status] = {"grant": "granted", "extend": "extended", "release": "released"}
"""What a client is told of what it asked for."""

Asked = tuple[str, Acquire | Extend | Release | Expire]
"""Who asks, and for what."""


class LockNode:
    """One server; a majority of them has to be up and connected for locks to be granted.

    Parameters
    ----------
    lease: how long a lease lasts by its clock, ns.

    Attributes
    ----------
    epoch: the latest epoch that it has promised to follow, or leads; epoch e belongs to the server at place e mod n.
    version, table: the newest table that it stores.
    role: follower, candidate (it asks to be followed) or leader.
    promises: candidate: what each server that follows it stores.
    stored: leader: who stores the current table.
    deciding: leader: whether a majority has not stored it yet; meanwhile nothing else is decided.
    inbox: leader: requests that wait to be decided.
    waiting: leader: for each lock, the requests that wait for it to become free.
    until: leader: what its clock shows when the lease on each lock is over.
    """

    def __init__(self, name: str, names: Sequence[str], random: Random, lease: int = LEASE) -> None:
        self.name = name
        self.lease = lease
        self.names = names
        self.others = [other for other in names if other != name]
        self.majority = len(names) // 2 + 1
        self.random = random
        self.now = 0
        self.epoch = 0
        self.version = Version(0, 0)
        self.table = Table({})
        self.role = "follower"
        self.promises: dict[str, Promise] = {}
        self.stored: set[str] = set()
        self.deciding = False
        self.inbox: deque[Asked] = deque()
        self.waiting: dict[str, list[Asked]] = {}
        self.until: dict[str, int] = {}
        self._effects: list[Effect] = []

    # Inputs

    def on_start(self, stable: Stable) -> Sequence[Effect]:
        """What was promised and stored survives a crash; who waits and when leases end does not."""
        again = bool(stable.cells)
        self.epoch = stable.cells.get("epoch", 0)
        self.version = stable.cells.get("version", self.version)
        self.table = stable.cells.get("table", self.table)
        self._effects = [Persist({"epoch": self.epoch}), Note({}, "lock.restart" if again else "lock.init")]
        self._listen(0 if self.name == self.names[0] and not again else None)
        return self._effects

    def on_message(self, now_ns: int, sender: str, message: Any) -> Sequence[Effect]:
        """A client's request, or a message of another server."""
        self._effects, self.now = [], now_ns
        if isinstance(message, Acquire | Extend | Release):
            self._on_request(sender, message)
        elif isinstance(message, Prepare):
            self._on_prepare(sender, message)
        elif isinstance(message, Promise):
            self._on_promise(sender, message)
        elif isinstance(message, Store):
            self._on_store(sender, message)
        else:
            self._on_stored(sender, message)
        return self._effects

    def on_timer(self, now_ns: int, name: str) -> Sequence[Effect]:
        """Silence, a beat, the end of a lease, or of a client's patience."""
        self._effects, self.now = [], now_ns
        what, _, which = name.partition(" ")
        if what == "silence":
            self._campaign()
        elif what == "beat":
            self._send_table()
        elif what == "lease":
            self._on_lease_over(which)
        else:
            self._on_patience_over(which)
        return self._effects

    # Following: the acceptor of Paxos, phases 1 (b) and 2 (b)

    def _on_prepare(self, sender: str, message: Prepare) -> None:
        """Promises to follow no earlier epoch, and says what it stores; an earlier epoch's server is told of this."""
        if message.epoch < self.epoch:
            self._send(sender, Stored(self.epoch, self.version))
            return
        self._follow(message.epoch)
        self._send(sender, Promise(self.epoch, self.version, self.table))

    def _on_store(self, sender: str, message: Store) -> None:
        """Stores a newer table of the epoch that it follows, or of a later one."""
        if message.version.epoch >= self.epoch:
            self._follow(message.version.epoch)
            if message.version > self.version:
                self.version, self.table = message.version, message.table
                self._effects.append(Persist({"version": self.version, "table": self.table}))
        self._send(sender, Stored(self.epoch, message.version))

    def _follow(self, epoch: int) -> None:
        """Hears of the server that leads an epoch, or wants to."""
        if epoch > self.epoch:
            self.epoch = epoch
            self._effects.append(Persist({"epoch": epoch}))
        if self.role != "follower":
            self._step_down()
        self._listen()

    def _step_down(self) -> None:
        """Who leads no more forgets what only a leader knows: who waits, and when leases end."""
        timers = [f"lease {lock}" for lock in self.until] + [
            f"patience {client}" for asked in self.waiting.values() for client, _ in asked
        ]
        self._effects += [CancelTimer("beat"), *(CancelTimer(name) for name in timers)]
        self.role, self.deciding = "follower", False
        self.inbox.clear()
        self.waiting.clear()
        self.until.clear()

    def _listen(self, for_ns: int | None = None) -> None:
        wait = self.random.randint(*SILENCE) if for_ns is None else for_ns
        self._effects.append(SetTimer("silence", wait))

    # Taking over: the proposer of Paxos, phases 1 (a) and 2 (a)

    def _campaign(self) -> None:
        """Asks to be followed under the next epoch that is its own."""
        place, n = self.names.index(self.name), len(self.names)
        self.epoch += (place - self.epoch - 1) % n + 1
        self.role = "candidate"
        self.promises = {self.name: Promise(self.epoch, self.version, self.table)}
        self._effects.append(Persist({"epoch": self.epoch}))
        for other in self.others:
            self._send(other, Prepare(self.epoch))
        self._listen()
        self._lead_if_followed()

    def _on_promise(self, sender: str, message: Promise) -> None:
        """One more follows."""
        if self.role == "candidate" and message.epoch == self.epoch:
            self.promises[sender] = message
            self._lead_if_followed()

    def _lead_if_followed(self) -> None:
        """With a majority it leads, from the newest table that any of them stores.

        Whatever an earlier leader told somebody was stored by a majority, so one of these has it, or a newer one.
        """
        if len(self.promises) < self.majority:
            return
        self.role = "leader"
        self.table = self._recovered(list(self.promises.values()))
        self.version = Version(self.epoch, 0)
        self._effects.append(CancelTimer("silence"))
        # Every lease begins anew: a client may have been given one, or an extension, just before this server was
        # followed (Chubby, section 2.9).
        for lock, hold in sorted(self.table.holds.items()):
            if hold.held:
                self._begin_lease(lock, self._lease_at_takeover())
        self._store()

    def _recovered(self, promises: list[Promise]) -> Table:
        return max(promises, key=lambda promise: promise.version).table

    def _lease_at_takeover(self) -> int:
        return self.lease

    # Leading: one operation after the other

    def _on_request(self, sender: str, request: Acquire | Extend | Release) -> None:
        """Only the leading server decides."""
        if self.role == "leader":
            self.inbox.append((sender, request))
            self._decide()
            return
        leader = self.names[self.epoch % len(self.names)] if self.role == "follower" and self.epoch else None
        self._reply(sender, Answer(request.number, "redirect", request.lock, leader=leader))

    def _decide(self) -> None:
        """The next request that changes something, unless an earlier change is still to be stored."""
        while self.inbox and not self.deciding:
            sender, request = self.inbox.popleft()
            if isinstance(request, Acquire):
                self._on_acquire(sender, request)
            elif isinstance(request, Extend):
                self._on_extend(sender, request)
            elif isinstance(request, Release):
                self._on_release(sender, request)
            else:
                self._on_expire(request)

    def _on_acquire(self, sender: str, request: Acquire) -> None:
        """A free lock is granted, with the next token; one that is held is waited for, as long as the client likes."""
        hold = self.table.holds.get(request.lock)
        if hold and (hold.holder, hold.number) == (sender, request.number):
            if hold.held:  # asked again: the answer was lost
                self._reply(sender, Answer(request.number, "granted", request.lock, hold.token))
            return
        if hold is None or not hold.held:
            granted = Hold(sender, request.number, self.table.token + 1, held=True)
            self._propose(Operation("grant", request.lock, granted, sender, request.number))
        elif request.wait_ns == 0:
            self._refuse(sender, request)
        else:
            self._wait(sender, request)

    def _wait(self, sender: str, request: Acquire) -> None:
        queue = self.waiting.setdefault(request.lock, [])
        earlier = [asked for asked in queue if asked[0] == sender]
        if (sender, request) in earlier:
            return  # asked again
        for asked in earlier:
            queue.remove(asked)
        queue.append((sender, request))
        if request.wait_ns is not None:
            self._effects.append(SetTimer(f"patience {sender}", request.wait_ns))

    def _on_patience_over(self, client: str) -> None:
        """Try-acquire with a timeout: the lock was not free in time."""
        for queue in self.waiting.values():
            for asked in [asked for asked in queue if asked[0] == client]:
                queue.remove(asked)
                self._refuse(client, asked[1])

    def _on_extend(self, sender: str, request: Extend) -> None:
        """The lease begins anew, unless it is over."""
        hold = self.table.holds.get(request.lock)
        if hold is not None and self._may_extend(sender, request, hold):
            self._propose(Operation("extend", request.lock, hold, sender, request.number))
        else:
            self._refuse(sender, request)

    def _on_release(self, sender: str, request: Release) -> None:
        """The holder gives the lock back; nobody else can."""
        hold = self.table.holds.get(request.lock)
        if hold is not None and self._may_release(sender, request, hold):
            self._propose(Operation("release", request.lock, hold._replace(held=False), sender, request.number))
        else:
            self._refuse(sender, request)

    def _on_lease_over(self, lock: str) -> None:
        """The clock of this server decides, since no client can be asked whether it is still there."""
        hold = self.table.holds.get(lock)
        if self.role == "leader" and hold is not None and hold.held:
            self.inbox.append((self.name, Expire(lock, hold.token)))
            self._decide()

    def _on_expire(self, request: Expire) -> None:
        """Unless the lease was extended, or the lock given back, while this waited its turn."""
        lock, hold = request.lock, self.table.holds[request.lock]
        if not hold.held or hold.token != request.token:
            return
        if self.now >= self.until[lock]:
            self._propose(Operation("expire", lock, hold._replace(held=False), self.name))
        else:
            # A timer may run out a nanosecond too soon by the clock.
            self._effects.append(SetTimer(f"lease {lock}", max(MILLISECOND, self.until[lock] - self.now)))

    def _may_extend(self, sender: str, request: Extend, hold: Hold) -> bool:
        return hold.held and (hold.holder, hold.token) == (sender, request.token)

    def _may_release(self, sender: str, request: Release, hold: Hold) -> bool:
        return hold.held and (hold.holder, hold.token) == (sender, request.token)

    def _propose(self, operation: Operation) -> None:
        """Phase 2 (a): the next table, which counts when a majority stores it.

        The server's lease begins here, after the client asked and so after the client's own part of it began.
        """
        self.table = self.table.after(operation)
        if operation.what in ("grant", "extend"):
            self._begin_lease(operation.lock, self.lease)
        self._store()

    def _begin_lease(self, lock: str, for_ns: int) -> None:
        self.until[lock] = self.now + for_ns
        self._effects.append(SetTimer(f"lease {lock}", for_ns))

    def _store(self) -> None:
        self.version = Version(self.epoch, self.version.number + 1)
        self.deciding, self.stored = True, {self.name}
        self._effects.append(Persist({"version": self.version, "table": self.table}))
        self._send_table()
        self._on_majority()

    def _send_table(self) -> None:
        for other in self.others:
            self._send(other, Store(self.version, self.table))
        self._effects.append(SetTimer("beat", BEAT))

    def _on_stored(self, sender: str, message: Stored) -> None:
        """One more stores the table, or follows somebody else."""
        if message.epoch > self.epoch:
            self._follow(message.epoch)
        elif self.role == "leader" and message.version == self.version:
            self.stored.add(sender)
            self._on_majority()

    def _on_majority(self) -> None:
        """Now the operation has happened: whoever takes over finds it. Clients are told, and the next one follows."""
        if not self.deciding or len(self.stored) < self.majority:
            return
        self.deciding = False
        if self.version.number == 1:
            self._effects.append(Note({"lock.epoch": self.epoch}, "lock.lead"))
        operation = self.table.last
        if operation is not None:
            # After a takeover, the last operation is told again: the server before may have crashed before it did.
            self._tell(operation)
        if self.version.number == 1:
            self._keep(operation)
        self._decide()

    def _tell(self, operation: Operation) -> None:
        what, lock, hold, by, number = operation
        fields: dict[str, Any] = {"lock.name": lock, "lock.holder": hold.holder, "lock.token": hold.token}
        if what in ("grant", "extend"):
            fields["lock.lease_ns"] = self.until[lock] - self.now
        if what == "release":
            fields["lock.by"] = by
        self._effects.append(Note(fields, f"lock.{what}"))
        status = ANSWERS.get(what)
        if status is not None:
            self._reply(by, Answer(number, status, lock, hold.token))
        if not hold.held:
            self._effects.append(CancelTimer(f"lease {lock}"))
            self.until.pop(lock, None)
            queue = self.waiting.get(lock)
            if queue:
                client, request = queue.pop(0)
                self._effects.append(CancelTimer(f"patience {client}"))
                self.inbox.appendleft((client, request))

    def _keep(self, told: Operation | None) -> None:
        """After a takeover: what was held still is."""
        for lock, hold in sorted(self.table.holds.items()):
            if hold.held and not (told is not None and told.lock == lock and told.what == "grant"):
                fields = {"lock.name": lock, "lock.holder": hold.holder, "lock.token": hold.token}
                self._effects.append(Note({**fields, "lock.lease_ns": self.until[lock] - self.now}, "lock.keep"))

    def _refuse(self, sender: str, request: Acquire | Extend | Release | Expire) -> None:
        assert not isinstance(request, Expire), "nobody asked for it"
        self._effects.append(Note({"lock.name": request.lock, "lock.holder": sender}, "lock.refuse"))
        token = None if isinstance(request, Acquire) else request.token
        self._reply(sender, Answer(request.number, "refused", request.lock, token))

    def _send(self, to: str, message: Message) -> None:
        self._effects.append(Send(to, message))

    def _reply(self, to: str, message: Message) -> None:
        self._effects.append(Reply(to, message))
