"""Causal consistency and PRAM by their axioms: try every order. Shares nothing with the checks.

Bouajjani, Enea, Guerraoui, Hamza, "On Verifying Causal Consistency", POPL 2017 (arXiv 1611.00580). po is program
order; CausalPast(o) are the operations that are causally before o, or are o; a sequence is legal for the read-write
memory if every read *whose return value is kept* returns the last value written to its variable before it, or the
initial value. `info` writes may be left out, and are not ordered before what their session does next (see
`tracekit/history/sessions.py`); operations that failed are not given to the oracle at all.

AxCausal   (CC)   some strict partial order co with po in co: for each o, CausalPast(o) has a legal linear extension of
                  co in which only o's return value is kept.
AxCausalV  (CCv)  some co as above and one total order arb with co in arb: for each o, CausalPast(o) in the order arb
                  is legal with only o's return value kept.
AxCausalSeq (CM)  some co as above: for each o, CausalPast(o) has a legal linear extension of co in which the return
                  values of o and of everything before it in program order are kept.
PRAM              as CM with causality = program order: for each session, all writes and its own reads have a legal
                  linear extension of program order (Lipton & Sandberg 1988).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations, permutations


@dataclass(frozen=True)
class Op:
    """``r`` or ``w`` of a value at a key; value None is the initial one. open: a write that was never answered."""

    f: str
    key: str
    value: int | None
    open: bool = False


Program = Sequence[Sequence[Op]]
"""The operations of each session, in program order."""


def variants(program: Program) -> Iterator[tuple[list[Op], list[int], frozenset[tuple[int, int]]]]:
    """Every choice of open writes that happened: operations, the session of each, and program order as pairs."""
    open_writes = [(s, i) for s, ops in enumerate(program) for i, op in enumerate(ops) if op.open]
    for count in range(len(open_writes) + 1):
        for left_out in combinations(open_writes, count):
            ops: list[Op] = []
            session: list[int] = []
            po: set[tuple[int, int]] = set()
            for s, own in enumerate(program):
                before: list[int] = []
                for i, op in enumerate(own):
                    if (s, i) in left_out:
                        continue
                    number = len(ops)
                    ops.append(op)
                    session.append(s)
                    po |= {(b, number) for b in before}
                    if not op.open:
                        before.append(number)
            yield ops, session, frozenset(po)


def is_cc(program: Program) -> bool:
    """Whether some causality order explains each operation alone."""
    return _some_causality(program, own_session=False)


def is_cm(program: Program) -> bool:
    """Whether some causality order explains to each operation all that its session saw before."""
    return _some_causality(program, own_session=True)


def _some_causality(program: Program, own_session: bool) -> bool:
    for ops, _, po in variants(program):
        for co in _strict_orders(len(ops), po):
            if all(_explained(ops, po, co, o, own_session) for o in range(len(ops))):
                return True
    return False


def is_ccv(program: Program) -> bool:
    """Whether some causality order within one total order explains each operation alone."""
    for ops, _, po in variants(program):
        n = len(ops)
        for arb in permutations(range(n)):
            at = {o: i for i, o in enumerate(arb)}
            if any(at[a] > at[b] for a, b in po):
                continue
            for co in _strict_orders(n, po):
                if any(at[a] > at[b] for a, b in co):
                    continue
                if all(_legal(ops, [p for p in arb if p == o or (p, o) in co], {o}) for o in range(n)):
                    return True
    return False


def is_pram(program: Program) -> bool:
    """Whether every session can see all writes in an order that keeps every session's own."""
    for ops, session, po in variants(program):
        if all(
            any(
                _legal(ops, order, set(order))
                for order in _extensions([o for o, op in enumerate(ops) if op.f == "w" or session[o] == s], po)
            )
            for s in set(session)
        ):
            return True
    return False


def is_sequential(program: Program) -> bool:
    """Whether one order of everything that keeps program order is legal (Lamport 1979)."""
    return any(
        any(_legal(ops, order, set(order)) for order in _extensions(list(range(len(ops))), po))
        for ops, _, po in variants(program)
    )


def _explained(
    ops: list[Op], po: frozenset[tuple[int, int]], co: frozenset[tuple[int, int]], o: int, own_session: bool
) -> bool:
    past = [p for p in range(len(ops)) if p == o or (p, o) in co]
    kept = {o} | ({p for p in past if (p, o) in po} if own_session else set())
    return any(_legal(ops, order, kept) for order in _extensions(past, co))


def _legal(ops: list[Op], order: Sequence[int], kept: set[int]) -> bool:
    memory: dict[str, int | None] = {}
    for o in order:
        op = ops[o]
        if op.f == "w":
            memory[op.key] = op.value
        elif o in kept and memory.get(op.key) != op.value:
            return False
    return True


def _extensions(members: list[int], order: frozenset[tuple[int, int]]) -> Iterator[list[int]]:
    """Every linear extension of an order on some members."""
    if not members:
        yield []
    for first in members:
        if not any((other, first) in order for other in members):
            for rest in _extensions([m for m in members if m != first], order):
                yield [first, *rest]


@cache
def _strict_orders(n: int, po: frozenset[tuple[int, int]]) -> tuple[frozenset[tuple[int, int]], ...]:
    """Every strict partial order on 0..n-1 that contains po, fewest pairs first."""
    start = _closure(po)
    seen, todo = {start}, [start]
    while todo:
        co = todo.pop()
        for a in range(n):
            for b in range(n):
                if a != b and (a, b) not in co and (b, a) not in co:
                    more = _closure(co | {(a, b)})
                    if more not in seen:
                        seen.add(more)
                        todo.append(more)
    return tuple(sorted(seen, key=len))


def _closure(pairs: frozenset[tuple[int, int]]) -> frozenset[tuple[int, int]]:
    out = set(pairs)
    while True:
        more = {(a, d) for a, b in out for c, d in out if b == c} - out
        if not more:
            return frozenset(out)
        out |= more
