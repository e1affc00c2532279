"""From events to holdings: who had which lock, from which event on, until which events, and until when by its lease."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tracekit.checks.lock.facts import DECIDED, HELD, Facts, facts_of, operations_as_facts
from tracekit.checks.lock.order import FAR, MILLION, Order, order_of
from tracekit.execution import Execution
from tracekit.trace.schema import Kind

Int64 = NDArray[np.int64]
Bool = NDArray[np.bool_]

ROUNDS = 64
NEVER = np.iinfo(np.int64).max
"""End of a lease that there is none of: until it is released."""


@dataclass(frozen=True, eq=False)
class Holdings:
    """Every time that somebody had a lock, lock after lock, each lock's in the order in which they began, mostly.

    Attributes
    ----------
    order: the order of events that all is judged by.
    lock, holder, token: shape (h,).
    first: shape (h,): the first event that shows it.
    begun: whether `first` is its beginning; else it began some time before.
    begin_rows, begin_starts: the first row of each process that says it began; where each holding's begin.
    end_rows, end_starts: rows that say it is over.
    early, late: shape (h,): between these moments its lease ended, on the clock of the process `clock`; `NEVER`: it has
        none. What `order` measures by.
    leased: whether it has a lease.
    sound: whether it certainly began before each of its ends, and its token was used once; else nothing is certain.
    unclear: events of which it is not certain which holding they belong to: nothing is decided about their locks.
    """

    order: Order
    facts: Facts
    lock: Int64
    holder: Int64
    token: Int64
    first: Int64
    begun: Bool
    begin_rows: Int64
    begin_starts: Int64
    end_rows: Int64
    end_starts: Int64
    early: Int64
    late: Int64
    clock: Int64
    leased: Bool
    sound: Bool
    unclear: Int64

    def __len__(self) -> int:
        return len(self.lock)

    def ends(self, i: int) -> Int64:
        """Rows that say that one is over."""
        return self.end_rows[self.end_starts[i] : self.end_starts[i + 1]]

    def who(self, i: int) -> str:
        """Its holder."""
        return self.facts.holders[int(self.holder[i])]

    def what(self, i: int) -> str:
        """Its lock, for a sentence: ``l1``; ``the lock`` where locks have no names."""
        return self.facts.locks[int(self.lock[i])] or "the lock"

    @cached_property
    def last_of_lock(self) -> Int64:
        """Shape (h,): the position after the last holding of the same lock."""
        return np.searchsorted(self.lock, self.lock, side="right")

    def over_before(self, i: Int64, row: Int64) -> Bool:
        """Whether each of some holdings was certainly over before a row: one of its ends came before, or its lease
        ended before."""
        found = _any(self.order, self.end_rows, self.end_starts, i, row)
        found |= self.order.shown_before(self.late[i], self.clock[i], row) & self.leased[i]
        return found & self.sound[i]

    def open_at(self, i: Int64, row: Int64) -> Bool:
        """Whether each of some holdings certainly was not over yet at a row, given that it had begun."""
        return self.ends_after(i, row) & self.sound[i]

    def ends_after(self, i: Int64, row: Int64) -> Bool:
        """Whether all that ends each of some holdings certainly came after a row."""
        found = _all(self.order, self.end_rows, self.end_starts, i, row)
        return found & (~self.leased[i] | self.order.shown_after(self.early[i], self.clock[i], row))

    def begins_after(self, j: Int64, i: Int64) -> Bool:
        """Whether each holding j certainly began after the holding i was over."""
        counts = np.diff(self.begin_starts)[j]
        pairs = np.repeat(np.arange(len(j)), counts)
        rows = self.begin_rows[np.repeat(self.begin_starts[j], counts) + ramp(counts)]
        found: Bool = self.begun[j] & self.sound[j]
        np.logical_and.at(found, pairs, self.over_before(i[pairs], rows))
        return found

    def overlap(self, i: Int64, j: Int64) -> Bool:
        """Whether two holdings certainly overlapped: each had begun before either was over."""
        both = self.open_at(i, self.first[j]) & self.open_at(j, self.first[i])
        return both & self.open_at(i, self.first[i]) & self.open_at(j, self.first[j])


def _expanded(starts: Int64, which: Int64) -> tuple[Int64, Int64]:
    counts = np.diff(starts)[which]
    return np.repeat(np.arange(len(which)), counts), np.repeat(starts[which], counts) + ramp(counts)


def ramp(counts: Int64) -> Int64:
    """0, 1, ..., counts[0] - 1, 0, 1, ..."""
    ends = np.cumsum(counts)
    return np.arange(int(ends[-1]) if len(ends) else 0) - np.repeat(ends - counts, counts)


def _any(order: Order, rows: Int64, starts: Int64, which: Int64, row: Int64) -> Bool:
    pairs, at = _expanded(starts, which)
    found = np.zeros(len(which), np.bool_)
    np.logical_or.at(found, pairs, order.before(rows[at], row[pairs]))
    return found


def _all(order: Order, rows: Int64, starts: Int64, which: Int64, row: Int64) -> Bool:
    pairs, at = _expanded(starts, which)
    found = np.ones(len(which), np.bool_)
    np.logical_and.at(found, pairs, order.before(row[pairs], rows[at]))
    return found


def decided(execution: Execution) -> Holdings:
    """Holdings as those who decide record them; where nobody does, as clients' operations show them."""
    facts = facts_of(execution, DECIDED)
    if not bool(facts.begins.any()) and "f" in execution.trace:
        return _holdings(execution, operations_as_facts(execution), crashes=True)
    return _holdings(execution, facts)


