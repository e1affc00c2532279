"""Regular expressions that come with a file or a mapping, written as in JavaScript or Python."""

from __future__ import annotations

import re
from collections.abc import Collection
from re import _constants, _parser  # type: ignore[attr-defined]  # the only way to look into an expression
from typing import Any

from tracekit.errors import TracekitError

LONGEST = 4000
_LEADING = re.compile(r"(?:\(\?P<\w+>|\()*(\.|\\S|\\w|\\d|\[\^ \])[*+]")
_ENDLESS = (_constants.MAX_REPEAT, _constants.MIN_REPEAT)


def compile_expression(text: str, groups: Collection[str], at: str) -> re.Pattern[bytes]:
    """The expression over UTF-8 bytes; ``^`` and ``$`` mean lines; named groups may be written ``(?<name>...)``.

    Where it begins with a repeated class, a match begins at the start of a run of that class: further right it could
    not succeed where it failed there, and trying so would take quadratic time on long lines.

    Raises
    ------
    TracekitError: TK203 where it cannot be compiled, lacks one of the `groups`, or repeats a repetition without bound,
        for which matching may never end.
    """
    python = re.sub(r"\(\?<(?=[A-Za-z_])", "(?P<", text)
    leading = _LEADING.match(python)
    if leading:
        inside = "[^\\n]" if leading[1] == "." else leading[1]
        python = f"(?<!{inside}){python}"
    try:
        if len(text) > LONGEST:
            raise ValueError(f"longer than {LONGEST} characters")
        pattern = re.compile(python.encode(), re.MULTILINE)
        if _nested(_parser.parse(python.encode(), re.MULTILINE), False):
            raise ValueError("a repetition without bound inside another: matching may never end")
    except (re.error, ValueError, OverflowError, RecursionError) as error:
        raise TracekitError(
            "TK203", "the regular expression cannot be used", at=at, found=text[:200], want=str(error)
        ) from None
    missing = [name for name in groups if name not in pattern.groupindex]
    if missing:
        raise TracekitError(
            "TK203", "the regular expression lacks a named group", at=at, found=text[:200],
            want=", ".join(f"(?<{name}>...)" for name in missing),
        )  # fmt: skip
    return pattern


def _nested(parsed: Any, inside: bool) -> bool:
    """Whether a repetition without bound stands inside another."""
    for operation, argument in parsed:
        endless = operation in _ENDLESS and argument[1] == _constants.MAXREPEAT
        if endless and inside:
            return True
        if any(_nested(part, inside or endless) for part in _parts(argument)):
            return True
    return False


def _parts(argument: Any) -> list[Any]:
    """The expressions inside an operation's argument."""
    if isinstance(argument, _parser.SubPattern):
        return [argument]
    if isinstance(argument, tuple | list):
        return [part for entry in argument for part in _parts(entry)]
    return []
