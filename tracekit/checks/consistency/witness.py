"""Violations of linearizability in words: what was found, as sentences and a few events."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tracekit.checks.consistency.cells import Cells
from tracekit.checks.consistency.core import Core
from tracekit.checks.consistency.decided import Broken
from tracekit.checks.consistency.search import Stuck
from tracekit.checks.consistency.zones import Clash
from tracekit.execution import Execution
from tracekit.history.models import ABSENT, ANY, COMPUTED, UNANSWERED
from tracekit.history.operations import NEVER
from tracekit.results import Edge, Violation

SHOWN = 12
"""A core of more operations is shown by its last ones; its facts name all."""

Doomed = Callable[[Sequence[int]], int | None]
"""From operations that show that a key broke, the one at whose completion it broke first; None: it was not found."""

ANSWERING = frozenset({"dequeue", "pop", "poll", "peek", "read"})
"""Calls of which an answer of nil says something."""


@dataclass(frozen=True, eq=False)
class Witnesses:
    """Puts what the methods found into words. Entries are those of `cells.actions`."""

    execution: Execution
    cells: Cells

    def unwritten(self, entry: int, doomed: Doomed) -> Violation:
        """A read of a value that nobody wrote."""
        where = self._where(entry)
        text = f"{self._client(entry)} read {self._seen(entry)} {where}, but no recorded operation wrote that there."
        return Violation(
            "unwritten-value",
            text,
            self.execution.witness([(self._row(entry, True), self.text(entry))]),
            facts=self._facts(entry) | self._moment(doomed((entry,))),
        )

    def early(self, read: int, write: int, doomed: Doomed) -> Violation:
        """A read that ended before the write of its value began."""
        text = (
            f"{self._client(read)} read {self._seen(read)} {self._where(read)} before it was written: "
            f"the read had ended when {self.name(write)} began, and nobody else wrote that value."
        )
        facts = self._facts(read) | self._skew([(read, write)])
        facts |= self._moment(doomed((read,)))
        rows = [(self._row(read, True), self.text(read)), (self._row(write, False), self.text(write))]
        edge = self.execution.edge(rows[0][0], rows[1][0], "ended before it began")
        return Violation("read-before-write", text, self.execution.witness(rows), (edge,), facts)

    def clash(self, found: Clash, doomed: Doomed) -> Violation:
        """Two values of which each must come before the other. doomed: finds where the key broke first."""
        old = self._seen(found.again)
        new = self._seen(found.after)
        if found.before < 0:
            was = f"{old} is the initial value, so it came first"
        else:
            was = f"{self.name(found.before)} had ended before {self.name(found.after)} began, so {old} came first"
        text = (
            f"{self._client(found.again)} read {old} {self._where(found.again)} after {new} had replaced it: {was}; "
            f"but {self.name(found.back)} had ended before this read began."
        )
        pairs = [(found.back, found.again)] + ([(found.before, found.after)] if found.before >= 0 else [])
        facts = self._facts(found.again) | {"values": [old, new]} | self._skew(pairs)
        facts |= self._moment(doomed((found.before, found.after, found.back, found.again)))
        ended = {found.before, found.back}
        entries = {e for e in (found.first, found.second, found.before, found.after, found.back, found.again) if e >= 0}
        return self._violation(
            "stale-read",
            text,
            entries,
            ended,
            [(a, b, "ended before it began") for a, b in pairs]
            + [
                (w, r, "wrote the value read")
                for w, r in ((found.first, found.again), (found.second, found.after))
                if w >= 0 and w != r
            ]
            + [
                (w, r, "wrote the value read")
                for w, r in ((found.first, found.before), (found.second, found.back))
                if 0 <= w != r >= 0
            ],
            facts,
        )

    def broken(self, found: Broken) -> Violation:
        """What a method has put into words itself."""
        facts = self._facts(found.breaks) | dict(found.facts)
        return self._violation(found.anomaly, found.text, set(found.core), set(found.core), list(found.ties), facts)

    def stuck(self, found: Stuck, core: Core | None) -> Violation:
        """An operation that had no place between its invocation and its completion."""
        a, values = self.cells.actions, self.cells.actions.values
        if a.calls is not None:
            return self._refused(found, core)
        possible = [values.text(v) for v in found.values]
        shown = ", ".join(possible[:4]) + (f" or {len(possible) - 4} others" if len(possible) > 4 else "")
        text = (
            f"{self.name(found.entry)} {self._where(found.entry)} cannot have happened before it completed: "
            f"{self._demand(found.entry)}, but in every order of the operations before it that their answers allow, "
            f"the value was {shown}."
        )
        wanted = int(a.equals[found.entry])
        sources = self._last_writes([wanted] if wanted != ANY else [], found.entry, 2)
        holders = self._last_writes(list(found.values[:4]), found.entry, 1)
        text += self._beginning(core)
        if wanted > 0 and not ((a.effect == wanted) & (self.cells.key == self.cells.key[found.entry])).any():
            text += f" No operation wrote {values.text(wanted)} there."
        facts = self._facts(found.entry) | {
            "possible_values": possible[:20],
            "operations_before": found.before,
            "open_then": [self._event(e) for e in found.open[:20]],
            "open_then_total": len(found.open),
            "doomed_at": self.execution.trace.event(self._row(found.entry, True)),
        }
        shown_events = self._shown(found, core, {*sources, *holders})
        return self._violation("no-linearization", text, *shown_events, facts | self._of_core(core))

    def _refused(self, found: Stuck, core: Core | None) -> Violation:
        a, values = self.cells.actions, self.cells.actions.values
        reasons = list(dict.fromkeys(values.refusal(v, int(a.argument[found.entry])) for v in found.values[:50]))
        shown = " or ".join(reasons[:3]) + (f" or {len(reasons) - 3} other reasons" if len(reasons) > 3 else "")
        text = (
            f"{self.name(found.entry)} {self._where(found.entry)} cannot have happened before it completed: "
            f"in every order of the operations before it that their answers allow, {shown}."
        ) + self._beginning(core)
        facts = self._facts(found.entry) | {
            "possible_states": [values.text(v) for v in found.values[:20]],
            "operations_before": found.before,
            "open_then": [self._event(e) for e in found.open[:20]],
            "open_then_total": len(found.open),
            "doomed_at": self.execution.trace.event(self._row(found.entry, True)),
        }
        return self._violation("no-linearization", text, *self._shown(found, core), facts | self._of_core(core))

    def _shown(
        self, found: Stuck, core: Core | None, others: set[int] | None = None
    ) -> tuple[set[int], set[int], list[tuple[int, int, str]]]:
        """The events to show, those of them that are shown where they ended, and the order between them."""
        if core is None:
            return {found.entry, *(others or ())}, {found.entry}, []
        a = self.cells.actions
        shown = core.entries[-SHOWN:]
        ties = []
        program = self.cells.program
        reason = "ended before it began" + ("" if program is None else ", beyond the skew")
        for later in shown:
            before = [e for e in shown if a.end[e] < a.start[later]]
            latest = max((a.start[e] for e in before), default=0)
            ties += [(e, later, reason) for e in before if a.end[e] >= latest]
        if program is not None:
            calls = sorted((tuple(program[e].tolist()), e) for e in shown if program[e, 0] >= 0)
            follow = itertools.pairwise(calls)
            ties += [
                (first, second, "earlier call of the same client") for (x, first), (y, second) in follow if x[0] == y[0]
            ]
        return set(shown), set(shown), ties

    def _of_core(self, core: Core | None) -> dict[str, object]:
        if core is None:
            return {"minimal": False}
        return {
            "core": [self._event(e) for e in core.entries],
            "minimal": core.minimal,
            "states_before": [self.cells.actions.values.text(s) for s in core.states[:20]],
            "states_before_total": len(core.states),
            "completed_before": core.completed,
            "relaxed": len(core.relaxed),
        }

    def _beginning(self, core: Core | None) -> str:
        """What was possible before the core, and why nothing else was."""
        if core is None:
            return ""
        values = [self.cells.actions.values.text(s) for s in core.states]
        shown = ", ".join(values[:4]) + (f" or {len(values) - 4} others" if len(values) > 4 else "")
        what = "state" if self.cells.actions.calls else "value"
        why = f"after the {core.completed} operations that had completed" if core.completed else "as at the beginning"
        text = f" Before the operations shown the {what} was {shown}, {why}."
        if core.relaxed:
            others = f"{len(core.relaxed)} others" if len(core.relaxed) > 1 else "other one"
            text += f" Nothing explains them, even if the {others} since then took effect at any time or never."
        return text

    def _violation(
        self,
        anomaly: str,
        text: str,
        entries: set[int],
        ended: set[int],
        ties: list[tuple[int, int, str]],
        facts: dict[str, object],
    ) -> Violation:
        a = self.cells.actions
        rows: dict[int, int] = {}
        moments: dict[int, tuple[int, int]] = {}
        for entry in entries:
            # A write is shown where it began: reads of its value may complete before it does.
            completed = a.end[entry] != NEVER and (entry in ended or a.effect[entry] == ANY)
            rows[entry] = self._row(entry, completed)
            moments[entry] = (int(a.end[entry] if completed else a.start[entry]), rows[entry])
        ordered = sorted(entries, key=lambda e: moments[e])
        witness = self.execution.witness([(rows[e], self.text(e)) for e in ordered])
        edges: list[Edge] = []
        for start, end, reason in ties:
            edge = self.execution.edge(rows[start], rows[end], reason)
            if edge not in edges:
                edges.append(edge)
        return Violation(anomaly, text, witness, tuple(edges), facts)

    def _last_writes(self, codes: list[int], entry: int, count: int) -> list[int]:
        """For each value the writes of it at the key that began last before the entry completed."""
        a, key = self.cells.actions, self.cells.key
        found: list[int] = []
        for code in codes:
            places = np.flatnonzero((a.effect == code) & (key == key[entry]) & (a.start <= a.end[entry]))
            found += places[np.argsort(a.start[places], kind="stable")][-count:].tolist()
        return found

    def text(self, entry: int) -> str:
        """``reads 3 at key k7``, with where it was invoked if the event shown is its completion."""
        a = self.cells.actions
        operation = a.operation[entry]
        invoke = int(self.execution.operations.invoke[operation])
        began = f"invoked {self.execution.trace.event(invoke)}" if invoke >= 0 else "invocation not recorded"
        open_ended = ", never answered" if a.end[entry] == NEVER else ""
        return f"{self._verb(entry)} {self._where(entry)} ({began}{open_ended})"

    def name(self, entry: int) -> str:
        """``c1's write of 3``."""
        a, values = self.cells.actions, self.cells.actions.values
        if a.calls is not None:
            return f"{self._client(entry)}'s {self._call(entry)}"
        if a.effect[entry] == ANY:
            what = f"read of {self._seen(entry)}" if a.differs[entry] == ANY else f"failed cas ({self._demand(entry)})"
        elif a.effect[entry] == COMPUTED:
            what = f"append of {values.text(int(a.argument[entry]))}"
        elif a.equals[entry] != ANY:
            what = f"cas from {values.text(int(a.equals[entry]))} to {values.text(int(a.effect[entry]))}"
        else:
            what = f"write of {values.text(int(a.effect[entry]))}"
        return f"{self._client(entry)}'s {what}"

    def _call(self, entry: int) -> str:
        """``dequeue (answered 3)``, ``enqueue of 3``."""
        calls = self.cells.actions.calls
        assert calls is not None, "only step functions have calls"
        function = calls.functions[int(calls.function[entry])]
        given, answered = int(calls.given[entry]), int(calls.answered[entry])
        of = f" of {calls.values.text(given)}" if given != ABSENT else ""
        tells = answered not in (UNANSWERED, given) if answered != ABSENT else function in ANSWERING
        return function + of + (f" (answered {calls.values.text(answered)})" if tells else "")

    def _verb(self, entry: int) -> str:
        a, values = self.cells.actions, self.cells.actions.values
        if a.calls is not None:
            return f"calls {self._call(entry)}"
        if a.effect[entry] == ANY:
            return f"reads {self._seen(entry)}" if a.differs[entry] == ANY else f"fails a cas: {self._demand(entry)}"
        if a.effect[entry] == COMPUTED:
            return f"appends {values.text(int(a.argument[entry]))}"
        if a.equals[entry] != ANY:
            return f"replaces {values.text(int(a.equals[entry]))} by {values.text(int(a.effect[entry]))}"
        return f"writes {values.text(int(a.effect[entry]))}"

    def _demand(self, entry: int) -> str:
        a, values = self.cells.actions, self.cells.actions.values
        if a.differs[entry] != ANY:
            return f"the value was not {values.text(int(a.differs[entry]))}"
        if a.equals[entry] == ANY:
            return "it appends to a string"
        other = "" if a.or_equals[entry] == ANY else f" or {values.text(int(a.or_equals[entry]))}"
        return f"it needs the value {values.text(int(a.equals[entry]))}{other}"

    def _seen(self, entry: int) -> str:
        """The value that an operation wrote or read."""
        a = self.cells.actions
        code = a.equals[entry] if a.effect[entry] == ANY else a.effect[entry]
        return a.values.text(int(code))

    def _where(self, entry: int) -> str:
        return f"at {self.cells.name(int(self.cells.key[entry]))}"

    def _client(self, entry: int) -> str:
        operations = self.execution.operations
        return self.execution.trace.processes[int(operations.process[self.cells.actions.operation[entry]])]

    def _row(self, entry: int, completion: bool) -> int:
        operations, operation = self.execution.operations, self.cells.actions.operation[entry]
        invoke, completed = int(operations.invoke[operation]), int(operations.completion[operation])
        return completed if completed >= 0 and (completion or invoke < 0) else invoke

    def _event(self, entry: int) -> str:
        return self.execution.trace.event(self._row(entry, False))

    def _facts(self, entry: int) -> dict[str, object]:
        return {"key": self.cells.names[int(self.cells.key[entry])], "client": self._client(entry)}

    def _moment(self, entry: int | None) -> dict[str, object]:
        return {} if entry is None else {"doomed_at": self.execution.trace.event(self._row(entry, True))}

    def _skew(self, pairs: list[tuple[int, int]]) -> dict[str, object]:
        """How far clocks would have to differ for one of the pairs not to be in order, where they are clocks at all.

        Program order is exact: two operations of one client are in order however wrong its clock is.
        """
        if self.execution.operations.real_time.column != "time_ns":
            return {}
        operations, a = self.execution.operations, self.cells.actions
        gaps = [
            int(operations.start[a.operation[later]] - operations.end[a.operation[earlier]])
            for earlier, later in pairs
            if self._client(earlier) != self._client(later)
        ]
        return {"excused_by_skew_ns": min(gaps)} if gaps else {}
