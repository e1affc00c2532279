"""Whole runs of Raft: correct ones keep every rule, and every mutant breaks its own."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from reference_impls.catalogue import designs, protocols
from reference_impls.protocols.raft.mutants import BUGS
from reference_impls.runtime.reference import plan_of
from reference_impls.runtime.reference import simulate as run_design
from reference_impls.workloads.kv import THINK
from reference_impls.workloads.kv_workload import SETTLE
from tests.reference.oracle import Replay, rows_of, stale_reads
from tracekit.execution import Execution, Options
from tracekit.protocols import NETWORKS, Simulation
from tracekit.registry import checks
from tracekit.results import Verdict
from tracekit.trace.schema import Kind
from tracekit.trace.trace import Trace

PROTOCOL = protocols()["raft"]


def simulate(simulation: Simulation) -> Trace:
    return PROTOCOL.simulate(simulation, None)


@cache
def run(seed: int, network: str = "async", faults: tuple[str, ...] | None = None, nodes: int = 5) -> Trace:
    return simulate(Simulation(nodes, seed, network, faults, operations=200))


@pytest.mark.parametrize("seed", range(10))
def test_a_correct_run_breaks_no_rule(seed: int) -> None:
    rows = rows_of(run(seed, NETWORKS[seed % 3]))
    assert Replay(rows).run() == set()
    assert stale_reads(rows) == []


@pytest.mark.parametrize("fault", PROTOCOL.faults)
def test_every_fault_is_tolerated(fault: str) -> None:
    trace = run(3, faults=(fault,))
    rows = rows_of(trace)
    assert Replay(rows).run() == set()
    assert stale_reads(rows) == []
    seen = {row["name"] for row in rows if row["kind"] in ("fault", "crash")}
    assert f"fault.{fault}" in seen or (fault == "crash" and "raft.crash" in seen)


@pytest.mark.parametrize("nodes", [1, 2, 3, 4, 7])
def test_clusters_of_other_sizes(nodes: int) -> None:
    trace = run(1, nodes=nodes)
    assert Replay(rows_of(trace)).run() == set()
    assert trace.is_kind(Kind.OK).sum() > 100


ORACLE = {"consistency.linearizable": "stale-read"}


@pytest.mark.parametrize(
    "settings",
    [
        {"reads": "lease", "compaction": "10"}, {"reads": "log", "membership": "single"}, {"effective": "apply"},
        {"membership": "single", "effective": "apply", "compaction": "10"},
        {"membership": "none", "compaction": "never"},
    ],
)  # fmt: skip
def test_other_settings_break_no_rule_either(settings: dict[str, str]) -> None:
    names = set()
    for seed in range(3):
        rows = rows_of(simulate(Simulation(5, seed, operations=120, settings=settings)))
        assert Replay(rows).run() == set()
        assert stale_reads(rows) == []
        names |= {row.get("name") for row in rows}
    assert ("raft.change_configuration" in names) == (settings.get("membership") != "none")
    assert ("raft.take_snapshot" in names) == (settings.get("compaction") != "never")


def test_what_the_extensions_are_about_happens_in_runs() -> None:
    rows = [row for seed in range(4) for row in rows_of(run(seed, NETWORKS[seed % 3]))]
    names = {row["name"] for row in rows if "name" in row}
    assert names >= {
        "raft.take_snapshot", "raft.install_snapshot", "raft.change_configuration", "raft.timeout_now",
        "raft.become_pre_candidate",
    }  # fmt: skip
    assert any(row.get("raft.voters_outgoing") for row in rows)
    assert any(row.get("raft.role") == "learner" for row in rows)
    assert any("raft.snapshot_index" in row for row in rows if row["kind"] == "receive")


def test_leases_rest_on_clocks() -> None:
    for fault in ("clock-drift", "clock-step"):
        simulation = Simulation(3, 1, faults=(fault,), operations=300, settings={"reads": "lease"})
        assert simulate(simulation).run.broken_assumptions == (f"{fault}: raft does not claim to tolerate it",)
        assert simulate(replace(simulation, settings={})).run.broken_assumptions == ()
    kinds = {
        fault for seed in range(30)
        for fault in plan_of(designs()["raft"], Simulation(3, seed, settings={"reads": "lease"})).schedule.kinds
    }  # fmt: skip
    assert kinds == set(PROTOCOL.faults) - {"clock-drift", "clock-step"}


SEEDS = {
    "commit-older-term": 0, "vote-twice": 1, "forget-vote": 1, "vote-without-log-check": 1, "commit-without-quorum": 0,
    "stale-reads": 1, "truncate-committed": 0, "joint-one-majority": 6, "change-in-any-term": 9,
    "late-configuration": 0, "count-learners": 0, "read-index-without-quorum": 9, "old-snapshot": 6,
}  # fmt: skip
"""A seed at which each mutant shows in a short run; more seeds and longer runs are the sweep's."""


@pytest.mark.parametrize("mutant", BUGS)
def test_every_mutant_breaks_its_rule_and_its_check_finds_it(mutant: str) -> None:
    rule = BUGS[mutant].mutant.caught_by
    trace = simulate(Simulation(5, SEEDS[mutant], mutant=mutant, operations=100))
    rows = rows_of(trace)
    broken = Replay(rows).run() | ({"stale-read"} if stale_reads(rows) else set())
    assert ORACLE.get(rule, rule.removeprefix("raft.")) in broken
    assert checks()[rule].run(Execution(trace), Options()).verdict is Verdict.VIOLATED


