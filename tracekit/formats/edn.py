"""EDN (extensible data notation, github.com/edn-format/edn) as Python values and as canonical JSON.

Complete and unhurried: what a bulk scanner cannot do, and what is written by hand, ends up here.
"""

from __future__ import annotations

import json
import math
import re
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Any, NamedTuple

MAX_DEPTH = 100
"""Deeper nesting is refused: no history has it, and whoever walks the value would exhaust the stack."""


class EdnError(ValueError):
    """The text is not EDN, or cannot be expressed as JSON; the message says why."""


class Keyword(str):
    """``:ok``, without the colon."""

    __slots__ = ()


class Symbol(str):
    """``foo/bar``."""

    __slots__ = ()


class Tagged(NamedTuple):
    """``#inst "2020"``: a tag and the value behind it."""

    tag: str
    value: Any


class _Frame(NamedTuple):
    opened: str
    items: list[Any]


_SPACE = re.compile(r"(?:[\s,]+|;[^\n]*)*")
_TOKEN = re.compile(
    r"""(?P<open>\#?\{|\(|\[)
    |(?P<close>[)\]}])
    |(?P<string>"[^"\\]*(?:\\.[^"\\]*)*")
    |(?P<discard>\#_)
    |(?P<symbolic>\#\#(?:Inf|-Inf|NaN)(?=[\s,;"()\[\]{}]|$))
    |\#(?P<tag>[A-Za-z][^\s,;"()\[\]{}\\#]*)
    |\\(?P<char>newline|return|space|tab|formfeed|backspace|u[0-9A-Fa-f]{4}|[^\s])(?=[\s,;"()\[\]{}]|$)
    |(?P<atom>[^\s,;"()\[\]{}\\\#@^`~][^\s,;"()\[\]{}\\@^`~]*)""",
    re.VERBOSE | re.DOTALL,
)
_INTEGER = re.compile(r"[+-]?(?:0|[1-9][0-9]*)N?")
_FLOAT = re.compile(r"[+-]?(?:0|[1-9][0-9]*)(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?M?")
_RATIO = re.compile(r"([+-]?[0-9]+)/([0-9]+)")
_NAME = re.compile(r"(?![+-]?[0-9])[\w.*+!\-?$%&=<>/][^\s\\]*")
_CLOSING = {"(": ")", "[": "]", "{": "}", "#{": "}"}
_CHARS = {"newline": "\n", "return": "\r", "space": " ", "tab": "\t", "formfeed": "\f", "backspace": "\b"}
_ESCAPES = {"t": "\t", "r": "\r", "n": "\n", "b": "\b", "f": "\f", '"': '"', "\\": "\\"}
_ESCAPE = re.compile(r"\\(u[0-9A-Fa-f]{4}|.)", re.DOTALL)
_SYMBOLIC = {"##Inf": math.inf, "##-Inf": -math.inf, "##NaN": math.nan}
_WORDS = {"nil": None, "true": True, "false": False}


def parse(text: str) -> Any:
    """The one form that the text consists of.

    Lists and vectors come as ``list``, sets as ``frozenset``-like ``Tagged("#", list)``, maps as lists of pairs in
    ``Tagged("{", ...)``: EDN's keys need not be hashable in Python. Linear time.

    Raises
    ------
    EdnError: not one form, or nested deeper than `MAX_DEPTH`.
    """
    value, end = read(text, 0)
    if skip_space(text, end) != len(text):
        raise EdnError("more than one form")
    return value


def skip_space(text: str, position: int) -> int:
    """The place behind blanks, commas and comments."""
    match = _SPACE.match(text, position)
    return match.end() if match else position


def read(text: str, position: int) -> tuple[Any, int]:
    """The form at `position` and the place behind it. Raises EdnError."""
    root: list[Any] = []
    stack = [_Frame("", root)]
    while not root:
        position = skip_space(text, position)
        match = _TOKEN.match(text, position)
        if match is None:
            raise EdnError("the text ends inside a form" if position >= len(text) else "no form begins here")
        position = match.end()
        group, token = str(match.lastgroup), match[str(match.lastgroup)]
        if group in ("open", "discard", "tag"):
            if len(stack) > MAX_DEPTH:
                raise EdnError(f"nested deeper than {MAX_DEPTH}")
            stack.append(_Frame(token if group == "open" else "#_" if group == "discard" else f"#{token}", []))
        elif group == "close":
            frame = stack.pop()
            if not stack or _CLOSING.get(frame.opened) != token:
                raise EdnError(f"a {token} that closes nothing")
            _deliver(stack, _collection(frame))
        else:
            _deliver(stack, _leaf(group, token))
    return root[0], position


