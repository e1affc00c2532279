"""One columnar reading of a trace for all Paxos checks: what acceptors promised and accepted, what was proposed, what
was learned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracekit.checks.evidence import times
from tracekit.execution import Execution
from tracekit.trace.columns import Column
from tracekit.trace.schema import Kind

Int64 = NDArray[np.int64]
Bool = NDArray[np.bool_]

NONE = -1
"""No value, no ballot; as an instance: every instance."""
STEP_KINDS = (Kind.SEND, Kind.INTERNAL)
"""Kinds of the events at which a process itself does what the event's name says."""


@dataclass(frozen=True, eq=False)
class Steps:
    """Some events with what they are about; codes, see `PaxosHistory`. Sorted by process, then in program order.

    Attributes
    ----------
    row: the trace's rows, shape (k,).
    instance: `NONE`: all of them. ballot, value: `NONE` where the event has none.
    """

    row: Int64
    process: Int64
    instance: Int64
    ballot: Int64
    value: Int64

    def __len__(self) -> int:
        return len(self.row)

    def __getitem__(self, chosen: NDArray[Any]) -> Steps:
        return Steps(*(a[chosen] for a in (self.row, self.process, self.instance, self.ballot, self.value)))


@dataclass(frozen=True, eq=False)
class PaxosHistory:
    """What happened, as codes: instances and values in order of appearance, ballots by their rank.

    Attributes
    ----------
    ballots: the ballots by rank.
    values, instances: texts by code. One instance without a name is `instances` = ("",).
    promises: at acceptors, by state or by a promise sent.
    acceptances: at acceptors, by state or by the message that tells it; an acceptance without a value has that of the
        only proposal of its ballot.
    requests, received: accept requests sent, and those received; proposals: both, and what acceptors accepted.
    starts: ballots begun; prepares: prepare requests sent.
    answers: receipts of messages that tell of a promise or of an acceptance, with whatever they have.
    learned, submitted: values.
    useless: what cannot be read for want of a field, in words: by what it is.
    """

    execution: Execution
    ballots: Int64
    values: tuple[str, ...]
    instances: tuple[str, ...]
    promises: Steps
    acceptances: Steps
    requests: Steps
    received: Steps
    proposals: Steps
    starts: Steps
    prepares: Steps
    answers: Steps
    learned: Steps
    submitted: Steps
    useless: dict[str, str]

    def doubts(self, *what: str) -> tuple[str, ...]:
        """Reasons why a check that needs some of the attributes cannot be sure."""
        return tuple(self.useless[name] for name in what if name in self.useless)

    def at(self, instance: int) -> str:
        """`` in instance 3``; nothing where there is one instance, or all are meant."""
        return f" in instance {self.instances[instance]}" if instance >= 0 and self.instances != ("",) else ""

    def who(self, row: int) -> str:
        """The name of the process of an event."""
        trace = self.execution.trace
        return str(trace.processes[trace.process[row]])

    @cached_property
    def place(self) -> Int64:
        """Each row's place in the order of processes and, in each, of the program."""
        rows = self.execution.program_order.rows
        place = np.empty(len(rows), np.int64)
        place[rows] = np.arange(len(rows))
        return place

    def restarts(self, first: int, last: int) -> list[int]:
        """Rows of restarts of a process after one of its events, up to another one."""
        between = self.execution.program_order.rows[self.place[first] + 1 : self.place[last] + 1]
        return [int(r) for r in between[self.execution.trace.kind[between] == Kind.RESTART]]

    def about(self, instance: int) -> dict[str, str]:
        """The instance, as a fact."""
        return {"instance": self.instances[instance]} if self.at(instance) else {}


