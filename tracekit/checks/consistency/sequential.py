"""The check `consistency.sequential`: one order for everybody that keeps each session's own."""

from __future__ import annotations

from typing import Any

import numpy as np

from tracekit.checks.consistency.causal_order import ALL, Chains, chains_with_clocks
from tracekit.checks.consistency.causal_saturation import saturate
from tracekit.checks.consistency.causal_witness import Story
from tracekit.checks.consistency.sequential_search import Outcome, search
from tracekit.checks.consistency.session_history import LISTED, SessionHistory, applies, history_of
from tracekit.execution import Budget, Execution, Options
from tracekit.registry import check
from tracekit.results import CheckResult, Violation

CERTIFIED = 1000
"""Orders of up to so many operations are written out."""


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
        for: as recorded, and then by search.

    Example
        s1  write x 1,  read y nil
        s2  write y 1,  read x nil      at x alone, and at y alone, an order exists; for both together none does

    Needs
        invoke, ok, fail and info events with `f` (read or get, write or put) and `value`; `key` where there are
        several objects; each client its own `process`, one operation at a time. Values that were written twice are
        searched for, at a price. Reads at keys with cas, append or other operations are not judged.

    Cannot see
        Real time: see consistency.linearizable. Transactions: see isolation.serializable.

    Cost
        The problem is NP-complete. The orders that must hold: O(n k) a round, for n operations of k sessions, with 4 k
        bytes an operation; mostly they decide. The search is exponential in k at worst; after --budget, or two
        million remembered states, the verdict is unknown. It runs only where the check is required.

    Reference
        Lamport, How to make a multiprocessor computer that correctly executes multiprocess programs, IEEE Trans.
        Comput. 1979. Saturation before search: Zennou, Bouajjani, Enea and Erradi, Gradual consistency checking, CAV
        2019. NP-completeness: Gibbons and Korach, SIAM J. Comput. 1997.
    """
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
    budget = Budget(options.budget_s)
    saturated = saturate(chains, chains.readers, ALL, chains.branches, budget, total=True)
    if saturated.cyclic:
        text = "No single order of all operations explains what was read: "
        cycle = Story(chains, saturated.edges).cycle("CyclicOrder", text, saturated.cursor, saturated.waits)
        return history.result([cycle], 1, method=method)
    assert saturated.lists is not None
    outcome = search(chains, saturated.lists, budget)
    method += "; then a search" if outcome.states else "; then one order as recorded"
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
        tried=(f"--check consistency.sequential --budget {max(10 * options.budget_s, 600):g}s",),
        facts={"states": outcome.states, "longest": len(outcome.order), "rounds": saturated.rounds},
    )


def _certificate(chains: Chains, outcome: Outcome) -> dict[str, Any]:
    if len(outcome.order) > CERTIFIED:
        return {
            "kind": "sequence",
            "omitted": f"{len(outcome.order)} operations: more than {CERTIFIED}; the check derives it again",
        }
    history = chains.history
    rows = [int(history.operations.row[history.sessions.operation[chains.entry[u]]]) for u in outcome.order]
    return {"kind": "sequence", "order": [history.execution.trace.event(row) for row in rows]}


def _exhausted(chains: Chains, outcome: Outcome) -> Violation:
    """Every order was tried: shown is where the longest beginning of one ended."""
    history = chains.history
    entries = [int(chains.entry[u]) for u in outcome.stopped]
    witness = sorted((history.row(e), history.verb(e)) for e in entries[:LISTED])
    named = ", ".join(history.name(e) for e in entries[:3])
    return Violation(
        "no-sequential-order",
        f"No order of all operations explains what was read: all were excluded. The longest beginning of one had "
        f"{len(outcome.order)} of {len(chains.entry)} operations, and then none of these could be next: {named}"
        f"{' and others' if len(entries) > 3 else ''}.",
        history.execution.witness(witness),
        facts={"states": outcome.states, "longest": len(outcome.order)},
    )


def _given_up(history: SessionHistory, chains: Chains, outcome: Outcome) -> str:
    at = history.execution.trace.event(history.row(int(chains.entry[outcome.stopped[0]]))) if outcome.stopped else "?"
    return (
        f"{outcome.reason} after {outcome.states:,} states: the longest order found has {len(outcome.order)} of "
        f"{len(chains.entry)} operations, and stopped before {at}"
    )
