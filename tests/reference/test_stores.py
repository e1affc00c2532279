"""The replicated stores: rules of their papers, runs that keep their rung and not the next, mutants that fall below."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from random import Random
from typing import Any, TypeVar

import pytest

from reference_impls.protocols.abd.messages import (
    INITIAL,
    Acknowledge,
    Answer,
    Operation,
    Query,
    Tag,
    Update,
    Versioned,
)
from reference_impls.protocols.abd.node import AbdNode
from reference_impls.protocols.causal_kv.mutants import SkewedLastWriter
from reference_impls.protocols.causal_kv.node import CausalReplica
from reference_impls.protocols.eventual_kv.mutants import ForgetfulSet
from reference_impls.protocols.eventual_kv.node import EventualReplica
from reference_impls.protocols.eventual_kv.objects import ObservedRemoveSet, PnCounter
from reference_impls.protocols.kv_store import Command
from reference_impls.protocols.primary_backup.node import Forward, Server, Written
from reference_impls.protocols.replica import Lacking, Replica, Updates
from reference_impls.protocols.store_messages import Request, Response
from reference_impls.runtime.effects import Effect, Persist, Reply, Send
from reference_impls.runtime.process import Stable
from tests.reference.oracle import rows_of, stale_reads
from tracekit.analysis import analyze
from tracekit.protocols import NETWORKS, Simulation, protocols
from tracekit.results import Verdict
from tracekit.trace.parquet import to_table
from tracekit.trace.trace import Trace

STORES = ("abd", "primary-backup", "causal-kv", "eventual-kv")
MEMBERS = ("n1", "n2", "n3")

Node = TypeVar("Node", bound=AbdNode | Replica)


def read(key: str, number: int, client: str = "c1") -> Request:
    return Request(Command(client, number, "read", key, None))


def write(key: str, value: str, number: int, client: str = "c1") -> Request:
    return Request(Command(client, number, "write", key, value))


def sent(effects: Sequence[Effect], to: str | None = None) -> list[Any]:
    return [e.message for e in effects if isinstance(e, (Send, Reply)) and to in (None, e.to)]


def restarted(make: type[Node], name: str, *steps: Sequence[Effect]) -> Node:
    """The same node after a crash, with what these steps had made stable."""
    stable = Stable()
    for step in steps:
        for effect in step:
            if isinstance(effect, Persist):
                stable.write(effect.cells, effect.log_from, effect.entries)
    node = make(name, MEMBERS, Random(0))
    node.on_start(stable)
    return node


# ABD: a server


def server() -> AbdNode:
    return restarted(AbdNode, "n1")


def test_a_server_adopts_newer_values_only_and_acknowledges_all() -> None:
    node, operation = server(), Operation("c9", 1)
    newer, older = Versioned(Tag(2, "c1"), "7"), Versioned(Tag(1, "c2"), "8")
    first = node.on_message(0, "n2", Update(operation, "x", newer))
    second = node.on_message(0, "n2", Update(operation, "x", older))
    assert sent(first) == [Acknowledge(operation, newer.tag)]
    assert sent(second) == [Acknowledge(operation, older.tag)]
    assert sent(node.on_message(0, "n3", Query(operation, "x"))) == [Answer(operation, newer)]
    assert sent(node.on_message(0, "n3", Query(operation, "y"))) == [Answer(operation, INITIAL)]


def test_what_was_acknowledged_survives_a_crash() -> None:
    node, operation = server(), Operation("c9", 1)
    new = Versioned(Tag(2, "c1"), "7")
    step = node.on_message(0, "n2", Update(operation, "x", new))
    assert isinstance(step[0], Persist), "stable before the acknowledgement"
    again = restarted(AbdNode, "n1", step)
    assert sent(again.on_message(0, "n3", Query(operation, "x"))) == [Answer(operation, new)]


# ABD: a coordinator


def test_a_reader_writes_back_the_newest_value_of_a_majority_before_it_answers() -> None:
    node, operation = server(), Operation("c1", 1)
    assert sent(node.on_message(0, "c1", read("x", 1))) == [Query(operation, "x")] * 2
    newest = Versioned(Tag(4, "c2"), "9")
    round_two = node.on_message(0, "n2", Answer(operation, newest))
    assert sent(round_two) == [Update(operation, "x", newest)] * 2, "no answer to the client yet"
    assert sent(node.on_message(0, "n3", Acknowledge(operation, newest.tag))) == [Response(1, "9")]


def test_a_writer_takes_the_next_tag_after_the_newest_of_a_majority() -> None:
    node, operation = server(), Operation("c1", 1)
    node.on_message(0, "c1", write("x", "5", 1))
    step = node.on_message(0, "n2", Answer(operation, Versioned(Tag(4, "c2"), "9")))
    tag = Tag(5, "c1")
    assert sent(step) == [Update(operation, "x", Versioned(tag, "5"))] * 2
    assert sent(node.on_message(0, "n2", Acknowledge(operation, tag)), "c1") == [Response(1, "5")]


def test_an_acknowledgement_of_another_value_does_not_count() -> None:
    node, operation = server(), Operation("c1", 1)
    node.on_message(0, "c1", write("x", "5", 1))
    node.on_message(0, "n2", Answer(operation, INITIAL))
    assert sent(node.on_message(0, "n2", Acknowledge(operation, Tag(1, "c2")))) == []


def test_a_repeated_request_asks_only_those_again_who_have_not_answered() -> None:
    node = restarted(AbdNode, "n1")
    node.quorum = 3
    node.on_message(0, "c1", read("x", 1))
    node.on_message(0, "n2", Answer(Operation("c1", 1), INITIAL))
    again = node.on_message(0, "c1", read("x", 1))
    assert [e.to for e in again if isinstance(e, Send)] == ["n3"]


def test_a_write_that_had_its_tag_before_a_crash_keeps_it() -> None:
    node, operation = server(), Operation("c1", 1)
    steps = [
        node.on_message(0, "c1", write("x", "5", 1)),
        node.on_message(0, "n2", Answer(operation, Versioned(Tag(4, "c2"), "9"))),
    ]
    again = restarted(AbdNode, "n1", *steps)
    step = again.on_message(0, "c1", write("x", "5", 1))
    assert sent(step) == [Update(operation, "x", Versioned(Tag(5, "c1"), "5"))] * 2


def test_a_request_that_comes_too_late_is_not_carried_out() -> None:
    node = server()
    node.on_message(0, "c1", write("x", "6", 2))
    assert list(node.on_message(0, "c1", write("x", "5", 1))) == []


# Updates and anti-entropy


def updates_of(effects: Sequence[Effect]) -> Updates:
    return next(message for message in sent(effects) if isinstance(message, Updates))


@pytest.mark.parametrize("make", [CausalReplica, EventualReplica])
def test_a_request_that_is_repeated_is_one_update_and_is_answered_twice(make: type[Replica]) -> None:
    node = restarted(make, "n1")
    first = node.on_message(0, "c1", write("x", "5", 1))
    again = node.on_message(0, "c1", write("x", "5", 1))
    assert sent(first, "c1") == sent(again, "c1") == [Response(1)]
    assert len(node.log) == 1
    assert [e.to for e in first if isinstance(e, Send)] == ["n2", "n3"]
    assert sent(again, "n2") == []


@pytest.mark.parametrize("make", [CausalReplica, EventualReplica, Server])
def test_anti_entropy_brings_what_the_mail_lost(make: type[Replica]) -> None:
    one, two = restarted(make, "n1"), restarted(make, "n2")
    steps = [one.on_message(0, "c1", write("x", str(i), i)) for i in (1, 2, 3)]
    two.on_message(0, "n1", updates_of(steps[0]))
    ask = next(e for e in two.on_timer(0, "anti-entropy") if isinstance(e, Send))
    if ask.to != "n1":
        assert sent(restarted(make, "n3").on_message(0, "n2", ask.message)) == [], "it has nothing either"
    (missing,) = sent(one.on_message(0, "n2", ask.message))
    assert ask.message == Lacking({"n1": 1})
    assert [update.number for update in missing.updates] == [2, 3]
    two.on_message(0, "n1", missing)
    assert two.read("x") == "3"
    assert sent(one.on_message(0, "n2", Lacking(two.version))) == []


@pytest.mark.parametrize("make", [CausalReplica, EventualReplica, Server])
def test_a_restarted_replica_has_its_log_and_its_clock(make: type[Replica]) -> None:
    node = restarted(make, "n1")
    steps = [node.on_message(0, "c1", write("x", str(i), i)) for i in (1, 2)]
    again = restarted(make, "n1", *steps)
    assert (again.read("x"), again.version, again.time) == ("2", {"n1": 2}, 2)
    assert sent(again.on_message(0, "c1", write("x", "2", 2)), "n2") == [], "still known as done"


# The causal store


def test_an_update_waits_for_all_that_its_origin_had_seen() -> None:
    one, two, three = (restarted(CausalReplica, name) for name in MEMBERS)
    question = updates_of(one.on_message(0, "c1", write("x", "1", 1)))
    two.on_message(0, "n1", question)
    answer = updates_of(two.on_message(0, "c2", write("y", "2", 1, "c2")))
    three.on_message(0, "n2", answer)
    assert three.read("y") is None
    three.on_message(0, "n1", question)
    assert (three.read("x"), three.read("y")) == ("1", "2")


def test_updates_of_one_origin_take_effect_in_its_order() -> None:
    one, two = restarted(CausalReplica, "n1"), restarted(CausalReplica, "n2")
    first, second = (updates_of(one.on_message(0, "c1", write("x", str(i), i))) for i in (1, 2))
    two.on_message(0, "n1", second)
    assert two.read("x") is None
    two.on_message(0, "n1", first)
    assert two.read("x") == "2"


def test_of_concurrent_writes_the_same_one_stays_everywhere() -> None:
    one, two = restarted(CausalReplica, "n1"), restarted(CausalReplica, "n2")
    a = updates_of(one.on_message(0, "c1", write("x", "1", 1)))
    b = updates_of(two.on_message(0, "c2", write("x", "2", 1, "c2")))
    two.on_message(0, "n1", a)
    one.on_message(0, "n2", b)
    assert one.read("x") == two.read("x") == "2", "same time, greater name"


def test_a_write_is_later_than_all_that_its_replica_had_seen_and_with_machine_clocks_it_need_not_be() -> None:
    for make, stays in ((CausalReplica, "2"), (SkewedLastWriter, "1")):
        one, two = restarted(make, "n1"), restarted(make, "n2")
        two.on_message(0, "n1", updates_of(one.on_message(10**9, "c1", write("x", "1", 1))))
        two.on_message(0, "c2", write("x", "2", 1, "c2"))
        assert two.read("x") == stays


# Primary and backups


def test_a_backup_passes_a_write_on_and_answers_when_the_primary_has_it() -> None:
    primary, backup = restarted(Server, "n1"), restarted(Server, "n2")
    request = write("x", "5", 1)
    assert sent(backup.on_message(0, "c1", request)) == [Forward(request.command)]
    step = primary.on_message(0, "n2", Forward(request.command))
    assert Written(request.command) in sent(step, "n2")
    assert sent(backup.on_message(0, "n1", Written(request.command)), "c1") == [Response(1)]
    assert sent(backup.on_message(0, "c1", read("x", 2))) == [Response(2, None)], "its own write has not come yet"
    backup.on_message(0, "n1", updates_of(step))
    assert sent(backup.on_message(0, "c1", read("x", 3))) == [Response(3, "5")]


def test_a_backup_applies_the_log_without_gaps() -> None:
    primary, backup = restarted(Server, "n1"), restarted(Server, "n2")
    first, second = (updates_of(primary.on_message(0, "c1", write("x", str(i), i))) for i in (1, 2))
    backup.on_message(0, "n1", second)
    assert backup.read("x") is None
    backup.on_message(0, "n1", first)
    assert backup.read("x") == "2"


# Objects


def test_a_removal_takes_away_only_what_it_has_observed() -> None:
    held = ObservedRemoveSet()
    held.add("a#1", "7")
    seen = held.observed("7")
    held.add("b#1", "7")
    held.remove(seen)
    assert held.value == "[7]", "the concurrent add wins"
    held.remove(held.observed("7"))
    assert held.value == "[]"


def test_a_removal_that_comes_before_its_add_needs_a_tombstone() -> None:
    held, forgetful = ObservedRemoveSet(), ForgetfulSet()
    for kind in (held, forgetful):
        kind.remove(("a#1",))
        kind.add("a#1", "7")
    assert (held.value, forgetful.value) == ("[]", "[7]")


def test_a_counter_counts_up_and_down() -> None:
    counter = PnCounter()
    counter.plus["a"] += 5
    counter.minus["b"] += 7
    assert counter.value == "-2"


def test_replicas_with_the_same_updates_are_in_the_same_state_in_whatever_order_these_came() -> None:
    random = Random(5)
    origin = restarted(EventualReplica, "n1")
    updates = []
    for number in range(1, 40):
        f, key = random.choice([("write", "x"), ("add", "s"), ("remove", "s"), ("increment", "n"), ("decrement", "n")])
        step = origin.on_message(0, "c1", Request(Command("c1", number, f, key, str(random.randint(1, 3)))))
        updates.append(updates_of(step).updates[0])
    state = {key: origin.read(key) for key in ("x", "s", "n")}
    for _ in range(20):
        other = restarted(EventualReplica, "n2")
        for update in random.sample(updates, len(updates)):
            other.on_message(0, "n1", Updates((update,)))
            other.on_message(0, "n1", Updates((update,)))  # twice is once
        assert {key: other.read(key) for key in state} == state


# Whole runs


@cache
def run(store: str, seed: int, mutant: str | None = None) -> Trace:
    network = "async" if mutant else NETWORKS[seed % 3]
    return protocols()[store].simulate(Simulation(3, seed, network, mutant=mutant, operations=300), None)


def converged(rows: list[dict[str, Any]]) -> bool:
    """Whether the final reads of every key found the same at all servers."""
    found: dict[str, set[str]] = {}
    readers: dict[str, set[str]] = {}
    for row in rows:
        if row["kind"] == "ok" and row["process"].startswith("r"):
            found.setdefault(row["key"], set()).add(row.get("value", "nil"))
            readers.setdefault(row["key"], set()).add(row["process"].partition(".")[0])
    assert found
    assert all(len(names) == 3 for names in readers.values()), "every server was asked for every key"
    return all(len(values) == 1 for values in found.values())


def same_updates_same_state(rows: list[dict[str, Any]]) -> bool:
    """Strong eventual consistency, read off the rows."""
    had: dict[str, set[str]] = {}
    states: dict[frozenset[str], set[str]] = {}
    for row in rows:
        if row.get("name") == "replica.deliver":
            had.setdefault(row["process"], set()).add(row["replica.update"])
        elif row.get("name") == "replica.reset":
            had[row["process"]] = set()
        elif row.get("name") == "replica.state":
            states.setdefault(frozenset(had[row["process"]]), set()).add(row["replica.digest"])
    assert len(states) > 50
    return all(len(digests) == 1 for digests in states.values())


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("seed", range(6))
def test_a_correct_run_keeps_what_the_store_claims(store: str, seed: int) -> None:
    trace = run(store, seed)
    result = analyze(trace)
    assert result.verdict is Verdict.HOLDS, [(c.check, c.verdict, c.reasons) for c in result.required]
    rows = rows_of(trace)
    assert converged(rows)
    if store == "abd":
        assert stale_reads(rows) == []
    else:
        assert same_updates_same_state(rows)
    assert trace.run.quiescent is True


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("fault", protocols()["abd"].faults)
def test_every_fault_is_tolerated(store: str, fault: str) -> None:
    trace = protocols()[store].simulate(Simulation(3, 3, faults=(fault,), operations=300), None)
    assert analyze(trace).verdict is Verdict.HOLDS
    assert converged(rows_of(trace))


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("nodes", [2, 5])
def test_other_numbers_of_servers(store: str, nodes: int) -> None:
    trace = protocols()[store].simulate(Simulation(nodes, 1, operations=120), None)
    assert analyze(trace).verdict is Verdict.HOLDS


@pytest.mark.parametrize("store", STORES)
def test_the_same_seed_makes_the_same_trace(store: str) -> None:
    first, second = (protocols()[store].simulate(Simulation(3, 4, operations=60), None) for _ in range(2))
    assert to_table(first).equals(to_table(second), check_metadata=True)


@pytest.mark.parametrize("store", STORES)
def test_written_values_are_unique(store: str) -> None:
    writes = [row["value"] for row in rows_of(run(store, 0)) if row["kind"] == "invoke" and row["f"] == "write"]
    assert len(writes) == len(set(writes)) > 20


ABOVE = [
    ("primary-backup", "session.read-your-writes"),
    ("primary-backup", "consistency.pram"),
    ("primary-backup", "consistency.causal"),
    ("causal-kv", "consistency.sequential"),
    ("eventual-kv", "session.read-your-writes"),
    ("eventual-kv", "session.monotonic-reads"),
    ("eventual-kv", "session.monotonic-writes"),
    ("eventual-kv", "consistency.pram"),
    ("eventual-kv", "consistency.causal"),
]
"""Each store, and the next rungs of the ladder, on which it is not.

