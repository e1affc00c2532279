"""Makes every sample trace anew: ``python sample_traces/generate.py`` writes the files and MANIFEST.toml.

Simulated samples say the command that makes them; the others are written out below, event by event, each the smallest
execution that shows its anomaly. A test makes them all again and compares tables, metadata and verdicts.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tracekit.analysis import analyze
from tracekit.protocols import Simulation, protocols
from tracekit.results import Result
from tracekit.trace.builder import TraceBuilder
from tracekit.trace.parquet import read_parquet, write_parquet
from tracekit.trace.run import Run
from tracekit.trace.trace import Trace

FOLDER = Path(__file__).parent
Row = dict[str, Any]


@dataclass(frozen=True)
class Sample:
    """One file: what it shows, the check and the anomaly that it is about, and how it is made."""

    name: str
    about: str
    check: str
    anomaly: str
    make: Callable[[], Trace]
    command: str = "written out in sample_traces/generate.py"
    seed: int | None = None


def simulated(name: str, about: str, check: str, anomaly: str, settings: Simulation, protocol: str = "raft") -> Sample:
    """A run of a reference protocol; file and command are named after each other."""
    words = ["tracekit", "simulate", protocol, "--nodes", str(settings.nodes), "--seed", str(settings.seed)]
    words += ["--mutant", settings.mutant] if settings.mutant else []
    words += ["--clients", str(settings.clients), "--operations", str(settings.operations), "-o", f"{name}.parquet"]
    return Sample(
        name,
        about,
        check,
        anomaly,
        lambda: protocols()[protocol].simulate(settings, None),
        shlex.join(words),
        settings.seed,
    )


SIMULATED = (
    simulated(
        "raft-healthy", "Three nodes, two clients, ten operations under faults; everything holds.", "", "",
        Simulation(nodes=3, seed=1, operations=10, clients=2),
    ),
    simulated(
        "raft-figure8", "A leader commits an entry of an older term by counting copies (Figure 8 of the Raft paper).",
        "raft.commit-current-term", "older-term-committed-by-counting",
        Simulation(nodes=3, seed=10, mutant="commit-older-term", operations=6, clients=1),
    ),
    simulated(
        "raft-vote-twice", "A node votes twice in one term.", "raft.one-vote-per-term", "two-votes-in-term",
        Simulation(nodes=3, seed=8, mutant="vote-twice", operations=6, clients=1),
    ),
    simulated(
        "raft-forget-vote", "A node forgets its vote when it restarts, and votes again.", "raft.one-vote-per-term",
        "two-votes-in-term", Simulation(nodes=3, seed=78, mutant="forget-vote", operations=10, clients=2),
    ),
    simulated(
        "raft-vote-without-log-check", "A node votes for a candidate whose log lacks entries that it has.",
        "raft.vote-up-to-date", "vote-for-stale-candidate",
        Simulation(nodes=3, seed=29, mutant="vote-without-log-check", operations=6, clients=1),
    ),
    simulated(
        "raft-commit-without-quorum", "A leader commits an entry that only it has.", "raft.commit-quorum",
        "committed-without-quorum",
        Simulation(nodes=3, seed=0, mutant="commit-without-quorum", operations=6, clients=1),
    ),
    simulated(
        "raft-truncate-committed", "An old AppendEntries removes committed entries.", "raft.commit-stability",
        "committed-entry-lost", Simulation(nodes=3, seed=2, mutant="truncate-committed", operations=6, clients=1),
    ),
    simulated(
        "raft-stale-reads", "Nodes answer reads from what they have; a client reads a value that was overwritten.",
        "consistency.linearizable", "stale-read",
        Simulation(nodes=3, seed=3, mutant="stale-reads", operations=40, clients=2),
    ),
    simulated(
        "raft-joint-one-majority", "In joint consensus, a leader commits with the majority of the new members only.",
        "raft.commit-quorum", "committed-without-quorum",
        Simulation(nodes=3, seed=15, mutant="joint-one-majority", operations=20, clients=2),
    ),
    simulated(
        "raft-late-configuration", "A leader goes on with the old members until the change is committed.",
        "raft.configuration-in-use", "wrong-configuration-in-use",
        Simulation(nodes=3, seed=27, mutant="late-configuration", operations=20, clients=2),
    ),
    simulated(
        "raft-change-in-any-term", "A new leader removes a member before it has committed anything in its own term.",
        "raft.configuration-change", "change-before-own-term-committed",
        Simulation(nodes=3, seed=78, mutant="change-in-any-term", operations=20, clients=2),
    ),
    simulated(
        "raft-read-index-without-quorum", "A leader that is cut off answers reads without asking whether it leads.",
        "consistency.linearizable", "stale-read",
        Simulation(nodes=3, seed=86, mutant="read-index-without-quorum", operations=40, clients=4),
    ),
    simulated(
        "raft-old-snapshot", "A late snapshot, older than what the node has, is installed.", "raft.snapshot-safety",
        "snapshot-goes-back", Simulation(nodes=3, seed=89, mutant="old-snapshot", operations=20, clients=2),
    ),
)  # fmt: skip


PAXOS = tuple(
    simulated(
        f"paxos-{mutant or 'healthy'}", about, check, anomaly,
        Simulation(nodes=3, seed=seed, mutant=mutant, operations=4, clients=2), "paxos",
    )
    for mutant, seed, check, anomaly, about in (
        (None, 1, "", "", "Two clients put values forward in two instances; everything holds."),
        ("ignore-accepted", 36, "paxos.value-choice", "value-not-left-by-a-quorum",
         "A proposer is told of an accepted value and proposes its own."),
        ("forget-promise", 0, "paxos.promise-monotonic", "promise-lowered",
         "An acceptor restarts without its promise and makes a lower one."),
        ("accept-anything", 3, "paxos.promise-monotonic", "promise-broken",
         "An acceptor accepts a proposal below what it has promised."),
        ("reuse-ballot", 18, "paxos.unique-ballot", "ballot-begun-twice",
         "A proposer restarts and begins the same ballot again."),
        ("shared-numbers", 9, "paxos.unique-ballot", "ballot-of-two-proposers", "Two proposers use the same ballot."),
        ("small-quorum", 2, "paxos.quorum", "proposed-without-quorum",
         "A proposer proposes with its own promise only."),
        ("invent-value", 0, "paxos.validity", "value-never-put-forward", "A value is chosen that nobody put forward."),
    )
)  # fmt: skip


MULTI_PAXOS = tuple(
    simulated(
        f"multi-paxos-{mutant or 'healthy'}", about, check, anomaly,
        Simulation(nodes=3, seed=seed, mutant=mutant, operations=operations, clients=3 if operations > 9 else 2),
        "multi-paxos",
    )
    for mutant, seed, operations, check, anomaly, about in (
        (None, 1, 8, "", "", "Two clients of a replicated store with a leader; everything holds."),
        ("out-of-order", 26, 4, "smr.prefix", "applied-too-early",
         "A replica applies what it learns though an earlier command is missing."),
        ("apply-twice", 20, 36, "smr.exactly-once", "executed-again",
         "A replica replays its whole log onto the state of its checkpoint."),
        ("forget-session", 19, 8, "smr.exactly-once", "executed-again",
         "A request is chosen for two slots and executed twice."),
        ("non-deterministic", 12, 4, "smr.state", "states-differ", "The next state is a matter of chance."),
        ("ignore-reports", 23, 36, "paxos.value-choice", "value-not-left-by-a-quorum",
         "A new leader fills a slot with a no-op though a command was accepted there."),
        ("shifted-catch-up", 0, 4, "smr.slot-agreement", "different-commands-applied",
         "A replica that missed decisions is told those of the slots behind them."),
    )
)  # fmt: skip


def trace(rows: list[Row], processes: Sequence[str] = (), **run: Any) -> Trace:
    """Rows as a trace of the processes that occur, unless others are given."""
    builder = TraceBuilder(processes or list(dict.fromkeys(row["process"] for row in rows)), Run(**run))
    for row in rows:
        builder.add(row)
    return builder.build()


def ping(**changed: Row) -> list[Row]:
    """a sends a message to b, which receives it; b goes on. Clocks are right but for what is changed."""
    rows = {
        "first": {"process": "a", "kind": "internal", "lamport": 1, "vclock": [1, 0]},
        "send": {"process": "a", "kind": "send", "message": 7, "peer": "b", "lamport": 2, "vclock": [2, 0]},
        "receive": {"process": "b", "kind": "receive", "message": 7, "peer": "a", "lamport": 3, "vclock": [2, 1]},
        "last": {"process": "b", "kind": "internal", "lamport": 4, "vclock": [2, 2]},
    }
    return [{**row, **changed.get(name, {})} for name, row in rows.items()]


def clocks() -> Iterator[Sample]:
    """Mistakes in recorded clocks."""
    lamport, vector = "clock.lamport", "clock.vector"
    for name, about, check, anomaly, changed in (
        ("lamport-went-back", "b's Lamport clock falls from 3 to 2.", lamport, "clock-went-back",
         {"last": {"lamport": 2}}),
        ("lamport-receive-not-after-send", "b did not merge the sender's clock.", lamport, "receive-not-after-send",
         {"receive": {"lamport": 2}, "last": {"lamport": 3}}),
        ("vector-missing-merge", "b knows less of a than the message brought.", vector, "missing-merge",
         {"receive": {"vclock": [1, 1]}, "last": {"vclock": [1, 2]}}),
        ("vector-knowledge-from-the-future", "b knows more of a than the message can have brought.", vector,
         "knowledge-from-the-future", {"receive": {"vclock": [5, 1]}, "last": {"vclock": [5, 2]}}),
        ("vector-own-component-jumped", "b counts an event that it did not record.", vector, "own-component-jumped",
         {"last": {"vclock": [2, 5]}}),
    ):  # fmt: skip
        yield Sample(name, about, check, anomaly, partial(trace, ping(**changed)))
    for name, about, check, anomaly, rows, run in (
        ("lamport-missing-increment", "Two events of b have the same timestamp; its others show that events tick.",
         lamport, "missing-increment", [*ping(), *goes_on(5, 6, 7, 7)], {}),
        ("lamport-restart-reset", "b's clock begins anew when b restarts.", lamport, "restart-reset-clock",
         [*ping(), {"process": "b", "kind": "crash"}, {"process": "b", "kind": "restart", "lamport": 1}], {}),
        ("vector-restart-reset", "b's clock begins anew when b restarts.", vector, "restart-reset-clock",
         [*ping(), {"process": "b", "kind": "crash"}, {"process": "b", "kind": "restart", "vclock": [0, 1]}], {}),
        ("vector-unknown-process", "b knows an event of c, which has none.", vector, "unknown-process",
         ping(last={"vclock": [2, 2, 1]}), {"processes": ("a", "b", "c")}),
        ("vector-duplicate-event", "Two rows are event 1 of b.", vector, "duplicate-event",
         [{**row, "seq": seq} for row, seq in zip([*ping(), ping()[-1]], (0, 1, 0, 1, 1), strict=True)], {}),
        ("vector-missing-event", "Event 1 of b is missing, though b is declared recorded from start to end.", vector,
         "missing-event", [{**row, "seq": seq} for row, seq in zip(ping(last={"vclock": [2, 3]}), (0, 1, 0, 2),
                                                                  strict=True)],
         {"coverage": {process: {"start": True, "end": True} for process in "ab"}}),
    ):  # fmt: skip
        yield Sample(name, about, check, anomaly, partial(trace, rows, **run))


def hybrid_clocks() -> Iterator[Sample]:
    """A mistake in hybrid clocks: b's own clock is behind a's, and b does not take what the message brings."""
    plain = [{k: v for k, v in row.items() if k not in ("lamport", "vclock")} for row in ping()]
    stamps = ((1000, 0), (1000, 1), (990, 0), (991, 0))
    rows = [{**row, "hlc.physical_ns": at, "hlc.logical": c} for row, (at, c) in zip(plain, stamps, strict=True)]
    yield Sample(
        "hybrid-receive-not-after-send", "b did not merge the hybrid clock that a's message brought.", "clock.hybrid",
        "receive-not-after-send", partial(trace, rows),
    )  # fmt: skip


def goes_on(*stamps: int) -> list[Row]:
    """Internal events of b with these Lamport timestamps."""
    return [{"process": "b", "kind": "internal", "lamport": stamp} for stamp in stamps]


def channels() -> Iterator[Sample]:
    """What channels may not do."""
    plain = [{k: v for k, v in row.items() if k not in ("lamport", "vclock")} for row in ping()]
    send, receive = plain[1], plain[2]
    reliable = {"channels": {"reliable": True}}
    for anomaly, about, rows, run in (
        ("received-but-never-sent", "b receives a message that nobody sent.", [receive], {}),
        ("wrong-receiver", "A message for b arrives at c.", [send, {**receive, "process": "c"}], {}),
        ("wrong-sender", "b takes a's message for one of c.", [send, {**receive, "peer": "c"}], {}),
        ("received-before-sent", "Two messages are each received before they were sent.", [
            {"process": "a", "kind": "receive", "message": 2}, {"process": "a", "kind": "send", "message": 1},
            {"process": "b", "kind": "receive", "message": 1}, {"process": "b", "kind": "send", "message": 2}], {}),
        ("contents-changed", "A message says term 3 when sent and term 4 when received.",
         [{**send, "raft.message_term": 3}, {**receive, "raft.message_term": 4}], {"claims": ("channel.delivery",)}),
        ("delivered-twice", "A message arrives twice; reliable was declared.", [send, receive, receive], reliable),
        ("never-delivered", "A message never arrives on a channel declared reliable, though the run came to rest.",
         [send], {**reliable, "quiescent": True}),
    ):  # fmt: skip
        yield Sample(f"channel-{anomaly}", about, "channel.delivery", anomaly, partial(trace, rows, **run))


def declared_bounds() -> Iterator[Sample]:
    """What is wrong only because the run declares more than channels and clocks give by themselves."""
    plain = [{k: v for k, v in row.items() if k not in ("lamport", "vclock")} for row in ping()]
    send, receive = plain[1], plain[2]
    late = [{**send, "time_ns": 1_000_000}, {**receive, "time_ns": 31_000_000}]
    for name, about, check, anomaly, rows, run in (
        ("channel-overtaken", "Message 8 overtakes message 7 on a channel declared FIFO.", "channel.fifo", "overtaken",
         [send, {**send, "message": 8}, {**receive, "message": 8}, receive], {"channels": {"fifo": True}}),
        ("clock-skew-beyond-bound", "b's clock shows 7 ms less than a's at the send; at most 5 ms are declared.",
         "clock.physical", "skew-beyond-bound",
         [{**send, "time_ns": 20_000_000}, {**receive, "time_ns": 13_000_000}], {"bounds": {"skew_ns": 5_000_000}}),
        ("timing-late-message", "A message takes 30 ms; at most 20 ms are declared, and clocks that differ by 1 ms.",
         "timing.synchrony", "late-message", late, {"bounds": {"delay_ns": 20_000_000, "skew_ns": 1_000_000}}),
    ):  # fmt: skip
        yield Sample(name, about, check, anomaly, partial(trace, rows, **run))


def node(process: str, name: str, **fields: Any) -> Row:
    """An event of a Raft node, with the fields that it carries."""
    return {
        "process": process,
        "kind": "internal",
        "name": f"raft.{name}",
        **{f"raft.{k}": v for k, v in fields.items()},
    }


def log(start: int, *terms: int, digests: str | None = None) -> Row:
    """A log change: entries of these terms from an index on; commands are named after their place unless given."""
    commands = [f"x{start + i}" for i in range(len(terms))] if digests is None else list(digests)
    return {"log_from": start, "entry_terms": list(terms), "entry_digests": commands}


def raft() -> Iterator[Sample]:
    """Breaches of Raft's rules that no mutant of the reference implementation shows by itself."""
    for anomaly, check, about, rows in (
        ("two-leaders-in-term", "raft.election-safety", "n1 and n2 both lead term 4.", [
            node("n1", "become_leader", term=4, role="leader"), node("n2", "become_leader", term=4, role="leader")]),
        ("leader-rewrote-log", "raft.leader-append-only", "The leader of term 2 replaces its own entry 1.", [
            node("n1", "become_leader", term=2, role="leader"), node("n1", "propose", **log(1, 2, digests="a")),
            node("n1", "propose", **log(1, 2, digests="b"))]),
        ("same-entry-different-command", "raft.log-matching", "Two logs hold different commands at index 1, term 2.", [
            node("n1", "append_entries", term=2, **log(1, 2, digests="a")),
            node("n2", "append_entries", term=2, **log(1, 2, digests="b"))]),
        ("same-entry-different-prefix", "raft.log-matching", "Two logs agree on entry 2 and differ before it.", [
            node("n1", "append_entries", term=2, **log(1, 1, 2, digests="ac")),
            node("n2", "append_entries", term=2, **log(1, 2, 2, digests="bc"))]),
        ("committed-entry-missing", "raft.leader-completeness", "The leader of term 3 lacks what term 2 committed.", [
            node("n1", "init", term=1, commit=0, **log(1)), node("n2", "init", term=1, commit=0, **log(1)),
            node("n1", "become_leader", term=2, role="leader"), node("n1", "propose", **log(1, 2)),
            node("n1", "commit", commit=1), node("n2", "become_leader", term=3, role="leader")]),
        ("different-entries-applied", "raft.state-machine-safety", "n1 and n2 apply different entries at index 1.", [
            node("n1", "apply", apply_index=1, apply_term=2, apply_digest="a"),
            node("n2", "apply", apply_index=1, apply_term=3, apply_digest="b")]),
        ("term-decreased", "raft.term-monotonic", "n1 goes from term 3 back to term 2.", [
            node("n1", "state", term=3), node("n1", "state", term=2)]),
        ("commit-index-decreased", "raft.commit-index-monotonic", "n1's commit index falls from 5 to 4.", [
            node("n1", "state", term=1, commit=5), node("n1", "state", term=1, commit=4)]),
        ("leader-without-quorum", "raft.leader-quorum", "n1 of three leads with its own vote only.", [
            node("n2", "state", term=0, role="follower", vote=""),
            node("n3", "state", term=0, role="follower", vote=""),
            node("n1", "become_candidate", term=1, role="candidate", vote="n1"),
            node("n1", "become_leader", term=1, role="leader", vote="n1"),
            {"process": "n1", "kind": "send", "message": 1, "peer": "n2", "name": "raft.append_entries"},
            {"process": "n2", "kind": "receive", "message": 1, "peer": "n1", "name": "raft.append_entries"},
            {"process": "n2", "kind": "send", "message": 2, "peer": "n1", "name": "raft.append_entries_response"},
            {"process": "n1", "kind": "receive", "message": 2, "peer": "n2", "name": "raft.append_entries_response"}]),
        ("configurations-apart", "raft.configuration-change", "n1 replaces two of three voters in one step.", [
            node("n1", "init", term=1, commit=0, voters=["n1", "n2", "n3"], **log(1)),
            node("n1", "become_leader", term=2, role="leader", **log(1, 2)), node("n1", "commit", commit=1),
            node("n1", "change_configuration", voters=["n1", "n4", "n5"], **log(2, 2, digests="c"),
                 entry_configurations=["n1 n4 n5"])]),
        ("change-before-last-committed", "raft.configuration-change", "n1 removes two voters one after the other.", [
            node("n1", "init", term=1, commit=0, voters=["n1", "n2", "n3"], **log(1)),
            node("n1", "become_leader", term=2, role="leader", **log(1, 2)), node("n1", "commit", commit=1),
            node("n1", "change_configuration", voters=["n1", "n2"], **log(2, 2, digests="c"),
                 entry_configurations=["n1 n2"]),
            node("n1", "change_configuration", voters=["n1"], **log(3, 2, digests="d"), entry_configurations=["n1"])]),
        ("snapshot-contradicts-log", "raft.snapshot-safety", "n2's snapshot ends with another entry than n1 applied.", [
            node("n1", "apply", commit=1, apply_index=1, apply_term=1, apply_digest="a"),
            node("n2", "take_snapshot", commit=1, snapshot_index=1, snapshot_term=2)]),
        ("snapshots-differ", "raft.snapshot-safety", "Two snapshots up to one entry have different states.", [
            node("n1", "take_snapshot", commit=1, snapshot_index=1, snapshot_term=1, snapshot_digest="a"),
            node("n2", "take_snapshot", commit=1, snapshot_index=1, snapshot_term=1, snapshot_digest="b")]),
        ("snapshot-of-uncommitted", "raft.snapshot-safety", "n1 takes a snapshot of an entry that is not committed.", [
            node("n1", "init", term=1, commit=0, **log(1)), node("n1", "become_leader", role="leader", **log(1, 1)),
            node("n1", "take_snapshot", snapshot_index=1, snapshot_term=1)]),
    ):  # fmt: skip
        n = len({row["process"] for row in rows})
        make = partial(trace, rows, protocol="raft", n=n, claims=(check,))
        yield Sample(f"raft-{anomaly}", about, check, anomaly, make)


