"""Runs and results made by hand for the tests of the reports."""

from __future__ import annotations

from typing import Any

from tracekit.execution import Execution
from tracekit.results import CheckResult, Result, TraceSummary, Violation
from tracekit.trace.builder import TraceBuilder
from tracekit.trace.run import Run
from tracekit.trace.trace import SetAside, SetAsides, Trace

MILLISECOND = 1_000_000


class Script:
    """A small run written down event by event, with the clock of a simulator."""

    def __init__(self, processes: tuple[str, ...], run: Run | None = None) -> None:
        self.builder = TraceBuilder(processes, run)
        self.now = 0
        self.seq: dict[str, int] = {}

    def event(self, process: str, kind: str, name: str | None = None, step: int = 3, **fields: Any) -> int:
        """Adds an event some milliseconds later; returns its row. Field names write ``__`` for the dot."""
        self.now += step * MILLISECOND
        seq = self.seq.get(process, 0)
        self.seq[process] = seq + 1
        record = {key.replace("__", "."): value for key, value in fields.items()}
        return self.builder.add(
            {"process": process, "seq": seq, "kind": kind, "name": name, "true_time_ns": self.now, **record}
        )

    def message(
        self, sender: str, receiver: str, name: str, identity: str, step: int = 3, **received: Any
    ) -> tuple[int, int]:
        """Sends a message and receives it; what is given is recorded with the receive. Returns both rows."""
        sent = self.event(sender, "send", name, step, message=identity, peer=receiver)
        return sent, self.event(receiver, "receive", name, 4, message=identity, peer=sender, **received)


def summary(trace: Trace, path: str, title: str) -> TraceSummary:
    """What a result says of its trace."""
    return TraceSummary(
        path=path,
        digest="",
        events=len(trace),
        processes=trace.processes,
        set_aside=trace.set_aside.count,
        set_aside_counts=trace.set_aside.counts,
        title=title,
        set_aside_first=tuple(
            {"place": s.place, "reason": s.reason, "text": s.text, "field": s.field} for s in trace.set_aside.first
        ),
    )


