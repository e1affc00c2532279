"""Settings that cannot be run are refused in words; same seed, same trace."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest

from reference_impls.catalogue import protocols
from reference_impls.runtime.schedule import schedule_of
from tracekit.errors import TracekitError
from tracekit.protocols import Simulation
from tracekit.protocols import protocols as installed
from tracekit.trace.parquet import to_table

RAFT = protocols()["raft"]


def test_the_catalogue_is_installed() -> None:
    assert installed()["raft"] is RAFT
    assert RAFT.default_nodes == 5
    assert [m.name for m in RAFT.mutants] == [
        "commit-older-term", "vote-twice", "forget-vote", "vote-without-log-check", "commit-without-quorum",
        "stale-reads", "truncate-committed", "joint-one-majority", "change-in-any-term", "late-configuration",
        "count-learners", "read-index-without-quorum", "old-snapshot",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("wrong", "code", "words"),
    [
        ({"nodes": 0}, "TK401", "1 or more"),
        ({"network": "asink"}, "TK402", "async"),
        ({"faults": ("crahs",)}, "TK403", "crash may be meant"),
        ({"mutant": "vote-twize"}, "TK404", "vote-twice or vote-without-log-check may be meant"),
        ({"mutant": ""}, "TK404", "vote-twice"),
        ({"clients": 0}, "TK405", "0 clients"),
        ({"operations": -1}, "TK405", "-1 operations"),
    ],
)
def test_settings_that_cannot_be_run(wrong: dict[str, Any], code: str, words: str) -> None:
    with pytest.raises(TracekitError) as caught:
        RAFT.simulate(replace(Simulation(5), **wrong), None)
    assert caught.value.code == code
    assert words in str(caught.value)


def test_default_faults_are_drawn_from_the_seed_and_all_of_them_occur() -> None:
    drawn = [schedule_of(Simulation(5, seed), RAFT.faults).names for seed in range(80)]
    assert set().union(*drawn) == set(RAFT.faults)
    assert {len(names) for names in drawn} == {2, 3, 4}
    assert schedule_of(Simulation(5, 3), RAFT.faults).names == drawn[3]
    assert schedule_of(Simulation(5, 3, faults=("nemesis",)), RAFT.faults).names == drawn[3]
    assert schedule_of(Simulation(5, 3, faults=()), RAFT.faults).kinds == ()


def test_progress_is_told() -> None:
    told: list[tuple[int, int]] = []
    RAFT.simulate(Simulation(3, operations=100), lambda done, total: told.append((done, total)))
    assert told == [(64, 100), (100, 100)]


DIGEST = """
import hashlib, sys
from reference_impls.catalogue import protocols
from tracekit.protocols import Simulation
from tracekit.trace.parquet import to_table
table = to_table(protocols()["raft"].simulate(Simulation(5, 7, mutant=sys.argv[1] or None, operations=150), None))
print(hashlib.sha256(repr((table.to_pydict(), table.schema.metadata)).encode()).hexdigest())
"""


@pytest.mark.parametrize("mutant", ["", "forget-vote"])
def test_the_same_seed_makes_the_same_trace_whatever_the_hash_seed(mutant: str) -> None:
    digests = {
        subprocess.run(
            [sys.executable, "-c", DIGEST, mutant], env={"PYTHONHASHSEED": seed}, capture_output=True, check=True,
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert len(digests) == 1


def test_another_seed_makes_another_trace() -> None:
    first, second = (to_table(RAFT.simulate(Simulation(3, seed, operations=20), None)) for seed in (1, 2))
    assert not first.equals(second)
