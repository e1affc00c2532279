"""possibly and definitely against all cuts and all observations of small executions."""

from __future__ import annotations

from collections.abc import Callable
from operator import eq, ge, gt, le, lt, ne
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.oracle import cuts as all_cuts
from tests.oracle import order
from tests.oracle import predicates as oracle
from tests.strategies import PROCESSES, examples, executions, trace_of, with_seq
from tracekit.errors import TracekitError
from tracekit.execution import Execution
from tracekit.kernels import engine
from tracekit.order.cuts import Cut
from tracekit.order.expressions import LONGEST, parse
from tracekit.order.predicates import Detection, definitely, possibly

Row = dict[str, Any]
Meaning = Callable[[oracle.State], bool]
OPERATORS = {"==": eq, "!=": ne, "<": lt, "<=": le, ">": gt, ">=": ge}
VALUES: dict[str, list[Any]] = {"x.n": [0, 1, 2], "x.s": ["u", "v"], "x.b": [True, False]}
SETTLED: list[Row] = [
    {"process": p, "kind": "internal", "x.n": 0, "x.s": "u", "x.b": False, "x.m": 1} for p in PROCESSES[:1]
]


@pytest.fixture(params=["interpreted", "compiled"])
def mode(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "COMPILE_FROM", 1 << 60 if request.param == "interpreted" else 0)


def compared(operator: str, left: Any, right: Any) -> bool:
    """None is equal to None only, and never smaller or larger than anything."""
    if operator in ("==", "!=") or (left is not None and right is not None):
        return bool(OPERATORS[operator](left, right))
    return False


@st.composite
def local(draw: st.DrawFn) -> tuple[str, Callable[[str | None], str], Callable[[Any, str], bool]]:
    """A comparison of one field with a literal: text for a process (None: inside of count), and meaning."""
    field = draw(st.sampled_from(sorted(VALUES)))
    ordered = field == "x.n" and draw(st.booleans())
    operator = draw(st.sampled_from(["<", "<=", ">", ">="] if ordered else ["==", "!="]))
    value = draw(st.sampled_from(VALUES[field] if ordered else [*VALUES[field], None]))

    def text(process: str | None) -> str:
        name = field if process is None else f'{field}["{process}"]'
        return f"{name} {operator} {value!r}"

    return field, text, lambda state, p: compared(operator, state[p].get(field), value)


@st.composite
def conditions(draw: st.DrawFn, rows: list[Row], depth: int = 2) -> tuple[str, Meaning]:
    """An expression and, made independently, what it means."""
    kind = draw(st.sampled_from(["local", "local", "count", "pair", "and", "or", "not"][: 7 if depth else 4]))
    if kind == "local":
        _, text, holds = draw(local())
        p = draw(st.sampled_from(PROCESSES))
        return text(p), lambda state: holds(state, p)
    if kind == "count":
        field, text, holds = draw(local())
        operator = draw(st.sampled_from(sorted(OPERATORS)))
        number = draw(st.integers(-1, 4))
        members = [p for p in PROCESSES if any(r["process"] == p and r.get(field) is not None for r in rows)]
        meaning = lambda state: OPERATORS[operator](sum(holds(state, p) for p in members), number)  # noqa: E731
        return f"count({text(None)}) {operator} {number}", meaning
    if kind == "pair":
        field = draw(st.sampled_from(sorted(VALUES)))
        operator = draw(st.sampled_from(sorted(OPERATORS) if field == "x.n" else ["==", "!="]))
        a, b = draw(st.sampled_from(PROCESSES)), draw(st.sampled_from(PROCESSES))
        text = f'{field}["{a}"] {operator} {field}["{b}"]'
        return text, lambda state: compared(operator, state[a].get(field), state[b].get(field))
    first, means = draw(conditions(rows, depth=depth - 1))
    if kind == "not":
        return f"not ({first})", lambda state: not means(state)
    second, also = draw(conditions(rows, depth=depth - 1))
    if kind == "and":
        return f"({first}) and ({second})", lambda state: means(state) and also(state)
    return f"({first}) or ({second})", lambda state: means(state) or also(state)


