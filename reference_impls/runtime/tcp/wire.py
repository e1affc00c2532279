"""What goes over a connection: frames, each one immutable value, as its length and a pickle that may hold data only.

Pickle keeps tuples, named tuples and dataclasses what they are, which JSON does not. A pickle from anybody could run
any code; so this reader makes plain containers and objects of these classes only, from modules that are loaded: those
of the protocols, which are pure, so that making one does nothing (a checkpoint may hold a whole state machine); and
this package's named tuples, frozen dataclasses and enumerations.
"""

from __future__ import annotations

import io
import json
import pickle
import sys
from asyncio import IncompleteReadError, StreamReader
from enum import Enum
from random import Random
from struct import Struct
from typing import Any, NamedTuple

PACKAGE = __name__.partition(".")[0]
LENGTH = Struct("!I")
LONGEST = 1 << 26
"""Bytes of one frame; a longer one is nobody's."""
LONGEST_HELLO = 1 << 12
"""Bytes that are read of somebody who may be a stranger."""


class Hello(NamedTuple):
    """How a connection begins: who is at its other end; `secret` proves that it belongs to the run.

    Text and no pickle, since it may come from a stranger, and a few bytes of pickle can ask for all memory.
    """

    name: str
    secret: str


class Start(NamedTuple):
    """The process may start."""


class Envelope(NamedTuple):
    """A message on its way; the context tells the receiver's recorder which send it belongs to.

    `message` is pickled once more: the proxy only needs the address.
    """

    sender: str
    to: str
    context: str
    message: bytes


class Watch(NamedTuple):
    """Tell of every event of this name."""

    event: str


class Told(NamedTuple):
    """What the parent wants to know: a watched ``event`` of this name, an operation ``completed``, or ``done``."""

    what: str
    name: str = ""


class Slow(NamedTuple):
    """From now on every step takes so long."""

    service_ns: int


class Ping(NamedTuple):
    """Answer with a `Pong` when everything that came before is worked off."""

    number: int


class Pong(NamedTuple):
    """Everything that came before the `Ping` of this number is worked off, and what it led to is sent."""

    number: int


class Stop(NamedTuple):
    """The run is over."""


Frame = Start | Envelope | Watch | Told | Slow | Ping | Pong | Stop


class Foreign(Exception):
    """These bytes are not what this package writes."""


class _Reader(pickle.Unpickler):
    """Makes objects of harmless classes only."""

    def find_class(self, module: str, name: str) -> Any:
        found = getattr(sys.modules.get(module), name, None)
        is_class = isinstance(found, type) and (found.__module__, found.__qualname__) == (module, name)
        if not is_class or not (found is Random or _is_pure(found) or _is_data(found)):
            raise pickle.UnpicklingError(f"{module}.{name} is no class of protocols or their data")
        return found


def _is_pure(kind: Any) -> bool:
    return str(kind.__module__).startswith(f"{PACKAGE}.protocols.")


def _is_data(kind: Any) -> bool:
    own = str(kind.__module__).startswith(f"{PACKAGE}.")
    parameters = getattr(kind, "__dataclass_params__", None)
    named_tuple = issubclass(kind, tuple) and hasattr(kind, "_fields")
    return own and (named_tuple or (parameters is not None and parameters.frozen) or issubclass(kind, Enum))


def dumps(value: Any) -> bytes:
    """A value as bytes."""
    return pickle.dumps(value, protocol=5)


def loads(data: bytes) -> Any:
    """The value of bytes that `dumps` made.

    Raises
    ------
    Foreign: where they are anything else.
    """
    try:
        return _Reader(io.BytesIO(data)).load()
    except Exception as error:  # what foreign bytes raise has no end: each class whose making fails adds its own
        raise Foreign(f"{type(error).__name__}: {error}") from None


def pack(frame: Frame | Hello) -> bytes:
    """A frame as it goes over the connection."""
    body = json.dumps(frame).encode() if isinstance(frame, Hello) else dumps(frame)
    return LENGTH.pack(len(body)) + body


async def receive(reader: StreamReader) -> Frame | None:
    """The next frame; None where the connection ends.

    Raises
    ------
    Foreign: where what comes is no frame.
    """
    body = await _body(reader, LONGEST)
    if body is None:
        return None
    frame = loads(body)
    if not isinstance(frame, Frame):
        raise Foreign(f"a {type(frame).__name__} is no frame")
    return frame


async def receive_hello(reader: StreamReader) -> Hello | None:
    """The first frame; None where the connection ends before it.

    Raises
    ------
    Foreign: where what comes is none.
    """
    body = await _body(reader, LONGEST_HELLO)
    if body is None:
        return None
    try:
        name, secret = json.loads(body)
    except (ValueError, TypeError, RecursionError) as error:
        raise Foreign(str(error)) from None
    return Hello(str(name), str(secret))


async def _body(reader: StreamReader, longest: int) -> bytes | None:
    try:
        (length,) = LENGTH.unpack(await reader.readexactly(LENGTH.size))
        if length > longest:
            raise Foreign(f"a frame of {length:,} bytes")
        return await reader.readexactly(length)
    except (IncompleteReadError, ConnectionError):
        return None