def paxos() -> Iterator[Sample]:
    """Breaches of Paxos' rules that show most clearly in a few events."""
    learn: Row = {"kind": "internal", "name": "paxos.learn", "paxos.instance": 1}
    rows = [{"process": f"n{i}", **learn, "paxos.value": value} for i, value in ((1, "x"), (2, "y"))]
    check, anomaly = "paxos.agreement", "two-values-chosen"
    make = partial(trace, rows, protocol="paxos", claims=(check,))
    yield Sample(f"paxos-{anomaly}", "Two processes learn two values of one instance.", check, anomaly, make)


def history(*operations: tuple[str, str, Any, int, int]) -> list[Row]:
    """Operations (process, f, value, start, end) as invoke and ok events; the value of a read is what it returned."""
    rows: list[Row] = []
    for process, f, value, start, end in operations:
        asked = {
            "process": process,
            "kind": "invoke",
            "f": f,
            "time_ns": start,
            "value": None if f == "read" else value,
        }
        rows += [asked, {**asked, "kind": "ok", "time_ns": end, "value": value}]
    return sorted(rows, key=lambda row: int(row["time_ns"]))


def histories() -> Iterator[Sample]:
    """What clients of a register saw."""
    both = [("c1", "write", "1", 0, 100), ("c2", "write", "2", 0, 100)]
    for name, anomaly, about, operations in (
        ("stale-read", "stale-read", "A read returns 1 after the write of 2 had completed.", [
            ("c1", "write", "1", 0, 10), ("c1", "write", "2", 20, 30), ("c2", "read", "1", 40, 50)]),
        ("read-goes-back", "stale-read", "A client reads 1, then 2, then 1 again, of two concurrent writes.", [
            *both, ("c3", "read", "1", 10, 20), ("c3", "read", "2", 30, 40), ("c3", "read", "1", 50, 60)]),
        ("unwritten-value", "unwritten-value", "A read returns 9, which nobody wrote.", [
            ("c1", "write", "1", 0, 10), ("c2", "read", "9", 20, 30)]),
        ("read-before-write", "read-before-write", "A read returns 1 before its write began.", [
            ("c2", "read", "1", 0, 10), ("c1", "write", "1", 20, 30)]),
        ("two-cas", "no-linearization", "Of two compare-and-set from 1, both succeed.", [
            ("c1", "write", "1", 0, 10), ("c1", "cas", "[1,2]", 20, 40), ("c2", "cas", "[1,2]", 25, 45)]),
    ):  # fmt: skip
        rows = history(*operations)
        model = "cas-register" if name == "two-cas" else "register"
        make = partial(trace, rows, model=model)
        yield Sample(f"history-{name}", about, "consistency.linearizable", anomaly, make)


