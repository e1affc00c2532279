"""What a sequential specification is: a pure step function over states, or guarded assignments to one value."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tracekit.history.models.values import shown


class Unknown:
    """An answer that nobody knows: the call was never answered. It equals every value.

    ``if answer != state: refuse`` therefore lets a call without an answer through. Where an answer does not follow from
    the state by comparison, a step function asks ``answer is UNKNOWN``.
    """

    def __eq__(self, other: object) -> bool:
        return True

    def __ne__(self, other: object) -> bool:
        return False

    def __hash__(self) -> int:
        return 0

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Final = Unknown()


@dataclass(frozen=True)
class Refused:
    """What a step function returns where the object would have answered otherwise; the reason stands in the witness."""

    reason: str = ""


Step = Callable[[Any, str, Any, Any], Any]
"""``step(state, f, argument, answer)``: the next state; a list of those possible; or `Refused`."""


Fits = Callable[[Any], bool]
"""Whether a value is of the kind that a call has."""


@dataclass(frozen=True)
class Specification:
    """An object of any shape.

    Attributes
    ----------
    initial: its state before the first call. States are hashable, and equal where they behave equally.
    step: pure; see `Step`.
    observers: calls that never change the state. To name them costs nothing and saves a search most of its work.
    argued: calls that mean nothing without their argument.
    arguments, answers: by call, whether a value is one that it can have, where not every value is. What is none is not
        refused: somebody recorded something else, and what it did is open.
    describe: how a state reads in a sentence.
    foreign: written by somebody else: a step may never end, or change the state that it is given.
    narrowed: from all that observers answered in a history, the same object with fewer states: those that none of these
        answers tells apart are one.
    """

    initial: Hashable
    step: Step
    observers: frozenset[str] = frozenset()
    argued: frozenset[str] = frozenset()
    arguments: Mapping[str, Fits] = field(default_factory=dict)
    answers: Mapping[str, Fits] = field(default_factory=dict)
    describe: Callable[[Any], str] = shown
    narrowed: Callable[[Iterable[Any]], Specification] | None = None
    foreign: bool = False


@dataclass(frozen=True)
class Model:
    """A sequential specification by name.

    Attributes
    ----------
    name: as in ``--model``.
    functions: recorded names of the calls that it knows, each with its canonical name; None: it takes them as they are.
    keyed: one object a key; else the history is about one object, and is not inferred where there are keys.
    empty_is_absent: an absent value also reads as "".
    options: what may stand behind its name beside ``fail`` and ``nil``, and what each may be, the default first; ``1``
        alone stands for any number from 1 on.
    make: the specification under these options; None: its calls are guarded assignments to one value.
    valued: whether calls have values; else a history without the column `value` lacks nothing.
    inferred: whether the calls alone are enough to tell that a history is of this model.
    values: what arguments and answers are, for people.
    """

    name: str
    summary: str
    functions: Mapping[str, str] | None
    keyed: bool = False
    empty_is_absent: bool = False
    options: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    make: Callable[[Mapping[str, str]], Specification] | None = None
    inferred: bool = True
    valued: bool = True
    values: str = ""

    def canonical(self, recorded: str) -> str | None:
        """What a call is called here; None: the model has no such call."""
        return recorded if self.functions is None else self.functions.get(recorded)

    def knows(self, recorded: frozenset[str]) -> bool:
        """Whether the model has all of these calls."""
        return self.functions is None or recorded <= self.functions.keys()
