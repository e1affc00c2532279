"""Atomic commitment (Bernstein, Hadzilacos & Goodman, "Concurrency Control and Recovery in Database Systems", 1987,
chapter 7): two-phase and three-phase commit, and whatever else decides on distributed transactions by votes.

What a process does about a transaction, it records at the event that does it: its vote, that it is committable, its
decision. A receive and what follows from it at once are one event.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tracekit.trace.schema import Field, Type
from tracekit.vocabulary import Vocabulary

FIELDS = (
    Field("commit.txn", Type.TEXT_OR_INT, "The transaction that the event is about."),
    Field(
        "commit.participants", Type.TEXTS,
        "Every process that has a vote on the transaction, its coordinator included where it has one; at any event of "
        "the transaction, best at its first.",
    ),
    Field("commit.vote", Type.TEXT, "The process casts this vote with the event: yes or no."),
    Field(
        "commit.committable", Type.BOOL,
        "True: with the event the process becomes committable: it has learnt that all have voted yes, and has not "
        "decided yet (the third phase of three-phase commit; the receipt of a pre-commit).",
    ),
    Field(
        "commit.decision", Type.TEXT,
        "The process reaches this decision with the event: commit or abort. A no vote is not yet one; what a client "
        "is told is none.",
    ),
    Field(
        "commit.held", Type.TEXTS,
        "What the process holds for the transaction from its vote until its decision: names of locks, keys, rows.",
    ),
    Field("commit.reason", Type.TEXT, "Why: of a no vote, or of a decision that did not follow from votes."),
    Field("commit.message_vote", Type.TEXT, "The vote in a message: yes or no."),
    Field("commit.message_decision", Type.TEXT, "The decision in a message: commit or abort."),
    Field(
        "commit.message_state", Type.TEXT,
        "The sender's state in a message: aborted, uncertain, committable or committed.",
    ),
    Field(
        "commit.message_recovering", Type.BOOL,
        "Whether the sender has crashed since it voted, so that it takes no part in elections.",
    ),
)  # fmt: skip

EVENTS = {
    "commit.init": "A process that takes part starts.",
    "commit.restart": "The process starts again and reads its log (kind restart).",
    "commit.crash": "The process stops (kind crash).",
    "commit.request": "A client asks for a transaction: sent, or received by the process that will coordinate it.",
    "commit.begin": "The coordinator begins the transaction, with its participants and its own vote.",
    "commit.vote_request": "A vote is asked for; at the receiver with the vote that follows.",
    "commit.vote": "A vote is sent or received.",
    "commit.pre_commit": "All have voted yes: sent or received, at the receiver with the state that follows; or the "
    "coordinator itself becomes committable (internal).",
    "commit.pre_commit_ack": "The receipt of a pre-commit is acknowledged.",
    "commit.decide": "The process decides, not because another one has told it a decision (internal).",
    "commit.decision": "A decision is sent, or received with what follows from it.",
    "commit.ack": "The receipt of a decision is acknowledged.",
    "commit.terminate": "The process has waited too long, or has restarted, and begins the termination protocol.",
    "commit.decision_request": "The process asks another one for the decision.",
    "commit.decision_response": "The answer to that: a decision, or else the state of the one asked.",
    "commit.elected": "The receiver is told that it is the new coordinator of the transaction.",
    "commit.state_request": "A new coordinator asks for the state of the transaction.",
    "commit.state_response": "The answer to that.",
    "commit.outcome": "The client is told what became of its transaction.",
}


def describe(name: str, fields: Mapping[str, Any]) -> str:
    """``votes yes on t7, holding k1, k2``, ``receives the decision commit from n1, commits t7``."""
    what = _WHAT.get(name)
    words = [what(fields) if what else name.removeprefix("commit.").replace("_", " ")]
    txn = fields.get("commit.txn")
    if txn is not None:
        words += _done(fields, txn) or [str(txn)]
    if fields.get("commit.held"):
        words.append(f"holding {', '.join(map(str, fields['commit.held'][:4]))}")
    if fields.get("commit.reason"):
        words.append(f"because: {fields['commit.reason']}")
    if fields.get("message") is not None:
        words.append(f"message {fields['message']}")
    return ", ".join(word for word in words if word)


def _done(fields: Mapping[str, Any], txn: Any) -> list[str]:
    """What the process does about the transaction."""
    done = []
    vote, decision = fields.get("commit.vote"), fields.get("commit.decision")
    if vote:
        done.append(f"votes {vote} on {txn}")
    if fields.get("commit.committable"):
        done.append(f"is committable for {txn}")
    if decision:
        done.append({"commit": "commits", "abort": "aborts"}.get(str(decision), f"decides {decision} on") + f" {txn}")
    return done


def _sent(fields: Mapping[str, Any], what: str) -> str:
    verb, way = ("sends", "to") if fields.get("kind") == "send" else ("receives", "from")
    return f"{verb} {what} {way} {fields.get('peer', '?')}"


def _answer(fields: Mapping[str, Any]) -> str:
    told = fields.get("commit.message_decision") or fields.get("commit.message_state")
    return _sent(fields, f"the answer {told}" if told else "an answer")


_WHAT: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "commit.init": lambda f: "starts",
    "commit.restart": lambda f: "restarts",
    "commit.crash": lambda f: "crashes",
    "commit.request": lambda f: _sent(f, "a request"),
    "commit.begin": lambda f: f"begins, asking {', '.join(map(str, f.get('commit.participants') or ['?']))}",
    "commit.vote_request": lambda f: _sent(f, "a vote request"),
    "commit.vote": lambda f: _sent(f, f"the vote {f.get('commit.message_vote', '?')}"),
    "commit.pre_commit": lambda f: _sent(f, "a pre-commit") if f.get("kind") in ("send", "receive") else "",
    "commit.pre_commit_ack": lambda f: _sent(f, "the acknowledgement of a pre-commit"),
    "commit.decide": lambda f: "",
    "commit.decision": lambda f: _sent(f, f"the decision {f.get('commit.message_decision', '?')}"),
    "commit.ack": lambda f: _sent(f, "the acknowledgement of a decision"),
    "commit.terminate": lambda f: "does not know the decision and begins the termination protocol",
    "commit.decision_request": lambda f: _sent(f, "a request for the decision"),
    "commit.decision_response": _answer,
    "commit.elected": lambda f: _sent(f, "word of the election"),
    "commit.state_request": lambda f: _sent(f, "a request for the state"),
    "commit.state_response": _answer,
    "commit.outcome": lambda f: _sent(f, f"the outcome {f.get('commit.message_decision', '?')}"),
}

VOCABULARY = Vocabulary(
    domain="commit",
    summary="Atomic commitment: votes, pre-commits, decisions, termination and recovery",
    fields=FIELDS,
    events=EVENTS,
    describe=describe,
)