def session_rows(text: str) -> list[Row]:
    """``s1 w x 1, s2 r x nil``: operations one after the other, each of a session, at a key."""
    rows: list[Row] = []
    for step in text.split(", "):
        process, f, key, value = step.split()
        common = {"process": process, "f": {"w": "write", "r": "read"}[f], "key": key}
        answer = {} if value == "nil" else {"value": int(value)}
        rows += [{**common, "kind": "invoke", **(answer if f == "w" else {})}, {**common, "kind": "ok", **answer}]
    return rows


def sessions() -> Iterator[Sample]:
    """What sessions of a store saw that weaker models forbid; the names of patterns are those of the papers."""
    for check, anomaly, about, text in (
        ("consistency.causal", "CyclicCO", "Each of two clients read what the other wrote only later.",
         "s1 r x 1, s1 w y 1, s2 r y 1, s2 w x 1"),
        ("consistency.causal", "ThinAirRead", "s2 reads 9, which nobody wrote.", "s1 w x 1, s2 r x 9"),
        ("consistency.causal", "WriteCOInitRead", "s2 knows y, which was written after x, and does not find x.",
         "s1 w x 1, s1 w y 1, s2 r y 1, s2 r x nil"),
        ("consistency.causal", "WriteCORead", "s3 knows the answer 2 to 1, and then reads 1.",
         "s1 w x 1, s2 r x 1, s2 w x 2, s3 r x 2, s3 r x 1"),
        ("consistency.causal-convergence", "CyclicCF", "s1 saw 2 replace 1, and s2 saw 1 replace 2.",
         "s1 w x 1, s2 w x 2, s1 r x 2, s2 r x 1"),
        ("consistency.causal-memory", "CyclicHB", "s2 saw 1 replace its 2, and then 2 again.",
         "s1 w x 1, s2 w x 2, s2 r x 1, s2 r x 2"),
        ("consistency.causal-memory", "WriteHBInitRead",
         "What s2 reads at the end puts the write of z before its read of nothing there.",
         "s1 w z 1, s1 w x 1, s1 w y 1, s2 w x 2, s2 r z nil, s2 r y 1, s2 r x 2"),
        ("consistency.pram", "CyclicPRAM", "s2 sees s1's writes in the wrong order.",
         "s1 w x 1, s1 w x 2, s2 r x 2, s2 r x 1"),
        ("consistency.pram", "WritePRAMInitRead", "s2 sees the second write of s1 and not the first.",
         "s1 w x 1, s1 w y 1, s2 r y 1, s2 r x nil"),
        ("consistency.sequential", "CyclicOrder", "Both write, and neither finds what the other wrote.",
         "s1 w x 1, s2 w y 1, s1 r y nil, s2 r x nil"),
        ("session.read-your-writes", "own-write-not-seen", "s1 does not find its own write.", "s1 w x 1, s1 r x nil"),
        ("session.read-your-writes", "write-order-cycle", "s1 reads its first write after it saw its second one.",
         "s1 w x 1, s1 w x 2, s1 r x 2, s1 r x 1"),
        ("session.monotonic-reads", "value-lost", "s2 reads 1, and then nothing.", "s1 w x 1, s2 r x 1, s2 r x nil"),
        ("session.monotonic-reads", "write-order-cycle", "s3 reads 1, then 2, then 1 again.",
         "s1 w x 1, s2 w x 2, s3 r x 1, s3 r x 2, s3 r x 1"),
        ("session.monotonic-writes", "write-order-cycle", "s2 sees the first write of s1 replace the second.",
         "s1 w x 1, s1 w x 2, s2 r x 2, s2 r x 1"),
        ("session.writes-follow-reads", "write-order-cycle", "Each wrote after it had read what the other wrote.",
         "s1 r x 1, s1 w y 1, s2 r y 1, s2 w x 1"),
        ("consistency.eventual", "replicas-differ", "In the end s1 reads 1 and s2 reads 2.",
         "s1 w x 1, s2 w x 2, s1 r x 1, s2 r x 2"),
        ("consistency.eventual", "writes-lost", "In the end nobody finds what was written.",
         "s1 w x 1, s1 r x nil, s2 r x nil"),
        ("consistency.bounded-staleness", "read-too-stale", "s2 reads what was replaced twice; once is declared.",
         "s1 w x 1, s1 w x 2, s1 w x 3, s2 r x 1"),
    ):  # fmt: skip
        bounds = {"staleness_versions": 1} if check == "consistency.bounded-staleness" else {}
        run = {"claims": (check,), "quiescent": True, "model": "kv", "bounds": bounds}
        name = f"{check.partition('.')[2]}-{anomaly.lower()}"
        yield Sample(f"sessions-{name}", about, check, anomaly, partial(trace, session_rows(text), **run))
    replica: Row = {"kind": "internal", "name": "replica.deliver"}
    orders = {"n1": ("u1", "u2"), "n2": ("u2", "u1")}
    rows = [{"process": n, **replica, "replica.update": update} for n, order in orders.items() for update in order]
    rows += [{"process": n, **replica, "name": "replica.state", "replica.digest": n} for n in orders]
    check, anomaly = "consistency.strong-eventual", "states-differ"
    make = partial(trace, rows, claims=(check,))
    yield Sample(f"sessions-{anomaly}", "Two replicas have the same updates and another state.", check, anomaly, make)


