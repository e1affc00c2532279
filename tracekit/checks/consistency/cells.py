"""A history split into one cell a key, each to be judged alone (linearizability is local, Herlihy & Wing 1990)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracekit.history.models import ABSENT, ANY, COMPUTED, Actions, Model
from tracekit.history.operations import NEVER, Operations
from tracekit.trace.columns import Column

Int64 = NDArray[np.int64]
Bool = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Cells:
    """The operations that have a part in the verdict, and the key of each.

    Attributes
    ----------
    actions: what the operations do, one entry an operation.
    key: int64, shape (k,): the cell of each, in 0..keys-1.
    key_of: int64, shape (m,): the cell of every operation of the history.
    names: what stands for each cell: a value of the column `key`, None where it is absent.
    object: what the cell without a key is called.
    program: int64, shape (k, 2): where clocks may differ, each operation's client, -1 where its turns are not known,
        and its turn: of one client, it tells what was called first.
    """

    actions: Actions
    key: Int64
    key_of: Int64
    names: list[Any]
    object: str = "the register"
    program: Int64 | None = None

    def __len__(self) -> int:
        return len(self.names)

    def name(self, key: int) -> str:
        """For a sentence: ``key k7``, or ``the register`` where the history has no keys."""
        return self.object if self.names[key] is None else f"key {self.names[key]}"


def cells_of(operations: Operations, actions: Actions, model: Model | None = None) -> Cells:
    """Splits by the column `key`; an absent key is a key of its own. O(m log m) at worst.

    A model of step functions that is not `keyed` is one object, whatever the keys.
    """
    name, column = "the register", operations.key
    if model is not None and model.make is not None:
        name = f"the {model.name.rpartition(':')[2]}"
        column = column if model.keyed else None
    key_of, names = _dense(column, len(operations))
    return Cells(actions, key_of[actions.operation], key_of, names, name)


def _dense(column: Column | None, n: int) -> tuple[Int64, list[Any]]:
    if column is None or not n:
        return np.zeros(n, np.int64), [None]
    if column.texts is not None and len(column.texts) <= 2 * n + 1000:
        codes, bound = np.where(column.present, column.values, -1).astype(np.int64), len(column.texts)
        counts = np.bincount(codes + 1, minlength=bound + 1)
        used = np.flatnonzero(counts) - 1
        table = np.zeros(bound + 1, np.int64)
        table[used + 1] = np.arange(len(used))
        texts = column.texts.to_pylist()
        return table[codes + 1], [texts[code] if code >= 0 else None for code in used]
    present = column.present
    distinct, first = np.unique(column.values[present], return_inverse=True)
    key = np.full(n, len(distinct), np.int64)
    key[present] = first
    names: list[Any] = [column.text(v) if column.texts is not None else int(v) for v in distinct]
    return key, names if present.all() else [*names, None]


def without_unobserved(cells: Cells) -> Cells:
    """Leaves out writes that never completed and whose value no operation of the key looks for.

    Such a write need not have happened: take it out of a linearization, and what came after it is still legal, since
    nobody looked at its value before the next write. That fails where an operation demands that the value is *not* a
    certain one, or appends to it; those keys stay whole.
    """
    a, key = cells.actions, cells.key
    open_write = (a.end == NEVER) & (a.effect >= 0) & (a.equals == ANY)
    if not open_write.any():
        return cells
    delicate = np.zeros(len(cells), np.bool_)
    delicate[key[(a.differs != ANY) | (a.effect == COMPUTED)]] = True
    size = max(len(a.values), 1)
    looking = a.equals != ANY
    either = a.or_equals != ANY
    wanted = np.unique(np.concatenate([(key * size + a.equals)[looking], (key * size + a.or_equals)[either]]))
    unread = open_write & ~delicate[key] & ~np.isin(key * size + a.effect, wanted)
    return selected(cells, ~unread)


def with_unknown_beginning(cells: Cells) -> Cells:
    """For recordings that began late: a demand for a value that no recorded operation wrote demands nothing."""
    a, key = cells.actions, cells.key
    size = max(len(a.values), 1)
    written = np.unique((key * size + a.effect)[a.effect >= 0])
    strange = (a.equals != ANY) & ~np.isin(key * size + a.equals, written)
    strange &= (a.or_equals == ANY) | ~np.isin(key * size + a.or_equals, written)
    relaxed = replace(a, equals=np.where(strange, ANY, a.equals), or_equals=np.where(strange, ANY, a.or_equals))
    return selected(replace(cells, actions=relaxed), ~(strange & (a.effect == ANY)))


def of_keys(cells: Cells, chosen: Bool) -> Cells:
    """The operations of some cells; cells keep their numbers."""
    return selected(cells, chosen[cells.key])


def selected(cells: Cells, kept: Bool | Int64) -> Cells:
    """Some of the operations, by mask or by entry; cells keep their numbers."""
    if kept.dtype == np.bool_ and kept.all():
        return cells  # copying nine columns of a million operations costs as much as judging them
    a = cells.actions
    calls = a.calls and replace(
        a.calls, function=a.calls.function[kept], given=a.calls.given[kept], answered=a.calls.answered[kept]
    )
    fields = {
        name: getattr(a, name)[kept]
        for name in ("operation", "equals", "or_equals", "differs", "effect", "argument", "start", "end")
    }
    program = None if cells.program is None else cells.program[kept]
    return replace(cells, actions=replace(a, calls=calls, **fields), key=cells.key[kept], program=program)


def written_once(cells: Cells) -> Bool:
    """Shape (keys,): cells that are registers of unique values, so that the zones decide.

    All operations are plain writes and reads, no value is written twice, nobody writes the initial value, and a read
    that two values would satisfy (an absent key or "") meets only one of them.
    """
    a, key = cells.actions, cells.key
    write = (a.effect >= 0) & (a.equals == ANY) & (a.differs == ANY)
    read = (a.effect == ANY) & (a.equals != ANY) & (a.differs == ANY)
    unique = np.ones(len(cells), np.bool_)
    unique[key[~(write | read)]] = False
    unique[key[write & (a.effect == ABSENT)]] = False
    ambiguous = a.or_equals != ANY
    if ambiguous.any():
        empty = np.zeros(len(cells), np.bool_)
        empty[key[write & (a.effect == a.equals[ambiguous][0])]] = True
        unique[key[ambiguous & empty[key]]] = False
    size = max(len(a.values), 1)
    pairs = np.sort(key[write] * size + a.effect[write])
    unique[pairs[1:][pairs[1:] == pairs[:-1]] // size] = False
    return unique