def held(execution: Execution) -> Holdings:
    """Holdings as the holders themselves record them."""
    return _holdings(execution, facts_of(execution, HELD), crashes=True)


def from_operations(holdings: Holdings) -> bool:
    """Whether holdings were read from invoke and ok events."""
    kinds = holdings.order.execution.trace.kind[holdings.facts.rows]
    return bool((kinds == Kind.OK).any())


def _holdings(execution: Execution, facts: Facts, crashes: bool = False) -> Holdings:
    order = order_of(execution, facts.rows)
    by = _sorted(order, facts)
    group = _grouped(facts, by)
    count = int(group.max()) + 1 if len(group) else 0
    # A group without anything but ends says that somebody stopped having what it was never seen to have.
    shows = np.zeros(count, np.bool_)
    shows[group[~facts.ends[by]]] = True
    number = np.cumsum(shows) - 1
    kept = shows[group]
    by, group = by[kept], number[group[kept]]
    count = int(shows.sum())
    first = np.full(count, -1, np.int64)
    positive = np.flatnonzero(~facts.ends[by])
    first[group[positive[::-1]]] = by[positive[::-1]]
    begun = np.zeros(count, np.bool_)
    begun[group[facts.begins[by]]] = True
    begin_rows, begin_starts = _first_at_each_process(execution, facts, by, group, count)
    finish = np.flatnonzero(facts.ends[by])
    end_rows, end_group = facts.rows[by[finish]], group[finish]
    if crashes:
        codes = np.array([execution.trace.process_code(name) for name in facts.holders], np.int64)
        own = codes[facts.holder[first]] == execution.trace.process[facts.rows[first]]
        end_rows, end_group = _with_crashes(execution, facts.rows[first], own, end_rows, end_group)
    end_starts = np.searchsorted(end_group, np.arange(count + 1))
    early, late, clock, leased = _lease_ends(order, facts, by, group, count, end_rows, end_starts)
    found = Holdings(
        order, facts, facts.lock[first], facts.holder[first], facts.token[first], facts.rows[first], begun, begin_rows,
        begin_starts, end_rows, end_starts, early, late, clock, leased, np.ones(count, np.bool_),
        _unclear(order, facts, by),
    )  # fmt: skip
    # Where an end may have come before every beginning that was told, nobody knows when it began and when it ended.
    sound = _all(order, end_rows, end_starts, np.arange(count), found.first)
    sound &= ~_used_again(execution, facts, by, group, count)
    return _in_order(replace(found, sound=sound))