def snapshot_row(process: str, name: str, kind: str = "internal", **fields: Any) -> Row:
    """A recording or a channel state of snapshot 1."""
    named = {"snapshot.id": 1, **{f"snapshot.{k}": v for k, v in fields.items()}}
    return {"process": process, "kind": kind, "name": f"snapshot.{name}", **named}


def message_rows(
    sender: str, receiver: str, message: int, name: str = "bank.transfer", **fields: Any
) -> tuple[Row, Row]:
    """A message's send and its receive."""
    named = {"name": name, "message": message, **{f"snapshot.{k}": v for k, v in fields.items()}}
    sent = {"process": sender, "kind": "send", "peer": receiver, **named}
    return sent, {"process": receiver, "kind": "receive", "peer": sender, **named}


def steps() -> dict[str, Row]:
    """What may happen while a, with 20 of 100, and b take a snapshot; 10 are on their way from b to a."""
    start = {"kind": "internal", "name": "snapshot.init"}
    rows: dict[str, Row] = {
        "init-a": {"process": "a", **start, "snapshot.outgoing": ["b"], "snapshot.total": 100},
        "init-b": {"process": "b", **start, "snapshot.outgoing": ["a"]},
        "record-a": snapshot_row("a", "record", value=20),
        "record-b": snapshot_row("b", "record", value=70),
        "state-a": snapshot_row("a", "channel_state", channel_from="b", messages=[7], value=10),
        "state-b": snapshot_row("b", "channel_state", channel_from="a", messages=[], value=0),
    }
    for name, message in {
        "marker-ab": message_rows("a", "b", 1, "snapshot.marker", id=1),
        "marker-ba": message_rows("b", "a", 2, "snapshot.marker", id=1),
        "again-ab": message_rows("a", "b", 3, "snapshot.marker", id=1),
        "money-ba": message_rows("b", "a", 7),
        "more-ba": message_rows("b", "a", 8),
        "money-ab": message_rows("a", "b", 9),
    }.items():
        rows[f"send-{name}"], rows[f"take-{name}"] = message
    return rows


