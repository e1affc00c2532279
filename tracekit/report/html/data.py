"""What a page shows of one analysis, as plain dicts and lists: JSON values, bounded whatever the trace's size."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tracekit.execution import Execution
from tracekit.registry import Check, checks
from tracekit.report.html.charts import events_over_time, faults, raft_terms
from tracekit.report.html.events import WHOLE, EventTable, Surroundings, Times, beginning, plain, shorten
from tracekit.results import CheckResult, Result, Verdict, Violation
from tracekit.trace.schema import Kind

PAST, CONCURRENT, FUTURE = 160, 80, 60
"""How many events around the last event of a witness a page carries."""

BEGINNING = 400
LONGEST_CERTIFICATE = 20_000


def report_data(result: Result, execution: Execution, share: float = 1.0) -> dict[str, Any]:
    """Everything that the page of one analysis shows.

    Parameters
    ----------
    result: what the analysis found.
    execution: the run that it is about.
    share: the part of the page's bounds that this run may take, where a page shows several.

    O(n) by columns, and a bounded number of events (`EventTable`), each once: witnesses first, then the whole trace or
    its beginning, then surroundings of violations, in the order of the result.
    """
    trace = execution.trace
    times = Times(execution)
    table = EventTable(execution, share)
    pages = checks()
    shown = [_check(c, table, pages.get(c.check)) for c in result.checks]
    run = _run_view(execution, table, times)
    _add_surroundings(shown, execution, table, whole=run["whole"])
    return {
        "verdict": str(result.verdict),
        "headline": headline(result),
        "counts": counts(result),
        "trace": {**_plain_dict(result.trace.to_json()), "title": shorten(result.trace.title)},
        "complete": trace.complete,
        "inferred": list(trace.inferred),
        "command": result.command,
        "again": result.again,
        "tool": result.tool,
        "seconds": round(result.seconds, 6),
        "rests_on": list(result.rests_on),
        "not_checked": list(result.not_checked),
        "broken_assumptions": list(result.broken_assumptions),
        "checks": shown,
        "lanes": [
            {"name": trace.processes[p], "events": len(execution.program_order.of_process(p))} for p in table.lanes()
        ],
        "time": times.to_json(),
        "order": execution.happens_before.words,
        "run": run,
        "events": table.records(times),
        "charts": {
            "events": events_over_time(execution, times),
            "faults": faults(execution, times),
            "terms": raft_terms(execution, times),
        },
    }


def headline(result: Result) -> str:
    """The verdict's reason in one line."""
    required = [c for c in result.required if c.verdict is not Verdict.NOT_APPLICABLE]
    violated = [c for c in required if c.verdict is Verdict.VIOLATED]
    unknown = [c for c in required if c.verdict is Verdict.UNKNOWN]
    if violated:
        first = violated[0]
        what = first.violations[0].anomaly.replace("-", " ") if first.violations else "violated"
        more = f", and {len(violated) - 1} more" if len(violated) > 1 else ""
        return f"{first.check}: {shorten(what, 120)}{more}"
    if unknown:
        more = f", and {len(unknown) - 1} more" if len(unknown) > 1 else ""
        return f"{unknown[0].check} is undecided{more}"
    if not required:
        return "no required check examined anything, so nothing was decided"
    if len(required) == 1:
        return "the one required check holds: this recording contains no violation of it"
    return f"all {len(required)} required checks hold: this recording contains no violation of them"


def counts(result: Result) -> dict[str, int]:
    """How many required checks have which verdict."""
    verdicts = [c.verdict for c in result.required]
    return {str(v): verdicts.count(v) for v in Verdict}


def _check(found: CheckResult, table: EventTable, check: Check | None) -> dict[str, Any]:
    certificate = found.certificate
    if certificate is not None:
        text = json.dumps(certificate, default=str, ensure_ascii=False, indent=1)
        cut = len(text) > LONGEST_CERTIFICATE
        certificate = {"text": text[:LONGEST_CERTIFICATE], "characters": len(text), "cut": cut}
    return {
        **_plain_dict({k: v for k, v in found.to_json().items() if k not in ("violations", "certificate")}),
        "certificate": certificate,
        "family": found.check.partition(".")[0],
        "summary": check.summary if check else "",
        "reference": check.reference if check else "",
        "page": dict(check.page) if check else {},
        "violations": [_violation(v, table) for v in found.violations],
    }


def _plain_dict(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: plain(value) for key, value in values.items()}


def _violation(violation: Violation, table: EventTable) -> dict[str, Any]:
    witness, partners = [], list[int]()
    for event in violation.events:
        row = table.find(event.event)
        number = table.add([row], always=True) if row is not None else []
        partner = table.partner(row) if row is not None else None
        partners += table.add([partner] if partner is not None else [], always=True)
        witness.append(
            {
                "event": event.event,
                "text": shorten(event.text),
                "source": event.source,
                "number": number[0] if number else None,
                "row": row,
            }
        )
    return {
        "anomaly": violation.anomaly,
        "summary": shorten(violation.summary),
        "damage": shorten(violation.damage),
        "facts": _plain_dict(violation.facts),
        "witness": witness,
        "partners": partners,
        "edges": [{"from": e.start, "to": e.end, "reason": shorten(e.reason)} for e in violation.edges],
    }


def _run_view(execution: Execution, table: EventTable, times: Times) -> dict[str, Any]:
    """The run itself: whole where it is small, else its beginning, and which part that is."""
    n = len(execution.trace)
    whole = n <= min(WHOLE, table.room)
    rows = beginning(execution, times, n if whole else min(BEGINNING, max(50, table.room // 2)))
    numbers = table.add(rows.tolist(), always=True)
    return {"events": numbers, "of": n, "whole": len(numbers) == n, "by": times.label}


def _add_surroundings(shown: list[dict[str, Any]], execution: Execution, table: EventTable, whole: bool) -> None:
    """The neighbourhood of each violation's last event, while the page has room for it."""
    near = Surroundings(execution) if any(c["violations"] for c in shown) else None
    for violation in (v for c in shown for v in c["violations"]):
        rows = [e.pop("row") for e in violation["witness"]]
        known = [row for row in rows if row is not None]
        around = near is not None and known and execution.trace.kind[known[-1]] != Kind.FAULT
        if near is None or not around or (table.room <= 0 and not whole):
            violation["around"] = None
            continue
        centre = known[-1]
        violation["around"] = {
            "centre": table.numbers.get(centre),
            "past": table.add(near.past(centre, PAST)),
            "past_total": near.size_of_past(centre),
            "concurrent": table.add(near.concurrent(centre, CONCURRENT)),
            "future": table.add(near.future(centre, FUTURE)),
        }
