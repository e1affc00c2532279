"""A history of sessions as the checks of causal consistency read it, with what the recording leaves open about it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from tracekit.checks.doubts import left_out
from tracekit.errors import TracekitError
from tracekit.execution import Execution
from tracekit.history.models import Choice, choose
from tracekit.history.operations import Operations, Outcome
from tracekit.history.sessions import AMBIGUOUS, MEMORIES, READS, UNWRITTEN, WRITES, Sessions, sessions_of
from tracekit.results import CheckResult, Edge, Violation
from tracekit.trace.columns import Column
from tracekit.trace.schema import Kind

Int64 = NDArray[np.int64]

LISTED = 20
"""How many violations are put into words."""

HARMLESS_FIELDS = frozenset({"lamport", "vclock", "message", "peer", "name", "source", "line"})
"""Fields that no session is built from; a dot in a name marks a domain's own field, which is none either."""


def applies(execution: Execution) -> bool:
    """Whether clients recorded reads and writes, and no model says that they mean something else."""
    f = execution.trace.get("f")
    if f is None or f.texts is None or not (execution.trace.is_kind(Kind.INVOKE, Kind.OK) & f.present).any():
        return False
    texts = set(f.texts.to_pylist())
    if not (texts & READS and (texts & WRITES or texts <= READS)):
        return False
    declared = execution.options.model or execution.trace.run.model
    if declared is not None:
        return declared.partition(":")[0].strip() in MEMORIES
    choice = choose(execution.operations, None, None)
    return choice is None or choice.model.name in MEMORIES


