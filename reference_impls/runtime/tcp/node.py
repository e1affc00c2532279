"""The program of a node's process: ``python -m reference_impls.runtime.tcp.node``, its job on standard input.

Standard input is also a leash: when it ends, the parent is gone, and the process ends at once. A process that is
stopped (SIGSTOP) cannot see that; on Linux the kernel kills it, elsewhere its orphaned process group is continued.
"""

from __future__ import annotations

import asyncio
import ctypes
import importlib
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import Any

from reference_impls.runtime.plan import Design, Plan
from reference_impls.runtime.schedule import Schedule
from reference_impls.runtime.tcp.host import Host
from reference_impls.runtime.tcp.link import Link
from reference_impls.runtime.tcp.storage import Storage
from tracekit.protocols import Simulation
from tracekit.trace.recorder import Recorder

PR_SET_PDEATHSIG = 1
FAILED = 70


@dataclass(frozen=True)
class Job:
    """What a node's process has to know.

    Attributes
    ----------
    place: which of the nodes it is, from 0.
    life: how often it has been started, this time included.
    folder: where its log and its journal are.
    port, secret: of the proxy.
    epoch_ns: what the clock shows at monotonic time 0.
    parent: the process that started it.
    """

    simulation: Simulation
    protocol: str
    place: int
    life: int
    folder: str
    port: int
    secret: str
    epoch_ns: int
    parent: int

    def to_json(self) -> str:
        """The job as one line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Job:
        """The job of one line."""
        job = json.loads(text)
        return cls(**{**job, "simulation": Simulation(**job["simulation"])})


def design_of(protocol: str) -> Design:
    """The protocol's own declaration; the catalogue would load all the others and the simulator."""
    module = importlib.import_module(f"reference_impls.protocols.{protocol.replace('-', '_')}.protocol")
    design: Design = module.DESIGN
    return design


def clock(epoch_ns: int) -> Callable[[], int]:
    """One clock for all processes of a machine: it never steps, and shows the time of day as it was at the start."""
    return lambda: epoch_ns + time.monotonic_ns()


def log_of(folder: Path, name: str) -> Path:
    """Where a process records."""
    return folder / f"{name}.jsonl"


def journal_of(folder: Path, name: str) -> Path:
    """Where a process keeps its stable state."""
    return folder / f"{name}.journal"


async def run(job: Job) -> bool:
    """The life of a node, until the run is over; False: until the parent was gone."""
    asyncio.get_running_loop().set_exception_handler(_fail)
    leash = asyncio.create_task(_watch_leash())
    design = design_of(job.protocol)
    mutant = job.simulation.mutant
    plan = Plan(design, job.simulation, design.bugs[mutant] if mutant else None, Schedule())
    name, folder, time_ns = plan.nodes[job.place], Path(job.folder), clock(job.epoch_ns)
    recorder = Recorder(log_of(folder, name), name, time_ns=time_ns, restarts=False)
    storage = Storage(journal_of(folder, name), lambda: recorder.events)
    process = plan.make_node(job.place, Random(f"{job.simulation.seed}/{name}/{job.life}"))
    link = await Link.open(job.port, name, job.secret)
    host = Host(process, recorder, storage, link.send, time_ns, again=recorder.events > 0)
    stopped = await link.serve(host)
    host.stop()
    storage.close()
    recorder.close(complete=stopped)
    leash.cancel()
    return stopped


async def _watch_leash() -> None:
    """Ends the process when standard input ends."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while await reader.read(1):
        pass
    os._exit(FAILED)


def _fail(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """An error in a timer's step: a process with half a step done must not go on."""
    error = context.get("exception")
    if isinstance(error, BaseException):
        traceback.print_exception(error)
    else:
        sys.stderr.write(f"{context.get('message')}\n")
    sys.stderr.flush()
    os._exit(FAILED)


def _die_with(parent: int) -> None:
    """Linux: the kernel kills this process when its parent dies, even while it is stopped."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(FAILED)  # it died before we asked


def main() -> None:
    """Reads the job and does it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what an interruption means
    job = Job.from_json(sys.stdin.readline())
    _die_with(job.parent)
    sys.exit(0 if asyncio.run(run(job)) else FAILED)


if __name__ == "__main__":
    main()
