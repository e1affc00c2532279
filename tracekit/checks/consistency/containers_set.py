"""Sets to which no member is added twice, and from which none is removed twice: each member is judged alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tracekit.checks.consistency.cells import Cells
from tracekit.checks.consistency.containers_elements import BEFORE, Line, by_key, line_of
from tracekit.checks.consistency.decided import Broken, Decided
from tracekit.history.models import UNANSWERED
from tracekit.history.operations import NEVER

Int64 = NDArray[np.int64]
Bool = NDArray[np.bool_]

FAR = 2**62


@dataclass(frozen=True, eq=False)
class Roles:
    """What each operation does or tells. An add that changed nothing found its member, a remove that did so did not.

    Attributes
    ----------
    adds, removes, there, absent: shape (k,): of each operation one holds, or, where its answer is none, no one.
    took: removes that say that they found their member.
    """

    adds: Bool
    removes: Bool
    there: Bool
    absent: Bool
    took: Bool


def roles(cells: Cells) -> Roles:
    """Of all operations of cells of the model set."""
    calls = cells.actions.calls
    assert calls is not None, "sets are models with step functions"
    add, remove, contains = (
        np.isin(calls.function, [n for n, f in enumerate(calls.functions) if f == name])
        for name in ("add", "remove", "contains")
    )
    yes, no = (calls.answered == calls.values.codes.get(text, UNANSWERED - 1) for text in ("true", "false"))
    return Roles(
        adds=add & ~no,
        removes=remove & ~no,
        there=(contains & yes) | (add & no),
        absent=(contains & no) | (remove & no),
        took=remove & yes,
    )


@dataclass(frozen=True, eq=False)
class _Members:
    """By member: what adds and removes it, -1 if nothing does; who found it, ended first and began last; who did not.

    of: the member of each operation.
    """

    cells: Cells
    line: Line
    role: Roles
    of: Int64
    key: Int64
    add: Int64
    remove: Int64
    found_first: Int64
    found_last: Int64
    missed_last: Int64


def _members(cells: Cells) -> _Members:
    calls = cells.actions.calls
    assert calls is not None, "sets are models with step functions"
    line, role = line_of(cells), roles(cells)
    named, of = np.unique(cells.key * (len(calls.values) + 1) + calls.given, return_inverse=True)

    def best(chosen: Bool, by: Int64) -> Int64:
        slots = np.full(len(named), -1, np.int64)
        entries = np.flatnonzero(chosen)
        entries = entries[np.argsort(by[entries], kind="stable")]
        slots[of[entries]] = entries
        return slots

    start, end = line.start, line.end
    return _Members(
        cells,
        line,
        role,
        of,
        named // (len(calls.values) + 1),
        best(role.adds, start),
        best(role.removes, start),
        best(role.there, -end),
        best(role.there, start),
        best(role.absent, start),
    )


def decide(cells: Cells) -> Decided:
    """Judges every key. O(n log n).

    A member is out, in, and out again; or its remove came first and changed nothing. The add comes as late, the remove
    as early as what was seen allows.
    """
    g = _members(cells)
    line = g.line

    def at(entries: Int64, moments: Int64, missing: int) -> Int64:
        return np.where(entries >= 0, moments[entries], missing)

    took = np.zeros(len(g.key), np.bool_)
    took[g.of[g.role.took]] = True
    wanted = (g.found_first >= 0) | took
    open_add = (g.add >= 0) & (at(g.add, cells.actions.end, 0) == NEVER) & ~wanted
    has_add = (g.add >= 0) & ~open_add
    # In by the first who found it, and out after the last who did.
    found_by, found_from = at(g.found_first, line.end, FAR), at(g.found_last, line.start, -FAR)
    add_from, add_by = at(g.add, line.start, 0), np.minimum(at(g.add, line.end, 0), found_by)
    out_from, out_by = (
        np.maximum(at(g.remove, line.start, 0), np.maximum(found_from, add_from)),
        at(g.remove, line.end, 0),
    )
    add_before = np.minimum(add_by, out_by)
    spans = (g.remove >= 0) & (add_from <= add_before) & (out_from <= out_by)
    inside = g.role.absent & (line.start > add_before[g.of]) & (line.end < out_from[g.of])
    spans[g.of[inside]] = False
    forced = (g.remove >= 0) & (at(g.remove, cells.actions.end, NEVER) != NEVER)
    needs_from = np.maximum(add_from, at(g.missed_last, line.start, -FAR))
    needs_from = np.maximum(needs_from, np.where(forced, at(g.remove, line.start, 0), -FAR))
    stays = ~took & (needs_from <= add_by)
    fine = np.where(has_add, spans | stays, ~wanted)
    decided = Decided()
    for member in np.flatnonzero(~fine).tolist():
        key = int(g.key[member])
        broken = _told(g, member, bool(has_add[member]), np.flatnonzero(inside & (g.of == member)))
        decided.counts[key] = decided.counts.get(key, 0) + 1
        if key not in decided.broken or line.end[broken.breaks] < line.end[decided.broken[key].breaks]:
            decided.broken[key] = broken
    if not decided.broken:
        spans &= has_add & ~stays
        added = np.where(spans, np.minimum(add_before, out_from), add_by)
        added = np.where(spans & (add_before >= out_from), out_from, added)
        decided.orders.update(_linearizations(g, has_add, spans, added, out_from))
    return decided


def _linearizations(g: _Members, has_add: Bool, spans: Bool, added: Int64, removed: Int64) -> dict[int, Int64]:
    line, of, role = g.line, g.of, g.role
    at, rank = line.start.copy(), np.zeros(len(of), np.int64)
    there, in_at, out_at = role.there, added[of], removed[of]
    at[there], rank[there] = np.maximum(at, in_at)[there], 2
    late = role.absent & spans[of] & (line.start > in_at)
    at[late], rank[late] = np.maximum(at, out_at)[late], 4
    adds = role.adds & has_add[of]
    at[adds], rank[adds] = in_at[adds], 1
    removes = role.removes & spans[of]
    at[removes], rank[removes] = out_at[removes], 3
    at[(role.adds & ~has_add[of]) | (role.removes & ~spans[of] & (g.cells.actions.end == NEVER))] = -1
    return by_key(g.cells.key, at, rank)


def _told(g: _Members, member: int, has_add: bool, inside: Int64) -> Broken:
    """The few operations on a member that contradict each other."""
    cells, line = g.cells, g.line
    calls, key = cells.actions.calls, int(g.key[member])
    assert calls is not None, "sets are models with step functions"
    entries = np.flatnonzero(g.of == member)
    value, where = calls.values.text(int(calls.given[entries[0]])), f"at {cells.name(key)}"
    if not has_add:
        seen = entries[(g.role.there | g.role.took)[entries]]
        first = int(seen[np.argmin(line.end[seen])])
        text = f"{value} was found {where}, but no recorded operation added it."
        return Broken("never-inserted", text, (first,), (), first)
    slots = (g.add, g.remove, g.found_first, g.found_last, g.missed_last)
    core = {int(slot[member]) for slot in slots if slot[member] >= 0}
    if len(inside):
        core.add(int(inside[0]))
    ties = [
        (one, other, BEFORE) for one in core for other in core if line.end[one] < line.start[other]
    ]  # fmt: skip
    ended = [e for e in core if cells.actions.end[e] != NEVER]
    breaks = max(ended, key=lambda e: int(line.end[e]))
    if g.remove[member] < 0:
        text = f"{value} was not found {where} by one who began after it had been in, and nobody removed it."
        if g.found_first[member] >= 0 and line.end[g.found_first[member]] < line.start[g.add[member]]:
            text = f"{value} was found {where} before it was added."
    else:
        text = (
            f"{value} was added {where} once and removed once, and no moments for the two explain all that was "
            "answered about it."
        )
    return Broken("contradicting-answers", text, tuple(core), tuple(ties), breaks)
