"""Physical clocks against the order of events, and against declared bounds."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracekit.checks.evidence import duration
from tracekit.execution import Execution, Options
from tracekit.order.clocks import Pair, Readings
from tracekit.registry import check
from tracekit.results import CheckResult, Violation
from tracekit.trace.schema import Kind
from tracekit.trace.trace import Trace

SHOWN = 20
UNDECLARED = np.iinfo(np.int64).max
Int64 = NDArray[np.int64]


def _applies(execution: Execution) -> bool:
    trace = execution.trace
    ordered = "vclock" in trace or bool(trace.is_kind(Kind.SEND, Kind.RECEIVE).any())
    return ordered and ("time_ns" in trace or _declared(execution))


def _declared(execution: Execution) -> bool:
    return bool((declared_skew(execution.trace) < UNDECLARED).any())


def declared_skew(trace: Trace) -> Int64:
    """Shape (processes, processes): by how many ns two clocks may differ; `UNDECLARED` where nobody said.

    ``bounds.skew_ns`` bounds every two; ``clocks`` gives a process a bound against all others (of two such bounds the
    larger counts), or a domain: processes of one domain read one clock. Of several statements the smallest counts.
    """
    processes = len(trace.processes)
    skew = np.full((processes, processes), trace.run.bounds.get("skew_ns", UNDECLARED), np.int64)
    own = np.full(processes, UNDECLARED, np.int64)
    domains: dict[str, list[int]] = {}
    for name, said in trace.run.clocks.items():
        code = trace.process_code(name)
        bound = said.get("skew_ns") if isinstance(said, dict) else None
        if code >= 0 and isinstance(bound, int):
            own[code] = bound
        if code >= 0 and isinstance(said, str):
            domains.setdefault(said, []).append(code)
    np.minimum(skew, np.maximum(own[:, None], own[None, :]), out=skew)
    for codes in domains.values():
        skew[np.ix_(codes, codes)] = 0
    np.fill_diagonal(skew, UNDECLARED)
    return skew


@check("clock.physical", applies=_applies, columns=("time_ns",), measured=True, declared=_declared)
def physical(execution: Execution, options: Options) -> CheckResult:
    """Physical clocks differ by no more than declared; and what messages tell of their offsets and rates.

    Meaning
        If a is before b, and two clocks differ by at most E, then the clock at b shows no less than the clock at a
        showed, less E. A receive stamped earlier than that proves that the two clocks differed by more. All that
        happened before a receive is compared with it, not only the send of its own message. Without a declared
        bound nothing can be violated; then the readings are measured: receives stamped before their sends, and for
        each pair of processes the smallest bounds on the offset and the rate of one clock against the other. A pair
        of clocks that no linear function explains was stepped or slewed, and the stretch where it shows is named.
        Without one the check is not applicable, and its measurements are still shown. Recorded times are never
        rewritten.

    Example
        clocks declared to differ by at most 5 ms
        n1:4  send     message 7   at 10:00:00.020
        n2:9  receive  message 7   at 10:00:00.013     <- 7 ms before its send

    Needs
        The column `time_ns` (or one of `bounds.skew_ns` and `clocks` in tracekit.run, for a verdict), and an order of
        events: `message` ids, or `vclock`.

    Cannot see
        Clocks that differ while no message shows it: a bound that is not refuted may still be broken, by up to the
        delay of the messages. Differences at events without a reading. It is supposed that no clock runs backwards
        between two events; readings that fall within one process are counted. Hybrid clocks are not looked at.

    Cost
        O(n + r p) for r receives and p processes, then O(m log m) for the m messages of each pair of processes.

    Reference
        Duda, Harrus, Haddad and Bernard, "Estimating Global Time in Distributed Systems", ICDCS 1987 (convex hulls).
        Variant: lines with positive rates; bounds are exact for the recorded readings, in whole messages and not in
        expectation.
    """
    trace, time = execution.trace, execution.trace.get("time_ns")
    assert time is not None, "the analysis asked for the column"
    readings = Readings.of(trace, execution.happens_before)
    skew = declared_skew(trace)
    facts, remark = _measured(execution, readings, _fell(execution)) if len(readings) else ({}, "")
    if not _declared(execution):
        return CheckResult(applicable=False, facts=facts, remark=remark, method="no bound on skew is declared")
    if not trace.is_kind(Kind.RECEIVE).any():
        return CheckResult(applicable=False, method="no message was received")
    if not len(readings):
        timed = int((time.present & (trace.kind != Kind.FAULT)).sum())
        return CheckResult(reasons=(f"of {timed:,} events with a time, no two are the ends of one message",))
    early, cause = _too_early(execution, skew)
    order = np.lexsort((early, execution.happens_before.lamport(early)))
    spoiled = trace.set_aside.spoiling(lambda name: name in ("time_ns", "message", "vclock"))
    violations = tuple(_violation(execution, int(early[i]), int(cause[i]), skew) for i in order[:SHOWN])
    return CheckResult(
        examined={"messages with both readings": len(readings)},
        violations=violations,
        violations_total=len(early),
        reasons=(f"{spoiled}: they may have had times",) if spoiled else (),
        method="declared bounds on skew, over happens-before",
        facts=facts,
        remark=remark,
    )


def _latest(execution: Execution) -> tuple[Int64, Int64]:
    """By place in program order: the largest reading of the process so far, and the row that has it; -1 for none."""
    trace, program, time = execution.trace, execution.program_order, execution.trace.get("time_ns")
    assert time is not None, "the analysis asked for the column"
    rows = program.rows
    readable = time.present[rows] & (trace.kind[rows] != Kind.FAULT)
    value = np.where(readable, time.values[rows], np.iinfo(np.int64).min)
    at = np.full(len(rows), -1, np.int64)
    for p in range(len(trace.processes)):
        mine = slice(int(program.starts[p]), int(program.starts[p + 1]))
        highest = np.maximum.accumulate(value[mine])
        grew = np.diff(highest, prepend=np.iinfo(np.int64).min) != 0
        at[mine] = np.maximum.accumulate(np.where(grew, np.arange(len(highest)) + mine.start, -1))
        value[mine] = highest
    return value, np.where(at >= 0, rows[at], -1)


def _too_early(execution: Execution, skew: Int64) -> tuple[Int64, Int64]:
    """Rows of receives whose reading no skew within the bounds explains, and for each the event that it contradicts
    most. O(receives x processes)."""
    order, program, trace = execution.happens_before, execution.program_order, execution.trace
    time = trace.get("time_ns")
    assert time is not None, "the analysis asked for the column"
    highest, holder = _latest(execution)
    receives = order.receives
    process, reading = trace.process[receives], time.values[receives]
    known = time.present[receives] & ~np.isin(receives, order.unordered)
    worst, cause = np.zeros(len(receives), np.int64), np.full(len(receives), -1, np.int64)
    for p in range(len(trace.processes)):
        count = order.vectors[:, p].astype(np.int64)
        seen = known & (count > 0) & (process != p) & (skew[p, process] < UNDECLARED)
        place = program.starts[p] + count[seen] - 1
        seen[seen] = holder[place] >= 0
        place = program.starts[p] + count[seen] - 1
        # Times and bounds are within 2^62: what lies so far apart the right way round is cut off, or it runs over.
        excess = np.maximum(highest[place] - reading[seen], -(2**62)) - skew[p, process[seen]]
        more = excess > worst[seen]
        where = np.flatnonzero(seen)[more]
        worst[where], cause[where] = excess[more], holder[place[more]]
    found = np.flatnonzero(cause >= 0)
    return receives[found], cause[found]


def _violation(execution: Execution, row: int, cause: int, skew: Int64) -> Violation:
    trace, time = execution.trace, execution.trace.get("time_ns")
    assert time is not None, "the analysis asked for the column"
    bound = int(skew[trace.process[cause], trace.process[row]])
    behind = int(time.values[cause]) - int(time.values[row])
    reason = execution.happens_before.reason(cause, row)
    names = trace.processes[trace.process[cause]], trace.processes[trace.process[row]]
    sentence = (
        f"{trace.event(row)} is stamped {duration(behind)} earlier than {trace.event(cause)}, which happened before it "
        f"({reason}): the clocks of {names[0]} and {names[1]} differed by at least that; {duration(bound)} is declared."
    )
    shown = [(r, f"{execution.text(r)}, time_ns {int(time.values[r])}") for r in (cause, row)]
    facts = {"difference_ns": behind, "declared_ns": bound}
    return Violation("skew-beyond-bound", sentence, execution.witness(shown), (execution.edge(cause, row),), facts)


def _fell(execution: Execution) -> int:
    """How many readings are smaller than the one before at the same process."""
    trace, time, rows = execution.trace, execution.trace.get("time_ns"), execution.program_order.rows
    assert time is not None, "the analysis asked for the column"
    rows = rows[time.present[rows] & (trace.kind[rows] != Kind.FAULT)]
    same = trace.process[rows[1:]] == trace.process[rows[:-1]]
    return int((same & (time.values[rows[1:]] < time.values[rows[:-1]])).sum())


def _measured(execution: Execution, readings: Readings, fell: int) -> tuple[dict[str, Any], str]:
    """Facts for the result, and one line."""
    pairs = list(readings.pairs())
    bent = [pair for pair in pairs if pair.line is None]
    back = readings.backwards
    most = int((readings.sent[back] - readings.received[back]).max()) if len(back) else 0
    facts: dict[str, Any] = {
        "receives stamped before their sends": len(back),
        "largest of these, ns": most,
        "readings that fall within a process": fell,
        "pairs of clocks": len(pairs),
        "pairs that no linear clocks explain": len(bent),
        "bounds": [_bounds(readings, pair) for pair in [*bent, *(p for p in pairs if p.line is not None)][:SHOWN]],
    }
    early = f"{len(back):,} of {len(readings):,} receives stamped before their sends"
    if len(back):
        early += f" (by up to {duration(most)})"
    linear = f"{len(pairs) - len(bent):,} of {len(pairs):,} pairs of clocks may be linear"
    return facts, f"physical: {early}, {linear}{_bent(readings, bent)}"


def _bent(readings: Readings, pairs: list[Pair]) -> str:
    """Where the first of the pairs that are not linear shows it; empty where there is none."""
    if not pairs:
        return ""
    told, start = _bounds(readings, pairs[0]), int(min(readings.sent.min(), readings.received.min()))
    (first, last), (low, high) = told["not linear between"], told["not linear from, to, ns"]
    more = f"; {len(pairs) - 1:,} more such pairs" if len(pairs) > 1 else ""
    return (
        f"; {told['first']} and {told['second']} are not (step, slew or mismatch), between {first} and {last}, "
        f"{duration(low - start)} to {duration(high - start)} after the first reading{more}"
    )


def _when(readings: Readings, pair: Pair) -> list[int]:
    """The readings of the pair's first process at the first and the last message of the stretch that fits no line."""
    assert pair.breaks is not None, "asked only where the pair is not linear"
    process = readings.trace.process
    here = [process[readings.targets[place]] == pair.first for place in pair.breaks]
    ends = zip(pair.breaks, here, strict=True)
    return [int(readings.received[place] if mine else readings.sent[place]) for place, mine in ends]


def _bounds(readings: Readings, pair: Pair) -> dict[str, Any]:
    """What messages tell of one pair of clocks; offsets are second minus first."""
    names = readings.trace.processes
    out: dict[str, Any] = {
        "first": names[pair.first],
        "second": names[pair.second],
        "messages": [len(pair.forward), len(pair.backward)],
        "offset_ns at equal rates": list(pair.offset_ns),
    }
    line = pair.line
    if line is not None:
        low, high = line.offset_ns
        out["rate"] = [float(line.rate[0]), None if line.rate[1] is None else float(line.rate[1])]
        out["offset_ns"] = [None if low is None else int(low // 1), None if high is None else -int(-high // 1)]
        out["at_ns"] = line.at_ns
    elif pair.breaks is not None:
        where = [int(readings.targets[place]) for place in pair.breaks]
        out["not linear between"] = [readings.trace.event(row) for row in where]
        out["not linear from, to, ns"] = _when(readings, pair)
    return out
