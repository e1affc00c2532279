"""The fields and event names of each domain, one file each, shared by checks, reference implementations and docs."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from tracekit.trace.schema import Field


@dataclass(frozen=True)
class Vocabulary:
    """One domain: its fields, its event names with their meaning, and how an event reads in a sentence.

    Attributes
    ----------
    domain: the prefix of all its names, without the dot.
    fields: its columns.
    events: event name -> meaning.
    describe: a few words for an event of the domain, from its name and recorded fields: ``leads term 4``.
    """

    domain: str
    summary: str
    fields: tuple[Field, ...]
    events: Mapping[str, str]
    describe: Callable[[str, Mapping[str, Any]], str] = field(default=lambda name, fields: name)


@cache
def vocabularies() -> dict[str, Vocabulary]:
    """Every domain by its prefix."""
    modules = [importlib.import_module(f"{__name__}.{info.name}") for info in pkgutil.iter_modules(__path__)]
    found: list[Vocabulary] = [module.VOCABULARY for module in modules]
    return {v.domain: v for v in found}


@cache
def domain_fields() -> dict[str, Field]:
    """Every domain's fields by their whole name."""
    return {f.name: f for v in vocabularies().values() for f in v.fields}


def describe(fields: Mapping[str, Any], kind: str) -> str:
    """A few words for any event, from its recorded fields; text from the trace comes through unescaped."""
    name = fields.get("name")
    vocabulary = vocabularies().get(str(name).partition(".")[0]) if name else None
    if vocabulary is not None:
        return vocabulary.describe(str(name), {**fields, "kind": kind})
    if fields.get("f") is not None:
        return _operation(fields, kind)
    words = [kind if name is None else f"{kind} {name}" if kind != "internal" else str(name)]
    if fields.get("message") is not None:
        words.append(f"message {fields['message']}")
    if fields.get("peer") is not None:
        words.append(("to " if kind == "send" else "from ") + str(fields["peer"]))
    return ", ".join(words)


def _operation(fields: Mapping[str, Any], kind: str) -> str:
    key = "" if fields.get("key") is None else f" {fields['key']}"
    value = "" if fields.get("value") is None else f" {fields['value']}"
    return f"{kind} {fields['f']}{key}{value}"
