"""No request changes a state twice."""

from __future__ import annotations

import numpy as np

from tracekit.checks.evidence import SHOWN, recorded, violation
from tracekit.checks.smr.history import NONE, Bool, Int64, SmrHistory, smr_check, smr_history
from tracekit.execution import Execution, Options
from tracekit.kernels.engine import kernels
from tracekit.results import CheckResult, Violation


@smr_check("smr.exactly-once")
def exactly_once(execution: Execution, options: Options) -> CheckResult:
    """A copy of the machine executes no client's request that its state already contains.

    Meaning
        A client that gets no answer sends its request again, so the same request may be chosen for two indices; and a
        copy that starts again may replay a log onto a state that already contains it. Either way the request must
        change a state once: the machine knows it (smr.executed is false) or skips it. What a state contains is what
        the process executed at indices up to the one that it recovered or took over (smr.index of that event); what
        lies beyond may be executed again.

    Example
        n3:70  applies command 7: increment k1 (c1 #4)
        n3:85  applies command 9: increment k1 (c1 #4)

    Needs
        smr.request with smr.command and smr.index at every event that applies a client's command; smr.executed where
        machines recognise requests; smr.index at restarts and where a state is taken over; smr.machine where there are
        several machines.

    Cannot see
        Requests that came with a state taken over from another copy. A request that was answered and never executed.
        A replay onto a state that survived, where the restart records no smr.index: the state is then taken to be the
        one before the first command applied.

    Cost
        Applications, times the logarithm of the restarts.

    Reference
        van Renesse and Altinbuken 2015, perform(). It skips a command that was decided for an earlier slot. Also
        Ongaro and Ousterhout 2014, section 8: serial numbers of clients.
        Van Renesse and Altinbuken, Paxos Made Moderately Complex, 2015.
    """
    history = execution.derive(smr_history)
    if not bool(history.applied.any()):
        return CheckResult(reasons=history.lost(), applicable=False)
    of_client = history.applied & (history.request != NONE)
    if not bool(of_client.any()):
        missing = () if recorded(execution, "smr.request") else ("smr.request is not recorded",)
        return CheckResult(reasons=(*missing, *history.lost()), applicable=False)
    executions = of_client & history.executed
    places, again = _again(history, executions)
    broken = np.flatnonzero(again != NONE)
    return CheckResult(
        examined={"requests applied": int(of_client.sum())},
        violations=tuple(_told(history, int(places[b]), int(places[again[b]])) for b in broken[:SHOWN]),
        violations_total=len(broken),
        reasons=history.lost(),
        rests_on=history.rests_on + _executed(execution),
        method="requests executed, by process and by what its state contains",
    )


def _executed(execution: Execution) -> tuple[str, ...]:
    told = recorded(execution, "smr.executed")
    return () if told else ("every command applied was executed (assumed: smr.executed is not recorded)",)


def _again(history: SmrHistory, executions: Bool) -> tuple[Int64, Int64]:
    """Executions and changes of state, and for each execution the earlier one that its state contains."""
    resets = ~history.applied & ((history.index != NONE) | history.restart)
    places = np.flatnonzero(executions | resets)
    index = np.where(history.restart & (history.index == NONE), _recovered(history), history.index)[places]
    wide = np.int64(int(history.request.max(initial=0)) + 1)
    keys = np.where(executions, history.copy * wide + history.request, NONE)[places]
    known = keys != NONE
    request = np.full(len(places), NONE, np.int64)
    distinct, request[known] = np.unique(keys[known], return_inverse=True)
    again = np.empty(len(places), np.int64)
    loops = kernels("smr", work=len(history.execution.trace))
    loops.executed_again(history.copy[places], request, index, len(distinct), again)
    return places, again


def _recovered(history: SmrHistory) -> Int64:
    """For each event, one less than the index of the process's next command; the highest number where none follows."""
    n, highest = len(history.row), np.iinfo(np.int64).max
    at = np.where(history.applied, np.arange(n), n)
    following = np.minimum.accumulate(at[::-1])[::-1]
    there = np.minimum(following, max(n - 1, 0))
    same = (following < n) & (history.copy[there] == history.copy)
    return np.where(same, history.index[there] - 1, highest)


def _told(history: SmrHistory, place: int, before: int) -> Violation:
    name, request = history.who(place), history.text(place, "smr.request")
    index, first = int(history.index[place]), int(history.index[before])
    restarts = before + 1 + np.flatnonzero(history.restart[before + 1 : place])
    events = [before, *(int(r) for r in restarts[-1:]), place]
    kept = ""
    if len(restarts):
        row = int(history.row[restarts[-1]])
        contains = int(history.index[restarts[-1]])
        kept = f" It restarted in between ({history.execution.trace.event(row)})"
        kept += f", with the state after {contains}." if contains != NONE else "."
    return violation(
        history.execution,
        "executed-again",
        f"{name} executed request {request} at index {index}, though its state contained it since index {first}.{kept}",
        [(int(history.row[p]), history.execution.text(int(history.row[p]))) for p in events],
        facts={"process": name, "request": request, "index": index, "before": first, "restarted": bool(len(restarts))},
    )
