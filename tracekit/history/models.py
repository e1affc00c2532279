"""Sequential specifications: what an object would answer if operations came one at a time.

The models here are cells: an operation is a guarded assignment. It may happen where the cell's value fits its guard,
and then leaves the value alone, replaces it, or appends to it. That is all that a search has to know of them, and
`actions` states it once, for whole columns. A model of another shape (counter, set, queue, ...) is one more entry of
`MODELS` whose operations assign by a step function, as `appended` does here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from tracekit.errors import TracekitError, nearest
from tracekit.history.operations import Operations, Outcome
from tracekit.trace.columns import Column

Int64 = NDArray[np.int64]
Bool = NDArray[np.bool_]

ABSENT = 0
"""Code of the value that nobody wrote: nil, null, an absent key."""

ANY = -1
"""As a guard: every value fits. As an effect: the value stays."""

APPENDS = -2
"""As an effect: the new value is the old one and the operation's own, as text one behind the other."""

_CANONICAL = {
    "read": "read",
    "get": "read",
    "write": "write",
    "put": "write",
    "cas": "cas",
    "append": "append",
}
"""Names of operations as they are recorded, and which operation each of them is."""


@dataclass(frozen=True)
class Model:
    """A sequential specification.

    Attributes
    ----------
    name: as in ``--model``.
    functions: recorded names of the operations that it knows.
    keyed: one object a key; else the history is about one object, and a key is refused.
    empty_is_absent: an absent value also reads as "".
    """

    name: str
    summary: str
    functions: frozenset[str]
    keyed: bool = False
    empty_is_absent: bool = False


MODELS: Mapping[str, Model] = {
    model.name: model
    for model in (
        Model("register", "one value: read, write", frozenset({"read", "get", "write", "put"})),
        Model(
            "cas-register",
            "one value: read, write, compare-and-set",
            frozenset({"read", "get", "write", "put", "cas"}),
        ),
        Model(
            "kv",
            'a value per key: get, put, append, compare-and-set; an absent key reads as null or as ""',
            frozenset(_CANONICAL),
            keyed=True,
            empty_is_absent=True,
        ),
    )
}
"""Every model by name, smallest first: where several fit and agree on a history, the first one is taken."""

OPTIONS: Mapping[str, tuple[str, ...]] = {"fail": ("ignored", "asserts"), "nil": ("initial", "any")}
"""What may stand behind a model's name, and the values each option has; the first is the default."""


@dataclass(frozen=True)
class Choice:
    """A model, with its options, and where the choice came from: ``declared``, ``inferred`` or ``asked for``."""

    model: Model
    fail_asserts: bool = False
    nil_any: bool = False
    origin: str = "asked for"

    @property
    def text(self) -> str:
        """For the line of what a verdict rests on: ``model: kv, fail=asserts (declared)``."""
        options = [text for on, text in ((self.fail_asserts, "fail=asserts"), (self.nil_any, "nil=any")) if on]
        return f"model: {', '.join([self.model.name, *options])} ({self.origin})"


def parse_model(text: str, at: str = "--model", origin: str = "asked for") -> Choice:
    """``kv`` or ``NAME:fail=asserts,nil=any``.

    Raises
    ------
    TracekitError: TK302 for a model or an option that does not exist, with the nearest names.
    """
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
            help="tracekit list models shows all of them",
        )
    chosen = {option: values[0] for option, values in OPTIONS.items()}
    for part in filter(None, (p.strip() for p in tail.split(","))):
        option, _, value = (p.strip() for p in part.partition("="))
        if option not in OPTIONS or value not in OPTIONS[option]:
            wanted = OPTIONS.get(option)
            raise TracekitError(
                "TK302",
                f"the model has no option {part}",
                at=at,
                found=text,
                want=" or ".join(f"{option}={v}" for v in wanted)
                if wanted
                else " or ".join(f"{o}={v}" for o, values in OPTIONS.items() for v in values),
            )
        chosen[option] = value
    return Choice(MODELS[name], chosen["fail"] == "asserts", chosen["nil"] == "any", origin)


def choose(operations: Operations, asked: str | None, declared: str | None) -> Choice | None:
    """The model that a history is judged by: asked for, else declared by the run, else inferred; None: none fits.

    Inferred is the smallest model whose operations cover the recorded ones: register, cas-register and kv agree on
    every history that several of them cover, but for an absent key, which kv lets read as "".

    Raises
    ------
    TracekitError: TK302 for a model that does not exist.
    """
    if asked is not None:
        return parse_model(asked)
    if declared is not None:
        return parse_model(declared, at="tracekit.run: model", origin="declared")
    recorded = _recorded_functions(operations)
    keyed = operations.key is not None and bool(operations.key.present.any())
    fitting = [m for m in MODELS.values() if recorded and recorded <= m.functions and (m.keyed or not keyed)]
    return Choice(fitting[0], origin="inferred") if fitting else None


