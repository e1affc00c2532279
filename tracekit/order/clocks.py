"""Physical clocks: what messages tell of the offset and the rate of two processes' clocks.

A message from i to j sent at reading s of clock i and received at reading r of clock j says that clock j showed at most
r when clock i showed s; one in the other direction, that it showed at least so much. If clock j is a linear function of
clock i, j = rate * i + offset, its line runs below all points of the first sort and above all of the second: between
two convex hulls (Duda, Harrus, Haddad and Bernard, "Estimating Global Time in Distributed Systems", ICDCS 1987).

Lamport and vector timestamps are `HappensBefore.lamport` and `HappensBefore.frontiers`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from tracekit.kernels.engine import kernels
from tracekit.order.happens_before import HappensBefore
from tracekit.trace.trace import Trace

Int64 = NDArray[np.int64]
Point = tuple[int, int]


@dataclass(frozen=True, eq=False)
class Readings:
    """Edges of happens-before both ends of which have a reading of a physical clock.

    Attributes
    ----------
    sources, targets: int64, shape (m,): rows of senders and receives.
    sent, received: int64, shape (m,): the readings, ns.
    """

    trace: Trace
    sources: Int64
    targets: Int64
    sent: Int64
    received: Int64

    @classmethod
    def of(cls, trace: Trace, order: HappensBefore) -> Readings:
        """O(edges). Empty where `time_ns` was not recorded."""
        edges, time = order.edges(), trace.get("time_ns")
        if time is None or time.values.dtype != np.int64:
            none = np.empty(0, np.int64)
            return cls(trace, none, none, none, none)
        both = time.present[edges.sources] & time.present[edges.targets]
        both &= trace.process[edges.sources] != trace.process[edges.targets]
        sources, targets = edges.sources[both], edges.targets[both]
        return cls(trace, sources, targets, time.values[sources], time.values[targets])

    def __len__(self) -> int:
        return len(self.sources)

    @cached_property
    def backwards(self) -> Int64:
        """Which messages were received, by the readings, before they were sent."""
        return np.flatnonzero(self.received < self.sent)

    def pairs(self) -> Iterator[Pair]:
        """Every two processes between which messages went, with their readings. O(m log m)."""
        a, b = self.trace.process[self.sources], self.trace.process[self.targets]
        first, second = np.minimum(a, b), np.maximum(a, b)
        code = first.astype(np.int64) * len(self.trace.processes) + second
        order = np.argsort(code, kind="stable")
        bounds = np.flatnonzero(np.diff(code[order], prepend=-1, append=-1))
        for begin, end in pairwise(bounds):
            members = order[begin:end]
            forward = a[members] < b[members]
            yield Pair(self, int(first[members[0]]), int(second[members[0]]), members[forward], members[~forward])


@dataclass(frozen=True)
class Line:
    """Bounds on clock j as a linear function of clock i, each None where no message bounds it.

    Attributes
    ----------
    rate: smallest and largest rate of clock j against clock i (the rate is positive: clocks run forward).
    offset_ns: smallest and largest difference, clock j - clock i, when clock i showed `at_ns`.
    """

    rate: tuple[Fraction, Fraction | None]
    offset_ns: tuple[Fraction | None, Fraction | None]
    at_ns: int


@dataclass(frozen=True, eq=False)
class Pair:
    """Two processes' clocks and the messages between them.

    Attributes
    ----------
    first, second: the processes, first < second; "clock j - clock i" below is second - first.
    forward, backward: places in `readings` of messages from first to second, and from second to first.
    """

    readings: Readings
    first: int
    second: int
    forward: Int64
    backward: Int64

    @cached_property
    def offset_ns(self) -> tuple[int | None, int | None]:
        """Smallest and largest difference (second - first) if both clocks run at one rate, ns; None where unbounded.

        The first is larger than the second where no constant difference explains the readings. O(messages).
        """
        r = self.readings
        low = (r.sent[self.backward] - r.received[self.backward]).max().item() if len(self.backward) else None
        high = (r.received[self.forward] - r.sent[self.forward]).min().item() if len(self.forward) else None
        return low, high

    @cached_property
    def line(self) -> Line | None:
        """The linear functions that the readings allow; None where there is none: no two linear clocks show this."""
        x, y, upper = self._points
        return _line(x, y, upper)

    @cached_property
    def breaks(self) -> tuple[int, int] | None:
        """Where `line` is None: the places in `readings` of the first and the last message, by the first process's
        clock, of a shortest stretch that already fits no line. There a clock was stepped or slewed, or ids do not
        belong together. O(m log m)."""
        if self.line is not None:
            return None
        x, y, upper = self._points
        members = np.concatenate([self.forward, self.backward])
        order = np.argsort(x, kind="stable")

        def fits(begin: int, end: int) -> bool:
            some = order[begin:end]
            return _line(x[some], y[some], upper[some]) is not None

        low, end = 1, len(x)  # one point fits, all do not; the fewest first points that do not:
        while end - low > 1:
            middle = (low + end) // 2
            low, end = (middle, end) if fits(0, middle) else (low, middle)
        begin, high = 0, end - 1  # and of those, the fewest last ones
        while high - begin > 1:
            middle = (begin + high) // 2
            begin, high = (begin, middle) if fits(middle, end) else (middle, high)
        return int(members[order[begin]]), int(members[order[end - 1]])

    @property
    def _points(self) -> tuple[Int64, Int64, NDArray[np.bool_]]:
        """Readings of the first clock, of the second, and whether the point bounds the second from above."""
        r = self.readings
        x = np.concatenate([r.sent[self.forward], r.received[self.backward]])
        y = np.concatenate([r.received[self.forward], r.sent[self.backward]])
        return x, y, np.arange(len(x)) < len(self.forward)


def _line(x: Int64, y: Int64, upper: NDArray[np.bool_]) -> Line | None:
    """All lines y = rate * x + c with rate > 0 that lie below the upper points and above the others; None: no line."""
    x0, y0 = int(x.min()), int(y.min())
    above = _corners(x[upper] - x0, y[upper] - y0)
    below = [(px, -py) for px, py in _corners(x[~upper] - x0, y0 - y[~upper])]
    slowest = _slowest(above, below)
    if slowest is None:
        return None
    fastest = _fastest(above, below)
    high = min((py - slowest * px for px, py in above), default=None)
    if fastest is None:
        low = max((Fraction(py) for px, py in below if px == 0), default=None)
    else:
        low = max((py - fastest * px for px, py in below), default=None)
    shift = y0 - x0
    return Line((slowest, fastest), (None if low is None else low + shift, None if high is None else high + shift), x0)


def _tightest(above: list[Point], below: list[Point], rate: Fraction) -> tuple[Point, Point]:
    """The upper and the lower point that leave a line of that rate the least room."""
    n, d = rate.numerator, rate.denominator
    return min(above, key=lambda p: p[1] * d - n * p[0]), max(below, key=lambda p: p[1] * d - n * p[0])


def _slowest(above: list[Point], below: list[Point]) -> Fraction | None:
    """The smallest rate that leaves room for a line; None where none does.

    The room is a concave, piecewise linear function of the rate; Newton's method from below finds where it is zero.
    """
    rate = Fraction(0)
    while above and below:
        u, v = _tightest(above, below, rate)
        room = (u[1] - v[1]) - rate * (u[0] - v[0])
        if room >= 0:
            break
        if u[0] >= v[0]:
            return None
        rate = Fraction(u[1] - v[1], u[0] - v[0])
    return rate


def _fastest(above: list[Point], below: list[Point]) -> Fraction | None:
    """The largest rate that leaves room for a line, where some does; None where there is no largest."""
    if not above or not below:
        return None
    last, first = max(above), min(below)
    if last[0] <= first[0]:
        return None
    rate = Fraction(last[1] - first[1], last[0] - first[0])
    while True:
        u, v = _tightest(above, below, rate)
        if (u[1] - v[1]) - rate * (u[0] - v[0]) >= 0:
            return rate
        rate = Fraction(u[1] - v[1], u[0] - v[0])


def _corners(x: Int64, y: Int64) -> list[Point]:
    """The lower convex hull of points."""
    order = np.lexsort((y, x))
    x, y = x[order], y[order]
    kept = np.zeros(len(x), np.bool_)
    kernels("physical", work=len(x)).lower_hull(x, y, kept)
    return list(zip(x[kept].tolist(), y[kept].tolist(), strict=True))
