"""Just-in-time linearization (Lowe 2017, after Wing & Gong 1993) as a breadth-first sweep over the events of a history.

A configuration is what may be true just after an event: the value of the cell, and what became of the operations that
are still open. Each open operation has a slot, a bit in two masks:

    need  it must still take effect, or be answered, before its completion
    free  it may still take effect

An operation takes effect only when a completion forces it: at the completion of operation i, configurations are
extended by sequences of open operations that end with i (for an observer: that end where it is answered). What keeps
the sets small:

* Observers (reads) change nothing, so they are answered as soon as the value fits.
* A plain write hides: any open plain writes may have happened immediately before it, one after the other, each with
  observers that its value answers right behind it. Which of them did is left open: the masks only note that an
  operation was open at such a moment (need is cleared for a plain write; free is set for an observer, where it means
  nothing else). It is settled when one of them completes unused. A write that completes hidden answers every observer
  that was open at that moment, at no cost. An observer that completes unanswered may take a hidden write, which is
  then not free any more. That the last such moment serves all of them: each was open at it, or it would be unmarked.
* A plain write in the middle of a sequence is therefore worth its place only if it lets an operation happen that looks
  at the value; else the next one is a plain write as well, and hides it.
* Of open operations that do the same, the one that completes first goes first (exchange argument).
* Observers whose answer only the table of transitions can judge are answered in the same way; the table has to have
  them before a configuration is written, so nothing is half done when Python has to be asked.
* A configuration with the same value, that needs no more and has no less free than another, can do all that the other
  can. The other is dropped. Only a window of the set is scanned for such a one: dropping is an optimisation.

Memory is that of two sets of configurations over open operations: it does not grow with the length of the history.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tracekit.kernels.engine import kernel

from .linearizability_configurations import (
    AMONG,
    BUCKET,
    HEAD,
    LINK,
    MASKS,
    NODE,
    PLACE,
    VALUE_OF,
    copy_row,
    forget,
    insert,
    prune,
    rehash,
)  # fmt: skip
from .linearizability_transitions import (
    AFTER,
    DEADLINE,
    EFFECT,
    PLAIN,
    REQUIRED,
    SAME,
    SLOT,
    STAYS,
    UNTABLED,
    VALUE,
    fits,
    lookup,
    mixed,
    step,
)  # fmt: skip

Array = NDArray[np.int64]
Branch = tuple[int, int, int, bool]

# progress: where the sweep stands, so that it can be left after any step and resumed. LOOKED: 1 if there are observers
# that the table judges.
KEY, EVENT, SIDE, COUNT, NEXT, QUEUE, STEPS, PENDING = 0, 1, 2, 3, 4, 5, 6, 7
VACANT, LOGGED, STATE, ARGUMENT, STAGE, STAMP, PEAK, SLOTS, WORDS, GIVEN = 8, 9, 10, 11, 12, 13, 14, 15, 16, 17
LOOKED = 18
PROGRESS = 19

# keys: one row a key. FINAL is the log entry of one configuration at the end.
FIRST_EVENT, END_EVENT, INITIAL, VERDICT, FAILED_AT, FINAL = 0, 1, 2, 3, 4, 5

HOLDS, VIOLATED, PAUSED, FULL, MISSING = 1, 2, 3, 4, 5
OVERFLOW = 6
BITS = 62
CROWD = 32
"""Sets of so many configurations are worth a search for ones that later ones make superfluous."""


@kernel
def judged(progress: Array, actions: Array, work: Array, state: int, transitions: Array) -> bool:
    """Whether the table has what every open observer says of a value; if not, what is missing is in STATE, ARGUMENT."""
    if not progress[LOOKED]:
        return True
    for position in range(progress[PENDING]):
        op = work[position]
        if actions[op, EFFECT] == STAYS and lookup(transitions, state, actions[op, VALUE], 0) == UNTABLED:
            progress[STATE] = state
            progress[ARGUMENT] = actions[op, VALUE]
            return False
    return True


@kernel
def place_anew(progress: Array, old: Array, configs: Array) -> None:
    """Moves both sets into larger arrays."""
    words = progress[WORDS]
    for side in range(2):
        count = progress[COUNT] if side == progress[SIDE] else progress[NEXT]
        for row in range(count):
            copy_row(old, side, row, configs, side, row)
            h = old[side, row, VALUE_OF]
            for column in range(MASKS, MASKS + 2 * words):
                h = mixed(h, old[side, row, column])
            size = configs.shape[1]
            place = h & (size - 1)
            while configs[side, place, BUCKET] > 0:
                place = (place + 1) & (size - 1)
            configs[side, place, BUCKET] = row + 1
            configs[side, row, PLACE] = place
            value = configs[side, row, VALUE_OF]
            among = mixed(value, 0) & (size - 1)
            while configs[side, among, HEAD] > 0 and configs[side, configs[side, among, HEAD] - 1, VALUE_OF] != value:
                among = (among + 1) & (size - 1)
            configs[side, row, LINK] = configs[side, among, HEAD]
            configs[side, among, HEAD] = row + 1
            configs[side, row, AMONG] = among


@kernel
def begin(progress: Array, keys: Array, work: Array, configs: Array) -> None:
    """The one configuration before a key's first event."""
    side = progress[SIDE]
    forget(configs, side, progress[COUNT])
    forget(configs, 1 - side, progress[NEXT])
    key = progress[KEY]
    slots = progress[SLOTS]
    for slot in range(slots):
        work[slots + slot] = slots - 1 - slot
    for w in range(2 * progress[WORDS]):
        work[2 * slots + w] = 0
    for column in range(MASKS, configs.shape[2]):
        configs[side, 0, column] = 0
    configs[side, 0, VALUE_OF] = keys[key, INITIAL]
    configs[side, 0, NODE] = -1
    progress[COUNT] = rehash(configs, side, 1, progress[WORDS])
    progress[NEXT] = 0
    progress[PENDING] = 0
    progress[VACANT] = slots
    progress[EVENT] = keys[key, FIRST_EVENT]
    progress[PEAK] = 1
    progress[STAGE] = 1


