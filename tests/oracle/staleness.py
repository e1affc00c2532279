"""Staleness by its definitions: pairs of operations one by one, and every order that real time allows.

Golab, Li and Shah, "Analyzing consistency properties for fun and profit", PODC 2011: a history is k-atomic if some
total order of its operations, in which no operation stands before one that ended before it began, gives every read the
value of one of the last k writes before it (the initial value counts as a write before all). One key.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Timed:
    """``r`` or ``w`` of a value (None: the initial one) between two moments."""

    f: str
    value: int | None
    start: int
    end: int


def behind(ops: list[Timed], read: Timed, skew: int = 0) -> tuple[int, int]:
    """Writes certainly between what was read and the read, and for how long the first of them had been done."""

    def done(value: int) -> int:
        return min(op.end for op in ops if op.value == value)

    since = None if read.value is None else done(read.value)
    between = [
        done(op.value)
        for op in ops
        if op.f == "w" and op.value is not None
        if (since is None or op.start > since + skew) and done(op.value) + skew < read.start
    ]
    return len(between), read.start - min(between) if between else 0


def least_k(ops: list[Timed]) -> int | None:
    """The least k for which the operations are k-atomic; None where they are for none."""
    best: list[int] = []
    _place(ops, frozenset(range(len(ops))), [], 1, best)
    return min(best, default=None)


def _place(ops: list[Timed], left: frozenset[int], written: list[int], k: int, best: list[int]) -> None:
    if best and k >= best[-1]:
        return
    if not left:
        best.append(k)
        return
    for o in left:
        op = ops[o]
        if any(ops[other].end < op.start for other in left):
            continue
        if op.f == "w":
            assert op.value is not None
            _place(ops, left - {o}, [*written, op.value], k, best)
        elif op.value is None:
            _place(ops, left - {o}, written, max(k, len(written) + 1), best)
        elif op.value in written:
            _place(ops, left - {o}, written, max(k, len(written) - written.index(op.value)), best)
