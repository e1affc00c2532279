"""Snapshots by the sentences of the papers, one at a time, over rows as dictionaries. Quadratic and worse on purpose.

Rows have `process`, `seq`, `kind`, `name` and the fields of their event; every message is sent once, to `peer`, and
received there at most once. All processes have channels to all others. An answer is a set of (anomaly, snapshot,
processes).
"""

from __future__ import annotations

from collections import Counter
from itertools import permutations
from typing import Any

Row = dict[str, Any]
Broken = set[tuple[str, int, tuple[str, ...]]]


class World:
    """One snapshot in one execution."""

    def __init__(self, rows: list[Row], id: int, processes: tuple[str, ...], ended: bool) -> None:
        self.rows = sorted(rows, key=lambda r: (r["process"], r["seq"]))
        self.id, self.processes, self.ended = id, processes, ended
        self.channels = list(permutations(processes, 2))

    def of(self, name: str, kind: str, process: str, peer: str | None = None) -> list[Row]:
        """Events of this snapshot at a process, about a channel's other end where one is given."""
        return [
            r
            for r in self.rows
            if r.get("name") == f"snapshot.{name}"
            and r["kind"] == kind
            and r["process"] == process
            and r["snapshot.id"] == self.id
            and (peer is None or peer in (r.get("peer"), r.get("snapshot.channel_from")))
        ]

    def record(self, process: str) -> Row | None:
        return next(iter(self.of("record", "internal", process)), None)

    def in_state(self, row: Row) -> bool:
        """Whether an event belongs to the recorded state of its process."""
        record = self.record(row["process"])
        assert record is not None
        if record.get("snapshot.before_receive"):
            earlier = [
                r["seq"]
                for r in self.rows
                if r["process"] == row["process"] and r["kind"] == "receive" and r["seq"] < record["seq"]
            ]
            return bool(row["seq"] < (max(earlier) if earlier else record["seq"]))
        return bool(row["seq"] < record["seq"])

    def sends(self, p: str, q: str) -> list[Row]:
        return [
            r for r in self.rows
            if (r["process"], r.get("peer"), r["kind"]) == (p, q, "send") and not r["name"].startswith("snapshot.")
        ]  # fmt: skip

    def receipt(self, send: Row) -> Row | None:
        found = [r for r in self.rows if r["kind"] == "receive" and r["message"] == send["message"]]
        return found[0] if found else None

    def traffic(self, process: str) -> list[Row]:
        return [
            r for r in self.rows
            if r["process"] == process and r["kind"] != "internal" and not r["name"].startswith("snapshot.")
        ]  # fmt: skip


def chandy_lamport(rows: list[Row], id: int, processes: tuple[str, ...], ended: bool) -> Broken:
    """Every breach of the rules of the 1985 paper in one snapshot."""
    world = World(rows, id, processes, ended)
    found = _recorded_twice(world)
    for p in processes:
        found |= {(a, id, (p,)) for a in _first_marker(world, p)}
    for p, q in world.channels:
        found |= {(a, id, (p, q)) for a in (*_sending(world, p, q), *_fifo(world, p, q), *_state(world, p, q))}
    return found | _inconsistent(world) | _total(world)


def _recorded_twice(world: World) -> Broken:
    return {("recorded-twice", world.id, (p,)) for p in world.processes if len(world.of("record", "internal", p)) > 1}


def _first_marker(world: World, q: str) -> set[str]:
    markers, record = world.of("marker", "receive", q), world.record(q)
    if not markers or (record and record["seq"] < markers[0]["seq"]):
        return set()
    between = [
        r for r in world.traffic(q)
        if r["seq"] > markers[0]["seq"] and (record is None or r["seq"] < record["seq"])
    ]  # fmt: skip
    if between:
        return {"recorded-late"}
    return {"never-recorded"} if record is None and world.ended else set()


def _sending(world: World, p: str, q: str) -> set[str]:
    markers, record = world.of("marker", "send", p, q), world.record(p)
    found = {"two-markers"} if len(markers) > 1 else set()
    if markers and (record is None or markers[0]["seq"] < record["seq"]):
        found.add("marker-before-recording")
    if record is None:
        return found
    later = [r for r in world.sends(p, q) if r["seq"] > record["seq"]]
    if not markers and (later or world.ended):
        found.add("marker-not-sent")
    if markers and any(r["seq"] < markers[0]["seq"] for r in later):
        found.add("message-before-marker")
    return found


