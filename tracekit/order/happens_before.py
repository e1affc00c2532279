"""Happens-before (Lamport 1978) over the events of one trace."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracekit.order.matching import Messages
from tracekit.order.program import ProgramOrder
from tracekit.trace.trace import Trace


@dataclass(frozen=True, eq=False)
class HappensBefore:
    """See the methods."""

    program: ProgramOrder

    @classmethod
    def of(cls, trace: Trace, program: ProgramOrder, messages: Messages) -> HappensBefore:
        raise NotImplementedError

    def precedes(self, first: Any, second: Any) -> NDArray[np.bool_]:
        """Whether each event of `first` (rows) strictly happens before the one of `second`."""
        raise NotImplementedError

    def frontiers(self, rows: Any) -> NDArray[np.int64]:
        """int64, shape (k, processes): how many first events of each process are in the past of each row, the
        event itself included."""
        raise NotImplementedError

    def past(self, row: int) -> NDArray[np.int64]:
        """Rows of all events that happen before one, in an order that respects happens-before."""
        raise NotImplementedError

    def future(self, row: int) -> NDArray[np.int64]:
        """Rows of all events that one happens before."""
        raise NotImplementedError

    def path(self, first: int, second: int) -> NDArray[np.int64]:
        """Rows of a shortest chain from one event to another; empty where none exists."""
        raise NotImplementedError

    def reason(self, first: int, second: int) -> str:
        """Why one event comes before another: ``same process``, ``message 207``, ``happens before``, ``concurrent``."""
        raise NotImplementedError
