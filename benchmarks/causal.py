"""How fast causal consistency, session guarantees and staleness are decided, beside a plain Python implementation.

    python benchmarks/causal.py                 1M operations of 10 sessions (a few minutes)
    python benchmarks/causal.py --operations N --sessions K [--only session]

Histories are made by a causal store of one replica a session: writes are unique, half of the operations read, replicas
learn of each other's writes after random delays, and a read takes the last write that its replica applied. In the
valid history all replicas order conflicting writes alike (last writer wins by Lamport time), so that CC, CCv and CM
hold, as do the session guarantees; staleness is only measured, since no bound is declared. In the other, one read near
the end returns the value before the one it should.

Seconds and memory are those of a process of its own that reads the native file and judges it, kernels cached: the
second run of each; "processor" is what it used of all cores, which says more where the machine is shared. The plain
implementation computes the clocks of CC and overwritten reads with lists, on a smaller history; the ratio is per
operation.
"""

from __future__ import annotations

import argparse
import heapq
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tracekit.trace.assemble import assemble
from tracekit.trace.columns import Column
from tracekit.trace.parquet import write_parquet
from tracekit.trace.trace import Trace

CHECKS = (
    "consistency.causal",
    "consistency.causal-convergence",
    "consistency.causal-memory",
    "consistency.pram",
    "session.read-your-writes",
    "session.monotonic-reads",
    "session.monotonic-writes",
    "session.writes-follow-reads",
    "consistency.bounded-staleness",
    "consistency.eventual",
)
KEYS = 1000
Int64 = NDArray[np.int64]


def history(n: int, sessions: int, seed: int, planted: bool) -> tuple[Int64, NDArray[np.bool_], Int64, Int64]:
    """Session, whether it writes, key, value (-1: nil) of each operation, in the order in which they happened."""
    draw = np.random.default_rng(seed)
    session, write, key = draw.integers(0, sessions, n), draw.random(n) < 0.5, draw.integers(0, KEYS, n)
    value = np.arange(n)
    # Writes are delivered everywhere in the order in which they were issued, each replica lagging by so many.
    lag = np.sort(draw.integers(0, 50, sessions))
    store: list[dict[int, int]] = [{} for _ in range(sessions)]
    queue: list[list[tuple[int, int]]] = [[] for _ in range(sessions)]
    session_list, write_list, key_list = session.tolist(), write.tolist(), key.tolist()
    for i in range(n):
        s, k = session_list[i], key_list[i]
        own, waiting = store[s], queue[s]
        while waiting and waiting[0][0] <= i - int(lag[s]):
            stamp, other = heapq.heappop(waiting)
            if stamp > own.get(other, -1):
                own[other] = stamp
        if write_list[i]:
            # A replica applies all it has heard of before it writes: the stamp is then above everything it knows.
            own[k] = i
            for r in range(sessions):
                if r != s:
                    heapq.heappush(queue[r], (i, k))
        else:
            value[i] = own.get(k, -1)
    if planted:
        plant(session, write, key, value)
    return session, write, key, value


def plant(session: Int64, write: NDArray[np.bool_], key: Int64, value: Int64) -> None:
    """One read near the end returns what its session had read there before, and seen replaced since."""
    for late in range(int(0.95 * len(value)), len(value)):
        if write[late]:
            continue
        same = np.flatnonzero((session[:late] == session[late]) & (key[:late] == key[late]) & ~write[:late])
        values = value[same]
        other = same[(values != value[late]) & (values >= 0)]
        if len(other) > 1 and session[value[other[0]]] != session[value[late]]:
            value[late] = value[other[0]]
            return


def trace_of(n: int, sessions: int, seed: int, planted: bool) -> Trace:
    """Two rows an operation, one after the other."""
    session, write, key, value = history(n, sessions, seed, planted)
    twice = np.repeat(np.arange(n), 2)
    kind = np.tile(np.array([0, 1]), n)
    present = (write[twice] | (kind == 1)) & (value[twice] >= 0)
    return assemble(
        {
            "process": named(session[twice], [f"s{i}" for i in range(sessions)]),
            "kind": named(kind, ["invoke", "ok"]),
            "f": named(write[twice].astype(np.int64), ["read", "write"]),
            "key": Column(key[twice]),
            "value": Column(value[twice], present),
            "true_time_ns": Column(np.arange(2 * n)),
        },
        at="benchmark",
    )


