"""Cycles of a graph of constraints: strongly connected components, and the shortest way from a node back to itself.

firsts: shape (nodes + 1,), targets: shape (edges,): node u has edges to ``targets[firsts[u]:firsts[u + 1]]``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tracekit.kernels.engine import kernel

Int32 = NDArray[np.int32]


@kernel
def components(firsts: Int32, targets: Int32, component_out: Int32) -> int:
    """The strongly connected component of every node, numbered from 0; returns how many. O(nodes + edges).

    Tarjan, Depth-first search and linear graph algorithms, SIAM J. Comput. 1972, with a stack of its own.
    """
    n = len(firsts) - 1
    number = np.full(n, -1, np.int32)
    low = np.zeros(n, np.int32)
    cursor = np.zeros(n, np.int32)
    path = np.empty(n, np.int32)
    stack = np.empty(n, np.int32)
    found = numbered = waiting = 0
    component_out[:] = -1
    for root in range(n):
        if number[root] >= 0:
            continue
        depth = 1
        path[0] = root
        while depth > 0:
            u = path[depth - 1]
            if number[u] < 0:
                number[u] = low[u] = numbered
                numbered += 1
                cursor[u] = firsts[u]
                stack[waiting] = u
                waiting += 1
            descended = False
            while cursor[u] < firsts[u + 1]:
                v = targets[cursor[u]]
                cursor[u] += 1
                if number[v] < 0:
                    path[depth] = v
                    depth += 1
                    descended = True
                    break
                if component_out[v] < 0:
                    low[u] = min(low[u], number[v])
            if descended:
                continue
            depth -= 1
            if depth > 0:
                low[path[depth - 1]] = min(low[path[depth - 1]], low[u])
            if low[u] == number[u]:
                while True:
                    waiting -= 1
                    v = stack[waiting]
                    component_out[v] = found
                    if v == u:
                        break
                found += 1
    return found


@kernel
def shortest_cycle(firsts: Int32, targets: Int32, component: Int32, cycle_out: Int32, start: int) -> int:
    """The edges of a shortest cycle through a node, in order, into cycle_out; returns how many, 0 where there is none.

    Breadth first within the node's component. cycle_out: shape (nodes of the component,). O(nodes + edges).
    """
    n = len(firsts) - 1
    by_edge = np.full(n, -1, np.int32)
    origin = np.full(n, -1, np.int32)
    queue = np.empty(len(cycle_out) + 1, np.int32)
    queue[0] = start
    taken, known = 0, 1
    while taken < known:
        u = queue[taken]
        taken += 1
        for e in range(firsts[u], firsts[u + 1]):
            v = targets[e]
            if component[v] != component[start] or (v != start and origin[v] >= 0):
                continue
            if v != start:
                origin[v] = u
                by_edge[v] = e
                queue[known] = v
                known += 1
                continue
            length = 1
            w = u
            while w != start:
                length += 1
                w = origin[w]
            at = length - 1
            cycle_out[at] = e
            w = u
            while w != start:
                at -= 1
                cycle_out[at] = by_edge[w]
                w = origin[w]
            return length
    return 0
