"""Conditions on the global states of an execution: what expressions become when they are bound to it.

State k of a process is the one after its first k events, from 0 (before any) to their number. A condition's `changes`
are masks over the states of each process that it depends on: those that differ for it from the state before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import eq, ge, gt, le, lt, ne
from typing import Any

import numpy as np
from numpy.typing import NDArray

Truth = NDArray[np.bool_]
Counts = Sequence[int]
Levels = Mapping[int, NDArray[np.int64]]
"""Per process what its first events add to a total, state by state, shape (events + 1,)."""
OPERATORS: dict[str, Callable[[Any, Any], Any]] = {"==": eq, "!=": ne, "<": lt, "<=": le, ">": gt, ">=": ge}


@dataclass(frozen=True, eq=False)
class Local:
    """A condition on one process: its truth in each of the process's states."""

    process: int
    truth: Truth

    def holds(self, counts: Counts) -> bool:
        return bool(self.truth[counts[self.process]])

    def changes(self) -> Iterator[tuple[int, Truth]]:
        yield self.process, changed(self.truth)


@dataclass(frozen=True, eq=False)
class Number:
    """How many of some processes fulfil a condition, compared with a number."""

    parts: tuple[Local, ...]
    operator: str
    number: int

    def holds(self, counts: Counts) -> bool:
        return bool(OPERATORS[self.operator](sum(part.holds(counts) for part in self.parts), self.number))

    def changes(self) -> Iterator[tuple[int, Truth]]:
        return _of_all(self.parts)


@dataclass(frozen=True, eq=False)
class Sum:
    """A total compared with a number.

    Attributes
    ----------
    levels: per process what its events have added, state by state.
    doubt: why the total may be wrong; empty where it is right.
    """

    levels: Levels
    operator: str
    number: int
    doubt: str

    def holds(self, counts: Counts) -> bool:
        total = sum(int(level[counts[p]]) for p, level in self.levels.items())
        return bool(OPERATORS[self.operator](total, self.number))

    def changes(self) -> Iterator[tuple[int, Truth]]:
        return ((p, changed(level)) for p, level in self.levels.items())


@dataclass(frozen=True, eq=False)
class Pair:
    """A comparison between fields of two processes, as `related` has it."""

    first: int
    second: int
    left: States
    right: States
    operator: str

    def holds(self, counts: Counts) -> bool:
        return bool(related(self.left.at(counts[self.first]), self.right.at(counts[self.second]), self.operator)[0])

    def changes(self) -> Iterator[tuple[int, Truth]]:
        for process, states in ((self.first, self.left), (self.second, self.right)):
            yield process, changed(states.known) | changed(states.values)


@dataclass(frozen=True, eq=False)
class All:
    """Every part holds."""

    parts: tuple[Condition, ...]

    def holds(self, counts: Counts) -> bool:
        return all(part.holds(counts) for part in self.parts)

    def changes(self) -> Iterator[tuple[int, Truth]]:
        return _of_all(self.parts)


@dataclass(frozen=True, eq=False)
class Some:
    """Some part holds."""

    parts: tuple[Condition, ...]

    def holds(self, counts: Counts) -> bool:
        return any(part.holds(counts) for part in self.parts)

    def changes(self) -> Iterator[tuple[int, Truth]]:
        return _of_all(self.parts)


@dataclass(frozen=True, eq=False)
class Never:
    """The part, a `Pair` whose negation is no comparison, does not hold."""

    part: Pair

    def holds(self, counts: Counts) -> bool:
        return not self.part.holds(counts)

    def changes(self) -> Iterator[tuple[int, Truth]]:
        return self.part.changes()


Condition = Local | Number | Sum | Pair | All | Some | Never


def _of_all(parts: Sequence[Condition]) -> Iterator[tuple[int, Truth]]:
    for part in parts:
        yield from part.changes()


def changed(states: NDArray[Any]) -> Truth:
    """Shape of `states`: which differ from the one before; the first does not."""
    changed = np.zeros(len(states), np.bool_)
    changed[1:] = states[1:] != states[:-1]
    return changed


def changes(condition: Condition) -> Mapping[int, Truth]:
    """Per process that the condition depends on, which states differ for it from the state before."""
    found: dict[int, Truth] = {}
    for process, changed in condition.changes():
        found[process] = found[process] | changed if process in found else changed
    return found


def doubt(condition: Condition) -> str:
    """Why the condition's totals may be wrong; empty where they are right."""
    if isinstance(condition, All | Some):
        return next((reason for part in condition.parts if (reason := doubt(part))), "")
    return condition.doubt if isinstance(condition, Sum) else ""


@dataclass(frozen=True, eq=False)
class States:
    """A field in every state of a process: its latest value, and whether it has one."""

    values: NDArray[Any]
    known: Truth

    def at(self, state: int) -> States:
        """One state."""
        return States(self.values[state : state + 1], self.known[state : state + 1])


def related(left: States, right: States, operator: str) -> Truth:
    """The comparison state by state; without a value on one side only ``!=`` is true, on both only ``==``."""
    truth: Truth = left.known & right.known & OPERATORS[operator](left.values, right.values)
    if operator == "==":
        truth |= ~left.known & ~right.known
    if operator == "!=":
        truth |= left.known ^ right.known
    return truth
