"""A whole trace on one screen: what each process did, and when."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tracekit.execution import Execution
from tracekit.report.terminal import clean
from tracekit.trace.columns import Column
from tracekit.trace.schema import Kind

BARS = "▁▂▃▄▅▆▇█"
COLUMNS = 40
"""Characters of a process's line of time."""
SHOWN = 30
"""Processes that are listed; the busiest ones where there are more."""


def overview(execution: Execution) -> str:
    """One line a process: events, sends, receives, crashes, and a bar chart of its events over time. O(n)."""
    trace = execution.trace
    axis, name, moments = _axis(execution)
    processes = len(trace.processes)
    counts = {kind: np.bincount(trace.process[trace.is_kind(kind)], minlength=processes) for kind in Kind}
    total = np.bincount(trace.process, minlength=processes)
    heights = np.zeros((processes, COLUMNS), np.int64)
    known = axis >= 0
    np.add.at(heights, (trace.process[known], axis[known]), 1)
    busiest = np.sort(np.argsort(-total, kind="stable")[:SHOWN])
    width = max([7, *(len(clean(trace.processes[p])) for p in busiest)])
    peak = int(heights[busiest].max(initial=1))
    head = f"  {'process':<{width}}{'events':>11}{'sends':>11}{'receives':>11}{'crashes':>9}   over {name}"
    lines = [head]
    for p in busiest.tolist():
        numbers = f"{total[p]:>11,}{counts[Kind.SEND][p]:>11,}{counts[Kind.RECEIVE][p]:>11,}{counts[Kind.CRASH][p]:>9,}"
        lines.append(f"  {clean(trace.processes[p]):<{width}}{numbers}   {_bars(heights[p], peak)}")
    if processes > SHOWN:
        lines.append(f"  and {processes - SHOWN:,} more processes, with {total.sum() - total[busiest].sum():,} events")
    return "\n".join([*lines, "", f"  {moments}"])


def _bars(heights: NDArray[np.int64], peak: int) -> str:
    levels = np.ceil(heights * len(BARS) / max(peak, 1)).astype(int)
    return "".join(" " if level == 0 else BARS[level - 1] for level in levels.tolist())


def _axis(execution: Execution) -> tuple[NDArray[np.int64], str, str]:
    """The column of the chart that each event stands in (-1: no time recorded), what it runs over, and its ends."""
    trace = execution.trace
    for name in ("true_time_ns", "time_ns"):
        column = trace.get(name)
        if column is not None and column.present.any() and column.values.dtype == np.int64:
            return _binned(column, f"{name}", seconds=True)
    place = Column(np.arange(len(trace), dtype=np.int64), None)
    return _binned(place, "the file's order", seconds=False)


def _binned(column: Column, name: str, seconds: bool) -> tuple[NDArray[np.int64], str, str]:
    present = column.present
    if not present.any():
        return np.full(len(column), -1, np.int64), name, "no events"
    low, high = int(column.values[present].min()), int(column.values[present].max())
    share = (column.values.astype(np.float64) - low) / max(high - low, 1)
    bins = np.where(present, np.clip(share * COLUMNS, 0, COLUMNS - 1), -1).astype(np.int64)
    if seconds:
        return bins, f"{(high - low) / 1e9:,.3f} s", f"{name} from {low / 1e9:,.3f} s to {high / 1e9:,.3f} s"
    return bins, name, f"{high - low + 1:,} rows"