def _fifo(world: World, p: str, q: str) -> set[str]:
    markers = world.of("marker", "send", p, q)
    if not markers:
        return set()
    arrival = world.receipt(markers[0])
    if arrival is None:
        return {"marker-lost"} if world.ended else set()
    found = set()
    for send in world.sends(p, q):
        before, receipt = send["seq"] < markers[0]["seq"], world.receipt(send)
        if before and receipt is None:
            found.add("message-lost")
        elif before and receipt and receipt["seq"] > arrival["seq"]:
            found.add("marker-overtook-message")
        elif not before and receipt and receipt["seq"] < arrival["seq"]:
            found.add("message-overtook-marker")
    return found


def _state(world: World, p: str, q: str) -> set[str]:
    states, markers = world.of("channel_state", "internal", q, p), world.of("marker", "receive", q, p)
    record = world.record(q)
    if not states:
        return {"channel-not-recorded"} if record and markers and world.ended else set()
    found = {"channel-recorded-twice"} if len(states) > 1 else set()
    if not markers or states[0]["seq"] < markers[0]["seq"]:
        return found | {"channel-closed-early"}
    if record is None:
        return found
    listed = states[0]["snapshot.messages"]
    if markers[0]["seq"] < record["seq"]:
        return found | ({"first-channel-not-empty"} if listed else set())
    receipts = [world.receipt(send) for send in world.sends(p, q)]
    came = sorted(
        (r["seq"], r["snapshot.item"]) for r in receipts if r and record["seq"] < r["seq"] < markers[0]["seq"]
    )
    return found | _difference(listed, [item for _, item in came], ordered=True)


def _difference(listed: list[str], wanted: list[str], ordered: bool) -> set[str]:
    found = set()
    if set(wanted) - set(listed):
        found.add("message-missing-in-channel")
    if Counter(listed) - Counter(wanted):
        found.add("phantom-message-in-channel")
    if ordered and not found and listed != wanted:
        found.add("channel-out-of-order")
    return found


def _inconsistent(world: World) -> Broken:
    found = set()
    for p, q in world.channels:
        if world.record(p) is None or world.record(q) is None:
            continue
        for send in world.sends(p, q):
            receipt = world.receipt(send)
            if receipt and world.in_state(receipt) and not world.in_state(send):
                found.add(("inconsistent-cut", world.id, (p, q)))
    return found


def complete(rows: list[Row], id: int, processes: tuple[str, ...]) -> bool:
    """Whether every process and every channel is recorded."""
    world = World(rows, id, processes, False)
    return all(world.record(p) for p in processes) and all(
        world.of("channel_state", "internal", q, p) for p, q in world.channels
    )


def _total(world: World) -> Broken:
    declared = [r["snapshot.total"] for r in world.rows if "snapshot.total" in r]
    if not declared or not complete(world.rows, world.id, world.processes):
        return set()
    held = [world.of("record", "internal", p)[0]["snapshot.value"] for p in world.processes]
    moving = [world.of("channel_state", "internal", q, p)[0]["snapshot.value"] for p, q in world.channels]
    return set() if sum(held) + sum(moving) == declared[0] else {("total-not-conserved", world.id, ())}


def lai_yang(rows: list[Row], id: int, processes: tuple[str, ...], ended: bool) -> Broken:
    """Every breach of the rules of the 1987 paper in one snapshot."""
    world = World(rows, id, processes, ended)
    found = _recorded_twice(world) | _inconsistent(world) | _total(world)
    for p, q in world.channels:
        for send in world.sends(p, q):
            found |= {(a, id, (p, q)) for a in _colors(world, send, world.receipt(send))}
        if world.record(p) and world.record(q):
            found |= {(a, id, (p, q)) for a in _difference_of_histories(world, p, q)}
    return found


def _colors(world: World, send: Row, receipt: Row | None) -> set[str]:
    red = send["snapshot.color"] >= world.id
    found = set()
    sender_red = world.record(send["process"]) is not None and not world.in_state(send)
    if red != sender_red:
        found.add("red-before-recording" if red else "white-after-recording")
    if red and receipt and (world.record(receipt["process"]) is None or world.in_state(receipt)):
        found.add("red-message-taken-white")
    return found


def _difference_of_histories(world: World, p: str, q: str) -> set[str]:
    states = world.of("channel_state", "internal", q, p)
    if not states:
        return {"channel-not-recorded"} if world.ended else set()
    found = {"channel-recorded-twice"} if len(states) > 1 else set()
    sent = [s for s in world.sends(p, q) if world.in_state(s)]
    taken = [s for s in sent if (r := world.receipt(s)) is not None and world.in_state(r)]
    wanted = [s["snapshot.item"] for s in sent if s not in taken]
    return found | _difference(states[0]["snapshot.messages"], wanted, ordered=False)
