"""What causal, PRAM and session checks show for HOLDS, replayed by definition; what is no proof is refused."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.consistency.many_sessions import ORACLES, draw
from tests.consistency.programs import Call, program, trace_of, trace_of_calls
from tests.consistency.test_causal import judge
from tests.oracle.certificates import refuted
from tests.strategies import examples
from tracekit.execution import Execution
from tracekit.registry import checks
from tracekit.results import Verdict

CERTIFYING = [name for name in ORACLES if name != "consistency.sequential"]


def calls(text: str) -> list[list[Call]]:
    return [[Call(op.f, op.key, op.value, "info" if op.open else "ok") for op in own] for own in program(text)]


@examples(150)
@given(st.integers(0, 2**60), st.sampled_from(CERTIFYING))
def test_certificates_of_random_histories_prove_what_they_say(seed: int, name: str) -> None:
    """More operations than the definitions could try: here only what is shown is replayed."""
    rng = random.Random(seed)
    sessions = draw(rng, 14)
    execution = Execution(trace_of_calls(sessions, rng))
    if "value" not in execution.trace:
        return
    found = checks()[name].run(execution, execution.options)
    if found.verdict is Verdict.HOLDS:
        assert refuted(found.certificate, sessions) == ""
    else:
        assert found.certificate is None


@pytest.mark.parametrize(
    ("text", "certificate"),
    [
        ("w(x1) w(x2) | r(x2)", {"kind": "causal-order", "order": ["s0:2", "s0:0"]}),
        ("w(x1) | w(x2) | r(x2)", {"kind": "causal-order", "order": ["s0:0"]}),
        ("w(x1) w(y1) | r(y1) r(x0)", {"kind": "causal-order", "order": ["s0:0", "s0:2"]}),
        ("w(x1) | w(x2) r(x1) | r(x2)", {"kind": "arbitration", "order": ["s0:0", "s1:0"]}),
        ("w(x1) | w(x2) r(x1)", {"kind": "causal-views", "views": {"s1": ["s0:0", "s1:0", "s1:2"]}}),
        ("w(x1) | w(x2) r(x1)", {"kind": "causal-views", "views": {"s1": ["s1:0", "s1:2"]}}),
        ("w(x1) | w(x2) r(x1)", {"kind": "causal-views", "views": {}}),
        ("w(x1) w(x2) | r(x1)", {"kind": "views", "views": {"s1": ["s0:0", "s1:0"]}}),
        ("w(x1) w(y2) | r(y2)", {"kind": "views", "views": {"s1": ["s0:2", "s0:0", "s1:0"]}}),
        ("w(x1) w(x2) r(x1)", {"kind": "write-order", "guarantees": ["read-your-writes"], "order": ["s0:0", "s0:2"]}),
        ("w(x1) w(x2)", {"kind": "write-order", "guarantees": ["monotonic-writes"], "order": ["s0:2", "s0:0"]}),
        ("r(x2) w(x1) | w(x2)", {"kind": "write-order", "guarantees": ["writes-follow-reads"],
                                 "order": ["s0:2", "s1:0"]}),
        ("w(x1) | w(x2) | r(x1) r(x2)", {"kind": "write-order", "guarantees": ["monotonic-reads"],
                                         "order": ["s1:0", "s0:0"]}),
        ("w(x1) | r(x0)", {"kind": "sequence", "order": ["s0:0", "s1:0"]}),
        ("w(x1) r(x1)", {"kind": "sequence", "order": ["s0:2", "s0:0"]}),
        ("w(x1) | w(x2)?", {"kind": "sequence", "order": ["s1:0", "s1:0", "s0:0"]}),
        ("w(x1)", {"kind": "sequence", "order": ["s0:7"]}),
    ],
)  # fmt: skip
def test_what_proves_nothing_is_refused(text: str, certificate: dict[str, Any]) -> None:
    assert refuted(certificate, calls(text))


def test_what_each_shows() -> None:
    """Both clients write; s2 sees 2 and then 1, s3 only 2."""
    trace = trace_of(program("w(x1) | w(x2) | r(x2) r(x1) | r(x2)"))
    shown = {name: judge(trace, name).certificate for name in CERTIFYING}
    assert shown["consistency.causal-convergence"] == {"kind": "arbitration", "order": ["s1:0", "s0:0"]}
    assert shown["consistency.causal-memory"]["views"] == {
        "s2": ["s1:0", "s2:0", "s0:0", "s2:2"],
        "s3": ["s1:0", "s3:0"],
    }
    assert shown["consistency.pram"]["views"]["s3"] == ["s1:0", "s3:0", "s0:0"]
    assert shown["session.monotonic-reads"] == {
        "kind": "write-order",
        "guarantees": ["monotonic-reads"],
        "order": ["s1:0", "s0:0"],
    }


def test_long_orders_are_left_out_and_that_is_said() -> None:
    text = " ".join(f"w(x{i})" for i in range(1, 1001)) + " | r(x1)"
    for name in CERTIFYING:
        found = judge(trace_of(program(text)), name)
        assert found.verdict is Verdict.HOLDS and "too many to list" in found.certificate["omitted"], name


def test_with_messages_alone_no_order_explains_reads() -> None:
    """A read need not come after its write there, so no order of the writes is kept."""
    trace = trace_of(program("w(x1) w(y1) | r(y1) r(x0)"))
    assert judge(trace, "consistency.causal", causality="messages").certificate is None
    assert judge(trace, "consistency.causal", causality="sessions").violations
