"""Recorded vectors read by their recorder's convention, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tracekit.checks.clock.convention import Convention, Start
from tracekit.checks.clock.findings import (
    ANOMALIES,
    DUPLICATE,
    Findings,
    alike,
    counted,
    located,
    misplaced,
    with_places,
)
from tracekit.checks.clock.timed import ENOUGH, Timed, absent_zeros, covered, may_have_learned
from tracekit.execution import Execution
from tracekit.kernels.engine import kernels
from tracekit.results import Violation
from tracekit.trace.columns import Column, ListColumn
from tracekit.trace.schema import Kind
from tracekit.trace.trace import Trace

Bool = NDArray[np.bool_]
Int64 = NDArray[np.int64]

WORDS = {
    1: ("its process had recorded at least", "no component falls along a process"),
    2: ("its process's events give", "an event advances its own component by one"),
    4: ("the message that it received brought", "a receive knows at least what its message brought"),
    5: ("neither its process nor its message can know more than", "no event knows more than its past"),
    6: ("its process's events give", "an event advances its own component by one"),
    7: ("a crash or restart lies before it, and without one it would be", "a restart keeps the clock"),
    8: ("nobody recorded an event of that process, so nobody can know more than", "no event knows more than its past"),
}
"""By code: what the sentence says before the expected value, and the rule."""


@dataclass(frozen=True, eq=False)
class VectorClocks:
    """The recorded vectors of one execution.

    Attributes
    ----------
    column, own: the vectors, and shape (n,) each event's own component.
    learned: shape (n,): events that may know anything, whether or not their send has a vector.
    strangers: rows with a vector, other than of zeros, at a process that has no component.
    facts: what was found out about the recording, for people.
    spoiled: what was set aside and may have had a timestamp.
    """

    execution: Execution
    column: ListColumn
    own: Int64
    timed: Timed
    convention: Convention
    start: Start
    learned: Bool
    strangers: Int64
    facts: Mapping[str, int]
    spoiled: str

    @classmethod
    def of(cls, execution: Execution, column: ListColumn) -> VectorClocks:
        """Infers the convention. O(n)."""
        trace = execution.trace
        present = column.present & (trace.kind != Kind.FAULT)
        outside = present & (trace.process >= trace.components)
        strangers = np.flatnonzero(outside & ~_all_zero(column, outside))
        present &= trace.process < trace.components
        own = _own(execution, column)
        timed = Timed.of(execution, present)
        zeros = absent_zeros(timed, own, _all_zero(column, present & (own == 0)), trace.process)
        if zeros.any():
            timed = Timed.of(execution, present & ~zeros)
        convention = Convention.of(trace, timed, own, np.empty(0, np.int64))
        start = Start.of(trace, timed, own, convention)
        unseen = may_have_learned(execution)
        late = _begun_before(trace, timed, own, start)
        facts = {
            "events with unknown sends": int(np.count_nonzero(timed.present & unseen)),
            "processes that had begun before": len(late),
            "zeros taken as no timestamp": int(np.count_nonzero(zeros)),
        }
        unseen[late] = True
        return cls(
            execution, column, own, timed, convention, start, unseen, strangers,
            {name: count for name, count in facts.items() if count},
            trace.set_aside.spoiling(lambda name: name in ("vclock", "message")),
        )  # fmt: skip

    def findings(self) -> Findings:
        """Every error. O(n p)."""
        trace, offsets, values = self.execution.trace, self.column.offsets, self._values
        loops = kernels("clocks", work=len(values) + len(trace))
        found = np.zeros(len(trace), np.int64)
        loops.vector_errors(
            self.execution.program_order.walk, trace.process, offsets, values, self._state(),
            self.execution.messages.send_of, self._limits(), found,
        )  # fmt: skip
        bad = np.flatnonzero(found)
        code, component = found[bad] % loops.CODES, found[bad] // loops.CODES
        eventless = np.bincount(trace.process, minlength=len(trace.processes)) == 0
        parent = self._explained(bad, code, component)
        code[(code == 5) & eventless[component]] = 8
        rows = np.concatenate([bad, self.strangers])
        _, first, which = np.unique(trace.process[self.strangers], return_index=True, return_inverse=True)
        leader = len(bad) + first[which]
        leader[first] = -1
        return with_places(
            self.execution,
            rows,
            np.concatenate([code, np.full(len(self.strangers), 8)]),
            np.concatenate([parent, leader]),
            np.concatenate([component, np.zeros(len(self.strangers), np.int64)]),
        )

    @property
    def _values(self) -> Int64:
        assert isinstance(self.column.items, Column), "the schema's type was checked on read"
        values: Int64 = self.column.items.values
        return values

    def _state(self) -> Int64:
        """Shape (n,): the bits that the kernel reads."""
        trace, timed, loops = self.execution.trace, self.timed, kernels("clocks", work=0)
        of_kind = loops.PRESENT + loops.MUST_TICK * self.convention.must + loops.MAY_TICK * self.convention.may
        if self.spoiled:
            of_kind += loops.MISSED * loops.FAR
        state: Int64 = np.asarray(of_kind, np.int64)[trace.kind]
        state[self.learned] += loops.LEARNED
        state[timed.restarted] += loops.RESTARTED
        gaps = np.flatnonzero(timed.missed)
        state[gaps] += loops.MISSED * timed.missed[gaps]
        first = timed.first
        begins = first[[covered(trace, int(code), "start") is True for code in trace.process[first]]]
        state[begins] += loops.BEGINS
        if self.start.value is None:
            state[begins] &= ~loops.MUST_TICK
        state[begins[~self.convention.shown[trace.kind[begins]]]] &= ~loops.MUST_TICK
        state[~timed.present] = 0
        return state

    def _limits(self) -> Int64:
        """Shape (components + 1,): the most that each process can have counted, where it is declared recorded from
        start to end; in the last place the clock before a first event, the largest possible where that is undecided."""
        trace = self.execution.trace
        most = np.full(trace.components + 1, np.iinfo(np.int64).max)
        most[-1] = 1 if self.start.value is None else self.start.value
        if not trace.complete or self.spoiled:
            return most
        whole = [c for c in range(trace.components) if covered(trace, c, "start") and covered(trace, c, "end")]
        if not whole:
            return most
        largest, untimed = np.zeros(trace.components, np.int64), np.zeros(trace.components, np.int64)
        rows = self.timed.rows
        np.maximum.at(largest, trace.process[rows], self.own[rows])
        others = np.flatnonzero(~self.timed.present & (trace.process < trace.components))
        np.add.at(untimed, trace.process[others], 1)
        for code in whole:
            count = int(largest[code]) + int(untimed[code]) + int(largest[code] == 0)
            most[code] = min(count, most[code])
        return most

    def _send(self, rows: Int64) -> Int64:
        """Rows of the sends that events received and that have a vector; -1 where there is none."""
        send_of = self.execution.messages.send_of[rows]
        return np.where(self.timed.present[send_of], send_of, -1)

    def _explained(self, bad: Int64, code: Int64, component: Int64) -> Int64:
        """For each error, the one that explains it, as a place in `bad`, or -1.

        An event that is too high only beside one that is too low in the same component, or the other way round, follows
        from that one. Messages that bring a receiver more of its own events than there were follow from the first
        event at another process that claimed to know of them.
        """
        parent = np.full(len(bad), -1, np.int64)
        if not len(bad):
            return parent
        trace = self.execution.trace
        high = (code == 5) | (code == 6)
        is_own = trace.process[bad] == component
        for reference in (self._send(bad), self.timed.before[bad]):
            at = np.minimum(np.searchsorted(bad, reference), len(bad) - 1)
            known = (bad[at] == reference) & (reference >= 0)
            low_there, high_there = self._wrong(np.maximum(reference, 0), component)
            high_there |= high[at] & (component[at] == component)
            opposite = known & np.where(high, low_there, high_there)
            parent[opposite] = at[opposite]
        claims = np.flatnonzero((code == 5) & ~is_own)
        told, first = np.unique(component[claims], return_index=True)
        told_too_much = np.flatnonzero((code == 5) & is_own)
        if len(told) and len(told_too_much):
            at = np.minimum(np.searchsorted(told, component[told_too_much]), len(told) - 1)
            same = told[at] == component[told_too_much]
            parent[told_too_much[same]] = claims[first[at[same]]]
        return self._systematic(bad, code, component, parent)

    def _systematic(self, bad: Int64, code: Int64, component: Int64, parent: Int64) -> Int64:
        """Receives that are wrong about their sender, each by as much: it is the sender whose own component is off,
        since the error of its own clock that is as large, where there is one. Receives of a process of which the event
        after knows what the message brought: its stamps are late by one event."""
        if not len(bad):
            return parent
        send, process, index = self._send(bad), self.execution.trace.process, self.execution.program_order.index
        here, brought = self._entries(bad, component), self._entries(send, component)
        told = (process[send] == component) & (send >= 0) & (process[bad] != component) & ((code == 4) | (code == 5))
        off = np.where(told, brought - here, 0)
        own = np.flatnonzero((process[bad] == component) & (code < DUPLICATE) & (parent < 0))
        ticks = self.convention.may[self.execution.trace.kind[bad[own]]]
        known = np.maximum(self._entries(self.timed.before[bad[own]], component[own]), brought[own])
        by = here[own] - known - ticks
        others = np.flatnonzero(told & (parent < 0))
        pairs = np.stack([np.concatenate([component[own], component[others]]), np.concatenate([by, off[others]])])
        which = np.unique(pairs, axis=1, return_inverse=True)[1].reshape(-1)
        since = np.full(len(which), len(bad))
        np.minimum.at(since, which[: len(own)], own)
        cause = np.minimum(since[which[len(own) :]], len(bad) - 1)
        follows = (since[which[len(own) :]] < len(bad)) & (index[send[others]] >= index[bad[cause]])
        parent[others[follows]] = cause[follows]
        _, key = np.unique(np.stack([code, component, off]), axis=1, return_inverse=True)
        one_sender = alike(parent, np.where(told, key.reshape(-1), -1))
        changed = one_sender != parent
        changed[one_sender[changed]] = True
        late = self._late(bad, code, component)
        ways = (
            _late_first(one_sender, late, process[bad], ~changed),
            _late_first(parent, late, process[bad], np.ones(len(bad), np.bool_)),
        )
        return min((*ways, alike(ways[1], np.where(told, key.reshape(-1), -1))), key=_causes)

    def _late(self, bad: Int64, code: Int64, component: Int64) -> Bool:
        """Errors that show where stamps are late by one event: a receive lacks what the next event has; and an event
        after a receive has news that neither it nor its message can have brought."""
        process, kind, before = self.execution.trace.process[bad], self.execution.trace.kind, self.timed.before[bad]
        brought = self._entries(self._send(bad), component)
        late: Bool = (code == 4) & (self._entries(self._next(bad), component) >= brought)
        late |= (code == 5) & (process != component) & (before >= 0) & (kind[before] == Kind.RECEIVE)
        return late

    def _next(self, rows: Int64) -> Int64:
        """Rows of the events after each at its process, where these have a vector; else -1."""
        program, process = self.execution.program_order, self.execution.trace.process[rows]
        place = program.starts[process] + program.index[rows] + 1
        there = place < program.starts[process + 1]
        found = program.rows[np.where(there, place, 0)]
        return np.where(there & self.timed.present[found], found, -1)

    def _wrong(self, rows: Int64, component: Int64) -> tuple[Bool, Bool]:
        """Whether each event is surely lower, and surely higher, in the component than predecessor and send give."""
        before, missed = self.timed.before[rows], self.timed.missed[rows]
        here, earlier = self._entries(rows, component), self._entries(before, component)
        trace, send = self.execution.trace, self._send(rows)
        brought, kind = self._entries(send, component), trace.kind[rows]
        own = trace.process[rows] == component
        stands = own & (here == earlier) & self.convention.must[kind] & (before >= 0)
        more = here - np.maximum(earlier, brought)
        unseen = self.learned[rows] | (send != self.execution.messages.send_of[rows])
        sure = own | ~(unseen | (missed > 0))
        high = sure & (more > own * (missed + self.convention.may[kind]))
        return (here < earlier) | (~own & (here < brought)) | stands, high

    def _entries(self, rows: Int64, component: Int64) -> Int64:
        """Components of vectors; zero beyond a vector's end, and for no row (-1)."""
        offsets, values = self.column.offsets, self._values
        has = (rows >= 0) & (component < (offsets[rows + 1] - offsets[rows]))
        out = np.zeros(len(rows), np.int64)
        out[has] = values[offsets[rows[has]] + component[has]]
        return out

    def violation(self, findings: Findings, i: int) -> Violation:
        """One error in words, with its witness."""
        row, code, consequences = int(findings.rows[i]), int(findings.code[i]), int(findings.consequences[i])
        if code >= DUPLICATE:
            return misplaced(self.execution, row, code, consequences)
        trace, execution = self.execution.trace, self.execution
        if trace.process[row] >= trace.components:
            return self._stranger(row, consequences)
        component = int(findings.component[i])
        earlier, send = int(self.timed.before[row]), int(self._send(np.array([row]))[0])
        here, known, brought = (
            int(self._entries(np.array([r]), np.array([component]))[0]) for r in (row, earlier, send)
        )
        name, own = trace.processes[component], component == trace.process[row]
        ticks = int(self.convention.may[trace.kind[row]])
        wanted = max(known, brought) + int(own) * ticks
        words, rule = WORDS[code]
        if code == 5 and own:
            here, wanted = brought, known
            sentence = f"{trace.event(row)} receives knowledge of {brought} events of its own process; it had {known}."
        elif own and earlier < 0:
            wanted = (self.start.value if self.start.value is not None else 1) + ticks
            sentence = f"{trace.event(row)}, the first event of {name}, records {here} as its own; it is {wanted}."
        else:
            whose = f"component {name}{' (its own)' if own else ''}"
            sentence = f"{trace.event(row)} records {here} in {whose}; {words} {wanted}."
        rows = [r for r in (earlier, send) if r >= 0]
        shown = [(r, f"{execution.text(r)}, {self.column.at(r)}") for r in (*rows, row)]
        facts = {"component": name, "recorded": here, "expected": wanted}
        edges = tuple(execution.edge(r, row) for r in rows)
        return Violation(
            ANOMALIES[code], counted(sentence, consequences), execution.witness(shown), edges,
            located(execution, row, rule, facts, consequences),
        )  # fmt: skip

    def _stranger(self, row: int, consequences: int) -> Violation:
        """A vector at a process that has no component."""
        execution, trace = self.execution, self.execution.trace
        name, known = trace.processes[trace.process[row]], ", ".join(trace.processes[: trace.components])
        shown = [(row, f"{execution.text(row)}, {self.column.at(row)}")]
        sentence = f"{trace.event(row)} records a vector, but {name} is none of the vectors' components ({known})."
        facts = located(
            execution,
            row,
            "every process with vectors has a component",
            {"recorded": name, "expected": known},
            consequences,
        )
        return Violation(ANOMALIES[8], counted(sentence, consequences), execution.witness(shown), (), facts)


