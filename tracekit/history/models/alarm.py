"""An end for code that is not ours: a step function of a user's model may loop for ever."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class OutOfTime(BaseException):
    """Raised out of code that took too long; no `Exception`, so that a handler in that code does not swallow it."""


@contextmanager
def alarmed(seconds: float) -> Iterator[None]:
    """Raises `OutOfTime` out of Python code in the body that is not done in time, even out of a loop without end.

    Only a signal can do that: outside of the main thread, and where there are no signals, nothing is raised.
    """
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield
        return
    inside = True

    def ring(number: int, frame: Any) -> None:
        if inside:
            raise OutOfTime

    handler = signal.signal(signal.SIGALRM, ring)
    # It rings again and again, for code that swallows whatever is raised.
    timer = signal.setitimer(signal.ITIMER_REAL, max(seconds, 1e-3), 0.1)
    try:
        yield
    finally:
        inside = False
        signal.setitimer(signal.ITIMER_REAL, *timer)
        signal.signal(signal.SIGALRM, handler)
