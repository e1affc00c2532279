"""Models with a step function: calls as integers, and the states that they lead through, found as a search asks."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracekit.errors import TracekitError
from tracekit.history.models.actions import ANY, COMPUTED, UNANSWERED, Actions, Calls
from tracekit.history.models.alarm import OutOfTime, alarmed
from tracekit.history.models.model import UNKNOWN, Fits, Model, Refused, Specification
from tracekit.history.models.values import ABSENT, Values, coded, only_itself, shown
from tracekit.history.operations import Operations, Outcome

Int64 = NDArray[np.int64]


class States:
    """The states of one kind of object, numbered as they are found; 0 is the initial one.

    Parameters
    ----------
    name: the model's.
    calls: int64, shape (c, 3): function, argument and answer of each distinct call.

    Attributes
    ----------
    left: seconds that are left to code that is not ours; None: it is trusted to end.
    """

    left: Callable[[], float] | None = None

    def __init__(self, name: str, specification: Specification, functions: Sequence[str], values: Values, calls: Int64):
        self.name, self.specification, self.values = name, specification, values
        self.states: list[Hashable] = [specification.initial]
        self.codes: dict[Hashable, int] = {specification.initial: 0}
        self._known: dict[tuple[int, int], tuple[int, ...]] = {}
        self.silent = self._silent(calls)
        self._functions, self._calls = functions, calls

    def __len__(self) -> int:
        return len(self.states)

    def _call(self, argument: int) -> tuple[str, Hashable, Any]:
        """Name, argument and answer of a call. There may be a million calls, of which nobody asks."""
        f, given, answer = self._calls[argument].tolist()
        told = UNKNOWN if answer == UNANSWERED else self.values.value(answer)
        return self._functions[f], self.values.value(given), told

    @staticmethod
    def _silent(calls: Int64) -> Int64:
        """Shape (c,): the number of each call as if unanswered. Calls are sorted, those without answer first."""
        new = np.ones(len(calls), np.bool_)
        new[1:] = (calls[1:, :2] != calls[:-1, :2]).any(axis=1)
        return np.flatnonzero(new)[np.cumsum(new) - 1] if len(calls) else np.empty(0, np.int64)

    def text(self, code: int) -> str:
        """How a state reads in a sentence."""
        try:
            return str(self.specification.describe(self.states[code]))
        except Exception as error:
            raise self._broken(f"describe raises {type(error).__name__}: {error}", code, "") from error

    def successors(self, state: int, argument: int) -> tuple[int, ...]:
        """The states possible after a call; none where it is refused.

        Raises
        ------
        TracekitError: TK306 where the step function raises, or returns what is no state.
        OutOfTime: a step function of a user's has not ended when no time is left.
        """
        known = self._known.get((state, argument))
        if known is not None:
            return known
        foreign = self.specification.foreign
        before = hash(self.states[state]) if foreign else 0
        result = self._step(state, argument)
        if foreign and hash(self.states[state]) != before:
            raise self._broken("step changes the state that it is given, instead of returning a new one", state,
                               self.call_text(argument))  # fmt: skip
        if isinstance(result, Refused) or result is Refused:
            self._known[state, argument] = ()
            return ()
        found = tuple(self._code(s, state, argument) for s in (result if isinstance(result, list) else [result]))
        if self._functions[self._calls[argument, 0]] in self.specification.observers and set(found) - {state}:
            raise self._broken("a call that it names as an observer changes the state", state, self.call_text(argument))
        self._known[state, argument] = found
        return found

    def refusal(self, state: int, argument: int) -> str:
        """Why a call is refused, in the model's own words."""
        try:
            result = self._step(state, argument)
        except OutOfTime:
            result = Refused()
        return result.reason if isinstance(result, Refused) and result.reason else f"it was {self.text(state)}"

    def is_canonical(self, code: int) -> bool:
        """Values are compared as Python compares them, however they were spelled."""
        return True

    def call_text(self, argument: int) -> str:
        """A call as it reads in an error: ``enqueue(3) answered nil``."""
        f, given, answer = self._call(argument)
        told = "not answered" if answer is UNKNOWN else f"answered {shown(answer)}"
        return f"{f}({'' if given is None else shown(given)}) {told}"

    def _step(self, state: int, argument: int) -> Any:
        alarm = alarmed(self.left()) if self.left and self.specification.foreign else nullcontext()
        try:
            with alarm:
                return self.specification.step(self.states[state], *self._call(argument))
        except OutOfTime:
            raise OutOfTime(
                f"in {self.call_text(argument)} of the model, in the state {self.states[state]!r}"
            ) from None
        except (Exception, SystemExit) as error:
            what = f"step raises {type(error).__name__}: {error}"
            raise self._broken(what, state, self.call_text(argument)) from error

    def _code(self, state: Hashable, before: int, argument: int) -> int:
        try:
            code = self.codes.get(state)
        except TypeError as error:
            what = f"step returns a {type(state).__name__}, which has no hash: states are tuples, frozensets, numbers"
            raise self._broken(what, before, self.call_text(argument)) from error
        if code is None:
            if self.specification.foreign and only_itself(state):
                what = f"step returns a {type(state).__name__}, which equals only itself: give it __eq__ and __hash__"
                raise self._broken(what, before, self.call_text(argument))
            code = self.codes[state] = len(self.states)
            self.states.append(state)
        return code

    def _broken(self, summary: str, state: int, call: str) -> TracekitError:
        return TracekitError(
            "TK306", summary, at=f"model {self.name}", found=f"{call} in the state {self.states[state]!r}".strip(),
            help="docs/models.md says what a step function returns",
        )  # fmt: skip


