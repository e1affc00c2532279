"""Raft (Ongaro & Ousterhout, "In Search of an Understandable Consensus Algorithm", extended version, 2014).

Every event at a Raft process may carry the process's state *after* the event (`raft.term`, `raft.role`, ...), and the
change that the event made to its log (`raft.log_from`, `raft.entry_terms`, ...). So a receive, the state that it leads
to and the log change that it makes are one event, and nothing can be seen half-made. A field that an event does not
carry is unchanged or unrecorded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tracekit.trace.schema import Field, Type
from tracekit.vocabulary import Vocabulary

FIELDS = (
    Field("raft.term", Type.INT, "Current term after the event."),
    Field("raft.role", Type.TEXT, "Role after the event: follower, pre-candidate, candidate, leader, learner."),
    Field("raft.vote", Type.TEXT, "Whom the process has voted for in its term, after the event; empty: nobody."),
    Field("raft.commit", Type.INT, "Commit index after the event."),
    Field("raft.last_index", Type.INT, "Index of the last entry of the log after the event; 0: the log is empty."),
    Field("raft.last_term", Type.INT, "Term of the last entry of the log after the event."),
    Field(
        "raft.log_from",
        Type.INT,
        "The event changed the log: entries from this index on (1 is the first) were replaced by the ones listed; "
        "with empty lists they were removed.",
    ),
    Field("raft.entry_terms", Type.VECTOR, "Terms of the entries written, from raft.log_from on."),
    Field("raft.entry_digests", Type.TEXTS, "Digests of the commands of those entries; equal command, equal digest."),
    Field(
        "raft.entry_configurations",
        Type.TEXTS,
        "Which of those entries are configurations: one text an entry, its voters by spaces, in joint consensus "
        "followed by ' / ' and those of the outgoing configuration; empty for any other entry. Absent: none is one.",
    ),
    Field(
        "raft.log_known_from",
        Type.INT,
        "The log before this index is not recorded (a recording begun late, or a snapshot of which not even "
        "raft.snapshot_term is known): entries there exist and are unknown.",
    ),
    Field(
        "raft.snapshot_index",
        Type.INT,
        "The event made the process take a snapshot, or install one: it stands for the log up to this entry. The log "
        "stays as it is if it has this very entry (taking a snapshot and discarding old entries is no log change); "
        "else it ends there now. Entries behind it that are discarded although it has it: also raft.log_from, one "
        "further, with empty lists.",
    ),
    Field("raft.snapshot_term", Type.INT, "Term of the last entry that the snapshot includes."),
    Field(
        "raft.snapshot_digest",
        Type.TEXT,
        "Digest of the state machine in the snapshot, computed the same way everywhere; equal state, equal digest.",
    ),
    Field("raft.apply_index", Type.INT, "The entry that the event applied to the state machine."),
    Field("raft.apply_term", Type.INT, "Term of the entry applied."),
    Field("raft.apply_digest", Type.TEXT, "Digest of the command applied."),
    Field(
        "raft.voters",
        Type.TEXTS,
        "Voting members of the configuration that the process uses after the event. Never recorded: all processes "
        "with Raft events.",
    ),
    Field(
        "raft.voters_outgoing",
        Type.TEXTS,
        "In joint consensus, the voters of the outgoing configuration; at every event that carries raft.voters, and "
        "empty or absent outside joint consensus.",
    ),
    Field(
        "raft.effective",
        Type.TEXT,
        "When a process of this system uses a configuration: append (once it is in its log, as in the paper) or apply "
        "(once it is applied, as in etcd); at any event, the same everywhere. Never recorded: append.",
    ),
    Field("raft.message_term", Type.INT, "Term in the message sent or received."),
    Field(
        "raft.message_index",
        Type.INT,
        "Vote request: last log index; AppendEntries: previous; snapshot: its last; answer: match.",
    ),
    Field(
        "raft.message_log_term",
        Type.INT,
        "Vote request: last log term; AppendEntries: previous term; snapshot: its last.",
    ),
    Field("raft.message_entries", Type.INT, "AppendEntries: how many entries it carries."),
    Field("raft.message_commit", Type.INT, "AppendEntries: the leader's commit index."),
    Field("raft.message_reject", Type.BOOL, "Answer: whether the vote or the entries were refused."),
)

EVENTS = {
    "raft.init": "The process starts; its log, term and vote are those recorded with the event. A server of "
    "several Raft groups is recorded as one process for each of them (n1/g2), best each group in a trace of its own.",
    "raft.restart": "The process starts again from what it had persisted (kind restart).",
    "raft.crash": "The process stops (kind crash).",
    "raft.become_follower": "The process becomes or stays follower, in the term recorded.",
    "raft.become_pre_candidate": "The process asks whether it could win before it raises its term.",
    "raft.become_candidate": "The process starts an election in the term recorded; it has voted for itself.",
    "raft.become_leader": "The process won the election of the term recorded.",
    "raft.request_vote": "A vote request is sent or received; at the receiver with the vote that follows.",
    "raft.request_vote_response": "A vote, or a refusal, is sent or received.",
    "raft.pre_vote": "A pre-vote request, which changes no term and no vote, is sent or received.",
    "raft.pre_vote_response": "The answer to a pre-vote request is sent or received.",
    "raft.append_entries": "AppendEntries is sent or received; at the receiver with the log change that follows.",
    "raft.append_entries_response": "The answer to AppendEntries is sent or received.",
    "raft.take_snapshot": "The process takes a snapshot of what it has applied.",
    "raft.install_snapshot": "A snapshot is sent or received; at the receiver with what it changes, if installed.",
    "raft.install_snapshot_response": "The answer to a snapshot is sent or received.",
    "raft.timeout_now": "The leader's wish that the receiver start an election at once is sent or received.",
    "raft.change_configuration": "The leader appends a configuration to its log.",
    "raft.apply_configuration": "The process takes a configuration into use.",
    "raft.propose": "The leader appends a client's command to its log.",
    "raft.commit": "The commit index rises.",
    "raft.apply": "One entry is applied to the state machine.",
    "raft.state": "State is recorded, nothing else is said.",
    "raft.client_request": "A client's request arrives or is sent.",
    "raft.client_response": "The answer to a client is sent or arrives.",
    "raft.admin_request": "An administrator's request for other members, or another leader, is sent or arrives.",
    "raft.admin_response": "The answer to an administrator is sent or arrives.",
}


def describe(name: str, fields: Mapping[str, Any]) -> str:
    """``leads term 4``, ``stores entry 2 of term 2 from n1``."""
    what = _WHAT.get(name)
    words = [what(fields) if what else name.removeprefix("raft.").replace("_", " ")]
    if fields.get("raft.snapshot_index") is not None and name != "raft.take_snapshot":
        words.append(f"its log is the snapshot up to {fields['raft.snapshot_index']}")
    if fields.get("raft.log_from") is not None and name not in ("raft.propose", "raft.change_configuration"):
        words.append(_log_change(fields))
    if fields.get("message") is not None:
        words.append(f"message {fields['message']}")
    return ", ".join(words)


def _log_change(fields: Mapping[str, Any]) -> str:
    start, terms = fields["raft.log_from"], fields.get("raft.entry_terms") or []
    if not terms:
        return f"removes entries from {start} on"
    last = start + len(terms) - 1
    spread = f"term {terms[0]}" if len(set(terms)) == 1 else f"terms {terms[0]} to {terms[-1]}"
    return f"stores entry {start}, {spread}" if len(terms) == 1 else f"stores entries {start} to {last}, {spread}"


def _configuration(fields: Mapping[str, Any]) -> str:
    """``n1 n2 n3``, or ``n1 n2 n3 jointly with n3 n4 n5``."""
    recorded = [text for text in fields.get("raft.entry_configurations") or [] if text]
    return recorded[-1].replace(" / ", " jointly with ") if recorded else "other members"


def _sent(fields: Mapping[str, Any], what: str) -> str:
    verb, way = ("sends", "to") if fields.get("kind") == "send" else ("receives", "from")
    return f"{verb} {what} {way} {fields.get('peer', '?')}"


def _entries(count: object) -> str:
    return f"{count} {'entry' if count == 1 else 'entries'}"


def _vote_request(fields: Mapping[str, Any]) -> str:
    text = _sent(fields, f"vote request of term {fields.get('raft.message_term', '?')}")
    if fields.get("kind") == "receive" and fields.get("raft.vote") and fields.get("raft.vote") == fields.get("peer"):
        text += ", grants it"
    return text


_WHAT: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "raft.become_leader": lambda f: f"leads term {f.get('raft.term', '?')}",
    "raft.become_candidate": lambda f: f"starts an election, term {f.get('raft.term', '?')}",
    "raft.become_follower": lambda f: f"follower in term {f.get('raft.term', '?')}",
    "raft.request_vote": _vote_request,
    "raft.request_vote_response": lambda f: _sent(f, "refusal" if f.get("raft.message_reject") else "vote"),
    "raft.append_entries": lambda f: _sent(
        f, _entries(f["raft.message_entries"]) if f.get("raft.message_entries") else "heartbeat"
    ),
    "raft.append_entries_response": lambda f: _sent(
        f, "refusal" if f.get("raft.message_reject") else f"acknowledgement up to {f.get('raft.message_index', '?')}"
    ),
    "raft.propose": lambda f: "appends" + (_log_change(f).removeprefix("stores") if f.get("raft.log_from") else ""),
    "raft.commit": lambda f: f"commits up to {f.get('raft.commit', '?')}",
    "raft.apply": lambda f: f"applies entry {f.get('raft.apply_index', '?')}, term {f.get('raft.apply_term', '?')}",
    "raft.become_pre_candidate": lambda f: f"asks whether it could win, in term {f.get('raft.term', '?')}",
    "raft.pre_vote": lambda f: _sent(f, f"pre-vote request of term {f.get('raft.message_term', '?')}"),
    "raft.pre_vote_response": lambda f: _sent(f, "refusal" if f.get("raft.message_reject") else "pre-vote"),
    "raft.take_snapshot": lambda f: f"takes a snapshot up to {f.get('raft.snapshot_index', '?')}",
    "raft.install_snapshot": lambda f: _sent(f, f"snapshot up to {f.get('raft.message_index', '?')}"),
    "raft.install_snapshot_response": lambda f: _sent(f, f"acknowledgement up to {f.get('raft.message_index', '?')}"),
    "raft.timeout_now": lambda f: _sent(f, "call for an election"),
    "raft.change_configuration": lambda f: (
        f"appends entry {f.get('raft.log_from', '?')}, configuration {_configuration(f)}"
    ),
    "raft.admin_request": lambda f: _sent(f, "administrator's request"),
    "raft.admin_response": lambda f: _sent(f, "answer to an administrator"),
    "raft.restart": lambda f: f"restarts in term {f.get('raft.term', '?')}",
    "raft.crash": lambda f: "crashes",
    "raft.client_request": lambda f: _sent(f, "request"),
    "raft.client_response": lambda f: _sent(f, "answer"),
}

VOCABULARY = Vocabulary(
    domain="raft",
    summary="Raft consensus: elections, log replication, commitment",
    fields=FIELDS,
    events=EVENTS,
    describe=describe,
)