def _sorted(order: Order, facts: Facts) -> Int64:
    """Entries by lock, holder and token, then in the order in which they happened, mostly."""
    position = np.empty(len(facts), np.int64)
    position[order.linear(facts.rows)] = np.arange(len(facts))
    token = np.where(_tokens_identify(facts)[facts.lock], facts.token, -1) if len(facts) else facts.token
    return np.lexsort((position, token, facts.holder, facts.lock))


def _tokens_identify(facts: Facts) -> Bool:
    """Shape (locks,): whether every event of the lock has a token, so that events with one token belong together."""
    without = np.zeros(len(facts.locks), np.bool_)
    without[facts.lock[facts.token < 0]] = True
    return ~without


def _grouped(facts: Facts, by: Int64) -> Int64:
    """The holding of each sorted entry: a new one begins with another lock, holder or token; and, where there are no
    tokens, with the first beginning after an end."""
    if not len(by):
        return np.empty(0, np.int64)
    identify = _tokens_identify(facts)[facts.lock[by]]
    token = np.where(identify, facts.token[by], -1)
    new = np.ones(len(by), np.bool_)
    new[1:] = (np.diff(facts.lock[by]) != 0) | (np.diff(facts.holder[by]) != 0) | (np.diff(token) != 0)
    run = np.maximum.accumulate(np.where(new, np.arange(len(by)), 0))
    ended = np.maximum.accumulate(np.where(facts.ends[by], np.arange(len(by)), -1))
    begins = facts.begins[by] | facts.keeps[by]
    shown = np.full(len(by), -1, np.int64)
    shown[1:] = np.maximum.accumulate(np.where(begins, np.arange(len(by)), -1))[:-1]
    new |= begins & (ended >= run) & (shown < ended) & ~identify
    group: Int64 = np.cumsum(new) - 1
    return group


def _used_again(execution: Execution, facts: Facts, by: Int64, group: Int64, count: int) -> Bool:
    """Shape (count,): whether a process that had told the end of a grant tells its beginning: one token for two grants.

    Where another process tells the beginning, it may be late: a server that another one has replaced since.
    """
    entries = np.flatnonzero(facts.begins[by] | facts.ends[by])
    rows = facts.rows[by[entries]]
    process, place = execution.trace.process[rows], execution.program_order.index[rows]
    order = np.lexsort((place, process, group[entries]))
    entries, process = entries[order], process[order]
    then = (np.diff(group[entries]) == 0) & (np.diff(process) == 0)
    again = then & facts.ends[by[entries[:-1]]] & facts.begins[by[entries[1:]]]
    found = np.zeros(count, np.bool_)
    found[group[entries[1:][again]]] = True
    return found


def told_by_several(holdings: Holdings) -> tuple[str, ...]:
    """A reason where several processes tell of one holder's grants without tokens: they may tell the same ones, each in
    its own time."""
    facts = holdings.facts
    without = np.flatnonzero(~_tokens_identify(facts)[facts.lock]) if len(facts) else np.empty(0, np.int64)
    width = len(facts.holders) + 1
    whose = facts.lock[without] * width + facts.holder[without]
    process = holdings.order.execution.trace.process[facts.rows[without]]
    by = np.lexsort((process, whose))
    both = np.flatnonzero((np.diff(whose[by]) == 0) & (np.diff(process[by]) != 0))
    if not len(both):
        return ()
    first = holdings.order.execution.trace.event(int(facts.rows[without[by[both[0] + 1]]]))
    holder = facts.holders[int(whose[by[both[0]]]) % width]
    return (f"several processes tell of the grants of {holder}, as {first}, and lock.token does not say of which",)