def _recorded_functions(operations: Operations) -> frozenset[str]:
    column = operations.f
    if column is None or column.texts is None:
        return frozenset()
    counts = np.bincount(column.values[column.present], minlength=len(column.texts))
    return frozenset(str(column.texts[int(code)].as_py()) for code in np.flatnonzero(counts))


@dataclass(frozen=True, eq=False)
class Values:
    """Values as small integers; `ABSENT` is the value that nobody wrote.

    Attributes
    ----------
    texts: canonical JSON text by code, ``null`` first; only that where values are numbers.
    codes: the other way round; empty where values are numbers.
    numbers: where values are numbers, the one of code c is ``numbers[c - 1]``.
    """

    texts: list[str]
    codes: dict[str, int]
    numbers: Sequence[int] | Int64 | None = None

    def __len__(self) -> int:
        return len(self.texts) if self.numbers is None else len(self.numbers) + 1

    def text(self, code: int) -> str:
        """How a value reads: ``3``, ``"x"``, ``nil``."""
        if code == ABSENT:
            return "nil"
        return self.texts[code] if self.numbers is None else str(self.numbers[code - 1])

    def code(self, text: str) -> int:
        """The code of a canonical text, a new one where it is new."""
        found = self.codes.get(text)
        if found is None:
            found = self.codes[text] = len(self.texts)
            self.texts.append(text)
        return found

    def appended(self, state: int, suffix: int) -> int:
        """The value after an append, -1 where there is none: the old value is no string."""
        if state != ABSENT and not self.is_text(state):
            return -1
        old = "" if state == ABSENT else orjson.loads(self.texts[state])
        new = orjson.loads(self.texts[suffix])
        return self.code(orjson.dumps(old + new).decode())

    def is_text(self, code: int) -> bool:
        """Whether the value is a string."""
        return self.numbers is None and self.texts[code].startswith('"') and self.is_canonical(code)

    def is_canonical(self, code: int) -> bool:
        """Whether equal values are equal texts here: canonical JSON, a whole number, or no JSON at all."""
        if self.numbers is not None or self.texts[code].removeprefix("-").isdecimal():
            return True
        try:
            return orjson.dumps(orjson.loads(self.texts[code])).decode() == self.texts[code]
        except ValueError:
            return not self.texts[code].startswith(('"', "[", "{"))