@dataclass(frozen=True, eq=False)
class SessionHistory:
    """Sessions of an execution, and which verdicts the recording keeps from being given.

    Attributes
    ----------
    choice: the model, with its options; None: none was declared and none covers all operations.
    reasons: why what holds may not be said to hold; one sentence each.
    excuses: what may excuse any violation: not recorded writes may explain what was read.
    ambiguity: reads whose write is not determined, for the checks that need to know it; empty where all are.
    unjudged: operations that are no reads and writes, for the checks that judge registers; empty where all are.
    """

    execution: Execution
    sessions: Sessions
    choice: Choice | None
    reasons: tuple[str, ...]
    excuses: tuple[str, ...]
    ambiguity: str = ""
    unjudged: str = ""

    @property
    def operations(self) -> Operations:
        """The operations that the sessions were made of."""
        return self.execution.operations

    @cached_property
    def not_sessions(self) -> CheckResult | None:
        """The result of every check of sessions where clients have operations open at once: sessions have no order."""
        overlapping = self.sessions.overlapping
        if not len(overlapping):
            return None
        first = self.execution.trace.event(int(self.operations.row[overlapping[0]]))
        why = f"{len(overlapping)} operations began while their client had another one open (first: {first})"
        return CheckResult(applicable=False, remark=f"{why}: sessions have no order", facts={"overlapping": why})

    @property
    def rests_on(self) -> tuple[str, ...]:
        """What every verdict about sessions supposes."""
        return () if self.choice is None else (self.choice.text,)

    def result(
        self,
        violations: Iterable[Violation],
        total: int,
        *,
        method: str,
        reasons: tuple[str, ...] = (),
        ambiguous: bool = True,
        registers: bool = True,
        tried: tuple[str, ...] = (),
        rests_on: tuple[str, ...] = (),
        facts: dict[str, Any] | None = None,
        certificate: Any = None,
    ) -> CheckResult:
        """A check's result: what was found, unless the recording excuses it.

        reasons: the check's own reasons against saying that the property holds. ambiguous: whether reads without a
        determined write are one. registers: whether keys with other operations are one.
        """
        sessions = self.sessions
        own = [*([self.unjudged] if registers and self.unjudged else []), *self.reasons]
        own += [*([self.ambiguity] if ambiguous and self.ambiguity else []), *reasons]
        listed = tuple(violations)
        excuses = [*self.excuses, *self._odd_values()] if total else []
        if excuses:
            own += [f"{listed[0].summary if listed else 'violated as recorded'} But {why}" for why in excuses[:1]]
            own += [f"and {why}" for why in excuses[1:]]
            listed, total = (), 0
        reads = int((~sessions.write).sum())
        answered = bool((self.operations.outcome != Outcome.INFO).any())
        if not answered and len(self.operations):
            own.append("no operation was answered, so nothing says what the system did")
        elif not reads and not own:
            own.append("no read was answered, so nothing says what the clients saw")
        counts = {"sessions": sessions.count, "reads": reads, "writes": int(sessions.write.sum())}
        return CheckResult(
            examined=counts if answered and reads else {},
            violations=listed,
            violations_total=total,
            reasons=tuple(own),
            tried=tried,
            method=method,
            certificate=None if own or total else certificate,
            facts={"keys": len(sessions.names), "open_writes_nobody_read": sessions.unread} | (facts or {}),
            rests_on=self.rests_on + rests_on,
        )

    def _odd_values(self) -> list[str]:
        """Where values are not canonical JSON, another text may mean the same value."""
        column = self.operations.invoked
        if column is None or column.texts is None:
            return []
        used = np.zeros(len(column.texts), np.bool_)
        for values in (self.operations.invoked, self.operations.returned):
            if values is not None:
                used[values.values[values.present]] = True
        texts = column.texts.to_pylist()
        odd = next((texts[code] for code in np.flatnonzero(used) if not _is_canonical(texts[code])), None)
        return [] if odd is None else [f"values are equal only where their texts are, and {odd[:40]} is not canonical"]

    def row(self, entry: int) -> int:
        """The row that shows an operation: of a read its answer, of a write its invocation."""
        operation = int(self.sessions.operation[entry])
        invoke, completion = int(self.operations.invoke[operation]), int(self.operations.completion[operation])
        if self.sessions.write[entry]:
            return invoke if invoke >= 0 else completion
        return completion

    def client(self, entry: int) -> str:
        """The name of the operation's client."""
        sessions = self.sessions
        return self.execution.trace.processes[int(sessions.process[sessions.session[entry]])]

    def value(self, entry: int) -> str:
        """What was read or written, as text: ``3``, ``"x"``, ``nil``."""
        operation = int(self.sessions.operation[entry])
        written = bool(self.sessions.write[entry]) and self.operations.invoke[operation] >= 0
        column = self.operations.invoked if written else self.operations.returned
        return value_text(column, operation)

    def verb(self, entry: int) -> str:
        """``writes 3 at key x``, with where it was invoked if its completion is shown."""
        where = self.sessions.key_name(int(self.sessions.key[entry]))
        if self.sessions.write[entry]:
            open_ended = " (never answered)" if self.sessions.open[entry] else ""
            return f"writes {self.value(entry)} at {where}{open_ended}"
        return f"reads {self.value(entry)} at {where}"

    def name(self, entry: int) -> str:
        """``s1's write of 3 at key x``."""
        what = "write" if self.sessions.write[entry] else "read"
        where = self.sessions.key_name(int(self.sessions.key[entry]))
        return f"{self.client(entry)}'s {what} of {self.value(entry)} at {where}"

    def thin_air(self) -> Int64:
        """Entries of reads of values that nobody wrote, in file order."""
        found = np.flatnonzero(self.sessions.source == UNWRITTEN)
        return found[np.argsort(self.operations.completion[self.sessions.operation[found]], kind="stable")]

    def thin_air_read(self, entry: int) -> Violation:
        """ThinAirRead in words: the value had no write, or only one that failed."""
        sessions, operations = self.sessions, self.operations
        operation = int(sessions.operation[entry])
        failed = self._failed_write(operation)
        witness: list[tuple[int, str]] = [(self.row(entry), self.verb(entry))]
        text = f"{self.client(entry)} read {self.value(entry)} at {sessions.key_name(int(sessions.key[entry]))}"
        edges: tuple[Edge, ...] = ()
        if failed >= 0:
            writer = self.execution.trace.processes[int(operations.process[failed])]
            row = int(operations.row[failed])
            text += f", but {writer}'s write of it failed, and nobody else wrote it there."
            witness.append((row, f"tries to write {self.value(entry)}, and fails"))
            edges = (self.execution.edge(row, witness[0][0], "failed write of the value read"),)
        else:
            text += ", but no recorded operation wrote that there."
        return Violation(
            "ThinAirRead",
            text,
            self.execution.witness(sorted(witness)),
            edges,
            {"key": sessions.names[int(sessions.key[entry])], "client": self.client(entry)},
        )

    def _failed_write(self, operation: int) -> int:
        """A write that failed, of the value that an operation read at its key; -1 where there is none."""
        operations, key = self.operations, self.operations.key
        invoked, returned = operations.invoked, operations.returned
        if invoked is None or returned is None or not returned.present[operation]:
            return -1
        same = (operations.outcome == Outcome.FAIL) & invoked.present
        same &= invoked.values == returned.values[operation]
        if key is not None:
            same &= (key.values == key.values[operation]) & (key.present == key.present[operation])
        found = np.flatnonzero(same)
        return int(found[0]) if len(found) else -1


