"""A correct run of which parts are not recorded: no check may call it violated.

A recorder leaves out sorts of events, process by process: some (process, name), or (process, name, kind). What is left
is numbered anew, as if it had been recorded so.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from random import Random

import numpy as np
import pyarrow as pa

from tracekit.execution import Execution, Options
from tracekit.protocols import Simulation, protocols
from tracekit.registry import checks
from tracekit.results import CheckResult
from tracekit.trace.columns import from_arrow
from tracekit.trace.schema import Kind
from tracekit.trace.trace import Trace

Part = tuple[str, ...]


@cache
def correct_run(protocol: str, seed: int, nodes: int, operations: int = 12) -> Trace:
    """One whole recording."""
    known = protocols()[protocol]
    return known.simulate(Simulation(nodes, seed, known.networks[0], operations=operations), None)


def parts(trace: Trace, kinds: bool) -> dict[Part, list[int]]:
    """Rows by (process, name), or by (process, name, kind); faults are of no process."""
    name, found = trace.get("name"), defaultdict(list)
    assert name is not None
    for row in np.flatnonzero(trace.kind != Kind.FAULT).tolist():
        part: Part = (trace.processes[trace.process[row]], str(name.at(row)))
        found[part + ((Kind(trace.kind[row]).label,) if kinds else ())].append(row)
    return dict(found)


def selections(trace: Trace, draw: Random, count: int) -> Iterator[list[Part]]:
    """What to leave out: each part, each name everywhere, each process whole; then some drawn ones."""
    every = [list(parts(trace, kinds)) for kinds in (False, True)]
    single = [[part] for found in every for part in found]
    single += [[p for p in found if p[1:] == rest] for found in every for rest in sorted({p[1:] for p in found})]
    single += [[p for p in every[0] if p[0] == process] for process in sorted({p[0] for p in every[0]})]
    for _ in range(count):
        choice = draw.random()
        found = draw.choice(every)
        if choice < 0.4:
            yield draw.choice(single)
        elif choice < 0.7:
            process = draw.choice(found)[0]
            mine = [part for part in found if part[0] == process]
            yield draw.sample(mine, draw.randint(1, len(mine)))
        else:
            yield draw.sample(found, min(draw.choice((2, 3, 5, 10)), len(found)))


def without(trace: Trace, left_out: list[Part], indexed: bool) -> Trace:
    """The rest of a recording; indexed: with one recorder's order."""
    rows: list[int] = []
    for part in left_out:
        rows += parts(trace, len(part) == 3)[part]
    return only(trace, np.setdiff1d(np.arange(len(trace)), rows), indexed)


def only(trace: Trace, rows: np.ndarray[tuple[int], np.dtype[np.int64]], indexed: bool) -> Trace:
    """Some rows, as if nothing else had been recorded."""
    part = trace.select(rows)
    seq = np.zeros(len(part), np.int64)
    for process in range(len(part.processes)):
        mine = np.flatnonzero(part.process == process)
        seq[mine[np.argsort(part.seq[mine], kind="stable")]] = np.arange(len(mine))
    columns = {name: column for name, column in part.columns.items() if name != "index"}
    if indexed:
        columns["index"] = from_arrow(pa.array(np.arange(len(part))))
    return replace(part, seq=seq, columns=columns)


def blank(trace: Trace, process: str, field: str) -> Trace:
    """The recording without one process's values of a field."""
    mine = trace.process == trace.process_code(process)
    taken = trace.columns[field].to_arrow().take(pa.array(np.arange(len(trace)), mask=mine))
    return replace(trace, columns={**trace.columns, field: from_arrow(taken)})


def violated(trace: Trace, *families: str) -> dict[str, CheckResult]:
    """The checks of some families that are violated."""
    execution = Execution(trace)
    run = {n: c for n, c in checks().items() if n.partition(".")[0] in families and c.applies(execution)}
    found = {name: one.run(execution, Options()) for name, one in run.items()}
    return {name: result for name, result in found.items() if result.violations_total}
