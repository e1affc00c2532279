"""What a rule found to be broken, and how that becomes violations with their witness."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tracekit.checks.evidence import SHOWN, in_causal_order
from tracekit.checks.snapshot.reading import Reading, Snapshot
from tracekit.execution import Execution
from tracekit.results import Edge, Violation


class Finding(NamedTuple):
    """One breach of a rule.

    Attributes
    ----------
    subject: the process, or the sender and the receiver of the channel, that it is about.
    rows: the events that show it.
    messages: identities of the messages in question.
    """

    anomaly: str
    subject: tuple[int, ...]
    sentence: str
    rows: Sequence[int]
    messages: Sequence[str] = ()


Rule = Callable[[Reading, Snapshot], Iterable[Finding]]


@dataclass(frozen=True)
class Found:
    """All breaches of all rules: the first ones as violations, and how many there are."""

    violations: tuple[Violation, ...]
    total: int


def find(reading: Reading, snapshots: Sequence[Snapshot], rules: Sequence[Rule]) -> Found:
    """Applies rule after rule to every snapshot; rules that explain others come first."""
    violations: list[Violation] = []
    total = 0
    for rule in rules:
        for snapshot in snapshots:
            for finding in rule(reading, snapshot):
                total += 1
                if len(violations) < SHOWN:
                    violations.append(_violation(reading, snapshot, finding))
    return Found(tuple(violations), total)


def _violation(reading: Reading, snapshot: Snapshot, finding: Finding) -> Violation:
    execution = reading.execution
    rows = in_causal_order(execution, list(dict.fromkeys(finding.rows)))
    names = [reading.who(p) for p in finding.subject]
    facts: dict[str, object] = {"snapshot": snapshot.id}
    facts |= {"process": names[0]} if len(names) == 1 else {}
    facts |= {"sender": names[0], "receiver": names[1]} if len(names) == 2 else {}
    facts |= {"messages": list(finding.messages)} if finding.messages else {}
    sentence = f"Snapshot {snapshot.id}: {finding.sentence}"
    return Violation(finding.anomaly, sentence, execution.witness(rows), _ties(execution, rows), facts)


def _ties(execution: Execution, rows: Sequence[int]) -> tuple[Edge, ...]:
    """Ties each event to the nearest one before it that happens before it, and each receive to its send."""
    order, process = execution.happens_before, execution.trace.process
    found = []
    for i, row in enumerate(rows):
        earlier = [r for r in reversed(rows[:i]) if bool(order.precedes(r, row))]
        sends = [r for r in earlier if r == order.messages.send_of[row]]
        found += [
            execution.edge(start, row, "same process" if process[start] == process[row] else None)
            for start in dict.fromkeys([*earlier[:1], *sends])
        ]
    return tuple(found)


def few(names: Sequence[str | None]) -> str:
    """``message 7``, ``messages 7, 8 and 3 more``."""
    known = [name or "?" for name in names]
    if len(known) == 1:
        return f"message {known[0]}"
    shown = ", ".join(known[:3]) if len(known) > 3 else f"{', '.join(known[:-1])} and {known[-1]}"
    return f"messages {shown}" + (f" and {len(known) - 3} more" if len(known) > 3 else "")
