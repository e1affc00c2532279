"""The check `consistency.sequential`: one order for everybody that keeps each session's own."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from tracekit.checks.consistency.causal_certificate import event_of, omitted
from tracekit.checks.consistency.causal_order import ALL, Chains, chains_with_clocks
from tracekit.checks.consistency.causal_saturation import saturate
from tracekit.checks.consistency.causal_witness import Story
from tracekit.checks.consistency.guessed import ADVICE, holds_as_guessed
from tracekit.checks.consistency.sequential_search import Outcome, search
from tracekit.checks.consistency.session_history import LISTED, SessionHistory, applies, history_of
from tracekit.execution import Budget, Execution, Options
from tracekit.registry import check
from tracekit.results import CheckResult, Violation

GUESSING = 4
"""The share of the budget that a guess of the writes behind reads of repeated values may take."""

SHOWN = 5
"""Operations that a sentence names."""


@check("consistency.sequential", applies=applies, columns=("f", "value"), measured=True, search=True)
def sequential(execution: Execution, options: Options) -> CheckResult:
    """All operations fit into one order that keeps each client's own, and each read returns the last write before it.

    Meaning
        Sequential consistency: the answers are those that one copy of the data would have given if the operations had
        been executed one after the other, each client's in its own order. Real time does not count: a read may return
        what is long replaced, as long as every other client's answers fit to that. A write that was never answered
        may have happened at any time after its invocation, or never.

        Unlike linearizability this is not decided key by key: histories that are sequentially consistent at each key
        may not be so together, as the example shows. So all keys are judged at once.

        First, orders that must hold are collected: each session's own; a write before the reads of it; and, if a
        write comes before a read of its key that returned another one, or after the other one, then before that one or
        after that read. A cycle among them is a violation, and is shown (CyclicOrder). Otherwise an order is looked
        for, session by session: first without going back, then by search.

    Example
        s1  write x 1,  read y nil
        s2  write y 1,  read x nil      at x alone, and at y alone, an order exists; for both together none does

    Needs
        invoke, ok, fail and info events with `f` (read or get, write or put) and `value`; `key` where there are
        several objects; each client its own `process`, one operation at a time. Values that were written twice are
        matched to the write recorded last before each read, and if that gives no order, searched for, at a price. Reads
        at keys with cas, append or other operations are not judged.

    Cannot see
        Real time: see consistency.linearizable. Transactions: see isolation.serializable.

    Cost
        The problem is NP-complete. The orders that must hold: O(n k) a round, for n operations of k sessions, with 4 k
        bytes an operation; mostly they decide, or leave an order that is found at once, O(n k). The search is
        exponential in k at worst; after --budget, or a GiB of states from which no order exists, the verdict is
        unknown. It runs only where the check is required.

    Reference
        Lamport, How to make a multiprocessor computer that correctly executes multiprocess programs, IEEE Trans.
        Comput. 1979. Saturation before search: Zennou, Bouajjani, Enea and Erradi, Gradual consistency checking, CAV
        2019. NP-completeness: Gibbons and Korach, SIAM J. Comput. 1997.
    """
    history = execution.derive(history_of)
    if history.ambiguity and history.not_sessions is None:
        guess = partial(_judge, options=options, budget_s=options.budget_s / GUESSING)
        found = holds_as_guessed(guess, execution)
        if found is not None:
            return found
    return _judge(execution, options, options.budget_s)


def _judge(execution: Execution, options: Options, budget_s: float) -> CheckResult:
    history, method = execution.derive(history_of), "orders that must hold"
    if history.not_sessions is not None:
        return history.not_sessions
    chains = chains_with_clocks(history, np.ones(len(history.sessions), np.bool_))
    large = chains.too_large()
    if large:
        return history.result((), 0, method=method, reasons=(large,))
    thin = history.thin_air()
    if len(thin):
        told = [history.thin_air_read(int(e)) for e in thin[:LISTED]]
        return history.result(told, len(thin), method="values that nobody wrote")
    budget = Budget(budget_s)
    # What must hold is worth half of the budget: the search may find an order with less of it.
    saturated = saturate(chains, chains.readers, ALL, chains.branches, Budget(budget_s / 2), total=True)
    if saturated.cyclic:
        text = "No single order of all operations explains what was read: "
        cycle = Story(chains, saturated.edges).cycle("CyclicOrder", text, saturated.cursor, saturated.waits)
        return history.result([cycle], 1, method=method)
    outcome = search(chains, saturated, budget)
    method += "; then a search" if outcome.states else "; then one order, without going back"
    if outcome.found:
        return history.result((), 0, method=method, ambiguous=False, certificate=_certificate(chains, outcome))
    if outcome.exhausted:
        return history.result([_exhausted(chains, outcome)], 1, method=method)
    return history.result(
        (),
        0,
        method=method,
        ambiguous=False,
        reasons=(_given_up(history, chains, outcome),),
        tried=_advice(history, outcome, options),
        facts={"states": outcome.states, "longest": outcome.longest, "rounds": saturated.rounds}
        | {"stopped_at": _stopped(chains, outcome)},
    )


def _certificate(chains: Chains, outcome: Outcome) -> dict[str, Any]:
    history = chains.history
    left_out = omitted("sequence", len(outcome.order))
    return left_out or {
        "kind": "sequence",
        "order": [event_of(history, int(chains.entry[u])) for u in outcome.order],
    }


def _exhausted(chains: Chains, outcome: Outcome) -> Violation:
    """Every order was tried: shown is where the longest beginning of one ended."""
    history = chains.history
    entries = [int(chains.entry[u]) for u in outcome.stopped]
    witness = sorted((history.row(e), history.verb(e)) for e in entries[:LISTED])
    named = ", ".join(history.name(e) for e in entries[:3])
    return Violation(
        "no-sequential-order",
        f"No order of all operations explains what was read: all were excluded. The longest beginning of one had "
        f"{outcome.longest} of {len(chains.entry)} operations, and then none of these could be next: {named}"
        f"{' and others' if len(entries) > 3 else ''}.",
        history.execution.witness(witness),
        facts={"states": outcome.states, "longest": outcome.longest},
    )


def _given_up(history: SessionHistory, chains: Chains, outcome: Outcome) -> str:
    """``the budget ended after 5 states of 90 operations of 3 sessions at 2 keys: ...``"""
    sessions = history.sessions
    sizes = f"{len(sessions):,} operations of {sessions.count:,} sessions at {len(sessions.names):,} keys"
    waiting = [history.name(int(chains.entry[u])) for u in outcome.stopped[:SHOWN]]
    more = f" and {len(outcome.stopped) - SHOWN} more" if len(outcome.stopped) > SHOWN else ""
    return (
        f"{outcome.reason} after {outcome.steps:,} steps and {outcome.states:,} excluded states ({sizes}): the longest "
        f"order found has {outcome.longest:,} operations, and then none of these could be next: "
        f"{', '.join(waiting)}{more}"
    )


def _stopped(chains: Chains, outcome: Outcome) -> list[dict[str, Any]]:
    """The operations that the longest order left next, with their keys."""
    history = chains.history
    entries = [int(chains.entry[u]) for u in outcome.stopped[:LISTED]]
    names = history.sessions.names
    return [{"event": event_of(history, e), "key": names[int(history.sessions.key[e])]} for e in entries]


def _advice(history: SessionHistory, outcome: Outcome, options: Options) -> tuple[str, ...]:
    tried = []
    if "budget" in outcome.reason:
        tried.append(f"--check consistency.sequential --budget {max(10 * options.budget_s, 600):g}s")
    if history.ambiguity:
        tried.append(ADVICE)
    if history.sessions.open.any():
        tried.append("let clients retry or read back what was not answered")
    tried.append("--check consistency.causal: weaker, and decided in seconds")
    return tuple(tried)
