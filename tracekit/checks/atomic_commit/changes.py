"""Processes that did two different things about one transaction, where they may do one."""

from __future__ import annotations

import numpy as np

from tracekit.checks.atomic_commit.history import CommitHistory, Int64, Marks
from tracekit.checks.atomic_commit.order import order
from tracekit.checks.evidence import SHOWN, violation
from tracekit.results import Violation


def changed(marks: Marks) -> Int64:
    """Where pairs of transaction and process begin whose marks differ."""
    low, high = np.minimum.reduceat(marks.value, marks.starts), np.maximum.reduceat(marks.value, marks.starts)
    return marks.starts[low < high]


def told(
    history: CommitHistory, marks: Marks, broken: Int64, words: dict[str, int], anomaly: str, verb: str, rule: str
) -> tuple[Violation, ...]:
    """The first few of those pairs as violations.

    words: what values mean; verb, rule: ``n1 {verb} commit on t7 and later abort. {rule}``.
    """
    text = {value: word for word, value in words.items()}
    return tuple(_told(history, marks, int(start), text, anomaly, verb, rule) for start in broken[:SHOWN])


def _told(
    history: CommitHistory, marks: Marks, start: int, words: dict[int, str], anomaly: str, verb: str, rule: str
) -> Violation:
    execution = history.execution
    place = start + int(np.argmax(marks.value[start:] != marks.value[start]))
    first, second = int(marks.row[start]), int(marks.row[place])
    process, name = history.who(int(marks.process[start])), history.txn_name(int(marks.txn[start]))
    crash = int(execution.derive(order).crash_after(marks.process[start : start + 1], marks.row[start : start + 1])[0])
    index = execution.program_order.index
    crashed = crash >= 0 and bool(index[crash] < index[second])
    between = [(crash, execution.text(crash))] if crashed else []
    failed = execution.trace.event(crash) if crashed else ""
    forgot = f" It failed in between ({failed}) and forgot." if crashed else ""
    return violation(
        execution,
        anomaly,
        f"{process} {verb} {words[int(marks.value[start])]} on {name} and later {words[int(marks.value[place])]}. "
        f"{rule}{forgot}",
        [(first, execution.text(first)), *between, (second, execution.text(second))],
        facts={"transaction": name, "process": process, **({"failed at": failed} if crashed else {})},
    )
