"""Whole `tracekit analyze` runs of a large Raft trace: ``python benchmarks/analyze.py [EVENTS]``.

Prints seconds and peak memory of the whole process (second run: kernels are compiled by then), and ratios to what
pyarrow needs to stream the same file and do nothing with it.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RUNS = 3
EVENTS_AN_OPERATION = 29

STREAM = "import sys, pyarrow.parquet as pq\nfor b in pq.ParquetFile(sys.argv[1]).iter_batches(): pass"
ANALYZE = "import sys; from tracekit.cli.main import main; main(['analyze', sys.argv[1]])"


def timed(code: str, path: Path) -> tuple[float, float]:
    """Median seconds and peak MiB of a whole Python process, after one run that is not counted."""
    seconds = []
    for _ in range(RUNS + 1):
        before = time.perf_counter()
        done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False)
        seconds.append(time.perf_counter() - before)
        if done.returncode != 0:
            raise SystemExit(done.stdout + done.stderr)
    return statistics.median(seconds[1:]), resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


def main() -> None:
    """Simulates once, then measures."""
    events = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.parquet"
        before = time.perf_counter()
        make = ["simulate", "raft", "--nodes", "5", "--seed", "7"]
        make += ["--operations", str(events // EVENTS_AN_OPERATION), "-o", str(path)]
        code = "import sys; from tracekit.cli.main import main; main(sys.argv[1:])"
        said = subprocess.run([sys.executable, "-c", code, *make], capture_output=True, text=True, check=True).stdout
        print(f"simulate   {time.perf_counter() - before:6.1f} s   {said.splitlines()[0].split('   ')[1]}")
        stream, _ = timed(STREAM, path)
        analyze, memory = timed(ANALYZE, path)
        print(f"stream     {stream:6.2f} s   (pyarrow iter_batches, imports included)")
        print(f"analyze    {analyze:6.2f} s   {memory:,.0f} MiB peak   {analyze / stream:.1f} times the stream")


if __name__ == "__main__":
    main()
