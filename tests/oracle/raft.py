"""Raft's properties as the paper words them, by brute force over all states, pairs of logs and causal pasts.

Each function returns what breaks the property; an empty set says that it holds. Everything is expected to be recorded.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable
from itertools import pairwise, product
from typing import Any

from tracekit.trace.schema import Kind
from tracekit.trace.trace import Trace

Entry = tuple[int, str]
Members = tuple[frozenset[str], frozenset[str]]


def _has(log: list[Entry], index: int, term: int) -> bool:
    return len(log) >= index and log[index - 1][0] == term


class Run:
    """Every process's state after every event, and every event's causal past, from the definition.

    states: by row: term, role, vote, commit, log, process, place in its process's order, and the state before as
    `before` (None at first). past: by row, the rows that happen before it, by transitive closure.
    """

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self.members = sorted(set(trace.process.tolist()))
        self.states: dict[int, dict[str, Any]] = {}
        self.configurations: dict[str, Members] = {}
        self.unclear = False
        self.order = {p: [int(r) for r in range(len(trace)) if trace.process[r] == p] for p in self.members}
        for p, rows in self.order.items():
            rows.sort(key=lambda r: int(trace.seq[r]))
            before: dict[str, Any] | None = None
            for row in rows:
                before = self.states[row] = self._after(row, p, before)
        self.past = self._pasts()
        self._resolve_snapshots()

    def _after(self, row: int, process: int, before: dict[str, Any] | None) -> dict[str, Any]:
        fields, kind = self.trace.fields(row), Kind(self.trace.kind[row])
        state: dict[str, Any] = {"term": None, "role": None, "vote": None, "commit": None, "log": [], "members": None}
        if before is not None:
            state = {k: before[k] for k in state}
        if kind is Kind.RESTART:
            state["role"], state["commit"] = "follower", None
        if "raft.term" in fields and fields["raft.term"] != state["term"]:
            state["vote"] = None
        for name in ("term", "role", "vote", "commit"):
            state[name] = fields.get(f"raft.{name}", state[name])
        if kind is Kind.CRASH:
            state["role"] = None
        if "raft.voters" in fields:
            state["members"] = (frozenset(fields["raft.voters"]), frozenset(fields["raft.voters_outgoing"]))
        if "raft.log_from" in fields:
            new = list(zip(fields["raft.entry_terms"], fields["raft.entry_digests"], strict=True))
            for (_, digest), text in zip(new, fields.get("raft.entry_configurations", []), strict=False):
                voters, _, outgoing = text.partition("/")
                if voters:
                    self.configurations[digest] = (frozenset(voters.split()), frozenset(outgoing.split()))
            state["log"] = state["log"][: fields["raft.log_from"] - 1] + new
        return {**state, "process": process, "before": before, "kind": kind, "row": row, "fields": fields}

    def _pasts(self) -> dict[int, set[int]]:
        sends = {f["fields"]["message"]: r for r, f in self.states.items() if f["kind"] is Kind.SEND}
        direct: dict[int, set[int]] = defaultdict(set)
        for rows in self.order.values():
            for a, b in pairwise(rows):
                direct[b].add(a)
        for row, state in self.states.items():
            if state["kind"] is Kind.RECEIVE:
                direct[row].add(sends[state["fields"]["message"]])
        past: dict[int, set[int]] = {}
        for row in sorted(self.states):  # the machine records a send before its receives
            past[row] = set(direct[row]).union(*(past[r] for r in direct[row]))
        return past

    def _resolve_snapshots(self) -> None:
        """Redoes all logs in the order of the rows: a snapshot that a log lacks is the one log that ever had its last
        entry. `unclear`: several had it, with different entries up to it, or none."""
        wrote: dict[int, list[Entry]] = {}
        for row in sorted(self.states):
            s = self.states[row]
            f, log = s["fields"], list(wrote.get(s["process"], []))
            index, term = f.get("raft.snapshot_index"), f.get("raft.snapshot_term")
            if index and not (len(log) >= index and log[index - 1][0] == term):
                held = [o["log"][:index] for r, o in self.states.items() if r < row and _has(o["log"], index, term)]
                self.unclear |= not held
                log = list(held[0]) if held else log
            if "raft.log_from" in f:
                new = list(zip(f["raft.entry_terms"], f["raft.entry_digests"], strict=True))
                log = log[: f["raft.log_from"] - 1] + new
            s["log"] = wrote[s["process"]] = log
        for s in self.states.values():
            index, term = s["fields"].get("raft.snapshot_index"), s["fields"].get("raft.snapshot_term")
            if index:
                logs = {tuple(o["log"][:index]) for o in self.states.values() if _has(o["log"], index, term)}
                self.unclear |= len(logs) > 1

    def latest(self, log: list[Entry]) -> tuple[int, Members]:
        """The index of the latest configuration in a log, 0: none, and what it is."""
        for index in range(len(log), 0, -1):
            if log[index - 1][1] in self.configurations:
                return index, self.configurations[log[index - 1][1]]
        return 0, (frozenset(self.trace.processes), frozenset())

    def agree(self, state: dict[str, Any], processes: set[int]) -> bool:
        """Whether majorities of the configuration in use, before or after an event, are among some processes."""
        names = {self.trace.processes[p] for p in processes}
        return any(
            all(2 * len(names & group) > len(group) for group in members if group)
            for members in (state["members"], (state["before"] or state)["members"])
        )

    def leads(self, state: dict[str, Any] | None) -> bool:
        return state is not None and state["role"] == "leader"

    def still_leads(self, state: dict[str, Any]) -> bool:
        before = state["before"]
        return (
            self.leads(state) and self.leads(before) and before["term"] == state["term"]
            and state["kind"] is not Kind.RESTART
        )  # fmt: skip

    def first_leading(self) -> dict[tuple[int, int], dict[str, Any]]:
        found: dict[tuple[int, int], dict[str, Any]] = {}
        for rows in self.order.values():
            for row in rows:
                state = self.states[row]
                if self.leads(state):
                    found.setdefault((state["process"], state["term"]), state)
        return found

    def no_answer_arrives(self) -> bool:
        """Whether some kind of request arrives or is answered, and none of its answers arrives anywhere."""
        names = [(f["fields"]["name"], f["kind"] is Kind.RECEIVE) for f in self.states.values()]
        for request in ("raft.request_vote", "raft.append_entries", "raft.install_snapshot"):
            answer = f"{request}_response"
            asked = (request, True) in names or any(name == answer for name, _ in names)
            if asked and (answer, True) not in names:
                return True
        return False

    def deaf(self, name: str) -> bool:
        """Whether messages of a name occur, and some process records the receipt of none."""
        rows = [(f["process"], f["kind"] is Kind.RECEIVE) for f in self.states.values() if f["fields"]["name"] == name]
        return bool(rows) and {p for p, received in rows if received} != set(self.trace.processes)

    def upto(self, row: int) -> set[int]:
        return self.past[row] | {row}


def election_safety(run: Run) -> set[Hashable]:
    terms = [term for _, term in run.first_leading()]
    return {t for t in terms if terms.count(t) > 1}


def term_monotonic(run: Run) -> set[Hashable]:
    return {r for r, s in run.states.items() if s["before"] and s["term"] < s["before"]["term"]}


def commit_index_monotonic(run: Run) -> set[Hashable]:
    return {
        r for r, s in run.states.items()
        if s["before"] and s["kind"] is not Kind.RESTART and s["commit"] < s["before"]["commit"]
    }  # fmt: skip


def _votes(run: Run) -> dict[tuple[int, int], dict[str, int]]:
    """By voter and term: candidate to the first row, in program order, that shows the vote."""
    votes: dict[tuple[int, int], dict[str, int]] = defaultdict(dict)
    for p, rows in run.order.items():
        for row in rows:
            s = run.states[row]
            if s["vote"]:
                votes[p, s["term"]].setdefault(s["vote"], row)
            f = s["fields"]
            if s["kind"] is Kind.SEND and f["name"] == "raft.request_vote_response" and not f["raft.message_reject"]:
                votes[p, f["raft.message_term"]].setdefault(f["peer"], row)
    return votes


def one_vote_per_term(run: Run) -> set[Hashable]:
    return {key for key, candidates in _votes(run).items() if len(candidates) > 1}


def vote_up_to_date(run: Run) -> set[Hashable]:
    broken: set[Hashable] = set()
    for (voter, term), candidates in _votes(run).items():
        for candidate, row in candidates.items():
            state = run.states[row]
            fields = state["fields"]
            if candidate == run.trace.processes[voter] or state["kind"] is not Kind.RECEIVE:
                continue
            assert fields["name"] == "raft.request_vote"
            log = state["before"]["log"]
            own = (log[-1][0] if log else 0, len(log))
            if (fields["raft.message_log_term"], fields["raft.message_index"]) < own:
                broken.add((voter, term, candidate))
    return broken


def leader_quorum(run: Run) -> set[Hashable]:
    votes, broken = _votes(run), set()
    for (p, term), state in run.first_leading().items():
        name, seen = run.trace.processes[p], run.upto(state["row"])
        voters = {v for (v, t), c in votes.items() if t == term and c.get(name) in seen}
        for row in seen:
            f = run.states[row]["fields"]
            if (
                run.states[row]["process"] == p and run.states[row]["kind"] is Kind.RECEIVE
                and f["name"] == "raft.request_vote_response" and f["raft.message_term"] == term
                and not f["raft.message_reject"]
            ):  # fmt: skip
                voters.add(run.trace.processes.index(f["peer"]))
        if not run.agree(state, voters):
            broken.add((p, term))
    return broken


def leader_append_only(run: Run) -> set[Hashable]:
    broken: set[Hashable] = set()
    for row, state in run.states.items():
        if run.still_leads(state):
            before = state["before"]["log"]
            if state["log"][: len(before)] != before:
                broken.add(row)
    return broken


def log_matching(run: Run) -> bool:
    """Whether two logs that were ever held agree in index and term of an entry but differ up to it."""
    logs = [s["log"] for s in run.states.values()]
    return any(
        a[i][0] == b[i][0] and a[: i + 1] != b[: i + 1]
        for a, b in product(logs, logs) for i in range(min(len(a), len(b)))
    )  # fmt: skip


def commit_stability(run: Run) -> set[Hashable]:
    broken: set[Hashable] = set()
    for rows in run.order.values():
        known = 0
        for row in rows:
            state = run.states[row]
            if state["before"]:
                before = state["before"]["log"]
                if state["log"][: min(known, len(before))] != before[:known]:
                    broken.add(row)
            known = max(known, state["commit"] or 0)
    return broken


def leader_completeness(run: Run) -> set[Hashable]:
    broken: set[Hashable] = set()
    for (p, term), leader in run.first_leading().items():
        for state in run.states.values():
            if state["term"] < term:
                committed = state["log"][: state["commit"] or 0]
                if leader["log"][: len(committed)] != committed:
                    broken.add((p, term))
    return broken


def state_machine_safety(run: Run) -> set[Hashable]:
    applied: dict[int, set[Entry]] = defaultdict(set)
    for state in run.states.values():
        f = state["fields"]
        if "raft.apply_index" in f:
            applied[f["raft.apply_index"]].add((f["raft.apply_term"], f["raft.apply_digest"]))
    return {index for index, entries in applied.items() if len(entries) > 1}


def committed_differ(run: Run) -> set[Hashable]:
    """Indexes of which two processes, or one at two times, know different entries to be committed."""
    committed: dict[int, set[Entry]] = defaultdict(set)
    for state in run.states.values():
        for index, entry in enumerate(state["log"][: state["commit"] or 0], 1):
            committed[index].add(entry)
    return {index for index, entries in committed.items() if len(entries) > 1}


def _commits(run: Run) -> list[dict[str, Any]]:
    return [
        s for s in run.states.values()
        if run.still_leads(s) and s["before"]["commit"] is not None and s["commit"] > s["before"]["commit"]
    ]  # fmt: skip


def commit_current_term(run: Run) -> set[Hashable]:
    return {s["row"] for s in _commits(run) if s["log"][s["commit"] - 1][0] != s["term"]}


def commit_quorum(run: Run) -> set[Hashable]:
    broken: set[Hashable] = set()
    for s in _commits(run):
        index, term = s["commit"], s["log"][s["commit"] - 1][0]
        seen = [run.states[r] for r in run.upto(s["row"])]
        stored = {o["process"] for o in seen if len(o["log"]) >= index and o["log"][index - 1][0] == term}
        if not run.agree(s, stored):
            broken.add(s["row"])
    return broken


def configuration_change(run: Run) -> set[Hashable]:
    """A leader's configuration that is appended while the one before is not committed, or that need not overlap it."""
    broken: set[Hashable] = set()
    for row, s in run.states.items():
        before = s["before"]
        if not run.leads(s) or not before or "raft.entry_configurations" not in s["fields"]:
            continue
        for index in range(s["fields"]["raft.log_from"], len(s["log"]) + 1):
            term, digest = s["log"][index - 1]
            if digest not in run.configurations or term != s["term"] or _same_entry(before["log"], s["log"], index):
                continue
            last, (old, old_outgoing) = run.latest(s["log"][: index - 1])
            new, outgoing = run.configurations[digest]
            own = _has(s["log"], s["commit"], s["term"]) if s["commit"] else False
            joint = outgoing == old and not old_outgoing
            kept = (new, outgoing) == (old, old_outgoing)
            left = not outgoing and bool(old_outgoing) and new == old
            single = not outgoing and not old_outgoing and len(new ^ old) == 1 and own
            if last > s["commit"] or not (joint or kept or left or single):
                broken.add((row, index))
    return broken


