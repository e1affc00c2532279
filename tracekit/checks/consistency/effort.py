"""What the rungs of the ladder cost, by rule of thumb: those that nobody requires never make a verdict late.

The rule looks at sizes alone, so that the same history is always told the same, however busy the machine is.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tracekit.execution import Execution

MEASURED_S = 2.0
"""Seconds that measured rungs may take together, by the rule; and that a search may take that is not required."""

COSTS: Mapping[str, tuple[float, float]] = {
    "consistency.bounded-staleness": (0.6, 0.0),
    "consistency.eventual": (0.5, 0.0),
    "consistency.causal": (0.0, 0.05),
    "consistency.causal-convergence": (0.0, 0.05),
    "consistency.causal-memory": (0.0, 0.18),
    "consistency.pram": (0.0, 0.22),
    "session.read-your-writes": (0.4, 0.0),
    "session.monotonic-reads": (0.2, 0.0),
    "session.monotonic-writes": (0.2, 0.0),
    "session.writes-follow-reads": (0.7, 0.0),
}
"""Microseconds an operation, and an operation and client; what is not here costs nothing worth the name."""


def seconds(name: str, execution: Execution) -> float:
    """What a check would take on this history on a usual machine, by the rule of thumb."""
    if name not in COSTS:
        return 0.0
    count = len(execution.operations)
    an_operation, an_operation_and_client = COSTS[name]
    return count * (an_operation + an_operation_and_client * _clients(execution)) / 1e6


def _clients(execution: Execution) -> int:
    return len(np.flatnonzero(np.bincount(execution.operations.process))) if len(execution.operations) else 0
