"""ShiViz logs: each event with its vector clock, in the form that ShiViz reads without being told how."""

from __future__ import annotations

import re
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tracekit.errors import TracekitError
from tracekit.execution import Execution
from tracekit.exports.text import quoted, wrapped, write_lines, write_whole
from tracekit.registry import Export
from tracekit.trace.columns import Column
from tracekit.trace.schema import Kind
from tracekit.trace.trace import Trace

SHOWN = ("name", "f", "key", "value", "message", "peer")
"""Columns that make up an event's text, after its kind."""
NAME = re.compile(r"[^\s{]+")
CELLS = 1 << 22
"""Entries of clocks that are written at a time."""


def write(trace: Trace, path: Path) -> tuple[str, ...]:
    """Writes two lines an event: its text; its process and its vector clock, as happens-before gives it. O(n p).

    The clocks are computed, not those recorded: in ShiViz every event ticks. Fault events stand outside of all order
    and are left out.

    Raises
    ------
    TracekitError: TK112 for a process whose name ShiViz cannot read, TK113 where messages form a cycle.
    """
    for name in trace.processes:
        if not NAME.fullmatch(name):
            raise TracekitError(
                "TK112", "ShiViz cannot read the name of a process", at=repr(name),
                want="a name without blanks and braces",
            )  # fmt: skip
    order = Execution(trace).happens_before
    if len(order.unordered):
        raise TracekitError(
            "TK113", "the recorded order has a cycle: no clocks can show it",
            at=trace.event(int(order.unordered[0])), found=f"{len(order.unordered):,} events on a cycle or after one",
        )  # fmt: skip
    program = Execution(trace).program_order
    rows = np.sort(np.flatnonzero(trace.kind != Kind.FAULT))
    rows = rows[np.lexsort((program.index[rows], trace.process[rows]))]

    def log(file: BinaryIO) -> None:
        step = max(1, CELLS // max(1, len(trace.processes)))
        for start in range(0, len(rows), step):
            some = rows[start : start + step]
            clocks = _clocks(order.frontiers(some), trace.processes)
            hosts = pc.take(pa.array(trace.processes, pa.string()), pa.array(trace.process[some]))
            write_lines(file, pc.binary_join_element_wise(_texts(trace, some), "\n", hosts, " ", clocks, ""))

    write_whole(path, log)
    faults = len(trace) - len(rows)
    kept = [] if not faults else [f"{faults:,} faults, which stand outside of all order"]
    return (*kept, "columns but the events' text; what the run declares: ShiViz has no place for them")


def _clocks(vectors: np.ndarray[tuple[int, ...], np.dtype[np.int64]], processes: tuple[str, ...]) -> pa.Array:
    """Each row as a JSON object of what is not zero."""
    labels = wrapped("", quoted(processes), ":").to_pylist()
    entries = [
        wrapped(label, pa.array(vectors[:, k], mask=vectors[:, k] == 0).cast(pa.string()), "")
        for k, label in enumerate(labels)
    ]
    return wrapped("{", pc.binary_join_element_wise(*entries, ",", null_handling="skip"), "}")


def _texts(trace: Trace, rows: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> pa.Array:
    """What each event did, on one line and never empty."""
    kinds = pa.array([kind.label for kind in Kind], pa.string())
    parts = [pc.take(kinds, pa.array(trace.kind[rows]))]
    for name in SHOWN:
        column = trace.columns.get(name)
        if isinstance(column, Column):
            parts.append(column.take(rows).to_arrow().cast(pa.string()))
    words = pc.binary_join_element_wise(*parts, " ", null_handling="skip")
    return pc.replace_substring_regex(words, r"[\x00-\x1f\x7f\x{85}\x{2028}\x{2029}{}]+", " ")


EXPORT = Export(
    name="shiviz",
    summary="ShiViz logs: the events' text and vector clocks, computed from happens-before",
    endings=(".shiviz", ".log"),
    write=write,
)
