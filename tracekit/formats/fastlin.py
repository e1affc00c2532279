"""fastlin's histories of one concurrent object: ``# queue``, then lines of method, value, start and end time.

The format is described with fastlin (github.com/solarrabbit99/fastlin): the value -1 stands for "empty", and where an
operation ends at the very time at which another starts, the end comes first.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tracekit.formats.text import Rejects, coded, constant, first_line, read_bytes, wrong_format
from tracekit.registry import Format
from tracekit.trace.assemble import assemble
from tracekit.trace.columns import Column
from tracekit.trace.run import Run
from tracekit.trace.trace import Trace

Int64 = NDArray[np.int64]

NAME = "fastlin"
MODELS = {"queue": "queue", "stack": "stack", "priorityqueue": "priority-queue:order=max"}
METHODS = {"enq": "enqueue", "deq": "dequeue"} | {m: m for m in ("push", "pop", "peek", "insert", "poll")}
"""Each method with what it is called in a trace."""
ADDING = ("enq", "push", "insert")
EMPTY = -1
_HEADER = re.compile(rb"#\s*(queue|stack|priorityqueue)[ \t]*\r?(?:\n|$)")
_LINE = re.compile(r"[ \t]*([a-z_]+)[ \t]+(-?[0-9]{1,18})[ \t]+([0-9]{1,18})[ \t]+([0-9]{1,18})[ \t\r]*")


def can_read(path: Path, head: bytes) -> bool:
    """Whether the first line names a type that fastlin knows."""
    return _HEADER.match(head) is not None


def read(path: Path) -> list[Trace]:
    """The one history of the file; two events an operation, each operation a client of its own.

    The format names no clients, so no two operations are in one program order. `index` ranks the events by time, ends
    before starts; the time itself has no unit and is kept as `time`.

    Raises
    ------
    TracekitError: TK201 where the first line names no known type.
    """
    data = read_bytes(path)
    header = _HEADER.match(data)
    if header is None:
        raise wrong_format(path, NAME, first_line(data), "# queue, # stack or # priorityqueue as the first line")
    rejects = Rejects(path.name)
    rows: list[tuple[str, str, str, str]] = []
    lines: list[int] = []
    for number, line in enumerate(data.decode().split("\n"), 1):
        match = _LINE.fullmatch(line)
        if match is None:
            if line.strip() and not line.lstrip().startswith("#"):
                rejects.add(number, "not a line of method, value, start and end", line)
        elif match[1] not in METHODS:
            rejects.add(number, "a method that is not known", line)
        elif int(match[3]) >= int(match[4]):
            rejects.add(number, "the operation does not end after its start", line)
        else:
            rows.append((match[1], match[2], match[3], match[4]))
            lines.append(number)
    return [_trace(path, MODELS[header[1].decode()], rows, np.array(lines, np.int64), rejects)]


def _trace(path: Path, model: str, rows: list[tuple[str, str, str, str]], lines: Int64, rejects: Rejects) -> Trace:
    methods = [row[0] for row in rows]
    numbers = np.array([row[1:] for row in rows], np.int64).reshape(-1, 3)
    twice = np.repeat(np.arange(len(rows)), 2)
    invoke = np.arange(2 * len(rows)) % 2 == 0
    time = numbers[:, 1:].reshape(-1)
    adding = np.isin(methods, ADDING)[twice] if rows else np.zeros(0, np.bool_)
    value = numbers[twice, 0]
    columns = {
        "process": coded([f"op{line}" for line in lines.tolist()], twice),
        "kind": Column((~invoke).astype(np.int32), None, pa.array(["invoke", "ok"])),
        "index": Column(_ranks(time, invoke)),
        "time": Column(time),
        "f": coded([METHODS[method] for method in methods], twice),
        "value": Column(value, adding | (~invoke & (value != EMPTY))),
        "source": constant(path.name, len(twice)),
        "line": Column(lines[twice]),
    }
    return assemble(
        columns, at=str(path), path=str(path), run=Run(model=model), set_aside=rejects.result(),
        inferred=("clients: each operation its own, for the file names none",
                  "real time: at equal times an end comes before a start, as fastlin has it"),
    )  # fmt: skip


def _ranks(time: Int64, invoke: NDArray[np.bool_]) -> Int64:
    """Shape (n,): the rank of each event by time, ends before starts; equal events have equal ranks. O(n log n)."""
    order = np.lexsort((invoke, time))
    new = np.ones(len(order), np.bool_)
    new[1:] = (np.diff(time[order]) != 0) | (np.diff(invoke[order].astype(np.int8)) != 0)
    ranks = np.empty(len(order), np.int64)
    ranks[order] = np.cumsum(new) - 1
    return ranks


FORMAT = Format(
    name=NAME,
    summary="fastlin's histories of a queue, stack or priority queue",
    can_read=can_read,
    read=read,
    example="# queue\nenq 2 0 1",
)
