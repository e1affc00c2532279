"""Values that were written more than once: one choice of the writes that were read, which may show that all is well.

Which write such a read saw is open, and to try every choice is NP-hard (`session_history`). But if one choice makes a
history allowed, it is allowed: give each write a value of its own and each read that of the write chosen for it, and
what explains that history explains this one. So a guess is never assumed: it may prove that a property holds, and if
it does not, nothing follows from it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tracekit.checks.consistency.causal_certificate import event_of
from tracekit.checks.consistency.session_history import SessionHistory, history_of
from tracekit.execution import Execution
from tracekit.history.sessions import AMBIGUOUS, INITIAL
from tracekit.results import CheckResult, Verdict

ADVICE = "record distinct values for writes: then it is decided"
"""What to do where a guess did not help."""


def or_guessed(judge: Callable[[Execution], CheckResult], execution: Execution) -> CheckResult:
    """What a check says; where only repeated values keep it from an answer, "holds" if it does so with a guess."""
    found, history = judge(execution), execution.derive(history_of)
    if not history.ambiguity or found.verdict is not Verdict.UNKNOWN or found.reasons != (history.ambiguity,):
        return found
    return holds_as_guessed(judge, execution) or replace(found, tried=(*found.tried, ADVICE))


def holds_as_guessed(judge: Callable[[Execution], CheckResult], execution: Execution) -> CheckResult | None:
    """The result with the guess, where that shows that the property holds."""
    history, other = execution.derive(history_of), execution.derive(guessed)
    found = judge(other)
    if found.verdict is not Verdict.HOLDS:
        return None
    reads = np.flatnonzero(history.sessions.source == AMBIGUOUS)
    certificate = found.certificate
    if certificate is not None and "omitted" not in certificate:
        certificate = certificate | {"reads_from": _sources(other.derive(history_of), reads)}
    matched = f"{len(reads):,} reads of repeated values matched to the write recorded last before each"
    return replace(
        found,
        method=f"{found.method}; {matched}",
        certificate=certificate,
        facts={**found.facts, "reads_of_repeated_values": len(reads)},
    )


def guessed(execution: Execution) -> Execution:
    """The execution, with each read whose write is open given the one that was recorded last before its answer.

    O(n log n); ask through `execution.derive`. A read of what nobody had written yet is given the initial value if it
    may be that, else the first write that follows.
    """
    history = execution.derive(history_of)
    sessions, operations = history.sessions, history.operations
    source = sessions.source.copy()
    reads, writes = np.flatnonzero(source == AMBIGUOUS), np.flatnonzero(sessions.write)
    values = int(sessions.value.max(initial=0)) + 1
    code = sessions.key.astype(np.int64) * values + sessions.value
    row = operations.row[sessions.operation]
    order = writes[np.lexsort((row[writes], code[writes]))]
    # Places among the writes of each key and value: a sorted list of pairs, in which each read is looked up.
    span = len(execution.trace) + 1
    pairs = np.unique(code, return_inverse=True)[1] * span
    asked = pairs[reads] + operations.completion[sessions.operation[reads]]
    at = np.searchsorted(pairs[order] + row[order], asked) - 1
    earlier = (at >= 0) & (pairs[order[np.maximum(at, 0)]] == pairs[reads])
    following = np.minimum(at + 1, len(order) - 1)
    later = pairs[order[following]] == pairs[reads] if len(order) else earlier
    chosen = np.where(later, order[following], INITIAL) if len(order) else np.full(len(reads), INITIAL)
    chosen[np.isin(sessions.value[reads], sessions.initial)] = INITIAL
    chosen[earlier] = order[at[earlier]]
    source[reads] = chosen
    certain = replace(history, sessions=replace(sessions, source=source), ambiguity="")
    return execution.assuming(history_of, certain)


def _sources(history: SessionHistory, reads: NDArray[np.int64]) -> dict[str, str | None]:
    """The events of some reads, with those of the writes that they were matched to; None: the initial value."""
    written = history.sessions.source[reads].tolist()
    pairs = zip(reads.tolist(), written, strict=True)
    return {event_of(history, read): event_of(history, write) if write >= 0 else None for read, write in pairs}
