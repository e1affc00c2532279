"""Faults: what the environment does to a run, each by its name; every one is a row of the trace.

A fault is data: how it is drawn at random, how it begins and how it ends. A schedule (`schedule.py`) says which ones a
run gets: by name, then they come at random from the seed; or one by one, from a file.
Clients that are not at risk stay connected to every node: a node that is cut off from the others still gets requests.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

from reference_impls.runtime.network import MILLISECOND
from reference_impls.runtime.world import World


@dataclass(frozen=True)
class Ambush:
    """Crashes a node just after an event of some name happened there, to provoke what chance would rarely bring.

    Attributes
    ----------
    chance, down_ns: how often it strikes, and how long the node stays down.
    times: how often at most.
    fault: crash; or partition, then the node is cut off from all others instead, and clients still reach it.
    """

    event: str
    chance: float
    down_ns: int
    times: int
    fault: str = "crash"


@dataclass(frozen=True, eq=False)
class Step:
    """One fault with all that it needs.

    Attributes
    ----------
    process: whom it is about.
    groups: of a partition; both directions are cut, or only the one from the first group to the second.
    rate: share of messages, or a clock's rate; None: the clock keeps its rate.
    time_ns: by how much a clock is set on; or how much time a step takes; or for how long a process stands still.
    drawn: whether chance has brought it, which crashes no more than a minority of the nodes at one time.
    """

    process: str = ""
    groups: tuple[tuple[str, ...], ...] = ()
    rate: float | None = None
    time_ns: int = 0
    drawn: bool = True


@dataclass(frozen=True)
class Fault:
    """A kind of fault.

    Attributes
    ----------
    meaning: what a reader is told.
    needs: the fields of a step that a schedule has to give.
    draw: steps at random; they begin together.
    begin: whether it could begin; else it does not end either.
    pause, lasting: ms between two such faults, and how long one lasts, each from low to high; without a pause, it is
        there from the start to the end of the run.
    delays: whether messages may arrive later than the network promises.
    simulated: whether only a simulator can do it: real processes of one machine share its clock.
    """

    meaning: str
    needs: tuple[str, ...]
    draw: Callable[[Nemesis], Sequence[Step]]
    begin: Callable[[Nemesis, Step], bool]
    end: Callable[[Nemesis, Step], None] = lambda nemesis, step: None
    pause: tuple[float, float] | None = None
    lasting: tuple[float, float] = (200, 600)
    delays: bool = False
    simulated: bool = False


@dataclass(eq=False)
class Nemesis:
    """Brings faults upon the processes of a run until `stop`.

    Attributes
    ----------
    pace: how long the pauses between faults are, 1.0 for a run of a few seconds; the number of faults in a run
        should not grow with its length, since every restart replays the log.
    happened: names of the faults that did begin.
    most_down: how many nodes were down at one time.
    """

    world: World
    random: Random
    pace: float
    happened: dict[str, None] = field(default_factory=dict)
    most_down: int = 0
    stopped: bool = False
    active: set[Step] = field(default_factory=set)

    def begin(self, names: Iterable[str], ambushes: Sequence[Ambush] = ()) -> None:
        """Starts the faults of these names at random, and lies in wait."""
        for name in names:
            self._resume(self._at_random(name))
        for ambush in ambushes:
            self._trap(ambush)

    def bring(self, name: str, step: Step, for_ns: int) -> None:
        """One fault, now; 0: until the end."""
        if self.stopped or not self._begin(name, step):
            return
        if for_ns:
            self.world.later(for_ns, lambda: None if self.stopped else self._end(name, step))

    def stop(self) -> None:
        """Ends everything: the network heals, machines recover their speed, crashed processes restart."""
        self.stopped = True
        self.active.clear()
        self.world.network.heal()
        if self.happened:
            self.note("heal")
        for name in self.world.at_risk:
            self.world.slow(name, 0)
            self.restart(name)

    # What faults do

    def crash(self, name: str, keep: bool = True, within: int | None = None) -> bool:
        """Crashes a process, unless it is down, or as many nodes are as `within` allows (None: all may be)."""
        world = self.world
        down = sum(not world.is_up(node) for node in world.nodes)
        is_node = name in world.nodes
        if not world.is_up(name) or (is_node and within is not None and down >= within):
            return False
        world.crash(name, keep)
        self.most_down = max(self.most_down, down + is_node)
        return True

    def minority(self) -> int:
        """How many nodes faults at random crash at one time."""
        return max(1, (len(self.world.nodes) - 1) // 2)

    def restart(self, name: str) -> None:
        """Restarts a crashed process."""
        if not self.world.is_up(name):
            self.world.restart(name)

    def block(self, name: str, groups: Sequence[Sequence[str]], one_way: bool = False) -> None:
        """Nothing passes from a group to a later one, nor back unless `one_way`."""
        blocked = self.world.network.blocked
        for place, group in enumerate(groups):
            for other in groups[place + 1 :]:
                blocked.update((a, b) for a in group for b in other)
                if not one_way:
                    blocked.update((b, a) for a in group for b in other)
        self.note(name, **{"fault.groups": [" ".join(group) for group in groups]})

    def heal(self) -> None:
        """Every link passes again."""
        self.world.network.blocked.clear()
        self.note("heal")

    def note(self, name: str, **fields: object) -> None:
        """Records what was done."""
        self.world.note(f"fault.{name}", fields)

    # What faults are drawn from

    def split(self) -> tuple[tuple[str, ...], ...]:
        """All at risk in two random groups, none of them empty where there are two."""
        shuffled = self.random.sample(list(self.world.at_risk), len(self.world.at_risk))
        cut = self.random.randint(1, max(1, len(shuffled) - 1))
        return tuple(shuffled[:cut]), tuple(shuffled[cut:])

    def victim(self) -> str:
        """Whoever is struck next."""
        return self.random.choice(list(self.world.at_risk))

    def duration(self, low_ms: float, high_ms: float) -> int:
        """A random time."""
        return int(self.random.uniform(low_ms, high_ms) * MILLISECOND)

    # When

    def _at_random(self, name: str) -> Generator[int, None, None]:
        fault = FAULTS[name]
        if fault.pause is None:
            for step in fault.draw(self):
                self._begin(name, step)
            return
        while True:
            yield int(self.pace * self.random.uniform(*fault.pause) * MILLISECOND)
            begun = [step for step in fault.draw(self) if self._begin(name, step)]
            if begun:
                yield self.duration(*fault.lasting)
                for step in begun:
                    self._end(name, step)

    def _begin(self, name: str, step: Step) -> bool:
        begun = FAULTS[name].begin(self, step)
        if begun:
            self.happened[name] = None
            self.active.add(step)
        return begun

    def _end(self, name: str, step: Step) -> None:
        self.active.discard(step)
        FAULTS[name].end(self, step)

    def _resume(self, fault: Generator[int, None, None]) -> None:
        wait = None if self.stopped else next(fault, None)
        if wait is not None:
            self.world.later(wait, lambda: self._resume(fault))

    def _trap(self, ambush: Ambush) -> None:
        left = ambush.times

        def strike(name: str) -> None:
            nonlocal left
            if self.stopped:
                return
            if ambush.fault == "partition":
                if not self.world.network.blocked:
                    left -= 1
                    others = tuple(node for node in self.world.at_risk if node != name)
                    self.bring("partition", Step(groups=((name,), others)), ambush.down_ns)
            elif self.crash(name, within=self.minority()):
                self.happened["crash"] = None
                left -= 1
                self.world.later(ambush.down_ns, lambda: self.restart(name))

        def spring(name: str) -> None:
            if left > 0 and self.random.random() < ambush.chance:
                self.world.later(0, lambda: strike(name))  # when the step is over

        self.world.on_event(ambush.event, spring)


def _setting(name: str, rate: float) -> Fault:
    """The network does this to a share of all messages."""
    meaning = {
        "loss": f"{rate:.0%} of messages are lost",
        "duplication": f"{rate:.0%} of messages arrive twice",
        "reordering": f"{rate:.0%} of messages are held back, so that later ones overtake them",
    }[name]

    def begin(nemesis: Nemesis, step: Step) -> bool:
        setattr(nemesis.world.network, name, step.rate)
        nemesis.note(name, **{"fault.rate": step.rate})
        return True

    def end(nemesis: Nemesis, step: Step) -> None:
        setattr(nemesis.world.network, name, 0.0)
        nemesis.note(name, **{"fault.rate": 0.0})

    return Fault(meaning, ("rate",), lambda nemesis: [Step(rate=rate)], begin, end)


def _cut(name: str, meaning: str, lasting: tuple[float, float]) -> Fault:
    """The processes fall apart into groups; one cut at a time."""

    def draw(nemesis: Nemesis) -> Sequence[Step]:
        if len(nemesis.world.at_risk) < 2 or nemesis.world.network.blocked:
            return ()
        return [Step(groups=nemesis.split())]

    def begin(nemesis: Nemesis, step: Step) -> bool:
        nemesis.block(name, step.groups, one_way=name == "one-way-partition")
        return True

    return Fault(meaning, ("groups",), draw, begin, lambda nemesis, step: nemesis.heal(), (300, 900), lasting)


FLAP_NS = 60 * MILLISECOND
"""How long a flapping link stays as it is."""


def _flap(nemesis: Nemesis, step: Step) -> bool:
    """Cuts and mends the same links in turn, for as long as the fault is active."""

    def toggle() -> None:
        if step not in nemesis.active:
            return
        if nemesis.world.network.blocked:
            nemesis.heal()
        else:
            nemesis.block("flapping-partition", step.groups)
        nemesis.world.later(FLAP_NS, toggle)

    nemesis.block("flapping-partition", step.groups)
    nemesis.world.later(FLAP_NS, toggle)
    return True


def _omission(name: str, meaning: str) -> Fault:
    """A process's own messages get lost on its side of the network."""
    table = name.replace("-", "_")

    def begin(nemesis: Nemesis, step: Step) -> bool:
        getattr(nemesis.world.network, table)[step.process] = step.rate
        nemesis.note(name, **{"fault.process": step.process, "fault.rate": step.rate})
        return True

    def end(nemesis: Nemesis, step: Step) -> None:
        getattr(nemesis.world.network, table).pop(step.process, None)
        nemesis.note(f"{name}-end", **{"fault.process": step.process})

    def draw(nemesis: Nemesis) -> Sequence[Step]:
        return [Step(nemesis.victim(), rate=0.4)]

    return Fault(meaning, ("process", "rate"), draw, begin, end, (300, 900))


