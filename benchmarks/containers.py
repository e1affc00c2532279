"""How fast queues, stacks, priority queues and sets are judged, beside our own search at the sizes that it can do.

    python benchmarks/containers.py            every case, each in a process of its own, from Parquet
    python benchmarks/containers.py --quick    a tenth of the sizes

Seconds and memory are those of a whole `tracekit analyze`: reading, every check that applies, and printing; the second
time, the first may compile. The ratio is that of the check alone, at the greatest size that the search decides within
its limit.
"""

from __future__ import annotations

import argparse
import heapq
import tempfile
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from whole import analyze

from tracekit.checks.consistency import containers, search
from tracekit.checks.consistency.cells import cells_of
from tracekit.execution import Budget, Execution
from tracekit.history.models import actions_of
from tracekit.history.models.choice import parse_model
from tracekit.trace.assemble import assemble
from tracekit.trace.columns import Column
from tracekit.trace.parquet import write_parquet
from tracekit.trace.trace import Trace

SEARCH_LIMIT = 10.0
"""Seconds that the search may take."""

Int64 = NDArray[np.int64]

CALLS = {
    "queue": ("enqueue", "dequeue"),
    "stack": ("push", "pop"),
    "priority-queue": ("insert", "poll"),
    "set": ("add", "remove", "contains"),
}


@dataclass
class History:
    """One row an operation. f: place in CALLS; given and answered: -1 for null; yes: of contains."""

    model: str
    client: Int64
    f: Int64
    given: Int64
    answered: Int64
    start: Int64
    end: Int64

    def trace(self) -> Trace:
        """The history as a trace, in order of time."""
        n = len(self.f)
        op = np.concatenate([np.arange(n), np.arange(n)])
        completion = np.repeat([0, 1], n)
        moment = np.concatenate([self.start, self.end])
        order = np.lexsort((completion, moment))
        op, completion, moment = op[order], completion[order], moment[order]
        number = np.where(completion == 0, self.given[op], self.answered[op])
        return assemble(
            {
                "process": _named(self.client[op], [f"c{i}" for i in range(int(self.client.max()) + 1)]),
                "kind": _named(completion, ["invoke", "ok"]),
                "f": _named(self.f[op], list(CALLS[self.model])),
                "value": self._values(number),
                "op": Column(op),
                "true_time_ns": Column(moment),
            },
            at="benchmark",
        )

    def _values(self, number: Int64) -> Column:
        if self.model != "set":
            return Column(number, number >= 0)
        names = [*map(str, range(len(self.f))), "false", "true"]
        return Column(number.astype(np.int32), number >= 0, pa.array(names))


def _named(codes: Int64, names: list[str]) -> Column:
    return Column(codes.astype(np.int32), None, pa.array(names))


