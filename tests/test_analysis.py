"""Which checks count, what their verdicts add up to, and that UNKNOWN is never a pass."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

import jsonschema
import pytest

from tracekit import registry
from tracekit.analysis import analyze
from tracekit.errors import TracekitError
from tracekit.execution import Execution, Options
from tracekit.registry import HEADINGS, checks, select_checks
from tracekit.results import CheckResult, Result, TraceSummary, Verdict, Violation
from tracekit.trace.builder import TraceBuilder
from tracekit.trace.run import Run
from tracekit.trace.trace import Trace

SCHEMA = json.loads(files("tracekit").joinpath("result.schema.json").read_text())


def built(rows: list[dict[str, Any]], run: Run | None = None) -> Trace:
    builder = TraceBuilder(["a", "b"], run)
    for row in rows:
        builder.add(row)
    return builder.build()


CLOCKED = [{"process": "a", "kind": "internal", "lamport": 1}, {"process": "a", "kind": "internal", "lamport": 2}]
BROKEN = [CLOCKED[0], {**CLOCKED[1], "lamport": 0}]


def required(result: Result) -> set[str]:
    return {c.check for c in result.required}


class TestVerdictOfACheck:
    def test_is_derived(self) -> None:
        assert CheckResult(examined={"x": 1}).verdict is Verdict.HOLDS
        assert CheckResult(examined={"x": 1}, reasons=("why",)).verdict is Verdict.UNKNOWN
        assert CheckResult(examined={"x": 1}, reasons=("why",), violations_total=1).verdict is Verdict.VIOLATED
        assert CheckResult(examined={"x": 1}, violations=(Violation("a", "b"),)).verdict is Verdict.VIOLATED
        assert CheckResult(examined={"x": 0}).verdict is Verdict.UNKNOWN
        assert CheckResult(applicable=False).verdict is Verdict.NOT_APPLICABLE


class TestVerdictOfARun:
    @pytest.mark.parametrize(
        ("checks", "verdict", "code"),
        [
            ((), "unknown", 3),
            (((True, "holds"),), "holds", 0),
            (((True, "holds"), (False, "violated")), "holds", 0),
            (((True, "holds"), (True, "unknown")), "unknown", 3),
            (((True, "unknown"), (True, "violated")), "violated", 1),
            (((True, "not-applicable"),), "unknown", 3),
            (((True, "not-applicable"), (True, "holds")), "holds", 0),
            (((False, "holds"),), "unknown", 3),
        ],
    )
    def test_required_checks_decide(self, checks: tuple[tuple[bool, str], ...], verdict: str, code: int) -> None:
        made = {
            "holds": CheckResult(examined={"x": 1}),
            "violated": CheckResult(violations_total=1),
            "unknown": CheckResult(reasons=("why",)),
            "not-applicable": CheckResult(applicable=False),
        }
        results = tuple(
            CheckResult(**{**made[kind].__dict__, "required": needed, "check": f"c.{i}"})
            for i, (needed, kind) in enumerate(checks)
        )
        result = Result(TraceSummary("", "", 0, (), 0, {}, (), ""), results, ())
        assert (result.verdict, result.exit_code) == (verdict, code)


class TestWhichAreRequired:
    def test_defaults_where_columns_are_recorded(self) -> None:
        result = analyze(built(CLOCKED))
        assert required(result) == {"clock.lamport"}
        assert result.exit_code == 0

    def test_a_violated_default_decides(self) -> None:
        assert analyze(built(BROKEN)).exit_code == 1

    def test_claims_replace_the_defaults(self) -> None:
        result = analyze(built(BROKEN, Run(claims=("clock.vector",))))
        assert required(result) == set()
        assert next(c for c in result.checks if c.check == "clock.lamport").verdict is Verdict.VIOLATED
        assert result.exit_code == 3, "measured breaches never fail, but nothing required was examined"

    def test_a_claim_that_names_no_check_is_no_pass(self) -> None:
        result = analyze(built(CLOCKED, Run(claims=("clock.lamport", "clock.lamprot"))))
        verdicts = {c.check: c.verdict for c in result.required}
        assert verdicts == {"clock.lamport": Verdict.HOLDS, "clock.lamprot": Verdict.UNKNOWN}
        assert result.exit_code == 3
        jsonschema.validate(json.loads(json.dumps(result.to_json())), SCHEMA)

    def test_no_claims_at_all_is_not_the_same_as_claiming_nothing(self) -> None:
        assert analyze(built(CLOCKED, Run(claims=()))).exit_code == 3

    def test_named_checks_replace_the_claims(self) -> None:
        result = analyze(built(BROKEN, Run(claims=("clock.vector",))), check=["clock.*"])
        assert required(result) == {"clock.lamport"}
        assert result.exit_code == 1

    def test_a_named_check_without_events_is_no_pass(self) -> None:
        assert analyze(built(CLOCKED), check=["raft.*"]).exit_code == 3

    def test_unknown_names_are_answered_with_the_nearest(self) -> None:
        with pytest.raises(TracekitError) as caught:
            analyze(built(CLOCKED), check=["clock.lamprt"])
        assert caught.value.code == "TK301"
        assert "clock.lamport" in str(caught.value)

    def test_a_family_is_a_name(self) -> None:
        assert select_checks("clock") == select_checks("clock.*")


def test_a_check_that_is_interrupted_is_unknown_and_the_rest_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(execution: Execution, options: Options) -> CheckResult:
        raise KeyboardInterrupt

    real = dict(checks())
    broken = registry.Check("clock.vector", interrupted, applies=lambda e: True)
    monkeypatch.setattr("tracekit.analysis.checks", lambda: {**real, "clock.vector": broken})
    result = analyze(built(CLOCKED))
    verdicts = {c.check: c.verdict for c in result.checks}
    assert verdicts["clock.lamport"] is Verdict.HOLDS
    assert verdicts["clock.vector"] is Verdict.UNKNOWN
    assert result.exit_code == 3


def test_a_column_of_a_wrong_type_is_a_reason_and_no_traceback() -> None:
    rows = [{"process": "a", "kind": "internal", "name": "raft.state", "raft.term": "four", "raft.role": "leader"}]
    result = analyze(built(rows))
    assert result.exit_code in (1, 3)
    assert any("raft.term" in reason for c in result.checks for reason in c.reasons)


def test_events_that_share_a_place_are_told() -> None:
    twice = [{**row, "seq": 4} for row in CLOCKED]
    assert any("1 event has the place" in phrase for phrase in analyze(built(twice)).rests_on)
    assert not any("have the place" in phrase for phrase in analyze(built(CLOCKED)).rests_on)


@pytest.mark.parametrize("name", list(checks()))
class TestPages:
    def test_every_check_has_a_complete_page(self, name: str) -> None:
        page = checks()[name].page
        assert tuple(page) == HEADINGS
        assert all(len(text) > (8 if heading in ("Cost", "Reference") else 30) for heading, text in page.items())

    def test_the_summary_is_one_line(self, name: str) -> None:
        assert 20 < len(checks()[name].summary) <= 120

    def test_the_reference_is_short_enough_for_a_line(self, name: str) -> None:
        assert 4 < len(checks()[name].reference) < 200


@pytest.mark.parametrize("rows", [[], CLOCKED, BROKEN], ids=["nothing", "healthy", "broken"])
def test_the_json_is_the_contract(rows: list[dict[str, Any]]) -> None:
    out = json.loads(json.dumps(analyze(built(rows)).to_json()))
    jsonschema.validate(out, SCHEMA)


def test_how_messages_were_joined_is_told_even_where_none_were() -> None:
    sent: dict[str, Any] = {"process": "a", "kind": "send", "peer": "b", "lamport": 1}
    rows = [sent, {"process": "b", "kind": "receive", "peer": "a", "lamport": 2}]
    assert any("within processes only" in phrase for phrase in analyze(built(rows)).rests_on)
    declared = built(rows, Run(channels={"fifo": True, "reliable": True}))
    assert any("k-th send and k-th receive" in phrase for phrase in analyze(declared).rests_on)
