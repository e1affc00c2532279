"""Where a regular expression matches in a whole text, as arrays."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tracekit.formats.text import Rejects
from tracekit.trace.columns import Column, from_arrow

Int64 = NDArray[np.int64]

BATCH = 1 << 16


def find_all(pattern: re.Pattern[bytes], data: bytes, begin: int, end: int) -> Int64:
    """Shape (n, groups + 1, 2): the spans of each match and of its groups. Matches of nothing are passed over."""
    batches, batch = [], []
    for match in pattern.finditer(data, begin, end):
        batch.append(match.regs)
        if len(batch) == BATCH:
            batches.append(np.array(batch, np.int64))
            batch = []
    batches.append(np.array(batch, np.int64).reshape(-1, pattern.groups + 1, 2))
    return np.concatenate(batches)


def set_aside_rest(
    data: bytes, begin: int, end: int, spans: Int64, feeds: Int64, rejects: Rejects, reason: str
) -> None:
    """Sets aside the lines that are not blank and belong to no match."""
    starts = np.concatenate([[begin], feeds[(feeds >= begin) & (feeds < end)] + 1])
    ends = np.append(starts[1:] - 1, end)
    covered = np.zeros(len(starts) + 1, np.int64)
    matched = spans[spans[:, 0, 1] > spans[:, 0, 0], 0]
    np.add.at(covered, np.searchsorted(starts, matched[:, 0], side="right") - 1, 1)
    np.add.at(covered, np.searchsorted(starts, matched[:, 1] - 1, side="right"), -1)
    rest = np.flatnonzero(np.cumsum(covered)[:-1] == 0)
    rest = np.array([k for k in rest.tolist() if data[starts[k] : ends[k]].strip()], np.int64)
    lines = np.searchsorted(feeds, starts[rest]) + 1
    rejects.add_many(
        lines.tolist(), reason,
        lambda k: data[starts[rest[k]] : ends[rest[k]]].decode("utf-8", "replace"),
    )  # fmt: skip


def texts_at(data: bytes, spans: Int64) -> Column:
    """A group's texts; absent where it took no part in the match, and where a text is empty."""
    present = spans[:, 1] > spans[:, 0]
    ends = np.maximum.accumulate(np.where(present, spans[:, 1], 0))
    # Spans go forward: they and the gaps between them are the strings of one array over the whole text.
    bounds = np.stack([np.where(present, spans[:, 0], ends), ends], axis=1).reshape(-1)
    strings = pa.LargeStringArray.from_buffers(max(0, len(bounds) - 1), pa.py_buffer(bounds), pa.py_buffer(data))
    texts = strings.take(pa.array(np.arange(0, len(bounds), 2), mask=~present))
    try:
        texts.validate(full=True)
    except pa.ArrowInvalid:  # the expression cuts through a character
        texts = pa.array([t and t.decode("utf-8", "replace") for t in texts.cast(pa.large_binary()).to_pylist()])
    column = from_arrow(texts)
    assert isinstance(column, Column), "texts are scalars"
    return column
