"""Faults by name, at random, and from a file; what a run bore beyond its promises is told."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from reference_impls.catalogue import designs, protocols
from reference_impls.runtime.cluster import Cluster
from reference_impls.runtime.faults import FAULTS, Ambush
from reference_impls.runtime.network import MILLISECOND, SECOND, Network
from reference_impls.runtime.reference import plan_of
from reference_impls.runtime.schedule import Schedule
from tests.reference.oracle import rows_of
from tracekit.analysis import analyze
from tracekit.errors import TracekitError
from tracekit.protocols import Simulation
from tracekit.trace.run import Run
from tracekit.trace.schema import Kind

RAFT = protocols()["raft"]


def written(folder: Path, text: str) -> str:
    path = folder / "plan.toml"
    path.write_text(text)
    return str(path)


def test_the_nemesis_leaves_a_majority_up_and_ends_with_everything_healed() -> None:
    """All faults at random at once, for 20 seconds of a cluster that nobody uses."""
    plan = plan_of(designs()["raft"], Simulation(5, 1, operations=100))
    cluster = Cluster(replace(plan, schedule=Schedule(tuple(FAULTS))))
    most = 0

    def look() -> None:
        nonlocal most
        most = max(most, sum(not cluster.is_up(name) for name in cluster.nodes))
        if cluster.simulator.now < 20 * SECOND:
            cluster.later(MILLISECOND, look)
        else:
            cluster.heal()
            cluster.end(SECOND)

    cluster.later(1, look)
    cluster.workload.begin = lambda stage: None  # type: ignore[method-assign]  # no clients end this run
    rows = rows_of(cluster.run().trace(Run()))
    names = {row["name"] for row in rows if "name" in row}
    assert 1 <= most <= 2
    assert {f"fault.{name}" for name in FAULTS if name != "crash"} | {"raft.crash", "fault.heal"} <= names
    assert set(cluster.nemesis.happened) == set(FAULTS)
    network = cluster.network
    assert (network.loss, network.duplication, network.reordering) == (0, 0, 0)
    assert not network.blocked and not network.send_omission and not network.receive_omission
    assert all(host.up and not host.service_ns for host in cluster.simulator.hosts.values())


SCRIPT = """
[[fault]]
at = "800ms"
fault = "crash"
process = "n2"
for = "100ms"

[[fault]]
at = "300ms"
fault = "partition"
groups = [["n1", "n2"], ["n3"], ["n4", "n5"]]
for = "200ms"

