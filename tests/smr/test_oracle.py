"""Every check of replicated machines against its brute-force definition, on histories with mistakes and on nonsense."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.oracle import smr as oracle
from tests.paxos.machine import trace_of
from tests.strategies import examples
from tracekit.execution import Execution, Options
from tracekit.kernels import engine
from tracekit.registry import checks
from tracekit.results import CheckResult, Verdict
from tracekit.trace.trace import Trace

Row = dict[str, Any]
SMR = [name for name in checks() if name.startswith("smr.")]
SEEDS = st.integers(0, 2**32)


def results(trace: Trace) -> dict[str, CheckResult]:
    execution = Execution(trace)
    return {name: checks()[name].run(execution, Options()) for name in SMR}


def copies(seed: int, mistakes: bool) -> list[Row]:
    """Three copies apply one log, with restarts, checkpoints and states taken over; some go wrong."""
    draw = random.Random(seed)
    requests = [draw.choice(["r1", "r2", "r3", "r4", f"s{i}"]) for i in range(draw.randrange(1, 9))]
    log = [(f"do {request}", request) if draw.random() < 0.9 else ("no-op", None) for request in requests]
    states: dict[str, tuple[int, tuple[str, ...]]] = dict.fromkeys("abc", (0, ()))
    rows: list[Row] = []

    def tell(process: str, name: str, kind: str = "internal", **fields: Any) -> None:
        index, done = states[process]
        told = {"smr.index": index, "smr.state": " ".join(done), **fields}
        rows.append({"process": process, "kind": kind, "name": f"smr.{name}"}
                    | {k: v for k, v in told.items() if v is not None})  # fmt: skip

    for name in states:
        tell(name, "init")
    for _ in range(draw.randrange(25)):
        process, wrong = draw.choice("abc"), mistakes and draw.random() < 0.2
        index, done = states[process]
        dice = draw.random()
        if dice < 0.75 and index < len(log):
            at = index if not wrong else draw.randrange(len(log))
            command, request = log[at] if not wrong or draw.random() < 0.7 else ("do x", "x")
            executed = request is not None and (request not in done or (wrong and draw.random() < 0.5))
            if executed:
                done = (*done, str(request))
            states[process] = (at + 1, done)
            flag = None if request is None or (executed and draw.random() < 0.5) else executed
            tell(process, "apply", **{"smr.command": command, "smr.request": request, "smr.executed": flag})
        elif dice < 0.85:
            back = draw.choice([(0, ()), states[process]])
            states[process] = back
            hidden = {"smr.index": None, "smr.state": None} if draw.random() < 0.3 and back[0] == 0 else {}
            tell(process, "restart", "restart", **hidden)
            if wrong:
                states[process] = (draw.randrange(index + 1), back[1])
        elif dice < 0.9:
            other = states[draw.choice("abc")]
            if other[0] >= index:
                states[process] = other
                tell(process, "install")
    return rows


def compare(rows: list[Row]) -> dict[str, CheckResult]:
    found = results(trace_of(rows))
    for name, definition in oracle.RULES.items():
        broken = definition(rows)
        assert found[name].violations_total == len(broken), (name, broken, found[name])
        assert len(found[name].violations) == min(len(broken), 20)
    return found


@examples(120)
@given(SEEDS)
def test_definitions_where_copies_go_wrong(seed: int) -> None:
    compare(copies(seed, mistakes=True))


@examples(80)
@given(SEEDS)
def test_silent_where_they_do_not(seed: int) -> None:
    rows = copies(seed, mistakes=False)
    for name, result in compare(rows).items():
        if name == "smr.exactly-once" and not any("smr.request" in row for row in rows):
            continue  # whether requests are recorded at all cannot be told from no-ops
        if not result.examined.get("applied commands", 1):
            assert result.reasons  # applied after a restart of unknown state, and never again
            continue
        assert result.verdict in (Verdict.HOLDS, Verdict.NOT_APPLICABLE), (name, result.reasons)


@st.composite
def nonsense(draw: st.DrawFn) -> list[Row]:
    """Rows that tell no story."""
    rows: list[Row] = []
    for _ in range(draw(st.integers(0, 25))):
        kind = draw(st.sampled_from(["internal", "internal", "internal", "receive", "restart"]))
        row: Row = {"process": draw(st.sampled_from("ab")), "kind": kind, "name": "x"}
        if kind != "restart" or draw(st.booleans()):
            row["smr.index"] = draw(st.integers(0, 4))
        if kind != "restart" and draw(st.integers(0, 3)):
            row["smr.command"] = draw(st.sampled_from("xy"))
            row |= {"smr.request": draw(st.sampled_from("rst"))} if draw(st.booleans()) else {}
            row |= {"smr.executed": draw(st.booleans())} if draw(st.booleans()) else {}
        if draw(st.booleans()) and "smr.index" in row:
            row["smr.state"] = draw(st.sampled_from("pq"))
        rows.append(row)
    return rows


@examples(120)
@given(nonsense())
def test_definitions_on_nonsense(rows: list[Row]) -> None:
    if any("smr.index" in row for row in rows):
        compare(rows)


@examples(60)
@given(SEEDS, st.randoms(use_true_random=False))
def test_names_and_the_order_of_rows_do_not_matter(seed: int, draw: random.Random) -> None:
    rows = copies(seed, mistakes=True)
    counts: Counter[str] = Counter()
    numbered = []
    for row in rows:
        numbered.append({**row, "seq": counts[row["process"]]})
        counts[row["process"]] += 1
    changed = [{**row, "process": f"p{row['process']}"} for row in draw.sample(numbered, len(numbered))]
    first, second = results(trace_of(rows)), results(trace_of(changed))
    for name in SMR:
        assert (first[name].violations_total, first[name].examined) == (
            second[name].violations_total,
            second[name].examined,
        )


def test_compiled_kernels_say_the_same() -> None:
    traces = [trace_of(copies(seed, mistakes=True)) for seed in range(40)]
    interpreted = [results(trace) for trace in traces]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "COMPILE_FROM", 0)
        assert [results(trace) for trace in traces] == interpreted


def test_copies_break_every_rule() -> None:
    """The comparison means nothing for a property that the drawn histories never break."""
    broken: Counter[str] = Counter()
    for seed in range(100):
        found = results(trace_of(copies(seed, mistakes=True)))
        broken.update(name for name, result in found.items() if result.verdict is Verdict.VIOLATED)
    assert set(broken) == set(SMR), set(SMR) - set(broken)


def test_many_restarts_cost_no_more_than_their_logarithm() -> None:
    """Half of the events are restarts that keep nothing, the others execute one request."""
    from tracekit.kernels.smr import executed_again

    n = 3000
    request = np.where(np.arange(n) % 2 == 0, 0, -1)
    again = np.empty(n, np.int64)
    executed_again(np.zeros(n, np.int64), request, np.where(request < 0, 0, 1), 1, again)
    assert (again[request == 0] == -1).all()
