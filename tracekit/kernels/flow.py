"""Loops of the largest flow (Dinic, "Algorithm for Solution of a Problem of Maximum Flow in Networks with Power
Estimation", Soviet Math. Doklady 11, 1970), from many sources to many sinks at once, in pieces.

A network: the arcs of node v are ``starts[v]`` to before ``starts[v + 1]``; `heads` has where each leads to, `twin` the
arc back, `room` how much more it can take; `supply` and `demand` what each node can still send and take.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tracekit.kernels.engine import kernel

Int64 = NDArray[np.int64]
UNREACHED = -1


@kernel
def distances(starts: Int64, heads: Int64, room: Int64, supply: Int64, demand: Int64, level_out: Int64) -> bool:
    """How many arcs with room lead to each node from one that can still send; tells whether one that can take is met.

    level_out: `UNREACHED` where none leads there.
    """
    queue = np.empty(len(level_out), np.int64)
    size = 0
    for v in range(len(level_out)):
        level_out[v] = UNREACHED
        if supply[v] > 0:
            level_out[v] = 0
            queue[size] = v
            size += 1
    met = False
    done = 0
    while done < size:
        v = queue[done]
        done += 1
        met = met or demand[v] > 0
        for a in range(starts[v], starts[v + 1]):
            u = heads[a]
            if room[a] > 0 and level_out[u] == UNREACHED:
                level_out[u] = level_out[v] + 1
                queue[size] = u
                size += 1
    return met


@kernel
def blocking_flow(
    starts: Int64,
    heads: Int64,
    twin: Int64,
    room_out: Int64,
    supply_out: Int64,
    demand_out: Int64,
    level_out: Int64,
    cursor_out: Int64,
    steps: int,
) -> bool:
    """Sends what can go along arcs that lead one level on; False where the steps were used up: call it again.

    level_out: from `distances`; `UNREACHED` where nothing can go on from. cursor_out: `starts` when a round begins.
    steps: more than there are nodes, since a path is left where they end. Flow is booked when an arc is left, so that
    what goes through a long path costs its length once.
    """
    path = np.empty(len(level_out), np.int64)
    sent_before = np.empty(len(level_out), np.int64)
    limit = np.empty(len(level_out) + 1, np.int64)
    for root in range(len(level_out)):
        if supply_out[root] <= 0 or level_out[root] != 0:
            continue
        v, depth, sent = root, 0, 0
        limit[0] = supply_out[root]
        while True:
            steps -= 1
            more = min(demand_out[v], limit[depth] - sent)
            demand_out[v] -= more
            sent += more
            arc = cursor_out[v]
            exhausted = arc == starts[v + 1]
            if exhausted and sent < limit[depth]:
                level_out[v] = UNREACHED
            if exhausted or sent == limit[depth] or steps < 0:
                if depth == 0:
                    break
                depth -= 1
                arc = path[depth]
                room_out[arc] -= sent - sent_before[depth]
                room_out[twin[arc]] += sent - sent_before[depth]
                v = heads[twin[arc]]
            elif room_out[arc] > 0 and level_out[heads[arc]] == level_out[v] + 1:
                path[depth], sent_before[depth] = arc, sent
                limit[depth + 1] = min(limit[depth], sent + room_out[arc])
                depth += 1
                v = heads[arc]
            else:
                cursor_out[v] += 1
        supply_out[root] -= sent
        if steps < 0:
            return False
    return True
