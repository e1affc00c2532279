"""Sequential objects as plainly as possible, for the definition of linearizability; nothing shared with the models.

Every object is a function ``after(state, f, argument, answers) -> list of states``; answers is None where nobody knows
the answer, else a list with the one answer. States are plain tuples.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

After = Callable[[Any, str, Any, list[Any] | None], list[Any]]


def fits(answer: Any, answers: list[Any] | None) -> bool:
    return answers is None or (answers[0] == answer and type(answers[0]) is type(answer))


def container(first: str, take: Callable[[tuple[Any, ...]], int]) -> After:
    """take: the place of the member that leaves next."""

    def after(state: tuple[Any, ...], f: str, argument: Any, answers: list[Any] | None) -> list[Any]:
        if f == first:
            return [(*state, argument)]
        answer = state[take(state)] if state else None
        if not fits(answer, answers):
            return []
        if f == "peek" or not state:
            return [state]
        place = take(state)
        return [state[:place] + state[place + 1 :]]

    return after


def counter(state: int, f: str, argument: Any, answers: list[Any] | None) -> list[Any]:
    if f == "read":
        return [state] if fits(state, answers) else []
    return [state + {"inc": 1, "dec": -1}.get(f, 1) * (1 if argument is None else argument)]


def members(state: tuple[Any, ...], f: str, argument: Any, answers: list[Any] | None) -> list[Any]:
    if f == "read":
        return [state] if answers is None or tuple(sorted(answers[0])) == state else []
    if f == "contains":
        return [state] if fits(argument in state, answers) else []
    return [tuple(sorted({*state, argument} if f == "add" else {*state} - {argument}))]


def semaphore(permits: int) -> After:
    def after(taken: int, f: str, argument: Any, answers: list[Any] | None) -> list[Any]:
        if f == "acquire":
            return [taken + 1] if taken < permits else []
        return [taken - 1] if taken else []

    return after


def registers(state: tuple[Any, ...], f: str, argument: Any, answers: list[Any] | None) -> list[Any]:
    values = dict(state)
    if f == "write":
        return [tuple(sorted((values | argument).items()))]
    return [state] if answers is None or all(values.get(k) == v for k, v in answers[0].items()) else []


def log(state: tuple[Any, ...], f: str, argument: Any, answers: list[Any] | None) -> list[Any]:
    if f == "append":
        return [(*state, argument)]
    return [state] if answers is None or tuple(answers[0]) == state else []


OBJECTS: dict[str, tuple[Any, After]] = {
    "counter": (0, counter),
    "set": ((), members),
    "queue": ((), container("enqueue", lambda s: 0)),
    "stack": ((), container("push", lambda s: len(s) - 1)),
    "priority-queue": ((), container("insert", lambda s: s.index(min(s)))),
    "priority-queue:order=max": ((), container("insert", lambda s: s.index(max(s)))),
    "mutex": (0, semaphore(1)),
    "semaphore:permits=2": (0, semaphore(2)),
    "multi-register": ((), registers),
    "log": ((), log),
}
