"""How fast `tracekit analyze` judges histories, beside a plain search after Wing & Gong and Lowe in Python.

    python benchmarks/linearizability.py            every case but the largest (some minutes, most of them the search)
    python benchmarks/linearizability.py --quick    a tenth of the sizes
    python benchmarks/linearizability.py --largest  ten million operations as well

Each line is a whole process that reads a native Parquet file, runs every check that applies, and prints; the second
run, the first may compile. The plain search has the same operations as lists and nothing to read or print; where it
takes longer than its limit, the ratio is a lower bound. The last two columns: what the process may take.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from whole import analyze

from tracekit.trace.assemble import assemble
from tracekit.trace.builder import TraceBuilder
from tracekit.trace.columns import Column, from_arrow
from tracekit.trace.parquet import write_parquet
from tracekit.trace.trace import Trace

PLAIN_LIMIT = 10.0
"""Seconds that the plain search may take."""

Int64 = NDArray[np.int64]


@dataclass
class History:
    """One row an operation: f (0 read, 1 write, 2 cas), argument, answer; end -1 where it never completed."""

    client: Int64
    key: Int64
    f: Int64
    old: Int64
    value: Int64
    start: Int64
    end: Int64
    failed: NDArray[np.bool_]

    def trace(self) -> Trace:
        """The history as a trace, in order of time."""
        n = len(self.f)
        done = np.flatnonzero(self.end >= 0)
        op = np.concatenate([np.arange(n), done])
        moment = np.concatenate([self.start, self.end[done]])
        completion = np.concatenate([np.zeros(n, np.int64), np.ones(len(done), np.int64)])
        order = np.lexsort((completion, moment))
        op, moment, completion = op[order], moment[order], completion[order]
        kind = np.where(completion == 0, 0, np.where(self.failed[op], 2, 1))
        read = self.f[op] == 0
        present = ~(read & (completion == 0)) & (self.value[op] >= 0)
        value: Any
        if (self.f == 2).any():
            pairs = np.char.add(np.char.add("[", self.old.astype(str)), np.char.add(",", self.value.astype(str)))
            texts = np.where(self.f == 2, np.char.add(pairs, "]"), self.value.astype(str))[op]
            value = from_arrow(pa.array(texts.tolist(), pa.string(), mask=~present))
        else:
            value = Column(self.value[op], present)
        return assemble(
            {
                "process": _named(self.client[op], [f"c{i}" for i in range(int(self.client.max()) + 1)]),
                "kind": _named(kind, ["invoke", "ok", "fail"]),
                "f": _named(self.f[op], ["read", "write", "cas"]),
                "key": Column(self.key[op]),
                "value": value,
                "op": Column(op),
                "true_time_ns": Column(moment),
            },
            at="benchmark",
        )


def _named(codes: Int64, names: Sequence[str]) -> Column:
    return Column(codes.astype(np.int32), None, pa.array(names))


def history(n: int, clients: int, keys: int, seed: int, shares: tuple[float, float], values: int = 0) -> History:
    """A linearizable history: every operation takes effect at a moment drawn between its ends.

    shares: of reads and of writes; the rest is cas. values: how many different ones are written; 0: all different.
    """
    draw = np.random.default_rng(seed)
    client = np.arange(n) % clients
    rounds = -(-n // clients)
    steps = draw.integers(1, 1000, (rounds, clients, 2))
    times = np.cumsum(steps.reshape(rounds, clients, 2).transpose(0, 2, 1).reshape(2 * rounds, clients), axis=0)
    start = times[0::2].reshape(-1)[:n] * 64 + client
    end = times[1::2].reshape(-1)[:n] * 64 + client
    point = start + (draw.random(n) * (end - start)).astype(np.int64)
    key = draw.integers(0, keys, n)
    kind = draw.random(n)
    f = np.where(kind < shares[0], 0, np.where(kind < shares[0] + shares[1], 1, 2))
    value = draw.integers(0, values, n) if values else np.arange(n)
    old = draw.integers(0, max(values, 1), n)
    failed = np.zeros(n, np.bool_)
    state: dict[int, int] = {}
    f_list, key_list, value_list, old_list = f.tolist(), key.tolist(), value.tolist(), old.tolist()
    for i in np.argsort(point, kind="stable").tolist():
        k = key_list[i]
        if f_list[i] == 0:
            value[i] = state.get(k, -1)
        elif f_list[i] == 1 or state.get(k, -1) == old_list[i]:
            state[k] = value_list[i]
        else:
            failed[i] = True
    return History(client, key, f, old, value, start, end, failed)


def stale(h: History) -> History:
    """The same with one read near the end answering the value before the one it should."""
    reads = np.flatnonzero(h.f == 0)
    late = int(reads[int(0.95 * len(reads))])
    known = np.flatnonzero((h.f == 1) & (h.key == h.key[late]) & (h.end >= 0) & (h.end < h.start[late]))
    recent = known[np.argsort(h.end[known])]
    h.value[late] = h.value[recent[len(recent) // 2]]
    return h


def crashed(h: History, count: int, seed: int) -> History:
    """The same with some writes that were never answered."""
    writes = np.flatnonzero(h.f == 1)
    chosen = np.random.default_rng(seed).choice(writes[: len(writes) // 2], count, replace=False)
    h.end[chosen] = -1
    return h


def plain(h: History, limit: float) -> bool | None:
    """Linearizability of every key by depth-first search with memoised (operations done, value); None: out of time."""
    until = time.monotonic() + limit
    for key in np.unique(h.key):
        ops = [
            (int(h.start[i]), int(h.end[i]), int(h.f[i]), int(h.old[i]), int(h.value[i]))
            for i in np.flatnonzero((h.key == key) & ~h.failed).tolist()
        ]
        held = _plain_key(sorted(ops), until)
        if not held:
            return held
    return True


def _plain_key(ops: list[tuple[int, int, int, int, int]], until: float) -> bool | None:
    n = len(ops)
    certain = sum(1 << i for i, op in enumerate(ops) if op[1] >= 0)
    seen = {(0, -1)}
    stack = [(0, -1, 0)]
    while stack:
        done, state, low = stack.pop()
        if time.monotonic() > until:
            return None
        if done & certain == certain:
            return True
        while done >> low & 1:
            low += 1
        first_end = min((ops[i][1] for i in _near(ops, done, low, n) if ops[i][1] >= 0), default=sys.maxsize)
        for i in _near(ops, done, low, n):
            start, _, f, old, value = ops[i]
            if start > first_end:
                break
            if (f == 0 and value != state) or (f == 2 and old != state):
                continue
            entry = (done | 1 << i, state if f == 0 else value)
            if entry not in seen:
                seen.add(entry)
                stack.append((*entry, low))
    return False


def _near(ops: list[tuple[int, int, int, int, int]], done: int, low: int, n: int) -> list[int]:
    """Operations not done that may come next: up to the first that begins after another one's end."""
    out = []
    end = sys.maxsize
    for i in range(low, n):
        if done >> i & 1:
            continue
        if ops[i][0] > end:
            break
        out.append(i)
        if ops[i][1] >= 0:
            end = min(end, ops[i][1])
    return out


