"""What operations do, in integers: all that a search has to know of a history and its model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tracekit.history.models.values import Values

Int64 = NDArray[np.int64]

ANY = -1
"""As a guard: every value fits. As an effect: the value stays."""

COMPUTED = -2
"""As an effect: `Space.successors` says which value comes next."""

UNANSWERED = -1
"""As the code of an answer: nobody knows what it was."""


class Space(Protocol):
    """What the codes of states mean, and how calls lead from one to the next. Code 0 is the initial state."""

    def __len__(self) -> int: ...

    def text(self, code: int) -> str:
        """How a state reads in a sentence."""
        ...

    def successors(self, state: int, argument: int) -> Sequence[int]:
        """The states possible after a call; none where it is refused."""
        ...

    def refusal(self, state: int, argument: int) -> str:
        """Why a call is refused."""
        ...

    def is_canonical(self, code: int) -> bool:
        """Whether equal values have equal codes."""
        ...


@dataclass(frozen=True, eq=False)
class Calls:
    """Calls of a model with a step function, one entry an operation that has a part in the history.

    Attributes
    ----------
    function: int64, shape (k,): index into `functions`.
    given, answered: int64, shape (k,): codes of argument and answer in `values`; `ABSENT`: null; `UNANSWERED`.
    functions: canonical names.
    """

    function: Int64
    given: Int64
    answered: Int64
    functions: tuple[str, ...]
    values: Values


@dataclass(frozen=True, eq=False)
class Actions:
    """What operations do to one object, in codes of its states; one entry an operation that has a part in the history.

    Attributes
    ----------
    operation: int64, shape (k,): index into the `Operations`.
    equals, or_equals: the value must be one of the two; both `ANY`: no demand. `or_equals` is used only with `equals`.
    differs: the value must not be this one; `ANY`: no demand.
    effect: the new value, `ANY` where it stays, `COMPUTED` where the space says it.
    argument: what an append appends, or the number of the call, where the space has to be asked; else `ANY`.
    start, end: moments of invocation and completion.
    malformed: operations that the model does not have, or whose values do not fit it: they may have done anything.
    lost: operations without a recorded invocation that changed the value to nobody knows what.
    values: what the codes mean.
    calls: of models with a step function, their calls; None: guarded assignments.
    """

    operation: Int64
    equals: Int64
    or_equals: Int64
    differs: Int64
    effect: Int64
    argument: Int64
    start: Int64
    end: Int64
    malformed: Int64
    lost: Int64
    values: Space
    calls: Calls | None = None
