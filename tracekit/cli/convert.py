"""tracekit convert"""

from __future__ import annotations

import click

from tracekit.cli.text import progress
from tracekit.errors import TracekitError


@click.command(
    epilog="""\b
Examples:
  tracekit convert history.log -o run.parquet
  tracekit convert trace.ndjson --from etcd-raft-trace -o run.parquet"""
)
@click.argument("source", metavar="IN")
@click.option("-o", "--output", type=click.Path(dir_okay=False), required=True, help="The Parquet file to write.")
@click.option("--from", "format_name", metavar="FORMAT", help="The input's format; else recognised by content.")
def command(source: str, output: str, format_name: str | None) -> None:
    """Convert a log of a known format into a native trace."""
    from tracekit.reading import read_traces
    from tracekit.trace.parquet import write_parquet

    with progress(f"reading {source}") as advance:
        traces = read_traces(source, format_name, advance)
    if len(traces) != 1:
        raise TracekitError(
            "TK206",
            "the file holds several executions; a native file holds one",
            at=source,
            found=f"{len(traces)} executions",
        )
    trace = traces[0]
    write_parquet(trace, output)
    aside = f", {trace.set_aside.count:,} set aside" if trace.set_aside.count else ""
    click.echo(f"{output}   {len(trace):,} events of {len(trace.processes)} processes{aside}")
    click.echo(f"next: tracekit analyze {output}")
