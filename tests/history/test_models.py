"""Models: parsing, choosing, and what operations become."""

from __future__ import annotations

from typing import Any

import pytest

from tests.history.test_operations import made, row
from tracekit.errors import TracekitError
from tracekit.history.models import ABSENT, ANY, COMPUTED, Choice, actions_of, choose, parse_model
from tracekit.history.operations import operations_of


def test_options_are_parsed() -> None:
    choice = parse_model("cas-register:fail=asserts,nil=any")
    assert (choice.model.name, choice.fail_asserts, choice.nil_any) == ("cas-register", True, True)
    assert choice.text == "model: cas-register, fail=asserts, nil=any (asked for)"
    assert parse_model("kv:fail=ignored").text == "model: kv (asked for)"


@pytest.mark.parametrize(
    ("text", "says", "wants"),
    [
        ("cas-registr", "no model is named cas-registr", "cas-register"),
        ("", "no model is named (nothing)", "register"),
        ("kv:nil=maybe", "the model kv has no option nil=maybe", "nil=initial or nil=any"),
        ("kv:x=1", "the model kv has no option x=1", "fail=ignored"),
    ],
)
def test_unknown_names_are_answered_with_the_nearest(text: str, says: str, wants: str) -> None:
    with pytest.raises(TracekitError) as caught:
        parse_model(text)
    assert caught.value.code == "TK302"
    assert caught.value.summary == says and wants in str(caught.value.want)


def chosen(functions: list[str], key: str | None = None) -> Choice | None:
    return choose(operations_of(made([row("a", "invoke", f, key=key) for f in functions])), None, None)


@pytest.mark.parametrize(
    ("functions", "key", "name"),
    [
        (["read", "write"], None, "register"),
        (["read", "cas"], None, "cas-register"),
        (["get", "append"], None, "kv"),
        (["read", "write"], "x", "kv"),
        (["enqueue"], None, "queue"),
        (["add", "read"], None, None),  # a counter or a set
        (["inc", "read"], "x", "counter"),
        (["append", "read"], None, None),  # a log, or text that grows
        (["read", "txn"], None, None),
    ],
)
def test_the_smallest_model_that_has_all_operations_is_inferred(functions: list[str], key: Any, name: Any) -> None:
    choice = chosen(functions, key)
    assert (choice and choice.model.name) == name
    assert choice is None or choice.origin == "inferred"


def test_operations_become_guarded_assignments() -> None:
    trace = made(
        [
            row("a", "invoke", "put", value='"x"', index=0),
            row("a", "ok", "put", value='"x"', index=1),
            row("a", "invoke", "get", index=2),
            row("a", "ok", "get", value='""', index=3),
            row("a", "invoke", "cas", value='["x",null]', index=4),
            row("a", "ok", "cas", value="true", index=5),
            row("a", "invoke", "append", value='"y"', index=6),
            row("a", "info", "append", index=7),
            row("a", "invoke", "cas", value="17", index=8),
            row("a", "ok", "cas", value="17", index=9),
            row("a", "invoke", "scan", index=10),
            row("a", "ok", "scan", index=11),
            row("b", "ok", "put", index=12),
        ]
    )
    actions = actions_of(operations_of(trace), parse_model("kv"))
    x, y, empty = (actions.values.code(t) for t in ('"x"', '"y"', '""'))
    assert actions.operation.tolist() == [0, 1, 2, 3]
    assert actions.equals.tolist() == [ANY, empty, x, ANY]
    assert actions.or_equals.tolist() == [ANY, ABSENT, ANY, ANY]
    assert actions.effect.tolist() == [x, ANY, ABSENT, COMPUTED]
    assert actions.argument.tolist() == [ANY, ANY, ANY, y]
    assert actions.malformed.tolist() == [4, 5] and actions.lost.tolist() == [6]


def test_numbers_and_texts_have_the_same_meaning() -> None:
    for write, read in ((5, 5), (-7, -7), (10**15, 10**15), ("5", "5"), ('"a"', '"a"')):
        trace = made(
            [
                row("a", "invoke", "write", value=write),
                row("a", "ok", "write"),
                row("a", "invoke", "read"),
                row("a", "ok", "read", value=read),
            ]
        )
        actions = actions_of(operations_of(trace), parse_model("register"))
        assert actions.effect[0] == actions.equals[1] != ABSENT
        assert actions.values.text(int(actions.effect[0])) == str(write)
    assert actions.values.text(ABSENT) == "nil"