@pytest.mark.parametrize("mutant", BUGS)
def test_what_gives_a_bug_its_opportunity_breaks_nothing_by_itself(mutant: str) -> None:
    """The faults, clients and settings of a mutant, and correct nodes."""
    design = designs()["raft"]
    bugs = {name: replace(bug, node=None) for name, bug in design.bugs.items()}
    rows = rows_of(run_design(replace(design, bugs=bugs), Simulation(5, SEEDS[mutant], mutant=mutant, operations=100)))
    assert Replay(rows).run() == set()
    assert stale_reads(rows) == []


def test_every_operation_is_completed_and_the_end_is_calm() -> None:
    trace = run(7, faults=("loss", "partition", "crash"))
    invoked = trace.is_kind(Kind.INVOKE).sum()
    completed = trace.is_kind(Kind.OK, Kind.FAIL, Kind.INFO)
    assert invoked == completed.sum() == 200
    time = trace.get("true_time_ns")
    assert time is not None
    last = time.values[completed].max()
    assert 0.9 * SETTLE < time.values.max() - last <= SETTLE + THINK[1]
    faulty = trace.is_kind(Kind.FAULT, Kind.CRASH, Kind.RESTART)
    assert time.values[faulty].max() <= last + THINK[1], "all is healed once the clients are done"
    leaders = [row for row in rows_of(trace) if row.get("name") == "raft.append_entries" and row["true_time_ns"] > last]
    assert leaders, "heartbeats go on"


def test_an_operation_that_nobody_answers_is_left_open_and_its_process_ends() -> None:
    trace = simulate(Simulation(2, 4, faults=("crash", "loss"), operations=400))
    rows = [row for row in rows_of(trace) if "op" in row]
    open_ends = [row["process"] for row in rows if row["kind"] == "info"]
    assert open_ends, "the seed must show the case"
    for process in open_ends:
        mine = [row for row in rows if row["process"] == process]
        assert mine[-1]["kind"] == "info"
    kinds = {process: [r["kind"] for r in rows if r["process"] == process] for process in {r["process"] for r in rows}}
    for process, sequence in kinds.items():
        assert all(kind == "invoke" for kind in sequence[::2]), f"{process} is not sequential"
        assert all(kind != "invoke" for kind in sequence[1::2]), f"{process} is not sequential"


def test_written_values_are_unique() -> None:
    rows = rows_of(run(2))
    writes = [row for row in rows if row["kind"] == "invoke" and row["f"] != "read"]
    values = [row["value"].strip("[]").split(",")[-1] for row in writes]
    assert len(values) == len(set(values)) > 50


def test_a_cas_may_fail_and_may_succeed() -> None:
    ends = [row["kind"] for row in rows_of(simulate(Simulation(5, 1, faults=()))) if row.get("f") == "cas"]
    assert ends.count("ok") > 20
    assert ends.count("fail") > 20


def test_what_the_trace_declares() -> None:
    trace = simulate(Simulation(5, 9, "sync", ("loss", "slow"), operations=20, clients=3))
    declared = trace.run
    assert declared.command == (
        "tracekit simulate raft --nodes 5 --seed 9 --network sync --faults loss,slow --clients 3 --operations 20 "
        "-o run.parquet"
    )
    assert (declared.protocol, declared.seed, declared.n, declared.f, declared.model) == ("raft", 9, 5, 2, "kv")
    assert declared.claims == ("clock.*", "channel.delivery", "raft.*", "consistency.linearizable")
    assert declared.other["faults"] == ["loss", "slow"]
    assert declared.other["settings"] == {name: setting.default for name, setting in PROTOCOL.settings.items()}
    assert set(declared.coverage) == set(trace.processes) - {"nemesis"}
    assert declared.bounds == {}, "a slow node keeps no bound"
    assert simulate(Simulation(5, 9, "sync", (), operations=20)).run.bounds == {"delay_ns": 10_000_000}


@pytest.mark.parametrize("mutant", BUGS)
def test_claims_are_the_same_under_a_mutant(mutant: str) -> None:
    assert simulate(Simulation(3, 0, mutant=mutant, operations=5)).run.claims == PROTOCOL.claims


def test_a_synchronous_network_keeps_its_bound() -> None:
    trace = simulate(Simulation(5, 4, "sync", ("loss", "duplication", "reordering", "partition"), operations=200))
    sent: dict[int, int] = {}
    delays = []
    for row in rows_of(trace):
        if row["kind"] == "send":
            sent[row["message"]] = row["true_time_ns"]
        elif row["kind"] == "receive":
            delays.append(row["true_time_ns"] - sent[row["message"]])
    assert min(delays) > 0
    assert max(delays) <= trace.run.bounds["delay_ns"]


def test_a_run_without_operations_ends() -> None:
    trace = simulate(Simulation(3, 0, operations=0))
    assert not trace.is_kind(Kind.INVOKE).any()
    assert np.isin("raft.become_leader", list(trace.names))
