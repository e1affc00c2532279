"""EDN by the examples of its specification, by round trips, and by text that is not EDN."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracekit.formats.edn import MAX_DEPTH, EdnError, Keyword, Symbol, Tagged, parse, to_json
from tracekit.formats.json_columns import INTEGER, JsonColumn, Source
from tracekit.formats.text import as_int
from tracekit.kernels.engine import kernels


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("nil", None), ("true", True), ("false", False), ("-12", -12), ("+3", 3), ("42N", 42), ("1.5", 1.5),
        ("-1e3", -1000.0), ("1.10M", Decimal("1.10")), ("2/4", Fraction(1, 2)), ("##Inf", math.inf),
        ('"a\\n\\"\\u0041\\\\"', 'a\n"A\\'), ('"two\nlines"', "two\nlines"), (":a.b/c-d", Keyword("a.b/c-d")),
        ("foo/bar", Symbol("foo/bar")), ("-", Symbol("-")), ("\\newline", "\n"), ("\\a", "a"), ("\\u00e9", "é"),
        ("[1, 2 ,,3]", [1, 2, 3]), ("(1 (2) [])", [1, [2], []]), ("#{1}", Tagged("{}", [1])),
        ("{:a 1, [2] {}}", Tagged("{", [("a", 1), ([2], Tagged("{", []))])),
        ('#inst "1985"', Tagged("inst", "1985")), ("#a #b 1", Tagged("a", Tagged("b", 1))),
        ("[1 ; two\n 3]", [1, 3]), ("[1 #_2 #_#_3 4 5 #_[6 {}]]", [1, 5]), (" ; before\n 7 ; after", 7),
        ("[#_1]", []), ("#_ 1 2", 2),
    ],
)  # fmt: skip
def test_forms_of_the_specification(text: str, value: Any) -> None:
    assert parse(text) == value


@pytest.mark.parametrize(
    "text",
    ["", " ", "[", "]", "(]", "{1}", '"open', "1 2", "007", "1.2.3", "#", "#_", "[#foo]", "{:a #_1}", ":", "::a",
     "^{} 1", "@x", '"\\x"', "\\", "1/0", "9" * 5000, "[" * 200 + "]" * 200, "#a " * 200 + "1", "0x1F", "##Foo", "'a"],
)  # fmt: skip
def test_what_is_not_edn_is_an_edn_error(text: str) -> None:
    with pytest.raises(EdnError):
        parse(text)


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("{:b 1 :a [nil true]}", '{"a":[null,true],"b":1}'), ("#{3 1 2}", "[1,2,3]"), ("{0 10 1 5}", '{"0":10,"1":5}'),
        ("1/3", '"1/3"'), ("1.50M", "1.5"), ("##NaN", '"nan"'), (":ok", '"ok"'), ("#uuid \"x\"", '"x"'),
        ("#my/tag [1]", '{"#my/tag":[1]}'), ("#jepsen.history.Op{:f 1}", '{"f":1}'), ('"é\\ud800"', '"é?"'),
    ],
)  # fmt: skip
def test_canonical_json(text: str, want: str) -> None:
    assert to_json(parse(text)) == want


def test_keys_that_become_the_same_are_refused() -> None:
    with pytest.raises(EdnError, match="same in JSON"):
        to_json(parse('{:a 1 "a" 2}'))


def test_nesting_is_bounded_and_linear() -> None:
    assert parse("[" * MAX_DEPTH + "]" * MAX_DEPTH)
    with pytest.raises(EdnError, match="deeper"):
        parse("[" * 100_000)


SPACE = st.sampled_from([" ", ", ", "\n", " ; note\n", "  "])
ATOMS = st.one_of(
    st.sampled_from(["nil", "true", "false", "nile", "truth", "+1", "-0", "1.5", "#{1}", "\\a", "{:a 1}", "#_1 2",
                     "007", ":", "::a", ":a:b", "9" * 18, "9" * 19, "-" + "9" * 18, "sym", '"\\u0041"', '"a\\tb"']),
    st.integers(-(2**70), 2**70).map(str),
    st.text("abé\"\\ \t", max_size=4).map(json.dumps),
    st.sampled_from(["read", "k/v", "x-1"]).map(lambda name: ":" + name),
)  # fmt: skip
FORMS = st.recursive(
    ATOMS,
    lambda inner: st.builds(
        lambda items, space, ends: ends[0] + space.join(items) + ends[1],
        st.lists(inner, max_size=4), SPACE, st.sampled_from(["[]", "()"]),
    ),
    max_leaves=8,
)  # fmt: skip


@settings(max_examples=1500, deadline=None)
@given(forms=st.lists(FORMS, min_size=1, max_size=4), compiled=st.booleans())
def test_the_scanner_says_what_the_parser_says(forms: list[str], compiled: bool) -> None:
    """Of every form, the bulk kernels (interpreted or compiled) give the parser's JSON or leave it to the parser."""

    def canonical(text: str) -> str | None:
        form = parse(text)
        return None if form is None else to_json(form)

    data = "\n".join(forms).encode()
    ends = np.cumsum([len(form.encode()) + 1 for form in forms])
    spans = np.stack([np.concatenate([[0], ends[:-1]]), ends - 1], axis=1)
    source = Source(data, False, kernels("edn", 10**9 if compiled else 0), canonical)
    bad: dict[int, str] = {}
    column = JsonColumn.of(source, spans, bad.setdefault)
    values = column.column()
    for row, form in enumerate(forms):
        try:
            want = canonical(form)
        except EdnError:
            assert row in bad
            continue
        got = values.at(row)
        assert (None if got is None else str(got)) == want
        assert (column.kind[row] == INTEGER) == (as_int(want) is not None)
