"""What operations do to a value, by columns of their own or by a table of transitions that Python fills in."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tracekit.kernels.engine import kernel

Array = NDArray[np.int64]

# actions: one row an operation. SAME numbers equal actions; REQUIRED: 1 if it certainly took effect; PLAIN: 1 if it may
# happen at any value and leaves one of its own; DEADLINE: the event at which it completes; SLOT: the sweep writes it.
# AFTER: an operation that must have happened before, open longer than this one is not yet; -1: none.
EQUALS, OR_EQUALS, DIFFERS, EFFECT, VALUE, SAME = 0, 1, 2, 3, 4, 5
REQUIRED, PLAIN, DEADLINE, SLOT, AFTER = 6, 7, 8, 9, 10
ACTION = 11

# transitions: a hash table of (state, argument, which of the successors, 2 * successor + 1 where there are more; or
# REFUSED).

STAYS, COMPUTED, KEEPS, REFUSED, UNTABLED = -1, -2, -3, -1, -3
"""Effects that are no values. KEEPS: as STAYS, but the operation takes effect in its turn, like one that changes."""


@kernel
def mixed(a: int, b: int) -> int:
    """A hash of two numbers; shifts only, so that it is the same interpreted and compiled."""
    h = a ^ (b << 21) ^ (b >> 11) ^ (b << 3)
    h ^= (h << 13) & 0x3FFFFFFFFFFFFFFF
    h ^= (h >> 7) & 0x01FFFFFFFFFFFFFF
    h ^= (h << 17) & 0x3FFFFFFFFFFFFFFF
    return h


@kernel
def lookup(transitions: Array, state: int, argument: int, nth: int) -> int:
    """The table's entry for a successor; UNTABLED where Python has to say."""
    size = len(transitions)
    place = mixed(mixed(state, argument), nth) & (size - 1)
    while transitions[place, 0] >= 0:
        if transitions[place, 0] == state and transitions[place, 1] == argument and transitions[place, 2] == nth:
            return int(transitions[place, 3])
        place = (place + 1) & (size - 1)
    return UNTABLED


@kernel
def remember(transitions: Array, state: int, argument: int, nth: int, result: int) -> None:
    """Adds a transition; the table must have room."""
    size = len(transitions)
    place = mixed(mixed(state, argument), nth) & (size - 1)
    while transitions[place, 0] >= 0:
        place = (place + 1) & (size - 1)
    transitions[place, 0] = state
    transitions[place, 1] = argument
    transitions[place, 2] = nth
    transitions[place, 3] = result


@kernel
def fits(actions: Array, op: int, state: int, transitions: Array) -> bool:
    """Whether the operation may happen at this value; an observer that the table judges must be in the table."""
    equals = actions[op, EQUALS]
    if equals >= 0 and state != equals and state != actions[op, OR_EQUALS]:
        return False
    if actions[op, EFFECT] == STAYS and actions[op, VALUE] >= 0:
        return lookup(transitions, state, actions[op, VALUE], 0) >= 0
    return bool(state != actions[op, DIFFERS])


@kernel
def step(actions: Array, op: int, state: int, nth: int, transitions: Array) -> int:
    """Twice the value after the operation, plus 1 where there are more successors; or REFUSED, or UNTABLED."""
    if not fits(actions, op, state, transitions):
        return REFUSED
    effect = actions[op, EFFECT]
    if effect >= 0:
        return 2 * int(effect)
    if effect in (STAYS, KEEPS):
        return 2 * int(state)
    return lookup(transitions, state, actions[op, VALUE], nth)