def figure8() -> tuple[Result, Execution]:
    """Raft's Figure 8: a leader commits an entry of an older term by counting copies."""
    nodes = ("n1", "n2", "n3", "n4", "n5")
    s = Script(
        nodes, Run(system="raft", seed=11, n=5, command="tracekit simulate raft --nodes 5 --seed 11 -o x.parquet")
    )
    for n in nodes:
        s.event(n, "internal", "raft.init", raft__term=1, raft__role="follower")
    _elect(s, "n1", nodes, 2, voters=("n2", "n3"))
    appended = s.event(
        "n1", "internal", "raft.propose", raft__log_from=2, raft__entry_terms=[2], raft__last_index=2, raft__term=2
    )
    _, stored2 = s.message(
        "n1", "n2", "raft.append_entries", "m-207", raft__message_entries=1, raft__log_from=2, raft__entry_terms=[2]
    )
    for k, n in enumerate(("n3", "n4", "n5")):
        s.event("n1", "send", "raft.append_entries", message=f"m-21{k}", peer=n, raft__message_entries=1)
    s.event("nemesis", "fault", "fault.partition", fault__groups=["n1 n2", "n3 n4 n5"])
    crashed = s.event("n1", "crash", "raft.crash", raft__term=2)
    _elect(s, "n5", nodes, 3, voters=("n3", "n4"))
    own = s.event("n5", "internal", "raft.propose", raft__log_from=2, raft__entry_terms=[3], raft__term=3)
    s.event("nemesis", "fault", "fault.heal", 20)
    s.event("n5", "crash", "raft.crash")
    s.event("n1", "restart", "raft.restart", 30, raft__term=2, raft__role="follower")
    leads = _elect(s, "n1", nodes, 4, voters=("n2", "n3"))
    _, stored3 = s.message(
        "n1",
        "n3",
        "raft.append_entries",
        "m-244",
        raft__message_entries=1,
        raft__log_from=2,
        raft__entry_terms=[2],
        raft__term=4,
    )
    sent, received = s.message("n3", "n1", "raft.append_entries_response", "m-251", raft__message_index=2)
    committed = s.event("n1", "internal", "raft.commit", raft__commit=2, raft__term=4)
    s.event("n1", "internal", "raft.apply", raft__apply_index=2, raft__apply_term=2)
    for k in range(24):
        s.message("n1", nodes[1 + k % 3], "raft.append_entries", f"h-{k}", 8)
    client = s.event("c1", "invoke", None, op=1, f="read", key="k7")
    s.event("c1", "info", None, op=1, f="read", key="k7")
    execution = Execution(s.builder.build(path="sample_traces/raft-figure8.parquet"))
    witness = execution.witness(
        [
            (appended, "appends entry 2, term 2"),
            (stored2, "stores it"),
            (crashed, "crashes"),
            (own, "leads term 3 and stores its own entry 2"),
            (leads, "leads term 4"),
            (stored3, "stores entry 2, term 2: now on n1, n2, n3"),
            (committed, "commits entry 2"),
        ]
    )
    edges = (
        execution.edge(appended, stored2, "message m-207"),
        execution.edge(own, leads, "n5 crashes, n1 restarts"),
        execution.edge(leads, stored3, "message m-244"),
        execution.edge(stored3, committed, "message m-251, acknowledgement"),
    )
    violation = Violation(
        "older-term-committed-by-counting",
        "n1, leader of term 4, committed entry 2 of term 2 by counting copies. A leader may commit by counting only "
        "entries of its own term.",
        witness,
        edges,
        {"leader": "n1", "term": 4, "entry_term": 2, "index": 2, "copies": ["n1", "n2", "n3"]},
        "none visible in this run. But n5's log ends in term 3, so n2, n3 and n4 may still elect n5, which would "
        "overwrite a committed entry.",
    )
    second = Violation(
        "older-term-committed-by-counting",
        "n1 did the same with an acknowledgement.",
        execution.witness([sent, received, committed]),
        (execution.edge(sent, received),),
    )
    orphan = Violation("outside", "An event that this recording does not hold.", execution.witness([client]))
    checks = (
        CheckResult(
            check="raft.commit-current-term",
            required=True,
            examined={"commits": 402},
            seconds=0.004,
            violations=(violation, second, orphan),
            violations_total=3,
            method="one pass over commits",
        ),
        CheckResult(
            check="consistency.linearizable",
            required=True,
            examined={"operations": 1042},
            seconds=60.0,
            reasons=("from 4.21 s, 38 operations on k7 overlap and 34 never got an answer; 60 s budget spent",),
            tried=("--check consistency.linearizable --budget 10m",),
            method="windowed search",
        ),
        *(
            CheckResult(
                check=name,
                required=True,
                examined={unit: count},
                seconds=0.002,
                method="one pass",
                certificate=certificate,
            )
            for name, unit, count, certificate in (
                ("clock.lamport", "events", 90, None),
                ("clock.vector", "events", 90, None),
                ("raft.election-safety", "elections", 3, {"leaders": {"2": "n1", "3": "n5", "4": "n1"}}),
                ("raft.log-matching", "log entries", 5210, None),
                ("raft.term-monotonic", "terms", 4, None),
            )
        ),
        CheckResult(
            check="consistency.sequential", examined={"operations": 1042}, implied_by=None, method="saturation"
        ),
        CheckResult(check="consistency.causal", implied_by="consistency.sequential"),
        CheckResult(
            check="channel.delivery",
            examined={"messages": 30},
            remark="30 sent: 27 received, 3 lost",
            facts={"sent": 30, "received": 27, "lost": 3},
        ),
        CheckResult(check="lock.mutual-exclusion", applicable=False),
    )
    result = Result(
        trace=summary(execution.trace, "sample_traces/raft-figure8.parquet", "raft: 5 nodes, 4 clients, seed 11"),
        checks=checks,
        rests_on=("order: message ids", "real time: the simulator's clock", "model: kv (declared)"),
        not_checked=("liveness", "9 families that have no events here (paxos, pbft, dht, ...)"),
        broken_assumptions=("n5 crashed with its disk",),
        seconds=61.4,
        tool="tracekit 0.1.0",
        command="tracekit analyze sample_traces/raft-figure8.parquet --report report.html",
        again="tracekit simulate raft --nodes 5 --seed 11 --mutant commit-older-term -o x.parquet",
    )
    return result, execution


def _elect(s: Script, leader: str, nodes: tuple[str, ...], term: int, voters: tuple[str, ...]) -> int:
    s.event(leader, "internal", "raft.become_candidate", 25, raft__term=term, raft__role="candidate", raft__vote=leader)
    for n in voters:
        s.message(
            leader, n, "raft.request_vote", f"v{term}-{n}", 2, raft__term=term, raft__vote=leader, raft__role="follower"
        )
        s.message(n, leader, "raft.request_vote_response", f"r{term}-{n}", 2, raft__message_term=term)
    for n in nodes:
        if n not in voters and n != leader:
            s.event(leader, "send", "raft.request_vote", message=f"v{term}-{n}", peer=n)
    return s.event(leader, "internal", "raft.become_leader", raft__term=term, raft__role="leader")


