"""What holds for replicated machines, by brute force: pairs of events, and a list of what each state contains.

A run is a list of rows in an order in which each process's events stand in program order. Each function returns what
breaks its rule. Everything is expected to be recorded, but for what a restart begins with.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations, pairwise
from typing import Any

Row = dict[str, Any]


def _relevant(rows: Sequence[Row]) -> Iterator[tuple[str, list[tuple[int, Row]]]]:
    """By process: its rows that say something of the machine, with their places; restarts as well."""
    for process in sorted({row["process"] for row in rows}):
        mine = [(i, row) for i, row in enumerate(rows) if row["process"] == process]
        yield process, [(i, row) for i, row in mine if "smr.index" in row or row["kind"] == "restart"]


def _applies(row: Row) -> bool:
    return "smr.command" in row and "smr.index" in row


def slot_agreement(rows: Sequence[Row]) -> set[Any]:
    """Indices at which two different commands were applied."""
    applied = [row for row in rows if _applies(row)]
    return {
        a["smr.index"]
        for a, b in combinations(applied, 2)
        if a["smr.index"] == b["smr.index"] and a["smr.command"] != b["smr.command"]
    }


def state(rows: Sequence[Row]) -> set[Any]:
    """Indices after which two states differ."""
    known = [row for row in rows if "smr.state" in row and "smr.index" in row]
    return {
        a["smr.index"]
        for a, b in combinations(known, 2)
        if a["smr.index"] == b["smr.index"] and a["smr.state"] != b["smr.state"]
    }


def prefix(rows: Sequence[Row]) -> set[Any]:
    """Places of commands that were applied to another state than the one before them."""
    broken = set()
    for _, mine in _relevant(rows):
        for (_, before), (place, row) in pairwise(mine):
            known = before.get("smr.index")
            if _applies(row) and row["kind"] != "restart" and known is not None and row["smr.index"] != known + 1:
                broken.add(place)
    return broken


def exactly_once(rows: Sequence[Row]) -> set[Any]:
    """Places at which a request was executed that the state contained."""
    broken = set()
    for _, mine in _relevant(rows):
        contained: list[tuple[str, int]] = []
        for position, (place, row) in enumerate(mine):
            if _applies(row):
                if "smr.request" in row and row.get("smr.executed", True):
                    if any(request == row["smr.request"] for request, _ in contained):
                        broken.add(place)
                    contained.append((row["smr.request"], row["smr.index"]))
                continue
            index = row.get("smr.index")
            if index is None:
                following = [r["smr.index"] for _, r in mine[position + 1 :] if _applies(r)]
                index = following[0] - 1 if following else None
            contained = [(request, at) for request, at in contained if index is None or at <= index]
    return broken


RULES = {
    "smr.slot-agreement": slot_agreement,
    "smr.prefix": prefix,
    "smr.state": state,
    "smr.exactly-once": exactly_once,
}
