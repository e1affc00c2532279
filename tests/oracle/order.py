"""Happens-before by its definition: the transitive closure of program order and messages."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Any


def happens_before(rows: list[Mapping[str, Any]], edges: list[tuple[int, int]]) -> set[tuple[int, int]]:
    """All pairs (a, b) of row numbers with a -> b. Floyd-Warshall, O(n^3). Rows need `process` and `seq`."""
    n = len(rows)
    before = {(i, j) for i, j in product(range(n), repeat=2) if i != j and _program(rows, i, j)} | set(edges)
    for k in range(n):
        for i in range(n):
            if (i, k) in before:
                for j in range(n):
                    if (k, j) in before:
                        before.add((i, j))
    return before


def _program(rows: list[Mapping[str, Any]], i: int, j: int) -> bool:
    a, b = rows[i], rows[j]
    return a["process"] == b["process"] and a["process"] != "nemesis" and (a["seq"], i) < (b["seq"], j)


def message_edges(rows: list[Mapping[str, Any]]) -> list[tuple[int, int]]:
    """Each receive with its send: the earliest send of that id by one process, of those addressed to the receiver or to
    nobody by name where there are any; none where several processes sent the id."""
    edges = []
    for j, receive in enumerate(rows):
        if receive["kind"] != "receive" or receive.get("message") is None:
            continue
        sends = [i for i, s in enumerate(rows) if s["kind"] == "send" and s.get("message") == receive["message"]]
        if len({rows[i]["process"] for i in sends}) != 1:
            continue
        fitting = [i for i in sends if rows[i].get("peer") in (None, receive["process"])]
        edges.append((min(fitting or sends, key=lambda i: rows[i]["seq"]), j))
    return edges


def shortest(rows: list[Mapping[str, Any]], edges: list[tuple[int, int]], first: int, second: int) -> int | None:
    """The fewest messages on a chain from one event to another; None where there is no chain."""
    level, reached, messages = {first}, {first}, 0
    while level:
        closed = {j for i in level for j in range(len(rows)) if i == j or _program(rows, i, j)}
        if second in closed:
            return messages
        level = {j for i, j in edges if i in closed} - reached
        reached |= level
        messages += 1
    return None


def lamport(rows: list[Mapping[str, Any]], before: set[tuple[int, int]]) -> list[int]:
    """Each event's longest chain, itself counted; 0 for faults."""
    memo: dict[int, int] = {}

    def clock(j: int) -> int:
        if j not in memo:
            memo[j] = 1 + max((clock(i) for i in range(len(rows)) if (i, j) in before), default=0)
        return memo[j]

    return [0 if rows[j]["process"] == "nemesis" else clock(j) for j in range(len(rows))]


def covers(rows: list[Mapping[str, Any]], before: set[tuple[int, int]]) -> set[tuple[int, int]]:
    """Pairs of different processes with nothing between them: what transitive reduction leaves."""
    return {
        (i, j)
        for i, j in before
        if rows[i]["process"] != rows[j]["process"]
        and not any((i, k) in before and (k, j) in before for k in range(len(rows)))
    }


def recorded_order(rows: list[Mapping[str, Any]], processes: tuple[str, ...]) -> set[tuple[int, int]]:
    """Fidge's and Mattern's test on the vectors as they were recorded: e precedes f of another process exactly if f
    knows e's own component; within a process, by program order."""
    place = {name: c for c, name in enumerate(processes)}
    return {
        (i, j)
        for i, j in product(range(len(rows)), repeat=2)
        if _program(rows, i, j)
        or (
            rows[i]["process"] != rows[j]["process"]
            and rows[j]["vclock"][place[rows[i]["process"]]] >= max(1, rows[i]["vclock"][place[rows[i]["process"]]])
        )
    }