@st.composite
def conjunctions(draw: st.DrawFn) -> tuple[str, Meaning]:
    """One condition a process, for some processes."""
    chosen = draw(st.lists(st.sampled_from(PROCESSES), unique=True, min_size=1))
    parts = [(p, *draw(local())[1:]) for p in chosen]
    return " and ".join(text(p) for p, text, _ in parts), lambda state: all(holds(state, p) for p, _, holds in parts)


def with_states(rows: list[Row], data: st.DataObject) -> list[Row]:
    values = {name: st.none() | st.sampled_from(choices) for name, choices in VALUES.items()}
    rows = [{**row, **{name: data.draw(v) for name, v in values.items()}} for row in rows]
    return with_seq([*SETTLED, *rows])


def judged(rows: list[Row], text: str, meaning: Meaning) -> None:
    execution = Execution(trace_of(rows))
    before = order.happens_before(rows, order.message_edges(rows))
    cuts = all_cuts.all_consistent(rows, PROCESSES, before)
    holds = {cut: meaning(oracle.state(rows, PROCESSES, cut)) for cut in cuts}
    true = oracle.possibly(cuts, holds.__getitem__)
    found = possibly(execution, text)
    assert found.answer == bool(true), text
    if true:
        assert found.cut is not None and tuple(found.cut.counts.tolist()) in true
        if found.method.startswith("conjunctive") and "or" not in text and "count" not in text and "not" not in text:
            assert sum(found.cut.counts.tolist()) == min(sum(c) for c in true), "the earliest"
    found = definitely(execution, text)
    assert found.answer == oracle.definitely(cuts, holds.__getitem__), text
    if found.cut is not None:
        assert tuple(found.cut.counts.tolist()) in true


@pytest.mark.usefixtures("mode")
class TestAgainstAllObservations:
    @examples(500)
    @given(executions(max_events=9), st.data())
    def test_conjunctions(self, rows: list[Row], data: st.DataObject) -> None:
        text, meaning = data.draw(conjunctions())
        judged(with_states(rows, data), text, meaning)

    @examples(400)
    @given(
        executions(max_events=9, max_processes=2).filter(lambda rows: any(r["kind"] == "receive" for r in rows)),
        st.data(),
    )
    def test_two_processes_that_talk(self, rows: list[Row], data: st.DataObject) -> None:
        rows = with_seq([{**row, "x.n": data.draw(st.sampled_from([0, 1, 1]))} for row in rows])
        text = 'x.n["a"] == 1 and x.n["b"] == 1'
        judged(rows, text, lambda state: state["a"].get("x.n") == 1 and state["b"].get("x.n") == 1)

    @examples(500)
    @given(executions(max_events=8), st.data())
    def test_anything(self, rows: list[Row], data: st.DataObject) -> None:
        rows = with_states(rows, data)
        text, meaning = data.draw(conditions(rows))
        judged(rows, text, meaning)


def leaders(*steps: tuple[str, str, str, int | None]) -> Execution:
    """Rows of (process, kind, role, message)."""
    rows = [{"process": p, "kind": k, "raft.role": role, "message": m} for p, k, role, m in steps]
    return Execution(trace_of([{key: v for key, v in row.items() if v is not None} for row in rows]))


TWO = 'raft.role["a"] == "leader" and raft.role["b"] == "leader"'


def test_two_leaders_at_once() -> None:
    apart = leaders(
        ("a", "internal", "leader", None),
        ("a", "send", "follower", 1),
        ("b", "receive", "leader", 1),
    )
    assert possibly(apart, TWO).answer is False
    maybe = leaders(
        ("a", "internal", "leader", None), ("a", "internal", "follower", None),
        ("b", "internal", "leader", None), ("b", "internal", "follower", None),
    )  # fmt: skip
    found = possibly(maybe, TWO)
    assert found.answer and definitely(maybe, TWO).answer is False
    assert found.states()["b"] == {"event": "b:0", "up": True, "raft.role": "leader"}
    surely = leaders(
        ("a", "send", "leader", 1), ("b", "send", "leader", 2),
        ("a", "receive", "leader", 2), ("b", "receive", "leader", 1),
        ("a", "internal", "follower", None), ("b", "internal", "follower", None),
    )  # fmt: skip
    assert definitely(surely, TWO).answer and definitely(surely, 'count(raft.role == "leader") >= 2').answer


