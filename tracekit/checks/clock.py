"""Recorded logical clocks against program order and messages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tracekit.execution import Execution, Options
from tracekit.kernels.engine import kernels
from tracekit.registry import check
from tracekit.results import CheckResult, Edge, Violation
from tracekit.trace.columns import Column
from tracekit.trace.schema import Kind

SHOWN = 20
LAMPORT_ANOMALIES = {
    1: "clock-went-back",
    2: "missing-increment",
    3: "receive-not-after-send",
}
VECTOR_ANOMALIES = {
    1: "clock-went-back",
    2: "missing-increment",
    4: "missing-merge",
    5: "knowledge-from-the-future",
    6: "own-component-jumped",
}
COMMUNICATION = (Kind.SEND, Kind.RECEIVE)
FAR = 1 << 40
"""More events than are ever missing between two others; added up, it stays far from the largest number."""

ENOUGH = 3
"""Events of a class that must all keep the clock before that is taken for the recorder's convention."""


@dataclass(frozen=True, eq=False)
class Convention:
    """Which events advance the clock, as inferred from the recording itself."""

    ticks: NDArray[np.bool_]
    words: str


def convention_of(execution: Execution, own: NDArray[np.int64], present: NDArray[np.bool_]) -> Convention:
    """Events tick, unless every event of a class (neither send nor receive; receive) keeps its process's own value.

    Parameters
    ----------
    own: shape (n,), each event's own clock: its Lamport timestamp, or its own component.
    """
    kind = execution.trace.kind
    rows = execution.program_order.rows
    rows = rows[present[rows]]
    after, before = rows[1:], rows[:-1]
    same = execution.trace.process[after] == execution.trace.process[before]
    after, before = after[same], before[same]
    kept = own[after] == own[before]
    ticks = np.ones(len(kind), np.bool_)
    still: list[str] = []
    for label, of_class in (
        ("internal events", ~execution.trace.is_kind(*COMMUNICATION)),
        ("receives", kind == Kind.RECEIVE),
    ):
        members = of_class[after]
        if members.sum() >= ENOUGH and kept[members].all():
            ticks[of_class] = False
            still.append(label)
    words = "every event ticks" if not still else f"{' and '.join(still)} do not tick (inferred)"
    return Convention(ticks, words)


def has_column(name: str) -> Callable[[Execution], bool]:
    """Applies where the column was recorded."""
    return lambda execution: name in execution.trace


@check("clock.lamport", applies=has_column("lamport"))
def lamport(execution: Execution, options: Options) -> CheckResult:
    """Recorded Lamport timestamps grow along each process and across each message.

    Meaning
        Lamport's clock condition: if event a happens before event b, the timestamp of a is smaller than that of b.
        It is checked as the two implementation rules that give it: a process's clock advances between any two of its
        events (IR1), and a receive is stamped later than the send of its message (IR2). The exact amounts are free.

    Example
        n1:4  send     message 7   lamport 12
        n2:9  receive  message 7   lamport 12     <- not later than its send: n2 did not merge the sender's clock

    Needs
        The column `lamport`. Messages need `message` ids; without them only program order is checked, and the verdict
        says so in what it rests on.

    Cannot see
        Whether a larger timestamp was really caused by the event: Lamport clocks do not show concurrency. Timestamps of
        events that were not recorded. A recorder whose internal events never tick is taken at its convention, which
        is inferred and stated.

    Cost
        One pass over the events, O(n). Only the previous event and the send are looked at, so an error is reported
        where it arises and not again at everything that follows from it.

    Reference
        Lamport, "Time, Clocks, and the Ordering of Events in a Distributed System", CACM 21(7), 1978. Rules IR1, IR2.
    """
    trace, program = execution.trace, execution.program_order
    column = trace.get("lamport")
    if column is None:
        return CheckResult(applicable=False)
    clock = column.values
    present = column.present & (trace.kind != Kind.FAULT)
    send_of = execution.messages.send_of
    convention = convention_of(execution, clock, present)
    error = np.zeros(len(trace), np.int8)
    loops = kernels("clocks", work=len(trace))
    examined = loops.lamport_errors(program.rows, trace.process, clock, present, convention.ticks, send_of, error)
    bad = np.flatnonzero(error)
    before = _previous(execution, present)

    def violation(row: int) -> Violation:
        send, earlier = int(send_of[row]), int(before[row])
        at, name = int(clock[row]), trace.event(row)
        if error[row] == loops.NOT_AFTER_SEND:
            cause = send
            sent = f"{int(clock[send])}, the stamp of the send that it received ({trace.event(send)})"
            sentence = f"{name} is stamped {at}, not later than {sent}."
        else:
            cause = earlier
            verb = "falls back to" if error[row] == loops.WENT_BACK else "stays at"
            known = f"after {int(clock[earlier])} at {trace.event(earlier)}"
            sentence = f"The clock of {trace.processes[trace.process[row]]} {verb} {at} at {name}, {known}."
        rows = [(r, f"{execution.text(r)}, lamport {int(clock[r])}") for r in (cause, row)]
        edges = (execution.edge(cause, row),)
        facts = {"recorded": at, "smallest allowed": int(clock[cause]) + 1}
        return Violation(LAMPORT_ANOMALIES[int(error[row])], sentence, execution.witness(rows), edges, facts)

    return CheckResult(
        examined={"events": int(examined)},
        violations=tuple(violation(int(row)) for row in _in_causal_order(execution, bad)[:SHOWN]),
        violations_total=len(bad),
        method=f"local: previous event and send; {convention.words}",
        reasons=_may_belong(trace.set_aside.spoiling(lambda name: name in ("lamport", "message"))),
        facts=_by_class(error[bad], LAMPORT_ANOMALIES),
    )


