"""Models of one's own: ``--model file.py:NAME``, a class or an object with an initial state and a step function."""

from __future__ import annotations

import importlib.util
from collections.abc import Hashable
from pathlib import Path
from typing import Any

from tracekit.errors import TracekitError, nearest
from tracekit.history.models.model import Model, Specification
from tracekit.history.models.values import only_itself, shown


def is_file(text: str) -> bool:
    """Whether a model is asked for by file and name."""
    return text.rpartition(":")[0].endswith(".py") or text.endswith(".py")


def load(text: str, at: str) -> Model:
    """The model of ``file.py:NAME``. The file is run, as Python runs any program.

    NAME is a class (called without arguments) or an object with

    init       the initial state, or a function that returns it
    step       ``step(state, f, argument, answer)``
    partition  optional; False: one object, whatever `key` says. Else one object a key
    observers  optional: names of the calls that never change the state
    valued     optional; False: calls have no values, so that a history without the column `value` lacks nothing
    describe   optional: ``describe(state)``, a few words for the witness

    Raises
    ------
    TracekitError: TK306: no such file, no such name, the file cannot be run, or the model has no init or step.
    """
    file, _, name = text.rpartition(":") if not text.endswith(".py") else (text, "", "")
    found = _named(file, name, text, at)
    try:
        model = found() if isinstance(found, type) else found
        init = getattr(model, "init", None)
        initial = init() if callable(init) else init
    except (Exception, SystemExit) as error:  # whatever a user's code raises is the user's to read
        raise _broken(text, at, f"{name} cannot be made: {type(error).__name__}: {error}") from error
    step = getattr(model, "step", None)
    if not hasattr(model, "init") or not callable(step):
        raise _broken(text, at, f"{name} has no {'step function' if hasattr(model, 'init') else 'init'}")
    if not isinstance(initial, Hashable) or not _hashable(initial):
        raise _broken(text, at, f"the initial state has no hash: {type(initial).__name__}; use tuples and frozensets")
    if only_itself(initial):
        what = f"the initial state is a {type(initial).__name__}, which equals only itself: give it __eq__ and __hash__"
        raise _broken(text, at, what)
    specification = Specification(
        initial,
        step,
        observers=frozenset(getattr(model, "observers", ())),
        describe=getattr(model, "describe", shown),
        foreign=True,
    )
    return Model(
        name=text,
        summary=(type(model).__doc__ or "").partition("\n")[0],
        functions=None,
        keyed=bool(getattr(model, "partition", True)),
        make=lambda options: specification,
        valued=bool(getattr(model, "valued", True)),
    )


def _named(file: str, name: str, text: str, at: str) -> Any:
    path = Path(file)
    if not path.is_file():
        raise TracekitError("TK306", "the model's file does not exist", at=at, found=file, want="file.py:NAME")
    spec = importlib.util.spec_from_file_location("tracekit_user_model", path)
    assert spec is not None and spec.loader is not None, "a file that ends in .py has a loader"
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise _broken(text, at, f"the file cannot be run: {type(error).__name__}: {error}") from error
    if not name or not hasattr(module, name):
        models = [n for n, value in vars(module).items() if hasattr(value, "step") and not n.startswith("_")]
        raise TracekitError(
            "TK306",
            f"{path.name} has no model named {name}" if name else "which model of the file is meant?",
            at=at,
            found=text,
            want=", ".join(f"{file}:{n}" for n in nearest(name, models) or models) or "an object with init and step",
        )
    return getattr(module, name)


def _hashable(state: Any) -> bool:
    try:
        hash(state)
    except Exception:
        return False
    return True


def _broken(text: str, at: str, summary: str) -> TracekitError:
    return TracekitError("TK306", summary, at=at, found=text, help="docs/models.md shows a model")
