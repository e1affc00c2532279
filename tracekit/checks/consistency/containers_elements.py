"""The operations on containers element by element, on one line of positions for all keys."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tracekit.checks.consistency.cells import Cells
from tracekit.checks.consistency.decided import Broken
from tracekit.history.models import ABSENT
from tracekit.history.operations import NEVER

Int64 = NDArray[np.int64]
Bool = NDArray[np.bool_]

INSERTING = frozenset({"enqueue", "push", "insert"})

REMOVING = frozenset({"dequeue", "pop", "poll"})

BEFORE = "ended before it began"
"""Why one operation comes before another."""


@dataclass(frozen=True, eq=False)
class Line:
    """Moments as positions 0, 1, ...; those of one key before those of the next, the last of each: never.

    Attributes
    ----------
    start, end: int64, shape (k,): of every operation.
    never: int64, shape (keys,): the position at which what stays is taken out, key by key.
    """

    start: Int64
    end: Int64
    never: Int64

    @property
    def length(self) -> int:
        """How many positions there are."""
        return int(self.never[-1]) + 1 if len(self.never) else 0


def line_of(cells: Cells) -> Line:
    """Positions of all operations. O(n log n)."""
    a, n, keys = cells.actions, len(cells.key), len(cells)
    moment = np.concatenate([a.start, a.end, np.full(keys, NEVER, np.int64)])
    key = np.concatenate([cells.key, cells.key, np.arange(keys)])
    order = np.argsort(moment, kind="stable") if keys == 1 else np.lexsort((moment, key))
    moment, key = moment[order], key[order]
    rank = np.empty(len(order), np.int64)
    rank[order] = np.cumsum(np.r_[False, (moment[1:] != moment[:-1]) | (key[1:] != key[:-1])])
    return Line(rank[:n], rank[n : 2 * n], rank[2 * n :])


@dataclass(frozen=True, eq=False)
class Elements:
    """Elements that were put into containers. Entries are those of `cells.actions`; -1: there is none.

    Attributes
    ----------
    insert, remove: shape (m,): what put each element in, and what took it out.
    first, last: shape (m,): of all that saw it at the head, what ended first, and what began last.
    enter, leave: shape (m, 2): positions between which it goes in, and out: after what saw it there began, before what
        saw it there ended; an element that stays goes out at the end of all.
    seen: of which element is what each operation saw or put in; -1.
    empties: entries that found the container empty.
    mistakes: by key, operations on an element that cannot be right in any order, and how many there are.
    """

    cells: Cells
    line: Line
    insert: Int64
    remove: Int64
    first: Int64
    last: Int64
    enter: Int64
    leave: Int64
    seen: Int64
    empties: Int64
    mistakes: dict[int, Broken] = field(default_factory=dict)
    counts: dict[int, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.insert)

    @property
    def key(self) -> Int64:
        """Shape (m,): of each element."""
        return self.cells.key[self.insert]

    @property
    def first_seen(self) -> Int64:
        """Shape (m,): where the first that saw an element at the head ended; never, where nobody did."""
        return np.where(self.first >= 0, self.line.end[self.first], self.line.never[self.key])

    def name(self, element: int) -> str:
        """How an element reads in a sentence."""
        calls = self.cells.actions.calls
        assert calls is not None, "containers are models with step functions"
        return calls.values.text(int(calls.given[self.insert[element]]))

    def where(self, key: int) -> str:
        """``at the queue``."""
        return f"at {self.cells.name(key)}"

    def entered_by(self, element: int) -> int:
        """What ended first of all that is after the moment at which an element went in."""
        insert, first = int(self.insert[element]), int(self.first[element])
        return first if first >= 0 and self.line.end[first] < self.line.end[insert] else insert

    def left_from(self, element: int) -> int:
        """What began last of all that is before the moment at which an element went out."""
        insert, last = int(self.insert[element]), int(self.last[element])
        return last if last >= 0 and self.line.start[last] >= self.line.start[insert] else insert


def roles(cells: Cells) -> tuple[Bool, Bool, Bool]:
    """Which operations put in, which take out, and which find the container empty."""
    calls = cells.actions.calls
    assert calls is not None, "containers are models with step functions"
    inserting, removing = (
        np.isin(calls.function, [n for n, name in enumerate(calls.functions) if name in names])
        for names in (INSERTING, REMOVING)
    )
    return inserting, removing, ~inserting & (calls.answered == ABSENT)


def elements_of(cells: Cells) -> Elements:
    """Of cells in which no element goes in twice, and all that takes out was answered. O(n log n)."""
    calls, line = cells.actions.calls, line_of(cells)
    assert calls is not None, "containers are models with step functions"
    inserting, removing, empty = roles(cells)
    size = len(calls.values) + 1
    code = cells.key * size + np.where(inserting, calls.given, calls.answered)
    inserts = np.flatnonzero(inserting)
    inserts = inserts[np.argsort(code[inserts], kind="stable")]
    heads = np.flatnonzero(~inserting & ~empty)
    # What was never answered and nobody saw need not have happened.
    wanted = np.sort(code[heads])
    known = np.searchsorted(wanted, code[inserts], side="right") > np.searchsorted(wanted, code[inserts])
    inserts = inserts[known | (cells.actions.end[inserts] != NEVER)]
    of = np.searchsorted(code[inserts], code[heads])
    found = np.zeros(len(heads), np.bool_)
    found[of < len(inserts)] = code[inserts][of[of < len(inserts)]] == code[heads][of < len(inserts)]
    seen = np.full(len(cells.key), -1, np.int64)
    seen[inserts] = np.arange(len(inserts))
    seen[heads[found]] = of[found]
    strange, heads = heads[~found], heads[found]
    remove, first, last = (np.full(len(inserts), -1, np.int64) for _ in range(3))
    for chosen, by, slots in ((heads, -line.end, first), (heads, line.start, last)):
        order = chosen[np.argsort(by[chosen], kind="stable")]
        slots[seen[order]] = order
    takers = heads[removing[heads]]
    takers = takers[np.argsort(-line.end[takers], kind="stable")]
    remove[seen[takers]] = takers
    never = line.never[cells.key[inserts]]
    began, ended = line.start[inserts], line.end[inserts]
    enter = np.stack([began, np.where(first >= 0, np.minimum(ended, line.end[first]), ended)], axis=1)
    last_seen = np.where(last >= 0, np.maximum(began, line.start[last]), began)
    leave = np.stack([np.where(remove >= 0, last_seen, never), np.where(remove >= 0, line.end[remove], never)], axis=1)
    elements = Elements(
        cells, line, inserts, remove, first, last, enter, leave, seen, np.flatnonzero(empty), {}, {}
    )  # fmt: skip
    _find_mistakes(elements, strange, takers, heads)
    return elements


def _find_mistakes(elements: Elements, strange: Int64, takers: Int64, heads: Int64) -> None:
    """What came out and was not there: never put in, not yet, or no longer."""
    cells, line = elements.cells, elements.line
    calls = cells.actions.calls
    assert calls is not None, "containers are models with step functions"
    of = elements.seen
    early = heads[line.end[heads] < line.start[elements.insert[of[heads]]]]
    again = takers[elements.remove[of[takers]] != takers]
    remove = elements.remove[of[heads]]
    late = heads[(remove >= 0) & (line.start[heads] > line.end[remove])]
    late = late[~np.isin(late, again)]
    found = [
        (int(line.end[e]), e, what) for what, some in enumerate((strange, early, again, late)) for e in some.tolist()
    ]
    for _, entry, what in sorted(found):
        key = int(cells.key[entry])
        elements.counts[key] = elements.counts.get(key, 0) + 1
        if key in elements.mistakes:
            continue
        value, element = calls.values.text(int(calls.answered[entry])), int(of[entry])
        took = f"{calls.functions[int(calls.function[entry])]} answered {value} {elements.where(key)}"
        insert, remove_ = (-1 if element < 0 else int(slots[element]) for slots in (elements.insert, elements.remove))
        told = (
            ("never-inserted", f"{took}, but no recorded operation put {value} in.", (), (), "VFresh"),
            (
                "removed-before-inserted",
                f"{took} before {value} was put in: it had ended when the operation that did so began.",
                (insert,),
                ((entry, insert, BEFORE),),
                "VFresh",
            ),
            (
                "removed-twice",
                f"{took}, but {value} was put in once and another operation had taken it out.",
                (insert, remove_),
                (),
                "VRepet",
            ),
            (
                "seen-after-removal",
                f"{took} after {value} had been taken out.",
                (insert, remove_),
                ((remove_, entry, BEFORE),),
                "VRepet",
            ),
        )[what]
        anomaly, text, others, ties, pattern = told
        elements.mistakes[key] = Broken(anomaly, text, (*others, entry), ties, entry, {"pattern": pattern})


def by_key(key: Int64, at: Int64, rank: Int64) -> dict[int, Int64]:
    """Entries that have a position, key by key, in order of position and rank."""
    placed = np.flatnonzero(at >= 0)
    placed = placed[np.lexsort((rank[placed], at[placed], key[placed]))]
    parts = np.split(placed, np.flatnonzero(np.diff(key[placed])) + 1)
    return {int(key[part[0]]): part for part in parts if len(part)}


def openings(elements: Elements) -> Int64:
    """Shape (positions + 1,): the next position from each on at which no element is certainly in its container."""
    length = elements.line.length
    low, high = elements.enter[:, 1], elements.leave[:, 0]
    chosen = high > low + 1
    depth = np.bincount(low[chosen] + 1, minlength=length + 1) - np.bincount(high[chosen], minlength=length + 1)
    free = np.where(np.cumsum(depth) == 0, np.arange(length + 1), length)
    return np.minimum.accumulate(free[::-1])[::-1]


def chain(elements: Elements, members: Int64, low: int, high: int) -> list[int]:
    """Few elements of which at each position strictly between two one is certainly in the container.

    members are enough for that. Each next one is in before the one before it goes out. O(m log m).
    """
    inside, outside = elements.enter[members, 1], elements.leave[members, 0]
    order = np.argsort(inside, kind="stable")
    inside, outside = inside[order], outside[order]
    farthest = np.maximum.accumulate(outside)
    best = np.maximum.accumulate(np.where(outside == farthest, np.arange(len(order)), 0))
    found: list[int] = []
    reach = low + 1
    while True:
        place = int(best[np.searchsorted(inside, reach) - 1])
        found.append(int(members[order[place]]))
        reach = int(outside[place])
        if reach >= high:
            return found


def occupied(
    elements: Elements, key: int, entry: int, members: Int64, what: str, between: tuple[int, int] | None = None
) -> Broken:
    """Why an operation had no moment at which none of certain elements was there.

    between: the positions at which it can have been; from its invocation to its completion, if not given.
    """
    line = elements.line
    since, until = between or (int(line.start[entry]), int(line.end[entry]))
    covering = chain(elements, members, int(since) - 1, int(until) + 1)
    ties = []
    # What the operation sees may limit where it can have been; then it is not itself what comes after or before.
    if line.start[entry] == since:
        ties.append((elements.entered_by(covering[0]), entry, BEFORE))
    for one, other in itertools.pairwise(covering):
        ties.append((elements.entered_by(other), elements.left_from(one), BEFORE))
    if elements.remove[covering[-1]] >= 0 and line.end[entry] == until:
        ties.append((entry, elements.left_from(covering[-1]), BEFORE))
    core = {entry} | {e for tie in ties for e in tie[:2]}
    for v in (*covering, *([int(elements.seen[entry])] if elements.seen[entry] >= 0 else [])):
        several = (elements.insert[v], elements.first[v], elements.last[v], elements.remove[v])
        core |= {int(e) for e in several if e >= 0}
    names = [elements.name(v) for v in covering]
    if len(covering) == 1:
        stays = "was never taken out" if elements.remove[covering[0]] < 0 else "left only after it had ended"
        why = f"{names[0]} was in before it began and {stays}"
    else:
        shown = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
        why = f"{shown} were there in turn without a gap, each in before the one before it was out"
    text = f"{what} {elements.where(key)}, but {why}."
    return Broken(
        "empty-while-occupied", text, tuple(core), tuple(ties), entry, {"pattern": "VWit", "elements": names[:100]}
    )
