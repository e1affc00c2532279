"""The events of the etcd Raft library's state trace, as its reader takes them from a line."""

from __future__ import annotations

from typing import NamedTuple


class Message(NamedTuple):
    """A message's content: all that the recorder says of it, so equal ones cannot be told apart."""

    type: str
    term: int
    sender: str
    receiver: str
    entries: int
    log_term: int
    log_index: int
    commit: int
    vote: str
    reject: bool
    hint: int


class Event(NamedTuple):
    """One trace line that is as it should be."""

    line: int
    name: str
    process: str
    term: int
    vote: str
    commit: int
    role: str
    length: int
    voters: tuple[list[str], list[str]]
    message: Message | None
    time_ns: int | None

    @property
    def sends(self) -> bool:
        """Whether the event sends its message; else it receives it."""
        return self.name.startswith("Send")
