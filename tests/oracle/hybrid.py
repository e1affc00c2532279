"""Hybrid logical clocks as the paper's processes keep them (Kulkarni et al., OPODIS 2014, Figure 5), and variants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Stamp = tuple[int, int]


@dataclass(frozen=True)
class Recorder:
    """How a recorder keeps hybrid clocks.

    unit: the physical clock is read in whole such units. first, step: what c begins with at a new l, and by how much
    it grows. internal, send, receive: whether such events tick, and do not only take over what they heard.
    """

    unit: int = 1
    first: int = 0
    step: int = 1
    internal: bool = True
    send: bool = True
    receive: bool = True

    def ticks(self, kind: str) -> bool:
        return {"send": self.send, "receive": self.receive}.get(kind, self.internal)


@dataclass(frozen=True)
class Fault:
    """One mistake, made at one row; all that follows is computed from the mistaken clock. Of these, one is made:

    merges: whether the event takes what its message brought. reads: whether it reads the physical clock. resets:
    whether it begins anew. ticks: whether it ticks. shift: what is added to l and c.
    """

    row: int
    merges: bool = True
    reads: bool = True
    resets: bool = False
    ticks: bool = True
    shift: Stamp = (0, 0)


def stamps(
    rows: Sequence[Mapping[str, Any]], readings: Sequence[int], recorder: Recorder, fault: Fault | None = None
) -> list[Stamp]:
    """The rows' timestamps, one event after the other; file order must be a linear extension of happens-before."""
    now: dict[str, Stamp] = {}
    sent: dict[Any, Stamp] = {}
    out = []
    for number, row in enumerate(rows):
        here = fault if fault and fault.row == number else Fault(number)
        past = [] if here.resets else [now[row["process"]]] if row["process"] in now else []
        if row["kind"] == "receive" and here.merges and row["message"] in sent:
            past.append(sent[row["message"]])
        reading = readings[number] // recorder.unit * recorder.unit if here.reads else -1
        latest = max([at for at, _ in past] + [reading])
        if not (recorder.ticks(row["kind"]) and here.ticks) and past:
            stamp = max(past)
        elif not any(at == latest for at, _ in past):
            stamp = (latest, recorder.first)
        else:
            stamp = (latest, max(c for at, c in past if at == latest) + recorder.step)
        stamp = (stamp[0] + here.shift[0], stamp[1] + here.shift[1])
        now[row["process"]] = stamp
        if row["kind"] == "send":
            sent[row["message"]] = stamp
        out.append(stamp)
    return out


def condition_breaks(found: Sequence[Stamp], before: set[tuple[int, int]]) -> tuple[bool, bool]:
    """Whether some a -> b is stamped later than b, and whether some a -> b is stamped as b is (Theorem 1)."""
    return any(found[a] > found[b] for a, b in before), any(found[a] == found[b] for a, b in before)
