"""What a protocol that can be simulated offers, and how installed ones are found (entry points ``tracekit.protocols``).

tracekit never imports an implementation: a package offers a function that returns its protocols by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tracekit.trace.trace import Trace

NETWORKS = ("sync", "async", "partial-sync")
TRANSPORTS = ("sim", "tcp")


@dataclass(frozen=True)
class Mutant:
    """A named bug that a protocol can run with.

    Attributes
    ----------
    breaks: the rule that it breaks, with the paper's section.
    caught_by: the check that must find it.
    """

    name: str
    breaks: str
    caught_by: str


@dataclass(frozen=True)
class Simulation:
    """What is to be simulated.

    Attributes
    ----------
    nodes: processes that run the protocol.
    seed: decides everything that is random; the same seed, the same trace. Over TCP it decides what clients and
        faults do; what happens when is up to the machine.
    network: one of `NETWORKS`.
    faults: names of faults, or one path of a schedule; None: drawn from the seed among those tolerated; (): none.
    mutant: name of a bug, or None.
    clients, operations: how many clients run how many operations in all.
    transport: one of `TRANSPORTS`: the simulator, or real processes that talk over TCP.
    settings: the protocol's own settings, by name; what is left out has its default.
    """

    nodes: int
    seed: int = 0
    network: str = "async"
    faults: tuple[str, ...] | None = None
    mutant: str | None = None
    clients: int = 4
    operations: int = 1000
    transport: str = "sim"
    settings: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Setting:
    """Something that can be chosen of a protocol."""

    meaning: str
    values: tuple[str, ...]

    @property
    def default(self) -> str:
        """The first value."""
        return self.values[0]


@dataclass(frozen=True)
class Protocol:
    """A protocol that can be simulated.

    Attributes
    ----------
    claims: globs of the checks that a correct run passes; written to the trace, under a mutant as well.
    faults: what it tolerates, by name, each with its meaning.
    other_faults: what else can be done to it, which breaks an assumption of its.
    settings: what can be chosen of it, by name.
    transports: where it runs, of `TRANSPORTS`.
    schedule_keys: for each fault the keys that a schedule in a file has to give it, beside when it comes.
    schedule: such a file, as an example.
    simulated_faults: those of all faults that only the simulator can bring about.
    networks: on which networks its promises rest, of `NETWORKS`, the usual one first; the others break an assumption.
    simulate: makes the trace. Raises TracekitError TK4xx for settings that it cannot run.
    progress (argument of simulate): called with operations done and in all.
    """

    name: str
    summary: str
    reference: str
    claims: tuple[str, ...]
    mutants: tuple[Mutant, ...]
    faults: Mapping[str, str]
    simulate: Callable[[Simulation, Callable[[int, int], None] | None], Trace]
    default_nodes: int = 3
    minimum_nodes: int = 1
    other_faults: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Setting] = field(default_factory=dict)
    transports: tuple[str, ...] = ("sim",)
    schedule_keys: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    schedule: str = ""
    simulated_faults: tuple[str, ...] = ()
    networks: tuple[str, ...] = ("async", "sync", "partial-sync")


@cache
def protocols() -> Mapping[str, Protocol]:
    """Every installed protocol by name."""
    found: dict[str, Protocol] = {}
    for entry in entry_points(group="tracekit.protocols"):
        found.update(entry.load()())
    return dict(sorted(found.items()))
