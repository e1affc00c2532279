"""From rules to a result, the same for every snapshot algorithm: doubts, what was examined, facts, certificate."""

from __future__ import annotations

from collections.abc import Sequence

from tracekit.checks.snapshot.findings import Rule, find
from tracekit.checks.snapshot.global_state import certificate, declared_total, shares
from tracekit.checks.snapshot.reading import Reading, Snapshot
from tracekit.results import CheckResult
from tracekit.trace.schema import Kind


def judge(reading: Reading, snapshots: Sequence[Snapshot], rules: Sequence[Rule], method: str) -> CheckResult:
    """Applies the rules, where the recording can be judged."""
    if reading.doubts:
        return CheckResult(reasons=reading.doubts)
    found = find(reading, snapshots, rules)
    whole = [s for s in snapshots if reading.complete(s)]
    gaps = _gaps(reading, snapshots, whole)
    examined = {
        "snapshots": len(whole),
        "recorded states": sum(len(rows) for s in snapshots for rows in s.records.values()),
        "channel states": sum(len(rows) for s in snapshots for rows in s.states.values()),
    }
    in_flight = [sum(len(reading.listed(rows[0]) or ()) for rows in s.states.values()) for s in whole]
    facts = {"unfinished": len(snapshots) - len(whole), "messages recorded in channels": sum(in_flight)}
    remark = f"complete snapshots: {len(whole):,}, messages in their channels: {sum(in_flight):,}"
    total = declared_total(reading)
    if total is not None:
        facts["conserved total"] = total
        remark += f", total {total:,}"
    return CheckResult(
        examined=examined,
        violations=found.violations,
        violations_total=found.total,
        reasons=tuple(gaps),
        method=method,
        facts=facts,
        remark=remark,
        certificate=None if found.total or gaps else certificate(reading, whole),
        rests_on=() if reading.declared else ("channels: those that carried a message (assumed)",),
        broken_assumptions=_crashes(reading),
    )


def _gaps(reading: Reading, snapshots: Sequence[Snapshot], whole: Sequence[Snapshot]) -> list[str]:
    """What was not recorded and would have to be judged."""
    gaps = []
    if not whole:
        gaps.append("no snapshot is complete: a process or a channel of each is not recorded")
    silent = sum(reading.listed(rows[0]) is None for s in snapshots for rows in s.states.values())
    if silent:
        gaps.append(f"snapshot.messages is not recorded at {silent:,} channel states: their contents are not judged")
    nameless = sum(any(reading.item(int(row)) is None for row in c.sends[:1]) for c in reading.channels.values())
    if nameless:
        gaps.append("messages have neither snapshot.item nor message: contents of channels are not judged")
    column = reading.execution.trace.get("snapshot.total")
    if column is not None and bool(column.present.any()):
        if declared_total(reading) is None:
            gaps.append("snapshot.total is not one integer: totals are not judged")
        elif any(shares(reading, s) is None for s in whole):
            gaps.append("snapshot.value is not recorded at every state: totals are not judged")
    return gaps


def _crashes(reading: Reading) -> tuple[str, ...]:
    trace = reading.execution.trace
    crashed = sorted({int(p) for p in trace.process[trace.is_kind(Kind.CRASH, Kind.RESTART)].tolist()})
    names = [trace.processes[p] for p in crashed if p in reading.outgoing]
    return (f"{', '.join(names)} crashed; the algorithm supposes processes that do not",) if names else ()
