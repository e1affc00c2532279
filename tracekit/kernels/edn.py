"""Scanning maps of EDN or JSON in bulk: where each key and value stands, and values as canonical JSON.

Works on bytes. What is unusual (tags, discards, characters, floats, escapes, maps as values) is marked and left to a
complete parser. With `json` set, ``:`` separates and ``;`` is no comment. Every function goes forward only: O(bytes).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tracekit.kernels.engine import kernel

MAX_DEPTH = 100
MAX_KEYS = 62
MAX_PAIRS = 256

GOOD, UNUSUAL, NO_MAP, UNCLOSED, ODD, TWICE, TOO_MANY = range(7)
"""What became of a top-level form."""

NULL, INTEGER, TEXT, OTHER = range(4)
"""What a value is; OTHER: for the complete parser."""

Array = Any


@kernel
def skip_blank(text: Array, i: int, end: int, json: int) -> int:
    """The place behind blanks, separators and comments."""
    while i < end:
        c = text[i]
        if c == 32 or c == 44 or 9 <= c <= 13 or (json and c == 58):
            i += 1
        elif c == 59 and not json:
            while i < end and text[i] != 10:
                i += 1
        else:
            break
    return i


@kernel
def skip_atom(text: Array, i: int, end: int, json: int) -> int:
    """The place behind a number, name or keyword; at least one byte is taken."""
    i += 1
    while i < end:
        c = text[i]
        if c <= 32 or c == 44 or c == 34 or c == 40 or c == 41 or c == 91 or c == 93 or c == 123 or c == 125:
            break
        if (c == 58 and json) or (c == 59 and not json):
            break
        i += 1
    return i


@kernel
def skip_string(text: Array, i: int, end: int) -> int:
    """The place behind a string that begins at `i`; ``~place`` where the text ends inside it."""
    i += 1
    while i < end:
        c = text[i]
        if c == 34:
            return i + 1
        i += 2 if c == 92 else 1
    return ~end


@kernel
def skip_form(text: Array, i: int, end: int, json: int, stack: Array) -> int:
    """The place behind the form at `i`; ``~place`` where no whole form stands there."""
    depth = 0
    while True:
        i = skip_blank(text, i, end, json)
        if i >= end:
            return ~end
        c = text[i]
        if c == 123 or c == 91 or c == 40:
            if depth == MAX_DEPTH:
                return ~i
            stack[depth] = 41 if c == 40 else c + 2
            depth += 1
            i += 1
            continue
        if c == 125 or c == 93 or c == 41:
            if depth == 0 or stack[depth - 1] != c:
                return ~i
            depth -= 1
            i += 1
        elif c == 34:
            i = skip_string(text, i, end)
            if i < 0:
                return i
        elif c == 35 and not json:
            # A tag or a discard belongs to the form behind it; of #{ only the brace matters here.
            brace = i + 1 < end and text[i + 1] == 123
            i = i + 1 if brace else (i + 2 if i + 1 < end and text[i + 1] == 95 else skip_atom(text, i, end, json))
            continue
        elif c == 92 and not json:
            i = skip_atom(text, min(i + 1, end - 1), end, json)
        else:
            i = skip_atom(text, i, end, json)
        if depth == 0:
            return i


@kernel
def same_bytes(text: Array, a: int, b: int, length: int) -> bool:
    """Whether the text is the same at two places."""
    k = 0
    while k < length and text[a + k] == text[b + k]:
        k += 1
    return k == length


@kernel
def key_number(text: Array, start: int, end: int, guess: int, keys: Array, known: int) -> int:
    """The number of a key among the `known` ones (row k of `keys`: start and end of its first use); -1: a new one."""
    length = end - start
    if guess < known and keys[guess, 1] - keys[guess, 0] == length and same_bytes(text, keys[guess, 0], start, length):
        return guess
    for k in range(known):
        if keys[k, 1] - keys[k, 0] == length and same_bytes(text, keys[k, 0], start, length):
            return k
    return -1


@kernel
def line_end(text: Array, i: int) -> int:
    """The place of the next line feed, or the end."""
    while i < len(text) and text[i] != 10:
        i += 1
    return i


@kernel
def scan_map(
    text: Array, i: int, limit: int, json: int, stack: Array, keys: Array, pairs_out: Array, state: Array
) -> int:
    """The keys and values of the map at `i`; the place behind it, or where reading it failed. See `scan`."""
    known, first, pairs, seen, status = int(state[1]), int(state[3]), int(state[3]), 0, GOOD
    i += 1
    while True:
        start = skip_blank(text, i, limit, json)
        if start >= limit:
            i, status = limit, UNCLOSED
            break
        if text[start] == 125:
            i = start + 1
            break
        stop = skip_form(text, start, limit, json, stack)
        value = skip_blank(text, stop, limit, json) if stop >= 0 else limit
        if stop < 0 or value >= limit or text[value] == 125:
            i, status = (~stop if stop < 0 else value), (ODD if value < limit else UNCLOSED)
            break
        i = skip_form(text, value, limit, json, stack)
        if i < 0:
            i, status = ~i, UNCLOSED
            break
        discard = text[value] == 35 and text[value + 1] == 95
        if discard or (text[start] != 34 and (json or text[start] != 58)):
            status = UNUSUAL
        if status == UNUSUAL:
            continue
        number = key_number(text, start, stop, pairs - first, keys, known)
        if pairs - first == MAX_PAIRS or (number < 0 and known == MAX_KEYS):
            status = TOO_MANY
            break
        if number < 0:
            number = known
            keys[known, 0] = start
            keys[known, 1] = stop
            known += 1
        if seen >> number & 1:
            status = TWICE
            break
        seen |= 1 << number
        pairs_out[pairs, 0] = number
        pairs_out[pairs, 1] = value
        pairs_out[pairs, 2] = i
        pairs += 1
    state[1], state[3], state[5] = known, (pairs if status == GOOD else first), status
    return i


@kernel
def scan(
    text: Array, json: int, one_line: int, stack: Array, keys: Array, ops_out: Array, pairs_out: Array, state: Array
) -> None:
    """Finds the maps at the top of the text (brackets around them do not matter) and their keys and values.

    Stops when the outputs are full; called again, it goes on.

    Parameters
    ----------
    text: uint8. `one_line`: a map ends on the line on which it begins, or is UNCLOSED.
    stack: int64, shape (MAX_DEPTH,), scratch. keys: int64, shape (MAX_KEYS, 2).
    ops_out: int64, shape (m, 4): start, end, first pair, what became of it.
    pairs_out: int64, shape (k, 3), k >= MAX_PAIRS: number of the key, start and end of the value.
    state: int64, shape (6,): place in the text, keys known (both kept between calls), operations, pairs, top-level
        brackets opened less closed (kept), scratch.
    """
    i, ops, end = int(state[0]), 0, len(text)
    state[3] = 0
    while True:
        i = skip_blank(text, i, end, json)
        if i >= end or ops == len(ops_out) or state[3] + MAX_PAIRS > len(pairs_out):
            break
        c = text[i]
        if c == 91 or c == 40:
            state[4] += 1
            i += 1
        elif c == 93 or c == 41:
            state[4] -= 1
            i += 1
        elif c == 35 and not json and i + 1 < end and text[i + 1] == 95:
            i = skip_form(text, i + 2, end, json, stack)
            i = i if i >= 0 else line_end(text, ~i)
        elif c == 35 and not json:
            i = skip_atom(text, i, end, json)
        else:
            ops_out[ops, 0] = i
            ops_out[ops, 2] = state[3]
            if c == 123:
                i = scan_map(text, i, line_end(text, i) if one_line else end, json, stack, keys, pairs_out, state)
            else:
                state[5] = NO_MAP
            i = line_end(text, i) if state[5] > UNUSUAL else i
            ops_out[ops, 1] = i
            ops_out[ops, 3] = state[5]
            ops += 1
    state[0], state[2] = i, ops


@kernel
def integer(text: Array, start: int, end: int) -> bool:
    """Whether the bytes are an integer as JSON writes it, of at most 18 digits."""
    i = start + 1 if text[start] == 45 else start
    if i >= end or end - i > 18 or (text[i] == 48 and (end - i > 1 or i > start)):
        return False
    while i < end:
        if text[i] < 48 or text[i] > 57:
            return False
        i += 1
    return True


@kernel
def plain_string(text: Array, start: int, end: int) -> bool:
    """Whether a string needs no escape in JSON and has none."""
    i = start
    while i < end and text[i] >= 32 and text[i] != 92:
        i += 1
    return i == end


@kernel
def write(text: Array, start: int, end: int, out: Array, o: int) -> int:
    """Copies bytes; the place behind them in `out`."""
    for i in range(start, end):
        out[o] = text[i]
        o += 1
    return o


@kernel
def word(text: Array, start: int, end: int, json: int) -> int:
    """1 for nil (null), 2 for true, 3 for false, else 0."""
    n = end - start
    a, b, c = text[start], text[start + 1 if n > 1 else start], text[end - 1]
    if n == 3 and not json and a == 110 and b == 105 and c == 108:
        return 1
    if n == 4 and text[start + 2] == 108 and json and a == 110 and b == 117 and c == 108:
        return 1
    if n == 4 and a == 116 and b == 114 and text[start + 2] == 117 and c == 101:
        return 2
    if n == 5 and a == 102 and b == 97 and text[start + 2] == 108 and text[start + 3] == 115 and c == 101:
        return 3
    return 0


@kernel
def write_atom(text: Array, start: int, end: int, json: int, out: Array, o: int) -> int:
    """An atom or string as JSON; -1 where it is unusual."""
    c = text[start]
    if c == 34:
        return write(text, start, end, out, o) if plain_string(text, start, end) else -1
    if c == 58 and not json:
        if end - start < 2 or text[start + 1] == 58 or not plain_string(text, start, end):
            return -1
        out[o] = 34
        o = write(text, start + 1, end, out, o + 1)
        out[o] = 34
        return o + 1
    if integer(text, start, end):
        return write(text, start, end, out, o)
    which = word(text, start, end, json)
    if which == 1:
        out[o], out[o + 1], out[o + 2], out[o + 3] = 110, 117, 108, 108
        return o + 4
    return write(text, start, end, out, o) if which else -1


@kernel
def write_value(text: Array, start: int, end: int, json: int, out: Array, o: int, stack: Array) -> int:
    """One value as canonical JSON into `out` from `o` on; the place behind it, -1 where it is unusual."""
    i, depth, comma = start, 0, False
    while i < end:
        i = skip_blank(text, i, end, json)
        if i >= end:
            break
        c = text[i]
        if c == 93 or c == 41:
            out[o] = 93
            o, i, comma, depth = o + 1, i + 1, True, depth - 1
            continue
        if comma:
            out[o] = 44
            o += 1
        if c == 91 or (c == 40 and not json):
            out[o] = 91
            o, i, comma, depth = o + 1, i + 1, False, depth + 1
            continue
        if c == 123 or c == 125 or c == 35 or c == 92 or c == 40:
            return -1
        stop = skip_string(text, i, end) if c == 34 else skip_atom(text, i, end, json)
        if stop < 0:
            return -1
        o = write_atom(text, i, stop, json, out, o)
        if o < 0:
            return -1
        i, comma = stop, True
    return o if depth == 0 else -1


@kernel
def canonical(
    text: Array,
    json: int,
    spans: Array,
    kind_out: Array,
    number_out: Array,
    bytes_out: Array,
    ends_out: Array,
    stack: Array,
) -> int:
    """Values as canonical JSON; the number of those that are text, or -1 where `bytes_out` is too small.

    Parameters
    ----------
    spans: int64, shape (n, 2): start and end of each value; each is one whole form. A negative start: absent (NULL).
    kind_out: int8, shape (n,): NULL, INTEGER, TEXT or OTHER.
    number_out: int64, shape (n,): the INTEGERs.
    bytes_out: uint8, three bytes per byte of the values and 4 more are always enough.
    ends_out: int64, shape (n,): where the k-th TEXT ends in `bytes_out`.
    """
    o, texts = 0, 0
    for row in range(len(spans)):
        start, end = spans[row, 0], spans[row, 1]
        kind_out[row] = NULL
        if start < 0:
            continue
        if integer(text, start, end):
            negative = text[start] == 45
            number = np.int64(0)
            for i in range(start + 1 if negative else start, end):
                number = number * 10 + (np.int64(text[i]) - 48)
            number_out[row] = -number if negative else number
            kind_out[row] = INTEGER
        elif word(text, start, end, json) != 1:
            if o + 3 * (end - start) + 4 > len(bytes_out):
                return -1
            written = write_value(text, start, end, json, bytes_out, o, stack)
            kind_out[row] = OTHER if written < 0 else TEXT
            if written >= 0:
                o = written
                ends_out[texts] = o
                texts += 1
    return texts


@kernel
def elements(text: Array, start: int, end: int, json: int, out: Array, at: int, most: int, stack: Array) -> int:
    """The spans of a vector's elements into rows `at`... of `out`; how many, -1 where no vector or more than `most`."""
    if text[start] != 91 and (json or text[start] != 40):
        return -1
    i, count = start + 1, 0
    while True:
        i = skip_blank(text, i, end, json)
        if i >= end - 1:
            return count
        if count == most or (text[i] == 35 and text[i + 1] == 95):
            return -1
        stop = skip_form(text, i, end - 1, json, stack)
        if stop < 0:
            return -1
        out[at + count, 0] = i
        out[at + count, 1] = stop
        i, count = stop, count + 1