def _crash(nemesis: Nemesis, step: Step, keep: bool = True) -> bool:
    begun = nemesis.crash(step.process, keep, nemesis.minority() if step.drawn else None)
    if begun and not keep:
        nemesis.note("disk-loss", **{"fault.process": step.process})
    return begun


def _slow(nemesis: Nemesis, step: Step) -> bool:
    nemesis.world.slow(step.process, step.time_ns)
    nemesis.note("slow", **{"fault.process": step.process, "fault.service_ns": step.time_ns})
    return True


def _slow_end(nemesis: Nemesis, step: Step) -> None:
    nemesis.world.slow(step.process, 0)
    nemesis.note("slow-end", **{"fault.process": step.process})


def _pause(nemesis: Nemesis, step: Step) -> bool:
    nemesis.world.pause(step.process, step.time_ns)
    nemesis.note("pause", **{"fault.process": step.process, "fault.service_ns": step.time_ns})
    return True


def _clock(name: str) -> Callable[[Nemesis, Step], bool]:
    def begin(nemesis: Nemesis, step: Step) -> bool:
        nemesis.world.clock(step.process, step.rate, step.time_ns)
        rate = {} if step.rate is None else {"fault.rate": step.rate}
        nemesis.note(name, **{"fault.process": step.process, **rate, "fault.offset_ns": step.time_ns})
        return True

    return begin


