"""One order of all operations that keeps every session's own and explains every read: found, excluded, or given up."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count

import numpy as np
from numpy.typing import NDArray

from tracekit.checks.consistency.causal_order import Chains
from tracekit.checks.consistency.causal_saturation import Saturated
from tracekit.execution import Budget
from tracekit.history.sessions import AMBIGUOUS, INITIAL
from tracekit.kernels import interleaving
from tracekit.kernels.engine import COMPILE_FROM, kernels

Int32 = NDArray[np.int32]

MOST_BYTES = 1 << 30
"""States from which no order exists may take so much memory."""

FIRST_STEPS = 10_000
"""Steps with the first guess of what comes first, beside two an operation, so that one pass without going back is
always made; then the other guess has twice as many, and so on."""

WORK = 2_000_000
"""Looks at a session's next operation between two looks at the budget; a tenth of a second, compiled."""

INTERPRETED = 2_000
"""Steps that a small history is searched before anything is compiled."""


@dataclass(frozen=True)
class Outcome:
    """What a search came to.

    Attributes
    ----------
    order: nodes of the order that was found; empty where there is none.
    found: whether there is one. exhausted: whether every order was excluded.
    longest: how many operations the longest beginning had. stopped: what came next in each chain then.
    states: dead states remembered. steps: how many steps were taken.
    reason: why the search gave up; empty where it did not.
    """

    order: list[int]
    found: bool
    exhausted: bool = False
    longest: int = 0
    stopped: tuple[int, ...] = ()
    states: int = 0
    steps: int = 0
    reason: str = ""


def steps_of(chains: Chains) -> Int32:
    """int32, shape (n, 4): kind, key, value and source of each node, as the kernel wants them."""
    sessions, entry = chains.history.sessions, chains.entry
    source = chains.nodes[:, 2]
    steps = np.empty((len(entry), 4), np.int32)
    may_be_initial = np.isin(sessions.value[entry], sessions.initial)
    kind = np.where(sessions.open[entry], interleaving.OPEN, interleaving.WRITE)
    read = ~sessions.write[entry]
    kind[read] = interleaving.READ
    either = read & (source == AMBIGUOUS)
    kind[either] = np.where(may_be_initial[either], interleaving.BLANK, interleaving.EITHER)
    kind[either & sessions.unclear_keys[chains.nodes[:, 1]]] = interleaving.FREE
    steps[:, interleaving.KIND], steps[:, interleaving.KEY] = kind, chains.nodes[:, 1]
    steps[:, interleaving.VALUE] = np.unique(sessions.value, return_inverse=True)[1][entry]
    steps[:, interleaving.SOURCE] = np.maximum(source, INITIAL)  # -1 in `current` is the initial value as well
    return steps


def search(chains: Chains, saturated: Saturated, budget: Budget) -> Outcome:
    """Depth first over what each session did, with dead states remembered: exponential in the sessions at worst.

    Which write to try first is a guess: the one recorded first, or the one with the fewest operations before it in the
    orders that must hold, which recorders whose clocks differ do not disturb. They take turns, with more and more steps
    each, and what one excluded the other does not look at again.
    """
    state = Search(chains, saturated)
    for turn in count():
        ended = state.run(turn, (FIRST_STEPS + 2 * len(chains.nodes)) << turn, budget)
        if ended == interleaving.FOUND:
            return state.outcome(found=True)
        if ended == interleaving.EXCLUDED:
            return state.outcome(exhausted=True)
        if ended == interleaving.FULL:
            return state.outcome(reason="the memory for excluded states is full")
        if budget.left < 0:
            return state.outcome(reason="the budget ended")
    raise AssertionError("turns never end")


