"""The replicated machine S = (Q, Sigma, delta, q0) of Schneider 1990: deterministic, so that equal commands in equal
order lead to equal states.

Q: what the store holds and the latest result of every client; Sigma: the commands of `kv_store`, and the no-op, which
changes nothing; delta: `apply`; q0: the empty store.
"""

from __future__ import annotations

from copy import copy
from hashlib import blake2b
from typing import NamedTuple

from reference_impls.protocols.kv_store import Command, KvStore, Result

NO_OP = "no-op"
"""The command that fills a gap (3)."""


class Outcome(NamedTuple):
    """What came of a command; `executed`: false where the client's session already had its result."""

    executed: bool
    result: Result | None


class Machine:
    """The machine, with a digest of its state that costs a few hashes a command, however large the state is."""

    def __init__(self) -> None:
        self.store = KvStore()
        self._sum = 0

    @property
    def digest(self) -> str:
        """Equal for equal states: the exclusive or of the hashes of all entries."""
        return f"{self._sum:016x}"

    def copy(self) -> Machine:
        """The machine in the same state, for a checkpoint."""
        other = copy(self)
        other.store = KvStore()
        other.store.values, other.store.sessions = dict(self.store.values), dict(self.store.sessions)
        return other

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
        found = 0
        if value is not None:
            found ^= _hash(f"value {command.key}\0{value}")
        if session is not None:
            number, result = session
            found ^= _hash(f"session {command.client}\0{number}\0{result.ok}\0{result.value}")
        return found


def _hash(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest())


def digest_of(command: Command | None) -> str:
    """Equal for equal commands, and only for those."""
    return NO_OP if command is None else command.digest