def _drifting(nemesis: Nemesis) -> Sequence[Step]:
    random = nemesis.random
    return [
        Step(name, rate=random.uniform(0.9, 1.1), time_ns=random.randint(-200, 200) * MILLISECOND)
        for name in nemesis.world.at_risk
    ]


FAULTS: Mapping[str, Fault] = {
    "loss": _setting("loss", 0.03),
    "duplication": _setting("duplication", 0.05),
    "reordering": _setting("reordering", 0.05),
    "partition": _cut("partition", "the nodes fall apart into two groups that do not hear each other", (200, 700)),
    "one-way-partition": _cut(
        "one-way-partition", "one group of nodes is not heard by the other, but hears it", (200, 600)
    ),
    "crash": Fault(
        "nodes crash, a minority at a time, and restart with what they had made stable",
        ("process",), lambda n: [Step(n.victim())], _crash, lambda n, s: n.restart(s.process), (200, 800), (50, 600),
    ),
    "clock-drift": Fault(
        "clocks run up to 10 % too fast or slow, and up to 200 ms apart",
        ("process", "rate", "time"), _drifting, _clock("clock-drift"),
        simulated=True,
    ),
    "slow": Fault(
        "a node takes 2 to 10 ms for every step",
        ("process", "time"), lambda n: [Step(n.victim(), time_ns=n.duration(2, 10))], _slow, _slow_end,
        (300, 900), delays=True,
    ),
    "flapping-partition": Fault(
        "two groups of nodes lose and find each other again, many times a second",
        ("groups",), _cut("flapping-partition", "", (0, 0)).draw, _flap, lambda n, s: n.heal(), (300, 900), (300, 900),
    ),
    "send-omission": _omission("send-omission", "a node loses 40 % of what it sends, for a while"),
    "receive-omission": _omission("receive-omission", "a node loses 40 % of what is sent to it, for a while"),
    "pause": Fault(
        "a node stands still for 50 to 400 ms, and then goes on as if nothing had been",
        ("process", "time"), lambda n: [Step(n.victim(), time_ns=n.duration(50, 400))], _pause,
        pause=(200, 800), delays=True,
    ),
    "clock-step": Fault(
        "a node's clock jumps by up to 500 ms, forward or back",
        ("process", "time"), lambda n: [Step(n.victim(), time_ns=n.random.randint(-500, 500) * MILLISECOND)],
        _clock("clock-step"), pause=(200, 800), simulated=True,
    ),
    "disk-loss": Fault(
        "nodes crash, a minority at a time, and restart without what they had made stable",
        ("process",), lambda n: [Step(n.victim())], lambda n, s: _crash(n, s, keep=False),
        lambda n, s: n.restart(s.process), (300, 900), (50, 600),
    ),
}  # fmt: skip
"""Every fault by name; its name is that of its event, but for crashes, which are events of the process."""