def _deliver(stack: list[_Frame], value: Any) -> None:
    """Hands a finished form to whatever waits for it: a collection, a tag or a discard."""
    while stack[-1].opened.startswith("#") and stack[-1].opened != "#{":
        prefix = stack.pop().opened
        if prefix == "#_":
            return
        value = Tagged(prefix[1:], value)
    stack[-1].items.append(value)


def _collection(frame: _Frame) -> Any:
    if frame.opened == "#{":
        return Tagged("{}", frame.items)
    if frame.opened != "{":
        return frame.items
    if len(frame.items) % 2:
        raise EdnError("a map has a key without a value")
    return Tagged("{", list(zip(frame.items[::2], frame.items[1::2], strict=True)))


def _leaf(group: str, token: str) -> Any:
    if group == "string":
        return _ESCAPE.sub(_unescape, token[1:-1]) if "\\" in token else token[1:-1]
    if group == "symbolic":
        return _SYMBOLIC[token]
    if group == "char":
        return _CHARS.get(token) or (chr(int(token[1:], 16)) if len(token) == 5 else token)
    return _atom(token)


def _unescape(match: re.Match[str]) -> str:
    escape = match[1]
    if len(escape) == 5:
        return chr(int(escape[1:], 16))
    if escape not in _ESCAPES:
        raise EdnError(f"no string has the escape \\{escape}")
    return _ESCAPES[escape]


def _atom(token: str) -> Any:
    if token in _WORDS:
        return _WORDS[token]
    if token[0] == ":" and len(token) > 1 and token[1] != ":":
        return Keyword(token[1:])
    try:
        if _INTEGER.fullmatch(token):
            return int(token.rstrip("N"))
        if _FLOAT.fullmatch(token):
            return Decimal(token[:-1]) if token.endswith("M") else float(token)
        ratio = _RATIO.fullmatch(token)
        if ratio:
            return Fraction(int(ratio[1]), int(ratio[2]))
    except (ValueError, ZeroDivisionError, InvalidOperation):
        raise EdnError("a number that is too long or divides by zero") from None
    if _NAME.fullmatch(token):
        return Symbol(token)
    raise EdnError(f"{token[:40]} is neither a number nor a name")


def is_map(value: Any) -> bool:
    """Whether a parsed form is a map."""
    return isinstance(value, Tagged) and value.tag == "{"


def to_json(value: Any) -> str:
    """A parsed form as canonical JSON: no blanks, keys sorted, sets sorted, keywords and symbols as strings.

    Raises
    ------
    EdnError: two keys of a map become the same JSON key.
    """
    return dumps(_plain(value))


def dumps(value: Any) -> str:
    """Plain values as canonical JSON."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, Tagged):
        return _plain_tagged(value)
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Fraction):
        return str(value) if value.denominator != 1 else value.numerator
    if isinstance(value, Decimal):
        near = float(value)
        return near if math.isfinite(near) and Decimal(repr(near)) == value else str(value)
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()  # an escape may have named half of a surrogate pair
    return value


def _plain_tagged(value: Tagged) -> Any:
    if value.tag == "{":
        plain = {_key(key): _plain(item) for key, item in value.value}
        if len(plain) != len(value.value):
            raise EdnError("two keys of a map are the same in JSON")
        return plain
    if value.tag == "{}":
        return sorted((_plain(item) for item in value.value), key=dumps)
    if value.tag in ("inst", "uuid") or value.tag.startswith("jepsen."):
        return _plain(value.value)
    return {f"#{value.tag}": _plain(value.value)}


def _key(key: Any) -> str:
    plain = _plain(key)
    return plain if isinstance(plain, str) else dumps(plain)


def plain_map(value: Any) -> str:
    """A map as EDN on one line, without discards or comments, every key a keyword or string. EdnError: not a map."""
    if not is_map(value):
        raise EdnError("not a map")
    return "{" + ", ".join(f"{_write_key(_key(key))} {_write(item)}" for key, item in value.value) + "}"


def _write_key(key: str) -> str:
    return f":{key}" if re.fullmatch(r"[A-Za-z][\w./-]*", key) else dumps(key)


def _write(value: Any) -> str:
    if isinstance(value, Tagged):
        if value.tag == "{":
            return "{" + ", ".join(f"{_write(key)} {_write(item)}" for key, item in value.value) + "}"
        return ("#{" + _write(value.value)[1:-1] + "}") if value.tag == "{}" else f"#{value.tag} {_write(value.value)}"
    if isinstance(value, list):
        return "[" + " ".join(_write(item) for item in value) + "]"
    if isinstance(value, Keyword | Symbol | Decimal | Fraction):
        return f":{value}" if isinstance(value, Keyword) else f"{value}M" if isinstance(value, Decimal) else str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return "##NaN" if math.isnan(value) else "##Inf" if value > 0 else "##-Inf"
    return "nil" if value is None else json.dumps(value)
