"""tracekit list"""

from __future__ import annotations

import json
from typing import Any

import click

NATIVE = {"name": "parquet", "summary": "the native trace (docs/trace-format.md)", "example": ""}
"""The format that is no module of `tracekit.formats`."""


@click.command(
    short_help="What there is: checks, formats, protocols, models.",
    epilog="""\b
Examples:
  tracekit list checks
  tracekit list protocols --format json""",
)
@click.argument("what", type=click.Choice(["checks", "formats", "protocols", "models"]))
@click.option("--format", "output", type=click.Choice(["text", "json"]), default="text", show_default=True)
def command(what: str, output: str) -> None:
    """What there is: checks, formats, protocols, models."""
    entries = _LISTS[what]()
    if output == "json":
        click.echo(json.dumps(entries, ensure_ascii=False, indent=1))
        return
    width = max((len(entry["name"]) for entry in entries), default=0) + 2
    for entry in entries:
        click.echo(f"{entry['name']:<{width}}{entry['summary']}")
        if entry.get("values"):
            options = "".join(f"; :{name}={values}" for name, values in entry["options"].items())
            click.echo(f"{'':<{width}}values: {entry['values']}{options}")
        for mutant in entry.get("mutants", []):
            click.echo(f"  --mutant {mutant['name']:<{width + 12}}{mutant['breaks']}")
    click.echo(_NEXT[what])


def _checks() -> list[dict[str, Any]]:
    from tracekit.registry import checks

    return [
        {
            "name": c.name, "summary": c.summary, "requires": list(c.columns), "needs": c.page["Needs"],
            "reference": c.page["Reference"], "default": "measured" if c.measured else "required",
        }
        for c in checks().values()
    ]  # fmt: skip


def _formats() -> list[dict[str, Any]]:
    from tracekit.registry import formats

    return [dict(NATIVE), *({"name": f.name, "summary": f.summary, "example": f.example} for f in formats().values())]


def _protocols() -> list[dict[str, Any]]:
    from tracekit.protocols import protocols

    return [
        {
            "name": p.name, "summary": p.summary, "reference": p.reference, "claims": list(p.claims),
            "faults": dict(p.faults),
            "mutants": [{"name": m.name, "breaks": m.breaks, "caught_by": m.caught_by} for m in p.mutants],
        }
        for p in protocols().values()
    ]  # fmt: skip


def _models() -> list[dict[str, Any]]:
    from tracekit.history.models import MODELS

    return [
        {
            "name": m.name, "summary": m.summary, "functions": sorted(m.functions or ()), "values": m.values,
            "options": {name: "N" if values == ("1",) else "|".join(values) for name, values in m.options.items()},
        }
        for m in MODELS.values()
    ]  # fmt: skip


_LISTS = {"checks": _checks, "formats": _formats, "protocols": _protocols, "models": _models}
_NEXT = {
    "checks": "\nnext: tracekit explain NAME",
    "formats": "\nnext: tracekit analyze FILE, or tracekit explain NAME",
    "protocols": "\nnext: tracekit simulate NAME -o run.parquet",
    "models": "\nnext: tracekit analyze FILE --model NAME, or --model file.py:NAME (docs/models.md)",
}
