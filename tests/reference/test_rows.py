"""What every simulated trace must be as a record: clocks, messages, crashes, rows without half-made states."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest

from reference_impls.catalogue import protocols
from tests.reference.oracle import rows_of
from tracekit.protocols import Simulation

SEEDS = (0, 1, 2)
FAULTS = ("duplication", "reordering", "crash", "loss")


@cache
def rows(seed: int) -> list[dict[str, Any]]:
    return rows_of(protocols()["raft"].simulate(Simulation(5, seed, faults=FAULTS, operations=150), None))


@cache
def processes(seed: int) -> tuple[str, ...]:
    trace = protocols()["raft"].simulate(Simulation(5, seed, faults=FAULTS, operations=150), None)
    return trace.processes[: trace.components]


@pytest.mark.parametrize("seed", SEEDS)
def test_clocks_follow_their_definitions(seed: int) -> None:
    place = {name: i for i, name in enumerate(processes(seed))}
    lamport: dict[str, int] = {}
    vector: dict[str, list[int]] = {}
    sent: dict[int, tuple[int, list[int]]] = {}
    for row in rows(seed):
        name = row["process"]
        if name == "nemesis":
            assert "lamport" not in row
            assert "vclock" not in row
            continue
        clock, own = lamport.get(name, 0), vector.get(name, [0] * len(place))
        if row["kind"] == "receive":
            theirs, their_vector = sent[row["message"]]
            clock = max(clock, theirs)
            own = [max(a, b) for a, b in zip(own, their_vector, strict=True)]
        own = [value + (i == place[name]) for i, value in enumerate(own)]
        lamport[name], vector[name] = clock + 1, own
        recorded = row["vclock"] + [0] * (len(place) - len(row["vclock"]))
        assert (row["lamport"], recorded) == (clock + 1, own)
        if row["kind"] == "send":
            sent[row["message"]] = (row["lamport"], own)


@pytest.mark.parametrize("seed", SEEDS)
def test_messages_are_sent_once_and_arrive_where_they_were_sent(seed: int) -> None:
    sent: dict[int, dict[str, Any]] = {}
    received: list[int] = []
    for row in rows(seed):
        if row["kind"] == "send":
            assert row["message"] not in sent
            sent[row["message"]] = row
        elif row["kind"] == "receive":
            send = sent[row["message"]]
            received.append(row["message"])
            assert (send["peer"], send["process"], send["name"]) == (row["process"], row["peer"], row["name"])
            carried = {k: v for k, v in send.items() if k.startswith("raft.message_")}
            assert carried == {k: v for k, v in row.items() if k.startswith("raft.message_")}
    assert len(set(received)) < len(received), "some arrive twice"
    assert len(set(received)) < len(sent), "some are lost"


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_happens_at_a_crashed_process(seed: int) -> None:
    down: set[str] = set()
    crashes = 0
    for row in rows(seed):
        if row["kind"] == "restart":
            down.remove(row["process"])
        assert row["process"] not in down
        if row["kind"] == "crash":
            down.add(row["process"])
            crashes += 1
    assert not down, "all are up at the end"
    assert crashes


@pytest.mark.parametrize("seed", SEEDS)
def test_no_row_shows_half_a_state(seed: int) -> None:
    kinds = set()
    snapshots: dict[str, int] = {}
    for row in rows(seed):
        snapshots[row["process"]] = row.get("raft.snapshot_index", snapshots.get(row["process"], 0))
        state = [name in row for name in ("raft.role", "raft.term", "raft.vote")]
        assert all(state) or not any(state)
        if "raft.log_from" in row:
            assert {"raft.entry_terms", "raft.entry_digests", "raft.last_index", "raft.last_term"} <= set(row)
        if row.get("raft.role") == "leader":
            kinds.add((row["kind"], row["name"]))
            assert row["raft.log_from"] == row["raft.last_index"], "the no-op comes with the leadership"
            assert row["raft.vote"] == row["process"]
        if row["kind"] == "restart":
            assert (row["name"], row["raft.commit"]) == ("raft.restart", snapshots[row["process"]])
            assert row["raft.role"] in ("follower", "learner")
    assert kinds == {("internal", "raft.become_leader")}


def test_a_receive_its_state_and_its_log_change_are_one_row() -> None:
    stored = [row for row in rows(0) if row.get("name") == "raft.append_entries" and "raft.log_from" in row]
    assert stored
    assert {row["kind"] for row in stored} == {"receive"}
    voted = [row for row in rows(0) if row.get("name") == "raft.request_vote" and row.get("raft.vote")]
    assert voted
    assert all(row["kind"] == "receive" and row["raft.vote"] == row["peer"] for row in voted)
