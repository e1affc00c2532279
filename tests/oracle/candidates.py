"""From Lamport timestamps alone: the sends that a receive can belong to, one by one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Rows = Sequence[Mapping[str, Any]]


def fits(send: Mapping[str, Any], receive: Mapping[str, Any]) -> bool:
    """Whether the ends of a message, as far as they are recorded, are those two events' processes."""
    return (
        send["kind"] == "send"
        and send.get("peer") in (None, receive["process"])
        and receive.get("peer") in (None, send["process"])
    )


def possible(rows: Rows, row: int) -> tuple[list[int], list[int], list[int]]:
    """Rows of the sends with the right ends; of these, those that may be stamped earlier; and by just one less."""
    stamp = rows[row]["lamport"]
    addressed = [i for i in range(len(rows)) if fits(rows[i], rows[row])]
    stamps = {i: rows[i].get("lamport") for i in addressed}
    return (
        addressed,
        [i for i in addressed if stamps[i] is None or stamps[i] < stamp],
        [i for i in addressed if stamps[i] is None or stamps[i] == stamp - 1],
    )
