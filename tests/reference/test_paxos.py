"""Paxos: sentences of the paper asked of one node, and whole runs judged by the brute-force definitions."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

import pytest

from reference_impls.protocols.paxos.messages import (
    Accept,
    Accepted,
    Answer,
    Chosen,
    Prepare,
    Promise,
    Proposal,
    Refusal,
    Submit,
)
from reference_impls.protocols.paxos.mutants import BUGS
from reference_impls.protocols.paxos.node import PaxosNode
from reference_impls.runtime.effects import Effect, Note, Persist, Reply, Send, SetTimer
from reference_impls.runtime.process import Stable
from tests.oracle import paxos as oracle
from tests.reference.oracle import rows_of
from tracekit.analysis import analyze
from tracekit.protocols import NETWORKS, Simulation, protocols
from tracekit.results import Verdict
from tracekit.trace.schema import Kind

PROTOCOL = protocols()["paxos"]
MEMBERS = ("n1", "n2", "n3")


def node(stable: Stable | None = None, name: str = "n1", members: Sequence[str] = MEMBERS) -> PaxosNode:
    process = PaxosNode(name, members, Random(0))
    carry_out(process.on_start(stable or Stable()), stable or Stable())
    return process


def carry_out(effects: Sequence[Effect], stable: Stable) -> None:
    for effect in effects:
        if isinstance(effect, Persist):
            stable.write(effect.cells, effect.log_from, effect.entries)


def sent(effects: Sequence[Effect]) -> list[Any]:
    return [e.message for e in effects if isinstance(e, (Send, Reply))]


def test_2_2_an_acceptor_answers_a_prepare_request_with_a_greater_number_than_any_before() -> None:
    acceptor = node()
    assert sent(acceptor.on_message(0, "n2", Prepare(1, 7))) == [Promise(1, 7, None)]
    assert sent(acceptor.on_message(0, "n2", Prepare(1, 7))) == []
    assert sent(acceptor.on_message(0, "n3", Prepare(1, 5))) == [Refusal(1, 5, 7)]
    assert sent(acceptor.on_message(0, "n3", Prepare(2, 5))) == [Promise(2, 5, None)], "another instance"


def test_2_2_the_promise_reports_the_highest_numbered_proposal_accepted() -> None:
    acceptor = node()
    for ballot, value in ((4, "x"), (6, "y")):
        assert sent(acceptor.on_message(0, "n2", Accept(1, Proposal(ballot, value)))) == [
            Accepted(1, Proposal(ballot, value))
        ]
    assert sent(acceptor.on_message(0, "n3", Prepare(1, 8))) == [Promise(1, 8, Proposal(6, "y"))]


def test_p1a_an_acceptor_accepts_unless_it_has_answered_a_greater_prepare_request() -> None:
    acceptor = node()
    acceptor.on_message(0, "n2", Prepare(1, 7))
    assert sent(acceptor.on_message(0, "n3", Accept(1, Proposal(6, "x")))) == [Refusal(1, 6, 7)]
    assert sent(acceptor.on_message(0, "n2", Accept(1, Proposal(7, "x")))) == [Accepted(1, Proposal(7, "x"))]


@pytest.mark.parametrize("message", [Prepare(1, 7), Accept(1, Proposal(7, "x"))])
def test_2_5_an_acceptor_records_its_answer_in_stable_storage_before_it_sends_it(message: Any) -> None:
    effects = node().on_message(0, "n2", message)
    kinds = [type(effect) for effect in effects]
    assert kinds == [Persist, Note, Send]


def test_2_5_an_acceptor_remembers_after_a_failure() -> None:
    stable = Stable()
    acceptor = node(stable)
    carry_out(acceptor.on_message(0, "n2", Accept(1, Proposal(7, "x"))), stable)
    carry_out(acceptor.on_message(0, "n2", Prepare(1, 9)), stable)
    again = node(stable)
    assert sent(again.on_message(0, "n3", Prepare(1, 8))) == [Refusal(1, 8, 9)]
    assert sent(again.on_message(0, "n3", Prepare(1, 11))) == [Promise(1, 11, Proposal(7, "x"))]


def prepared(*reports: Proposal | None) -> tuple[PaxosNode, list[Any]]:
    """n1 of five, which has put x forward, after promises with these reports; and what it sent then."""
    proposer = node(members=("n1", "n2", "n3", "n4", "n5"))
    ballot = sent(proposer.on_message(0, "c1", Submit(1, "x")))[0].ballot
    effects: list[Any] = []
    for i, report in enumerate(reports, 2):
        effects = sent(proposer.on_message(0, f"n{i}", Promise(1, ballot, report)))
    return proposer, effects


def test_2_2_a_proposer_needs_promises_from_a_majority() -> None:
    assert prepared(None)[1] == []
    assert {type(m) for m in prepared(None, None)[1]} == {Accept}


def test_p2c_a_proposer_proposes_the_value_of_the_highest_numbered_proposal_reported() -> None:
    assert prepared(None, None)[1][0].proposal.value == "x", "free to choose"
    assert prepared(Proposal(2, "y"), None)[1][0].proposal.value == "y"
    assert prepared(Proposal(2, "y"), Proposal(4, "z"))[1][0].proposal.value == "z"


def test_2_2_a_majority_of_acceptances_chooses_and_everybody_hears() -> None:
    proposer, requests = prepared(None, None)
    proposal = requests[0].proposal
    assert sent(proposer.on_message(0, "n2", Accepted(1, proposal))) == []
    assert sent(proposer.on_message(0, "n2", Accepted(1, proposal))) == [], "the same acceptor counts once"
    told = sent(proposer.on_message(0, "n3", Accepted(1, proposal)))
    assert told == [Answer(1, "x")] + [Chosen(1, "x")] * 4


def test_2_3_who_has_learned_answers_at_once() -> None:
    learner = node()
    learner.on_message(0, "n2", Chosen(1, "y"))
    assert sent(learner.on_message(0, "c1", Submit(1, "x"))) == [Answer(1, "y")]


def test_2_5_proposers_choose_from_disjoint_sets_of_numbers_and_ever_higher_ones() -> None:
    used = set()
    for name in MEMBERS:
        proposer = node(name=name)
        ballots = [sent(proposer.on_message(0, "c1", Submit(1, "x")))[0].ballot]
        ballots += [sent(proposer.on_timer(0, "1"))[0].ballot for _ in range(5)]
        assert ballots == sorted(set(ballots))
        assert not used & set(ballots)
        used |= set(ballots)


def test_2_5_a_proposer_begins_with_a_higher_number_after_a_failure() -> None:
    stable = Stable()
    proposer = node(stable)
    effects = proposer.on_message(0, "c1", Submit(1, "x"))
    carry_out(effects, stable)
    again = node(stable)
    assert sent(again.on_message(0, "c1", Submit(1, "x")))[0].ballot > sent(effects)[0].ballot


def test_2_2_a_refused_proposer_abandons_its_ballot_for_a_higher_one_after_a_random_time() -> None:
    proposer = node()
    ballot = sent(proposer.on_message(0, "c1", Submit(1, "x")))[0].ballot
    effects = proposer.on_message(0, "n2", Refusal(1, ballot, 100))
    assert [type(e) for e in effects] == [SetTimer]
    assert sent(proposer.on_timer(0, "1"))[0].ballot > 100


@pytest.mark.parametrize("seed", range(6))
def test_the_definitions_hold_in_whole_runs(seed: int) -> None:
    trace = PROTOCOL.simulate(Simulation((3, 5, 1)[seed % 3], seed, NETWORKS[seed % 3], operations=10, clients=3), None)
    rows = rows_of(trace)
    run = oracle.Run(rows, [row["process"] for row in rows if row.get("name") == "paxos.init"])
    assert run.learned
    for name, definition in oracle.RULES.items():
        assert definition(run) == set(), name


@pytest.mark.parametrize("seed", range(6))
def test_a_correct_run_passes_what_it_claims(seed: int) -> None:
    trace = PROTOCOL.simulate(Simulation((5, 3, 1, 2)[seed % 4], seed, NETWORKS[seed % 3], operations=150), None)
    result = analyze(trace)
    assert result.verdict is Verdict.HOLDS, [(c.check, c.reasons, c.violations[:1]) for c in result.required]
    assert trace.is_kind(Kind.OK).sum() > 120


@pytest.mark.parametrize("fault", PROTOCOL.faults)
def test_every_fault_is_tolerated(fault: str) -> None:
    trace = PROTOCOL.simulate(Simulation(5, 3, faults=(fault,), operations=200), None)
    assert f"fault.{fault}" in trace.names or (fault == "crash" and "paxos.crash" in trace.names)
    assert analyze(trace, check=["paxos.*"]).verdict is Verdict.HOLDS


def test_a_run_without_operations_holds() -> None:
    assert analyze(PROTOCOL.simulate(Simulation(3, 0, operations=0), None)).exit_code == 0


def test_every_instance_that_a_client_was_told_of_has_one_value() -> None:
    rows = rows_of(PROTOCOL.simulate(Simulation(5, 1, operations=200), None))
    told: dict[str, set[str]] = {}
    for row in rows:
        if row["kind"] == "ok":
            told.setdefault(row["key"], set()).add(row["value"])
    assert len(told) == 50
    assert all(len(values) == 1 for values in told.values())


@pytest.mark.parametrize("mutant", BUGS)
def test_every_mutant_is_caught_by_its_check_within_twenty_seeds(mutant: str) -> None:
    for seed in range(20):
        trace = PROTOCOL.simulate(Simulation(PROTOCOL.default_nodes, seed, mutant=mutant, operations=150), None)
        assert trace.run.claims == PROTOCOL.claims
        result = analyze(trace, check=[BUGS[mutant].mutant.caught_by])
        if result.verdict is Verdict.VIOLATED:
            return
    pytest.fail(f"{mutant} was not caught within 20 seeds")
