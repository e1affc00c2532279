"""What consistency.linearizable shows beside its verdict: violations in words, a linearization, reasons, facts."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracekit.checks.consistency import skewed, zones
from tracekit.checks.consistency.cells import Cells
from tracekit.checks.consistency.core import core_of
from tracekit.checks.consistency.doubts import Doubts
from tracekit.checks.consistency.router import Judged
from tracekit.checks.consistency.witness import Witnesses
from tracekit.checks.evidence import duration
from tracekit.execution import Budget, Execution, Options
from tracekit.results import Violation

LISTED = 20
"""How many violations are put into words."""

CORES_S = 2.0
"""Seconds that may go into making the cores of violations small."""

SKEWS_S = 1.0
"""Seconds that may go into the smallest skews that would excuse violations."""

SKEW_OPERATIONS = 200_000
"""Keys of more operations are not asked for theirs."""

DOOM_S = 0.5
"""Seconds that may go into the moments at which registers of unique values broke."""

CERTIFIED = 1000
"""Linearizations of histories of up to so many operations are written out."""


def _smallest_skew(execution: Execution, judged: Judged, key: int, skew: int, budget: Budget) -> dict[str, Any]:
    """The fact that tells how far the clocks would have to differ for the key to be linearizable."""
    if execution.operations.real_time.column != "time_ns" or (judged.cells.key == key).sum() > SKEW_OPERATIONS:
        return {}
    cells, unclear = skewed.with_program_order(execution, judged.cells)
    if unclear[key]:
        return {}
    low, high = skewed.smallest(cells, key, skew, budget)
    if high is None and budget.left > 0:
        return {"linearizable_from_skew_ns": None}
    if high is not None and high - low == 1:
        return {"linearizable_from_skew_ns": high}
    return {"broken_with_skew_ns": low}


def violations_of(
    execution: Execution, judged: Judged, violated: NDArray[np.bool_], skew: int, options: Options
) -> tuple[Violation, ...]:
    """One a key and kind of mistake, those that broke first in front."""
    of_zones = Witnesses(execution, judged.zone_cells)
    of_search = Witnesses(execution, judged.search_cells)
    found: list[tuple[int, int, Any]] = []
    budget, scale = Budget(min(CORES_S, options.budget_s)), max(1, len(judged.search_cells.key))
    zoned, ends = judged.zoned, judged.zone_cells.actions.end
    doomed = partial(zones.doomed, judged.zone_cells, budget=Budget(min(DOOM_S, options.budget_s)))
    for key in np.flatnonzero(violated).tolist():
        if key in zoned.unwritten:
            entry = zoned.unwritten[key]
            found.append((int(ends[entry]), key, lambda e=entry: of_zones.unwritten(e, doomed)))
        if key in zoned.early:
            read, write = zoned.early[key]
            found.append((int(ends[read]), key, lambda r=read, w=write: of_zones.early(r, w, doomed)))
        if key in zoned.clashes:
            clash = zoned.clashes[key]
            found.append((int(ends[clash.again]), key, lambda c=clash: of_zones.clash(c, doomed)))
        if key in judged.searched.stuck:
            stuck = judged.searched.stuck[key]
            ended = int(judged.search_cells.actions.end[stuck.entry])
            found.append(
                (ended, key, lambda s=stuck: of_search.stuck(s, core_of(judged.search_cells, s, budget, scale)))
            )
        for part in judged.parts:
            if key in part.decided.broken:
                broken = part.decided.broken[key]
                breaks = int(part.cells.actions.end[broken.breaks])
                found.append((breaks, key, lambda p=part, b=broken: Witnesses(execution, p.cells).broken(b)))
    found.sort(key=lambda entry: entry[0])
    told, gaps, patience = [], {}, Budget(min(SKEWS_S, options.budget_s))
    for _, key, describe in found[:LISTED]:
        if key not in gaps:
            gaps[key] = _smallest_skew(execution, judged, key, skew, patience)
        violation = describe()
        summary = violation.summary
        if skew or execution.operations.real_time.assumed:
            summary += _excused(violation.facts.get("excused_by_skew_ns"), judged.cells.name(key), gaps[key])
        told.append(replace(violation, summary=summary, facts={**violation.facts, **gaps[key]}))
    return tuple(told)


def _excused(witness: int | None, key: str, gap: dict[str, Any]) -> str:
    """Which skew of clocks would excuse a violation: its witness, and the whole key, which may have others.

    witness: the skew that excuses the witness, where that is known.
    """
    smallest = gap.get("linearizable_from_skew_ns", witness)
    if "linearizable_from_skew_ns" in gap and smallest is None:
        return " No difference between clocks would excuse it."
    said = [] if witness is None else [(witness, "it")]
    if smallest is not None and smallest != witness:
        said.append((smallest, key))
    return "".join(f" Clocks that differ by {duration(ns)} or more would excuse {what}." for ns, what in said)


def listed(cells: Cells, keys: NDArray[np.bool_]) -> str:
    names = [cells.name(int(k)) for k in np.flatnonzero(keys)]
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def why_undecided(execution: Execution, judged: Judged, key: int) -> str:
    cells, left = judged.undecided[key]
    crashed = f", {left.crashed} of them never answered" if left.crashed else ""
    begin, end = (_event(execution, cells, entry) for entry in (left.since, left.entry))
    are = "operation is open" if left.open == 1 else "operations are open at once"
    before = "event before has" if left.decided == 1 else f"{left.decided} events before have"
    last = ", ".join(_event(execution, cells, entry) for entry in left.order[-3:])
    shown = f" that ends in {last} (the facts of --format json and --report have it all)" if last else ""
    return (
        f"{judged.cells.name(key)} is undecided: {left.open} {are}{crashed}, from {begin} to {end}; the {before} a "
        f"linearization{shown}; {left.reason}"
    )


def _event(execution: Execution, cells: Cells, entry: int) -> str:
    operation = cells.actions.operation[entry]
    return execution.trace.event(int(execution.operations.row[operation]))


def advice(judged: Judged, options: Options) -> tuple[str, ...]:
    undecided = [left for _, left in judged.undecided.values()]
    if not undecided:
        return ()
    tried = []
    if any("budget" in left.reason for left in undecided):
        tried.append(f"--check consistency.linearizable --budget {max(10 * options.budget_s, 600):g}s")
    if any(left.crashed for left in undecided):
        tried.append("let clients retry or read back what was not answered: every open operation doubles the work")
    if judged.cells.actions.calls is None:
        tried.append("record distinct values for writes: keys with unique values never need the search")
    if any(part.undecided for part in judged.parts):
        tried.append("put every value in only once: then nothing has to be searched, but for peeks in a stack")
    if any(left.open > 1 for left in undecided):
        tried.append("let fewer clients call at once: the work grows with the operations that are open together")
    return tuple(tried)


def certificate_of(execution: Execution, judged: Judged, confirmed: Judged) -> dict[str, Any] | None:
    """A linearization of every key, as invocations (completions where there is none) in order.

    confirmed: some keys judged again, with a skew of clocks; else `judged` itself.
    """
    total = len(judged.cells.key)
    if not total:
        return None
    if confirmed is not judged:
        return {"kind": "linearization", "omitted": "of keys that only program order or a skew decides none is kept"}
    if any(part.keys > len(part.decided.orders) for part in judged.parts):
        return {"kind": "linearization", "omitted": "the method of some keys keeps no order of them"}
    if total > CERTIFIED:
        return {
            "kind": "linearization",
            "omitted": f"{total} operations: more than {CERTIFIED}; the check derives it again",
        }
    row = execution.operations.row
    orders: dict[int, list[int]] = {}
    for entry in judged.zoned.linearization(judged.zone_cells).tolist():
        key = int(judged.zone_cells.key[entry])
        orders.setdefault(key, []).append(int(row[judged.zone_cells.actions.operation[entry]]))
    for part in judged.parts:
        for key, found in part.decided.orders.items():
            orders[key] = [int(row[part.cells.actions.operation[entry]]) for entry in found.tolist()]
    for key, entries in judged.searched.orders.items():
        orders[key] = [int(row[judged.search_cells.actions.operation[entry]]) for entry in entries]
    return {
        "kind": "linearization",
        "keys": [
            {"key": judged.cells.names[key], "order": [execution.trace.event(r) for r in rows]}
            for key, rows in sorted(orders.items())
        ],
    }


def facts_of(execution: Execution, judged: Judged, doubts: Doubts, violated: NDArray[np.bool_]) -> dict[str, Any]:
    operations, cells = execution.operations, judged.cells
    facts: dict[str, Any] = {
        "ok": int((operations.outcome == 0).sum()),
        "failed": int((operations.outcome == 1).sum()),
        "open": int((operations.outcome == 2).sum()),
        **{f"keys_by_{name}": count for name, count in judged.keys_by.items()},
    }
    if judged.against:
        facts["against_revisions"] = [cells.names[key] for key in judged.against[:100]]
    if facts["keys_by_search"]:
        facts["configurations"] = judged.searched.peak
    for what, problem in operations.problems.items():
        facts[what] = {"count": problem.count, "first": [execution.trace.event(r) for r in problem.rows[:5]]}
    undecided = [*judged.undecided, *np.flatnonzero(doubts.undecidable).tolist()]
    if judged.undecided:
        facts["undecided"] = [
            {
                "key": cells.names[key],
                "from": _event(execution, of, left.since),
                "to": _event(execution, of, left.entry),
                "open": left.open,
                "never_answered": left.crashed,
                "linearized_events": left.decided,
                "linearization": [_event(execution, of, entry) for entry in left.order[:CERTIFIED]],
            }
            for key, (of, left) in list(judged.undecided.items())[:LISTED]
        ]
    for name, keys in (("violated_keys", np.flatnonzero(violated).tolist()), ("undecided_keys", undecided)):
        if keys:
            facts[name] = [cells.names[k] for k in keys[:100]]
    return facts
