"""A simulated run: the simulator as the world that faults act on and as the stage that the workload acts on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any

from reference_impls.runtime.faults import Nemesis
from reference_impls.runtime.network import NETWORKS
from reference_impls.runtime.plan import Plan
from reference_impls.runtime.process import Process, Stable
from reference_impls.runtime.recording import Recording
from reference_impls.runtime.simulator import Host, Simulator


class Cluster:
    """One run; `run` runs it. It is the World of its nemesis and the Stage of its workload (`world.py`)."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.simulation = plan.simulation
        self.nodes: Sequence[str] = plan.nodes
        self.at_risk: Sequence[str] = plan.nodes
        self.network = NETWORKS[plan.simulation.network](plan.random("network"))
        self.network.fifo = plan.fifo
        self.simulator = Simulator(self.network, Recording(), plan.design.domain)
        self.workload = plan.make_workload()
        self.simulator.on_done = lambda host: self.workload.ended(host.name)
        self.simulator.on_completed = self.workload.completed
        for place, name in enumerate(plan.nodes):
            random = plan.random(name)
            self._host(name, lambda place=place, random=random: plan.make_node(place, random))  # type: ignore[misc]  # bound at once
        self.nemesis = Nemesis(self, plan.random("faults"), pace=max(1.0, plan.simulation.operations / 1000))

    def run(self) -> Recording:
        """From start to end.

        Raises
        ------
        TracekitError: TK406 for a schedule that names a process which is not there.
        """
        self.workload.begin(self)  # first, so that faults which strike at once strike its processes as well
        if self.simulation.operations:
            self.plan.schedule.begin(self.nemesis)
        self.plan.schedule.check(self.at_risk)
        self.simulator.run()
        return self.simulator.recording

    def _host(self, name: str, make: Callable[[], Process]) -> None:
        """A machine with a quartz: up to 50 parts per million fast or slow, up to 2 ms off."""
        host = Host(name, make, self.simulator.recording)
        random = self.random(f"{name}/clock")
        host.rate = 1.0 + random.uniform(-50e-6, 50e-6)
        host.offset_ns = random.randint(-2_000_000, 2_000_000)
        self.simulator.add(host)

    # What both act on

    def random(self, purpose: str) -> Random:
        """Independent randomness for each purpose."""
        return self.plan.random(purpose)

    def later(self, delay_ns: int, action: Callable[[], None]) -> None:
        """Calls `action` after so much true time."""
        self.simulator.at(self.simulator.now + delay_ns, lambda *_: action())

    def on_event(self, name: str, action: Callable[[str], None]) -> None:
        """Calls `action` with the process, after each event of this name."""
        self.simulator.on_event[name] = lambda host: action(host.name)

    # Stage

    def start(self, name: str, make: Callable[[], Process], at_risk: bool = False) -> None:
        """Starts a process beside the nodes."""
        if at_risk:
            self.at_risk = (*self.at_risk, name)
        self._host(name, make)

    def progress(self, done: int, total: int) -> None:
        """Tells whoever waits how far the run is."""
        if self.plan.progress and (done == total or (done % 64 == 0 and done < total)):
            self.plan.progress(done, total)

    def heal(self) -> None:
        """No further faults."""
        self.nemesis.stop()

    def settle(self, after_ns: int, action: Callable[[], None]) -> None:
        """Calls `action` so long after all that is under way now has arrived."""
        self.simulator.at(self.simulator.last_arrival() + after_ns, lambda *_: action())

    def end(self, after_ns: int) -> None:
        """The run ends so long from now."""
        self.simulator.end = self.simulator.now + after_ns

    def rest(self) -> None:
        """A simulation ends by itself when nothing is left to do."""

    # World

    def is_up(self, name: str) -> bool:
        """Whether the process runs."""
        return self.simulator.hosts[name].up

    def crash(self, name: str, keep: bool = True) -> None:
        """The process stops."""
        host = self.simulator.hosts[name]
        self.simulator.crash(host)
        if not keep:
            host.stable = Stable()

    def restart(self, name: str) -> None:
        """A crashed process starts again; one that has ended by itself does not."""
        host = self.simulator.hosts[name]
        if not host.done:
            self.simulator.start(host)

    def pause(self, name: str, for_ns: int) -> None:
        """The process stands still and then goes on."""
        host = self.simulator.hosts[name]
        host.busy_until = max(host.busy_until, self.simulator.now + for_ns)

    def slow(self, name: str, service_ns: int) -> None:
        """From now on every step takes the process so long."""
        self.simulator.hosts[name].service_ns = service_ns

    def clock(self, name: str, rate: float | None, by_ns: int) -> None:
        """Changes the rate of a process's clock from now on, and sets it on by so much."""
        host, now = self.simulator.hosts[name], self.simulator.now
        shown = host.clock(now) + by_ns
        host.rate = host.rate if rate is None else rate
        host.offset_ns = shown - int(host.rate * now)

    def note(self, name: str, fields: Mapping[str, Any]) -> None:
        """Records what was done."""
        self.simulator.recording.fault(name, self.simulator.now, fields)
