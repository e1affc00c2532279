"""Two-phase and three-phase commit: sentences of the book as tests of single steps, and whole runs by the rules."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

import pytest

from reference_impls.protocols.commit_site import Decision, Record, Site, Vote, VoteRequest
from reference_impls.protocols.three_phase_commit import messages as three
from reference_impls.protocols.three_phase_commit.node import ThreePhaseCommitNode
from reference_impls.protocols.two_phase_commit import messages as two
from reference_impls.protocols.two_phase_commit.node import ASKS, TwoPhaseCommitNode
from reference_impls.runtime.effects import Effect, Note, Persist, Reply, Send
from reference_impls.runtime.process import Stable
from reference_impls.workloads.transactions import REST, Outcome, Request
from tests.oracle import atomic_commit as oracle
from tests.reference.oracle import rows_of
from tracekit.analysis import analyze
from tracekit.protocols import NETWORKS, Simulation, protocols
from tracekit.results import Verdict

TWO, THREE = protocols()["two-phase-commit"], protocols()["three-phase-commit"]
BOTH = {"two-phase-commit": TWO, "three-phase-commit": THREE}
MEMBERS = ("n1", "n2", "n3")
ALL = ("k1", "k2", "k3")
"""A key of each site."""


class Bench:
    """One site, and what its steps did."""

    def __init__(self, kind: type[Site], name: str = "n1", log: Sequence[Record] = ()) -> None:
        self.site: Any = kind(name, MEMBERS, Random(0))
        self.stable = Stable(log=list(log))
        self.effects = self._done(self.site.on_start(self.stable))

    def _done(self, effects: Sequence[Effect]) -> Sequence[Effect]:
        for effect in effects:
            if isinstance(effect, Persist):
                self.stable.write(effect.cells, effect.log_from, effect.entries)
        self.effects = effects
        return effects

    def hear(self, sender: str, message: Any) -> Bench:
        self._done(self.site.on_message(0, sender, message))
        return self

    def wait(self, timer: str) -> Bench:
        self._done(self.site.on_timer(0, timer))
        return self

    def send_all(self) -> dict[str, Any]:
        """By receiver, what the step and the rest of its round sends."""
        sent = dict(self.sent)
        while any(getattr(e, "name", "").startswith("send ") for e in self.effects):
            self.wait("send t")
            sent |= self.sent
        return sent

    def again(self) -> Bench:
        """After a crash: a new incarnation with what was made stable."""
        return Bench(type(self.site), self.site.name, self.stable.log)

    @property
    def sent(self) -> dict[str, Any]:
        return {e.to: e.message for e in self.effects if isinstance(e, Send)}

    @property
    def noted(self) -> dict[str, Any]:
        return {k.partition(".")[2]: v for e in self.effects if isinstance(e, Note) for k, v in e.fields.items()}

    @property
    def kinds(self) -> list[str]:
        return [record.kind for record in self.stable.log]

    def order(self) -> list[str]:
        """Persist, Note and Send in the order in which they happen."""
        return [type(e).__name__ for e in self.effects if isinstance(e, (Persist, Note, Send))]


def two_begun() -> Bench:
    return Bench(TwoPhaseCommitNode).hear("c1", Request("t", ALL))


def participant(kind: type[Site], key: str = "k2") -> Bench:
    return Bench(kind, "n2").hear("n1", VoteRequest("t", MEMBERS, (key,)))


class TestTwoPhaseCommit:
    def test_the_start_record_is_in_the_log_before_the_first_request(self) -> None:
        bench = two_begun()
        assert bench.order() == ["Persist", "Note", "Send", "Send"]
        assert bench.stable.log == [Record("start", "t", "n1", MEMBERS, ("k1",))]
        assert bench.sent == {"n2": VoteRequest("t", MEMBERS, ("k2",)), "n3": VoteRequest("t", MEMBERS, ("k3",))}

    def test_a_coordinator_that_cannot_do_its_part_aborts_and_asks_nobody(self) -> None:
        bench = two_begun().hear("c2", Request("u", ("k1", "k2")))
        assert not bench.sent
        assert (bench.noted["vote"], bench.noted["decision"]) == ("no", "abort")
        assert Reply("c2", Outcome("u", "abort")) in bench.effects

    def test_the_yes_record_is_in_the_log_before_the_vote(self) -> None:
        bench = participant(TwoPhaseCommitNode)
        assert bench.order() == ["Persist", "Note", "Send"]
        assert (bench.kinds, bench.sent) == (["yes"], {"n1": Vote("t", "yes")})
        assert bench.noted["held"] == ("k2",)

    def test_who_votes_no_aborts_at_once(self) -> None:
        bench = participant(TwoPhaseCommitNode).hear("n1", VoteRequest("u", MEMBERS, ("k2",)))
        assert bench.sent == {"n1": Vote("u", "no")}
        assert (bench.noted["vote"], bench.noted["decision"]) == ("no", "abort")
        assert bench.kinds == ["yes", "abort"]

    def test_commit_when_all_have_voted_yes_and_not_before(self) -> None:
        bench = two_begun().hear("n2", Vote("t", "yes"))
        assert not bench.sent
        bench.hear("n3", Vote("t", "yes"))
        assert bench.order() == ["Persist", "Note", "Send", "Send"]
        assert (bench.kinds, bench.noted["decision"]) == (["start", "commit"], "commit")
        assert bench.sent == {"n2": Decision("t", "commit"), "n3": Decision("t", "commit")}
        assert Reply("c1", Outcome("t", "commit")) in bench.effects

    def test_one_no_aborts_and_who_has_voted_no_is_not_told(self) -> None:
        bench = two_begun().hear("n3", Vote("t", "no"))
        assert bench.sent == {"n2": Decision("t", "abort")}

    def test_without_votes_the_coordinator_asks_again_and_then_aborts(self) -> None:
        bench = two_begun().hear("n2", Vote("t", "yes"))
        for _ in range(ASKS - 1):
            assert set(bench.wait("votes t").sent) == {"n3"}
        assert bench.wait("votes t").noted["decision"] == "abort"
        assert "n3" in bench.noted["reason"]

    def test_a_participant_votes_as_before_when_it_is_asked_again(self) -> None:
        bench = participant(TwoPhaseCommitNode).hear("n1", VoteRequest("t", MEMBERS, ("k2",)))
        assert bench.sent == {"n1": Vote("t", "yes")}
        assert bench.order() == ["Send"]

    def test_a_decision_frees_the_locks_and_is_acknowledged(self) -> None:
        bench = participant(TwoPhaseCommitNode).hear("n1", Decision("t", "commit"))
        assert (bench.sent, bench.kinds) == ({"n1": two.Ack("t")}, ["yes", "commit"])
        assert bench.hear("n1", VoteRequest("u", MEMBERS, ("k2",))).sent == {"n1": Vote("u", "yes")}

    def test_the_end_record_follows_the_last_acknowledgement(self) -> None:
        bench = two_begun().hear("n2", Vote("t", "yes")).hear("n3", Vote("t", "yes")).hear("n2", two.Ack("t"))
        assert bench.kinds == ["start", "commit"]
        assert bench.again().sent.keys() == {"n2", "n3"}, "they are told again"
        assert bench.hear("n3", two.Ack("t")).kinds == ["start", "commit", "end"]
        assert not bench.again().sent

    def test_cooperative_termination(self) -> None:
        bench = participant(TwoPhaseCommitNode).wait("decision t")
        assert bench.sent == {"n1": two.DecisionRequest("t"), "n3": two.DecisionRequest("t")}
        assert not bench.hear("n3", two.DecisionRequest("t")).sent, "it is uncertain itself and cannot help"
        assert bench.hear("n3", two.DecisionResponse("t", "commit")).noted["decision"] == "commit"
        assert bench.hear("n3", two.DecisionRequest("t")).sent == {"n3": two.DecisionResponse("t", "commit")}

    def test_who_has_not_voted_aborts_when_it_is_asked_and_votes_no_from_then_on(self) -> None:
        bench = Bench(TwoPhaseCommitNode, "n3").hear("n2", two.DecisionRequest("t"))
        assert (bench.sent, bench.kinds) == ({"n2": two.DecisionResponse("t", "abort")}, ["abort"])
        assert bench.hear("n1", VoteRequest("t", MEMBERS, ("k3",))).sent == {"n1": Vote("t", "no")}

    def test_a_coordinator_that_recovers_undecided_aborts(self) -> None:
        bench = two_begun().hear("n2", Vote("t", "yes")).again()
        assert bench.noted["decision"] == "abort"
        assert bench.sent == {"n2": Decision("t", "abort"), "n3": Decision("t", "abort")}

    def test_a_participant_that_recovers_uncertain_keeps_its_locks_and_asks(self) -> None:
        bench = participant(TwoPhaseCommitNode).again()
        assert bench.sent == {"n1": two.DecisionRequest("t"), "n3": two.DecisionRequest("t")}
        assert bench.hear("n1", VoteRequest("u", MEMBERS, ("k2",))).sent == {"n1": Vote("u", "no")}


def three_begun() -> Bench:
    bench = Bench(ThreePhaseCommitNode).hear("c1", Request("t", ALL))
    assert bench.send_all().keys() == {"n2", "n3"}
    return bench


def three_committable() -> Bench:
    bench = three_begun().hear("n2", Vote("t", "yes")).hear("n3", Vote("t", "yes"))
    assert bench.noted["committable"]
    assert bench.send_all() == {"n2": three.PreCommit("t"), "n3": three.PreCommit("t")}
    return bench


def elected(state: str = "uncertain") -> Bench:
    """n2 takes over from n1 and has asked n3 for its state."""
    bench = participant(ThreePhaseCommitNode)
    if state == "committable":
        bench.hear("n1", three.PreCommit("t"))
    bench.wait("wait t")
    assert bench.sent == {"n3": three.StateRequest("t")}
    return bench


class TestThreePhaseCommit:
    def test_commit_when_all_have_acknowledged_and_not_before(self) -> None:
        bench = three_committable().hear("n2", three.PreCommitAck("t"))
        assert "decision" not in bench.noted
        bench.hear("n3", three.PreCommitAck("t"))
        assert bench.noted["decision"] == "commit"
        assert bench.send_all() == {"n2": Decision("t", "commit"), "n3": Decision("t", "commit")}
        assert bench.kinds == ["start", "pre-commit", "commit"]

    def test_who_does_not_acknowledge_has_failed_and_is_not_waited_for(self) -> None:
        bench = three_committable().hear("n2", three.PreCommitAck("t")).wait("wait t")
        assert bench.noted["decision"] == "commit"

    def test_without_a_vote_the_coordinator_aborts(self) -> None:
        bench = three_begun().hear("n2", Vote("t", "yes")).wait("wait t")
        assert bench.noted["decision"] == "abort"
        assert bench.send_all() == {"n2": Decision("t", "abort"), "n3": Decision("t", "abort")}

    def test_a_failure_may_fall_between_two_sends_of_a_round(self) -> None:
        bench = Bench(ThreePhaseCommitNode).hear("c1", Request("t", ALL))
        assert set(bench.sent) == {"n2"}
        assert set(bench.wait("send t").sent) == {"n3"}

    def test_the_next_in_the_order_becomes_coordinator(self) -> None:
        bench = Bench(ThreePhaseCommitNode, "n3").hear("n1", VoteRequest("t", MEMBERS, ("k3",))).wait("wait t")
        assert bench.sent == {"n2": three.Elected("t", MEMBERS)}
        assert bench.wait("wait t").noted["decision"] == "abort", "n2 has failed too: n3 is alone, and uncertain"
        told = participant(ThreePhaseCommitNode).hear("n3", three.Elected("t", MEMBERS))
        assert told.sent == {"n3": three.StateRequest("t")}

    def test_tr1_one_has_aborted(self) -> None:
        assert elected().hear("n3", three.StateResponse("t", "aborted")).noted["decision"] == "abort"

    def test_tr2_one_has_committed(self) -> None:
        assert elected().hear("n3", three.StateResponse("t", "committed")).noted["decision"] == "commit"

    def test_tr3_all_are_uncertain(self) -> None:
        assert elected().hear("n3", three.StateResponse("t", "uncertain")).noted["decision"] == "abort"
        assert elected().wait("wait t").noted["decision"] == "abort"

    def test_tr4_pre_commits_before_it_commits(self) -> None:
        bench = elected("committable").hear("n3", three.StateResponse("t", "uncertain"))
        assert bench.sent == {"n3": three.PreCommit("t")}
        assert bench.hear("n3", three.PreCommitAck("t")).noted["decision"] == "commit"
        other = elected().hear("n3", three.StateResponse("t", "committable"))
        assert (other.noted["committable"], other.noted["decision"]) == (True, "commit")

    def test_who_has_not_voted_has_aborted(self) -> None:
        for asks in (three.StateRequest("t"), three.DecisionRequest("t"), three.Elected("t", MEMBERS)):
            bench = Bench(ThreePhaseCommitNode, "n3").hear("n2", asks)
            assert bench.noted["decision"] == "abort"
            assert bench.hear("n1", VoteRequest("t", MEMBERS, ("k3",))).sent == {"n1": Vote("t", "no")}

    def test_who_recovers_asks_and_takes_no_part_in_elections(self) -> None:
        for before, kinds in (
            (three_committable(), ["start", "pre-commit"]),
            (participant(ThreePhaseCommitNode), ["yes"]),
        ):
            bench = before.again()
            assert set(bench.sent.values()) == {three.DecisionRequest("t")}
            other = "n3"
            for message in (three.StateRequest("t"), three.Elected("t", MEMBERS), three.PreCommit("t")):
                assert not bench.hear(other, message).sent
            assert bench.kinds == kinds
            assert bench.hear(other, three.DecisionResponse("t", "committed", False)).noted["decision"] == "commit"

    @pytest.mark.parametrize(("state", "decision"), [("uncertain", "abort"), ("committable", "commit")])
    def test_after_a_total_failure_all_have_to_be_back(self, state: str, decision: str) -> None:
        bench = participant(ThreePhaseCommitNode).again()
        bench.hear("n1", three.DecisionResponse("t", state, True))
        assert "decision" not in bench.noted
        bench.hear("n3", three.DecisionResponse("t", "uncertain", False))
        assert "decision" not in bench.noted, "n3 has not failed: it will decide"
        assert bench.hear("n3", three.DecisionResponse("t", "uncertain", True)).noted["decision"] == decision


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize("seed", range(4))
def test_a_correct_run_breaks_no_rule(name: str, seed: int) -> None:
    protocol = BOTH[name]
    network = protocol.networks[seed % len(protocol.networks)]
    trace = protocol.simulate(Simulation((4, 3, 2)[seed % 3], seed, network, operations=20), None)
    run = oracle.Run(rows_of(trace))
    rules = {rule: broken for rule, broken in oracle.RULES.items() if rule != "pre-commit" or name.startswith("three")}
    assert {rule: broken(run) for rule, broken in rules.items()} == {rule: set() for rule in rules}


@pytest.mark.parametrize(("name", "fault"), [(n, fault) for n, p in BOTH.items() for fault in p.faults])
def test_every_fault_is_tolerated(name: str, fault: str) -> None:
    protocol = BOTH[name]
    trace = protocol.simulate(Simulation(4, 3, protocol.networks[0], faults=(fault,), operations=150), None)
    assert f"fault.{fault}" in trace.names or (fault == "crash" and "commit.crash" in trace.names)
    result = analyze(trace)
    assert result.exit_code == 0, [(c.check, c.reasons, c.violations[:1]) for c in result.required]
    assert not result.broken_assumptions


@pytest.mark.parametrize("name", BOTH)
def test_faults_that_break_an_assumption_break_nothing_else(name: str) -> None:
    """The nodes go on, whatever comes; what they break is told beside what the checks find."""
    protocol = BOTH[name]
    for fault in protocol.other_faults:
        trace = protocol.simulate(Simulation(4, 1, protocol.networks[0], faults=(fault,), operations=120), None)
        assert bool(trace.run.broken_assumptions) == (f"fault.{fault}" in trace.names)
        assert all(c.verdict is not Verdict.UNKNOWN for c in analyze(trace).required)


@pytest.mark.parametrize(("name", "mutant"), [(n, m.name) for n, p in BOTH.items() for m in p.mutants])
def test_every_mutant_is_caught_within_ten_seeds(name: str, mutant: str) -> None:
    protocol = BOTH[name]
    rule = next(m.caught_by for m in protocol.mutants if m.name == mutant)
    for seed in range(10):
        simulation = Simulation(4, seed, protocol.networks[0], mutant=mutant, operations=200)
        found = analyze(protocol.simulate(simulation, None), check=[rule])
        if found.verdict is Verdict.VIOLATED:
            return
    pytest.fail(f"{mutant} was not caught within 10 seeds")


@pytest.mark.parametrize("name", BOTH)
def test_clients_and_the_end(name: str) -> None:
    protocol = BOTH[name]
    trace = protocol.simulate(Simulation(4, 2, protocol.networks[0], faults=("crash",), operations=60), None)
    rows = rows_of(trace)
    requests = [row for row in rows if row["name"] == "commit.request" and row["kind"] == "send"]
    assert len({row["commit.txn"] for row in requests}) == len(requests) == 60
    outcomes = {row["commit.txn"]: row["commit.message_decision"] for row in rows if row["name"] == "commit.outcome"}
    decisions = {row["commit.txn"]: row["commit.decision"] for row in rows if "commit.decision" in row}
    assert all(decisions[txn] == outcome for txn, outcome in outcomes.items())
    assert {"commit", "abort"} == set(outcomes.values())
    assert rows[-1]["true_time_ns"] < max(r["true_time_ns"] for r in requests) + 2 * REST + 10**9
    assert trace.run.quiescent


def blocked_while_up(name: str, seed: int) -> int:
    """ns that a process was blocked at most, of those that did not crash meanwhile, in a run with crashes only."""
    trace = BOTH[name].simulate(Simulation(4, seed, "sync", faults=("crash",), operations=200), None)
    result = analyze(trace, check=["atomic-commit.blocking"])
    blocking = next(c for c in result.checks if c.check == "atomic-commit.blocking")
    crashes = {(r["process"], r["true_time_ns"]) for r in rows_of(trace) if r["kind"] == "crash"}
    times, longest = trace.get("true_time_ns"), 0
    assert times is not None
    for window in blocking.facts["longest"]:
        first, last = (times.values[trace.find(window[end])] for end in ("from", "to"))
        if not any(process == window["process"] and first <= at <= last for process, at in crashes):
            longest = max(longest, window["blocked_ns"])
    return longest


def test_three_phase_commit_does_not_block_where_two_phase_commit_does() -> None:
    """Crashes, and nothing else: who is up and uncertain decides within the bounded time of an election."""
    assert 0 < max(blocked_while_up("three-phase-commit", seed) for seed in (2, 7)) < 100_000_000
    assert blocked_while_up("two-phase-commit", 3) > 300_000_000


@pytest.mark.parametrize("network", [n for n in NETWORKS if n != "sync"])
def test_other_networks_break_an_assumption_of_three_phase_commit(network: str) -> None:
    trace = THREE.simulate(Simulation(4, 0, network, faults=(), operations=40), None)
    assert trace.run.broken_assumptions == (f"{network} network: three-phase-commit needs one that is sync",)
    assert "--network" in (trace.run.command or "")
    assert "--network" not in (THREE.simulate(Simulation(4, 0, "sync", operations=1), None).run.command or "")


def test_a_partition_breaks_three_phase_commit_and_is_said_so() -> None:
    """What the book warns of: after a partition, both sides elect a coordinator."""
    verdicts = []
    for seed in range(12):
        trace = THREE.simulate(Simulation(4, seed, "sync", faults=("partition",), operations=200), None)
        result = analyze(trace, check=["atomic-commit.agreement"])
        assert any("partition" in told for told in result.broken_assumptions)
        verdicts.append(result.verdict)
    assert Verdict.VIOLATED in verdicts