[[fault]]
at = "1s"
fault = "clock-step"
process = "n1"
time = "-2s"
"""


def test_a_schedule_from_a_file_happens_at_its_times(tmp_path: Path) -> None:
    path = written(tmp_path, SCRIPT)
    trace = RAFT.simulate(Simulation(5, 1, faults=(path,), operations=2000, settings={"membership": "none"}), None)
    told = [
        (row["true_time_ns"] // MILLISECOND, row["process"], row["name"])
        for row in rows_of(trace)
        if row["kind"] in ("fault", "crash", "restart")
    ]
    assert told[:6] == [
        (300, "nemesis", "fault.partition"),
        (500, "nemesis", "fault.heal"),
        (800, "n2", "raft.crash"),
        (900, "n2", "raft.restart"),
        (1000, "nemesis", "fault.clock-step"),
        (told[5][0], "nemesis", "fault.heal"),
    ]
    groups = next(row["fault.groups"] for row in rows_of(trace) if row.get("name") == "fault.partition")
    assert groups == ["n1 n2", "n3", "n4 n5"]
    times = [row["time_ns"] for row in rows_of(trace) if row["process"] == "n1"]
    falls = [before - after for before, after in itertools.pairwise(times) if after < before]
    assert len(falls) == 1
    assert 1.9 * SECOND < falls[0] <= 2 * SECOND
    assert trace.run.command is not None
    assert path in trace.run.command
    assert trace.run.broken_assumptions == ()
    assert analyze(trace, check=["raft.*"]).exit_code == 0


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("this is no TOML", "TK406", "cannot be read"),
        ("[[fault]]\nat = '1s'\nfault = 'crahs'\nprocess = 'n1'", "TK403", "crash"),
        ("[[fault]]\nat = '1s'\nfault = 'crash'", "TK406", "no process"),
        ("[[fault]]\nat = '1s'\nfault = 'crash'\nprocess = 'n1'\nrate = 1", "TK406", "rate"),
        ("[[fault]]\nat = 1\nfault = 'crash'\nprocess = 'n1'", "TK406", "a time with its unit"),
        ("[[fault]]\nat = '1s'\nfault = 'crash'\nprocess = 'n9'", "TK406", "n9"),
        ("[[fault]]\nat = '1s'\nfault = 'partition'\ngroups = ['n1']", "TK406", "lists of names"),
        ("[[fault]]\nat = '1s'\nfault = 'loss'\nrate = 'much'", "TK406", "share of messages"),
        ("fault = 3", "TK406", "[[fault]]"),
        ("[[fault]]\nat = '1s'\nname = 'crash'", "TK406", "does not say which fault it is"),
    ],
)
def test_a_file_that_is_no_schedule(text: str, code: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(TracekitError) as caught:
        RAFT.simulate(Simulation(5, faults=(written(tmp_path, text),), operations=10), None)
    assert caught.value.code == code
    assert words in str(caught.value)


@pytest.mark.parametrize("name", designs())
def test_the_schedule_that_help_shows_is_one_for_every_protocol(name: str, tmp_path: Path) -> None:
    file = tmp_path / "faults.toml"
    file.write_text(protocols()[name].schedule, encoding="utf-8")
    protocol = protocols()[name]
    asked = Simulation(protocol.default_nodes, faults=(str(file),), operations=400)
    trace = protocol.simulate(asked, None)
    assert len(trace)
    assert "fault.partition" in trace.names or name in ("chandy-lamport", "lai-yang"), "their runs are over by then"


def test_a_schedule_that_is_not_there() -> None:
    with pytest.raises(TracekitError, match="cannot be read"):
        RAFT.simulate(Simulation(5, faults=("nowhere.toml",)), None)


def test_what_is_not_tolerated_is_a_broken_assumption_and_never_a_verdict() -> None:
    trace = RAFT.simulate(Simulation(5, 2, faults=("disk-loss",), operations=300), None)
    assert trace.run.broken_assumptions == ("disk-loss: raft does not claim to tolerate it",)
    assert analyze(trace).broken_assumptions == trace.run.broken_assumptions


def test_a_majority_that_is_down_at_once_is_a_broken_assumption(tmp_path: Path) -> None:
    crash = "[[fault]]\nat = '200ms'\nfault = 'crash'\nprocess = '{}'\nfor = '300ms'\n"
    path = written(tmp_path, "".join(crash.format(name) for name in ("n1", "n2", "n3")))
    trace = RAFT.simulate(Simulation(5, 1, faults=(path,), operations=300), None)
    assert trace.run.broken_assumptions == ("3 of 5 nodes were down at one time; raft tolerates 2",)
    assert analyze(trace).exit_code == 0, "safety does not rest on it"


@pytest.mark.parametrize(("side", "expected"), [("send_omission", ("a", "b")), ("receive_omission", ("b", "a"))])
def test_omissions_strike_one_side_of_one_process(side: str, expected: tuple[str, str]) -> None:
    network = Network(Random(5))
    getattr(network, side)["a"] = 0.3
    sender, receiver = expected
    there = sum(len(list(network.arrivals(sender, receiver, 0))) for _ in range(20_000))
    back = sum(len(list(network.arrivals(receiver, sender, 0))) for _ in range(20_000))
    assert abs(there / 20_000 - 0.7) < 0.02
    assert back == 20_000


def test_a_paused_process_does_nothing_and_loses_nothing() -> None:
    trace = RAFT.simulate(Simulation(3, 4, faults=("pause",), operations=500), None)
    rows = rows_of(trace)
    paused = [row for row in rows if row.get("name") == "fault.pause"]
    assert paused
    for row in paused:
        begin, end = row["true_time_ns"], row["true_time_ns"] + row["fault.service_ns"]
        inside = [r for r in rows if r["process"] == row["fault.process"] and begin < r["true_time_ns"] < end]
        assert inside == []
    assert not trace.is_kind(Kind.CRASH).any()


def test_an_ambush_may_isolate_instead_of_crash() -> None:
    """A leader that has just committed is cut off from all other nodes for a while; nobody crashes."""
    ambush = Ambush("raft.commit", 1.0, 300 * MILLISECOND, 2, fault="partition")
    schedule = Schedule(ambushes=(ambush,))
    assert schedule.kinds == ("partition",)
    design = designs()["raft"]
    cluster = Cluster(replace(plan_of(design, Simulation(5, 1, operations=100)), schedule=schedule))
    cluster.run()
    assert cluster.nemesis.happened == {"partition": None}
    rows = [r for r in rows_of(cluster.simulator.recording.trace(Run())) if r["kind"] in ("fault", "crash")]
    cuts = [row for row in rows if row["name"] == "fault.partition"]
    assert len(cuts) == 2
    for row in cuts:
        alone, others = (group.split() for group in row["fault.groups"])
        assert (len(alone), len(others)) == (1, 4)
    assert not any(row["kind"] == "crash" for row in rows)
