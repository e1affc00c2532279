"""Orders that show why a history is allowed, written out for short ones: for HOLDS what a witness is for VIOLATED.

Each is an order of writes, or of a session's reads among them, in which every read can be looked up. They come from an
order that saturation left without a cycle: what must come before a node is emitted before it, and nothing else is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracekit.checks.consistency.causal_order import ALL, Chains
from tracekit.checks.consistency.session_history import SessionHistory

Lists = tuple[NDArray[np.int32], NDArray[np.int32]]
"""What leads into each node beside chains and reads-from, as `tracekit.kernels.causal` has it."""

CERTIFIED = 1000
"""Histories of up to so many operations are written out."""

MOST_LISTED = 10_000
"""The orders of all sessions may list so many operations."""


def omitted(kind: str, operations: int, sessions: int = 1) -> dict[str, Any] | None:
    """What stands for an order that would be too long; None where it is short."""
    if operations <= CERTIFIED and operations * sessions <= MOST_LISTED:
        return None
    each = f" for each of {sessions} sessions" if sessions > 1 else ""
    return {"kind": kind, "omitted": f"{operations} operations{each}: too many to list; the check derives it again"}


def emitted(targets: Iterable[int], before: Callable[[int], Iterable[int]]) -> list[int]:
    """Nodes after all that must come before them, following the targets' order where that is free. O(edges)."""
    out: list[int] = []
    known = set[int]()
    for target in targets:
        if target in known:
            continue
        known.add(target)
        stack: list[tuple[int, Iterator[int]]] = [(target, iter(before(target)))]
        while stack:
            node, left = stack[-1]
            following = next((u for u in left if u not in known), None)
            if following is None:
                out.append(node)
                stack.pop()
            else:
                known.add(following)
                stack.append((following, iter(before(following))))
    return out


def order_of_writes(kind: str, chains: Chains, lists: Lists, reader: int) -> dict[str, Any]:
    """One order of all writes that keeps an order without cycles."""
    left_out = omitted(kind, len(chains.nodes))
    if left_out:
        return left_out
    nodes = np.argsort(_rows(chains), kind="stable").tolist()
    write = chains.history.sessions.write[chains.entry]
    order = [u for u in emitted(nodes, _before(chains, lists, reader)) if write[u]]
    return {"kind": kind, "order": _events(chains, order)}


def views(kind: str, chains: Chains, lists: dict[int, Lists], reader: int | None, whole: bool) -> dict[str, Any]:
    """For each session an order of writes and its own reads in which these return the last write of their key.

    What comes before a read in the saturated order has the write that it read last of its key, so the session's
    operations are taken one after the other, each behind what must come before it and no more.

    Parameters
    ----------
    lists: by chain that reads, the edges of its saturated order.
    reader: whose reads come after their writes; None: those of the session itself.
    whole: whether writes that nothing puts before the session's last operation follow at the end.
    """
    left_out = omitted(kind, len(chains.nodes), len(lists))
    if left_out:
        return left_out
    write, out = chains.history.sessions.write[chains.entry], {}
    rest = np.flatnonzero(write)[np.argsort(_rows(chains)[write], kind="stable")].tolist() if whole else []
    for chain, own in lists.items():
        first, last = chains.span(chain)
        order = emitted([*range(first, last), *rest], _before(chains, own, chain if reader is None else reader))
        client = chains.history.client(int(chains.entry[first]))
        out[client] = _events(chains, [u for u in order if write[u] or first <= u < last])
    return {"kind": kind, "views": out}


def event_of(history: SessionHistory, entry: int) -> str:
    """The event that stands for an operation: its invocation, or its completion where that is all there is."""
    return history.execution.trace.event(int(history.operations.row[history.sessions.operation[entry]]))


def _events(chains: Chains, nodes: Iterable[int]) -> list[str]:
    return [event_of(chains.history, int(chains.entry[u])) for u in nodes]


def _rows(chains: Chains) -> NDArray[np.int64]:
    history = chains.history
    return history.operations.row[history.sessions.operation[chains.entry]]


def _before(chains: Chains, lists: Lists, reader: int) -> Callable[[int], Iterable[int]]:
    heads, edges = lists[0].tolist(), lists[1].tolist()
    chain, source = chains.nodes[:, 0].tolist(), chains.nodes[:, 2].tolist()

    def before(u: int) -> Iterator[int]:
        if u and chain[u - 1] == chain[u]:
            yield u - 1
        if source[u] >= 0 and reader in (ALL, chain[u]):
            yield source[u]
        e = heads[u]
        while e >= 0:
            yield edges[e][0]
            e = edges[e][1]

    return before
