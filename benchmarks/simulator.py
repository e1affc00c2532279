"""How fast a Raft run is simulated and becomes a trace: ``python benchmarks/simulator.py``.

The bar is 30,000 recorded events a second in one Python process, the building of the trace included. The last run is
the 1,000,000-event trace that the analysis is measured with.
"""

from __future__ import annotations

import resource
import time

from reference_impls.catalogue import protocols
from tracekit.protocols import Simulation

BAR = 30_000


def main() -> None:
    """Prints one line a run."""
    raft = protocols()["raft"]
    raft.simulate(Simulation(raft.default_nodes, operations=50), None)  # imports
    print(f"{'operations':>10} {'events':>10} {'seconds':>8} {'events/s':>9} {'of bar':>7} {'CPU ev/s':>9} {'MB':>6}")
    for operations in (1_000, 10_000, 36_000):
        wall, cpu = time.perf_counter(), time.process_time()
        trace = raft.simulate(Simulation(raft.default_nodes, seed=7, operations=operations), None)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        rate, memory = len(trace) / wall, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        print(
            f"{operations:>10,} {len(trace):>10,} {wall:>8.2f} {rate:>9,.0f} {rate / BAR:>6.1f}x"
            f" {len(trace) / cpu:>9,.0f} {memory:>6,}"
        )


if __name__ == "__main__":
    main()
