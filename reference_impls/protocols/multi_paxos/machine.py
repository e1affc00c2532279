"""The replicated machine S = (Q, Sigma, delta, q0) of Schneider 1990: deterministic, so that equal commands in equal
order lead to equal states.

Q: what the store holds and the latest result of every client; Sigma: the commands of `kv_store`, and the no-op, which
changes nothing; delta: `apply`; q0: the empty store.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import NamedTuple

from reference_impls.protocols.kv_store import Command, KvStore, Result

NO_OP = "no-op"
"""The command that fills a gap (3)."""


class Outcome(NamedTuple):
    """What came of a command; `executed`: false where the client's session already had its result."""

    executed: bool
    result: Result | None


class Contents(NamedTuple):
    """A state in full: values by key, the latest request and its result by client."""

    values: dict[str, str]
    sessions: dict[str, tuple[int, Result]]


class Machine:
    """The machine, with a digest of its state that costs a few hashes a command, however large the state is."""

    def __init__(self) -> None:
        self.store = KvStore()
        self._sum = 0

    @property
    def digest(self) -> str:
        """Equal for equal states: the exclusive or of the hashes of all entries."""
        return f"{self._sum:016x}"

    def contents(self) -> Contents:
        """The state, for a checkpoint."""
        return Contents(dict(self.store.values), dict(self.store.sessions))

    def take_over(self, contents: Contents) -> None:
        """Goes on from a state."""
        self.store.values, self.store.sessions = dict(contents.values), dict(contents.sessions)
        self._sum = 0
        for key, value in contents.values.items():
            self._sum ^= _value(key, value)
        for client, (number, result) in contents.sessions.items():
            self._sum ^= _session(client, number, result)

    def apply(self, command: Command | None) -> Outcome:
        """delta: the next state and the command's output."""
        if command is None:
            return Outcome(True, None)
        before = self._entries(command)
        executed = self._is_new(command)
        if executed:
            self.store.sessions[command.client] = (command.number, self._execute(command))
        self._sum ^= before ^ self._entries(command)
        return Outcome(executed, self.store.sessions[command.client][1])

    def _is_new(self, command: Command) -> bool:
        """A command chosen for two slots is executed once: clients number their requests (PMMC: perform)."""
        return command.number > self.store.sessions.get(command.client, (0, None))[0]

    def _execute(self, command: Command) -> Result:
        return self.store.execute(command)

    def _entries(self, command: Command) -> int:
        """The hashes of the entries that a command may change."""
        value, session = self.store.values.get(command.key), self.store.sessions.get(command.client)
        first = 0 if value is None else _value(command.key, value)
        return first if session is None else first ^ _session(command.client, *session)


def _value(key: str, value: str) -> int:
    return _hash(f"value {key}\0{value}")


def _session(client: str, number: int, result: Result) -> int:
    return _hash(f"session {client}\0{number}\0{result.ok}\0{result.value}")


def _hash(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest())


def digest_of(command: Command | None) -> str:
    """Equal for equal commands, and only for those."""
    return NO_OP if command is None else command.digest
