"""Sessions: the reads and writes of a history, client by client in program order, each read with the write it saw.

The memory is a register a key: `read` or `get`, `write` or `put`. What else a history has (cas, append, values that
nobody can read) leaves its keys unclear: reads there constrain nothing, and nothing is concluded from their absence.
Leaving an operation or a reads-from edge out only loses constraints, so what is violated without it is violated.

Open writes
    A write without an answer may take effect at any time after its invocation, or never. If no read saw its value, it
    is left out: it may never have happened. If one did, it happened, and its client had invoked it after all that its
    session did before: session order leads *into* it. But the client went on without an answer, so the write may
    take effect after the session's next operations: session order does not lead *out* of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tracekit.history.operations import Operations, Outcome, overlapping
from tracekit.trace.columns import Column
from tracekit.trace.trace import Trace

Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]
Bool = NDArray[np.bool_]

INITIAL = -1
"""Source of a read of the initial value."""

UNWRITTEN = -2
"""Source of a read of a value that nobody wrote at its key."""

AMBIGUOUS = -3
"""Source of a read whose value several writes of the key wrote, or of a key that is unclear."""

NONE = -4
"""Source of a write."""

READS = frozenset({"read", "get"})
WRITES = frozenset({"write", "put"})

MEMORIES = frozenset({"register", "cas-register", "kv"})
"""Names of the models whose objects are such registers."""


@dataclass(frozen=True, eq=False)
class Sessions:
    """Reads that were answered and writes that may have happened, session after session in program order.

    Attributes
    ----------
    operation: int32, shape (n,): index into the `Operations`.
    starts: int64, shape (k + 1,): session s has entries ``starts[s]:starts[s + 1]``.
    process: int32, shape (k,): each session's client, an index into ``trace.processes``.
    session, key: int32, shape (n,): the session, and the key in 0..len(names)-1.
    place: int32, shape (n,): place in its session, from 0.
    value: int64, shape (n,): code of the value read or written; 0 is nil. Codes mean nothing else.
    write: shape (n,): whether it is a write.
    source: int32, shape (n,): for a read the entry of the write that it reads from, else one of the codes above.
    open: shape (n,): writes that were never answered.
    names: what stands for each key: a value of the column `key`, None where it is absent.
    unclear: operations left out that do something else than reading or writing, or nobody knows what.
    unclear_keys: shape (len(names),): the keys of those, on which every read is `AMBIGUOUS`.
    overlapping: operations invoked while their client had another one open: then sessions have no order.
    initial: codes of the values that a read of the initial value may return: nil, and "" where the model says so.
    unread: how many open writes were left out.
    unconstrained: how many reads were left out because they demand nothing (nil under nil=any, unknown beginnings).
    """

    operation: Int32
    starts: Int64
    process: Int32
    session: Int32
    key: Int32
    place: Int32
    value: Int64
    write: Bool
    source: Int32
    open: Bool
    names: list[str | int | None]
    unclear: Int64
    unclear_keys: Bool
    overlapping: Int64
    initial: tuple[int, ...] = (0,)
    unread: int = 0
    unconstrained: int = 0

    def __len__(self) -> int:
        return len(self.operation)

    @property
    def count(self) -> int:
        """How many sessions there are."""
        return len(self.process)

    def key_name(self, key: int) -> str:
        """For a sentence: ``key k7``, or ``the register`` where the history has no keys."""
        return "the register" if self.names[key] is None else f"key {self.names[key]}"


def sessions_of(
    trace: Trace,
    operations: Operations,
    *,
    nil_any: bool = False,
    empty_is_absent: bool = False,
    began_late: bool = False,
) -> Sessions:
    """The sessions of a history of registers. O(m log m) at worst, no loop over operations.

    Parameters
    ----------
    nil_any: a read of nil demands nothing. empty_is_absent: the initial value also reads as "".
    began_late: the initial values are unknown: a read of what nobody wrote demands nothing.
    """
    is_read, is_write, unclear = _parts(trace, operations)
    key_of, names = _keys(operations.key, len(operations))
    seen, written, empty = _values(operations)
    value = np.where(is_write, written, seen)
    unclear_keys = np.zeros(len(names), np.bool_)
    unclear_keys[key_of[unclear]] = True
    if None in names and unclear_keys[names.index(None)]:
        unclear_keys[:] = True  # without a key it may be about any
    order, starts, process = _in_program_order(trace, operations, is_read | is_write)
    key, value, write = key_of[order], value[order], is_write[order]
    is_open = write & (operations.outcome[order] == Outcome.INFO)
    source = _sources(key, value, write, unclear_keys, empty if empty_is_absent else -1)
    left_out = is_open & ~_looked_for(key, value, write) if is_open.any() else is_open
    free = (~write & (value == 0)) if nil_any else np.zeros(len(order), np.bool_)
    if began_late:
        free |= ~write & ((source == INITIAL) | (source == UNWRITTEN))
    entries = ~(left_out | free)
    renumbered = np.cumsum(entries, dtype=np.int32) - 1
    source = np.where(source >= 0, renumbered[np.maximum(source, 0)], source)[entries].astype(np.int32)
    kept_before = np.zeros(len(order) + 1, np.int64)
    np.cumsum(entries, out=kept_before[1:])
    starts = kept_before[starts]
    nonempty = np.diff(starts) > 0
    process, starts = process[nonempty], np.concatenate([starts[:1], starts[1:][nonempty]])
    lengths = np.diff(starts)
    n = int(starts[-1])
    return Sessions(
        operation=order[entries].astype(np.int32),
        starts=starts,
        process=process,
        session=np.repeat(np.arange(len(process), dtype=np.int32), lengths),
        key=key[entries].astype(np.int32),
        place=(np.arange(n) - np.repeat(starts[:-1], lengths)).astype(np.int32),
        value=value[entries],
        write=write[entries],
        source=source,
        open=is_open[entries],
        names=names,
        unclear=np.flatnonzero(unclear),
        unclear_keys=unclear_keys,
        overlapping=np.flatnonzero(overlapping(trace, operations)),
        initial=(0, empty) if empty_is_absent and empty >= 0 else (0,),
        unread=int(left_out.sum()),
        unconstrained=int(free.sum()),
    )


def _parts(trace: Trace, operations: Operations) -> tuple[Bool, Bool, Bool]:
    """Which operations read, which write, and which are unclear; all others have no part.

    Operations that failed did not happen; a read without an answer says nothing.
    """
    column, outcome = operations.f, operations.outcome
    n = len(operations)
    if column is None or column.texts is None:
        reads = writes = np.zeros(n, np.bool_)
    else:
        texts = column.texts.to_pylist()
        code = np.where(column.present, column.values, len(texts))
        reads = np.array([t in READS for t in texts] + [False], np.bool_)[code]
        writes = np.array([t in WRITES for t in texts] + [False], np.bool_)[code]
    happened = outcome != Outcome.FAIL
    nothing = np.zeros(n, np.bool_)
    returned = operations.returned.present if operations.returned is not None else nothing
    unknown_value = writes & (operations.invoke < 0) & ~returned
    # Whose answer a doubtful operation got is not known: one that failed may have happened.
    unclear = operations.doubtful | (happened & (unknown_value | ~(reads | writes)))
    is_read = reads & (outcome == Outcome.OK) & ~unclear
    is_write = writes & happened & ~unclear
    return is_read, is_write, unclear


def _keys(column: Column | None, n: int) -> tuple[Int64, list[str | int | None]]:
    """A dense code of every operation's key, and what stands for each."""
    if column is None or not n:
        return np.zeros(n, np.int64), [None]
    values = np.where(column.present, column.values, 0).astype(np.int64)
    low = int(values.min())
    if int(values.max()) - low < 4 * n + 1000:
        code = np.where(column.present, values - low + 1, 0)
        used = np.flatnonzero(np.bincount(code))
        table = np.zeros(int(used[-1]) + 1, np.int64)
        table[used] = np.arange(len(used))
        return table[code], [_key_name(column, int(c) - 1 + low) if c else None for c in used]
    distinct, code = np.unique(values[column.present], return_inverse=True)
    key = np.full(n, len(distinct), np.int64)
    key[column.present] = code
    names: list[str | int | None] = [_key_name(column, int(v)) for v in distinct]
    return key, names if column.present.all() else [*names, None]