@kernel
def invoked(progress: Array, actions: Array, work: Array, configs: Array, transitions: Array, op: int) -> int:
    """An operation opens: it takes a slot, and every configuration has it before it. MISSING as in `extend`."""
    words, slots = progress[WORDS], progress[SLOTS]
    if actions[op, EFFECT] == STAYS and actions[op, VALUE] >= 0:
        for row in range(progress[COUNT]):
            state = configs[progress[SIDE], row, VALUE_OF]
            if lookup(transitions, state, actions[op, VALUE], 0) == UNTABLED:
                progress[STATE] = state
                progress[ARGUMENT] = actions[op, VALUE]
                return MISSING
    progress[VACANT] -= 1
    slot = work[slots + progress[VACANT]]
    actions[op, SLOT] = slot
    position = progress[PENDING]
    while position > 0 and actions[work[position - 1], DEADLINE] > actions[op, DEADLINE]:
        work[position] = work[position - 1]
        position -= 1
    work[position] = op
    progress[PENDING] += 1
    word = slot // BITS
    bit = 1 << (slot % BITS)
    side = progress[SIDE]
    observer = actions[op, EFFECT] == STAYS
    if actions[op, PLAIN]:
        work[2 * slots + word] |= bit
    if observer:
        work[2 * slots + words + word] |= bit
    for row in range(progress[COUNT]):
        if observer and not fits(actions, op, configs[side, row, VALUE_OF], transitions):
            configs[side, row, MASKS + words + word] |= bit
        else:
            configs[side, row, MASKS + word] |= bit
            # A plain write that never completes is needed by nobody; its bit says that no moment could hide it yet.
            if not observer and (actions[op, REQUIRED] or actions[op, PLAIN]):
                configs[side, row, MASKS + words + word] |= bit
    return HOLDS