def calls_of(operations: Operations, model: Model, specification: Specification) -> Actions:
    """Every operation as a numbered call. O(m log m).

    Left out, because they change nothing and demand nothing: operations that failed, and observers without an answer.
    """
    column, outcome = operations.f, operations.outcome
    n = len(operations)
    texts = [] if column is None or column.texts is None else column.texts.to_pylist()
    names = [model.canonical(text) for text in texts]
    functions = tuple(sorted({name for name in names if name is not None}))
    table = np.array([*(-1 if name is None else functions.index(name) for name in names), -1], np.int64)
    function = np.full(n, -1, np.int64) if column is None else table[np.where(column.present, column.values, -1)]
    invoked, returned, values = coded(operations)
    # A completion names the argument as well, in most recorders; without an invocation it is all there is.
    given = np.where((operations.invoke < 0) & (invoked == ABSENT), returned, invoked)
    answered = np.where(outcome == Outcome.OK, returned, UNANSWERED)
    happened = outcome != Outcome.FAIL
    observer, argued = (np.isin(function, [functions.index(f) for f in named & set(functions)])
                        for named in (specification.observers, specification.argued))  # fmt: skip
    wrong = happened & (function < 0)
    for name, fits in specification.arguments.items():
        asked = happened & ((given != ABSENT) | (operations.invoke >= 0)) & (function == _place(functions, name))
        wrong |= _unfit(given, asked, fits, values)
    for name, fits in specification.answers.items():
        told = (outcome == Outcome.OK) & (function == _place(functions, name))
        wrong |= _unfit(returned, told, fits, values)
    lost = happened & (operations.invoke < 0) & (given == ABSENT) & ~wrong & (argued | (model.functions is None))
    kept = np.flatnonzero(happened & ~wrong & ~lost & ~(observer & (outcome == Outcome.INFO)))
    triples = np.stack([function, given, answered], axis=1)[kept]
    distinct, number = _distinct(triples, len(values))
    if specification.narrowed is not None:
        told = np.unique(answered[kept][observer[kept]])
        specification = specification.narrowed(values.value(code) for code in told.tolist() if code != UNANSWERED)
    anything = np.full(len(kept), ANY, np.int64)
    return Actions(
        operation=kept,
        equals=anything,
        or_equals=anything,
        differs=anything,
        effect=np.where(observer[kept], ANY, COMPUTED),
        argument=number,
        start=operations.start[kept],
        end=operations.end[kept],
        malformed=np.flatnonzero(wrong),
        lost=np.flatnonzero(lost),
        values=States(model.name, specification, functions, values, distinct),
        calls=Calls(triples[:, 0], triples[:, 1], triples[:, 2], functions, values),
    )


def _place(functions: Sequence[str], name: str) -> int:
    return functions.index(name) if name in functions else -2


def _unfit(codes: Int64, chosen: NDArray[np.bool_], fits: Fits, values: Values) -> NDArray[np.bool_]:
    """Which of the chosen operations have a value that their call cannot have. A Python loop over distinct values."""
    wrong = np.zeros(len(codes), np.bool_)
    # Where all values are whole numbers, of which there may be a million, only null can be another kind.
    numbers = values.numbers is not None and fits(1)
    distinct = np.array([ABSENT], np.int64) if numbers else np.unique(codes[chosen])
    bad = [code for code in distinct.tolist() if not fits(values.value(code))]
    wrong[chosen] = np.isin(codes[chosen], bad)
    return wrong


def _distinct(triples: Int64, size: int) -> tuple[Int64, Int64]:
    """The distinct calls, with one without answer for each function and argument, and the number of each call."""
    silent = triples.copy()
    silent[:, 2] = UNANSWERED
    both = np.concatenate([triples, silent])
    code = (both[:, 0] * (size + 1) + both[:, 1]) * (size + 1) + both[:, 2] + 1
    _, first, number = np.unique(code, return_index=True, return_inverse=True)
    return both[first], number[: len(triples)]
