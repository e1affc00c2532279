"""tracekit simulate: a command for each protocol, with the options that the protocol takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from tracekit.cli.text import progress, status, writable
from tracekit.errors import TracekitError, nearest

if TYPE_CHECKING:
    from tracekit.protocols import Protocol, Simulation
    from tracekit.results import Result


class Protocols(click.Group):
    """Every installed protocol is a command."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        from tracekit.protocols import protocols

        return list(protocols())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        from tracekit.protocols import protocols

        chosen = protocols().get(cmd_name)
        return None if chosen is None else _command(chosen)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name, known = args[0], self.list_commands(ctx)
        if name not in known and not name.startswith("-"):
            near = nearest(name, known)
            raise TracekitError(
                "TK401",
                f"no protocol is named {name}",
                want=", ".join(near or known),
                help="tracekit list protocols shows all of them",
            )
        return super().resolve_command(ctx, args)


@click.group(
    cls=Protocols,
    subcommand_metavar="PROTOCOL [OPTIONS]",
    short_help="Run a reference protocol and record its trace.",
    epilog="""\b
Examples:
  tracekit simulate raft --nodes 5 --seed 7 -o run.parquet
  tracekit simulate raft --faults none --operations 100 -o calm.parquet
  tracekit simulate raft --mutant commit-older-term --runs 50 -o figure8.parquet

tracekit simulate PROTOCOL --help shows what each one takes: its faults, mutants and settings.""",
)
def command() -> None:
    """Run a reference protocol, simulated or as real processes, and record its trace."""


def _command(protocol: Protocol) -> click.Command:
    """The protocol's own command."""
    options: list[click.Parameter] = [
        click.Option(
            ["--nodes"],
            type=click.IntRange(1, 1000),
            default=protocol.default_nodes,
            show_default=True,
            help=f"Processes that run the protocol, {protocol.minimum_nodes} or more.",
        ),
        click.Option(
            ["--seed"], type=click.IntRange(0), default=0, show_default=True, help="The same seed makes the same trace."
        ),
        click.Option(
            ["--network"],
            type=click.Choice(["sync", "async", "partial-sync"]),
            default=protocol.networks[0],
            show_default=True,
            help="Delays have a bound; have none; or have one from an unknown time on."
            + ("" if len(protocol.networks) > 2 else f" The protocol rests on {' or '.join(protocol.networks)}."),
        ),
        click.Option(
            ["--faults"],
            metavar="NAMES|FILE",
            help="Comma-separated; or none; or a schedule, FILE.toml. Default: nemesis, which draws some of those "
            "tolerated from the seed.",
        ),
        click.Option(["--mutant"], metavar="NAME", help="Run with a named bug."),
        click.Option(
            ["--clients"], type=click.IntRange(0), default=4, show_default=True, help="Client processes."
        ),
        click.Option(
            ["--operations"],
            type=click.IntRange(0),
            default=1000,
            show_default=True,
            help="Operations of all clients together.",
        ),
        click.Option(
            ["--runs"],
            type=click.IntRange(1),
            help="Analyse so many runs, each with the next seed, and stop at the first that does not hold.",
        ),
        click.Option(
            ["-o", "--output"], type=click.Path(dir_okay=False), required=True, help="The Parquet file to write."
        ),
    ]  # fmt: skip
    if len(protocol.transports) > 1:
        help_text = (
            "In the simulator; or as one operating-system process a node over TCP on this machine, where a seed "
            "decides what clients and faults do, and time decides the rest."
        )
        choice = click.Choice(protocol.transports)
        options.insert(3, click.Option(["--transport"], type=choice, default="sim", show_default=True, help=help_text))
    for name, setting in protocol.settings.items():
        flag = click.Option(
            [f"--{name}", f"setting_{name}"], type=click.Choice(setting.values), help=f"{setting.meaning} Default: "
            f"{setting.default}, or what a mutant needs."
        )  # fmt: skip
        options.insert(-2, flag)
    return click.Command(
        protocol.name,
        params=options,
        callback=lambda **values: _run(protocol, **values),
        help=f"{protocol.summary}.",
        epilog=_page(protocol),
        short_help=protocol.summary,
    )