def value_text(column: Column | None, at: int) -> str:
    """A value as people read it; nil where there is none."""
    value = None if column is None else column.at(at)
    return "nil" if value is None or value == "null" else str(value)


def history_of(execution: Execution) -> SessionHistory:
    """The sessions and their doubts. O(m log m); ask through `execution.derive`.

    Raises
    ------
    TracekitError: TK302 for a model that does not exist, where the caller asked for it.
    """
    trace, operations = execution.trace, execution.operations
    reasons: list[str] = []
    excuses: list[str] = []
    choice = None
    try:
        choice = choose(operations, execution.options.model, trace.run.model)
    except TracekitError as error:
        if execution.options.model:
            raise
        reasons.append(f"the run declares the model {trace.run.model}: {error.summary}")
    late, early = (_uncovered(execution, end) for end in ("start", "end"))
    sessions = sessions_of(
        trace,
        operations,
        nil_any=choice is not None and choice.nil_any,
        empty_is_absent=choice is not None and choice.model.empty_is_absent,
        began_late=bool(late),
    )
    unjudged = ""
    if len(sessions.unclear):
        first = trace.event(int(operations.row[sessions.unclear[0]]))
        count = len(sessions.unclear)
        are = "operations are" if count > 1 else "operation is"
        unjudged = (
            f"{count} {are} neither a plain read nor a plain write, or cannot be told apart (first: {first}): reads "
            f"at {int(sessions.unclear_keys.sum())} of {len(sessions.names)} keys are not judged"
        )
    spoiled = trace.set_aside.spoiling(lambda name: name not in HARMLESS_FIELDS and "." not in name)
    if spoiled:
        reasons.append(f"{spoiled}: they may belong to operations")
        excuses.append("what was set aside may explain it.")
    for who, what in ((late, "began late"), (early, "ended early")):
        if who:
            excuses.append(f"the recording of {who} {what}, so unseen writes may explain it.")
    if gaps := left_out(execution, operations.process):
        excuses.append(f"{gaps}, and unseen writes may explain it.")
    if not trace.complete and operations.real_time.column == "time_ns":
        excuses.append("the file is not complete, so unseen writes may explain it.")
    ambiguity = _ambiguity(execution, sessions)
    return SessionHistory(execution, sessions, choice, tuple(reasons), tuple(excuses), ambiguity, unjudged)


def _ambiguity(execution: Execution, sessions: Sessions) -> str:
    """Reads whose write is not determined. With them the problem is NP-complete (Bouajjani et al., POPL 2017)."""
    reads = np.flatnonzero((sessions.source == AMBIGUOUS) & ~sessions.unclear_keys[sessions.key])
    if not len(reads):
        return ""
    first = int(reads[0])
    same = (sessions.key == sessions.key[first]) & (sessions.value == sessions.value[first]) & sessions.write
    value = value_text(execution.operations.returned, int(sessions.operation[first]))
    times = int(same.sum())
    written = f"{times} times" if times > 1 else "as well as being the initial value"
    where = sessions.key_name(int(sessions.key[first]))
    have = f"{len(reads)} reads have" if len(reads) > 1 else "1 read has"
    what = f"{have} no determined write: {value} was written {written} at {where}"
    return f"{what} (values that are not unique make the problem NP-hard)"


def _is_canonical(text: str) -> bool:
    if text.removeprefix("-").isdecimal():
        return True
    try:
        return orjson.dumps(orjson.loads(text)).decode() == text
    except ValueError:
        return not text.startswith(('"', "[", "{"))


def _uncovered(execution: Execution, end: str) -> str:
    """Clients whose first or last events are declared not to be recorded."""
    trace, coverage = execution.trace, execution.trace.run.coverage
    clients = {trace.processes[code] for code in np.unique(execution.operations.process)}
    return ", ".join([p for p in coverage if p in clients and not coverage[p].get(end, True)][:3])
