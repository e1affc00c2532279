"""The messages of Raft (Figures 2 and 13), of its clients (8) and its administrator, and what their rows carry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from reference_impls.protocols.kv_store import Command
from reference_impls.protocols.raft.log import Entry, Snapshot


class RequestVote(NamedTuple):
    """Invoked by candidates to gather votes (5.2). The candidate's id is the sender's.

    Attributes
    ----------
    transfer: the leader itself has asked for this election, so that nobody need protect it (thesis 4.2.3).
    """

    term: int
    last_log_index: int
    last_log_term: int
    transfer: bool = False

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


class PreVote(NamedTuple):
    """Asks whether a vote request would be granted (thesis 9.6); `term` is the one that the request would have."""

    term: int
    last_log_index: int
    last_log_term: int

    @property
    def event(self) -> str:
        """Name of its rows."""
        return "raft.pre_vote"

    def fields(self) -> Mapping[str, Any]:
        """What its rows carry."""
        return {
            "raft.message_term": self.term,
            "raft.message_index": self.last_log_index,
            "raft.message_log_term": self.last_log_term,
        }


class PreVoteResponse(NamedTuple):
    """The answer: the request's term where it would be granted, else the term of the server that refuses."""

    term: int
    granted: bool

    @property
    def event(self) -> str:
        """Name of its rows."""
        return "raft.pre_vote_response"

    def fields(self) -> Mapping[str, Any]:
        """What its rows carry."""
        return {"raft.message_term": self.term, "raft.message_reject": not self.granted}


class AppendEntries(NamedTuple):
    """Invoked by the leader to replicate entries (5.3), and as heartbeat (5.2). The leader's id is the sender's.

    Attributes
    ----------
    round: the leader's latest round of heartbeats; the answer brings it back (thesis 6.4).
    """

    term: int
    prev_log_index: int
    prev_log_term: int
    entries: tuple[Entry, ...]
    leader_commit: int
    round: int = 0

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
    round: that of the message answered; 0 where its term was refused.
    """

    term: int
    success: bool
    match: int = 0
    hint: int = 0
    round: int = 0

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


class InstallSnapshot(NamedTuple):
    """Invoked by the leader for a follower whose next entry it has compacted away (7, Figure 13)."""

    term: int
    snapshot: Snapshot
    round: int = 0

    @property
    def event(self) -> str:
        """Name of its rows."""
        return "raft.install_snapshot"

    def fields(self) -> Mapping[str, Any]:
        """What its rows carry."""
        return {
            "raft.message_term": self.term,
            "raft.message_index": self.snapshot.last_index,
            "raft.message_log_term": self.snapshot.last_term,
        }


class InstallSnapshotResponse(NamedTuple):
    """The answer to InstallSnapshot; `match` as in AppendEntriesResponse, 0 where the term was refused."""

    term: int
    match: int
    round: int = 0

    @property
    def event(self) -> str:
        """Name of its rows."""
        return "raft.install_snapshot_response"

    def fields(self) -> Mapping[str, Any]:
        """What its rows carry."""
        return {"raft.message_term": self.term, "raft.message_index": self.match}


class TimeoutNow(NamedTuple):
    """The leader asks a server to start an election at once (thesis 3.10)."""

    term: int

    @property
    def event(self) -> str:
        """Name of its rows."""
        return "raft.timeout_now"

    def fields(self) -> Mapping[str, Any]:
        """What its rows carry."""
        return {"raft.message_term": self.term}


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


class AdminRequest(NamedTuple):
    """An administrator asks for other members, or for another leader.

    Attributes
    ----------
    number: its serial number.
    voters, learners: the members wanted; no voters: they stay as they are.
    leader: who is to lead; empty: whoever does.
    """

    number: int
    voters: tuple[str, ...] = ()
    learners: tuple[str, ...] = ()
    leader: str = ""

    @property
    def event(self) -> str:
        """Name of its rows."""
        return "raft.admin_request"

    def fields(self) -> Mapping[str, Any]:
        """What its rows carry."""
        return {}


class AdminResponse(NamedTuple):
    """The answer to an administrator; status and leader as in ClientResponse. What was asked for may take a while."""

    number: int
    status: str
    leader: str = ""

    @property
    def event(self) -> str:
        """Name of its rows."""
        return "raft.admin_response"

    def fields(self) -> Mapping[str, Any]:
        """What its rows carry."""
        return {}
