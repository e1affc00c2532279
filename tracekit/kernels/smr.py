"""Requests that a replicated machine executes though its state contains them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tracekit.kernels.engine import kernel

Array = NDArray[np.int64]


@kernel
def executed_again(process: Array, request: Array, index: Array, requests: int, again_out: Array) -> None:
    """For each execution an earlier one of the same request that the state still contains; -1 where there is none.

    Events stand process after process, each in program order. request: a number below `requests` for each pair of
    process and request; -1: the process now has the state after `index`, which contains no execution at a higher one.
    O(n log n): the resets of a process are kept with rising indices, so that the first one after a moment is the
    lowest since.
    """
    lowest = np.full(requests, -1, np.int64)  # the lowest index at which the state's copy of the request was executed
    where = np.full(requests, -1, np.int64)
    moment = np.full(requests, -1, np.int64)
    reset_at = np.empty(len(process), np.int64)
    reset_to = np.empty(len(process), np.int64)
    resets = 0
    for i in range(len(process)):
        again_out[i] = -1
        if i > 0 and process[i] != process[i - 1]:
            resets = 0
        r = request[i]
        if r < 0:
            while resets > 0 and reset_to[resets - 1] >= index[i]:
                resets -= 1
            reset_at[resets], reset_to[resets] = i, index[i]
            resets += 1
            continue
        contained = moment[r] >= 0
        if contained:
            low, high = 0, resets
            while low < high:
                middle = (low + high) // 2
                if reset_at[middle] > moment[r]:
                    high = middle
                else:
                    low = middle + 1
            contained = low == resets or lowest[r] <= reset_to[low]
        if contained:
            again_out[i] = where[r]
            if index[i] < lowest[r]:
                lowest[r] = index[i]
                where[r] = i
        else:
            lowest[r] = index[i]
            where[r] = i
        moment[r] = i
