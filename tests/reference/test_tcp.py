"""Real processes over TCP: what they record is right, bugs are caught there, and nothing is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from reference_impls.catalogue import designs, protocols
from reference_impls.runtime.effects import Effect, Note, Persist, SetTimer
from reference_impls.runtime.faults import FAULTS, Ambush
from reference_impls.runtime.plan import Bug, by_name
from reference_impls.runtime.process import Stable
from reference_impls.runtime.reference import RUNTIMES, plan_of, protocol_of, simulate
from reference_impls.runtime.schedule import Schedule
from reference_impls.runtime.tcp import processes, run
from reference_impls.runtime.world import Stage
from tests.reference.oracle import Replay, rows_of, stale_reads
from tracekit.analysis import analyze
from tracekit.errors import TracekitError
from tracekit.protocols import Mutant, Simulation
from tracekit.results import Verdict
from tracekit.trace.schema import NEMESIS
from tracekit.trace.trace import Trace

RAFT = protocols()["raft"]
SCHEDULES = Path(__file__).parent / "schedules"
OTHERS = [name for name, protocol in protocols().items() if "tcp" in protocol.transports and name != "raft"]
TIMED = [name for name in OTHERS if "async" not in designs()[name].networks]
"""Those whose promises rest on a bound on delay, which a machine does not give."""
REACHES = 20.0
"""Seconds that something may take which usually takes a moment; reached only on a machine that does nothing."""

needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds processes in /proc")


def over_tcp(nodes: int = 3, operations: int = 30, **more: object) -> Simulation:
    return Simulation(nodes, operations=operations, transport="tcp", **more)  # type: ignore[arg-type]


def scripted(name: str) -> tuple[str, ...]:
    return (str(SCHEDULES / f"{name}.toml"),)


def in_time(trace: Trace) -> list[dict[str, object]]:
    """Rows in the order of the machine's one clock, which oracles may take for true time."""
    rows = sorted(rows_of(trace), key=lambda row: row["time_ns"])
    return [{**row, "true_time_ns": row["time_ns"]} for row in rows]


@pytest.fixture(scope="module")
def trace() -> Trace:
    """Five nodes of Raft under kills, partitions and a pause."""
    return RAFT.simulate(over_tcp(5, 150, seed=1, faults=scripted("kills")), None)


class TestRaftUnderKillsAndPartitions:
    def test_every_check_holds_and_clients_saw_one_copy(self, trace: Trace) -> None:
        result = analyze(trace)
        assert {c.check: c.verdict for c in result.required if c.verdict is not Verdict.HOLDS} == {}
        assert result.exit_code == 0
        judged = {c.check for c in result.required}
        assert {"consistency.linearizable", "clock.vector", "channel.delivery", "raft.election-safety"} <= judged
        assert result.broken_assumptions == ()

    def test_no_rule_is_broken_row_by_row(self, trace: Trace) -> None:
        """That storage and log agree at every restart is one of the rules (log-recorded)."""
        rows = in_time(trace)
        assert Replay(rows).run() == set()
        assert stale_reads(rows) == []

    def test_the_faults_happened_and_are_recorded(self, trace: Trace) -> None:
        rows = in_time(trace)
        told = [(row["process"], row["kind"], row["name"]) for row in rows if row["kind"] in ("crash", "restart")]
        for name in ("n1", "n4"):
            assert [t for t in told if t[0] == name] == [
                (name, "crash", "raft.crash"),
                (name, "restart", "raft.restart"),
            ]
        faults = [row["name"] for row in rows if row["process"] == NEMESIS]
        assert faults[0] == "fault.partition"
        assert faults[-1] == "fault.heal"

    def test_what_the_trace_declares(self, trace: Trace) -> None:
        names = {row["process"] for row in rows_of(trace)} - {NEMESIS}
        assert trace.complete
        assert trace.inferred == ()
        assert "true_time_ns" not in trace
        assert "line" not in trace
        assert trace.run.coverage.items() >= {name: {"start": True, "end": True} for name in names}.items()
        assert {trace.run.clocks[name] for name in names} == {run.CLOCK}
        assert trace.run.claims == RAFT.claims
        assert trace.run.bounds == {}
        assert trace.run.command is not None
        assert "--transport tcp" in trace.run.command
        assert "one shared clock (declared)" in " ".join(map(str, analyze(trace).rests_on))


