"""Paxos (Lamport, "Paxos Made Simple", 2001): proposals, promises, acceptances and what is learned.

One trace may hold many instances of consensus: independent ones, or the slots of a replicated machine. An acceptor's
step carries its state *after* the event (`paxos.promised`, `paxos.accepted_ballot`, `paxos.accepted_value`); where a
recorder knows messages only, the promise or acceptance that an acceptor sends stands for the step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tracekit.trace.schema import Field, Type
from tracekit.vocabulary import Vocabulary

FIELDS = (
    Field(
        "paxos.instance", Type.TEXT_OR_INT,
        "Which instance of consensus (which slot) the event is about. Absent: it is about all of them, as one promise "
        "for a whole sequence of slots; or there is one instance only.",
    ),
    Field(
        "paxos.ballot", Type.INT,
        "Number of the proposal (ballot) that is started or that the message is about. Numbers made of a round and a "
        "proposer are recorded as one number in the same order: round * proposers + place.",
    ),
    Field(
        "paxos.value", Type.TEXT_OR_INT,
        "The value put forward, proposed, accepted or learned, or its digest; equal values, equal digests.",
    ),
    Field("paxos.promised", Type.INT, "At an acceptor: the ballot promised after the event, by the event or before."),
    Field(
        "paxos.accepted_ballot", Type.INT,
        "At an acceptor: number of the proposal that it accepted last, after the event. Absent (not 0 or -1): none "
        "yet, or not known.",
    ),
    Field("paxos.accepted_value", Type.TEXT_OR_INT, "At an acceptor: the value of that proposal."),
    Field(
        "paxos.last_ballot", Type.INT,
        "In a promise: number of the highest proposal that the acceptor reports to have accepted. Absent: none.",
    ),
    Field("paxos.last_value", Type.TEXT_OR_INT, "In a promise: the value of that proposal."),
    Field("paxos.reports", Type.INT, "In a promise for many instances: of how many it reports a proposal."),
    Field("paxos.message_promised", Type.INT, "In a refusal: the ballot that the acceptor has promised instead."),
    Field(
        "paxos.acceptors", Type.TEXTS,
        "All acceptors, the same at every event that records them. Never recorded: as many as the run's n; without n, "
        "the processes that promise or accept.",
    ),
)  # fmt: skip

EVENTS = {
    "paxos.init": "A process that takes part starts, with the acceptors.",
    "paxos.restart": "It starts again from what it had made stable (kind restart).",
    "paxos.crash": "It stops (kind crash).",
    "paxos.submit": "A value is put forward for an instance: by a client, or by a leader that fills a gap. Only such "
    "values may be chosen.",
    "paxos.start_ballot": "A proposer begins phase 1 with a ballot (internal); once for each ballot.",
    "paxos.prepare": "Phase 1a: a prepare request is sent or received; at the acceptor with its state after it.",
    "paxos.promise": "Phase 1b: a promise is sent or received.",
    "paxos.lead": "The proposer has promises of a majority for all instances, and leads (internal).",
    "paxos.accept": "Phase 2a: an accept request is sent or received; at the acceptor with its state after it.",
    "paxos.accepted": "Phase 2b: an acceptor tells that it accepted a proposal: sent, received, or internal.",
    "paxos.refusal": "An acceptor tells that it ignores a request, since it has promised a higher ballot.",
    "paxos.learn": "The process learns that a value is chosen (internal).",
    "paxos.chosen": "A process tells another one that a value is chosen: sent or received.",
    "paxos.answer": "A proposer tells a client which value was chosen: sent or received.",
    "paxos.heartbeat": "The leader tells that it is alive.",
    "paxos.catch_up": "A process asks for values chosen that it has not learned.",
    "paxos.missed": "The answer: values chosen.",
}


def describe(name: str, fields: Mapping[str, Any]) -> str:
    """``accepts 7 x from n1, instance 3``."""
    what = _WHAT.get(name)
    words = what(fields) if what else name.removeprefix("paxos.").replace("_", " ")
    return words if fields.get("paxos.instance") is None else f"{words}, instance {fields['paxos.instance']}"


def _sent(fields: Mapping[str, Any], what: str) -> str:
    verb, way = ("sends", "to") if fields.get("kind") == "send" else ("receives", "from")
    return f"{verb} {what} {way} {fields.get('peer', '?')}"


def _proposal(fields: Mapping[str, Any]) -> str:
    return f"ballot {fields.get('paxos.ballot', '?')}" + _value(fields, "paxos.value")


def _value(fields: Mapping[str, Any], name: str) -> str:
    return "" if fields.get(name) is None else f" with {fields[name]}"


def _prepare(fields: Mapping[str, Any]) -> str:
    promised = fields.get("paxos.promised")
    answer = "" if promised is None or fields.get("kind") != "receive" else f", has promised {promised}"
    return _sent(fields, f"prepare request, ballot {fields.get('paxos.ballot', '?')}") + answer


def _promise(fields: Mapping[str, Any]) -> str:
    last, count = fields.get("paxos.last_ballot"), fields.get("paxos.reports")
    report = "" if last is None else f", accepted ballot {last}{_value(fields, 'paxos.last_value')} before"
    report = f", reports {count} proposals" if count else report
    return _sent(fields, f"promise for ballot {fields.get('paxos.ballot', '?')}") + report


def _accept(fields: Mapping[str, Any]) -> str:
    ballot = fields.get("paxos.accepted_ballot")
    accepts = ", accepts it" if ballot is not None and ballot == fields.get("paxos.ballot") else ""
    return _sent(fields, f"accept request, {_proposal(fields)}") + accepts


_WHAT: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "paxos.init": lambda f: "starts",
    "paxos.restart": lambda f: "restarts",
    "paxos.crash": lambda f: "crashes",
    "paxos.submit": lambda f: f"puts {f.get('paxos.value', '?')} forward",
    "paxos.start_ballot": lambda f: f"starts ballot {f.get('paxos.ballot', '?')}",
    "paxos.lead": lambda f: f"leads, ballot {f.get('paxos.ballot', '?')}",
    "paxos.prepare": _prepare,
    "paxos.promise": _promise,
    "paxos.accept": _accept,
    "paxos.accepted": lambda f: (
        _sent(f, f"acceptance of {_proposal(f)}") if f.get("kind") in ("send", "receive") else f"accepts {_proposal(f)}"
    ),
    "paxos.refusal": lambda f: _sent(
        f, f"refusal of ballot {f.get('paxos.ballot', '?')}, promised {f.get('paxos.message_promised', '?')}"
    ),
    "paxos.learn": lambda f: f"learns that {f.get('paxos.value', '?')} is chosen",
    "paxos.chosen": lambda f: _sent(f, f"the news that {f.get('paxos.value', '?')} is chosen"),
    "paxos.answer": lambda f: _sent(f, "answer"),
    "paxos.heartbeat": lambda f: _sent(f, "heartbeat"),
    "paxos.catch_up": lambda f: _sent(f, "request for values chosen"),
    "paxos.missed": lambda f: _sent(f, "values chosen"),
}

VOCABULARY = Vocabulary(
    domain="paxos",
    summary="Paxos: ballots, promises, acceptances, values chosen",
    fields=FIELDS,
    events=EVENTS,
    describe=describe,
)
