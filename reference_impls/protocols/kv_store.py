"""A key-value store as a deterministic state machine, with the sessions that make a repeated request harmless.

After Ongaro & Ousterhout 2014, section 8: the state machine keeps, per client, the serial number of its latest request
and the result; a request that comes a second time is answered from there and not executed again. A client has one
request at a time.
"""

from __future__ import annotations

import json
from hashlib import blake2b
from typing import NamedTuple


class Command(NamedTuple):
    """A client's request: which client, its serial number, and an operation in the trace's terms (values as JSON)."""

    client: str
    number: int
    f: str
    key: str
    value: str | None

    @property
    def digest(self) -> str:
        """Equal for equal commands, and only for those; short enough to be read by people."""
        value = "" if self.value is None else f" {self.value}"
        return f"{self.f} {self.key}{value} ({self.client} #{self.number})"


class Result(NamedTuple):
    """What came of a command; `value` is what a read found, None: nothing."""

    ok: bool
    value: str | None


class KvStore:
    """The state: values by key, the latest request and result by client."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.sessions: dict[str, tuple[int, Result]] = {}

    def state(self) -> tuple[tuple[tuple[str, str], ...], tuple[tuple[str, int, bool, str | None], ...]]:
        """Everything, for a snapshot: values, and sessions as client, number and result."""
        sessions = ((client, number, *result) for client, (number, result) in self.sessions.items())
        return tuple(self.values.items()), tuple(sessions)

    def load(
        self, values: tuple[tuple[str, str], ...], sessions: tuple[tuple[str, int, bool, str | None], ...]
    ) -> None:
        """What `state` gave."""
        self.values = dict(values)
        self.sessions = {client: (number, Result(ok, value)) for client, number, ok, value in sessions}

    @property
    def digest(self) -> str:
        """Equal for equal states."""
        values, sessions = self.state()
        return blake2b(json.dumps([sorted(values), sorted(sessions)]).encode(), digest_size=6).hexdigest()

    def known(self, command: Command) -> Result | None:
        """The result of a command that was already executed, None where it was not."""
        number, result = self.sessions.get(command.client, (0, None))
        return result if number == command.number else None

    def apply(self, command: Command) -> Result:
        """Executes a command, once."""
        number, result = self.sessions.get(command.client, (0, _REFUSED))
        if command.number <= number:
            return result
        result = self.execute(command)
        self.sessions[command.client] = (command.number, result)
        return result

    def execute(self, command: Command) -> Result:
        """What a command does to the values."""
        key, value = command.key, command.value
        if command.f == "read":
            return Result(True, self.values.get(key))
        assert value is not None, "only reads come without a value"
        if command.f == "write":
            self.values[key] = value
            return Result(True, value)
        old, new = (json.dumps(part) for part in json.loads(value))
        if self.values.get(key) != old:
            return _REFUSED
        self.values[key] = new
        return Result(True, value)


_REFUSED = Result(False, None)
