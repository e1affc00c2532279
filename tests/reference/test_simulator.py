"""The runtime by itself, with processes of a few lines."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from random import Random
from typing import Any, NamedTuple

import pytest

from reference_impls.runtime.effects import CancelTimer, Done, Effect, Note, Persist, Send, SetTimer
from reference_impls.runtime.network import (
    DELAY_BOUND,
    MILLISECOND,
    NETWORKS,
    SECOND,
    Network,
    PartiallySynchronous,
)
from reference_impls.runtime.process import Stable
from reference_impls.runtime.recording import Recording
from reference_impls.runtime.simulator import Host, Simulator
from tests.reference.oracle import rows_of
from tracekit.protocols import NETWORKS as NAMES
from tracekit.trace.run import Run


class Word(NamedTuple):
    """A message."""

    text: str

    @property
    def event(self) -> str:
        return "test.word"

    def fields(self) -> Mapping[str, Any]:
        return {"test.text": self.text}


class Scripted:
    """A process that does what the test says."""

    def __init__(
        self,
        start: Callable[[Stable], Sequence[Effect]] = lambda stable: [Note({}, "test.start")],
        message: Callable[[str, Any], Sequence[Effect]] = lambda sender, message: [],
        timer: Callable[[int, str], Sequence[Effect]] = lambda now, name: [],
    ) -> None:
        self.start, self.message, self.timer = start, message, timer

    def on_start(self, stable: Stable) -> Sequence[Effect]:
        return self.start(stable)

    def on_message(self, now_ns: int, sender: str, message: Any) -> Sequence[Effect]:
        return self.message(sender, message)

    def on_timer(self, now_ns: int, name: str) -> Sequence[Effect]:
        return self.timer(now_ns, name)


class Steady(Network):
    """Every message takes a millisecond."""

    def delay(self, now: int) -> int:
        return MILLISECOND


class Lab:
    """A simulator with scripted processes."""

    def __init__(self, *, network: type[Network] = Network, **processes: Scripted) -> None:
        self.simulator = Simulator(network(Random(1)), Recording(), "test")
        self.hosts = {
            name: Host(name, lambda process=process: process, self.simulator.recording)  # type: ignore[misc]
            for name, process in processes.items()
        }
        for host in self.hosts.values():
            self.simulator.add(host)

    def rows(self) -> list[dict[str, Any]]:
        self.simulator.run()
        return rows_of(self.simulator.recording.trace(Run()))


def start_with(*effects: Effect) -> Callable[[Stable], Sequence[Effect]]:
    return lambda stable: [Note({}, "test.start"), *effects]


def told(heard: list[Any], what: Any) -> Sequence[Effect]:
    heard.append(what)
    return []


def shape(rows: list[dict[str, Any]]) -> list[tuple[str, str, str | None]]:
    return [(row["process"], row["kind"], row.get("name")) for row in rows]


def test_a_note_without_a_name_joins_the_row_of_the_cause() -> None:
    a = Scripted(start_with(Send("b", Word("hello"))))
    b = Scripted(
        message=lambda s, m: [Persist({}), Note({"test.heard": 1}), Send("a", Word("yes")), Note({}, "test.end")]
    )
    rows = Lab(a=a, b=b).rows()
    assert shape(rows) == [
        ("a", "internal", "test.start"), ("a", "send", "test.word"), ("b", "internal", "test.start"),
        ("b", "receive", "test.word"), ("b", "send", "test.word"), ("b", "internal", "test.end"),
        ("a", "receive", "test.word"),
    ]  # fmt: skip
    assert rows[3]["test.heard"] == 1
    assert rows[3]["message"] == rows[1]["message"]


def test_a_named_note_after_a_receive_is_a_row_of_its_own() -> None:
    a = Scripted(start_with(Send("b", Word("hello"))))
    b = Scripted(message=lambda s, m: [Note({"test.heard": 1}, "test.decide")])
    rows = Lab(a=a, b=b).rows()
    assert shape(rows)[-2:] == [("b", "receive", "test.word"), ("b", "internal", "test.decide")]
    assert "test.heard" not in rows[-2]


def test_timers_fire_once_at_their_time_and_can_be_moved_and_cancelled() -> None:
    fired: list[tuple[int, str]] = []

    def timer(now: int, name: str) -> Sequence[Effect]:
        fired.append((now, name))
        return [SetTimer("late", 10), SetTimer("gone", 500), CancelTimer("gone")] if name == "first" else []

    effects = [SetTimer("first", 100), SetTimer("late", 1000), SetTimer("moved", 50), SetTimer("moved", 300)]
    Lab(a=Scripted(start_with(*effects), timer=timer)).rows()
    assert fired == [(100, "first"), (110, "late"), (300, "moved")]


def test_a_timer_runs_on_the_clock_of_its_process() -> None:
    seen: list[int] = []
    lab = Lab(a=Scripted(start_with(SetTimer("t", 1000)), timer=lambda now, name: told(seen, now)))
    lab.hosts["a"].rate, lab.hosts["a"].offset_ns = 2.0, 7
    lab.rows()
    assert lab.simulator.now == 500
    assert seen == [1007]


def test_a_restart_knows_what_was_persisted_and_nothing_else() -> None:
    starts: list[tuple[dict[str, Any], list[Any]]] = []

    def start(stable: Stable) -> Sequence[Effect]:
        starts.append((dict(stable.cells), list(stable.log)))
        writes = [Persist({"x": 1}, 1, ("a", "b", "c")), Persist({"y": 2}), Persist({}, 2, ("B",))]
        return [Note({}, "test.start"), *writes, SetTimer("t", 50)]

    fired: list[int] = []
    lab = Lab(a=Scripted(start, timer=lambda now, name: told(fired, now)))
    host = lab.hosts["a"]
    lab.simulator.at(20, lambda *_: lab.simulator.crash(host))
    lab.simulator.at(40, lab.simulator.start, host)
    rows = lab.rows()
    assert starts == [({}, []), ({"x": 1, "y": 2}, ["a", "B"])]
    assert fired == [90], "the timer of the first incarnation is gone"
    assert shape(rows)[1:] == [("a", "crash", "test.crash"), ("a", "restart", "test.start")]
    assert [row["lamport"] for row in rows] == [1, 2, 3]


def test_what_arrives_at_a_crashed_or_ended_process_is_lost() -> None:
    for ending in ("crash", "done"):
        b = Scripted(start_with(Done()) if ending == "done" else start_with())
        lab = Lab(a=Scripted(start_with(Send("b", Word("hello")))), b=b)
        if ending == "crash":
            lab.simulator.at(1, lambda *_, lab=lab: lab.simulator.crash(lab.hosts["b"]))
        assert "receive" not in {row["kind"] for row in lab.rows()}


def test_a_slow_process_works_off_its_messages_in_their_order() -> None:
    heard: list[str] = []
    words = [Word(str(i)) for i in range(20)]
    lab = Lab(
        network=Steady,
        a=Scripted(start_with(*(Send("b", word) for word in words))),
        b=Scripted(message=lambda s, m: told(heard, m.text)),
    )
    lab.hosts["b"].service_ns = SECOND
    times = [row["true_time_ns"] for row in lab.rows() if row["kind"] == "receive"]
    assert heard == [word.text for word in words]
    assert all(later - earlier == SECOND for earlier, later in pairwise(times))


def test_partitions_block_one_way_or_both() -> None:
    network = Network(Random(0))
    network.blocked = {("a", "b")}
    assert network.arrivals("a", "b", 0) == ()
    assert len(list(network.arrivals("b", "a", 0))) == 1


def test_a_partition_also_stops_what_is_under_way() -> None:
    lab = Lab(a=Scripted(start_with(Send("b", Word("hello")))), b=Scripted())
    lab.simulator.at(1, lambda *_: lab.simulator.network.blocked.add(("a", "b")))
    assert "receive" not in {row["kind"] for row in lab.rows()}


@pytest.mark.parametrize(("rate", "expected"), [("loss", 0.8), ("duplication", 1.2)])
def test_loss_and_duplication_happen_at_their_rates(rate: str, expected: float) -> None:
    network = Network(Random(5))
    setattr(network, rate, 0.2)
    copies = sum(len(list(network.arrivals("a", "b", 0))) for _ in range(20_000))
    assert abs(copies / 20_000 - expected) < 0.02


def test_the_networks_are_those_that_can_be_named() -> None:
    assert tuple(NETWORKS) == NAMES


@pytest.mark.parametrize("reordering", [0.0, 0.5])
def test_delays_of_the_network_models(reordering: float) -> None:
    for name, make in NETWORKS.items():
        network = make(Random(3))
        network.reordering = reordering
        delays = [a for _ in range(20_000) for a in network.arrivals("a", "b", 0)]
        if name == "sync":
            assert DELAY_BOUND / 10 <= min(delays) < max(delays) <= DELAY_BOUND
        else:
            assert max(delays) > 20 * DELAY_BOUND, "a heavy tail"
            assert min(delays) >= MILLISECOND


def test_partial_synchrony_keeps_the_bound_from_gst_on() -> None:
    network = PartiallySynchronous(Random(3))
    network.reordering = 0.2
    before = [a for _ in range(20_000) for a in network.arrivals("a", "b", 1)]
    assert DELAY_BOUND < max(before) <= network.gst + DELAY_BOUND
    after = [a - network.gst for _ in range(20_000) for a in network.arrivals("a", "b", network.gst)]
    assert max(after) <= DELAY_BOUND