def test_a_budget_that_does_not_suffice_is_no_answer() -> None:
    rows = [{"process": p, "kind": "internal", "x.n": k} for k in range(20) for p in PROCESSES]
    execution = Execution(trace_of(rows))
    for detect in (possibly, definitely):
        found: Detection = detect(execution, 'x.n["a"] > x.n["b"] and x.n["b"] > 18', limit=100)
        assert found.answer is None and "100 consistent cuts" in found.reason


def test_events_whose_past_is_not_known_make_no_witness() -> None:
    rows = [
        {"process": "a", "kind": "receive", "message": 2, "x.n": 1},
        {"process": "a", "kind": "send", "message": 1},
        {"process": "b", "kind": "receive", "message": 1, "x.n": 1},
        {"process": "b", "kind": "send", "message": 2},
        {"process": "c", "kind": "internal", "x.n": 1},
    ]
    execution = Execution(trace_of(rows))
    found = possibly(execution, 'x.n["a"] == 1')
    assert found.answer is None and "not known" in found.reason
    assert possibly(execution, 'x.n["c"] == 1').answer is True
    assert possibly(execution, 'x.n["a"] == 2').answer is False
    assert definitely(execution, 'x.n["a"] == 1').answer is True, "its process passes through it whatever precedes it"


def test_many_processes_and_events() -> None:
    rows = [{"process": f"p{i % 30}", "kind": "internal", "x.n": (i // 30) % 7} for i in range(30_000)]
    from tracekit.trace.builder import TraceBuilder

    builder = TraceBuilder()
    for row in rows:
        builder.add(row)
    execution = Execution(builder.build())
    found = possibly(execution, "count(x.n == 6) >= 29")
    assert found.answer and found.cut is not None
    assert int(np.count_nonzero(found.cut.counts == 7)) == 29


@pytest.mark.parametrize(
    ("text", "column", "words"),
    [
        ('raft.role["n1"] = "leader"', 17, "cannot be read"),
        ('raft.role["n1"] == ', 19, "it ends too early"),
        ('raft.role == "leader"', 1, "at which process"),
        ('count(raft.role["a"] == "leader") > 1', 7, "carry no process"),
        ("count(raft.role == 'x')", 1, "a condition is expected"),
        ("count(raft.role == 'x') >= 1.5", 28, "whole number"),
        ("count(count(x.n > 1) > 1) > 1", 7, "not nested"),
        ("count(sum(x.n) > 1) > 1", 7, "not nested"),
        ("count(x.n + 1 > 1) > 1", 7, "conditions on one process"),
        ("sum(sum(x.n)) > 1", 5, "without a process"),
        ('sum(x.n["a"]) > 1', 5, "without a process"),
        ("sum(x.n, x.n) > 1", 1, "one field"),
        ("sum(up) > 1", 5, "no number"),
        ("in_flight(3) > 1", 11, "without a process"),
        ('in_flight("a") > 1', 1, "sender and receiver"),
        ("in_flight(*x.n) > 1", 1, "no such arguments"),
        ("in_flight() > 1.5", 15, "whole number"),
        ("in_flight()", 1, "a condition is expected"),
        ("in_flight() * in_flight() > 1", 1, "whole numbers only"),
        ("in_flight() / 2 > 1", 1, "not part of the language"),
        ("in_flight() + True > 1", 15, "cannot be added"),
        ("in_flight() + count(x.n > 1) > 1", 15, "cannot be added"),
        ('in_flight() + up["a"] > 1', 15, "cannot be added"),
        ("9007199254740991 * 9007199254740991 * in_flight() > 1", 1, "too large"),
        ("1 + 1 == 2", 10, "two fixed values"),
        ("-" * 300 + "in_flight() > 1", 101, "nested too deeply"),
        ("max(x.n) > 1", 1, "only functions"),
        ('__import__("os").system("true")', 1, "only functions"),
        ("(lambda: 1)()", 1, "only functions"),
        ('x.n["a"] in [1, 2]', 13, "not part of the language"),
        ('x.n["a"] is None', 13, "not part of the language"),
        ("x.n[0] == 2", 5, "named by a text"),
        ('  x.n["a"] == y', 15, "at which process"),
        ("1 == 1", 6, "two fixed values"),
        ("", 1, "cannot be read"),
        ('x.n["ä"] == é', 13, "at which process"),
        ("(" * 500 + "1", 1, ""),
        ("not " * 400 + 'x.n["a"]', 401, "nested too deeply"),
        ("x" * (LONGEST + 1), LONGEST + 1, "longer than"),
        ('x.n["a"] == "\x00"', 1, "cannot be read"),
    ],
)
def test_mistakes_point_at_their_column(text: str, column: int, words: str) -> None:
    with pytest.raises(TracekitError) as caught:
        parse(text)
    assert caught.value.code == "TK304"
    assert words in caught.value.summary
    if words:
        assert caught.value.at == f"the expression, column {column}"


@pytest.mark.parametrize(
    ("text", "column", "words"),
    [
        ('x.k["a"] == 1', 1, "no field x.k"),
        ('x.n["e"] == 1', 1, "no process e"),
        ('x.n["a"] == "u"', 13, "cannot be compared"),
        ('x.s["a"] < "u"', 12, "cannot be compared"),
        ('x.n["a"] == x.s["a"]', 1, "cannot be compared"),
        ('x.n["a"] < None', 12, "cannot be compared"),
        ('x.n["a"] == 99999999999999999999', 13, "cannot be compared"),
        ('x.b["a"] == 1', 13, "cannot be compared"),
        ("1 + sum(x.s) > 1", 5, "cannot be added"),
        ("in_flight(x.k) > 1", 1, "no field x.k"),
        ('in_flight("a", "e") > 1', 1, "no process e"),
        ('up["a"] == 1', 12, "cannot be compared"),
    ],
)
def test_names_and_types_that_the_trace_does_not_have(text: str, column: int, words: str) -> None:
    execution = Execution(trace_of(SETTLED))
    with pytest.raises(TracekitError) as caught:
        possibly(execution, text)
    assert caught.value.code == "TK304" and words in caught.value.summary
    assert caught.value.at == f"the expression, column {column}"


@pytest.mark.parametrize("decide", [possibly, definitely])
@pytest.mark.parametrize("text", ['x.s["a"] == "nobody wrote it"', 'count(x.s == "nobody wrote it") >= 1'])
def test_a_text_that_nobody_recorded_is_told(decide: Callable[..., Detection], text: str) -> None:
    found = decide(Execution(trace_of(SETTLED)), text)
    assert found.answer is False
    assert 'x.s is never "nobody wrote it" in this run' in found.reason
    assert "never" not in decide(Execution(trace_of(SETTLED)), 'x.s["a"] == "u"').reason


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("count(up)", "count(...) >= 1"),
        ("in_flight()", "in_flight() <= 10"),
        ("up", "count(up) >= 1"),
        ('x.s["a"] == u', 'a text stands in quotes: "u"'),
    ],
)
def test_mistakes_show_what_was_meant(text: str, want: str) -> None:
    with pytest.raises(TracekitError) as caught:
        parse(text)
    assert want in str(caught.value)


@examples(500)
@given(st.text(max_size=60) | st.text("xn.[]\"'a ()=<>!notandcount,:+-*012", max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        possibly(Execution(trace_of(SETTLED)), text)
    except TracekitError as error:
        assert error.code == "TK304"


def test_columns_without_domain_and_other_columns_of_the_same_kind() -> None:
    rows = [
        {"process": "a", "kind": "internal", "name": "start", "x.s": "start", "x.n": 3, "x.m": 3},
        {"process": "a", "kind": "internal", "name": "stop", "x.n": 4},
    ]
    execution = Execution(trace_of(rows))
    assert possibly(execution, 'name["a"] == "stop" and x.n["a"] > 3').answer
    assert possibly(execution, 'name["a"] == x.s["a"] and x.n["a"] == x.m["a"]').answer
    assert definitely(execution, 'name["a"] == x.s["a"]').answer
    found = possibly(execution, '1 < x.n["a"] <= 3')
    assert found.cut == Cut.of(execution.happens_before, {"a": 1})