`session.writes-follow-reads`, judged alone, is missing: the order in which writes were invoked fulfils it in every run
in which nobody reads a value before it is written, so no store can fail it.
"""


@pytest.mark.parametrize(("store", "rung"), ABOVE)
def test_a_store_is_on_its_rung_and_on_no_higher_one(store: str, rung: str) -> None:
    verdicts = (analyze(run(store, seed), check=[rung]).verdict for seed in range(20))
    assert Verdict.VIOLATED in verdicts, "no run of twenty fails it"


CAUGHT = {
    ("abd", "no-write-back"): 0,
    ("abd", "sloppy-quorum"): 0,
    ("primary-backup", "out-of-order"): 0,
    ("primary-backup", "volatile-backup"): 1,
    ("causal-kv", "dependencies-unchecked"): 15,
    ("causal-kv", "skewed-last-writer"): 0,
    ("eventual-kv", "lost-tombstone"): 2,
    ("eventual-kv", "non-commutative-merge"): 5,
}
"""A seed that shows each bug."""


def test_every_mutant_has_its_seed() -> None:
    assert set(CAUGHT) == {(store, mutant.name) for store in STORES for mutant in protocols()[store].mutants}


@pytest.mark.parametrize(("store", "mutant"), CAUGHT)
def test_every_mutant_is_caught_by_the_check_that_it_names(store: str, mutant: str) -> None:
    trace = run(store, CAUGHT[store, mutant], mutant)
    assert trace.run.claims == protocols()[store].claims
    caught_by = next(m.caught_by for m in protocols()[store].mutants if m.name == mutant)
    result = analyze(trace)
    assert caught_by in [c.check for c in result.required if c.verdict is Verdict.VIOLATED]


@pytest.mark.parametrize(("store", "mutant"), [pair for pair in CAUGHT if pair[0] != "abd"])
def test_which_mutants_make_states_of_the_same_updates_differ(store: str, mutant: str) -> None:
    rows = rows_of(run(store, CAUGHT[store, mutant], mutant))
    caught_by = next(m.caught_by for m in protocols()[store].mutants if m.name == mutant)
    assert same_updates_same_state(rows) is (caught_by != "consistency.strong-eventual")


@pytest.mark.parametrize("mutant", ["lost-tombstone", "non-commutative-merge"])
def test_replicas_of_the_broken_eventual_store_stay_apart(mutant: str) -> None:
    assert not converged(rows_of(run("eventual-kv", CAUGHT["eventual-kv", mutant], mutant)))
