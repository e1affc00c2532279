"""Clients: processes of the protocol that live in the parent, each with a connection and a recorder of its own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from reference_impls.runtime.process import Process, Stable
from reference_impls.runtime.tcp.host import Host
from reference_impls.runtime.tcp.link import Link
from reference_impls.runtime.tcp.node import log_of
from tracekit.trace.recorder import Recorder


class Memory:
    """Stable storage of a process that can only crash when its host lets it."""

    def __init__(self) -> None:
        self.stable = Stable()

    def write(self, cells: Mapping[str, Any], log_from: int, entries: Sequence[Any]) -> None:
        """Carries out a Persist."""
        self.stable.write(cells, log_from, entries)

    def force(self) -> None:
        """There is nothing more to do."""


class Client:
    """A client through all its lives; a crash takes its state, its timers and its connection.

    Attributes
    ----------
    up: whether it runs, or is on its way to.
    done: whether it has ended by itself.
    """

    def __init__(
        self,
        name: str,
        folder: Path,
        domain: str,
        make: Callable[[], Process],
        clock: Callable[[], int],
        connect: Callable[[str], Awaitable[Link]],
    ) -> None:
        self.name = name
        self.domain = domain
        self.up = False
        self.done = False
        self._make = make
        self._clock = clock
        self._connect = connect
        self._recorder = Recorder(log_of(folder, name), name, time_ns=clock)
        self._memory = Memory()
        self._host: Host | None = None
        self._lives = 0

    def restart(self) -> None:
        """It is to run, unless it has ended by itself; `tend` lets it."""
        self.up = not self.done

    async def tend(self) -> None:
        """Lives, from the connection to the end of it, where that is wanted."""
        if not self.up or self._host is not None:
            return
        self._lives += 1
        link = await self._connect(self.name)
        host = self._host = Host(
            self._make(), self._recorder, self._memory, link.send, self._clock, again=self._lives > 1
        )
        try:
            await link.serve(host)
        finally:
            host.stop()
            await link.close()

    def crash(self, keep: bool) -> None:
        """It stops; without `keep`, what it had made stable is lost as well. Its connection is for others to close."""
        self.up = False
        if self._host is not None:
            self._host.stop()
            self._host = None
        if not keep:
            self._memory = Memory()
        self._recorder.crash(f"{self.domain}.crash")

    def pause(self, for_ns: int) -> None:
        """It stands still for a while."""
        if self._host is not None:
            self._host.rest(for_ns)

    def close(self) -> None:
        """It has ended, and its log is whole."""
        self.up, self.done = False, True
        if self._host is not None:
            self._host.stop()
        self._recorder.close()
