"""tracekit analyze"""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tracekit.cli.text import Seconds, progress, status, style, writable
from tracekit.errors import TracekitError

if TYPE_CHECKING:
    from tracekit.execution import Execution, Options
    from tracekit.results import Result


@click.command(
    epilog="""\b
Examples:
  tracekit analyze run.parquet
  tracekit analyze run.parquet --report report.html
  tracekit analyze history.log --model cas-register
  tracekit analyze run.parquet --check 'raft.*' --format json
  tracekit analyze history.edn --expect causal
  tracekit analyze run.parquet --never 'count(raft.role == "leader" and up) >= 2'

\b
Exit codes: 0 all required checks hold, 1 one is violated, 2 unreadable,
3 none violated and one undecided (or nothing examined), 101 internal error."""
)
@click.argument("traces", nargs=-1, required=True, metavar="TRACE...")
@click.option(
    "--check", "patterns", multiple=True, metavar="GLOB", help="Require these checks; the others are only shown."
)
@click.option("--never", multiple=True, metavar="EXPR", help="Require that no possible global state fulfils this.")
@click.option("--inevitable", multiple=True, metavar="EXPR", help="Require that every way through the run does.")
@click.option("--from", "format_name", metavar="FORMAT|MAPPING.toml", help="The files' format; else recognised.")
@click.option(
    "--model", metavar="NAME", help="Sequential specification of the recorded operations: kv, cas-register:nil=any."
)
@click.option(
    "--expect", metavar="MODEL", help="Require this consistency model and what it implies: sequential, causal, ..."
)
@click.option(
    "--causality",
    type=click.Choice(["sessions", "messages", "both"]),
    default="sessions",
    show_default=True,
    help="What orders operations for the causal checks.",
)
@click.option("--skew", type=Seconds(), default=0.0, help="How far recorders' clocks may differ: 5ms.")
@click.option("--budget", type=Seconds(), default=60.0, help="Time that each search may take; else 60s.")
@click.option(
    "--report", type=click.Path(dir_okay=False), metavar="FILE", help="Also write an interactive HTML report."
)
@click.option("--format", "output", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option("-v", "--verbose", is_flag=True, help="One line a check, every listed violation.")
def command(
    traces: tuple[str, ...],
    patterns: tuple[str, ...],
    never: tuple[str, ...],
    inevitable: tuple[str, ...],
    format_name: str | None,
    model: str | None,
    expect: str | None,
    causality: str,
    skew: float,
    budget: float,
    report: str | None,
    output: str,
    verbose: bool,
) -> int:
    """Check recorded executions and show the events that decide.

    TRACE is a native Parquet file or a log of a known format (tracekit list formats). Which checks are required: those
    that --check names; else those that the trace claims; else the defaults. The others are measured and shown.
    """  # fmt: skip
    from tracekit.execution import Options
    from tracekit.report.terminal import clean

    if report:
        writable(report, "--report")
    reads = (*traces, format_name or "", (model or "").rpartition(":")[0])
    if report and any(Path(source).resolve() == Path(report).resolve() for source in reads):
        raise TracekitError(
            "TK305",
            "the report would overwrite what is read",
            at="--report",
            found=report,
            help="write to another file",
        )
    options = Options(
        model=model, skew_ns=round(skew * 1e9), budget_s=budget, never=never, inevitable=inevitable, causality=causality
    )
    judged: list[tuple[Result, Execution]] = []
    errors: list[dict[str, str]] = []
    _must_be_right(patterns, expect, options)
    for path in traces:
        try:
            judged += _judge(path, format_name, patterns, expect, options)
        except TracekitError as error:
            if error.code.startswith("TK3"):  # a wrong argument, which is wrong for every file
                raise
            errors.append({"path": path, "code": error.code, "error": str(error)})
            click.echo(clean(str(error), lines=True), err=True)
    if report and judged:
        with status("writing the report"):
            from tracekit.report.html import write_report

            write_report(judged, report)
    if output == "json":
        click.echo(json.dumps(_as_json([result for result, _ in judged], errors), ensure_ascii=False, indent=1))
    else:
        _print([result for result, _ in judged], verbose, report)
    codes = {result.exit_code for result, _ in judged} | ({2} if errors else set())
    return next(code for code in (101, 2, 1, 3, 0) if code in codes)


def _must_be_right(patterns: tuple[str, ...], expect: str | None, options: Options) -> None:
    """Tells a mistake in the arguments before anything is read."""
    from tracekit.checks.consistency.ladder import expected
    from tracekit.history.models.choice import parse_model
    from tracekit.order.expressions import parse
    from tracekit.registry import select_checks

    for pattern in patterns:
        select_checks(pattern)
    if expect:
        expected(expect)
    if options.model:
        parse_model(options.model)
    for expression in (*options.never, *options.inevitable):
        parse(expression)


def _judge(
    path: str, format_name: str | None, patterns: tuple[str, ...], expect: str | None, options: Options
) -> list[tuple[Result, Execution]]:
    from tracekit.analysis import analyze
    from tracekit.execution import Execution
    from tracekit.kernels.engine import has_compiled
    from tracekit.reading import read_traces

    with progress(f"reading {Path(path).name}") as advance:
        found = read_traces(path, format_name, advance)
    once = "" if has_compiled() else "   (the first run also compiles: once, some ten seconds)"
    judged = []
    for trace in found:
        execution = Execution(trace, options)
        with status(f"checking {Path(path).name}") as say:
            result = analyze(
                execution,
                check=patterns,
                expect=expect,
                command=shlex.join(["tracekit", *sys.argv[1:]]),
                progress=lambda name, done, total: say(f"{name}   ({done + 1} of {total}){once}"),
            )
        judged.append((result, execution))
    return judged


def _as_json(results: list[Result], errors: list[dict[str, str]]) -> dict[str, Any]:
    if len(results) == 1 and not errors:
        return results[0].to_json()
    codes = {result.exit_code for result in results} | ({2} if errors else set())
    worst = next(code for code in (2, 1, 3, 0) if code in codes)
    verdict = {0: "holds", 1: "violated", 2: "unreadable", 3: "unknown"}[worst]
    runs = [result.to_json() for result in results]
    return {"schema": "tracekit.results/1", "verdict": verdict, "runs": runs, "errors": errors}


def _print(results: list[Result], verbose: bool, report: str | None) -> None:
    from tracekit.report.terminal import render

    for result in results:
        click.echo(render(result, style, verbose))
        click.echo("\n" + _closing(result, verbose, report) + ("\n" if len(results) > 1 else ""))


def _closing(result: Result, verbose: bool, report: str | None) -> str:
    """Seconds, exit code, and what to do next."""
    from tracekit.report.terminal import clean

    parts = [f"{result.seconds:.1f} s, exit {result.exit_code}"]
    wrong = next((c for c in result.required if c.verdict in ("violated", "unknown")), None)
    if wrong is not None:
        parts.append(f"explain: tracekit explain {clean(shlex.quote(wrong.check))}")
    parts.append(f"page: {report}" if report else "page: --report run.html")
    if not verbose:
        parts.append("all: -v")
    return "    ".join(parts)
