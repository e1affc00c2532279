"""Vector clocks written as JSON objects, read in bulk: ``{"n1": 3, "n2": 1}``, also with escaped quotes."""

from __future__ import annotations

from typing import Any

from tracekit.kernels.engine import kernel

Array = Any


@kernel
def blank(text: Array, i: int, end: int) -> int:
    """The place behind blanks."""
    while i < end and (text[i] == 32 or 9 <= text[i] <= 13):
        i += 1
    return i


@kernel
def name_number(text: Array, start: int, end: int, table: Array, names_out: Array, known: int) -> int:
    """The number of a name among the `known` ones, or `known` where it is new (and is noted); -1: no room.

    table: int64, a power of two in length and more than twice as long as `names_out`: numbers + 1 by hash, open
    addressing, 0: free.
    """
    size = len(table)
    place = 5381
    for i in range(start, end):
        place = (place * 33 + text[i]) & 0xFFFFFFF
    place &= size - 1
    while table[place] > 0:
        k = table[place] - 1
        length = names_out[k, 1] - names_out[k, 0]
        i = 0
        while length == end - start and i < length and text[names_out[k, 0] + i] == text[start + i]:
            i += 1
        if length == end - start and i == length:
            return int(k)
        place = (place + 1) & (size - 1)
    if known == len(names_out):
        return -1
    table[place] = known + 1
    names_out[known, 0], names_out[known, 1] = start, end
    return known


@kernel
def json_clocks(
    text: Array,
    spans: Array,
    table: Array,
    names_out: Array,
    name_out: Array,
    value_out: Array,
    end_out: Array,
    bad_out: Array,
) -> int:
    """The entries of each clock, back to back; how many different names they have, or -1: more than `names_out` holds.

    Parameters
    ----------
    text: uint8. spans: int64, shape (n, 2): where each clock stands.
    table, names_out: see `name_number`; the table comes zeroed.
    name_out, value_out: int64, with room for as many entries as the text has colons.
    end_out: int64, shape (n,): the number of entries of this clock and of all before it.
    bad_out: bool, shape (n,): true for what is not an object of numbers, or is written unusually; it has no entries.
    """
    known, count = 0, 0
    for row in range(len(spans)):
        first = count
        i, end = int(spans[row, 0]), int(spans[row, 1])
        i = blank(text, i, end)
        good = i < end and text[i] == 123
        i = blank(text, i + 1, end)
        closed = good and i < end and text[i] == 125
        i = i + 1 if closed else i
        while good and not closed:
            escaped = i < end and text[i] == 92
            i = i + 1 if escaped else i
            start = i + 1
            good = i < end and text[i] == 34
            i = start
            while i < end and text[i] != 34 and text[i] != 92:
                i += 1
            stop = i
            i = i + 1 if escaped else i
            good = good and i < end and text[i] == 34 and (not escaped or text[i - 1] == 92)
            i = blank(text, i + 1, end)
            good = good and i < end and text[i] == 58
            i = blank(text, i + 1, end)
            digits, value = i, 0
            while i < end and 48 <= text[i] <= 57 and i - digits < 19:
                value = value * 10 + (int(text[i]) - 48) if i - digits < 18 else value
                i += 1
            good = good and 0 < i - digits < 19
            i = blank(text, i, end)
            good = good and i < end and (text[i] == 44 or text[i] == 125)
            if not good:
                break
            closed = text[i] == 125
            i = i + 1 if closed else blank(text, i + 1, end)
            number = name_number(text, start, stop, table, names_out, known)
            if number < 0:
                return -1
            known = max(known, number + 1)
            name_out[count] = number
            value_out[count] = value
            count += 1
        good = good and blank(text, i, end) == end
        bad_out[row] = not good
        count = count if good else first
        end_out[row] = count
    return known
