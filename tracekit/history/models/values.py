"""Values of operations as small integers, and as Python values where a step function looks at them."""

from __future__ import annotations

import bisect
import json
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn

import numpy as np
import orjson
from numpy.typing import NDArray

from tracekit.history.operations import Operations
from tracekit.trace.columns import Column

Int64 = NDArray[np.int64]

ABSENT = 0
"""Code of the value that nobody wrote: nil, null, an absent key."""


class Record(dict[str, Any]):
    """A JSON object that may be part of a state: it has a hash, and nobody may change it."""

    def __hash__(self) -> int:  # type: ignore[override]  # a dict has none, for it may change
        return hash(frozenset(self.items()))

    def _frozen(self, *arguments: Any, **named: Any) -> NoReturn:
        raise TypeError("values are never changed: build a new one, Record({**old, key: value})")

    __setitem__ = __delitem__ = update = pop = popitem = setdefault = clear = _frozen


def decoded(text: str) -> Hashable:
    """A value as Python has it: arrays as tuples, objects as `Record`; text that is no JSON as itself."""
    try:
        return frozen(json.loads(text))
    except (ValueError, RecursionError):
        return text


def frozen(value: Any) -> Hashable:
    """A JSON value with tuples for lists and a `Record` for each object."""
    if isinstance(value, list | tuple):
        return tuple(frozen(member) for member in value)
    if isinstance(value, dict):
        return Record({name: frozen(member) for name, member in value.items()})
    return value  # type: ignore[no-any-return]


def only_itself(state: Any) -> bool:
    """Whether a state is an object with attributes that is compared by identity: a step could change it unnoticed."""
    kind: Any = type(state)
    return kind.__hash__ is object.__hash__ and not isinstance(state, type) and bool(getattr(state, "__dict__", None))


def shown(value: Any) -> str:
    """How a value reads in a sentence: ``nil``, ``3``, ``"x"``, ``[1,2]``."""
    if value is None:
        return "nil"
    try:
        return orjson.dumps(value).decode()
    except TypeError:
        return repr(value)


@dataclass(frozen=True, eq=False)
class Values:
    """Values as small integers; `ABSENT` is the value that nobody wrote.

    Attributes
    ----------
    texts: canonical JSON text by code, ``null`` first; only that where values are numbers.
    codes: the other way round; empty where values are numbers.
    numbers: where values are numbers, the one of code c is ``numbers[c - 1]``.
    demanded: where texts are appended to, the texts that some operation looks for, sorted; None: it may be any.
    unseen: the code that stands for all texts that none of these begins with, once there is one.
    """

    texts: list[str]
    codes: dict[str, int]
    numbers: Sequence[int] | Int64 | None = None
    demanded: Sequence[str] | None = None
    unseen: list[int] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.texts) if self.numbers is None else len(self.numbers) + 1

    def text(self, code: int) -> str:
        """How a value reads: ``3``, ``"x"``, ``nil``."""
        if code == ABSENT:
            return "nil"
        return self.texts[code] if self.numbers is None else str(self.numbers[code - 1])

    def value(self, code: int) -> Hashable:
        """The value as Python has it, see `decoded`; None for `ABSENT`."""
        if code == ABSENT:
            return None
        return decoded(self.texts[code]) if self.numbers is None else int(self.numbers[code - 1])

    def code(self, text: str) -> int:
        """The code of a canonical text, a new one where it is new."""
        found = self.codes.get(text)
        if found is None:
            found = self.codes[text] = len(self.texts)
            self.texts.append(text)
        return found

    def successors(self, state: int, argument: int) -> tuple[int, ...]:
        """The value after an append; none where the old value is no string.

        A text with which nothing begins that anybody looks for stays so, however much is appended: all of them are one
        value. Else n pairs of appends at once would leave 2^n texts, until somebody reads.
        """
        if state in self.unseen:
            return (state,)
        if state != ABSENT and not self.is_text(state):
            return ()
        old = "" if state == ABSENT else orjson.loads(self.texts[state])
        new = old + orjson.loads(self.texts[argument])
        if self.demanded is not None:
            place = bisect.bisect_left(self.demanded, new)
            if place == len(self.demanded) or not self.demanded[place].startswith(new):
                return (self._unseen(),)
        return (self.code(orjson.dumps(new).decode()),)

    def _unseen(self) -> int:
        if not self.unseen:
            self.unseen.append(len(self.texts))
            self.texts.append("a text that no read answered")  # no value of a trace has this code
        return self.unseen[0]

    def demanding(self, codes: Iterable[int]) -> Values:
        """The same values, of which operations look for these."""
        texts = sorted({orjson.loads(self.texts[code]) for code in codes if code > 0 and self.is_text(code)})
        return replace(self, demanded=texts)

    def refusal(self, state: int, argument: int) -> str:
        """Why an append cannot happen at a value."""
        return f"{self.text(state)} is no string"

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


def coded(operations: Operations) -> tuple[Int64, Int64, Values]:
    """Invoked and returned values as codes, and what the codes mean. O(m)."""
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
