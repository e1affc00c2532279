"""A site that takes part in atomic commitment: its log, its locks, and what it has in common with other sites.

After Bernstein, Hadzilacos & Goodman, "Concurrency Control and Recovery in Database Systems", 1987, chapter 7; numbers
in comments are its sections. A transaction writes some keys; each key belongs to one site. A site votes yes if it gets
the locks of all keys that the transaction writes there, at once; nobody waits for a lock.

Left out, in both protocols: what the transaction writes (only who may write is decided here), and removing records from
the log (7.4): it grows for the whole run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, ClassVar, NamedTuple

from reference_impls.runtime.effects import CancelTimer, Effect, Message, Note, Persist, Reply, Send, SetTimer
from reference_impls.workloads.transactions import Outcome

CLAIMS = tuple(
    f"atomic-commit.{rule}"
    for rule in ("agreement", "irrevocable", "one-vote", "validity", "commit-when-possible", "termination")
)
"""What every protocol of atomic commitment promises: AC1, AC2, that a vote stands as well, AC3, AC4 and AC5 (7.3)."""

YES, NO = "yes", "no"
COMMIT, ABORT = "commit", "abort"


@dataclass(frozen=True, slots=True)
class About:
    """A message about a transaction that says no more than its name; the base of all others."""

    EVENT: ClassVar[str]
    txn: str

    @property
    def event(self) -> str:
        """Name of its rows."""
        return self.EVENT

    def fields(self) -> Mapping[str, Any]:
        """What its rows carry."""
        return {"commit.txn": self.txn}


@dataclass(frozen=True, slots=True)
class VoteRequest(About):
    """The coordinator asks for a vote; the participants are told, so that they can ask each other later (7.4)."""

    EVENT = "commit.vote_request"
    participants: tuple[str, ...]
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Vote(About):
    """The answer."""

    EVENT = "commit.vote"
    vote: str

    def fields(self) -> Mapping[str, Any]:
        return {"commit.txn": self.txn, "commit.message_vote": self.vote}


@dataclass(frozen=True, slots=True)
class Decision(About):
    """The coordinator tells its decision."""

    EVENT = "commit.decision"
    decision: str

    def fields(self) -> Mapping[str, Any]:
        return {"commit.txn": self.txn, "commit.message_decision": self.decision}


class Record(NamedTuple):
    """A record of the distributed transaction log (7.4).

    Attributes
    ----------
    kind: start, yes, pre-commit, commit, abort, end.
    participants, keys: of start and yes: whom to ask after a crash, and what to lock again.
    """

    kind: str
    txn: str
    coordinator: str = ""
    participants: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()


class Locks:
    """A lock for each key."""

    def __init__(self) -> None:
        self.holder: dict[str, str] = {}

    def conflict(self, keys: Iterable[str]) -> str:
        """Why not all of the keys can be locked; empty where they can."""
        taken = next((key for key in keys if key in self.holder), None)
        return "" if taken is None else f"{taken} is locked by {self.holder[taken]}"

    def take(self, keys: Iterable[str], txn: str) -> None:
        """All of them, for a transaction."""
        self.holder.update(dict.fromkeys(keys, txn))

    def release(self, keys: Iterable[str], txn: str) -> None:
        """Those of them that the transaction holds."""
        for key in keys:
            if self.holder.get(key) == txn:
                del self.holder[key]


class Site:
    """Log, locks, and the effects of the step under way.

    A handler writes to the log, then notes what happened, then sends: nothing is promised that a crash could undo.
    """

    def __init__(self, name: str, members: Sequence[str], random: Random) -> None:
        self.name = name
        self.members = tuple(members)
        self.random = random
        self.log: list[Record] = []
        self.locks = Locks()
        self._effects: list[Effect] = []

    def owner(self, key: str) -> str:
        """The site that a key belongs to: k7 to the seventh, and so on around."""
        return self.members[(int(key[1:]) - 1) % len(self.members)]

    def share(self, keys: Iterable[str], site: str) -> tuple[str, ...]:
        """Those of the keys that belong to a site."""
        return tuple(key for key in keys if self.owner(key) == site)

    def sites(self, keys: Iterable[str]) -> tuple[str, ...]:
        """Who takes part in a transaction that begins here: the sites of its keys, and this one, which coordinates.

        Every process has one vote, the coordinator as well (7.3).
        """
        concerned = {self.owner(key) for key in keys} | {self.name}
        return tuple(member for member in self.members if member in concerned)

    def others(self, participants: Iterable[str]) -> list[str]:
        """All but this one."""
        return [site for site in participants if site != self.name]

    # Effects

    def _write(self, record: Record) -> None:
        """Appends a record to the log, and waits until it is stable."""
        self.log.append(record)
        self._effects.append(Persist({}, len(self.log), (record,)))

    def _note(self, txn: str, name: str = "", **fields: Any) -> None:
        """Records what the process does about a transaction."""
        told = {f"commit.{field}": value for field, value in fields.items() if value}
        self._effects.append(Note({"commit.txn": txn, **told}, name))

    def _send(self, to: str, message: Message) -> None:
        self._effects.append(Send(to, message))

    def _answer(self, client: str, txn: str, decision: str) -> None:
        """The coordinator's client hears of the decision; after a crash nobody knows any more who it was."""
        if client:
            self._effects.append(Reply(client, Outcome(txn, decision)))

    def _start_timer(self, what: str, txn: str, delay_ns: int) -> None:
        self._effects.append(SetTimer(f"{what} {txn}", delay_ns))

    def _stop_timer(self, what: str, txn: str) -> None:
        self._effects.append(CancelTimer(f"{what} {txn}"))
