"""Happens-before recovered from recorded vector timestamps alone, where no message ids tell what was received.

An event e of process P precedes f of another process exactly if f's vector has at least e's own component for P (Fidge
1988, Mattern 1989). An event that came to know of foreign events is a join; an edge leads to it from each of those
that it knows through no other. A receive that brought no news leaves no trace in vectors: it cannot be seen.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tracekit.kernels.engine import kernels
from tracekit.order.program import ProgramOrder
from tracekit.trace.columns import Column
from tracekit.trace.schema import Kind
from tracekit.trace.trace import Trace

Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]
NO_LIMIT = np.iinfo(np.int64).max


@dataclass(frozen=True, eq=False)
class Contradictions:
    """Recorded vectors that contradict each other, whatever happened and whatever is missing; one entry each.

    Attributes
    ----------
    rows: the event that shows it, process after process in program order.
    components: the process of which the event knows another event, or too many.
    others: rows of the events that it knows; -1 where it knows more events of that process than were recorded.
    chain, starts: rows whose vectors contradict nothing once these are left out, each process's in program order, and
        where each process's begin.
    """

    rows: Int64
    components: Int64
    others: Int64
    chain: Int64
    starts: Int64

    @classmethod
    def of(cls, trace: Trace, program: ProgramOrder) -> Contradictions:
        """O(n p) time, O(n) memory. Vectors that fall along their process are left out before, two for each fall."""
        column = trace.lists("vclock")
        assert column is not None and isinstance(column.items, Column), "asked only where vectors are recorded"
        offsets, values, n = column.offsets, column.items.values, len(trace)
        loops = kernels("recovery", work=len(values) + n)
        present = with_vectors(trace)
        chain, starts = np.empty(n, np.int64), np.zeros(len(trace.processes) + 1, np.int64)
        size = loops.chains(program.rows, trace.process, present, offsets, values, chain, starts)
        chain, own = chain[:size], own_components(trace)
        back, why = np.arange(size), np.zeros((size, 2), np.int64)
        loops.contradictions(chain, starts, own[chain], offsets, values, _most_recorded(trace, present, own), back, why)
        good = back == np.arange(size)
        at = np.flatnonzero(why[:, 0])
        others = np.where(why[at, 1] > 0, chain[why[at, 1] - 1], -1)
        return cls(chain[at], why[at, 0] - 1, others, chain[good], np.concatenate([[0], np.cumsum(good)])[starts])


@dataclass(frozen=True, eq=False)
class Recovered:
    """What recorded vectors say; the arrays are those of `HappensBefore`.

    Attributes
    ----------
    joins, starts, last_join, vectors: rows of joins, where each process's begin, the last join at or before each
        event, and how much each join knows.
    sources, source_starts: rows of the senders of each join's edges, join after join.
    impossible: rows whose vectors contradict others; they order nothing.
    contradictions: what these contradict.
    silent: rows without a usable vector (absent, or of a process that has no component).
    firsts: distinct own components of first events, ascending: what the recorder counts from.
    still: how many events repeat the own component of the event before them.
    received, unseen: how many events are recorded as receives, and how many of those brought no news: they left no
        trace in the vectors. Where no receives are recorded as such, nobody can say how many there were.
    """

    joins: Int64
    starts: Int64
    last_join: Int32
    vectors: Int32
    sources: Int64
    source_starts: Int64
    impossible: Int64
    contradictions: Contradictions
    silent: Int64
    firsts: tuple[int, ...]
    still: int
    received: int
    unseen: int

    @property
    def words(self) -> str:
        """What the order rests on, and what vectors cannot show."""
        parts = [f"{len(self.sources):,} causal edges recovered"]
        if self.received:
            parts.append(f"{self.unseen:,} of {self.received:,} receives brought no news and have none")
        else:
            parts.append("receives that brought no news are not seen")
        if self.firsts and self.firsts[0] == 0:
            parts.append("first events stamped 0 are seen through later ones only")
        if self.still:
            parts.append(f"{self.still:,} events did not tick")
        if len(self.impossible):
            parts.append(f"{len(self.impossible):,} events with contradictory clocks left unordered")
        if len(self.silent):
            parts.append(f"{len(self.silent):,} events without clocks left unordered")
        return f"vector clocks ({'; '.join(parts)})"


def recover(trace: Trace, program: ProgramOrder) -> Recovered:
    """The order that the column `vclock` records. O(n p) time, O(n + joins p) memory.

    Vectors that contradict each other are left out, two for each contradiction, since either may be wrong: one
    that falls at its process; one that knows an event but not all that this one knew, or that this one knows; one that
    knows more events of a process than were recorded, where that process's end is not declared uncovered.
    """
    column = trace.lists("vclock")
    assert column is not None and isinstance(column.items, Column), "asked only where vectors are recorded"
    offsets, values = column.offsets, column.items.values
    processes, n = len(trace.processes), len(trace)
    loops = kernels("recovery", work=len(values) + n)
    present, own = with_vectors(trace), own_components(trace)
    found = Contradictions.of(trace, program)
    chain, starts = found.chain, found.starts
    mine = own[chain]
    is_join = np.zeros(len(chain), np.bool_)
    count = loops.joins(chain, starts, mine, offsets, values, is_join)
    vectors = np.zeros((count, processes + 1), np.int32)
    in_chain = np.zeros(n, np.bool_)
    in_chain[chain] = True
    counts = _surely_known(trace, program, chain, present & ~in_chain, own)
    loops.join_rows(chain, starts, mine, offsets, values, counts, np.flatnonzero(is_join), vectors)
    joins = chain[is_join]
    vectors[np.arange(count), trace.process[joins]] = program.index[joins] + 1
    joined = np.zeros(n, np.bool_)
    joined[joins] = True
    join_starts, _, last_join = program.last_of(trace.process, joined)
    sources, source_starts = _edges(trace, program, joins, last_join, vectors)
    received = int((in_chain & (trace.kind == Kind.RECEIVE)).sum())
    return Recovered(
        joins, join_starts, last_join, vectors, sources, source_starts,
        impossible=np.flatnonzero(present & ~in_chain),
        contradictions=found,
        silent=np.flatnonzero(~present & (trace.kind != Kind.FAULT)),
        firsts=tuple(np.unique(mine[starts[:-1][np.diff(starts) > 0]]).tolist()),
        still=int(((np.diff(mine) == 0) & (np.diff(trace.process[chain]) == 0)).sum()),
        received=received,
        unseen=received - int((trace.kind[joins] == Kind.RECEIVE).sum()),
    )  # fmt: skip


def with_vectors(trace: Trace) -> NDArray[np.bool_]:
    """Shape (n,): events that have a vector, at processes that have a component."""
    column = trace.lists("vclock")
    assert column is not None, "asked only where vectors are recorded"
    present: NDArray[np.bool_] = column.present & (trace.kind != Kind.FAULT) & (trace.process < trace.components)
    return present


def own_components(trace: Trace) -> Int64:
    """Shape (n,): each event's own component of its vector; 0 where it has none."""
    column = trace.lists("vclock")
    own = np.zeros(len(trace), np.int64)
    if column is None or not isinstance(column.items, Column):
        return own
    has = column.present & (np.diff(column.offsets) > trace.process)
    own[has] = column.items.values[column.offsets[:-1][has] + trace.process[has]]
    return own


