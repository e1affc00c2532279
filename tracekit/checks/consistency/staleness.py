"""Bounded staleness: how many versions and how long reads certainly lag behind."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracekit.checks.consistency.session_history import LISTED, SessionHistory, applies, history_of
from tracekit.checks.consistency.staleness_measure import Staleness, staleness_of
from tracekit.checks.evidence import duration
from tracekit.execution import Execution, Options
from tracekit.registry import check
from tracekit.results import CheckResult, Violation

Int64 = NDArray[np.int64]

VERSIONS, TIME = "staleness_versions", "staleness_ns"

QUANTILES = (0.5, 0.9, 0.99, 0.999)

DISTINCT = 50
"""So many numbers of versions are counted one by one; what is further behind is counted together."""


def _declared(execution: Execution) -> bool:
    return bool({VERSIONS, TIME} & set(execution.trace.run.bounds))


@check("consistency.bounded-staleness", applies=applies, columns=("f", "value"), measured=True, declared=_declared)
def bounded_staleness(execution: Execution, options: Options) -> CheckResult:
    """Reads are at most so many versions, and so long, behind.

    Meaning
        A write is done when it has ended, or a read of its value has. A read is certainly k versions behind if k
        writes of its key began after the write that it read was done, and were done before the read began: in every
        order of the operations that real time allows, these k lie between. It is certainly t behind if the first of
        them was done t before the read began. Both are lower bounds; a read that is 0 behind may still have missed a
        write that was under way.

        Where the run declares a bound, a read that is certainly further behind violates it. Without one the check is
        not applicable, and measures: how many reads are how many versions behind, quantiles of versions and of time
        over all reads (t-visibility: the share of reads that are no older than t), the worst of each, and the k of the
        history: the least number such that some order of the operations, as real time allows, gives every read one of
        the last k writes of its key. Linearizable means k = 1. It is at least 1 plus the most versions behind, and at
        most what one greedy order needs; whether it is 1 or 2 is decided exactly, and where it is larger both bounds
        are given, since no polynomial algorithm is known then. Where a read ended before its write began, or read what
        nobody wrote, there is no such k; then, and where the write of a read is not known, no upper bound is given.

    Example
        declared: at most 1 version behind
        s1  write x 1,  write x 2,  write x 3
        s2                                      read x 1        2 versions behind

    Needs
        invoke and ok events with `f` (read or get, write or put) and `value`; `key` where there are several objects; a
        real-time order: `index`, `true_time_ns` or `time_ns`; for the time behind one of the latter. Distinct values
        written at a key: reads of values that were written twice are not measured. `bounds.staleness_versions` and
        `bounds.staleness_ns` in tracekit.run for a verdict.

    Cannot see
        How far behind a read was beyond what is certain. Staleness against the order in which the store put concurrent
        writes. cas, append and other operations: reads at their keys are not measured.

    Cost
        O(n log n) for n operations; 2-atomicity, where the bounds leave it open, takes up to 50 steps an operation.

    Reference
        Golab, Li and Shah, Analyzing consistency properties for fun and profit, PODC 2011. Golab, Hurwitz and Li, On
        the k-atomicity-verification problem, ICDCS 2013 (2-atomicity, by limited backtracking). Bailis et al.,
        Probabilistically bounded staleness for practical partial quorums, VLDB 2012 (k-staleness, t-visibility).
        Variant: lower bounds of each read from real time alone.
    """
    history, bounds = execution.derive(history_of), execution.trace.run.bounds
    real_time = execution.operations.real_time
    if real_time.skew_ns is None and not options.skew_ns:
        return CheckResult(reasons=(f"{real_time.text}: reads and writes of different clients cannot be compared",))
    found = execution.derive(staleness_of)
    facts = _facts(found)
    rests_on = (real_time.text,)
    if not _declared(execution):
        method = "no bound on staleness is declared"
        return CheckResult(applicable=False, facts=facts, remark=_remark(found), method=method, rests_on=rests_on)
    over = _over(found, bounds.get(VERSIONS), bounds.get(TIME))
    thin = history.thin_air()
    violations = [history.thin_air_read(int(entry)) for entry in thin[:LISTED]]
    violations += [_early(found, int(entry)) for entry in found.early[: LISTED - len(violations)]]
    violations += [_stale(found, int(at), bounds) for at in over[: LISTED - len(violations)]]
    result = history.result(
        violations,
        len(thin) + len(found.early) + len(over),
        method="writes certainly between each read and what it returned",
        reasons=_doubts(found, bounds),
        rests_on=rests_on,
        facts=facts,
    )
    return replace(result, remark=_remark(found))


def _over(found: Staleness, versions: int | None, time_ns: int | None) -> Int64:
    """Places among the stale reads of those over a bound, the worst first."""
    over = np.zeros(len(found.stale), np.bool_)
    if versions is not None:
        over |= found.versions[found.stale] > versions
    if time_ns is not None:
        over |= found.behind_ns > time_ns
    places = np.flatnonzero(over)
    return places[np.lexsort((places, -found.behind_ns[places], -found.versions[found.stale[places]]))]


def _doubts(found: Staleness, bounds: Any) -> tuple[str, ...]:
    """Why nothing can be said of some reads' time."""
    if TIME not in bounds:
        return ()
    if found.clock is None:
        return ("a bound on time is declared, and no time was recorded",)
    unknown = int((found.behind_ns < 0).sum())
    return (f"{unknown} stale reads have no {found.clock}, or what replaced them has none",) if unknown else ()


