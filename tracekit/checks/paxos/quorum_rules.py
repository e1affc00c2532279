"""Who had promised, or accepted, before an event, who may have, and whether the event's process would tell of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tracekit.checks.doubts import torn
from tracekit.checks.paxos.acceptors import Acceptors, acceptors
from tracekit.checks.paxos.demonstrated import (
    Demonstrated,
    demonstrated_acceptances,
    demonstrated_promises,
    unrecorded,
)
from tracekit.checks.paxos.history import NONE, Bool, Int64, PaxosHistory, Steps, distinct, firsts, paxos_history
from tracekit.checks.paxos.order import Order, order
from tracekit.execution import Execution
from tracekit.trace.schema import Kind

Relation = Callable[[Int64, Int64], Bool]


@dataclass(frozen=True, eq=False)
class Judgement:
    """Places of events that break the rule, of those that cannot be judged, and why the first of these cannot."""

    broken: Int64
    unsure: Int64
    why: str = ""


@dataclass(frozen=True, eq=False)
class Rule(ABC):
    """An event of a process follows steps of a majority of the acceptors.

    Attributes
    ----------
    events: what has to follow; steps: what it has to follow from.
    """

    execution: Execution
    events: Steps
    steps: Steps

    sort = unit = ""

    @cached_property
    def history(self) -> PaxosHistory:
        """All events."""
        return self.execution.derive(paxos_history)

    @cached_property
    def group(self) -> Acceptors:
        """The acceptors."""
        return self.execution.derive(acceptors)

    @cached_property
    def causal(self) -> Order:
        """What came before what."""
        return self.execution.derive(order)

    @property
    @abstractmethod
    def shown(self) -> Demonstrated:
        """What each process demonstrably records of the steps."""

    @abstractmethod
    def count(self, steps: Steps, events: Steps, related: Relation) -> Int64:
        """How many acceptors have a step that supports each event and that stands in a relation to it."""

    @abstractmethod
    def explained(self, events: Steps) -> tuple[Bool, str]:
        """Whether each event's process records the messages from which it has to know; and what it is that it lacks,
        to be filled in with its name."""

    def judge(self) -> Judgement:
        """Of the events before which no majority is recorded, those are broken for which no missing event can be an
        excuse: either too few acceptors can have taken a step before, or the process would have told of it."""
        majority, none = self.group.majority, np.empty(0, np.int64)
        short = np.flatnonzero(self.count(self.steps, self.events, self.causal.before) < majority)
        if not len(short):
            return Judgement(none, none)
        events = self.events[short]
        doubtful = np.union1d(self.shown.doubtful(self.group), self.group.partial)
        possible = self._at_most(events, doubtful, self._may_precede)
        explained, lacking = self.explained(events)
        known = self._at_most(events, self.group.partial, self.causal.before, silent=~self.shown.own)
        broken = (possible < majority) | (explained & self.causal.by_messages & (known < majority))
        broken &= self.causal.whole and not self._unreadable()
        unsure = np.flatnonzero(~broken)
        why = ""
        if len(unsure):
            first = int(unsure[0])
            who = self.history.who(int(events.row[first]))
            told = bool(explained[first]) or not self.causal.by_messages
            why = self._why(who, told, lacking)
        return Judgement(short[broken], short[unsure], why)

    def _may_precede(self, first: Int64, second: Int64) -> Bool:
        after: Bool = (first != second) & self.causal.before(second, first)
        return ~after

    def _at_most(self, events: Steps, doubtful: Int64, related: Relation, silent: Bool | None = None) -> Int64:
        """How many acceptors may have a step: those in doubt, and a process that is silent about its own, in any
        case."""
        process = self.execution.trace.process
        if silent is None:
            silent = np.zeros(len(self.execution.trace.processes), np.bool_)

        def others(first: Int64, second: Int64) -> Bool:
            own: Bool = (process[first] == process[second]) & silent[process[first]]
            return related(first, second) & ~own

        steps = self.steps[~np.isin(self.steps.process, doubtful)]
        count = self.count(steps, events, others) + len(doubtful) + self.group.unseen
        own = silent[events.process] & (self.group.among(events.process) >= 0)
        return count + (own & ~np.isin(events.process, doubtful))

    def _unreadable(self) -> bool:
        useless = self.history.useless
        lost = self.sort in useless or (self.sort == "acceptances" and "values" in useless)
        return lost or bool(torn(self.execution))

    def _why(self, who: str, explained: bool, lacking: str) -> str:
        if self.causal.whole and not self._unreadable():
            if not explained:
                return lacking.format(who)
            reason = unrecorded(self.execution, self.shown, self.sort)
            if reason and not self.causal.by_messages:
                return reason
        return f"too many {self.sort} before it may not be recorded"


class Promised(Rule):
    """An accept request follows promises of its ballot, for its instance or for all."""

    sort, unit = "promises", "accept requests"

    @property
    def shown(self) -> Demonstrated:
        """See `Rule`."""
        return self.execution.derive(demonstrated_promises)

    def count(self, steps: Steps, events: Steps, related: Relation) -> Int64:
        """See `Rule`."""
        mine = steps[self.group.among(steps.process) >= 0]
        mine = mine[firsts(mine.instance, mine.ballot, mine.process)]
        own = _pairs((mine.instance, mine.ballot), (events.instance, events.ballot))
        for_all = np.flatnonzero(mine.instance == NONE)
        both = _pairs((mine.ballot[for_all],), (events.ballot,))
        step = np.concatenate([own[0], for_all[both[0]]])
        event = np.concatenate([own[1], both[1]])
        there = related(mine.row[step], events.row[event])
        keys, _ = distinct(event[there], mine.process[step[there]])
        return np.bincount(keys[:, 0], minlength=len(events)).astype(np.int64)

    def explained(self, events: Steps) -> tuple[Bool, str]:
        """Who records the receipt of any promise is taken to record them all."""
        lacking = "no receipt of paxos.promise is recorded at {}, so what it knew there is not known"
        return self.shown.heard[events.process], lacking


class Accepted(Rule):
    """A value is learned after it was accepted under one ballot."""

    sort, unit = "acceptances", "values learned"

    @property
    def shown(self) -> Demonstrated:
        """See `Rule`."""
        return self.execution.derive(demonstrated_acceptances)

    def count(self, steps: Steps, events: Steps, related: Relation) -> Int64:
        """See `Rule`: under the ballot that has most."""
        mine = steps[self.group.among(steps.process) >= 0]
        mine = mine[firsts(mine.instance, mine.value, mine.ballot, mine.process)]
        vote, news = _pairs((mine.instance, mine.value), (events.instance, events.value))
        there = related(mine.row[vote], events.row[news])
        keys, key = distinct(news[there], mine.ballot[vote[there]])
        out = np.zeros(len(events), np.int64)
        np.maximum.at(out, keys[:, 0], np.bincount(key, minlength=len(keys)))
        return out

    def explained(self, events: Steps) -> tuple[Bool, str]:
        """A value may be learned from whatever tells that it is chosen. Who learns it upon an acceptance of that value,
        the last message that it has received, learned it by counting."""
        trace, history = self.execution.trace, self.history
        rows = np.flatnonzero(trace.is_kind(Kind.RECEIVE))
        rows = rows[np.argsort(history.place[rows])]
        at = np.searchsorted(history.place[rows], history.place[events.row]) - 1
        last = rows[np.maximum(at, 0)] if len(rows) else np.zeros(len(events), np.int64)
        told = history.answers[trace.named("paxos.accepted")[history.answers.row]]
        _, key = distinct(*(np.append(getattr(told, a), getattr(events, a)) for a in ("process", "instance", "value")),
                          np.append(told.row, last))  # fmt: skip
        same = np.isin(key[len(told) :], key[: len(told)])
        lacking = (
            "the last message that {} received before tells of no acceptance of the value, so how it came to know is"
        )
        return (at >= 0) & same, f"{lacking} not recorded"


def _pairs(first: tuple[Int64, ...], second: tuple[Int64, ...]) -> tuple[Int64, Int64]:
    """Every pair of positions at which two groups of columns agree. O(n log n + pairs)."""
    count = len(first[0])
    _, key = distinct(*(np.append(a, b) for a, b in zip(first, second, strict=True)))
    order = np.argsort(key[:count], kind="stable")
    sorted_keys = key[:count][order]
    low = np.searchsorted(sorted_keys, key[count:], side="left")
    high = np.searchsorted(sorted_keys, key[count:], side="right")
    length = high - low
    right = np.repeat(np.arange(len(second[0])), length)
    offset = np.arange(int(length.sum())) - np.repeat(np.cumsum(length) - length, length)
    return order[np.repeat(low, length) + offset], right
