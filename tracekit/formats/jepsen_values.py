"""What the values of a Jepsen history mean: transactions, keys of jepsen.independent, or plain values."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tracekit.formats.json_columns import NULL, Bad, JsonColumn, Source
from tracekit.formats.text import coded
from tracekit.trace.columns import AnyColumn, Column, ListColumn

Int64 = NDArray[np.int64]
Mask = NDArray[np.bool_]

NESTED = tuple(b"([{#")


def without(spans: Int64, rows: Mask) -> Int64:
    """The spans with those of some rows made absent."""
    kept = spans.copy()
    kept[rows] = -1
    return kept


def transactions(source: Source, spans: Int64, f: Column, bad: Bad) -> tuple[dict[str, AnyColumn], Mask]:
    """Columns `txn` and `f` where values are lists of micro-operations ``[f key value]``, and which rows have them.

    Those are the values of operations with the `f` ``txn``; and those of operations without any `f`, where all of them
    are such lists.
    """
    named = f.present & (f.values == f.code("txn")) if f.texts is not None else np.zeros(len(f), np.bool_)
    candidates = (spans[:, 0] >= 0) & (named | ~f.present)
    counts, parts = np.full(len(spans), -1, np.int64), np.empty((0, 3, 2), np.int64)
    if candidates.any():
        counts, parts = _micro_operations(source, without(spans, ~candidates))
    nameless = candidates & ~named
    if (counts[nameless] < 0).any():
        counts, parts = _micro_operations(source, without(spans, ~(candidates & named)))
    have = counts >= 0
    if not have.any():
        return {}, have
    owner = np.repeat(np.arange(len(spans)), np.maximum(counts, 0))

    def bad_part(part: int, reason: str) -> None:
        bad(int(owner[part]), reason)

    micro_f, key, value = (JsonColumn.of(source, np.ascontiguousarray(parts[:, k]), bad_part) for k in range(3))
    offsets = np.concatenate([[0], np.cumsum(np.maximum(counts, 0))])
    items = {"f": micro_f.names(), "key": key.key(), "value": value.column()}
    texts = [*(f.texts.to_pylist() if f.texts is not None else []), "txn"]
    named_f = coded(texts, np.where(have, len(texts) - 1, f.values))
    return {"txn": ListColumn(offsets, items, None if have.all() else have), "f": named_f}, have


def _micro_operations(source: Source, spans: Int64) -> tuple[Int64, Int64]:
    counts, room = np.full(len(spans), -1, np.int64), max(1024, 4 * len(spans))
    while True:
        parts = np.empty((room, 3, 2), np.int64)
        total = source.kernel.micro_operations(source.array, source.json, spans, counts, parts, source.stack)
        if total >= 0:
            return counts, parts[:total]
        room *= 4


def independent(
    source: Source, spans: Int64, f: Column, process: NDArray[np.int32], invoke: Mask
) -> tuple[Int64, Int64] | None:
    """The spans of keys and of values where the history is one of jepsen.independent; None where it is not.

    Its tuples are written as plain vectors, as a cas's ``[old new]`` is. So the whole history decides: every value is a
    pair whose first part is neither nil nor a collection; an invocation that is no cas has nil as its second part, or
    every cas has a pair there; and completions have the keys of their invocations.
    """
    first, second = np.empty_like(spans), np.empty_like(spans)
    source.kernel.pairs(source.array, source.json, spans, first, second, source.stack)
    present = spans[:, 0] >= 0
    if not present.any() or (first[present, 0] < 0).any():
        return None
    data = np.frombuffer(source.data, np.uint8)
    if np.isin(data[first[present, 0]], NESTED).any():
        return None
    keys, values = (JsonColumn.of(source, part, lambda row, reason: None) for part in (first, second))
    if (keys.kind[present] == NULL).any():
        return None
    cas = f.values == f.code("cas") if f.texts is not None else np.zeros(len(f), np.bool_)
    reads = invoke & present & ~cas & (values.kind == NULL)
    lists = np.isin(data[second[cas & present, 0]], tuple(b"[("))
    if not (reads.any() or lists.any()) or not lists.all():
        return None
    key = keys.key()
    order = np.argsort(process, kind="stable")
    order = order[present[order]]
    before, after = order[:-1], order[1:]
    answered = (process[before] == process[after]) & invoke[before] & ~invoke[after]
    return (first, second) if (key.values[before] == key.values[after])[answered].all() else None