def _facts(found: Staleness) -> dict[str, Any]:
    versions, stale = found.versions, found.stale
    counts = np.bincount(np.minimum(versions, DISTINCT)).tolist() if len(versions) else []
    by_k = {str(k) if k < DISTINCT else f"{k} or more": count for k, count in enumerate(counts) if count}
    facts: dict[str, Any] = {
        "reads": len(versions),
        "stale_reads": len(stale),
        "versions_behind": by_k,
        "most_versions_behind": int(versions.max(initial=0)),
        "k": dict(zip(("at_least", "at_most"), found.k, strict=True)),
    }
    if len(versions):
        facts["versions_quantiles"] = _quantiles(versions)
    times = found.behind_ns
    if found.clock is not None and len(versions) and not (times < 0).any():
        everybody = np.zeros(len(versions), np.int64)
        everybody[stale] = times
        facts |= {"time_behind_ns_quantiles": _quantiles(everybody), "clock": found.clock}
    if (times >= 0).any():
        facts["most_time_behind_ns"] = int(times.max())
    if len(found.early):
        facts["reads_before_their_write"] = len(found.early)
    return facts


def _quantiles(values: Int64) -> dict[str, int]:
    """Values that so large a share of all does not exceed."""
    ordered = np.sort(values)
    return {f"{q:g}": int(ordered[min(len(ordered) - 1, int(np.ceil(q * len(ordered))) - 1)]) for q in QUANTILES}


def _remark(found: Staleness) -> str:
    """``2 stale reads, worst 340 ms behind``."""
    count = len(found.stale)
    if not count:
        return "no stale reads" if len(found.reads) else ""
    words = f"{count:,} stale read{'s' if count > 1 else ''}, worst "
    most = int(found.versions.max())
    versions = f"{most:,} version{'s' if most > 1 else ''} behind"
    worst = int(found.behind_ns.max())
    return words + (f"{duration(worst)} behind, {versions}" if worst >= 0 else versions)


def _early(found: Staleness, entry: int) -> Violation:
    """A read that ended before its write began: it is ahead, and no order explains it."""
    history = found.history
    source = int(history.sessions.source[entry])
    rows = [history.row(entry), history.row(source)]
    text = f"{history.name(entry)} ended before {history.name(source)} began, and nobody else wrote that value there."
    words = [(rows[0], history.verb(entry)), (rows[1], history.verb(source))]
    edge = history.execution.edge(rows[0], rows[1], "ended before it began")
    return Violation("read-before-write", text, history.execution.witness(sorted(words)), (edge,), _who(history, entry))


def _stale(found: Staleness, at: int, bounds: Any) -> Violation:
    """A read over a declared bound."""
    history, execution = found.history, found.history.execution
    place = int(found.stale[at])
    read, newer = int(found.reads[place]), int(found.replaced_by[place])
    source = int(history.sessions.source[read])
    versions, behind = int(found.versions[place]), int(found.behind_ns[at])
    declared = [f"{bounds[VERSIONS]:,} version{'s' if bounds[VERSIONS] != 1 else ''}"] if VERSIONS in bounds else []
    declared += [duration(bounds[TIME])] if TIME in bounds else []
    since = f", replaced at least {duration(behind)} before" if behind >= 0 else ""
    text = (
        f"{history.name(read)} was {versions:,} version{'s' if versions > 1 else ''} behind{since}: "
        f"{history.name(newer)} was done before it began; declared: at most {' and '.join(declared)}."
    )
    proof = int(found.done_by[newer])
    events = {history.row(read): history.verb(read), history.row(newer): history.verb(newer)}
    edges = [(history.row(newer), history.row(read), "certainly before, and not what was read")]
    done, begun = int(found.ended(np.array([proof]))[0]), int(found.begun(np.array([read]))[0])
    for row, what in ((done, "is done" if proof == newer else f"has read {history.value(proof)}"), (begun, "begins")):
        events.setdefault(row, f"{'write' if proof == newer and row == done else 'read'} {what}")
    edges.append((done, begun, "ended before it began"))
    if source >= 0:
        first = int(found.done_by[source])
        shown = int(found.ended(np.array([first]))[0])
        events.setdefault(shown, "write is done" if first == source else history.verb(first))
        events.setdefault(history.row(source), history.verb(source))
        edges.append((shown, history.row(newer), "ended before it began"))
        edges.append((history.row(source), history.row(read), "read-from"))
    facts = _who(history, read) | {"versions_behind": versions, "time_behind_ns": behind if behind >= 0 else None}
    kept = [execution.edge(start, end, reason) for start, end, reason in edges if start >= 0 and end >= 0]
    witness = execution.witness(sorted((row, words) for row, words in events.items() if row >= 0))
    return Violation("read-too-stale", text, witness, tuple(kept), facts)


def _who(history: SessionHistory, entry: int) -> dict[str, Any]:
    return {"key": history.sessions.names[int(history.sessions.key[entry])], "client": history.client(entry)}
