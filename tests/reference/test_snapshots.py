"""Whole runs of the snapshot algorithms: correct ones keep every rule, and every mutant is caught by its check."""

from __future__ import annotations

import pytest

from reference_impls.protocols.chandy_lamport.node import ChandyLamportNode, Marker
from reference_impls.protocols.lai_yang.node import Count, LaiYangNode
from reference_impls.runtime.effects import Note, Send
from reference_impls.workloads.bank import OPENING, Transfer
from tests.oracle import snapshot as oracle
from tests.reference.oracle import rows_of
from tracekit.analysis import analyze
from tracekit.errors import TracekitError
from tracekit.protocols import NETWORKS, Simulation, protocols
from tracekit.results import Verdict
from tracekit.trace.parquet import to_table

CHANDY_LAMPORT, LAI_YANG = protocols()["chandy-lamport"], protocols()["lai-yang"]
BOTH = {"chandy-lamport": CHANDY_LAMPORT, "lai-yang": LAI_YANG}
MUTANTS = [(name, mutant.name) for name, protocol in BOTH.items() for mutant in protocol.mutants]


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize("seed", range(12))
def test_a_correct_run_keeps_every_rule(name: str, seed: int) -> None:
    nodes = (4, 2, 7)[seed // 3 % 3]
    trace = BOTH[name].simulate(Simulation(nodes, seed, NETWORKS[seed % 3], operations=300), None)
    result = analyze(trace)
    assert result.verdict is Verdict.HOLDS, [c.violations[:1] for c in result.required]
    judged = next(c for c in result.required if c.check == f"snapshot.{name}")
    assert judged.facts["unfinished"] == 0
    assert judged.examined["snapshots"] >= 4
    assert judged.facts["messages recorded in channels"] > 0


@pytest.mark.parametrize("name", BOTH)
def test_the_definitions_hold_too(name: str) -> None:
    trace = BOTH[name].simulate(Simulation(3, 5, operations=24), None)
    counts: dict[str, int] = {}
    rows = []
    for row in rows_of(trace):
        if row["kind"] != "fault":
            seq = counts[row["process"]] = counts.get(row["process"], -1) + 1
            rows.append({**row, "seq": seq})
    definition = oracle.chandy_lamport if name == "chandy-lamport" else oracle.lai_yang
    ids = {row["snapshot.id"] for row in rows if "snapshot.id" in row}
    assert len(ids) >= 4
    for id in ids:
        assert oracle.complete(rows, id, ("n1", "n2", "n3"))
        assert definition(rows, id, ("n1", "n2", "n3"), True) == set()


@pytest.mark.parametrize(("name", "fault"), [(n, f) for n, p in BOTH.items() for f in p.faults])
def test_every_fault_is_tolerated(name: str, fault: str) -> None:
    trace = BOTH[name].simulate(Simulation(4, 3, faults=(fault,), operations=2000), None)
    assert f"fault.{fault}" in trace.names
    assert analyze(trace, check=[f"snapshot.{name}"]).verdict is Verdict.HOLDS


@pytest.mark.parametrize(("name", "mutant"), MUTANTS)
def test_every_mutant_is_caught_within_twenty_seeds(name: str, mutant: str) -> None:
    protocol = BOTH[name]
    caught_by = next(m.caught_by for m in protocol.mutants if m.name == mutant)
    for seed in range(20):
        trace = protocol.simulate(Simulation(protocol.default_nodes, seed, mutant=mutant), None)
        assert trace.run.claims == protocol.claims
        result = analyze(trace)
        if caught_by in [c.check for c in result.required if c.verdict is Verdict.VIOLATED]:
            return
    pytest.fail(f"{mutant} was not caught within 20 seeds")


EXPECTED = {
    ("chandy-lamport", "non-fifo-channel"): {"marker-overtook-message", "message-overtook-marker"},
    ("chandy-lamport", "marker-after-message"): {"message-before-marker"},
    ("chandy-lamport", "lost-channel-state"): {"message-missing-in-channel"},
    ("chandy-lamport", "recorded-twice"): {"recorded-twice"},
    ("chandy-lamport", "marker-not-forwarded"): {"marker-not-sent"},
    ("lai-yang", "white-after-recording"): {"white-after-recording"},
    ("lai-yang", "red-message-taken"): {"red-message-taken-white"},
    ("lai-yang", "lost-channel-state"): {"message-missing-in-channel"},
    ("lai-yang", "recorded-twice"): {"recorded-twice"},
}


@pytest.mark.parametrize(("name", "mutant"), MUTANTS)
def test_the_rule_that_a_mutant_breaks_is_the_first_one_told(name: str, mutant: str) -> None:
    trace = BOTH[name].simulate(Simulation(4, 0, mutant=mutant), None)
    found = next(c for c in analyze(trace).required if c.check == f"snapshot.{name}")
    assert found.violations[0].anomaly in EXPECTED[name, mutant]


@pytest.mark.parametrize("name", BOTH)
def test_the_same_seed_makes_the_same_trace(name: str) -> None:
    first, second = (BOTH[name].simulate(Simulation(3, 9, operations=50), None) for _ in range(2))
    assert to_table(first).equals(to_table(second), check_metadata=True)


@pytest.mark.parametrize("name", BOTH)
def test_runs_without_operations_and_without_company(name: str) -> None:
    trace = BOTH[name].simulate(Simulation(3, 0, operations=0), None)
    assert len(trace) == 3
    with pytest.raises(TracekitError, match="TK401"):
        BOTH[name].simulate(Simulation(1, 0), None)


class Fixed:
    """Randomness that is none."""

    def randint(self, low: int, high: int) -> int:
        return low


def marked() -> ChandyLamportNode:
    return ChandyLamportNode("a", ("a", "b", "c"), Fixed(), 8)  # type: ignore[arg-type]  # all that it is asked for


def test_marker_receiving_rule() -> None:
    node = marked()
    record, to_b, to_c, channel = node.on_message(0, "b", Marker(1))
    assert isinstance(record, Note)
    assert record.fields == {"snapshot.id": 1, "snapshot.value": OPENING}
    assert (to_b, to_c) == (Send("b", Marker(1)), Send("c", Marker(1)))
    assert isinstance(channel, Note)
    assert channel.fields["snapshot.messages"] == [], "the first marker's channel is empty"
    assert node.on_message(1, "c", Transfer("c#1", 5)) == []
    (last,) = node.on_message(2, "c", Marker(1))
    assert isinstance(last, Note)
    assert (last.fields["snapshot.messages"], last.fields["snapshot.value"]) == (["c#1"], 5)


def test_a_white_process_records_before_it_takes_a_red_message() -> None:
    node = LaiYangNode("a", ("a", "b", "c"), Fixed(), 8)  # type: ignore[arg-type]  # all that it is asked for
    record, to_b, _ = node.on_message(0, "b", Transfer("b#2", 5, 1))
    assert isinstance(record, Note)
    assert record.fields == {"snapshot.id": 1, "snapshot.value": OPENING, "snapshot.before_receive": True}
    assert to_b == Send("b", Count(1, 0))
    assert node.balance == OPENING + 5
    assert node.on_message(1, "b", Count(1, 1)) == [], "a white message is still to come"
    (channel,) = node.on_message(2, "b", Transfer("b#1", 3, 0))
    assert isinstance(channel, Note)
    assert channel.fields["snapshot.messages"] == ["b#1"]
