"""Queues, stacks and priority queues into which no element goes twice: which order of elements is possible."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tracekit.kernels.engine import kernel

Array = NDArray[np.int64]

NONE = 2**62
"""In a tree: nothing here. Larger than every position."""


@kernel
def queue_order(key: Array, bounds: Array, sorted_by: Array, state: Array, order_out: Array, stuck_out: Array) -> int:
    """Elements in an order in which they may enter and leave a queue; returns how many found a place.

    bounds: shape (4, n): per element, entering began and ended; the last operation at the head began, the first ended.
    One element goes before another if it entered before the other began to, or if an operation saw it at the head
    before one that saw the other there began. sorted_by: shape (4, n): elements by each row of bounds. state: zeros.
    stuck_out: shape (keys, 3), filled with -1: where no order is left, the elements in each other's way; the last may
    be missing. Positions of different keys do not overlap, and rise with the key. O(n).
    """
    n = len(key)
    entering, heading, entered, headed, second = 0, 0, 0, 0, 0
    ready = np.empty(n, np.int64)
    height, placed = 0, 0
    while True:
        if height > 0:
            height -= 1
            order_out[placed] = ready[height]
            placed += 1
            state[ready[height]] = 4
            continue
        while entered < n and state[sorted_by[1, entered]] >= 4:
            entered += 1
        if entered == n:
            return placed
        while state[sorted_by[3, headed]] >= 4:
            headed += 1
        enters, heads = sorted_by[1, entered], sorted_by[3, headed]
        while entering < n and bounds[0, sorted_by[0, entering]] <= bounds[1, enters]:
            v = sorted_by[0, entering]
            entering += 1
            if state[v] < 4:
                state[v] |= 1
                if state[v] == 3:
                    ready[height] = v
                    height += 1
        while heading < n and bounds[2, sorted_by[2, heading]] <= bounds[3, heads]:
            v = sorted_by[2, heading]
            heading += 1
            if state[v] < 2:
                state[v] |= 2
                if state[v] == 3:
                    ready[height] = v
                    height += 1
        # An element is not in its own way, though it may be at the head for a while.
        second = max(second, headed + 1)
        while second < n and state[sorted_by[3, second]] >= 4:
            second += 1
        if state[heads] < 2 and (second == n or bounds[2, heads] <= bounds[3, sorted_by[3, second]]):
            state[heads] |= 2
            if state[heads] == 3:
                ready[height] = heads
                height += 1
        if height == 0:
            k = key[enters]
            stuck_out[k, 0], stuck_out[k, 1] = enters, heads
            if second < n:
                stuck_out[k, 2] = sorted_by[3, second]
            place = entered
            while place < n and key[sorted_by[1, place]] == k:
                state[sorted_by[1, place]] |= 4
                place += 1


@kernel
def put(tree: Array, i: int, value: int) -> None:
    """Sets a leaf of a tree of minima: shape (2 * leaves,), the root at 1."""
    i += len(tree) // 2
    tree[i] = value
    i //= 2
    while i >= 1:
        tree[i] = min(tree[2 * i], tree[2 * i + 1])
        i //= 2


@kernel
def fill(tree: Array) -> None:
    """Computes the inner nodes of a tree of minima from its leaves."""
    for i in range(len(tree) // 2 - 1, 0, -1):
        tree[i] = min(tree[2 * i], tree[2 * i + 1])


@kernel
def find(tree: Array, low: int, high: int, bound: int) -> int:
    """A leaf in low..high-1 of at most `bound`; -1: none. O(log n)."""
    leaves = len(tree) // 2
    left, right = low + leaves, high + leaves
    node = -1
    while left < right and node < 0:
        if left & 1:
            if tree[left] <= bound:
                node = left
            left += 1
        if right & 1:
            right -= 1
            if node < 0 and tree[right] <= bound:
                node = right
        left //= 2
        right //= 2
    if node < 0:
        return -1
    while node < leaves:
        node = 2 * node if tree[2 * node] <= bound else 2 * node + 1
    return node - leaves


@kernel
def add(cover: Array, low: int, high: int, by: int) -> None:
    """Adds to the leaves low..high-1 of a tree of minima with additions. cover: shape (2, 2 * leaves)."""
    leaves = cover.shape[1] // 2
    left, right = low + leaves, high + leaves
    first, last = left, right - 1
    while left < right:
        if left & 1:
            cover[0, left] += by
            cover[1, left] += by
            left += 1
        if right & 1:
            right -= 1
            cover[0, right] += by
            cover[1, right] += by
        left //= 2
        right //= 2
    raise_minima(cover, first)
    raise_minima(cover, last)


@kernel
def raise_minima(cover: Array, node: int) -> None:
    """Computes the nodes above one anew."""
    node //= 2
    while node >= 1:
        cover[0, node] = min(cover[0, 2 * node], cover[0, 2 * node + 1]) + cover[1, node]
        node //= 2


@kernel
def first_zero(cover: Array, low: int, high: int) -> int:
    """The first leaf in low..high-1 that is zero, where none is less; -1: none. O(log n)."""
    leaves = cover.shape[1] // 2
    # Nodes still to visit: node, sum of additions above it, its first leaf, its width; the leftmost on top.
    todo = np.empty((130, 4), np.int64)
    todo[0, 0], todo[0, 1], todo[0, 2], todo[0, 3] = 1, 0, 0, leaves
    height = 1
    while height > 0:
        height -= 1
        node, above, start, width = todo[height, 0], todo[height, 1], int(todo[height, 2]), todo[height, 3]
        if start >= high or start + width <= low or cover[0, node] + above > 0:
            continue
        if width == 1:
            return start
        half, above = width // 2, above + cover[1, node]
        for side in (1, 0):
            todo[height, 0], todo[height, 1] = 2 * node + side, above
            todo[height, 2], todo[height, 3] = start + side * half, half
            height += 1
    return -1


@kernel
def release(trees: Array, at: int, low: int, high: int, nth: int, place_out: Array) -> int:
    """Elements that need be in the stack for one moment only, and may have it at a cut: they find their place there."""
    v = find(trees[2], low, high, at)
    while v >= 0:
        place_out[v, 0], place_out[v, 1], place_out[v, 2], place_out[v, 3] = at, at, nth, 1
        nth += 1
        for row in range(3):
            put(trees[row], v, NONE)
        v = find(trees[2], low, high, at)
    return nth


@kernel
def stack_order(
    elements: Array, first: Array, trees: Array, cover: Array, parts: Array, place_out: Array, stuck_out: Array
) -> int:
    """Between which cuts each element lies at the bottom of a stack; returns how many parts have no bottom.

    A cut is a moment at which no element is certainly in the stack; there it may as well be empty. Between two cuts
    that have none between them one element lies at the bottom from one to the other; which one of those that can, does
    not matter, since the others find their places with it or without. Without it there may be new cuts.

    elements: shape (4, n), by the first row: pushing ended, popping began, pushing began, popping ended, as points.
    Element v is certainly in the stack at points strictly between the first two. first[p]: the first element whose
    pushing ended at point p or later. trees: shape (3, 2 * leaves), cover: shape (2, 2 * leaves of points): filled with
    NONE and zeros. parts: workspace, shape (points + 2, 2). place_out: shape (n, 4), filled with -1: cuts at which it
    is pushed and popped, its number, and 1 if the two are one. stuck_out: shape (points, 2): parts without a bottom.
    O(n log n).
    """
    n, points = elements.shape[1], len(first) - 1
    # Of those without a place: where pushing began; of those that may lie at the bottom here, where popping ended,
    # negated; of those that need not be in the stack for longer than one moment, where popping began.
    began, ends, backward = trees[0], trees[1], trees[2]
    leaves, covers = trees.shape[1] // 2, cover.shape[1] // 2
    for v in range(n):
        began[leaves + v] = elements[2, v]
        if elements[1, v] <= elements[0, v]:
            backward[leaves + v] = elements[1, v]
        elif elements[1, v] > elements[0, v] + 1:
            cover[0, covers + elements[0, v] + 1] += 1
            cover[0, covers + elements[1, v]] -= 1
    fill(began)
    fill(backward)
    height, cut, nth, stuck, depth = 0, 0, 0, 0, 0
    for p in range(points):
        depth += cover[0, covers + p]
        cover[0, covers + p] = depth
        if depth == 0:
            cover[0, covers + p] = NONE
            if p > 0:
                parts[height, 0], parts[height, 1] = cut, p
                height += 1
            cut = p
            nth = release(trees, p, first[p], n, nth, place_out)
    for p in range(points, covers):
        cover[0, covers + p] = NONE
    fill(cover[0])
    while height > 0:
        height -= 1
        left, right = parts[height, 0], parts[height, 1]
        low, high = first[left], first[right]
        while True:
            v = find(began, low, high, left)
            while v >= 0:
                put(began, v, NONE)
                put(ends, v, -elements[3, v])
                v = find(began, low, high, left)
            v = find(ends, low, high, -right)
            if v < 0:
                if find(began, low, high, NONE - 1) >= 0 or find(ends, low, high, NONE - 1) >= 0:
                    stuck_out[stuck, 0], stuck_out[stuck, 1] = left, right
                    stuck += 1
                break
            put(ends, v, NONE)
            put(backward, v, NONE)
            place_out[v, 0], place_out[v, 1], place_out[v, 2], place_out[v, 3] = left, right, nth, 0
            nth += 1
            if elements[1, v] <= elements[0, v] + 1:
                continue
            add(cover, elements[0, v] + 1, elements[1, v], -1)
            cut = left
            p = first_zero(cover, elements[0, v] + 1, elements[1, v])
            while p >= 0:
                cover[0, covers + p] = NONE
                raise_minima(cover, covers + p)
                nth = release(trees, p, first[p], high, nth, place_out)
                parts[height, 0], parts[height, 1] = cut, p
                height += 1
                cut = p
                p = first_zero(cover, p + 1, elements[1, v])
            if cut > left:
                parts[height, 0], parts[height, 1] = cut, right
                height += 1
                break
    return stuck


@kernel
def priority_moments(spans: Array, asked: Array, following: Array, preceding: Array, moment_out: Array) -> None:
    """For operations that see an element at the head: the first and the last moment at which nothing better is there.

    spans: shape (2, n): elements from best to worst; each is certainly there strictly between two positions. asked:
    shape (3, q): element, invocation, completion, sorted by element. following, preceding: 0..positions. moment_out:
    shape (2, q): -1 where there is none. O((n + q + positions) alpha).
    """
    place = 0
    for v in range(spans.shape[1]):
        while place < asked.shape[1] and asked[0, place] == v:
            early = root(following, asked[1, place])
            late = root(preceding, asked[2, place] + 1) - 1
            fits = early <= asked[2, place]
            moment_out[0, place] = early if fits else -1
            moment_out[1, place] = late if fits else -1
            place += 1
        p = root(following, min(spans[0, v], spans[1, v]) + 1)
        while p < spans[1, v]:
            following[p] = p + 1
            preceding[p + 1] = p
            p = root(following, p)


@kernel
def root(parent: Array, at: int) -> int:
    """Where the parents of a number lead, which are cut short by the way."""
    while parent[at] != at:
        parent[at] = parent[parent[at]]
        at = parent[at]
    return at
