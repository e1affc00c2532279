"""What each process demonstrably records: only there is the absence of an event evidence that it did not happen.

A recorder that leaves out a sort of event leaves it out everywhere at its process. So one recorded event of a sort
shows that a process records that sort, and none shows nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tracekit.checks.evidence import listed
from tracekit.checks.paxos.acceptors import Acceptors, acceptors
from tracekit.checks.paxos.history import Bool, Int64, PaxosHistory, Steps, distinct, paxos_history
from tracekit.execution import Execution
from tracekit.trace.schema import Kind

SORTS = {
    "promises": ("paxos.promise", "paxos.prepare", "paxos.start_ballot"),
    "acceptances": ("paxos.accepted", "paxos.accept", "paxos.accept"),
}
"""By sort of step: the message that tells of it, the request that asks for it, and where a proposer asks itself."""


@dataclass(frozen=True, eq=False)
class Demonstrated:
    """What processes show that they record of one sort of steps (promises, acceptances). Shapes (processes,).

    Attributes
    ----------
    asked: steps that others ask for: some such step is recorded at the receipt of a request, at the message that
        answers it, or for a ballot of another process; and no receipt tells of one that is not recorded.
    own: steps for its own ballots, likewise; also true where it is not known to have any ballot.
    heard: receipts of messages that tell of such steps.
    told: such receipts of which the step is not recorded at the process that took it, as steps of that process.
    """

    asked: Bool
    own: Bool
    heard: Bool
    told: Steps

    def doubtful(self, group: Acceptors) -> Int64:
        """Acceptors that may have taken steps which they do not record."""
        return group.codes[~(self.asked & self.own)[group.codes]]

    def names(self, execution: Execution, codes: Int64) -> str:
        """The first few of some processes."""
        return listed([str(execution.trace.processes[code]) for code in codes[:3].tolist()])


def demonstrated_promises(execution: Execution) -> Demonstrated:
    """Use it through ``execution.derive(demonstrated_promises)``. O(n log n)."""
    return _demonstrated(execution, "promises")


def demonstrated_acceptances(execution: Execution) -> Demonstrated:
    """Use it through ``execution.derive(demonstrated_acceptances)``. O(n log n)."""
    return _demonstrated(execution, "acceptances")


def _demonstrated(execution: Execution, sort: str) -> Demonstrated:
    history, trace = execution.derive(paxos_history), execution.trace
    steps: Steps = getattr(history, sort)
    answer, request, itself = (trace.named(name)[steps.row] for name in SORTS[sort])
    kind = trace.kind[steps.row]
    owner = execution.derive(proposal_owners if sort == "acceptances" else ballot_owners)
    mine, known = _of(owner, steps), np.isin(steps.ballot, owner[:, 1]) | (not len(owner))
    internal = kind == Kind.INTERNAL
    own = (itself & (kind != Kind.RECEIVE)) | (answer & internal & mine)
    own |= request & (kind == Kind.SEND)
    asked = (request & (kind == Kind.RECEIVE)) | (answer & (kind == Kind.SEND))
    asked |= answer & internal & ~mine & known
    told, heard = _told(history, steps, SORTS[sort][0])
    shows = np.zeros((2, len(trace.processes)), np.bool_)
    shows[0, steps.process[asked]] = True
    shows[1, steps.process[own]] = True
    shows[0, told.process] = False
    # Who has a ballot of its own may have asked itself as well
    shows[1, np.setdiff1d(np.arange(len(trace.processes)), owner[:, 0])] = True
    return Demonstrated(shows[0], shows[1], heard, told)


def ballot_owners(execution: Execution) -> Int64:
    """Pairs of (process, ballot), shape (k, 2): who began a ballot, or sent its requests, as either end tells."""
    history = execution.derive(paxos_history)
    return _owners(history, [history.starts, history.prepares, history.requests])


def proposal_owners(execution: Execution) -> Int64:
    """Pairs of (process, ballot), shape (k, 2): who sent accept requests of a ballot, as either end tells."""
    history = execution.derive(paxos_history)
    return _owners(history, [history.requests])


def _owners(history: PaxosHistory, parts: list[Steps]) -> Int64:
    trace = history.execution.trace
    process, ballot = (np.concatenate([getattr(p, a) for p in parts]) for a in ("process", "ballot"))
    peer = trace.get("peer")
    if peer is not None:
        codes = trace.process_codes(peer).astype(np.int64)
        received = history.received[codes[history.received.row] >= 0]
        process = np.concatenate([process, codes[received.row]])
        ballot = np.concatenate([ballot, received.ballot])
    return distinct(process, ballot)[0] if len(process) else np.empty((0, 2), np.int64)


def _of(owner: Int64, steps: Steps) -> Bool:
    """Which steps are for a ballot of the process that takes them."""
    _, key = distinct(np.append(owner[:, 0], steps.process), np.append(owner[:, 1], steps.ballot))
    found: Bool = np.isin(key[len(owner) :], key[: len(owner)])
    return found


def _told(history: PaxosHistory, steps: Steps, name: str) -> tuple[Steps, Bool]:
    """Steps that some receipt tells of and that are not recorded; and who records such receipts, by process."""
    trace = history.execution.trace
    told = history.answers
    told = told[trace.named(name)[told.row]]
    heard = np.zeros(len(trace.processes), np.bool_)
    heard[told.process] = True
    peer = trace.get("peer")
    if peer is None:
        return told[np.zeros(len(told), np.bool_)], heard
    sender = trace.process_codes(peer).astype(np.int64)[told.row]
    told = Steps(told.row, sender, told.instance, told.ballot, told.value)
    told = told[(sender >= 0) & (told.ballot >= 0) & ((told.instance >= 0) | (name == SORTS["promises"][0]))]
    _, key = distinct(*(np.append(getattr(steps, a), getattr(told, a)) for a in ("process", "instance", "ballot")))
    return told[~np.isin(key[len(steps) :], key[: len(steps)])], heard


def unrecorded(execution: Execution, found: Demonstrated, what: str) -> str:
    """Why the absence of steps is no evidence, naming the acceptors; empty where it is."""
    doubtful = found.doubtful(execution.derive(acceptors))
    if not len(doubtful):
        return ""
    told = np.intersect1d(doubtful, found.told.process)
    if len(told):
        return f"{found.names(execution, told)} told of {what} that it did not record"
    own = doubtful[found.asked[doubtful]]
    if len(own) == len(doubtful):
        return f"{found.names(execution, own)} records no {what} for its own ballots"
    return f"{found.names(execution, doubtful[~found.asked[doubtful]])} records no {what} that others ask for"
