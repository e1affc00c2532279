"""Logical clocks by their definitions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


def lamport_condition_breaks(clock: list[int | None], before: set[tuple[int, int]]) -> list[tuple[int, int]]:
    """Pairs a -> b whose timestamps do not grow (Lamport 1978, the Clock Condition)."""
    out = []
    for a, b in before:
        first, second = clock[a], clock[b]
        if first is not None and second is not None and first >= second:
            out.append((a, b))
    return out


def vectors(
    rows: Sequence[Mapping[str, Any]], before: set[tuple[int, int]], processes: tuple[str, ...]
) -> list[list[int]]:
    """Mattern's vectors: for each event and process, how many of its events happen before the event or are it."""
    out = []
    for j in range(len(rows)):
        past = [i for i in range(len(rows)) if (i, j) in before] + [j]
        out.append([sum(rows[i]["process"] == p for i in past) for p in processes])
    return out


@dataclass(frozen=True)
class Recorder:
    """How a recorder keeps its clocks: which events tick besides sends, and the clock before the first event."""

    internal: bool = True
    receive: bool = True
    start: int = 0


@dataclass(frozen=True)
class Fault:
    """One mistake, made at one row; all that follows is computed from the mistaken clock.

    tick: by how much the event advances its clock instead. merges: whether it takes what its message brought. resets:
    whether it begins anew. foresees: the component of which it knows one event more than it can.
    """

    row: int
    tick: int | None = None
    merges: bool = True
    resets: bool = False
    foresees: int | None = None


def recorded(
    rows: Sequence[Mapping[str, Any]], recorder: Recorder, processes: tuple[str, ...], fault: Fault | None = None
) -> list[dict[str, Any]]:
    """The rows as the processes' own algorithms stamp them, one event after the other: Lamport's IR1 and IR2, and
    Mattern's and Fidge's rule. File order must be a linear extension of happens-before."""
    lamport = dict.fromkeys(processes, recorder.start)
    vector = {p: [recorder.start if q == p else 0 for q in processes] for p in processes}
    sent: dict[Any, tuple[int, list[int]]] = {}
    out = []
    for number, row in enumerate(rows):
        p, kind = row["process"], row["kind"]
        tick = int({"send": True, "receive": recorder.receive}.get(kind, recorder.internal))
        here = fault if fault and fault.row == number else Fault(number)
        if here.resets:
            lamport[p], vector[p] = 0, [0] * len(processes)
        tick = tick if here.tick is None else here.tick
        stamp, mine = lamport[p] + tick, list(vector[p])
        if kind == "receive" and here.merges and row["message"] in sent:
            stamp = max(stamp, sent[row["message"]][0] + 1)
            mine = [max(a, b) for a, b in zip(mine, sent[row["message"]][1], strict=True)]
        mine[processes.index(p)] += tick
        if here.foresees is not None:
            mine[here.foresees] += 1
        lamport[p], vector[p] = stamp, mine
        if kind == "send":
            sent[row["message"]] = stamp, mine
        out.append({**row, "lamport": stamp, "vclock": list(mine)})
    return out


def knows(rows: Sequence[Mapping[str, Any]], a: int, b: int, processes: tuple[str, ...]) -> bool:
    """Whether the vector of row a shows that a knows of row b, of another process: what a records in b's component is
    larger than b's own, or equal where b is the first of its process with that value."""
    c = processes.index(rows[b]["process"])
    said, own = rows[a]["vclock"][c], rows[b]["vclock"][c]
    if rows[a]["process"] == rows[b]["process"] or said <= 0:
        return False
    earlier = [r for r in rows if r["process"] == rows[b]["process"] and r["seq"] < rows[b]["seq"]]
    return bool(said > own or (said == own and all(r["vclock"][c] < own for r in earlier)))


def contradictory(rows: Sequence[Mapping[str, Any]], processes: tuple[str, ...]) -> set[tuple[int, int]]:
    """Pairs of rows (a, b) such that a knows of b, but not all that b knows, or b knows of a as well."""
    out = set()
    for a in range(len(rows)):
        for b in range(len(rows)):
            if knows(rows, a, b, processes):
                less = any(x < y for x, y in zip(rows[a]["vclock"], rows[b]["vclock"], strict=True))
                if less or knows(rows, b, a, processes):
                    out.add((a, b))
    return out