HOSTILE = (
    "<img src=x onerror=window.hit=1>",
    "</script><script>window.hit=2</script>",
    "{{7*7}}${7*7}",
    "a\u2028b\u2029c",
    "\u202egnp.exe",
    "&lt;b&gt;",
    "<!--<script>",
    "javascript:window.hit=3",
    "x" * 5000,
    "\ud800 lone",
    "<a href='https://example.org'>a</a>",
)
"""Texts that break out of badly escaped pages, and one that is very long."""


def hostile() -> tuple[Result, Execution]:
    """Every text that a trace can carry is hostile."""
    names = tuple(text.replace("\ud800", "\ufffd") for text in HOSTILE)
    s = Script(names)
    for k, name in enumerate(names):
        other = names[(k + 1) % len(names)]
        s.event(name, "internal", name, key=name, value=name, source=name, line=k, **{name.replace(".", "")[:40]: name})
        s.message(name, other, name, name, source=name, line=k)
    s.event("nemesis", "fault", names[0])
    set_aside = SetAsides({names[0]: 2}, (SetAside(names[1], names[0], names[2], names[3]),))
    execution = Execution(s.builder.build(path=names[0], set_aside=set_aside))
    rows = [0, 1, 2, 3]
    violation = Violation(
        names[0],
        names[1] + names[0],
        execution.witness([(r, names[r]) for r in rows]),
        (execution.edge(0, 1, names[0]),),
        {names[0]: names[1], "lone": HOSTILE[9]},
        names[1],
    )
    checks = (
        CheckResult(
            check="clock.lamport",
            required=True,
            examined={names[0]: 1},
            violations=(violation,),
            violations_total=1,
            method=names[1],
            facts={names[1]: names[0]},
            remark=names[0],
            certificate={names[0]: names[1]},
        ),
        CheckResult(check="channel.delivery", required=True, reasons=(names[0], names[4]), tried=(names[1],)),
        CheckResult(check="clock.vector", examined={"x": 1}, remark=names[0]),
    )
    result = Result(
        trace=summary(execution.trace, names[0], names[1]),
        checks=checks,
        rests_on=names,
        not_checked=names,
        broken_assumptions=names,
        command=names[0],
        again=names[1],
        tool=names[0],
    )
    return result, execution


def quiet(rounds: int = 10) -> tuple[Result, Execution]:
    """A run without violations: heartbeats of one leader; nine events a round."""
    nodes = ("n1", "n2", "n3")
    s = Script(nodes, Run(system="raft", n=3))
    for k in range(rounds):
        s.event("n1", "internal", "raft.become_leader" if k == 0 else "raft.state", raft__term=1, raft__role="leader")
        for n in ("n2", "n3"):
            s.message("n1", n, "raft.append_entries", f"a{k}-{n}", raft__term=1, raft__role="follower")
            s.message(n, "n1", "raft.append_entries_response", f"b{k}-{n}")
    execution = Execution(s.builder.build(path="quiet.parquet"))
    checks = (
        CheckResult(check="clock.lamport", required=True, examined={"events": 9 * rounds}),
        CheckResult(check="channel.delivery", examined={"messages": 4 * rounds}, remark="nothing lost"),
    )
    return Result(
        trace=summary(execution.trace, "quiet.parquet", "raft: 3 nodes"),
        checks=checks,
        rests_on=("order: message ids",),
        command="tracekit analyze quiet.parquet",
    ), execution


def stale_read() -> tuple[Result, Execution]:
    """A register: a read that began after a write had ended returns what was there before; one write stays open."""
    s = Script(("c1", "c2", "c3"), Run(model="register"))
    for op, value in enumerate((1, 2)):
        s.event("c1", "invoke", None, op=op, f="write", value=value)
        s.event("c1", "ok", None, op=op, f="write", value=value)
    s.event("c3", "invoke", None, op=0, f="write", value=3)
    s.event("c2", "invoke", None, op=0, f="read")
    s.event("c2", "ok", None, op=0, f="read", value=1)
    execution = Execution(s.builder.build(path="stale.parquet"))
    witness = execution.witness([(1, "writes 1"), (3, "writes 2"), (6, "reads 1")])
    violation = Violation("stale-read", "c2 read 1 after 2 had replaced it.", witness, (execution.edge(1, 3),))
    check = CheckResult(
        check="consistency.linearizable", required=True, examined={"operations": 4}, violations=(violation,),
        violations_total=1, facts={"key": None},
    )  # fmt: skip
    trace = summary(execution.trace, "stale.parquet", "3 clients")
    return Result(trace=trace, checks=(check,), rests_on=("model: register (declared)",)), execution
