"""A run of real processes: the World that faults act on, and the Stage that the workload acts on."""

from __future__ import annotations

import asyncio
import os
import secrets
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

from reference_impls.runtime.faults import Nemesis
from reference_impls.runtime.network import NETWORKS, SECOND
from reference_impls.runtime.plan import Plan
from reference_impls.runtime.process import Process
from reference_impls.runtime.tcp.clients import Client
from reference_impls.runtime.tcp.link import Link
from reference_impls.runtime.tcp.node import Job, clock, log_of
from reference_impls.runtime.tcp.processes import NodeProcess
from reference_impls.runtime.tcp.proxy import Proxy
from reference_impls.runtime.tcp.wire import Slow, Start, Stop, Told, Watch
from tracekit.trace.recorder import Recorder
from tracekit.trace.schema import NEMESIS

GLANCE = 0.05
"""Seconds between two looks whether all processes are well, and between two steps of a calm."""


class ProcessCluster:
    """One run; `run` runs it. It is the World of its nemesis and the Stage of its workload (`world.py`).

    Parameters
    ----------
    folder: where every process has its log.
    """

    def __init__(self, plan: Plan, folder: Path) -> None:
        self.plan = plan
        self.folder = folder
        self.simulation = plan.simulation
        self.nodes: Sequence[str] = plan.nodes
        self.at_risk: Sequence[str] = plan.nodes
        self.network = NETWORKS[plan.simulation.network](plan.random("network"))
        self.network.fifo = plan.fifo
        self.workload = plan.make_workload()
        self.nemesis = Nemesis(self, plan.random("faults"), pace=max(1.0, plan.simulation.operations / 1000))
        self.processes = {name: NodeProcess(name, folder, plan.design.domain, self._jobs(name)) for name in plan.nodes}
        self.clients: dict[str, Client] = {}
        self._epoch_ns = time.time_ns() - time.monotonic_ns()
        self._time_ns = clock(self._epoch_ns)
        self._began = time.monotonic_ns()
        self._faults = Recorder(log_of(folder, NEMESIS), NEMESIS, time_ns=self._time_ns)
        self._secret = secrets.token_hex(16)
        self._proxy = Proxy(self.network, self._now, self._secret)
        self._proxy.on_hello, self._proxy.on_told = self._connected, self._told
        self._proxy.on_error = self._fail
        self._port = 0
        self._running = False
        self._completed = 0
        self._slow: dict[str, int] = {}
        self._actions: dict[str, Callable[[str], None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._all_connected = asyncio.Event()

    @property
    def logs(self) -> Sequence[Path]:
        """Of all processes, in the order in which they came."""
        return [log_of(self.folder, name) for name in (*self.nodes, *self.clients, NEMESIS)]

    async def run(self) -> None:
        """From start to end; nothing is left running or listening, however it ends.

        Raises
        ------
        TracekitError: TK406 for a schedule that names a process which is not there; TK409 for a node that fails.
        """
        self._over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().set_exception_handler(self._timer_failed)
        try:
            self._port = await self._proxy.listen()
            for process in self.processes.values():
                process.restart()
                self._spawn(process.tend())
            self._spawn(self._watch())
            self._spawn(self._begin())
            await self._over
            await self._end()
        finally:
            for process in self.processes.values():
                process.close()
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self._proxy.close()
            for client in self.clients.values():
                client.close()
            self._faults.close()

    def done(self) -> str:
        """How far it is, in words."""
        return f"{self._completed} of {self.simulation.operations} operations"

    # The course of a run

    async def _begin(self) -> None:
        """Everybody is there: faults and clients begin, and then the nodes."""
        await self._all_connected.wait()
        self._began = time.monotonic_ns()
        if self.simulation.operations:
            self.plan.schedule.begin(self.nemesis)
        self.workload.begin(self)
        self.plan.schedule.check(self.at_risk)
        self._running = True
        for name in self.nodes:
            self._start(name)

    async def _end(self) -> None:
        """Every process closes its log."""
        for process in self.processes.values():
            process.resume()
        for name in [*self._proxy.connections]:
            self._proxy.send(name, Stop())
        for process in self.processes.values():
            await process.stopped()

    async def _watch(self) -> None:
        """A run in which a node fails is none."""
        while True:
            for process in self.processes.values():
                process.check()
            await asyncio.sleep(GLANCE)

    def _start(self, name: str) -> None:
        """Tells a process that has connected what it has to know, and lets it start."""
        for event in self._actions:
            self._proxy.send(name, Watch(event))
        if name in self._slow:
            self._proxy.send(name, Slow(self._slow[name]))
        self._proxy.send(name, Start())

    def _connected(self, name: str) -> None:
        if self._running:
            self._start(name)
        elif all(node in self._proxy.connections for node in self.nodes):
            self._all_connected.set()

    def _told(self, name: str, told: Told) -> None:
        """What a process tells the parent."""
        if told.what == "event":
            self._heard(name, told.name)
        elif told.what == "completed":
            self._completed += 1
            self.workload.completed(self._completed)
        elif name in self.clients:
            self.clients[name].close()
            self._proxy.drop(name)
            self.workload.ended(name)

    def _heard(self, name: str, event: str) -> None:
        if event in self._actions:
            self._actions[event](name)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Does it meanwhile; an error in it ends the run."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if isinstance(error, Exception):
            self._fail(error)

    def _timer_failed(self, loop: asyncio.AbstractEventLoop, context: Mapping[str, Any]) -> None:
        error = context.get("exception")
        if isinstance(error, Exception):
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        """An error anywhere ends the run; the first one is told."""
        if not self._over.done():
            self._over.set_exception(error)

    def _now(self) -> int:
        return time.monotonic_ns() - self._began

    def _jobs(self, name: str) -> Callable[[int], Job]:
        """What a node has to know in each of its lives."""
        place = self.plan.nodes.index(name)
        return lambda life: Job(
            self.simulation,
            self.plan.design.name,
            place,
            life,
            str(self.folder),
            self._port,
            self._secret,
            self._epoch_ns,
            os.getpid(),
        )

    async def _calm(self, for_ns: int, action: Callable[[], None]) -> None:
        """Calls `action` after so much time in which every process was there and kept up with what it was sent.

        Where the machine is too busy for that, time that a protocol needs would pass without its having had it.
        """
        passed = 0.0
        while passed * 1e9 < for_ns:
            if all(node in self._proxy.connections for node in self.nodes):
                await self._proxy.worked_off()
                passed += GLANCE
            await asyncio.sleep(GLANCE)
        action()

    # What both act on

    def random(self, purpose: str) -> Random:
        """Independent randomness for each purpose."""
        return self.plan.random(purpose)

    def later(self, delay_ns: int, action: Callable[[], None]) -> None:
        """Calls `action` after so much time."""
        asyncio.get_running_loop().call_later(delay_ns / 1e9, action)

    def on_event(self, name: str, action: Callable[[str], None]) -> None:
        """Calls `action` with the process, soon after each event of this name."""
        self._actions[name] = action
        for process in self._proxy.connections:
            self._proxy.send(process, Watch(name))

    # Stage

    def start(self, name: str, make: Callable[[], Process], at_risk: bool = False) -> None:
        """Starts a process beside the nodes, in this one."""
        if at_risk:
            self.at_risk = (*self.at_risk, name)
        client = Client(name, self.folder, self.plan.design.domain, make, self._time_ns, self._link)
        self.clients[name] = client
        client.restart()
        self._spawn(client.tend())

    async def _link(self, name: str) -> Link:
        return await Link.open(self._port, name, self._secret)

    def progress(self, done: int, total: int) -> None:
        """Tells whoever waits how far the run is."""
        if self.plan.progress and done <= total:
            self.plan.progress(done, total)

    def heal(self) -> None:
        """No further faults."""
        self.nemesis.stop()

    def settle(self, after_ns: int, action: Callable[[], None]) -> None:
        """Calls `action` so long after all that is under way now has arrived."""
        under_way = self._proxy.last_arrival() - self._now()
        self.later(under_way, lambda: self._spawn(self._calm(after_ns, action)))

    def end(self, after_ns: int) -> None:
        """The run ends so long from now."""
        self._spawn(self._calm(after_ns, lambda: None if self._over.done() else self._over.set_result(None)))

    def rest(self) -> None:
        """The run ends after a calm second in which no message has passed."""
        passed = self._proxy.passed
        self.settle(SECOND, lambda: self.end(0) if self._proxy.passed == passed else self.rest())

    # World

    def is_up(self, name: str) -> bool:
        """Whether the process runs, or is on its way to."""
        return self._member(name).up

    def crash(self, name: str, keep: bool = True) -> None:
        """The process is killed."""
        member = self._member(name)
        member.crash(keep)
        if name in self.clients:
            self._proxy.drop(name)
        self._spawn(member.tend())
        self._heard(name, f"{self.plan.design.domain}.crash")

    def restart(self, name: str) -> None:
        """A crashed process starts again; one that has ended by itself does not."""
        member = self._member(name)
        member.restart()
        self._spawn(member.tend())

    def pause(self, name: str, for_ns: int) -> None:
        """The process stands still and then goes on."""
        self._member(name).pause(for_ns)

    def slow(self, name: str, service_ns: int) -> None:
        """From now on every step takes the process so long."""
        self._slow[name] = service_ns
        self._proxy.send(name, Slow(service_ns))

    def clock(self, name: str, rate: float | None, by_ns: int) -> None:
        """A schedule with such faults is refused before the run (`reference.py`)."""
        raise TypeError("processes of one machine have one clock")

    def note(self, name: str, fields: Mapping[str, Any]) -> None:
        """Records what was done."""
        self._faults.event(name, fields)

    def _member(self, name: str) -> NodeProcess | Client:
        return self.processes[name] if name in self.processes else self.clients[name]
