"""The ladder: its table is true of what the checks decide, and what it answers is not run."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given

from tests.consistency.programs import program, programs, trace_of
from tests.oracle.causal import Program
from tests.strategies import examples
from tracekit.analysis import analyze
from tracekit.checks.consistency import effort, ladder
from tracekit.errors import TracekitError
from tracekit.execution import Execution, Options
from tracekit.registry import checks
from tracekit.report.terminal import render
from tracekit.results import CheckResult, Verdict
from tracekit.trace.builder import TraceBuilder
from tracekit.trace.trace import Trace


def by_name(results: tuple[CheckResult, ...]) -> dict[str, CheckResult]:
    return {r.check: r for r in results}


def test_the_table_names_checks_and_has_no_circle() -> None:
    assert set(checks()) >= ladder.RELATED
    for name in ladder.RELATED:
        assert name not in ladder.implied(name)


@given(programs())
@examples(300)
def test_the_table_is_true_of_the_checks(sessions: Program) -> None:
    """Every model is run by itself: no history fulfils a model and not one that it implies."""
    trace = trace_of(sessions)
    execution = Execution(trace)
    verdicts = {}
    for name in sorted(ladder.comparable(execution)):
        if checks()[name].applies(execution):
            verdicts[name] = checks()[name].run(execution, Options()).verdict
    for name, verdict in verdicts.items():
        for other in ladder.implied(name) & verdicts.keys():
            assert not (verdict is Verdict.HOLDS and verdicts[other] is Verdict.VIOLATED), (name, other)


def history(*lines: str) -> Trace:
    """``a write 1``: one operation after the other, each by a client."""
    builder = TraceBuilder([])
    for i, line in enumerate(lines):
        client, f, value = line.split()
        written = {"value": int(value)} if f == "write" else {}
        builder.add({"process": client, "kind": "invoke", "f": f, "index": 2 * i, **written})
        builder.add({"process": client, "kind": "ok", "f": f, "index": 2 * i + 1, "value": int(value)})
    return builder.build()


STALE = ("a write 1", "a write 2", "b read 1", "b read 2")


def test_what_holds_implies_without_a_run() -> None:
    found = by_name(analyze(history("a write 1", "b read 1")).checks)
    assert found["consistency.linearizable"].implied_by is None
    for name in ladder.implied("consistency.linearizable"):
        assert found[name].verdict is Verdict.HOLDS
        assert found[name].implied_by == "consistency.linearizable"
        assert not found[name].required


def test_what_fails_fails_above() -> None:
    result = analyze(history("a write 1", "a write 2", "b read 2", "b read 1"))
    found = by_name(result.checks)
    sequential = found["consistency.sequential"]
    assert sequential.verdict is Verdict.VIOLATED
    assert sequential.implied_by in ladder.implied("consistency.sequential")
    assert sequential.violations


def test_the_summary_names_strongest_and_weakest() -> None:
    result = analyze(history(*STALE), check=["consistency.linearizable", "consistency.sequential"])
    assert result.ladder.startswith("sequential holds, linearizable fails: 1 breach")


def test_named_checks_are_run_even_where_they_are_implied() -> None:
    result = analyze(history("a write 1", "b read 1"), check=["consistency.*"])
    assert not [c for c in result.required if c.implied_by]


@pytest.mark.parametrize(
    ("model", "code"), [("linearizable", 1), ("sequential", 0), ("causal", 0), ("session.monotonic-reads", 0)]
)
def test_expect_makes_a_rung_and_what_it_implies_required(model: str, code: int) -> None:
    result = analyze(history(*STALE), expect=model)
    assert result.exit_code == code
    names = {c.check for c in result.required}
    (rung,) = {n for n in names if n.endswith(model.partition(".")[2] or model)} & set(checks())
    assert names == {rung} | ladder.implied(rung)


def test_expect_of_no_model() -> None:
    with pytest.raises(TracekitError) as caught:
        analyze(history(*STALE), expect="sequentail")
    assert caught.value.code == "TK301"
    assert "sequential" in str(caught.value)


def test_a_clock_that_does_not_order_a_client_keeps_linearizability_apart() -> None:
    builder = TraceBuilder([])
    for f, value in (("write", 1), ("read", 1)):
        builder.add({"process": "a", "kind": "invoke", "f": f, "time_ns": 5, **({"value": 1} if f == "write" else {})})
        builder.add({"process": "a", "kind": "ok", "f": f, "time_ns": 5, "value": value})
    assert "consistency.linearizable" not in ladder.comparable(Execution(builder.build()))


def test_what_nobody_requires_is_left_out_where_it_is_much_work(monkeypatch: pytest.MonkeyPatch) -> None:
    stale = history(*STALE)
    monkeypatch.setattr(effort, "MEASURED_S", 1e-9)
    found = analyze(stale)
    names = {c.check for c in found.checks}
    assert names & ladder.RELATED == {"consistency.linearizable"}
    [told] = [phrase for phrase in found.not_checked if "much work" in phrase]
    assert "consistency.causal" in told and "session.monotonic-reads" in told
    asked = by_name(analyze(stale, expect="causal").checks)
    assert asked["consistency.causal"].verdict is Verdict.HOLDS and asked["consistency.causal"].required


def test_a_model_is_asked_before_those_that_its_answer_spares() -> None:
    turns = ladder.in_turn([*ladder.RELATED, "consistency.eventual"])
    assert turns[:2] == ["consistency.eventual", "consistency.linearizable"]
    for name in ladder.RELATED - {"consistency.causal"}:
        assert all(turns.index(name) < turns.index(other) for other in ladder.implied(name) - {"consistency.causal"})
    assert turns.index("consistency.causal") < turns.index("consistency.causal-convergence")


def test_required_checks_run_first() -> None:
    asked: list[str] = []
    analyze(history(*STALE), expect="monotonic-reads", progress=lambda name, done, total: asked.append(name))
    assert asked[0] == "session.monotonic-reads"


def test_the_paper_s_figure_on_the_ladder() -> None:
    found = analyze(trace_of(program("w(x1) r(x2) | w(x2) r(x1)")))
    assert ladder.position(found.checks)[1] == ("session.read-your-writes",)
    assert by_name(found.checks)["consistency.causal-convergence"].verdict is Verdict.VIOLATED
    assert by_name(found.checks)["consistency.causal-memory"].verdict is Verdict.HOLDS


def test_why_a_measured_model_is_undecided_is_told_at_once() -> None:
    found = analyze(history(*STALE))
    assert found.checks and "eventual: unknown: the run is not marked quiescent" in " ".join(render(found).split())
    long = CheckResult(check="consistency.eventual", examined={"keys": 1}, reasons=("because " * 60 + "so",))
    shown, whole = (render(replace(found, checks=(long,)), verbose=verbose) for verbose in (False, True))
    assert " ..." in shown and "because so" not in " ".join(shown.split())
    assert "because so" in " ".join(whole.split())
    two = (replace(long, reasons=("no.",)), replace(long, check="consistency.pram", reasons=("no.",)))
    assert "eventual, pram: unknown: no." in render(replace(found, checks=two))


def test_a_value_out_of_thin_air_is_seen_where_nobody_wrote_at_all() -> None:
    builder = TraceBuilder()
    for kind, value in (("invoke", None), ("ok", 1)):
        builder.add({"process": "a", "kind": kind, "f": "read", "value": value})
    found = by_name(analyze(builder.build(), expect="causal").checks)["consistency.causal"]
    assert found.verdict is Verdict.VIOLATED and found.violations[0].anomaly == "ThinAirRead"