def _most_recorded(trace: Trace, present: NDArray[np.bool_], own: Int64) -> Int64:
    """Shape (processes,): the largest own component recorded; no limit where nothing was, or the end is not covered."""
    limit = np.full(len(trace.processes), -1, np.int64)
    np.maximum.at(limit, trace.process[present], own[present])
    for code, name in enumerate(trace.processes):
        if limit[code] < 0 or trace.run.coverage.get(name, {}).get("end") is False:
            limit[code] = NO_LIMIT
    return limit


def _surely_known(
    trace: Trace, program: ProgramOrder, chain: Int64, impossible: NDArray[np.bool_], own: Int64
) -> Int64:
    """Shape of `chain`: how many first events of its process are known to whoever has heard of the event.

    All up to it; but where an earlier event that was left out has the same own component (a restart that reset the
    clock), only those up to that one: either may be meant.
    """
    counts: Int64 = program.index[chain] + 1
    left_out = np.flatnonzero(impossible)
    if not len(left_out):
        return counts
    _, code = np.unique(own[np.concatenate([chain, left_out])], return_inverse=True)
    code = code * len(trace.processes) + trace.process[np.concatenate([chain, left_out])]
    earliest = np.full(int(code.max()) + 1, NO_LIMIT)
    np.minimum.at(earliest, code[len(chain) :], program.index[left_out] + 1)
    np.minimum(counts, earliest[code[: len(chain)]], out=counts)
    at = trace.process[chain]
    for p in np.unique(trace.process[left_out]):
        mine = at == p
        counts[mine] = np.minimum.accumulate(counts[mine][::-1])[::-1]
    return counts


def _edges(trace: Trace, program: ProgramOrder, joins: Int64, last_join: Int32, vectors: Int32) -> tuple[Int64, Int64]:
    """Senders of each join after transitive reduction; Lamport timestamps of joins go into their vectors."""
    at = trace.process[joins]
    grown = vectors[:, :-1].copy()
    same = at[1:] == at[:-1]
    grown[1:][same] -= vectors[:-1, :-1][same]
    most = int((grown > 0).sum())
    sources, starts = np.empty(most, np.int64), np.zeros(len(joins) + 1, np.int64)
    loops = kernels("recovery", work=vectors.size)
    count = loops.covering(vectors, at, last_join, program.rows, program.starts, sources, starts)
    # A join knows strictly more than every join before it, so the sum of its counts is larger.
    order = np.argsort(vectors[:, :-1].sum(axis=1, dtype=np.int64), kind="stable")
    loops.longest_chains(order, joins, at, program.index, last_join, sources, starts, vectors)
    return sources[:count].copy(), starts
