"""The built-in objects that are more than one value: counter, set, queue, stack, priority queue, locks, registers, log.

Members of containers are compared as JSON values are: 1, true and 1.0 are three of them (`_member`).
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Mapping
from typing import Any

from tracekit.history.models.model import UNKNOWN, Model, Refused, Specification, Unknown
from tracekit.history.models.values import Record, shown


def _member(value: Any) -> Any:
    """The value so that only equal JSON values are equal: in Python, 1 equals true and 1.0."""
    if value is None or type(value) in (int, str):
        return value
    return value if value is UNKNOWN else (type(value).__name__, shown(value))


def _text(member: Any) -> str:
    return str(member[1]) if isinstance(member, tuple) else shown(member)


def _list(members: Any) -> str:
    texts = [_text(member) for member in members]
    return "empty" if not texts else ", ".join(texts[:8]) + (f" and {len(texts) - 8} more" if len(texts) > 8 else "")


def _number(value: Any) -> bool:
    return type(value) is int


def _number_or_null(value: Any) -> bool:
    return value is None or _number(value)


def _list_or_null(value: Any) -> bool:
    return value is None or isinstance(value, tuple)


def _flag(value: Any) -> bool:
    return type(value) is bool


def _record(value: Any) -> bool:
    return isinstance(value, Record)


def _counter(state: int, f: str, argument: Any, answer: Any) -> Any:
    if f == "read":
        return state if answer is UNKNOWN or answer == state else Refused(f"the counter was {state}")
    by = 1 if argument is None else argument
    return state - by if f == "decrement" else state + by


def _set(state: frozenset[Any], f: str, argument: Any, answer: Any) -> Any:
    if f == "read":
        if answer is UNKNOWN or (answer is None and not state):
            return state
        if answer is not None and frozenset(map(_member, answer)) == state and len(answer) == len(state):
            return state
        if answer is not None and len(set(map(_member, answer))) < len(answer):
            return Refused("a set has no member twice")
        return Refused(f"the set was {_list(sorted(state, key=str))}")
    member = _member(argument)
    there = member in state
    if f == "contains":
        return state if answer is UNKNOWN or answer is there else Refused(_where(member, there))
    # Java's sets say whether they changed; Jepsen's clients repeat the argument, which says nothing.
    if type(answer) is bool and type(argument) is not bool and answer is not ((f == "add") is not there):
        return Refused(_where(member, there))
    return state | {member} if f == "add" else state - {member}


def _where(member: Any, there: bool) -> str:
    return f"{_text(member)} was {'' if there else 'not '}in the set"


def _queue(state: tuple[Any, ...], f: str, argument: Any, answer: Any) -> Any:
    if f == "enqueue":
        return (*state, _member(argument))
    if not state:
        return state if answer is UNKNOWN or answer is None else Refused("the queue was empty")
    if answer is not UNKNOWN and (answer is None or _member(answer) != state[0]):
        return Refused(f"the head was {_text(state[0])}")
    return state if f == "peek" else state[1:]


def _stack(state: tuple[Any, ...], f: str, argument: Any, answer: Any) -> Any:
    if f == "push":
        return (*state, _member(argument))
    if not state:
        return state if answer is UNKNOWN or answer is None else Refused("the stack was empty")
    if answer is not UNKNOWN and (answer is None or _member(answer) != state[-1]):
        return Refused(f"the top was {_text(state[-1])}")
    return state if f == "peek" else state[:-1]


def _priority_queue(options: Mapping[str, str]) -> Specification:
    largest = options["order"] == "max"

    def step(state: tuple[int, ...], f: str, argument: Any, answer: Any) -> Any:
        """States are sorted, so that the order of insertions leaves no trace."""
        if f == "insert":
            place = bisect.bisect_left(state, argument)
            return (*state[:place], argument, *state[place:])
        if not state:
            return state if answer is UNKNOWN or answer is None else Refused("the priority queue was empty")
        first = state[-1] if largest else state[0]
        if answer is not UNKNOWN and answer != first:
            return Refused(f"the {'largest' if largest else 'smallest'} was {first}")
        return state if f == "peek" else (state[:-1] if largest else state[1:])

    answers = dict.fromkeys(("poll", "peek"), _number_or_null)
    return Specification((), step, frozenset({"peek"}), frozenset({"insert"}), {"insert": _number}, answers, _list)


def _semaphore(options: Mapping[str, str]) -> Specification:
    permits = int(options.get("permits", "1"))

    def step(taken: int, f: str, argument: Any, answer: Any) -> Any:
        """State: how many permits are taken. An answer of false says that there was none."""
        if f == "acquire":
            if answer is False:
                return taken if taken == permits else Refused(f"{permits - taken} of {permits} permits were free")
            free = taken < permits
            return taken + 1 if free else (taken if answer is UNKNOWN else Refused(_held(permits)))
        if taken:
            return taken - 1
        return taken if answer is UNKNOWN else Refused("nobody held it")

    def describe(taken: int) -> str:
        return ("held" if taken else "free") if permits == 1 else f"{taken} of {permits} permits taken"

    return Specification(0, step, describe=describe)


def _held(permits: int) -> str:
    return "it was held" if permits == 1 else f"all {permits} permits were taken"


def _multi_register(state: Record, f: str, argument: Any, answer: Any) -> Any:
    if f == "write":
        kept = {name: _member(value) for name, value in argument.items() if value is not None}
        return Record({n: v for n, v in state.items() if n not in argument} | kept)
    if isinstance(answer, Unknown):
        return state
    for name, value in answer.items():
        if state.get(name) != _member(value):
            return Refused(f"{name} was {_text(state.get(name))}")
    return state


def _log(answers: Iterable[Any]) -> Specification:
    """States are the beginnings of lists that reads answered, and one for all others: no read tells those apart.

    Else n pairs of entries appended at once would leave 2^n logs, until somebody reads.
    """
    nodes: dict[tuple[int, Any], int] = {}
    path: list[tuple[int, Any]] = [(-1, None)]
    lists: dict[tuple[Any, ...], int] = {}
    for answer in answers:
        if isinstance(answer, tuple):
            node, members = 0, tuple(map(_member, answer))
            for member in members:
                if (node, member) not in nodes:
                    nodes[node, member] = len(path)
                    path.append((node, member))
                node = nodes[node, member]
            lists[members] = node

    def step(state: int, f: str, argument: Any, answer: Any) -> Any:
        if f == "append":
            return nodes.get((state, _member(argument)), UNSEEN)
        if answer is UNKNOWN or (answer is None and state == 0):
            return state
        if isinstance(answer, tuple) and lists.get(tuple(map(_member, answer))) == state:
            return state
        return Refused(f"the log was {describe(state)}")

    def describe(state: int) -> str:
        if state == UNSEEN:
            return "one that no read answered"
        members = []
        while state:
            state, member = path[state]
            members.append(member)
        return _list(members[::-1])

    answers = {"read": _list_or_null}
    return Specification(0, step, frozenset({"read"}), frozenset({"append"}), {}, answers, describe, _log)


UNSEEN = -1
"""The state of a log that is the beginning of no list that a read answered."""


def _fixed(specification: Specification) -> Any:
    return lambda options: specification


def _names(*canonical: str, **others: str) -> dict[str, str]:
    return {name: name for name in canonical} | others


OBJECTS = (
    Model(
        "counter",
        "a number, 0 at first: inc, dec, add, read",
        _names("read", "add", "increment", "decrement", get="read", inc="increment", dec="decrement"),
        keyed=True,
        make=_fixed(
            Specification(
                0, _counter, frozenset({"read"}), frozenset({"add"}),
                {"add": _number, "increment": _number_or_null, "decrement": _number_or_null}, {"read": _number},
            )
        ),
        values="inc and dec: null (by 1) or a whole number; add: a whole number; read answers the number",
    ),
    Model(
        "set",
        "a set, empty at first: add, remove, contains, read",
        _names("add", "remove", "contains", "read", get="read"),
        keyed=True,
        make=_fixed(
            Specification(
                frozenset(), _set, frozenset({"read", "contains"}), frozenset({"add", "remove", "contains"}),
                {}, {"read": _list_or_null, "contains": _flag}, lambda state: _list(sorted(state, key=str)),
            )
        ),
        values="the member; contains answers true or false; add and remove may answer whether they changed the set; "
        "read answers the list of members in any order",
    ),
    Model(
        "queue",
        "first in, first out: enqueue, dequeue, peek",
        _names("enqueue", "dequeue", "peek", enq="enqueue", deq="dequeue"),
        keyed=True,
        make=_fixed(Specification((), _queue, frozenset({"peek"}), frozenset({"enqueue"}), describe=_list)),
        values="enqueue: the member; dequeue and peek answer it, or null where the queue was empty",
    ),
    Model(
        "stack",
        "last in, first out: push, pop, peek",
        _names("push", "pop", "peek", top="peek"),
        keyed=True,
        make=_fixed(
            Specification((), _stack, frozenset({"peek"}), frozenset({"push"}), describe=lambda s: _list(s[::-1]))
        ),
        values="push: the member; pop and peek answer it, or null where the stack was empty",
    ),
    Model(
        "priority-queue",
        "the smallest (order=max: largest) first: insert, poll, peek",
        _names("insert", "poll", "peek"),
        keyed=True,
        options={"order": ("min", "max")},
        make=_priority_queue,
        values="insert: a whole number; poll and peek answer it, or null where the queue was empty",
    ),
    Model(
        "mutex",
        "a lock, free at first: acquire, release",
        _names("acquire", "release", lock="acquire", unlock="release"),
        keyed=True,
        make=_semaphore,
        valued=False,
        values="none; acquire may answer false: it was held. Who holds it does not matter here",
    ),
    Model(
        "semaphore",
        "permits=N permits: acquire, release",
        _names("acquire", "release"),
        keyed=True,
        options={"permits": ("1",)},
        make=_semaphore,
        valued=False,
        inferred=False,
        values="none; acquire may answer false: all permits were taken",
    ),
    Model(
        "multi-register",
        "several registers, read and written together: read, write",
        _names("read", "write", get="read", put="write"),
        keyed=True,
        make=_fixed(
            Specification(
                Record(), _multi_register, frozenset({"read"}), frozenset({"write"}), {"write": _record},
                {"read": _record},
            )
        ),
        inferred=False,
        values='write: an object {"x":1,"y":2}; read answers one; a register that nobody wrote is null',
    ),
    Model(
        "log",
        "an append-only log: append, read",
        _names("append", "read"),
        keyed=True,
        make=_fixed(_log(())),
        values="append: the entry; read answers the list of all entries so far",
    ),
)  # fmt: skip
