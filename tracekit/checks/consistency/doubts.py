"""What a recording leaves open about its history, and which verdicts that keeps from being given."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tracekit.checks.consistency.cells import Cells
from tracekit.checks.doubts import left_out
from tracekit.checks.evidence import duration
from tracekit.execution import Execution
from tracekit.history.models import Values
from tracekit.history.operations import out_of_turn

Bool = NDArray[np.bool_]

HARMLESS_FIELDS = frozenset({"lamport", "vclock", "message", "peer", "name", "source", "line"})
"""Fields that no history is built from; a dot in a name marks a domain's own field, which is none either."""


@dataclass(frozen=True, eq=False)
class Doubts:
    """Reasons for unknown.

    Attributes
    ----------
    undecidable: shape (keys,): keys of which nothing is decided, either way.
    reasons: why, and why nothing at all may be decided; one sentence each.
    excuses: what may excuse a violation, and at which keys; it never spoils what holds.
    started_late: a client's first events were not recorded: the initial values are unknown.
    """

    undecidable: Bool
    reasons: tuple[str, ...]
    excuses: tuple[tuple[str, Bool], ...]
    started_late: bool


def doubts_of(execution: Execution, cells: Cells) -> Doubts:
    """Looks at problems of the history, rows set aside, coverage and completeness. O(m)."""
    trace, operations, actions = execution.trace, execution.operations, cells.actions
    everywhere = np.ones(len(cells), np.bool_)
    undecidable = np.zeros(len(cells), np.bool_)
    reasons: list[str] = []
    excuses: list[tuple[str, Bool]] = []
    doubtful = np.flatnonzero(operations.doubtful)
    skew = execution.options.skew_ns or operations.real_time.skew_ns or 0
    stepped = np.flatnonzero(out_of_turn(trace, operations, skew) & ~operations.doubtful)
    allowed = f", by more than {duration(skew)}," if skew else ""
    for entries, what in (
        (stepped, f"that {operations.real_time.column} puts before{allowed} the end of an earlier one of their client"),
        (doubtful, "of which the recording does not tell what belongs together"),
        (actions.malformed, "that the model does not have, or whose values it cannot read"),
    ):
        if len(entries):
            keys = _keys(cells, entries)
            undecidable |= keys
            row = int(operations.row[entries[0]])
            first = f"{trace.event(row)} {execution.text(row)}"
            count = f"{len(entries)} operation{'s' if len(entries) > 1 else ''}"
            reasons.append(f"{int(keys.sum())} of {len(cells)} keys undecided: {count} {what} (first: {first})")
            if keys.all() or _unplaced(cells, entries):
                excuses.append((f"{count} without a key {what}", everywhere))
    if len(actions.lost):
        excuses.append(
            (
                f"{len(actions.lost)} writes there have no recorded invocation and nobody knows what they wrote",
                everywhere if _unplaced(cells, actions.lost) else _keys(cells, actions.lost),
            )
        )
    spoiled = trace.set_aside.spoiling(lambda name: name not in HARMLESS_FIELDS and "." not in name)
    if spoiled:
        reasons.append(f"{spoiled}: they may belong to operations")
        excuses.append(("what was set aside may explain it", everywhere))
    late, early = _uncovered(execution)
    if late:
        excuses.append((f"the recording of {late} began late, so unseen writes may explain it", everywhere))
    if early:
        excuses.append((f"the recording of {early} ended early, so unseen writes may explain it", everywhere))
    if gaps := left_out(execution, operations.process):
        excuses.append((f"{gaps}, and unseen writes may explain it", everywhere))
    if not trace.complete and operations.real_time.column == "time_ns":
        excuses.append(("the file is not complete, so unseen writes may explain it", everywhere))
    return Doubts(undecidable, tuple(reasons), tuple(excuses), bool(late))


def written_oddly(cells: Cells, chosen: Bool) -> Bool:
    """Which of some keys have values whose text is not canonical, so that another text may mean the same value."""
    odd = np.zeros(len(cells), np.bool_)
    actions, values = cells.actions, cells.actions.values
    if isinstance(values, Values) and values.numbers is not None:
        return odd
    for column in (actions.equals, actions.differs, actions.effect, actions.argument):
        used = np.flatnonzero(chosen[cells.key] & (column > 0))
        codes, of = np.unique(column[used], return_inverse=True)
        spelled = np.array([values.is_canonical(int(code)) for code in codes], np.bool_)
        odd[cells.key[used[~spelled[of]]]] = True
    return odd


def _keys(cells: Cells, entries: NDArray[np.int64]) -> Bool:
    keys = np.zeros(len(cells), np.bool_)
    keys[cells.key_of[entries]] = True
    return keys


def _unplaced(cells: Cells, entries: NDArray[np.int64]) -> bool:
    """Whether one of the operations has no key while others have: it may be about any."""
    nameless = [k for k, name in enumerate(cells.names) if name is None]
    return len(cells) > 1 and bool(np.isin(cells.key_of[entries], nameless).any())


def _uncovered(execution: Execution) -> tuple[str, str]:
    """Clients whose first, and whose last, events are declared not to be recorded."""
    trace, coverage = execution.trace, execution.trace.run.coverage
    clients = {trace.processes[code] for code in np.unique(execution.operations.process)}
    late = [p for p in coverage if p in clients and not coverage[p].get("start", True)]
    early = [p for p in coverage if p in clients and not coverage[p].get("end", True)]
    return ", ".join(late[:3]), ", ".join(early[:3])