@check("clock.vector", applies=has_column("vclock"))
def vector(execution: Execution, options: Options) -> CheckResult:
    """Recorded vector timestamps are the ones that program order and messages give.

    Meaning
        A process's vector counts, for every process, the events of it that this one can know of. At each event it is
        the largest, component by component, of the vector before and of the vector that came with the message
        received, and one more in the process's own component. Then e happens before f exactly if V(e) < V(f).

    Example
        n1:4  send     message 7   [5, 0]
        n2:9  receive  message 7   [3, 10]    <- missing merge: n1's component must be at least 5

    Needs
        The column `vclock`, and `tracekit.processes` for the order of components. Messages need `message` ids; in a
        trace without any, an event may have learned what it knows from a message that was not recorded, and only
        the process's own component and the order within each process are checked.

    Cannot see
        Events and messages that were not recorded: where events without a timestamp, or a gap in `seq`, lie between two
        vectors, the second may have ticked so much more and learned anything. Which of several copies of a message
        arrived. Which values count as the first (0 or 1). A recorder whose internal events, or receives, never tick is
        taken at its convention, which is inferred and stated.

    Cost
        One pass over the vectors, O(n p) for p components. Only the previous event and the send are looked at, so an
        error is reported where it arises; by induction, all vectors are right where none is reported.

    Reference
        Fidge, "Timestamps in Message-Passing Systems That Preserve the Partial Ordering", 1988; Mattern, "Virtual Time
        and Global States of Distributed Systems", 1989.
    """
    trace, program = execution.trace, execution.program_order
    column = trace.lists("vclock")
    if column is None:
        return CheckResult(applicable=False)
    items = column.items
    assert isinstance(items, Column), "the schema's type was checked on read"
    values = items.values
    offsets, process = column.offsets, trace.process
    has_component = (np.diff(offsets) > process) & (process < trace.components)
    present = column.present & (trace.kind != Kind.FAULT) & (process < trace.components)
    own = np.zeros(len(trace), np.int64)
    own[has_component] = values[(offsets[:-1] + process)[has_component]]
    convention = convention_of(execution, own, present)
    send_of = execution.messages.send_of
    loops = kernels("clocks", work=len(values) + len(trace))
    learned = _may_have_learned(execution)
    spoiled = trace.set_aside.spoiling(lambda name: name in ("vclock", "message"))
    missed = _missed(execution, present) + FAR * bool(spoiled)
    state = present * (1 + loops.TICKS * convention.ticks + loops.LEARNED * learned + loops.MISSED * missed)
    error = np.zeros(len(trace), np.int8)
    where = np.zeros(len(trace), np.int32)
    examined = loops.vector_errors(program.rows, process, offsets, values, state, send_of, error, where)
    bad = np.flatnonzero(error)
    before = _previous(execution, present)

    def at(row: int, component: int) -> int:
        entries = column.at(row) or []
        return int(entries[component]) if row >= 0 and component < len(entries) else 0

    def violation(row: int) -> Violation:
        component, code = int(where[row]), int(error[row])
        send, earlier = int(send_of[row]), int(before[row])
        here = at(row, component)
        known = at(earlier, component) if earlier >= 0 else 0
        sent = at(send, component) if send >= 0 else 0
        own_tick = int(component == process[row] and convention.ticks[row])
        wanted = max(known, sent) + own_tick
        whose = f"component {trace.processes[component]}" + (" (its own)" if component == process[row] else "")
        sentence = f"{trace.event(row)} records {here} in {whose}; {_VECTOR_WORDS[code]} {wanted}."
        rows = [r for r in (earlier, send) if r >= 0]
        shown = [(r, f"{execution.text(r)}, {column.at(r)}") for r in (*rows, row)]
        edges: tuple[Edge, ...] = tuple(execution.edge(r, row) for r in rows)
        facts = {"component": trace.processes[component], "recorded": here, "expected": wanted}
        return Violation(VECTOR_ANOMALIES[code], sentence, execution.witness(shown), edges, facts)

    unseen = int((present & learned).sum())
    return CheckResult(
        examined={"events": int(examined)},
        violations=tuple(violation(int(row)) for row in _in_causal_order(execution, bad)[:SHOWN]),
        violations_total=len(bad),
        method=f"local: previous event and send; {convention.words}",
        reasons=_may_belong(spoiled),
        facts={**_by_class(error[bad], VECTOR_ANOMALIES), **({"events with unknown sends": unseen} if unseen else {})},
    )


