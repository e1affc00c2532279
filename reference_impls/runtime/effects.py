"""What a process asks its runtime to do, as plain data: a protocol never touches a socket, a clock or a disk.

A *step* is one call of `on_start`, `on_message` or `on_timer`; it returns its effects in the order in which they are
to happen. The simulator carries a step out as a whole: a crash falls between steps. A real process may be killed after
any row of a step, and then what was made stable is what its rows tell (`tcp/storage.py`).

From steps to rows of the trace:

* What caused the step is one row: ``receive``, ``internal`` (a timer, the first start) or ``restart``.
* A `Note` without a name tells what the cause led to: its fields join the row of the cause. So a receive, the state it
  leads to and the log change it makes are ONE row, and no reader of the trace sees the one without the other. A timer
  and a start have no name of their own: there the first Note joins the row and names it.
* Every other Note is an ``internal`` row, every Send and Reply a ``send`` row, every Operation a row of its kind.
* A timer that leads to no Note (a heartbeat) has no row, only its sends have.

So a process that emits, in order, Persist, Note(), Send answers only after what the answer promises is stable *and*
recorded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, Protocol


class Message(Protocol):
    """What processes send each other: immutable, with the name and the fields that its rows carry."""

    @property
    def event(self) -> str:
        """Name of the rows of its send and its receives: ``raft.request_vote``."""

    def fields(self) -> Mapping[str, Any]:
        """The domain's fields of those rows."""


class Send(NamedTuple):
    """Send a message to another process; it may get lost, late, twice."""

    to: str
    message: Message


class Reply(NamedTuple):
    """Answer a client: over whatever the client's request came by."""

    to: str
    message: Message


class SetTimer(NamedTuple):
    """Call `on_timer(name)` once, after a time on the process's own clock; replaces a running timer of that name."""

    name: str
    delay_ns: int


class CancelTimer(NamedTuple):
    """Forget a timer; none of that name runs: nothing happens."""

    name: str


class Persist(NamedTuple):
    """Make stable before the next effect: named cells; the log is replaced from `log_from` (1-based) on.

    `log_from` 0: the log stays as it is.
    """

    cells: Mapping[str, Any]
    log_from: int = 0
    entries: Sequence[Any] = ()


class Note(NamedTuple):
    """Something to record: fields, and a name unless it only tells what the cause of the step led to."""

    fields: Mapping[str, Any]
    name: str = ""


class Operation(NamedTuple):
    """A client's operation begins (invoke) or ends (ok, fail, info), in the trace's terms.

    `server`: the replica whose answer ended it, where that matters.
    """

    kind: Literal["invoke", "ok", "fail", "info"]
    op: int
    f: str
    key: str
    value: str | None
    server: str | None = None


class Done(NamedTuple):
    """The process has nothing more to do and ends."""


Effect = Send | Reply | SetTimer | CancelTimer | Persist | Note | Operation | Done
