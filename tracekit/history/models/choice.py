"""Which model a history is judged by: asked for, declared, or inferred from the calls that occur."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from tracekit.errors import TracekitError, nearest
from tracekit.history.models.assignments import ASSIGNMENTS
from tracekit.history.models.model import Model, Specification
from tracekit.history.models.objects import OBJECTS
from tracekit.history.models.user import is_file, load
from tracekit.history.operations import Operations

MODELS: Mapping[str, Model] = {model.name: model for model in (*ASSIGNMENTS, *OBJECTS)}
"""Every built-in model by name; of those that agree on a history the smallest comes first."""

OPTIONS: Mapping[str, tuple[str, ...]] = {
    "fail": ("ignored", "asserts"),
    "nil": ("initial", "any"),
    "revision": ("hint", "asserts"),
}
"""What may stand behind the name of a model of guarded assignments, and the values; the first is the default."""

ASSERTING = {"fail": "asserts", "nil": "any", "revision": "asserts"}
"""The value of each option that is not the default."""


@dataclass(frozen=True)
class Choice:
    """A model, with its options, and where the choice came from: ``declared``, ``inferred`` or ``asked for``.

    Attributes
    ----------
    fail_asserts, nil_any, revision_asserts: only for guarded assignments.
    settings: the model's own options, all of them: ``{"order": "max"}``.
    """

    model: Model
    fail_asserts: bool = False
    nil_any: bool = False
    origin: str = "asked for"
    settings: Mapping[str, str] = field(default_factory=dict)
    revision_asserts: bool = False

    @property
    def text(self) -> str:
        """For the line of what a verdict rests on: ``model: kv, fail=asserts (declared)``."""
        chosen = {
            "fail=asserts": self.fail_asserts,
            "nil=any": self.nil_any,
            "revision=asserts": self.revision_asserts,
        }
        options = [text for text, on in chosen.items() if on]
        options += [f"{option}={value}" for option, value in self.settings.items()]
        return f"model: {', '.join([self.model.name, *options])} ({self.origin})"

    @cached_property
    def specification(self) -> Specification | None:
        """Initial state and step function; None for guarded assignments."""
        return None if self.model.make is None else self.model.make(self.settings)


def parse_model(text: str, at: str = "--model", origin: str = "asked for") -> Choice:
    """``kv``, ``NAME:option=value,option=value``, or ``file.py:NAME``.

    Raises
    ------
    TracekitError: TK302 for a model or an option that does not exist, with the nearest names; TK306 for a file that
        gives no model.
    """
    if is_file(text):
        if origin == "declared":
            raise TracekitError(
                "TK302",
                "code that a trace names is not run",
                at=at,
                found=text,
                help=f"if you trust it: --model {text}",
            )
        return Choice(load(text, at), origin=origin)
    name, _, tail = text.partition(":")
    name = name.strip()
    if name not in MODELS:
        near = nearest(name, MODELS)
        raise TracekitError(
            "TK302",
            f"no model is named {name or '(nothing)'}",
            at=at,
            found=text,
            want=", ".join(near or MODELS),
            help="tracekit list models shows all of them; one of your own is file.py:NAME",
        )
    model = MODELS[name]
    known = model.options if model.make else {**OPTIONS, **model.options}
    chosen = {option: values[0] for option, values in known.items()}
    for part in filter(None, (p.strip() for p in tail.split(","))):
        option, _, value = (p.strip() for p in part.partition("="))
        if option not in known or not _allowed(value, known[option]):
            wanted = {option: known[option]} if option in known else known
            raise TracekitError(
                "TK302",
                f"the model {name} has no option {part}",
                at=at,
                found=text,
                want=" or ".join(f"{o}={_spelled(v, values)}" for o, values in wanted.items() for v in values)
                or "no option: this model has none",
            )
        chosen[option] = value
    own = {option: chosen[option] for option in model.options}
    fail, nil, revision = (chosen.get(option) == value for option, value in ASSERTING.items())
    return Choice(model, fail, nil, origin, own, revision)


def _allowed(value: str, values: tuple[str, ...]) -> bool:
    if values == ("1",):
        return value.isascii() and value.isdecimal() and 0 < int(value[:19]) <= 10**6
    return value in values


def _spelled(value: str, values: tuple[str, ...]) -> str:
    return "N" if values == ("1",) else value


def choose(operations: Operations, asked: str | None, declared: str | None) -> Choice | None:
    """The model that a history is judged by: asked for, else declared by the run, else inferred; None: not one fits.

    Inferred is the one model whose calls cover the recorded ones. Of register, cas-register and kv the smallest is
    taken: they agree on every history that several of them cover, but for an absent key, which kv lets read as "".

    Raises
    ------
    TracekitError: TK302 for a model that does not exist, TK306 for a file that gives none.
    """
    if asked is not None:
        return parse_model(asked)
    if declared is not None:
        return parse_model(declared, at="tracekit.run: model", origin="declared")
    fitting = fitting_models(operations)
    return parse_model(fitting[0], origin="inferred") if len(fitting) == 1 else None


def fitting_models(operations: Operations) -> list[str]:
    """Names of the models that a history may be of, by its calls; of those that agree only the smallest."""
    recorded = recorded_functions(operations)
    keyed = operations.key is not None and bool(operations.key.present.any())
    fitting = [m for m in MODELS.values() if m.inferred and recorded and m.knows(recorded) and (m.keyed or not keyed)]
    cells = [m.name for m in fitting if m.make is None][:1]
    return [*cells, *(m.name for m in fitting if m.make is not None and not (cells and recorded <= {"read", "get"}))]


def recorded_functions(operations: Operations) -> frozenset[str]:
    """The names of the calls that occur."""
    column = operations.f
    if column is None or column.texts is None:
        return frozenset()
    counts = np.bincount(column.values[column.present], minlength=len(column.texts))
    return frozenset(str(column.texts[int(code)].as_py()) for code in np.flatnonzero(counts))
