"""What the charts show: events over time, faults, and who led which Raft term. Counted by columns; bounded."""

from __future__ import annotations

from typing import Any

import numpy as np

from tracekit.execution import Execution
from tracekit.report.html.events import Times, last_recorded, plain
from tracekit.trace.columns import Column
from tracekit.trace.schema import Kind

MOST_BINS = 160
MOST_FAULTS = 400
MOST_SPANS = 4_000


def events_over_time(execution: Execution, times: Times) -> dict[str, Any]:
    """Counts by kind in equal bins of time. O(n).

    ``edges``: the bins' starts since the origin, and ``width``; ``counts``: kind -> counts; ``absent``: events
    without a time, counted nowhere else.
    """
    span = times.end - times.origin
    wanted = min(MOST_BINS, max(24, len(execution.trace) // 12))
    width = max(1, -(-(span + 1) // wanted))
    bins = span // width + 1
    kind = execution.trace.kind[times.present].astype(np.int64)
    place = (times.values[times.present] - times.origin) // width
    table = np.bincount(kind * bins + place, minlength=len(Kind) * bins).reshape(len(Kind), bins)
    return {
        "starts": [i * width for i in range(bins)],
        "width": width,
        "counts": {k.label: table[k].tolist() for k in Kind if table[k].any()},
        "absent": times.absent,
    }


def faults(execution: Execution, times: Times) -> dict[str, Any]:
    """Spans of faults: a crash lasts until the restart of its process; a fault event is a moment, unless its name says
    that it begins a state that a later one ends (``partition`` and ``heal``, ``slow`` and ``slow-end``, ``start-x`` and
    ``stop-x``). ``end`` is None where nothing ended it.
    """
    trace = execution.trace
    rows = np.flatnonzero(trace.is_kind(Kind.FAULT, Kind.CRASH, Kind.RESTART) & times.present)
    rows = rows[np.argsort(times.values[rows], kind="stable")]
    name, victim = trace.get("name"), trace.get("fault.process")
    spans: list[dict[str, Any]] = []
    pending: dict[tuple[str, str], dict[str, Any]] = {}
    ended = {_fault(w)[1] for w in trace.names if _fault(w)[0] is False}
    for row in rows[:MOST_FAULTS].tolist():
        kind, at = Kind(trace.kind[row]), times.at(row)
        process = trace.processes[trace.process[row]]
        what = kind.label
        if kind is Kind.FAULT:
            what = str(name.at(row) or what) if name is not None else what
            process = str(victim.at(row) or process) if victim is not None else process
            begins, state = _fault(what)
            if begins is None and state in ended:
                begins = True
        else:
            begins, state = kind is Kind.CRASH, "crash"
        earlier = pending.pop((process, state), None)
        if earlier is not None:
            earlier["end"] = at
        if begins is False and earlier is not None:
            continue
        span = {"what": what, "process": process, "start": at, "end": None if begins else at, "kind": kind.label}
        spans.append(span)
        if begins:
            pending[process, state] = span
    return {
        "spans": [{key: plain(value) for key, value in span.items()} for span in spans],
        "shown": min(len(rows), MOST_FAULTS),
        "total": len(rows),
    }


def _fault(name: str) -> tuple[bool | None, str]:
    """Whether a fault's name says that it begins (True) or ends (False) a state, or neither (None); and which state."""
    word = name.lower().rpartition(".")[2].replace("_", "-").lstrip(":")
    if word == "heal" or (word.endswith("partition") and not word.startswith(("start", "stop", "begin", "end"))):
        return word != "heal", "partition"
    first, _, rest = word.partition("-")
    if first in ("start", "begin", "stop", "end", "heal"):
        return first in ("start", "begin"), rest
    rest, _, last = word.rpartition("-")
    if last in ("start", "begin", "stop", "end", "heal"):
        return last in ("start", "begin"), rest
    return None, word


def raft_terms(execution: Execution, times: Times) -> dict[str, Any] | None:
    """Spans of one term and role, process by process; None where no Raft terms are recorded. O(n).

    A span ends where the process's recorded term or role changes, or where it crashes.
    """
    trace, program = execution.trace, execution.program_order
    terms = trace.get("raft.term")
    if terms is None or terms.texts is not None or not bool(terms.present.any()):
        return None
    roles = trace.get("raft.role")
    term_at = last_recorded(execution, terms.present)
    term = np.where(term_at >= 0, terms.values[term_at], -1)
    role = np.full(len(trace), -1, np.int64)
    if roles is not None and roles.texts is not None:
        role_at = last_recorded(execution, roles.present)
        role = np.where(role_at >= 0, roles.values[role_at], -1).astype(np.int64)
    down = trace.kind == Kind.CRASH
    rows = program.rows[times.present[program.rows] & (term[program.rows] >= 0)]
    if not len(rows):
        return None
    process = trace.process[rows]
    new = np.ones(len(rows), np.bool_)
    new[1:] = (
        (process[1:] != process[:-1])
        | (term[rows[1:]] != term[rows[:-1]])
        | (role[rows[1:]] != role[rows[:-1]])
        | down[rows[1:]]
        | down[rows[:-1]]
    )
    first = np.flatnonzero(new)
    last_of_process = np.append(process[1:] != process[:-1], True)
    final = np.flatnonzero(last_of_process)
    ends = np.where(
        np.append(process[first[1:]] == process[first[:-1]], False),
        np.append(first[1:], len(rows) - 1),
        final[np.searchsorted(final, first)],
    )
    kept = np.flatnonzero(~down[rows[first]])
    by_time = kept[np.argsort(times.values[rows[first[kept]]], kind="stable")]
    codes = [int(p) for p in np.unique(process)]
    spans = [
        [
            codes.index(int(process[first[k]])),
            times.at(int(rows[first[k]])),
            times.at(int(rows[ends[k]])),
            int(term[rows[first[k]]]),
            _text(roles, int(role[rows[first[k]]])),
        ]
        for k in by_time[:MOST_SPANS].tolist()
    ]
    return {
        "processes": [trace.processes[p] for p in codes],
        "spans": spans,
        "shown": len(spans),
        "total": len(kept),
        "roles": roles is not None,
    }


def _text(column: Column | None, code: int) -> str:
    return "" if column is None or code < 0 else column.text(code)
