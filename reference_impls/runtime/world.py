"""World: what faults act on, and Stage: what a workload acts on. The simulator is one, real processes are another.

So the same schedule of faults and the same clients run in both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any, Protocol

from reference_impls.runtime.network import Network
from reference_impls.runtime.process import Process
from tracekit.protocols import Simulation


class World(Protocol):
    """What faults act on. Processes go by their names.

    Attributes
    ----------
    nodes: the processes that run the protocol.
    at_risk: whom faults may strike: the nodes, and those clients of which the protocol has to bear as much.
    network: delays, and what does not pass.
    """

    nodes: Sequence[str]
    at_risk: Sequence[str]
    network: Network

    def later(self, delay_ns: int, action: Callable[[], None]) -> None:
        """Calls `action` after so much true time."""

    def is_up(self, name: str) -> bool:
        """Whether the process runs."""

    def crash(self, name: str, keep: bool = True) -> None:
        """The process stops; with `keep` its next incarnation finds what was made stable, without it finds nothing."""

    def restart(self, name: str) -> None:
        """A crashed process starts again."""

    def pause(self, name: str, for_ns: int) -> None:
        """The process stands still and then goes on; what arrives and what falls due meanwhile waits for it."""

    def slow(self, name: str, service_ns: int) -> None:
        """From now on every step takes the process so long; 0: as fast as ever."""

    def clock(self, name: str, rate: float | None, by_ns: int) -> None:
        """Changes the rate of a process's clock (None: it stays), and sets it on by so much."""

    def note(self, name: str, fields: Mapping[str, Any]) -> None:
        """Records what was done, as a fault event."""

    def on_event(self, name: str, action: Callable[[str], None]) -> None:
        """Calls `action` with the process, after each event of this name."""


class Stage(Protocol):
    """What a workload acts on.

    Attributes
    ----------
    simulation: what was asked for.
    nodes: the processes that run the protocol.
    """

    simulation: Simulation
    nodes: Sequence[str]

    def random(self, purpose: str) -> Random:
        """Independent randomness for each purpose, so that one more draw here changes nothing there."""

    def start(self, name: str, make: Callable[[], Process], at_risk: bool = False) -> None:
        """Starts a process beside the nodes; faults strike it where it is `at_risk`."""

    def later(self, delay_ns: int, action: Callable[[], None]) -> None:
        """Calls `action` after so much true time."""

    def on_event(self, name: str, action: Callable[[str], None]) -> None:
        """Calls `action` with the process, after each event of this name."""

    def progress(self, done: int, total: int) -> None:
        """Tells whoever waits how far the run is."""

    def heal(self) -> None:
        """No further faults; what is cut, slow or down is mended."""

    def settle(self, after_ns: int, action: Callable[[], None]) -> None:
        """Calls `action` so long after all that is under way now has arrived."""

    def end(self, after_ns: int) -> None:
        """The run ends so long from now."""

    def rest(self) -> None:
        """The run ends when nothing is left to do: no message is under way, and no process sends any more."""


class Workload(Protocol):
    """What is done with the nodes: clients, from the first request to a calm end; made anew for every run."""

    def begin(self, stage: Stage) -> None:
        """The nodes run; starts the clients."""

    def completed(self, operations: int) -> None:
        """So many operations of clients are completed."""

    def ended(self, name: str) -> None:
        """A process that had been started on the stage has nothing more to do."""
