"""The checks of causal consistency: CC, CCv and CM of Bouajjani, Enea, Guerraoui and Hamza, POPL 2017."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracekit.checks.consistency.causal_certificate import CERTIFIED, Lists, order_of_writes, views
from tracekit.checks.consistency.causal_order import ALL, NOBODY, CausalOrder, causal_order_of
from tracekit.checks.consistency.causal_saturation import Saturated, saturate, with_conflicts
from tracekit.checks.consistency.causal_witness import Story
from tracekit.checks.consistency.guessed import or_guessed
from tracekit.checks.consistency.session_history import LISTED, applies, history_of
from tracekit.execution import Budget, Execution, Options
from tracekit.registry import check
from tracekit.results import CheckResult, Violation

Int32 = NDArray[np.int32]


@check("consistency.causal", applies=applies, columns=("f", "value"), measured=True)
def causal(execution: Execution, options: Options) -> CheckResult:
    """Nobody sees an effect without its cause: each read fits the operations that came before it causally.

    Meaning
        Causal consistency (CC). Each client's operations are one session. An operation comes causally before another
        if it is earlier in the same session, or if the other reads what it wrote, or over several such steps. The
        history is causally consistent if some order that contains these steps explains every operation alone: all
        that comes before it can be put into a sequence in which its own answer is right. What other reads of the
        session returned may then look different: see consistency.causal-memory; and different clients may see
        concurrent writes in different orders: see consistency.causal-convergence.

        Where each value is written once at its key, that is so exactly if none of four bad patterns occurs.
        CyclicCO: an operation comes causally before itself. ThinAirRead: a value is read that nobody wrote.
        WriteCOInitRead: a read returns the initial value although a write of its key comes causally before it.
        WriteCORead: a read returns a value that another write, causally between, had overwritten.
        What holds is shown by one order of the writes that causality allows (the certificate, of up to 1000
        operations): a read is explained by what comes causally before it and not after the write that it read, then
        that write, then the rest.

        A write that was never answered counts where its value was read; what its client did next need not come after
        it. With --causality both, an operation whose completion happens before another's invocation, by the recorded
        messages, comes before it as well; with --causality messages only these are in order.

    Example
        s1  write x 1,  write y 1
        s2  read y 1,   write x 2
        s3  read x 2,   read x 1        WriteCORead: s3 knew of 2, and 2 was written by one who knew of 1

    Needs
        invoke, ok, fail and info events with `f` (read or get, write or put) and `value`; `key` where there are
        several objects; each client its own `process`, one operation at a time. Distinct values written at a key: which
        write a read of a repeated value saw is open, and the problem NP-hard. Such reads are left out: that only loses
        constraints, so a violation among the others stays one. If there is none, they are matched to the write recorded
        last before each: if that explains all, the property holds, and the method says so; else it is unknown.

    Cannot see
        Causes that no session and no read shows (a telephone call), unless messages were recorded. Real time: a read
        may return what is arbitrarily old. cas, append and other operations: reads at their keys are not judged.

    Cost
        O(n k log n) time and 4 k bytes a write, for n operations of k sessions.

    Reference
        Bouajjani, Enea, Guerraoui and Hamza, On Verifying Causal Consistency, POPL 2017 (arXiv 1611.00580). CC
        by its bad patterns; open writes and recorded messages are ours.
    """
    method = "causal order and overwritten reads (bad patterns of CC)"
    return or_guessed(partial(_judge, options=options, method=method, beyond=_nothing_beyond), execution)


@check("consistency.causal-convergence", applies=applies, columns=("f", "value"), measured=True)
def convergence(execution: Execution, options: Options) -> CheckResult:
    """Causal consistency, and all clients order conflicting writes alike.

    Meaning
        Causal convergence (CCv). As consistency.causal, and there is one total order of all operations, the same for
        everybody, that contains the causal order: each read returns the last write of its key, in that order, among
        those causally before it. Replicas that have seen the same writes then agree (last writer wins).

        Where each value is written once at its key, that is so exactly if causal order has none of the bad patterns
        of consistency.causal, and there is no CyclicCF: if a write comes causally before a read of its key that
        returned another write, then the other write is the later one; these conflicts and causal order together have
        no cycle. The certificate, of up to 1000 operations, is the total order of the writes.

    Example
        s1  write x 1,  read x 2        so 1 came before 2
        s2  write x 2,  read x 1        so 2 came before 1: CyclicCF

    Needs
        As consistency.causal: reads and writes of clients, one at a time each, with distinct values at a key.

    Cannot see
        As consistency.causal. That replicas become equal in the end: see consistency.eventual. If a bad pattern of
        consistency.causal is found, cyclic conflicts are not looked for.

    Cost
        O(n k log n) time and 8 k bytes a write, for n operations of k sessions: of each session only the last write
        of the key before a read forces a conflict.

    Reference
        Bouajjani, Enea, Guerraoui and Hamza, On Verifying Causal Consistency, POPL 2017. CCv with the pattern
        CyclicCF. One sweep for all conflicts, as for transactions in Møldrup and Pavlogiannis, PLDI 2025.
    """

    def conflicts(order: CausalOrder) -> _Found:
        found = with_conflicts(order)
        if not found.cyclic:
            assert found.lists is not None
            return _Found(
                facts={"conflicts": len(found.edges) - len(order.edges)},
                certificate=order_of_writes("arbitration", order.chains, found.lists, NOBODY),
            )
        return _Found((lambda: _cyclic(order, found, "CyclicCF", "Conflicting writes cannot be ordered: "),))

    method = "causal order and conflicts (bad patterns of CCv)"
    return or_guessed(partial(_judge, options=options, method=method, beyond=conflicts), execution)


@check("consistency.causal-memory", applies=applies, columns=("f", "value"), measured=True)
def memory(execution: Execution, options: Options) -> CheckResult:
    """Causal consistency, and each client's reads fit together: it never has to forget what it saw.

    Meaning
        Causal memory (CM). As consistency.causal, but what comes causally before an operation must be explained by a
        sequence in which its own answer *and* all answers that its session got before are right. So each session sees
        the writes in one order of its own; different sessions may see concurrent writes in different orders.

        Where each value is written once at its key, that is so exactly if causal order has none of the bad patterns
        of consistency.causal, and for each session's last operation: let HB be the least order that has causal order
        before that operation, and has a write before another of its key if it comes before a read of the session that
        returned the other. HB has no cycle (CyclicHB), and no read of the session returns the initial value although
        a write of its key comes before it in HB (WriteHBInitRead). The certificate, of up to 1000 operations, is for
        each session that reads one order of its reads and the writes.

    Example
        s1  write x 1
        s2  write x 2,  read x 1,  read x 2       it saw 1 replace 2, and then 2 again: CyclicHB

    Needs
        As consistency.causal: reads and writes of clients, one at a time each, with distinct values at a key.

    Cannot see
        As consistency.causal. If a bad pattern of that is found, HB is not looked at. With --causality messages a
        read need not come after its write, and the definition is stretched accordingly.

    Cost
        O(n k) time a session and round of saturation, mostly two to five rounds; at worst O(n) rounds. Memory 8 k
        bytes a write. After --budget the verdict is unknown, with the sessions that are left.

    Reference
        Bouajjani, Enea, Guerraoui and Hamza, On Verifying Causal Consistency, POPL 2017. CM with WriteHBInitRead and
        CyclicHB at each session's last operation. The memory is that of Ahamad et al., Causal memory: definitions,
        implementation, and programming, Distributed Computing 1995.
    """
    budget = Budget(options.budget_s)

    def histories(order: CausalOrder) -> _Found:
        found: list[Callable[[], Violation]] = []
        rounds, left, lists = 0, [], dict[int, Lists]()
        for chain in order.chains.readers:
            saturated = saturate(order.chains, [chain], order.reader, order.extra, budget, _past(order, chain))
            rounds = max(rounds, saturated.rounds)
            if not saturated.finished:
                left.append(chain)
            elif saturated.cyclic or saturated.missed:
                found.append(partial(_own_order, order, chain, saturated))
            elif saturated.lists is not None and len(order.chains.nodes) <= CERTIFIED:
                lists[chain] = saturated.lists
        certificate = None if found or left else views("causal-views", order.chains, lists, order.reader, whole=False)
        return _Found(found, {"rounds": rounds}, _unfinished(order, left), certificate)

    method = "saturation at each session's last operation (bad patterns of CM)"
    return or_guessed(partial(_judge, options=options, method=method, beyond=histories), execution)


@dataclass(frozen=True)
class _Found:
    """What one of the checks found beyond the bad patterns that all have."""

    violations: Sequence[Callable[[], Violation]] = ()
    facts: Mapping[str, int] = field(default_factory=dict)
    reasons: tuple[str, ...] = ()
    certificate: dict[str, Any] | None = None


def _nothing_beyond(order: CausalOrder) -> _Found:
    """CC has no other patterns; any order of the writes that causality allows explains each read alone."""
    lists = order.heads, order.linked
    return _Found(certificate=order_of_writes("causal-order", order.chains, lists, order.reader))


def _judge(execution: Execution, options: Options, method: str, beyond: Callable[[CausalOrder], _Found]) -> CheckResult:
    history = execution.derive(history_of)
    if history.not_sessions is not None:
        return history.not_sessions
    order = execution.derive(causal_order_of)
    large = order.chains.too_large()
    if large:
        return history.result((), 0, method=method, reasons=(large,))
    thin = history.thin_air()
    violations = [history.thin_air_read(int(e)) for e in thin[:LISTED]]
    total, reasons, found = len(thin), [order.doubt] if order.doubt else [], _Found()
    if order.cyclic:
        text = "Operations cannot be put into any order of causes and effects: "
        violations.append(Story(order.chains, order.edges).cycle("CyclicCO", text, order.cursor, order.waits))
        total += 1
    else:
        wrong = execution.derive(overwritten_reads)
        total += len(wrong)
        violations += [_stale(order, *pair) for pair in wrong[: LISTED - len(violations)].tolist()]
        if not len(wrong):
            found = beyond(order)
            total += len(found.violations)
            violations += [tell() for tell in found.violations[: LISTED - len(violations)]]
            reasons += found.reasons
    tried = (f"--budget {max(10 * options.budget_s, 600):g}s",) if any("budget" in r for r in reasons) else ()
    return history.result(
        violations[:LISTED], total, method=method, reasons=tuple(reasons), tried=tried, rests_on=(order.words,),
        facts=dict(found.facts), certificate=found.certificate if order.reader == ALL else None,
    )  # fmt: skip


def overwritten_reads(execution: Execution) -> NDArray[np.int64]:
    """int64, shape (m, 2): reads that causal order contradicts and the write that shows it, in file order.

    The write overwrote what was read; or it is the one read, and comes after the read (where messages alone order).
    """
    order = execution.derive(causal_order_of)
    nodes, history = order.chains.nodes, order.chains.history
    culprit = order.overwritten().astype(np.int64)
    if order.reader != ALL:
        reads = np.flatnonzero(nodes[:, 2] >= 0)
        source = nodes[reads, 2]
        future = order.clocks[nodes[source, 3], nodes[reads, 0]] > reads
        culprit[reads[future]] = source[future]
    wrong = np.flatnonzero(culprit >= 0)
    rows = history.operations.completion[history.sessions.operation[order.chains.entry[wrong]]]
    wrong = wrong[np.argsort(rows, kind="stable")]
    return np.stack([wrong, culprit[wrong]], axis=1)


def _stale(order: CausalOrder, read: int, write: int) -> Violation:
    """WriteCORead or WriteCOInitRead, or a read of what is written only after it."""
    history, entry = order.chains.history, order.chains.entry
    source = int(order.chains.nodes[read, 2])
    story = Story(order.chains, order.edges)
    who, value = history.client(int(entry[read])), history.value(int(entry[read]))
    where = history.sessions.key_name(int(history.sessions.key[entry[read]]))
    name = history.name(int(entry[write]))
    if source == write:
        text = f"{who} read {value} at {where}, which was written only after the read: {name} comes after it."
        return story.pair("CyclicCO", text, [(read, write)], [(write, read, "read-from")])
    if source < 0:
        text = f"{who} read {value} at {where}, the initial value, although {name} comes causally before that read."
        return story.pair("WriteCOInitRead", text, [(write, read)])
    old = history.name(int(entry[source]))
    text = (
        f"{who} read {value} at {where}, which had been overwritten: {name} comes causally after {old} and before "
        "that read."
    )
    return story.pair("WriteCORead", text, [(source, write), (write, read)], [(source, read, "read-from")])


def _cyclic(order: CausalOrder, found: Saturated, anomaly: str, text: str) -> Violation:
    return Story(order.chains, found.edges).cycle(anomaly, text, found.cursor, found.waits)


def _own_order(order: CausalOrder, chain: int, found: Saturated) -> Violation:
    """CyclicHB or WriteHBInitRead of one session."""
    history, entry = order.chains.history, order.chains.entry
    who = history.client(int(entry[order.chains.span(chain)[0]]))
    if found.missed is None:
        return _cyclic(order, found, "CyclicHB", f"{who} cannot have seen the writes in any one order: ")
    read, write = found.missed
    text = (
        f"{history.name(int(entry[read]))} returned the initial value, but what {who} read besides puts "
        f"{history.name(int(entry[write]))} before it."
    )
    return Story(order.chains, found.edges).pair("WriteHBInitRead", text, [(write, read)])


def _past(order: CausalOrder, chain: int) -> tuple[Int32, Int32]:
    """The clocks of causal order, and where the past of a chain's last operation ends in each chain."""
    if order.reader != ALL:
        return order.clocks, order.chains.starts[1:]
    last = order.chains.span(chain)[1] - 1
    return order.clocks, order.clocks[order.chains.nodes[last, 3]]


def _unfinished(order: CausalOrder, left: list[int]) -> tuple[str, ...]:
    if not left:
        return ()
    names = [order.chains.history.client(int(order.chains.entry[order.chains.span(c)[0]])) for c in left]
    return (f"the budget ended before the order of {len(left)} sessions was complete ({', '.join(names[:5])})",)