@kernel
def closed(progress: Array, actions: Array, work: Array, op: int) -> None:
    """An operation is over: its slot may be used again. It was the first of the open ones to complete."""
    slots, words = progress[SLOTS], progress[WORDS]
    slot = actions[op, SLOT]
    for position in range(1, progress[PENDING]):
        work[position - 1] = work[position]
    progress[PENDING] -= 1
    work[slots + progress[VACANT]] = slot
    progress[VACANT] += 1
    work[2 * slots + slot // BITS] &= ~(1 << (slot % BITS))
    work[2 * slots + words + slot // BITS] &= ~(1 << (slot % BITS))
    actions[op, SLOT] = -1


@kernel
def release(progress: Array, actions: Array, configs: Array, op: int, word: int, bit: int) -> bool:
    """An operation that no configuration needs, and that none can still use, only leaves: whether it is so."""
    side, words = progress[SIDE], progress[WORDS]
    observer = actions[op, EFFECT] == STAYS
    for row in range(progress[COUNT]):
        if configs[side, row, MASKS + words + word] & bit:
            return False
        if not observer and configs[side, row, MASKS + word] & bit:
            return False
    for row in range(progress[COUNT]):
        configs[side, row, MASKS + word] &= ~bit
    return True


@kernel
def survive(progress: Array, configs: Array, source: int, row: int, word: int, bit: int) -> bool:
    """A configuration in which the completing operation has happened goes into the next set."""
    words = progress[WORDS]
    target = 1 - progress[SIDE]
    count = progress[NEXT]
    copy_row(configs, source, row, configs, target, count)
    configs[target, count, MASKS + word] &= ~bit
    configs[target, count, MASKS + words + word] &= ~bit
    if insert(configs, target, count, words):
        progress[NEXT] += 1
        return True
    return False


@kernel
def answer(
    progress: Array,
    actions: Array,
    work: Array,
    configs: Array,
    transitions: Array,
    row: int,
    state: int,
    hidden: int,
) -> None:
    """Answers the observers that fit a value: all that are open or, where the value was hidden, those open then."""
    side, words, slots = progress[SIDE], progress[WORDS], progress[SLOTS]
    waiting = 0
    for w in range(words):
        waiting |= configs[side, row, MASKS + words + w] & work[2 * slots + words + w]
    if waiting == 0:
        return
    for position in range(progress[PENDING]):
        op = work[position]
        if actions[op, EFFECT] == STAYS and fits(actions, op, state, transitions):
            word, bit = actions[op, SLOT] // BITS, 1 << (actions[op, SLOT] % BITS)
            if not hidden or configs[side, row, MASKS + word] & bit:
                configs[side, row, MASKS + words + word] &= ~bit
                configs[side, row, MASKS + word] |= bit


@kernel
def copy_without(progress: Array, actions: Array, configs: Array, row: int, op: int) -> int:
    """Writes a configuration behind the current set, with one operation no longer free; returns its row."""
    side, words = progress[SIDE], progress[WORDS]
    new = progress[COUNT]
    copy_row(configs, side, row, configs, side, new)
    word, bit = actions[op, SLOT] // BITS, 1 << (actions[op, SLOT] % BITS)
    configs[side, new, MASKS + word] &= ~bit
    configs[side, new, MASKS + words + word] &= ~bit
    return int(new)


@kernel
def child(
    progress: Array, actions: Array, work: Array, configs: Array, transitions: Array, row: int, op: int, state: int
) -> int:
    """Writes behind the current set what a configuration becomes when an open operation takes effect."""
    side, words, slots = progress[SIDE], progress[WORDS], progress[SLOTS]
    new = copy_without(progress, actions, configs, row, op)
    configs[side, new, VALUE_OF] = state
    if actions[op, PLAIN]:
        for w in range(words):
            configs[side, new, MASKS + words + w] &= ~work[2 * slots + w]
            configs[side, new, MASKS + w] |= work[2 * slots + words + w]
    answer(progress, actions, work, configs, transitions, new, state, False)
    return new


@kernel
def note(progress: Array, log: Array, parent: int, entry: int, state: int) -> None:
    """Adds a step to the log, where there is room: an operation, or -1 - operation where it was hidden; the value."""
    logged = progress[LOGGED]
    if logged < len(log):
        log[logged, 0] = parent
        log[logged, 1] = entry
        log[logged, 2] = state
        progress[LOGGED] = logged + 1


@kernel
def uncover(
    progress: Array,
    actions: Array,
    work: Array,
    configs: Array,
    transitions: Array,
    log: Array,
    row: int,
    completing: int,
) -> None:
    """An unanswered observer completes: any write that was hidden while both were open may have answered it."""
    side, words = progress[SIDE], progress[WORDS]
    marks = 2 * progress[SLOTS] + 2 * words
    own_word, own_bit = actions[completing, SLOT] // BITS, 1 << (actions[completing, SLOT] % BITS)
    if not configs[side, row, MASKS + own_word] & own_bit:
        return
    progress[STAMP] += 1
    for position in range(progress[PENDING]):
        op = work[position]
        word, bit = actions[op, SLOT] // BITS, 1 << (actions[op, SLOT] % BITS)
        hidden = configs[side, row, MASKS + word] & ~configs[side, row, MASKS + words + word] & bit
        if not actions[op, PLAIN] or not hidden or not fits(actions, completing, actions[op, EFFECT], transitions):
            continue
        if work[marks + actions[op, SAME]] == progress[STAMP]:
            continue
        work[marks + actions[op, SAME]] = progress[STAMP]
        new = copy_without(progress, actions, configs, row, op)
        answer(progress, actions, work, configs, transitions, new, actions[op, EFFECT], True)
        configs[side, new, NODE] = progress[LOGGED] if progress[LOGGED] < len(log) else -1
        if survive(progress, configs, side, new, own_word, own_bit):
            note(progress, log, configs[side, row, NODE], -1 - op, configs[side, row, VALUE_OF])


@kernel
def enables(
    progress: Array, actions: Array, work: Array, configs: Array, transitions: Array, row: int, state: int
) -> bool:
    """Whether an operation that looks at the value and is free in the configuration may happen at this value."""
    for position in range(progress[PENDING]):
        op = work[position]
        if actions[op, EFFECT] == STAYS or actions[op, PLAIN]:
            continue
        slot = actions[op, SLOT]
        free = configs[progress[SIDE], row, MASKS + slot // BITS] & (1 << (slot % BITS))
        if free and fits(actions, op, state, transitions):
            return True
    return False


@kernel
def waits(progress: Array, actions: Array, configs: Array, row: int, op: int) -> bool:
    """Whether an operation has to wait for another one, of its own process, that has not happened yet."""
    before = actions[op, AFTER]
    if before < 0 or actions[before, SLOT] < 0:
        return False
    slot = actions[before, SLOT]
    return bool(configs[progress[SIDE], row, MASKS + slot // BITS] & (1 << (slot % BITS)))


@kernel
def branch(
    progress: Array,
    actions: Array,
    work: Array,
    configs: Array,
    transitions: Array,
    log: Array,
    row: int,
    chosen: Branch,
) -> None:
    """One configuration more. chosen: the operation, the value it leaves, the completing one, whether that is done."""
    op, state, completing, done = chosen
    side, words = progress[SIDE], progress[WORDS]
    new = child(progress, actions, work, configs, transitions, row, op, state)
    configs[side, new, NODE] = progress[LOGGED] if progress[LOGGED] < len(log) else -1
    if done:
        slot = actions[completing, SLOT]
        taken = survive(progress, configs, side, new, slot // BITS, 1 << (slot % BITS))
    else:
        taken = insert(configs, side, new, words)
        if taken:
            progress[COUNT] += 1
    if taken:
        note(progress, log, configs[side, row, NODE], op, state)


@kernel
def extend(
    progress: Array,
    actions: Array,
    work: Array,
    configs: Array,
    transitions: Array,
    log: Array,
    row: int,
    completing: int,
) -> int:
    """All that one configuration becomes by one more operation. MISSING where a transition has to be computed first,
    FULL where the sets need larger arrays; then it is called again and finds what it has done already."""
    side, words = progress[SIDE], progress[WORDS]
    marks = 2 * progress[SLOTS] + 2 * words
    observer = actions[completing, EFFECT] == STAYS
    before = configs[side, row, VALUE_OF]
    progress[STAMP] += 1
    for position in range(progress[PENDING]):
        op = work[position]
        slot = actions[op, SLOT]
        if actions[op, EFFECT] == STAYS or not configs[side, row, MASKS + slot // BITS] & (1 << (slot % BITS)):
            continue
        if work[marks + actions[op, SAME]] == progress[STAMP] or waits(progress, actions, configs, row, op):
            continue
        work[marks + actions[op, SAME]] = progress[STAMP]
        nth, more = 0, 1
        while more:
            entry = step(actions, op, before, nth, transitions)
            if entry == UNTABLED:
                progress[STATE] = before
                progress[ARGUMENT] = actions[op, VALUE]
                return MISSING
            if entry < 0:
                break
            state, more = entry >> 1, entry & 1
            nth += 1
            if not judged(progress, actions, work, state, transitions):
                return MISSING
            if progress[COUNT] + 2 >= configs.shape[1] // 2 or progress[NEXT] + 2 >= configs.shape[1] // 2:
                return FULL
            done = op == completing or (observer and fits(actions, completing, state, transitions))
            idle = not done and actions[op, PLAIN]
            if idle and not enables(progress, actions, work, configs, transitions, row, state):
                continue
            branch(progress, actions, work, configs, transitions, log, row, (op, state, completing, done))
    return HOLDS


@kernel
def resolve(
    progress: Array, actions: Array, work: Array, configs: Array, transitions: Array, log: Array, row: int, op: int
) -> int:
    """What becomes of one configuration when an operation completes. MISSING and FULL as in `extend`."""
    side, words = progress[SIDE], progress[WORDS]
    word, bit = actions[op, SLOT] // BITS, 1 << (actions[op, SLOT] % BITS)
    needed = configs[side, row, MASKS + words + word] & bit
    if actions[op, EFFECT] == STAYS:
        if not needed:
            survive(progress, configs, side, row, word, bit)
            return HOLDS
        uncover(progress, actions, work, configs, transitions, log, row, op)
    elif not configs[side, row, MASKS + word] & bit:
        survive(progress, configs, side, row, word, bit)
        return HOLDS
    elif not needed and row < progress[GIVEN]:
        # Only in configurations that stood before this event: in the others this write would not come last.
        new = copy_without(progress, actions, configs, row, op)
        answer(progress, actions, work, configs, transitions, new, actions[op, EFFECT], True)
        survive(progress, configs, side, new, word, bit)
    return extend(progress, actions, work, configs, transitions, log, row, op)


@kernel
def completed(
    progress: Array, actions: Array, work: Array, configs: Array, transitions: Array, log: Array, op: int
) -> int:
    """An operation completes: it has happened in every configuration of the next set."""
    side, words = progress[SIDE], progress[WORDS]
    room = configs.shape[1] // 2 - progress[SLOTS] - 4
    if progress[STAGE] == 1:
        word, bit = actions[op, SLOT] // BITS, 1 << (actions[op, SLOT] % BITS)
        if release(progress, actions, configs, op, word, bit):
            closed(progress, actions, work, op)
            return HOLDS
        forget(configs, side, progress[COUNT])
        progress[COUNT] = rehash(configs, side, progress[COUNT], words)
        if progress[COUNT] >= CROWD:
            progress[COUNT] = prune(configs, side, progress[COUNT], words)
        progress[QUEUE] = 0
        progress[GIVEN] = progress[COUNT]
        progress[STAGE] = 2
    while progress[QUEUE] < progress[COUNT]:
        if progress[COUNT] > room or progress[NEXT] > room:
            return FULL
        if progress[STEPS] <= 0:
            return PAUSED
        progress[STEPS] -= 4 + 4 * progress[PENDING]
        status = resolve(progress, actions, work, configs, transitions, log, progress[QUEUE], op)
        if status != HOLDS:
            return status
        progress[QUEUE] += 1
    progress[PEAK] = max(progress[PEAK], progress[COUNT])
    progress[STAGE] = 1
    if progress[NEXT] == 0:
        return VIOLATED
    forget(configs, side, progress[COUNT])
    progress[SIDE] = 1 - side
    progress[COUNT] = progress[NEXT]
    progress[NEXT] = 0
    closed(progress, actions, work, op)
    return HOLDS


@kernel
def advance(
    progress: Array,
    events: Array,
    keys: Array,
    actions: Array,
    work: Array,
    configs: Array,
    transitions: Array,
    log: Array,
) -> int:
    """Goes on with the sweep for progress[STEPS] steps.

    Returns HOLDS when every key is done; VIOLATED when one is found to be: its last set is still there, call again for
    the rest; PAUSED when steps are used up; FULL when the sets need larger arrays; MISSING when (STATE, ARGUMENT) needs
    a transition. events: 2 * operation, plus 1 for a completion, key after key, in order of time.
    """
    while progress[KEY] < len(keys):
        key = progress[KEY]
        if progress[STAGE] == 0:
            begin(progress, keys, work, configs)
        while progress[EVENT] < keys[key, END_EVENT]:
            if progress[STEPS] <= 0:
                return PAUSED
            event = events[progress[EVENT]]
            op = event >> 1
            if event & 1:
                status = completed(progress, actions, work, configs, transitions, log, op)
                if status == VIOLATED:
                    keys[key, VERDICT] = VIOLATED
                    keys[key, FAILED_AT] = progress[EVENT]
                    progress[KEY] += 1
                    progress[STAGE] = 0
                    return VIOLATED
                if status != HOLDS:
                    return status
            else:
                progress[STEPS] -= 1 + progress[COUNT]
                if invoked(progress, actions, work, configs, transitions, op) == MISSING:
                    return MISSING
            progress[EVENT] += 1
        keys[key, VERDICT] = HOLDS
        keys[key, FINAL] = configs[progress[SIDE], 0, NODE]
        progress[KEY] += 1
        progress[STAGE] = 0
    return HOLDS
