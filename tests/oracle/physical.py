"""What messages tell of two linear clocks, by elimination: no hulls, every pair of points."""

from __future__ import annotations

from fractions import Fraction

Point = tuple[int, int]


def rates(above: list[Point], below: list[Point]) -> tuple[Fraction, Fraction | None] | None:
    """The rates a >= 0 for which some c has a x + c <= y at all points above and >= y at all below; None: no rate.

    Eliminating c (Fourier and Motzkin) leaves one condition on a for each pair of an upper and a lower point.
    """
    low, high = Fraction(0), None
    for ux, uy in above:
        for vx, vy in below:
            if ux == vx and uy < vy:
                return None
            if ux < vx:
                low = max(low, Fraction(vy - uy, vx - ux))
            if ux > vx:
                bound = Fraction(uy - vy, ux - vx)
                high = bound if high is None else min(high, bound)
    return None if high is not None and low > high else (low, high)


def offsets(
    above: list[Point], below: list[Point], rate: tuple[Fraction, Fraction | None], at: int
) -> tuple[Fraction | None, Fraction | None]:
    """Smallest and largest value of the line at `at` (not after any point), minus `at`, over a grid-free argument: the
    value falls as the rate grows, so the extremes are at the extreme rates."""
    high = min((y - rate[0] * (x - at) for x, y in above), default=None)
    if rate[1] is None:
        low = max((Fraction(y) for x, y in below if x == at), default=None)
    else:
        fastest = rate[1]
        low = max((y - fastest * (x - at) for x, y in below), default=None)
    return (None if low is None else low - at), (None if high is None else high - at)