def history(model: str, n: int, clients: int, seed: int, wrong: bool) -> History:
    """A linearizable history: every call happens at a moment drawn between its ends; then two answers are swapped."""
    draw = np.random.default_rng(seed)
    client = np.arange(n) % clients
    rounds = -(-n // clients)
    steps = draw.integers(1, 1000, (2 * rounds, clients))
    times = np.cumsum(steps, axis=0)
    start, end = times[0::2].reshape(-1)[:n] * 64 + client, times[1::2].reshape(-1)[:n] * 64 + client
    point = start + (draw.random(n) * (end - start)).astype(np.int64)
    f, given, answered = np.zeros(n, np.int64), np.full(n, -1, np.int64), np.full(n, -1, np.int64)
    fresh = iter(draw.permutation(n).tolist())
    put, take, look = _object(model, n, draw)
    for i, chance in zip(np.argsort(point, kind="stable").tolist(), draw.random(n).tolist(), strict=True):
        if chance < 0.5:
            value = next(fresh)
            put(value)
            given[i] = answered[i] = value
        elif look is not None and chance < 0.75:
            f[i] = 2
            given[i], answered[i] = look()
        else:
            f[i], answered[i] = 1, take()
            if model == "set" and answered[i] >= 0:
                given[i] = answered[i]
            elif model == "set":
                f[i], (given[i], answered[i]) = 2, look()
    if wrong:
        taking = np.flatnonzero((f == 1) & (answered >= 0))
        if model == "set":
            looking = np.flatnonzero(f == 2)
            late = looking[int(0.95 * len(looking))]
            answered[late] = 2 * n + 1 - answered[late]
        else:
            at = int(0.95 * len(taking))
            apart = taking[np.flatnonzero(start[taking] > end[taking[at]])[-1:]]
            answered[[taking[at], apart[0]]] = answered[[apart[0], taking[at]]]
    return History(model, client, f, given, answered, start, end)


def _object(model: str, n: int, draw: Any) -> tuple[Callable[[int], None], Callable[[], int], Any]:
    """Calls on a container; what is taken out of an empty one is -1."""
    if model == "queue":
        queue: deque[int] = deque()
        return queue.append, lambda: queue.popleft() if queue else -1, None
    if model == "stack":
        stack: list[int] = []
        return stack.append, lambda: stack.pop() if stack else -1, None
    if model == "priority-queue":
        heap: list[int] = []
        return lambda v: heapq.heappush(heap, v), lambda: heapq.heappop(heap) if heap else -1, None
    added: list[int] = []
    members: deque[int] = deque()
    inside: set[int] = set()

    def put(value: int) -> None:
        added.append(value)
        members.append(value)
        inside.add(value)

    def take() -> int:
        value = members.popleft() if members else -1
        inside.discard(value)
        return value

    def look() -> tuple[int, int]:
        value = added[draw.integers(len(added))] if added else n - 1
        return value, n + int(value in inside)

    return put, take, look


def ratio(model: str, clients: int, wrong: bool) -> str:
    """Seconds of the search by those of this method at the greatest size that the search can do."""
    told, n = "-", 20 * clients
    while n <= 100_000:
        execution = Execution(history(model, n, clients, 3, wrong).trace())
        choice = parse_model(model)
        cells = cells_of(execution.operations, actions_of(execution.operations, choice), choice.model)
        seconds = []
        for method in (
            lambda c=cells: search.decide(c, Budget(SEARCH_LIMIT)),
            lambda c=cells, h=choice: containers.decide(c, h),
        ):
            method()
            began = time.perf_counter()
            found = method()
            seconds.append(time.perf_counter() - began)
            if getattr(found, "undecided", None):
                return told + f"; search gives up at {n}"
        told = f"{seconds[0] / seconds[1]:,.0f} at {n}"
        if seconds[0] > SEARCH_LIMIT / 4:
            return told
        n *= 4
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", default="")
    parser.add_argument("--no-search", action="store_true")
    arguments = parser.parse_args()
    n = 100_000 if arguments.quick else 1_000_000
    print(f"{'case':<44} {'verdict':<9} {'elapsed':>8} {'cpu':>7} {'GiB':>6}  search / this")
    with tempfile.TemporaryDirectory() as folder:
        for model in CALLS:
            for clients in (10, 50):
                for wrong in (False, True):
                    name = f"{model}, {n:,}, {clients} clients, {'one mistake' if wrong else 'valid'}"
                    if arguments.only in name:
                        path = Path(folder) / f"{model}.parquet"
                        write_parquet(history(model, n, clients, 3, wrong).trace(), path)
                        row(name, path, "" if arguments.no_search else ratio(model, clients, wrong))


def row(name: str, path: Path, compared: str) -> None:
    found = analyze(path, "--model", path.stem, "-v")
    assert "decrease and conquer" in found.text, found.text
    print(
        f"{name:<44} {found.verdict:<9} {found.elapsed_s:8.2f} {found.cpu_s:7.2f} {found.gib:6.2f}  {compared}",
        flush=True,
    )


if __name__ == "__main__":
    main()
