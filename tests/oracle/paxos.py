"""Paxos' rules as the paper words them, by brute force over rows, causal pasts and sets of acceptors.

A run is a list of rows in an order in which each process's events stand in program order. Each function returns what
breaks its rule; an empty set says that it holds. Everything is expected to be recorded.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import combinations
from typing import Any

Row = dict[str, Any]


class Run:
    """Rows with what each does: promises and acceptances of acceptors, requests, values learned.

    A step is (place, process, instance, ballot, value); instance None: every instance.
    """

    def __init__(self, rows: Sequence[Row], acceptors: Sequence[str]) -> None:
        self.rows = [row for row in rows if row["kind"] != "fault"]
        self.acceptors = list(acceptors)
        self.majority = len(self.acceptors) // 2 + 1
        self.past = _pasts(self.rows)
        own = ("send", "internal")
        self.promises = self._acts("promised", "promise")
        self.acceptances = self._acts("accepted_ballot", "accepted")
        self.any_promises = self._by_state("promised") + [
            s for s in self._named("promise", own) if "paxos.promised" not in self.rows[s[0]]
        ]
        self.any_acceptances = self._by_state("accepted_ballot") + [
            s for s in self._named("accepted", own) if "paxos.accepted_ballot" not in self.rows[s[0]]
        ]
        self.requests = self._named("accept", ("send",))
        self.received = [s for s in self._named("accept") if s not in self.requests]
        self.learned, self.submitted = self._named("learn"), self._named("submit")
        self.starts, self.prepares = self._named("start_ballot"), self._named("prepare", ("send",))

    def _step(self, place: int, ballot: str, value: str) -> tuple[Any, ...]:
        row = self.rows[place]
        instance = row.get("paxos.instance")
        return place, row["process"], instance, row.get(f"paxos.{ballot}"), row.get(f"paxos.{value}")

    def _by_state(self, field: str) -> list[tuple[Any, ...]]:
        places = [i for i, row in enumerate(self.rows) if f"paxos.{field}" in row]
        return [self._step(i, field, "accepted_value") for i in places]

    def _acts(self, field: str, name: str) -> list[tuple[Any, ...]]:
        """By state, where the process records it; else what it tells of for the first time."""
        acts = self._by_state(field)
        recording = {process for _, process, *_ in acts}
        for step in self._named(name, ("send", "internal")):
            if step[1] not in recording and not any(step[1:4] == known[1:4] for known in acts):
                acts.append(step)
        return sorted(acts, key=lambda step: int(step[0]))

    def _named(self, name: str, kinds: Sequence[str] = ()) -> list[tuple[Any, ...]]:
        places = [
            i for i, row in enumerate(self.rows)
            if row.get("name") == f"paxos.{name}" and (not kinds or row["kind"] in kinds)
        ]  # fmt: skip
        return [self._step(i, "ballot", "value") for i in places]

    @property
    def proposals(self) -> set[tuple[Any, Any, Any]]:
        """(instance, ballot, value) of every proposal that is seen."""
        return {(i, b, v) for _, _, i, b, v in self.requests + self.received + self.any_acceptances}


def _pasts(rows: Sequence[Row]) -> list[set[int]]:
    """By row, the rows that happen before it or are it: by transitive closure."""
    last: dict[str, int] = {}
    direct: list[set[int]] = [set() for _ in rows]
    sends = {row["message"]: i for i, row in enumerate(rows) if row["kind"] == "send" and "message" in row}
    for i, row in enumerate(rows):
        if row["process"] in last:
            direct[i].add(last[row["process"]])
        last[row["process"]] = i
        if row["kind"] == "receive" and row.get("message") in sends:
            direct[i].add(sends[row["message"]])
    pasts = [{i} for i in range(len(rows))]
    changed = True
    while changed:
        changed = False
        for i, before in enumerate(direct):
            whole = pasts[i].union(*(pasts[b] for b in before))
            changed, pasts[i] = changed or whole != pasts[i], whole
    return pasts


def agreement(run: Run) -> set[Any]:
    """2.1: instances with two values chosen (accepted by a majority under one ballot) or learned."""
    values: dict[Any, set[Any]] = defaultdict(set)
    for _, _, instance, _, value in run.learned:
        values[instance].add(value)
    for instance, ballot, value in run.proposals:
        voters = {p for _, p, i, b, v in run.any_acceptances if (i, b, v) == (instance, ballot, value)}
        if len(voters & set(run.acceptors)) >= run.majority:
            values[instance].add(value)
    return {instance for instance, found in values.items() if len(found) > 1}


def validity(run: Run) -> set[Any]:
    """2.1: (instance, value) that was used and that nobody had put forward."""
    used = {(i, v) for i, _, v in run.proposals} | {(i, v) for _, _, i, _, v in run.learned}
    return {(i, v) for i, v in used if not any(t == v and j in (i, None) for _, _, j, _, t in run.submitted)}


def promise_monotonic(run: Run) -> set[Any]:
    """2.2, P1a: (acceptor, instance) with a promise below an earlier one, or an acceptance below one."""
    broken = set()
    for place, process, instance, ballot, _ in run.promises:
        for earlier, other, of, promised, _ in run.promises:
            binds = of is None or instance is None or of == instance
            if earlier < place and other == process and binds and ballot < promised:
                broken.add((process, instance))
    state: dict[Any, Any] = {}
    for place, process, instance, ballot, _ in run.acceptances:
        by_state = "paxos.accepted_ballot" in run.rows[place]
        if by_state and state.get((process, instance)) == ballot:
            continue
        state[process, instance] = ballot
        for earlier, other, of, promised, _ in run.promises:
            if earlier < place and other == process and of in (None, instance) and ballot < promised:
                broken.add((process, instance))
    return broken


def unique_ballot(run: Run) -> set[Any]:
    """2.5: (instance, ballot) with two values, two proposers, or begun twice."""
    owners = run.starts + run.prepares + run.requests
    keys = {(i, b) for _, _, i, b, _ in owners} | {(i, b) for i, b, _ in run.proposals}
    broken = set()
    for instance, ballot in keys:
        values = {v for i, b, v in run.proposals if (i, b) == (instance, ballot)}
        mine = {p for _, p, i, b, _ in owners if (i, b) == (instance, ballot)}
        whole = {p for _, p, i, b, _ in owners if i is None and b == ballot}
        begun = [s for s in run.starts if (s[2], s[3]) == (instance, ballot)]
        if len(values) > 1 or len(begun) > 1 or (mine and len(mine | whole) > 1):
            broken.add((instance, ballot))
    return broken


def value_choice(run: Run) -> set[Any]:
    """2.2, P2c: proposals for which no majority S leaves their value."""
    return {proposal for proposal in run.proposals if not _left_by_some(run, *proposal)}


def _left_by_some(run: Run, instance: Any, ballot: int, value: Any) -> bool:
    for size in range(run.majority, len(run.acceptors) + 1):
        for group in combinations(run.acceptors, size):
            lower = [(b, v) for _, p, i, b, v in run.any_acceptances if p in group and i == instance and b < ballot]
            if not lower or (max(b for b, _ in lower), value) in lower:
                return True
    return False


def quorum(run: Run) -> set[Any]:
    """2.2, phase 2(a); 2.1: first requests and first values learned of each process without a majority before them."""
    broken = set()
    seen = set()
    for place, process, instance, ballot, _ in run.requests:
        if (process, instance, ballot) in seen:
            continue
        seen.add((process, instance, ballot))
        who = {
            p for e, p, i, b, _ in run.any_promises if i in (None, instance) and b == ballot and e in run.past[place]
        }
        if len(who & set(run.acceptors)) < run.majority:
            broken.add(("request", process, instance, ballot))
    for place, process, instance, _, value in run.learned:
        if ("learned", process, instance, value) in seen:
            continue
        seen.add(("learned", process, instance, value))
        before = [
            (b, p) for e, p, i, b, v in run.any_acceptances if (i, v) == (instance, value) and e in run.past[place]
        ]
        groups = [{p for c, p in before if c == b} & set(run.acceptors) for b, _ in before]
        if not any(len(group) >= run.majority for group in groups):
            broken.add(("learned", process, instance, value))
    return broken


RULES = {
    "paxos.agreement": agreement,
    "paxos.validity": validity,
    "paxos.promise-monotonic": promise_monotonic,
    "paxos.unique-ballot": unique_ballot,
    "paxos.value-choice": value_choice,
    "paxos.quorum": quorum,
}