def _key_name(column: Column, value: int) -> str | int:
    return column.text(value) if column.texts is not None else value


def _values(operations: Operations) -> tuple[Int64, Int64, int]:
    """Codes of what every operation read and of what it wrote, and the code of ""; nil is 0."""
    n = len(operations)
    invoked, returned = operations.invoked, operations.returned
    if invoked is None or returned is None:
        return np.zeros(n, np.int64), np.zeros(n, np.int64), -1
    empty = -1
    if invoked.texts is not None:
        texts = invoked.texts.to_pylist()
        table = np.arange(1, len(texts) + 2)
        if "null" in texts:
            table[texts.index("null")] = 0  # a recorder may write null as text; it is the same as no value
        empty = texts.index('""') + 1 if '""' in texts else -1
        first, second = (np.where(c.present, table[np.where(c.present, c.values, 0)], 0) for c in (invoked, returned))
    else:
        first, second = _numbers(invoked, returned)
    # A completion names what was written as well, in most recorders; without an invocation it is all there is.
    return second, np.where(operations.invoke < 0, second, first), empty


def _numbers(invoked: Column, returned: Column) -> tuple[Int64, Int64]:
    both = np.concatenate([invoked.values, returned.values])
    present = np.concatenate([invoked.present, returned.present])
    used = both[present]
    if len(used) and int(used.min()) >= 0 and int(used.max()) < 4 * len(both):
        # Small numbers are their own codes: sorting a million of them costs more than the rest.
        code = np.where(present, both + 1, 0).astype(np.int64)
    else:
        code = np.zeros(len(both), np.int64)
        code[present] = np.unique(used, return_inverse=True)[1] + 1
    return code[: len(invoked)], code[len(invoked) :]


