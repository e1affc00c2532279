"""A process's connection to the proxy."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from reference_impls.runtime.tcp.host import Host
from reference_impls.runtime.tcp.wire import Frame, Hello, Stop, pack, receive

HOME = "127.0.0.1"
"""The only address that anything of a run listens at or connects to."""
PATIENCE = 30.0
"""Seconds for a connection within one machine to come about."""


class Link:
    """One connection, from its process's side."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, port: int, name: str, secret: str) -> Link:
        """Connects, and says who it is.

        Raises
        ------
        OSError, TimeoutError: where nobody listens, or answers.
        """
        async with asyncio.timeout(PATIENCE):
            link = cls(*await asyncio.open_connection(HOME, port))
        link.send(Hello(name, secret))
        return link

    def send(self, frame: Frame | Hello) -> None:
        """Hands over a frame; lost where the connection is gone."""
        if not self._writer.is_closing():
            self._writer.write(pack(frame))

    async def serve(self, host: Host) -> bool:
        """Gives the host what arrives, until it is told to stop; False: until the connection is gone."""
        while (frame := await receive(self._reader)) is not None:
            if isinstance(frame, Stop):
                return True
            host.take(frame)
        return False

    async def close(self) -> None:
        """What was handed over is on its way, unless the other side is gone."""
        self._writer.close()
        with suppress(ConnectionError):
            await self._writer.wait_closed()