def snapshots() -> Iterator[Sample]:
    """Breaches of the rules for snapshots, each in the smallest snapshot of two processes that shows it."""
    begin = "send-money-ba record-a send-marker-ab take-marker-ab record-b state-b send-marker-ba"
    end = "take-money-ba take-marker-ba state-a"
    answer = "record-b state-b send-marker-ba take-marker-ba"
    more = "take-marker-ba state-a"
    for anomaly, about, order, changed in (
        ("recorded-twice", "a records its state twice.", f"{begin} record-a {end}", {}),
        ("marker-before-recording", "a sends its marker before it records its state.",
         f"send-money-ba send-marker-ab record-a take-marker-ab record-b state-b send-marker-ba {end}", {}),
        ("two-markers", "a sends two markers.", f"{begin} send-again-ab take-again-ab {end}", {}),
        ("marker-not-sent", "b records its state and sends no marker.",
         "record-a send-marker-ab take-marker-ab record-b state-b", {}),
        ("message-before-marker", "a records its state, sends money and only then its marker.",
         f"record-a send-money-ab send-marker-ab take-money-ab take-marker-ab {answer}", {}),
        ("inconsistent-cut", "b's state has money that a's has not sent yet.",
         f"record-a send-marker-ab send-money-ab take-marker-ab take-money-ab {answer}", {}),
        ("recorded-late", "b takes a marker and goes on before it records its state.",
         f"send-money-ab record-a send-marker-ab take-marker-ab take-money-ab {answer}", {}),
        ("never-recorded", "b takes a marker and never records its state.",
         "record-a send-marker-ab take-marker-ab", {}),
        ("marker-lost", "a's marker never arrives.", "record-a send-marker-ab", {}),
        ("message-lost", "Money sent before the marker never arrives.",
         f"send-money-ab record-a send-marker-ab take-marker-ab {answer} state-a", {}),
        ("marker-overtook-message", "A marker arrives before money that was sent earlier.",
         f"send-money-ab record-a send-marker-ab take-marker-ab {answer} take-money-ab", {}),
        ("message-overtook-marker", "Money arrives before a marker that was sent earlier.",
         f"record-a send-marker-ab send-money-ab take-money-ab take-marker-ab {answer}", {}),
        ("first-channel-not-empty", "b records a message on the channel of its first marker.",
         f"{begin} {end}", {"state-b": {"snapshot.messages": [9]}}),
        ("channel-not-recorded", "a never records the state of its channel.",
         f"{begin} take-money-ba take-marker-ba", {}),
        ("channel-recorded-twice", "a records the state of its channel twice.", f"{begin} {end} state-a", {}),
        ("channel-closed-early", "a records the state of its channel before the marker comes.",
         f"{begin} take-money-ba state-a take-marker-ba", {}),
        ("message-missing-in-channel", "Money on its way is in no state.", f"{begin} {end}",
         {"state-a": {"snapshot.messages": []}}),
        ("phantom-message-in-channel", "A channel's state has a message that nobody sent.", f"{begin} {end}",
         {"state-a": {"snapshot.messages": [7, 8]}}),
        ("channel-out-of-order", "A channel's messages are recorded in another order than they came in.",
         f"send-money-ba send-more-ba {begin.removeprefix('send-money-ba ')} take-money-ba take-more-ba {more}",
         {"state-a": {"snapshot.messages": [8, 7]}}),
        ("total-not-conserved", "The recorded shares add up to 95 of 100.", f"{begin} {end}",
         {"record-b": {"snapshot.value": 65}}),
    ):  # fmt: skip
        check = "snapshot.chandy-lamport"
        rows = [{**steps()[step], **changed.get(step, {})} for step in ("init-a", "init-b", *order.split())]
        yield Sample(
            f"snapshot-{anomaly}", about, check, anomaly, partial(trace, rows, claims=(check,), quiescent=True)
        )


