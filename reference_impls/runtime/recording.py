"""Recording: keeps each process's logical clocks and turns what happens into rows of a trace.

The clocks belong to the recorder and not to the process, so a crash does not set them back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tracekit.trace.builder import TraceBuilder
from tracekit.trace.run import Run
from tracekit.trace.schema import NEMESIS
from tracekit.trace.trace import Trace


class Clocks:
    """A process's Lamport clock (Lamport 1978) and vector clock (Fidge 1988, Mattern 1989), 1 at its first event."""

    __slots__ = ("index", "lamport", "vector")

    def __init__(self, index: int) -> None:
        self.index = index
        self.lamport = 0
        self.vector = [0] * (index + 1)

    def tick(self) -> None:
        """An event happens."""
        self.lamport += 1
        self.vector[self.index] += 1

    def merge(self, lamport: int, vector: Sequence[int]) -> None:
        """A message is received that was sent at these clocks; its own event still has to tick."""
        if lamport > self.lamport:
            self.lamport = lamport
        own = self.vector
        if len(own) < len(vector):  # processes that joined later: missing entries are zeros
            own.extend([0] * (len(vector) - len(own)))
        # max() would take twice as long, and this is the inner loop
        self.vector = [a if a > b else b for a, b in zip(own, vector, strict=False)] + own[len(vector) :]  # noqa: FURB136


class Recording:
    """The rows of one run."""

    def __init__(self) -> None:
        self.builder = TraceBuilder()
        self.processes: list[str] = []

    def join(self, process: str) -> Clocks:
        """A further process, with the next component of all vector clocks."""
        self.processes.append(process)
        return Clocks(len(self.processes) - 1)

    def event(
        self,
        process: str,
        clocks: Clocks,
        kind: str,
        name: str | None,
        time_ns: int,
        true_time_ns: int,
        fields: Mapping[str, Any],
    ) -> None:
        """One event at a process. Its clocks tick."""
        clocks.tick()
        self.builder.add(
            {
                "process": process,
                "kind": kind,
                "name": name,
                "time_ns": time_ns,
                "true_time_ns": true_time_ns,
                "lamport": clocks.lamport,
                "vclock": clocks.vector.copy(),
                **fields,
            }
        )

    def fault(self, name: str, true_time_ns: int, fields: Mapping[str, Any]) -> None:
        """Something that the environment did; outside all logical clocks."""
        self.builder.add({"process": NEMESIS, "kind": "fault", "name": name, "true_time_ns": true_time_ns, **fields})

    def __len__(self) -> int:
        return len(self.builder)

    def trace(self, run: Run) -> Trace:
        """Everything recorded, with what is declared about it."""
        self.builder.processes = tuple(self.processes)
        self.builder.run = run
        return self.builder.build(at="simulator")
