"""Cells of any other shape: the sweep over configurations, run in steps within a budget of time and memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracekit.checks.consistency.cells import Cells, of_keys
from tracekit.execution import Budget
from tracekit.history.models import ABSENT, ANY, COMPUTED
from tracekit.history.models.alarm import OutOfTime
from tracekit.history.operations import NEVER
from tracekit.kernels import linearizability_configurations as sets
from tracekit.kernels import linearizability_search as layout
from tracekit.kernels import linearizability_transitions as moves
from tracekit.kernels.engine import COMPILE_FROM, kernels

Int64 = NDArray[np.int64]

MEMORY = 2**30
"""Bytes that configurations may take."""

STATE_FACTOR = 8
"""Bytes that states and transitions take in Python for each in the kernel's table, at a guess."""

TURN = 5_000_000
"""Steps of the compiled kernel between two looks at the clock: some tenths of a second."""

LOGGED_OPERATIONS = 10_000
"""Histories of up to so many searched operations keep the path of every configuration, for certificates."""


@dataclass(frozen=True)
class Stuck:
    """Where a key has no linearization any more.

    Attributes
    ----------
    entry: into `Cells.actions`: the operation that cannot have happened before it completed.
    values: codes of the values possible at its completion, whatever else happened.
    open: entries of the other operations that were open then.
    before: operations of the key that had completed.
    """

    entry: int
    values: tuple[int, ...]
    open: tuple[int, ...]
    before: int


@dataclass(frozen=True)
class Undecided:
    """A key that the search had to leave: why, and how hard it was there.

    Attributes
    ----------
    entry: the operation whose invocation or completion was next; -1: the key was not begun.
    since: the operation that had been open longest then (or `entry`): the window runs from one to the other.
    open, crashed: how many were open at once, and how many of them were never answered.
    decided: events of the key up to there: the longest part of the history that has a linearization for certain.
    order: that linearization, as entries; empty where the history is too large, or the method keeps none.
    """

    reason: str
    entry: int
    since: int
    open: int
    crashed: int
    decided: int
    order: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class Searched:
    """What the search says of every key that it was given.

    Attributes
    ----------
    holds: keys with a linearization.
    stuck, undecided: the others.
    orders: by key that holds, its linearization as entries of `Cells.actions`; empty where the history is too large.
    peak: the most configurations that stood side by side.
    widest: the most operations that were open at once.
    """

    holds: list[int] = field(default_factory=list)
    stuck: dict[int, Stuck] = field(default_factory=dict)
    undecided: dict[int, Undecided] = field(default_factory=dict)
    orders: dict[int, list[int]] = field(default_factory=dict)
    peak: int = 1
    widest: int = 0


