"""Recorder: instrument a program; Lamport and vector clocks are kept for the caller."""

from __future__ import annotations

import os
from collections.abc import Sequence
from types import TracebackType
from typing import Any

from tracekit.trace.builder import TraceBuilder
from tracekit.trace.parquet import write_parquet
from tracekit.trace.run import Run


class Recorder:
    """Records the events of processes that live in one program, and writes a native trace when it is closed.

    >>> with Recorder("/tmp/ping.parquet", ["n1", "n2"]) as recorder:
    ...     message = recorder.send("n1", "ping", to="n2")
    ...     recorder.receive("n2", message, "ping")
    ...     recorder.event("n2", "answered", {"demo.count": 1})

    Parameters
    ----------
    path: the Parquet file to write; it appears when the recorder is closed.
    processes: every process that will record, in the order of the vector clocks' components.
    run: declared facts about the run.

    When the block ends with an error, what was recorded is written all the same, and the file is not marked complete.
    """

    def __init__(self, path: str | os.PathLike[str], processes: Sequence[str], run: Run | None = None) -> None:
        self.path = path
        self._builder = TraceBuilder(processes, run)
        self._place = {name: i for i, name in enumerate(processes)}
        if len(self._place) != len(processes):
            raise ValueError("processes must have different names")
        self._lamport = [0] * len(processes)
        self._vector = [[0] * len(processes) for _ in processes]
        self._seq = [0] * len(processes)
        self._carried: dict[int, tuple[str, int, list[int]]] = {}

    def __enter__(self) -> Recorder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(complete=kind is None)

    def event(
        self, process: str, name: str | None = None, fields: dict[str, Any] | None = None, kind: str = "internal"
    ) -> None:
        """Records an event that is neither a send nor a receive; `kind` is one of the schema's."""
        self._add(self._index(process), kind, name, fields or {})

    def send(
        self, process: str, name: str | None = None, *, to: str | None = None, fields: dict[str, Any] | None = None
    ) -> int:
        """Records a send; returns the message id, which the message must carry to its receivers."""
        message = len(self._carried)
        index = self._index(process)
        self._add(index, "send", name, {"message": message, "peer": to, **(fields or {})})
        self._carried[message] = (process, self._lamport[index], list(self._vector[index]))
        return message

    def receive(
        self, process: str, message: int, name: str | None = None, fields: dict[str, Any] | None = None
    ) -> None:
        """Records that a message arrived; the receiver's clocks learn what its sender knew.

        Raises
        ------
        ValueError: where this recorder never gave out that id.
        """
        if message not in self._carried:
            raise ValueError(f"message {message} was never sent through this recorder")
        sender, lamport, vector = self._carried[message]
        index = self._index(process)
        self._lamport[index] = max(self._lamport[index], lamport)
        self._vector[index] = [max(pair) for pair in zip(self._vector[index], vector, strict=True)]
        self._add(index, "receive", name, {"message": message, "peer": sender, **(fields or {})})

    def close(self, complete: bool = True) -> None:
        """Writes the file. Raises TracekitError TK109 where it cannot be written."""
        write_parquet(self._builder.build(at=str(self.path), complete=complete), self.path)

    def _index(self, process: str) -> int:
        if process not in self._place:
            raise ValueError(f"{process!r} is none of the recorder's processes: {', '.join(self._place)}")
        return self._place[process]

    def _add(self, index: int, kind: str, name: str | None, fields: dict[str, Any]) -> None:
        self._lamport[index] += 1
        self._vector[index][index] += 1
        process = self._builder.processes[index]
        row = {"process": process, "seq": self._seq[index], "kind": kind, "name": name, "lamport": self._lamport[index]}
        self._builder.add({**row, "vclock": list(self._vector[index]), **fields})
        self._seq[index] += 1
