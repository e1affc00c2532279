"""The proxy: every message of a run passes it, and the network model decides when, how often and whether at all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count
from secrets import compare_digest

from reference_impls.runtime.network import Network
from reference_impls.runtime.tcp.link import HOME, PATIENCE
from reference_impls.runtime.tcp.wire import Envelope, Foreign, Frame, Ping, Pong, Told, pack, receive, receive_hello


class Connection:
    """A connection, from the proxy's side; `pings` are those not yet answered."""

    def __init__(self, name: str, writer: asyncio.StreamWriter) -> None:
        self.name = name
        self.pings: dict[int, asyncio.Future[None]] = {}
        self._writer = writer

    def send(self, frame: Frame) -> None:
        """Hands over a frame; lost where the connection is gone."""
        if not self._writer.is_closing():
            self._writer.write(pack(frame))

    def close(self) -> None:
        """Ends the connection; what was handed over still arrives."""
        self._writer.close()
        for answer in self.pings.values():
            if not answer.done():
                answer.set_result(None)


class Proxy:
    """Listens for the processes of one run, and passes on their messages.

    Parameters
    ----------
    now: true time since the run began, ns.
    secret: what a process has to know.

    Attributes
    ----------
    connections: by the processes' names; only the latest of each.
    passed: how many messages have come to it.
    on_hello, on_told: called when a process has connected, and with what it tells.
    on_error: called with an error in one of these, or in what a process has sent.
    """

    def __init__(self, network: Network, now: Callable[[], int], secret: str) -> None:
        self.network = network
        self.now = now
        self.secret = secret
        self.connections: dict[str, Connection] = {}
        self.passed = 0
        self.on_hello: Callable[[str], None] = lambda name: None
        self.on_told: Callable[[str, Told], None] = lambda name, told: None
        self.on_error: Callable[[Exception], None] = lambda error: None
        self._heap: list[tuple[int, int, Envelope]] = []
        self._pushed = count()
        self._numbers = count(1)
        self._timer: asyncio.TimerHandle | None = None
        self._server: asyncio.Server | None = None
        self._open: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def listen(self) -> int:
        """Begins to listen; the port, which the system chooses."""
        self._server = await asyncio.start_server(self._serve, HOME, 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def close(self) -> None:
        """Nothing listens any longer, and every connection is closed."""
        if self._server is not None:
            self._server.close()
        if self._timer is not None:
            self._timer.cancel()
        self._heap.clear()
        for writer in self._open.values():
            writer.transport.abort()
        await asyncio.gather(*self._open, return_exceptions=True)

    def send(self, name: str, frame: Frame) -> None:
        """Hands a frame to a process, at once; lost where the process is not connected."""
        if name in self.connections:
            self.connections[name].send(frame)

    def drop(self, name: str) -> None:
        """Closes a process's connection."""
        if name in self.connections:
            self.connections.pop(name).close()

    def last_arrival(self) -> int:
        """When the last of the messages that the proxy holds now is due; now where it holds none."""
        return max((due for due, *_ in self._heap), default=self.now())

    async def worked_off(self) -> None:
        """Returns when every process has worked off what had been sent to it before, or is gone."""
        waiting = []
        for connection in self.connections.values():
            number = next(self._numbers)
            answer = connection.pings[number] = asyncio.get_running_loop().create_future()
            connection.send(Ping(number))
            waiting.append(answer)
        await asyncio.gather(*waiting)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, from its hello to its end. Who does not belong to the run is not answered."""
        task = asyncio.current_task()
        assert task is not None, "a server's connections are tasks"
        self._open[task] = writer
        connection = None
        try:
            name = await self._who(reader)
            if name is None:
                return
            connection = self.connections[name] = Connection(name, writer)
            self.on_hello(name)
            while (frame := await receive(reader)) is not None:
                self._take(connection, frame)
        except Exception as error:
            self.on_error(error)
        finally:
            if connection is not None and self.connections.get(connection.name) is connection:
                del self.connections[connection.name]
            if connection is not None:
                connection.close()
            writer.close()
            del self._open[task]

    async def _who(self, reader: asyncio.StreamReader) -> str | None:
        """The name of whoever has connected; None for a stranger."""
        try:
            async with asyncio.timeout(PATIENCE):
                hello = await receive_hello(reader)
        except (Foreign, TimeoutError):
            return None
        known = hello is not None and compare_digest(hello.secret.encode(), self.secret.encode())
        return hello.name if hello is not None and known else None

    def _take(self, connection: Connection, frame: Frame) -> None:
        match frame:
            case Envelope():
                self._route(frame._replace(sender=connection.name))
            case Told():
                self.on_told(connection.name, frame)
            case Pong() if frame.number in connection.pings:
                connection.pings.pop(frame.number).set_result(None)

    def _route(self, envelope: Envelope) -> None:
        self.passed += 1
        for arrival in self.network.arrivals(envelope.sender, envelope.to, self.now()):
            # What is due at one time arrives in the order sent.
            heappush(self._heap, (arrival, next(self._pushed), envelope))
        self._arm()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._heap:
            wait = max(0, self._heap[0][0] - self.now()) / 1e9
            self._timer = asyncio.get_running_loop().call_later(wait, self._deliver)

    def _deliver(self) -> None:
        """Passes on what is due, unless its link was cut meanwhile."""
        now = self.now()
        while self._heap and self._heap[0][0] <= now:
            envelope = heappop(self._heap)[2]
            if (envelope.sender, envelope.to) not in self.network.blocked:
                self.send(envelope.to, envelope)
        self._arm()
