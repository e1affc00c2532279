"""Order at scale: ``python benchmarks/order.py [EVENTS] [PROCESSES] [--without-vectors]``.

The bars of the project are run by ``10000000 10``, ``10000000 100``, ``10000000 100 --without-vectors`` and ``100000000
16 --without-vectors``; the largest takes five minutes and 11 GB of memory.

Generates a Parquet trace (30% sends, 30% receives, int64 message ids, Lamport and vector timestamps), then measures,
each in a process of its own and on the second run: pyarrow streaming the same columns; reading, matching, the index of
happens-before and the Lamport, vector and channel checks; questions to the index; the order recovered from vectors
alone; and networkx and plain Python on the sizes that they can do. Seconds are of the clock and, behind them, of the
processor, which a busy machine distorts less. Bars are printed beside; nothing here fails.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

SLICE = 1 << 18
SMALL = 100_000
"""Events that networkx and plain Python are given."""
RECOVERED = 200_000_000
"""Entries of all vectors together up to which the order is recovered from them as well."""


def generate(path: Path, events: int, processes: int, vectors: bool) -> None:
    """Writes the trace in slices; no more than one slice is in memory."""
    import numba
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    @numba.njit
    def step(n, first, now, lamport, box, stamps, ids, size, process, kind, message, clock, out):  # type: ignore[no-untyped-def]  # numba infers them
        p = now.shape[0]
        for i in range(n):
            a = np.random.randint(p)
            what = np.random.random()
            process[i], kind[i], message[i] = a, 0, -1
            if what < 0.3 and size[a] > 0:
                size[a] -= 1
                k = size[a]
                kind[i], message[i] = 2, ids[a, k]
                lamport[a] = max(lamport[a], stamps[a, k])
                for c in range(p):
                    now[a, c] = max(now[a, c], box[a, k, c])
            lamport[a] += 1
            now[a, a] += 1
            if what >= 0.7:
                b = np.random.randint(p)
                kind[i], message[i] = 1, first + i
                if size[b] < box.shape[1]:
                    box[b, size[b]], stamps[b, size[b]], ids[b, size[b]] = now[a], lamport[a], first + i
                    size[b] += 1
            clock[i] = lamport[a]
            if out.shape[0]:
                out[i] = now[a]

    names = [f"n{i}" for i in range(processes)]
    fields = [("process", pa.dictionary(pa.int32(), pa.string())), ("kind", pa.dictionary(pa.int8(), pa.string()))]
    fields += [("message", pa.int64()), ("lamport", pa.int64())]
    fields += [("vclock", pa.list_(pa.int64()))] if vectors else []
    metadata = {"tracekit.version": "1", "tracekit.processes": json.dumps(names), "tracekit.complete": "true"}
    schema = pa.schema(fields, metadata=metadata)
    now, lamport = np.zeros((processes, processes), np.int64), np.zeros(processes, np.int64)
    box, size = np.zeros((processes, 64, processes), np.int64), np.zeros(processes, np.int64)
    stamps, ids = np.zeros((processes, 64), np.int64), np.zeros((processes, 64), np.int64)
    with pq.ParquetWriter(path, schema) as writer:
        for first in range(0, events, SLICE):
            n = min(SLICE, events - first)
            process, kind = np.empty(n, np.int32), np.empty(n, np.int8)
            message, clock = np.empty(n, np.int64), np.empty(n, np.int64)
            out = np.empty((n if vectors else 0, processes), np.int64)
            step(n, first, now, lamport, box, stamps, ids, size, process, kind, message, clock, out)
            columns = [
                pa.DictionaryArray.from_arrays(pa.array(process), pa.array(names)),
                pa.DictionaryArray.from_arrays(pa.array(kind), pa.array(["internal", "send", "receive"])),
                pa.array(message, mask=message < 0),
                pa.array(clock),
            ]
            if vectors:
                offsets = pa.array(np.arange(n + 1, dtype=np.int32) * processes)
                columns.append(pa.ListArray.from_arrays(offsets, pa.array(out.ravel())))
            writer.write_batch(pa.record_batch(columns, schema=schema))


Seconds = tuple[float, float]


def timed(function: Callable[[], Any]) -> tuple[Seconds, Any]:
    """Seconds of the clock and of the processor, and what it returned."""
    before, used = time.perf_counter(), time.process_time()
    value = function()
    return (time.perf_counter() - before, time.process_time() - used), value


def stream(path: str) -> dict[str, Any]:
    """What pyarrow needs to look at every batch."""
    import pyarrow.parquet as pq

    seconds, _ = timed(lambda: sum(batch.num_rows for batch in pq.ParquetFile(path).iter_batches()))
    return {"pyarrow iter_batches": seconds}


def whole(path: str) -> dict[str, Any]:
    """Reading, matching, index, checks; then questions."""
    import numpy as np

    from tracekit.execution import Execution
    from tracekit.order.predicates import earliest
    from tracekit.reading import read_trace
    from tracekit.registry import checks

    out: dict[str, Any] = {}
    out["read"], trace = timed(lambda: read_trace(path))
    execution = Execution(trace)
    out["program order"], _ = timed(lambda: execution.program_order)
    out["matching"], _ = timed(lambda: execution.messages)
    out["happens-before index"], order = timed(lambda: execution.happens_before)
    for name in ("clock.lamport", "clock.vector", "channel.delivery"):
        check = checks()[name]
        if check.applies(execution):
            out[name], result = timed(lambda check=check: check.run(execution, execution.options))  # type: ignore[misc]  # bound at once
            assert result.verdict == "holds", result
    out["all of it"] = tuple(map(sum, zip(*out.values(), strict=True)))
    out["peak_kib"] = peak()
    random = np.random.default_rng(1)
    a, b = random.integers(0, len(trace), (2, 1_000_000))
    out["precedes, 1M pairs"], _ = timed(lambda: order.precedes(a, b))
    out["causal past, as a cut"], _ = timed(lambda: order.frontiers(len(trace) - 1))
    out["causal past, as rows, first asked"], rows = timed(lambda: order.past(len(trace) - 2))
    out["causal past, as rows, then"], rows = timed(lambda: order.past(len(trace) - 1))
    conjunction = {}
    for p in range(len(trace.processes)):
        size = int(np.diff(order.program.starts)[p])
        conjunction[p] = np.zeros(size + 1, np.bool_)
        conjunction[p][random.integers(0, size, size // 1_000)] = True
    out["possibly, conjunctive"], _ = timed(lambda: earliest(order, conjunction))
    out["events in that past"] = len(rows)
    return out


def recovered(path: str) -> dict[str, Any]:
    """Happens-before from vectors alone."""
    from dataclasses import replace

    from tracekit.execution import Execution
    from tracekit.reading import read_trace

    trace = read_trace(path)
    if "vclock" not in trace:
        return {}
    columns = {name: column for name, column in trace.columns.items() if name != "message"}
    execution = Execution(replace(trace, columns=columns))
    seconds, order = timed(lambda: execution.happens_before)
    return {"index from vectors alone": seconds, "edges recovered": len(order.edges())}


def others(path: str) -> dict[str, Any]:
    """Vector clocks and reachability by plain Python and networkx, on a small trace; per event."""
    import networkx as nx

    from tracekit.execution import Execution
    from tracekit.reading import read_trace

    trace = read_trace(path)
    process, sends = trace.process.tolist(), Execution(trace).messages.send_of.tolist()

    def plain() -> list[tuple[int, ...]]:
        now = [[0] * len(trace.processes) for _ in trace.processes]
        clocks: list[tuple[int, ...]] = []
        for row, (p, send) in enumerate(zip(process, sends, strict=True)):
            if send >= 0:
                now[p] = [max(pair) for pair in zip(now[p], clocks[send], strict=True)]
            now[p][p] += 1
            clocks.append(tuple(now[p]))
            assert row < len(clocks)
        return clocks

    seconds, clocks = timed(plain)
    index, _ = timed(lambda: Execution(trace).happens_before)
    graph = Execution(trace).happens_before.to_networkx()
    some = [trace.event(row) for row in range(0, len(trace), len(trace) // 20)]
    asked, _ = timed(lambda: [nx.has_path(graph, some[0], name) for name in some])
    return {
        "events": len(clocks),
        "plain Python: vector clocks": seconds,
        "tracekit: matching and index": index,
        "networkx: 21 questions has_path": asked,
    }


PARTS = {"stream": stream, "whole": whole, "recovered": recovered, "others": others}


def measured(part: str, path: Path) -> dict[str, Any]:
    """Runs a part in a process of its own, twice; the second run, with its peak memory."""
    found: dict[str, Any] = {}
    for _ in range(2):
        done = subprocess.run([sys.executable, __file__, part, str(path)], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise SystemExit(done.stderr)
        found = json.loads(done.stdout)
    return found


def main() -> None:
    """Prints the table."""
    if len(sys.argv) > 2 and sys.argv[1] in PARTS:
        found = PARTS[sys.argv[1]](sys.argv[2])
        print(json.dumps({"peak_kib": peak(), **found}))
        return
    numbers = [int(word) for word in sys.argv[1:] if word.isdecimal()]
    events = numbers[0] if numbers else 1_000_000
    processes = numbers[1] if len(numbers) > 1 else 10
    with tempfile.TemporaryDirectory() as folder:
        large, small = Path(folder) / "large.parquet", Path(folder) / "small.parquet"
        generate(large, events, processes, vectors="--without-vectors" not in sys.argv)
        generate(small, SMALL, processes, vectors=True)
        vectors = "with" if "--without-vectors" not in sys.argv else "without"
        size = f"{large.stat().st_size / 1e6:,.0f} MB"
        print(f"{events:,} events, {processes} processes, {vectors} vectors, {size}; second run: elapsed, processor")
        base = measured("stream", large)
        found = measured("whole", large)
        show(base)
        show(found)
        wall, used = (a / b for a, b in zip(found["all of it"], base["pyarrow iter_batches"], strict=True))
        memory = found["peak_kib"] * 1024
        print(f"{'all of it / iter_batches':<34}{wall:8.1f}   {used:8.1f}     bar at 10M, 10 processes: 5")
        print(f"{'bytes an event at the peak':<34}{memory / events:8,.0f}                bar: 250; at 100M: 120")
        print(f"{'gigabytes at the peak':<34}{memory / 1e9:8.1f}                bar: 10; at 100M: 12")
        if events * processes <= RECOVERED:
            show(measured("recovered", large))
        show(measured("others", small))


def peak() -> int:
    """Peak memory of this program alone, KiB: ru_maxrss would count the parent's from before exec as well."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1])


def show(found: dict[str, Any]) -> None:
    """One line a measurement."""
    for name, value in found.items():
        if isinstance(value, list):
            print(f"{name:<34}{value[0]:8.3f} s {value[1]:8.3f} s")
        else:
            print(f"{name:<34}{value:8,}")


if __name__ == "__main__":
    main()
