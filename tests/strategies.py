"""Hypothesis strategies: small executions, correct ones and arbitrary ones."""

from __future__ import annotations

import os
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st

from tracekit.trace.builder import TraceBuilder
from tracekit.trace.trace import Trace

PROCESSES = ("a", "b", "c", "d")

EXAMPLES = "TRACEKIT_EXAMPLES"
"""Set by ``pytest --examples N``, before test files are imported."""


def examples(usual: int, **more: Any) -> settings:
    """How many examples a comparison with its oracle takes: the usual number, or as many as `--examples` asks for."""
    return settings(max_examples=int(os.environ.get(EXAMPLES, usual)), deadline=None, **more)


@st.composite
def executions(draw: st.DrawFn, max_events: int = 14, max_processes: int = 4) -> list[dict[str, Any]]:
    """Rows of an execution that can have happened: receives come after their sends; messages may be lost,
    duplicated, multicast and reordered. File order is one of its linear extensions."""
    processes = PROCESSES[: draw(st.integers(1, max_processes))]
    rows: list[dict[str, Any]] = []
    sent: list[int] = []
    for _ in range(draw(st.integers(0, max_events))):
        process = draw(st.sampled_from(processes))
        kind = draw(st.sampled_from(["internal", "send", "receive"]))
        if kind == "receive" and sent:
            rows.append({"process": process, "kind": "receive", "message": draw(st.sampled_from(sent))})
        elif kind == "send":
            sent.append(100 + len(sent))
            rows.append({"process": process, "kind": "send", "message": sent[-1]})
        else:
            rows.append({"process": process, "kind": "internal"})
    return rows


@st.composite
def recordings(draw: st.DrawFn, max_events: int = 12) -> list[dict[str, Any]]:
    """Rows that anybody may have written: cycles, orphans, ids sent twice, wrong receivers."""
    kinds = st.sampled_from(["internal", "send", "receive", "receive", "fault"])
    rows = []
    for _ in range(draw(st.integers(0, max_events))):
        kind = draw(kinds)
        row: dict[str, Any] = {
            "process": "nemesis" if kind == "fault" else draw(st.sampled_from(PROCESSES)),
            "kind": kind,
        }
        if kind in ("send", "receive"):
            row["message"] = draw(st.none() | st.integers(0, 5))
            row["peer"] = draw(st.none() | st.sampled_from(PROCESSES))
        rows.append(row)
    return rows


def with_seq(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows with seq written out, so that they may be shuffled."""
    counts: dict[str, int] = {}
    out = []
    for row in rows:
        seq = counts.get(row["process"], 0)
        counts[row["process"]] = seq + 1
        out.append({**row, "seq": seq})
    return out


def trace_of(rows: list[dict[str, Any]], **run: Any) -> Trace:
    """The rows as a trace."""
    builder = TraceBuilder(PROCESSES, **run)
    for row in rows:
        builder.add(row)
    return builder.build()