_VECTOR_WORDS = {
    1: "the same process had recorded at least",
    2: "program order gives",
    4: "the message that it received brought",
    5: "neither the process nor the message can know more than",
    6: "program order gives",
}


def _missed(execution: Execution, present: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Shape (n,): how many events before each, since the last one of its process with a timestamp, have none, or are
    not in the recording: a gap in `seq`."""
    trace, rows = execution.trace, execution.program_order.rows
    missed = np.zeros(len(trace), np.int64)
    timed = rows[present[rows]]
    place = np.flatnonzero(present[rows])
    same = trace.process[timed[1:]] == trace.process[timed[:-1]]
    between = np.maximum(np.diff(place), np.diff(trace.seq[timed])) - 1
    missed[timed[1:][same]] = np.clip(between[same], 0, FAR)
    first = np.append(True, ~same)[: len(timed)]
    missed[timed[first]] = place[first] - execution.program_order.starts[trace.process[timed[first]]]
    return missed


def _may_belong(spoiled: str) -> tuple[str, ...]:
    """As reasons: what was set aside may have had a wrong timestamp, or explain one."""
    return (f"{spoiled}: they may have had timestamps",) if spoiled else ()


def _may_have_learned(execution: Execution) -> NDArray[np.bool_]:
    """Shape (n,): events that may have received a message of which no send is known."""
    trace = execution.trace
    if not len(execution.messages.sends):
        return np.ones(len(trace), np.bool_)
    messages = execution.messages
    learned: NDArray[np.bool_] = (trace.kind == Kind.RECEIVE) & (messages.send_of < 0)
    learned[messages.uncertain] = True  # a later copy than the earliest brought what its sender learned in between
    firsts = execution.program_order.starts[:-1]
    for code, name in enumerate(trace.processes):
        if (
            trace.run.coverage.get(name, {}).get("start") is False
            and firsts[code] < execution.program_order.starts[code + 1]
        ):
            learned[execution.program_order.rows[firsts[code]]] = True
    return learned


def _previous(execution: Execution, present: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Shape (n,): the row of the previous event with a timestamp at the same process; -1 where there is none."""
    rows = execution.program_order.rows
    rows = rows[present[rows]]
    before = np.full(len(execution.trace), -1, np.int64)
    same = execution.trace.process[rows[1:]] == execution.trace.process[rows[:-1]]
    before[rows[1:][same]] = rows[:-1][same]
    return before


def _in_causal_order(execution: Execution, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Root causes first: no event of the result depends on a later one. Cheap for few rows, by file order for many."""
    if len(rows) > 10_000:
        return rows
    return rows[np.lexsort((execution.program_order.index[rows], execution.happens_before.lamport(rows)))]


def _by_class(errors: NDArray[np.int8], names: dict[int, str]) -> dict[str, int]:
    return {name: int((errors == code).sum()) for code, name in names.items() if (errors == code).any()}
