"""Eventual consistency: in the end all replicas answer alike; until then, how long writes stayed unseen."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np

from tracekit.checks.consistency.eventual_reads import SETTLE, FinalReads, final_reads, replicas_there
from tracekit.checks.consistency.session_history import LISTED, SessionHistory, applies, history_of
from tracekit.checks.consistency.staleness_measure import CLOCKS, staleness_of
from tracekit.checks.evidence import duration
from tracekit.execution import Execution, Options
from tracekit.history.sessions import READS
from tracekit.registry import check
from tracekit.results import CheckResult, Violation

SHOWN = 5
"""Values and replicas that a sentence names."""


def _writes_occur(execution: Execution) -> bool:
    """Whether clients called anything but reads: without it there is nothing to agree on."""
    f = execution.trace.get("f")
    return applies(execution) and f is not None and f.texts is not None and not set(f.texts.to_pylist()) <= READS


@check("consistency.eventual", applies=_writes_occur, columns=("f", "value"), measured=True)
def eventual(execution: Execution, options: Options) -> CheckResult:
    """Once nobody writes any more, all replicas come to answer alike.

    Meaning
        Quiescent convergence. The final reads of a key are those that began after all writes of it were over. At each
        key that was written, the final reads of all replicas return one value, and not the initial one if a write was
        answered. Which of the written values it is does not count. Whatever is no read counts as a write: cas, append,
        add, increment; at such keys all that is asked is that all read the same. The replica of a read is
        `replica.server` where that was recorded, else each client counts as one.

        When the replicas had had their time must be said. Marking a run quiescent says that it was left alone until
        nothing moved before it was read last: the last final read of each replica counts, and a difference is a
        violation only between reads that began after all writes of all keys were over. With `bounds.settle_ns` all
        reads that began more than so long after the last write of their key count. A write that was never answered
        counts by its invocation. Without either nothing is decided, and what would be compared is shown under the
        facts.

        Also measured: eventual visibility. For each read that is certainly stale (see consistency.bounded-staleness),
        how long ago, and how many operations of its own session ago, the first write that it missed was done. The
        largest of each say within what each write became visible to every session that read it.

    Example
        quiescent
        s1  write x 1
        s2  write x 2
        s1  read x 1         final
        s2  read x 2         final: the replicas never agree

    Needs
        invoke, ok, fail and info events with `f` (read or get, write or put) and `value`; `key` where there are
        several objects; a real-time order; `quiescent` or `bounds.settle_ns` in tracekit.run; final reads of every
        written key, by two replicas if there are two (`replica.server`, else all clients). Else the verdict is unknown.

    Cannot see
        Replicas that nobody read from in the end. Without `replica.server`, that two clients read from one replica, or
        one client from two. Values that differ in a way that does not matter: texts are compared, only at keys with
        `add` (sets) the order of lists does not count.

    Cost
        O(n log n) for n operations.

    Reference
        Vogels, Eventually consistent, CACM 52(1), 2009. Viotti and Vukolić, Consistency in Non-Transactional
        Distributed Storage Systems, ACM Computing Surveys 49(1), 2016: quiescent consistency, eventual visibility.
    """
    history, run = execution.derive(history_of), execution.trace.run
    real_time = execution.operations.real_time
    skew = options.skew_ns or real_time.skew_ns
    if skew is None:
        return CheckResult(reasons=(f"{real_time.text}: which reads came after the last write is not known",))
    settle = run.bounds.get(SETTLE)
    if settle is not None and real_time.column not in CLOCKS:
        return CheckResult(reasons=(f"{SETTLE} is declared, and real time is no clock: {real_time.text}",))
    final = final_reads(history, settle or 0, skew)
    sure = final if settle is not None else final.latest().at_rest()
    final = final if settle is not None else final.latest()
    differing, disagreeing = final.disagreeing(), sure.disagreeing()
    facts = _visibility(execution) | _counts(final, differing)
    remark = _remark(facts)
    reasons = [] if run.quiescent or settle is not None else [_undeclared(differing)]
    if not reasons:
        reasons = _unclear(history, final) + _unheard(history, final) + _restless(history, differing, disagreeing)
        violations = [_violation(history, sure, key) for key in disagreeing[:LISTED]]
    else:
        violations, disagreeing = [], []
    result = history.result(
        violations,
        len(disagreeing),
        method="final reads by key and replica",
        reasons=tuple(reasons),
        ambiguous=False,
        registers=False,
        rests_on=(real_time.text, _who_is_a_replica(execution), *([] if reasons else [_what_is_rest(settle)])),
        facts=facts,
    )
    examined = {"keys": facts["keys_with_final_reads"], "final reads": len(final.entry)}
    return replace(result, examined=examined, remark=remark)


def _undeclared(disagreeing: list[int]) -> str:
    seen = (
        f"; the last reads of {len(disagreeing)} key{'s' if len(disagreeing) > 1 else ''} differ so far"
        if disagreeing
        else ""
    )
    return f"the run is not marked quiescent, and no bounds.{SETTLE} is declared{seen}"


def _unclear(history: SessionHistory, final: FinalReads) -> list[str]:
    """Operations that may have changed anything."""
    if not len(final.unclear):
        return []
    first = history.execution.trace.event(int(history.operations.row[final.unclear[0]]))
    return [f"{len(final.unclear)} operations cannot be told apart (first: {first}): their keys are not judged"]


def _unheard(history: SessionHistory, final: FinalReads) -> list[str]:
    """Keys at which too few replicas were read from in the end."""
    heard = final.heard()
    if not final.judged.any():
        return ["no key was written by operations that can be judged"]
    wanted = min(2, replicas_there(history))
    few = np.flatnonzero(final.judged & (heard < wanted))
    if not len(few):
        return []
    some = history.sessions.key_name(int(few[0]))
    readers = "a replica" if wanted == 1 else "two replicas"
    return [f"{len(few)} of {int(final.judged.sum())} written keys have no final reads of {readers} (first: {some})"]


def _restless(history: SessionHistory, differing: list[int], sure: list[int]) -> list[str]:
    """Keys at which replicas differed in reads made while other keys were still written."""
    unsure = sorted(set(differing) - set(sure))
    if not unsure:
        return []
    first = history.sessions.key_name(unsure[0])
    seen = f"{len(unsure)} keys had different values when they were read last (first: {first})"
    return [f"{seen}, but other keys were still being written then"]


def _what_is_rest(settle: int | None) -> str:
    if settle is None:
        return "quiescence: nothing moved any more when each replica was read last (declared)"
    return f"quiescence: replicas agree within {duration(settle)} of the last write (declared)"


def _who_is_a_replica(execution: Execution) -> str:
    if "replica.server" in execution.trace:
        return "replicas: as recorded (replica.server)"
    return "replicas: each client stands for one (assumed)"


def _counts(final: FinalReads, disagreeing: list[int]) -> dict[str, Any]:
    heard = final.heard()
    return {
        "written_keys": int(final.judged.sum()),
        "keys_with_final_reads": int((final.judged & (heard > 0)).sum()),
        "keys_that_differ": len(disagreeing),
        "replicas_heard": len(np.unique(final.replica)),
    }


def _visibility(execution: Execution) -> dict[str, Any]:
    """Within what each write became visible to the sessions that read its key."""
    found = execution.derive(staleness_of)
    operations, times = found.operations_behind, found.behind_ns
    within: dict[str, Any] = {"stale_reads": len(found.stale), "operations": int(operations.max(initial=0))}
    if found.clock is not None and not (times < 0).any():
        within["time_ns"] = int(times.max(initial=0))
    return {"visible_within": within}


def _remark(facts: dict[str, Any]) -> str:
    within = facts["visible_within"]
    if not within["stale_reads"]:
        return ""
    time = f" and {duration(within['time_ns'])}" if "time_ns" in within else ""
    return f"a write was missed by a session for up to {within['operations']:,} of its operations{time}"


def _violation(history: SessionHistory, final: FinalReads, key: int) -> Violation:
    """The values of one key, who read which, and who is behind."""
    places = np.flatnonzero(final.key == key)
    by_value: dict[int, list[int]] = {}
    for place in places.tolist():
        by_value.setdefault(int(final.value[place]), []).append(place)
    replicas = {v: list(dict.fromkeys(final.names[int(final.replica[p])] for p in ps)) for v, ps in by_value.items()}
    # What most replicas have is taken for where they were going; the initial value never is.
    most = Counter({v: len(names) for v, names in replicas.items() if v}).most_common(1)
    laggards = [name for v, names in replicas.items() if not most or v != most[0][0] for name in names]
    words = {v: history.value(int(final.entry[ps[0]])) for v, ps in by_value.items()}
    told = [f"{words[v]} ({', '.join(names[:SHOWN])})" for v, names in list(replicas.items())[:SHOWN]]
    where, operation = history.sessions.key_name(key), int(final.last_write[key])
    row = int(history.operations.row[operation])
    if len(by_value) > 1:
        text = f"After the last write at {where} replicas still answer differently: {', '.join(told)}."
    else:
        why = "which nobody wrote" if final.unwritten[places[0]] else "the initial value: what was written is lost"
        text = f"After the last write at {where} everybody reads {told[0]}, {why}."
    shown = [int(final.entry[ps[-1]]) for ps in list(by_value.values())[:SHOWN]]
    events = [(row, history.execution.text(row)), *((history.row(e), history.verb(e)) for e in shown)]
    edges = tuple(history.execution.edge(row, history.row(e), "over before the read began") for e in shown)
    facts = {
        "key": history.sessions.names[key],
        "values": {words[v]: names[:LISTED] for v, names in replicas.items()},
        "laggards": laggards[:LISTED],
    }
    anomaly = "replicas-differ" if len(by_value) > 1 else "writes-lost"
    return Violation(anomaly, text, history.execution.witness(sorted(events)), edges, facts)