class Search:
    """The arrays of a search (see `tracekit.kernels.interleaving`); kept between its turns.

    Attributes
    ----------
    kernels: the kernels that run it. at_once: steps between two looks at the budget.
    """

    def __init__(self, chains: Chains, saturated: Saturated) -> None:
        assert saturated.lists is not None and saturated.past is not None
        self.chains, self.lists = chains, saturated.lists
        self.steps = steps_of(chains)
        n, keys = len(self.steps), len(chains.history.sessions.names)
        kind, key = self.steps[:, interleaving.KIND], self.steps[:, interleaving.KEY]
        undetermined = np.isin(kind, (interleaving.EITHER, interleaving.BLANK))
        self.is_open_key = np.zeros(keys, np.bool_)
        self.is_open_key[key[undetermined]] = True
        self.open_keys = np.flatnonzero(self.is_open_key).astype(np.int32)
        source = self.steps[:, interleaving.SOURCE]
        awaited = np.where(source >= 0, source, n + key)[kind == interleaving.READ]
        self.all_pending = np.bincount(awaited, minlength=n + keys).astype(np.int32)
        row = chains.history.operations.row[chains.history.sessions.operation[chains.entry]]
        self.ranks = [_places(row), _places(saturated.past)]
        width = chains.count + len(self.open_keys)
        self.most_states = MOST_BYTES // (4 * (width + 4))
        self.states, self.table = np.empty((256, width), np.int32), np.full(1024, -1, np.int32)
        self.hidden, self.branches = np.empty(n, np.int32), np.empty((n + 1, 2), np.int32)
        self.reached = chains.starts[:-1].copy()
        self.progress = np.zeros(interleaving.PROGRESS, np.int64)
        self.kernels = kernels("interleaving", work=chains.work)
        small = chains.work < COMPILE_FROM
        self.at_once = INTERPRETED if small else max(1, WORK // (interleaving.TRIED * chains.count))
        self._begin()

    def _begin(self) -> None:
        """Back to the beginning; what is known of dead states is kept."""
        self.cursor, self.pending = self.chains.starts[:-1].copy(), self.all_pending.copy()
        self.current, self.order = np.full(len(self.is_open_key), -1, np.int32), np.empty(len(self.steps), np.int32)
        self.progress[[interleaving.COUNT, interleaving.DEPTH, interleaving.PHASE]] = 0, 0, interleaving.ADVANCE

    def run(self, turn: int, steps: int, budget: Budget) -> int:
        """One turn: from the beginning with one guess, for so many steps or until the budget ends."""
        self._begin()
        end = self.progress[interleaving.STEPS] + steps
        while (left := int(end - self.progress[interleaving.STEPS])) > 0:
            if self.progress[interleaving.STEPS] >= INTERPRETED:
                self.kernels = kernels("interleaving", work=COMPILE_FROM)
            ended: int = self.kernels.run(
                self.chains.starts, self.chains.nodes, self.steps, *self.lists, self.ranks[turn % 2], self.open_keys,
                self.is_open_key, self.cursor, self.current, self.pending, self.hidden, self.order, self.branches,
                self.states, self.table, self.reached, self.progress, min(left, self.at_once),
            )  # fmt: skip
            if ended == interleaving.FULL and len(self.states) < self.most_states:
                self._grow()
            elif ended != interleaving.LEFT:
                return ended
            if budget.left < 0:
                break
        return interleaving.LEFT

    def _grow(self) -> None:
        """Room for twice as many states."""
        count, width = self.states.shape
        more = np.empty((min(2 * count, self.most_states), width), np.int32)
        more[:count] = self.states
        slots = 1 << int(2 * len(more)).bit_length()
        self.states, self.table = more, np.full(slots, -1, np.int32)
        self.kernels.enter(self.states, count, self.table)

    def outcome(self, found: bool = False, exhausted: bool = False, reason: str = "") -> Outcome:
        """What came of it."""
        ends = self.chains.starts[1:]
        return Outcome(
            order=self.order[: self.progress[interleaving.COUNT]].tolist() if found else [],
            found=found,
            exhausted=exhausted,
            longest=int(self.progress[interleaving.LONGEST]),
            stopped=tuple(self.reached[self.reached < ends].tolist()),
            states=int(self.progress[interleaving.STATES]),
            steps=int(self.progress[interleaving.STEPS]),
            reason=reason,
        )


def _places(values: NDArray[np.int64]) -> Int32:
    """The place of each in ascending order, the earlier of equals first."""
    out = np.empty(len(values), np.int32)
    out[np.argsort(values, kind="stable")] = np.arange(len(values))
    return out