@kernel
def pairs(text: Array, json: int, spans: Array, first_out: Array, second_out: Array, stack: Array) -> None:
    """The spans of both elements of each value that is a vector of two; (-1, -1) for others and for absent ones.

    spans, first_out, second_out: int64, shape (n, 2).
    """
    found = np.empty((2, 2), np.int64)
    for row in range(len(spans)):
        start, end = spans[row, 0], spans[row, 1]
        first_out[row, 0] = first_out[row, 1] = second_out[row, 0] = second_out[row, 1] = -1
        if start >= 0 and elements(text, start, end, json, found, 0, 2, stack) == 2:
            first_out[row, 0], first_out[row, 1] = found[0, 0], found[0, 1]
            second_out[row, 0], second_out[row, 1] = found[1, 0], found[1, 1]


@kernel
def micro_operations(text: Array, json: int, spans: Array, count_out: Array, parts_out: Array, stack: Array) -> int:
    """Values that are lists of ``[f key value]`` or ``[f key]``, taken apart; how many micro-operations, ~n: too many.

    Parameters
    ----------
    spans: int64, shape (n, 2); count_out: int64, shape (n,): micro-operations of each, -1 where it is no such list.
    parts_out: int64, shape (m, 3, 2): spans of f, key and value; a value that is absent has -1.
    """
    total = 0
    for row in range(len(spans)):
        start, end = spans[row, 0], spans[row, 1]
        count_out[row] = -1
        if start < 0 or (text[start] != 91 and (json or text[start] != 40)):
            continue
        i, count = start + 1, 0
        while count >= 0:
            i = skip_blank(text, i, end, json)
            if i >= end - 1:
                break
            if total + count == len(parts_out):
                return ~total
            stop = skip_form(text, i, end - 1, json, stack)
            found = elements(text, i, stop, json, parts_out[total + count], 0, 3, stack) if stop > 0 else -1
            named = found >= 2 and text[parts_out[total + count, 0, 0]] == (34 if json else 58)
            if found == 2:
                parts_out[total + count, 2, 0] = parts_out[total + count, 2, 1] = -1
            i, count = stop, (count + 1 if named else -1)
        if count >= 0:
            count_out[row] = count
            total += count
    return total