def _late_first(parent: Int64, late: Bool, process: NDArray[np.int32], free: Bool) -> Int64:
    """Late stamps of one process, `ENOUGH` of them, as one mistake: one seems low and the next one high, however else
    they hang together. free: errors that may be counted so."""
    some = late & free
    some &= (np.bincount(process[some], minlength=int(process.max()) + 1) >= ENOUGH)[process]
    return alike(np.where(some, -1, parent), np.where(some, process, -1))


def _causes(parent: Int64) -> int:
    """How many root causes there are."""
    roots: int = kernels("clocks", work=len(parent)).separate(parent, np.zeros(len(parent), np.int8))
    return roots


def _own(execution: Execution, column: ListColumn) -> Int64:
    """Shape (n,): each event's own component; 0 where its vector does not reach that far."""
    assert isinstance(column.items, Column), "the schema's type was checked on read"
    trace, own = execution.trace, np.empty(len(column), np.int64)
    loops = kernels("clocks", work=len(column))
    loops.own_components(trace.process, column.offsets, column.items.values, trace.components, own)
    return own


def _all_zero(column: ListColumn, among: Bool) -> Bool:
    """Shape (n,): which of the vectors consist of zeros only."""
    assert isinstance(column.items, Column), "the schema's type was checked on read"
    rows = np.flatnonzero(among)
    sizes = np.diff(column.offsets)[rows]
    owner = np.repeat(np.arange(len(rows)), sizes)
    ends = np.cumsum(sizes)
    index = np.arange(len(owner)) - np.repeat(ends - sizes, sizes) + np.repeat(column.offsets[:-1][rows], sizes)
    nonzero = np.bincount(owner, weights=column.items.values[index] != 0, minlength=len(rows)) > 0
    found = np.zeros(len(among), np.bool_)
    found[rows[~nonzero]] = True
    return found


def _begun_before(trace: Trace, timed: Timed, own: Int64, start: Start) -> Int64:
    """First rows of processes that had counted events before, whose start nobody declared recorded."""
    first = timed.first
    usual = 2 if start.value is None else start.value + 1
    unsaid = np.array([covered(trace, int(code), "start") is not True for code in trace.process[first]], np.bool_)
    late: Int64 = first[unsaid & (own[first] > usual)] if len(first) else first
    return late
