"""AC5: in the end all decide."""

from __future__ import annotations

import numpy as np

from tracekit.checks.atomic_commit.demonstrated import Demonstrated, demonstrated
from tracekit.checks.atomic_commit.findings import nothing_voted
from tracekit.checks.atomic_commit.history import YES, Bool, CommitHistory, Int64, Marks, commit_history, commit_occurs
from tracekit.checks.doubts import domain_check
from tracekit.checks.evidence import SHOWN, listed, times, violation
from tracekit.execution import Execution, Options
from tracekit.results import CheckResult, Violation
from tracekit.trace.schema import Kind


@domain_check("atomic-commit.termination", domain="commit", applies=commit_occurs)
def termination(execution: Execution, options: Options) -> CheckResult:
    """If all failures are repaired, all processes that have voted yes decide in the end (AC5).

    Meaning
        A process that has voted yes holds its locks until it knows the decision. While the network is cut or a process
        is down it may have to wait, which no protocol can avoid altogether. But once everything is mended and stays so
        for long enough, it must learn the decision. Whether it had the time to is not in the events: the run has to be
        marked quiescent, left alone until nothing moved. A process that has voted no has nothing to wait for.

    Example
        n3:20  votes yes on t7, holding k3
        n1:26  commits t7
               the decision to n3 is lost; the network heals; n3 never asks, and the run ends

    Needs
        commit.txn; commit.vote and commit.decision where processes vote and decide; where somebody has not decided:
        `quiescent` in tracekit.run; crashes and restarts; the last fault event being fault.heal.

    Cannot see
        Processes that never voted. How long anybody had to wait: atomic-commit.blocking measures that. That no decision
        is recorded is evidence only where the process demonstrably records its decisions: it has one at each sort of
        event (name) at which any that has voted yes decides, but for those at which only coordinators decide, where it
        does not coordinate; one at messages that tell a decision, if it was sent such; and it tells nobody of a
        decision that it did not record. Elsewhere the answer is unknown. A sort of event that nobody records anywhere
        is taken for one that the protocol has not. A single decision left out looks as if it had not happened.

    Cost
        Sorting the votes; linear in the events otherwise.

    Reference
        Bernstein, Hadzilacos & Goodman 7.3, AC5. Concurrency Control and Recovery in Database Systems, 1987.
    """
    history = execution.derive(commit_history)
    voted = history.votes.only(history.votes.value == YES).first
    if not len(voted):
        return nothing_voted(history)
    waiting = voted.only(history.decisions.find(voted.pair) < 0)
    excuse = _excuse(history)
    judged = not excuse and not history.missing("decision")
    sure = waiting.only(~history.partial[waiting.process] & judged & _shown(history, voted, waiting))
    broken = np.unique(sure.txn)
    reasons = list(history.doubts("vote", "decision"))
    if len(waiting) > len(sure):
        excuse = excuse or "".join(history.missing("decision")[:1])
        first = execution.trace.event(int(waiting.row[0]))
        what = f"no decision has followed {times(len(waiting), 'yes vote')} (first: {first})"
        reasons.append(f"{what}, but {excuse or 'not all decisions are recorded there'}")
    return CheckResult(
        examined={"yes votes": len(voted)},
        violations=tuple(_told(history, sure, int(txn)) for txn in broken[:SHOWN])
        if not history.doubts("decision")
        else (),
        violations_total=len(broken),
        reasons=tuple(reasons),
        method="a decision for each yes vote",
        facts={"undecided": len(waiting)},
        rests_on=("quiescence: nothing moved any more at the end (declared)",) if len(waiting) and not excuse else (),
    )


