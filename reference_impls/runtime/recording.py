"""Recording: keeps each process's logical clocks and turns what happens into rows of a trace.

The clocks belong to the recorder and not to the process, so a crash does not set them back.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracekit.trace.builder import TraceBuilder
from tracekit.trace.columns import AnyColumn, Column, ListColumn, from_values
from tracekit.trace.run import Run
from tracekit.trace.schema import KINDS, NEMESIS, Kind
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


class Texts:
    """Texts as codes, in order of appearance."""

    def __init__(self) -> None:
        self.codes: dict[str, int] = {}
        self.rows = array("i")

    def add(self, text: str | None) -> None:
        """The next row's text."""
        self.rows.append(-1 if text is None else self.codes.setdefault(text, len(self.codes)))

    def column(self) -> Column:
        """All rows."""
        values = np.array(self.rows, np.int32)
        texts = from_values(list(self.codes))
        assert isinstance(texts, Column)
        return Column(values, None if (values >= 0).all() else values >= 0, texts.texts)


class Recording:
    """The rows of one run.

    What every row has goes into arrays, one a column, which takes a third of the memory of a builder's lists; the
    domains' fields, which few rows have, go into the builder.
    """

    def __init__(self) -> None:
        self.builder = TraceBuilder()
        self.processes: list[str] = []
        self.process, self.name = Texts(), Texts()
        self.kind = array("i")
        self.time_ns, self.true_time_ns, self.lamport = array("q"), array("q"), array("q")
        self.vclock, self.components = array("q"), array("q")

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
        self._row(process, kind, name, true_time_ns, fields)
        self.time_ns.append(time_ns)
        self.lamport.append(clocks.lamport)
        self.vclock.extend(clocks.vector)
        self.components.append(len(clocks.vector))

    def fault(self, name: str, true_time_ns: int, fields: Mapping[str, Any]) -> None:
        """Something that the environment did; outside all logical clocks."""
        self._row(NEMESIS, "fault", name, true_time_ns, fields)
        self.time_ns.append(0)
        self.lamport.append(0)
        self.components.append(0)

    def _row(self, process: str, kind: str, name: str | None, true_time_ns: int, fields: Mapping[str, Any]) -> None:
        self.builder.add(fields)
        self.process.add(process)
        self.kind.append(KINDS[kind])
        self.name.add(name)
        self.true_time_ns.append(true_time_ns)

    def __len__(self) -> int:
        return len(self.builder)

    def trace(self, run: Run) -> Trace:
        """Everything recorded, with what is declared about it."""
        self.builder.processes = tuple(self.processes)
        self.builder.run = run
        kinds = np.array(self.kind, np.int32)
        labels = from_values([kind.label for kind in Kind])
        assert isinstance(labels, Column)
        events = None if not (kinds == Kind.FAULT).any() else kinds != Kind.FAULT
        offsets = np.zeros(len(self) + 1, np.int64)
        np.cumsum(_int64(self.components), out=offsets[1:])
        columns: dict[str, AnyColumn] = {
            "process": self.process.column(),
            "kind": Column(kinds, None, labels.texts),
            "name": self.name.column(),
            "time_ns": Column(_int64(self.time_ns), events),
            "true_time_ns": Column(_int64(self.true_time_ns)),
            "lamport": Column(_int64(self.lamport), events),
            "vclock": ListColumn(offsets, Column(_int64(self.vclock)), events),
        }
        if (kinds == Kind.INVOKE).any():
            # Where all operations are reads that returned nothing, their values are recorded all the same.
            columns["value"] = Column(np.zeros(len(self), np.int64), np.zeros(len(self), np.bool_))
        return self.builder.build(at="simulator", columns=columns)


def _int64(values: array[int]) -> NDArray[np.int64]:
    return np.array(values, np.int64)
