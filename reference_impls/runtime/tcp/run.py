"""A run of real processes, from the plan to the joined trace."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from reference_impls.runtime.faults import Nemesis
from reference_impls.runtime.plan import Plan
from reference_impls.runtime.tcp.cluster import ProcessCluster
from tracekit.errors import TracekitError
from tracekit.protocols import Simulation
from tracekit.reading import read_trace
from tracekit.trace.columns import from_values
from tracekit.trace.join import join
from tracekit.trace.schema import NEMESIS
from tracekit.trace.trace import Trace

CLOCK = "the monotonic clock of one machine"
"""The clock domain of every process: they run on one machine and read its one clock, which never steps."""
MOST_NODES = 40
"""Each is a Python process of some 28 MB that takes a fifth of a second to start."""


def run_processes(plan: Plan) -> tuple[Trace, Nemesis]:
    """Runs it; the joined logs, with what is known of clocks and coverage, and what the faults were.

    Not from within an event loop. SIGINT, SIGTERM and SIGHUP end the run, and then do what they would have done.

    Raises
    ------
    TracekitError: TK401 for too many nodes; TK402 where there are no signals; TK406 for a schedule that names a process
        which is not there; TK409 for a node that fails; TK410 for a run that takes longer than `deadline`.
    """
    if os.name != "posix":
        raise TracekitError("TK402", "real processes need POSIX signals", at="--transport", want="sim")
    if len(plan.nodes) > MOST_NODES:
        raise TracekitError(
            "TK401",
            "too many nodes, where each is a process of this machine",
            at="--nodes, --transport tcp",
            found=str(len(plan.nodes)),
            want=f"{MOST_NODES} or fewer",
        )
    caught: list[int] = []
    try:
        with TemporaryDirectory(prefix="tracekit-") as folder:
            cluster = asyncio.run(_run(plan, Path(folder), caught))
            return _joined(cluster), cluster.nemesis
    except asyncio.CancelledError:
        if not caught:
            raise
    signal.raise_signal(caught[0])
    raise SystemExit(128 + caught[0])


def deadline(simulation: Simulation) -> float:
    """Seconds that a run may take; on an idle machine it takes a twentieth of them."""
    return 100.0 + 0.2 * simulation.operations


async def _run(plan: Plan, folder: Path, caught: list[int]) -> ProcessCluster:
    cluster = ProcessCluster(plan, folder)
    seconds = deadline(plan.simulation)
    with _signals(caught):
        try:
            async with asyncio.timeout(seconds) as limit:
                await cluster.run()
        except TimeoutError:
            if not limit.expired():
                raise
            raise TracekitError(
                "TK410",
                f"the run did not come to its end within {seconds:.0f} s",
                found=cluster.done(),
                help="the machine may be too busy for so many nodes, or the protocol may be stuck: try --transport sim",
            ) from None
    return cluster


@contextmanager
def _signals(caught: list[int]) -> Iterator[None]:
    """Signals that would kill this process at once end the run in order first. (asyncio does so for SIGINT.)"""
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    assert task is not None, "this is one"

    def end(number: int) -> None:
        caught.append(number)
        task.cancel()

    main = threading.current_thread() is threading.main_thread()
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP) if main}
    heeded = [number for number, handler in before.items() if handler not in (signal.SIG_IGN, None)]
    for number in heeded:
        loop.add_signal_handler(number, end, number)
    try:
        yield
    finally:
        for number in heeded:
            loop.remove_signal_handler(number)
            signal.signal(number, before[number])


def _joined(cluster: ProcessCluster) -> Trace:
    """The trace of all logs. Where an event stood in its log says nothing once the logs are gone."""
    traces = [read_trace(path) for path in cluster.logs]
    names = [*cluster.nodes, *cluster.clients]
    trace = join(traces)
    coverage = {name: {"start": True, "end": log.complete} for name, log in zip(names, traces, strict=False)}
    columns = {name: column for name, column in trace.columns.items() if name not in ("source", "line")}
    if "op" in columns:  # a log without any value has no such column; but its operations have one: nothing
        columns.setdefault("value", from_values([None] * len(trace)))
    clocks = dict.fromkeys((*names, NEMESIS), CLOCK)
    return replace(trace, columns=columns, run=replace(trace.run, clocks=clocks, coverage=coverage))