def decide(cells: Cells, budget: Budget, memory: int = MEMORY, scale: int = 1) -> Searched:
    """Judges every key of the cells. Exponential in the operations that are open at once; memory up to `memory`.

    scale multiplies the work that decides whether kernels run compiled; tests set it.
    """
    widths = _open_at_once(cells)
    searched = Searched(widest=int(widths.max(initial=0)))
    words = np.maximum(1, -(-widths // layout.BITS))
    present = np.unique(cells.key)
    total = len(cells.key)
    for width in np.unique(words[present]):
        chosen = np.zeros(len(cells), np.bool_)
        chosen[present[words[present] == width]] = True
        part = of_keys(cells, chosen)
        rows = np.flatnonzero(chosen[cells.key])
        sweep = _Sweep(part, rows, int(width), int(widths[chosen].max()), memory, total <= LOGGED_OPERATIONS)
        searched = replace(searched, peak=max(searched.peak, sweep.run(budget, searched, scale)))
    return searched


def timeline(cells: Cells) -> Int64:
    """Events (2 * entry, + 1 for completions) of cells of one key in order of time."""
    return _timeline(cells)[0]


def previous(cells: Cells) -> Int64:
    """Shape (k,): where program order counts, the last operation of the same client and key that had ended; else -1."""
    found = np.full(len(cells.key), -1, np.int64)
    if cells.program is None:
        return found
    client, turn = cells.program.T
    order = np.lexsort((turn, client, cells.key))
    ended = (cells.actions.end[order] != NEVER) & (client[order] >= 0)
    place = np.where(ended, np.arange(len(order)), -1)
    last = np.maximum.accumulate(np.r_[-1, place])[:-1]
    before = order[last]
    follows = (last >= 0) & (cells.key[before] == cells.key[order]) & (client[before] == client[order])
    found[order[follows]] = before[follows]
    return found


def _open_at_once(cells: Cells) -> Int64:
    """By key, the most operations that are open at one moment."""
    widths = np.zeros(len(cells), np.int64)
    event, _, _ = _timeline(cells)
    if not len(event):
        return widths
    key = cells.key[event >> 1]
    depth = np.cumsum(1 - 2 * (event & 1))
    starts = np.flatnonzero(np.r_[True, key[1:] != key[:-1]])
    base = np.zeros(len(starts), np.int64)
    base[1:] = depth[starts[1:] - 1]
    widths[key[starts]] = np.maximum.reduceat(depth, starts) - base
    return widths


def _timeline(cells: Cells) -> tuple[Int64, Int64, Int64]:
    """Events (2 * entry, + 1 for completions) by key, then time, invocations before completions; each key's bounds."""
    a = cells.actions
    n = len(cells.key)
    ended = np.flatnonzero(a.end != NEVER)
    event = np.concatenate([2 * np.arange(n), 2 * ended + 1])
    moment = np.concatenate([a.start, a.end[ended]])
    event = event[np.lexsort((event & 1, moment, cells.key[event >> 1]))]
    key = cells.key[event >> 1]
    first = np.flatnonzero(np.r_[True, key[1:] != key[:-1]]) if n else np.empty(0, np.int64)
    return event, first, np.r_[first[1:], len(event)] if n else first


def from_states(cells: Cells, states: Sequence[int], budget: Budget, memory: int, scale: int) -> bool | None:
    """Whether the operations of cells of one key have a linearization from one of the states; None: limits reached."""
    sweep = _Sweep.of_one_key(cells, memory)
    if sweep is None:
        return True
    undecided = False
    for state in states:
        sweep.start(state)
        status, _ = sweep.advance(budget, scale)
        if status == layout.HOLDS:
            return True
        undecided = undecided or status == layout.OVERFLOW
    return None if undecided else False


def states_at(cells: Cells, places: Sequence[int], budget: Budget, memory: int, scale: int) -> dict[int, list[int]]:
    """Of cells of one key, the states that are possible before events of its timeline, whatever open operations do.

    places: rising; those that the limits do not let it reach are left out.
    """
    sweep = _Sweep.of_one_key(cells, memory)
    found: dict[int, list[int]] = {}
    if sweep is None:
        return found
    sweep.start(ABSENT)
    for place in places:
        sweep.keys[0, layout.END_EVENT] = place
        status, _ = sweep.advance(budget, scale)
        if status != layout.HOLDS:
            break
        found[place] = sweep.states()
        # The key goes on where it stood.
        sweep.progress[layout.KEY], sweep.progress[layout.STAGE] = 0, 1
    return found


class _Sweep:
    """The arrays of one run of the kernel over some keys, and what is done when it stops."""

    def __init__(self, cells: Cells, rows: Int64, words: int, slots: int, memory: int, logged: bool) -> None:
        self.cells, self.rows, self.words = cells, rows, words
        self.events, first, end = _timeline(cells)
        self.key_of = cells.key[self.events[first] >> 1]
        # Short keys first: an exhausted budget then leaves as few keys undecided as possible.
        by_size = np.argsort(end - first, kind="stable")
        self.key_of = self.key_of[by_size]
        self.keys = np.zeros((len(first), 6), np.int64)
        self.keys[:, layout.FIRST_EVENT], self.keys[:, layout.END_EVENT] = first[by_size], end[by_size]
        self.keys[:, layout.INITIAL], self.keys[:, layout.FINAL] = ABSENT, -1
        self.actions = self._actions()
        classes = int(self.actions[:, moves.SAME].max(initial=0)) + 1
        self.work = np.zeros(2 * slots + 2 * words + classes, np.int64)
        self.progress = np.zeros(layout.PROGRESS, np.int64)
        self.progress[layout.SLOTS], self.progress[layout.WORDS] = slots, words
        size = 1024
        while size // 2 < 2 * (slots + 8):
            size *= 2
        self.configs = np.zeros((2, size, sets.MASKS + 2 * words), np.int64)
        self.memory = max(memory, self.configs.nbytes)
        self.progress[layout.LOOKED] = bool(
            ((self.actions[:, moves.EFFECT] == moves.STAYS) & (self.actions[:, moves.VALUE] >= 0)).any()
        )
        self.transitions = np.full((1024, 4), -1, np.int64)
        self.entries = 0
        self.known: set[tuple[int, int]] = set()
        self.spent, self.peak = len(self.events), 1
        self.log = np.zeros((1_000_000 if logged else 0, 3), np.int64)

    def _actions(self) -> Int64:
        a = self.cells.actions
        n = len(self.cells.key)
        actions = np.zeros((n, moves.ACTION), np.int64)
        columns = (a.equals, a.or_equals, a.differs, a.effect, a.argument)
        same = np.zeros(n, np.int64)
        for column in columns:
            values, code = np.unique(column, return_inverse=True)
            _, same = np.unique(same * (len(values) + 1) + code, return_inverse=True)
        plain = (a.equals == ANY) & (a.differs == ANY) & (a.effect >= 0)
        deadline = np.full(n, NEVER, np.int64)
        completions = np.flatnonzero(self.events & 1)
        deadline[self.events[completions] >> 1] = completions
        actions[:, :5] = np.stack(columns, axis=1) if n else 0
        actions[:, moves.SAME] = same
        actions[:, moves.REQUIRED] = a.end != NEVER
        actions[:, moves.PLAIN] = plain
        actions[:, moves.DEADLINE] = deadline
        actions[:, moves.AFTER] = -1
        if self.cells.program is not None:
            # Whether an operation may happen depends on what its client did before: no two do the same, and none is
            # answered or hidden by the way.
            actions[:, moves.AFTER] = previous(self.cells)
            actions[:, moves.SAME] = np.arange(n)
            actions[:, moves.PLAIN] = 0
            actions[a.effect == ANY, moves.EFFECT] = moves.KEEPS
            actions[(a.effect == ANY) & (a.argument >= 0), moves.EFFECT] = COMPUTED
        return actions

    @classmethod
    def of_one_key(cls, cells: Cells, memory: int) -> _Sweep | None:
        """For `start` and `advance`; None where the cells have no operation."""
        if not len(cells.key):
            return None
        slots = int(_open_at_once(cells).max())
        words = max(1, -(-slots // layout.BITS))
        return cls(cells, np.arange(len(cells.key)), words, slots, memory, False)

    def start(self, state: int) -> None:
        """Begins the first key anew, from a state."""
        self.keys[0, layout.INITIAL], self.keys[0, layout.VERDICT] = state, 0
        self.progress[layout.KEY], self.progress[layout.STAGE] = 0, 0

    def states(self) -> list[int]:
        """The states of the configurations at hand."""
        side, count = int(self.progress[layout.SIDE]), int(self.progress[layout.COUNT])
        return [int(state) for state in np.unique(self.configs[side, :count, sets.VALUE_OF])]

    def run(self, budget: Budget, searched: Searched, scale: int) -> int:
        """Goes through all keys; fills in what becomes of each. Returns the most configurations side by side."""
        while True:
            status, reason = self.advance(budget, scale)
            if status == layout.VIOLATED:
                at = int(self.progress[layout.KEY]) - 1
                searched.stuck[int(self.key_of[at])] = self._stuck(at)
            elif status == layout.OVERFLOW:
                self._leave(searched, reason)
                while budget.left < 0 and self.progress[layout.KEY] < len(self.keys):
                    self._leave(searched, reason)
            if self.progress[layout.KEY] == len(self.keys):
                break
        self._collect(searched, kernels("linearizability_transitions", work=self.spent * scale))
        return self.peak

    def advance(self, budget: Budget, scale: int) -> tuple[int, str]:
        """Goes on until a key is VIOLATED, all are done (HOLDS), or a limit is reached: OVERFLOW, and which one."""
        try:
            return self._advance(budget, scale)
        except KeyboardInterrupt:
            budget.interrupted = True
            return layout.OVERFLOW, budget.spent
        except OutOfTime as late:
            return layout.OVERFLOW, f"{budget.spent} {late}"

    def _advance(self, budget: Budget, scale: int) -> tuple[int, str]:
        while True:
            run = kernels("linearizability_search", work=self.spent * scale)
            # Interpreted steps are slow; short turns let a hard search move on to the compiled kernel.
            steps = 20_000 if self.spent * scale < COMPILE_FROM else TURN
            self.progress[layout.STEPS] = steps
            status = run.advance(
                self.progress, self.events, self.keys, self.actions, self.work, self.configs, self.transitions, self.log
            )
            self.spent += steps - max(int(self.progress[layout.STEPS]), 0)
            self.peak = max(self.peak, int(self.progress[layout.PEAK]))
            if status in (layout.HOLDS, layout.VIOLATED):
                return status, ""
            if status == layout.MISSING:
                self._transition(kernels("linearizability_transitions", work=self.spent * scale))
            grown = status != layout.FULL or self._grow(run)
            if not grown or self.transitions.nbytes * STATE_FACTOR > self.memory:
                what = "states" if grown else "configurations"
                return layout.OVERFLOW, f"{what} took {self.memory >> 20} MiB"
            if budget.left < 0:
                return layout.OVERFLOW, budget.spent

    def _grow(self, run: ModuleType) -> bool:
        if 2 * self.configs.nbytes > self.memory:
            return False
        larger = np.zeros((2, 2 * self.configs.shape[1], self.configs.shape[2]), np.int64)
        run.place_anew(self.progress, self.configs, larger)
        self.configs = larger
        return True

    def _transition(self, run: ModuleType) -> None:
        """Fills in what the kernel misses, and what it will ask next: the other open calls at the same state."""
        state, missing = int(self.progress[layout.STATE]), int(self.progress[layout.ARGUMENT])
        pending = self.work[: int(self.progress[layout.PENDING])]
        asking = (self.actions[pending, moves.EFFECT] == COMPUTED) | (self.actions[pending, moves.EFFECT] == ANY)
        arguments = self.actions[pending[asking], moves.VALUE]
        for argument in {missing, *arguments[arguments >= 0].tolist()}:
            if (state, argument) in self.known:
                continue
            self.known.add((state, argument))
            found = self.cells.actions.values.successors(state, argument)
            entries = [2 * after + 1 for after in found[:-1]] + [2 * found[-1] if found else moves.REFUSED]
            if 2 * (self.entries + len(entries)) >= len(self.transitions):
                old = self.transitions
                self.transitions = np.full((_doubled(len(old), self.entries + len(entries)), 4), -1, np.int64)
                for known in old[old[:, 0] >= 0]:
                    run.remember(self.transitions, known[0], known[1], known[2], known[3])
            for nth, entry in enumerate(entries):
                run.remember(self.transitions, np.int64(state), np.int64(argument), np.int64(nth), np.int64(entry))
            self.entries += len(entries)

    def _leave(self, searched: Searched, reason: str) -> None:
        """Gives up the key at hand, and goes on with the next."""
        at = int(self.progress[layout.KEY])
        begun = self.progress[layout.STAGE] != 0
        event = int(self.events[self.progress[layout.EVENT] if begun else self.keys[at, layout.FIRST_EVENT]])
        pending = self.work[: int(self.progress[layout.PENDING]) if begun else 0]
        crashed = int((self.actions[pending, moves.REQUIRED] == 0).sum())
        answered = pending[self.actions[pending, moves.REQUIRED] == 1]
        oldest = min((int(op) for op in answered), key=lambda op: int(self.cells.actions.start[op]), default=event >> 1)
        searched.undecided[int(self.key_of[at])] = Undecided(
            reason,
            int(self.rows[event >> 1]),
            int(self.rows[oldest]),
            len(pending),
            crashed,
            int(self.progress[layout.EVENT] - self.keys[at, layout.FIRST_EVENT]) if begun else 0,
            tuple(int(self.rows[op]) for op in self._so_far(at)) if begun else (),
        )
        self.keys[at, layout.VERDICT] = layout.OVERFLOW
        self.progress[layout.KEY] += 1
        self.progress[layout.STAGE] = 0

    def _stuck(self, at: int) -> Stuck:
        pending = self.work[: int(self.progress[layout.PENDING])]
        place = int(self.keys[at, layout.FAILED_AT])
        before = int((self.events[self.keys[at, layout.FIRST_EVENT] : place] & 1).sum())
        return Stuck(
            int(self.rows[self.events[place] >> 1]),
            tuple(self.states()),
            tuple(int(self.rows[op]) for op in pending[1:]),
            before,
        )

    def _collect(self, searched: Searched, run: ModuleType) -> None:
        held = np.flatnonzero(self.keys[:, layout.VERDICT] == layout.HOLDS)
        searched.holds.extend(int(self.key_of[at]) for at in held)
        if not len(self.log) or self.progress[layout.LOGGED] >= len(self.log):
            return
        for at in held:
            events = self.events[self.keys[at, layout.FIRST_EVENT] : self.keys[at, layout.END_EVENT]]
            order = self._linearization(events, int(self.keys[at, layout.FINAL]), run)
            searched.orders[int(self.key_of[at])] = [int(self.rows[op]) for op in order]

    def _so_far(self, at: int) -> list[int]:
        """A linearization of the events of a key before the one at hand."""
        if not len(self.log) or self.progress[layout.LOGGED] >= len(self.log):
            return []
        events = self.events[self.keys[at, layout.FIRST_EVENT] : self.progress[layout.EVENT]]
        node = int(self.configs[self.progress[layout.SIDE], 0, sets.NODE])
        return self._linearization(events, node, kernels("linearizability_transitions", work=self.spent))

    def _linearization(self, events: Int64, node: int, run: ModuleType) -> list[int]:
        """The order that a configuration stands for, by replaying the logged steps that led to it."""
        steps: list[tuple[int, int]] = []
        while node >= 0:
            steps.append((int(self.log[node, 1]), int(self.log[node, 2])))
            node = int(self.log[node, 0])
        replay = _Replay(self.actions, steps, self.transitions, run)
        for event in events:
            replay.step(int(event))
        return replay.order


class _Replay:
    """Plays the logged steps, last to be popped first, against the events of one key, with the sweep's own rules.

    The order is kept in parts, one from each plain write on; hidden writes and the observers that they answer go to
    the end of the part before the last plain write.
    """

    def __init__(self, actions: Int64, steps: list[tuple[int, int]], transitions: Int64, run: ModuleType) -> None:
        self.actions, self.steps, self.transitions, self.run = actions, steps, transitions, run
        self.used = {op for op, _ in steps if op >= 0}
        self.value: Any = np.int64(ABSENT)
        self.open: dict[int, int] = {}
        self.parts: list[list[int]] = [[]]
        self.done: set[int] = set()

    @property
    def order(self) -> list[int]:
        """The linearization so far."""
        return [op for part in self.parts for op in part]

    def step(self, event: int) -> None:
        """The next event: an operation opens, or completes and must have happened."""
        op = event >> 1
        if not event & 1:
            self.open[op] = len(self.parts)
            self._answer(self.value, hidden=False)
            return
        if op not in self.done and op not in self.used and self.actions[op, moves.PLAIN]:
            self._hide(op)
        while op not in self.done:
            step, state = self.steps.pop()
            if step < 0:
                self._hide(-1 - step)
            else:
                self._use(step, state)
        del self.open[op]

    def _use(self, op: int, state: int) -> None:
        if self.actions[op, moves.PLAIN]:
            self.parts.append([])
        self.value = np.int64(state)
        self._place(op, -1)
        self._answer(self.value, hidden=False)

    def _hide(self, op: int) -> None:
        self._place(op, -2)
        self._answer(self.actions[op, moves.EFFECT], hidden=True)

    def _answer(self, value: Any, *, hidden: bool) -> None:
        for op, parts in self.open.items():
            observer = self.actions[op, moves.EFFECT] == moves.STAYS
            there = not hidden or parts < len(self.parts)
            if observer and there and op not in self.done and self.run.fits(self.actions, op, value, self.transitions):
                self._place(op, -2 if hidden else -1)

    def _place(self, op: int, part: int) -> None:
        self.done.add(op)
        self.parts[part].append(op)


def _doubled(size: int, entries: int) -> int:
    """The next power of two that leaves a table of so many entries half empty."""
    while size <= 2 * entries:
        size *= 2
    return size
