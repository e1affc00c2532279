"""Recorder: instrument a program. Each event is in the file before the call returns; clocks are kept for the caller."""

from __future__ import annotations

import errno
import json
import os
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import orjson

from tracekit.trace.context import HEADER, Context, header_of, parse_context
from tracekit.trace.recovery import Past, lock, past_of, unlock
from tracekit.trace.run import Run
from tracekit.trace.schema import NEMESIS, VERSION, Kind

Fields = Mapping[str, Any] | None

RESERVED = frozenset(
    ("process", "seq", "kind", "name", "time_ns", "lamport", "vclock", "message", "peer", "op", "f", "key", "value")
)
"""Columns that the recorder fills in itself; `fields` may hold any other."""


class Recorder:
    """Records the events of one process as JSON Lines, each with one write(2) before the call returns.

    Killing the process loses nothing that another one could have seen. Opened again, the recorder goes on where its
    file ends, with a restart event. The files of all processes become one trace with ``tracekit convert``.

    >>> with Recorder("/tmp/n1.jsonl", "n1") as n1, Recorder("/tmp/n2.jsonl", "n2") as n2:
    ...     headers = n1.inject({}, "request", to="n2")
    ...     sender = n2.extract(headers, "request")
    ...     _ = n2.event("answered", {"demo.count": 1})
    >>> sender
    'n1'

    Parameters
    ----------
    path: the file; one recorder at a time may write it.
    process: the name of the process, unique in the run and the same after a restart.
    run: declared facts about the run, written at the head of a new file.
    time_ns: the process's physical clock.
    restarts: whether finding its file means a restart, which it then records; if not, the caller records what happened,
        with `restart` or, for a process that it has seen die, with `crash`.

    Calls may come from any thread and from coroutines; none of them waits for anything but the file. A forked child
    writes a file of its own, ``n1.PID.jsonl``, as the process ``n1.PID`` with new clocks; so does a recorder that was
    handed to a child by pickling. A recorder of the pseudo-process `nemesis` records faults, without clocks.

    Methods that record raise TypeError for a field that JSON cannot hold, ValueError for a field that the recorder
    fills in itself or when the recorder is closed, OSError where the file cannot be written; nothing is recorded then.
    Cost: about 4 microseconds an event. Memory O(processes + open operations).

    Raises
    ------
    TracekitError: TK110 where the file is not this process's log, TK111 where another recorder is writing it.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        process: str,
        run: Run | None = None,
        *,
        time_ns: Callable[[], int] = time.time_ns,
        restarts: bool = True,
    ) -> None:
        if not process or not isinstance(process, str):
            raise ValueError("a process needs a name")
        self.path = Path(path)
        self.process = process
        self._run = run or Run()
        self._time_ns = time_ns
        self._restarts = restarts
        self._reset()
        self._open()
        _LIVE.add(self)

    def _reset(self) -> None:
        # Reentrant, so that a signal handler that records gets an error below, and not a deadlock here.
        self._lock = threading.RLock()
        self._busy = False
        self._closed = False
        self._settled = False
        self._file = -1
        self._past = Past()
        self._operations: dict[int, dict[str, Any]] = {}

    def __enter__(self) -> Recorder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(complete=kind is None)

    @property
    def events(self) -> int:
        """How many events the process has had, in all its lives: the place of the next one."""
        return self._past.seq

    def event(self, name: str | None = None, fields: Fields = None) -> str:
        """Records what is neither a send nor a receive; returns the event's public name, ``n1:40``."""
        seq, _ = self._record(Kind.FAULT if self.process == NEMESIS else Kind.INTERNAL, name, {}, fields)
        return f"{self.process}:{seq}"

    def crash(self, name: str | None = None, fields: Fields = None) -> None:
        """Records that the process stopped; for simulated processes, and for what watches real ones."""
        self._record(Kind.CRASH, name, {}, fields)

    def restart(self, name: str | None = None, fields: Fields = None) -> None:
        """Records that the process came back. A recorder that finds its file does so by itself."""
        self._record(Kind.RESTART, name, {}, fields)

    def send(self, name: str | None = None, *, to: str | None = None, fields: Fields = None) -> str:
        """Records a send; returns the context that the message must carry to `receive`: printable ASCII.

        Call it before the message leaves. One send may have many receivers; then `to` stays None.
        """
        _, context = self._record(Kind.SEND, name, {"peer": to}, fields)
        assert context is not None, "a send has a context"
        return context.text()

    def receive(self, context: str | bytes | None, name: str | None = None, *, fields: Fields = None) -> str | None:
        """Records that a message arrived, and learns what its sender knew. Returns the sender's name.

        Never raises for what the message carries: where that is no context, the receive is recorded without its send,
        `recorder.context` says why, and None is returned.
        """
        _, learned = self._record(Kind.RECEIVE, name, {}, fields, parse_context(context))
        return None if learned is None else learned.process

    def inject(
        self, headers: dict[str, str], name: str | None = None, *, to: str | None = None, fields: Fields = None
    ) -> dict[str, str]:
        """Records a send, and puts its context into the message's headers under ``tracekit``; returns the headers."""
        headers[HEADER] = self.send(name, to=to, fields=fields)
        return headers

    def extract(self, headers: Any, name: str | None = None, *, fields: Fields = None) -> str | None:
        """Records a receive with the context in the message's headers: `receive`, which see.

        headers: a mapping or pairs, of text or bytes; upper and lower case are the same, as in HTTP.
        """
        return self.receive(header_of(headers), name, fields=fields)

    def invoke(self, f: str, key: str | int | None = None, value: Any = None, *, fields: Fields = None) -> int:
        """Records that a client's operation begins; returns its number for `ok`, `fail` or `info`.

        f, key, value: as in the schema: ``invoke("write", "x", 3)``; `value` is anything that JSON can hold.
        """
        named = {"f": f, "key": key}
        op, _ = self._record(Kind.INVOKE, None, {**named, "value": value}, fields)
        self._operations[op] = named
        return op

    def ok(self, op: int, value: Any = None, *, fields: Fields = None) -> None:
        """Records that the operation took place; `value` is what it returned, None for nothing."""
        self._complete(Kind.OK, op, value, fields)

    def fail(self, op: int, value: Any = None, *, fields: Fields = None) -> None:
        """Records that the operation certainly did not take place."""
        self._complete(Kind.FAIL, op, value, fields)

    def info(self, op: int, value: Any = None, *, fields: Fields = None) -> None:
        """Records that nobody knows whether the operation took place: a timeout, a lost connection."""
        self._complete(Kind.INFO, op, value, fields)

    def close(self, complete: bool = True) -> None:
        """Closes the file; `complete` marks that nothing is missing at its end."""
        with self._lock:
            if not self._closed and self._file >= 0:
                if complete:
                    self._write(b'{"tracekit.complete":true}\n')
                unlock(self._file)
                os.close(self._file)
                self._file = -1
            self._closed = True

    def _complete(self, kind: Kind, op: int, value: Any, fields: Fields) -> None:
        if op not in self._operations:
            raise ValueError(f"operation {op} is not open")
        self._record(kind, None, {**self._operations[op], "op": op, "value": value}, fields)
        self._operations.pop(op, None)

    def _record(
        self, kind: Kind, name: str | None, own: dict[str, Any], fields: Fields, carried: Context | str | None = None
    ) -> tuple[int, Context | None]:
        """One event: its line, one write, and only then the new state. Its seq, and its message's context."""
        if fields and (filled := RESERVED & fields.keys()):
            raise ValueError(f"the recorder itself fills in {', '.join(sorted(filled))}")
        with self._lock:
            if self._busy:
                raise RuntimeError("a signal handler interrupted the recorder: record from the program's own flow")
            try:
                self._busy = True
                if self._closed:
                    raise ValueError("the recorder is closed")
                if not self._settled:
                    self._open()
                line, after, context = self._next(kind, name, own, fields, carried)
                self._settled = False
                self._write(line)
                seq, self._past, self._settled = self._past.seq, after, True
                return seq, context
            finally:
                self._busy = False

    def _next(
        self, kind: Kind, name: str | None, own: dict[str, Any], fields: Fields, carried: Context | str | None = None
    ) -> tuple[bytes, Past, Context | None]:
        """The next event's line, the state after it, and the context of the message that it sends or receives."""
        seq = self._past.seq
        if isinstance(carried, Context) and carried.vclock.get(self.process, 0) > seq:
            carried = f"it knows more events of {self.process} than there are"
        context = carried if isinstance(carried, Context) else None
        if kind is Kind.RECEIVE:
            own = {"message": context.message, "peer": context.process} if context else {"recorder.context": carried}
        row: dict[str, Any] = {"process": self.process, "seq": seq, "kind": kind.label}
        if name is not None:
            row["name"] = name
        row["time_ns"] = self._time_ns()
        after = Past(seq + 1)
        if self.process != NEMESIS:
            after = self._past.next(self.process, context)
            row["lamport"], row["vclock"] = after.lamport, after.vclock
        elif kind is not Kind.FAULT:
            raise ValueError("the pseudo-process nemesis records faults only")
        if kind is Kind.SEND:
            context = Context(self.process, f"{self.process}:{seq}", after.lamport, after.vclock)
            row["message"] = context.message
        elif kind is Kind.INVOKE:
            row["op"] = seq
        row.update((column, value) for column, value in own.items() if value is not None)
        return _json(row | dict(fields or {})) + b"\n", after, context

    def _open(self) -> None:
        """Opens the file and takes up where it ends; the open file again after a write that did not end well."""
        again = self._file >= 0
        if not again:
            self._file = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            if not again:
                lock(self._file, self.path)
            past, torn = past_of(self._file, self.path, self.process)
            if past is None:
                about = {"tracekit.version": VERSION, "tracekit.run": json.loads(self._run.to_json())}
                self._write(_json(about) + b"\n")
            start = b"" if torn is None else b"\n"
            self._past = past or Past()
            if past is not None and not again and self._restarts and self.process != NEMESIS:
                line, after, _ = self._next(Kind.RESTART, None, {"recorder.torn": torn or None}, None)
                self._write(start + line)
                self._past = after
            elif start:
                self._write(start)
            self._settled = True
        except BaseException:
            if not again:
                os.close(self._file)
                self._file = -1
            raise

    def _write(self, data: bytes) -> None:
        if os.write(self._file, data) != len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))

    def __reduce__(self) -> tuple[Any, ...]:
        return _child, (self.path, self.process, self._run, self._time_ns)

    def _become_child(self) -> None:
        """In a forked child: lets go of the parent's file; the child's own is opened when it first records."""
        closed, file = self._closed, self._file
        self.path, self.process = _of_child(self.path, self.process)
        self._reset()
        self._closed = closed
        if file >= 0:
            os.close(file)


def _of_child(path: Path, process: str) -> tuple[Path, str]:
    pid = os.getpid()
    return path.with_name(f"{path.stem}.{pid}{path.suffix}"), f"{process}.{pid}"


def _child(path: Path, process: str, run: Run, time_ns: Callable[[], int]) -> Recorder:
    return Recorder(*_of_child(path, process), run, time_ns=time_ns)


def _json(row: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(row)
    except TypeError:
        # Numbers beyond 64 bits, and text that is no Unicode: a reader sets those aside, the event is kept.
        return json.dumps(row, ensure_ascii=False, allow_nan=False).encode("utf-8", "replace")


_LIVE: weakref.WeakSet[Recorder] = weakref.WeakSet()


def _forked() -> None:
    for recorder in list(_LIVE):
        recorder._become_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
