"""Matching: which receives belong to which send."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tracekit.trace.trace import Trace


@dataclass(frozen=True, eq=False)
class Messages:
    """Sends and receives of one trace.

    Attributes
    ----------
    send_of: int64, shape (n,): row of the send that each receive belongs to; -1 where there is none, and for other
        events.
    """

    send_of: NDArray[np.int64]


def match(trace: Trace) -> Messages:
    """Joins sends and receives by message id."""
    raise NotImplementedError
