"""Final reads: what each replica answers at each key after the last write of it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import orjson
from numpy.typing import NDArray

from tracekit.checks.consistency.session_history import SessionHistory
from tracekit.history.operations import BEGINNING, NEVER, Outcome
from tracekit.history.sessions import READS, UNWRITTEN

Int64 = NDArray[np.int64]
Bool = NDArray[np.bool_]

SETTLE = "settle_ns"


@dataclass(frozen=True, eq=False)
class FinalReads:
    """The reads that began after every write of their key.

    Attributes
    ----------
    entry, key, replica, value, unwritten, rest: shape (r,): entry of the `Sessions`; key; replica; code of the value,
        0 the initial one; whether nobody wrote it there; whether all writes of all keys were over; by key, then
        replica, then real time.
    names: the replicas that `replica` counts.
    last_write: shape (keys,): the operation that is the last write of each key, -1 where none was made.
    judged: shape (keys,): keys that were written, by operations of which it is known what they are.
    unclear: operations because of which a key is not judged.
    certain: shape (keys,): keys with a write that was answered, and none of the initial value: that is gone.
    """

    entry: Int64
    key: Int64
    replica: Int64
    value: Int64
    unwritten: Bool
    rest: Bool
    names: list[str]
    last_write: Int64
    judged: Bool
    certain: Bool
    unclear: Int64

    def heard(self) -> Int64:
        """Shape (keys,): how many replicas have final reads of each key."""
        pair = np.unique(self.key * (len(self.names) + 1) + self.replica) // (len(self.names) + 1)
        return np.bincount(pair, minlength=len(self.judged))

    def latest(self) -> FinalReads:
        """Only the last of each replica at each key."""
        last = np.ones(len(self.entry), np.bool_)
        last[:-1] = (self.key[1:] != self.key[:-1]) | (self.replica[1:] != self.replica[:-1])
        return self._of(last)

    def at_rest(self) -> FinalReads:
        """Only those that began after all writes of all keys were over."""
        return self._of(self.rest)

    def _of(self, chosen: Bool) -> FinalReads:
        names = ("entry", "key", "replica", "value", "unwritten", "rest")
        return replace(self, **{name: getattr(self, name)[chosen] for name in names})

    def disagreeing(self) -> list[int]:
        """Keys with different values, with the initial one although a write was answered, or with one of nobody."""
        low, high = (np.full(len(self.judged), filler) for filler in (NEVER, -1))
        np.minimum.at(low, self.key, self.value)
        np.maximum.at(high, self.key, self.value)
        lost, unwritten = np.zeros((2, len(self.judged)), np.bool_)
        lost[self.key[self.value == 0]] = True
        unwritten[self.key[self.unwritten]] = True
        found: list[int] = np.flatnonzero((high >= 0) & ((low != high) | (lost & self.certain) | unwritten)).tolist()
        return found


def final_reads(history: SessionHistory, settle: int, skew: int) -> FinalReads:
    """The reads that began more than `settle` after the last write of their key was over. O(n log n).

    Whatever is no read counts as a write. One that was never answered counts by its invocation: it is over when
    everything is.
    """
    sessions, operations = history.sessions, history.operations
    keys = len(sessions.names)
    key_of, (writing, strange) = _keys_of(history), _writing(history)
    ends = np.where(operations.outcome == Outcome.OK, operations.end, operations.start)
    writes = np.flatnonzero(writing & (key_of >= 0))
    answered, over = operations.outcome[writes] == Outcome.OK, ends[writes]
    order = writes[np.lexsort((over, key_of[writes]))]
    last_write = np.full(keys, -1)
    last_write[key_of[order]] = order
    moment = np.full(keys, BEGINNING - 1)
    np.maximum.at(moment, key_of[writes], over)
    certain = np.zeros(keys, np.bool_)
    certain[key_of[writes[answered]]] = True
    certain[sessions.key[sessions.write & np.isin(sessions.value, sessions.initial)]] = False
    certain[sessions.unclear_keys] = False  # what was written may add up to the initial value
    judged = last_write >= 0
    judged[key_of[strange[key_of[strange] >= 0]]] = False
    keyless = None in sessions.names and keys > 1
    if keyless and (key_of[strange] == sessions.names.index(None)).any():
        judged[:] = False  # without a key it may be about any
    reads = np.flatnonzero(~sessions.write & judged[sessions.key])
    key, begun = sessions.key[reads].astype(np.int64), operations.start[sessions.operation[reads]]
    margin = settle + skew
    late = np.flatnonzero((begun > moment[key]) & (begun != BEGINNING))
    late = late[begun[late] - margin > moment[key[late]]]
    reads, key, begun = reads[late], key[late], begun[late]
    replica, names = _replicas(history, reads)
    at = np.lexsort((reads, begun, replica, key))
    value = np.where(np.isin(sessions.value[reads], sessions.initial), 0, sessions.value[reads])
    value = _without_order(history, reads, value)
    unwritten = sessions.source[reads] == UNWRITTEN
    rest = begun - margin > ends[writing].max(initial=BEGINNING)
    return FinalReads(
        reads[at], key[at], replica[at], value[at], unwritten[at], rest[at], names, last_write, judged, certain, strange
    )


def _writing(history: SessionHistory) -> tuple[Bool, Int64]:
    """Operations that may have changed something, those that nobody read as well; and those that nobody can tell."""
    operations = history.operations
    f, happened = operations.f, operations.outcome != Outcome.FAIL
    if f is None or f.texts is None:
        return np.zeros(len(operations), np.bool_), np.arange(len(operations))
    table = np.array([text not in READS for text in f.texts.to_pylist()] + [False], np.bool_)
    writes: Bool = table[np.where(f.present, f.values, len(table) - 1)] & happened
    return writes, np.flatnonzero(operations.doubtful | (happened & ~f.present))


def _without_order(history: SessionHistory, reads: Int64, value: Int64) -> Int64:
    """Values with lists that hold the same members made equal, at keys that are sets: `add` was called there.

    How a recorder lists the members of a set is its own matter.
    """
    sessions, operations = history.sessions, history.operations
    f, answers = operations.f, operations.returned
    if f is None or f.texts is None or answers is None or answers.texts is None:
        return value
    adds = np.flatnonzero(f.values == f.code("add")) if "add" in f.texts.to_pylist() else np.empty(0, np.int64)
    of_sets = np.flatnonzero(np.isin(sessions.key[reads], _keys_of(history)[adds]) & (value > 0))
    out, same = value.copy(), dict[str, int]()
    _, first, back = np.unique(value[of_sets], return_index=True, return_inverse=True)
    for number, at in enumerate(of_sets[first].tolist()):
        text = str(answers.at(int(sessions.operation[reads[at]])))
        out[of_sets[back == number]] = same.setdefault(_sorted_members(text), int(value[at]))
    return out


def _sorted_members(text: str) -> str:
    try:
        members = orjson.loads(text)
    except ValueError:
        return text
    if not isinstance(members, list):
        return text
    return "[" + ",".join(sorted(orjson.dumps(m, option=orjson.OPT_SORT_KEYS).decode() for m in members)) + "]"


def _keys_of(history: SessionHistory) -> Int64:
    """Each operation's key as the sessions count it; -1 where no session reads or writes at it."""
    sessions, column = history.sessions, history.operations.key
    n = len(history.operations)
    if column is None:
        return np.zeros(n, np.int64)
    raw = np.where(column.present, column.values, 0).astype(np.int64)
    code = np.unique(raw, return_inverse=True)[1].astype(np.int64) * 2 + column.present
    table = np.full(int(code.max(initial=0)) + 2, -1)
    table[code[sessions.operation]] = sessions.key
    out: Int64 = table[code]
    return out


def replicas_there(history: SessionHistory) -> int:
    """How many replicas the recording knows of: those that answered; where they are not recorded, all clients."""
    trace = history.execution.trace
    server = trace.get("replica.server")
    if server is not None and server.texts is not None:
        return len(np.unique(server.values[server.present]))
    return len(np.unique(history.operations.process))


def _replicas(history: SessionHistory, reads: Int64) -> tuple[Int64, list[str]]:
    """Which replica answered each read: the one recorded, else the client stands for one; and their names."""
    sessions, trace = history.sessions, history.execution.trace
    replica = sessions.process[sessions.session[reads]].astype(np.int64)
    names = list(trace.processes)
    server = trace.get("replica.server")
    if server is not None and server.texts is not None:
        rows = history.operations.completion[sessions.operation[reads]]
        told = server.present[rows]
        replica = np.where(told, len(names) + np.where(told, server.values[rows], 0), replica)
        names += server.texts.to_pylist()
    return replica, names