def _same_entry(a: list[Entry], b: list[Entry], index: int) -> bool:
    return a[:index] == b[:index]


def configuration_in_use(run: Run) -> set[Hashable]:
    """Elections won and commits by counting, by another configuration than the latest in the log before or, where the
    event changes that, after."""
    broken: set[Hashable] = set()
    won = [s for s in run.first_leading().values() if s["before"]]
    for s in [*won, *_commits(run)]:
        before = s["before"]
        (old_at, old), (new_at, new) = run.latest(before["log"]), run.latest(s["log"])
        fits = before["members"] == old
        if (old_at, before["log"][:old_at]) != (new_at, s["log"][:new_at]):
            fits = fits or s["members"] == new or before["members"] == new
        if not fits:
            broken.add(s["row"])
    return broken if run.configurations else set()


def snapshot_safety(run: Run) -> set[Hashable]:
    """Snapshots of what nobody knew to be committed before, that contradict something, or that take a process back."""
    said: dict[int, set[int]] = defaultdict(set)
    states: dict[int, set[str]] = defaultdict(set)
    for s in run.states.values():
        f = s["fields"]
        for index, (term, _) in enumerate(s["log"][: s["commit"] or 0], 1):
            said[index].add(term)
        if "raft.apply_index" in f:
            said[f["raft.apply_index"]].add(f["raft.apply_term"])
        if "raft.snapshot_index" in f:
            said[f["raft.snapshot_index"]].add(f["raft.snapshot_term"])
            states[f["raft.snapshot_index"]].add(f["raft.snapshot_digest"])
    broken: set[Hashable] = set()
    for row, s in run.states.items():
        index = s["fields"].get("raft.snapshot_index")
        if not index:
            continue
        taken = s["fields"]["name"] == "raft.take_snapshot"
        seen = run.upto(row) if taken else run.past[row]
        if taken:
            seen = {r for r in seen if run.states[r]["process"] == s["process"]}
        covered = any((run.states[r]["commit"] or 0) >= index for r in seen)
        if not covered or len(said[index]) > 1 or len(states[index]) > 1 or (not taken and _back(run, row) > index):
            broken.add(row)
    return broken


def _back(run: Run, row: int) -> int:
    """What a process had applied since it started, where it knew at least as much to be committed."""
    s = run.states[row]
    applied, before = 0, s["before"]
    commit = before["commit"] or 0
    while before and before["kind"] is not Kind.RESTART:
        applied = max(applied, before["fields"].get("raft.apply_index", 0))
        before = before["before"]
    recorded = "raft.apply_index" in run.trace
    return min(applied, commit) if recorded else commit


COUNTED = {
    "raft.configuration-change": configuration_change,
    "raft.configuration-in-use": configuration_in_use,
    "raft.snapshot-safety": snapshot_safety,
    "raft.election-safety": election_safety,
    "raft.term-monotonic": term_monotonic,
    "raft.commit-index-monotonic": commit_index_monotonic,
    "raft.one-vote-per-term": one_vote_per_term,
    "raft.vote-up-to-date": vote_up_to_date,
    "raft.leader-quorum": leader_quorum,
    "raft.leader-append-only": leader_append_only,
    "raft.commit-stability": commit_stability,
    "raft.leader-completeness": leader_completeness,
    "raft.state-machine-safety": state_machine_safety,
    "raft.commit-current-term": commit_current_term,
    "raft.commit-quorum": commit_quorum,
}