def _page(protocol: Protocol) -> str:
    """What the protocol takes and promises, below its options."""
    blocks = []
    for title, entries in (
        ("Faults that it tolerates", protocol.faults),
        ("Faults that break what it assumes", protocol.other_faults),
        ("Mutants", {m.name: m.breaks for m in protocol.mutants}),
    ):
        width = max(map(len, entries), default=0) + 2
        lines = [f"  {name:<{width}}{text}" for name, text in entries.items()]
        blocks.append("\n".join(["\b", f"{title}:", *(lines or ["  (none)"])]))
    if protocol.schedule:
        blocks.append(_schedules(protocol))
    if "tcp" in protocol.transports:
        blocks.append(
            "Over TCP a run takes real time: some seconds, and one or two more for every 100 operations. The faults "
            f"{' and '.join(protocol.simulated_faults)} cannot be had there."
        )
    blocks.append("\b\nClaims:\n  " + "\n  ".join(protocol.claims))
    example = f"tracekit simulate {protocol.name} --seed 7 -o run.parquet"
    blocks.append(f"\b\nExample:\n  {example}\n\nReference: {protocol.reference}")
    return "\n\n".join(blocks)


def _schedules(protocol: Protocol) -> str:
    """How a schedule of faults is written."""
    takes: dict[str, list[str]] = {}
    for name, needs in protocol.schedule_keys.items():
        takes.setdefault(" and ".join(needs), []).append(name)
    width = max(map(len, takes), default=0) + 2
    lines = [f"    {line}" for line in protocol.schedule.splitlines() if line]
    keys = [f"  {key:<{width}}{', '.join(names)}" for key, names in takes.items()]
    return "\n".join([
        "\b", "A schedule, FILE.toml, has one table for each fault. for may be left out: until the clients are done.",
        *lines, "\n\b", "What faults take beside at and for:", *keys,
    ])  # fmt: skip


def _run(protocol: Protocol, faults: str | None, runs: int | None, output: str, **values: Any) -> int:
    from tracekit.protocols import Simulation

    writable(output, "--output")
    if not output.endswith(".parquet"):
        raise TracekitError(
            "TK411",
            "simulate writes Parquet",
            at="--output",
            found=output,
            want="a name that ends in .parquet",
            help=f"tracekit convert run.parquet -o {output} writes other formats",
        )
    wanted = None if faults is None else tuple(f.strip() for f in faults.split(",") if f.strip() not in ("", "none"))
    settings = {name.removeprefix("setting_"): values.pop(name) for name in list(values) if name.startswith("setting_")}
    chosen = {name: value for name, value in settings.items() if value is not None}
    simulation = Simulation(faults=wanted, settings=chosen, **values)
    return _once(protocol, simulation, output) if runs is None else _many(protocol, simulation, runs, output)


def _once(protocol: Protocol, simulation: Simulation, output: str) -> int:
    from tracekit.trace.parquet import write_parquet

    with progress(f"simulating {protocol.name}") as advance:
        trace = protocol.simulate(simulation, advance)
    write_parquet(trace, output)
    click.echo(f"{output}   {len(trace):,} events of {len(trace.processes)} processes")
    click.echo(f"next: tracekit analyze {output}")
    return 0


def _many(protocol: Protocol, simulation: Simulation, runs: int, output: str) -> int:
    """Runs with one seed after the other, until one does not hold; writes that one, else the last."""
    from dataclasses import replace

    from tracekit.analysis import analyze
    from tracekit.trace.parquet import write_parquet

    events, done, result = 0, 0, None
    with status(f"{protocol.name}: {runs} runs") as say:
        for seed in range(simulation.seed, simulation.seed + runs):
            trace = protocol.simulate(replace(simulation, seed=seed), None)
            result = analyze(trace)
            done, events = done + 1, events + len(trace)
            if result.exit_code:
                break
            say(f"{protocol.name}: {done} of {runs} runs hold, {events:,} events")
    assert result is not None, "there is one run or more"
    write_parquet(trace, output)
    click.echo(f"{protocol.name}: {done} of {runs} runs, {events:,} events; {_outcome(result)}")
    if not result.exit_code and simulation.mutant:
        click.echo(f"{simulation.mutant} had no visible effect: try more --runs or --operations, or other --faults")
    if result.exit_code:
        click.echo(f"again: {(result.again or '').replace('run.parquet', output)}")
    click.echo(f"next: tracekit analyze {output}")
    return result.exit_code


def _outcome(result: Result) -> str:
    if not result.exit_code:
        return "every one holds"
    broken = [c.check for c in result.required if str(c.verdict) == str(result.verdict)]
    return f"the last one is {result.verdict}: {', '.join(broken) or 'nothing was examined'}"
