"""Multi-Paxos: sentences of the papers asked of one node, and whole runs judged by the brute-force definitions."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

import pytest

from reference_impls.protocols.kv_store import Command
from reference_impls.protocols.multi_paxos.machine import Machine
from reference_impls.protocols.multi_paxos.messages import (
    Accept,
    Accepted,
    CatchUp,
    Chosen,
    ClientRequest,
    ClientResponse,
    Heartbeat,
    Missed,
    Prepare,
    Promise,
    Pvalue,
    Refusal,
)
from reference_impls.protocols.multi_paxos.mutants import BUGS
from reference_impls.protocols.multi_paxos.node import CHECKPOINT, MultiPaxosNode
from reference_impls.runtime.effects import Effect, Note, Persist, Reply, Send
from reference_impls.runtime.process import Stable
from tests.oracle import paxos, smr
from tests.reference.oracle import rows_of
from tracekit.analysis import analyze
from tracekit.protocols import NETWORKS, Simulation, protocols
from tracekit.results import Verdict
from tracekit.trace.schema import Kind

PROTOCOL = protocols()["multi-paxos"]
MEMBERS = ("n1", "n2", "n3", "n4", "n5")


def write(number: int, client: str = "c1") -> Command:
    return Command(client, number, "write", "k", str(number))


def node(stable: Stable | None = None) -> MultiPaxosNode:
    process = MultiPaxosNode("n1", MEMBERS, Random(0))
    process.on_start(stable or Stable())
    return process


def carry_out(effects: Sequence[Effect], stable: Stable) -> None:
    for effect in effects:
        if isinstance(effect, Persist):
            stable.write(effect.cells, effect.log_from, effect.entries)


def sent(effects: Sequence[Effect], kind: type) -> list[Any]:
    found = [e.message for e in effects if isinstance(e, (Send, Reply)) and isinstance(e.message, kind)]
    return list(dict.fromkeys(found))


def notes(effects: Sequence[Effect], name: str) -> list[Any]:
    return [e.fields for e in effects if isinstance(e, Note) and e.name == name]


def leader(*reports: Promise) -> tuple[MultiPaxosNode, list[Effect]]:
    """n1 after promises of n2, n3 with these reports, and the effects of the last one."""
    process = node()
    process.on_timer(0, "election")
    effects: Sequence[Effect] = []
    for i, report in enumerate(reports or (Promise(0, ()), Promise(0, ())), 2):
        promise = Promise(process.ballot, report.accepted, report.first, report.chosen)
        effects = process.on_message(0, f"n{i}", promise)
    assert process.role == "leading"
    return process, list(effects)


def test_3_a_leader_executes_phase_1_for_all_slots_at_once() -> None:
    process = node()
    (prepare,) = sent(process.on_timer(0, "election"), Prepare)
    assert prepare == Prepare(process.ballot, 1)
    process, effects = leader()
    assert sent(effects, Accept) == []
    (accept,) = sent(process.on_message(0, "c1", ClientRequest(write(1))), Accept)
    assert accept.pvalue == Pvalue(process.ballot, 1, write(1))


def test_3_a_new_leader_proposes_what_was_reported_and_fills_the_gaps_with_no_ops() -> None:
    process, effects = leader(
        Promise(0, (Pvalue(1, 2, write(2)), Pvalue(1, 4, write(4)))), Promise(0, (Pvalue(3, 2, write(9)),))
    )
    commands = {m.pvalue.slot: m.pvalue.command for m in sent(effects, Accept)}
    assert commands == {1: None, 2: write(9), 3: None, 4: write(4)}
    assert [f["paxos.value"] for f in notes(effects, "paxos.submit")] == ["no-op", "no-op"]
    (accept,) = sent(process.on_message(0, "c1", ClientRequest(write(1))), Accept)
    assert accept.pvalue.slot == 5


def test_3_a_new_leader_learns_what_is_chosen_from_those_that_know() -> None:
    process, effects = leader(Promise(0, (), 1, (write(1), write(2))), Promise(0, ()))
    assert process.decided == [write(1), write(2)]
    assert sent(effects, Accept) == []


def test_2_2_one_promise_holds_for_every_slot() -> None:
    acceptor = node()
    assert sent(acceptor.on_message(0, "n2", Prepare(12, 1)), Promise) == [Promise(12, (), 1, ())]
    assert sent(acceptor.on_message(0, "n3", Accept(Pvalue(8, 77, None))), Refusal) == [Refusal(8, 12)]
    assert sent(acceptor.on_message(0, "n3", Prepare(8, 1)), Refusal) == [Refusal(8, 12)]
    assert sent(acceptor.on_message(0, "n2", Accept(Pvalue(12, 3, write(1)))), Accepted)
    assert sent(acceptor.on_message(0, "n2", Prepare(17, 1)), Promise)[0].accepted == (Pvalue(12, 3, write(1)),)


@pytest.mark.parametrize("message", [Prepare(12, 1), Accept(Pvalue(12, 1, None))])
def test_2_5_an_acceptor_records_its_answer_in_stable_storage_before_it_sends_it(message: Any) -> None:
    stable = Stable()
    effects = node(stable).on_message(0, "n2", message)
    order = [type(effect) for effect in effects if isinstance(effect, (Persist, Note, Send))]
    assert order == [Persist, Note, Send]
    carry_out(effects, stable)
    assert sent(node(stable).on_message(0, "n3", Prepare(8, 1)), Refusal) == [Refusal(8, 12)]


def test_2_2_a_majority_chooses_and_the_leader_answers_and_tells_the_others() -> None:
    process, _ = leader()
    process.on_message(0, "c1", ClientRequest(write(1)))
    pvalue = Pvalue(process.ballot, 1, write(1))
    assert sent(process.on_message(0, "n2", Accepted(pvalue)), Chosen) == []
    effects = process.on_message(0, "n3", Accepted(pvalue))
    assert sent(effects, Chosen) == [Chosen(1, write(1))]
    assert sent(effects, ClientResponse) == [ClientResponse(1, "ok", "1")]


def test_3_commands_are_executed_in_the_order_of_their_slots() -> None:
    replica = node()
    assert notes(replica.on_message(0, "n2", Chosen(2, write(2))), "smr.apply") == []
    applied = notes(replica.on_message(0, "n2", Chosen(1, write(1))), "smr.apply")
    assert [f["smr.index"] for f in applied] == [1, 2]


def test_pmmc_perform_executes_a_command_once_though_it_is_decided_twice() -> None:
    replica = node()
    for slot in (1, 2):
        replica.on_message(0, "n2", Chosen(slot, write(1)))
    effects = replica.on_message(0, "n2", Chosen(3, write(2)))
    assert notes(effects, "smr.apply")[0]["smr.executed"] is True
    again = notes(replica.on_message(0, "n2", Chosen(4, write(2))), "smr.apply")[0]
    assert again["smr.executed"] is False
    assert again["smr.state"] == notes(effects, "smr.apply")[0]["smr.state"]


def test_pmmc_a_preempted_leader_stops_and_its_next_ballot_is_higher() -> None:
    process, _ = leader()
    process.on_message(0, "n4", Refusal(process.ballot, 1000))
    assert process.role == "following"
    assert sent(process.on_message(0, "c1", ClientRequest(write(1))), Accept) == []
    process.on_timer(0, "election")
    assert process.ballot > 1000


def test_who_does_not_lead_names_the_leader() -> None:
    replica = node()
    replica.on_message(0, "n3", Prepare(12, 1))
    (answer,) = sent(replica.on_message(0, "c1", ClientRequest(write(1))), ClientResponse)
    assert (answer.status, answer.leader) == ("redirect", "n3")


def test_a_replica_that_missed_decisions_asks_for_them() -> None:
    process, _ = leader(Promise(0, (), 1, (write(1), write(2))), Promise(0, ()))
    replica = MultiPaxosNode("n2", MEMBERS, Random(0))
    replica.on_start(Stable())
    (asks,) = sent(replica.on_message(0, "n1", Heartbeat(process.ballot, 2)), CatchUp)
    (missed,) = sent(process.on_message(0, "n2", asks), Missed)
    replica.on_message(0, "n1", missed)
    assert replica.decided == [write(1), write(2)]
    assert replica.machine.digest == process.machine.digest


def test_a_restart_goes_on_from_the_checkpoint_and_the_log() -> None:
    stable = Stable()
    replica = node(stable)
    for slot in range(1, CHECKPOINT + 4):
        carry_out(replica.on_message(0, "n2", Chosen(slot, write(slot))), stable)
    again = MultiPaxosNode("n1", MEMBERS, Random(0))
    effects = again.on_start(stable)
    assert notes(effects, "smr.restart")[0]["smr.index"] == CHECKPOINT
    assert [f["smr.index"] for f in notes(effects, "smr.apply")] == [CHECKPOINT + 1, CHECKPOINT + 2, CHECKPOINT + 3]
    assert again.machine.digest == replica.machine.digest


def test_the_digest_is_of_the_state_and_not_of_the_way_there() -> None:
    first, second = Machine(), Machine()
    commands = [Command("c1", 1, "write", "a", "1"), Command("c2", 1, "write", "b", "2")]
    digests = []
    for machine, order in ((first, commands), (second, commands[::-1])):
        for command in order:
            machine.apply(command)
            digests.append(machine.digest)
    assert digests[1] == digests[3]
    assert len(set(digests)) == 3
    copy = Machine()
    copy.take_over(first.contents())
    assert copy.digest == first.digest
    copy.apply(Command("c1", 2, "write", "a", "5"))
    assert first.digest == digests[1] != copy.digest


@pytest.mark.parametrize("seed", range(4))
def test_the_definitions_hold_in_whole_runs(seed: int) -> None:
    trace = PROTOCOL.simulate(Simulation((3, 5, 1, 2)[seed], seed, NETWORKS[seed % 3], operations=8, clients=2), None)
    rows = rows_of(trace)
    run = paxos.Run(rows, [row["process"] for row in rows if row.get("name") == "smr.init"])
    for name, definition in paxos.RULES.items():
        assert definition(run) == set(), name
    for name, rule in smr.RULES.items():
        assert rule(rows) == set(), name
    assert sum(row.get("name") == "smr.apply" for row in rows) >= 8


@pytest.mark.parametrize("seed", range(6))
def test_a_correct_run_passes_what_it_claims(seed: int) -> None:
    trace = PROTOCOL.simulate(Simulation((5, 3, 1, 2)[seed % 4], seed, NETWORKS[seed % 3], operations=150), None)
    result = analyze(trace)
    assert result.verdict is Verdict.HOLDS, [(c.check, c.reasons, c.violations[:1]) for c in result.required]
    assert trace.is_kind(Kind.OK).sum() > 50


@pytest.mark.parametrize("fault", PROTOCOL.faults)
def test_every_fault_is_tolerated(fault: str) -> None:
    trace = PROTOCOL.simulate(Simulation(3, 3, faults=(fault,), operations=120), None)
    assert f"fault.{fault}" in trace.names or (fault == "crash" and "smr.crash" in trace.names)
    checked = analyze(trace, check=["paxos.*", "smr.*", "consistency.linearizable"])
    assert checked.verdict is Verdict.HOLDS


@pytest.mark.parametrize("nodes", [1, 3])
def test_a_run_without_operations_holds(nodes: int) -> None:
    trace = PROTOCOL.simulate(Simulation(nodes, 0, operations=0), None)
    assert "paxos.lead" in trace.names
    assert analyze(trace).exit_code == 0


SLOW_TO_SHOW = {"forget-session": 400, "local-reads": 400}


@pytest.mark.parametrize("mutant", BUGS)
def test_every_mutant_is_caught_by_its_check_within_twenty_seeds(mutant: str) -> None:
    for seed in range(20):
        operations = SLOW_TO_SHOW.get(mutant, 150)
        trace = PROTOCOL.simulate(Simulation(3, seed, mutant=mutant, operations=operations), None)
        assert trace.run.claims == PROTOCOL.claims
        result = analyze(trace, check=[BUGS[mutant].mutant.caught_by])
        if result.verdict is Verdict.VIOLATED:
            return
    pytest.fail(f"{mutant} was not caught within 20 seeds")
