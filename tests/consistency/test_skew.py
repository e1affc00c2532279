"""--skew by its definition: one client's calls in their order, others if more than the skew lies between."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import Any

import pytest

from tests.consistency.histories import ANSWERED, text
from tests.oracle.linearizability import Op, linearizable_object
from tests.oracle.objects import OBJECTS
from tracekit.checks.consistency.linearizable import linearizable as check
from tracekit.execution import Execution, Options
from tracekit.results import CheckResult, Verdict
from tracekit.trace.builder import TraceBuilder


@dataclass(frozen=True)
class Call(Op):
    """An operation of a client; times are the client's own."""

    start: int = 0
    end: int = 0

    client: int = 0
    turn: int = 0


def register(state: Any, f: str, argument: Any, answers: list[Any] | None) -> list[Any]:
    if f == "read":
        return [state] if answers is None or answers[0] == state else []
    if f == "cas":
        old, new = argument
        return [new] if state == old else []
    return [argument]


def precedes(skew: int) -> Any:
    def order(first: Call, second: Call) -> bool:
        if first.outcome == "info":
            return False
        if first.client == second.client:
            return first.turn < second.turn
        return first.end + skew < second.start

    return order


def history(rng: random.Random, unique: bool, functions: tuple[str, ...], values: tuple[int, ...]) -> list[Call]:
    calls = []
    for client in range(rng.randint(2, 3)):
        moment = rng.randint(0, 6)
        for turn in range(rng.randint(1, 3)):
            f = rng.choice(functions)
            value = rng.choice((None, *values)) if f in ANSWERED else rng.choice(values)
            start = moment + rng.randint(0, 3)
            moment = start + rng.randint(0, 3)
            outcome = rng.choice(("ok",) * 5 + ("info",))
            argument = None if f in ANSWERED else [rng.choice(values), value] if f == "cas" else value
            if unique and f == "write":
                argument = 10 * client + turn + 1
            if unique and f == "read":
                value = rng.choice((None, *(10 * c + t + 1 for c in range(3) for t in range(2))))
            answer = value if f in ANSWERED else None
            calls.append(Call(f, argument, answer, outcome, start, moment, client, turn))
            if outcome == "info":
                break
            moment += rng.choice((1, 1, 1, 0, -2))  # a client's clock may stand still, or go back
    return calls


def went_back(calls: list[Call]) -> int:
    """How far the clock of some client went back between its calls."""
    pairs = ((a, b) for a in calls for b in calls if a.client == b.client and a.turn < b.turn)
    return max(((a.end if a.outcome == "ok" else a.start) - b.start for a, b in pairs), default=0)


def judge(calls: list[Call], model: str, skew: int) -> CheckResult:
    rows: list[tuple[int, int, dict[str, Any]]] = []
    for call in calls:
        row: dict[str, Any] = {"process": f"c{call.client}", "f": call.f}
        rows.append((call.start, 1, row | {"kind": "invoke", "value": text(call.argument), "time_ns": call.start}))
        answer = text(call.answer if call.f in ANSWERED else call.argument) if call.outcome == "ok" else None
        rows.append((call.end, 0, row | {"kind": call.outcome, "value": answer, "time_ns": call.end}))
    builder = TraceBuilder()
    by_client = sorted(rows, key=lambda entry: str(entry[2]["process"]))  # stable: each client's rows in its own order
    for _, _, row in by_client:
        builder.add(row)
    trace = builder.build()
    options = Options(model=model, skew_ns=skew)
    return check(Execution(trace, options), options)


CASES = [
    ("register", True, ("read", "write"), (1,), (None, register)),
    ("cas-register", False, ("read", "write", "cas"), (1, 2), (None, register)),
    ("queue", False, ("enqueue", "dequeue", "peek"), (1, 2), OBJECTS["queue"]),
]


