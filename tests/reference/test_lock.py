"""The lock service step by step, sentence by sentence, and whole runs of it and of Lamport's mutual exclusion."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from reference_impls.protocols.lamport_mutex import node as lamport
from reference_impls.protocols.lock.client import LockClient
from reference_impls.protocols.lock.messages import (
    DRIFT_PPM,
    LEASE,
    MILLISECOND,
    Acquire,
    Answer,
    Extend,
    Prepare,
    Promise,
    Release,
    Store,
    Stored,
    Table,
    Version,
    Write,
    held,
)
from reference_impls.protocols.lock.node import LockNode
from reference_impls.protocols.lock.storage import Storage
from reference_impls.runtime.effects import Effect, Note, Persist, Reply, Send
from reference_impls.runtime.process import Stable
from tests.reference.oracle import rows_of
from tracekit.analysis import analyze
from tracekit.protocols import NETWORKS, Simulation, protocols
from tracekit.results import Verdict

LOCK, LAMPORT = protocols()["lock"], protocols()["lamport-mutex"]
RARE = {"storage-forgets-token": (4, 1000), "extend-after-expiry": (2, 1000), "no-fencing": (2, 300)}
"""Bugs that need a pause at the right moment: a seed and a length of the run that bring it."""
MUTANTS = [(p, m.name, m.caught_by) for p in (LOCK, LAMPORT) for m in p.mutants]


class Server:
    """A leading server of three, whose messages to the others are answered by hand."""

    def __init__(self, name: str = "n1") -> None:
        self.node = LockNode(name, ("n1", "n2", "n3"), Random(1))
        self.now = 0
        self.node.on_start(Stable())

    def tell(self, sender: str, message: Any) -> list[Effect]:
        return list(self.node.on_message(self.now, sender, message))

    def lead(self, *promises: tuple[Version, Table]) -> list[Effect]:
        """Takes over with the promise of n2, and its table is stored there."""
        self.node.on_timer(self.now, "silence")
        version, table = promises[0] if promises else (Version(0, 0), Table({}))
        self.tell("n2", Promise(self.node.epoch, version, table))
        return self.stored()

    def stored(self) -> list[Effect]:
        return self.tell("n2", Stored(self.node.epoch, self.node.version))

    def grant(self, client: str = "a", number: int = 1) -> list[Effect]:
        self.tell(client, Acquire(number, "l", None))
        return self.stored()


def notes(effects: list[Effect]) -> list[str]:
    return [effect.name for effect in effects if isinstance(effect, Note)]


def answers(effects: list[Effect]) -> list[tuple[str, str]]:
    return [(e.to, e.message.status) for e in effects if isinstance(e, Reply) and isinstance(e.message, Answer)]


def test_nobody_is_told_of_a_grant_that_a_majority_has_not_stored() -> None:
    server = Server()
    server.lead()
    effects = server.tell("a", Acquire(1, "l", None))
    assert not notes(effects) and not answers(effects)
    assert any(isinstance(effect, Persist) for effect in effects)
    effects = server.stored()
    assert notes(effects) == ["lock.grant"]
    assert answers(effects) == [("a", "granted")]


def test_every_grant_has_a_larger_token_and_waits_for_the_one_before() -> None:
    server = Server()
    server.lead()
    server.grant("a")
    server.tell("b", Acquire(1, "l", None))
    server.tell("c", Acquire(1, "l", 0))
    first = server.node.table.holds["l"].token
    effects = [*server.tell("a", Release(2, "l", first)), *server.stored()]
    assert notes(effects)[-1] == "lock.release"
    assert server.node.table.holds["l"].holder == "b"
    assert server.node.table.holds["l"].token == first + 1


def test_try_acquire_is_refused_at_once_or_after_its_time() -> None:
    server = Server()
    server.lead()
    server.grant("a")
    assert answers(server.tell("b", Acquire(1, "l", 0))) == [("b", "refused")]
    server.tell("c", Acquire(1, "l", 50 * MILLISECOND))
    assert answers(list(server.node.on_timer(50 * MILLISECOND, "patience c"))) == [("c", "refused")]


def test_only_the_holder_releases_and_extends() -> None:
    server = Server()
    server.lead()
    server.grant("a")
    token = server.node.table.holds["l"].token
    assert answers(server.tell("b", Release(1, "l", token))) == [("b", "refused")]
    assert answers(server.tell("a", Release(2, "l", token + 1))) == [("a", "refused")]
    assert answers(server.tell("b", Extend(1, "l", token))) == [("b", "refused")]
    server.tell("a", Extend(2, "l", token))
    assert notes(server.stored()) == ["lock.extend"]


def test_a_lease_ends_by_the_clock_of_the_leading_server_and_not_before() -> None:
    server = Server()
    server.lead()
    server.grant("a")
    server.now = LEASE - 1
    server.node.on_timer(server.now, "lease l")
    assert server.node.table.holds["l"].held
    server.node.on_timer(LEASE, "lease l")
    assert notes(server.stored()) == ["lock.expire"]
    token = server.node.table.holds["l"].token
    assert answers(server.tell("a", Extend(2, "l", token))) == [("a", "refused")]


def test_who_takes_over_has_the_newest_table_and_lets_every_lease_begin_anew() -> None:
    before = Server()
    before.lead()
    before.grant("a")
    server = Server("n3")
    server.now = 10 * LEASE
    effects = server.lead((before.node.version, before.node.table))
    assert notes(effects) == ["lock.lead", "lock.grant"], "told again: the server before may not have told it"
    assert server.node.until["l"] == server.now + LEASE
    assert answers(server.tell("b", Acquire(1, "l", 0))) == [("b", "refused")]


def test_a_promise_keeps_servers_of_earlier_epochs_from_deciding() -> None:
    follower = Server("n2")
    follower.tell("n3", Prepare(5))
    (answer,) = [e for e in follower.tell("n1", Store(Version(3, 1), Table({}))) if isinstance(e, Send)]
    assert answer.message == Stored(5, Version(3, 1))
    assert follower.node.version == Version(0, 0)
    leader = Server()
    leader.lead()
    leader.tell("a", Acquire(1, "l", None))
    leader.tell("n2", Stored(leader.node.epoch + 2, leader.node.version))
    assert leader.node.role == "follower"


def test_the_part_of_a_lease_that_a_client_takes_allows_for_drift() -> None:
    drift = DRIFT_PPM / 1_000_000
    assert held(LEASE) / (1 - drift) < LEASE / (1 + drift)


def client() -> LockClient:
    made = LockClient("a", ("n1",), "storage", ("l",), 3, Random(2))
    made.on_start(Stable())
    made.on_timer(0, "next")
    return made


def test_a_lease_counts_from_the_request() -> None:
    made = client()
    effects = made.on_message(50, "n1", Answer(made.number, "granted", "l", 7))
    (note,) = [e for e in effects if isinstance(e, Note)]
    assert (note.name, note.fields["lock.lease_ns"]) == ("lock.acquire", held(LEASE) - 50)
    late = client()
    effects = late.on_message(held(LEASE), "n1", Answer(late.number, "granted", "l", 7))
    assert not [e for e in effects if isinstance(e, Note)], "over before it was heard of"
    assert [e.message for e in effects if isinstance(e, Send)] == [Release(late.number, "l", 7)]


def test_a_client_that_crashed_knows_nothing_of_its_lock_and_uses_new_numbers() -> None:
    made = client()
    again = LockClient("a", ("n1",), "storage", ("l",), 3, Random(2))
    again.on_start(Stable({"number": made.number, "left": made.left}))
    assert (again.left, again.section) == (2, None)
    again.on_timer(0, "next")
    assert again.number > made.number


def test_the_storage_refuses_an_older_token_also_after_a_restart() -> None:
    storage, stable = Storage(), Stable()
    storage.on_start(stable)
    for effect in storage.on_message(0, "b", Write(1, "l", 8)):
        if isinstance(effect, Persist):
            stable.write(effect.cells, effect.log_from, effect.entries)
    again = Storage()
    again.on_start(stable)
    assert notes(list(again.on_message(1, "a", Write(1, "l", 7)))) == ["lock.reject"]
    assert notes(list(again.on_message(1, "a", Write(1, "other", 7)))) == ["lock.accept"]
    assert notes(list(again.on_message(1, "b", Write(2, "l", 8)))) == ["lock.accept"]


def test_lamports_rules() -> None:
    node = lamport.LamportNode("b", ("a", "b", "c"), Random(1), 1)
    node.on_start(Stable())
    request = node.on_timer(0, "request")
    assert notes(list(request)) == ["lock.request"]
    assert [e.to for e in request if isinstance(e, Send)] == ["a", "c"], "rule 1"
    (acknowledgement,) = node.on_message(0, "a", lamport.Request(1))
    assert isinstance(acknowledgement, Send)
    assert isinstance(acknowledgement.message, lamport.Acknowledge), "rule 2"
    assert acknowledgement.message.time > 1
    assert not node.on_message(0, "c", lamport.Acknowledge(9)), "rule 5 (i): a asked at the same time and is first"
    assert notes(list(node.on_message(0, "a", lamport.Release(10)))) == ["lock.grant"], "rules 4 and 5"
    assert notes(list(node.on_timer(0, "release"))) == ["lock.release"], "rule 3"


def held_at_once(rows: list[dict[str, Any]], begin: str, ends: set[str]) -> bool:
    """Whether two holders have a lock at once, in the order of true time."""
    has: dict[str, dict[tuple[str, Any], None]] = {}
    for row in rows:
        holders = has.setdefault(row.get("lock.name", ""), {})
        key = (row.get("lock.holder", row["process"]), row.get("lock.token"))
        if row.get("name") == begin and row["kind"] == "internal":
            holders[key] = None
            if len({holder for holder, _ in holders}) > 1:
                return True
        elif row.get("name") in ends:
            holders.pop(key, None)
    return False


@pytest.mark.parametrize("seed", range(6))
def test_a_correct_run_of_the_service(seed: int) -> None:
    trace = LOCK.simulate(Simulation((3, 1, 5)[seed % 3], seed, NETWORKS[seed // 2], operations=100), None)
    result = analyze(trace)
    assert result.verdict is Verdict.HOLDS, [(c.check, c.reasons, c.violations[:1]) for c in result.required]
    examined = {c.check: c.examined for c in result.required}
    assert examined["lock.mutual-exclusion"]["grants"] >= 20
    assert examined["lock.lease"]["leases"] >= 20


@pytest.mark.parametrize("fault", LOCK.faults)
def test_every_fault_is_tolerated(fault: str) -> None:
    trace = LOCK.simulate(Simulation(3, 3, faults=(fault,), operations=80), None)
    result = analyze(trace)
    assert result.verdict is Verdict.HOLDS, [(c.check, c.reasons, c.violations[:1]) for c in result.required]
    assert not result.broken_assumptions


def test_a_clock_that_jumps_is_a_broken_assumption() -> None:
    trace = LOCK.simulate(Simulation(3, 3, faults=("clock-step",), operations=80), None)
    assert trace.run.broken_assumptions == ("clock-step: lock does not claim to tolerate it",)


def test_clocks_of_clients_drift_too() -> None:
    rows = rows_of(LOCK.simulate(Simulation(3, 3, faults=("clock-drift",), operations=5), None))
    assert {"c1", "storage", "n1"} <= {row["fault.process"] for row in rows if row.get("name") == "fault.clock-drift"}


def test_lamports_sections_exclude_each_other() -> None:
    trace = LAMPORT.simulate(Simulation(4, 7, operations=200), None)
    assert not held_at_once(rows_of(trace), "lock.grant", {"lock.release"})
    assert analyze(trace).verdict is Verdict.HOLDS
    broken = LAMPORT.simulate(Simulation(4, 7, mutant="without-acknowledgements", operations=200), None)
    assert held_at_once(rows_of(broken), "lock.grant", {"lock.release"})


@pytest.mark.parametrize(("protocol", "mutant", "caught_by"), MUTANTS, ids=lambda v: v if isinstance(v, str) else "")
def test_a_mutant_is_caught(protocol: Any, mutant: str, caught_by: str) -> None:
    """Within few seeds; rarer ones begin at a seed that shows them."""
    first, operations = RARE.get(mutant, (0, 300))
    for seed in range(first, first + 5):
        trace = protocol.simulate(Simulation(3, seed, mutant=mutant, operations=operations), None)
        if any(c.verdict is Verdict.VIOLATED for c in analyze(trace, check=[caught_by]).required):
            return
    pytest.fail(f"{mutant} was not caught within five seeds from {first} on")
