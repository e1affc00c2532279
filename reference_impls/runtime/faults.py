"""Faults: what the environment does to a run, each by its name; every one is a row of the trace.

A fault is a coroutine: it acts on the simulator and yields the true time (ns) until it wants to act again.
Clients stay connected to every node in a partition: a node that is cut off from the others still gets requests.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from random import Random

from reference_impls.runtime.network import MILLISECOND, SECOND
from reference_impls.runtime.simulator import Host, Simulator


@dataclass(frozen=True)
class Ambush:
    """Crashes a node just after an event of some name happened there, to provoke what chance would rarely bring.

    Attributes
    ----------
    chance, down_ns: how often it strikes, and how long the node stays down.
    times: how often at most.
    """

    event: str
    chance: float
    down_ns: int
    times: int


class Nemesis:
    """Brings faults upon the nodes of a run until `stop`.

    Parameters
    ----------
    pace: how long the pauses between faults are, 1.0 for a run of a few seconds; the number of faults in a run
        should not grow with its length, since every restart replays the log.
    """

    def __init__(self, simulator: Simulator, nodes: Sequence[Host], random: Random, pace: float) -> None:
        self.simulator = simulator
        self.nodes = nodes
        self.random = random
        self.pace = pace
        self.most_down = max(1, (len(nodes) - 1) // 2)
        self.stopped = False
        self.idle = True

    def begin(self, names: Iterable[str], ambushes: Sequence[Ambush] = ()) -> None:
        """Starts the faults of these names, and lies in wait."""
        for name in names:
            self.idle = False
            self._resume(FAULTS[name].act(self))
        for ambush in ambushes:
            self.simulator.on_event[ambush.event] = self._trap(ambush)

    def stop(self) -> None:
        """Ends everything: the network heals, machines recover their speed, crashed nodes restart."""
        self.stopped = True
        network = self.simulator.network
        network.blocked.clear()
        network.loss = network.duplication = network.reordering = 0.0
        if not self.idle:
            self.note("heal")
        for host in self.nodes:
            host.service_ns = 0
            self.restart(host)

    def pause(self, low_ms: float, high_ms: float) -> int:
        """A random time between two faults."""
        return int(self.pace * self.random.uniform(low_ms, high_ms) * MILLISECOND)

    def lasting(self, low_ms: float, high_ms: float) -> int:
        """A random time that a fault lasts."""
        return int(self.random.uniform(low_ms, high_ms) * MILLISECOND)

    def crash(self, host: Host) -> bool:
        """Crashes a node, unless it is down or too many are."""
        if not host.up or sum(not node.up for node in self.nodes) >= self.most_down:
            return False
        self.simulator.crash(host)
        return True

    def restart(self, host: Host) -> None:
        """Restarts a crashed node."""
        if not host.up:
            self.simulator.start(host)

    def block(self, name: str, groups: Sequence[Sequence[Host]], one_way: bool = False) -> None:
        """Nothing passes from the first group to the second, nor back unless `one_way`."""
        first, second = ([host.name for host in group] for group in groups)
        blocked = self.simulator.network.blocked
        blocked.update((a, b) for a in first for b in second)
        if not one_way:
            blocked.update((b, a) for a in first for b in second)
        self.note(name, **{"fault.groups": [" ".join(first), " ".join(second)]})

    def heal(self) -> None:
        """Every link passes again."""
        self.simulator.network.blocked.clear()
        self.note("heal")

    def note(self, name: str, **fields: object) -> None:
        """Records what was done."""
        self.simulator.recording.fault(f"fault.{name}", self.simulator.now, fields)

    def split(self) -> tuple[list[Host], list[Host]]:
        """The nodes in two random groups, none of them empty where there are two nodes."""
        shuffled = self.random.sample(list(self.nodes), len(self.nodes))
        cut = self.random.randint(1, max(1, len(shuffled) - 1))
        return shuffled[:cut], shuffled[cut:]

    def _resume(self, fault: Generator[int, None, None]) -> None:
        wait = None if self.stopped else next(fault, None)
        if wait is not None:
            self.simulator.at(self.simulator.now + wait, lambda *_: self._resume(fault))

    def _trap(self, ambush: Ambush) -> Callable[[Host], None]:
        left = [ambush.times]

        def strike(host: Host, _: object = None) -> None:
            if not self.stopped and self.crash(host):
                left[0] -= 1
                self.simulator.at(self.simulator.now + ambush.down_ns, lambda *_: self.restart(host))

        def spring(host: Host) -> None:
            if left[0] > 0 and self.random.random() < ambush.chance:
                self.simulator.at(self.simulator.now, strike, host)  # when the step is over

        return spring


@dataclass(frozen=True)
class Fault:
    """A kind of fault: what it means to a reader, and what it does."""

    meaning: str
    act: Callable[[Nemesis], Generator[int, None, None]]


def _loss(nemesis: Nemesis) -> Generator[int, None, None]:
    nemesis.simulator.network.loss = 0.03
    nemesis.note("loss", **{"fault.rate": 0.03})
    yield SECOND


def _duplication(nemesis: Nemesis) -> Generator[int, None, None]:
    nemesis.simulator.network.duplication = 0.05
    nemesis.note("duplication", **{"fault.rate": 0.05})
    yield SECOND


def _reordering(nemesis: Nemesis) -> Generator[int, None, None]:
    nemesis.simulator.network.reordering = 0.05
    nemesis.note("reordering", **{"fault.rate": 0.05})
    yield SECOND


def _clock_drift(nemesis: Nemesis) -> Generator[int, None, None]:
    for host in nemesis.nodes:
        host.rate = nemesis.random.uniform(0.9, 1.1)
        host.offset_ns = nemesis.random.randint(-200, 200) * MILLISECOND
        nemesis.note(
            "clock-drift",
            **{"fault.process": host.name, "fault.rate": host.rate, "fault.offset_ns": host.offset_ns},
        )
    yield SECOND


def _partition(nemesis: Nemesis) -> Generator[int, None, None]:
    while len(nemesis.nodes) > 1:
        yield nemesis.pause(300, 900)
        if not nemesis.simulator.network.blocked:
            nemesis.block("partition", nemesis.split())
            yield nemesis.lasting(200, 700)
            nemesis.heal()


def _one_way(nemesis: Nemesis) -> Generator[int, None, None]:
    while len(nemesis.nodes) > 1:
        yield nemesis.pause(300, 900)
        if not nemesis.simulator.network.blocked:
            nemesis.block("one-way-partition", nemesis.split(), one_way=True)
            yield nemesis.lasting(200, 600)
            nemesis.heal()


def _crash(nemesis: Nemesis) -> Generator[int, None, None]:
    while True:
        yield nemesis.pause(200, 800)
        host = nemesis.random.choice(nemesis.nodes)
        if nemesis.crash(host):
            yield nemesis.lasting(50, 600)
            nemesis.restart(host)


def _slow(nemesis: Nemesis) -> Generator[int, None, None]:
    while True:
        yield nemesis.pause(300, 900)
        host = nemesis.random.choice(nemesis.nodes)
        host.service_ns = nemesis.lasting(2, 10)
        nemesis.note("slow", **{"fault.process": host.name, "fault.service_ns": host.service_ns})
        yield nemesis.lasting(200, 600)
        host.service_ns = 0
        nemesis.note("slow-end", **{"fault.process": host.name})


FAULTS: Mapping[str, Fault] = {
    "loss": Fault("3 % of messages are lost", _loss),
    "duplication": Fault("5 % of messages arrive twice", _duplication),
    "reordering": Fault("5 % of messages are held back, so that later ones overtake them", _reordering),
    "partition": Fault("the nodes fall apart into two groups that do not hear each other", _partition),
    "one-way-partition": Fault("one group of nodes is not heard by the other, but hears it", _one_way),
    "crash": Fault("nodes crash, a minority at a time, and restart with what they had made stable", _crash),
    "clock-drift": Fault("clocks run up to 10 % too fast or slow, and up to 200 ms apart", _clock_drift),
    "slow": Fault("a node takes 2 to 10 ms for every step", _slow),
}
"""Every fault of the simulator by name."""
