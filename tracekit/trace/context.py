"""What a message carries of its sender's clocks: one line of JSON, in a header or wherever there is room."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypeGuard

import orjson

from tracekit.trace.schema import NEMESIS

HEADER = "tracekit"
"""Name of the message header."""

LONGEST = 1 << 16
"""Characters of a context that are looked at; ten thousand processes need fewer."""

LARGEST = 1 << 62
"""Clock values above are nobody's: a forged one must not drive the clock out of its range."""


@dataclass(frozen=True, slots=True)
class Context:
    """A send as its receivers learn of it.

    Attributes
    ----------
    process: the sender.
    message: the message's id, unique in the run: the send's public name.
    lamport, vclock: the send's timestamps.
    """

    process: str
    message: str
    lamport: int
    vclock: Mapping[str, int]

    def text(self) -> str:
        """The context as printable ASCII, fit for an HTTP header."""
        entry = orjson.dumps(
            {"process": self.process, "message": self.message, "lamport": self.lamport, "vclock": self.vclock}
        )
        return entry.decode() if entry.isascii() else json.dumps(asdict(self), separators=(",", ":"))


def parse_context(text: object) -> Context | str:
    """The context that a message carries, or in a few words why it carries none. Never raises; O(length)."""
    if text is None:
        return "none"
    if not isinstance(text, (str, bytes)):
        return f"a {type(text).__name__}, not text"
    if len(text) > LONGEST:
        return f"longer than {LONGEST} characters"
    try:
        entry = orjson.loads(text)
    except (ValueError, RecursionError):
        return "not JSON"
    if not isinstance(entry, dict):
        return "no JSON object"
    process, message, lamport, vclock = (entry.get(name) for name in ("process", "message", "lamport", "vclock"))
    if not _is_name(process) or process == NEMESIS:
        return "no process name"
    if not _is_name(message):
        return "no message id"
    if not _is_clock(lamport):
        return "no Lamport timestamp"
    if not isinstance(vclock, dict) or not all(_is_name(p) and p != NEMESIS for p in vclock):
        return "no vector timestamp"
    if not all(map(_is_clock, vclock.values())) or not vclock.get(process):
        return "no vector timestamp"
    return Context(process, message, lamport, vclock)


def header_of(headers: Any) -> str | bytes | None:
    """The header ``tracekit`` of a mapping or of pairs, of text or bytes, in any case of letters; None: not there."""
    try:
        for name, value in headers.items() if hasattr(headers, "items") else headers or ():
            plain = name.decode("latin-1") if isinstance(name, bytes) else name
            if isinstance(plain, str) and plain.lower() == HEADER and isinstance(value, (str, bytes)):
                return value
    except (TypeError, ValueError):
        pass  # what is no headers has no such header
    return None


def _is_name(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and value != "" and value.isprintable()


def _is_clock(value: object) -> TypeGuard[int]:
    return type(value) is int and 0 <= value < LARGEST
