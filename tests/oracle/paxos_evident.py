"""Which breaches of Paxos' rules stay breaches though processes may leave out whole sorts of events: by brute force.

A process that shows one event of a sort records the sort. Run, rules and steps are those of `tests.oracle.paxos`.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from tests.oracle.paxos import Run, agreement, promise_monotonic, quorum, unique_ballot, validity, value_choice

ANSWER = {"promises": "promise", "acceptances": "accepted"}


def owners(run: Run, sort: str) -> set[tuple[Any, Any]]:
    """(process, ballot): who asked for such steps in a ballot."""
    mine = run.requests + (run.starts + run.prepares if sort == "promises" else [])
    received = {(run.rows[s[0]].get("peer"), s[3]) for s in run.received}
    return {(p, b) for _, p, _, b, _ in mine} | {(p, b) for p, b in received if p}


def steps_of(run: Run, sort: str) -> list[tuple[Any, ...]]:
    return run.any_promises if sort == "promises" else run.any_acceptances


def doubtful(run: Run, sort: str) -> set[str]:
    """Acceptors that may have taken such steps without recording them."""
    owner, steps = owners(run, sort), steps_of(run, sort)
    request = "prepare" if sort == "promises" else "accept"
    asked, own = set(), set()
    for place, p, _, b, _ in steps:
        kind, name = run.rows[place]["kind"], run.rows[place].get("name")
        if (name, kind) in ((f"paxos.{request}", "receive"), (f"paxos.{ANSWER[sort]}", "send")):
            asked.add(p)
        if name == f"paxos.{ANSWER[sort]}" and kind == "internal":
            others = {q for q, c in owner if c == b and q != p}
            if (p, b) in owner:
                own.add(p)
            elif others or not owner:
                asked.add(p)
        itself = "start_ballot" if sort == "promises" else request
        if (name == f"paxos.{itself}" and kind != "receive") or (name, kind) == (f"paxos.{request}", "send"):
            own.add(p)
    for row in run.rows:
        if row.get("name") == f"paxos.{ANSWER[sort]}" and row["kind"] == "receive" and "paxos.ballot" in row:
            named = (row.get("peer"), row.get("paxos.instance"), row["paxos.ballot"])
            if named[0] and named not in {(p, i, b) for _, p, i, b, _ in steps}:
                asked.discard(named[0])
    return {p for p in run.acceptors if p not in asked or (p in {q for q, _ in owner} and p not in own)}


def evident_quorum(run: Run) -> set[Any]:
    """Breaches where too few acceptors can have taken the step before, or that the process would have told of."""
    found = set()
    for breach in quorum(run):
        what, process, instance, *rest = breach
        sort = "promises" if what == "request" else "acceptances"
        events = run.requests if what == "request" else run.learned
        place = next(
            s[0] for s in events if (s[1], s[2], s[3 if what == "request" else 4]) == (process, instance, *rest)
        )
        doubt = doubtful(run, sort)
        after = {e for e, past in enumerate(run.past) if place in past and e != place}
        possible = _groups(run, sort, instance, rest[0], lambda e, after=after: e not in after)
        if max((len(group | doubt) for group in possible), default=len(doubt)) < run.majority:
            found.add(breach)
        known = _groups(run, sort, instance, rest[0], lambda e, place=place: e in run.past[place])
        silent = {process} & set(run.acceptors) if process in _silent(run, sort) else set()
        few = max((len(group | silent) for group in known), default=len(silent)) < run.majority
        if few and _explained(run, what, process, instance, rest[0], place):
            found.add(breach)
    return found


def _silent(run: Run, sort: str) -> set[str]:
    """Who has ballots of its own and never shows such a step for one of them."""
    request, itself = ("prepare", "start_ballot") if sort == "promises" else ("accept", "accept")
    owner = owners(run, sort)
    shows = set()
    for place, p, _, b, _ in steps_of(run, sort):
        kind, name = run.rows[place]["kind"], run.rows[place].get("name")
        shows |= {p} if name == f"paxos.{itself}" and kind != "receive" else set()
        shows |= {p} if (name, kind) == (f"paxos.{request}", "send") else set()
        shows |= {p} if (name, kind) == (f"paxos.{ANSWER[sort]}", "internal") and (p, b) in owner else set()
    return {p for p, _ in owner} - shows


def _groups(run: Run, sort: str, instance: Any, about: Any, when: Any) -> list[set[str]]:
    """Acceptors with a step for a request's ballot; or for a value, ballot by ballot."""
    groups: dict[Any, set[str]] = defaultdict(set)
    for e, p, i, b, v in steps_of(run, sort):
        fits = (i in (None, instance) and b == about) if sort == "promises" else (i, v) == (instance, about)
        if fits and p in run.acceptors and when(e):
            groups[b].add(p)
    return list(groups.values())


def _explained(run: Run, what: str, process: str, instance: Any, about: Any, place: int) -> bool:
    received = [row for row in run.rows if row["process"] == process and row["kind"] == "receive"]
    if what == "request":
        return any(row.get("name") == "paxos.promise" for row in received)
    before = [row for row in run.rows[:place] if row["process"] == process and row["kind"] == "receive"]
    last = before[-1] if before else {}
    named = (last.get("name"), last.get("paxos.instance"), last.get("paxos.value"))
    return named == ("paxos.accepted", instance, about)


def evident_value_choice(run: Run) -> set[Any]:
    return set() if doubtful(run, "acceptances") else value_choice(run)


def evident_validity(run: Run) -> set[Any]:
    """None, if a proposer never records that a value is put forward, or a value's proposal is not recorded."""
    broken = validity(run)
    proposed = {(s[2], s[4]) for s in run.requests + run.received}
    accepted = {(s[2], s[4]) for s in run.any_acceptances}
    heedless = {p for p, _ in owners(run, "promises")} - {s[1] for s in run.submitted}
    few = len(doubtful(run, "acceptances")) >= run.majority
    unseen = any(key not in proposed and (few or key in accepted) for key in broken)
    return set() if heedless or unseen else broken


EVIDENT = {
    "paxos.agreement": agreement,
    "paxos.validity": evident_validity,
    "paxos.promise-monotonic": promise_monotonic,
    "paxos.unique-ballot": unique_ballot,
    "paxos.value-choice": evident_value_choice,
    "paxos.quorum": evident_quorum,
}
