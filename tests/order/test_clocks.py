"""Bounds on physical clocks, against elimination over all pairs of points."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.oracle import physical as oracle
from tests.strategies import examples
from tracekit.execution import Execution
from tracekit.kernels import engine
from tracekit.order.clocks import Pair, Readings
from tracekit.trace.builder import TraceBuilder

EPOCH = 1_700_000_000_000_000_000


@pytest.fixture(params=["interpreted", "compiled"])
def mode(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "COMPILE_FROM", 1 << 60 if request.param == "interpreted" else 0)


def readings(messages: list[tuple[str, int, str, int]]) -> Readings:
    """Messages as (sender, reading, receiver, reading)."""
    builder = TraceBuilder(["a", "b", "c"])
    for number, (sender, sent, receiver, received) in enumerate(messages):
        builder.add({"process": sender, "kind": "send", "message": number, "time_ns": sent})
        builder.add({"process": receiver, "kind": "receive", "message": number, "time_ns": received})
    execution = Execution(builder.build())
    return Readings.of(execution.trace, execution.happens_before)


def only_pair(messages: list[tuple[str, int, str, int]]) -> Pair:
    (pair,) = readings(messages).pairs()
    return pair


Small = st.integers(0, 12)
Directions = st.lists(st.tuples(st.booleans(), Small, Small), min_size=1, max_size=9)


def messages_of(drawn: list[tuple[bool, int, int]], base: int = 0) -> list[tuple[str, int, str, int]]:
    return [("a", base + s, "b", base + r) if forward else ("b", base + s, "a", base + r) for forward, s, r in drawn]


@pytest.mark.usefixtures("mode")
class TestAgainstElimination:
    @examples(600)
    @given(Directions, st.sampled_from([0, EPOCH]))
    def test_rates_offsets_and_where_no_line_fits(self, drawn: list[tuple[bool, int, int]], base: int) -> None:
        pair = only_pair(messages_of(drawn, base))
        above = [(base + s, base + r) for forward, s, r in drawn if forward]
        below = [(base + r, base + s) for forward, s, r in drawn if not forward]
        wanted = oracle.rates(above, below)
        line = pair.line
        assert (line is None) == (wanted is None)
        if line is not None and wanted is not None:
            assert line.rate == wanted
            assert line.at_ns == min(x for x, _ in above + below)
            assert line.offset_ns == oracle.offsets(above, below, wanted, line.at_ns)
            assert pair.breaks is None
            return
        points = sorted([(x, i) for i, (x, _) in enumerate(above + below)])
        first, last = (self.reading(pair, place) for place in pair.breaks or ())
        window = {i for x, i in points if first <= x <= last}
        upper = [p for i, p in enumerate(above) if i in window]
        lower = [p for i, p in enumerate(below) if i + len(above) in window]
        assert oracle.rates(upper, lower) is None, "the stretch itself fits no line"
        for x, i in points:
            if x == last and len(points) == len({x for x, _ in points}):
                before = {j for y, j in points if y < x} - {i}
                upper = [p for j, p in enumerate(above) if j in before]
                lower = [p for j, p in enumerate(below) if j + len(above) in before]
                assert oracle.rates(upper, lower) is not None, "all before its end fit one"

    def reading(self, pair: Pair, place: int) -> int:
        r = pair.readings
        sent_by_first = r.trace.process[r.sources[place]] == pair.first
        return int(r.sent[place] if sent_by_first else r.received[place])

    @examples(300)
    @given(Directions)
    def test_offsets_at_one_rate(self, drawn: list[tuple[bool, int, int]]) -> None:
        low, high = only_pair(messages_of(drawn)).offset_ns
        for offset in range(-13, 14):
            fits = all(r >= s + offset if forward else r >= s - offset for forward, s, r in drawn)
            assert fits == ((low is None or low <= offset) and (high is None or offset <= high))

    @examples(150)
    @given(
        st.lists(st.tuples(st.booleans(), st.integers(0, 10**13), st.integers(1, 10**7)), min_size=2, max_size=60),
        st.integers(-300, 300),
        st.integers(-(10**9), 10**9),
    )
    def test_true_linear_clocks_are_inside(self, sent: list[tuple[bool, int, int]], ppm: int, beta: int) -> None:
        def b(t: int) -> int:
            return t + t * ppm // 10**6 + beta

        drawn = [("a", t, "b", b(t + d) + 1) if forward else ("b", b(t), "a", t + d + 1) for forward, t, d in sent]
        pair = only_pair([(x, EPOCH + s, y, EPOCH + r) for x, s, y, r in drawn])
        line = pair.line
        assert line is not None, "rounding of readings is within the messages' delay"
        low, high = line.rate
        tolerance = Fraction(4, min(t for _, t, _ in sent) + 10**3)
        assert low <= 1 + Fraction(ppm, 10**6) + tolerance and (
            high is None or 1 + Fraction(ppm, 10**6) - tolerance <= high
        )


def test_a_step_is_located() -> None:
    exchange = []
    for t in range(0, 1_000_000, 1_000):
        step = 500_000 if t >= 400_000 else 0
        exchange += [("a", t, "b", t + step + 10), ("b", t + step + 20, "a", t + 40)]
    pair = only_pair(exchange)
    assert pair.line is None and pair.breaks is not None
    first, last = (int(pair.readings.sent[place]) % 500_000 for place in pair.breaks)
    assert 395_000 <= first <= 400_000 and 400_000 <= last <= 402_000


def test_only_other_processes_with_readings_count() -> None:
    builder = TraceBuilder(["a", "b"])
    builder.add({"process": "a", "kind": "send", "message": 1, "time_ns": 5})
    builder.add({"process": "a", "kind": "receive", "message": 1, "time_ns": 3})
    builder.add({"process": "a", "kind": "send", "message": 2})
    builder.add({"process": "b", "kind": "receive", "message": 2, "time_ns": 1})
    execution = Execution(builder.build())
    found = Readings.of(execution.trace, execution.happens_before)
    assert len(found) == 0 and not list(found.pairs())
    some = readings([("a", 5, "b", 4), ("a", 5, "c", 6), ("c", 1, "b", 3)])
    assert [(p.first, p.second) for p in some.pairs()] == [(0, 1), (0, 2), (1, 2)]
    assert some.backwards.tolist() == [
        i for i, t in enumerate(some.targets.tolist()) if some.received[i] < some.sent[i]
    ]
    assert np.array_equal(some.sent[some.backwards], [5])