def _shown(history: CommitHistory, voted: Marks, waiting: Marks) -> Bool:
    """Whether each waiting process would have told of its decision: it records decisions at all events at which it may
    decide, and it tells nobody of one."""
    trace, decisions = history.execution.trace, history.decisions.first
    shown = history.execution.derive(demonstrated)
    told = [shown.told(name)[0] for name in ("commit.decision", "commit.ack", "commit.outcome")]
    told += [_telling(shown, "commit.decision_response")[0]]
    out = ~np.isin(waiting.pair, np.concatenate(told))
    # Decisions of those that have voted yes before: who votes no, or is asked before it votes, decides elsewhere
    decisions = decisions.only(np.isin(decisions.pair, voted.pair) & ~np.isin(decisions.row, history.votes.row))
    peer = trace.get("peer")
    codes = trace.process_codes(peer) if peer is not None else None
    for name in _names(history, decisions):
        here = decisions.only(trace.named(name)[decisions.row])
        may = np.ones(len(waiting), np.bool_)
        if np.isin(here.pair, shown.coordinates).all() and (trace.kind[here.row] != Kind.RECEIVE).any():
            may = np.isin(waiting.pair, shown.coordinates)
        out &= np.isin(waiting.process, here.process) | ~may
    for name in ("commit.decision", "commit.decision_response"):
        here = decisions.only(trace.named(name)[decisions.row])
        rows = _telling(shown, name)[1]
        rows = rows[trace.kind[rows] == Kind.SEND]
        may = np.full(len(waiting), len(rows) > 0) if codes is None else np.isin(waiting.process, codes[rows])
        out &= np.isin(waiting.process, here.process) | ~may
    return out


def _telling(shown: Demonstrated, name: str) -> tuple[Int64, Int64]:
    """Messages that tell a decision: the pairs of their senders, and their rows."""
    trace, found = shown.execution.trace, []
    for field, words in (
        ("commit.message_decision", ("commit", "abort")),
        ("commit.message_state", ("committed", "aborted")),
    ):
        column = trace.get(field)
        if column is not None and column.texts is not None:
            found += [shown.told(name, field, word, present=True) for word in words]
    found = found or [shown.told(name)]
    return np.concatenate([pair for pair, _, _ in found]), np.concatenate([rows for _, _, rows in found])


def _names(history: CommitHistory, decisions: Marks) -> list[str]:
    """The names of events at which something was decided; nameless ones left out."""
    name = history.execution.trace.get("name")
    if name is None or name.texts is None:
        return []
    rows = decisions.row[name.present[decisions.row]]
    return [name.text(code) for code in np.unique(name.values[rows]).tolist()]


def _excuse(history: CommitHistory) -> str:
    """Why a process that has not decided may still be about to; empty where the run is over and all is repaired."""
    trace = history.execution.trace
    if not trace.run.quiescent:
        return "the run is not marked quiescent: it may have ended too early"
    down = np.flatnonzero(_down(history))
    if len(down):
        return f"{listed([history.who(int(code)) for code in down[:3]])} was down at the end"
    faults = history.execution.program_order.rows
    faults = faults[trace.kind[faults] == Kind.FAULT]
    if len(faults) and not trace.named("fault.heal")[faults[-1]]:
        return f"the last fault, {trace.event(int(faults[-1]))}, is not known to be repaired (no fault.heal after it)"
    return ""


def _down(history: CommitHistory) -> Bool:
    """Shape (names,): processes whose last crash no restart has followed."""
    trace = history.execution.trace
    rows = history.execution.program_order.rows
    crash = (trace.is_kind(Kind.CRASH) | trace.named("commit.crash"))[rows]
    last = np.zeros(len(history.names), np.int64)
    crashed = np.zeros(len(history.names), np.int64)
    process = trace.process[rows]
    place = np.arange(1, len(rows) + 1)
    np.maximum.at(crashed, process[crash], place[crash])
    np.maximum.at(last, process, place)
    # whatever else a process records after its crash shows that it is back
    down: Bool = (crashed > 0) & (crashed == last)
    return down


def _told(history: CommitHistory, waiting: Marks, txn: int) -> Violation:
    execution, decisions = history.execution, history.decisions
    mine = waiting.of(txn)
    names = [history.who(int(code)) for code in waiting.process[list(mine)]][:SHOWN]
    name, row = history.txn_name(txn), int(waiting.row[mine.start])
    own = np.flatnonzero((history.txn == txn) & (execution.trace.process == waiting.process[mine.start]))
    last = int(own[np.argmax(execution.program_order.index[own])])
    places = list(decisions.of(txn))
    others = f" {history.who(int(decisions.process[places[0]]))} did." if places else " Nobody did."
    known = [int(decisions.row[places[0]])] if places else []
    shown = dict.fromkeys([row, *known, last])
    return violation(
        execution,
        "never-decided",
        f"{listed(names)} voted yes on {name} and never decided, although all failures were repaired and the run was "
        f"left alone.{others}",
        [(r, execution.text(r)) for r in shown],
        facts={"transaction": name, "undecided": names},
    )
