"""tracekit simulate"""

from __future__ import annotations

import click

from tracekit.cli.text import progress
from tracekit.errors import TracekitError, nearest


@click.command(
    epilog="""\b
Examples:
  tracekit simulate raft --nodes 5 --seed 7 -o run.parquet
  tracekit simulate raft --faults none --operations 100 -o calm.parquet
  tracekit simulate raft --mutant commit-older-term --seed 3 -o figure8.parquet

tracekit list protocols shows the protocols and their mutants; tracekit explain PROTOCOL what each tolerates."""
)
@click.argument("protocol")
@click.option(
    "--nodes", type=click.IntRange(1, 1000), help="Processes that run the protocol; each protocol has a default."
)
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="The same seed makes the same trace."
)
@click.option("--network", type=click.Choice(["sync", "async", "partial-sync"]), default="async", show_default=True)
@click.option(
    "--faults", metavar="NAMES", help="Comma-separated, or none; default: drawn from the seed among those tolerated."
)
@click.option("--mutant", metavar="NAME", help="Run with a named bug.")
@click.option("--clients", type=click.IntRange(0), default=4, show_default=True, help="Client processes.")
@click.option(
    "--operations", type=click.IntRange(0), default=1000, show_default=True, help="Operations of all clients together."
)
@click.option("-o", "--output", type=click.Path(dir_okay=False), required=True, help="The Parquet file to write.")
def command(
    protocol: str,
    nodes: int | None,
    seed: int,
    network: str,
    faults: str | None,
    mutant: str | None,
    clients: int,
    operations: int,
    output: str,
) -> None:
    """Run a reference protocol in the simulator and record its trace."""  # fmt: skip
    from tracekit.protocols import Simulation, protocols
    from tracekit.trace.parquet import write_parquet

    known = protocols()
    if protocol not in known:
        near = nearest(protocol, known)
        raise TracekitError(
            "TK401",
            f"no protocol is named {protocol}",
            want=", ".join(near or known),
            help="tracekit list protocols shows all of them",
        )
    chosen = known[protocol]
    wanted = None if faults is None else tuple(f.strip() for f in faults.split(",") if f.strip() not in ("", "none"))
    simulation = Simulation(
        nodes=nodes or chosen.default_nodes,
        seed=seed,
        network=network,
        faults=wanted,
        mutant=mutant,
        clients=clients,
        operations=operations,
    )
    with progress(f"simulating {protocol}") as advance:
        trace = chosen.simulate(simulation, advance)
    write_parquet(trace, output)
    click.echo(f"{output}   {len(trace):,} events of {len(trace.processes)} processes")
    click.echo(f"next: tracekit analyze {output}")
