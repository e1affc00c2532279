"""What the checks of locks say, by definition: over every order of the events that what is recorded allows.

Events are rows with `process`, `seq`, `name`, and lock, holder and token as `lock.*`. All is asked of one lock.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

Row = dict[str, Any]
Pairs = set[tuple[int, int]]


def certain(rows: list[Row], causal: Pairs, clock: str | None) -> Pairs:
    """Which event certainly came before which: by happens-before; by a clock that all have, where that says nothing."""
    if clock is None:
        return causal
    timed = {
        (a, b)
        for a, b in product(range(len(rows)), repeat=2)
        if rows[a][clock] < rows[b][clock] and (b, a) not in causal
    }
    return causal | timed


def orders(count: int, before: Pairs) -> Iterator[tuple[int, ...]]:
    """Every order of events that agrees with what is certain."""

    def extend(done: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
        if len(done) == count:
            yield done
        for event in range(count):
            if event not in done and all(a in done for a, b in before if b == event):
                yield from extend((*done, event))

    return extend(())


def grants(rows: list[Row]) -> dict[tuple[str, int], tuple[list[int], list[int]]]:
    """Beginnings and ends of each grant, which holder and token identify."""
    found: dict[tuple[str, int], tuple[list[int], list[int]]] = {}
    for number, row in enumerate(rows):
        key = (row["lock.holder"], row["lock.token"])
        begins, ends = found.setdefault(key, ([], []))
        if row["name"] in ("lock.grant", "lock.acquire"):
            begins.append(number)
        elif row["name"] in ("lock.release", "lock.expire", "lock.leave"):
            ends.append(number)
    return {key: entry for key, entry in found.items() if entry[0]}


def exclusion(rows: list[Row], before: Pairs) -> str:
    """violated: in every order some two grants, always the same, are held at once; holds: in none are any two; else
    unknown. A grant whose end came before every beginning that was told began nobody knows when; and one after which
    its holder was granted the lock again, and gave that up, may have been replaced."""
    held = grants(rows)
    keys = sorted(held)
    answers: dict[tuple[Any, Any], set[str]] = {}
    for order in orders(len(rows), before):
        at = {event: place for place, event in enumerate(order)}
        spans = {}
        for key in keys:
            begins, ends = held[key]
            spans[key] = (min(at[e] for e in begins), min((at[e] for e in ends), default=len(rows)))
        for a, b in product(keys, repeat=2):
            if a < b and a[0] != b[0]:
                again = _granted_again(spans, a, b) or _granted_again(spans, b, a)
                found = _together(spans[a], spans[b])
                answers.setdefault((a, b), set()).add("perhaps" if found == "yes" and again else found)
    if any(found == {"yes"} for found in answers.values()):
        return "violated"
    return "holds" if all(found == {"no"} for found in answers.values()) else "unknown"


def _granted_again(spans: dict[tuple[str, int], tuple[int, int]], a: tuple[str, int], b: tuple[str, int]) -> bool:
    """Whether a's holder was granted the lock again after a, and no longer had that when b began."""
    others = [span for key, span in spans.items() if key != a and key[0] == a[0]]
    return any(spans[a][0] < begin < spans[b][0] and over < spans[b][0] for begin, over in others)


def _together(a: tuple[int, int], b: tuple[int, int]) -> str:
    (begin, end), (other, over) = a, b
    if end < begin or over < other:
        return "perhaps"
    return "yes" if begin < over and other < end else "no"


def leases(spans: list[tuple[str, int, int]], skew: int) -> str:
    """violated: two holders' times (process, begin, end by its own clock) overlap however the clocks differ within
    the skew; else holds. Clocks and skew are small whole numbers."""
    names = sorted({name for name, _, _ in spans})
    for (p, a, b), (q, c, d) in product(spans, repeat=2):
        if p >= q:
            continue
        true = [dict(zip(names, shift, strict=True)) for shift in product(range(skew + 1), repeat=len(names))]
        if all(max(a + s[p], c + s[q]) < min(b + s[p], d + s[q]) for s in true):
            return "violated"
    return "holds"


def older_accepted(rows: list[Row]) -> bool:
    """Whether a resource accepts a token below one that it accepted before, at its own process."""
    accepts = [(i, r) for i, r in enumerate(rows) if r["name"] == "lock.accept"]
    return any(
        a["process"] == b["process"] and a["seq"] < b["seq"] and a["lock.token"] > b["lock.token"]
        for (_, a), (_, b) in product(accepts, repeat=2)
    )


def tokens_fall(rows: list[Row], before: Pairs) -> bool:
    """Whether a grant certainly before another one has a larger token, or two holders have one token."""
    given = [(i, r) for i, r in enumerate(rows) if r["name"] == "lock.grant"]
    return any(
        ((i, j) in before and a["lock.token"] > b["lock.token"])
        or (a["lock.token"] == b["lock.token"] and a["lock.holder"] != b["lock.holder"])
        for (i, a), (j, b) in product(given, repeat=2)
    )


def tokens_may_fall(rows: list[Row], before: Pairs) -> bool:
    """Whether a grant that is not certainly after another one has a larger token than that."""
    given = [(i, r["lock.token"]) for i, r in enumerate(rows) if r["name"] == "lock.grant"]
    return any(s > t and (j, i) not in before for (i, s), (j, t) in product(given, repeat=2))


def order_of_timestamps(rows: list[Row], before: Pairs) -> str:
    """violated: some grant is certainly before one with an earlier timestamp; holds: none can be; else unknown."""
    given = [(i, r["lock.timestamp"]) for i, r in enumerate(rows) if r["name"] == "lock.grant"]
    pairs = [(i, j) for (i, s), (j, t) in product(given, repeat=2) if s > t]
    if any(pair in before for pair in pairs):
        return "violated"
    return "holds" if all((j, i) in before for i, j in pairs) else "unknown"


def released_by_other(rows: list[Row]) -> bool:
    """Rows in the order of one recorder, without tokens: whether somebody gives back what only others hold."""
    has: dict[str, bool] = {}
    for row in rows:
        holder = row["lock.holder"]
        if row["name"] == "lock.grant":
            has[holder] = True
            continue
        others = any(held for name, held in has.items() if name != holder)
        if row["name"] == "lock.release" and others and not has.get(holder, False):
            return True
        has[holder] = False
    return False
