"""How long participants were uncertain, how long they were blocked, and what they held meanwhile."""

from __future__ import annotations

from typing import Any

import numpy as np

from tracekit.checks.atomic_commit.findings import nothing_voted
from tracekit.checks.atomic_commit.history import YES, CommitHistory, Int64, Marks, commit_history, commit_occurs
from tracekit.checks.doubts import domain_check
from tracekit.checks.evidence import duration
from tracekit.execution import Execution, Options
from tracekit.results import CheckResult

LONGEST = 10
"""How many windows are listed one by one."""


@domain_check("atomic-commit.blocking", domain="commit", applies=commit_occurs, measured=True)
def blocking(execution: Execution, options: Options) -> CheckResult:
    """How long participants were uncertain and blocked, and what they held (measured, never a failure).

    Meaning
        From its yes vote until it learns more, a participant is uncertain: it may neither commit nor abort, and keeps
        its locks. It is blocked for as long as it goes on to be uncertain after it has begun the termination protocol:
        nobody whom it can reach knows the decision. Two-phase commit cannot avoid that; three-phase commit does, as
        long as its assumptions hold. A window ends with the decision, or with the pre-commit, after which the process
        is not uncertain any more. Facts: how many windows, how long in all and at most, the longest with what was held.

    Example
        n3:20  votes yes on t7, holding k3 and k9
        n3:24  does not know the decision and begins the termination protocol
        n3:31  receives the answer commit from n2, commits t7      uncertain from n3:20, blocked from n3:24

    Needs
        commit.txn and commit.vote; commit.decision and commit.committable where they end a window; commit.terminate
        events for blocked windows; true_time_ns, or each process's time_ns, for durations; commit.held.

    Cannot see
        Whether a process that asked and was answered at once would have been blocked. Durations over steps of a clock
        that was set.

    Cost
        Sorting the votes; linear in the events otherwise.

    Reference
        Bernstein, Hadzilacos & Goodman 7.4. Uncertainty period, blocking. Concurrency Control and Recovery in Database
        Systems, 1987.
    """
    history = execution.derive(commit_history)
    voted = history.votes.only(history.votes.value == YES).first
    if not len(voted):
        return nothing_voted(history)
    end = _ends(history, voted)
    asked = _asked(history, voted, end)
    clock = _clock(execution)
    uncertain, blocked = _lasted(history, clock, voted.row, end), _lasted(history, clock, asked, end)
    facts = _facts(history, voted, end, asked, uncertain, blocked, clock)
    return CheckResult(
        examined={"yes votes": len(voted)},
        reasons=history.doubts("vote"),
        method=f"from yes vote to pre-commit or decision{f', by {clock}' if clock else ''}",
        facts=facts,
        remark=_remark(facts),
    )


def _ends(history: CommitHistory, voted: Marks) -> Int64:
    """The row at which each process knows more: its pre-commit or its decision, whichever is first; -1: neither."""
    index = history.execution.program_order.index
    ends = np.full(len(voted), -1, np.int64)
    for marks in (history.committable, history.decisions):
        row = marks.following(voted.pair, voted.row, index)
        better = (row >= 0) & ((ends < 0) | (index[row] < index[ends]))
        ends = np.where(better, row, ends)
    return ends


def _asked(history: CommitHistory, voted: Marks, end: Int64) -> Int64:
    """The row at which each process began the termination protocol while it was uncertain; -1: it did not."""
    execution = history.execution
    index, trace = execution.program_order.index, execution.trace
    rows = np.flatnonzero(trace.named("commit.terminate") & (history.txn >= 0))
    rows = rows[np.lexsort((index[rows], trace.process[rows], history.txn[rows]))]
    began = Marks(
        history.txn[rows], trace.process[rows].astype(np.int64), rows, np.ones(len(rows), np.int64), voted.width
    )
    row = began.following(voted.pair, voted.row, index)
    inside = (row >= 0) & ((end < 0) | (index[row] <= index[end]))
    return np.where(inside, row, -1)


def _clock(execution: Execution) -> str:
    """The column that durations are taken from."""
    for name in ("true_time_ns", "time_ns"):
        column = execution.trace.get(name)
        if column is not None and column.texts is None and bool(column.present.any()):
            return name
    return ""


def _lasted(history: CommitHistory, clock: str, start: Int64, end: Int64) -> Int64:
    """ns of each window, to the process's last event where it never ended; -1 where that is not known or no window."""
    column = history.execution.trace.get(clock) if clock else None
    if column is None:
        return np.full(len(start), -1, np.int64)
    program, process = history.execution.program_order, history.execution.trace.process
    last = program.rows[program.starts[process[start] + 1] - 1]
    end = np.where(end >= 0, end, last)
    known = (start >= 0) & column.present[start] & column.present[end]
    with np.errstate(over="ignore"):
        lasted = column.values[end].astype(np.int64) - column.values[start].astype(np.int64)
    return np.where(known & (lasted >= 0), lasted, -1)


def _facts(
    history: CommitHistory, voted: Marks, end: Int64, asked: Int64, uncertain: Int64, blocked: Int64, clock: str
) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "uncertain": len(voted),
        "blocked": int((asked >= 0).sum()),
        "never ended": int((end < 0).sum()),
    }
    if not clock:
        return facts
    for name, lasted in (("uncertain", uncertain), ("blocked", blocked)):
        facts[f"{name}_ns"] = {"longest": int(lasted.max(initial=0)), "all": sum(lasted[lasted > 0].tolist())}
    ranked = np.lexsort((-uncertain, -blocked))[:LONGEST]
    facts["longest"] = [_window(history, voted, int(i), end, uncertain, blocked) for i in ranked if uncertain[i] >= 0]
    return facts


def _window(
    history: CommitHistory, voted: Marks, i: int, end: Int64, uncertain: Int64, blocked: Int64
) -> dict[str, Any]:
    trace = history.execution.trace
    held = trace.lists("commit.held")
    return {
        "process": history.who(int(voted.process[i])),
        "transaction": history.txn_name(int(voted.txn[i])),
        "from": trace.event(int(voted.row[i])),
        "to": trace.event(int(end[i])) if end[i] >= 0 else None,
        "uncertain_ns": int(uncertain[i]),
        "blocked_ns": max(int(blocked[i]), 0),
        "held": (held.at(int(voted.row[i])) or []) if held is not None else [],
    }


def _remark(facts: dict[str, Any]) -> str:
    votes = f"{facts['uncertain']:,} yes vote{'' if facts['uncertain'] == 1 else 's'}"
    words = f"{votes}, {facts['blocked']:,} asked for the decision"
    longest = facts.get("longest") or []
    if facts["blocked"] and longest:
        first = longest[0]
        held = ", ".join(map(str, first["held"][:4]))
        words += f"; longest blocked: {first['process']} for {duration(first['blocked_ns'])} on {first['transaction']}"
        words += f", holding {held}" if held else ""
    elif longest:
        words += f"; uncertain for {duration(facts['uncertain_ns']['longest'])} at most"
    return words + (f"; {facts['never ended']:,} never decided" if facts["never ended"] else "")
