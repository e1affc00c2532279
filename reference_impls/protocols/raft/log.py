"""The log of a server, what stands in it, and the snapshot that may stand for its beginning (paper 5.3, 6, 7)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from reference_impls.protocols.kv_store import Command


class Configuration(NamedTuple):
    """Who belongs to the cluster.

    Attributes
    ----------
    voters: whose majority decides.
    outgoing: in joint consensus, the voters of the old configuration: their majority is needed as well (paper 6).
    learners: get every entry and decide nothing (thesis 4.2.1).
    """

    voters: tuple[str, ...]
    outgoing: tuple[str, ...] = ()
    learners: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """Equal for equal configurations, and only for those."""
        parts = ("", self.voters), ("outgoing ", self.outgoing), ("learners ", self.learners)
        return "configuration " + ", ".join(word + " ".join(names) for word, names in parts if names or not word)

    @property
    def members(self) -> tuple[str, ...]:
        """Everybody, once."""
        return tuple(dict.fromkeys((*self.voters, *self.outgoing, *self.learners)))

    @property
    def electors(self) -> tuple[str, ...]:
        """Whose votes and copies count, in either configuration."""
        return tuple(dict.fromkeys((*self.voters, *self.outgoing)))

    @property
    def groups(self) -> tuple[tuple[str, ...], ...]:
        """The groups of which a majority each is needed."""
        return (self.voters, self.outgoing) if self.outgoing else (self.voters,)

    def agree(self, names: Collection[str]) -> bool:
        """Whether these servers are a majority; in joint consensus, of the old and of the new configuration."""
        return all(sum(voter in names for voter in group) > len(group) // 2 for group in self.groups)

    @property
    def recorded(self) -> str:
        """As rows have it: voters, and after a slash those of the outgoing configuration."""
        return " ".join(self.voters) + (f" / {' '.join(self.outgoing)}" if self.outgoing else "")


class Entry(NamedTuple):
    """An entry of the log: the term in which a leader created it, and what it says; None: a no-op (paper 8)."""

    term: int
    command: Command | Configuration | None

    @property
    def digest(self) -> str:
        """Equal for equal commands, and only for those."""
        return "no-op" if self.command is None else self.command.digest


class Snapshot(NamedTuple):
    """State that stands for the log up to an entry (Figure 13).

    Attributes
    ----------
    last_index, last_term: of the last entry that it includes.
    configuration: the latest configuration up to that entry, and the index of its entry.
    values, sessions: the state machine, see `KvStore`.
    digest: of the state machine; equal for equal states.
    """

    last_index: int
    last_term: int
    configuration: tuple[int, Configuration]
    values: tuple[tuple[str, str], ...]
    sessions: tuple[tuple[str, int, bool, str | None], ...]
    digest: str


class Log:
    """Entries from behind a snapshot on; the first index is 1.

    Attributes
    ----------
    base, base_term: index and term of the last entry that the snapshot includes; 0: there is no snapshot.
    """

    __slots__ = ("base", "base_term", "entries")

    def __init__(self, base: int = 0, base_term: int = 0, entries: Sequence[Entry] = ()) -> None:
        self.base = base
        self.base_term = base_term
        self.entries = list(entries)

    @property
    def last_index(self) -> int:
        """Index of the last entry; 0 for an empty log."""
        return self.base + len(self.entries)

    @property
    def last_term(self) -> int:
        """Term of the last entry; 0 for an empty log."""
        return self.entries[-1].term if self.entries else self.base_term

    def term_at(self, index: int) -> int:
        """Term of an entry, 0 before the first; only from the snapshot's last entry on."""
        return self.entries[index - self.base - 1].term if index > self.base else self.base_term

    def at(self, index: int) -> Entry:
        """An entry behind the snapshot."""
        return self.entries[index - self.base - 1]

    def since(self, index: int, most: int | None = None) -> tuple[Entry, ...]:
        """Entries from an index behind the snapshot on."""
        start = index - self.base - 1
        return tuple(self.entries[start:] if most is None else self.entries[start : start + most])

    def replace(self, index: int, entries: Sequence[Entry]) -> None:
        """Entries from an index on give way to others."""
        self.entries[index - self.base - 1 :] = entries

    def compact(self, index: int, term: int) -> bool:
        """A snapshot stands for the log up to an entry. What follows is retained if the log has that very entry
        (Figure 13, rule 6), else the log is discarded (rule 7); returns whether it was retained."""
        retained = self.base <= index <= self.last_index and self.term_at(index) == term
        self.entries = self.entries[index - self.base :] if retained else []
        self.base, self.base_term = index, term
        return retained
