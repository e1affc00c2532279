"""Models of one value: an operation is a guarded assignment.

It may happen where the value fits its guard, and then leaves the value alone, replaces it, or appends to it. That is
all that a search has to know of them, and `assignments_of` states it once, for whole columns.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from tracekit.history.models.actions import ANY, COMPUTED, Actions
from tracekit.history.models.model import Model
from tracekit.history.models.values import ABSENT, Values, coded
from tracekit.history.operations import Operations, Outcome

Int64 = NDArray[np.int64]
Bool = NDArray[np.bool_]

_REGISTER = {"read": "read", "get": "read", "write": "write", "put": "write"}

ASSIGNMENTS = (
    Model(
        "register",
        "one value: read, write",
        _REGISTER,
        values="write: the value; read answers it, null before the first write",
    ),
    Model(
        "cas-register",
        "one value: read, write, compare-and-set",
        _REGISTER | {"cas": "cas"},
        values="as register; cas: [old,new]",
    ),
    Model(
        "kv",
        'a value per key: get, put, append, compare-and-set; an absent key reads as null or as ""',
        _REGISTER | {"cas": "cas", "append": "append"},
        keyed=True,
        empty_is_absent=True,
        values="as cas-register, at the key of the column `key`; append: text that goes behind the value",
    ),
)
"""Smallest first: where several cover a history they agree on it, and the first one is taken."""

FUNCTIONS = ("read", "write", "cas", "append")
READ, WRITE, CAS, APPEND = range(4)


def functions_of(operations: Operations, model: Model) -> NDArray[np.int8]:
    """int8, shape (m,): index into `FUNCTIONS` of each operation, -1 where the model has no such operation."""
    column = operations.f
    if column is None or column.texts is None:
        return np.full(len(operations), -1, np.int8)
    names = [None if model.make else model.canonical(t) for t in column.texts.to_pylist()]
    table = [-1 if name is None else FUNCTIONS.index(name) for name in names]
    return np.array([*table, -1], np.int8)[np.where(column.present, column.values, -1)]


def assignments_of(operations: Operations, model: Model, *, fail_asserts: bool, nil_any: bool) -> Actions:
    """Every operation as a guarded assignment. O(m), and a loop over the distinct arguments of `cas`.

    Left out, because they change nothing and demand nothing: operations that failed (but for a `cas` under
    ``fail=asserts``: the value differed), reads without an answer, and reads of nil under ``nil=any``.
    """
    function = functions_of(operations, model)
    outcome = operations.outcome
    invoked, returned, values = coded(operations)
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
    effect[append], argument[append] = COMPUTED, written[append]
    distinct, of = np.unique(written[append], return_inverse=True)
    wrong[append] |= ~np.array([values.is_text(int(code)) for code in distinct], np.bool_)[of]
    cas = (function == CAS) & ((outcome != Outcome.FAIL) | fail_asserts)
    wrong |= _cas(values, cas, outcome, (written, invoked, returned), (equals, differs, effect))
    kept = (read & ~(nil_any & (returned == ABSENT))) | write | append | cas
    wrong &= kept & (outcome != Outcome.FAIL) & ~lost
    lost &= write | append | ((function == CAS) & (outcome != Outcome.FAIL))
    wrong |= (function < 0) & (outcome != Outcome.FAIL)
    where = np.flatnonzero(kept & ~wrong & ~lost)
    or_equals = np.full(n, ANY, np.int64)
    if model.empty_is_absent and '""' in values.codes:
        or_equals[equals == values.codes['""']] = ABSENT
    if append.any():
        values = values.demanding(np.unique(np.concatenate([equals[where], differs[where]])).tolist())
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
