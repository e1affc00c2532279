"""TraceBuilder: values that no column can hold are refused in the project's own words."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import examples
from tracekit.errors import TracekitError
from tracekit.trace.builder import TraceBuilder
from tracekit.trace.trace import Trace


def built(values: list[Any], name: str = "x.y") -> Trace:
    builder = TraceBuilder()
    builder.add({"process": "a", "kind": "internal"})
    for value in values:
        builder.add({"process": "a", "kind": "internal", name: value})
    return builder.build(at="the test")


@pytest.mark.parametrize(
    ("name", "values", "at", "found"),
    [
        ("x.y", [1, 2**64], 2, "18446744073709551616 (int)"),
        ("paxos.ballot", [-(2**63) - 1], 1, "-9223372036854775809 (int)"),
        ("x.y", [1, 2, "a"], 3, "'a' (str), after 1 (int) at event 1"),
        ("key", ["a", 1], 2, "1 (int), after 'a' (str) at event 1"),
        ("x.y", [True, None, 1], 3, "1 (int), after True (bool) at event 1"),
        ("x.y", [[1], ["a"]], 2, "['a'] (list)"),
        ("x.y", [[1], 2], 2, "2 (int), after [1] (list) at event 1"),
        ("x.y", ["a", "\ud800"], 2, r"'\ud800' (str)"),
        ("x.y", [{"a": 1}], 1, "{'a': 1} (dict)"),
        ("x.y", [b"\xff"], 1, r"b'\xff' (bytes)"),
        ("seq", ["first"], 1, "'first' (str)"),
        ("vclock", [3], 1, "3 (int)"),
    ],
)
def test_the_place_and_the_value_are_named(name: str, values: list[Any], at: int, found: str) -> None:
    with pytest.raises(TracekitError) as caught:
        built(values, name)
    error = caught.value
    assert (error.code, error.summary) == ("TK104", f"column {name} cannot hold a value")
    assert (error.at, error.found) == (f"the test, event {at}", found)
    assert error.want
    assert error.help


def test_a_long_value_is_shortened() -> None:
    with pytest.raises(TracekitError) as caught:
        built([1, "x" * 1000])
    assert len(str(caught.value.found)) < 150


def test_the_largest_numbers_are_held() -> None:
    column = built([2**63 - 1, -(2**63)]).get("x.y")
    assert column is not None
    assert [column.at(row) for row in range(3)] == [None, 2**63 - 1, -(2**63)]


SINGLE = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(max_size=3)
VALUES = st.recursive(
    SINGLE, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner), max_leaves=5
)


@examples(300)
@given(
    st.lists(VALUES, max_size=5), st.sampled_from(["x.y", "paxos.ballot", "value", "txn", "commit.participants", "op"])
)
def test_any_values_are_held_or_refused_in_our_own_words(values: list[Any], name: str) -> None:
    try:
        trace = built(values, name)
    except TracekitError as error:
        assert error.code.startswith("TK1")
    else:
        assert len(trace) == len(values) + 1
