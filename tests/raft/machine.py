"""A few processes that run something like Raft, driven by drawn numbers; drawn mistakes break its rules.

Every event is recorded with the state after it, log change included, as `tracekit.vocabulary.raft` says.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from tracekit.trace.builder import TraceBuilder
from tracekit.trace.run import Run
from tracekit.trace.trace import Trace

Entry = tuple[int, str]
Step = tuple[int, int, int, int]
Members = tuple[tuple[str, ...], tuple[str, ...]]
"""Voters, and those of the outgoing configuration."""
MISTAKES = 8
"""How often a step breaks its rule: once in so many, where mistakes are wanted."""


@dataclass
class Process:
    name: str
    term: int = 0
    role: str = "follower"
    vote: str = ""
    commit: int = 0
    applied: int = 0
    log: list[Entry] = field(default_factory=list)
    votes: set[str] = field(default_factory=set)
    stored: dict[str, int] = field(default_factory=dict)
    up: bool = True
    told: dict[str, Any] = field(default_factory=dict)
    members: Members = ((), ())

    @property
    def last(self) -> tuple[int, int]:
        return (self.log[-1][0] if self.log else 0), len(self.log)


class Machine:
    """Takes steps (what, who, which, mistake) and records them."""

    def __init__(self, processes: int, sparse: bool) -> None:
        names = [f"n{i}" for i in range(processes)]
        self.first: Members = (tuple(names), ())
        self.configurations: dict[str, Members] = {}
        self.processes = [Process(name, members=self.first) for name in names]
        self.builder = TraceBuilder(names, Run(n=processes))
        self.sparse = sparse
        self.flying: list[dict[str, Any]] = []
        self.messages = self.commands = 0
        for p in self.processes:
            self.record(p, "raft.init", **{"raft.log_from": 1, "raft.entry_terms": [], "raft.entry_digests": []})

    def record(self, p: Process, name: str, kind: str = "internal", **fields: Any) -> None:
        """One row; sparse rows leave out what did not change."""
        state = {"raft.term": p.term, "raft.role": p.role, "raft.vote": p.vote, "raft.commit": p.commit}
        state |= {"raft.voters": list(p.members[0]), "raft.voters_outgoing": list(p.members[1])}
        if self.sparse and kind != "restart":
            state = {k: v for k, v in state.items() if p.told.get(k) != v}
            if "raft.term" in state:
                state["raft.vote"] = p.vote
            if "raft.voters" in state or "raft.voters_outgoing" in state:
                state |= {"raft.voters": list(p.members[0]), "raft.voters_outgoing": list(p.members[1])}
        p.told.update(state)
        self.builder.add({"process": p.name, "kind": kind, "name": name, **state, **fields})

    def change(self, p: Process, start: int, entries: list[Entry], late: bool = False) -> dict[str, Any]:
        """Splices the log; the fields that record it. late: the process goes on with the configuration that it had."""
        p.log[start - 1 :] = entries
        if not late:
            self.use_latest(p)
        fields: dict[str, Any] = {
            "raft.log_from": start,
            "raft.entry_terms": [t for t, _ in entries],
            "raft.entry_digests": [d for _, d in entries],
        }
        if any(d in self.configurations for _, d in entries):
            texts = [self.configurations.get(d, ((), ())) for _, d in entries]
            fields["raft.entry_configurations"] = [" / ".join(" ".join(g) for g in t if g) for t in texts]
        return fields

    def use_latest(self, p: Process) -> None:
        latest = [self.configurations[d] for _, d in p.log if d in self.configurations]
        p.members = latest[-1] if latest else self.first

    def agree(self, p: Process, names: set[str]) -> bool:
        """Whether majorities of the configuration that a process uses are among some processes."""
        return all(2 * len(names & set(group)) > len(group) for group in p.members if group)

    def send(self, p: Process, to: str, name: str, **content: Any) -> None:
        self.messages += 1
        message = {"id": self.messages, "from": p.name, "to": to, "name": name, "term": p.term, **content}
        self.flying.append(message)
        self.record(p, name, "send", message=self.messages, peer=to, **_fields(message))

    def step(self, what: int, who: int, which: int, mistake: bool) -> None:
        """What happens: mostly messages arrive, old ones now and then; leaders do most of the rest."""
        p = self.processes[who % len(self.processes)]
        leaders = [q for q in self.processes if q.up and q.role == "leader"]
        leader = leaders[who % len(leaders)] if leaders else p
        if not p.up:
            self.restart(p, which, mistake)
        elif self.flying and (what < 6 or not leaders):
            self.deliver(self.flying.pop(-1 if which > 9 else min(which // 4, len(self.flying) - 1)), mistake)
        elif not leaders or (what == 6 and which < 4):
            self.campaign(p)
        elif what < 9:
            self.commands += 1
            start = len(leader.log) + 1 - (mistake and which < 2 and bool(leader.log))
            digest = "x" if mistake and which < 4 else f"c{self.commands}"
            self.record(leader, "raft.propose", **self.change(leader, start, [(leader.term, digest)]))
        elif what < 12:
            self.replicate(leader, self.processes[which % len(self.processes)])
        elif what == 12:
            self.advance(leader, which, mistake)
        elif what < 15:
            if p.applied < p.commit:
                self.apply(p, mistake)
        elif what == 15:
            if which < 4:
                p.up, p.role = False, "follower"
                self.record(p, "raft.crash", "crash")
        elif what == 16:
            self.take_snapshot(p, which, mistake)
        elif what == 17:
            self.send_snapshot(leader, self.processes[which % len(self.processes)])
        else:
            self.propose_members(leader, which, mistake)

    def take_snapshot(self, p: Process, which: int, mistake: bool) -> None:
        index = len(p.log) if mistake and which < 6 else p.applied
        if 0 < index <= len(p.log):
            digest = "s?" if mistake and which >= 6 else f"s{index}"
            what: dict[str, Any] = {"index": index, "term": p.log[index - 1][0], "digest": digest}
            self.record(p, "raft.take_snapshot", **{f"raft.snapshot_{key}": value for key, value in what.items()})

    def send_snapshot(self, p: Process, q: Process) -> None:
        if q is not p and 0 < p.applied <= len(p.log):
            self.send(p, q.name, "raft.install_snapshot", index=p.applied, entries=p.log[: p.applied])

    def on_install_snapshot(self, p: Process, m: dict[str, Any], mistake: bool) -> Any:
        index, entries = m["index"], m["entries"]
        if m["term"] < p.term or (index <= p.commit and not mistake):
            return {}, None
        change = {}
        if p.log[:index] != entries:
            p.log = list(entries)
            self.use_latest(p)
        elif mistake:
            change = self.change(p, index + 1, [])
        p.role, p.commit, p.applied = "follower", index, index
        term = entries[-1][0]
        snapshot = {"raft.snapshot_index": index, "raft.snapshot_term": term, "raft.snapshot_digest": f"s{index}"}
        return snapshot | change, None

    def propose_members(self, p: Process, which: int, mistake: bool) -> None:
        """The next step of a change of members, where the rules allow one; or any, at any time."""
        if p.role != "leader":
            return
        places = [i for i, (_, d) in enumerate(p.log, 1) if d in self.configurations]
        own = 0 < p.commit <= len(p.log) and p.log[p.commit - 1][0] == p.term
        if not mistake and (max(places, default=0) > p.commit or not own):
            return
        voters, outgoing = p.members
        names = [q.name for q in self.processes]
        wanted = tuple(n for i, n in enumerate(names) if (which + 1) >> i & 1) or (names[0],)
        if outgoing and not (mistake and which % 2):
            new: Members = (voters, ())
        elif len(set(wanted) ^ set(voters)) == 1 or (mistake and which % 3 == 0):
            new = (wanted, ())
        else:
            new = (wanted, voters)
        self.commands += 1
        digest = f"members {self.commands}"
        self.configurations[digest] = new
        change = self.change(p, len(p.log) + 1, [(p.term, digest)], late=mistake and which % 4 == 0)
        self.record(p, "raft.change_configuration", **change)

    def campaign(self, p: Process) -> None:
        p.term, p.role, p.vote, p.votes = p.term + 1, "candidate", p.name, {p.name}
        self.record(p, "raft.become_candidate")
        for q in self.processes:
            if q is not p:
                self.send(p, q.name, "raft.request_vote", last=p.last)

    def replicate(self, p: Process, q: Process) -> None:
        previous = min(p.stored.get(q.name, len(p.log)), len(p.log))
        entries, before = p.log[previous : previous + 2], p.log[previous - 1][0] if previous else 0
        if q is not p:
            self.send(
                p, q.name, "raft.append_entries", index=previous, before=before, entries=list(entries), commit=p.commit
            )

    def restart(self, p: Process, which: int, mistake: bool) -> None:
        p.up, p.commit, p.applied, change = True, 0, 0, {}
        if mistake and which % 3 == 0:
            p.vote = ""
        elif mistake and which % 3 == 1:
            p.term = max(p.term - 1, 0)
        elif mistake and p.log:
            change = self.change(p, len(p.log), [])
        self.record(p, "raft.restart", "restart", **change)

    def advance(self, p: Process, which: int, mistake: bool) -> None:
        """Commits the largest index that the rules allow, or one drawn."""
        allowed = [
            i for i in range(p.commit + 1, len(p.log) + 1)
            if p.log[i - 1][0] == p.term and self.agree(p, {p.name} | {n for n, s in p.stored.items() if s >= i})
        ]  # fmt: skip
        goal = which % (len(p.log) + 1) if mistake else max(allowed, default=p.commit)
        if goal != p.commit:
            p.commit = goal
            self.record(p, "raft.commit")

    def apply(self, p: Process, mistake: bool) -> None:
        p.applied += 1
        if p.applied <= len(p.log):
            term, digest = p.log[p.applied - 1]
            what = {
                "raft.apply_index": p.applied,
                "raft.apply_term": term,
                "raft.apply_digest": "x" if mistake else digest,
            }
            self.record(p, "raft.apply", **what)

    def deliver(self, m: dict[str, Any], mistake: bool) -> None:
        p = next(q for q in self.processes if q.name == m["to"])
        if not p.up:
            return
        if m["term"] > p.term:
            p.term, p.role, p.vote = m["term"], "follower", ""
        answer = getattr(self, "on_" + m["name"].removeprefix("raft."))
        change, reply = answer(p, m, mistake)
        self.record(p, m["name"], "receive", message=m["id"], peer=m["from"], **_fields(m), **change)
        if reply:
            self.send(p, m["from"], m["name"] + "_response", **reply)

    def on_request_vote(self, p: Process, m: dict[str, Any], mistake: bool) -> Any:
        free = p.vote in ("", m["from"]) and p.role == "follower"
        grant = m["term"] == p.term and (mistake or (free and tuple(m["last"]) >= p.last))
        if grant:
            p.vote = m["from"]
        return {}, {"reject": not grant}

    def on_request_vote_response(self, p: Process, m: dict[str, Any], mistake: bool) -> Any:
        if p.role == "candidate" and m["term"] == p.term and not m["reject"]:
            p.votes.add(m["from"])
            if self.agree(p, p.votes) or mistake:
                p.role, p.stored = "leader", {}
        return {}, None

    def on_append_entries(self, p: Process, m: dict[str, Any], mistake: bool) -> Any:
        known = p.log[m["index"] - 1][0] if 0 < m["index"] <= len(p.log) else 0
        if (m["term"] < p.term or m["index"] > len(p.log) or known != m["before"]) and not (
            mistake and m["index"] <= len(p.log)
        ):
            return {}, {"reject": True, "index": 0}
        p.role, change, end = "follower", {}, m["index"] + len(m["entries"])
        conflict = [i for i, e in enumerate(m["entries"], m["index"]) if i >= len(p.log) or p.log[i][0] != e[0]]
        if conflict or mistake:
            start = m["index"] if mistake else conflict[0]
            stored = [(t, "y" if mistake and m["id"] % 3 == 0 else d) for t, d in m["entries"]]
            change = self.change(p, start + 1, stored[start - m["index"] :])
        p.commit = max(p.commit, min(m["commit"], end)) if not mistake else min(m["commit"], end)
        return change, {"reject": False, "index": end}

    def on_append_entries_response(self, p: Process, m: dict[str, Any], mistake: bool) -> Any:
        if p.role == "leader" and m["term"] == p.term:
            if m["reject"]:
                p.stored[m["from"]] = 0
            else:
                p.stored[m["from"]] = max(m["index"], p.stored.get(m["from"], 0))
        return {}, None


def _fields(m: dict[str, Any]) -> dict[str, Any]:
    last = m.get("last", (None, m.get("index")))
    return {
        "raft.message_term": m["term"],
        "raft.message_log_term": last[0],
        "raft.message_index": last[1],
        "raft.message_reject": m.get("reject"),
    }


def play(steps: list[Step], processes: int, mistakes: bool, sparse: bool) -> Trace:
    """The trace of some steps."""
    machine = Machine(processes, sparse)
    for what, who, which, luck in steps:
        machine.step(what, who, which, mistakes and luck == 0)
    return machine.builder.build()


STEPS = st.lists(
    st.tuples(st.integers(0, 19), st.integers(0, 3), st.integers(0, 11), st.integers(0, MISTAKES - 1)), max_size=90
)
PROCESSES = st.integers(2, 4)
