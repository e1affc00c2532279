"""The command line: commands found by looking into this package, each imported only when it is asked for."""

from __future__ import annotations

import importlib
import os
import pkgutil
import sys
from collections.abc import Sequence
from typing import Any

import click

import tracekit.cli
from tracekit.errors import TracekitError, nearest
from tracekit.version import TOOL

USAGE, INTERNAL, UNHEARD = 2, 101, 141
HELPERS = {"main", "text"}


class Commands(click.Group):
    """Every other module of the package is a command: the module's name, its function ``command``."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        found = [m.name.removesuffix("_") for m in pkgutil.iter_modules(tracekit.cli.__path__) if m.name not in HELPERS]
        return sorted(found, key=lambda name: (ORDER.index(name) if name in ORDER else len(ORDER), name))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        names = {m.name for m in pkgutil.iter_modules(tracekit.cli.__path__)}
        module = importlib.import_module(f"tracekit.cli.{cmd_name if cmd_name in names else cmd_name + '_'}")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if self.get_command(ctx, name) is None and not name.startswith("-"):
            near = nearest(name, self.list_commands(ctx))
            raise TracekitError(
                "TK300",
                f"there is no command {name}",
                want=", ".join(near or self.list_commands(ctx)),
                help="tracekit --help shows all of them",
            )
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the command. Where the reader of our output went away (`| head`), the exit code is the shell's for that:
        click's own, 1, would say that a check is violated, and 0 that all hold."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            # What is still buffered would be flushed at exit, and fail again.
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            return UNHEARD


ORDER = ["simulate", "record", "convert", "analyze", "verify", "show", "diff", "shrink", "sql", "list", "explain"]


@click.command(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="""\b
Examples:
  tracekit simulate raft --nodes 5 --seed 7 -o run.parquet
  tracekit analyze run.parquet --report report.html

\b
Exit codes of analyze: 0 required checks hold, 1 one is violated,
2 bad usage or unreadable input, 3 unknown (never a pass), 101 internal error.""",
)
@click.version_option(TOOL.partition(" ")[2], prog_name="tracekit")
def tracekit_command() -> None:
    """Was this run correct? Checks recorded executions of distributed systems, and shows the few events that decide."""


def main(arguments: Sequence[str] | None = None) -> None:
    """The entry point: runs a command, and turns every error into a message and an exit code."""
    try:
        code = tracekit_command.main(args=arguments, standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except TracekitError as error:
        _fail(str(error), USAGE)
    except click.ClickException as error:
        error.show()
        sys.exit(USAGE)
    except (click.exceptions.Abort, KeyboardInterrupt):
        _fail("interrupted: nothing was decided", 130)
    except Exception as error:
        _fail(_internal(error), INTERNAL)


def _fail(text: str, code: int) -> None:
    from tracekit.report.terminal import clean

    click.echo(clean(text, lines=True), err=True)
    sys.exit(code)


def _internal(error: Exception) -> str:
    """A bug of ours: where, in one line; the whole traceback goes to a file."""
    import tempfile
    import traceback

    with tempfile.NamedTemporaryFile("w", prefix="tracekit-", suffix=".txt", delete=False) as file:
        file.write(f"{TOOL}\n{' '.join(sys.argv)}\n\n")
        traceback.print_exc(file=file)
    frame: Any = traceback.extract_tb(error.__traceback__)[-1]
    broken = TracekitError(
        "TK900",
        "internal error: this is a bug of tracekit, not of your trace",
        at=f"{frame.filename}:{frame.lineno}",
        found=f"{type(error).__name__}: {error}",
        help=f"please report it with {file.name}",
    )
    return str(broken)
