"""What holds of every protocol that can be simulated, whatever it does."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from reference_impls.catalogue import designs
from tracekit.analysis import analyze
from tracekit.cli.main import tracekit_command
from tracekit.protocols import NETWORKS, Simulation, protocols
from tracekit.registry import checks, select_checks
from tracekit.trace.parquet import to_table
from tracekit.vocabulary import domain_fields, vocabularies

NAMES = sorted(protocols())
MUTANTS = [(name, mutant.name) for name in NAMES for mutant in protocols()[name].mutants]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("network", NETWORKS)
def test_a_correct_run_holds(name: str, network: str) -> None:
    protocol = protocols()[name]
    result = analyze(protocol.simulate(Simulation(protocol.default_nodes, 5, network, operations=60), None))
    if network in protocol.networks:
        assert result.exit_code == 0, [(c.check, c.reasons, c.violations[:1]) for c in result.required]
    assert any("network" in told for told in result.broken_assumptions) == (network not in protocol.networks)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("operations", [0, 1])
def test_a_tiny_run_holds(name: str, operations: int) -> None:
    nodes, network = protocols()[name].minimum_nodes, protocols()[name].networks[0]
    simulation = Simulation(nodes, 1, network, operations=operations, clients=1)
    result = analyze(protocols()[name].simulate(simulation, None))
    assert result.exit_code == 0, [(c.check, c.reasons, c.violations[:1]) for c in result.required]


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_makes_the_same_trace(name: str) -> None:
    simulation = Simulation(protocols()[name].default_nodes, 4, operations=30)
    first, second = (protocols()[name].simulate(simulation, None) for _ in range(2))
    assert to_table(first).equals(to_table(second), check_metadata=True)
    other = protocols()[name].simulate(replace(simulation, seed=5), None)
    assert not to_table(first).equals(to_table(other))


@pytest.mark.parametrize("name", NAMES)
def test_claims_name_checks(name: str) -> None:
    for claim in protocols()[name].claims:
        assert select_checks(claim)


@pytest.mark.parametrize(("name", "mutant"), MUTANTS)
def test_a_mutant_claims_what_the_correct_protocol_claims(name: str, mutant: str) -> None:
    protocol = protocols()[name]
    trace = protocol.simulate(Simulation(protocol.default_nodes, 0, mutant=mutant, operations=3), None)
    assert trace.run.claims == protocol.claims
    bug = next(m for m in protocol.mutants if m.name == mutant)
    assert bug.caught_by in checks()
    assert any(bug.caught_by in select_checks(claim) for claim in protocol.claims)


@pytest.mark.parametrize("name", NAMES)
def test_everything_that_is_recorded_is_in_the_vocabulary(name: str) -> None:
    trace = protocols()[name].simulate(Simulation(protocols()[name].default_nodes, 2, operations=60), None)
    described = {event for vocabulary in vocabularies().values() for event in vocabulary.events}
    domains = {vocabulary.domain for vocabulary in vocabularies().values()}
    unknown = {event for event in trace.names if event.partition(".")[0] in domains} - described
    assert not unknown
    assert not {column for column in trace.columns if "." in column} - set(domain_fields())


@pytest.mark.parametrize("name", NAMES)
def test_help_shows_what_a_protocol_takes(name: str) -> None:
    shown = CliRunner().invoke(tracekit_command, ["simulate", name, "--help"])
    assert shown.exit_code == 0
    protocol = protocols()[name]
    for word in (*protocol.faults, *protocol.other_faults, *(m.name for m in protocol.mutants), *protocol.claims):
        assert word in shown.output
    for setting in protocol.settings:
        assert f"--{setting}" in shown.output


def test_the_page_of_mutants_shows_each_one_caught() -> None:
    page = (Path(__file__).parents[2] / "docs/mutants.md").read_text()
    for name in NAMES:
        part = page.partition(f"## {name}\n")[2].partition("\n## ")[0]
        for mutant in protocols()[name].mutants:
            row = re.search(rf"^\| `{mutant.name}`, \d+ runs \|.*$", part, re.MULTILINE)
            assert row, f"{name} {mutant.name}: python -m reference_impls.matrix > docs/mutants.md"
            assert re.search(r"\*\*\d+\*\*", row[0]), f"{name} {mutant.name} is not caught"
            assert f"`{mutant.name}` breaks: {mutant.breaks}." in part
        correct = re.search(r"^\| correct, \d+ runs \|(.*)\|", part, re.MULTILINE)
        assert correct or not protocols()[name].mutants
        assert correct is None or set(correct[1]) <= set(" .|")


def test_designs_and_protocols_are_the_same() -> None:
    assert set(designs()) == set(protocols())
