"""Terms of log entries, rebuilt from an etcd Raft trace: it records lengths of logs and the shape of messages only.

What is taken for certain, and why:

- While a process leads a term, its log grows only by entries of that term (Raft, Figure 2).
- A MsgApp carries the entries that the leader's log had at [index + 1, index + entries] when it was sent. Two
  messages of equal content carry the same: within a term a leader's log only grows.
- A follower that answers a MsgApp, without rejecting it, with the index of its last entry has these entries in its
  log; what stood behind them stays only if the log is longer than that (then nothing conflicted). Where the MsgApp
  begins before the follower's commit index, etcd drops it and answers with that index: it changes nothing.
- Terms of entries never decrease along a log, and none exceeds its process's term.

Whatever else changes a log's length (a snapshot, a restart) leaves entries of unknown term, unless the last rule
decides. A log that contradicts what its process says of it in a message is unknown from there on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tracekit.formats.etcd_raft_events import Event, Message

Terms = list[int | None]
"""A log: the term of each entry, None where it is not known."""


class Replay:
    """The logs of all processes, row by row in file order."""

    def __init__(self) -> None:
        self.logs: dict[str, Terms] = {}
        self.contents: dict[Message, Terms] = {}
        self.pending: dict[str, Event] = {}

    def change(self, event: Event, loaded: bool) -> dict[str, Any]:
        """The fields that say how the event's process's log differs from the one at its row before.

        loaded: whether the process's term at the event is its real one.
        """
        process = event.process
        old = self.logs.get(process, [])
        new = self._after(event, old, event.term if loaded else None)
        if new is None or _contradicted(event, new):
            self.logs[process] = [None] * event.length
            return {"raft.log_known_from": event.length + 1, "raft.log_from": event.length + 1, "raft.entry_terms": []}
        self.logs[process] = new
        self._note_message(event, new)
        return _difference(old, new)

    def _after(self, event: Event, old: Terms, term: int | None) -> Terms | None:
        """The log at an event; None where it cannot have come from the one before."""
        accepted = self._accepted(event)
        if accepted is not None:
            end = accepted.log_index + accepted.entries
            if accepted.log_index > len(old) or event.length < end:
                return None
            carried = self.contents.get(accepted, [None] * accepted.entries)
            tail = old[end:] if event.length > end else []
            new = old[: accepted.log_index] + _best(old[accepted.log_index : end], carried, bool(tail)) + tail
            return new if len(new) == event.length else None
        if event.length <= len(old):
            return old[: event.length]
        if event.role == "StateLeader" and event.name != "BecomeLeader":  # what it had then, it did not append
            return old + [term] * (event.length - len(old))
        lowest = next((t for t in reversed(old) if t is not None), 1)
        return old + [lowest if lowest == term else None] * (event.length - len(old))

    def _accepted(self, event: Event) -> Message | None:
        """The MsgApp whose entries the process says, at this event, that it has taken."""
        answer, asked = event.message, self.pending.get(event.process)
        if answer is None or asked is None or asked.message is None or not event.sends or answer.type != "MsgAppResp":
            return None
        request = asked.message
        fits = answer.receiver == request.sender and answer.log_index == request.log_index + request.entries
        return request if fits and not answer.reject and request.log_index >= asked.commit else None

    def _note_message(self, event: Event, log: Terms) -> None:
        message = event.message
        if message is None:
            return
        if event.sends and message.type == "MsgApp":
            carried = log[message.log_index : message.log_index + message.entries]
            if len(carried) == message.entries:
                self.contents.setdefault(message, carried)
        if not event.sends and message.type == "MsgApp":
            self.pending[event.process] = event
        elif event.sends and message.type == "MsgAppResp":
            self.pending.pop(event.process, None)


def _best(held: Terms, carried: Terms, agree: bool) -> Terms:
    """Entries after an AppendEntries; where nothing conflicted, what was known of either is known."""
    if not agree:
        return carried
    return [c if c is not None else h for h, c in zip(held, carried, strict=True)]


def _contradicted(event: Event, log: Terms) -> bool:
    """Whether a message sent names another term for an entry of the sender's log than the replay did."""
    message = event.message
    if message is None or not event.sends or message.type not in ("MsgApp", "MsgVote") or message.log_index == 0:
        return False
    if message.log_index > len(log):
        return True
    known = log[message.log_index - 1]
    return known is not None and known != message.log_term


def _difference(old: Terms, new: Terms) -> dict[str, Any]:
    shared = next((i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))
    if shared == len(old) == len(new):
        return {}
    return {"raft.log_from": shared + 1, "raft.entry_terms": new[shared:]}