@pytest.mark.parametrize(
    ("mutant", "schedule", "operations"),
    [
        ("commit-without-quorum", "disorder", 60),
        ("truncate-committed", "disorder", 60),
        ("vote-without-log-check", "minorities", 200),
    ],
)
def test_mutants_are_caught_over_tcp(mutant: str, schedule: str, operations: int) -> None:
    """A seed does not decide what happens when: one run in three may miss its bug, eight runs do not."""
    caught_by = next(m.caught_by for m in RAFT.mutants if m.name == mutant)
    for seed in range(8):
        simulation = over_tcp(3, operations, seed=seed, mutant=mutant, faults=scripted(schedule))
        result = analyze(RAFT.simulate(simulation, None), check=["raft.*"])
        if caught_by in {c.check for c in result.checks if c.verdict is Verdict.VIOLATED}:
            return
    pytest.fail(f"{caught_by} did not see {mutant}")


@pytest.mark.parametrize("name", [name for name in OTHERS if name not in TIMED])
def test_every_protocol_that_runs_over_tcp_passes_its_checks_there(name: str) -> None:
    protocol = protocols()[name]
    names = [fault for fault in ("crash", "pause", "partition") if fault in protocol.faults]
    nodes = max(3, protocol.minimum_nodes)
    result = analyze(protocol.simulate(over_tcp(nodes, 20, faults=tuple(names)), None))
    assert {c.check: c.verdict for c in result.required if c.verdict is not Verdict.HOLDS} == {}
    assert result.exit_code == 0


def test_a_protocol_that_needs_a_bound_on_delay_is_told_that_there_is_none() -> None:
    protocol = protocols()[TIMED[0]]
    trace = protocol.simulate(over_tcp(operations=4, network="sync", faults=()), None)
    assert trace.run.broken_assumptions == (f"async network: {TIMED[0]} needs one that is sync",)


def test_a_lost_disk() -> None:
    trace = RAFT.simulate(over_tcp(3, 100, faults=("disk-loss",)), None)
    assert trace.run.broken_assumptions == ("disk-loss: raft does not claim to tolerate it",)
    assert any(row.get("name") == "raft.init" and row["kind"] == "restart" for row in rows_of(trace))


@pytest.mark.parametrize("name", ["raft", "abd", "chandy-lamport"])
def test_no_operations_at_all(name: str) -> None:
    trace = protocols()[name].simulate(over_tcp(2, 0), None)
    assert analyze(trace).exit_code == 0


class Ticker:
    """A client that does nothing but count, stably."""

    def __init__(self) -> None:
        self.count = 0

    def on_start(self, stable: Stable) -> Sequence[Effect]:
        self.count = stable.cells.get("count", 0)
        return [Note({"demo.count": self.count}, "demo.start"), SetTimer("tick", 10_000_000)]

    def on_timer(self, now_ns: int, name: str) -> Sequence[Effect]:
        self.count += 1
        again = SetTimer("tick", 10_000_000)
        return [Persist({"count": self.count}), Note({"demo.count": self.count}, "demo.tick"), again]

    def on_message(self, now_ns: int, sender: str, message: object) -> Sequence[Effect]:
        return []


class Ticking:
    """A workload of one such client, which is at risk, and of one that ends by itself."""

    def __init__(self, simulation: Simulation) -> None:
        self.ends: list[str] = []

    def begin(self, stage: Stage) -> None:
        self.stage = stage
        stage.start("t1", Ticker, at_risk=True)
        stage.later(500_000_000, self.over)

    def over(self) -> None:
        self.stage.heal()
        self.stage.end(100_000_000)

    def completed(self, operations: int) -> None: ...

    def ended(self, name: str) -> None: ...