def queue(n: int, clients: int, values: int, seed: int, *, wrong: bool = False) -> Trace:
    """A queue's history: each call takes effect at a moment between its ends. values: how many different ones."""
    draw = random.Random(seed)
    free = [0] * clients
    calls: list[tuple[int, int, float, bool, int]] = []
    for i in range(n):
        start = free[i % clients] + draw.randint(1, 1000)
        free[i % clients] = end = start + draw.randint(1, 1000)
        calls.append((start, end, draw.uniform(start, end), draw.random() < 0.5, draw.randrange(values)))
    members: deque[int] = deque()
    answers: dict[int, int | None] = {}
    for i in sorted(range(n), key=lambda i: calls[i][2]):
        if calls[i][3]:
            members.append(calls[i][4])
        else:
            answers[i] = members.popleft() if members else None
    if wrong:
        late = [i for i, answer in answers.items() if answer is not None][int(0.8 * len(answers))]
        answers[late] = (answers[late] or 0) + 1
    rows: list[tuple[int, int, dict[str, Any]]] = []
    for i, (start, end, _, adds, value) in enumerate(calls):
        row = {"process": f"c{i % clients}", "op": i, "f": "enqueue" if adds else "dequeue"}
        rows.append((start, 1, row | {"kind": "invoke", "value": value if adds else None, "true_time_ns": start}))
        rows.append((end, 0, row | {"kind": "ok", "value": value if adds else answers[i], "true_time_ns": end}))
    builder = TraceBuilder()
    for _, _, row in sorted(rows, key=lambda entry: entry[:2]):
        builder.add(row)
    return builder.build()


