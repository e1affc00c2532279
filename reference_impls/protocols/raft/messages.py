"""The messages of Raft (Figure 2) and of its clients (section 8), and the fields that their rows carry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from reference_impls.protocols.kv_store import Command


class Entry(NamedTuple):
    """An entry of the log: the term in which a leader created it, and a command; None: a no-op (section 8)."""

    term: int
    command: Command | None

    @property
    def digest(self) -> str:
        """Equal for equal commands, and only for those."""
        return "no-op" if self.command is None else self.command.digest


class RequestVote(NamedTuple):
    """Invoked by candidates to gather votes (5.2). The candidate's id is the sender's."""

    term: int
    last_log_index: int
    last_log_term: int

    @property
    def event(self) -> str:
        """Name of its rows."""
        return "raft.request_vote"

    def fields(self) -> Mapping[str, Any]:
        """What its rows carry."""
        return {
            "raft.message_term": self.term,
            "raft.message_index": self.last_log_index,
            "raft.message_log_term": self.last_log_term,
        }


class RequestVoteResponse(NamedTuple):
    """The answer to a vote request."""

    term: int
    granted: bool

    @property
    def event(self) -> str:
        """Name of its rows."""
        return "raft.request_vote_response"

    def fields(self) -> Mapping[str, Any]:
        """What its rows carry."""
        return {"raft.message_term": self.term, "raft.message_reject": not self.granted}


class AppendEntries(NamedTuple):
    """Invoked by the leader to replicate entries (5.3), and as heartbeat (5.2). The leader's id is the sender's."""

    term: int
    prev_log_index: int
    prev_log_term: int
    entries: tuple[Entry, ...]
    leader_commit: int

    @property
    def event(self) -> str:
        """Name of its rows."""
        return "raft.append_entries"

    def fields(self) -> Mapping[str, Any]:
        """What its rows carry."""
        return {
            "raft.message_term": self.term,
            "raft.message_index": self.prev_log_index,
            "raft.message_log_term": self.prev_log_term,
            "raft.message_entries": len(self.entries),
            "raft.message_commit": self.leader_commit,
        }


class AppendEntriesResponse(NamedTuple):
    """The answer to AppendEntries.

    Attributes
    ----------
    match: on success, the last index up to which the follower's log is now known to agree with the leader's.
    hint: on failure, the index from which the leader had better try: the first one of the conflicting term, or the
        end of a log that is too short (5.3, the optimisation described at its end).
    """

    term: int
    success: bool
    match: int = 0
    hint: int = 0

    @property
    def event(self) -> str:
        """Name of its rows."""
        return "raft.append_entries_response"

    def fields(self) -> Mapping[str, Any]:
        """What its rows carry."""
        fields: dict[str, Any] = {"raft.message_term": self.term, "raft.message_reject": not self.success}
        if self.success:
            fields["raft.message_index"] = self.match
        return fields


class ClientRequest(NamedTuple):
    """A client asks for a command to be executed."""

    command: Command

    @property
    def event(self) -> str:
        """Name of its rows."""
        return "raft.client_request"

    def fields(self) -> Mapping[str, Any]:
        """What its rows carry."""
        return {}


class ClientResponse(NamedTuple):
    """The answer to a client.

    Attributes
    ----------
    number: the request's serial number.
    status: ok, fail (the command was executed and refused: a cas that did not match), or redirect: ask `leader`, who
        is empty where no leader is known.
    value: what a read returned, as canonical JSON; None: nothing.
    """

    number: int
    status: str
    value: str | None = None
    leader: str = ""

    @property
    def event(self) -> str:
        """Name of its rows."""
        return "raft.client_response"

    def fields(self) -> Mapping[str, Any]:
        """What its rows carry."""
        return {}
