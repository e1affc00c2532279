"""Whether a certificate of a consistency check proves what it says: replayed by definition, sharing nothing.

Sessions are given as they were recorded, operations as ``(f, key, value, outcome)``. An event's name is its process
``sN`` and its place there; an operation has two rows, one that was ``lost`` only its invocation.

order          a sequence of all operations in which every read returns the last write before it.
causal-order   an order of the writes that causality (session order and reads-from) allows. A read is explained by what
               comes causally before it and not after the write that it read, then that write, then the rest.
arbitration    an order of the writes that causality allows; a read returns the last one causally before it.
causal-views   for each session an order, which causality allows, of its reads and the writes causally before its last
               operation: each read returns the last write before it.
views          the same of all writes, where only each session's own order is kept.
write-order    an order of all writes for the session guarantees that it names.

reads_from     where values were written twice, the write (None: the initial value) that each such read is said to see.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple


class Item(NamedTuple):
    """One operation that happened or may have: session, place there, and what it did."""

    session: int
    place: int
    f: str
    key: str
    value: int | None
    open: bool


Pairs = set[tuple[Item, Item]]


def refuted(certificate: Mapping[str, Any], sessions: Sequence[Sequence[Sequence[Any]]]) -> str:
    """Why a certificate is none; empty where it is one."""
    named = _items(sessions)
    if "reads_from" in certificate:
        return _as_matched(certificate, sessions, named)
    kind = certificate["kind"]
    try:
        if "views" in certificate:
            orders = {client: [named[event] for event in order] for client, order in certificate["views"].items()}
        else:
            orders = {"": [named[event] for event in certificate["order"]]}
    except KeyError as error:
        return f"{error} is no operation that can have happened"
    if any(len(set(order)) < len(order) for order in orders.values()):
        return "an operation twice"
    listed = {item for order in orders.values() for item in order}
    items = [item for item in named.values() if not item.open or item in listed]
    if kind in ("views", "causal-views"):
        return _views(items, orders, causal=kind == "causal-views")
    [order] = orders.values()
    wanted = {item for item in items if item.f == "w" or kind == "sequence"}
    if set(order) != wanted:
        return f"not the operations that it should have: {wanted ^ set(order)}"
    if kind == "sequence":
        return _unkept(order, _program_order(items)) or _illegal(order, "")
    if kind == "write-order":
        return _guarantees(items, order, set(certificate["guarantees"]))
    causality = _causality(items)
    if wrong := _unkept(order, causality):
        return wrong
    explained = _alone if kind == "causal-order" else _arbitrated
    return next((f"{r} is not explained" for r in items if r.f == "r" and not explained(r, order, causality)), "")


def _as_matched(
    certificate: Mapping[str, Any], sessions: Sequence[Sequence[Sequence[Any]]], named: Mapping[str, Item]
) -> str:
    """The same of the history in which every write has a value of its own, and each read that of the write it saw."""
    by_place = {(item.session, item.place): item for item in named.values()}
    matched: dict[Item, Item | None] = {}
    for read, write in certificate["reads_from"].items():
        seen = None if write is None else named[write]
        if named[read].f != "r" or (None if seen is None else seen.value) != named[read].value:
            return f"{read} does not read {write}"
        if seen is not None and (seen.f != "w" or seen.key != named[read].key):
            return f"{write} is no write of the key of {read}"
        matched[named[read]] = seen
    calls: list[list[tuple[str, str, int | None, str]]] = []
    for s, own in enumerate(sessions):
        calls.append([])
        for place, (f, key, value, outcome) in enumerate(own):
            item = by_place.get((s, place))
            if item is None:
                calls[s].append((f, key, value, outcome))
                continue
            seen: Item | None = item
            if f == "r":
                seen = matched[item] if item in matched else _source(item, named.values())
            unknown = f == "r" and seen is None and value is not None
            own_value = -1 if unknown else None if seen is None else 1000 * (seen.session + 1) + seen.place
            calls[s].append((f, key, own_value, outcome))
    return refuted({k: v for k, v in certificate.items() if k != "reads_from"}, calls)


def _items(sessions: Sequence[Sequence[Sequence[Any]]]) -> dict[str, Item]:
    named = {}
    for s, calls in enumerate(sessions):
        row = 0
        for place, (f, key, value, outcome) in enumerate(calls):
            if outcome == "ok" or (f == "w" and outcome != "fail"):
                named[f"s{s}:{row}"] = Item(s, place, f, key, value, outcome != "ok")
            row += 1 if outcome == "lost" else 2
    return named


def _program_order(items: Iterable[Item]) -> Pairs:
    items = list(items)
    return {(a, b) for a in items for b in items if a.session == b.session and a.place < b.place and not a.open}


def _source(read: Item, items: Iterable[Item]) -> Item | None:
    found = [w for w in items if w.f == "w" and (w.key, w.value) == (read.key, read.value)]
    assert len(found) <= 1, "certificates of causality are about values that were written once"
    return found[0] if found else None


def _causality(items: list[Item]) -> Pairs:
    out = _program_order(items)
    sources = ((_source(r, items), r) for r in items if r.f == "r")
    out |= {(w, r) for w, r in sources if w is not None}
    while True:
        more = {(a, d) for a, b in out for c, d in out if b == c} - out
        if not more:
            return out
        out |= more


def _unkept(order: Sequence[Item], pairs: Pairs) -> str:
    at = {item: i for i, item in enumerate(order)}
    return next((f"{a} comes before {b}" for a, b in pairs if a in at and b in at and at[a] >= at[b]), "")


def _illegal(order: Iterable[Item], session: int | str) -> str:
    """Why some read does not return the last write before it."""
    memory: dict[str, int | None] = {}
    for item in order:
        if item.f == "w":
            memory[item.key] = item.value
        elif session in ("", item.session) and memory.get(item.key) != item.value:
            return f"{item} reads another value than {memory.get(item.key)}"
    return ""


def _alone(read: Item, order: list[Item], causality: Pairs) -> bool:
    past = [w for w in order if (w, read) in causality]
    source = _source(read, past)
    if source is None:
        return read.value is None and not any(w.key == read.key for w in past)
    after = [w for w in past if (source, w) in causality]
    sequence = [w for w in past if w != source and w not in after] + [source, *after]
    return not _unkept(sequence, causality) and not _illegal([*sequence, read], "")


def _arbitrated(read: Item, order: list[Item], causality: Pairs) -> bool:
    visible = [w.value for w in order if (w, read) in causality and w.key == read.key]
    return (visible[-1] if visible else None) == read.value


def _views(items: list[Item], orders: Mapping[str, list[Item]], causal: bool) -> str:
    kept = _causality(items) if causal else _program_order(items)
    readers = {item.session for item in items if item.f == "r"}
    if set(orders) != {f"s{s}" for s in readers}:
        return f"not the sessions that read: {sorted(orders)}"
    for s in readers:
        order = orders[f"s{s}"]
        own = [item for item in items if item.session == s and (item.f == "r" or not item.open)]
        wanted = {item for item in items if item in own or (item.f == "w" and (not causal or (item, own[-1]) in kept))}
        # More writes than a read must know of do no harm: its own one stays the last if they are taken out.
        if not wanted <= set(order) <= wanted | {item for item in items if item.f == "w"}:
            return f"s{s}: not the operations that it should have: {wanted ^ set(order)}"
        if wrong := _unkept(order, kept) or _illegal(order, s):
            return f"s{s}: {wrong}"
    return ""


def _guarantees(items: list[Item], order: list[Item], guarantees: set[str]) -> str:
    """The least visibility that the guarantees allow, and whether reads then return the last visible write."""
    so = _program_order(items)
    if "monotonic-writes" in guarantees and (wrong := _unkept(order, so)):
        return wrong
    visible: dict[Item, set[Item]] = {}
    for read in sorted((item for item in items if item.f == "r"), key=lambda item: item.place):
        source = _source(read, items)
        seen = set() if source is None else {source}
        if "read-your-writes" in guarantees:
            seen |= {a for a, b in so if b == read and a.f == "w"}
        if "monotonic-reads" in guarantees:
            seen = seen.union(*(visible[a] for a, b in so if b == read and a.f == "r"))
        visible[read] = seen
        last = [w.value for w in order if w in seen and w.key == read.key]
        if (last[-1] if last else None) != read.value:
            return f"{read} does not return the last visible write"
        if "writes-follow-reads" in guarantees:
            follows = {(w, b) for w in seen for a, b in so if a == read and b.f == "w"}
            if wrong := _unkept(order, follows):
                return wrong
    return ""
