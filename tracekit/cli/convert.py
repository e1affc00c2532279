"""tracekit convert"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tracekit.cli.text import read_one
from tracekit.errors import TracekitError, nearest

if TYPE_CHECKING:
    from tracekit.registry import Export


@click.command(
    short_help="Convert logs into another format; join those of processes.",
    epilog="""\b
Examples:
  tracekit convert n1.jsonl n2.jsonl n3.jsonl -o run.parquet
  tracekit convert trace.ndjson --from etcd-raft-trace -o run.parquet
  tracekit convert node.log --from node.toml -o run.parquet
  tracekit convert run.parquet -o run.csv
  tracekit convert run.parquet --to shiviz -o run.txt""",
)
@click.argument("sources", metavar="IN...", nargs=-1, required=True)
@click.option(
    "-o", "--output", metavar="OUT", type=click.Path(dir_okay=False), required=True, help="The file to write."
)
@click.option(
    "--from",
    "format_name",
    metavar="FORMAT|MAPPING.toml",
    help="The inputs' format, or a mapping file; else recognised by content.",
)
@click.option(
    "--to",
    "target",
    metavar="FORMAT",
    help="parquet, tracekit-jsonl, tracekit-csv or shiviz; else by OUT's ending: .parquet, .jsonl, .csv, .shiviz.",
)
def command(sources: tuple[str, ...], output: str, format_name: str | None, target: str | None) -> None:
    """Convert logs into another format. Several are the logs of one execution's processes, and are joined.

    Analysed alone, each log is a trace of its own; only convert joins them.
    """
    from tracekit.trace.join import join

    export = _export(output, target)
    if any(Path(source).resolve() == Path(output).resolve() for source in sources):
        raise TracekitError("TK305", "the output is one of the inputs", at=output, help="write to another file")
    trace = join([read_one(source, format_name) for source in sources])
    left_out = export.write(trace, Path(output))
    aside = f", {trace.set_aside.count:,} set aside" if trace.set_aside.count else ""
    click.echo(f"{output}   {len(trace):,} events of {len(trace.processes)} processes{aside}")
    for what in left_out:
        click.echo(f"left out: {what}")
    click.echo(f"next: tracekit analyze {output}")


def _export(output: str, target: str | None) -> Export:
    """What `--to` names; else what the ending of the output's name means."""
    from tracekit.registry import exports

    known = exports()
    if target is not None:
        if target not in known:
            near = nearest(target, known)
            raise TracekitError(
                "TK304", f"no format that can be written is named {target}", at="--to", want=", ".join(near or known)
            )
        return known[target]
    for export in known.values():
        if output.lower().endswith(export.endings):
            return export
    endings = "; ".join(f"{', '.join(e.endings)} for {e.name}" for e in known.values())
    raise TracekitError(
        "TK304", "the output's name does not tell its format", at=output, want=endings, help="or say it: --to parquet"
    )
