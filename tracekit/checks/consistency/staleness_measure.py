"""How stale each read certainly was: by versions and by time, from the real time of the operations."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracekit.checks.consistency.session_history import SessionHistory, history_of
from tracekit.execution import Execution
from tracekit.history.operations import BEGINNING, NEVER
from tracekit.history.sessions import INITIAL
from tracekit.kernels import atomicity
from tracekit.kernels.engine import kernels

Int64 = NDArray[np.int64]
Bool = NDArray[np.bool_]

CLOCKS = ("true_time_ns", "time_ns")

MOST_STEPS = 50
"""Steps an operation that the question whether a history is 2-atomic may take."""


@dataclass(frozen=True, eq=False)
class Staleness:
    """For every read whose write is known, what had certainly replaced it when the read began.

    A write is done as soon as it, or a read of its value, has ended. A read is behind by the writes of its key that
    began after the write that it read was done, and were done before the read began.

    Attributes
    ----------
    reads: entries of the `Sessions`, shape (m,); those that ended before their write began are left out.
    versions: shape (m,): how many writes each is certainly behind.
    replaced_by: shape (m,): the entry of the write that was done first of those; -1 where there is none.
    done_by: shape (n,): for each entry that is a write, the entry whose end shows that it was done; -1: none does.
    start, end, done: shape (n,): moments of the entries; done is `NEVER` for reads and where nothing shows it.
    early: entries of reads that ended before their write began: no order explains them.
    clock: column of the time by which `behind_ns` is measured; None where none was recorded.
    skew_ns: how far clocks may differ; one moment is before another only if more than that lies between.
    """

    history: SessionHistory
    reads: Int64
    versions: Int64
    replaced_by: Int64
    done_by: Int64
    start: Int64
    end: Int64
    done: Int64
    early: Int64
    clock: str | None
    skew_ns: int

    @cached_property
    def stale(self) -> Int64:
        """Places among `reads` of those that are behind."""
        return np.flatnonzero(self.versions > 0)

    @cached_property
    def behind_ns(self) -> Int64:
        """Shape (stale reads,): for how long, at least, the value had been replaced when the read began; -1 unknown."""
        column = None if self.clock is None else self.history.execution.trace.get(self.clock)
        if column is None:
            return np.full(len(self.stale), -1)
        begun = self.begun(self.reads[self.stale])
        done = self.ended(self.done_by[self.replaced_by[self.stale]])
        known = (begun >= 0) & (done >= 0)
        known &= column.present[begun] & column.present[done]
        return np.where(known, np.maximum(column.values[begun] - column.values[done], 0), -1)

    def begun(self, entries: Int64) -> Int64:
        """Rows of the invocations of entries; -1 where there is none."""
        return self.history.operations.invoke[self.history.sessions.operation[entries]]

    def ended(self, entries: Int64) -> Int64:
        """Rows of the completions of entries; -1 where there is none."""
        return self.history.operations.completion[self.history.sessions.operation[entries]]

    @cached_property
    def operations_behind(self) -> Int64:
        """Shape (stale reads,): operations the reader began since the value was replaced, the read included."""
        sessions = self.history.sessions
        base = np.minimum(self.start, NEVER - 1)
        order = np.lexsort((base, sessions.session))
        wanted_session = sessions.session[self.reads[self.stale]]
        moment = self.done[self.replaced_by[self.stale]]
        low = _after(sessions.session[order], base[order], wanted_session, moment)
        place = np.empty(len(order), np.int64)
        place[order] = np.arange(len(order))
        return place[self.reads[self.stale]] - low + 1

    @cached_property
    def most_versions(self) -> int | None:
        """A bound k such that some order of the operations explains every read by one of the last k writes.

        The order: each write when it was first seen to be done, each read as soon as it had begun and its write was
        there. None where some reads cannot be placed. O(n log n).
        """
        sessions = self.history.sessions
        elsewhere = ~sessions.write & (sessions.source < INITIAL)  # reads whose write is not known, or does not exist
        if len(self.early) or not len(self.reads) or self.skew_ns or elsewhere.any():
            return None
        writes = np.flatnonzero(sessions.write)
        order = writes[np.lexsort((self.done[writes], sessions.key[writes]))]
        rank = np.full(len(sessions), -1, np.int64)
        rank[order] = np.arange(len(order))
        source = sessions.source[self.reads].astype(np.int64)
        begins = _begins(sessions.key[order], len(sessions.names))[sessions.key[self.reads]]
        own = np.where(source >= 0, rank[source], begins - 1)
        point = np.maximum(self.start[self.reads], np.where(source >= 0, self.done[source], self.start[self.reads]))
        until = _after(sessions.key[order], self.done[order], sessions.key[self.reads], point, strictly=False)
        return int(np.maximum(until - own, 1).max())

    @cached_property
    def k(self) -> tuple[int, int | None]:
        """Bounds of the least k for which the reads measured here are k-atomic; equal where it is at most 2.

        Between them lie the most versions that a read is certainly behind, one greedy order, and the exact answers for
        k of 1 and 2; for larger k no polynomial algorithm is known.
        """
        least, most = 1 + int(self.versions.max(initial=0)), self.most_versions
        while most is not None and least < most and least <= 2:
            found = self._is_atomic(least)
            if found == atomicity.UNDECIDED:
                break
            least, most = (least, least) if found == atomicity.ATOMIC else (least + 1, most)
        return least, most

    def _is_atomic(self, k: int) -> int:
        """Whether the reads are k-atomic, key by key. The initial value counts as a write before everything."""
        sessions = self.history.sessions
        keys, writes = len(sessions.names), np.flatnonzero(sessions.write)
        key = np.concatenate([np.arange(keys), sessions.key[writes]])
        start = np.concatenate([np.full(keys, BEGINNING - 1), self.start[writes]])
        done = np.concatenate([np.full(keys, BEGINNING - 1), self.done[writes]])
        order = np.lexsort((start, key))
        place = np.empty(len(order), np.int64)
        place[order] = np.arange(len(order))
        entry = np.full(len(sessions), -1)
        entry[writes] = place[keys:]
        read_key, begun = sessions.key[self.reads], self.start[self.reads]
        by_start = np.lexsort((begun, read_key))
        written = sessions.source[self.reads][by_start]
        source = np.where(written >= 0, entry[written], place[read_key[by_start]])
        of_first = _begins(source, len(order))
        module = kernels("atomicity", work=len(order) + len(source))
        found: int = module.is_atomic(
            k, _begins(key, keys), _begins(read_key, keys), start[order], done[order],
            np.lexsort((done[order], -key[order]))[::-1], begun[by_start], source, of_first,
            np.argsort(source, kind="stable"), MOST_STEPS * (len(order) + len(source)),
        )  # fmt: skip
        return found


def staleness_of(execution: Execution) -> Staleness:
    """How stale the reads were; ask through `execution.derive`. O(n log n)."""
    history = execution.derive(history_of)
    sessions, operations = history.sessions, history.operations
    start, end = operations.start[sessions.operation], operations.end[sessions.operation]
    skew = execution.options.skew_ns or operations.real_time.skew_ns or 0
    source = sessions.source.astype(np.int64)
    reads = np.flatnonzero(source >= INITIAL)
    too_early = (source[reads] >= 0) & (_later(end[reads], skew) < start[source[reads]])
    early, reads = reads[too_early], reads[~too_early]
    done, done_by = _done(source, sessions.write, end, reads)
    versions, replaced_by = _behind(history, reads, start, done, skew)
    return Staleness(history, reads, versions, replaced_by, done_by, start, end, done, early, _clock(execution), skew)


def _clock(execution: Execution) -> str | None:
    """The column by which time is told: that of real time, else one that the same recorder wrote beside the index."""
    own = execution.operations.real_time.column
    if own in CLOCKS:
        return own
    recorded = [name for name in CLOCKS if name in execution.trace]
    return recorded[0] if recorded and own == "index" else None


def _done(source: Int64, write: Bool, end: Int64, reads: Int64) -> tuple[Int64, Int64]:
    """When each write was certainly done, and the entry whose end shows it."""
    done = np.where(write, end, NEVER)
    reads = reads[source[reads] >= 0]
    np.minimum.at(done, source[reads], end[reads])
    by = np.where(write & (end == done) & (done != NEVER), np.arange(len(end)), -1)
    shown = reads[(end[reads] == done[source[reads]]) & (by[source[reads]] < 0)]
    by[source[shown[::-1]]] = shown[::-1]
    return done, by


def _behind(history: SessionHistory, reads: Int64, start: Int64, done: Int64, skew: int) -> tuple[Int64, Int64]:
    """Versions that each read is behind, and the write that was done first of those; -1 where there is none."""
    sessions = history.sessions
    writes = np.flatnonzero(sessions.write)
    versions, replaced_by = np.zeros(len(reads), np.int64), np.full(len(reads), -1)
    if not len(writes) or not len(reads):
        return versions, replaced_by
    order = writes[np.lexsort((start[writes], sessions.key[writes]))]
    key, source = sessions.key[order], sessions.source[reads].astype(np.int64)
    # Moments are compared with a margin of the skew; NEVER stays out of reach.
    read_done = np.where(source >= 0, done[source], -(2**63))
    first = _after(key, start[order], sessions.key[reads], _later(read_done, skew))
    last = _begins(key, len(sessions.names))[sessions.key[reads] + 1]
    earliest = _first_done(key, done[order])
    begun = start[reads]
    at = np.where(first < last, earliest[np.minimum(first, len(order) - 1)], -1)
    stale = np.flatnonzero((at >= 0) & (_later(done[order[np.maximum(at, 0)]], skew) < begun))
    replaced_by[stale] = order[at[stale]]
    if not len(stale):
        return versions, replaced_by
    by_moment = stale[np.argsort(begun[stale], kind="stable")]
    by_done = np.argsort(done[order], kind="stable")
    count = np.zeros(len(stale), np.int64)
    kernels("staleness", work=2 * len(sessions)).versions_between(
        _later(done[order[by_done]], skew), by_done, begun[by_moment], first[by_moment], last[by_moment], count,
        len(order),
    )  # fmt: skip
    versions[by_moment] = count
    return versions, replaced_by


def _later(moment: Int64, skew: int) -> Int64:
    return (
        np.where(moment > NEVER - skew, NEVER, np.where(moment == -(2**63), moment, moment + skew)) if skew else moment
    )


def _after(
    group: NDArray[np.int32], moment: Int64, wanted: NDArray[np.int32], when: Int64, strictly: bool = True
) -> Int64:
    """For sorted (group, moment), the first place in the wanted group whose moment is after `when`; else its end.

    strictly: false counts those at the same moment as after it.
    """
    begins = _begins(group, int(wanted.max(initial=-1)) + 1)
    out = np.empty(len(wanted), np.int64)
    kernels("staleness", work=len(group) + len(wanted)).first_after(begins, moment, wanted, when, strictly, out)
    return out


def _begins(group: NDArray[np.signedinteger[Any]], groups: int) -> Int64:
    """Where each of so many groups begins in a sorted list, and behind them where the last ends."""
    begins = np.zeros(max(groups, int(group[-1]) + 1 if len(group) else 0) + 1, np.int64)
    np.cumsum(np.bincount(group, minlength=len(begins) - 1), out=begins[1:])
    return begins


def _first_done(key: NDArray[np.int32], done: Int64) -> Int64:
    """For every place the place, from there to the end of its key, of the write that is done first. O(n log n)."""
    n = len(done)
    rank = np.empty(n, np.int64)
    rank[np.argsort(done, kind="stable")] = np.arange(n)
    # Within a key the least rank from the end on; keys later in the list are kept apart by a larger offset.
    shifted = rank + key.astype(np.int64) * n
    least = np.minimum.accumulate(shifted[::-1])[::-1] - key.astype(np.int64) * n
    by_rank = np.empty(n, np.int64)
    by_rank[rank] = np.arange(n)
    return by_rank[least]
