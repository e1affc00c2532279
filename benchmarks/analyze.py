"""Whole `tracekit analyze` runs of large traces of the reference protocols.

    python benchmarks/analyze.py [--events 1000000] [PROTOCOL ...]         (default: all; ten minutes and more)

Each protocol runs in the simulator, with faults drawn from the seed, for about so many events. Prints how fast the
simulator was, then seconds and peak memory of the whole analysing process (kernels are compiled by then) and the ratio
to what pyarrow needs to stream the same file and do nothing with it. The bar is 5 seconds and 1.5 GB a million events.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tracekit.protocols import Simulation, protocols
from tracekit.trace.parquet import write_parquet

RUNS = 2
TRIAL = 400
"""Operations of the run that tells how many events an operation makes."""

PEAK = """
line = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print("peak", int(line.split()[1]), file=sys.stderr)
"""
STREAM = f"import sys, pyarrow.parquet as pq\nfor b in pq.ParquetFile(sys.argv[1]).iter_batches(): pass\n{PEAK}"
ANALYZE = f"""
import sys
from tracekit.cli.main import main
try:
    main(["analyze", sys.argv[1]])
finally:
    {PEAK.strip().replace(chr(10), chr(10) + "    ")}
"""


def timed(code: str, path: Path) -> tuple[float, float, int]:
    """Median seconds, peak GB and exit code of a whole Python process, after one run that is not counted."""
    seconds = []
    for _ in range(RUNS + 1):
        before = time.perf_counter()
        done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False)
        seconds.append(time.perf_counter() - before)
    peak = next(int(line.split()[1]) for line in done.stderr.splitlines() if line.startswith("peak "))
    return statistics.median(seconds[1:]), peak * 1024 / 1e9, done.returncode


def measured(name: str, events: int, folder: Path) -> str:
    """One line of the table."""
    protocol, path = protocols()[name], folder / "run.parquet"
    network = protocol.networks[0]
    trial = len(protocol.simulate(Simulation(protocol.default_nodes, 7, network, operations=TRIAL), None))
    operations = events * TRIAL // trial
    before = time.perf_counter()
    trace = protocol.simulate(Simulation(protocol.default_nodes, 7, network, operations=operations), None)
    speed, count = len(trace) / (time.perf_counter() - before), len(trace)
    write_parquet(trace, path)
    del trace
    stream, _, _ = timed(STREAM, path)
    seconds, peak, code = timed(ANALYZE, path)
    return (
        f"{name:<20}{count:>10,}{speed:>12,.0f}{seconds:>9.1f} s{peak:>8.2f} GB{seconds / stream:>9.1f}"
        f"{seconds / count * 1e6:>14.1f}{code:>6}"
    )


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("protocols", nargs="*", choices=["all", *sorted(protocols())], default="all")
    parser.add_argument("--events", type=int, default=1_000_000)
    arguments = parser.parse_args()
    names = sorted(protocols()) if "all" in arguments.protocols else arguments.protocols
    print("protocol              events  simulated/s   analyze      peak  x stream  s a million  exit")
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            print(measured(name, arguments.events, Path(folder)), flush=True)


if __name__ == "__main__":
    main()
