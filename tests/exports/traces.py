"""Strategies: traces that use everything that a column can hold."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tracekit.formats.edn import dumps
from tracekit.trace.builder import TraceBuilder
from tracekit.trace.run import Run
from tracekit.trace.schema import KINDS
from tracekit.trace.trace import SetAside, SetAsides, Trace

NAMES = ("n1", "n 2", 'q"uote', "é\n{}")
INTEGERS = st.integers(-(2**63), 2**63 - 1)
STAMPS = st.integers(0, 2**63 - 1)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=6) | st.sampled_from(
    ["", "null", "7", "007", "[1]", "nan"]
)
FLOATS = st.floats() | st.sampled_from([1.0, -0.0, 1e300, float("inf"), float("nan")])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=2),
    max_leaves=4,
)
CANONICAL = JSON.filter(lambda value: value is not None).map(dumps)

COLUMNS: dict[str, list[st.SearchStrategy[Any]]] = {
    "name": [TEXTS],
    "index": [INTEGERS],
    "time_ns": [INTEGERS],
    "lamport": [STAMPS],
    "vclock": [st.lists(STAMPS, max_size=3)],
    "message": [INTEGERS, TEXTS],
    "peer": [st.sampled_from(NAMES)],
    "op": [INTEGERS],
    "f": [TEXTS],
    "key": [INTEGERS, TEXTS],
    "value": [INTEGERS, CANONICAL, st.integers(0, 3).map(str), TEXTS],
    "txn": [
        st.lists(st.fixed_dictionaries({"f": TEXTS, "key": key, "value": value}), max_size=3)
        for key in (INTEGERS, TEXTS)
        for value in (st.none() | INTEGERS, CANONICAL)
    ],
    "source": [TEXTS],
    "line": [st.integers(1, 9)],
    "x.int": [INTEGERS],
    "x.float": [FLOATS],
    "x.bool": [st.booleans()],
    "x.text": [TEXTS],
    "x.ints": [st.lists(INTEGERS, max_size=3)],
    "x.floats": [st.lists(FLOATS, max_size=3)],
    "x.texts": [st.lists(TEXTS, max_size=3)],
}
RUNS = st.builds(
    Run,
    system=st.none() | TEXTS,
    seed=st.none() | st.integers(0, 9),
    claims=st.none() | st.lists(TEXTS, max_size=2).map(tuple),
    coverage=st.dictionaries(st.sampled_from(NAMES), st.just({"start": True, "end": False}), max_size=1),
    other=st.dictionaries(st.sampled_from(["a", "b"]), JSON, max_size=2),
)


@st.composite
def traces(draw: st.DrawFn, max_events: int = 6) -> Trace:
    """Any trace that can be held, with metadata."""
    chosen = draw(st.lists(st.sampled_from(sorted(COLUMNS)), unique=True))
    values = {name: draw(st.sampled_from(COLUMNS[name])) for name in chosen}
    builder = TraceBuilder(NAMES[: draw(st.integers(3, 4))], draw(RUNS))
    for _ in range(draw(st.integers(0, max_events))):
        row = {"process": draw(st.sampled_from(NAMES)), "kind": draw(st.sampled_from(sorted(KINDS)))}
        builder.add(row | {name: draw(st.none() | value) for name, value in values.items()})
    aside = SetAsides.of([SetAside("n1.log:3", "bad", "x", draw(st.none() | st.just("f")))] * draw(st.integers(0, 2)))
    return builder.build(complete=draw(st.booleans()), set_aside=aside)