def _unclear(order: Order, facts: Facts, by: Int64) -> Int64:
    """Rows of events without tokens that may belong before or after another one of the same lock and holder."""
    without = ~_tokens_identify(facts)[facts.lock[by[1:]]] if len(by) else np.zeros(0, np.bool_)
    same = (np.diff(facts.lock[by]) == 0) & (np.diff(facts.holder[by]) == 0) & without
    later = np.flatnonzero(same) + 1
    certain = order.before(facts.rows[by[later - 1]], facts.rows[by[later]])
    return facts.rows[by[later[~certain]]]


def _first_at_each_process(
    execution: Execution, facts: Facts, by: Int64, group: Int64, count: int
) -> tuple[Int64, Int64]:
    """The first row of each process that says that a holding began; where it began nowhere, the first that shows it."""
    entries = np.flatnonzero(facts.begins[by])
    process = execution.trace.process[facts.rows[by[entries]]].astype(np.int64)
    place = execution.program_order.index[facts.rows[by[entries]]]
    order = np.lexsort((place, process, group[entries]))
    entries, process = entries[order], process[order]
    keep = np.ones(len(entries), np.bool_)
    keep[1:] = (np.diff(group[entries]) != 0) | (np.diff(process) != 0)
    entries = entries[keep]
    return facts.rows[by[entries]], np.searchsorted(group[entries], np.arange(count + 1))


def _with_crashes(execution: Execution, first: Int64, own: Bool, rows: Int64, group: Int64) -> tuple[Int64, Int64]:
    """Ends with the next crash or restart of each holder's process: a process that stopped holds nothing."""
    trace, program = execution.trace, execution.program_order
    stops = np.flatnonzero(trace.is_kind(Kind.CRASH, Kind.RESTART))
    if not len(stops) or not len(first):
        return rows, group
    width = np.int64(len(trace) + 1)
    key = trace.process[stops].astype(np.int64) * width + program.index[stops]
    by = np.argsort(key)
    at = np.searchsorted(key[by], trace.process[first].astype(np.int64) * width + program.index[first])
    there = np.flatnonzero((at < len(stops)) & own)
    stop = stops[by[at[there]]]
    same = trace.process[stop] == trace.process[first[there]]
    rows, group = np.concatenate([rows, stop[same]]), np.concatenate([group, there[same]])
    order = np.argsort(group, kind="stable")
    return rows[order], group[order]


def _lease_ends(
    order: Order, facts: Facts, by: Int64, group: Int64, count: int, end_rows: Int64, end_starts: Int64
) -> tuple[Int64, Int64, Int64, Bool]:
    """Between which moments the lease of each holding ended, whose clock tells, and whether it has a lease.

    On true time, a clock that may be wrong by d millionths needs from t / (1 + d) to t / (1 - d) to show that t has
    passed. Counted from the event that told of the lease, and back from an event at the same process after its end.
    """
    early, late = np.full(count, NEVER, np.int64), np.full(count, NEVER, np.int64)
    clock = np.zeros(count, np.int64)
    leased = np.zeros(count, np.bool_)
    entries = np.flatnonzero((facts.lease[by] >= 0) & ~facts.ends[by])
    if not len(entries):
        return early, late, clock, leased
    rows, lease, of = facts.rows[by[entries]], facts.lease[by[entries]], group[entries]
    leased[of] = True
    if not order.clocked:
        return early, late, clock, leased
    until = order.moment[rows] + lease
    sort = np.lexsort((until, of))
    latest = sort[np.append(np.diff(of[sort]) != 0, True)]
    at = of[latest]
    base, span = order.moment[rows[latest]], lease[latest]
    clock[at] = order.execution.trace.process[rows[latest]]
    exact = order.column == "time_ns" or order.drift_ppm == 0
    early[at] = base + (span if exact else _shortest(span, order))
    late[at] = base + (span if exact else _longest(span, order))
    if order.column == "true_time_ns":
        _corrected(order, rows[latest], span, at, end_rows, end_starts, early, late)
    late[_extended_anyhow(facts, by, group, entries[latest])] = FAR
    return early, late, clock, leased


