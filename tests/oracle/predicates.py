"""Possibly and definitely by their definitions: all consistent cuts, all ways through them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

Counts = tuple[int, ...]
State = Mapping[str, Mapping[str, Any]]


def state(rows: Sequence[Mapping[str, Any]], processes: Sequence[str], cut: Counts) -> State:
    """Per process the last recorded value of each field among its first events."""
    out: dict[str, dict[str, Any]] = {p: {} for p in processes}
    held = dict(zip(processes, cut, strict=True))
    for row in sorted(rows, key=lambda r: int(r["seq"])):
        if row["seq"] < held[row["process"]]:
            out[row["process"]].update({k: v for k, v in row.items() if "." in k and v is not None})
    return out


def possibly(cuts: set[Counts], holds: Callable[[Counts], bool]) -> set[Counts]:
    """The consistent cuts that fulfil it."""
    return {cut for cut in cuts if holds(cut)}


def definitely(cuts: set[Counts], holds: Callable[[Counts], bool]) -> bool:
    """Whether every sequence of consistent cuts, one event a step, from the first to the last meets one that does."""
    first, last = min(cuts, key=sum), max(cuts, key=sum)
    avoided = {first} - {cut for cut in (first,) if holds(cut)}
    for size in range(sum(first) + 1, sum(last) + 1):
        avoided = {
            cut
            for cut in cuts
            if sum(cut) == size
            and not holds(cut)
            and any((*cut[:p], cut[p] - 1, *cut[p + 1 :]) in avoided for p in range(len(cut)))
        }
    return not avoided


def is_up(rows: Sequence[Mapping[str, Any]], process: str, count: int) -> bool:
    """Whether a process has not crashed since its last restart, after its first `count` events."""
    up = True
    for row in sorted((r for r in rows if r["process"] == process), key=lambda r: int(r["seq"]))[:count]:
        up = row["kind"] == "restart" or (up and row["kind"] != "crash")
    return up


def flights(
    rows: Sequence[Mapping[str, Any]], edges: Sequence[tuple[int, int]]
) -> dict[tuple[int, str | None], int | None]:
    """Per send and receiver the row of the receiver's first receive; None where it never arrived. A send under an id
    that its process had sent to the same receiver before is no message of its own."""
    found: dict[tuple[int, str | None], int | None] = {}
    for i, j in sorted(edges, key=lambda e: int(rows[e[1]]["seq"])):
        found.setdefault((i, rows[j]["process"]), j)
    for i, send in enumerate(rows):
        if send["kind"] != "send" or any(i == source for source, _ in edges):
            continue
        keys = ("kind", "process", "message", "peer")
        same = [row for row in rows if [row.get(k) for k in keys] == [send.get(k) for k in keys]]
        if send["seq"] == min(row["seq"] for row in same):
            found[i, send.get("peer")] = None
    return found


def in_flight(
    rows: Sequence[Mapping[str, Any]], edges: Sequence[tuple[int, int]], inside: set[int]
) -> list[tuple[int, str | None]]:
    """The sends inside whose receiver has received nothing of them inside, each with the receiver."""
    return [(i, to) for (i, to), j in flights(rows, edges).items() if i in inside and j not in inside]