def colored_snapshots() -> Iterator[Sample]:
    """Breaches of the rules for snapshots with coloured messages: a sends b a message."""
    check, a, b = "snapshot.lai-yang", snapshot_row("a", "record"), snapshot_row("b", "record")
    white, red = message_rows("a", "b", 7, color=0), message_rows("a", "b", 7, color=1)
    for anomaly, about, rows in (
        ("white-after-recording", "a has recorded its state and sends a white message.", [a, *white, b]),
        ("red-before-recording", "a has not recorded its state and sends a red message.", [red[0], a, b, red[1]]),
        ("red-message-taken-white", "b takes a red message before it records its state.", [a, *red, b]),
    ):
        states = [snapshot_row(q, "channel_state", channel_from=p, messages=[]) for p, q in ("ab", "ba")]
        yield Sample(f"snapshot-{anomaly}", about, check, anomaly, partial(trace, [*rows, *states], claims=(check,)))


def lock_row(process: str, name: str, **fields: Any) -> Row:
    """An event about lock l1; its times and its place in one recorder's order go by their own names."""
    plain = {k: fields.pop(k) for k in ("index", "time_ns") if k in fields}
    named = {f"lock.{k}": v for k, v in {"name": "l1", **fields}.items()}
    return {"process": process, "kind": "internal", "name": f"lock.{name}", **plain, **named}