@dataclass(frozen=True, eq=False)
class Actions:
    """What operations do to one cell, in value codes; one entry an operation that has a part in the history.

    Attributes
    ----------
    operation: int64, shape (k,): index into the `Operations`.
    equals, or_equals: the value must be one of the two; both `ANY`: no demand. `or_equals` is used only with `equals`.
    differs: the value must not be this one; `ANY`: no demand.
    effect: the new value, `ANY` where it stays, `APPENDS` where `argument` goes behind it.
    argument: what an append appends, else `ANY`.
    start, end: moments of invocation and completion.
    malformed: operations that the model does not have, or whose values do not fit it: they may have done anything.
    lost: operations without a recorded invocation that changed the value to nobody knows what.
    values: what the codes mean.
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
    values: Values


def functions_of(operations: Operations, model: Model) -> NDArray[np.int8]:
    """int8, shape (m,): index into `FUNCTIONS` of each operation, -1 where the model has no such operation."""
    column = operations.f
    if column is None or column.texts is None:
        return np.full(len(operations), -1, np.int8)
    table = [FUNCTIONS.index(_CANONICAL[t]) if t in model.functions else -1 for t in column.texts.to_pylist()]
    return np.array([*table, -1], np.int8)[np.where(column.present, column.values, -1)]


FUNCTIONS = ("read", "write", "cas", "append")
READ, WRITE, CAS, APPEND = range(4)


def actions_of(operations: Operations, choice: Choice) -> Actions:
    """Every operation as a guarded assignment. O(m), and a loop over the distinct arguments of `cas`.

    Left out, because they change nothing and demand nothing: operations that failed (but for a `cas` under
    ``fail=asserts``: the value differed), reads without an answer, and reads of nil under ``nil=any``.
    """
    function = functions_of(operations, choice.model)
    outcome = operations.outcome
    invoked, returned, values = _coded(operations)
    n = len(operations)
    equals, differs, effect, argument = (np.full(n, ANY, np.int64) for _ in range(4))
    wrong = np.zeros(n, np.bool_)
    # A completion names what was written as well, in most recorders; without an invocation it is all there is.
    written = np.where((operations.invoke < 0) & (invoked == ABSENT), returned, invoked)
    lost = (operations.invoke < 0) & (written == ABSENT)
    read = (function == READ) & (outcome == Outcome.OK)
    equals[read] = returned[read]
    write = (function == WRITE) & (outcome != Outcome.FAIL)
    effect[write] = written[write]
    append = (function == APPEND) & (outcome != Outcome.FAIL)
    effect[append], argument[append] = APPENDS, written[append]
    distinct, of = np.unique(written[append], return_inverse=True)
    wrong[append] |= ~np.array([values.is_text(int(code)) for code in distinct], np.bool_)[of]
    cas = (function == CAS) & ((outcome != Outcome.FAIL) | choice.fail_asserts)
    wrong |= _cas(values, cas, outcome, (written, invoked, returned), (equals, differs, effect))
    kept = (read & ~(choice.nil_any & (returned == ABSENT))) | write | append | cas
    wrong &= kept & (outcome != Outcome.FAIL) & ~lost
    lost &= write | append | ((function == CAS) & (outcome != Outcome.FAIL))
    wrong |= (function < 0) & (outcome != Outcome.FAIL)
    where = np.flatnonzero(kept & ~wrong & ~lost)
    or_equals = np.full(n, ANY, np.int64)
    if choice.model.empty_is_absent and '""' in values.codes:
        or_equals[equals == values.codes['""']] = ABSENT
    return Actions(
        where,
        equals[where],
        or_equals[where],
        differs[where],
        effect[where],
        argument[where],
        operations.start[where],
        operations.end[where],
        np.flatnonzero(wrong),
        np.flatnonzero(lost),
        values,
    )


def _cas(
    values: Values,
    cas: Bool,
    outcome: NDArray[np.int8],
    columns: tuple[Int64, Int64, Int64],
    out: tuple[Int64, Int64, Int64],
) -> Bool:
    """Fills in compare-and-set; returns those whose argument is no pair, or whose answer is neither it nor true."""
    written, invoked, returned = columns
    equals, differs, effect = out
    wrong = np.zeros(len(cas), np.bool_)
    places = np.flatnonzero(cas)
    distinct, of = np.unique(written[places], return_inverse=True)
    pairs = np.array([_pair(values, int(code)) for code in distinct], np.int64).reshape(-1, 2)
    old, new = pairs[of, 0], pairs[of, 1]
    wrong[places] = old < 0
    ok = outcome[places] == Outcome.OK
    true = values.codes.get("true", -1)
    answer = returned[places]
    fits = (answer == ABSENT) | (answer == invoked[places]) | (answer == written[places]) | (answer == true)
    wrong[places] |= ok & ~fits
    failed = outcome[places] == Outcome.FAIL
    # A failed cas whose argument is no pair demands nothing: -1 is ANY.
    equals[places] = np.where(failed, ANY, old)
    differs[places] = np.where(failed, old, ANY)
    effect[places] = np.where(failed, ANY, new)
    return wrong


def _pair(values: Values, code: int) -> tuple[int, int]:
    """The codes of old and new of a ``[old,new]``; (-1, -1) where it is none."""
    if values.numbers is not None:
        return -1, -1
    try:
        pair: Any = orjson.loads(values.texts[code])
    except orjson.JSONDecodeError:
        return -1, -1
    if not isinstance(pair, list) or len(pair) != 2:
        return -1, -1
    if orjson.dumps(pair).decode() not in (values.texts[code], values.texts[code].replace(", ", ",")):
        return -1, -1  # its members would be written differently from the same values elsewhere
    old, new = (orjson.dumps(member).decode() for member in pair)
    return values.code(old), values.code(new)


def _coded(operations: Operations) -> tuple[Int64, Int64, Values]:
    """Invoked and returned values as codes, and what the codes mean."""
    n = len(operations)
    invoked, returned = operations.invoked, operations.returned
    if invoked is None or returned is None:
        return np.zeros(n, np.int64), np.zeros(n, np.int64), Values(["null"], {"null": ABSENT})
    if invoked.texts is not None:
        texts = ["null", *invoked.texts.to_pylist()]
        codes = {text: code for code, text in enumerate(texts) if code}
        # A recorder may write null as text; it is the same as no value.
        null = codes.get("null", -1)
        codes["null"] = ABSENT
        first, second = (np.where(c.present, c.values + 1, ABSENT).astype(np.int64) for c in (invoked, returned))
        first[first == null], second[second == null] = ABSENT, ABSENT
        return first, second, Values(texts, codes)
    return _coded_numbers(invoked, returned)


def _coded_numbers(invoked: Column, returned: Column) -> tuple[Int64, Int64, Values]:
    both = np.concatenate([invoked.values, returned.values])
    present = np.concatenate([invoked.present, returned.present])
    used = both[present]
    if len(used) and int(used.min()) >= 0 and int(used.max()) < 4 * len(both):
        # Small numbers are their own codes: sorting a million of them costs more than the rest of the check.
        numbers: Sequence[int] | Int64 = range(int(used.max()) + 1)
        codes = np.where(present, both + 1, ABSENT)
    else:
        numbers, of = np.unique(used, return_inverse=True)
        codes = np.zeros(len(both), np.int64)
        codes[present] = of + 1
    return codes[: len(invoked)], codes[len(invoked) :], Values(["null"], {}, numbers)