def paxos_history(execution: Execution) -> PaxosHistory:
    """Reads the trace; O(n log n). Use it through ``execution.derive(paxos_history)``."""
    reader = _Reader(execution)
    promised, accepted = reader.number("paxos.promised"), reader.number("paxos.accepted_ballot")
    own = reader.kinds(*STEP_KINDS)
    sent = reader.kinds(Kind.SEND)
    ballot = reader.number("paxos.ballot")
    value, accepted_value = reader.value, reader.accepted_value
    said = reader.named("paxos.promise") & own & (promised == NONE)
    promises = reader.steps(said | (promised >= 0), np.where(promised >= 0, promised, ballot), value)
    told = reader.named("paxos.accepted") & own & (accepted == NONE)
    is_request = reader.named("paxos.accept")
    acceptances = reader.steps(
        told | (accepted >= 0),
        np.where(accepted >= 0, accepted, ballot),
        np.where(accepted >= 0, accepted_value, value),
    )
    received = reader.steps(is_request & ~sent, ballot, value)
    requests = reader.steps(is_request & sent, ballot, value)
    starts = reader.steps(reader.named("paxos.start_ballot"), ballot, value)
    prepares = reader.steps(reader.named("paxos.prepare") & sent, ballot, value)
    answers = reader.steps(reader.named("paxos.promise", "paxos.accepted") & reader.kinds(Kind.RECEIVE), ballot, value)
    learned = reader.steps(reader.named("paxos.learn"), ballot, value)
    submitted = reader.steps(reader.named("paxos.submit"), ballot, value)
    found, useless, none = {}, {}, np.empty(0, np.int64)
    for name, steps, instance, needs_ballot, needs_value in (
        ("promises", promises, False, True, False),
        ("acceptances", acceptances, True, True, False),
        ("requests", requests, True, True, True),
        ("received", received, True, True, True),
        ("starts", starts, False, True, False),
        ("prepares", prepares, False, True, False),
        ("learned", learned, True, False, True),
        ("submitted", submitted, False, False, True),
    ):
        unnamed = reader.unnamed if name in ("promises", "starts", "prepares") else none
        found[name], lost = _usable(steps, instance, needs_ballot, needs_value, unnamed)
        if lost:
            useless[name] = f"{times(lost, 'event')} ({_WORDS[name]}) cannot be read: {_NEEDS[name]} is missing there"
    proposals = _together(found["requests"], found["received"])
    acceptances = _valued(found.pop("acceptances"), proposals)
    if bool((acceptances.value == NONE).any()):
        count = int((acceptances.value == NONE).sum())
        useless["values"] = f"of {times(count, 'acceptance')} it is not recorded which value it is (paxos.value)"
    return PaxosHistory(
        execution, reader.ballots, reader.values, reader.instances, acceptances=acceptances,
        proposals=_together(proposals, acceptances[acceptances.value >= 0]), answers=answers, useless=useless, **found,
    )  # fmt: skip


_WORDS = {
    "promises": "promises", "acceptances": "acceptances", "requests": "accept requests sent",
    "received": "accept requests received", "starts": "ballots started", "prepares": "prepare requests sent",
    "learned": "values learned", "submitted": "values put forward",
}  # fmt: skip
_NEEDS = {
    "promises": "paxos.ballot or paxos.instance", "acceptances": "paxos.ballot or paxos.instance",
    "requests": "paxos.ballot, paxos.value or paxos.instance",
    "received": "paxos.ballot, paxos.value or paxos.instance", "starts": "paxos.ballot or paxos.instance",
    "prepares": "paxos.ballot or paxos.instance",
    "learned": "paxos.value or paxos.instance", "submitted": "paxos.value",
}  # fmt: skip


class _Reader:
    """The trace's columns as codes, row by row."""

    def __init__(self, execution: Execution) -> None:
        self.execution = execution
        trace = execution.trace
        self.rows = execution.program_order.rows
        self.events = trace.kind != Kind.FAULT
        numbers = {name: _integers(trace.get(name), len(trace)) for name in _NUMBERS}
        present = np.concatenate([values[there] for values, there in numbers.values()])
        self.ballots = np.unique(present)
        self._ranks = {
            name: np.where(there, np.searchsorted(self.ballots, values), NONE)
            for name, (values, there) in numbers.items()
        }
        codes: dict[str, int] = {}
        self.value, self.accepted_value = (
            _codes(trace.get(name), len(trace), codes) for name in ("paxos.value", "paxos.accepted_value")
        )
        self.values = tuple(codes)
        names: dict[str, int] = {}
        self.instance = _codes(trace.get("paxos.instance"), len(trace), names)
        self.single = not names
        if self.single:
            self.instance = np.zeros(len(trace), np.int64)
        self.instances = tuple(names) or ("",)

    @cached_property
    def unnamed(self) -> Int64:
        """Processes that leave out the instance where there must be one, or where phase 1 of the same ballot has one:
        what they say of none is not about all."""
        if self.single:
            return np.empty(0, np.int64)
        process = self.execution.trace.process
        nameless = (self.instance == NONE) & self.events
        needed = self.named("paxos.accept", "paxos.accepted", "paxos.learn") & nameless
        ballot = self.number("paxos.ballot")
        first = self.named("paxos.start_ballot", "paxos.prepare", "paxos.promise") & (ballot != NONE)
        about_one = np.unique(ballot[first & (self.instance != NONE)])
        needed |= first & nameless & np.isin(ballot, about_one)
        return np.unique(process[needed]).astype(np.int64)

    def number(self, name: str) -> Int64:
        """Ranks of a column of ballots; `NONE` where absent."""
        return self._ranks[name]

    def kinds(self, *kinds: Kind) -> Bool:
        """Events of some kinds."""
        return self.execution.trace.is_kind(*kinds)

    def named(self, *names: str) -> Bool:
        """Events of some names."""
        return self.execution.trace.named(*names)

    def steps(self, mask: Bool, ballot: Int64, value: Int64) -> Steps:
        """The events of a mask, process after process."""
        row = self.rows[(mask & self.events)[self.rows]]
        return Steps(
            row, self.execution.trace.process[row].astype(np.int64), self.instance[row], ballot[row], value[row]
        )