def test_faults_strike_clients_that_are_at_risk(tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    path.write_text(
        """
        [[fault]]
        at = "100ms"
        fault = "crash"
        process = "t1"
        for = "50ms"
        [[fault]]
        at = "250ms"
        fault = "pause"
        process = "t1"
        time = "200ms"
        """
    )
    design = replace(designs()["eventual-kv"], workload=Ticking)
    trace = simulate(design, over_tcp(2, faults=(str(path),)))
    rows = [row for row in in_time(trace) if row["process"] == "t1"]
    turns = [(row["kind"], row["name"]) for row in rows if row["name"] != "demo.tick"]
    assert turns == [("internal", "demo.start"), ("crash", "eventual-kv.crash"), ("restart", "demo.start")]
    counts = [row["demo.count"] for row in rows if "demo.count" in row]
    assert counts == sorted(counts), "what was stable is found again"
    gaps = [b["time_ns"] - a["time_ns"] for a, b in pairwise(rows)]  # type: ignore[operator]
    assert max(gaps) > 150_000_000, "it stood still"


def test_an_ambush_waits_for_an_event_in_another_process() -> None:
    plan = plan_of(designs()["raft"], over_tcp(3, 40, faults=()))
    ambush = Ambush("raft.become_leader", chance=1.0, down_ns=50_000_000, times=2)
    trace = RUNTIMES["tcp"](replace(plan, schedule=Schedule(ambushes=(ambush,))))
    rows = in_time(trace)
    crashed = [row["process"] for row in rows if row["kind"] == "crash"]
    leaders = [row["process"] for row in rows if row.get("name") == "raft.become_leader"]
    assert crashed == leaders[: len(crashed)]
    assert len(crashed) == 2


class TestWhatCannotBeHad:
    @pytest.mark.parametrize("fault", ["clock-drift", "clock-step"])
    def test_clocks_of_their_own(self, fault: str, tmp_path: Path) -> None:
        path = tmp_path / "plan.toml"
        path.write_text(f"[[fault]]\nat = '1s'\nfault = '{fault}'\nprocess = 'n1'\ntime = '1s'\nrate = 1.1\n")
        if "rate" not in FAULTS[fault].needs:
            path.write_text(path.read_text().replace("rate = 1.1\n", ""))
        for faults in ((fault,), ("crash", fault), (str(path),)):
            with pytest.raises(TracekitError) as caught:
                RAFT.simulate(over_tcp(faults=faults), None)
            assert caught.value.code == "TK408"
            assert fault in caught.value.summary
            assert "crash" in str(caught.value.want)
            assert fault not in str(caught.value.want)

    def test_not_even_by_chance_or_for_a_mutant(self) -> None:
        raft = designs()["raft"]
        drawn = {kind for seed in range(60) for kind in plan_of(raft, over_tcp(seed=seed)).schedule.kinds}
        assert drawn == {fault for fault in raft.tolerates if not FAULTS[fault].simulated}
        bug = Bug(Mutant("m", "", ""), raft.node, ("clock-drift",))
        with pytest.raises(TracekitError, match="only be simulated"):
            plan_of(replace(raft, bugs=by_name(bug)), over_tcp(mutant="m"))

    def test_more_processes_than_a_machine_bears(self) -> None:
        with pytest.raises(TracekitError, match="too many nodes"):
            RAFT.simulate(over_tcp(1000), None)

    def test_a_schedule_of_somebody_else(self, tmp_path: Path) -> None:
        path = tmp_path / "plan.toml"
        path.write_text("[[fault]]\nat = '1s'\nfault = 'crash'\nprocess = 'n9'\n")
        with pytest.raises(TracekitError, match="n9, which takes no part"):
            RAFT.simulate(over_tcp(faults=(str(path),)), None)

    def test_a_protocol_that_only_runs_in_the_simulator(self) -> None:
        only = protocol_of(replace(designs()["raft"], transports=("sim",)))
        with pytest.raises(TracekitError) as caught:
            only.simulate(over_tcp(), None)
        assert caught.value.code == "TK402"


# Nothing is left


def children_of(pid: int) -> dict[int, str]:
    """Processes that a process has started, each with its state: R, S, T (stopped), Z (gone, not asked after)."""
    found = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                state, parent = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
            except OSError:
                continue  # it has just ended
            if int(parent) == pid:
                found[int(folder.name)] = state
    return found


def runs(pid: int) -> bool:
    """Whether the process is there and a node's."""
    try:
        return b"reference_impls.runtime.tcp.node" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def listening() -> set[str]:
    """Sockets of this process that listen."""
    own = {str(fd.readlink()) for fd in Path("/proc/self/fd").iterdir() if fd.is_symlink()}
    rows = [line.split() for line in Path("/proc/self/net/tcp").read_text().splitlines()[1:]]
    return {row[1] for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in own}


def wait_for(what: str, holds: object) -> None:
    assert callable(holds)
    end = time.monotonic() + REACHES
    while not holds():
        assert time.monotonic() < end, what
        time.sleep(0.02)


@needs_proc
class TestNothingIsLeft:
    @pytest.fixture(autouse=True)
    def nothing(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        """Whatever a test does: no process, no open socket, no file."""
        folder = tmp_path / "temporary"
        folder.mkdir()
        monkeypatch.setenv("TMPDIR", str(folder))
        monkeypatch.setattr("tempfile.tempdir", str(folder))
        before = set(children_of(os.getpid())), listening()
        yield
        assert (set(children_of(os.getpid())), listening()) == before
        assert list(folder.iterdir()) == []

    def test_after_a_run_that_listened(self, monkeypatch: pytest.MonkeyPatch) -> None:
        seen = []

        def look(done: int, total: int) -> None:
            seen.append((listening(), len(children_of(os.getpid()))))

        before = len(listening()), len(children_of(os.getpid()))
        protocols()["abd"].simulate(over_tcp(operations=10, faults=()), look)
        addresses, count = seen[-1]
        assert (len(addresses), count) == (before[0] + 1, before[1] + 3), "one socket listens for three processes"
        assert all(address.startswith("0100007F:") for address in addresses), "on 127.0.0.1 only"

    @pytest.mark.parametrize("function", ["on_timer", "on_message"])
    def test_after_an_error_in_a_node(self, function: str, monkeypatch: pytest.MonkeyPatch) -> None:
        failing = (sys.executable, "-P", "-m", "tests.reference.failing_node", function)
        monkeypatch.setattr(processes, "COMMAND", failing)
        with pytest.raises(TracekitError) as caught:
            RAFT.simulate(over_tcp(faults=()), None)
        assert caught.value.code == "TK409"
        assert "ZeroDivisionError: on purpose" in str(caught.value.found)
        assert str(caught.value.at).startswith("n")

    def test_after_a_node_that_cannot_start(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(processes, "COMMAND", (sys.executable, "-c", "raise SystemExit('no such thing')"))
        with pytest.raises(TracekitError, match="ended by itself") as caught:
            RAFT.simulate(over_tcp(faults=()), None)
        assert caught.value.found == "no such thing"

    def test_after_an_error_in_the_parent(self) -> None:
        def fails(done: int, total: int) -> None:
            raise ZeroDivisionError("on purpose")

        with pytest.raises(ZeroDivisionError, match="on purpose"):
            RAFT.simulate(over_tcp(faults=()), fails)

    def test_after_the_deadline(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(run, "deadline", lambda simulation: 2.0)
        with pytest.raises(TracekitError) as caught:
            RAFT.simulate(over_tcp(operations=1_000_000, faults=()), None)
        assert caught.value.code == "TK410"
        assert "of 1000000 operations" in str(caught.value.found)


COMMAND = """
import signal, sys
from tracekit.cli.main import main
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's job in the background ignores it
main(sys.argv[1:])
"""
ARGUMENTS = ["simulate", "raft", "--transport", "tcp", "--nodes", "3", "--operations", "1000000", "--faults", "none"]


@needs_proc
class TestInterruptions:
    @pytest.mark.parametrize(
        ("number", "code"),
        [(signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM)],
    )
    def test_the_run_ends_in_order(self, number: int, code: int, tmp_path: Path) -> None:
        parent, nodes = self.started(tmp_path)
        parent.send_signal(number)
        _, told = parent.communicate(timeout=REACHES)
        assert parent.returncode == code, told
        assert b"Traceback" not in told
        assert not any(map(runs, nodes))
        assert list(tmp_path.iterdir()) == [], "neither logs nor a trace"

    def test_a_parent_that_is_killed_takes_its_nodes_along_a_stopped_one_as_well(self, tmp_path: Path) -> None:
        parent, nodes = self.started(tmp_path)
        os.kill(nodes[0], signal.SIGSTOP)
        parent.kill()
        parent.wait()
        wait_for("the nodes end", lambda: not any(map(runs, nodes)))

    def test_a_node_that_is_killed_from_outside(self, tmp_path: Path) -> None:
        parent, nodes = self.started(tmp_path)
        os.kill(nodes[1], signal.SIGKILL)
        _, told = parent.communicate(timeout=REACHES)
        assert parent.returncode == 2
        assert b"error[TK409]" in told
        assert b"exit code -9" in told
        assert not any(map(runs, nodes))
        assert list(tmp_path.iterdir()) == []

    def started(self, folder: Path) -> tuple[subprocess.Popen[bytes], list[int]]:
        """A run in its midst, and its nodes."""
        parent = subprocess.Popen(
            [sys.executable, "-c", COMMAND, *ARGUMENTS, "-o", str(folder / "run.parquet")],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={**os.environ, "TMPDIR": str(folder)},
        )
        try:
            wait_for("clients record", lambda: any(log.stat().st_size > 5000 for log in folder.glob("*/c1.jsonl")))
        except BaseException:
            parent.kill()
            raise
        nodes = [pid for pid in children_of(parent.pid) if runs(pid)]
        assert len(nodes) == 3
        return parent, nodes