def locks() -> Iterator[Sample]:
    """Breaches of the rules for locks: a server, two clients, and a storage that they write to."""
    first, second = {"holder": "c1", "token": 1}, {"holder": "c2", "token": 2}
    lease = {"lease_ns": 400_000_000}
    expired = [lock_row("server", "grant", **first), lock_row("server", "expire", **first)]
    for anomaly, check, about, rows in (
        ("held-by-two", "lock.mutual-exclusion", "The server grants the lock to c2 while c1 has it.", [
            lock_row("server", "grant", **first), lock_row("server", "grant", **second),
            lock_row("server", "release", **first)]),
        ("older-token-accepted", "lock.fencing", "The storage accepts token 1 after token 2.", [
            lock_row("storage", "accept", **second), lock_row("storage", "accept", **first)]),
        ("token-not-larger", "lock.fencing", "The lock is granted with token 2, and then with token 1.", [
            lock_row("server", "grant", **second), lock_row("server", "release", **second),
            lock_row("server", "grant", **first)]),
        ("token-given-twice", "lock.fencing", "c1 and c2 have the same token.", [
            *expired, lock_row("server", "grant", holder="c2", token=1)]),
        ("leases-overlap", "lock.lease", "c2 takes the lock to be its own while c1's lease goes on for 0.3 s.", [
            lock_row("c1", "acquire", token=1, time_ns=0, **lease),
            lock_row("c2", "acquire", token=2, time_ns=100_000_000, **lease)]),
        ("extended-after-expiry", "lock.lease", "The server extends a lease that it has let expire.", [
            *expired, lock_row("server", "extend", **first)]),
        ("released-by-other", "lock.owner-release", "c1, whose lease is over, gives back what c2 holds.", [
            *expired, lock_row("server", "grant", **second), lock_row("server", "release", by="c1", **second)]),
        ("granted-out-of-order", "lock.timestamp-order", "Timestamp 3 is granted before timestamp 2.", [
            lock_row("a", "grant", timestamp=3, index=0), lock_row("a", "release", timestamp=3, index=1),
            lock_row("b", "grant", timestamp=2, index=2), lock_row("b", "release", timestamp=2, index=3)]),
    ):  # fmt: skip
        yield Sample(f"lock-{anomaly}", about, check, anomaly, partial(trace, rows, claims=(check,)))


LOCKS = (
    simulated(
        "lock", "A lock service of three servers, two clients and a storage; everything holds.", "", "",
        Simulation(nodes=3, seed=2, clients=2, operations=8), "lock",
    ),
    simulated(
        "lamport-mutex", "Three processes exclude each other after Lamport; everything holds.", "", "",
        Simulation(nodes=3, seed=1, operations=9), "lamport-mutex",
    ),
    *locks(),
)  # fmt: skip

HEALTHY_SNAPSHOTS = tuple(
    simulated(
        name, f"Three processes of a bank and their snapshots after {who}; everything holds.", "", "",
        Simulation(nodes=3, seed=1, operations=12), name,
    )
    for name, who in (("chandy-lamport", "Chandy and Lamport"), ("lai-yang", "Lai and Yang"))
)  # fmt: skip


def site(process: str, name: str, kind: str = "internal", **fields: Any) -> Row:
    """What a process does about transaction t7."""
    plain = ("message", "peer")
    named = {k if k in plain else f"commit.{k}": v for k, v in {"txn": "t7", **fields}.items()}
    return {"process": process, "kind": kind, "name": f"commit.{name}", **named}


