"""Messages between processes as vector clocks alone show them, by definition; for a few thousand events at most."""

from __future__ import annotations

from collections.abc import Mapping


def causal_edges(events: Mapping[str, list[dict[str, int]]]) -> set[tuple[str, int, str, int]]:
    """The edges ``(from process, its count, to process, its count)`` that are needed to explain the clocks.

    events: by process in its order, each event's clock (absent components are zero). The first event of a process has 1
    in its own component. An event has an edge from the last event of another process that it knows, where its previous
    event knew less of that process, and no other such event knows that one as well.
    """
    edges = set()
    for process, clocks in events.items():
        known: dict[str, int] = {}
        for clock in clocks:
            grown = {other: n for other, n in clock.items() if other != process and n > known.get(other, 0)}
            for other, count in grown.items():
                implied = any(
                    events[third][n - 1].get(other, 0) >= count for third, n in grown.items() if third != other
                )
                if not implied:
                    edges.add((other, count, process, clock[process]))
            known = clock
    return edges