def named(codes: Int64, names: list[str]) -> Column:
    return Column(codes.astype(np.int32), None, pa.array(names))


JUDGE = """
import resource, sys, time
began = time.perf_counter()
from tracekit.reading import read_trace
trace = read_trace(sys.argv[1])
verdict = "read"
if sys.argv[2] != "read":
    from tracekit.execution import Execution, Options
    from tracekit.registry import checks
    execution = Execution(trace, Options())
    verdict = checks()[sys.argv[2]].run(execution, execution.options).verdict
print(verdict, time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)
"""


def measured(path: Path, check: str) -> tuple[str, float, float, float]:
    """Verdict, seconds, processor seconds and GiB of the second of two processes; the first may compile.

    Start-up counts.
    """
    for _ in range(2):
        began, used = time.perf_counter(), processor()
        out = subprocess.run(
            [sys.executable, "-c", JUDGE, str(path), check], capture_output=True, text=True, check=True
        )
        took, used = time.perf_counter() - began, processor() - used
    verdict, _, memory = out.stdout.split()
    return verdict, took, used, float(memory)


def processor() -> float:
    """Processor seconds of all finished children."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def plain(n: int, sessions: int) -> float:
    """Seconds a plain implementation of CC takes: clocks as lists, writes by key as lists."""
    session, write, key, value = (column.tolist() for column in history(n, sessions, 1, False))
    began = time.perf_counter()
    now = [[0] * sessions for _ in range(sessions)]
    clock: list[list[int]] = []
    place: list[int] = []
    writes: dict[tuple[int, int], list[int]] = {}
    for i in range(n):
        own = now[session[i]]
        if not write[i] and value[i] >= 0:
            own[:] = map(max, own, clock[value[i]])
        own[session[i]] += 1
        place.append(own[session[i]])
        clock.append(list(own))
        if write[i]:
            writes.setdefault((key[i], session[i]), []).append(i)
        else:
            for s in range(sessions):
                below = [w for w in reversed(writes.get((key[i], s), ())) if place[w] <= own[s]][:1]
                for w in below:
                    seen = value[i] < 0 or clock[w][session[value[i]]] >= place[value[i]]
                    assert w == value[i] or not seen, "the history is causally consistent"
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--operations", type=int, default=1_000_000)
    parser.add_argument("--sessions", type=int, default=10)
    parser.add_argument("--only", default="")
    arguments = parser.parse_args()
    n, sessions = arguments.operations, arguments.sessions
    small = min(n, 50_000)
    by_hand = plain(small, sessions) / small
    print(f"{n:,} operations, {sessions} sessions, {KEYS} keys; plain CC in Python: {by_hand * n:.1f} s (scaled)")
    header = f"{'history':<10} {'check':<32} {'verdict':<14} {'seconds':>8} {'processor':>9} {'GiB':>6}"
    print(f"{header} {'x reading':>10} {'plain x':>8}")
    with tempfile.TemporaryDirectory() as folder:
        for planted in (False, True):
            path = Path(folder) / f"{planted}.parquet"
            write_parquet(trace_of(n, sessions, 1, planted), path)
            _, reading, used, memory = measured(path, "read")
            name = "planted" if planted else "valid"
            print(f"{name:<10} {'(reading the file)':<32} {'':<14} {reading:8.2f} {used:9.2f} {memory:6.2f}")
            for check in CHECKS:
                if arguments.only not in check:
                    continue
                verdict, took, used, memory = measured(path, check)
                plainly = f"{by_hand * n / took:8.1f}" if check == "consistency.causal" else ""
                print(
                    f"{name:<10} {check:<32} {verdict:<14} {took:8.2f} {used:9.2f} {memory:6.2f} "
                    f"{took / reading:10.1f} {plainly}",
                    flush=True,
                )
    print(f"this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB")


if __name__ == "__main__":
    main()
