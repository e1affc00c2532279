"""tracekit show"""

from __future__ import annotations

import os
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tracekit.cli.text import Seconds, read_one, status, style
from tracekit.errors import TracekitError, nearest

if TYPE_CHECKING:
    from tracekit.execution import Execution
    from tracekit.order.predicates import Detection

PROCESSES = 40
"""Processes whose state is written out."""


@click.command(
    short_help="Look at a run: its whole, one event, a possible state.",
    epilog="""\b
Examples:
  tracekit show run.parquet
  tracekit show run.parquet --around n1:203
  tracekit show run.parquet --around n1.log:912
  tracekit show run.parquet --possibly 'count(raft.role == "leader" and up) >= 2'
  tracekit show run.parquet --browser

\b
Exit codes: 0 shown, 2 unreadable, 3 --possibly could not be decided.""",
)
@click.argument("trace", metavar="TRACE")
@click.option("--around", metavar="EVENT", help="The event's nearest causes and effects: n1:203, or its file:line.")
@click.option("--possibly", "expression", metavar="EXPR", help="A global state that fulfils the expression.")
@click.option("--browser", is_flag=True, help="Open the interactive report in a browser.")
@click.option("--from", "format_name", metavar="FORMAT|MAPPING.toml", help="The file's format; else recognised.")
@click.option("--skew", type=Seconds(), default=0.0, help="For --possibly: clocks differ by at most so much: 5ms.")
@click.option("--budget", type=Seconds(), default=60.0, help="Time that --possibly may take; else 60s.")
def command(
    trace: str,
    around: str | None,
    expression: str | None,
    browser: bool,
    format_name: str | None,
    skew: float,
    budget: float,
) -> int:
    """Look at a recorded execution: all of it, one event and what surrounds it, or a state that it may have been in."""
    from tracekit.execution import Execution, Options
    from tracekit.order.predicates import possibly

    if around is not None and expression is not None:
        raise click.UsageError("--around and --possibly are two questions: ask one at a time")
    execution = Execution(read_one(trace, format_name), Options(skew_ns=round(skew * 1e9)))
    if browser:
        _open(execution, around)
        return 0
    if expression is not None:
        with status("looking for a state") as _:
            found = possibly(execution, expression, skew_ns=round(skew * 1e9) or None, budget_s=budget)
        click.echo(_state(execution, expression, found))
        return 3 if found.answer is None else 0
    click.echo(_whole(execution, trace) if around is None else _around(execution, around))
    return 0


def _whole(execution: Execution, path: str) -> str:
    from tracekit.analysis import title
    from tracekit.report.overview import overview
    from tracekit.report.terminal import clean

    trace = execution.trace
    head = f"{Path(path).name}   {title(trace)}   {len(trace):,} events, {trace.set_aside.count:,} set aside"
    some = trace.event(len(trace) // 2) if len(trace) else "EVENT"
    return "\n".join(
        [
            clean(head),
            "",
            overview(execution),
            "",
            clean(f"next: tracekit show {path} --around {some}    page: --browser"),
        ]
    )


def _around(execution: Execution, event: str) -> str:
    from tracekit.report.lanes import lanes, neighbourhood
    from tracekit.report.terminal import clean

    trace, order = execution.trace, execution.happens_before
    row = _row(execution, event)
    before, after = len(order.past(row)), len(order.future(row))
    beside = int(order.concurrent(row, range(len(trace))).sum())
    fields = ", ".join(f"{name} {value}" for name, value in trace.fields(row).items())
    place = trace.source(row)
    head = [
        clean(f"{trace.event(row)}   {execution.text(row)}" + (f"   ({place})" if place else "")),
        clean(f"  {fields}"),
        f"  {before:,} events happened before it, {after:,} after it, {beside:,} are concurrent with it",
    ]
    drawn = lanes(execution, neighbourhood(execution, row), row, style)
    rests = clean(execution.happens_before.words)
    return "\n".join(
        [*head, "", drawn, "", "▶ sends   ◀ receives   ● other   × crashes   ↻ restarts   ◆ asked for", rests]
    )


def _state(execution: Execution, expression: str, found: Detection) -> str:
    from tracekit.order.cuts import unjoined
    from tracekit.order.expressions import fields_of, parse
    from tracekit.report.terminal import clean
    from tracekit.trace.schema import NEMESIS

    lines = [clean(expression), ""]
    if found.answer is None:
        lines += [f"UNKNOWN       {found.reason}"]
    elif not found.answer:
        lines += ["NEVER         no consistent cut of this run fulfils it"]
        lines += [f"              {found.reason}"] if found.reason else []
    else:
        lines += ["POSSIBLE      the run may have been in this state"]
        doubt = unjoined(execution.happens_before, found.cut)
        lines += [clean(f"              but {doubt}")] if doubt else []
    cut = found.cut or found.asynchronous
    if cut is not None:
        states = {name: s for name, s in replace(found, cut=cut).states().items() if name != NEMESIS}
        wanted = fields_of(parse(expression))
        width = max(7, *(len(clean(name)) for name in states)) + 2
        lines += ["", f"  {'process':<{width}}{'after':<14}state"]
        for name, state in list(states.items())[:PROCESSES]:
            told = [f"{key} {state[key]}" for key in wanted if key in state]
            told += [f"{key} {value}" for key, value in state.items() if key not in (*wanted, "event", "in_flight")]
            text = clean(", ".join(told))
            text = text if len(text) < 110 else text[:106] + " ..."
            lines.append(f"  {clean(name):<{width}}{clean(str(state['event'] or 'its beginning')):<14}{text}".rstrip())
        if len(states) > PROCESSES:
            lines.append(f"  and {len(states) - PROCESSES:,} more processes")
        channels = [f"{a} to {b}: {n:,}" for (a, b), n in cut.channels().items()]
        total = sum(cut.channels().values())
        shown = ", ".join(channels[:8]) + (", ..." if len(channels) > 8 else "")
        lines += ["", clean(f"  {total:,} messages in flight" + (f" ({shown})" if shown else ""))]
    lines += ["", clean(f"by {found.method}; {execution.happens_before.words}")]
    return "\n".join(lines)


def _row(execution: Execution, event: str) -> int:
    trace = execution.trace
    row = trace.find(event)
    if row is not None:
        return row
    name, _, _ = event.rpartition(":")
    near = nearest(name, trace.processes)
    code = trace.process_code(near[0]) if near else -1
    rows = (trace.process == code).nonzero()[0] if code >= 0 else []
    want = f"{trace.event(int(rows[0]))} to {trace.event(int(rows[-1]))}" if len(rows) else "process:seq"
    raise TracekitError(
        "TK310",
        f"the trace has no event {event}",
        at="--around",
        want=want,
        help="an event is named process:seq, or by the file:line that it came from",
    )


def _open(execution: Execution, around: str | None) -> None:
    """Analyses, writes the page into the folder for temporary files and opens it."""
    import webbrowser

    from tracekit.analysis import analyze
    from tracekit.report.html import write_report

    if around is not None:
        _row(execution, around)
    with status("checking and drawing") as say:
        result = analyze(execution, progress=lambda name, done, total: say(f"{name}   ({done + 1} of {total})"))
        handle, path = tempfile.mkstemp(prefix="tracekit-", suffix=".html")
        os.close(handle)
        write_report(result, execution, path)
    opened = webbrowser.open(Path(path).as_uri())
    click.echo(path if opened else f"{path}   (no browser could be started: open it yourself)")
    sys.stdout.flush()
