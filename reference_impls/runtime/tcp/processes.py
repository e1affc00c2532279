"""Nodes as operating-system processes: started, killed, stopped and continued, and none left behind.

A node dies with the run whatever ends it: at its end, at an error and at an interruption the parent kills it; when the
parent is killed itself, the node notices (`node`). Each is a process group of its own, so that a terminal's Ctrl-C goes
to the parent alone.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from reference_impls.runtime.tcp.node import Job, clock, journal_of, log_of
from reference_impls.runtime.tcp.storage import take_back
from tracekit.errors import TracekitError
from tracekit.trace.recorder import Recorder

COMMAND: Sequence[str] = (sys.executable, "-P", "-m", "reference_impls.runtime.tcp.node")
"""What a node's process runs; -P, so that a file in the user's folder takes no module's place."""
GLANCE = 0.01
"""Seconds between two looks at a process."""
STOPPING = 20.0
"""Seconds that a node has for closing its log."""


class NodeProcess:
    """A node through all its lives; at most one process at a time.

    Parameters
    ----------
    job: makes the job of a life, from its number.
    domain: prefix of the names of its events.

    Attributes
    ----------
    up: whether it runs, or is on its way to.
    """

    def __init__(self, name: str, folder: Path, domain: str, job: Callable[[int], Job]) -> None:
        self.name = name
        self.folder = folder
        self.domain = domain
        self.up = False
        self._job = job
        self._lives = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._killed = False
        self._wiped = False
        self._closed = False
        self._resume: asyncio.TimerHandle | None = None
        self._order = asyncio.Lock()

    def restart(self) -> None:
        """It is to run; `tend` starts it."""
        self.up = True

    def crash(self, keep: bool) -> None:
        """SIGKILL, now; without `keep`, what was stable is lost as well. `tend` records it."""
        self.up = False
        self._wiped |= not keep
        if self._process is not None:
            self._killed = True
            self._process.kill()

    async def tend(self) -> None:
        """Buries a killed process, and starts a new one where one is wanted; one such thing after the other."""
        async with self._order:
            if self._process is not None and self._killed:
                while self._process.poll() is None:
                    await asyncio.sleep(GLANCE)
                self._bury()
            if self.up and self._process is None and not self._closed:
                self._start()

    def pause(self, for_ns: int) -> None:
        """SIGSTOP, and SIGCONT so much later."""
        until = asyncio.get_running_loop().time() + for_ns / 1e9
        if self._process is None or self._killed or (self._resume and self._resume.when() >= until):
            return
        if self._resume:
            self._resume.cancel()
        self._process.send_signal(signal.SIGSTOP)
        self._resume = asyncio.get_running_loop().call_at(until, self.resume)

    def resume(self) -> None:
        """SIGCONT, where it stands still."""
        if self._resume:
            self._resume.cancel()
            self._resume = None
            if self._process is not None:
                self._process.send_signal(signal.SIGCONT)

    def check(self) -> None:
        """Nothing but a crash or the end of the run ends a node.

        Raises
        ------
        TracekitError: TK409 where it has ended by itself.
        """
        if self._process is not None and not self._killed and self._process.poll() is not None:
            raise self._failed(f"the process of {self.name} ended by itself")

    async def stopped(self) -> None:
        """Returns when it has closed its log and ended, as it was told; one that is down has done so.

        Raises
        ------
        TracekitError: TK409 where it does not.
        """
        await self.tend()
        if self._process is None:
            return
        for _ in range(int(STOPPING / GLANCE)):
            if self._process.poll() is not None:
                break
            await asyncio.sleep(GLANCE)
        if self._process.returncode != 0:
            raise self._failed(f"the process of {self.name} did not come to an end")

    def close(self) -> None:
        """Whatever it does, it is gone when this returns, and does not come again."""
        self._closed = True
        self._reap()

    def _reap(self) -> None:
        if self._resume:
            self._resume.cancel()
            self._resume = None
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            assert self._process.stdin is not None, "it is a pipe"
            self._process.stdin.close()
            self._process = None

    def _start(self) -> None:
        self._lives += 1
        with (self.folder / f"{self.name}.stderr").open("ab") as errors:
            self._process = subprocess.Popen(
                COMMAND,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                bufsize=0,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(str(Path(part).absolute()) for part in sys.path)},
                process_group=0,
            )
        assert self._process.stdin is not None, "it is a pipe"
        with suppress(BrokenPipeError):  # it has died already; `check` will see it
            self._process.stdin.write(self._job(self._lives).to_json().encode() + b"\n")

    def _bury(self) -> None:
        """What it had not finished is taken back, and its log tells that it crashed."""
        self._reap()
        self._killed = False
        time_ns = clock(self._job(self._lives).epoch_ns)
        with Recorder(log_of(self.folder, self.name), self.name, time_ns=time_ns, restarts=False) as log:
            take_back(journal_of(self.folder, self.name), log.events)
            log.crash(f"{self.domain}.crash")
        if self._wiped:
            journal_of(self.folder, self.name).unlink(missing_ok=True)
            self._wiped = False

    def _failed(self, summary: str) -> TracekitError:
        assert self._process is not None, "it was there a moment ago"
        told = (self.folder / f"{self.name}.stderr").read_text("utf-8", "replace").strip().splitlines()
        code = self._process.returncode
        return TracekitError(
            "TK409",
            summary,
            at=f"{self.name}, process {self._process.pid}",
            found="\n".join(told[-3:]) or ("it still runs" if code is None else f"exit code {code}, and not a word"),
            help="nothing was recorded; the same run in the simulator: --transport sim",
        )