_NUMBERS = ("paxos.ballot", "paxos.promised", "paxos.accepted_ballot")


def _integers(column: Column | None, n: int) -> tuple[Int64, Bool]:
    if column is None or column.texts is not None or column.values.dtype.kind != "i":
        return np.zeros(n, np.int64), np.zeros(n, np.bool_)
    return column.values.astype(np.int64), column.present


def _codes(column: Column | None, n: int, codes: dict[str, int]) -> Int64:
    """Codes of a column's values, text or numbers, in one dictionary for several columns; `NONE` where absent."""
    if column is None:
        return np.full(n, NONE, np.int64)
    if column.texts is not None:
        occur = np.unique(column.values[column.present])
        texts = column.texts.to_pylist()
        table = np.full(len(texts) + 1, NONE, np.int64)
        for code in occur.tolist():
            table[code] = codes.setdefault(texts[code], len(codes))
        return table[np.where(column.present, column.values, len(texts))]
    distinct, inverse = np.unique(column.values[column.present], return_inverse=True)
    table = np.array([codes.setdefault(str(v), len(codes)) for v in distinct.tolist()], np.int64)
    out = np.full(n, NONE, np.int64)
    out[column.present] = table[inverse]
    return out


def _usable(steps: Steps, instance: bool, ballot: bool, value: bool, unnamed: Int64) -> tuple[Steps, int]:
    """The steps that have what is needed, and how many have not. unnamed: whose steps need an instance in any case."""
    good = (steps.instance >= 0) | ~np.isin(steps.process, unnamed)
    for needed, codes in ((instance, steps.instance), (ballot, steps.ballot), (value, steps.value)):
        good &= (codes >= 0) | (not needed)
    return steps[good], int((~good).sum())


def _together(first: Steps, second: Steps) -> Steps:
    parts = zip(
        (first.row, first.process, first.instance, first.ballot, first.value),
        (second.row, second.process, second.instance, second.ballot, second.value),
        strict=True,
    )
    return Steps(*(np.concatenate(pair) for pair in parts))


def _valued(acceptances: Steps, proposals: Steps) -> Steps:
    """An acceptance of which the value was not recorded has that of its ballot, where all proposals agree on it."""
    lacking = acceptances.value == NONE
    if not bool(lacking.any()):
        return acceptances
    known = _together(proposals, acceptances[~lacking])
    both = _together(known, acceptances[lacking])
    keys, group = distinct(both.instance, both.ballot)
    low, high = np.full(len(keys), np.iinfo(np.int64).max), np.full(len(keys), NONE, np.int64)
    np.minimum.at(low, group[: len(known)], known.value)
    np.maximum.at(high, group[: len(known)], known.value)
    value = acceptances.value.copy()
    value[lacking] = np.where(low == high, low, NONE)[group[len(known) :]]
    return Steps(acceptances.row, acceptances.process, acceptances.instance, acceptances.ballot, value)


def distinct(*columns: Int64) -> tuple[Int64, Int64]:
    """The distinct tuples of some columns, shape (groups, columns), in order; and the group of each row."""
    key, span = np.zeros(len(columns[0]), np.int64), 1
    for column in columns:
        low = int(column.min(initial=0))
        width = int(column.max(initial=0)) - low + 1
        if span * width >= 1 << 62:  # dense again, so that no product overflows
            _, key = np.unique(key, return_inverse=True)
            span = int(key.max(initial=0)) + 1
        key, span = key * width + (column - low), span * width
    _, first, group = np.unique(key, return_index=True, return_inverse=True)
    return np.stack([column[first] for column in columns], axis=1), group


def firsts(*columns: Int64) -> Int64:
    """Positions of the first row of each distinct tuple, ascending."""
    _, group = distinct(*columns)
    _, first = np.unique(group, return_index=True)
    return np.sort(first)


def shown(names: Sequence[str], limit: int = 60) -> str:
    """A value in a sentence; long ones shortened."""
    text = ", ".join(names)
    return text if len(text) <= limit else f"{text[:limit]}..."
