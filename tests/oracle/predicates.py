"""Possibly and definitely by their definitions: all consistent cuts, all ways through them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

Counts = tuple[int, ...]
State = Mapping[str, Mapping[str, Any]]


def state(rows: Sequence[Mapping[str, Any]], processes: Sequence[str], cut: Counts) -> State:
    """Per process the last recorded value of each field among its first events."""
    out: dict[str, dict[str, Any]] = {p: {} for p in processes}
    held = dict(zip(processes, cut, strict=True))
    for row in sorted(rows, key=lambda r: int(r["seq"])):
        if row["seq"] < held[row["process"]]:
            out[row["process"]].update({k: v for k, v in row.items() if "." in k and v is not None})
    return out


def possibly(cuts: set[Counts], holds: Callable[[Counts], bool]) -> set[Counts]:
    """The consistent cuts that fulfil it."""
    return {cut for cut in cuts if holds(cut)}


def definitely(cuts: set[Counts], holds: Callable[[Counts], bool]) -> bool:
    """Whether every sequence of consistent cuts, one event a step, from the first to the last meets one that does."""
    last = max(cuts, key=sum)
    avoided = {cut for cut in cuts if sum(cut) == 0 and not holds(cut)}
    for size in range(1, sum(last) + 1):
        avoided = {
            cut
            for cut in cuts
            if sum(cut) == size
            and not holds(cut)
            and any((*cut[:p], cut[p] - 1, *cut[p + 1 :]) in avoided for p in range(len(cut)))
        }
    return not avoided
