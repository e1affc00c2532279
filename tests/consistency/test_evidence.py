"""What consistency.linearizable says: witnesses, reasons for unknown, clocks, partial traces, corpora."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.consistency.histories import histories, trace_of
from tests.consistency.test_linearizable import judge, relevant
from tests.corpora import corpus, manifest
from tests.oracle.linearizability import Op
from tests.strategies import examples
from tracekit.analysis import analyze
from tracekit.checks.consistency import search
from tracekit.execution import Budget
from tracekit.registry import HEADINGS, checks, formats
from tracekit.results import Verdict
from tracekit.trace.builder import TraceBuilder
from tracekit.trace.run import Run
from tracekit.trace.trace import SetAside, SetAsides, Trace


def write(value: Any, start: int | None, end: int | None, outcome: str = "ok") -> Op:
    return Op("write", value, None, outcome, start, end)


def read(value: Any, start: int | None, end: int) -> Op:
    return Op("read", None, value, "ok", start, end)


STALE = [write(1, 0, 10), write(2, 20, 30), read(1, 40, 50)]


def test_a_stale_read_is_told_with_the_operations_that_matter() -> None:
    found = judge(trace_of(STALE, run=Run(clocks={"c0": "x", "c1": "x", "c2": "x"})), "register")
    [violation] = found.violations
    assert found.violations_total == 1 and violation.anomaly == "stale-read"
    assert violation.summary == (
        "c2 read 1 at the register after 2 had replaced it: c0's write of 1 had ended before c1's write of 2 began, "
        "so 1 came first; but c1's write of 2 had ended before this read began."
    )
    assert [(e.event, e.text) for e in violation.events] == [
        ("c0:1", "writes 1 at the register (invoked c0:0)"),
        ("c1:1", "writes 2 at the register (invoked c1:0)"),
        ("c2:1", "reads 1 at the register (invoked c2:0)"),
    ]
    assert {(e.start, e.end, e.reason) for e in violation.edges} == {
        ("c1:1", "c2:1", "ended before it began"),
        ("c0:1", "c1:1", "ended before it began"),
        ("c0:1", "c2:1", "wrote the value read"),
    }
    assert found.method == "zones (unique values): 1 key"
    assert found.examined == {"operations": 3, "keys": 1}


def test_assumed_clocks_say_what_skew_would_excuse() -> None:
    [violation] = judge(trace_of(STALE), "register").violations
    assert violation.facts["excused_by_skew_ns"] == 10
    assert violation.summary.endswith("Clocks that differ by 10 ns or more would excuse it.")
    assert judge(trace_of(STALE), "register", skew_ns=9).verdict is Verdict.VIOLATED
    excused = judge(trace_of(STALE), "register", skew_ns=10)
    assert excused.verdict is Verdict.HOLDS and excused.facts["linearizable_by_skew"] == [None]
    assert "judged with a skew of 10 ns" in excused.rests_on[0] and violation.facts["linearizable_from_skew_ns"] == 10
    assert judge(trace_of(STALE, clock="index"), "register", skew_ns=10**6).verdict is Verdict.VIOLATED


@pytest.mark.parametrize("ops", [STALE, STALE[:2]], ids=["stale", "fine"])
def test_clocks_without_a_bound_decide_nothing(ops: list[Op]) -> None:
    found = judge(trace_of(ops, run=Run(clocks={"c0": "x", "c1": "y", "c2": "x"})), "register")
    assert found.verdict is Verdict.UNKNOWN and "differ without a bound" in found.reasons[0]


@pytest.mark.parametrize(
    ("ops", "anomaly", "says"),
    [
        (
            [write(1, 0, 1), read(7, 2, 3)],
            "unwritten-value",
            "c1 read 7 at the register, but no recorded operation wrote",
        ),
        ([read(1, 0, 1), write(1, 2, 3)], "read-before-write", "c0 read 1 at the register before it was written"),
        ([write(1, 0, 1), read(None, 2, 3)], "stale-read", "nil is the initial value, so it came first"),
        (
            [write(1, 0, 9), write(2, 0, 9), read(1, 10, 11), read(2, 12, 13), read(1, 14, 15)],
            "stale-read",
            "c4 read 1",
        ),
        ([write(1, 0, 1), write(1, 2, 3), read(2, 4, 5)], "no-linearization", "No operation wrote 2 there."),
        (
            [write(1, 0, 1), Op("cas", [1, 2], None, "ok", 2, 3), read(1, 4, 5)],
            "no-linearization",
            "c2's read of 1 at the register cannot have happened before it completed: it needs the value 1, but in",
        ),
        ([write(1, 0, 1), Op("cas", [3, 2], None, "ok", 2, 3)], "no-linearization", "c1's cas from 3 to 2"),
    ],
)
def test_each_mistake_has_its_name(ops: list[Op], anomaly: str, says: str) -> None:
    found = judge(trace_of(ops, clock="index"), "cas-register")
    assert found.verdict is Verdict.VIOLATED
    [violation] = found.violations
    assert violation.anomaly == anomaly and says in violation.summary
    names = [e.event for e in violation.events]
    assert len(names) == len(set(names)) <= 6
    assert all(names.index(e.start) < names.index(e.end) for e in violation.edges)


@examples(300)
@given(histories(unique=True, most=8, outcomes=("ok", "ok", "info")))
def test_edges_of_witnesses_go_forward(ops: list[Op]) -> None:
    if relevant(ops):
        for violation in judge(trace_of(ops, clock="index"), "register").violations:
            names = [e.event for e in violation.events]
            assert all(names.index(e.start) < names.index(e.end) for e in violation.edges)


def test_all_are_counted_and_twenty_listed() -> None:
    ops = [op for _ in range(30) for op in STALE]
    keys = [key for key in range(30) for _ in STALE]
    found = judge(trace_of(ops, keys), "kv")
    assert (found.violations_total, len(found.violations)) == (30, 20)
    assert found.facts["violated_keys"] == list(range(30))


@examples(300)
@given(st.lists(histories(("read", "write", "cas"), values=(1, 2), most=4), min_size=1, max_size=3), st.randoms())
def test_keys_are_judged_one_by_one(cells: list[list[Op]], random: Any) -> None:
    alone = [judge(trace_of(ops), "cas-register").verdict for ops in cells if relevant(ops)]
    tagged = [(op, key) for key, ops in enumerate(cells) if relevant(ops) for op in ops]
    random.shuffle(tagged)  # other processes, other rows: the same history
    if not alone:
        return
    together = judge(trace_of([op for op, _ in tagged], [key for _, key in tagged]), "cas-register")
    assert (together.verdict is Verdict.VIOLATED) == (Verdict.VIOLATED in alone)
    assert together.examined == {"operations": len(tagged), "keys": len(alone)}


def test_a_write_of_unknown_value_excuses_its_key_only() -> None:
    ops = [*STALE, Op("write", None, None, "ok", None, 60), *STALE]
    both = judge(trace_of(ops, ["x"] * 4 + ["y"] * 3), "kv")
    assert both.verdict is Verdict.VIOLATED and both.facts["violated_keys"] == ["y"]
    assert "key x: not linearizable as recorded, but 1 writes there have no recorded invocation" in both.reasons[0]
    one = judge(trace_of(ops[:4], ["x"] * 4), "kv")
    assert one.verdict is Verdict.UNKNOWN
    fine = judge(trace_of([*STALE[:2], ops[3]], ["x"] * 3), "kv")
    assert fine.verdict is Verdict.HOLDS


def test_an_operation_of_no_model_leaves_its_key_undecided() -> None:
    found = judge(trace_of([*STALE[:2], Op("scan", None, None, "ok", 0, 1)], ["x", "y", "z"]), "kv")
    assert found.verdict is Verdict.UNKNOWN and "1 of 3 keys undecided" in found.reasons[0]
    assert found.facts["undecided_keys"] == ["z"]


@pytest.mark.parametrize("coverage", [{"start": False, "end": True}, {"start": True, "end": False}])
def test_what_was_not_recorded_may_excuse(coverage: dict[str, bool]) -> None:
    found = judge(trace_of(STALE, run=Run(coverage={"c1": coverage})), "register")
    assert found.verdict is Verdict.UNKNOWN and "unseen writes may explain it" in found.reasons[0]
    holds = judge(trace_of(STALE[:2], run=Run(coverage={"c1": coverage})), "register")
    assert holds.verdict is Verdict.HOLDS
    elsewhere = judge(trace_of(STALE, run=Run(coverage={"server": coverage})), "register")
    assert elsewhere.verdict is Verdict.VIOLATED


def test_a_late_start_leaves_the_initial_value_open() -> None:
    run = Run(coverage={"c0": {"start": False, "end": True}})
    assert judge(trace_of([read(9, 0, 1), write(1, 2, 3), read(1, 4, 5)], run=run), "register").verdict is Verdict.HOLDS


@pytest.mark.parametrize(
    ("entry", "verdict"),
    [
        (SetAside("x:3", "the row names no process"), Verdict.UNKNOWN),
        (SetAside("x:3", "a value is no integer", field="value"), Verdict.UNKNOWN),
        (SetAside("x:3", "a Lamport timestamp is negative", field="lamport"), Verdict.HOLDS),
        (SetAside("x:3", "not an integer", field="raft.term"), Verdict.HOLDS),
        (SetAside("x:3", "not a history line"), Verdict.HOLDS),
    ],
)
def test_what_was_set_aside_spoils_what_it_could_change(entry: SetAside, verdict: Verdict) -> None:
    trace = replace(trace_of(STALE[:2]), set_aside=SetAsides.of([entry]))
    assert judge(trace, "register").verdict is verdict


def test_an_exhausted_budget_is_unknown_and_says_where() -> None:
    found = judge(trace_of([write(1, 0, 9), write(1, 0, 9), read(1, 5, 6)]), "register", budget_s=-1.0)
    assert found.verdict is Verdict.UNKNOWN or found.examined
    hard = (
        [write(n % 3, 0, 100 + n) for n in range(40)]
        + [Op("cas", [n % 3, (n + 1) % 3], None, "ok", 0, 200 + n) for n in range(40)]
        + [read(7, 300, 301)]
    )
    stopped = judge(trace_of(hard), "cas-register", budget_s=0.2)
    assert stopped.verdict in (Verdict.UNKNOWN, Verdict.VIOLATED)
    if stopped.verdict is Verdict.UNKNOWN:
        assert "open at once" in stopped.reasons[0] and stopped.tried


def test_no_client_operations_is_not_applicable() -> None:
    builder = TraceBuilder()
    builder.add({"process": "a", "kind": "internal"})
    assert not checks()["consistency.linearizable"].applies(_execution(builder.build()))
    builder.add({"process": "a", "kind": "invoke", "f": "scan", "value": 1})
    assert not checks()["consistency.linearizable"].applies(_execution(builder.build()))
    builder = TraceBuilder()
    builder.add({"process": "a", "kind": "invoke", "f": "read"})
    assert checks()["consistency.linearizable"].applies(_execution(builder.build()))


def _execution(trace: Trace) -> Any:
    from tracekit.execution import Execution

    return Execution(trace)


def test_a_declared_model_that_does_not_exist_is_unknown() -> None:
    found = judge(trace_of(STALE, run=Run(model="regster")))
    assert found.verdict is Verdict.UNKNOWN and "regster" in found.reasons[0]


def test_the_page_is_complete() -> None:
    page = checks()["consistency.linearizable"].page
    assert tuple(page) == HEADINGS and all(page.values())


@pytest.mark.parametrize("entry", [e for e in manifest() if e["format"] == "jepsen-log"], ids=lambda e: e["path"])
def test_recorded_runs_of_etcd_get_the_expected_verdict(entry: dict[str, str]) -> None:
    [trace] = formats()["jepsen-log"].read(corpus(entry["path"]))
    assert judge(trace).verdict == entry["expected"]


EDN = [e for e in manifest() if e["format"] == "jepsen-edn" and e.get("check") == "consistency.linearizable"]


@pytest.mark.parametrize("entry", EDN, ids=lambda e: e["path"])
def test_histories_of_knossos_and_porcupine_get_the_expected_verdict(entry: dict[str, str]) -> None:
    [trace] = formats()["jepsen-edn"].read(corpus(entry["path"]))
    model = "cas-register:nil=any" if "nil constrains nothing" in entry["model"] else None
    assert judge(trace, model).verdict == entry["expected"]


def test_an_interrupted_search_shows_what_it_found(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = [("write", 1, 0, 1), ("write", 2, 2, 3), ("write", 1, 4, 5), ("read", 2, 6, 7)]
    ops = [Op(f, v if f == "write" else None, v if f == "read" else None, "ok", s, e) for f, v, s, e in calls]
    advance, keys = search._Sweep._advance, iter(range(2))

    def interrupted(sweep: search._Sweep, budget: Budget, scale: int) -> tuple[int, str]:
        if next(keys):
            raise KeyboardInterrupt
        return advance(sweep, budget, scale)

    monkeypatch.setattr(search._Sweep, "_advance", interrupted)
    monkeypatch.setattr("tracekit.checks.consistency.linearizable_evidence.core_of", lambda *arguments: None)
    result = analyze(
        trace_of([*ops, *ops, ops[0]], ["a"] * 4 + ["b"] * 5, clock="true_time_ns"), check=["consistency.linearizable"]
    )
    [found] = [c for c in result.checks if c.check == "consistency.linearizable"]
    assert found.verdict is Verdict.VIOLATED and found.facts["violated_keys"] == ["a"]
    [reason] = found.reasons
    assert reason.startswith("key b is undecided") and reason.endswith("interrupted")
