"""Loops over readings of physical clocks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tracekit.kernels.engine import kernel

Bool = NDArray[np.bool_]
Int64 = NDArray[np.int64]


@kernel
def lower_hull(x: Int64, y: Int64, kept_out: Bool) -> None:
    """Marks the corners of the lower convex hull of points (Andrew's monotone chain). O(points).

    x, y: ascending by x, then by y. Turns are decided in floating point: a corner that stands out by less than about
    one part in 2^52 may be taken for a point of an edge.
    """
    hull = np.empty(len(x), np.int64)
    size = 0
    for i in range(len(x)):
        if size > 0 and x[hull[size - 1]] == x[i]:
            continue
        while size > 1:
            a, b = hull[size - 2], hull[size - 1]
            turn = float(x[b] - x[a]) * float(y[i] - y[a]) - float(y[b] - y[a]) * float(x[i] - x[a])
            if turn > 0:
                break
            size -= 1
        hull[size] = i
        size += 1
    for k in range(size):
        kept_out[hull[k]] = True