def told(sender: str, receiver: str, message: int, name: str, said: Row | None = None, **fields: Any) -> list[Row]:
    """A message about t7: `said` is in it, `fields` are what the receiver does then."""
    said = {f"message_{k}": v for k, v in (said or {}).items()}
    sent = site(sender, name, "send", message=message, peer=receiver, **said)
    return [sent, site(receiver, name, "receive", message=message, peer=sender, **said, **fields)]


def earlier(rows: list[Row]) -> list[Row]:
    """The same about t6, which shows that such events are recorded."""
    return [
        {**row, "commit.txn": "t6", **({"message": row["message"] + 100} if "message" in row else {})} for row in rows
    ]


def commitments() -> Iterator[Sample]:
    """Breaches of the rules of atomic commitment: n1 asks n2 for its vote on t7."""
    begin = site("n1", "begin", participants=["n1", "n2"], vote="yes", held=["k1"])
    asked = [begin, *told("n1", "n2", 1, "vote_request", vote="yes", held=["k2"])]
    voted = [*asked, *told("n2", "n1", 2, "vote", {"vote": "yes"})]
    crash, restart = ({"process": "n1", "kind": kind, "name": f"commit.{kind}"} for kind in ("crash", "restart"))
    commit, abort = site("n1", "decide", decision="commit"), site("n1", "decide", decision="abort")
    taken = told("n1", "n2", 3, "decision", {"decision": "commit"}, decision="commit")
    ready = site("n1", "pre_commit", committable=True)
    pre = told("n1", "n2", 3, "pre_commit", committable=True)
    ack, decided = told("n2", "n1", 4, "pre_commit_ack"), told("n1", "n2", 5, "decision", decision="commit")
    for anomaly, rule, about, rows in (
        ("different-decisions", "agreement", "n1 commits; n2 has waited too long and aborts.",
         [*voted, commit, site("n2", "decide", decision="abort", reason="it has waited too long")]),
        ("decision-reversed", "irrevocable", "n1 commits, crashes, and aborts.",
         [*voted, commit, crash, restart, abort]),
        ("vote-changed", "one-vote", "n2 votes yes, is asked again and votes no.",
         [*asked, *told("n1", "n2", 4, "vote_request", vote="no", reason="k2 is locked by t7")]),
        ("committed-despite-no", "validity", "n1 commits although n2 has voted no.",
         [begin, *told("n1", "n2", 1, "vote_request", vote="no"), *told("n2", "n1", 2, "vote", {"vote": "no"}),
          commit]),
        ("committed-without-vote", "validity", "n1 commits without any vote of n2.",
         [*earlier([*voted, commit, *taken]), begin, *told("n1", "n2", 1, "vote_request"), commit]),
        ("committed-before-vote", "validity", "n1 commits before it has the vote of n2, which is yes.",
         [begin, commit, *told("n1", "n2", 1, "vote_request", vote="yes"), *told("n2", "n1", 2, "vote")]),
        ("aborted-without-reason", "commit-when-possible", "Both vote yes, nothing fails, and n1 aborts.",
         [*voted, abort]),
        ("never-decided", "termination", "The decision does not reach n2, which never asks.",
         [*earlier([*voted, commit, *taken]), *voted, commit, taken[0]]),
        ("committed-before-pre-commit", "pre-commit", "n1 commits before n2 has acknowledged its pre-commit.",
         [*earlier([*voted, ready, *pre, *ack, commit, *decided]), *voted, ready, pre[0], commit, pre[1], *ack]),
    ):  # fmt: skip
        check = f"atomic-commit.{rule}"
        make = partial(trace, rows, n=2, claims=(check,), quiescent=True)
        yield Sample(f"commit-{anomaly}", about, check, anomaly, make)


HEALTHY_COMMITMENTS = (
    simulated(
        "two-phase-commit", "Three sites commit and abort transactions in two phases under faults; everything holds.",
        "", "", Simulation(nodes=3, seed=3, operations=10, clients=2), "two-phase-commit",
    ),
    simulated(
        "three-phase-commit", "Three sites commit and abort transactions in three phases under crashes; everything "
        "holds.", "", "", Simulation(3, 8, "sync", operations=10, clients=2), "three-phase-commit",
    ),
)  # fmt: skip

SAMPLES: tuple[Sample, ...] = (
    *SIMULATED, *HEALTHY_SNAPSHOTS, *clocks(), *hybrid_clocks(), *channels(), *declared_bounds(), *raft(), *snapshots(),
    *colored_snapshots(), *histories(), *sessions(),
    *PAXOS, *paxos(),
    *MULTI_PAXOS,
    *HEALTHY_COMMITMENTS, *commitments(),
    *LOCKS,
)  # fmt: skip


def entry(sample: Sample, result: Result) -> str:
    """The sample's part of the manifest."""
    lines = ["[[sample]]", f'path = "{sample.name}.parquet"', f"about = {_quoted(sample.about)}"]
    lines += [f"command = {_quoted(sample.command)}"]
    lines += [f"seed = {sample.seed}"] if sample.seed is not None else []
    lines += [f'shows = "{sample.check}: {sample.anomaly}"'] if sample.check else []
    lines += [f"events = {result.trace.events}", f'verdict = "{result.verdict}"', f"exit_code = {result.exit_code}"]
    lines += ["", "[sample.required]"]
    lines += [f'"{check.check}" = "{check.verdict}"' for check in result.required]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return "'" + text + "'" if "'" not in text else '"' + text + '"'


def main() -> None:
    """Writes every trace and the manifest."""
    parts = ["# Sample traces: what each shows, how it is made again, and the verdict of every required check.\n"]
    for sample in SAMPLES:
        path = FOLDER / f"{sample.name}.parquet"
        write_parquet(sample.make(), path)
        parts.append(entry(sample, analyze(read_parquet(path))))
    (FOLDER / "MANIFEST.toml").write_text("\n".join(parts))


if __name__ == "__main__":
    main()