@pytest.mark.parametrize(("model", "unique", "functions", "values", "definition"), CASES, ids=lambda c: str(c)[:12])
def test_the_verdict_under_a_skew_is_that_of_the_definition(
    model: str, unique: bool, functions: tuple[str, ...], values: tuple[int, ...], definition: Any
) -> None:
    rng = random.Random(11)
    seen = {Verdict.HOLDS: 0, Verdict.VIOLATED: 0}
    excused = 0
    for _ in range(600):
        calls = history(rng, unique, functions, values)
        answered = [c for c in calls if c.outcome == "ok"]
        values_told = [c.argument for c in calls] + [c.answer for c in answered]
        if not answered or all(value is None for value in values_told):
            continue  # nothing is recorded that could be judged
        skew = rng.choice((1, 2, 4, 8))
        found = judge(calls, model, skew)
        start, after = definition
        expected = linearizable_object(calls, start, after, precedes(skew))
        if went_back(calls) > skew:
            assert found.verdict is Verdict.UNKNOWN and "the end of an earlier one of their client" in found.reasons[0]
            continue
        assert (found.verdict is Verdict.HOLDS) == expected, (calls, skew, found)
        assert not found.reasons
        seen[found.verdict] += 1
        excused += "linearizable_by_skew" in found.facts
        for violation in found.violations:
            if "linearizable_from_skew_ns" in violation.facts:
                smallest = violation.facts["linearizable_from_skew_ns"]
                if smallest is None:
                    assert not linearizable_object(calls, start, after, precedes(1000))
                else:
                    assert linearizable_object(calls, start, after, precedes(smallest))
                    assert not linearizable_object(calls, start, after, precedes(smallest - 1))
    assert min(seen.values()) > 50 and excused > 10


def test_program_order_is_exact_however_large_the_skew() -> None:
    calls = [
        Call("write", 1, None, "ok", 0, 1, 0, 0),
        Call("write", 2, None, "ok", 2, 3, 0, 1),
        Call("read", None, 1, "ok", 4, 5, 0, 2),
    ]
    found = judge(calls, "register", 10**9)
    assert found.verdict is Verdict.VIOLATED
    [violation] = found.violations
    assert violation.anomaly == "cyclic-values" and violation.facts["linearizable_from_skew_ns"] is None
    assert violation.summary.endswith("No difference between clocks would excuse it.")
    assert {edge.reason for edge in violation.edges} == {"earlier call of the same client"}
    other = judge([*calls[:2], replace(calls[2], client=1)], "register", 10**9)
    assert other.verdict is Verdict.HOLDS


def test_the_smallest_skew_that_excuses_is_told() -> None:
    calls = [
        Call("write", 1, None, "ok", 0, 10, 0, 0),
        Call("write", 2, None, "ok", 20, 30, 0, 1),
        Call("read", None, 1, "ok", 45, 50, 1, 0),
    ]
    for model, skew in (("register", 0), ("register", 14)):
        [violation] = judge(calls, model, skew).violations
        assert "Clocks that differ by 15 ns or more" in violation.summary
    assert judge(calls, "register", 15).verdict is Verdict.HOLDS
    again = [*calls[:2], Call("write", 1, None, "ok", 32, 34, 1, 0), replace(calls[2], answer=2, turn=1)]
    [violation] = judge(again, "register", 0).violations
    assert violation.facts["linearizable_from_skew_ns"] is not None
    assert f"{violation.facts['linearizable_from_skew_ns']} ns or more would excuse the register" in violation.summary


def test_what_no_skew_excuses_is_not_said_to_be_excused_by_one() -> None:
    """The witness spans two clients; but the reader's own calls, whose order no clock touches, are wrong as well."""
    builder = TraceBuilder()
    for process, f, value, start in (("a", "write", 1, 0), ("b", "read", 1, 20), ("b", "read", None, 40)):
        argument = value if f == "write" else None
        builder.add({"process": process, "kind": "invoke", "f": f, "value": argument, "time_ns": start})
        builder.add({"process": process, "kind": "ok", "f": f, "value": value, "time_ns": start + 10})
    trace = builder.build()
    [violation] = check(Execution(trace, Options(model="register")), Options(model="register")).violations
    assert "No difference between clocks would excuse it." in violation.summary
    assert "or more would excuse" not in violation.summary
