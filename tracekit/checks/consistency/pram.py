"""The check `consistency.pram`: each session sees all writes in an order that keeps every session's own."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from tracekit.checks.consistency.causal_certificate import CERTIFIED, Lists, views
from tracekit.checks.consistency.causal_order import Chains, chains_of
from tracekit.checks.consistency.causal_saturation import Saturated, saturate
from tracekit.checks.consistency.causal_witness import Story
from tracekit.checks.consistency.guessed import or_guessed
from tracekit.checks.consistency.session_history import LISTED, applies, history_of
from tracekit.execution import Budget, Execution, Options
from tracekit.registry import check
from tracekit.results import CheckResult, Violation


@check("consistency.pram", applies=applies, columns=("f", "value"), measured=True)
def pram(execution: Execution, options: Options) -> CheckResult:
    """Every client sees the writes of each other client in the order in which that client made them.

    Meaning
        Pipelined RAM, also FIFO consistency. For each client there is one sequence of all writes and of its own reads
        that keeps every client's own order, and in which each of its reads returns the last write of its key before
        it, or the initial value. Unlike causal memory, nothing follows from what other clients read: a write need
        not come after what its writer had read. Unlike the session guarantees taken alone, one sequence must fit all
        reads of a client.

        It is decided as causal memory with program order for causality: for each client, the least order that has all
        sessions' own orders, has a write before the client's reads of it, and has a write before another of its key
        if it comes before a read of the client that returned the other. It must have no cycle (CyclicPRAM), and no
        write may come before a read of the client that returned the initial value of its key (WritePRAMInitRead).
        ThinAirRead: a value is read that nobody wrote. The certificate, of up to 1000 operations, is each client's
        sequence.

    Example
        s1  write x 1,  write x 2
        s2  read x 2,   read x 1        the second read goes back

    Needs
        As consistency.causal: reads and writes of clients, one at a time each, with distinct values at a key.

    Cannot see
        As consistency.causal, also for values that were written twice.

    Cost
        O(n k) time a session and round of saturation, mostly two to five rounds; at worst O(n) rounds. Memory 4 k
        bytes a write, for n operations of k sessions. After --budget the verdict is unknown.

    Reference
        Lipton and Sandberg, PRAM: A scalable shared memory, Princeton CS-TR-180-88, 1988. Decided by the saturation
        of causal memory in Bouajjani, Enea, Guerraoui and Hamza, POPL 2017, with program order for causality; the
        names of the two patterns are ours.
    """
    return or_guessed(partial(_judge, options=options), execution)


def _judge(execution: Execution, options: Options) -> CheckResult:
    history, method = execution.derive(history_of), "saturation of each session's own view"
    if history.not_sessions is not None:
        return history.not_sessions
    chains = execution.derive(chains_of)
    large = chains.too_large()
    if large:
        return history.result((), 0, method=method, reasons=(large,))
    budget = Budget(options.budget_s)
    thin = history.thin_air()
    tell: list[Callable[[], Violation]] = [partial(history.thin_air_read, int(e)) for e in thin[:LISTED]]
    total, left, rounds, lists = len(thin), [], 0, dict[int, Lists]()
    for chain in chains.readers:
        found = saturate(chains, [chain], chain, chains.branches, budget)
        rounds = max(rounds, found.rounds)
        if not found.finished:
            left.append(history.client(int(chains.entry[chains.span(chain)[0]])))
        elif found.cyclic or found.missed:
            total += 1
            tell.append(partial(_view, chains, chain, found))
        elif found.lists is not None and len(chains.nodes) <= CERTIFIED:
            lists[chain] = found.lists
    reasons = [f"the budget ended before the view of {len(left)} sessions was complete ({', '.join(left[:5])})"]
    return history.result(
        [say() for say in tell[:LISTED]],
        total,
        method=method,
        reasons=tuple(reasons) if left else (),
        tried=(f"--budget {max(10 * options.budget_s, 600):g}s",) if left else (),
        facts={"rounds": rounds},
        certificate=None if total or left else views("views", chains, lists, None, whole=True),
    )


def _view(chains: Chains, chain: int, found: Saturated) -> Violation:
    """Why one session's reads fit into no sequence."""
    history, story = chains.history, Story(chains, found.edges)
    who = history.client(int(chains.entry[chains.span(chain)[0]]))
    if found.missed is None:
        text = f"{who} cannot have seen the writes in any order that keeps each session's own: "
        return story.cycle("CyclicPRAM", text, found.cursor, found.waits)
    read, write = found.missed
    text = (
        f"{history.name(int(chains.entry[read]))} returned the initial value, but what {who} read besides, and the "
        f"sessions' own orders, put {history.name(int(chains.entry[write]))} before it."
    )
    return story.pair("WritePRAMInitRead", text, [(write, read)])
