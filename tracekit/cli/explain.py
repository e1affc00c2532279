"""tracekit explain"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

import click

from tracekit.cli.list_ import NATIVE
from tracekit.errors import TracekitError, nearest


@click.command(
    short_help="The page of a check, a format, a protocol or a model.",
    epilog="""\b
Examples:
  tracekit explain raft.commit-current-term
  tracekit explain raft""",
)
@click.argument("name")
def command(name: str) -> None:
    """The page of a check, a format, a protocol or a model: meaning, an example that breaks it, cost, paper."""
    from tracekit.history.models import MODELS
    from tracekit.protocols import protocols
    from tracekit.registry import checks, formats

    if name in checks():
        click.echo(_check_page(name))
    elif name in protocols():
        click.echo(_protocol_page(name))
    elif name in formats():
        entry = formats()[name]
        click.echo(
            f"{entry.name}: {entry.summary}\n"
            + _section("Example", entry.example)
            + f"\nnext: tracekit analyze FILE --from {name}"
        )
    elif name in MODELS:
        click.echo(_model_page(name))
    elif name == NATIVE["name"]:
        click.echo(f"{name}: {NATIVE['summary']}\n\nnext: tracekit analyze FILE")
    else:
        raise _unknown(name, [*checks(), *protocols(), *formats(), *MODELS, NATIVE["name"]])


def _unknown(name: str, known: Iterable[str]) -> TracekitError:
    near = nearest(name, known, 5)
    return TracekitError(
        "TK303",
        f"nothing is named {name}",
        want=", ".join(near) or None,
        help="tracekit list checks, formats, protocols or models shows all names",
    )


def _check_page(name: str) -> str:
    from tracekit.registry import checks

    entry = checks()[name]
    parts = [f"{name}: {entry.summary}\n"]
    parts += [_section(heading, text) for heading, text in entry.page.items()]
    return "".join(parts) + f"\nnext: tracekit analyze TRACE --check {name}"


def _section(heading: str, text: str) -> str:
    return f"\n{heading}\n{textwrap.indent(text.rstrip(), '    ')}\n" if text else ""


def _model_page(name: str) -> str:
    from tracekit.history.models import MODELS

    entry = MODELS[name]
    options = (f":{option}={' or '.join(values)}" for option, values in entry.options.items())
    return (
        f"{name}: {entry.summary}\n"
        + _section("Operations", ", ".join(sorted(entry.functions or ())))
        + _section("Values", entry.values)
        + _section("Options", "\n".join(options))
        + f"\nnext: tracekit analyze FILE --model {name}"
    )


def _protocol_page(name: str) -> str:
    from tracekit.protocols import protocols

    entry = protocols()[name]
    mutants = "\n".join(f"{m.name}\n    breaks {m.breaks}\n    caught by {m.caught_by}" for m in entry.mutants)
    faults = "\n".join(f"{fault}: {meaning}" for fault, meaning in entry.faults.items())
    return (
        f"{name}: {entry.summary}\n"
        + _section("Claims", "\n".join(entry.claims))
        + _section("Tolerates", faults)
        + _section("Mutants", mutants)
        + _section("Reference", entry.reference)
        + f"\nnext: tracekit simulate {name} -o run.parquet"
    )