@dataclass(frozen=True)
class Case:
    """A history by the factor that its size is divided by, and what its process may take."""

    make: Callable[[int], History | Trace]
    seconds: float
    gib: float = 1.5


CASES: dict[str, Case] = {
    "1M ops, 1 key, 10 clients": Case(lambda d: history(1_000_000 // d, 10, 1, 1, (0.5, 0.5)), 5),
    "1M ops, 1 key, 10 clients, stale": Case(lambda d: stale(history(1_000_000 // d, 10, 1, 1, (0.5, 0.5))), 5),
    "1M ops, 1 key, 50 clients": Case(lambda d: history(1_000_000 // d, 50, 1, 2, (0.5, 0.5)), 5),
    "1M ops, 1 key, 50 clients, stale": Case(lambda d: stale(history(1_000_000 // d, 50, 1, 2, (0.5, 0.5))), 5),
    "1M ops, 10 keys, 50 clients": Case(lambda d: history(1_000_000 // d, 50, 10, 3, (0.5, 0.5)), 5),
    "1M ops, 1000 keys, 50 clients": Case(lambda d: history(1_000_000 // d, 50, 1000, 3, (0.5, 0.5)), 5),
    "100k ops, 10 keys, cas of 5": Case(lambda d: history(100_000 // d, 10, 10, 4, (0.34, 0.33), 5), 1.5),
    "500 ops, 1 key, 50 clients, cas of 5": Case(lambda d: history(500, 50, 1, 5, (0.34, 0.33), 5), 1.5),
    "2,000 ops, 1 key, 50 clients, cas of 5": Case(lambda d: history(2000, 50, 1, 6, (0.34, 0.33), 5), 1.5),
    "2,000 ops, 1 key, 50 clients, writes of 5": Case(lambda d: history(2000, 50, 1, 7, (0.5, 0.5), 5), 1.5),
    "2,000 ops, 54 crashed, unique, stale": Case(
        lambda d: stale(crashed(history(2000, 10, 1, 8, (0.5, 0.5)), 54, 1)), 1.5
    ),
    "2,000 ops, 54 crashed, 100 values, stale": Case(
        lambda d: stale(crashed(history(2000, 10, 1, 9, (0.5, 0.5), 100), 54, 1)), 1.5
    ),
    "2,000 ops, queue of 20 values, 10 clients": Case(lambda d: queue(2000, 10, 20, 1), 1.5),
    "2,000 ops, queue of 20 values, bad": Case(lambda d: queue(2000, 10, 20, 1, wrong=True), 1.5),
}

LARGEST = {"10M ops, 1000 keys, 50 clients": Case(lambda d: history(10_000_000 // d, 50, 1000, 3, (0.5, 0.5)), 40, 8)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--largest", action="store_true")
    parser.add_argument("--no-plain", action="store_true")
    parser.add_argument("--only", default="")
    arguments = parser.parse_args()
    head = f"{'case':<42} {'verdict':<9} {'elapsed':>8} {'cpu':>7} {'GiB':>5} {'plain':>7} {'ratio':>7}"
    print(f"{head}   {'s':>4} {'GiB':>4}")
    with tempfile.TemporaryDirectory() as folder:
        for name, case in (CASES | (LARGEST if arguments.largest else {})).items():
            if arguments.only in name:
                made = case.make(10 if arguments.quick else 1)
                path = Path(folder) / "history.parquet"
                write_parquet(made if isinstance(made, Trace) else made.trace(), path)
                row(name, case, path, None if arguments.no_plain or isinstance(made, Trace) else made)


def row(name: str, case: Case, path: Path, h: History | None) -> None:
    """One line of the table; h: for the plain search as well."""
    found = analyze(path)
    plain_seconds, ratio = "", ""
    if h is not None:
        began = time.perf_counter()
        answer = plain(h, PLAIN_LIMIT)
        took = time.perf_counter() - began
        assert answer is None or answer == (found.verdict == "holds"), "the two disagree"
        more = "" if answer is not None else ">"
        plain_seconds, ratio = f"{more}{took:.2f}", f"{more}{took / found.elapsed_s:.1f}"
    over = "" if found.elapsed_s < case.seconds and found.gib < case.gib else "   over"
    print(
        f"{name:<42} {found.verdict:<9} {found.elapsed_s:8.2f} {found.cpu_s:7.2f} {found.gib:5.2f} "
        f"{plain_seconds:>7} {ratio:>7}   {case.seconds:>4g} {case.gib:>4g}{over}",
        flush=True,
    )


if __name__ == "__main__":
    main()
