"""A queue with values enqueued twice: a sweep that fixes the order of members only where a dequeue shows it.

A search over states of the queue has to choose an order for every two enqueues that overlap, long before anybody sees
it. Here nothing is chosen. The order of enqueues has only to extend real time, so at any moment the next to leave may
be any member before which no other member must stand: none of those that are left had ended before it began. A
configuration is the set of members that are left, and which of the open operations have happened. Members are numbered
by the end of their enqueue.

* A member is there from the invocation of its enqueue on. It is certainly there from its completion on; until then, an
  operation that finds the queue empty may come before it.
* Of equal members that may leave, the one that ended first does: it stands in the way of more of the others, and
  whatever is possible with it left is possible with the other one left.
* A dequeue takes effect when its completion forces it. Others go before it only where they take what must leave before
  its own member. Of those that answer the same, the first to complete is used, and one that was never answered (it may
  have taken anything) only where no other can be.
* A peek is answered by the member that leaves next: when that one leaves while the peek is open; else, at the peek's
  completion, the member is chosen, and stands at the head from then on. It may never leave, so there any open dequeues
  may go before it.
* An operation that found the queue empty is answered as soon as no member is certainly there. Before completions it is
  tried to make the queue so, by taking all that are.

Python, not a kernel: sets of members are integers of any length.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tracekit.checks.consistency.cells import Cells
from tracekit.checks.consistency.decided import Broken
from tracekit.execution import Budget
from tracekit.history.models import ABSENT, UNANSWERED
from tracekit.history.operations import NEVER

Int64 = NDArray[np.int64]

Configuration = tuple[int, int, frozenset[int]]
"""Members left (bits by number), the member chosen as head or -1, the open operations that have happened."""

MOST = 100_000
"""Configurations side by side, at which the sweep gives up."""


@dataclass(frozen=True)
class Left:
    """A key that the sweep gave up: why, the event it stood at, how many were open, and events before."""

    reason: str
    entry: int
    open: tuple[int, ...]
    decided: int


def decide_key(cells: Cells, key: int, budget: Budget, name: Callable[[int], str]) -> Broken | Left | None:
    """Judges one queue; None: it is linearizable. Exponential only in dequeues that are open at once."""
    return _Queue(cells, key, budget, name).run()


class _Queue:
    def __init__(self, cells: Cells, key: int, budget: Budget, name: Callable[[int], str]) -> None:
        calls, a = cells.actions.calls, cells.actions
        assert calls is not None, "queues are models with calls"
        self.cells, self.budget, self.name = cells, budget, name
        self.function = [calls.functions[f] for f in calls.function.tolist()]
        self.answer, self.start, self.end = calls.answered.tolist(), a.start.tolist(), a.end.tolist()
        entries = np.flatnonzero(cells.key == key).tolist()
        enqueues = sorted((e for e in entries if self.function[e] == "enqueue"), key=lambda e: self.end[e])
        self.enqueue, self.member = enqueues, {e: number for number, e in enumerate(enqueues)}
        self.value = [int(calls.given[e]) for e in enqueues]
        self.holding: dict[int, int] = {}
        for number, value in enumerate(self.value):
            self.holding[value] = self.holding.get(value, 0) | 1 << number
        self.events = sorted(
            [(self.start[e], 0, e) for e in entries] + [(self.end[e], 1, e) for e in entries if self.end[e] != NEVER]
        )
        self.full = False
        self.settled = 0
        """Bits of the members whose enqueue has completed."""
        self.open: dict[int, None] = {}
        """The open operations that take or look, by completion."""

    def run(self) -> Broken | Left | None:
        """All events in order of time, invocations before completions of the same moment."""
        configurations: set[Configuration] = {(0, -1, frozenset())}
        for place, (_, completion, entry) in enumerate(self.events):
            before = configurations
            if not completion:
                configurations = self._begins(configurations, entry)
            else:
                configurations = self._ends(configurations, entry)
            if self._full(configurations):
                reason = self.budget.spent if self.budget.left < 0 else f"more than {MOST:,} configurations"
                return Left(reason, entry, tuple(self.open), place)
            if not configurations:
                return self._broken(before, entry, place)
        return None

    def _full(self, configurations: set[Configuration]) -> bool:
        """Whether to give up; one event alone may take longer than all before it."""
        self.full = self.full or len(configurations) > MOST or self.budget.left < 0
        return self.full

    def _begins(self, configurations: set[Configuration], entry: int) -> set[Configuration]:
        if entry in self.member:
            bit = 1 << self.member[entry]
            return {(members | bit, head, done) for members, head, done in configurations}
        following = [*self.open, entry]
        self.open = dict.fromkeys(sorted(following, key=lambda e: self.end[e]))
        return {self._noticed(c) for c in configurations}

    def _ends(self, configurations: set[Configuration], entry: int) -> set[Configuration]:
        found: set[Configuration] = set()
        if entry in self.member:
            bit = 1 << self.member[entry]
            for configuration in configurations:
                if self._full(found):
                    break
                found.add(configuration)
                if configuration[0] & bit:
                    found.update(self._emptied(configuration))
            self.settled |= bit
            return found
        for configuration in configurations:
            if self._full(found):
                break
            if entry in configuration[2]:
                found.add(configuration)
                continue
            for ready in (configuration, *self._emptied(configuration)):
                if entry in ready[2]:
                    found.add(ready)
                elif self.answer[entry] != ABSENT:
                    found.update(self._answered(ready, entry))
        del self.open[entry]
        return {(members, head, done - {entry}) for members, head, done in found}

    def _answered(self, configuration: Configuration, entry: int) -> Iterator[Configuration]:
        """The configurations in which the operation has happened, and others only so far as it needs them."""
        value = self.answer[entry]
        members, head, _ = configuration
        if head >= 0 and self.value[head] != value:
            for after in self._taken(configuration, head, entry):
                if entry not in after[2]:
                    yield from self._answered(after, entry)
        elif self.function[entry] == "peek":
            yield from self._seen(configuration, entry)
        else:
            for chosen in [head] if head >= 0 else self._bits(members & self.holding.get(value, 0)):
                for ready in self._cleared(configuration, self._ahead(configuration, chosen), entry):
                    yield self._without(ready, chosen, entry)

    def _seen(self, configuration: Configuration, entry: int) -> Iterator[Configuration]:
        """A peek completes: a member is at the head, after any of the open dequeues, for it may stay there for ever."""
        found, waiting = {configuration}, [configuration]
        while waiting:
            members, head, done = ready = waiting.pop()
            if entry in done:  # an equal member left while the peek was open
                yield ready
                continue
            allowed = [head] if head >= 0 else [m for m in self._bits(members) if not self._ahead(ready, m)]
            first: dict[int, int] = {}
            for member in allowed:
                first.setdefault(self.value[member], member)
            if self.answer[entry] in first:
                yield members, first[self.answer[entry]], done | {entry}
            for taker in self.open:
                if taker in done or self.function[taker] != "dequeue":
                    continue
                answer = self.answer[taker]
                for member in first.values() if answer == UNANSWERED else [first[answer]] if answer in first else []:
                    after = self._without(ready, member, taker)
                    if after not in found:
                        found.add(after)
                        waiting.append(after)

    def _ahead(self, configuration: Configuration, chosen: int) -> int:
        """The members left that must leave before another: their enqueue had ended when its began."""
        members, head, _ = configuration
        if head == chosen:
            return 0
        began = self.start[self.enqueue[chosen]]
        ahead = 0
        for member in self._bits(members):
            if self.end[self.enqueue[member]] >= began:
                break
            ahead |= 1 << member
        return ahead

    def _cleared(self, configuration: Configuration, members: int, spared: int) -> Iterator[Configuration]:
        """The configurations in which open operations other than one have taken certain members, first ended first."""
        if not members:
            yield configuration
            return
        first = (members & -members).bit_length() - 1
        for after in self._taken(configuration, first, spared):
            yield from self._cleared(after, members & ~(1 << first), spared)

    def _taken(self, configuration: Configuration, member: int, spared: int) -> Iterator[Configuration]:
        """An open operation takes a member that may leave: one that answered it, else one that was never answered."""
        _, head, done = configuration
        if head >= 0 and head != member:
            return
        takers = [e for e in self.open if e not in done and e != spared and self.function[e] == "dequeue"]
        for wanted in (self.value[member], UNANSWERED):
            for taker in takers:
                if self.answer[taker] == wanted:
                    yield self._without(configuration, member, taker)
                    return

    def _without(self, configuration: Configuration, member: int, taker: int) -> Configuration:
        """A member leaves; peeks that are open saw it at the head."""
        members, _, done = configuration
        value = self.value[member]
        saw = {e for e in self.open if self.function[e] == "peek" and self.answer[e] == value}
        return self._noticed((members & ~(1 << member), -1, done | saw | {taker}))

    def _noticed(self, configuration: Configuration) -> Configuration:
        """Open operations that found the queue empty are answered where no member is certainly there."""
        members, head, done = configuration
        if members & self.settled or head >= 0:
            return configuration
        return members, head, done | {e for e in self.open if self.answer[e] == ABSENT}

    def _emptied(self, configuration: Configuration) -> Iterator[Configuration]:
        """Where an operation waits to find the queue empty: all members that are certainly there leave."""
        members, head, done = configuration
        if all(e in done or self.answer[e] != ABSENT for e in self.open):
            return
        certain = members & self.settled | (1 << head if head >= 0 else 0)
        if head >= 0:
            for after in self._taken(configuration, head, -1):
                yield from self._cleared(after, certain & ~(1 << head), -1)
        else:
            yield from self._cleared(configuration, certain, -1)

    @staticmethod
    def _bits(members: int) -> Iterator[int]:
        while members:
            low = members & -members
            yield low.bit_length() - 1
            members ^= low

    def _broken(self, configurations: set[Configuration], entry: int, place: int) -> Broken:
        calls, cells = self.cells.actions.calls, self.cells
        assert calls is not None, "queues are models with calls"
        heads: dict[int, None] = {}
        for members, head, _ in sorted(configurations, key=lambda c: (c[0], c[1]))[:50]:
            first = head if head >= 0 else next(self._bits(members), -1)
            heads[first] = None
        told = [f"{calls.values.text(self.value[m])} had to leave first" if m >= 0 else "it was empty" for m in heads]
        told = list(dict.fromkeys(told))
        text = (
            f"{self.name(entry)} at {cells.name(int(cells.key[entry]))} cannot have happened before it completed: in "
            f"every order of the operations before it that their answers allow, {' or '.join(told[:3])}"
            f"{f' or {len(told) - 3} other reasons' if len(told) > 3 else ''}."
        )
        sources = [self.enqueue[m] for m in self._bits(self.holding.get(self.answer[entry], 0))]
        shown = [e for e in sources if self.start[e] <= self.end[entry]][-2:]
        shown += [self.enqueue[m] for m in heads if m >= 0][:3]
        core = (*dict.fromkeys(shown), entry)
        ties = [(a, b, "ended before it began") for a in core for b in core if self.end[a] < self.start[b]]
        done = sum(completion for _, completion, _ in self.events[:place])
        facts = {"operations_before": done, "minimal": False, "open_then_total": len(self.open)}
        return Broken("no-linearization", text, core, tuple(ties), entry, facts)