def _extended_anyhow(facts: Facts, by: Int64, group: Int64, latest: Int64) -> Int64:
    """Holdings whose lease was extended for nobody knows how long, after the last entry that tells a length."""
    anyhow = np.flatnonzero(facts.extends[by] & (facts.lease[by] < 0))
    told = np.full(int(group.max()) + 1, len(by), np.int64)
    told[group[latest]] = latest
    return np.unique(group[anyhow[anyhow > told[group[anyhow]]]])


def _shortest(span: Int64, order: Order) -> Int64:
    """The least true time in which a clock shows that `span` has passed."""
    least: Int64 = np.floor(span * (MILLION / (MILLION + order.drift_ppm))).astype(np.int64)
    return least


def _longest(span: Int64, order: Order) -> Int64:
    """The most true time in which a clock shows that `span` has passed."""
    if order.drift_ppm >= MILLION:
        return np.full(len(span), FAR, np.int64)
    most: Int64 = np.minimum(np.ceil(span * (MILLION / (MILLION - order.drift_ppm))), FAR).astype(np.int64)
    return most


def _corrected(
    order: Order, told: Int64, span: Int64, at: Int64, end_rows: Int64, end_starts: Int64, early: Int64, late: Int64
) -> None:
    """Narrows the moments by the first end at the same process: its clock tells how long ago the lease ended there."""
    trace = order.execution.trace
    clock = trace.get("time_ns")
    if clock is None or clock.values.dtype != np.int64:
        return
    counts = np.diff(end_starts)[at]
    some = np.flatnonzero(counts > 0)
    row = end_rows[end_starts[at[some]]]
    usable = clock.present[row] & clock.present[told[some]] & (trace.process[row] == trace.process[told[some]])
    usable &= (np.abs(clock.values[row]) < FAR) & (np.abs(clock.values[told[some]]) < FAR)
    some, row = some[usable], row[usable]
    past = clock.values[row] - (clock.values[told[some]] + span[some])
    over = past >= 0
    some, row, past = some[over], row[over], past[over]
    low, high = order.moment[row] - _longest(past, order), order.moment[row] - _shortest(past, order)
    which = at[some]
    low, high = np.maximum(early[which], low), np.minimum(late[which], high)
    agree = low <= high
    early[which[agree]], late[which[agree]] = low[agree], high[agree]


def _in_order(found: Holdings) -> Holdings:
    """The same holdings by lock, then in the order in which they began."""
    position = np.empty(len(found), np.int64)
    position[found.order.linear(found.first)] = np.arange(len(found))
    by = _swapped(found, np.lexsort((position, found.lock)))
    begin_rows, begin_starts = _reordered(found.begin_rows, found.begin_starts, by)
    end_rows, end_starts = _reordered(found.end_rows, found.end_starts, by)
    return Holdings(
        found.order, found.facts, found.lock[by], found.holder[by], found.token[by], found.first[by], found.begun[by],
        begin_rows, begin_starts, end_rows, end_starts, found.early[by], found.late[by], found.clock[by],
        found.leased[by], found.sound[by], found.unclear,
    )  # fmt: skip


def _swapped(found: Holdings, by: Int64) -> Int64:
    """Neighbours that clocks which differ put the wrong way round, exchanged until happens-before agrees. O(h) a round;
    nothing is certain of those that would need more rounds."""
    for _ in range(ROUNDS):
        wrong = found.order.before(found.first[by[1:]], found.first[by[:-1]]) & (np.diff(found.lock[by]) == 0)
        at = np.flatnonzero(wrong)
        if not len(at):
            return by
        at = at[np.diff(at, prepend=-2) > 1]
        by = by.copy()
        by[at], by[at + 1] = by[at + 1], by[at]
    found.sound[by[np.concatenate([at, at + 1])]] = False
    return by


def _reordered(rows: Int64, starts: Int64, by: Int64) -> tuple[Int64, Int64]:
    _, at = _expanded(starts, by)
    out = np.zeros(len(by) + 1, np.int64)
    np.cumsum(np.diff(starts)[by], out=out[1:])
    return rows[at], out