def _in_program_order(trace: Trace, operations: Operations, kept: Bool) -> tuple[Int64, Int64, Int32]:
    """The kept operations process after process, where each one's begin, and the processes."""
    chosen = np.flatnonzero(kept)
    process, row = operations.process[chosen], operations.row[chosen]
    # Sixteen-bit keys sort by radix, several times faster.
    narrow = process.astype(np.uint16) if len(trace.processes) < 2**16 else process
    order = np.argsort(narrow, kind="stable")
    process, seq = process[order], trace.seq[row[order]]
    if bool(((process[1:] == process[:-1]) & (seq[1:] < seq[:-1])).any()):
        order = np.lexsort((trace.seq[row], operations.process[chosen]))
        process = operations.process[chosen][order]
    begins = np.flatnonzero(np.diff(process, prepend=-1))
    return chosen[order], np.append(begins, len(chosen)), process[begins].astype(np.int32)


def _sources(key: Int64, value: Int64, write: Bool, unclear_keys: Bool, empty: int) -> Int64:
    """Entry of the write that each read reads from, or why there is none. O(n log n); O(n) for unique values."""
    source = np.full(len(key), NONE, np.int64)
    reads, writes = np.flatnonzero(~write), np.flatnonzero(write)
    first, several = _writers(key, value, reads, writes)
    source[reads] = np.where(several, AMBIGUOUS, np.where(first >= 0, first, UNWRITTEN))
    initial = reads[value[reads] == 0]
    # Somebody may have written nil: then a read of it saw that or the initial value.
    source[initial] = np.where(source[initial] == UNWRITTEN, INITIAL, AMBIGUOUS)
    if empty >= 0:
        blank = reads[value[reads] == empty]
        source[blank] = np.where(source[blank] == UNWRITTEN, INITIAL, AMBIGUOUS)
    source[reads[unclear_keys[key[reads]]]] = AMBIGUOUS
    return source


def _writers(key: Int64, value: Int64, reads: Int64, writes: Int64) -> tuple[Int64, Bool]:
    """For each read a write of its value at its key, -1 where there is none, and whether there are several."""
    if not len(writes) or not len(reads):
        return np.full(len(reads), -1, np.int64), np.zeros(len(reads), np.bool_)
    values = int(value.max()) + 1
    if values < 8 * len(key) + 1000:
        writer = np.full(values, -1, np.int64)
        writer[value[writes]] = writes
        if bool((writer[value[writes]] == writes).all()):  # no value was written twice, at any key
            found = writer[value[reads]]
            found[(found >= 0) & (key[np.maximum(found, 0)] != key[reads])] = -1
            return found, np.zeros(len(reads), np.bool_)
    code = key[writes] * values + value[writes]
    order = np.argsort(code, kind="stable")
    code, wanted = code[order], key[reads] * values + value[reads]
    low = np.searchsorted(code, wanted)
    at = np.minimum(low, len(code) - 1)
    found = np.where(code[at] == wanted, writes[order[at]], -1)
    following = np.minimum(at + 1, len(code) - 1)
    several = (found >= 0) & (following > at) & (code[following] == wanted)
    return found, several


def _looked_for(key: Int64, value: Int64, write: Bool) -> Bool:
    """Which entries have a key and value that some read has."""
    reads = np.flatnonzero(~write)
    looked = np.zeros(len(key), np.bool_)
    if not len(reads):
        return looked
    values = int(value.max()) + 1
    if values < 8 * len(key) + 1000:
        looked[:] = np.bincount(value[reads], minlength=values)[value] > 0
        few = np.flatnonzero(looked & write)
    else:
        few = np.flatnonzero(write)
    looked[few] = np.isin(key[few] * values + value[few], np.unique(key[reads] * values + value[reads]))
    return looked
